//! The walk over grain directories, grain tables and the markers of a stream.

use super::disk::{Grains, Known};
use super::front;
use super::header::Header;
use super::maps::{Announced, MOST_HELD, Maps, Table};
use super::starts::Starts;
use super::stream::{self, MOST_MARKED, Stream};
use super::tables::ENTRY;
use super::{SECTOR, offset_of};
use crate::bytes::human_size;
use crate::facts::{Anomaly, Code, Layer, Left, Notebook};
use crate::formats::entries::Entries;
use crate::formats::view::{End, Last};
use crate::formats::{Halt, ImageView, Missing, Reach, Walked, Wanted};

const TOO_SMALL: Walked = Walked::Partial(Left::TablesTooSmall);

impl Grains {
    pub(super) fn walk_all(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        wanted: &Wanted,
        reach: &mut Reach,
    ) -> Result<Walked, Halt> {
        if self.header.virtual_size() >= notebook.limit() {
            return Ok(Walked::Partial(Left::DiskTooLarge));
        }
        if self.header.tables() > MOST_HELD {
            return Ok(TOO_SMALL);
        }
        match self.header.is_compressed() {
            true if self.header.grains() > MOST_MARKED => Ok(TOO_SMALL),
            true => self.walk_stream(view, notebook, wanted, reach),
            false => self.walk_sparse(view, notebook, wanted, reach),
        }
    }

