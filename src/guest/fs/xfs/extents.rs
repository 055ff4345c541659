//! Where the blocks of an inode are: a list in its fork, or a tree whose root the fork is.

use super::inode::{Core, Form};
use super::superblock::Superblock;
use super::{Area, Trouble, Why, u16_at, u32_at, u64_at};

/// Extents of an inode that are kept: 2 MiB of them.
const MOST: usize = 1 << 16;

/// Blocks of a tree that are read.
const MOST_BLOCKS: usize = 1 << 12;

/// Bytes of a record.
const RECORD: usize = 16;

/// Bytes of the header of a block of a target, of version 5 (`xfs_dsymlink_hdr`).
const TARGET_HEADER: usize = 56;

/// So many blocks of the file from its block `from` on.
#[derive(Clone, Copy, Debug)]
struct Extent {
    from: u64,
    count: u64,
    /// Number of the first block on the volume.
    block: u64,
    /// Allocated, but never written.
    unwritten: bool,
}

impl Extent {
    /// A record has 1 bit for what was never written, 54 for the place in the file, 52 for the block and 21 for the count.
    fn parse(record: &[u8]) -> Extent {
        let (first, second) = (u64_at(record, 0), u64_at(record, 8));
        Extent {
            from: first >> 9 & ((1 << 54) - 1),
            count: second & ((1 << 21) - 1),
            block: (first & 0x1ff) << 43 | second >> 21,
            unwritten: first >> 63 != 0,
        }
    }

    fn end(&self) -> u64 {
        self.from + self.count
    }
}

/// All extents of an inode, ascending.
#[derive(Debug, Default)]
pub(super) struct Extents(Vec<Extent>);

impl Extents {
    pub(super) fn read(
        area: &Area<'_>,
        superblock: &Superblock,
        core: &Core,
    ) -> Result<Extents, Trouble> {
        let fork = core.fork();
        let mut extents = Extents::default();
        match core.form {
            Form::Device | Form::Local => {
                return Err(Why::damaged("an inode has no blocks where it should"));
            }
            Form::Listed => {
                let count = usize::try_from(core.extents).unwrap_or(usize::MAX);
                let bytes = count.checked_mul(RECORD).and_then(|len| fork.get(..len));
                let bytes = bytes.ok_or_else(|| {
                    Why::damaged("an inode has more extents than there is room for")
                })?;
                extents.add(area, bytes)?;
            }
            Form::Tree => {
                let (level, count) = (u16_at(fork, 0), usize::from(u16_at(fork, 2)));
                // Keys come first, and take as much room as there could be.
                let room = fork.len().saturating_sub(4) / RECORD;
                let pointers = fork.get(4 + 8 * room..).unwrap_or_default();
                extents.walk(area, superblock, level, pointers, count, &mut 0)?;
            }
        }
        Ok(extents)
    }

