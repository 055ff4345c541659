//! What another program would take for something else is never accepted: every mark of the table of readings is put onto
//! disks that are good without it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tidegate::facts::Mark;
use tidegate::formats::{FORMATS, Is};
use tidegate::guest::{FILE_SYSTEMS, SIGNATURES, Signature};

use crate::common::*;

/// A disk with an MBR of one partition.
fn mbr_disk() -> Vec<u8> {
    let mut disk = vec![0; DISK as usize];
    disk[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0]);
    disk[510..512].copy_from_slice(b"\x55\xaa");
    disk
}

/// Bytes and their place that a rule finds.
fn sample(mark: &Mark, disk: usize) -> Option<(usize, Vec<u8>)> {
    Some(match *mark {
        Mark::At(at, magic) => (at, magic.to_vec()),
        Mark::End(before, magic) => (disk - before, magic.to_vec()),
        Mark::Rule(wants, _) => {
            let bytes: &[u8] = match wants {
                _ if wants.contains("line version=") => b"#\xff\x01\n  \nversion=1\nCID=1\n",
                _ if wants.contains("DescriptorFile") => b"# Disk DescriptorFile\n",
                _ if wants.contains("QFI") => b"QFI\xfb\0\0\0\x03",
                _ if wants.contains("MZ") => {
                    return Some((0, [&b"MZ"[..], &[0; 58], b"\x40\0\0\0PE\0\0"].concat()));
                }
                _ if wants.contains("#!") => b"#!/bin/sh\n",
                _ if wants.contains("innotek") => b"\0\0\0\0innotek VirtualBox Disk Image",
                _ if wants.contains("fe ef 01") => b"\xfe\xef\x01\x02",
                _ if wants.contains("iprt") => b" \n--iprt-iso-maker-file-marker=",
                _ if wants.contains("fc 4e 2b a9") => b"\xfc\x4e\x2b\xa9\x01\0\0\0",
                _ if wants.contains("CS at 88") => {
                    let block = [&b"\x01\0"[..], &[0; 78], b"CS\x01\0\0\0"].concat();
                    return Some((8, block));
                }
                _ if wants.contains("53 4b 55 4c") => {
                    return Some((0x8000, b"SKUL\xba\xbe".to_vec()));
                }
                _ if wants.contains("SWAPSPACE2") => return Some((0x7ff6, b"S2SUSPEND".to_vec())),
                _ if wants.contains("00 01 19 54") => {
                    return Some((0x10000 + 1372, b"\x12\x56\x19\0".to_vec()));
                }
                _ if wants.contains("fd 18 7e 20") => {
                    return Some((9 * 1024 + 1016, b"\xfd\x18\x7e\x20".to_vec()));
                }
                _ if wants.contains("BD, H+") => return Some((1024, b"H+\0\x04".to_vec())),
                _ if wants.contains("at 278528") => {
                    let list = b"\x01\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x24\0\0\0\x20\0\0\0\x07version";
                    return Some((0x4000, list.to_vec()));
                }
                _ => return None,
            };
            (0, bytes.to_vec())
        }
        _ => return None,
    })
}

/// The disks with an MBR and with a GPT that can have `mark` and stay what they are.
fn disks_with(mark: &Mark) -> Vec<Vec<u8>> {
    [mbr_disk(), disk()]
        .into_iter()
        .filter_map(|mut disk| {
            let (at, bytes) = sample(mark, disk.len())?;
            let place = at..at + bytes.len();
            if disk[place.clone()].iter().any(|&byte| byte != 0) {
                return None;
            }
            disk[place].copy_from_slice(&bytes);
            Some(disk)
        })
        .collect()
}

/// Checks a disk plain and in gzip, from a file and from a pipe: the codes of the rejects, which are the same.
fn rejects(scratch: &Scratch, disk: &[u8]) -> Vec<String> {
    found(scratch, disk, "reject")
}