    /// Grains as they are: the tables alone say where.
    fn walk_sparse(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        wanted: &Wanted,
        reach: &mut Reach,
    ) -> Result<Walked, Halt> {
        self.resolve(view, notebook, reach, None)?;
        let Some(header) = self.located.clone() else { return Ok(self.unlocated()) };
        let mut starts = Starts::new(header.grains());
        let mut maps = Maps::new(&header, notebook);
        let mut wrong = Entries::new(notebook);
        let known = &mut self.known;
        let mut zeroed = 0u64;
        let begins = front::first_table(&header);
        let before = front::check(
            view,
            notebook,
            &header,
            reach,
            (front::begin(&header, notebook), begins),
            &[],
        )?;
        let mut each = |view: &mut dyn ImageView, reach: &mut Reach, table: Table<'_>| {
            for ((index, &sector), entry) in
                (table.first..).zip(table.entries).zip((table.at..).step_by(ENTRY as usize))
            {
                let guest = index.saturating_mul(header.grain_bytes());
                let len = header.grain_bytes().min(header.virtual_size().saturating_sub(guest));
                let at = offset_of(sector.into());
                let place = if sector == 0 {
                    Known::Unallocated
                } else if header.reads_as_zeros(sector) {
                    zeroed += 1;
                    Known::Zeros
                } else if is_taken(&header, &mut wrong, sector, index, entry) {
                    Known::Missing(Missing::Broken)
                } else {
                    let whole = header.grain_bytes();
                    reach.include_last("a grain", Last { at, least: len, whole, piece: 1 });
                    reach.stored.add(at, len);
                    starts.add(&mut wrong, sector, index, header.grain_size, entry);
                    wanted.keep(view, guest, len, at);
                    Known::Stored(at)
                };
                if wanted.touches(guest, len) {
                    known.insert(index, place);
                }
            }
        };
        maps.run(view, reach, u64::MAX, &Announced::new(), &mut each)?;
        for index in wanted_grains(&header, wanted) {
            match maps.unmapped(index) {
                Some(true) => known.insert(index, Known::Unallocated),
                Some(false) => known.insert(index, Known::Missing(Missing::Broken)),
                None => None,
            };
        }
        maps.compare_copies();
        let ranges = maps.ranges();
        maps.missing = maps.missing.or(before);
        if maps.missing.is_none() {
            maps.missing =
                front::check(view, notebook, &header, reach, (begins, header.overhead), &ranges)?;
        }
        let last = ranges.iter().map(|(_, end)| *end).max().unwrap_or(0);
        let end = last.max(starts.end(header.grain_size)).max(header.overhead);
        // What is overwritten with zeros may leave its grain behind, as QEMU does.
        let unused = unused(&header, end, starts.count().saturating_add(zeroed), &ranges);
        let begin = header.overhead.max(header.first_free_sector());
        let rooms = starts.rooms(header.grain_size, begin, &ranges);
        let (kept, rooms) = (rooms.min(zeroed), rooms.saturating_sub(zeroed));
        let even =
            starts.judge(&mut wrong, header.grain_size, &ranges, |grain| maps.entry_at(grain));
        if maps.missing.is_none() && kept > 0 {
            let len = human_size(kept.saturating_mul(header.grain_bytes()));
            reach.if_whole(Anomaly {
                code: Code::VmdkGrainsZeroed,
                layer: Layer::Image,
                offset: Some(offset_of(header.overhead)),
                spot: None,
                said: format!(
                    "{kept} grains ({len}) of the image belong to nothing, and {zeroed} entries say that their grain reads as zeros."),
            });
        }
        if maps.missing.is_none() {
            let (at, unit) = (offset_of(end), header.grain_bytes());
            reach.ends_at(End { at, code: Code::VmdkBytesBehind, unit, spare: 0, freed: u64::MAX });
            if unused >= header.grain_size || rooms > 0 {
                let unused = unused.max(rooms.saturating_mul(header.grain_size));
                // Of an image that is cut off, the tables that name such space may be missing.
                reach.if_whole(Anomaly {
                    code: Code::VmdkSpaceUnused,
                    layer: Layer::Image,
                    offset: Some(offset_of(header.overhead)),
                    spot: None,
                    said: format!(
                        "{} bytes between the grains belong to none: the grains are larger than the header says, or the disk reads as zeros what they hold.",
                        offset_of(unused)),
                });
            }
        }
        Ok(match (maps.missing, even) {
            (Some(missing), _) => Walked::Partial(missing.into()),
            (None, false) => TOO_SMALL,
            (None, true) => Walked::Whole,
        })
    }

    /// Compressed grains: tables before them, their markers, tables behind them, and then both are
    /// held against each other, for readers of streams believe the markers, QEMU the tables.
    fn walk_stream(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        wanted: &Wanted,
        reach: &mut Reach,
    ) -> Result<Walked, Halt> {
        let mut stream = Stream::new(&self.header, notebook, wanted);
        let early = self.located.clone();
        let mut named = Vec::new();
        let mut wrong = Entries::new(notebook);
        let (free, begins) =
            (front::begin(&self.header, notebook), front::first_table(&self.header));
        let before = front::check(view, notebook, &self.header, reach, (free, begins), &[])?;
        let mut maps = early.as_ref().map(|header| Maps::new(header, notebook));
        if let Some(maps) = &mut maps {
            let mut each = naming(&self.header, &mut wrong, &mut named);
            maps.run(view, reach, stream.begin(), &Announced::new(), &mut each)?;
        }
        let spans = maps.as_ref().map(Maps::spans).unwrap_or_default();
        let after = front::check(
            view,
            notebook,
            &self.header,
            reach,
            (begins, self.header.overhead),
            &spans,
        )?;
        stream.walk(view, reach, (&named, self.threads))?;
        stream.missing = stream.missing.or(before).or(after);
        self.unpacked = stream.unpacked();
        if early.is_none() {
            let marker = stream.footer.filter(|_| stream.is_whole());
            self.resolve(view, notebook, reach, marker)?;
        } else if stream.is_whole() {
            // QEMU writes a grain in parts, and cuts off what is too much.
            let (at, spare) = (stream.end, self.header.grain_bytes().saturating_mul(2));
            reach.ends_at(End {
                at,
                code: Code::VmdkBytesBehind,
                unit: SECTOR,
                spare,
                freed: u64::MAX,
            });
        }
        let Some(header) = self.located.clone() else {
            self.remember(&stream, None, wanted);
            return Ok(self.unlocated());
        };
        stream.check_unannounced();
        stream.check_end(self.header.has_footer().then_some(header.at));
        let mut maps = maps.unwrap_or_else(|| Maps::new(&header, notebook));
        {
            let mut each = naming(&header, &mut wrong, &mut named);
            maps.run(view, reach, u64::MAX, &stream.announced, &mut each)?;
        }
        maps.compare_copies();
        maps.ranges();
        if stream.is_whole() {
            stream.check_tables(&maps);
        }
        if let Some(missing) = maps.missing {
            self.remember(&stream, None, wanted);
            return Ok(Walked::Partial(missing.into()));
        }
        if stream.is_whole() {
            stream.compare(&named, |grain| maps.entry_at(grain));
        }
        self.remember(&stream, Some(&named), wanted);
        Ok(match (stream.missing, stream.is_whole()) {
            (Some(missing), _) => Walked::Partial(missing.into()),
            (None, true) => Walked::Whole,
            (None, false) => Walked::Partial(Left::MarkersBroken),
        })
    }

    /// Remembers where the grains are that will be read: by their markers, where the tables agree or
    /// are not to be had.
    fn remember(&mut self, stream: &Stream<'_>, named: Option<&[u32]>, wanted: &Wanted) {
        for index in wanted_grains(&self.header, wanted) {
            let marked = stream.grains.get(&index);
            let at = marked.map_or(0, |grain| grain.at);
            let same = named
                .is_none_or(|named| offset_of(stream::at(named, index, &self.header).into()) == at);
            let place = match (marked, named) {
                (Some(grain), _) if same => Known::Packed(*grain),
                // Reading may still find it by the tables.
                (_, None) => continue,
                _ if !stream.is_whole() => continue,
                (None, _) if same => Known::Unallocated,
                // The notebook has the reason.
                _ => Known::Missing(Missing::Broken),
            };
            self.known.insert(index, place);
        }
    }

    /// Why there are no tables.
    fn unlocated(&self) -> Walked {
        match self.unlocated {
            Missing::Broken => Walked::Partial(Left::FooterBroken),
            Missing::Quick => Walked::Partial(Left::QuickEnd),
            missing @ (Missing::Behind | Missing::Scattered) => Walked::Partial(missing.into()),
        }
    }
}