    /// Follows the pointers of a block of a tree at this level. Levels go down, so it ends.
    fn walk(
        &mut self,
        area: &Area<'_>,
        superblock: &Superblock,
        level: u16,
        pointers: &[u8],
        count: usize,
        blocks: &mut usize,
    ) -> Result<(), Trouble> {
        let damaged = || Why::damaged("a tree of extents is damaged");
        // No volume needs so many (XFS_BTREE_MAXLEVELS).
        if !(1..=9).contains(&level) || pointers.len() / 8 < count {
            return Err(damaged());
        }
        for pointer in pointers.chunks_exact(8).take(count) {
            *blocks += 1;
            if *blocks > MOST_BLOCKS {
                return Err(Why::Limit("a tree of extents has more blocks than are read").into());
            }
            area.spend(16)?;
            let at = superblock.block_at(u64_at(pointer, 0)).ok_or_else(damaged)?;
            let mut block = vec![0; superblock.block as usize];
            area.read(at, &mut block)?;
            let header = match (&block[..4], superblock.has_sums) {
                (b"BMA3", true) => 72,
                (b"BMAP", false) => 24,
                _ => return Err(damaged()),
            };
            let (below, count) = (u16_at(&block, 4), usize::from(u16_at(&block, 6)));
            if below + 1 != level {
                return Err(damaged());
            }
            let body = &block[header..];
            if below == 0 {
                let records = body.get(..count * RECORD).ok_or_else(damaged)?;
                self.add(area, records)?;
            } else {
                let pointers = &body[8 * (body.len() / RECORD)..];
                self.walk(area, superblock, below, pointers, count, blocks)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, area: &Area<'_>, records: &[u8]) -> Result<(), Trouble> {
        area.spend((records.len() / RECORD) as u64)?;
        for record in records.chunks_exact(RECORD) {
            let extent = Extent::parse(record);
            if self.0.last().is_some_and(|last| last.end() > extent.from) {
                return Err(Why::damaged("the extents of an inode are out of order"));
            }
            if self.0.len() == MOST {
                return Err(Why::Limit("an inode has more extents than tidegate reads").into());
            }
            self.0.push(extent);
        }
        Ok(())
    }

    /// Fills the buffer from an offset of the file. What is in no extent, or was never written, is zeros.
    pub(super) fn fill(
        &self,
        area: &Area<'_>,
        superblock: &Superblock,
        at: u64,
        buf: &mut [u8],
    ) -> Result<(), Trouble> {
        buf.fill(0);
        let size = u64::from(superblock.block);
        let end = at.saturating_add(buf.len() as u64);
        let first = self.0.partition_point(|extent| extent.end().saturating_mul(size) <= at);
        for extent in &self.0[first..] {
            let from = extent.from.saturating_mul(size);
            if from >= end {
                break;
            }
            if extent.unwritten {
                continue;
            }
            let (low, high) = (from.max(at), extent.end().saturating_mul(size).min(end));
            let begin = superblock.block_at(extent.block);
            let begin = begin.and_then(|begin| begin.checked_add(low - from));
            let begin =
                begin.ok_or_else(|| Why::damaged("an extent lies outside of the volume"))?;
            area.read(begin, &mut buf[(low - at) as usize..(high - at) as usize])?;
        }
        Ok(())
    }

    /// The blocks of the file, of so many blocks each, that have any extent, below block `end`.
    pub(super) fn pieces(&self, step: u64, end: u64) -> impl Iterator<Item = u64> {
        let mut next = 0;
        let ranges = self.0.iter().take_while(move |extent| extent.from < end).map(move |extent| {
            let first = (extent.from / step).max(next);
            next = extent.end().min(end).div_ceil(step).max(first);
            first..next
        });
        ranges.flatten()
    }

    /// The target of a link: in version 5 each block has a header.
    pub(super) fn target(
        &self,
        area: &Area<'_>,
        superblock: &Superblock,
        size: usize,
    ) -> Result<Vec<u8>, Trouble> {
        let mut target = Vec::new();
        let mut at = 0;
        while target.len() < size {
            let mut block = vec![0; superblock.block as usize];
            self.fill(area, superblock, at, &mut block)?;
            let body = match superblock.has_sums {
                true if u32_at(&block, 0) == u32::from_be_bytes(*b"XSLM") => {
                    &block[TARGET_HEADER..]
                }
                true => return Err(Why::damaged("the target of a link is damaged")),
                false => &block,
            };
            target.extend_from_slice(&body[..body.len().min(size - target.len())]);
            at += u64::from(superblock.block);
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents(list: &[(u64, u64)]) -> Extents {
        let extent = |&(from, count)| Extent { from, count, block: 0, unwritten: false };
        Extents(list.iter().map(extent).collect())
    }

    #[test]
    fn a_record_has_four_fields() {
        let record = (1u128 << 127 | 5 << 73 | 0x1234_5678_9abc << 21 | 7).to_be_bytes();
        let extent = Extent::parse(&record);
        assert!(extent.unwritten);
        assert_eq!((extent.from, extent.block, extent.count), (5, 0x1234_5678_9abc, 7));
    }

    #[test]
    fn each_piece_comes_once() {
        let pieces = |list, step, end| extents(list).pieces(step, end).collect::<Vec<_>>();
        assert_eq!(pieces(&[(0, 2), (5, 1)], 1, 100), [0, 1, 5]);
        assert_eq!(pieces(&[(0, 2), (2, 1), (3, 3), (9, 1)], 4, 100), [0, 1, 2]);
        assert_eq!(pieces(&[(0, 9), (20, 1)], 1, 3), [0, 1, 2]);
    }
}
