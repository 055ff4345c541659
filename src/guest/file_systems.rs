//! File systems that take all of a disk: their marks, where they end, and what one means beside a partition table.
//!
//! The marks and fields are those of libblkid 2.41 (`superblocks/`). A superblock ends the file system where the disk of
//! it ended; it is believed only to tell one that reaches into a partition from one that does not.

use super::signatures::{BLKID, BOTH, LIBMAGIC, is_volume_boot_record};
use super::{Partition, mbr};
use crate::facts::{Code, Known, Mark, Notebook};

/// Where a file system says that it ends.
#[derive(Clone, Copy, Debug)]
pub struct FileSystem(End);

impl FileSystem {
    /// Whether it is known by the first sector, which would be that of the partition table as well.
    #[must_use]
    pub fn is_boot_sector(&self) -> bool {
        matches!(self.0, End::BootSector)
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    /// The first sector is its boot sector. Beside a partition table that is an anomaly of its own.
    BootSector,
    /// At the disk offset that its superblock names. The number is where its mark was found.
    Named(fn(&[u8], usize) -> Option<u64>),
    /// tidegate does not read it.
    Unknown,
}

const BOOT_SECTOR: FileSystem = FileSystem(End::BootSector);
const UNKNOWN: FileSystem = FileSystem(End::Unknown);

const fn named(end: fn(&[u8], usize) -> Option<u64>) -> FileSystem {
    FileSystem(End::Named(end))
}

/// What a disc for Macs has as well.
const APPLE_HFS: &str = "an HFS or HFS+ file system";

/// Disk offset of the superblock of most file systems of Linux.
const SUPER: usize = 1024;

/// Every file system that is known by a mark in the first 68 KiB of a disk.
pub const FILE_SYSTEMS: &[Known<FileSystem>] = &[
    Known::new("an NTFS file system", BOTH, &[Mark::At(3, b"NTFS    ")], BOOT_SECTOR),
    Known::new("an exFAT file system", BOTH, &[Mark::At(3, b"EXFAT   ")], BOOT_SECTOR),
    Known::new("a ReFS file system", BOTH, &[Mark::At(3, b"ReFS\0")], UNKNOWN),
    Known::new("an XFS file system", BOTH, &[Mark::At(0, b"XFSB")], named(xfs)),
    Known::new("a btrfs file system", BOTH, &[Mark::At(0x10040, b"_BHRfS_M")], named(btrfs)),
    Known::new(
        "a squashfs file system",
        BOTH,
        &[Mark::At(0, b"hsqs"), Mark::At(0, b"sqsh")],
        named(squashfs),
    ),
    Known::new(
        "an EROFS file system",
        BOTH,
        &[Mark::At(SUPER, b"\xe2\xe1\xf5\xe0")],
        named(|first, _| blocks(number(first, SUPER + 36)?, *first.get(SUPER + 12)?)),
    ),
    Known::new(
        "an F2FS file system",
        BOTH,
        &[Mark::At(SUPER, b"\x10\x20\xf5\xf2")],
        named(|first, _| {
            blocks(long(first, SUPER + 36)?, u8::try_from(number(first, SUPER + 16)?).ok()?)
        }),
    ),
    Known::new(
        "a bcachefs file system",
        BOTH,
        &[Mark::At(0x1018, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef")],
        UNKNOWN,
    ),
    Known::new(
        "an APFS container",
        BLKID,
        &[Mark::At(32, b"NXSB")],
        named(|first, _| long(first, 40)?.checked_mul(number(first, 36)?)),
    ),
    Known::new(
        APPLE_HFS,
        BOTH,
        &[Mark::Rule("BD, H+ or HX at 1024, with a version of theirs", hfs)],
        UNKNOWN,
    ),
    Known::new(
        "Linux swap space",
        BOTH,
        &[Mark::Rule(
            "SWAPSPACE2, SWAP-SPACE, S1SUSPEND, S2SUSPEND, ULSUSPEND or LINHIB0001, 10 bytes before the end of a page of 4 to 64 KiB; ed c3 02 e9 98 56 e5 0c at 0",
            swap,
        )],
        named(swap_end),
    ),
    Known::new("a JFS file system", BOTH, &[Mark::At(0x8000, b"JFS1")], UNKNOWN),
    Known::new(
        "a ReiserFS file system",
        BOTH,
        &[
            Mark::At(0x10034, b"ReIsEr"),
            Mark::At(0x2034, b"ReIsErFs"),
            Mark::At(0x2014, b"ReIsErFs"),
            Mark::At(0x10000, b"ReIsEr4"),
        ],
        UNKNOWN,
    ),
    Known::new("a GFS file system", BOTH, &[Mark::At(0x10000, b"\x01\x16\x19\x70")], UNKNOWN),
    Known::new(
        "an OCFS2 file system",
        BLKID,
        &[
            Mark::At(0x400, b"OCFSV2"),
            Mark::At(0x800, b"OCFSV2"),
            Mark::At(0x1000, b"OCFSV2"),
            Mark::At(0x2000, b"OCFSV2"),
        ],
        UNKNOWN,
    ),
    Known::new(
        "a UFS file system",
        BOTH,
        &[Mark::Rule(
            "00 01 19 54, 19 54 01 19, 00 19 56 12, 00 09 50 14, 00 61 21 95 or 05 23 19 94, in either byte order, at 1372, 9564 or 66908",
            ufs,
        )],
        UNKNOWN,
    ),
    Known::new(
        "a BeFS file system",
        BOTH,
        &[
            Mark::At(32, b"1SFB"),
            Mark::At(512 + 32, b"1SFB"),
            Mark::At(32, b"BFS1"),
            Mark::At(512 + 32, b"BFS1"),
        ],
        UNKNOWN,
    ),
    Known::new(
        "a HAMMER file system",
        LIBMAGIC,
        &[
            Mark::At(0, b"\x31\x30\x52\xc5\x4d\x4d\x41\xc8"),
            Mark::At(0, b"\x11\x20\x17\x05\x32\x4d\x41\x48"),
        ],
        UNKNOWN,
    ),
    Known::new(
        "a cramfs file system",
        BOTH,
        &[
            Mark::At(0, b"\x45\x3d\xcd\x28"),
            Mark::At(0, b"\x28\xcd\x3d\x45"),
            Mark::At(512, b"\x45\x3d\xcd\x28"),
            Mark::At(512, b"\x28\xcd\x3d\x45"),
        ],
        UNKNOWN,
    ),
    Known::new(
        "an OCFS file system",
        BOTH,
        &[Mark::At(8, b"OracleCFS"), Mark::At(0x2000, b"OracleCFS")],
        UNKNOWN,
    ),
    Known::new("a Files-11 file system", LIBMAGIC, &[Mark::At(1008, b"DECFILE11")], UNKNOWN),
    Known::new(
        "a romfs file system",
        BOTH,
        &[Mark::At(0, b"-rom1fs-")],
        named(|first, _| Some(u32::from_be_bytes(*first.get(8..)?.first_chunk()?).into())),
    ),
    Known::new("a UBIFS file system", BOTH, &[Mark::At(0, b"\x31\x18\x10\x06")], UNKNOWN),
    Known::new("a zonefs file system", BLKID, &[Mark::At(0, b"SFOZ")], UNKNOWN),
    Known::new("an mpool", BLKID, &[Mark::At(0, b"mpoolDev")], UNKNOWN),
    Known::new("an exfs file system", BLKID, &[Mark::At(0, b"EXFS")], UNKNOWN),
    Known::new("an SCO boot file system", BLKID, &[Mark::At(0, b"\xce\xfa\xad\x1b")], UNKNOWN),
    Known::new("an HPFS file system", BLKID, &[Mark::At(0x2000, b"\x49\xe8\x95\xf9")], UNKNOWN),
    Known::new(
        "a Veritas file system",
        BOTH,
        &[Mark::At(0x400, b"\xf5\xfc\x01\xa5"), Mark::At(0x2000, b"\xa5\x01\xfc\xf5")],
        UNKNOWN,
    ),
    Known::new("a NetWare volume", BLKID, &[Mark::At(0x1000, b"SPB5")], UNKNOWN),
    Known::new("a ScoutFS file system", BLKID, &[Mark::At(0x10004, b"\x8b\x42\x3c\x10")], UNKNOWN),
    Known::new(
        "a Xenix file system",
        BLKID,
        &[Mark::At(0x800, b"\x2b\x55\x44"), Mark::At(0x800, b"\x44\x55\x2b")],
        UNKNOWN,
    ),
    Known::new(
        "a System V file system",
        BLKID,
        &[Mark::Rule("fd 18 7e 20 in either byte order at 1016, 10232, 16376 or 19448", system_v)],
        UNKNOWN,
    ),
    Known::new(
        "an ext2, ext3 or ext4 file system",
        BOTH,
        &[Mark::Rule("53 ef at 1080, and fields that fit", ext)],
        named(ext_end),
    ),
    Known::new(
        "a Minix file system",
        BOTH,
        &[Mark::Rule(
            "137f, 138f, 2468 or 2478 at 1040 or 4d5a at 1048, in either byte order, and fields that fit",
            |first| Some(minix(first)?.0),
        )],
        named(|first, _| Some(minix(first)?.1)),
    ),
    Known::new(
        "a NILFS2 file system",
        BOTH,
        &[Mark::Rule("34 34 at 1030, and fields that fit", nilfs)],
        named(|first, _| long(first, SUPER + 32)),
    ),
    Known::new(
        "a FAT file system",
        BOTH,
        &[Mark::Rule("a jump, then a BIOS parameter block", |first| {
            is_volume_boot_record(first).then_some(0)
        })],
        BOOT_SECTOR,
    ),
];

/// Writes down the file systems that a disk with a partition table has the marks of. Linux mounts each of them from the first
/// byte of the disk, and libblkid, wipefs and udev name it; of several, libblkid names none. A disc for Macs has HFS+
/// as well, which is known for a disc that is a disk as well.
pub(super) fn judge(
    first: &[u8],
    is_disc: bool,
    partitions: &[Partition],
    notebook: &Notebook<'_>,
) {
    let all = FILE_SYSTEMS.iter().filter(|known| !(is_disc && known.what == APPLE_HFS));
    let found: Vec<_> = all.filter_map(|known| Some((known, known.find(first)?))).collect();
    let is_volume = mbr::is_volume(first);
    let others = found.iter().filter(|(known, _)| !known.is.is_boot_sector());
    let count = others.clone().count() + usize::from(is_volume);
    for &(known, at) in others {
        let end = match known.is.0 {
            End::Named(end) => end(first, at),
            End::BootSector | End::Unknown => None,
        };
        let reached = partitions.iter().find(|there| end.is_none_or(|end| there.start < end));
        let said = format!(
            "The disk has a partition table, and is {} by the mark at byte {at}",
            known.what
        );
        let (code, said) = match (reached, end) {
            (Some(there), Some(end)) => (
                Code::DiskFileSystem,
                format!(
                    "{said}, which ends at byte {end}; partition {} begins at byte {}.",
                    there.number, there.start
                ),
            ),
            (Some(_), None) => (Code::DiskFileSystem, format!("{said}.")),
            (None, _) if count > 1 => (
                Code::DiskFileSystem,
                format!(
                    "{said}; libblkid names none of {count} file systems, and then no partition table."
                ),
            ),
            (None, _) => {
                (Code::DiskFileSystemLeftOver, format!("{said}, which reaches into no partition."))
            }
        };
        notebook.disk(code, at as u64, said);
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into())
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The bytes of `count` blocks of so many bits.
fn blocks(count: u64, bits: u8) -> Option<u64> {
    count.checked_mul(1u64.checked_shl(bits.into())?)
}

fn xfs(first: &[u8], _: usize) -> Option<u64> {
    let size = u32::from_be_bytes(*first.get(4..)?.first_chunk()?);
    u64::from_be_bytes(*first.get(8..)?.first_chunk()?).checked_mul(size.into())
}

fn btrfs(first: &[u8], _: usize) -> Option<u64> {
    long(first, 0x10000 + 112)
}

/// Of version 4, the only one that Linux reads today.
fn squashfs(first: &[u8], _: usize) -> Option<u64> {
    let is_4 = first.starts_with(b"hsqs") && first.get(28..30)? == b"\x04\0";
    long(first, 40).filter(|_| is_4)
}

/// Two bytes are no mark, so the fields that have few values have to have one of them: state, errors, revision, block
/// size (libblkid's `ext_get_super`, Linux's `ext4_load_super`).
fn ext(first: &[u8]) -> Option<usize> {
    let mark = first.get(SUPER + 56..)?.starts_with(b"\x53\xef");
    let inodes = number(first, SUPER)?;
    let blocks = number(first, SUPER + 4)?;
    let block_size = number(first, SUPER + 24)?;
    let revision = number(first, SUPER + 76)?;
    (mark && inodes > 0 && blocks > 0 && block_size <= 6 && revision <= 1).then_some(SUPER + 56)
}

fn ext_end(first: &[u8], _: usize) -> Option<u64> {
    const IS_64_BIT: u64 = 0x80;
    let high = match number(first, SUPER + 96)? & IS_64_BIT {
        0 => 0,
        _ => number(first, SUPER + 336)? << 32,
    };
    blocks(high | number(first, SUPER + 4)?, 10 + u8::try_from(number(first, SUPER + 24)?).ok()?)
}

/// HFS, HFS+ and HFSX, by their versions or the size of a block.
fn hfs(first: &[u8]) -> Option<usize> {
    const HEADER: usize = 1024;
    let header = first.get(HEADER..HEADER + 44)?;
    let is = match header {
        [b'H', b'+', 0, 4, ..] | [b'H', b'X', 0, 5, ..] => true,
        // The size of an allocation block is a multiple of 512.
        [b'B', b'D', ..] => {
            let size = u32::from_be_bytes(*header[20..].first_chunk()?);
            size > 0 && size.is_multiple_of(512)
        }
        _ => false,
    };
    is.then_some(HEADER)
}

/// Bytes before the end of a page at which the mark of swap space begins.
const SWAP_MARK: usize = 10;

/// Swap space, and a system that sleeps in it.
fn swap(first: &[u8]) -> Option<usize> {
    const MARKS: [&[u8]; 6] =
        [b"SWAPSPACE2", b"SWAP-SPACE", b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"];
    const TUX_ON_ICE: &[u8] = b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c";
    let mut pages = (12..=16).map(|bits| (1 << bits) - SWAP_MARK);
    let marked = |at: &usize| {
        first.get(*at..).is_some_and(|rest| MARKS.iter().any(|mark| rest.starts_with(mark)))
    };
    if first.starts_with(TUX_ON_ICE) { Some(0) } else { pages.find(marked) }
}

/// The header behind a boot sector counts pages from 0 (`union swap_header` in `include/linux/swap.h`).
fn swap_end(first: &[u8], at: usize) -> Option<u64> {
    let version = first.get(SUPER..)?.first_chunk()?;
    let last = *first.get(SUPER + 4..)?.first_chunk()?;
    let last = match *version {
        [1, 0, 0, 0] => u32::from_le_bytes(last),
        [0, 0, 0, 1] => u32::from_be_bytes(last),
        _ => return None,
    };
    (u64::from(last) + 1).checked_mul((at + SWAP_MARK) as u64)
}

fn ufs(first: &[u8]) -> Option<usize> {
    const MARKS: [u32; 6] =
        [0x0001_1954, 0x1954_0119, 0x0019_5612, 0x0009_5014, 0x0061_2195, 0x0523_1994];
    either(first, &[1372, 0x2000 + 1372, 0x10000 + 1372], &MARKS)
}

fn system_v(first: &[u8]) -> Option<usize> {
    const MAGIC: usize = 504;
    let places = [0, 9, 15, 18].map(|block| block * 1024 + 512 + MAGIC);
    either(first, &places, &[0xfd18_7e20])
}

/// The first of the places at which one of these numbers is, in either byte order.
fn either(first: &[u8], places: &[usize], numbers: &[u32]) -> Option<usize> {
    let is = |bytes: &[u8; 4]| {
        let both = [u32::from_le_bytes(*bytes), u32::from_be_bytes(*bytes)];
        numbers.iter().any(|number| both.contains(number))
    };
    let found = |at: &usize| first.get(*at..).and_then(<[u8]>::first_chunk).is_some_and(is);
    places.iter().copied().find(found)
}

/// Where the mark is, and where the file system ends. Two bytes are no mark, so the maps have to hold all inodes and zones,
/// as libblkid and `fsck.minix` ask for.
fn minix(first: &[u8]) -> Option<(usize, u64)> {
    const BITS: u64 = 1024 * 8;
    const OLD: usize = SUPER + 16;
    const NEW: usize = SUPER + 24;
    let block = first.get(SUPER..SUPER + 32)?;
    let is = |at: usize, marks: &[u16]| -> Option<bool> {
        let bytes = *first[at..].first_chunk()?;
        let read = [u16::from_le_bytes(bytes), u16::from_be_bytes(bytes)];
        // Whether the bytes are in the order of a machine of today.
        read.iter().position(|mark| marks.contains(mark)).map(|order| order == 0)
    };
    let old = is(OLD, &[0x137f, 0x138f, 0x2468, 0x2478]);
    let little = old.or_else(|| is(NEW, &[0x4d5a]))?;
    let number = |at: usize, len: usize| {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let bytes = &block[at..at + len];
        if little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
    };
    let is_1 = old.is_some() && matches!(number(16, 2), 0x137f | 0x138f);
    let (at, inodes, zones, maps, zone_bits) = match old {
        Some(_) if number(18, 2) & !3 != 0 => return None,
        Some(_) => {
            (OLD, number(0, 2), if is_1 { number(2, 2) } else { number(20, 4) }, 4, number(10, 2))
        }
        None => (NEW, number(0, 4), number(20, 4), 6, number(12, 2)),
    };
    let size = if old.is_some() { 1024 } else { number(28, 2) };
    let (inode_maps, zone_maps, data) = (number(maps, 2), number(maps + 2, 2), number(maps + 4, 2));
    let is_ext = first.get(SUPER + 56..)?.starts_with(b"\x53\xef");
    let fits = zone_bits == 0
        && !is_ext
        && inodes > 0
        && inodes < u64::from(u32::MAX)
        && inode_maps * BITS > inodes
        && data <= zones
        && zone_maps * BITS > zones - data;
    fits.then_some((at, zones * size))
}

/// Two bytes are no mark, so the revision, the length of the superblock and the size of a block have to fit.
fn nilfs(first: &[u8]) -> Option<usize> {
    let block = first.get(SUPER..SUPER + 24)?;
    let len = u16::from_le_bytes([block[8], block[9]]);
    let fits = block.starts_with(b"\x02\0\0\0") && (20..=1024).contains(&len) && block[20] <= 6;
    (block[6..8] == *b"\x34\x34" && fits).then_some(SUPER + 6)
}
