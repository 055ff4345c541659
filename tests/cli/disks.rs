//! `map` and `compare`, and streams that are spooled.

use std::io::Read;
use std::process::{Output, Stdio};

use crate::common::*;
use serde_json::Value;

fn testdata(name: &str) -> String {
    format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn run(arguments: &[&str]) -> Output {
    tidegate().args(arguments).output().unwrap()
}

/// Runs the program with an image on a pipe.
fn fed(arguments: &[&str], bytes: &[u8]) -> Output {
    use std::io::Write;
    let mut child = tidegate().args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(bytes)));
        child.wait_with_output().unwrap()
    })
}

#[test]
fn the_same_disk_in_other_containers_is_the_same() {
    let scratch = Scratch::new();
    let raw = scratch.write("disk.raw", &disk());
    let raw = raw.to_str().unwrap();
    let packed = scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = run(&["compare", raw, packed.to_str().unwrap()]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(stdout(&output), "The disks are the same, 4194304 bytes.\n");
    let output = fed(&["compare", raw, "-"], &bzip2(&disk()));
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let output = run(&["compare", &testdata("gpt.qcow2"), &testdata("gpt.qcow2.gz")]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
}

#[test]
fn different_disks_are_told_apart() {
    let scratch = Scratch::new();
    let a = scratch.write("a.raw", &disk());
    let mut other = disk();
    other[2_000_000] = 1;
    let b = scratch.write("b.raw.gz", &gzip(&other));
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let output = run(&["compare", a, b]);
    assert_eq!(exit_code(&output), 1);
    assert_eq!(stdout(&output), "The disks differ, first in sector 3906 (byte 1999872).\n");
    let output = run(&["compare", "--format", "json", a, b]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["schema"], "tidegate.compare/1");
    assert_eq!((&found["same"], &found["first_difference"]), (&false.into(), &1_999_872.into()));

    let longer = scratch.write("longer.raw", &[disk(), vec![0; 512]].concat());
    let output = run(&["compare", a, longer.to_str().unwrap()]);
    assert_eq!(exit_code(&output), 1);
    assert!(stdout(&output).contains("4194304 and 4194816 bytes"), "{output:?}");

    // Two disks of zeros are the same at once, however large.
    let huge = scratch.sparse("huge.raw", 90_000_000_000);
    let output = run(&["compare", huge.to_str().unwrap(), huge.to_str().unwrap()]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
}

#[test]
fn what_cannot_be_compared_or_mapped_is_named() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let cut = scratch.write("cut.gz", &gzip(&disk())[..3000]);
    let backing = scratch.write("backing.qcow2", &qcow2_with_backing(b"base"));
    let missing = scratch.path("missing");
    let good = good.to_str().unwrap();
    for bad in [&cut, &backing, &missing] {
        let bad = bad.to_str().unwrap();
        for arguments in [&["compare", good, bad][..], &["compare", bad, good], &["map", bad]] {
            let output = run(arguments);
            assert_eq!(exit_code(&output), 3, "{arguments:?}: {output:?}");
            assert!(stderr(&output).contains(bad), "{output:?}");
        }
    }
    assert_eq!(exit_code(&run(&["compare", "-", "-"])), 2);
    assert_eq!(exit_code(&run(&["compare", good])), 2);
    assert_eq!(exit_code(&run(&["map"])), 2);
    assert_eq!(exit_code(&run(&["check", "--quick", "--spool", good])), 2);
}

#[test]
fn a_map_covers_the_disk() {
    let scratch = Scratch::new();
    let raw = scratch.write("<disk>&\u{202e}.raw.gz", &gzip(&disk()));
    for image in [
        raw.to_str().unwrap().to_owned(),
        testdata("gpt.qcow2"),
        testdata("gpt-compressed.qcow2"),
        testdata("gpt.vdi.gz"),
        testdata("gpt.vhdx.gz"),
        testdata("gpt.stream.vmdk"),
    ] {
        let output = run(&["map", "--format", "json", &image]);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let map: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(map["schema"], "tidegate.map/1");
        let extents = map["extents"].as_array().unwrap();
        assert_eq!(map["totals"]["extents"], extents.len());
        let mut at = 0;
        for extent in extents {
            assert_eq!(extent["start"], at, "{image}: {map}");
            at += extent["length"].as_u64().unwrap();
            let stored = extent["what"] == "data" || extent["what"] == "compressed";
            assert_eq!(extent["offset"].is_u64(), stored, "{image}: {extent}");
        }
        assert_eq!(map["virtual_size"], at);

        let output = run(&["map", &image]);
        assert_eq!(exit_code(&output), 0);
        assert!(stdout(&output).contains("one character is "), "{output:?}");
        let output = run(&["map", "--format", "svg", &image]);
        let svg = stdout(&output);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(!svg.contains("<disk>") && !svg.contains('\u{202e}'), "{svg}");
    }
}

#[test]
fn an_image_whose_data_is_cut_off_is_not_mapped_as_whole() {
    let scratch = Scratch::new();
    let unpacked = |name: &str| {
        let mut bytes = Vec::new();
        let packed = std::fs::File::open(testdata(name)).unwrap();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        bytes
    };
    for (name, bytes) in [
        ("data.qcow2", std::fs::read(testdata("gpt.qcow2")).unwrap()),
        ("data.vdi", unpacked("gpt.vdi.gz")),
        ("data.vhdx", unpacked("gpt.vhdx.gz")),
        ("data.vmdk", unpacked("gpt.sparse.vmdk.gz")),
    ] {
        let whole = scratch.write(name, &bytes);
        let output = run(&["map", "--format", "json", whole.to_str().unwrap()]);
        let map: Value = serde_json::from_slice(&output.stdout).unwrap();
        let end = |extent: &Value| Some(extent["offset"].as_u64()? + extent["length"].as_u64()?);
        let end = map["extents"].as_array().unwrap().iter().filter_map(end).max().unwrap();
        for cut in [end - 1, end - 512, end - 1000] {
            let cut = scratch.write(name, &bytes[..cut as usize]);
            let cut = cut.to_str().unwrap();
            let (_, report) = report(&[cut]);
            let of = |finding: &&Value| finding["code"] == "image-truncated";
            let findings = report["findings"].as_array().unwrap();
            let said = findings.iter().find(of).unwrap()["message"].as_str().unwrap();
            for format in ["text", "json", "svg"] {
                let output = run(&["map", "--format", format, cut]);
                assert_eq!(exit_code(&output), 3, "{name}: {output:?}");
                assert_eq!(stdout(&output), "", "{name}");
                assert!(stderr(&output).contains(said), "{name}: {said}: {output:?}");
            }
        }
    }
}

#[test]
fn an_old_qcow2_that_ends_inside_a_cluster_is_cut_for_everybody() {
    let scratch = Scratch::new();
    let mut image = std::fs::read(testdata("gpt-v2.qcow2")).unwrap();
    let whole = scratch.write("whole.qcow2", &image);
    image.truncate(image.len() - 512);
    let cut = scratch.write("cut.qcow2", &image);
    let (whole, cut) = (whole.to_str().unwrap(), cut.to_str().unwrap());
    assert_eq!(exit_code(&run(&["map", cut])), 3);
    assert_eq!(exit_code(&run(&["compare", cut, whole])), 3);
    for options in [&["--digest", "disk"][..], &[]] {
        assert_eq!(codes(&report(&[options, &[cut]].concat()).1), ["image-truncated"]);
    }
}

#[test]
fn a_map_tells_zeros_from_what_was_never_written() {
    let scratch = Scratch::new();
    let image = zeros_and_nothing(&scratch);
    let image = image.to_str().unwrap();
    let output = run(&["map", "--format", "json", image]);
    let map: Value = serde_json::from_slice(&output.stdout).unwrap();
    let extents = map["extents"].as_array().unwrap();
    let found: Vec<_> =
        extents.iter().map(|e| (e["what"].as_str(), e["length"].as_u64())).collect();
    let expected = [("data", 1), ("zero", 1), ("unallocated", 14)];
    assert_eq!(found, expected.map(|(what, clusters)| (Some(what), Some(clusters << 16))));

    let output = run(&["map", image]);
    let text = stdout(&output);
    // A line of the picture is a cluster here.
    let picture: Vec<&str> = text.lines().skip(2).take(16).map(str::trim).collect();
    for (line, cell) in picture.iter().zip("#0..............".chars()) {
        assert_eq!(*line, cell.to_string().repeat(64), "{text}");
    }
    assert!(text.contains("\n  zero                       65536"), "{text}");
    assert!(text.contains("\n  unallocated               917504"), "{text}");

    let output = run(&["map", "--format", "svg", image]);
    let svg = stdout(&output);
    let count = |fill: &str| svg.matches(&format!(" fill=\"{fill}\" stroke")).count();
    // The legend has one of each.
    assert_eq!([count("#0d47a1"), count("url(#zero)"), count("#fff")], [65, 65, 14 * 64 + 1]);
}

/// A qcow2 image of a disk of 1 MiB: a cluster with data, one of zeros, and nothing.
fn zeros_and_nothing(scratch: &Scratch) -> std::path::PathBuf {
    const CLUSTER: usize = 1 << 16;
    let mut image = qcow2_with_backing(b"");
    image[8..16].fill(0);
    image[4..8].copy_from_slice(&3u32.to_be_bytes());
    image[96..104].copy_from_slice(&[0, 0, 0, 4, 0, 0, 0, 104]);
    image.resize(6 * CLUSTER, 0);
    // Refcounts of the L2 table and the cluster with data.
    image[2 * CLUSTER + 8..2 * CLUSTER + 12].copy_from_slice(&[0, 1, 0, 1]);
    let copied = |cluster: usize| ((1 << 63) | (cluster * CLUSTER) as u64).to_be_bytes();
    image[3 * CLUSTER..3 * CLUSTER + 8].copy_from_slice(&copied(4));
    image[4 * CLUSTER..4 * CLUSTER + 8].copy_from_slice(&copied(5));
    image[4 * CLUSTER + 15] = 1;
    image[5 * CLUSTER..].fill(0xab);
    scratch.write("zeros.qcow2", &image)
}

#[test]
fn of_a_broken_image_nothing_is_shown() {
    let scratch = Scratch::new();
    let image = zeros_and_nothing(&scratch);
    let mut bytes = std::fs::read(&image).unwrap();
    // The entry of the last cluster leads between clusters: all before it is in order.
    bytes[(4 << 16) + 15 * 8..(4 << 16) + 16 * 8].copy_from_slice(&0x200u64.to_be_bytes());
    std::fs::write(&image, bytes).unwrap();
    for format in ["text", "json", "svg"] {
        let output = run(&["map", "--format", format, image.to_str().unwrap()]);
        assert_eq!(exit_code(&output), 3, "{output:?}");
        assert_eq!(stdout(&output), "", "{format}");
        assert!(stderr(&output).contains("between clusters"), "{output:?}");
    }
}

#[test]
fn a_map_that_is_too_long_for_memory_is_whole() {
    const TABLES: usize = 16;
    const ENTRIES: usize = 1 << 13;
    let scratch = Scratch::new();
    let path = zeros_and_nothing(&scratch);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[24..32].copy_from_slice(&((TABLES * ENTRIES) as u64 * (1 << 16)).to_be_bytes());
    bytes[39] = TABLES as u8;
    for table in 1..TABLES {
        bytes.copy_within(3 << 16..(3 << 16) + 8, (3 << 16) + 8 * table);
    }
    // Every second cluster is one of zeros.
    for entry in bytes[4 << 16..5 << 16].chunks_mut(16) {
        entry.copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
    std::fs::write(&path, bytes).unwrap();
    let image = path.to_str().unwrap();
    let output = run(&["map", "--format", "json", image]);
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    assert!(output.stdout.len() > 5 << 20, "{}", output.stdout.len());
    let map: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(map["extents"].as_array().unwrap().len(), TABLES * ENTRIES);
    // Without room for it there is no map, and no part of one.
    let output = tidegate()
        .args(["map", "--format", "json", image])
        .env("TMPDIR", scratch.path("missing"))
        .output()
        .unwrap();
    assert_eq!(exit_code(&output), 3, "{output:?}");
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("temporary file"), "{output:?}");
}

/// What a compressed file has behind is decoded again, and takes no temporary file.
#[test]
fn a_compressed_file_is_read_at_any_offset_without_a_temporary_file() {
    let scratch = Scratch::new();
    let run = |arguments: &[&str]| {
        let missing = scratch.path("missing");
        let output = tidegate().args(arguments).env("TMPDIR", missing).output().unwrap();
        assert_eq!(exit_code(&output), 0, "{arguments:?} {}", stderr(&output));
        output
    };
    for name in ["gpt.vdi", "gpt.vhdx", "gpt.sparse.vmdk", "gpt.qcow2", "gpt.raw"] {
        let plain = std::fs::read(testdata(name)).unwrap_or_else(|_| {
            let packed = std::fs::File::open(testdata(&format!("{name}.gz"))).unwrap();
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
            bytes
        });
        let whole = scratch.write(name, &plain);
        let whole = whole.to_str().unwrap();
        let digest = |path: &str| {
            let output = run(&["check", "--format", "json", "--digest", "disk", path]);
            let report = images(&output)[0].clone();
            assert_eq!(report["spooled_bytes"], 0, "{report}");
            report["digests"]["disk_sha256"].as_str().unwrap().to_owned()
        };
        let of_disk = digest(whole);
        for packed in [
            scratch.write(format!("{name}.gz"), &gzip(&plain)),
            scratch.write(format!("{name}.bz2"), &bzip2(&plain)),
        ] {
            let packed = packed.to_str().unwrap();
            assert_eq!(digest(packed), of_disk, "{packed}");
            let output = run(&["compare", packed, whole]);
            assert!(stdout(&output).contains("The disks are the same"), "{}", stdout(&output));
            run(&["map", packed]);
        }
    }
}

#[test]
fn with_spool_nothing_lies_behind() {
    let scratch = Scratch::new();
    for name in ["gpt.vdi.gz", "gpt.vhdx.gz", "gpt.sparse.vmdk.gz", "gpt.qcow2.gz", "gpt.raw.gz"] {
        let bytes = std::fs::read(testdata(name)).unwrap();
        let output = fed(&["check", "--format", "json", "--spool", "-"], &bytes);
        let piped = &images(&output)[0];
        let (_, plain) = report(&[testdata(name)]);
        let (_, spooled) = report(&["--spool", &testdata(name)]);
        for report in [piped, &spooled] {
            assert_eq!(report["verdict"], plain["verdict"], "{name}: {report}");
            assert_eq!(codes(report), codes(&plain), "{name}");
            assert_eq!(report["digests"], plain["digests"]);
            assert_eq!(report["scans"], 1);
            assert!(report["spooled_bytes"].as_u64().unwrap() > 0);
        }
    }
    // A temporary file that cannot be made is no verdict on the image.
    let output = tidegate()
        .args(["check", "--format", "json", "--spool", &testdata("gpt.qcow2.gz")])
        .env("TMPDIR", scratch.path("missing"))
        .output()
        .unwrap();
    assert_eq!(exit_code(&output), 3);
    assert_eq!(images(&output)[0]["error"]["kind"], "spool");
}
