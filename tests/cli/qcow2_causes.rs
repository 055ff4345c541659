//! What is said of damage in a qcow2: each cause once, and nothing that only follows from it.

use std::process::Command;

use crate::common::*;
use crate::qcow2::{CLUSTER, COPIED, Image, L1, L2, REFCOUNTS, changed};
use crate::qcow2_bitmaps::Bitmap;
use crate::qcow2_packed::disk_of_text;

#[test]
fn much_that_is_used_by_nothing_is_a_warning_and_a_little_a_note() {
    let scratch = Scratch::new();
    let mut image = Image::new();
    image.cluster();
    let (exit, found) = report(&[scratch.write("few.qcow2", &image.bytes)]);
    assert_eq!((exit, codes(&found)), (0, vec!["qcow2-clusters-leaked"]), "{found}");
    assert_eq!(found["verdict"], "accept");
    for number in 0..40 {
        let at = image.cluster();
        image.long(L2 + 8 + 8 * number, COPIED | at as u64);
    }
    for lost in [L1..L1 + 8, L2..L2 + CLUSTER] {
        let mut lossy = image.clone();
        lossy.bytes[lost].fill(0);
        let (_, found) = report(&[scratch.write("lossy.qcow2", &lossy.bytes)]);
        assert_eq!(found["verdict"], "warn", "{found}");
        let all = found["findings"].as_array().unwrap();
        let lost = all.iter().find(|it| it["code"] == "qcow2-clusters-lost").unwrap();
        let said = lost["message"].as_str().unwrap();
        assert!(said.contains("bytes 0 to 1073741824 of the disk"), "{said}");
        assert!(!lost["remedy"].as_str().unwrap_or_default().contains("check -r"), "{lost}");
    }
}

#[test]
fn an_offset_that_leads_nowhere_is_no_truncation() {
    let scratch = Scratch::new();
    for (at, bytes) in
        [(L2 + 8, "overwrit"), (L2 + 8, "\0\0\0\x01\0\0\0\0"), (L1 + 8, "\0\x10\0\0\0\0\0\0")]
    {
        let image = changed(|image| image.put(at, bytes.as_bytes()));
        let output = check(&[scratch.write("wild.qcow2", &image.bytes)]);
        assert_eq!(exit_code(&output), 1);
        assert!(!stdout(&output).contains("missing"), "{}", stdout(&output));
    }
}

#[test]
fn one_cause_is_one_finding() {
    let scratch = Scratch::new();
    let Some(_) = qemu_img::<&str>(&["--version"], &[]) else { return };
    let path = scratch.path("luks.qcow2");
    let luks = [
        "create",
        "-q",
        "-f",
        "qcow2",
        "--object",
        "secret,id=s0,data=abc",
        "-o",
        "encrypt.format=luks,encrypt.key-secret=s0,encrypt.iter-time=10",
    ];
    let done = Command::new("qemu-img").args(luks).arg(&path).arg("64M").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(codes(&report(&[&path]).1), ["qcow2-encrypted"]);
    let (path, data) = (scratch.path("data.qcow2"), scratch.path("data.raw"));
    let option = format!("data_file={}", data.display());
    let other = ["convert", "-f", "raw", "-O", "qcow2", "-o", &option];
    let raw = scratch.write("raw", &disk_of_text());
    let done = Command::new("qemu-img").args(other).args([&raw, &path]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(codes(&report(&[&path]).1), ["qcow2-data-file"]);
}

#[test]
fn what_follows_the_image_is_named() {
    let scratch = Scratch::new();
    let sound = Image::new().bytes;
    let trailing = "qcow2-trailing-bytes";
    for (tail, code, expected) in [
        (vec![0; CLUSTER - 100], "image-zeros-behind", "no length that writers leave"),
        (vec![0; 3 * CLUSTER + 100], "image-padded", "as a snapshot that was deleted"),
        (vec![0; 3 * CLUSTER], "image-padded", "as preallocation"),
        ([&[0; 1000][..], b"PK\x03\x04 and so on"].concat(), trailing, "as a zip file does"),
        (sound.clone(), trailing, "as a qcow2 file does"),
        (vec![0x9e; CLUSTER], trailing, "x9e\\x9e"),
    ] {
        let bytes = [&sound[..], &tail].concat();
        let plain = scratch.write("tail.qcow2", &bytes);
        for path in [plain, scratch.write("tail.qcow2.gz", &gzip(&bytes))] {
            let (exit, found) = report(&[&path]);
            assert_eq!((exit, codes(&found)), (0, vec![code]), "{found}");
            assert!(
                found["findings"][0]["message"].as_str().unwrap().contains(expected),
                "{found}"
            );
        }
    }
}

#[test]
fn map_and_check_count_the_same_bytes() {
    let scratch = Scratch::new();
    let mut image = Image::new();
    // Its L2 tables are cut off.
    image.bytes.truncate(L2 + 100);
    let path = scratch.write("cut.qcow2", &image.bytes);
    let map = tidegate().arg("map").arg(&path).output().unwrap();
    let (_, found) = report(&[&path]);
    let all = found["findings"].as_array().unwrap();
    let cut = all.iter().find(|it| it["code"] == "image-truncated").unwrap();
    let number = |text: &str| {
        let (before, _) = text.split_once(" bytes (").unwrap();
        before.rsplit(' ').next().unwrap().to_owned()
    };
    let said = stderr(&map).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(number(&said), number(cut["message"].as_str().unwrap()), "{said}");
}

/// What is said of an image, each code once.
fn said_once(name: &str, image: &Image) -> Vec<String> {
    let scratch = Scratch::new();
    let (_, report) = report(&[scratch.write(name, &image.bytes)]);
    let mut codes: Vec<String> = codes(&report).into_iter().map(str::to_owned).collect();
    codes.dedup();
    codes
}

#[test]
fn what_follows_from_damage_is_not_said_beside_it() {
    let text = b"The quick brown fox jumps over the lazy dog. ".repeat(2000);
    let mut extra = Image::new();
    let table = extra.snapshot(&[0; 1032]);
    extra.bytes.truncate(table + CLUSTER);
    assert_eq!(said_once("extra", &extra), ["qcow2-snapshot-table-invalid", "qcow2-snapshots"]);

    let mut longer = Image::new();
    let directory = longer.bitmaps(&[Bitmap::named("one")]);
    let size = longer.extensions - 16;
    let bytes = u64::from_be_bytes(longer.bytes[size..size + 8].try_into().unwrap());
    longer.long(size, bytes + 8);
    longer.bytes.truncate(directory + bytes as usize);
    assert!(said_once("longer", &longer).contains(&"qcow2-bitmaps-invalid".to_owned()));
    assert!(!said_once("longer", &longer).contains(&"qcow2-clusters-lost".to_owned()));

    let mut counts = Image::new();
    counts.put(REFCOUNTS, &text[..CLUSTER]);
    assert_eq!(said_once("counts", &counts), ["qcow2-refcount-table-invalid"]);

    let mut entries = Image::new();
    for _ in 0..40 {
        entries.cluster();
    }
    entries.put(L1, &text[..16]);
    assert_eq!(said_once("entries", &entries), ["qcow2-table-entry-invalid"]);
}
