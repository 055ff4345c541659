//! The walk, held against QEMU's reading of the same images.

use crate::facts::{Code, DiskFormat};
use crate::formats::testing::{codes, converted, finds_what_qemu_finds, walks_what_qemu_writes};

/// A disk of a few clusters in clusters of 4 KiB: header, refcount table, one block, L1, L2, data.
fn image() -> Option<Vec<u8>> {
    let mut raw = vec![0; 1 << 20];
    for at in [0, 8192, 500_000, 1_000_000] {
        raw[at..at + 5000].fill(at as u8 | 1);
    }
    converted(&raw, DiskFormat::Qcow2, "cluster_size=4096")
}

#[test]
fn what_qemu_writes_is_whole() {
    for options in [
        "",
        "compat=0.10,cluster_size=512",
        "cluster_size=512,refcount_bits=1",
        "cluster_size=4096,refcount_bits=64",
        "cluster_size=2M",
        "preallocation=metadata",
        "lazy_refcounts=on",
    ] {
        walks_what_qemu_writes(DiskFormat::Qcow2, options, (5 << 20) + 512);
    }
}

#[test]
fn whatever_qemu_finds_is_found() {
    let Some(image) = image() else { return };
    let number = |at: usize| u64::from_be_bytes(*image[at..].first_chunk().unwrap()) as usize;
    let (l1, refcounts) = (number(40), number(48));
    let l2 = number(l1) & 0xff_ffff;
    let block = number(refcounts);
    finds_what_qemu_finds(DiskFormat::Qcow2, &image, 120, |image, random| {
        let at = match random % 4 {
            0 => l1,
            1 => l2 + (random as usize >> 8) % 256 * 8,
            2 => refcounts,
            _ => block + (random as usize >> 8) % 16 * 2,
        };
        let value = match random >> 4 & 3 {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << 63 | l2 as u64,
            _ => (1 << 63) | ((random >> 20) % 40 * 4096),
        };
        image[at..at + 8].copy_from_slice(&value.to_be_bytes());
    });
}

#[test]
fn each_contradiction_has_its_code() {
    let Some(image) = image() else { return };
    let number = |at: usize| u64::from_be_bytes(*image[at..].first_chunk().unwrap());
    let (l1, refcounts) = (number(40) as usize, number(48) as usize);
    let l2 = (number(l1) & 0xff_ffff) as usize;
    let block = number(refcounts) as usize;
    let first = number(l2);
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = image.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        codes(DiskFormat::Qcow2, changed)
    };
    assert_eq!(with(0, b"Q"), []);
    let cluster = ((first & 0xff_ffff) / 4096) as usize;
    let low = with(block + cluster * 2, &[0, 0]);
    assert!(low.contains(&Code::Qcow2RefcountTooLow), "{low:?}");
    assert_eq!(with(block + 2 * 2000, &[0, 1]), [Code::Qcow2ClustersLeaked]);
    let shared = with(l2 + 8, &first.to_be_bytes());
    assert!(shared.contains(&Code::Qcow2ClustersOverlap), "{shared:?}");
    let onto_table = with(l2, &(1 << 63 | l2 as u64).to_be_bytes());
    assert!(onto_table.contains(&Code::Qcow2ClustersOverlap), "{onto_table:?}");
    let flag = with(l2, &(first & !(1 << 63)).to_be_bytes());
    assert_eq!(flag, [Code::Qcow2CopiedFlagWrong]);
    let past = with(l2, &(1u64 << 63 | 1 << 40).to_be_bytes());
    assert!(past.contains(&Code::ImageTruncated), "{past:?}");
    // The dirty bit says that refcounts may be stale.
    let mut dirty = image.clone();
    dirty[79] |= 1;
    dirty[block + cluster * 2 + 1] = 0;
    assert_eq!(codes(DiskFormat::Qcow2, dirty), [Code::Qcow2Dirty, Code::Qcow2RefcountStale]);
}
