//! The markers of a stream with compressed grains, from the first to the last.

use std::collections::BTreeMap;

use super::disk::packed;
use super::footer;
use super::header::Header;
use super::maps::Announced;
pub(super) use super::markers::GRAIN_DATA;
use super::markers::{Grain, Kind, Marker};
use super::tables::ENTRY;
use super::{SECTOR, offset_of};
use crate::facts::{Code, Left, Notebook};
use crate::formats::stretch::Stretch;
use crate::formats::zeros::first_used;
use crate::formats::{Got, Halt, ImageView, Missing, Reach, Wanted};

/// Most grains whose places are held. A disk of 99 GB with the usual grains of 64 KiB has fewer. The
/// places that the markers say, those that the tables say, and these in the order of the image take four
/// bytes a grain each: 24 MiB.
pub(super) const MOST_MARKED: u64 = 2 << 20;

/// After so many faults nothing more is to be learned.
const MOST_FAULTS: u32 = 1000;

/// Bytes at the beginning that a stream keeps anyway, and from where on it has to be asked to.
const HEAD: u64 = 1 << 20;

const MARKER: usize = size_of::<Marker>();

pub(super) struct Stream<'a> {
    pub(super) header: Header,
    notebook: &'a Notebook<'a>,
    wanted: &'a Wanted,
    /// The sector of the marker of each grain, 0 if there is none.
    pub(super) marked: Vec<u32>,
    /// The grains that are wanted.
    pub(super) grains: BTreeMap<u64, Grain>,
    /// The tables and directories that came by, in two copies at most: 16 MiB, until the directory says
    /// which is which.
    pub(super) announced: Announced,
    directories: u32,
    /// Places of tables and directories that markers announced, whether held or not.
    pub(super) tables: Vec<u64>,
    last: Option<u64>,
    /// The first grain that is behind one for a later place on the disk, as image offset, disk sector and
    /// the sector before it; and how many there are.
    unordered: Option<((u64, u64, u64), u64)>,
    /// The first place at which the stream ends although the tables name a grain behind it: image offsets of both; and how
    /// many there are.
    ends: Option<((u64, u64), u64)>,
    /// Image offset of the first byte between markers that belongs to nothing and is no zero.
    idle: Option<u64>,
    /// Unpacks each grain as it passes, if it will not be at hand later.
    stretch: Option<Stretch>,
    faults: u32,
    /// The markers cannot be followed further.
    lost: bool,
    /// Image offset of the footer marker.
    pub(super) footer: Option<u64>,
    /// The copy of the header that stands behind it.
    copy: Option<Header>,
    /// Image offset up to which the markers say what there is, in whole sectors.
    pub(super) end: u64,
    /// Why a marker could not be read.
    pub(super) missing: Option<Missing>,
}

/// The sector that a list has for a grain.
pub(super) fn at(list: &[u32], index: u64, header: &Header) -> u32 {
    let index = index.min(header.grains());
    list.get(index as usize).copied().unwrap_or(0)
}

impl<'a> Stream<'a> {
    pub(super) fn new(header: &Header, notebook: &'a Notebook<'a>, wanted: &'a Wanted) -> Self {
        Stream {
            header: header.clone(),
            notebook,
            wanted,
            marked: Vec::new(),
            grains: BTreeMap::new(),
            announced: Announced::new(),
            directories: 0,
            tables: Vec::new(),
            last: None,
            unordered: None,
            ends: None,
            idle: None,
            stretch: None,
            faults: 0,
            lost: false,
            footer: None,
            copy: None,
            end: 0,
            missing: None,
        }
    }

    /// Image offset of the first marker.
    pub(super) fn begin(&self) -> u64 {
        offset_of(self.header.overhead.max(self.header.first_free_sector()))
    }

    /// Whether all markers were followed.
    pub(super) fn is_whole(&self) -> bool {
        !self.lost && self.missing.is_none()
    }

    /// Whether every grain was unpacked as it passed; `None` if they are at hand later.
    pub(super) fn unpacked(&self) -> Option<Result<(), Left>> {
        self.stretch.as_ref().map(Stretch::result)
    }