/// The same of all findings of one severity.
fn found(scratch: &Scratch, disk: &[u8], severity: &str) -> Vec<String> {
    let plain = scratch.write("disk.img", disk);
    let packed = scratch.write("disk.img.gz", &gzip(disk));
    let of = |report: &Value| -> Vec<String> {
        let findings = report["findings"].as_array().unwrap();
        let these = findings.iter().filter(|finding| finding["severity"] == severity);
        these.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    };
    let found = of(&report(&[&plain]).1);
    assert_eq!(found, of(&report(&[&packed]).1));
    assert_eq!(found, of(&images(&piped(&["--format", "json", "-"], disk))[0]));
    found
}

/// What QEMU takes a file for, if it is installed.
fn qemu_format(path: &Path) -> Option<String> {
    let output =
        Command::new("qemu-img").args(["info", "--output=json"]).arg(path).output().ok()?;
    let info: Value = serde_json::from_slice(&output.stdout).ok()?;
    info["format"].as_str().map(str::to_owned)
}

#[test]
fn a_partition_table_makes_no_other_format_harmless() {
    let scratch = Scratch::new();
    for known in FORMATS.iter().filter(|known| known.is != Is::Optical) {
        let disks: Vec<_> = known.marks.iter().flat_map(disks_with).collect();
        assert!(!disks.is_empty(), "{} cannot be tried", known.what);
        for disk in disks {
            let found = rejects(&scratch, &disk);
            let trailer = disk[disk.len() - 512..].iter().any(|&byte| byte != 0)
                && disk[..446].iter().all(|&byte| byte == 0);
            match known.what {
                // A fixed VHD is a disk with a trailer.
                "a VHD image" if trailer => assert_eq!(found, ["format-vpc"]),
                "an Apple disk image" if trailer => assert_eq!(found, ["format-dmg"]),
                what => assert_eq!(found, ["format-polyglot"], "{what}"),
            }
        }
    }
}

#[test]
fn what_is_accepted_is_raw_to_qemu() {
    let scratch = Scratch::new();
    for (name, disk) in [("mbr.img", mbr_disk()), ("gpt.img", disk())] {
        assert_eq!(rejects(&scratch, &disk), Vec::<String>::new());
        match qemu_format(&scratch.write(name, &disk)) {
            Some(format) => assert_eq!(format, "raw"),
            None => missing_oracle("qemu-img"),
        }
    }
    // It would open what the text names.
    let mut disk = mbr_disk();
    let text = b"version=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 8 FLAT \"flat\" 0\n";
    disk[..text.len()].copy_from_slice(text);
    scratch.write("flat", &[0; 4096]);
    if let Some(format) = qemu_format(&scratch.write("text.img", &disk)) {
        assert_eq!(format, "vmdk");
    }
    assert_eq!(rejects(&scratch, &disk), ["format-polyglot"]);
}

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

#[test]
fn the_disk_in_a_container_is_no_other_image() {
    let scratch = Scratch::new();
    let text = b"version=1\nCID=1\ncreateType=\"monolithicFlat\"\nRW 8 FLAT \"/etc/hostname\" 0\n";
    for begin in [text.as_slice(), b"QFI\xfb\0\0\0\x03", b"KDMV", b"WithoutFreeSpace"] {
        for mut disk in [mbr_disk(), vec![0; DISK as usize]] {
            disk[..begin.len()].copy_from_slice(begin);
            let raw = scratch.write("inner.raw", &disk);
            for format in ["qcow2", "vdi", "vhdx", "vmdk"] {
                let image = scratch.path(format!("outer.{format}"));
                let made = Command::new("qemu-img")
                    .args(["convert", "-f", "raw", "-O", format])
                    .args([&raw, &image])
                    .status();
                if made.is_err() {
                    return missing_oracle("qemu-img");
                }
                let report = report(&[&image]).1;
                assert_eq!(codes(&report), ["format-polyglot"], "{format}");
                assert_eq!(report["findings"][0]["layer"], "disk");
            }
        }
    }
}

