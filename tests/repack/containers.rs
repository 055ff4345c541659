//! The disk in a container that DigitalOcean does not take: VHD, fixed and dynamic, and qcow of version 1.

use serde_json::json;

use crate::common::*;
use crate::rig::*;

/// A container by its name here, its ending, how `qemu-img` makes it, and what it is called when it is taken off.
type Kind = (&'static str, &'static str, &'static [&'static str], &'static str);

const KINDS: [Kind; 3] = [
    ("fixed", "vhd", &["-O", "vpc", "-o", "subformat=fixed,force_size=on"], "format-vpc"),
    ("dynamic", "vhd", &["-O", "vpc", "-o", "subformat=dynamic,force_size=on"], "format-vpc"),
    ("qcow", "qcow", &["-O", "qcow"], "format-qcow1"),
];

/// Images by QEMU, in the order of [`KINDS`], each with its disk, which is a multiple of no block.
fn images(scratch: &Scratch) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let folder = scratch.path(".");
    let mut found = Vec::new();
    for (_, _, how, _) in KINDS {
        scratch.sparse("disk.raw", (9 << 20) + 512);
        let arguments = [&["convert", "-f", "raw"], how, &["disk.raw", "made"]].concat();
        oracle(&folder, "qemu-img", &arguments)?;
        let read = |name| std::fs::read(scratch.path(name)).unwrap();
        found.push((read("made"), read("disk.raw")));
        for name in ["made", "disk.raw"] {
            std::fs::remove_file(scratch.path(name)).unwrap();
        }
    }
    Some(found)
}

#[test]
fn the_disk_is_taken_out() {
    let scratch = Scratch::new();
    let Some(images) = images(&scratch) else { return };
    let folder = scratch.path(".");
    for ((kind, ending, _, code), (image, disk)) in KINDS.into_iter().zip(images) {
        let packed = gzip(&image);
        for (name, bytes) in
            [(format!("web.{ending}"), &image), (format!("web.{ending}.gz"), &packed)]
        {
            let what = format!("{kind} {name}");
            scratch.write(&name, bytes);
            let (exit, report) = report(&[scratch.path(&name)]);
            // Of what streams by, the partition table is held against the footer's end too.
            assert_eq!((exit, codes(&report)[0]), (1, code), "{what}");
            let remedy = report["findings"][0]["remedy"].as_str().unwrap();
            assert!(remedy.contains("`tidegate repack ") && !remedy.contains("gzip"), "{remedy}");
            assert_eq!(report["findings"][0]["repairable"], true);
            let document = document(&folder, &[&name], 0);
            assert_eq!(document["output"]["name"], "web.img.gz", "{what}");
            assert_eq!(document["source"]["sha256"], sha256(bytes), "{what}");
            assert!(unpacked(&scratch.path("web.img.gz")) == disk, "{what}");
            std::fs::remove_file(scratch.path("web.img.gz")).unwrap();
            // From a pipe, too; and with the digest that somebody says the file has.
            let script = format!(
                "cat {name} | {} repack --sha256 {} --format json - out.gz",
                env!("CARGO_BIN_EXE_tidegate"),
                sha256(bytes)
            );
            oracle(&folder, "sh", &["-c", &script]).unwrap();
            assert!(unpacked(&scratch.path("out.gz")) == disk, "{what}");
            std::fs::remove_file(scratch.path("out.gz")).unwrap();
            std::fs::remove_file(scratch.path(&name)).unwrap();
        }
    }
}

#[test]
fn packed_clusters_are_unpacked() {
    let scratch = Scratch::new();
    let image = std::fs::read(test_data("gpt-compressed.qcow.gz")).unwrap();
    scratch.write("a.qcow.gz", &image);
    let document = document(&scratch.path("."), &["a.qcow.gz"], 0);
    assert_eq!(document["source"]["wrappings"], json!(["gzip", "qcow1"]));
    assert!(unpacked(&scratch.path("a.img.gz")) == std::fs::read(test_data("gpt.raw")).unwrap());
}

/// Writes the sum of a structure of a VHD, which stands at byte `at` of it.
fn renew(structure: &mut [u8], at: usize) {
    structure[at..at + 4].fill(0);
    let sum = structure.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    structure[at..at + 4].copy_from_slice(&(!sum).to_be_bytes());
}

#[test]
fn what_is_wrong_with_it_is_named() {
    let scratch = Scratch::new();
    let Some(images) = images(&scratch) else { return };
    let folder = scratch.path(".");
    let of = |kind: &str| {
        let at = KINDS.iter().position(|(name, ..)| *name == kind).unwrap();
        images[at].0.clone()
    };
    let changed = |kind: &str, at: usize, byte: u8| {
        let mut image = of(kind);
        image[at] ^= byte;
        image
    };
    let put = |kind: &str, at: usize, bytes: &[u8]| {
        let mut image = of(kind);
        image[at..at + bytes.len()].copy_from_slice(bytes);
        image
    };
    let (fixed, dynamic) = (of("fixed"), of("dynamic"));
    let table = 1536;
    let qcow = of("qcow");
    // A disk of 512 TiB, with a table for it.
    let mut large = put("dynamic", 512 + 28, &(1u32 << 28).to_be_bytes());
    let end = large.len() - 512;
    for at in [0, end] {
        large[at + 48..at + 56].copy_from_slice(&(1u64 << 49).to_be_bytes());
        renew(&mut large[at..at + 512], 64);
    }
    renew(&mut large[512..1536], 36);
    for (image, code) in [
        (changed("qcow", 15, 1), "qcow1-header-invalid"),
        (changed("qcow", 39, 1), "qcow1-header-invalid"),
        (changed("qcow", 40, 0x7f), "qcow1-table-invalid"),
        (qcow[..qcow.len() - 4096].to_vec(), "image-truncated"),
        // Lost tables, and a lost block.
        (put("qcow", 48, &[0; 8]), "qcow1-table-invalid"),
        (put("dynamic", table, &[0xff; 4]), "vpc-table-invalid"),
        (large, "disk-too-large"),
        (changed("dynamic", 50, 1), "vpc-header-invalid"),
        (changed("dynamic", 600, 1), "vpc-header-invalid"),
        (changed("dynamic", table, 0x80), "vpc-table-invalid"),
        (changed("dynamic", dynamic.len() - 400, 1), "vpc-header-invalid"),
        (dynamic[..dynamic.len() - 512].to_vec(), "vpc-header-invalid"),
        ([&dynamic[..], b"more"].concat(), "vpc-header-invalid"),
        (changed("fixed", fixed.len() - 400, 1), "vpc-header-invalid"),
        ([&fixed[..4096], &fixed[fixed.len() - 512..]].concat(), "vpc-header-invalid"),
    ] {
        scratch.write("a.vhd", &image);
        let report = document(&folder, &["a.vhd"], 1);
        assert!(codes(&report["report"]).contains(&code), "{code}: {report}");
        assert_eq!(names(&folder), ["a.vhd"]);
    }
    // Cut in a stream, it is no fixed VHD at all.
    scratch.write("a.vhd.gz", &gzip(&[&fixed[..4096], &fixed[fixed.len() - 512..]].concat()));
    let report = document(&folder, &["a.vhd.gz"], 1);
    assert!(codes(&report["report"]).contains(&"format-vpc"), "{report}");
    assert_eq!(report["output"], json!(null));
}
