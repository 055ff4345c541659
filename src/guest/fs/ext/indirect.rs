//! The map of blocks of ext2 and ext3: twelve pointers, and three to tables of pointers of one to three levels.

use super::super::Trouble;
use super::super::fields::le32;
use super::blocks::Blocks;
use super::inode::Read;
use super::map::{Run, too_far};

/// Pointers to blocks of the file in the inode itself.
const DIRECT: u64 = 12;

/// The run of blocks that begins with `block`.
pub(super) fn run(blocks: &mut Blocks<'_>, inode: &Read, block: u64) -> Result<Run, Trouble> {
    if block < DIRECT {
        return Ok(in_table(&inode.map[..DIRECT as usize * 4], block, block as usize));
    }
    let per_table = blocks.superblock.block_size / 4;
    // Blocks that the pointer has below it, and which of them is looked for.
    let (mut span, mut inside) = (per_table, block - DIRECT);
    let mut pointer = DIRECT as usize;
    while inside >= span {
        inside -= span;
        span *= per_table;
        pointer += 1;
        if pointer > 14 {
            return Err(too_far(inode));
        }
    }
    let mut table = u64::from(le32(&inode.map, pointer * 4));
    loop {
        if table == 0 {
            return Ok(Run { start: block, len: span - inside, place: None });
        }
        blocks.check(table, 1, "a table of blocks")?;
        let bytes = blocks.block(table)?;
        span /= per_table;
        let index = (inside / span) as usize;
        inside %= span;
        if span == 1 {
            return Ok(in_table(&bytes, block, index));
        }
        table = u64::from(le32(&bytes, index * 4));
    }
}

/// The run that begins with a pointer of a table.
fn in_table(table: &[u8], block: u64, index: usize) -> Run {
    let first = le32(table, index * 4);
    let rest = table[index * 4..].chunks_exact(4).map(|pointer| le32(pointer, 0));
    let is_next = |(index, pointer): &(u32, u32)| match first {
        0 => *pointer == 0,
        first => first.checked_add(*index) == Some(*pointer),
    };
    let len = (0..).zip(rest).take_while(is_next).count() as u64;
    Run { start: block, len, place: (first != 0).then(|| u64::from(first)) }
}
