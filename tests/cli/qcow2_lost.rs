//! qcow2: what tables no longer name and refcounts still count, and what they name outside the disk.

use std::path::PathBuf;

use super::qcow2::{CLUSTER, COPIED, DATA, Image, L1, L2};
use super::qcow2_packed::disk_of_text;
use crate::common::*;
use serde_json::Value;

/// `qemu-img convert` of a raw disk; `None` without it.
fn converted(scratch: &Scratch, raw: &PathBuf, options: &[&str]) -> Option<Vec<u8>> {
    let path = scratch.path("converted.qcow2");
    let convert = [&["convert", "-f", "raw", "-O", "qcow2"], options].concat();
    let done = qemu_img(&convert, &[raw, &path])?;
    assert!(done.status.success(), "{done:?}");
    Some(std::fs::read(path).unwrap())
}

fn number(image: &[u8], at: usize) -> usize {
    let value = u64::from_be_bytes(image[at..at + 8].try_into().unwrap());
    (value & 0x00ff_ffff_ffff_fe00) as usize
}

/// The first L2 table.
fn l2(image: &[u8]) -> usize {
    number(image, number(image, 40))
}

/// Verdict and findings of an image as a file and as a stream, which agree.
fn found(scratch: &Scratch, image: &[u8]) -> (String, Vec<String>, Value) {
    let sorted = |report: &Value| {
        let mut codes: Vec<_> = codes(report).into_iter().map(str::to_owned).collect();
        codes.sort();
        codes.dedup();
        (report["verdict"].as_str().unwrap().to_owned(), codes)
    };
    let (_, plain) = report(&[scratch.write("image.qcow2", image)]);
    let (_, packed) = report(&[scratch.write("image.qcow2.gz", &gzip(image))]);
    let (verdict, codes) = sorted(&plain);
    assert_eq!((verdict.clone(), codes.clone()), sorted(&packed), "{packed}");
    (verdict, codes, plain)
}

fn message<'r>(report: &'r Value, code: &str) -> &'r str {
    let all = report["findings"].as_array().unwrap();
    let finding = all.iter().find(|it| it["code"] == code);
    finding.unwrap_or_else(|| panic!("no {code}: {report}"))["message"].as_str().unwrap()
}

#[test]
fn compressed_clusters_that_only_refcounts_know_are_lost() {
    let scratch = Scratch::new();
    let raw = scratch.write("raw", &disk_of_text());
    for options in ["cluster_size=64k", "cluster_size=4k", "compression_type=zstd"] {
        let Some(sound) = converted(&scratch, &raw, &["-c", "-o", options]) else { return };
        let table = l2(&sound);
        let size = 1usize << sound[23];
        // The text begins at 1 MiB.
        let entry = |number: usize| table + ((1 << 20) / size + number) * 8;
        let lossy = |lost: &mut dyn Iterator<Item = usize>| {
            let mut image = sound.clone();
            lost.for_each(|number| image[entry(number)..entry(number) + 8].fill(0));
            found(&scratch, &image)
        };
        let (verdict, codes, _) = lossy(&mut (0..1));
        assert_eq!(verdict, if options.contains("zstd") { "warn" } else { "accept" });
        assert!(codes.contains(&"qcow2-clusters-leaked".to_owned()), "{options}: {codes:?}");
        for lost in [&mut (0..30usize).step_by(2) as &mut dyn Iterator<Item = usize>, &mut (0..16)]
        {
            let (verdict, codes, report) = lossy(lost);
            assert_eq!(verdict, "warn", "{options}: {report}");
            assert!(!codes.contains(&"qcow2-clusters-leaked".to_owned()), "{options}: {codes:?}");
            let said = message(&report, "qcow2-clusters-lost");
            assert!(said.contains("more compressed clusters than entries name"), "{said}");
            assert!(said.contains("of the disk, which read as zeros"), "{said}");
        }
    }
}

