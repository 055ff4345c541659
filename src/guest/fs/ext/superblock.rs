//! The superblock: sizes, features, and what Linux asks of them before it mounts.

use super::super::fields::{halves, le16, le32};
use super::super::{Trouble, Why};
use super::sums::crc32c;

/// Where it is in its volume, in bytes, and its size.
pub(super) const AT: u64 = 1024;
pub(super) const SIZE: usize = 1024;

const MAGIC: u16 = 0xef53;

/// Largest block: 64 KiB.
const MOST_LOG_BLOCK_SIZE: u32 = 6;

/// `s_state`: it was unmounted, and its kernel found errors.
const UNMOUNTED: u16 = 1;
const ERRORS: u16 = 2;

/// Features that have to be known to read it.
pub(super) mod incompat {
    pub(in super::super) const FILETYPE: u32 = 0x2;
    pub(in super::super) const RECOVER: u32 = 0x4;
    pub(in super::super) const META_BG: u32 = 0x10;
    pub(in super::super) const EXTENTS: u32 = 0x40;
    pub(in super::super) const BITS_64: u32 = 0x80;
    pub(in super::super) const MMP: u32 = 0x100;
    pub(in super::super) const FLEX_BG: u32 = 0x200;
    pub(in super::super) const EA_INODE: u32 = 0x400;
    pub(in super::super) const CSUM_SEED: u32 = 0x2000;
    pub(in super::super) const LARGEDIR: u32 = 0x4000;
    pub(in super::super) const INLINE_DATA: u32 = 0x8000;
    pub(in super::super) const ENCRYPT: u32 = 0x1_0000;
    pub(in super::super) const CASEFOLD: u32 = 0x2_0000;
    /// All that this reader knows.
    pub(in super::super) const KNOWN: u32 = FILETYPE
        | RECOVER
        | META_BG
        | EXTENTS
        | BITS_64
        | MMP
        | FLEX_BG
        | EA_INODE
        | CSUM_SEED
        | LARGEDIR
        | INLINE_DATA
        | ENCRYPT
        | CASEFOLD;
    /// Names of others.
    pub(in super::super) const OTHERS: [(u32, &str); 3] =
        [(0x1, "compression"), (0x8, "a journal device"), (0x1000, "dirdata")];
}

/// Features that have to be known to write it.
mod ro_compat {
    pub(super) const SPARSE_SUPER: u32 = 0x1;
    pub(super) const GDT_CSUM: u32 = 0x10;
    pub(super) const BIGALLOC: u32 = 0x200;
    pub(super) const METADATA_CSUM: u32 = 0x400;
}

/// Features that need not be known.
mod compat {
    pub(super) const HAS_JOURNAL: u32 = 0x4;
    pub(super) const DIR_INDEX: u32 = 0x20;
    pub(super) const SPARSE_SUPER2: u32 = 0x200;
}

/// Which check sums its structures have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sums {
    None,
    /// CRC-16 of group descriptors alone.
    Groups,
    /// CRC-32C of all structures, from this seed on.
    All(u32),
}

/// Which groups have a copy of the superblock.
#[derive(Clone, Copy, Debug)]
enum Copies {
    Everywhere,
    /// Groups 0, 1 and powers of 3, 5 and 7.
    Sparse,
    /// Group 0 and these.
    Two([u32; 2]),
}

/// Where its journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journal {
    None,
    Inode(u32),
    /// On another device.
    Elsewhere,
}

/// What it says; all sizes fit each other and the volume.
#[derive(Clone, Debug)]
pub(super) struct Superblock {
    /// Bytes of a block.
    pub(super) block_size: u64,
    /// Blocks in all.
    pub(super) blocks: u64,
    /// The first block of group 0.
    pub(super) first_block: u64,
    pub(super) blocks_per_group: u64,
    pub(super) groups: u64,
    pub(super) inodes: u32,
    pub(super) inodes_per_group: u32,
    pub(super) inode_size: usize,
    /// Bytes of a group descriptor.
    pub(super) descriptor_size: usize,
    /// From this block of descriptors on they lie in their groups.
    pub(super) first_meta_group: Option<u64>,
    /// Blocks of a cluster.
    pub(super) cluster: u64,
    pub(super) sums: Sums,
    pub(super) uuid: [u8; 16],
    pub(super) free_blocks: u64,
    pub(super) free_inodes: u32,
    pub(super) journal: Journal,
    /// Whether directories may have an index.
    pub(super) has_indexes: bool,
    /// Whether sizes of directories have 64 bits.
    pub(super) has_large_directories: bool,
    /// Whether it was mounted when its journal was last written.
    pub(super) needs_recovery: bool,
    pub(super) was_unmounted: bool,
    pub(super) has_errors: bool,
    copies: Copies,
}

