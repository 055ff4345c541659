//! Compressed clusters and grains are decompressed on several threads. Nothing but the time depends on them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::common::*;
use crate::limits::watched_with;
use crate::qcow2_packed::disk_of_text;

/// What a check may take (DESIGN: 64 MiB resident on 2 cores, 256 MiB with any number of them).
const MOST_RESIDENT_KB: [(&str, u64); 2] = [("2", 64 << 10), ("64", 256 << 10)];

/// The report with the digest of the disk, which takes the same from any number of threads.
fn with_any_threads(options: &[&str], path: &Path) -> serde_json::Value {
    let with = |threads: &str| {
        let mut command = tidegate();
        command.env("TIDEGATE_THREADS", threads).args(["check", "--format", "json"]);
        let output = command.args(options).arg(path).output().unwrap();
        let mut report = images(&output)[0].clone();
        report.as_object_mut().unwrap().remove("checked_at");
        report
    };
    let alone = with("1");
    for threads in ["2", "8"] {
        assert_eq!(with(threads), alone, "{threads} {options:?} {path:?}");
    }
    alone
}

/// A disk of clusters of all kinds: text, one byte, noise and zeros.
fn mixed() -> Vec<u8> {
    let text = disk_of_text();
    let mut disk = text.clone();
    disk.resize(12 << 20, 0);
    disk[5 << 20..7 << 20].copy_from_slice(&text[1 << 20..3 << 20]);
    disk[8 << 20..(8 << 20) + 300_000].fill(b'x');
    let mut random = 7u64;
    for byte in &mut disk[9 << 20..(9 << 20) + 400_000] {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (random >> 56) as u8;
    }
    disk
}

fn converted(raw: &Path, to: PathBuf, format: &str, options: &str) -> Option<PathBuf> {
    let convert = ["convert", "-c", "-f", "raw", "-O", format, "-o", options];
    let compressed =
        if format == "vmdk" { [&convert[..1], &convert[2..]].concat() } else { convert.to_vec() };
    let done = qemu_img(&compressed, &[raw, &to])?;
    assert!(done.status.success(), "{done:?}");
    Some(to)
}

#[test]
fn the_digest_of_a_compressed_disk_is_that_of_its_bytes() {
    let scratch = Scratch::new();
    let disk = mixed();
    let (raw, digest) = (scratch.write("raw", &disk), sha256(&disk));
    for (format, options) in [
        ("qcow2", "cluster_size=512"),
        ("qcow2", "cluster_size=4k,compression_type=zstd"),
        ("qcow2", "cluster_size=64k"),
        ("qcow2", "cluster_size=64k,compression_type=zstd"),
        ("qcow2", "cluster_size=2M"),
        ("qcow2", "cluster_size=2M,compression_type=zstd"),
        ("vmdk", "subformat=streamOptimized"),
    ] {
        let Some(path) = converted(&raw, scratch.path("image"), format, options) else { return };
        let found = with_any_threads(&["--digest", "disk"], &path);
        assert_eq!(found["digests"]["disk_sha256"], digest, "{options}: {found}");
        let back = scratch.path("back");
        let done = qemu_img(&["convert", "-O", "raw"], &[&path, &back]).unwrap();
        assert!(done.status.success(), "{done:?}");
        assert_eq!(sha256(&std::fs::read(back).unwrap()), digest, "{options}");
        with_any_threads(&[], &path);
        // As a stream, which is decompressed as it passes, or spooled.
        let stream = scratch.write("image.gz", &gzip(&std::fs::read(&path).unwrap()));
        let found = with_any_threads(&["--digest", "disk"], &stream);
        assert_eq!(found["digests"]["disk_sha256"], digest, "{options}: {found}");
        with_any_threads(&[], &stream);
    }
}

