//! What it mends, and that the disk is the same afterwards.

use serde_json::{Value, json};

use crate::common::*;
use crate::rig::*;

/// The image as each of these files has it, with its endings and what is taken off.
fn files(scratch: &Scratch) -> Option<Vec<(&'static str, Value, &'static str)>> {
    let folder = &scratch.path(".");
    scratch.write("disk.raw", &disk());
    scratch.write("notes.txt", b"of no use\n");
    for (program, arguments) in [
        ("xz", &["-k", "disk.raw"][..]),
        ("zstd", &["-q", "disk.raw"]),
        ("tar", &["-cf", "server.tar", "notes.txt", "disk.raw"]),
        ("tar", &["-czf", "server.tar.gz", "notes.txt", "disk.raw"]),
        ("cp", &["server.tar", "box.ova"]),
    ] {
        oracle(folder, program, arguments)?;
    }
    let (raw, packed) = (disk(), gzip(&disk()));
    scratch.write("nested.raw.gz.gz", &gzip(&packed));
    scratch.write("thrice.gz.gz.gz", &gzip(&gzip(&packed)));
    scratch.write("both.raw.bz2.gz", &gzip(&bzip2(&raw)));
    let (a, b) = raw.split_at(raw.len() / 2);
    scratch.write("streams.raw.bz2", &[bzip2(a), bzip2(b)].concat());
    scratch.write("zeros.raw.gz", &[&packed[..], &[0; 512]].concat());
    scratch.write("zeros2.raw.bz2", &[&bzip2(&raw)[..], &[0; 512]].concat());
    scratch.write("behind.raw.gz", &[&packed[..], b"{ \"metadata_version\": 1 }FWx0"].concat());
    scratch.write("behind2.raw.bz2", &[&bzip2(&raw)[..], b"more"].concat());
    Some(vec![
        ("disk.raw", json!([]), "disk.raw.gz"),
        ("disk.raw.xz", json!(["xz"]), "disk.raw.gz"),
        ("disk.raw.zst", json!(["zstd"]), "disk.raw.gz"),
        ("server.tar", json!(["tar (disk.raw)"]), "server.img.gz"),
        ("server.tar.gz", json!(["gzip", "tar (disk.raw)"]), "server.img.gz"),
        ("box.ova", json!(["tar (disk.raw)"]), "box.img.gz"),
        ("nested.raw.gz.gz", json!(["gzip", "gzip"]), "nested.raw.gz"),
        ("thrice.gz.gz.gz", json!(["gzip", "gzip", "gzip"]), "thrice.img.gz"),
        ("both.raw.bz2.gz", json!(["gzip", "bzip2"]), "both.raw.gz"),
        ("streams.raw.bz2", json!(["bzip2"]), "streams.raw.gz"),
        ("zeros.raw.gz", json!(["gzip"]), "zeros.repacked.raw.gz"),
        ("zeros2.raw.bz2", json!(["bzip2"]), "zeros2.raw.gz"),
        ("behind.raw.gz", json!(["gzip"]), "behind.repacked.raw.gz"),
        ("behind2.raw.bz2", json!(["bzip2"]), "behind2.raw.gz"),
    ])
}

#[test]
fn the_disk_is_the_same_and_is_accepted() {
    let scratch = Scratch::new();
    let Some(files) = files(&scratch) else { return };
    for (name, wrappings, out) in files {
        let source = std::fs::read(scratch.path(name)).unwrap();
        if name.starts_with("zeros") || name.starts_with("behind") {
            // What is to be mended is found, and says how.
            let (_, report) = report(&[scratch.path(name)]);
            assert_eq!(report["findings"][0]["repairable"], true, "{name}: {report}");
            assert_eq!(report["virtual_size"], DISK, "{name}: {report}");
        }
        let document = document(&scratch.path("."), &[name], 0);
        assert_eq!(document["source"]["wrappings"], wrappings, "{name}");
        assert_eq!(document["source"]["sha256"], sha256(&source), "{name}");
        assert_eq!(document["source"]["size"], source.len(), "{name}");
        let path = scratch.path(out);
        let file = std::fs::read(&path).unwrap();
        let output = &document["output"];
        assert_eq!(output["name"], out, "{name}");
        assert_eq!(output["path"], out, "{name}");
        assert_eq!(
            (&output["sha256"], &output["size"]),
            (&json!(sha256(&file)), &json!(file.len()))
        );
        assert_eq!(output["image_sha256"], sha256(&disk()), "{name}");
        assert_eq!(document["report"]["source"], out, "{name}");
        assert_eq!(document["report"]["verdict"], "accept", "{name}: {document}");
        assert!(unpacked(&path) == disk(), "{name}");
        assert_eq!(names(&scratch.path(".")).iter().filter(|n| *n == out).count(), 1);
        // From a pipe it is the same file.
        let mut command = tidegate();
        command.current_dir(scratch.path(".")).args(["repack", "-q", "-", "piped.gz"]);
        command.stdin(piped_file(&source));
        let output = command.output().unwrap();
        assert_eq!(exit_code(&output), 0, "{name}: {output:?}");
        assert!(std::fs::read(scratch.path("piped.gz")).unwrap() == file, "{name}");
        for made in [out, "piped.gz"] {
            std::fs::remove_file(scratch.path(made)).unwrap();
        }
    }
}

