//! VMDK streams: the disk is taken out of one whose grains are out of order, and others stay what they are.

use serde_json::json;

use crate::common::*;
use crate::rig::*;
use crate::vmdk::stream;

/// A disk with something in many grains.
fn full() -> Vec<u8> {
    let mut disk = disk();
    let end = disk.len() - (64 << 10);
    for at in (1 << 20..end).step_by(128 << 10) {
        disk[at..at + 8].copy_from_slice(&(at as u64).to_le_bytes());
    }
    disk
}

#[test]
fn the_disk_is_taken_out_of_a_stream_that_is_out_of_order() {
    let scratch = Scratch::new();
    let folder = scratch.path(".");
    let image = stream(&full(), true);
    scratch.write("web.vmdk", &image);
    let made = oracle(&folder, "qemu-img", &["convert", "-O", "raw", "web.vmdk", "qemu.raw"]);
    if made.is_some() {
        assert!(std::fs::read(scratch.path("qemu.raw")).unwrap() == full());
    }
    scratch.write("web2.vmdk.gz", &gzip(&image));
    scratch.write("web3.vmdk.gz.gz", &gzip(&gzip(&image)));
    for (name, out, wrappings) in [
        ("web.vmdk", "web.img.gz", json!(["vmdk"])),
        ("web2.vmdk.gz", "web2.img.gz", json!(["gzip", "vmdk"])),
        ("web3.vmdk.gz.gz", "web3.img.gz", json!(["gzip", "gzip", "vmdk"])),
    ] {
        let (_, report) = report(&[scratch.path(name)]);
        if name != "web3.vmdk.gz.gz" {
            let finding = &report["findings"][0];
            assert_eq!(finding["code"], "vmdk-grains-unordered", "{report}");
            assert_eq!(finding["repairable"], true, "{report}");
        }
        for arguments in [&[name][..], &[name, out], &[name, "--strict"]] {
            let document = document(&folder, arguments, 0);
            let file = std::fs::read(scratch.path(name)).unwrap();
            assert_eq!(document["source"]["wrappings"], wrappings, "{name}");
            assert_eq!(document["source"]["sha256"], sha256(&file), "{name}");
            assert_eq!(document["output"]["name"], out, "{name}");
            assert_eq!(document["report"]["verdict"], "accept", "{name}: {document}");
            assert!(unpacked(&scratch.path(out)) == full(), "{name}");
            std::fs::remove_file(scratch.path(out)).unwrap();
        }
    }
}

#[test]
fn a_pipe_cannot_be_read_again_and_keeps_the_warning() {
    let scratch = Scratch::new();
    let folder = scratch.path(".");
    scratch.write("web.vmdk", &stream(&full(), true));
    let program = env!("CARGO_BIN_EXE_tidegate");
    let script = format!("cat web.vmdk | {program} repack - out.vmdk.gz");
    let said = oracle(&folder, "sh", &["-c", &script]).unwrap();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("WARN") && said.contains("out of order"), "{said}");
    // And how it is mended.
    let command = "tidegate repack out.vmdk.gz out.img.gz";
    assert!(said.contains(command), "{said}");
    let output = repack(&folder, &["out.vmdk.gz", "out.img.gz"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(unpacked(&scratch.path("out.img.gz")) == full());
    let script = format!("cat web.vmdk | {program} repack --strict - strict.gz; test $? -eq 1");
    oracle(&folder, "sh", &["-c", &script]).unwrap();
    assert!(!scratch.path("strict.gz").exists());
}

#[test]
fn what_is_in_order_stays_what_it_is() {
    let scratch = Scratch::new();
    let image = stream(&full(), false);
    scratch.write("web.vmdk", &image);
    let output = repack(&scratch.path("."), &["web.vmdk"]);
    assert!(stdout(&output).contains("Nothing to repack"), "{output:?}");
    let document = document(&scratch.path("."), &["web.vmdk", "out.vmdk.gz"], 0);
    assert_eq!(document["source"]["wrappings"], json!([]));
    assert!(unpacked(&scratch.path("out.vmdk.gz")) == image);
    // Whoever says that the order does not matter gets it as it is.
    scratch.write("odd.vmdk", &stream(&full(), true));
    let output = repack(&scratch.path("."), &["odd.vmdk", "--allow", "vmdk-grains-unordered"]);
    assert!(stdout(&output).contains("Nothing to repack"), "{output:?}");
}

#[test]
fn a_stream_that_is_damaged_as_well_is_refused() {
    let scratch = Scratch::new();
    let folder = scratch.path(".");
    let good = stream(&full(), true);
    // The first grain, its marker, the footer's header.
    for (at, code) in [
        (128 * 512 + 14, "vmdk-grain-damaged"),
        (128 * 512 + 1, "vmdk-markers-mismatch"),
        (good.len() - 1024 + 12, "vmdk-footer-mismatch"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        scratch.write("web.vmdk", &bad);
        scratch.write("web2.vmdk.gz", &gzip(&bad));
        let before = names(&folder);
        for name in ["web.vmdk", "web2.vmdk.gz"] {
            for arguments in [&[name][..], &[name, "out.gz"]] {
                let document = document(&folder, arguments, 1);
                assert!(codes(&document["report"]).contains(&code), "{code}: {document}");
                assert_eq!(names(&folder), before, "{code}");
            }
        }
    }
}
