//! Compressed clusters of qcow2 of which a part is lost: QEMU reads what fills a cluster, but the data of every writer ends.

use flate2::{Compress, Compression, FlushCompress};

use crate::common::*;
use crate::layout::deflated;
use crate::qcow2::{CLUSTER, Image, L2};
use crate::qcow2_packed::disk_of_text;

/// Verdict and codes of one image, which are the same as a file, in gzip and bzip2 and by pipe, whether it is spooled,
/// digested or neither.
pub(super) fn every_way(scratch: &Scratch, bytes: &[u8]) -> String {
    let packed = gzip(bytes);
    let files = [
        scratch.write("image.qcow2", bytes),
        scratch.write("image.qcow2.gz", &packed),
        scratch.write("image.qcow2.bz2", &bzip2(bytes)),
    ];
    let options: [&[&str]; 3] = [&[], &["--spool"], &["--digest", "disk"]];
    let mut all = Vec::new();
    let mut add = |way: String, report: &serde_json::Value| {
        all.push((
            format!("{} {}", report["verdict"].as_str().unwrap(), codes(report).join(" ")),
            way,
        ));
    };
    for options in options {
        for path in &files {
            let arguments = options.iter().map(AsRef::as_ref).chain([path.as_os_str()]);
            add(format!("{path:?} {options:?}"), &report(&arguments.collect::<Vec<_>>()).1);
        }
        for bytes in [bytes, &packed] {
            let arguments = [&["--format", "json"], options, &["-"]].concat();
            add(format!("pipe {options:?}"), &images(&piped(&arguments, bytes))[0]);
        }
    }
    assert!(all.iter().all(|(said, _)| *said == all[0].0), "{all:#?}");
    all.remove(0).0
}

/// An image that ends with a compressed cluster of these bytes, in as many sectors as they take.
fn image(packed: &[u8]) -> Vec<u8> {
    let mut image = Image::new();
    let place = image.cluster();
    image.long(24, 4 << 20);
    image.put(place, packed);
    let sectors = (packed.len().div_ceil(512) - 1) as u64;
    image.long(L2 + 128, 1 << 62 | sectors << 54 | place as u64);
    image.bytes.truncate(place + packed.len());
    image.bytes
}

/// Bytes that are compressed to about half.
fn text() -> Vec<u8> {
    disk_of_text()[1 << 20..][..CLUSTER].to_vec()
}

/// Text, of which the end is in a final block that is stored.
fn ends_stored() -> Vec<u8> {
    const STORED: usize = 5000;
    let text = text();
    let (first, last) = text.split_at(CLUSTER - STORED);
    let mut packed = Vec::with_capacity(CLUSTER);
    let mut deflate = Compress::new(Compression::fast(), false);
    deflate.compress_vec(first, &mut packed, FlushCompress::Sync).unwrap();
    packed.push(1);
    packed.extend((STORED as u16).to_le_bytes());
    packed.extend((!(STORED as u16)).to_le_bytes());
    packed.extend(last);
    packed
}

#[test]
fn an_image_cut_inside_its_last_compressed_cluster_is_truncated() {
    let scratch = Scratch::new();
    for packed in [deflated(&text()), ends_stored()] {
        let sound = image(&packed);
        assert_eq!(every_way(&scratch, &sound), "accept ");
        // Zeros behind the end of the image would fill the cluster, and end a block that is stored.
        for cut in [1, 7, 900] {
            let cut = &sound[..sound.len() - cut];
            assert_eq!(every_way(&scratch, cut), "reject image-truncated");
            let path = scratch.write("cut.qcow2", cut);
            for arguments in [vec!["map"], vec!["compare", "/dev/null"]] {
                let output = tidegate().args(arguments).arg(&path).output().unwrap();
                assert_ne!(exit_code(&output), 0, "{output:?}");
            }
        }
    }
}