/// An entry that is lost loses a whole cluster, and of large ones a single one is much: where data is in it, and the disk
/// has a place where it could be missing.
#[test]
fn lost_clusters_are_weighed_by_bytes_too() {
    let scratch = Scratch::new();
    let lost = "qcow2-clusters-lost";
    for (size, enough) in [(2 << 20, 1), (1 << 20, 1), (512 << 10, 2)] {
        // As many clusters as a few are a small part of.
        let mut disk = vec![0x5a; 72 * size];
        disk[..512].fill(0);
        disk[446..462].copy_from_slice(&[0x80, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0]);
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        let raw = scratch.write("raw", &disk);
        let options = format!("cluster_size={size}");
        let Some(sound) = converted(&scratch, &raw, &["-o", &options]) else { return };
        let entry = |index: usize| l2(&sound) + 8 * (10 + index);
        let check = |name: &str, image: &[u8]| {
            let (_, report) = report(&[scratch.write("image.qcow2", image)]);
            let codes = codes(&report).into_iter().map(str::to_owned).collect::<Vec<_>>();
            assert!(!codes.is_empty(), "{name}, {size}");
            (codes, report)
        };
        let change = |count: usize, value: u64, holds: u8| {
            let mut image = sound.clone();
            for index in 0..count {
                let at = entry(index);
                let cluster = number(&image, at);
                image[cluster..cluster + size].fill(holds);
                image[at..at + 8].copy_from_slice(&value.to_be_bytes());
            }
            image
        };
        let (codes, report) = check("lost", &change(enough, 0, 7));
        assert_eq!((codes, &report["verdict"]), (vec![lost.into()], &"warn".into()), "{size}");
        let from = 10 * size;
        let part = format!("Nothing maps the bytes {from} to {}", from + enough * size);
        assert!(message(&report, lost).contains(&part), "{report}");
        // An entry that says zeros keeps no data either.
        let (codes, report) = check("zeros", &change(enough, 1, 7));
        assert_eq!((codes, &report["verdict"]), (vec![lost.into()], &"warn".into()), "{size}");
        assert!(message(&report, lost).contains("L2 entries say zeros"), "{report}");
        // Zeros that are lost read as zeros.
        let (codes, report) = check("holes", &change(3, 0, 0));
        assert_eq!(codes, ["qcow2-clusters-leaked"; 3], "{size}");
        assert_eq!(report["verdict"], "accept");
        if enough > 1 {
            let (codes, _) = check("fewer", &change(enough - 1, 0, 7));
            assert_eq!(codes, ["qcow2-clusters-leaked"], "{size}");
        }
        // Of a disk that has all of its clusters none is missing.
        let mut image = sound.clone();
        let block = number(&image, number(&image, 48));
        for extra in 0..enough {
            let cluster = image.len() / size;
            image[block + 2 * cluster + 1] = 1;
            image.resize(image.len() + size, 7);
            assert!(extra < 2);
        }
        let (codes, report) = check("whole", &image);
        assert_eq!(codes, vec!["qcow2-clusters-leaked"; enough], "{size}");
        assert_eq!(report["verdict"], "accept");
    }
}

#[test]
fn a_stream_looks_into_lost_clusters_too() {
    let scratch = Scratch::new();
    let raw = scratch.write("raw", &disk_of_text());
    let Some(sound) = converted(&scratch, &raw, &["-o", "cluster_size=1M"]) else { return };
    let at = l2(&sound) + 8;
    for (holds, code) in [(7, "qcow2-clusters-lost"), (0, "qcow2-clusters-leaked")] {
        let mut image = sound.clone();
        let cluster = number(&image, at);
        image[cluster..cluster + (1 << 20)].fill(holds);
        image[at..at + 8].fill(0);
        assert_eq!(found(&scratch, &image).1, [code]);
        // Tables come first, so it is ahead of a pipe.
        let piped = piped(&["--format", "json", "-"], &image);
        assert_eq!(codes(&images(&piped)[0]), [code]);
    }
}

