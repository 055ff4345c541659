//! What images hide from whoever reads them in order, or behind numbers that lead nowhere.

use crate::common::*;
use crate::layout::{Layout, deflated, many_packed, scattered};

/// Verdicts and codes of one image as a file, in gzip and in bzip2, and as pipes of the first two.
fn every_way(scratch: &Scratch, bytes: &[u8]) -> Vec<String> {
    let packed = [gzip(bytes), bzip2(bytes)];
    let said = |report: &serde_json::Value| {
        format!("{} {}", report["verdict"].as_str().unwrap(), codes(report).join(" "))
    };
    let files = [("a.qcow2", bytes), ("a.gz", &packed[0]), ("a.bz2", &packed[1])];
    let mut all: Vec<String> =
        files.map(|(name, bytes)| said(&report(&[scratch.write(name, bytes)]).1)).to_vec();
    for bytes in [bytes, &packed[0]] {
        all.push(said(&images(&piped(&["--format", "json", "-"], bytes))[0]));
    }
    all
}

/// Two compressed clusters in the data of a header extension that nobody knows, the second one `damaged`.
fn in_an_extension(damaged: bool) -> Vec<u8> {
    let mut image = Layout::new(21, 32);
    image.put(104, &0x1234_5678u32.to_be_bytes());
    image.put(108, &0x001d_9990u32.to_be_bytes());
    let l1 = image.l1(1);
    let l2 = image.take(1);
    let first = image.first();
    image.map(l1, l2);
    image.map(l2, first);
    let content: Vec<u8> = (0..1u32 << 21).map(|at| (at / 9) as u8).collect();
    let mut bytes = deflated(&content);
    for (number, at) in [512 << 10, 1_228_800].into_iter().enumerate() {
        if damaged && number == 1 {
            bytes[0] = 7;
        }
        image.put(at, &bytes);
        image.compressed(l2 + 8 + 8 * number, at, bytes.len());
    }
    image.finish()
}

/// No writer puts any there, and what is sound about them cannot be seen by all who read in order.
#[test]
fn clusters_in_the_header_are_refused_in_every_form() {
    let scratch = Scratch::new();
    for damaged in [false, true] {
        for said in every_way(&scratch, &in_an_extension(damaged)) {
            assert!(said.starts_with("reject "), "{damaged}: {said}");
            assert!(said.contains("qcow2-clusters-overlap"), "{damaged}: {said}");
        }
    }
}

#[test]
fn clusters_far_apart_are_kept_for_the_partition_table() {
    let scratch = Scratch::new();
    assert_eq!(every_way(&scratch, &scattered()), ["accept "; 5]);
}

#[test]
fn compressed_clusters_that_cannot_wait_are_unpacked_with_another_scan() {
    let scratch = Scratch::new();
    for (damaged, expected) in [(false, "accept"), (true, "reject")] {
        let path = scratch.write("many.qcow2.gz", &gzip(&many_packed(damaged)));
        let (_, found) = report(&[path.as_os_str(), "--keep-going".as_ref()]);
        assert_eq!(found["verdict"], expected, "{found}");
        assert_eq!(codes(&found).contains(&"qcow2-cluster-damaged"), damaged, "{found}");
    }
}

/// A disk of two halves that share an L2 table, and a snapshot whose L1 table is empty.
fn shared_halves(snapshot: bool) -> (Vec<u8>, Vec<u8>) {
    const CLUSTER: usize = 4096;
    let mut image = Layout::new(12, 1024);
    let l1 = image.l1(2);
    let l2 = image.take(1);
    let first = image.first();
    let last = image.take(1);
    image.put(last, &[0xa5; CLUSTER]);
    for (entry, at) in [(l1, l2), (l1 + 8, l2), (l2, first), (l2 + 511 * 8, last)] {
        image.long(entry, at as u64);
    }
    for at in [l2, first, last] {
        image.counts[at / CLUSTER] = 2;
    }
    let mut half = vec![0; 512 * CLUSTER];
    half[..CLUSTER].copy_from_slice(&image.bytes[first..first + CLUSTER]);
    half[511 * CLUSTER..].fill(0xa5);
    if snapshot {
        let empty = image.take(1);
        let list = image.take(1);
        image.put(60, &1u32.to_be_bytes());
        image.long(64, list as u64);
        image.long(list, empty as u64);
        image.put(list + 8, &2u32.to_be_bytes());
        image.put(list + 12, &[0, 1, 0, 1]);
        image.put(list + 36, &16u32.to_be_bytes());
        image.long(list + 48, 1024 * CLUSTER as u64);
        image.put(list + 56, b"1a");
    }
    (image.finish(), [half.clone(), half].concat())
}

#[test]
fn the_disk_is_what_the_active_table_says() {
    let scratch = Scratch::new();
    for snapshot in [false, true] {
        let (bytes, raw) = shared_halves(snapshot);
        let path = scratch.write("shared.qcow2", &bytes);
        if let Some(converted) =
            qemu_img(&["convert", "-O", "raw"], &[&path, &scratch.path("out.raw")])
        {
            assert!(converted.status.success(), "{converted:?}");
            assert!(std::fs::read(scratch.path("out.raw")).unwrap() == raw);
        }
        let packed = scratch.write("shared.qcow2.gz", &gzip(&bytes));
        for path in [path, packed] {
            let allowed = ["--digest", "disk", "--allow", "qcow2-clusters-overlap"];
            let mut arguments: Vec<&std::ffi::OsStr> = allowed.map(AsRef::as_ref).to_vec();
            arguments.push(path.as_os_str());
            let (_, found) = report(&arguments);
            assert_eq!(found["digests"]["disk_sha256"], sha256(&raw), "{snapshot}: {found}");
        }
    }
}

#[test]
fn a_count_that_leads_nowhere_hides_nothing() {
    let scratch = Scratch::new();
    let mut image = Layout::new(16, 64);
    let l1 = image.l1(1);
    let l2 = image.take(1);
    let first = image.first();
    image.map(l1, l2);
    image.map(l2, first);
    let sound = image.finish();
    let long = |at: usize| u64::from_be_bytes(sound[at..at + 8].try_into().unwrap()) as usize;
    let block = long(long(48));
    let end = sound.len() >> 16;
    let found = |counted: &[usize], tail: &[u8]| {
        let mut bytes = [&sound[..], tail].concat();
        counted.iter().for_each(|cluster| bytes[block + 2 * cluster + 1] = 1);
        let path = scratch.write("tail.qcow2", &bytes);
        codes(&report(&[path]).1).join(" ")
    };
    let tail = [&b"PK\x03\x04"[..], &[1; 100_000]].concat();
    assert_eq!(found(&[], &tail), "qcow2-trailing-bytes");
    for far in [end + 2, 1000, 32_000] {
        assert_eq!(found(&[far], &tail), "qcow2-trailing-bytes qcow2-clusters-leaked", "{far}");
    }
    // A writer that was interrupted counts the clusters that follow; what lies behind these is nobody's.
    assert_eq!(found(&[end, end + 1], &tail), "qcow2-clusters-leaked qcow2-clusters-leaked");
    assert_eq!(found(&[end], &tail), "qcow2-trailing-bytes qcow2-clusters-leaked");
}
