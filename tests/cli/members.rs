//! Disks that are a part of something larger: of a RAID, a pool, an encrypted volume.

use std::process::Command;

use tidegate::guest::{SIGNATURES, Signature};

use crate::common::*;
use crate::marks::{disks_with, found, mbr_disk, missing_oracle, rejects};

#[test]
fn a_disk_is_no_part_of_something_larger() {
    let scratch = Scratch::new();
    for known in SIGNATURES.iter().filter(|known| known.is == Signature::Member) {
        for disk in known.marks.iter().flat_map(disks_with) {
            // QEMU knows LUKS, so it is a second format.
            let (expected, severity) = match known.what {
                "a LUKS volume" => ("format-polyglot", "reject"),
                _ => ("disk-member-signature", "warn"),
            };
            // In a GPT's own sectors the mark damages the GPT as well.
            let found = found(&scratch, &disk, severity);
            assert!(found.iter().any(|code| code == expected), "{}: {found:?}", known.what);
        }
    }
}

#[test]
fn a_superblock_of_a_raid_at_the_end_is_found() {
    let scratch = Scratch::new();
    let mut disks = Vec::new();
    for size in [DISK as usize, DISK as usize + 70_144] {
        for at in [(size & !0xffff) - 0x1_0000, (size - 8192) & !4095] {
            let mut disk = mbr_disk();
            disk.resize(size, 0);
            disk[at..at + 8].copy_from_slice(b"\xfc\x4e\x2b\xa9\x01\0\0\0");
            disk[at + 144..at + 152].copy_from_slice(&(at as u64 / 512).to_le_bytes());
            disks.push(disk);
        }
    }
    for disk in &disks {
        assert_eq!(found(&scratch, disk, "warn"), ["disk-member-signature"]);
        assert_eq!(rejects(&scratch, disk), Vec::<String>::new());
    }
    // Elsewhere it is data.
    let mut disk = mbr_disk();
    disk[DISK as usize - 16384..][..4].copy_from_slice(b"\xfc\x4e\x2b\xa9");
    assert_eq!(found(&scratch, &disk, "warn"), Vec::<String>::new());
}

/// Metadata 0.90 has the byte order of the machine that wrote it. The superblock of the last partition stands where that of
/// the disk would: libblkid asks whether a partition covers it, and of metadata 1 where it says that it is.
#[test]
fn a_superblock_of_the_last_partition_is_not_that_of_the_disk() {
    const MAGIC: u32 = 0xa92b_4efc;
    let scratch = Scratch::new();
    let member = ["disk-member-signature".to_owned()];
    let size = 8usize << 20;
    let with = |start: u32, sectors: u32| {
        let mut disk = mbr_disk();
        disk.resize(size, 0);
        disk[454..458].copy_from_slice(&start.to_le_bytes());
        disk[458..462].copy_from_slice(&sectors.to_le_bytes());
        disk
    };
    let to_the_end = || with(2048, 14_336);
    let old = size - 0x1_0000;
    let new = size - 8192;
    for (bytes, order) in [(MAGIC.to_le_bytes(), 0), (MAGIC.to_be_bytes(), 1)] {
        let kib = |kib: u32| if order == 0 { kib.to_le_bytes() } else { kib.to_be_bytes() };
        // Of all of the disk, of the partition, and of a partition that ends before.
        for (mut disk, covered, expected) in [
            (to_the_end(), (8 << 10) - 64, &member[..]),
            (to_the_end(), (7 << 10) - 64, &[]),
            (with(2048, 14_335), (7 << 10) - 64, &member[..]),
            (with(2048, 4096), 0, &member[..]),
        ] {
            disk[old..old + 4].copy_from_slice(&bytes);
            disk[old + 32..old + 36].copy_from_slice(&kib(covered));
            assert_eq!(found(&scratch, &disk, "warn"), expected, "{order} {covered}");
        }
    }
    for (place, expected) in [(new / 512, &member[..]), (new / 512 - 2048, &[])] {
        let mut disk = to_the_end();
        disk[new..new + 8].copy_from_slice(b"\xfc\x4e\x2b\xa9\x01\0\0\0");
        disk[new + 144..new + 152].copy_from_slice(&(place as u64).to_le_bytes());
        assert_eq!(found(&scratch, &disk, "warn"), expected, "{place}");
    }
    // A partition that begins at sector 8, with metadata 1.1 at its beginning.
    let mut disk = with(8, 4096);
    disk[4096..4104].copy_from_slice(b"\xfc\x4e\x2b\xa9\x01\0\0\0");
    assert_eq!(found(&scratch, &disk, "warn"), Vec::<String>::new());
    disk[4096 + 144] = 8;
    assert_eq!(found(&scratch, &disk, "warn"), member);
}