/// A pipe with these bytes in it.
fn piped_file(bytes: &[u8]) -> std::process::Stdio {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let bytes = bytes.to_vec();
    std::thread::spawn(move || drop(std::io::Write::write_all(&mut writer, &bytes)));
    reader.into()
}

#[test]
fn what_is_left_out_is_shown() {
    let scratch = Scratch::new();
    let packed = gzip(&disk());
    scratch.write("a.raw.gz", &[&packed[..], b"{ \"metadata_version\": 1 }FWx0"].concat());
    let output = repack(&scratch.path("."), &["a.raw.gz"]);
    let said = stdout(&output).replace('\n', " ");
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let from = format!("From byte {} on, 29 bytes belong to nothing", packed.len());
    assert!(said.contains(&from) && said.contains("metadata_vers"), "{said}");
    // What begins as a member does, and is none.
    scratch.write("b.raw.gz", &[&packed[..], b"\x1f\x1f\x8b"].concat());
    let document = document(&scratch.path("."), &["b.raw.gz"], 0);
    let left_out = document["source"]["left_out"][0].as_str().unwrap();
    assert!(left_out.contains("3 bytes belong to nothing"), "{left_out}");
}

#[test]
fn the_file_is_the_same_for_any_number_of_threads() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    let made = |arguments: &[&str]| {
        let output =
            repack(&scratch.path("."), &[&["disk.raw", "out.gz", "-q"], arguments].concat());
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let file = std::fs::read(scratch.path("out.gz")).unwrap();
        std::fs::remove_file(scratch.path("out.gz")).unwrap();
        file
    };
    let one = made(&["--threads", "1"]);
    assert!(one == made(&["--threads", "3"]) && one == made(&[]));
    assert!(one != made(&["--level", "1"]));
}

#[test]
fn what_is_taken_as_it_is_is_written_only_if_it_is_named() {
    let scratch = Scratch::new();
    let qcow2 = std::fs::read(test_data("gpt.qcow2")).unwrap();
    scratch.write("a.qcow2", &qcow2);
    scratch.write("b.raw.gz", &gzip(&disk()));
    scratch.write("c.raw.bz2", &bzip2(&disk()));
    let before = names(&scratch.path("."));
    for name in ["a.qcow2", "b.raw.gz", "c.raw.bz2"] {
        let output = repack(&scratch.path("."), &[name]);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        assert!(stdout(&output).contains("Nothing to repack"), "{output:?}");
        let document = document(&scratch.path("."), &[name], 0);
        assert!(document["output"].is_null() && document["report"]["verdict"] == "accept");
        assert_eq!(names(&scratch.path(".")), before, "{name}");
    }
    for (name, image) in [("a.qcow2", &qcow2), ("b.raw.gz", &disk()), ("c.raw.bz2", &disk())] {
        let output = repack(&scratch.path("."), &[name, "out.gz"]);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        assert!(unpacked(&scratch.path("out.gz")) == **image, "{name}");
        std::fs::remove_file(scratch.path("out.gz")).unwrap();
    }
}

#[test]
fn containers_stay_what_they_are() {
    let scratch = Scratch::new();
    let qcow2 = std::fs::read(test_data("gpt.qcow2")).unwrap();
    scratch.write("web.qcow2", &qcow2);
    if oracle(&scratch.path("."), "xz", &["web.qcow2"]).is_none() {
        return;
    }
    let document = document(&scratch.path("."), &["web.qcow2.xz"], 0);
    assert_eq!(document["output"]["name"], "web.qcow2.gz");
    assert_eq!(document["report"]["disk_format"], "qcow2");
    assert!(unpacked(&scratch.path("web.qcow2.gz")) == qcow2);
}

