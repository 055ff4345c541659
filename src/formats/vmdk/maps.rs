use std::collections::BTreeMap;
use std::hash::RandomState;

use super::header::Header;
use super::tables::{ENTRY, digest};
use super::{SECTOR, offset_of};
use crate::facts::{Code, Notebook};
use crate::formats::scan::{Piece, Scan};
use crate::formats::view::not_examined;
use crate::formats::{Halt, ImageView, Missing, Reach};

/// Most grain tables whose places are held, with a digest each. A disk of 99 GB with the smallest grains
/// has 24,000, one of 2 TB with the usual ones as many as this. With what waits to be read, both copies
/// take 12 MiB at most.
pub(super) const MOST_HELD: u64 = 64 << 10;

/// The two copies of the grain directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    Redundant = 0,
    Main = 1,
}

#[derive(Clone, core::marker::Copy)]
enum Tag {
    /// A directory from this table on.
    Directory(Copy, u64),
    Table(Copy, u64),
}

/// Tables and directories that a stream announced by markers, by image offset.
pub(super) type Announced = BTreeMap<u64, Vec<u8>>;

/// A grain table of the main directory as it is read.
pub(super) struct Table<'t> {
    /// Number of the first grain that it maps.
    pub(super) first: u64,
    /// Image offset of its first entry.
    pub(super) at: u64,
    pub(super) entries: &'t [u32],
}

/// What is done with each table of the main directory.
pub(super) type Each<'e> = dyn FnMut(&mut dyn ImageView, &mut Reach, Table<'_>) + 'e;

/// Reads both directories and all their tables in ascending order.
pub(super) struct Maps<'a> {
    header: &'a Header,
    notebook: &'a Notebook<'a>,
    /// Whether there is a second copy in a place where one can be.
    redundant: bool,
    scan: Scan<Tag>,
    /// What is not wanted before a later run.
    later: Vec<(u64, usize, Tag)>,
    /// Sectors of the grain tables, by copy and number.
    pub(super) places: [Vec<u32>; 2],
    /// What the tables say, as a digest; `None` if it is not known.
    digests: [Vec<Option<u64>>; 2],
    /// What they are keyed with, so that no image can be made in which two tables have the same.
    key: RandomState,
    /// Why something could not be read.
    pub(super) missing: Option<Missing>,
}

impl<'a> Maps<'a> {
    /// `header` says where the directories are, and `tables()` of it are at most [`MOST_HELD`].
    pub(super) fn new(header: &'a Header, notebook: &'a Notebook<'a>) -> Self {
        let redundant = header.has_redundant_directory()
            && header.redundant_directory >= header.first_free_sector();
        let mut maps = Maps {
            header,
            notebook,
            redundant,
            scan: Scan::new(),
            later: Vec::new(),
            places: [Vec::new(), Vec::new()],
            digests: [Vec::new(), Vec::new()],
            key: RandomState::new(),
            missing: None,
        };
        let bytes = header.tables().min(MOST_HELD).saturating_mul(ENTRY);
        let mut want = |copy, sector| {
            let mut done = 0;
            while done < bytes {
                let len = (bytes - done).min(crate::formats::scan::LARGEST_PIECE as u64);
                let at = offset_of(sector).saturating_add(done);
                maps.later.push((at, len as usize, Tag::Directory(copy, done / ENTRY)));
                done += len;
            }
        };
        if redundant {
            want(Copy::Redundant, header.redundant_directory);
        }
        want(Copy::Main, header.directory);
        maps
    }

    /// Reads what lies before image offset `end`; what was `announced` is not read again.
    pub(super) fn run(
        &mut self,
        view: &mut dyn ImageView,
        reach: &mut Reach,
        end: u64,
        announced: &Announced,
        each: &mut Each<'_>,
    ) -> Result<(), Halt> {
        for (at, len, tag) in std::mem::take(&mut self.later) {
            self.want(view, reach, end, announced, each, (at, len, tag));
        }
        while let Some(piece) = self.scan.next(view)? {
            self.take(view, reach, end, announced, each, piece);
        }
        Ok(())
    }

    fn want(
        &mut self,
        view: &mut dyn ImageView,
        reach: &mut Reach,
        end: u64,
        announced: &Announced,
        each: &mut Each<'_>,
        (at, len, tag): (u64, usize, Tag),
    ) {
        if let Some(bytes) = announced.get(&at).filter(|bytes| bytes.len() >= len) {
            let bytes = bytes.get(..len).unwrap_or_default().to_vec();
            let piece = Piece { tag, at, bytes, missing: None, cut: false };
            self.take(view, reach, end, announced, each, piece);
        } else if at >= end {
            self.later.push((at, len, tag));
        } else if at < self.notebook.limit() {
            self.scan.want(at, len, tag);
        }
        // What lies over the limit is past the end; the reach says so.
    }