/// Sectors between `header.overhead` and `end` that neither `grains` nor tables take. A table that was lost
/// leaves such space, and so do grains that are larger than the header says.
fn unused(header: &Header, end: u64, grains: u64, ranges: &[(u64, u64)]) -> u64 {
    let begin = header.overhead.max(header.first_free_sector());
    let tables = ranges.iter().filter(|(_, end)| *end > begin);
    // A table among the grains may leave a part of a grain's place behind it.
    let taken = tables
        .map(|(from, end)| (end - (*from).max(begin)).next_multiple_of(header.grain_size.max(1)))
        .fold(grains.saturating_mul(header.grain_size), u64::saturating_add);
    end.saturating_sub(begin).saturating_sub(taken)
}

/// Numbers of the grains that are wanted.
fn wanted_grains(header: &Header, wanted: &Wanted) -> impl Iterator<Item = u64> {
    let (grain, size) = (header.grain_bytes(), header.virtual_size());
    wanted.0.iter().flat_map(move |range| range.start / grain..range.end.min(size).div_ceil(grain))
}

/// Notes what the tables say of each grain in `named`, a sector each; 0 is nowhere.
fn naming<'e>(
    header: &'e Header,
    wrong: &'e mut Entries<'_>,
    named: &'e mut Vec<u32>,
) -> impl FnMut(&mut dyn ImageView, &mut Reach, Table<'_>) + 'e {
    move |_, reach, table| {
        for ((index, &sector), entry) in
            (table.first..).zip(table.entries).zip((table.at..).step_by(ENTRY as usize))
        {
            if header.reads_as_zeros(sector) || is_taken(header, wrong, sector, index, entry) {
                continue;
            }
            reach.include("a grain", offset_of(sector.into()), stream::GRAIN_DATA);
            // At most `MOST_MARKED` grains, which was checked.
            let index = index as usize;
            if named.len() <= index {
                named.resize(index + 1, 0);
            }
            if let Some(slot) = named.get_mut(index) {
                *slot = sector;
            }
        }
    }
}

/// Whether a grain table entry leads to where no grain can be.
fn is_taken(header: &Header, wrong: &mut Entries<'_>, sector: u32, index: u64, entry: u64) -> bool {
    let free = header.overhead.max(header.first_free_sector());
    let sector = u64::from(sector);
    if sector >= free {
        return false;
    }
    wrong.say(Code::VmdkTableEntryInvalid, entry, || format!(
        "The grain table places grain {index} at sector {sector}, but data begins at sector {free}."));
    true
}
