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
    let little: [u8; 4] = *descriptor.get(80..)?.first_chunk()?;
    let big: [u8; 4] = *descriptor.get(84..)?.first_chunk()?;
    let [l0, l1, b0, b1] = *descriptor.get(128..)?.first_chunk()?;
    let (blocks, size) = (u32::from_le_bytes(little), u16::from_le_bytes([l0, l1]));
    let agree = blocks == u32::from_be_bytes(big) && size == u16::from_be_bytes([b0, b1]);
    (agree && size.is_power_of_two() && size >= 512).then(|| u64::from(blocks) * u64::from(size))
}

/// Whether nothing is on a disc that begins like this and whose volume ends at `end`, as far as its descriptors say
/// (ECMA-119, 8.1): no root directory has a file, and what a boot record starts lies behind the volume. Linux goes on
/// until it has seen the terminator, through blocks that are none, so one that is not seen may follow a descriptor with files.
fn is_empty(first: &[u8], end: u64) -> bool {
    const TERMINATOR: u8 = 255;
    let is_iso = |block: &&[u8]| block[1..].starts_with(ISO);
    let blocks = first[MARK as usize - 1..].chunks_exact(BLOCK);
    let mut volume = blocks.clone().take_while(is_iso);
    let Some(count) = volume.position(|block| block[0] == TERMINATOR) else { return false };
    let mut before = blocks.take(count);
    !may_be_udf(first)
        && before.all(|descriptor| match descriptor[0] {
            0 => starts_elsewhere(first, descriptor, end),
            1 | 2 => has_empty_root(first, descriptor),
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
/// the one above (ECMA-119, 6.8.2.2 and 9.1). Others begin with the length of their record.
fn has_empty_root(first: &[u8], descriptor: &[u8]) -> bool {
    let root = || -> Option<&[u8]> {
        let block = usize::from(u16::from_le_bytes([descriptor[128], descriptor[129]]));
        let begin = usize::try_from(number(descriptor, 158)?).ok()?.checked_mul(block)?;
        let size = usize::try_from(number(descriptor, 166)?).ok()?;
        first.get(begin..begin.checked_add(size)?)
    };
    let Some(root) = root() else { return false };
    if root.is_empty() {
        return true;
    }
    let mut at = 0;
    for name in [0, 1] {
        let Some(&[length, ..]) = root.get(at..) else { return false };
        let record = root.get(at..at + usize::from(length));
        if record.is_none_or(|record| record.get(32..34) != Some(&[1, name])) {
            return false;
        }
        at += usize::from(length);
    }
    root[at..].iter().all(|&byte| byte == 0)
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
        first
    }

    fn descriptor(first: &mut [u8], block: usize, begin: &[u8]) {
        first[block * BLOCK..][..begin.len()].copy_from_slice(begin);
    }

    fn judged(first: &[u8], start: u64) -> Vec<Code> {
        let partition =
            Partition { number: 1, start, size: 512, kind: String::new(), name: String::new() };
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
        // The root directory is at block 20, the catalog at block 21.
        first[0x809e..0x80a2].copy_from_slice(&20u32.to_le_bytes());
        first[0x80a6..0x80aa].copy_from_slice(&2048u32.to_le_bytes());
        for (at, name) in [(0xa000, 0), (0xa022, 1)] {
            (first[at], first[at + 32], first[at + 33]) = (34, 1, name);
        }
        assert_eq!(judged(&first, 1 << 20), [Code::IsoShell]);
        descriptor(&mut first, 17, b"\0CD001\x01");
        descriptor(&mut first, 18, b"\xffCD001\x01");
        first[0x8847] = 21;
        first[0xa820] = 0x88;
        first[0xa828..0xa82c].copy_from_slice(&512u32.to_le_bytes());
        assert_eq!(judged(&first, 1 << 20), [Code::IsoShell]);
        let mut boots = first.clone();
        boots[0xa828..0xa82c].copy_from_slice(&511u32.to_le_bytes());
        assert_eq!(judged(&boots, 1 << 20), [Code::IsoHybrid]);
        let mut filled = first.clone();
        filled[0xa044] = 40;
        assert_eq!(judged(&filled, 1 << 20), [Code::IsoHybrid]);
        // A directory that is not seen is not known to be empty.
        first[0x809e] = 0xff;
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
