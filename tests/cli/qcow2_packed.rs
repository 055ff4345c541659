//! Compressed clusters of qcow2, from files and from streams.

use serde_json::Value;

use crate::common::*;
use crate::qcow2::{CLUSTER, COPIED, Image, L1, L2};

/// State of the part of a check that decompresses clusters.
fn packed_data(report: &Value) -> &str {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "packed-data");
    check.map_or("none", |check| check["state"].as_str().unwrap())
}

/// Text that packs to about half.
pub(super) fn disk_of_text() -> Vec<u8> {
    let mut disk = disk();
    let mut random = 1u64;
    for byte in &mut disk[1 << 20..3 << 20] {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = b'a' + (random >> 60) as u8;
    }
    disk
}

#[test]
fn compressed_clusters_of_a_stream_are_decompressed_as_they_pass() {
    let scratch = Scratch::new();
    let raw = scratch.write("raw", &disk_of_text());
    let path = scratch.path("image.qcow2");
    for options in
        ["cluster_size=4k", "cluster_size=64k", "cluster_size=2M", "compression_type=zstd"]
    {
        let convert = ["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options];
        let Some(done) = qemu_img(&convert, &[&raw, &path]) else {
            return;
        };
        assert!(done.status.success(), "{done:?}");
        let sound = std::fs::read(&path).unwrap();
        // Near the end there is nothing but data.
        let mut damaged = sound.clone();
        let at = damaged.len() - 100_000;
        damaged[at..at + 50_000].fill(0xff);
        for (bytes, expected) in [(&sound, false), (&damaged, true)] {
            let packed = scratch.write("image.qcow2.gz", &gzip(bytes));
            let plain = scratch.write("image.qcow2", bytes);
            let pipe = piped(&["--format", "json", "-"], bytes);
            let pipe = (exit_code(&pipe), images(&pipe).remove(0));
            for (exit, found) in [report(&[&plain]), report(&[&packed]), pipe] {
                let says = codes(&found).contains(&"qcow2-cluster-damaged");
                assert_eq!((exit == 1, says), (expected, expected), "{options}: {found}");
                let clean = codes(&found).iter().all(|&code| code == "qcow2-zstd");
                assert!(expected || clean, "{options}: {found}");
                if !expected {
                    assert_eq!(packed_data(&found), "done", "{options}: {found}");
                    assert_eq!(found["scans"], 1, "{options}: {found}");
                }
            }
        }
    }
}

/// Clusters that lie before the table that names them.
#[test]
fn compressed_clusters_that_have_passed_are_decoded_again() {
    let scratch = Scratch::new();
    let mut image = Image::new();
    let first = |image: &mut Image| {
        let at = image.cluster();
        image.long(L2 + 8 * (at / CLUSTER), COPIED | at as u64);
    };
    // What a stream keeps of its beginning.
    (0..20).for_each(|_| first(&mut image));
    // One stored block of a whole cluster, and its last byte.
    let place = image.cluster();
    image.cluster();
    image.put(place, &[0, 0xff, 0xff, 0, 0]);
    let rest = place + 5 + 0xffff;
    image.put(rest, &[1, 1, 0, 0xfe, 0xff, 7]);
    // Far enough behind that no stream has it at hand.
    (0..40).for_each(|_| first(&mut image));
    let table = image.cluster();
    let sectors = ((rest + 5) / 512 - place / 512) as u64;
    image.long(table, 1 << 62 | sectors << 54 | place as u64);
    image.long(L1 + 8, COPIED | table as u64);
    let verdict = |image: &Image, codes_of: &mut Vec<String>| {
        let packed = scratch.write("image.qcow2.gz", &gzip(&image.bytes));
        let (exit, found) = report(&[&packed]);
        codes_of.extend(codes(&found).into_iter().map(str::to_owned));
        (exit, packed_data(&found).to_owned(), found["scans"].as_u64().unwrap())
    };
    let mut found = Vec::new();
    assert_eq!(verdict(&image, &mut found), (0, "done".into(), 1), "{found:?}");
    assert!(found.is_empty(), "{found:?}");
    let pipe = piped(&["--format", "json", "-"], &image.bytes);
    assert_eq!(codes(&images(&pipe)[0]), ["structure-not-examined"], "{pipe:?}");
    image.put(place + 3, &[9]);
    assert_eq!(verdict(&image, &mut found).0, 1);
    assert_eq!(found, ["qcow2-cluster-damaged"]);
}

#[test]
fn the_sectors_of_a_compressed_cluster_are_an_upper_bound() {
    let scratch = Scratch::new();
    let mut image = Image::new();
    let place = image.cluster();
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut deflate, &[65; CLUSTER]).unwrap();
    let packed = deflate.finish().unwrap();
    image.put(place, &packed);
    image.long(L2 + 128, 1 << 62 | 3 << 54 | place as u64);
    image.bytes.truncate(place + packed.len());
    let path = scratch.write("short.qcow2", &image.bytes);
    if let Some(check) = qemu_img(&["check", "-f", "qcow2"], &[&path]) {
        assert!(check.status.success(), "{check:?}");
    }
    for path in [path, scratch.write("short.qcow2.gz", &gzip(&image.bytes))] {
        let (exit, found) = report(&[&path]);
        assert_eq!((exit, codes(&found)), (0, vec![]), "{found}");
    }
    // What is missing of it is missed.
    image.bytes.truncate(place + packed.len() / 2);
    let (exit, found) = report(&[scratch.write("cut.qcow2", &image.bytes)]);
    assert_eq!((exit, codes(&found)), (1, vec!["image-truncated"]), "{found}");
}
