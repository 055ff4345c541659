//! The marks of Linux RAID at the end of a disk: of its metadata 0.90 and 1.0.

use super::{Part, PartitionTable, SECTOR, Unread};
use crate::facts::{Code, Notebook};
use crate::formats::{Disk, Got, Halt};

/// Bytes at the end of a disk that have every mark; a stream keeps as much.
pub(super) const WINDOW: u64 = 128 << 10;

/// MD_SB_MAGIC in `include/uapi/linux/raid/md_p.h`.
const MAGIC: &[u8] = b"\xfc\x4e\x2b\xa9";

/// Where a superblock of metadata 0.90 is (MD_NEW_SIZE_SECTORS): 64 KiB before the last multiple of 64 KiB.
fn old(size: u64) -> Option<u64> {
    (size & !0xffff).checked_sub(0x1_0000)
}

/// Where a superblock of metadata 1.0 is (`super_1_load` in `drivers/md/md.c`): 8 KiB before the end, at a multiple of 4 KiB.
fn new(size: u64) -> Option<u64> {
    Some(((size / SECTOR).checked_sub(16)? & !7) * SECTOR)
}

/// Writes down that a disk with a partition table is a member of a RAID, by its last sectors. libblkid shows no partitions
/// then, and mdadm takes all of the disk.
pub(super) fn find(
    disk: &mut dyn Disk,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    let Some(size) = disk.size()? else { return Ok(()) };
    let mut last = vec![0; size.min(WINDOW) as usize];
    let from = size - last.len() as u64;
    match disk.read_at(from, &mut last)? {
        Got::Bytes(count) => last.truncate(count),
        Got::Missing(why) => {
            if table.unread.iter().all(|unread| unread.why != why) {
                table.unread.push(Unread { what: Part::Bounds, why });
            }
            return Ok(());
        }
    }
    let places = [(old(size), MAGIC), (new(size), b"\xfc\x4e\x2b\xa9\x01\0\0\0".as_slice())];
    let found = places.iter().find_map(|&(at, magic)| {
        let at = at?;
        let there = last.get(usize::try_from(at.checked_sub(from)?).ok()?..)?;
        there.starts_with(magic).then_some(at)
    });
    if let Some(at) = found {
        notebook.disk(
            Code::DiskMemberSignature,
            at,
            format!("The disk has a partition table, and is a member of a Linux RAID by the mark at byte {at}."),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblocks_are_where_mdadm_puts_them() {
        assert_eq!((old(8 << 20), new(8 << 20)), (Some(8_323_072), Some(8_380_416)));
        assert_eq!(
            (old((8 << 20) + 65_000), new((8 << 20) + 5000)),
            (Some(8_323_072), Some(8_384_512))
        );
        assert_eq!((old(65_535), new(8191)), (None, None));
        for size in (1..300u64).map(|n| n * 7919) {
            assert!(
                [old(size), new(size)].iter().flatten().all(|at| size - at <= WINDOW),
                "{size}"
            );
        }
    }
}
