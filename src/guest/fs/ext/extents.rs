//! Extents: a tree of at most five levels, of which each node is checked as it is met. A look-up goes down one way, so
//! that it ends after six nodes whatever the others are.

use super::super::fields::{halves, le16, le32};
use super::super::{Trouble, Why};
use super::blocks::Blocks;
use super::inode::Read;
use super::map::{Run, too_far};
use super::sums::crc32c;

const MAGIC: u16 = 0xf30a;

/// Levels below the root.
const DEEPEST: u16 = 5;

/// Bytes of a header and of an entry.
const HEADER: usize = 12;
const ENTRY: usize = 12;

/// Blocks of an extent; those of a longer one were never written, and it is as much shorter.
const LONGEST: u16 = 32768;

/// The run of blocks that begins with `block`.
pub(super) fn run(blocks: &mut Blocks<'_>, inode: &Read, block: u64) -> Result<Run, Trouble> {
    let block = u32::try_from(block).map_err(|_| too_far(inode))?;
    let mut node = inode.map.to_vec();
    // The first block of the file that is no matter of this node.
    let mut end = 1u64 << 32;
    let mut depth = None;
    loop {
        let header = Header::parse(&node, depth, inode.number)?;
        let entries = &node[HEADER..HEADER + header.entries * ENTRY];
        if header.depth == 0 {
            return leaf(entries, inode.number, block, end);
        }
        let (child, next) = index(entries, inode.number, block)?;
        end = next.map_or(end, |next| end.min(u64::from(next)));
        let Some(child) = child else {
            let start = u64::from(block);
            return Ok(Run { start, len: end - start, place: None });
        };
        blocks.check(child, 1, "a node of extents")?;
        node = blocks.block(child)?;
        depth = Some(header.depth - 1);
        check_sum(&node, inode)?;
    }
}

struct Header {
    entries: usize,
    depth: u16,
}

impl Header {
    /// Reads the header of a node that has to have this depth.
    fn parse(node: &[u8], wanted: Option<u16>, inode: u32) -> Result<Header, Trouble> {
        let [magic, entries, most, depth] = [0, 2, 4, 6].map(|at| le16(node, at));
        let fits = usize::from(most) <= (node.len() - HEADER) / ENTRY && most > 0;
        let is_deep = wanted.map_or(depth > DEEPEST, |wanted| depth != wanted);
        if magic != MAGIC || !fits || entries > most || is_deep || depth > 0 && entries == 0 {
            return Err(damaged(inode));
        }
        Ok(Header { entries: usize::from(entries), depth })
    }
}

/// The child of an inner node that has a block, and the first block that the next one has.
fn index(entries: &[u8], inode: u32, block: u32) -> Result<(Option<u64>, Option<u32>), Trouble> {
    let (mut child, mut next, mut before) = (None, None, None);
    for entry in entries.chunks_exact(ENTRY) {
        let start = le32(entry, 0);
        if before.is_some_and(|before| before >= start) {
            return Err(damaged(inode));
        }
        before = Some(start);
        if start <= block {
            child = Some(halves(le32(entry, 4), u32::from(le16(entry, 8))));
        } else if next.is_none() {
            next = Some(start);
        }
    }
    Ok((child, next))
}

/// The run of a leaf that begins with a block.
fn leaf(entries: &[u8], inode: u32, block: u32, end: u64) -> Result<Run, Trouble> {
    let block = u64::from(block);
    let (mut found, mut next, mut before) = (None, end, 0);
    for entry in entries.chunks_exact(ENTRY) {
        let (start, len) = (u64::from(le32(entry, 0)), le16(entry, 4));
        let was_written = len <= LONGEST;
        let len = u64::from(if was_written { len } else { len - LONGEST });
        if len == 0 || start < before || start + len > 1 << 32 {
            return Err(damaged(inode));
        }
        before = start + len;
        let place = halves(le32(entry, 8), u32::from(le16(entry, 6)));
        if (start..start + len).contains(&block) {
            found = Some((start + len, was_written.then(|| place.saturating_add(block - start))));
        } else if start > block {
            next = next.min(start);
        }
    }
    let (end, place) = found.map_or((next, None), |(end, place)| (end.min(next), place));
    Ok(Run { start: block, len: end - block, place })
}

/// Holds the sum behind the entries that a node has room for against it.
fn check_sum(node: &[u8], inode: &Read) -> Result<(), Trouble> {
    let Some(seed) = inode.seed else { return Ok(()) };
    let at = HEADER + usize::from(le16(node, 4)) * ENTRY;
    if at + 4 > node.len() || crc32c(seed, &node[..at]) != le32(node, at) {
        let said = format!("the check sum of a node of extents of inode {} is wrong", inode.number);
        return Err(Why::damaged(said));
    }
    Ok(())
}

fn damaged(inode: u32) -> Trouble {
    Why::damaged(format!("the extents of inode {inode} are damaged"))
}