#[test]
fn data_behind_the_end_of_the_disk_is_named() {
    let scratch = Scratch::new();
    let mut disk = disk_of_text();
    // A partition of 512 KiB is whole in both disks.
    disk[..1 << 20].fill(0);
    disk[446..462].copy_from_slice(&[0x80, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let raw = scratch.write("raw", &disk);
    for options in [
        &["-o", "cluster_size=64k"][..],
        &["-o", "cluster_size=4k"],
        &["-o", "cluster_size=512,compat=0.10"],
        &["-o", "extended_l2=on"],
        &["-c"],
    ] {
        let Some(mut image) = converted(&scratch, &raw, options) else { return };
        image[24..32].copy_from_slice(&(2u64 << 20).to_be_bytes());
        let (verdict, codes, report) = found(&scratch, &image);
        assert_eq!(verdict, "warn", "{options:?}: {report}");
        assert!(codes.contains(&"qcow2-clusters-behind-disk".to_owned()), "{options:?}: {codes:?}");
        let said = message(&report, "qcow2-clusters-behind-disk");
        assert!(said.contains("The disk has 2097152 bytes"), "{said}");
        assert!(said.contains("first to byte 2097152 of the disk"), "{said}");
    }
}

#[test]
fn what_qemu_shrinks_has_nothing_behind_its_end() {
    let scratch = Scratch::new();
    let raw = scratch.write("raw", &disk_of_text());
    let behind = "qcow2-clusters-behind-disk";
    for options in ["cluster_size=64k", "cluster_size=512", "compat=0.10", "extended_l2=on"] {
        for snapshot in [false, true] {
            let Some(_) = converted(&scratch, &raw, &["-o", options]) else { return };
            let path = scratch.path("converted.qcow2");
            let mut steps: Vec<Vec<&str>> = Vec::new();
            if snapshot && !options.contains("0.10") {
                steps.push(vec!["snapshot", "-c", "before"]);
            }
            steps.push(vec!["resize", "-q", "--shrink"]);
            for step in steps {
                let size = std::ffi::OsStr::new("2098176");
                let mut arguments = vec![path.as_os_str()];
                if step[0] == "resize" {
                    arguments.push(size);
                }
                let done = qemu_img(&step, &arguments).unwrap();
                assert!(done.status.success(), "{step:?}: {done:?}");
            }
            let (_, report) = report(&[&path]);
            assert!(!codes(&report).contains(&behind), "{options}: {report}");
        }
    }
}

/// QEMU keeps the state of a machine behind the disk. Whoever returns to a snapshot has it in the active L1 table.
#[test]
fn the_state_of_a_machine_is_no_data_behind_the_disk() {
    let scratch = Scratch::new();
    let with_state = |first: &[u8; 4]| {
        let mut image = Image::new();
        image.put(36, &3u32.to_be_bytes());
        let table = image.cluster();
        for number in 0..3 {
            let state = image.cluster();
            image.long(table + 8 * number, COPIED | state as u64);
            if number == 0 {
                image.put(state, first);
            }
        }
        image.long(L1 + 16, COPIED | table as u64);
        image
    };
    let image = with_state(b"QEVM");
    let path = scratch.write("state.qcow2", &image.bytes);
    if let Some(check) = qemu_img(&["check", "-f", "qcow2"], &[&path]) {
        assert!(check.status.success(), "{check:?}");
    }
    assert_eq!(found(&scratch, &image.bytes).1, Vec::<String>::new());
    let data = found(&scratch, &with_state(b"data").bytes);
    assert_eq!(data.1, ["qcow2-clusters-behind-disk"]);
    // Nor does a state hide what lies between the end and it.
    let mut image = with_state(b"QEVM");
    image.long(24, (1 << 30) - CLUSTER as u64);
    let at = image.cluster();
    let last = image.cluster();
    image.long(L1 + 8, COPIED | at as u64);
    image.long(at + 8191 * 8, COPIED | last as u64);
    assert_eq!(found(&scratch, &image.bytes).1, ["qcow2-clusters-behind-disk"]);
}

/// One cause, one finding: entries of a table that something was written over are damaged, whatever else they look like.
#[test]
fn a_table_with_other_bytes_over_it_is_damaged_and_nothing_else() {
    let scratch = Scratch::new();
    let text =
        b"The quick brown fox jumps over the lazy dog. A line of a log, 123456789\n".repeat(500);
    let mut random = 3u64;
    let noise = (0..4096).map(|_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 56) as u8
    });
    for bytes in [text[..4096].to_vec(), noise.collect()] {
        let mut image = Image::new();
        image.put(L2, &bytes);
        let (verdict, codes, _) = found(&scratch, &image.bytes);
        assert_eq!(verdict, "reject");
        assert_eq!(codes, ["image-offset-impossible", "qcow2-table-entry-invalid"]);
    }
}

/// No table shares a cluster with compressed data, whatever snapshots there are.
#[test]
fn compressed_data_shares_a_cluster_with_nothing_else() {
    let scratch = Scratch::new();
    for snapshot in [false, true] {
        for (target, refcount) in [(L2, 2), (DATA, 2)] {
            let mut image = Image::new();
            let mut extra = 0u64.to_be_bytes().to_vec();
            extra.extend((1u64 << 30).to_be_bytes());
            if snapshot {
                image.snapshot(&extra);
            }
            image.long(L2 + 8, 1 << 62 | target as u64);
            image.put(2 * CLUSTER + 2 * (target / CLUSTER), &[0, refcount]);
            let (verdict, codes, _) = found(&scratch, &image.bytes);
            assert_eq!(verdict, "reject");
            assert!(codes.contains(&"qcow2-clusters-overlap".to_owned()), "{codes:?}");
        }
    }
}
