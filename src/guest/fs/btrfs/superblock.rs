//! The superblock: sizes, features, and where the trees of chunks and of roots begin.

use sha2::{Digest as _, Sha256};

use super::nodes::Place;
use super::{Area, Trouble, Why, le16, le32, le64};

/// Where it is, and its size.
const AT: u64 = 0x1_0000;
const SIZE: usize = 4096;

/// Where it lists the chunks that the tree of chunks is in, and bytes of that list.
const SYSTEM: usize = 811;
const SYSTEM_SIZE: usize = 2048;

/// Features that change how a volume is read, and that are known here: all that a Linux of 6.12 has but zones, the second
/// version of the tree of extents, and the tree of stripes.
const KNOWN: u64 = 0xfff | 0x1_0000;

/// How structures are summed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sum {
    Crc32c,
    Sha256,
}

impl Sum {
    /// Whether a structure has the sum that it begins with.
    pub(super) fn holds(self, structure: &[u8]) -> bool {
        let Some((stored, rest)) = structure.split_at_checked(32) else { return false };
        match self {
            Sum::Crc32c => crc32c::crc32c(rest).to_le_bytes() == stored[..4],
            Sum::Sha256 => Sha256::digest(rest)[..] == *stored,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Superblock {
    pub(super) sum: Sum,
    /// Bytes of a node.
    pub(super) node: u32,
    /// The trees of roots and of chunks.
    pub(super) root: Place,
    pub(super) chunk_root: Place,
    pub(super) has_log: bool,
    pub(super) bytes: u64,
    pub(super) used: u64,
    /// Number of the device that it is on.
    pub(super) device: u64,
    /// Chunks of the tree of chunks.
    pub(super) system: Vec<u8>,
}

impl Superblock {
    pub(super) fn read(area: &Area<'_>) -> Result<Self, Trouble> {
        Superblock::parse(&area.array::<SIZE>(AT)?)
    }

    fn parse(block: &[u8; SIZE]) -> Result<Self, Trouble> {
        let damaged = |said: &str| Why::damaged(format!("of its superblock, {said}"));
        if !block[64..].starts_with(b"_BHRfS_M") || le64(block, 48) != AT {
            return Err(damaged("the mark or the place is wrong"));
        }
        let sum = match le16(block, 196) {
            0 => Sum::Crc32c,
            2 => Sum::Sha256,
            other => {
                return Err(Why::unsupported(format!(
                    "btrfs has check sums here of kind {other}, which are not known"
                )));
            }
        };
        if !sum.holds(block) {
            return Err(damaged("the check sum is wrong"));
        }
        let (sector, node) = (le32(block, 144), le32(block, 148));
        let is_size = |size: u32| size.is_power_of_two() && (4096..=65536).contains(&size);
        let used = le32(block, 160) as usize;
        if !is_size(sector) || !is_size(node) || node < sector || used > SYSTEM_SIZE {
            return Err(damaged("sizes do not fit each other"));
        }
        let unknown = le64(block, 188) & !KNOWN;
        if unknown != 0 {
            return Err(Why::unsupported(format!(
                "btrfs has a feature here that is not known ({unknown:#x})"
            )));
        }
        Ok(Superblock {
            sum,
            node,
            root: Place { at: le64(block, 80), level: block[198] },
            chunk_root: Place { at: le64(block, 88), level: block[199] },
            has_log: le64(block, 96) != 0,
            bytes: le64(block, 112),
            used: le64(block, 120),
            device: le64(block, 201),
            system: block[SYSTEM..SYSTEM + used].to_vec(),
        })
    }
}
