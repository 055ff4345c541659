//! qcow2 images with clusters of 512 bytes: how far their tables reach, and what is packed in them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::common::*;
use serde_json::Value;

const CLUSTER: u64 = 512;

/// A cluster so far into the image that it is not counted in the first pass: 13 GB.
const FAR: u64 = 26_000_000;

const L2_TABLE: u64 = 2;
/// A packed cluster; it takes the next one too.
const PACKED: u64 = 3;
const REFCOUNTS: u64 = 16;
const BLOCKS: u64 = 2000;

/// Refcounts in a block.
const PER_BLOCK: u64 = CLUSTER / 2;

fn put(file: &File, cluster: u64, at: u64, bytes: &[u8]) {
    file.write_all_at(bytes, cluster * CLUSTER + at).unwrap();
}

/// Where the refcount of a cluster is.
fn refcount_at(cluster: u64) -> u64 {
    let block = match cluster / PER_BLOCK {
        low @ 0..8 => BLOCKS + low,
        _ => BLOCKS + 8,
    };
    block * CLUSTER + cluster % PER_BLOCK * 2
}

/// A disk of 1 MiB with one packed cluster, and one that is stored at the far end of the image.
fn image(scratch: &Scratch) -> PathBuf {
    let path = scratch.path("far.qcow2");
    let file = File::create(&path).unwrap();
    file.set_len((FAR + 1) * CLUSTER).unwrap();
    let table_clusters = (FAR / PER_BLOCK * 8).div_ceil(CLUSTER) + 1;
    let mut header = vec![0; 104];
    let mut field = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    field(0, b"QFI\xfb\0\0\0\x03");
    field(20, &9u32.to_be_bytes());
    field(24, &(1u64 << 20).to_be_bytes());
    field(36, &32u32.to_be_bytes());
    field(40, &CLUSTER.to_be_bytes());
    field(48, &(REFCOUNTS * CLUSTER).to_be_bytes());
    field(56, &(table_clusters as u32).to_be_bytes());
    field(96, &4u32.to_be_bytes());
    field(100, &104u32.to_be_bytes());
    put(&file, 0, 0, &header);
    put(&file, 1, 8 * 8, &((1 << 63) | (L2_TABLE * CLUSTER)).to_be_bytes());
    put(&file, L2_TABLE, 0, &((1 << 63) | (FAR * CLUSTER)).to_be_bytes());
    // One sector more than the first, and a stored block of a whole cluster.
    put(&file, L2_TABLE, 8, &((1 << 62) | (1 << 61) | (PACKED * CLUSTER)).to_be_bytes());
    put(&file, PACKED, 0, &[1, 0, 2, 0xff, 0xfd]);
    put(&file, PACKED, 5, &[7; CLUSTER as usize]);
    for block in 0..8 {
        put(&file, REFCOUNTS, block * 8, &((BLOCKS + block) * CLUSTER).to_be_bytes());
    }
    put(&file, REFCOUNTS, FAR / PER_BLOCK * 8, &((BLOCKS + 8) * CLUSTER).to_be_bytes());
    let used = (0..5).chain(REFCOUNTS..REFCOUNTS + table_clusters).chain(BLOCKS..BLOCKS + 9);
    for cluster in used.chain([FAR]) {
        file.write_all_at(&[0, 1], refcount_at(cluster)).unwrap();
    }
    path
}

fn patched(path: &Path, at: u64, bytes: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

/// State and reason of one part of the check.
fn part<'r>(report: &'r Value, id: &str) -> Option<(&'r str, &'r str)> {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == id)?;
    Some((check["state"].as_str().unwrap(), check["why"].as_str().unwrap_or_default()))
}

#[test]
fn what_is_wrong_at_the_far_end_of_small_clusters_is_found() {
    let scratch = Scratch::new();
    let path = image(&scratch);
    let quick = ["--quick".as_ref(), path.as_os_str()];
    let (code, sound) = report(&quick);
    assert_eq!((code, codes(&sound)), (0, vec!["disk-no-partition-table"]));
    assert_eq!(part(&sound, "allocation-tables"), Some(("done", "")));
    let at = (FAR * CLUSTER).to_string();
    for (refcount, expected, refused) in
        [(0, "qcow2-refcount-too-low", 1), (2, "qcow2-clusters-leaked", 0)]
    {
        patched(&path, refcount_at(FAR) + 1, &[refcount]);
        let (code, found) = report(&quick);
        assert!(codes(&found).contains(&expected), "{found}");
        assert_eq!(code, refused, "{found}");
        let finding = &found["findings"].as_array().unwrap().iter().find(|f| f["code"] == expected);
        assert_eq!(finding.unwrap()["offset"].to_string(), at);
    }
}

#[test]
fn packed_clusters_are_unpacked_in_a_full_check() {
    let scratch = Scratch::new();
    let path = image(&scratch);
    // Without what is far away, so that the check is short.
    patched(&path, L2_TABLE * CLUSTER, &[0; 8]);
    patched(&path, refcount_at(FAR), &[0, 0]);
    File::options().write(true).open(&path).unwrap().set_len((BLOCKS + 9) * CLUSTER).unwrap();
    let state = |arguments: &[&std::ffi::OsStr]| {
        let (code, report) = report(arguments);
        let (state, why) = part(&report, "packed-data").unwrap();
        (code, state.to_owned(), why.to_owned())
    };
    let done = || (0, "done".to_owned(), String::new());
    let path_of = path.as_os_str();
    assert_eq!(state(&[path_of]), done());
    assert_eq!(state(&["--digest".as_ref(), "disk".as_ref(), path_of]), done());
    assert_eq!(state(&["--quick".as_ref(), path_of]).1, "skipped");
    let packed = scratch.write("far.qcow2.gz", &gzip(&std::fs::read(&path).unwrap()));
    assert_eq!(state(&[packed.as_os_str()]), done());
    assert_eq!(state(&["--spool".as_ref(), packed.as_os_str()]), done());
    assert_eq!(part(&report(&[scratch.sparse("disk.raw", 20_000_000)]).1, "packed-data"), None);

    // A length that disagrees with its complement.
    patched(&path, PACKED * CLUSTER + 3, &[0]);
    let (code, found) = report(&[path_of]);
    assert_eq!(code, 1);
    assert!(codes(&found).contains(&"qcow2-cluster-damaged"), "{found}");
    assert_eq!(part(&found, "packed-data").unwrap().0, "partial");
    let packed = scratch.write("damaged.qcow2.gz", &gzip(&std::fs::read(&path).unwrap()));
    let (_, found) = report(&["--spool".as_ref(), packed.as_os_str()]);
    assert!(codes(&found).contains(&"qcow2-cluster-damaged"), "{found}");
}
