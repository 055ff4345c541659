//! The superblock: sizes, where inodes and blocks are, and which features there are.

use super::{Area, Trouble, Why, is_whole, u16_at, u32_at, u64_at};

/// Bytes of a superblock that are read: a sector has as many at most.
const LARGEST_SECTOR: u64 = 32 << 10;

/// Features that change how a volume is read, and that are known here: types of files in directories, sparse inodes, another
/// UUID in metadata, large time stamps, large counts of extents, exchanged ranges, parent pointers, and a directory of
/// metadata. What needs a repair is read, and said to.
const KNOWN: u32 = 0x1ff;
const FILE_TYPES: u32 = 1;
const NEEDS_REPAIR: u32 = 0x10;

/// The same of version 4.
const FILE_TYPES_4: u32 = 0x200;

#[derive(Clone, Debug)]
pub(super) struct Superblock {
    /// Bytes of a block, and of an inode.
    pub(super) block: u32,
    pub(super) inode: u16,
    /// Blocks in all, and free ones.
    pub(super) blocks: u64,
    pub(super) free: u64,
    /// Number of the root directory.
    pub(super) root: u64,
    /// Blocks of an allocation group, and how many groups there are.
    group_blocks: u32,
    groups: u32,
    /// Bits of numbers of blocks in a group, and of inodes in a block.
    group_bits: u8,
    inode_bits: u8,
    /// Blocks of a block of a directory, as a power of two.
    pub(super) directory_bits: u8,
    /// Whether it is version 5, with check sums.
    pub(super) has_sums: bool,
    /// Whether entries of directories say what they lead to.
    pub(super) has_types: bool,
    pub(super) needs_repair: bool,
    /// First block of the log, and how many it has.
    pub(super) log: (u64, u32),
}

impl Superblock {
    pub(super) fn read(area: &Area<'_>) -> Result<Self, Trouble> {
        let mut sector = vec![0; area.size().min(LARGEST_SECTOR) as usize];
        area.read(0, &mut sector)?;
        let size = usize::from(u16_at(&sector, 102));
        sector.truncate(size);
        Superblock::parse(&sector)
    }

    fn parse(sector: &[u8]) -> Result<Self, Trouble> {
        let damaged = |said: &str| Why::damaged(format!("of its superblock, {said}"));
        if sector.len() < 512 || !sector.len().is_power_of_two() || !sector.starts_with(b"XFSB") {
            return Err(damaged("the mark or the size of a sector is not XFS's"));
        }
        let byte = |at: usize| sector[at];
        let version = u16_at(sector, 100);
        let has_sums = match version & 0xf {
            4 => false,
            5 => true,
            other => return Err(Why::unsupported(format!("it is XFS of version {other}"))),
        };
        if has_sums && !is_whole(sector, 224) {
            return Err(damaged("the check sum is wrong"));
        }
        let (block, inode) = (u32_at(sector, 4), u16_at(sector, 104));
        let (block_bits, inode_size_bits) = (byte(120), byte(122));
        let (inode_bits, group_bits, directory_bits) = (byte(123), byte(124), byte(192));
        let (group_blocks, groups) = (u32_at(sector, 84), u32_at(sector, 88));
        let fits = (512..=65536).contains(&block)
            && (256..=2048).contains(&inode)
            && 1u32.checked_shl(block_bits.into()) == Some(block)
            && 1u32.checked_shl(inode_size_bits.into()) == Some(inode.into())
            && block_bits.checked_sub(inode_size_bits) == Some(inode_bits)
            && (1..32).contains(&group_bits)
            && group_blocks > 0
            && u64::from(group_blocks) <= 1 << group_bits
            && groups > 0
            && directory_bits <= 7
            && u64::from(block) << directory_bits <= 65536;
        if !fits {
            return Err(damaged("sizes do not fit each other"));
        }
        if byte(126) != 0 {
            return Err(damaged("the making of the volume was not finished"));
        }
        let features = if has_sums { u32_at(sector, 216) } else { 0 };
        if features & !KNOWN != 0 {
            let unknown = features & !KNOWN;
            return Err(Why::unsupported(format!(
                "XFS has a feature here that is not known ({unknown:#x})"
            )));
        }
        if u64_at(sector, 16) != 0 {
            return Err(Why::unsupported("a part of the XFS volume is on a real-time device"));
        }
        let has_types = match has_sums {
            true => features & FILE_TYPES != 0,
            false => u32_at(sector, 200) & FILE_TYPES_4 != 0,
        };
        Ok(Superblock {
            block,
            inode,
            blocks: u64_at(sector, 8),
            free: u64_at(sector, 144),
            root: u64_at(sector, 56),
            group_blocks,
            groups,
            group_bits,
            inode_bits,
            directory_bits,
            has_sums,
            has_types,
            needs_repair: features & NEEDS_REPAIR != 0,
            log: (u64_at(sector, 48), u32_at(sector, 96)),
        })
    }

    /// Offset of a block, whose number has that of its group in the upper bits.
    pub(super) fn block_at(&self, number: u64) -> Option<u64> {
        let (group, within) = (number >> self.group_bits, number & ((1 << self.group_bits) - 1));
        if group >= u64::from(self.groups) || within >= u64::from(self.group_blocks) {
            return None;
        }
        (group * u64::from(self.group_blocks) + within).checked_mul(self.block.into())
    }

    /// Offset of an inode, whose number is that of its block, and its place there.
    pub(super) fn inode_at(&self, number: u64) -> Option<u64> {
        let place = number & ((1 << self.inode_bits) - 1);
        self.block_at(number >> self.inode_bits)?.checked_add(place * u64::from(self.inode))
    }
}