impl Superblock {
    /// Reads it, for a volume of so many bytes.
    pub(super) fn parse(raw: &[u8; SIZE], volume: u64) -> Result<Self, Trouble> {
        if le16(raw, 0x38) != MAGIC {
            return Err(Why::damaged("there is no superblock of ext2, ext3 or ext4"));
        }
        let (compat, incompat, ro_compat) = (le32(raw, 0x5c), le32(raw, 0x60), le32(raw, 0x64));
        refuse_unknown(incompat)?;
        let sums = sums(raw, incompat, ro_compat)?;
        let log_block_size = le32(raw, 0x18);
        if log_block_size > MOST_LOG_BLOCK_SIZE {
            return Err(damaged(format!("blocks of 2^{log_block_size} KiB")));
        }
        let block_size = 1024u64 << log_block_size;
        let has_64_bits = incompat & incompat::BITS_64 != 0;
        let high = |at| if has_64_bits { le32(raw, at) } else { 0 };
        let blocks = halves(le32(raw, 0x4), high(0x150));
        let first_block = u64::from(le32(raw, 0x14));
        if first_block >= blocks {
            return Err(damaged(format!(
                "{blocks} blocks, of which block {first_block} is the first"
            )));
        }
        let size = blocks.checked_mul(block_size);
        if size.is_none_or(|size| size > volume) {
            return Err(Why::damaged(format!(
                "the file system has {blocks} blocks of {block_size} bytes, and its volume has only {volume} bytes"
            )));
        }
        let cluster = cluster(raw, ro_compat, log_block_size)?;
        let blocks_per_group = u64::from(le32(raw, 0x20));
        if blocks_per_group == 0 || blocks_per_group > block_size * 8 * cluster {
            return Err(damaged(format!("{blocks_per_group} blocks in a group")));
        }
        let groups = (blocks - first_block).div_ceil(blocks_per_group);
        let inodes_per_group = le32(raw, 0x28);
        if inodes_per_group == 0 || u64::from(inodes_per_group) > block_size * 8 {
            return Err(damaged(format!("{inodes_per_group} inodes in a group")));
        }
        let inodes = le32(raw, 0);
        if u64::from(inodes) > groups * u64::from(inodes_per_group) {
            return Err(damaged(format!("{inodes} inodes in {groups} groups")));
        }
        // Revision 0 knows no other inodes.
        let inode_size = if le32(raw, 0x4c) == 0 { 128 } else { usize::from(le16(raw, 0x58)) };
        if !inode_size.is_power_of_two() || inode_size < 128 || inode_size as u64 > block_size {
            return Err(damaged(format!("inodes of {inode_size} bytes")));
        }
        let descriptor_size = if has_64_bits { usize::from(le16(raw, 0xfe)) } else { 32 };
        let is_usual = descriptor_size.is_power_of_two() && descriptor_size <= 1024;
        if !is_usual || has_64_bits && descriptor_size < 64 {
            return Err(damaged(format!("group descriptors of {descriptor_size} bytes")));
        }
        let has_meta_groups = incompat & incompat::META_BG != 0;
        Ok(Superblock {
            block_size,
            blocks,
            first_block,
            blocks_per_group,
            groups,
            inodes,
            inodes_per_group,
            inode_size,
            descriptor_size,
            first_meta_group: has_meta_groups.then(|| u64::from(le32(raw, 0x104))),
            cluster,
            sums,
            uuid: uuid(raw),
            free_blocks: halves(le32(raw, 0xc), high(0x158)).min(blocks),
            free_inodes: le32(raw, 0x10).min(inodes),
            journal: match le32(raw, 0xe0) {
                _ if compat & compat::HAS_JOURNAL == 0 => Journal::None,
                0 => Journal::Elsewhere,
                inode => Journal::Inode(inode),
            },
            has_indexes: compat & compat::DIR_INDEX != 0,
            has_large_directories: incompat & incompat::LARGEDIR != 0,
            needs_recovery: incompat & incompat::RECOVER != 0,
            was_unmounted: le16(raw, 0x3a) & UNMOUNTED != 0,
            has_errors: le16(raw, 0x3a) & ERRORS != 0,
            copies: if compat & compat::SPARSE_SUPER2 != 0 {
                Copies::Two([le32(raw, 0x24c), le32(raw, 0x250)])
            } else if ro_compat & ro_compat::SPARSE_SUPER != 0 {
                Copies::Sparse
            } else {
                Copies::Everywhere
            },
        })
    }