/// Pieces of a disk and their places.
type Pieces = Vec<(usize, Vec<u8>)>;

/// The superblock of a file system of so many blocks of 4096 bytes.
fn superblock(what: &str, blocks: u32) -> Pieces {
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

/// A gzip file whose header has an extra field, `extra` from byte 12 on.
fn gzip_with(extra: &[u8], disk: &[u8]) -> Vec<u8> {
    let mut writer =
        flate2::GzBuilder::new().extra(extra).write(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut writer, disk).unwrap();
    writer.finish().unwrap()
}

#[test]
fn a_compressed_file_is_nothing_else_as_it_is_stored() {
    let scratch = Scratch::new();
    let disk = disk();
    let check = |bytes: &[u8]| {
        let (_, from_file) = report(&[scratch.write("disk.img.gz", bytes)]);
        let from_pipe = images(&piped(&["--format", "json", "-"], bytes)).remove(0);
        // From a file the end is looked at first, and what is found there settles it.
        assert_eq!(codes(&from_file)[..], codes(&from_pipe)[..codes(&from_file).len()]);
        let layers = from_file["findings"].as_array().unwrap().iter();
        let layers: Vec<_> = layers.map(|finding| finding["layer"].clone()).collect();
        (codes(&from_file).iter().map(|&code| code.to_owned()).collect::<Vec<_>>(), layers)
    };
    assert!(check(&gzip_with(&[0; 60000], &disk)).0.is_empty());
    let mbr = mbr_disk();
    for (at, mark) in [
        (0x40, b"\x7f\x10\xda\xbe".as_slice()),
        (446, &mbr[446..512]),
        (512, &disk[512..1024]),
        (257, b"ustar\x0000"),
        (0x8001, b"CD001"),
        (0x8001, b"NSR02"),
        (0x4000, b"SKUL\xba\xbe"),
        (0x218, b"LVM2 001"),
        (1024, b"\xe2\xe1\xf5\xe0"),
    ] {
        let mut extra = vec![0; 60000];
        extra[at - 12..at - 12 + mark.len()].copy_from_slice(mark);
        let found = check(&gzip_with(&extra, &disk));
        assert_eq!(found, (vec!["format-polyglot".to_owned()], vec!["file".into()]), "{at}");
    }
    // The last member of no bytes is the footer of a VHD.
    let mut empty = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 3];
    let mut extra = b"conectix".to_vec();
    extra.resize(502, 0);
    empty.extend_from_slice(&(extra.len() as u16).to_le_bytes());
    empty.extend_from_slice(&extra);
    empty.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let found = check(&[gzip(&disk), empty].concat()).0;
    assert!(found.contains(&"format-polyglot".to_owned()), "{found:?}");
}

#[test]
fn what_is_no_disk_is_named() {
    let scratch = Scratch::new();
    let noise: Vec<u8> =
        (0u32..70_001).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut zlib, &disk()).unwrap();
    let cases: [(&[u8], &str, &str); 10] = [
        (b"LZIP\x01\x0c\0\0", "compression-lzip", "lzip"),
        (b"\x89LZO\0\r\n\x1a\n\x10", "compression-lzop", "lzop"),
        (&zlib.finish().unwrap(), "compression-zlib", "zlib"),
        (b"\x3a\xff\x26\xed\x01\0\0\0", "format-android-sparse", "Android"),
        (b"\xff\x06\0\0sNaPpY\0\0", "compression-other", "snappy"),
        (b"070701000000", "archive-cpio", "cpio"),
        (b"\xed\xab\xee\xdb\x03\0", "archive-rpm", "RPM"),
        (b"MSWIM\0\0\0\xd0\0", "archive-wim", "Imaging"),
        (b"/annex/objects/SHA256E-s8--ab\n", "content-pointer", "git-annex"),
        (&noise, "content-unrecognised", "compressed or encrypted"),
    ];
    for (bytes, code, said) in cases {
        let (exit, report) = report(&[scratch.write("disk.img", bytes)]);
        assert_eq!((exit, codes(&report)[0]), (1, code));
        assert!(report["findings"][0]["message"].as_str().unwrap().contains(said), "{report}");
        // Nobody is told to pad what is no disk.
        assert!(!codes(&report).contains(&"raw-size-unaligned"), "{report}");
    }
}

