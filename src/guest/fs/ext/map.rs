//! From the blocks of a file to those of the file system.

use super::super::{Trouble, Why};
use super::blocks::Blocks;
use super::inode::{EXTENTS, Read};
use super::{extents, indirect};

/// Blocks of a file that lie in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first of them in the file.
    pub(super) start: u64,
    /// How many there are, at least 1.
    pub(super) len: u64,
    /// Where the first of them is; `None` if they read as zeros.
    pub(super) place: Option<u64>,
}

impl Run {
    /// The part from a block on, which lies in it.
    fn from(self, block: u64) -> Run {
        let skipped = block - self.start;
        let place = self.place.map(|place| place + skipped);
        Run { start: block, len: self.len - skipped, place }
    }
}

impl Blocks<'_> {
    /// The run that begins with this block of a file.
    pub(super) fn run(&mut self, inode: &Read, block: u64) -> Result<Run, Trouble> {
        if let Some((number, run)) = self.last_run
            && number == inode.number
            && (run.start..run.start + run.len).contains(&block)
        {
            return Ok(run.from(block));
        }
        let run = if inode.has(EXTENTS) {
            extents::run(self, inode, block)?
        } else {
            indirect::run(self, inode, block)?
        };
        if let Some(place) = run.place {
            self.check(place, run.len, "a part of a file")?;
        }
        self.last_run = Some((inode.number, run));
        Ok(run)
    }

    /// Fills the buffer from a byte offset of a file, whatever its size is.
    pub(super) fn read_file(
        &mut self,
        inode: &Read,
        mut at: u64,
        mut buf: &mut [u8],
    ) -> Result<(), Trouble> {
        let size = self.superblock.block_size;
        while !buf.is_empty() {
            let (block, inside) = (at / size, at % size);
            let run = self.run(inode, block)?;
            let left = run.len.saturating_mul(size) - inside;
            let (now, rest) = buf.split_at_mut(left.min(buf.len() as u64) as usize);
            match run.place {
                Some(place) => self.read(place * size + inside, now)?,
                None => now.fill(0),
            }
            at += now.len() as u64;
            buf = rest;
        }
        Ok(())
    }
}

/// A block of a file that no map has a place for.
pub(super) fn too_far(inode: &Read) -> Trouble {
    let (number, size) = (inode.number, inode.known.size);
    Why::damaged(format!("inode {number} claims to have {size} bytes, more than its map can have"))
}
