//! The core of an inode, and the fork behind it that has or leads to its contents.

use super::superblock::Superblock;
use super::{Area, Kind, Trouble, Why, is_whole, u16_at, u32_at, u64_at};

/// Seconds that large time stamps begin before 1970 (XFS_BIGTIME_EPOCH_OFFSET).
const EPOCH: i64 = 1 << 31;

/// Bits of flags: the contents are on the real-time device; of the second ones, large time stamps and counts of extents.
const REALTIME: u16 = 1;
const LARGE_TIMES: u64 = 8;
const LARGE_COUNTS: u64 = 16;

/// How the contents are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Not at all: it is a device.
    Device,
    /// In the fork itself.
    Local,
    /// In blocks that the fork lists.
    Listed,
    /// In blocks that a tree lists, whose root is the fork.
    Tree,
}

#[derive(Debug)]
pub(super) struct Core {
    bytes: Vec<u8>,
    pub(super) mode: u16,
    pub(super) form: Form,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) modified: i64,
    pub(super) extents: u64,
    pub(super) is_realtime: bool,
    fork: std::ops::Range<usize>,
}

impl Core {
    pub(super) fn read(
        area: &Area<'_>,
        superblock: &Superblock,
        number: u64,
    ) -> Result<Core, Trouble> {
        let damaged = |said: &str| Why::damaged(format!("inode {number} {said}"));
        let at = superblock.inode_at(number);
        let at = at.ok_or_else(|| damaged("lies outside of the volume"))?;
        let mut bytes = vec![0; usize::from(superblock.inode)];
        area.read(at, &mut bytes)?;
        let version = bytes[4];
        let is_3 = version >= 3;
        if !bytes.starts_with(b"IN") || is_3 != superblock.has_sums {
            return Err(damaged("is none"));
        }
        if is_3 && (!is_whole(&bytes, 100) || u64_at(&bytes, 152) != number) {
            return Err(damaged("has a wrong check sum or number"));
        }
        let form = match bytes[5] {
            0 => Form::Device,
            1 => Form::Local,
            2 => Form::Listed,
            3 => Form::Tree,
            _ => return Err(damaged("keeps its contents in a way that is not known")),
        };
        let flags = if is_3 { u64_at(&bytes, 120) } else { 0 };
        let begin = if is_3 { 176 } else { 100 };
        // Behind it is that of the attributes, if there is one.
        let end = match usize::from(bytes[82]) {
            0 => bytes.len(),
            units => (begin + 8 * units).min(bytes.len()),
        };
        let extents = match flags & LARGE_COUNTS {
            0 => u32_at(&bytes, 76).into(),
            _ => u64_at(&bytes, 24),
        };
        let modified = match flags & LARGE_TIMES {
            0 => i64::from(u32_at(&bytes, 40).cast_signed()),
            // Nanoseconds fit in 55 bits as seconds.
            _ => (u64_at(&bytes, 40) / 1_000_000_000).cast_signed() - EPOCH,
        };
        Ok(Core {
            mode: u16_at(&bytes, 2),
            form,
            uid: u32_at(&bytes, 8),
            gid: u32_at(&bytes, 12),
            size: u64_at(&bytes, 56),
            modified,
            extents,
            is_realtime: u16_at(&bytes, 90) & REALTIME != 0,
            fork: begin..end,
            bytes,
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self.mode & 0xf000 {
            0x8000 => Kind::Regular,
            0x4000 => Kind::Directory,
            0xa000 => Kind::Link,
            _ => Kind::Special,
        }
    }

    pub(super) fn fork(&self) -> &[u8] {
        &self.bytes[self.fork.clone()]
    }
}