#[test]
fn damage_is_found_at_the_same_place_with_any_threads() {
    let scratch = Scratch::new();
    let raw = scratch.write("raw", &mixed());
    for (format, options, code) in [
        ("qcow2", "cluster_size=64k", "qcow2-cluster-damaged"),
        ("qcow2", "cluster_size=4k", "qcow2-cluster-damaged"),
        ("vmdk", "subformat=streamOptimized", "vmdk-grain-damaged"),
    ] {
        let Some(path) = converted(&raw, scratch.path("image"), format, options) else { return };
        let file = File::options().read(true).write(true).open(&path).unwrap();
        // Noise over the middle of some of what is packed.
        let size = file.metadata().unwrap().len();
        for part in [3, 5, 6] {
            file.write_all_at(&[0xa5; 700], size * part / 9).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        let stream = scratch.write("image.gz", &gzip(&bytes));
        // What compresses the image is damaged soon after one of them.
        let mut lost = gzip(&bytes);
        let middle = lost.len() * 2 / 5;
        lost[middle] ^= 0x10;
        let lost = scratch.write("lost.gz", &lost);
        for digest in [&[][..], &["--digest", "disk"]] {
            for going in [&[][..], &["--keep-going"]] {
                let options = [digest, going].concat();
                for path in [&path, &stream] {
                    let found = with_any_threads(&options, path);
                    assert!(codes(&found).contains(&code), "{options:?} {path:?}: {found}");
                }
                let found = with_any_threads(&options, &lost);
                assert_eq!(found["verdict"], "reject", "{options:?}: {found}");
            }
        }
    }
}

/// An image whose disk is a number of Zstandard frames of one cluster each, as large as they come. Each wants a window of
/// 8 MiB and has more than that in it, so that none fits its cluster.
fn windows(scratch: &Scratch) -> PathBuf {
    const CLUSTER: u64 = 2 << 20;
    const FRAMES: u64 = 64;
    let path = scratch.path("windows.qcow2");
    let file = File::create(&path).unwrap();
    let put = |at: u64, bytes: &[u8]| file.write_all_at(bytes, at).unwrap();
    file.set_len(6 * CLUSTER).unwrap();
    put(0, b"QFI\xfb\0\0\0\x03");
    put(20, &21u32.to_be_bytes());
    put(24, &(FRAMES * CLUSTER).to_be_bytes());
    put(36, &1u32.to_be_bytes());
    put(40, &CLUSTER.to_be_bytes());
    put(48, &(3 * CLUSTER).to_be_bytes());
    put(56, &1u32.to_be_bytes());
    // The kind of compression is told.
    put(72, &8u64.to_be_bytes());
    put(96, &4u32.to_be_bytes());
    put(100, &112u32.to_be_bytes());
    put(104, &[1]);
    put(CLUSTER, &((1 << 63) | (2 * CLUSTER)).to_be_bytes());
    put(3 * CLUSTER, &(4 * CLUSTER).to_be_bytes());
    for cluster in 0..5 {
        put(4 * CLUSTER + 2 * cluster, &[0, 1]);
    }
    put(4 * CLUSTER + 2 * 5, &(FRAMES as u16).to_be_bytes());
    // A window of 8 MiB, and blocks that repeat a byte 128 Ki times.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3];
    for block in 0..80 {
        let header = ((128 << 10) << 3) | (1 << 1) | u32::from(block == 79);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(b'a');
    }
    for index in 0..FRAMES {
        let at = 5 * CLUSTER + index * 512;
        put(at, &frame);
        put(2 * CLUSTER + index * 8, &((1 << 62) | at).to_be_bytes());
    }
    path
}

#[test]
fn many_threads_that_decompress_stay_within_their_memory() {
    let scratch = Scratch::new();
    let hostile = windows(&scratch);
    let mut disk = mixed();
    // Noise takes as much compressed.
    let noise = disk[9 << 20..][..399_360].to_vec();
    (0..150).for_each(|_| disk.extend(&noise));
    let raw = scratch.write("raw", &disk);
    let mut paths = vec![(hostile, 1)];
    for (name, options) in [
        ("64k", "cluster_size=64k"),
        ("2m", "cluster_size=2M"),
        ("zstd", "cluster_size=2M,compression_type=zstd"),
    ] {
        paths.extend(converted(&raw, scratch.path(name), "qcow2", options).map(|path| (path, 0)));
    }
    for (threads, most) in MOST_RESIDENT_KB {
        for (path, exit) in &paths {
            for options in [&["--keep-going"][..], &["--keep-going", "--digest", "disk"]] {
                let arguments: Vec<_> =
                    options.iter().map(AsRef::as_ref).chain([path.as_os_str()]).collect();
                let (output, peak) = watched_with(threads, &arguments);
                assert_eq!(exit_code(&output), *exit, "{output:?}");
                assert!(peak < most, "{threads} {path:?}: {peak} kB");
            }
        }
    }
}