#[test]
fn what_would_be_refused_is_not_written() {
    let scratch = Scratch::new();
    let disk = disk();
    let packed = gzip(&disk);
    scratch.write("page.html.gz.gz", &gzip(&gzip(b"<!DOCTYPE html><html></html>")));
    scratch.write("cut.raw.gz", &packed[..packed.len() / 2]);
    scratch.write("cut2.raw.gz.gz", &gzip(&packed[..packed.len() / 2]));
    scratch.write("header.raw.gz", &[&packed[..], b"\x1f\x8b\x07"].concat());
    scratch.write("maybe.raw.gz", &[&packed[..], b"\x1f"].concat());
    let backing = qcow2_with_backing(b"/etc/passwd");
    scratch.write("backing.qcow2.gz.gz", &gzip(&gzip(&backing)));
    scratch.write("empty.raw", b"");
    let mut deep = packed.clone();
    (0..5).for_each(|_| deep = gzip(&deep));
    scratch.write("deep.gz", &deep);
    let before = names(&scratch.path("."));
    for (name, code) in [
        ("page.html.gz.gz", "content-html"),
        ("cut.raw.gz", "gzip-truncated"),
        ("cut2.raw.gz.gz", "gzip-truncated"),
        ("header.raw.gz", "gzip-header-invalid"),
        ("maybe.raw.gz", "gzip-truncated"),
        ("backing.qcow2.gz.gz", "qcow2-backing-file"),
        ("empty.raw", "content-empty"),
        ("deep.gz", "compression-nested"),
    ] {
        for arguments in [&[name][..], &[name, "out.gz"]] {
            let document = document(&scratch.path("."), arguments, 1);
            assert_eq!(document["error"]["kind"], "rejected", "{document}");
            assert!(codes(&document["report"]).contains(&code), "{name}: {document}");
            assert!(document["output"].is_null());
            assert_eq!(names(&scratch.path(".")), before, "{arguments:?}");
        }
    }
}

#[test]
fn what_is_expected_is_held_against_it() {
    let scratch = Scratch::new();
    let file = gzip(&gzip(&disk()));
    scratch.write("a.raw.gz.gz", &file);
    let folder = scratch.path(".");
    let (right, wrong) = (sha256(&file), sha256(&disk()));
    let document = |arguments: &[&str], code| document(&folder, arguments, code);
    let refused = document(&["a.raw.gz.gz", "--sha256", &wrong], 1);
    assert!(codes(&refused["report"]).contains(&"digest-mismatch"), "{refused}");
    let small = document(&["a.raw.gz.gz", "--max-size", "1MiB"], 1);
    assert!(codes(&small["report"]).iter().any(|code| code.ends_with("-too-large")), "{small}");
    let refused = document(&["a.raw.gz.gz", "--reject", "name-mismatch", "a.raw"], 1);
    assert!(codes(&refused["report"]).contains(&"name-mismatch"), "{refused}");
    let refused = document(&["a.raw.gz.gz", "--strict", "a.raw"], 1);
    assert!(codes(&refused["report"]).contains(&"name-mismatch"), "{refused}");
    assert_eq!(names(&folder), ["a.raw.gz.gz"]);
    document(&["a.raw.gz.gz", "--sha256", &right], 0);
    assert_eq!(names(&folder), ["a.raw.gz", "a.raw.gz.gz"]);
}

#[test]
fn tar_archives_with_holes_are_taken_out() {
    let scratch = Scratch::new();
    let folder = scratch.path(".");
    scratch.sparse("disk.raw", 9 << 20);
    let disk = std::fs::read(scratch.path("disk.raw")).unwrap();
    for how in [
        &["--format=oldgnu"][..],
        &["--format=gnu"],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=1.0"],
    ] {
        for (name, arguments) in [
            ("a.tar", &["-Scf", "a.tar", "disk.raw"]),
            ("a.tar.gz", &["-Sczf", "a.tar.gz", "disk.raw"]),
        ] {
            if oracle(&folder, "tar", &[how, arguments].concat()).is_none() {
                return;
            }
            let (_, report) = report(&[scratch.path(name)]);
            assert_eq!(report["findings"][0]["repairable"], true, "{how:?}: {report}");
            document(&folder, &[name], 0);
            assert!(unpacked(&scratch.path("a.img.gz")) == disk, "{how:?} {name}");
            std::fs::remove_file(scratch.path("a.img.gz")).unwrap();
        }
    }
}