    /// Follows the markers. `named` has the sectors of the grains, if the tables came first. So many threads unpack what
    /// passes.
    pub(super) fn walk(
        &mut self,
        view: &mut dyn ImageView,
        reach: &mut Reach,
        (named, threads): (&[u32], usize),
    ) -> Result<(), Halt> {
        self.stretch = view.is_passing().then(|| Stretch::new(threads));
        let followed = self.follow(view, reach, named);
        if let Some(stretch) = &mut self.stretch {
            stretch.settle(self.notebook);
        }
        followed?;
        if let Some(((at, sector, before), count)) = self.unordered {
            self.notebook.image(Code::VmdkGrainsUnordered, at, format!(
                "The grain for sector {sector} of the disk, at byte {at}, stands behind the one for sector {before}; {count} in all are out of order."));
        }
        if let Some(((at, named), count)) = self.ends {
            self.notebook.image(Code::VmdkGrainsUnordered, at, format!(
                "The stream has a mark of its end at byte {at}, but the tables name a grain behind it, at byte {named}. Such marks before grains: {count}."));
        }
        if let Some(at) = self.idle {
            self.notebook.image(Code::VmdkSpaceUnused, at, format!(
                "The bytes from byte {at} on stand in or between the markers of the stream and belong to nothing, but are no zeros."));
        }
        Ok(())
    }

    fn follow(
        &mut self,
        view: &mut dyn ImageView,
        reach: &mut Reach,
        named: &[u32],
    ) -> Result<(), Halt> {
        // What the tables name, in the order of the image; made when it is first needed.
        let mut ahead: Option<Vec<u32>> = None;
        let mut after = |at: u64| {
            let ahead = ahead.get_or_insert_with(|| {
                let mut ahead: Vec<u32> =
                    named.iter().copied().filter(|sector| *sector != 0).collect();
                ahead.sort_unstable();
                ahead
            });
            let next = ahead.partition_point(|sector| offset_of((*sector).into()) <= at);
            ahead.get(next).map(|sector| offset_of((*sector).into()))
        };
        // Where the data before the marker ends; up to the next sector there is padding.
        let mut end = self.begin();
        loop {
            let at = end.div_ceil(SECTOR).saturating_mul(SECTOR);
            self.end = at;
            if at >= self.notebook.limit() || self.is_hopeless() {
                self.lost = true;
                return Ok(());
            }
            let padding = at.saturating_sub(end) as usize;
            let mut bytes = vec![0; padding + MARKER];
            let count = match view.read_at(end, &mut bytes)? {
                Got::Bytes(count) => count,
                Got::Missing(missing) => {
                    self.missing = Some(missing);
                    return Ok(());
                }
            };
            let (padding, marker) = bytes.split_at(padding);
            if padding.iter().any(|&byte| byte != 0) {
                self.fault(end, format!(
                    "The grain before byte {end} is followed by bytes other than zeros: its marker gives it too few."));
            }
            // The last grain may be too short for a whole marker structure.
            if count < padding.len() + GRAIN_DATA as usize {
                return Ok(());
            }
            let Some(marker) = Marker::parse(marker) else { return Ok(()) };
            let next = match marker.size.get() {
                0 => self.metadata(view, reach, at, &marker)?,
                _ => self.grain(view, reach, at, &marker)?,
            };
            // QEMU may leave a gap when it opens an image again; the tables say what follows.
            end = match next {
                Next::At(next) => next,
                Next::Lost => match after(at) {
                    Some(named) => named,
                    None => {
                        self.lost = true;
                        return Ok(());
                    }
                },
                Next::End { idle, end } => match after(at) {
                    Some(named) => {
                        let (first, count) = self.ends.unwrap_or(((at, named), 0));
                        self.ends = Some((first, count + 1));
                        self.idle(view, idle, named)?;
                        named
                    }
                    None => {
                        self.idle(view, idle, end)?;
                        self.end = end;
                        return Ok(());
                    }
                },
            };
        }
    }