    fn take(
        &mut self,
        view: &mut dyn ImageView,
        reach: &mut Reach,
        end: u64,
        announced: &Announced,
        each: &mut Each<'_>,
        piece: Piece<Tag>,
    ) {
        if let Some(missing) = piece.missing {
            if self.missing.is_none() {
                not_examined(self.notebook, piece.at, "a grain directory or table", missing);
            }
            self.missing = Some(missing);
            return;
        }
        let (entries, _) = piece.bytes.as_chunks::<{ ENTRY as usize }>();
        let mut entries: Vec<u32> =
            entries.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        match piece.tag {
            Tag::Directory(copy, first) => {
                self.take_directory(copy, first, piece.at, &mut entries, reach);
                for (number, &sector) in (first..).zip(&entries) {
                    if sector != 0 {
                        let len = self.table_bytes() as usize;
                        let wanted = (offset_of(sector.into()), len, Tag::Table(copy, number));
                        self.want(view, reach, end, announced, each, wanted);
                    }
                }
            }
            Tag::Table(copy, number) => {
                let whole = entries.len() as u64 >= u64::from(self.header.entries_per_table);
                let first = number.saturating_mul(self.header.entries_per_table.into());
                let grains = self.header.grains().saturating_sub(first);
                entries.truncate(usize::try_from(grains).unwrap_or(usize::MAX));
                if whole && let Some(slot) = self.digests[copy as usize].get_mut(number as usize) {
                    *slot = Some(digest(&entries, self.header, &self.key));
                }
                if copy == Copy::Main {
                    each(view, reach, Table { first, at: piece.at, entries: &entries });
                }
            }
        }
    }

    /// Notes where the tables are; entries that cannot be used become 0.
    fn take_directory(
        &mut self,
        copy: Copy,
        first: u64,
        at: u64,
        entries: &mut [u32],
        reach: &mut Reach,
    ) {
        let len = self.table_bytes();
        let free = self.header.first_free_sector();
        let mut digests = vec![Some(0); entries.len()];
        for (index, sector) in entries.iter_mut().enumerate().filter(|(_, sector)| **sector != 0) {
            digests[index] = None;
            let from = u64::from(*sector);
            if from >= free {
                reach.include("a grain table", offset_of(from), len);
                continue;
            }
            let entry = at.saturating_add(index as u64 * ENTRY);
            let number = first.saturating_add(index as u64);
            self.notebook.image(
                Code::VmdkTableEntryInvalid,
                entry,
                format!(
                    "The grain directory places grain table {number} at sector {from}, in the header or descriptor."
                ),
            );
            *sector = 0;
        }
        // The piece before may be missing.
        let (places, known) = (&mut self.places[copy as usize], &mut self.digests[copy as usize]);
        places.resize(first as usize, 0);
        known.resize(first as usize, None);
        places.extend_from_slice(entries);
        known.append(&mut digests);
    }

    /// Image offset of the main entry of a grain.
    pub(super) fn entry_at(&self, grain: u64) -> u64 {
        let per_table = u64::from(self.header.entries_per_table).max(1);
        let place = self.places[Copy::Main as usize].get((grain / per_table) as usize);
        offset_of(place.copied().unwrap_or(0).into()).saturating_add(grain % per_table * ENTRY)
    }

    /// The table of this grain, if it is known that there is none: whether that is right.
    pub(super) fn unmapped(&self, grain: u64) -> Option<bool> {
        let number = (grain / u64::from(self.header.entries_per_table).max(1)) as usize;
        let main = Copy::Main as usize;
        let place = *self.places[main].get(number)?;
        (place == 0).then(|| self.digests[main].get(number) == Some(&Some(0)))
    }

    /// Holds the copies against each other: some readers take one, others the other.
    pub(super) fn compare_copies(&self) {
        if !self.redundant {
            return;
        }
        let [redundant, main] = &self.digests;
        for (number, pair) in redundant.iter().zip(main).enumerate() {
            let (Some(redundant), Some(main)) = pair else { continue };
            if redundant != main {
                let [redundant, main] =
                    [0, 1].map(|copy| self.places[copy].get(number).copied().unwrap_or(0));
                let at = offset_of(u64::from(if redundant == 0 { main } else { redundant }));
                self.notebook.image(Code::VmdkTableCopiesDiffer, at, format!(
                    "The two copies of grain table {number}, at sectors {redundant} and {main}, map the disk differently."));
            }
        }
    }

    /// The same as [`Maps::spans`]; those that overlap are written down.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        let ranges = self.spans();
        for pair in ranges.windows(2) {
            if let [(first, end), (second, _)] = *pair
                && second < end
            {
                self.notebook.image(Code::VmdkGrainsOverlap, offset_of(second), format!(
                    "The grain directory or table at sector {second} overlaps the one at sector {first}, which reaches to sector {}.", end - 1));
            }
        }
        ranges
    }

    /// Ranges of sectors that directories and tables take, in ascending order.
    pub(super) fn spans(&self) -> Vec<(u64, u64)> {
        let sectors = self.table_bytes().div_ceil(SECTOR);
        let directory = self.header.tables().saturating_mul(ENTRY).div_ceil(SECTOR);
        let [redundant, main] = &self.places;
        // Both directories may lead to the same table: then there is nothing to contradict it.
        let shared = |number: usize, sector: u32| main.get(number) == Some(&sector);
        let second = redundant.iter().enumerate().filter(|(number, s)| !shared(*number, **s));
        let mut ranges: Vec<(u64, u64)> = main
            .iter()
            .chain(second.map(|(_, sector)| sector))
            .filter(|sector| **sector != 0)
            .map(|&sector| (u64::from(sector), u64::from(sector) + sectors))
            .collect();
        let mut add = |sector: u64| ranges.push((sector, sector.saturating_add(directory)));
        add(self.header.directory);
        if self.redundant {
            add(self.header.redundant_directory);
        }
        ranges.sort_unstable();
        ranges
    }

    fn table_bytes(&self) -> u64 {
        u64::from(self.header.entries_per_table).saturating_mul(ENTRY)
    }
}