#[test]
fn encrypted_volumes_are_known_by_each_of_their_headers() {
    let scratch = Scratch::new();
    let member = ["disk-member-signature"];
    for at in (14..=22).map(|bits| 1usize << bits) {
        let mut disk = mbr_disk();
        disk.resize(8 << 20, 0);
        disk[at..at + 8].copy_from_slice(b"SKUL\xba\xbe\0\x02");
        disk[at + 256..at + 264].copy_from_slice(&(at as u64).to_be_bytes());
        assert_eq!(found(&scratch, &disk, "warn"), member, "{at}");
        let raw = scratch.write("inner.raw", &disk);
        let image = scratch.path("outer.qcow2");
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", "qcow2"]).args([&raw, &image]);
        match convert.status() {
            Ok(_) => {
                let bytes = std::fs::read(&image).unwrap();
                assert_eq!(codes(&report(&[&image]).1), member, "{at}");
                let of_pipe = images(&piped(&["--format", "json", "-"], &bytes)).remove(0);
                assert_eq!(codes(&of_pipe), member, "{at}");
            }
            Err(_) => missing_oracle("qemu-img"),
        }
        // That of a partition says where it is in the partition.
        disk[at + 256..at + 264].copy_from_slice(&0x4001u64.to_be_bytes());
        assert_eq!(found(&scratch, &disk, "warn"), Vec::<String>::new(), "{at}");
    }
    // BitLocker To Go leads to its metadata; a FAT volume of Windows 98 has boot code there.
    let mut disk = mbr_disk();
    disk[446] = 0;
    disk[..11].copy_from_slice(b"\xeb\x58\x90MSWIN4.1");
    assert_eq!(found(&scratch, &disk, "warn"), Vec::<String>::new());
    disk[442] = 0x10;
    assert_eq!(found(&scratch, &disk, "warn"), member);
    disk[440] = 1;
    assert_eq!(found(&scratch, &disk, "warn"), Vec::<String>::new());
}

/// A GPT lies over the first label, the second one survives it. What lies in a partition is that partition's.
#[test]
fn the_second_label_of_a_pool_is_found() {
    let scratch = Scratch::new();
    let list = b"\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\0\0\x24\0\0\0\x20\0\0\0\x07version\0";
    let uberblocks =
        |label: usize| (0..2).map(move |n| (label + 0x20000 + n * 1024, 0x00ba_b10cu64));
    let mut by_list = disk();
    by_list[0x44000..0x44000 + list.len()].copy_from_slice(list);
    let mut by_uberblocks = disk();
    for (at, mark) in uberblocks(0).chain(uberblocks(0x40000)) {
        by_uberblocks[at..at + 8].copy_from_slice(&mark.to_be_bytes());
    }
    for (disk, place) in [(by_list, 0x44000), (by_uberblocks, 0x60000)] {
        assert_eq!(found(&scratch, &disk, "warn"), ["disk-member-signature"]);
        let raw = scratch.write("inner.raw", &disk);
        for (format, options) in
            [("qcow2", &[][..]), ("vmdk", &["-o", "subformat=streamOptimized"])]
        {
            let image = scratch.path("outer");
            let mut convert = Command::new("qemu-img");
            convert.args(["convert", "-f", "raw", "-O", format]).args(options).args([&raw, &image]);
            let Ok(true) = convert.status().map(|status| status.success()) else {
                return missing_oracle("qemu-img");
            };
            let bytes = std::fs::read(&image).unwrap();
            let of_pipe = images(&piped(&["--format", "json", "-"], &bytes)).remove(0);
            for report in [report(&[&image]).1, of_pipe] {
                assert!(codes(&report).contains(&"disk-member-signature"), "{format}: {report}");
            }
        }
        // Too few uberblocks, or no list; a partition over all of the label.
        let mut less = disk.clone();
        less[place..place + 16].fill(0);
        assert_eq!(found(&scratch, &less, "warn"), Vec::<String>::new());
        let mut covered = disk;
        covered[..512].copy_from_slice(&mbr_disk()[..512]);
        covered[512..1024].fill(0);
        covered[454..458].copy_from_slice(&1u32.to_le_bytes());
        covered[0x20000..0x20008].fill(0);
        assert_eq!(found(&scratch, &covered, "warn"), Vec::<String>::new());
    }
}
