//! An optical disc in front of, or around, the partitions of a disk.

use super::Partition;
use crate::facts::{Code, Notebook};

/// Disk offset of the mark of the first volume descriptor.
pub(super) const MARK: u64 = 0x8001;

/// Bytes of a descriptor.
const BLOCK: usize = 2048;

/// What those of ISO 9660 begin with, behind their type.
const ISO: &[u8] = b"CD001";

/// What the descriptors of a UDF volume, and of others by ECMA-167, begin with.
const UDF: [&[u8]; 6] = [b"BEA01", b"BOOT2", b"CDW02", b"NSR02", b"NSR03", b"TEA01"];

/// The volume at the beginning of a disk.
pub(super) struct Volume {
    /// Disk offset behind its last byte; `None` if it does not say so in a way that holds.
    end: Option<u64>,
    /// Whether it is seen to have nothing in it: no file, and no boot image.
    empty: bool,
}

impl Volume {
    /// The volume of a disk that begins like this.
    pub(super) fn find(first: &[u8]) -> Option<Self> {
        let mark = first.get(MARK as usize..)?;
        let is = mark.starts_with(ISO)
            || UDF.iter().any(|known| mark.starts_with(known))
            || mark.get(8..).is_some_and(|mark| mark.starts_with(b"CDROM"));
        is.then(|| {
            let end = primary_end(&first[MARK as usize - 1..]);
            Volume { end, empty: end.is_some_and(|end| is_empty(first, end)) }
        })
    }
}

/// Where the volume of a primary volume descriptor ends (ECMA-119, 8.4.8 and 8.4.12). Its numbers stand in it in both byte
/// orders, which have to agree.
fn primary_end(descriptor: &[u8]) -> Option<u64> {
    if !descriptor.starts_with(b"\x01CD001\x01") {
        return None;
    }
    let blocks = both(descriptor, 80)?;
    let [l0, l1, b0, b1] = *descriptor.get(128..)?.first_chunk()?;
    let size = u16::from_le_bytes([l0, l1]);
    let agree = size == u16::from_be_bytes([b0, b1]);
    (agree && size.is_power_of_two() && size >= 512).then(|| u64::from(blocks) * u64::from(size))
}

/// Whether nothing is on a disc that begins like this and whose volume ends at `end`, as far as its descriptors say
/// (ECMA-119, 8.1): no root directory has a file, and what a boot record starts lies behind the volume. Linux goes on
/// until it has seen the terminator, through blocks that are none, so one that is not seen may follow a descriptor with files.
/// It counts the blocks of every descriptor in the size that the first one names.
fn is_empty(first: &[u8], end: u64) -> bool {
    const TERMINATOR: u8 = 255;
    let is_iso = |block: &&[u8]| block[1..].starts_with(ISO);
    let blocks = first[MARK as usize - 1..].chunks_exact(BLOCK);
    let mut volume = blocks.clone().take_while(is_iso);
    let Some(count) = volume.position(|block| block[0] == TERMINATOR) else { return false };
    let mut before = blocks.clone().take(count);
    let sizes = |descriptor: &[u8]| descriptor[128..132] == first[MARK as usize + 127..][..4];
    !may_be_udf(first)
        && before.all(|descriptor| match descriptor[0] {
            0 => starts_elsewhere(first, descriptor, end),
            1 | 2 => sizes(descriptor) && has_empty_root(first, descriptor),
            _ => true,
        })
}