    fn grain(
        &mut self,
        view: &mut dyn ImageView,
        reach: &mut Reach,
        at: u64,
        marker: &Marker,
    ) -> Result<Next, Halt> {
        let (sector, len) = (marker.value.get(), u64::from(marker.size.get()));
        let most = self.header.largest_packed_grain();
        if len > most {
            self.fault(at.saturating_add(8), format!(
                "The marker at byte {at} announces a grain of {len} packed bytes; {most} are possible."));
            return Ok(Next::Lost);
        }
        let data = at.saturating_add(GRAIN_DATA);
        reach.include("a compressed grain", data, len);
        let end = data.saturating_add(len);
        let Ok(place) = u32::try_from(at / SECTOR) else { return Ok(Next::Lost) };
        if sector >= self.header.capacity || !sector.is_multiple_of(self.header.grain_size.max(1)) {
            self.fault(at, format!(
                "The marker at byte {at} is for sector {sector}, where no grain of the disk begins; the disk has {} sectors.", self.header.capacity));
            return Ok(Next::At(end));
        }
        if self.stretch.is_none() && !marker.begins_zlib() {
            self.notebook.image(
                Code::VmdkGrainDamaged,
                data,
                format!(
                    "The grain for sector {sector} at byte {data} does not begin like packed data."
                ),
            );
        }
        let index = sector / self.header.grain_size.max(1);
        // Fewer than `MOST_MARKED`, which was checked, and the marks are in the image.
        if self.marked.len() as u64 <= index {
            self.marked.resize(index as usize + 1, 0);
        }
        let before = self.marked.get(index as usize).copied().unwrap_or(0);
        if before != 0 {
            self.faults += 1;
            self.notebook.image(Code::VmdkGrainsOverlap, at, format!(
                "The stream has a grain for sector {sector} at byte {at} and another one at byte {}.", offset_of(before.into())));
            return Ok(Next::At(end));
        }
        if let Some(last) = self.last.filter(|last| *last > sector) {
            let count = self.unordered.map_or(0, |(_, count)| count);
            let first = self.unordered.map_or((at, sector, last), |(first, _)| first);
            self.unordered = Some((first, count + 1));
        }
        self.last = Some(sector);
        if let Some(slot) = self.marked.get_mut(index as usize) {
            *slot = place;
        }
        let grain = Grain { sector, at, len };
        if self.wanted.touches(offset_of(sector), self.header.grain_bytes()) {
            self.grains.insert(index, grain);
            let from = data.max(end.min(HEAD));
            view.keep(from, end - from);
        }
        self.unpack(view, &grain)?;
        Ok(Next::At(end))
    }

    /// Unpacks a grain that passes, up to what settles the verdict.
    fn unpack(&mut self, view: &mut dyn ImageView, grain: &Grain) -> Result<(), Halt> {
        let Some(stretch) = &mut self.stretch else { return Ok(()) };
        if self.notebook.doomed() {
            stretch.settle(self.notebook);
            stretch.leave(Left::Stopped);
            return Ok(());
        }
        let least = self.header.bytes_from(grain.sector);
        stretch.read(view, self.notebook, packed(grain, 0, &self.header), least)
    }