#[test]
fn a_compressed_cluster_that_does_not_end_is_said() {
    let scratch = Scratch::new();
    let padded = |packed: &[u8]| {
        let mut bytes = image(packed);
        bytes.resize(bytes.len().next_multiple_of(CLUSTER), 0);
        bytes
    };
    assert_eq!(every_way(&scratch, &padded(&deflated(&text()))), "accept ");
    let mut longer = text();
    longer.resize(CLUSTER + 100, b'a');
    let bytes = padded(&deflated(&longer));
    assert_eq!(every_way(&scratch, &bytes), "warn qcow2-cluster-unended");
    let (exit, found) = report(&[scratch.write("unended.qcow2", &bytes)]);
    assert_eq!(exit, 0);
    let said = found["findings"][0]["message"].as_str().unwrap();
    assert!(said.ends_with("fills its 65536 bytes and does not end there."), "{said}");
    let strict = check(&["--strict".as_ref(), scratch.path("unended.qcow2").as_os_str()]);
    assert_eq!(exit_code(&strict), 1);
}

/// Damage within the bytes that the image has is none of its length.
#[test]
fn damage_before_the_end_of_an_image_is_no_truncation() {
    let scratch = Scratch::new();
    let mut packed = deflated(&text());
    packed[0] |= 7;
    assert_eq!(every_way(&scratch, &image(&packed)), "reject qcow2-cluster-damaged");
}

/// Compresses a disk of text with QEMU; `None` without it.
fn converted(scratch: &Scratch, raw: &std::path::Path, options: &str) -> Option<Vec<u8>> {
    let path = scratch.path("converted.qcow2");
    let convert = ["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options];
    let done = qemu_img(&convert, &[raw, &path])?;
    assert!(done.status.success(), "{done:?}");
    Some(std::fs::read(path).unwrap())
}

#[test]
fn a_cut_in_what_qemu_compresses_is_found() {
    let scratch = Scratch::new();
    // Text up to the second copy of the partition table.
    let mut disk = disk_of_text();
    let end = disk.len() - 34 * 512;
    disk.copy_within(1 << 20..(1 << 20) + (end - (3 << 20)), 3 << 20);
    let raw = scratch.write("raw", &disk);
    for options in ["cluster_size=64k", "cluster_size=4k", "compression_type=zstd"] {
        let Some(sound) = converted(&scratch, &raw, options) else { return };
        let end = sound.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        for (cut, exit, expected) in [
            // Zeros up to the end of a sector; the last ones may be the end of the data.
            (sound.len().saturating_sub(end + 3), 0, None),
            (sound.len() - end + 1, 1, Some("image-truncated")),
            (sound.len() - end + 10, 1, Some("image-truncated")),
            (sound.len() - end + 700, 1, Some("image-truncated")),
        ] {
            let cut = &sound[..sound.len() - cut];
            for path in [scratch.write("cut.qcow2", cut), scratch.write("cut.gz", &gzip(cut))] {
                let (code, found) = report(&[path]);
                let mut codes = codes(&found);
                codes.retain(|&code| code != "qcow2-zstd");
                assert_eq!(code, exit, "{options}: {found}");
                assert_eq!(codes.first().copied(), expected, "{options}: {found}");
            }
        }
    }
}

/// A page that was lost on the way leaves zeros in the middle of the compressed data, which QEMU often reads.
#[test]
fn a_lost_page_of_what_qemu_compresses_is_no_plain_accept() {
    let scratch = Scratch::new();
    let raw = scratch.write("raw", &disk_of_text());
    let Some(sound) = converted(&scratch, &raw, "cluster_size=64k") else { return };
    let pages = (0..sound.len()).step_by(4096).filter(|at| (6..400).contains(&(at / 4096)));
    let mut read = 0;
    for page in pages.step_by(23) {
        let mut lossy = sound.clone();
        lossy[page..page + 4096].fill(0);
        if lossy == sound {
            continue;
        }
        let path = scratch.write("lossy.qcow2", &lossy);
        let compare = ["compare", "-f", "qcow2", "-F", "raw"];
        let Some(compared) = qemu_img(&compare, &[&path, &raw]) else { return };
        // 1 says that QEMU read another disk, and more that it read none.
        read += usize::from(compared.status.code() == Some(1));
        let (_, found) = report(&[&path]);
        let accepted = found["verdict"] == "accept";
        assert_eq!(accepted, compared.status.success(), "page {page}: {found}");
    }
    assert!(read > 0, "QEMU read none of them");
}