#[test]
fn a_disk_without_partition_table_is_told_alike_in_every_container() {
    let scratch = Scratch::new();
    let mut disk = vec![0; 4 << 20];
    disk[0x10040..0x10048].copy_from_slice(b"_BHRfS_M");
    let raw = scratch.write("disk.raw", &disk);
    let (exit, of_raw) = report(&[&raw]);
    assert_eq!((exit, codes(&of_raw)), (1, vec!["raw-no-partition-table"]));
    for format in ["qcow2", "vdi", "vmdk", "vhdx"] {
        let image = scratch.path(format!("disk.{format}"));
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-O", format]).args([&raw, &image]);
        let Ok(true) = convert.status().map(|status| status.success()) else {
            return missing_oracle("qemu-img");
        };
        let (exit, report) = report(&["--guest=never".as_ref(), image.as_os_str()]);
        assert_eq!((exit, codes(&report)), (0, vec!["disk-no-partition-table"]), "{format}");
        let same = |report: &Value| report["findings"][0]["message"].as_str().unwrap().to_owned();
        assert!(same(&report).contains("a btrfs file system") && same(&of_raw) == same(&report));
    }
}

/// Where the root directory of [`shell`] is.
const ROOT: usize = 15 * 2048;

/// A disk with a GPT, and before its partition an ISO 9660 volume of 24 blocks without a file.
fn shell() -> Vec<u8> {
    let mut disk = disk();
    disk[0x8000..0x8007].copy_from_slice(b"\x01CD001\x01");
    disk[0x8050..0x8058].copy_from_slice(&[24, 0, 0, 0, 0, 0, 0, 24]);
    disk[0x8080..0x8084].copy_from_slice(&[0, 8, 8, 0]);
    disk[0x8800..0x8807].copy_from_slice(b"\xffCD001\x01");
    for (name, at) in [(0, 0x809c), (0, ROOT), (1, ROOT + 34)] {
        disk[at] = 34;
        disk[at + 2..at + 10].copy_from_slice(&[15, 0, 0, 0, 0, 0, 0, 15]);
        disk[at + 10..at + 18].copy_from_slice(&[0, 8, 0, 0, 0, 0, 8, 0]);
        disk[at + 32..at + 34].copy_from_slice(&[1, name]);
    }
    disk
}

#[test]
fn an_empty_optical_disc_before_the_partitions_is_a_note() {
    let scratch = Scratch::new();
    let mut disk = shell();
    for (blocks, verdict, code) in [(24u32, "accept", "iso-shell"), (2000, "warn", "iso-hybrid")] {
        disk[0x8050..0x8054].copy_from_slice(&blocks.to_le_bytes());
        disk[0x8054..0x8058].copy_from_slice(&blocks.to_be_bytes());
        let (_, report) = report(&[scratch.write("disk.img", &disk)]);
        assert_eq!((report["verdict"].as_str().unwrap(), codes(&report)), (verdict, vec![code]));
    }
}

