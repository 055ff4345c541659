//! The disk that tidegate sees in an image is the disk that QEMU sees.

#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::*;
use serde_json::Value;

/// Whether the oracle is there. Without it a test has nothing to say, which is not good enough for CI.
fn have_qemu() -> bool {
    let have = Command::new("qemu-img").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !have {
        assert!(std::env::var_os("CI").is_none(), "qemu-img is missing; CI has to have it");
        // Past the capture of the test harness, so that it is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: qemu-img is missing (Debian: qemu-utils)");
    }
    have
}

fn qemu_img(arguments: &[&str]) {
    let output = Command::new("qemu-img").args(arguments).output().unwrap();
    assert!(output.status.success(), "qemu-img {arguments:?}: {output:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A disk with a GPT, data that packs and data that does not, and holes of several sizes.
fn patterned(scratch: &Scratch, name: &str, size: u64) -> PathBuf {
    use std::os::unix::fs::FileExt;
    let path = scratch.sparse(name, size);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut state = 88172645463325252u64;
    let mut noise = |len: usize| -> Vec<u8> {
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect()
    };
    let mib = 1 << 20;
    file.write_all_at(&noise(300_000), mib).unwrap();
    file.write_all_at(&b"text that packs well ".repeat(20_000), mib + 400_000).unwrap();
    // Single sectors, a little off each other and off the clusters.
    for turn in 0..40u64 {
        file.write_all_at(&noise(512), 2 * mib + turn * 17 * 1024 + turn % 3 * 512).unwrap();
    }
    file.write_all_at(&noise(70_000), size - mib).unwrap();
    path
}

/// The digest of the raw disk that QEMU makes of an image.
fn by_qemu(scratch: &Scratch, image: &Path, format: &str) -> String {
    let raw = scratch.path("by-qemu.raw");
    qemu_img(&["convert", "-f", format, "-O", "raw", text(image), text(&raw)]);
    sha256(&std::fs::read(&raw).unwrap())
}

fn assert_disk(report: &Value, digest: &str, what: &str) {
    assert_ne!(report["verdict"], "reject", "{what}: {report:#}");
    assert_ne!(report["verdict"], "error", "{what}: {report:#}");
    assert_eq!(report["digests"]["disk_sha256"], digest, "{what}: {report:#}");
}

/// Holds the disk of an image against QEMU's, by digest and sector by sector.
fn assert_same(scratch: &Scratch, image: &Path, format: &str, what: &str) {
    let digest = by_qemu(scratch, image, format);
    let (_, report) = report(&["--digest", "disk", text(image)]);
    assert_disk(&report, &digest, what);
    let raw = scratch.path("by-qemu.raw");
    let output = tidegate().arg("compare").args([&raw, image]).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{what}: {output:?}");
}

const SIZES: [u64; 2] = [5 << 20, (5 << 20) + 3 * 512];

/// Converts disks into a format with each of these options and compares what is in them.
fn matrix(format: &str, all: &[&str]) {
    if !have_qemu() {
        return;
    }
    let scratch = Scratch::new();
    let disks = SIZES.map(|size| patterned(&scratch, &format!("{size}.raw"), size));
    for (turn, options) in all.iter().enumerate() {
        let disk = &disks[turn % disks.len()];
        let (packed, options) = match options.strip_prefix("-c ") {
            Some(rest) => (true, rest),
            None => (false, *options),
        };
        let image = scratch.path("image");
        let mut arguments = vec!["convert", "-f", "raw", "-O", format];
        arguments.extend(packed.then_some("-c"));
        if !options.is_empty() {
            arguments.extend(["-o", options]);
        }
        arguments.extend([text(disk), text(&image)]);
        qemu_img(&arguments);
        assert_same(&scratch, &image, format, &format!("{format} {packed} {options}"));
        std::fs::remove_file(image).unwrap();
    }
}

#[test]
fn qcow2_disks_are_those_of_qemu() {
    matrix(
        "qcow2",
        &[
            "",
            "compat=0.10",
            "compat=0.10,cluster_size=512",
            "cluster_size=512",
            "cluster_size=4k",
            "cluster_size=2M",
            "-c ",
            "-c compat=0.10,cluster_size=4k",
            "-c cluster_size=512",
            "-c cluster_size=2M",
            "-c compression_type=zstd",
            "-c compression_type=zstd,cluster_size=4k",
            "extended_l2=on",
            "extended_l2=on,cluster_size=16k",
            "-c extended_l2=on,cluster_size=128k",
            "preallocation=metadata",
            "preallocation=falloc",
            "preallocation=full,cluster_size=16k",
            "lazy_refcounts=on",
            "refcount_bits=1",
            "refcount_bits=64",
        ],
    );
}

#[test]
fn vmdk_vdi_and_vhdx_disks_are_those_of_qemu() {
    matrix("vmdk", &["", "", "subformat=streamOptimized", "subformat=streamOptimized"]);
    matrix("vdi", &["", "", "static=on", "static=on"]);
    matrix(
        "vhdx",
        &[
            "",
            "",
            "block_size=1M",
            "block_size=16M",
            "block_size=256M",
            "subformat=fixed",
            "subformat=fixed",
        ],
    );
}

#[test]
fn a_raw_disk_is_its_image() {
    let scratch = Scratch::new();
    let disk = patterned(&scratch, "disk.raw", SIZES[1]);
    let bytes = std::fs::read(&disk).unwrap();
    let packed = scratch.write("disk.raw.gz", &gzip(&bytes));
    for path in [&disk, &packed] {
        let (_, report) = report(&["--digest", "disk", text(path)]);
        assert_disk(&report, &sha256(&bytes), text(path));
        assert!(report["digests"]["image_sha256"].is_null(), "not asked for: {report}");
        let (_, report) = common::report(&["--digest", "disk,image", text(path)]);
        assert_eq!(report["digests"]["image_sha256"], report["digests"]["disk_sha256"]);
    }
}

#[test]
fn snapshots_and_bitmaps_are_not_the_disk() {
    if !have_qemu() {
        return;
    }
    let scratch = Scratch::new();
    let disk = patterned(&scratch, "disk.raw", SIZES[0]);
    let image = scratch.path("image.qcow2");
    qemu_img(&["convert", "-f", "raw", "-O", "qcow2", text(&disk), text(&image)]);
    qemu_img(&["snapshot", "-c", "before", text(&image)]);
    let written = Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", "write -P 0x5a 3M 200k", text(&image)])
        .output();
    // qemu-io comes with qemu-img in every distribution.
    assert!(written.unwrap().status.success());
    assert_same(&scratch, &image, "qcow2", "snapshot");
    qemu_img(&["bitmap", "--add", text(&image), "dirty"]);
    assert_same(&scratch, &image, "qcow2", "bitmap");

    // Less extra data than version 3 has: `qemu-img check` calls it an error.
    let mut bytes = std::fs::read(&image).unwrap();
    let table = u64::from_be_bytes(bytes[64..72].try_into().unwrap()) as usize;
    bytes[table + 36..table + 40].copy_from_slice(&8u32.to_be_bytes());
    let incomplete = scratch.write("incomplete.qcow2", &bytes);
    let checked = Command::new("qemu-img").args(["check", text(&incomplete)]).output().unwrap();
    assert_eq!(checked.status.code(), Some(2), "{checked:?}");
    let (_, report) = report(&["--quick", text(&incomplete)]);
    assert!(codes(&report).contains(&"qcow2-snapshot-table-invalid"), "{report:#}");
}

#[test]
fn packed_and_piped_containers_have_the_same_disk() {
    if !have_qemu() {
        return;
    }
    let scratch = Scratch::new();
    let disk = patterned(&scratch, "disk.raw", SIZES[0]);
    let digest = sha256(&std::fs::read(&disk).unwrap());
    for (format, options) in [
        ("qcow2", "lazy_refcounts=on"),
        ("vmdk", "subformat=streamOptimized"),
        ("vmdk", "subformat=monolithicSparse"),
        ("vdi", "static=off"),
        ("vhdx", "subformat=dynamic"),
    ] {
        let image = scratch.path("image");
        qemu_img(&["convert", "-f", "raw", "-O", format, "-o", options, text(&disk), text(&image)]);
        let bytes = std::fs::read(&image).unwrap();
        let json = ["--format", "json", "--digest", "disk,image", "-"];
        let packed = [scratch.write("i.gz", &gzip(&bytes)), scratch.write("i.bz2", &bzip2(&bytes))];
        let decoded: Vec<Value> =
            packed.iter().map(|path| report(&["--digest", "disk,image", text(path)]).1).collect();
        let spooled = [&bytes, &gzip(&bytes)].map(|bytes| images(&piped(&json, bytes)).remove(0));
        for report in decoded.iter().chain(&spooled) {
            assert_disk(report, &digest, &format!("{format} {options}"));
            assert_eq!(report["digests"]["image_sha256"], sha256(&bytes));
        }
        // A file is decoded again; a pipe needs a temporary file.
        assert!(decoded.iter().all(|report| report["spooled_bytes"] == 0), "{decoded:?}");
        for report in &spooled {
            assert!(report["spooled_bytes"].as_u64().unwrap() > 0, "{report}");
        }
    }
}

/// What a map says of each sector: data, zeros or nothing.
fn sectors(extents: &[Value], what: impl Fn(&Value) -> char) -> String {
    let line = |e: &Value| what(e).to_string().repeat(e["length"].as_u64().unwrap() as usize / 512);
    extents.iter().map(line).collect()
}

/// Holds the map of an image against QEMU's. Some of QEMU's drivers do not tell zeros from what was
/// never written.
fn assert_same_map(image: &Path, format: &str, tells_unallocated: bool) -> String {
    let unallocated = if tells_unallocated { 'u' } else { 'z' };
    let arguments = ["map", "--output=json", "-f", format, text(image)];
    let output = Command::new("qemu-img").args(arguments).output().unwrap();
    let theirs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let theirs = sectors(&theirs, |extent| {
        match [&extent["data"], &extent["zero"], &extent["present"]].map(|v| v.as_bool().unwrap()) {
            // Stored; where it is in a hole of the file, QEMU knows that these are zeros.
            [true, _, true] => 'd',
            [false, true, true] => 'z',
            [false, true, false] => 'u',
            other => panic!("{other:?}"),
        }
    });
    let output = tidegate().args(["map", "--format", "json", text(image)]).output().unwrap();
    let map: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours = sectors(map["extents"].as_array().unwrap(), |extent| {
        match extent["what"].as_str().unwrap() {
            "data" | "compressed" => 'd',
            "zero" => 'z',
            "unallocated" => unallocated,
            other => panic!("{other}"),
        }
    });
    let differs = ours.bytes().zip(theirs.bytes()).position(|(a, b)| a != b);
    assert_eq!((differs, ours.len()), (None, theirs.len()), "{format}: {map:#}");
    ours
}

#[test]
fn maps_are_those_of_qemu() {
    if !have_qemu() {
        return;
    }
    let scratch = Scratch::new();
    let raw = patterned(&scratch, "disk.raw", 8 << 20);
    assert_same_map(&raw, "raw", true);
    // Writes, zeros with and without a place, and what is given back.
    let edits = "write -P 7 0 4k; write -P 8 3M 300k; write -z 8k 12k; write -z 3M 64k; \
                 write -z 5M 1M; discard 3264k 64k; write -z -u 3200k 4k";
    for (format, options, packed, tells) in [
        ("qcow2", "", false, true),
        ("qcow2", "cluster_size=4k", false, true),
        ("qcow2", "compat=0.10", false, true),
        ("qcow2", "extended_l2=on", false, true),
        ("qcow2", "preallocation=metadata", false, true),
        ("qcow2", "", true, true),
        ("vmdk", "subformat=monolithicSparse", false, true),
        ("vmdk", "subformat=monolithicSparse,zeroed_grain=on", false, true),
        ("vmdk", "subformat=streamOptimized", false, true),
        // `vdi_co_block_status` (`block/vdi.c`) calls both zeros.
        ("vdi", "", false, false),
    ] {
        let image = scratch.path("image");
        let mut arguments = vec!["convert", "-f", "raw", "-O", format];
        arguments.extend(packed.then_some("-c"));
        if !options.is_empty() {
            arguments.extend(["-o", options]);
        }
        arguments.extend([text(&raw), text(&image)]);
        qemu_img(&arguments);
        assert_same_map(&image, format, tells);
        if !packed && options != "subformat=streamOptimized" {
            let mut command = Command::new("qemu-io");
            command.args(["-f", format, "-d", "unmap"]);
            for edit in edits.split("; ") {
                command.args(["-c", edit.trim()]);
            }
            let done = command.arg(&image).output().unwrap();
            assert!(done.status.success(), "{done:?}");
            let map = assert_same_map(&image, format, tells);
            assert!(map.contains('d'));
            let has_zeros = format == "vdi"
                || !["compat=0.10", "subformat=monolithicSparse"].contains(&options);
            assert_eq!(map.contains('z'), has_zeros, "{format} {options}");
        }
        std::fs::remove_file(image).unwrap();
    }
}

#[test]
fn a_disk_that_cannot_be_read_has_no_digest() {
    let scratch = Scratch::new();
    let image = scratch.write("image.qcow2", &qcow2_with_backing(b"base"));
    let (code, report) = report(&["--digest", "disk", "--keep-going", text(&image)]);
    assert_eq!(code, 1);
    assert!(report["digests"]["disk_sha256"].is_null());
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "disk-digest").unwrap();
    assert_eq!(check["state"], "skipped", "{check}");
}
