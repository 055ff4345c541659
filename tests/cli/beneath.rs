//! File systems on the whole disk, beneath its partitions.

use std::process::Command;

use tidegate::guest::FILE_SYSTEMS;

use crate::common::*;
use crate::marks::{found, mbr_disk, missing_oracle, sample};

/// Pieces of a disk and their places.
type Pieces = Vec<(usize, Vec<u8>)>;

/// The superblock of a file system of so many blocks of 4096 bytes.
pub(crate) fn superblock(what: &str, blocks: u32) -> Pieces {
    let (little, big) = (blocks.to_le_bytes(), blocks.to_be_bytes());
    let bytes = u64::from(blocks) * 4096;
    match what {
        "an XFS file system" => vec![(0, [b"XFSB\0\0\x10\0\0\0\0\0", &big[..]].concat())],
        "a btrfs file system" => {
            vec![(0x10040, b"_BHRfS_M".to_vec()), (0x10070, bytes.to_le_bytes().to_vec())]
        }
        "Linux swap space" => {
            let last = (blocks - 1).to_le_bytes();
            vec![(0xff6, b"SWAPSPACE2".to_vec()), (1024, [&[1, 0, 0, 0], &last[..]].concat())]
        }
        "a squashfs file system" => {
            vec![(0, b"hsqs".to_vec()), (28, vec![4]), (40, bytes.to_le_bytes().to_vec())]
        }
        "an EROFS file system" => vec![
            (1024, b"\xe2\xe1\xf5\xe0".to_vec()),
            (1024 + 12, vec![12]),
            (1024 + 36, little.to_vec()),
        ],
        "an F2FS file system" => vec![
            (1024, b"\x10\x20\xf5\xf2".to_vec()),
            (1024 + 16, vec![12]),
            (1024 + 36, little.to_vec()),
        ],
        "an APFS container" => vec![(32, [b"NXSB\0\x10\0\0", &little[..]].concat())],
        "a romfs file system" => {
            vec![(0, [b"-rom1fs-", &(blocks * 4096).to_be_bytes()[..]].concat())]
        }
        "an ext2, ext3 or ext4 file system" => vec![
            (1024, [&[8, 0, 0, 0], &little[..]].concat()),
            (1024 + 24, vec![2]),
            (1024 + 56, vec![0x53, 0xef]),
        ],
        "a Minix file system" => {
            let zones = (blocks * 4) as u16;
            let numbers = [64u16, zones, 1, 1, 5, 0, 0, 0, 0x138f, 1];
            vec![(1024, numbers.into_iter().flat_map(u16::to_le_bytes).collect())]
        }
        "a NILFS2 file system" => vec![
            (1024, vec![2]),
            (1024 + 6, vec![0x34, 0x34, 0, 1]),
            (1024 + 32, bytes.to_le_bytes().to_vec()),
        ],
        _ => Vec::new(),
    }
}

/// What Linux mounts from the first byte of the disk, and libblkid names, beside the partitions.
#[test]
fn a_file_system_beneath_the_partitions_is_a_warning() {
    let scratch = Scratch::new();
    let [beneath, left_over] = ["disk-file-system", "disk-file-system-left-over"];
    for known in FILE_SYSTEMS.iter().filter(|known| !known.is.is_boot_sector()) {
        // The partition begins at 1 MiB.
        for (blocks, severity, code) in [(256, "note", left_over), (257, "warn", beneath)] {
            let pieces = superblock(known.what, blocks);
            if pieces.is_empty() {
                continue;
            }
            let mut disk = mbr_disk();
            pieces
                .iter()
                .for_each(|(at, bytes)| disk[*at..*at + bytes.len()].copy_from_slice(bytes));
            assert_eq!(found(&scratch, &disk, severity), [code], "{} {blocks}", known.what);
            assert_eq!(codes(&report(&[scratch.path("disk.img")]).1), [code], "{}", known.what);
        }
        // Where it does not say where it ends, it may be anywhere.
        for mark in known.marks {
            let Some((at, bytes)) = sample(mark, DISK as usize) else { continue };
            let mut disk = mbr_disk();
            disk[at..at + bytes.len()].copy_from_slice(&bytes);
            let (exit, report) = report(&[scratch.write("disk.img", &disk)]);
            let found = codes(&report);
            assert_eq!(exit, 0, "{}", known.what);
            assert!(found == [beneath] || found == [left_over], "{}: {found:?}", known.what);
        }
    }
    // That of a partition is its own.
    let mut disk = mbr_disk();
    for (at, bytes) in superblock("an ext2, ext3 or ext4 file system", 256) {
        disk[(1 << 20) + at..(1 << 20) + at + bytes.len()].copy_from_slice(&bytes);
    }
    // A superblock alone is a damaged file system.
    let (_, report) = report(&[scratch.write("disk.img", &disk)]);
    assert_eq!(codes(&report), ["guest-unexaminable"]);
}

#[test]
fn libblkid_names_none_of_several_file_systems() {
    let scratch = Scratch::new();
    let several = ["Linux swap space", "a romfs file system"];
    let mut disk = mbr_disk();
    for (at, bytes) in several.iter().flat_map(|what| superblock(what, 16)) {
        disk[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    assert_eq!(found(&scratch, &disk, "warn"), ["disk-file-system"; 2]);
}

/// A partition table that was written to an image of a file system.
#[test]
fn what_mkfs_makes_is_found_beneath_a_partition_table() {
    let scratch = Scratch::new();
    for (program, mark) in [("mkfs.ext4", "ext4"), ("mkswap", "swap"), ("mkfs.minix", "Minix")] {
        let image = scratch.path("made.img");
        std::fs::write(&image, vec![0; 8 << 20]).unwrap();
        let arguments: &[&str] = if program == "mkfs.ext4" { &["-qF"] } else { &[] };
        let path = format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap());
        let mut made = Command::new(program);
        made.env("PATH", path).args(arguments).arg(&image).stdout(std::process::Stdio::null());
        let Ok(true) = made.status().map(|status| status.success()) else {
            return missing_oracle(program);
        };
        let mut disk = std::fs::read(&image).unwrap();
        disk[440..512].copy_from_slice(&mbr_disk()[440..512]);
        assert_eq!(found(&scratch, &disk, "warn"), ["disk-file-system"], "{program}");
        let (_, report) = report(&[scratch.path("disk.img")]);
        let said = report["findings"][0]["message"].as_str().unwrap();
        assert!(said.contains(mark) && said.contains("partition 1 begins"), "{said}");
    }
}
