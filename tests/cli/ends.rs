//! Marks at the end of a disk or a file: of RAID firmware, of images with a trailer, of zip archives.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::*;
use crate::marks::{found, mbr_disk, missing_oracle};

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
            if qemu_img(&["convert", "-f", "raw", "-O", format], &[&raw, &image]).is_none() {
                return;
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