#[test]
fn an_optical_disc_that_may_have_files_is_a_warning() {
    let scratch = Scratch::new();
    let shell = shell();
    assert_eq!(found(&scratch, &shell, "note"), ["iso-shell"]);
    let mut udf = shell.clone();
    for (block, mark) in
        [(0x9000, b"\0BEA01\x01"), (0x9800, b"\0NSR03\x01"), (0xa000, b"\0TEA01\x01")]
    {
        udf[block..block + 7].copy_from_slice(mark);
    }
    // What follows the 68 KiB that are looked at may be a descriptor with files.
    let mut long = shell.clone();
    for block in 17..34 {
        long[block * 2048..][..7].copy_from_slice(b"\x03CD001\x01");
    }
    let mut open = shell.clone();
    open[0x8801] = 0;
    // Readers go to another directory: behind an extended attribute record, or where its first entry leads.
    let mut attributes = shell.clone();
    attributes[0x809d] = 1;
    let mut elsewhere = shell.clone();
    elsewhere[ROOT + 2] = 21;
    elsewhere[ROOT + 9] = 21;
    let mut none = shell;
    none[0x80a6..0x80ae].fill(0);
    for disk in [udf, long, open, attributes, elsewhere, none] {
        assert_eq!(found(&scratch, &disk, "warn"), ["iso-hybrid"]);
    }
}

