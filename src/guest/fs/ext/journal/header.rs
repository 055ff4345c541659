//! The superblock of a journal. Its numbers begin with the highest byte, as all numbers of a journal.

use super::super::super::fields::be32;
use super::super::super::{Trouble, Why};
use super::super::inode::Read;
use super::super::sums::crc32c;

pub(super) const MAGIC: u32 = 0xc03b_3998;

/// Kinds of its superblock: version 2 has features.
const VERSION_1: u32 = 3;
const VERSION_2: u32 = 4;

/// Bytes of its superblock.
const SIZE: usize = 1024;
const SUM: usize = 0xfc;

/// `s_feature_compat`: commits have the sum of their blocks.
const CHECKSUM: u32 = 1;

mod incompat {
    pub(super) const REVOKE: u32 = 0x1;
    pub(super) const BITS_64: u32 = 0x2;
    pub(super) const ASYNC_COMMIT: u32 = 0x4;
    pub(super) const CSUM_V2: u32 = 0x8;
    pub(super) const CSUM_V3: u32 = 0x10;
    pub(super) const FAST_COMMIT: u32 = 0x20;
    pub(super) const KNOWN: u32 = REVOKE | BITS_64 | ASYNC_COMMIT | CSUM_V2 | CSUM_V3 | FAST_COMMIT;
}

/// Blocks for fast commits where the journal does not say how many.
const FAST_BLOCKS: u32 = 256;

/// Which check sums its blocks have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sums {
    #[default]
    None,
    /// CRC-32 of all blocks of a transaction, in its commit.
    Commits,
    /// CRC-32C of each block, from this seed on; of copies the lower half.
    V2(u32),
    /// The same, whole.
    V3(u32),
}

/// What it says; all places lie in the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// The log is a ring of these blocks of the journal.
    pub(super) first: u32,
    pub(super) end: u32,
    /// Where it begins, and the number of its first transaction; block 0 if there is nothing to replay.
    pub(super) start: u32,
    pub(super) sequence: u32,
    pub(super) sums: Sums,
    pub(super) has_64_bits: bool,
    pub(super) is_async: bool,
    /// Whether fast commits may follow the log.
    pub(super) has_fast_commits: bool,
    pub(super) has_errors: bool,
}

impl Header {
    /// Reads it from the first block of a journal.
    pub(super) fn parse(block: &[u8], journal: &Read, block_size: u64) -> Result<Header, Trouble> {
        let raw = &block[..SIZE];
        let version = be32(raw, 4);
        if be32(raw, 0) != MAGIC || !(VERSION_1..=VERSION_2).contains(&version) {
            return Err(Why::damaged("it has no superblock"));
        }
        let feature = |at| if version == VERSION_2 { be32(raw, at) } else { 0 };
        let (compat, incompat) = (feature(0x24), feature(0x28));
        let has = |bit| incompat & bit != 0;
        let unknown = incompat & !incompat::KNOWN;
        if unknown != 0 {
            return Err(Why::unsupported(format!("it has incompatible features {unknown:#x}")));
        }
        let sums =
            sums(raw, compat & CHECKSUM != 0, has(incompat::CSUM_V2), has(incompat::CSUM_V3))?;
        let (size, length) = (be32(raw, 0xc), be32(raw, 0x10));
        let fits =
            u64::from(length).checked_mul(block_size).is_some_and(|all| all <= journal.known.size);
        if u64::from(size) != block_size || !fits {
            return Err(Why::damaged(format!("it claims {length} blocks of {size} bytes")));
        }
        let has_fast_commits = has(incompat::FAST_COMMIT);
        let fast = match be32(raw, 0x54) {
            _ if !has_fast_commits => 0,
            0 => FAST_BLOCKS,
            blocks => blocks,
        };
        let (first, start) = (be32(raw, 0x14), be32(raw, 0x1c));
        let end = length.saturating_sub(fast);
        if first == 0 || first >= end || start != 0 && !(first..end).contains(&start) {
            return Err(Why::damaged(format!(
                "its log begins at block {start}, and has blocks {first} to {end}"
            )));
        }
        Ok(Header {
            first,
            end,
            start,
            sequence: be32(raw, 0x18),
            sums,
            has_64_bits: has(incompat::BITS_64),
            is_async: has(incompat::ASYNC_COMMIT),
            has_fast_commits,
            has_errors: be32(raw, 0x20) != 0,
        })
    }

    /// Bytes of a tag, which says where a copy belongs.
    pub(super) fn tag_size(&self) -> usize {
        match (self.sums, self.has_64_bits) {
            (Sums::V3(_), _) => 16,
            // The sum of version 2 was put between fields, but counted as if it were behind them.
            (Sums::V2(_), true) => 14,
            (Sums::V2(_), false) => 10,
            (Sums::None | Sums::Commits, true) => 12,
            (Sums::None | Sums::Commits, false) => 8,
        }
    }

    /// The seed of sums of blocks, if they have any.
    pub(super) fn seed(&self) -> Option<u32> {
        match self.sums {
            Sums::V2(seed) | Sums::V3(seed) => Some(seed),
            Sums::None | Sums::Commits => None,
        }
    }
}

/// Which sums there are; its own is held against it.
fn sums(raw: &[u8], commits: bool, v2: bool, v3: bool) -> Result<Sums, Trouble> {
    if u8::from(commits) + u8::from(v2) + u8::from(v3) > 1 {
        return Err(Why::damaged("it has several kinds of check sums at once"));
    }
    if !v2 && !v3 {
        return Ok(if commits { Sums::Commits } else { Sums::None });
    }
    let kind = raw[0x50];
    if kind != 4 {
        return Err(Why::unsupported(format!("it has check sums of kind {kind}")));
    }
    let sum = [&raw[..SUM], &[0; 4], &raw[SUM + 4..]].into_iter().fold(!0, crc32c);
    if sum != be32(raw, SUM) {
        return Err(Why::damaged("the check sum of its superblock is wrong"));
    }
    let seed = crc32c(!0, &raw[0x30..0x40]);
    Ok(if v3 { Sums::V3(seed) } else { Sums::V2(seed) })
}
