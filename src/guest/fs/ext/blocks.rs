//! The blocks of the file system: those of the volume, and over them those of its journal.

use super::super::{Area, Trouble, Why};
use super::journal::Copies;
use super::map::Run;
use super::superblock::Superblock;

/// Reads blocks, and knows the sizes of everything.
pub(super) struct Blocks<'d> {
    pub(super) area: Area<'d>,
    pub(super) superblock: Superblock,
    /// What the journal has of newer blocks.
    pub(super) copies: Copies,
    /// The run of blocks that was found last, and of which inode.
    pub(super) last_run: Option<(u32, Run)>,
}

impl Blocks<'_> {
    /// Bytes of a block.
    pub(super) fn size(&self) -> usize {
        self.superblock.block_size as usize
    }

    /// Fills the buffer from a byte offset.
    pub(super) fn read(&mut self, mut at: u64, mut buf: &mut [u8]) -> Result<(), Trouble> {
        let size = self.superblock.block_size;
        while !buf.is_empty() {
            let (block, inside) = (at / size, at % size);
            let left = match self.copies.next(block) {
                Some(copy) if copy == block => size - inside,
                Some(copy) => (copy - block).saturating_mul(size) - inside,
                None => buf.len() as u64,
            };
            let (now, rest) = buf.split_at_mut(left.min(buf.len() as u64) as usize);
            if self.copies.next(block) == Some(block) {
                self.copies.read(&self.area, block, inside as usize, now)?;
            } else {
                self.area.read(at, now)?;
            }
            at += now.len() as u64;
            buf = rest;
        }
        Ok(())
    }

    /// A whole block.
    pub(super) fn block(&mut self, block: u64) -> Result<Vec<u8>, Trouble> {
        // Steps are of about the same work: a block may be 64 times as long as another.
        self.area.spend(self.superblock.block_size / 1024)?;
        let mut bytes = vec![0; self.size()];
        self.read(block * self.superblock.block_size, &mut bytes)?;
        Ok(bytes)
    }

    /// Holds blocks that something names against the file system, which has its superblock before all others.
    pub(super) fn check(&self, first: u64, count: u64, what: &str) -> Result<(), Trouble> {
        let end = first.checked_add(count).filter(|&end| end <= self.superblock.blocks);
        if end.is_none() || first <= self.superblock.first_block {
            return Err(Why::damaged(format!(
                "{what} is at block {first}, which the file system does not have"
            )));
        }
        Ok(())
    }
}
