//! The markers of a stream with compressed grains, from the first to the last.

use std::collections::BTreeMap;

use super::header::Header;
use super::maps::Announced;
pub(super) use super::markers::GRAIN_DATA;
use super::markers::{Grain, Kind, Marker};
use super::tables::ENTRY;
use super::{SECTOR, offset_of};
use crate::facts::{Code, Notebook};
use crate::formats::{Got, Halt, ImageView, Missing, Reach, Wanted};

/// Most grains whose places are held, with four bytes each: 16 MiB.
pub(super) const MOST_MARKED: u64 = 4 << 20;

/// Most bytes of tables that are held until the directory says which is which. A disk of 99 GB with the
/// usual grains of 64 KiB has 6 MB of them.
const MOST_ANNOUNCED: usize = 8 << 20;

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
    /// The tables and directories that came by.
    pub(super) announced: Announced,
    /// Places of tables and directories that markers announced, whether held or not.
    pub(super) tables: Vec<u64>,
    held: usize,
    last: Option<u64>,
    faults: u32,
    /// The markers cannot be followed further.
    lost: bool,
    /// Image offset of the footer marker.
    pub(super) footer: Option<u64>,
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
            tables: Vec::new(),
            held: 0,
            last: None,
            faults: 0,
            lost: false,
            footer: None,
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

    /// Follows the markers. `named` has the sectors of the grains, if the tables came first.
    pub(super) fn walk(
        &mut self,
        view: &mut dyn ImageView,
        reach: &mut Reach,
        named: &[u32],
    ) -> Result<(), Halt> {
        let mut ahead: Vec<u32> = named.iter().copied().filter(|sector| *sector != 0).collect();
        ahead.sort_unstable();
        // Where the data before the marker ends; up to the next sector there is padding.
        let mut end = self.begin();
        while end < self.notebook.limit() && self.faults < MOST_FAULTS {
            let at = end.div_ceil(SECTOR).saturating_mul(SECTOR);
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
                _ => self.grain(view, reach, at, &marker),
            };
            end = match next {
                Next::At(next) => next,
                // QEMU may leave a gap when it opens an image again; the tables say what follows.
                Next::Gap | Next::Lost if !ahead.is_empty() => {
                    let after = ahead.partition_point(|s| offset_of((*s).into()) <= at);
                    match ahead.get(after) {
                        Some(sector) => offset_of((*sector).into()),
                        None => {
                            self.lost |= matches!(next, Next::Lost);
                            return Ok(());
                        }
                    }
                }
                Next::Gap => return Ok(()),
                Next::Lost => {
                    self.lost = true;
                    return Ok(());
                }
            };
        }
        self.lost |= self.faults >= MOST_FAULTS;
        Ok(())
    }

    fn grain(
        &mut self,
        view: &mut dyn ImageView,
        reach: &mut Reach,
        at: u64,
        marker: &Marker,
    ) -> Next {
        let (sector, len) = (marker.value.get(), u64::from(marker.size.get()));
        let most = self.header.largest_packed_grain();
        if len > most {
            self.fault(at.saturating_add(8), format!(
                "The marker at byte {at} announces a grain of {len} packed bytes; {most} are possible."));
            return Next::Lost;
        }
        let data = at.saturating_add(GRAIN_DATA);
        reach.include("a compressed grain", data, len);
        let end = data.saturating_add(len);
        let Ok(place) = u32::try_from(at / SECTOR) else { return Next::Lost };
        if sector >= self.header.capacity || !sector.is_multiple_of(self.header.grain_size.max(1)) {
            self.fault(at, format!(
                "The marker at byte {at} is for sector {sector}, where no grain of the disk begins; the disk has {} sectors.", self.header.capacity));
            return Next::At(end);
        }
        if !marker.begins_zlib() {
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
            return Next::At(end);
        }
        if let Some(last) = self.last.filter(|last| *last > sector) {
            self.fault(at, format!(
                "The marker at byte {at} is for sector {sector}, but the one before it was for sector {last}; streams ascend."));
        }
        self.last = Some(sector);
        if let Some(slot) = self.marked.get_mut(index as usize) {
            *slot = place;
        }
        if self.wanted.touches(offset_of(sector), self.header.grain_bytes()) {
            self.grains.insert(index, Grain { sector, at, len });
            let from = data.max(end.min(HEAD));
            view.keep(from, end - from);
        }
        Next::At(end)
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
            Some(Kind::EndOfStream) if sectors == 0 => return Ok(Next::Gap),
            Some(Kind::Table) => ("grain table", table),
            Some(Kind::Directory) => {
                ("grain directory", self.header.tables().saturating_mul(ENTRY))
            }
            Some(Kind::Footer) => {
                self.footer = Some(at);
                return Ok(Next::Gap);
            }
            _ => {
                self.fault(at, format!(
                    "The marker at byte {at} announces neither a grain nor a table, directory, footer or the end."));
                return Ok(Next::Lost);
            }
        };
        let least = len.div_ceil(SECTOR);
        if sectors < least || self.tables.len() as u64 > self.header.tables().saturating_mul(2) + 2
        {
            self.fault(at, format!(
                "The marker at byte {at} announces a {what} of {sectors} sectors, number {} of its kind; it needs {least}, and there are {} tables.",
                self.tables.len(), self.header.tables()));
            return Ok(Next::Lost);
        }
        let begin = at.saturating_add(SECTOR);
        reach.include("what a marker announces", begin, offset_of(sectors));
        self.tables.push(begin);
        // At most 2 MiB, for the number of tables was checked.
        let bytes = len as usize;
        if self.held.saturating_add(bytes) <= MOST_ANNOUNCED {
            let mut content = vec![0; bytes];
            if let Got::Bytes(count) = view.read_at(begin, &mut content)?
                && count == bytes
            {
                self.held += bytes;
                self.announced.insert(begin, content);
            }
        }
        Ok(Next::At(begin.saturating_add(offset_of(sectors))))
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
    /// The end, or nothing for a while.
    Gap,
    /// Something that cannot be skipped, because its length is not known.
    Lost,
}
