//! Directories. Those with an index are read in a row as well: its nodes look like entries that are in no use.

use super::super::fields::{le16, le32};
use super::super::{Trouble, Why};
use super::blocks::Blocks;
use super::inline;
use super::inode::{CASEFOLDED, ENCRYPTED, INDEX, INLINE, Read};
use super::sums::crc32c;

/// Bytes of an entry before its name, and of the shortest one.
const ENTRY: usize = 8;
const SHORTEST: usize = 12;

/// Bytes of the entry with the check sum at the end of a block, and its kind.
const TAIL: usize = 12;
const TAIL_KIND: u8 = 0xde;

/// Takes a name and an inode, and says whether to go on.
pub(super) type Each<'e> = dyn FnMut(&[u8], u32) -> bool + 'e;

/// Calls `each` with the entries of a directory until it returns false.
pub(super) fn list(
    blocks: &mut Blocks<'_>,
    directory: &Read,
    each: &mut Each<'_>,
) -> Result<(), Trouble> {
    let number = directory.number;
    if directory.has(ENCRYPTED) {
        return Err(Why::unsupported(format!("directory {number} is encrypted")));
    }
    if directory.has(CASEFOLDED) {
        return Err(Why::unsupported(format!("directory {number} does not tell case apart")));
    }
    if directory.has(INLINE) {
        // The number of the directory above comes first.
        return match entries(blocks, directory, &directory.map[4..], each)? {
            true => entries(blocks, directory, inline::rest(directory)?, each).map(drop),
            false => Ok(()),
        };
    }
    let size = blocks.superblock.block_size;
    let end = directory.known.size.div_ceil(size);
    let mut block = 0;
    while block < end {
        let run = blocks.run(directory, block)?;
        let run_end = end.min(run.start.saturating_add(run.len));
        let Some(place) = run.place else {
            block = run_end;
            continue;
        };
        for index in 0..run_end - block {
            let bytes = blocks.block(place + index)?;
            check_sum(blocks, directory, block + index, &bytes)?;
            if !entries(blocks, directory, &bytes, each)? {
                return Ok(());
            }
        }
        block = run_end;
    }
    Ok(())
}

/// The length of an entry as it is written: blocks of 64 KiB need more than 16 bits.
fn length(written: u16, block: usize) -> usize {
    let written = usize::from(written);
    match (block < 1 << 16, written) {
        (true, _) => written,
        (false, 0 | 0xffff) => block,
        (false, _) => written & 0xfffc | (written & 3) << 16,
    }
}

/// Calls `each` with the entries in these bytes, and says whether it wants more.
fn entries(
    blocks: &Blocks<'_>,
    directory: &Read,
    bytes: &[u8],
    each: &mut Each<'_>,
) -> Result<bool, Trouble> {
    let damaged = || Why::damaged(format!("directory {} has a damaged entry", directory.number));
    let mut at = 0;
    let mut steps = 0;
    while at < bytes.len() {
        let entry = bytes.get(at..at + ENTRY).ok_or_else(damaged)?;
        let (inode, len) = (le32(entry, 0), length(le16(entry, 4), blocks.size()));
        let name_end = ENTRY + usize::from(entry[6]);
        let end = at.checked_add(len).filter(|&end| end <= bytes.len());
        if len < SHORTEST || len % 4 != 0 || len < name_end || inode > blocks.superblock.inodes {
            return Err(damaged());
        }
        let end = end.ok_or_else(damaged)?;
        let name = &bytes[at + ENTRY..at + name_end];
        at = end;
        steps += 1;
        if inode == 0 || name == b"." || name == b".." {
            continue;
        }
        if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(damaged());
        }
        if !each(name, inode) {
            return Ok(false);
        }
    }
    blocks.area.spend(steps)?;
    Ok(true)
}

/// Holds the sum at the end of a block of a directory against it, or that of a node of its index.
fn check_sum(
    blocks: &Blocks<'_>,
    directory: &Read,
    block: u64,
    bytes: &[u8],
) -> Result<(), Trouble> {
    let Some(seed) = directory.seed else { return Ok(()) };
    let first = length(le16(bytes, 4), bytes.len());
    let has_index = blocks.superblock.has_indexes && directory.has(INDEX);
    let is_right = if has_index && (block == 0 || first == bytes.len()) {
        index_sum_is_right(bytes, first, seed)
    } else {
        let (covered, tail) = bytes.split_at(bytes.len() - TAIL);
        let is_tail = le32(tail, 0) == 0 && le16(tail, 4) == TAIL as u16 && tail[6] == 0;
        is_tail && tail[7] == TAIL_KIND && crc32c(seed, covered) == le32(tail, 8)
    };
    if is_right {
        return Ok(());
    }
    let number = directory.number;
    Err(Why::damaged(format!("the check sum of block {block} of directory {number} is wrong")))
}

/// Whether the sum of a node of an index is right; `first` is the length of its first entry.
fn index_sum_is_right(bytes: &[u8], first: usize, seed: u32) -> bool {
    let size = bytes.len();
    let counts = if first == size {
        8
    } else if first == 12 && length(le16(bytes, 12 + 4), size) == size - 12 {
        32
    } else {
        return false;
    };
    let (limit, count) = (le16(bytes, counts), le16(bytes, counts + 2));
    let (end, tail) = (counts + usize::from(count) * 8, counts + usize::from(limit) * 8);
    if count > limit || tail + 8 > size {
        return false;
    }
    let parts = [&bytes[..end], &bytes[tail..tail + 4], &[0; 4]];
    parts.into_iter().fold(seed, crc32c) == le32(bytes, tail + 4)
}
