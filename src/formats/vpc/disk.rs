use std::ops::Range;

use crate::facts::{Code, Notebook};
use crate::formats::zeros::first_used;
use crate::formats::{Halt, ImageView, Layout, Missing, Place, Reach, Run, Walked, Wanted};

pub(super) const SECTOR: u64 = 512;

/// The entry of a block that is not stored.
pub(super) const FREE: u32 = u32::MAX;

/// A fixed image: the disk is its beginning.
pub(super) struct Fixed {
    pub(super) size: u64,
}

impl Layout for Fixed {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn locate(
        &mut self,
        view: &mut dyn ImageView,
        _: &Notebook<'_>,
        guest: u64,
    ) -> Result<Run, Halt> {
        let (len, hole) = view.hole(guest);
        let place = if hole { Place::Zeros } else { Place::Stored(guest) };
        Ok(Run { len: len.max(1), place })
    }

    fn walk(
        &mut self,
        _: &mut dyn ImageView,
        _: &Notebook<'_>,
        _: &Wanted,
        _: &mut Reach,
    ) -> Result<Walked, Halt> {
        Ok(Walked::Whole)
    }
}

/// The way from a byte of the disk to its block: an entry of the table, and a bit for each sector of the block.
pub(super) struct Blocks {
    size: u64,
    block_size: u64,
    /// Where blocks begin, in sectors.
    table: Vec<u32>,
    /// The bits of the block that was read last, with its entry.
    bits: (u32, Vec<u8>),
}

impl Blocks {
    pub(super) fn new(size: u64, block_size: u64, table: Vec<u32>) -> Self {
        Blocks { size, block_size, table, bits: (FREE, Vec::new()) }
    }

    /// Bytes before the data of a block: a bit for each of its sectors, in whole sectors.
    fn bitmap(&self) -> u64 {
        (self.block_size / SECTOR / 8).next_multiple_of(SECTOR)
    }

    /// What contradicts itself: blocks that lie on each other, or on what is `taken`; the last of these ends the image.
    pub(super) fn contradiction(&self, taken: &[Range<u64>]) -> Option<String> {
        let end = taken.iter().map(|range| range.end).max().unwrap_or_default();
        let whole = self.bitmap() + self.block_size;
        let mut starts: Vec<u32> = self.table.iter().copied().filter(|&at| at != FREE).collect();
        starts.sort_unstable();
        let mut before = 0;
        for start in starts {
            let block = u64::from(start) * SECTOR..u64::from(start) * SECTOR + whole;
            let is_on = |range: &Range<u64>| range.start < block.end && block.start < range.end;
            if block.end > end {
                return Some(format!(
                    "The block at byte {} goes on past the image's end.",
                    block.start
                ));
            }
            if block.start < before || taken.iter().any(is_on) {
                return Some(format!(
                    "The block at byte {} lies on another one, or on a header or table.",
                    block.start
                ));
            }
            before = block.end;
        }
        None
    }

    /// What the image has between blocks and what is `taken` and belongs to nothing: each of these has room for a block.
    pub(super) fn gaps(&self, taken: &[Range<u64>]) -> Vec<Range<u64>> {
        let whole = self.bitmap() + self.block_size;
        let stored = self.table.iter().filter(|at| **at != FREE);
        let blocks = stored.map(|&at| u64::from(at) * SECTOR..u64::from(at) * SECTOR + whole);
        let mut used: Vec<Range<u64>> = blocks.chain(taken.iter().cloned()).collect();
        used.sort_unstable_by_key(|range| range.start);
        let mut end = 0;
        let mut gaps = Vec::new();
        for range in used {
            if range.start.saturating_sub(end) >= whole {
                gaps.push(end..range.start);
            }
            end = end.max(range.end);
        }
        gaps
    }

    /// Makes sure that the bits of the block with this entry are at hand.
    fn load(
        &mut self,
        entry: u32,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
    ) -> Result<bool, Halt> {
        if self.bits.0 == entry {
            return Ok(true);
        }
        self.bits.0 = FREE;
        // Of the largest block it has 64 KiB.
        self.bits.1.resize((self.block_size / SECTOR / 8) as usize, 0);
        let at = u64::from(entry) * SECTOR;
        if !view.need(at, &mut self.bits.1, notebook, "the bitmap of a block")? {
            return Ok(false);
        }
        self.bits.0 = entry;
        Ok(true)
    }

    /// The sector before which all from `first` on are used, or are not.
    fn same_until(&self, first: u64, used: bool) -> u64 {
        let (sectors, eight) = (self.block_size / SECTOR, if used { 0xff } else { 0 });
        let mut sector = first + 1;
        while sector < sectors {
            if sector.is_multiple_of(8) && self.bits.1.get((sector / 8) as usize) == Some(&eight) {
                sector += 8;
            } else if self.is_used(sector) == used {
                sector += 1;
            } else {
                break;
            }
        }
        sector.min(sectors)
    }

    fn is_used(&self, sector: u64) -> bool {
        let byte = self.bits.1.get((sector / 8) as usize).copied().unwrap_or_default();
        byte & (0x80 >> (sector % 8)) != 0
    }
}

impl Layout for Blocks {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn locate(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        guest: u64,
    ) -> Result<Run, Halt> {
        let (block, in_block) = (guest / self.block_size, guest % self.block_size);
        let entry = usize::try_from(block).ok().and_then(|block| self.table.get(block)).copied();
        let entry = entry.unwrap_or(FREE);
        let left = self.block_size - in_block;
        if entry == FREE {
            return Ok(Run { len: left, place: Place::Unallocated });
        }
        let broken = Run { len: left, place: Place::Missing(Missing::Broken) };
        if !self.load(entry, view, notebook)? {
            return Ok(broken);
        }
        let first = in_block / SECTOR;
        let used = self.is_used(first);
        let len = self.same_until(first, used) * SECTOR - in_block;
        let data_at = u64::from(entry) * SECTOR + self.bitmap();
        if used {
            return Ok(Run { len, place: Place::Stored(data_at + in_block) });
        }
        // Some readers go by the bits, and others by the bytes.
        let from = first * SECTOR;
        let at = data_at + from;
        if first_used(view, at, data_at + in_block + len)? != Ok(None) {
            let said =
                format!("The sectors from byte {at} on are said to be unused, and are no zeros.");
            notebook.image(Code::VpcTableInvalid, at, said);
            return Ok(broken);
        }
        Ok(Run { len, place: Place::Unallocated })
    }

    fn walk(
        &mut self,
        _: &mut dyn ImageView,
        _: &Notebook<'_>,
        _: &Wanted,
        _: &mut Reach,
    ) -> Result<Walked, Halt> {
        // The examination has read and checked all of the table.
        Ok(Walked::Whole)
    }
}
