//! Inodes.

use super::super::fields::{halves, le16, le32};
use super::super::{Inode, Kind, Trouble, Why};
use super::blocks::Blocks;
use super::sums::crc32c;

/// The root directory.
pub(super) const ROOT: u32 = 2;

/// Bytes of an inode of ext2; what is behind them has its own size in its first field.
pub(super) const OLD_SIZE: usize = 128;

/// Where the root of its map of blocks is, or the beginning of its contents, and its size.
const MAP: usize = 0x28;
pub(super) const MAP_SIZE: usize = 60;

const SUM_LOW: usize = 0x7c;
const SUM_HIGH: usize = 0x82;

pub(super) const ENCRYPTED: u32 = 0x800;
pub(super) const INDEX: u32 = 0x1000;
pub(super) const EXTENTS: u32 = 0x8_0000;
const EA_INODE: u32 = 0x20_0000;
pub(super) const INLINE: u32 = 0x1000_0000;
pub(super) const CASEFOLDED: u32 = 0x4000_0000;

/// An inode, read and checked.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) number: u32,
    pub(super) known: Inode,
    pub(super) flags: u32,
    pub(super) map: [u8; MAP_SIZE],
    /// The seed of check sums of what belongs to it, if there are any.
    pub(super) seed: Option<u32>,
    /// What is behind its fields: extended attributes, of which inline contents are one.
    pub(super) attributes: Vec<u8>,
    /// Whether nothing but its attributes takes blocks.
    has_no_blocks: bool,
}

impl Read {
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether it is a link whose target is where the map of blocks would be; as Linux decides it.
    pub(super) fn is_fast_link(&self) -> bool {
        let is_short = self.known.size < MAP_SIZE as u64;
        !self.has(INLINE) && if self.has(EA_INODE) { is_short } else { self.has_no_blocks }
    }
}

impl Blocks<'_> {
    /// Byte offset of an inode.
    pub(super) fn inode_at(&mut self, number: u32) -> Result<u64, Trouble> {
        let known = &self.superblock;
        if number == 0 || number > known.inodes {
            return Err(Why::damaged(format!("there is no inode {number}")));
        }
        let per_group = known.inodes_per_group;
        let (group, index) = ((number - 1) / per_group, u64::from((number - 1) % per_group));
        let at = index * known.inode_size as u64;
        let (table, size) = (self.group(u64::from(group))?.inodes, self.superblock.block_size);
        let block = table.saturating_add(at / size);
        self.check(block, 1, "a table of inodes")?;
        Ok(block * size + at % size)
    }

    /// Reads an inode.
    pub(super) fn inode(&mut self, number: u32) -> Result<Read, Trouble> {
        self.area.spend(1)?;
        let at = self.inode_at(number)?;
        let size = self.superblock.inode_size;
        let mut raw = vec![0; size];
        self.read(at, &mut raw)?;
        let seed = self.superblock.seed();
        let generation = &raw[0x64..0x68];
        let seed = seed.map(|seed| crc32c(crc32c(seed, &number.to_le_bytes()), generation));
        let extra = if size > OLD_SIZE { usize::from(le16(&raw, OLD_SIZE)) } else { 0 };
        if let Some(seed) = seed {
            check_sum(&raw, seed, extra, number)?;
        }
        if extra % 4 != 0 || OLD_SIZE + extra > size {
            let said =
                format!("inode {number} claims to have {extra} bytes more than those of ext2");
            return Err(Why::damaged(said));
        }
        let mode = le16(&raw, 0);
        let kind = match mode & 0o170_000 {
            0o100_000 => Kind::Regular,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Link,
            0o010_000 | 0o020_000 | 0o060_000 | 0o140_000 => Kind::Special,
            _ => return Err(Why::damaged(format!("inode {number} is in no use"))),
        };
        let is_wide = kind == Kind::Regular || self.superblock.has_large_directories;
        let high = if is_wide { le32(&raw, 0x6c) } else { 0 };
        let length = halves(le32(&raw, 0x4), high);
        if i64::try_from(length).is_err() {
            return Err(Why::damaged(format!("inode {number} claims to have {length} bytes")));
        }
        let id = |low, high| u32::from(le16(&raw, high)) << 16 | u32::from(le16(&raw, low));
        let mut modified = i64::from(le32(&raw, 0x10).cast_signed());
        if extra >= 12 {
            modified += i64::from(le32(&raw, 0x88) & 3) << 32;
        }
        let flags = le32(&raw, 0x20);
        let mut map = [0; MAP_SIZE];
        map.copy_from_slice(&raw[MAP..MAP + MAP_SIZE]);
        // In units of 512 bytes, or of blocks, which makes no difference to whether there are any.
        let taken = halves(le32(&raw, 0x1c), u32::from(le16(&raw, 0x74)));
        let has_attributes = le32(&raw, 0x68) != 0 || le16(&raw, 0x76) != 0;
        let cluster = self.superblock.cluster * self.superblock.block_size / 512;
        let attributes =
            if flags & INLINE != 0 { raw[OLD_SIZE + extra..].to_vec() } else { Vec::new() };
        Ok(Read {
            number,
            known: Inode {
                kind,
                mode: mode & 0o7777,
                uid: id(0x2, 0x78),
                gid: id(0x18, 0x7a),
                size: length,
                modified: Some(modified),
            },
            flags,
            map,
            seed,
            attributes,
            has_no_blocks: taken == if has_attributes { cluster } else { 0 },
        })
    }
}

/// Holds its check sum against it; the upper half is there only if it has a field for it.
fn check_sum(raw: &[u8], seed: u32, extra: usize, number: u32) -> Result<(), Trouble> {
    let has_high = extra >= 4;
    let after = &raw[SUM_LOW + 2..];
    let sum = [&raw[..SUM_LOW], &[0; 2]].into_iter().fold(seed, crc32c);
    let (sum, wanted) = if has_high {
        let (before, after) = (&raw[SUM_LOW + 2..SUM_HIGH], &raw[SUM_HIGH + 2..]);
        let wanted = u32::from(le16(raw, SUM_HIGH)) << 16 | u32::from(le16(raw, SUM_LOW));
        ([before, &[0; 2], after].into_iter().fold(sum, crc32c), wanted)
    } else {
        (crc32c(sum, after) & 0xffff, u32::from(le16(raw, SUM_LOW)))
    };
    if sum == wanted {
        return Ok(());
    }
    Err(Why::damaged(format!("the check sum of inode {number} is wrong")))
}