    /// Whether a group begins with a copy of the superblock.
    pub(super) fn has_copy(&self, group: u64) -> bool {
        let is_power = |of: u64| {
            let mut power = of;
            while power < group {
                power *= of;
            }
            power == group
        };
        match self.copies {
            _ if group == 0 => true,
            Copies::Everywhere => true,
            Copies::Sparse => group == 1 || [3, 5, 7].into_iter().any(is_power),
            Copies::Two(groups) => groups.into_iter().any(|other| u64::from(other) == group),
        }
    }

    /// The seed of its CRC-32C sums, if its structures have them.
    pub(super) fn seed(&self) -> Option<u32> {
        match self.sums {
            Sums::All(seed) => Some(seed),
            Sums::None | Sums::Groups => None,
        }
    }
}

fn damaged(what: String) -> Trouble {
    Why::damaged(format!("the superblock claims {what}"))
}

fn uuid(raw: &[u8; SIZE]) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&raw[0x68..0x78]);
    uuid
}

fn refuse_unknown(incompat: u32) -> Result<(), Trouble> {
    let unknown = incompat & !incompat::KNOWN;
    if unknown == 0 {
        return Ok(());
    }
    let named =
        incompat::OTHERS.iter().filter(|(bit, _)| unknown & bit != 0).map(|(_, name)| *name);
    let mut named: Vec<String> = named.map(str::to_owned).collect();
    let rest = incompat::OTHERS.iter().fold(unknown, |rest, (bit, _)| rest & !bit);
    if rest != 0 {
        named.push(format!("incompatible features {rest:#x}"));
    }
    Err(Why::unsupported(format!("the file system has {}", named.join(" and "))))
}

/// Which sums there are; its own is held against the superblock.
fn sums(raw: &[u8; SIZE], incompat: u32, ro_compat: u32) -> Result<Sums, Trouble> {
    if ro_compat & ro_compat::METADATA_CSUM == 0 {
        let groups = ro_compat & ro_compat::GDT_CSUM != 0;
        return Ok(if groups { Sums::Groups } else { Sums::None });
    }
    let kind = raw[0x175];
    if kind != 1 {
        return Err(Why::unsupported(format!("the file system has check sums of kind {kind}")));
    }
    if crc32c(!0, &raw[..0x3fc]) != le32(raw, 0x3fc) {
        return Err(Why::damaged("the check sum of the superblock is wrong"));
    }
    let has_seed = incompat & incompat::CSUM_SEED != 0;
    Ok(Sums::All(if has_seed { le32(raw, 0x270) } else { crc32c(!0, &uuid(raw)) }))
}

/// Blocks of a cluster.
fn cluster(raw: &[u8; SIZE], ro_compat: u32, log_block_size: u32) -> Result<u64, Trouble> {
    if ro_compat & ro_compat::BIGALLOC == 0 {
        return Ok(1);
    }
    let log = le32(raw, 0x1c).checked_sub(log_block_size).filter(|&log| log + log_block_size <= 20);
    log.map(|log| 1 << log).ok_or_else(|| damaged(format!("clusters of 2^{} KiB", le32(raw, 0x1c))))
}
