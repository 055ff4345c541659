//! The marks of what lies at the beginning of a disk: partition maps that a Droplet does not read, and volumes that are a
//! part of something larger. Those of file systems are beside it.
//!
//! The marks are those of libblkid 2.41 (`superblocks/`, `partitions/`); most are in libmagic too.

use super::ends::is_metadata_1;
use super::file_systems::FILE_SYSTEMS;
use super::{SECTOR, luks, zfs};
use crate::facts::{Known, Mark};

/// What a mark says of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signature {
    /// Another partition map than MBR and GPT.
    Map,
    /// All of the disk is a part of something larger, which a system may assemble by itself.
    Member,
}

use Signature::{Map, Member};

pub(super) const BLKID: &str = "libblkid";
pub(super) const LIBMAGIC: &str = "libmagic";
pub(super) const BOTH: &str = "libblkid, libmagic";
const PARTED: &str = "parted, libblkid, libmagic";

/// What an optical disc for Macs has as well, beside its MBR.
pub(super) const APPLE: &str = "an Apple partition map";

/// Maps and volumes that are known by a mark in the first 68 KiB of a disk.
pub const SIGNATURES: &[Known<Signature>] = &[
    Known::new(
        "an LVM physical volume",
        BOTH,
        &[
            Mark::At(0x018, b"LVM2 001"),
            Mark::At(0x218, b"LVM2 001"),
            Mark::At(0x418, b"LVM2 001"),
            Mark::At(0x618, b"LVM2 001"),
            Mark::At(0, b"HM\x01\0"),
            Mark::At(0, b"HM\x02\0"),
        ],
        Member,
    ),
    Known::new(
        "a member of a Linux RAID",
        BOTH,
        &[Mark::Rule(
            "fc 4e 2b a9 01 00 00 00 at 0 or 4096, and the number of that sector 144 bytes behind it",
            md,
        )],
        Member,
    ),
    Known::new(
        "a bcache device",
        BOTH,
        &[Mark::At(0x1018, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81")],
        Member,
    ),
    Known::new(
        "a member of a ZFS pool",
        BLKID,
        &[Mark::Rule(
            "01, 00 or 01, 00 00 00 00 00 00 00 00 00 01 00 00 00 24 00 00 00 20 00 00 00 07 and \"version\" at 16384; beside a partition table also at 278528, or four uberblocks of both labels",
            zfs::first_label,
        )],
        Member,
    ),
    Known::new("a LUKS volume", BOTH, &[Mark::At(0, b"LUKS\xba\xbe")], Member),
    Known::new(
        "a LUKS volume, by its second header",
        BLKID,
        &[Mark::Rule(
            "53 4b 55 4c ba be at 16384, 32768 or 65536, and no other place 256 bytes behind it; beside a partition table also at 128, 256 and 512 KiB, 1, 2 and 4 MiB",
            luks::near,
        )],
        Member,
    ),
    Known::new(
        "a BitLocker volume",
        BLKID,
        &[
            Mark::At(3, b"-FVE-FS-"),
            Mark::Rule(
                "eb 58 90 4d 53 57 49 4e 34 2e 31 at 0, and at 440 a place that is a multiple of 64",
                to_go,
            ),
        ],
        Member,
    ),
    Known::new(
        "a FileVault volume",
        BLKID,
        &[Mark::Rule("CS at 88, with version 1 and its kind of check sum", file_vault)],
        Member,
    ),
    Known::new(
        "a Stratis device",
        BLKID,
        &[
            Mark::At(516, b"!Stra0tis\x86\xff\x02^\x41rh"),
            Mark::At(4612, b"!Stra0tis\x86\xff\x02^\x41rh"),
        ],
        Member,
    ),
    Known::new("a VDO volume", BLKID, &[Mark::At(0, b"dmvdo001")], Member),
    Known::new("a hash tree of dm-verity", BLKID, &[Mark::At(0, b"verity\0\0")], Member),
    Known::new("a dm-integrity volume", BLKID, &[Mark::At(0, b"integrt\0")], Member),
    Known::new("an LVM snapshot store", BOTH, &[Mark::At(0, b"SnAp")], Member),
    Known::new("a Ceph block device", BLKID, &[Mark::At(0, b"bluestore block device")], Member),
    Known::new(
        "an Oracle ASM volume",
        BOTH,
        &[Mark::At(32, b"ORCLDISK"), Mark::At(32, b"ORCLCLRD")],
        Member,
    ),
    Known::new(
        "a DRBD device",
        BLKID,
        &[Mark::At(0, b"$DRBDmgr=q"), Mark::At(0, b"DRBDdlh*")],
        Member,
    ),
    Known::new("a UBI volume", BOTH, &[Mark::At(0, b"UBI#")], Member),
    Known::new(
        "a Highpoint RAID member",
        BLKID,
        &[Mark::At(4640, b"\xf0\x16\x78\x5a"), Mark::At(4640, b"\xfd\x16\x78\x5a")],
        Member,
    ),
    Known::new("a loop label of parted", "parted", &[Mark::At(0, b"GNU Parted Loopback 0")], Map),
    Known::new(
        APPLE,
        PARTED,
        &[Mark::Rule(
            "ER at 0, then PM or TS at the sector size that it names, or at 512 to 16384 bytes by doubling",
            apple,
        )],
        Map,
    ),
    Known::new(
        "a BSD disklabel",
        PARTED,
        &[
            Mark::At(512, b"\x57\x45\x56\x82"),
            Mark::At(64, b"\x57\x45\x56\x82"),
            Mark::At(128, b"\x57\x45\x56\x82"),
        ],
        Map,
    ),
    Known::new(
        "a Sun disk label",
        PARTED,
        &[Mark::Rule("da be at 508, and the sum of its words is 0", sun)],
        Map,
    ),
    Known::new("an SGI disk label", PARTED, &[Mark::At(0, b"\x0b\xe5\xa9\x41")], Map),
    Known::new(
        "an Amiga partition map",
        "parted, libmagic, Linux",
        &[Mark::Rule("RDSK or PART in one of the first 16 sectors", amiga)],
        Map,
    ),
    Known::new(
        "a PC-98 partition table",
        "parted",
        &[Mark::Rule("IPL1, Linux 98 or GRUB/98 at 4, and 55 aa at 510", pc98)],
        Map,
    ),
    Known::new(
        // "Eesox" and a NUL, each byte combined with one of the maker's name.
        "an EESOX partition map",
        "Linux",
        &[Mark::At(7 * 512, b"\x0b\0\x1a\x03\x58\x43")],
        Map,
    ),
    Known::new("an AIX disk label", "parted, libblkid", &[Mark::At(0, b"\xc9\xc2\xd4\xc1")], Map),
    Known::new(
        "a DASD label",
        BLKID,
        &[Mark::Rule(
            "VOL1, LNX1 or CMS1 in EBCDIC at the third block of 512 to 4096 bytes, or 8 behind it",
            dasd,
        )],
        Map,
    ),
    Known::new(
        "an Ultrix disk label",
        BLKID,
        &[Mark::At(16384 - 72, b"\x57\x29\x03\0\x01\0\0\0")],
        Map,
    ),
    Known::new("a UnixWare disk label", BLKID, &[Mark::At(29 * 512 + 4, b"\x0d\x60\xe5\xca")], Map),
    Known::new(
        "a NeXT disk label",
        LIBMAGIC,
        &[Mark::At(0, b"NeXT"), Mark::At(0, b"dlV1"), Mark::At(0, b"dlV2")],
        Map,
    ),
];

/// What lies at the beginning of a disk that has no partition table.
pub(super) enum Beginning {
    /// This.
    Known(&'static str),
    /// Nothing that is known.
    Unknown,
}

/// Says what the first 68 KiB of a disk are.
pub(super) fn beginning(first: &[u8]) -> Beginning {
    let signatures = SIGNATURES.iter().map(|known| (known.what, known.find(first)));
    let file_systems = FILE_SYSTEMS.iter().map(|known| (known.what, known.find(first)));
    if let Some((what, _)) = signatures.chain(file_systems).find(|(_, at)| at.is_some()) {
        return Beginning::Known(what);
    }
    let sector = &first[..first.len().min(SECTOR as usize)];
    if first.len() < SECTOR as usize {
        Beginning::Known("less than one sector")
    } else if first.iter().all(|&b| b == 0) {
        Beginning::Known("nothing but zeros")
    } else if sector.ends_with(b"\x55\xaa") {
        Beginning::Known("a boot sector without usable partitions")
    } else {
        Beginning::Unknown
    }
}

/// The volumes that a disk claims to be a part of, and where.
pub(super) fn members(first: &[u8]) -> impl Iterator<Item = (&'static str, u64)> {
    let members = SIGNATURES.iter().filter(|known| known.is == Member);
    members.filter_map(|known| Some((known.what, known.find(first)? as u64)))
}

/// The other maps that a disk has the marks of, who looks for them, and where the marks are.
pub(super) fn maps(first: &[u8]) -> impl Iterator<Item = (&'static Known<Signature>, u64)> {
    let maps = SIGNATURES.iter().filter(|known| known.is == Map);
    maps.filter_map(|known| Some((known, known.find(first)? as u64)))
}

/// Whether the bytes look compressed or encrypted: nearly eight bits of entropy in each.
pub(super) fn is_dense(first: &[u8]) -> bool {
    const FEWEST: usize = 2048;
    let mut counts = [0u32; 256];
    first.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let all = first.len() as f64;
    let bits: f64 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / all)
        .map(|share| -share * share.log2())
        .sum();
    first.len() >= FEWEST && bits > 7.5
}

/// A superblock of metadata 1.1 or 1.2 in a partition names another place.
fn md(first: &[u8]) -> Option<usize> {
    let is = |at: &usize| first.get(*at..).is_some_and(|block| is_metadata_1(block, *at as u64));
    [0, 4096].into_iter().find(is)
}

/// BitLocker To Go begins as a FAT volume of Windows 98 does, and leads to its metadata (`superblocks/bitlocker.c`). No
/// disk is as large as 2^48 bytes.
fn to_go(first: &[u8]) -> Option<usize> {
    let place = u64::from_le_bytes(*first.get(440..)?.first_chunk()?);
    let leads = place > 0 && place.is_multiple_of(64) && place < 1 << 48;
    (first.starts_with(b"\xeb\x58\x90MSWIN4.1") && leads).then_some(0)
}

/// Two bytes are no mark, so two fields have to have the one value that is known (`superblocks/cs_fvault2.c`).
fn file_vault(first: &[u8]) -> Option<usize> {
    let mark = first.get(88..)?.starts_with(b"CS\x01\0\0\0");
    (mark && first[8..].starts_with(b"\x01\0")).then_some(88)
}

/// The sectors may be larger than those that the map is written for, so libparted looks at every power of two of them
/// (`_disk_analyse_ghost_size` in `libparted/labels/mac.c`).
fn apple(first: &[u8]) -> Option<usize> {
    let rest = first.strip_prefix(b"ER")?;
    let size = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
    let map = |at: usize| {
        first.get(at..).is_some_and(|entry| entry.starts_with(b"PM") || entry.starts_with(b"TS"))
    };
    let mut sizes = (0..6).map(|doubled| (SECTOR as usize) << doubled);
    (map(size) || sizes.any(map)).then_some(0)
}

/// The end of the sector is an MBR's, so boot loaders are told apart (`pc98_probe` in `libparted/labels/pc98.c`).
fn pc98(first: &[u8]) -> Option<usize> {
    const LOADERS: [&[u8]; 3] = [b"IPL1", b"Linux 98", b"GRUB/98 "];
    let sector = first.get(..SECTOR as usize)?;
    let loads = LOADERS.iter().any(|loader| sector[4..].starts_with(loader));
    (loads && sector.ends_with(b"\x55\xaa")).then_some(4)
}

fn sun(first: &[u8]) -> Option<usize> {
    let label = first.get(..SECTOR as usize)?;
    let sum =
        label.chunks_exact(2).fold(0, |sum, word| sum ^ u16::from_be_bytes([word[0], word[1]]));
    (label[508..].starts_with(b"\xda\xbe") && sum == 0).then_some(508)
}

fn amiga(first: &[u8]) -> Option<usize> {
    (0..16).map(|sector| sector * SECTOR as usize).find(|&at| {
        first
            .get(at..)
            .is_some_and(|block| block.starts_with(b"RDSK") || block.starts_with(b"PART"))
    })
}

fn dasd(first: &[u8]) -> Option<usize> {
    const LABELS: [&[u8]; 3] = [b"\xe5\xd6\xd3\xf1", b"\xd3\xd5\xe7\xf1", b"\xc3\xd4\xe2\xf1"];
    [512, 1024, 2048, 4096]
        .into_iter()
        .flat_map(|block| [2 * block, 2 * block + 8, block, block + 8])
        .find(|&at| {
            first.get(at..).is_some_and(|rest| LABELS.iter().any(|label| rest.starts_with(label)))
        })
}

/// Whether the sector is a FAT, NTFS or exFAT volume's: it ends in 55 AA like an MBR, but what stands
/// in the place of the partition entries is boot code.
pub(super) fn is_volume_boot_record(sector: &[u8]) -> bool {
    let Some(start) = sector.first_chunk::<36>() else { return false };
    if !matches!(start, [0xeb, _, 0x90, ..] | [0xe9, ..]) {
        return false;
    }
    if &start[3..11] == b"NTFS    " || &start[3..11] == b"EXFAT   " {
        return true;
    }
    // BIOS parameter block of FAT (Microsoft FAT specification 1.03). Boot loaders leave it zero.
    let sector_size = u16::from_le_bytes([start[11], start[12]]);
    let sectors_per_cluster = start[13];
    let reserved = u16::from_le_bytes([start[14], start[15]]);
    let fats = start[16];
    let media = start[21];
    matches!(sector_size, 512 | 1024 | 2048 | 4096)
        && sectors_per_cluster.is_power_of_two()
        && reserved > 0
        && (1..=2).contains(&fats)
        && (media == 0xf0 || media >= 0xf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_fat_volume_from_a_boot_loader() {
        let mut sector = [0u8; 512];
        sector[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
        sector[3..11].copy_from_slice(b"MSDOS5.0");
        assert!(!is_volume_boot_record(&sector));
        sector[11..22].copy_from_slice(&[0, 2, 4, 1, 0, 2, 0, 2, 0, 0, 0xf8]);
        assert!(is_volume_boot_record(&sector));
    }

    fn name(first: &[u8]) -> &'static str {
        match beginning(first) {
            Beginning::Known(what) => what,
            Beginning::Unknown => "unknown",
        }
    }

    #[test]
    fn names_what_a_disk_begins_with() {
        let mut first = vec![0u8; 69632];
        assert_eq!(name(&first), "nothing but zeros");
        first[1080..1082].copy_from_slice(b"\x53\xef");
        assert_eq!(name(&first), "unknown");
        first[1024] = 8;
        first[1028] = 8;
        assert_eq!(name(&first), "an ext2, ext3 or ext4 file system");
        assert_eq!(name(&[1; 100]), "less than one sector");
        let cases: [(usize, &[u8], &str); 7] = [
            (0x10040, b"_BHRfS_M", "a btrfs file system"),
            (0, b"GNU Parted Loopback 0", "a loop label of parted"),
            (0, b"hsqs", "a squashfs file system"),
            (0x218, b"LVM2 001", "an LVM physical volume"),
            (
                0x4000,
                b"\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\0\0\x24\0\0\0\x20\0\0\0\x07version\0\0\0\0\x08",
                "a member of a ZFS pool",
            ),
            (2 * 512, b"RDSK", "an Amiga partition map"),
            (512, b"\x57\x45\x56\x82", "a BSD disklabel"),
        ];
        for (at, mark, what) in cases {
            let mut first = vec![0u8; 69632];
            first[at..at + mark.len()].copy_from_slice(mark);
            assert_eq!(name(&first), what);
        }
    }

    #[test]
    fn compressed_bytes_are_dense() {
        let noise: Vec<u8> =
            (0u32..8192).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert!(is_dense(&noise));
        assert!(!is_dense(&noise[..100]));
        assert!(!is_dense(&[b'a'; 8192]));
    }
}