    fn metadata(
        &mut self,
        view: &mut dyn ImageView,
        reach: &mut Reach,
        at: u64,
        marker: &Marker,
    ) -> Result<Next, Halt> {
        let sectors = marker.value.get();
        let table = u64::from(self.header.entries_per_table).saturating_mul(ENTRY);
        let (what, len) = match marker.kind() {
            Some(Kind::EndOfStream) if sectors == 0 => {
                return Ok(Next::End { idle: at, end: at.saturating_add(SECTOR) });
            }
            Some(Kind::Table) => ("grain table", table),
            Some(Kind::Directory) => {
                self.directories += 1;
                ("grain directory", self.header.tables().saturating_mul(ENTRY))
            }
            Some(Kind::Footer) => {
                if sectors != 1 {
                    self.fault(at, format!(
                        "The footer marker at byte {at} announces {sectors} sectors; a footer has one. VMware's reader steps over so many, others over one."));
                }
                self.footer = Some(at);
                self.copy = footer::copy_behind(view, at)?;
                self.marker_rest(view, at)?;
                self.marker_rest(view, at.saturating_add(footer::LENGTH - SECTOR))?;
                let end = at.saturating_add(footer::LENGTH);
                return Ok(Next::End { idle: end, end });
            }
            Some(Kind::Progress) => {
                let begin = at.saturating_add(SECTOR);
                if sectors != 0 {
                    self.fault(at, format!(
                        "The progress marker at byte {at} announces {sectors} sectors. VMware's reader takes what lies in them for the next part of the stream, other readers step over them."));
                    reach.include("what a marker announces", begin, offset_of(sectors));
                }
                self.marker_rest(view, at)?;
                return Ok(Next::At(begin.saturating_add(offset_of(sectors))));
            }
            _ => {
                self.fault(at, format!(
                    "The marker at byte {at} announces neither a grain nor a table, directory, footer, progress or the end."));
                return Ok(Next::Lost);
            }
        };
        let least = len.div_ceil(SECTOR);
        let most = self.header.tables().saturating_mul(2) + 2;
        if sectors < least || self.tables.len() as u64 > most || self.directories > 2 {
            self.fault(at, format!(
                "The marker at byte {at} announces a {what} of {sectors} sectors, number {} of its kind; it needs {least}, and there are {} tables.",
                self.tables.len(), self.header.tables()));
            return Ok(Next::Lost);
        }
        let begin = at.saturating_add(SECTOR);
        reach.include("what a marker announces", begin, offset_of(sectors));
        self.tables.push(begin);
        self.marker_rest(view, at)?;
        // At most 16 KiB: no disk has more than `MOST_MARKED` grains here.
        let mut content = vec![0; len as usize];
        if let Got::Bytes(count) = view.read_at(begin, &mut content)?
            && count == content.len()
        {
            self.announced.insert(begin, content);
        }
        let end = begin.saturating_add(offset_of(sectors));
        self.idle(view, begin.saturating_add(len), end)?;
        Ok(Next::At(end))
    }

    /// Looks whether there are only zeros behind the fields of the marker at image offset `at`, up to the end of its sector.
    fn marker_rest(&mut self, view: &mut dyn ImageView, at: u64) -> Result<(), Halt> {
        let mut rest = [0; SECTOR as usize - MARKER];
        let from = at.saturating_add(MARKER as u64);
        match view.read_at(from, &mut rest)? {
            Got::Bytes(count) => {
                let used = rest.iter().take(count).position(|&byte| byte != 0);
                self.idle = self.idle.or(used.map(|used| from.saturating_add(used as u64)));
            }
            Got::Missing(missing) => self.missing = Some(missing),
        }
        Ok(())
    }

    /// Looks whether there are only zeros between two image offsets.
    fn idle(&mut self, view: &mut dyn ImageView, from: u64, to: u64) -> Result<(), Halt> {
        match first_used(view, from, to)? {
            Ok(found) => self.idle = self.idle.or(found),
            Err((_, missing)) => self.missing = Some(missing),
        }
        Ok(())
    }

    /// Whether there were so many faults that no more are looked for.
    pub(super) fn is_hopeless(&self) -> bool {
        self.faults >= MOST_FAULTS
    }

    /// Holds a footer that the header does not announce against the header: some readers look for one in each stream.
    pub(super) fn check_unannounced(&self) {
        // One before grains is said to be a mark of the end that is none.
        let is_last = self.footer.is_some_and(|at| at.saturating_add(footer::LENGTH) == self.end);
        let announced = self.header.has_footer();
        if let Some(copy) = self.copy.as_ref().filter(|_| is_last && !announced) {
            footer::compare_unannounced(&self.header, copy, self.notebook);
        }
    }

    pub(super) fn fault(&mut self, at: u64, said: String) {
        self.faults = self.faults.saturating_add(1);
        self.notebook.image(Code::VmdkMarkersMismatch, at, said);
    }
}

/// What follows a marker.
enum Next {
    /// Something, and what is announced ends at this image offset.
    At(u64),
    /// What marks the end of the stream, which is at `end`; from `idle` on there are only zeros.
    End { idle: u64, end: u64 },
    /// Something that cannot be skipped, because its length is not known.
    Lost,
}