/// Whether the descriptors have one of a UDF volume among them or behind them, or do not end in what is at hand. One takes
/// 2048 bytes, or 4096 where blocks are as large (ECMA-167, 2/8.4 and 2/9.1).
fn may_be_udf(first: &[u8]) -> bool {
    let blocks = first[MARK as usize - 1..].chunks_exact(BLOCK);
    let is_udf = |block: &[u8]| UDF.iter().any(|known| block[1..].starts_with(known));
    let known = |block: &[u8]| is_udf(block) || block[1..].starts_with(ISO);
    blocks.clone().any(is_udf)
        || [1, 2].into_iter().any(|step| blocks.clone().step_by(step).all(known))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number in both byte orders, if they agree (ECMA-119, 7.3.3).
fn both(bytes: &[u8], at: usize) -> Option<u32> {
    let big = u32::from_be_bytes(*bytes.get(at + 4..)?.first_chunk()?);
    number(bytes, at).filter(|&little| little == big)
}

/// Whether all that the catalog of a boot record starts lies at or behind `end` (El Torito 1.0, 2.0 to 2.5), such as the
/// EFI system partition.
fn starts_elsewhere(first: &[u8], record: &[u8], end: u64) -> bool {
    const ENTRY: usize = 32;
    const BOOTABLE: u8 = 0x88;
    let catalog = number(record, 0x47)
        .and_then(|block| usize::try_from(block).ok()?.checked_mul(2048))
        .and_then(|at| first.get(at..at.checked_add(2048)?));
    catalog.is_some_and(|catalog| {
        let entries = catalog.chunks_exact(ENTRY).filter(|entry| entry[0] == BOOTABLE);
        let mut starts = entries.filter_map(|entry| Some(u64::from(number(entry, 8)?) * 2048));
        starts.all(|start| start >= end)
    })
}

/// Whether the root directory that a volume descriptor names is there, and has nothing behind the entries of itself and of
/// the one above (ECMA-119, 6.8.2.2 and 9.1). Linux and libarchive take the place of the directory from its first entry, so
/// both entries have to lead where the descriptor does. A longer one could name another place in its system use area
/// (Rock Ridge, `CL`), and an extended attribute record would lie before the directory.
fn has_empty_root(first: &[u8], descriptor: &[u8]) -> bool {
    const RECORD: usize = 34;
    let root = || -> Option<&[u8]> {
        let block = usize::from(u16::from_le_bytes([descriptor[128], descriptor[129]]));
        let begin = usize::try_from(both(descriptor, 158)?).ok()?.checked_mul(block)?;
        let size = usize::try_from(both(descriptor, 166)?).ok()?;
        first.get(begin..begin.checked_add(size)?)
    };
    let leads = |record: &[u8]| record[1] == 0 && record[2..18] == descriptor[158..174];
    let Some((records, rest)) = root().and_then(|root| root.split_at_checked(2 * RECORD)) else {
        return false;
    };
    let mut records = [0, 1].into_iter().zip(records.chunks_exact(RECORD));
    descriptor[157] == 0
        && records.all(|(name, record)| {
            usize::from(record[0]) == RECORD && leads(record) && record[32..34] == [1, name]
        })
        && rest.iter().all(|&byte| byte == 0)
}

/// Says what an optical disc beside a partition table is: a shell before the first partition, or a disc that is a disk as
/// well. Whether it is the latter.
pub(super) fn judge(first: &[u8], partitions: &[Partition], notebook: &Notebook<'_>) -> bool {
    let Some(volume) = Volume::find(first) else { return false };
    let start = partitions.iter().map(|partition| partition.start).min();
    match (volume.end, start) {
        (Some(end), Some(start)) if end <= start && volume.empty => {
            notebook.disk(Code::IsoShell, MARK, format!(
                "The disk begins with an ISO 9660 volume that ends at byte {end}; the first partition begins at byte {start}."
            ));
            false
        }
        _ => {
            notebook.disk(
                Code::IsoHybrid,
                MARK,
                "The disk is an optical disc (ISO 9660, UDF) and has a partition table at once.",
            );
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc(blocks: u32) -> Vec<u8> {
        let mut first = vec![0; 0x11000];
        first[0x8000..0x8007].copy_from_slice(b"\x01CD001\x01");
        first[0x8050..0x8054].copy_from_slice(&blocks.to_le_bytes());
        first[0x8054..0x8058].copy_from_slice(&blocks.to_be_bytes());
        first[0x8080..0x8084].copy_from_slice(&[0, 8, 8, 0]);
        descriptor(&mut first, 17, b"\xffCD001\x01");
        // The root directory is at block 15, before the descriptors.
        for at in [0x8000 + 158, 15 * BLOCK + 2, 15 * BLOCK + 36] {
            first[at..at + 8].copy_from_slice(&[15, 0, 0, 0, 0, 0, 0, 15]);
            first[at + 8..at + 16].copy_from_slice(&[0, 8, 0, 0, 0, 0, 8, 0]);
        }
        for (name, at) in [(0, 15 * BLOCK), (1, 15 * BLOCK + 34)] {
            (first[at], first[at + 32], first[at + 33]) = (34, 1, name);
        }
        first
    }

    fn descriptor(first: &mut [u8], block: usize, begin: &[u8]) {
        first[block * BLOCK..][..begin.len()].copy_from_slice(begin);
    }

    fn judged(first: &[u8], start: u64) -> Vec<Code> {
        let partition = Partition::new(1, start, 512, String::new());
        let notebook = Notebook::new(&|_| false, 1);
        judge(first, &[partition], &notebook);
        notebook.close().iter().map(|anomaly| anomaly.code).collect()
    }

    #[test]
    fn a_volume_before_the_partitions_is_a_shell() {
        assert_eq!(judged(&disc(512), 1 << 20), [Code::IsoShell]);
        assert_eq!(judged(&disc(513), 1 << 20), [Code::IsoHybrid]);
        assert_eq!(judged(&disc(512), 0), [Code::IsoHybrid]);
        let mut first = disc(512);
        first[0x8057] = 7;
        assert_eq!(judged(&first, 1 << 20), [Code::IsoHybrid]);
        first[0x8001] = b'X';
        assert_eq!(judged(&first, 1 << 20), []);
    }

    #[test]
    fn a_shell_has_neither_files_nor_a_boot_image() {
        let mut first = disc(512);
        assert_eq!(judged(&first, 1 << 20), [Code::IsoShell]);
        // The catalog is at block 21.
        descriptor(&mut first, 17, b"\0CD001\x01");
        descriptor(&mut first, 18, b"\xffCD001\x01");
        first[0x8847] = 21;
        first[0xa820] = 0x88;
        first[0xa828..0xa82c].copy_from_slice(&512u32.to_le_bytes());
        assert_eq!(judged(&first, 1 << 20), [Code::IsoShell]);
        let mut boots = first.clone();
        boots[0xa828..0xa82c].copy_from_slice(&511u32.to_le_bytes());
        assert_eq!(judged(&boots, 1 << 20), [Code::IsoHybrid]);
        // Something behind the two entries; other places by an extended attribute record, by either entry, in one of the
        // byte orders, or in a system use area; another size; a directory that is not seen.
        let root = 15 * BLOCK;
        for (at, byte) in [
            (root + 68, 40),
            (0x809d, 1),
            (root + 1, 1),
            (root + 2, 21),
            (root + 10, 1),
            (root + 36, 21),
            (0x80a5, 21),
            (root, 35),
            (0x80a7, 0),
            (0x809e, 0xff),
        ] {
            let mut other = first.clone();
            other[at] = byte;
            assert_eq!(judged(&other, 1 << 20), [Code::IsoHybrid], "{at:#x}");
        }
    }

    #[test]
    fn every_descriptor_counts_blocks_of_one_size() {
        let mut first = disc(512);
        let primary = first[0x8000..0x8800].to_vec();
        descriptor(&mut first, 17, &primary);
        first[17 * BLOCK] = 2;
        descriptor(&mut first, 18, b"\xffCD001\x01");
        assert_eq!(judged(&first, 1 << 20), [Code::IsoShell]);
        // The root directory of blocks of 1024 bytes is elsewhere to whoever counts in 2048.
        first[17 * BLOCK + 128..17 * BLOCK + 132].copy_from_slice(&[0, 4, 4, 0]);
        assert_eq!(judged(&first, 1 << 20), [Code::IsoHybrid]);
    }

    #[test]
    fn descriptors_that_are_not_all_seen_are_not_known_to_be_empty() {
        let shell = disc(512);
        // Without its terminator, behind a gap, and farther than what is looked at.
        let mut open = shell.clone();
        open[17 * BLOCK + 1] = 0;
        assert_eq!(judged(&open, 1 << 20), [Code::IsoHybrid]);
        descriptor(&mut open, 18, b"\xffCD001\x01");
        assert_eq!(judged(&open, 1 << 20), [Code::IsoHybrid]);
        let mut long = shell.clone();
        (17..34).for_each(|block| descriptor(&mut long, block, b"\x03CD001\x01"));
        assert_eq!(judged(&long, 1 << 20), [Code::IsoHybrid]);
        // A UDF volume may follow in blocks of either size, or where nobody looked.
        for (block, mark) in [(18, b"BEA01"), (19, b"NSR02"), (20, b"NSR03"), (33, b"TEA01")] {
            let mut udf = shell.clone();
            descriptor(&mut udf, block, &[b"\0", &mark[..]].concat());
            assert_eq!(judged(&udf, 1 << 20), [Code::IsoHybrid], "{block}");
        }
        for step in [1, 2] {
            let mut long = shell.clone();
            for block in (18..34).step_by(step) {
                descriptor(&mut long, block, b"\xffCD001\x01");
            }
            assert_eq!(judged(&long, 1 << 20), [Code::IsoHybrid], "{step}");
            long[32 * BLOCK + 1] = 0;
            assert_eq!(judged(&long, 1 << 20), [Code::IsoShell], "{step}");
        }
    }
}
