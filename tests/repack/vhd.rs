//! The disk in a VHD, fixed and dynamic.

use serde_json::json;

use crate::common::*;
use crate::rig::*;

/// VHD images of one disk that is a multiple of no block, by QEMU, and that disk.
fn images(scratch: &Scratch) -> Option<(Vec<(&'static str, Vec<u8>)>, Vec<u8>)> {
    let folder = scratch.path(".");
    scratch.sparse("disk.raw", (9 << 20) + 512);
    let mut found = Vec::new();
    for name in ["fixed", "dynamic"] {
        let options = format!("subformat={name},force_size=on");
        let arguments = ["convert", "-f", "raw", "-O", "vpc", "-o", &options, "disk.raw", "made"];
        oracle(&folder, "qemu-img", &arguments)?;
        found.push((name, std::fs::read(scratch.path("made")).unwrap()));
        std::fs::remove_file(scratch.path("made")).unwrap();
    }
    let disk = std::fs::read(scratch.path("disk.raw")).unwrap();
    std::fs::remove_file(scratch.path("disk.raw")).unwrap();
    Some((found, disk))
}

#[test]
fn the_disk_is_taken_out() {
    let scratch = Scratch::new();
    let Some((images, disk)) = images(&scratch) else { return };
    let folder = scratch.path(".");
    for (kind, image) in images {
        let packed = gzip(&image);
        for (name, bytes) in [("web.vhd", &image), ("web.vhd.gz", &packed)] {
            scratch.write(name, bytes);
            let (code, report) = report(&[scratch.path(name)]);
            // Of what streams by, the partition table is held against the footer's end too.
            assert_eq!((code, codes(&report)[0]), (1, "format-vpc"), "{kind} {name}");
            let remedy = report["findings"][0]["remedy"].as_str().unwrap();
            assert!(remedy.contains("`tidegate repack ") && !remedy.contains("gzip"), "{remedy}");
            assert_eq!(report["findings"][0]["repairable"], true);
            let document = document(&folder, &[name], 0);
            assert_eq!(document["output"]["name"], "web.img.gz", "{kind} {name}");
            assert_eq!(document["source"]["sha256"], sha256(bytes), "{kind} {name}");
            assert!(unpacked(&scratch.path("web.img.gz")) == disk, "{kind} {name}");
            std::fs::remove_file(scratch.path("web.img.gz")).unwrap();
            // From a pipe, too; and with the digest that somebody says the file has.
            let script = format!(
                "cat {name} | {} repack --sha256 {} --format json - out.gz",
                env!("CARGO_BIN_EXE_tidegate"),
                sha256(bytes)
            );
            let script = ["-c", &script];
            oracle(&folder, "sh", &script).unwrap();
            assert!(unpacked(&scratch.path("out.gz")) == disk, "{kind} {name}");
            std::fs::remove_file(scratch.path("out.gz")).unwrap();
            std::fs::remove_file(scratch.path(name)).unwrap();
        }
    }
}

#[test]
fn what_is_wrong_with_it_is_named() {
    let scratch = Scratch::new();
    let Some((images, _)) = images(&scratch) else { return };
    let folder = scratch.path(".");
    let of = |kind: &str| images.iter().find(|(name, _)| *name == kind).unwrap().1.clone();
    let changed = |kind: &str, at: usize, byte: u8| {
        let mut image = of(kind);
        image[at] ^= byte;
        image
    };
    let (fixed, dynamic) = (of("fixed"), of("dynamic"));
    let table = 1536;
    for (image, code) in [
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
