//! Directories: entries in the inode itself, or in blocks. What finds a name by its hash lies behind them, and is left.

use super::extents::Extents;
use super::superblock::Superblock;
use super::{Area, Node, Trouble, Why, is_whole, u16_at, u32_at, u64_at};

/// Where the index of a directory begins in it (XFS_DIR2_LEAF_OFFSET).
const INDEX: u64 = 32 << 30;

fn damaged() -> Trouble {
    Why::damaged("a directory is damaged")
}

/// Hands on an entry; false if no more are wanted. Names that no system can have made are left out.
fn entry(name: &[u8], number: u64, each: &mut dyn FnMut(&[u8], Node) -> bool) -> bool {
    let odd = name.is_empty() || name.iter().any(|&byte| byte == 0 || byte == b'/');
    odd || name == b"." || name == b".." || each(name, Node { tree: 0, number })
}

/// Entries in the fork of the inode (`xfs_dir2_sf_hdr`).
pub(super) fn short(
    fork: &[u8],
    superblock: &Superblock,
    each: &mut dyn FnMut(&[u8], Node) -> bool,
) -> Result<(), Trouble> {
    let [count, large, ..] = *fork else { return Err(damaged()) };
    let width = if large > 0 { 8 } else { 4 };
    let mut at = 2 + width;
    for _ in 0..count {
        let len = usize::from(*fork.get(at).ok_or_else(damaged)?);
        let name = fork.get(at + 3..at + 3 + len).ok_or_else(damaged)?;
        let number = at + 3 + len + usize::from(superblock.has_types);
        let bytes = fork.get(number..number + width).ok_or_else(damaged)?;
        let target = if width == 8 { u64_at(bytes, 0) } else { u32_at(bytes, 0).into() };
        if !entry(name, target, each) {
            return Ok(());
        }
        at = number + width;
    }
    Ok(())
}

/// Entries in blocks, of a directory whose entries take so many bytes.
pub(super) fn blocks(
    area: &Area<'_>,
    superblock: &Superblock,
    number: u64,
    size: u64,
    extents: &Extents,
    each: &mut dyn FnMut(&[u8], Node) -> bool,
) -> Result<(), Trouble> {
    let step = 1 << superblock.directory_bits;
    let bytes = u64::from(superblock.block) * step;
    let end = size.min(INDEX) / u64::from(superblock.block);
    let mut block = vec![0; bytes as usize];
    for piece in extents.pieces(step, end) {
        area.spend(16)?;
        extents.fill(area, superblock, piece.saturating_mul(bytes), &mut block)?;
        if !one(area, superblock, number, &block, each)? {
            break;
        }
    }
    Ok(())
}

/// The entries of one block; false if no more are wanted.
fn one(
    area: &Area<'_>,
    superblock: &Superblock,
    number: u64,
    block: &[u8],
    each: &mut dyn FnMut(&[u8], Node) -> bool,
) -> Result<bool, Trouble> {
    let (header, is_single) = match (&block[..4], superblock.has_sums) {
        (b"XDD3", true) => (64, false),
        (b"XDB3", true) => (64, true),
        (b"XD2D", false) => (16, false),
        (b"XD2B", false) => (16, true),
        _ => return Err(damaged()),
    };
    if superblock.has_sums && (!is_whole(block, 4) || u64_at(block, 40) != number) {
        return Err(Why::damaged("a block of a directory has a wrong check sum or owner"));
    }
    // A single block has the index at its end.
    let end = match is_single {
        true => {
            let leaves = u32_at(block, block.len() - 8) as usize;
            leaves.checked_mul(8).and_then(|len| (block.len() - 8).checked_sub(len))
        }
        false => Some(block.len()),
    };
    let end = end.ok_or_else(damaged)?;
    let mut at = header;
    while at + 8 <= end {
        area.spend(1)?;
        let free = u16_at(block, at) == 0xffff;
        let len = match free {
            true => usize::from(u16_at(block, at + 2)),
            false => {
                let len = usize::from(block[at + 8.min(end - at - 1)]);
                (9 + len + usize::from(superblock.has_types) + 2).next_multiple_of(8)
            }
        };
        if len < 8 || !len.is_multiple_of(8) || at + len > end {
            return Err(damaged());
        }
        if !free {
            let name = &block[at + 9..at + 9 + usize::from(block[at + 8])];
            if !entry(name, u64_at(block, at), each) {
                return Ok(false);
            }
        }
        at += len;
    }
    Ok(true)
}
