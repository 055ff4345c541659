//! What another program would take for something else is never accepted: every mark of the table of readings is put onto
//! disks that are good without it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tidegate::facts::Mark;
use tidegate::formats::{FORMATS, Is};

use crate::common::*;

/// A disk with an MBR of one partition.
pub(crate) fn mbr_disk() -> Vec<u8> {
    let mut disk = vec![0; DISK as usize];
    disk[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0]);
    disk[510..512].copy_from_slice(b"\x55\xaa");
    disk
}

/// Bytes and their place that a rule finds.
pub(crate) fn sample(mark: &Mark, disk: usize) -> Option<(usize, Vec<u8>)> {
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
pub(crate) fn disks_with(mark: &Mark) -> Vec<Vec<u8>> {
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
pub(crate) fn rejects(scratch: &Scratch, disk: &[u8]) -> Vec<String> {
    found(scratch, disk, "reject")
}

/// The same of all findings of one severity.
pub(crate) fn found(scratch: &Scratch, disk: &[u8], severity: &str) -> Vec<String> {
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
fn the_disk_in_a_container_is_no_other_image() {
    let scratch = Scratch::new();
    let text = b"version=1\nCID=1\ncreateType=\"monolithicFlat\"\nRW 8 FLAT \"/etc/hostname\" 0\n";
    for begin in [text.as_slice(), b"QFI\xfb\0\0\0\x03", b"KDMV", b"WithoutFreeSpace"] {
        for mut disk in [mbr_disk(), vec![0; DISK as usize]] {
            disk[..begin.len()].copy_from_slice(begin);
            let raw = scratch.write("inner.raw", &disk);
            for format in ["qcow2", "vdi", "vhdx", "vmdk"] {
                let image = scratch.path(format!("outer.{format}"));
                if qemu_img(&["convert", "-f", "raw", "-O", format], &[&raw, &image]).is_none() {
                    return;
                }
                let report = report(&[&image]).1;
                assert_eq!(codes(&report), ["format-polyglot"], "{format}");
                assert_eq!(report["findings"][0]["layer"], "disk");
            }
        }
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
pub(crate) fn missing_oracle(program: &str) {
    use std::io::Write;
    assert!(std::env::var_os("CI").is_none(), "{program} is missing; CI has to have it");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is missing");
}