/// What the firmware of a RAID, or DRBD, leaves at the end: libblkid shows no partitions then. Where the mark has two bytes
/// or libblkid always wants a check sum, so does the finding.
#[test]
fn marks_at_the_end_of_a_disk_are_those_of_libblkid() {
    let blkid = |image: &Path| -> Option<String> {
        let output = Command::new("blkid").arg("-p").arg(image).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let scratch = Scratch::new();
    let mut jmicron = [&b"JM"[..], &[0; 510]].concat();
    jmicron[4..6].copy_from_slice(&u16::from_le_bytes(*b"JM").wrapping_neg().to_le_bytes());
    let mut adaptec = [&b"\x37\xfc\x4d\x1e"[..], &[0; 508]].concat();
    adaptec[256..260].copy_from_slice(b"DPTM");
    let mut silicon = vec![0; 512];
    silicon[99] = 0x2f;
    silicon[318..320].copy_from_slice(&0x2f00u16.wrapping_neg().to_le_bytes());
    let mut via = vec![0; 512];
    via[..2].copy_from_slice(b"\x55\xaa");
    via[50] = 0xff;
    for (name, before, bytes, sum) in [
        ("isw", 1024, b"Intel Raid ISM Cfg Sig. 1.0.00".to_vec(), None),
        ("ddf", 512, b"\xde\x11\xde\x11".to_vec(), None),
        ("ddf", 257 * 512, b"\xde\x11\xde\x11".to_vec(), None),
        ("ddf", 512, b"\x11\xde\x11\xde".to_vec(), None),
        ("nvidia", 1024, b"NVIDIA  \x1e\0\0\0".to_vec(), None),
        ("nvidia", 1024, b"NVIDIA\0\0".to_vec(), None),
        ("promise", 63 * 512, b"Promise Technology, Inc.".to_vec(), None),
        ("lsi", 512, b"$XIDE$".to_vec(), None),
        ("jmicron", 512, jmicron, Some(5)),
        ("adaptec", 512, adaptec, None),
        ("silicon", 512, silicon, Some(318)),
        ("via", 512, via, Some(50)),
        ("hpt45x", 11 * 512, b"\xf3\x16\x78\x5a".to_vec(), None),
        ("drbd", 4096 - 60, b"\x83\x74\x02\x6b".to_vec(), None),
    ] {
        let mut disk = mbr_disk();
        let at = disk.len() - before;
        disk[at..at + bytes.len()].copy_from_slice(&bytes);
        assert_eq!(found(&scratch, &disk, "warn"), ["disk-member-signature"], "{name}");
        // Of these, later versions of libblkid ask for more than the mark.
        let varies = ["ddf", "nvidia", "drbd"].contains(&name);
        match blkid(&scratch.path("disk.img")) {
            None => missing_oracle("blkid"),
            Some(_) if varies => {}
            Some(said) => assert!(!said.contains("PTTYPE=\"dos\""), "{name}: {said}"),
        }
        let Some(sum) = sum else { continue };
        disk[at + sum] ^= 0x55;
        assert_eq!(found(&scratch, &disk, "warn"), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_disk_in_a_container_does_not_end_like_an_image() {
    let scratch = Scratch::new();
    for (mark, before, code, mut disk) in [
        (b"conectix".as_slice(), 512, "format-vpc", mbr_disk()),
        (b"conectix", 511, "format-vpc", vec![0; DISK as usize]),
        (b"koly", 512, "format-dmg", disk()),
    ] {
        let at = disk.len() - before;
        // The backup of a GPT is in the last sector.
        disk[at & !511..].fill(0);
        disk[at..at + mark.len()].copy_from_slice(mark);
        let raw = scratch.write("inner.raw", &disk);
        assert_eq!(codes(&report(&[&raw]).1), [code]);
        for format in ["qcow2", "vdi", "vhdx", "vmdk"] {
            let image = scratch.path(format!("outer.{format}"));
            let made = Command::new("qemu-img")
                .args(["convert", "-f", "raw", "-O", format])
                .args([&raw, &image])
                .status();
            if made.is_err() {
                return missing_oracle("qemu-img");
            }
            let (exit, of_file) = report(&[&image]);
            assert_eq!(exit, 1, "{format}");
            let bytes = std::fs::read(&image).unwrap();
            let (_, packed) = report(&[scratch.write("outer.gz", &gzip(&bytes))]);
            let of_pipe = images(&piped(&["--format", "json", "-"], &bytes)).remove(0);
            for report in [of_file, packed, of_pipe] {
                assert!(codes(&report).contains(&"format-polyglot"), "{format}: {report}");
            }
        }
    }
}

/// Readers of zip archives pass over fields of the record at the end, each over others. What one of them lists is found,
/// plain, packed and in a container, whatever the fields say.
#[test]
fn a_record_at_the_end_need_not_fit() {
    let scratch = Scratch::new();
    let local = [b"PK\x03\x04\x0a\0", &[0; 20][..], &[1, 0, 0, 0, b'a']].concat();
    let mut entry = [b"PK\x01\x02\x0a\0\x0a\0", &[0; 38][..], b"a"].concat();
    entry[28] = 1;
    let mut end = [b"PK\x05\x06", &[0; 18][..]].concat();
    end[8..12].copy_from_slice(&[1, 0, 1, 0]);
    end[12] = entry.len() as u8;
    end[16] = local.len() as u8;
    let archive = |change: &dyn Fn(&mut Vec<u8>), gap: &[u8]| {
        let mut end = end.clone();
        change(&mut end);
        [&local[..], &entry, gap, &end].concat()
    };
    let of = |at: usize, bytes: &'static [u8]| {
        move |end: &mut Vec<u8>| end[at..at + bytes.len()].copy_from_slice(bytes)
    };
    for archive in [
        archive(&|_| (), b""),
        archive(&of(8, &[0; 4]), b""),
        archive(&of(8, &[7, 0]), b""),
        archive(&of(8, &[0xff; 4]), b""),
        archive(&of(4, &[1, 0]), b""),
        archive(&of(16, &[0xff; 4]), b""),
        archive(&of(20, &[9, 0]), b""),
        archive(&|_| (), b"a gap"),
    ] {
        let mut disk = mbr_disk();
        let at = disk.len() - archive.len();
        disk[at..].copy_from_slice(&archive);
        assert_eq!(found(&scratch, &disk, "warn"), ["archive-zip-at-end"]);
        let file = [gzip(&mbr_disk()), archive].concat();
        let (_, report) = report(&[scratch.write("disk.raw.gz", &file)]);
        assert!(codes(&report).contains(&"archive-zip-at-end"), "{report}");
    }
    // A directory elsewhere that the record leads to, and one that is nowhere.
    let mut disk = mbr_disk();
    let at = disk.len() - end.len();
    disk[0x20_0000..][..entry.len()].copy_from_slice(&entry);
    end[16..20].copy_from_slice(&0x20_0000u32.to_le_bytes());
    disk[at..].copy_from_slice(&end);
    assert_eq!(found(&scratch, &disk, "warn"), ["archive-zip-at-end"]);
    disk[at + 4..].fill(0);
    assert_eq!(found(&scratch, &disk, "warn"), Vec::<String>::new());
    disk[at + 4..].fill(b'K');
    assert_eq!(found(&scratch, &disk, "warn"), Vec::<String>::new());
}

/// Programs for zip archives find the directory from behind: at the end of a disk, and in the last block of a packed file.
#[test]
fn what_ends_as_a_zip_archive_does_is_a_warning() {
    let scratch = Scratch::new();
    let mut archive = [&b"PK\x01\x02"[..], &[0; 42], b"PK\x05\x06", &[0; 18]].concat();
    archive[54..58].copy_from_slice(&[1, 0, 1, 0]);
    archive[58] = 46;
    let mut disk = mbr_disk();
    let at = disk.len() - archive.len();
    disk[at..].copy_from_slice(&archive);
    assert_eq!(found(&scratch, &disk, "warn"), ["archive-zip-at-end"]);
    // Without a directory of its size before it, the record is a part of somebody's file.
    disk[at] = 0;
    assert_eq!(found(&scratch, &disk, "warn"), Vec::<String>::new());

    // The comment covers the check sum and the size of gzip.
    archive[66] = 8;
    let mut disk = mbr_disk();
    let at = disk.len() - archive.len();
    disk[at..].copy_from_slice(&archive);
    disk.extend_from_slice(&[0; 512]);
    let mut packed = stored(&disk[..disk.len() - 512], false);
    disk.truncate(disk.len() - 512);
    packed = [packed, stored(&[&[0; 512 - 68][..], &archive].concat(), true)].concat();
    disk.extend_from_slice(&[&[0; 512 - 68][..], &archive].concat());
    let mut crc = flate2::Crc::new();
    crc.update(&disk);
    let head = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
    let file =
        [&head[..], &packed, &crc.sum().to_le_bytes(), &(disk.len() as u32).to_le_bytes()].concat();
    let image = scratch.write("disk.raw.gz", &file);
    let layers = |report: &Value| -> Vec<String> {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().map(|finding| format!("{} {}", finding["code"], finding["layer"])).collect()
    };
    let of_file = r#""archive-zip-at-end" "file""#.to_owned();
    assert!(layers(&report(&[&image]).1).contains(&of_file));
    assert!(layers(&images(&piped(&["--format", "json", "-"], &file))[0]).contains(&of_file));
}

/// Stored blocks of deflate.
fn stored(bytes: &[u8], is_last: bool) -> Vec<u8> {
    let blocks = bytes.chunks(0xffff).collect::<Vec<_>>();
    let count = blocks.len();
    let block = |(at, bytes): (usize, &[u8])| {
        let len = bytes.len() as u16;
        let last = u8::from(is_last && at + 1 == count);
        [&[last][..], &len.to_le_bytes(), &(!len).to_le_bytes(), bytes].concat()
    };
    blocks.into_iter().enumerate().flat_map(block).collect()
}

/// The disk of a container is what a raw image of the same bytes is: converted, that is what another program gets.
#[test]
fn what_a_raw_image_is_refused_for_is_no_disk_of_a_container() {
    let scratch = Scratch::new();
    for (mark, at, bytes) in [
        ("gzip", 0, b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice()),
        ("compress", 0, b"\x1f\x9d\x90"),
        ("bzip2", 0, b"BZh91AY&SY"),
        ("xz", 0, b"\xfd7zXZ\0"),
        ("Zstandard", 0, b"\x28\xb5\x2f\xfd"),
        ("a zip archive", 0, b"PK\x03\x04"),
        ("a 7z archive", 0, b"7z\xbc\xaf\x27\x1c"),
        ("a tar archive", 257, b"ustar\x0000"),
        ("a program", 0, b"\x7fELF"),
        ("a script", 0, b"#!/bin/sh\necho a disk\nexit\n"),
        // What gzip and pigz decompress as well, in each of its own ways.
        ("a gzip of before", 0, b"\x1f\x9e\x08\0\0\0\0\0\0\x03\x4b\x04\0"),
        ("pack", 0, b"\x1f\x1e\0\0\0\x04\x01\0a\x08"),
        ("an LZH stream", 0, b"\x1f\xa0\0\x03\0\0\x06\x10"),
        ("a zlib stream", 0, b"\x78\x9c\x4b\x04\0\0\x62\0\x62"),
        ("a zlib stream", 0, b"\x48\x89\x4b\x04\0\0\x62\0\x62"),
        ("lzma", 0, b"\x5e\0\0\x80\0\x03\0\0\0\0\0\0\0"),
        ("lzma", 0, b"\x5d\0\0\0\x03\x03\0\0\0\0\0\0\0"),
        ("a cpio archive", 0, b"\xc7\x71\0\0\x01\0\xa4\x81\0\0\0\0\x01\0\0\0\0\0\0\0\x05\0evil"),
        ("a cpio archive", 0, b"\x71\xc7\0\0\0\x01\x81\xa4\0\0\0\0\0\x01\0\0\0\0\0\0\0\x05evil"),
        // Two bytes of boot code, behind which nothing of gzip's or compress's comes.
        ("", 0, b"\x1f\x8b\xfa\x31"),
        ("", 0, b"\x1f\x9d\xfa\x31"),
    ] {
        let mut disk = mbr_disk();
        disk[at..at + bytes.len()].copy_from_slice(bytes);
        let raw = scratch.write("disk.raw", &disk);
        assert_eq!(report(&[&raw]).0, 1, "{mark}");
        let image = scratch.path("disk.qcow2");
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", "qcow2"]).args([&raw, &image]);
        let Ok(true) = convert.status().map(|status| status.success()) else {
            return missing_oracle("qemu-img");
        };
        let (exit, report) = report(&[&image]);
        match mark {
            "" => assert_eq!((exit, codes(&report)), (0, vec![]), "{bytes:?}"),
            _ => {
                assert_eq!((exit, codes(&report)), (1, vec!["format-polyglot"]), "{mark}");
                let said = report["findings"][0]["message"].as_str().unwrap();
                assert!(said.contains(&format!("begins as {mark}")), "{said}");
            }
        }
    }
}

/// tar programs take the sum of signed bytes too, which differs where a disk has 55 aa. The header need not have a name.
#[test]
fn a_tar_header_is_known_by_either_sum() {
    let scratch = Scratch::new();
    for (name, signed) in [(&b"etc/evil"[..], false), (b"etc/evil", true), (b"", true)] {
        let mut disk = mbr_disk();
        disk[..name.len()].copy_from_slice(name);
        disk[100..108].copy_from_slice(b"0000644\0");
        disk[124..136].copy_from_slice(b"00000000017\0");
        disk[148..156].fill(b' ');
        let value = |byte: &u8| if signed { i64::from(*byte as i8) } else { i64::from(*byte) };
        let sum: i64 = disk[..512].iter().map(value).sum();
        disk[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let (exit, of_disk) = report(&[scratch.write("disk.raw", &disk)]);
        assert_eq!((exit, codes(&of_disk)), (1, vec!["archive-tar"]), "{signed}");
        disk[150] ^= 1;
        assert_eq!(report(&[scratch.write("disk.raw", &disk)]).0, 0, "{signed}");
    }
}

/// Says that a program to compare with is missing; with `CI=true` that is a failure.
fn missing_oracle(program: &str) {
    use std::io::Write;
    assert!(std::env::var_os("CI").is_none(), "{program} is missing; CI has to have it");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is missing");
}
