//! The newest copies of blocks that a journal has.

use super::super::super::{Area, Trouble, Why};
use super::super::sums::crc32c;
use super::header::{MAGIC, Sums};

/// A copy of a block in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// The block of the file system.
    pub(super) block: u64,
    /// The block that the copy is in.
    pub(super) place: u64,
    /// Its transaction, counted from the first one of the log.
    pub(super) order: u32,
    /// Its check sum, if it has one.
    pub(super) sum: u32,
    /// Whether its first bytes were those of a block of the journal, and were taken out.
    pub(super) is_escaped: bool,
}

/// All copies, by block.
#[derive(Debug, Default)]
pub(in super::super) struct Copies {
    list: Vec<Copy>,
    sums: Sums,
    /// The number of the first transaction.
    sequence: u32,
    block_size: usize,
    /// The copy that was read last.
    last: Option<(u64, Vec<u8>)>,
}

impl Copies {
    /// The newest of these copies that were not revoked later. `revoked` has blocks, and the transaction that revoked
    /// them.
    pub(super) fn new(
        mut list: Vec<Copy>,
        mut revoked: Vec<(u64, u32)>,
        sums: Sums,
        sequence: u32,
        block_size: usize,
    ) -> Self {
        revoked.sort_unstable();
        // Stable, and transactions follow each other: of the copies of a block the newest is last.
        list.sort_by_key(|copy| copy.block);
        list.dedup_by(|later, earlier| {
            let is_same = later.block == earlier.block;
            if is_same {
                *earlier = *later;
            }
            is_same
        });
        list.retain(|copy| {
            let end = revoked.partition_point(|&(block, _)| block <= copy.block);
            let last = end.checked_sub(1).map(|index| revoked[index]);
            last.is_none_or(|(block, order)| block != copy.block || order < copy.order)
        });
        Copies { list, sums, sequence, block_size, last: None }
    }

    /// The first block from `block` on that there is a copy of.
    pub(in super::super) fn next(&self, block: u64) -> Option<u64> {
        let index = self.list.partition_point(|copy| copy.block < block);
        self.list.get(index).map(|copy| copy.block)
    }

    /// The highest block that there is a copy of.
    pub(super) fn highest(&self) -> Option<u64> {
        self.list.last().map(|copy| copy.block)
    }

    /// Fills the buffer from inside the copy of a block, which there has to be.
    pub(in super::super) fn read(
        &mut self,
        area: &Area<'_>,
        block: u64,
        inside: usize,
        buf: &mut [u8],
    ) -> Result<(), Trouble> {
        let index = self.list.partition_point(|copy| copy.block < block);
        let copy = self.list[index];
        if self.last.as_ref().is_none_or(|(last, _)| *last != block) {
            let mut bytes = vec![0; self.block_size];
            area.read(copy.place * self.block_size as u64, &mut bytes)?;
            self.check(&copy, &bytes)?;
            if copy.is_escaped {
                bytes[..4].copy_from_slice(&MAGIC.to_be_bytes());
            }
            self.last = Some((block, bytes));
        }
        if let Some((_, bytes)) = &self.last {
            buf.copy_from_slice(&bytes[inside..inside + buf.len()]);
        }
        Ok(())
    }

    /// Holds the sum of a copy against it: over the number of its transaction and what is in the journal.
    fn check(&self, copy: &Copy, bytes: &[u8]) -> Result<(), Trouble> {
        let sum = |seed| {
            let number = self.sequence.wrapping_add(copy.order).to_be_bytes();
            crc32c(crc32c(seed, &number), bytes)
        };
        let is_right = match self.sums {
            Sums::None | Sums::Commits => true,
            Sums::V2(seed) => sum(seed) & 0xffff == copy.sum,
            Sums::V3(seed) => sum(seed) == copy.sum,
        };
        if is_right {
            return Ok(());
        }
        let block = copy.block;
        Err(Why::damaged(format!(
            "the check sum of the copy of block {block} in the journal is wrong"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(block: u64, place: u64, order: u32) -> Copy {
        Copy { block, place, order, sum: 0, is_escaped: false }
    }

    fn kept(list: &[Copy], revoked: &[(u64, u32)]) -> Vec<(u64, u64)> {
        let copies = Copies::new(list.to_vec(), revoked.to_vec(), Sums::None, 0, 1024);
        copies.list.iter().map(|copy| (copy.block, copy.place)).collect()
    }

    #[test]
    fn the_newest_copy_counts_unless_it_was_revoked() {
        let list = [copy(7, 1, 0), copy(5, 2, 0), copy(7, 3, 1), copy(9, 4, 1), copy(7, 5, 3)];
        assert_eq!(kept(&list, &[]), [(5, 2), (7, 5), (9, 4)]);
        // A transaction revokes what it and those before it wrote.
        assert_eq!(kept(&list, &[(7, 2), (9, 1), (5, 0)]), [(7, 5)]);
        assert_eq!(kept(&list, &[(7, 3), (7, 0), (6, 9)]), [(5, 2), (9, 4)]);
        assert_eq!(kept(&list, &[(9, 0)]), [(5, 2), (7, 5), (9, 4)]);
    }
}
