//! Where the bytes of a disk are in its image.

use serde::Serialize;

use super::{Event, Listener};
use crate::formats::{Disk, Halt, Place};

/// Cells of the picture of a disk.
pub const CELLS: usize = 1024;

/// What a part of the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum What {
    /// Stored as it is.
    Data,
    /// Said to be zeros, by a flag, a state or a hole.
    Zero,
    /// Never written: it reads as zeros, and nothing says so.
    Unallocated,
    /// In packed clusters or grains.
    Compressed,
    /// The tables that lead to it are broken.
    Unreadable,
}

/// A part of the disk that is of one kind and in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Extent {
    /// Disk offset of its first byte.
    pub start: u64,
    /// Bytes of the disk.
    pub length: u64,
    /// What it is.
    pub what: What,
    /// Image offset of its first byte; of compressed data that of its first cluster.
    pub offset: Option<u64>,
}

/// Bytes of the disk, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Stored as they are.
    pub data: u64,
    /// Said to be zeros.
    pub zero: u64,
    /// Never written.
    pub unallocated: u64,
    /// Compressed.
    pub compressed: u64,
    /// Unknown.
    pub unreadable: u64,
}

impl Totals {
    fn add(&mut self, what: What, length: u64) {
        let total = match what {
            What::Data => &mut self.data,
            What::Zero => &mut self.zero,
            What::Unallocated => &mut self.unallocated,
            What::Compressed => &mut self.compressed,
            What::Unreadable => &mut self.unreadable,
        };
        *total = total.saturating_add(length);
    }
}

/// The picture of a disk: equal parts of it, with what is in each.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Map {
    /// Bytes of the disk that a cell stands for; of the last one fewer.
    pub cell: u64,
    /// Bytes by kind in each cell.
    pub cells: Vec<Totals>,
    /// Bytes by kind in all.
    pub totals: Totals,
    /// How many extents there are.
    pub extents: u64,
}

impl Map {
    fn new(size: u64) -> Self {
        let sectors = size.div_ceil(512).max(1);
        let cell = sectors.div_ceil(CELLS as u64) * 512;
        let cells = vec![Totals::default(); (size.div_ceil(cell) as usize).min(CELLS)];
        Map { cell, cells, totals: Totals::default(), extents: 0 }
    }

    fn draw(&mut self, extent: &Extent) {
        self.totals.add(extent.what, extent.length);
        let mut at = extent.start;
        let end = extent.start.saturating_add(extent.length);
        while at < end {
            let index = at / self.cell;
            let until = (index + 1).saturating_mul(self.cell).min(end);
            if let Some(cell) = self.cells.get_mut(index as usize) {
                cell.add(extent.what, until - at);
            }
            at = until;
        }
    }
}

/// Runs after which the listener is told how far the walk is: a run takes less time than telling.
const TELL_EVERY: u32 = 1024;

/// Walks over the disk and gives each extent to `visit`, neighbours of one kind that are also
/// neighbours in the image as one.
///
/// # Errors
/// If the image cannot be read.
pub fn extents(
    disk: &mut dyn Disk,
    listener: &dyn Listener,
    mut visit: impl FnMut(&Extent),
) -> Result<Map, Halt> {
    let size = disk.size()?.unwrap_or_default();
    let mut map = Map::new(size);
    let mut last: Option<Extent> = None;
    let mut at = 0;
    let mut untold = 0;
    while at < size {
        untold += 1;
        if untold == TELL_EVERY {
            untold = 0;
            listener.event(Event::Disk { bytes: at, size });
        }
        let run = disk.run(at)?;
        let (what, offset) = match run.place {
            Place::Zeros => (What::Zero, None),
            Place::Unallocated => (What::Unallocated, None),
            Place::Stored(offset) => (What::Data, Some(offset)),
            Place::Packed(packed) => (What::Compressed, Some(packed.at)),
            Place::Missing(_) => (What::Unreadable, None),
        };
        match &mut last {
            Some(extent) if continues(extent, what, offset) => extent.length += run.len,
            _ => {
                let next = Extent { start: at, length: run.len, what, offset };
                if let Some(extent) = last.replace(next) {
                    map.draw(&extent);
                    map.extents += 1;
                    visit(&extent);
                }
            }
        }
        at += run.len;
    }
    if let Some(extent) = last {
        map.draw(&extent);
        map.extents += 1;
        visit(&extent);
    }
    Ok(map)
}

fn continues(extent: &Extent, what: What, offset: Option<u64>) -> bool {
    extent.what == what
        && (what != What::Data || extent.offset.map(|at| at + extent.length) == offset)
}

#[cfg(test)]
mod tests {
    use super::super::Deaf;
    use super::*;
    use crate::formats::{Got, Run};

    /// A disk of runs.
    struct Runs(Vec<Run>);

    impl Disk for Runs {
        fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<Got, Halt> {
            Ok(Got::Bytes(0))
        }
        fn run(&mut self, at: u64) -> Result<Run, Halt> {
            let mut start = 0;
            let run = self.0.iter().find(|run| {
                start += run.len;
                start > at
            });
            Ok(run.unwrap().clone())
        }
        fn size(&mut self) -> Result<Option<u64>, Halt> {
            Ok(Some(self.0.iter().map(|run| run.len).sum()))
        }
    }

    #[test]
    fn neighbours_are_merged_and_cells_add_up() {
        let runs = [
            (1 << 20, Place::Stored(4096)),
            (1 << 20, Place::Stored(4096 + (1 << 20))),
            (1 << 20, Place::Stored(9 << 20)),
            (512, Place::Zeros),
            ((1 << 19) - 512, Place::Zeros),
            (1 << 19, Place::Unallocated),
        ];
        let runs = runs.into_iter().map(|(len, place)| Run { len, place }).collect();
        let mut seen = Vec::new();
        let map = extents(&mut Runs(runs), &Deaf, |extent| seen.push(*extent)).unwrap();
        let extent = |start, length, what, offset| Extent { start, length, what, offset };
        assert_eq!(
            seen,
            [
                extent(0, 2 << 20, What::Data, Some(4096)),
                extent(2 << 20, 1 << 20, What::Data, Some(9 << 20)),
                extent(3 << 20, 1 << 19, What::Zero, None),
                extent(7 << 19, 1 << 19, What::Unallocated, None),
            ]
        );
        assert_eq!((map.extents, map.cell, map.cells.len()), (4, 4096, CELLS));
        let totals = map.totals;
        assert_eq!((totals.data, totals.zero, totals.unallocated), (3 << 20, 1 << 19, 1 << 19));
        assert_eq!(map.cells.iter().map(|cell| cell.data).sum::<u64>(), 3 << 20);
        assert_eq!(map.cells[CELLS - 1].unallocated, 4096);
    }
}
