//! What DigitalOcean refuses as it is, and what is packed on the way.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::*;
use crate::rig::*;

/// What a program makes of bytes.
pub(crate) fn through(program: &str, arguments: &[&str], bytes: &[u8]) -> Option<Vec<u8>> {
    let scratch = Scratch::new();
    let path = scratch.write("in", bytes);
    let mut command = Command::new(program);
    command.args(arguments).stdin(std::fs::File::open(path).unwrap());
    match command.output() {
        Ok(output) => Some(output.stdout),
        Err(_) => {
            missing(&format!("{program} is missing"));
            None
        }
    }
}

fn tar(members: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let scratch = Scratch::new();
    for (name, bytes) in members {
        scratch.write(name, bytes);
    }
    let mut command = Command::new("tar");
    command.current_dir(scratch.path(".")).args(["-cf", "-"]);
    match command.args(members.iter().map(|(name, _)| name)).output() {
        Ok(output) => Some(output.stdout),
        Err(_) => {
            missing("tar is missing");
            None
        }
    }
}

/// Pushes a file; the document, and the bytes that the importer has fetched, by their digest.
fn pushed(rig: &Rig, name: &str, bytes: &[u8], arguments: &[&str]) -> Value {
    rig.scratch.write(name, bytes);
    let document = rig.document(0, &[&[name][..], arguments].concat());
    assert_eq!(document["source"]["sha256"], sha256(bytes), "{name}");
    assert_eq!(document["source"]["size"], bytes.len(), "{name}");
    rig.assert_clean(1..=1, name);
    document
}

#[test]
fn raw_images_are_packed_on_the_way() {
    let disk = disk();
    for (arguments, packed) in [(&[][..], true), (&["--repack", "never"], false)] {
        let rig = Rig::new();
        let document = pushed(&rig, "disk.img", &disk, arguments);
        let staged = &document["staged"];
        let key = staged["key"].as_str().unwrap();
        assert_eq!(key.ends_with("/disk.img.gz"), packed, "{key}");
        assert_eq!(staged["sha256"] == json!(sha256(&disk)), !packed);
        assert_eq!(staged["size"].as_u64().unwrap() < disk.len() as u64, packed);
        // The report is that of the image; the importer has found the same disk.
        assert_eq!(document["report"]["digests"]["sha256"], sha256(&disk));
        assert_eq!(document["source"]["wrappings"], json!([]));
    }
}

#[test]
fn containers_go_as_they_are_unless_everything_is_packed() {
    let qcow2 = std::fs::read(root().join("testdata/gpt.qcow2")).unwrap();
    for (arguments, ending) in
        [(&[][..], "/disk.qcow2"), (&["--repack", "always"], "/disk.qcow2.gz")]
    {
        let rig = Rig::new();
        let document = pushed(&rig, "disk.qcow2", &qcow2, arguments);
        assert!(document["staged"]["key"].as_str().unwrap().ends_with(ending));
    }
}

#[test]
fn what_is_refused_as_it_is_is_taken_out() {
    let disk = disk();
    let (Some(xz), Some(zstd)) = (through("xz", &["-c"], &disk), through("zstd", &["-qc"], &disk))
    else {
        return;
    };
    let Some(archive) = tar(&[("disk.img", &disk), ("notes.txt", b"of no use\n")]) else { return };
    let files = [
        ("disk.img.xz", xz, json!(["xz"])),
        ("disk.img.zst", zstd, json!(["zstd"])),
        ("disk.img.gz.gz", gzip(&gzip(&disk)), json!(["gzip"])),
        ("box.tar.gz", gzip(&archive), json!(["gzip", "tar (disk.img)"])),
        ("box.ova", archive, json!(["tar (disk.img)"])),
    ];
    for (name, bytes, wrappings) in files {
        let rig = Rig::new();
        let document = pushed(&rig, name, &bytes, &[]);
        assert_eq!(document["source"]["wrappings"], wrappings, "{name}");
        let staged = document["staged"]["key"].as_str().unwrap();
        assert!(staged.ends_with(".img.gz"), "{name}: {staged}");
        // A digest that somebody says the file has is that of the file as it is.
        let rig = Rig::new();
        pushed(&rig, name, &bytes, &["--sha256", &sha256(&bytes)]);
        let rig = Rig::new();
        rig.scratch.write(name, &bytes);
        rig.document(1, &[name, "--sha256", &sha256(&disk)]);
        assert_eq!(rig.creates(), 0, "{name}");
        // From a pipe too.
        let rig = Rig::new();
        let output = fed(&mut rig.push(&["-", "--name", "piped"]), &bytes);
        assert_eq!(exit_code(&output), 0, "{name}: {}", stderr(&output));
        rig.assert_clean(1..=1, name);
        // And not if it is not to be.
        let rig = Rig::new();
        rig.scratch.write(name, &bytes);
        rig.document(1, &[name, "--repack", "never"]);
        rig.assert_clean(0..=0, name);
    }
}

#[test]
fn an_archive_with_holes_is_taken_out() {
    let scratch = Scratch::new();
    scratch.sparse("disk.raw", 9 << 20);
    let mut command = Command::new("tar");
    command.current_dir(scratch.path(".")).args(["--format=oldgnu", "-Sczf", "-", "disk.raw"]);
    let Ok(archive) = command.output() else { return missing("tar is missing") };
    let rig = Rig::new();
    let document = pushed(&rig, "disk.tar.gz", &archive.stdout, &[]);
    let disk = std::fs::read(scratch.path("disk.raw")).unwrap();
    assert_eq!(document["report"]["digests"]["sha256"], sha256(&disk));
}

#[test]
fn the_disk_of_a_vhd_is_taken_out() {
    let scratch = Scratch::new();
    scratch.sparse("disk.raw", 9 << 20);
    let disk = std::fs::read(scratch.path("disk.raw")).unwrap();
    for kind in ["fixed", "dynamic"] {
        let mut command = Command::new("qemu-img");
        command.current_dir(scratch.path(".")).args(["convert", "-O", "vpc", "-o"]);
        command.arg(format!("subformat={kind},force_size=on")).args(["disk.raw", "disk.vhd"]);
        if command.output().is_err() {
            return missing("qemu-img is missing");
        }
        let image = std::fs::read(scratch.path("disk.vhd")).unwrap();
        let rig = Rig::new();
        let document = pushed(&rig, "disk.vhd", &image, &[]);
        assert_eq!(document["report"]["digests"]["sha256"], sha256(&disk), "{kind}");
        assert_eq!(document["source"]["wrappings"], json!(["vhd"]), "{kind}");
    }
}

#[test]
fn what_is_behind_packed_data_is_left_out() {
    let disk = disk();
    for (name, packed) in [("disk.raw.gz", gzip(&disk)), ("disk.raw.bz2", bzip2(&disk))] {
        let bytes = [&packed[..], b"{ \"metadata_version\": 1 }FWx0"].concat();
        let rig = Rig::new();
        let document = pushed(&rig, name, &bytes, &[]);
        assert!(document["staged"]["key"].as_str().unwrap().ends_with("/disk.img.gz"), "{name}");
        assert_eq!(document["report"]["digests"]["sha256"], sha256(&disk), "{name}");
        // It is met at the end of the file only: of a pipe there is no second reading.
        let rig = Rig::new();
        let output = fed(&mut rig.push(&["-", "--name", "piped"]), &bytes);
        assert_eq!(exit_code(&output), 1, "{name}: {}", stderr(&output));
        let said = stderr(&output).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("let tidegate repack read that"), "{name}: {said}");
        rig.assert_clean(0..=0, name);
        let rig = Rig::new();
        rig.scratch.write(name, &bytes);
        rig.document(1, &[name, "--repack", "never"]);
        rig.assert_clean(0..=0, name);
    }
}

#[test]
fn one_packing_more_is_taken_off_and_no_other() {
    let rig = Rig::new();
    rig.scratch.write("thrice.gz", &gzip(&gzip(&gzip(&disk()))));
    let document = rig.document(1, &["thrice.gz"]);
    // It is not recommended what was just tried.
    assert!(codes(&document["report"]).contains(&"compression-nested"), "{document}");
    assert!(document["report"]["findings"][0].get("repairable").is_none(), "{document}");
}

#[test]
fn what_is_wrong_around_an_image_refuses_it() {
    let disk = disk();
    let Some(xz) = through("xz", &["-c"], &disk) else { return };
    let Some(two) = tar(&[("a.img", &disk), ("b.img", &disk)]) else { return };
    let Some(none) = tar(&[("a.txt", b"text\n")]) else { return };
    let mut damaged = xz.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    for (name, bytes, code) in [
        ("cut.img.xz", xz[..xz.len() - 9].to_vec(), "xz-truncated"),
        ("damaged.img.xz", damaged, "xz-damaged"),
        ("two.tar", two, "tar-several-images"),
        ("none.tar", none, "tar-no-image"),
        ("cut.img.gz.gz", gzip(&gzip(&disk)[..2000]), "gzip-truncated"),
    ] {
        let rig = Rig::new();
        rig.scratch.write(name, &bytes);
        let document = rig.document(1, &[name]);
        assert!(codes(&document["report"]).contains(&code), "{name}: {document}");
        assert_eq!(rig.asked("complete-multipart-upload").len() + rig.creates(), 0, "{name}");
        rig.assert_clean(0..=0, name);
    }
}

#[test]
fn a_vmdk_stream_out_of_order_goes_as_a_raw_image_where_it_would_be_refused() {
    let image = crate::vmdk::stream(&disk(), true);
    for (arguments, ending) in
        [(&["--strict"][..], "/web.img.gz"), (&["--repack", "never"], "/web.vmdk")]
    {
        let rig = Rig::new();
        let document = pushed(&rig, "web.vmdk", &image, arguments);
        let key = document["staged"]["key"].as_str().unwrap();
        assert!(key.ends_with(ending), "{key}");
        let wrappings = if arguments == ["--strict"] { json!(["vmdk"]) } else { json!([]) };
        assert_eq!(document["source"]["wrappings"], wrappings);
    }
}

#[test]
fn no_push_opens_the_parts_of_a_vmdk() {
    let rig = Rig::new();
    let text = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n\
                createType=\"monolithicFlat\"\nRW 8192 FLAT \"web-flat.vmdk\" 0\n";
    rig.scratch.write("web.vmdk", text.as_bytes());
    rig.scratch.write("web-flat.vmdk", &disk());
    for arguments in [&[][..], &["--repack", "always"], &["--strict"]] {
        let document = rig.document(1, &[&["web.vmdk"][..], arguments].concat());
        let finding = &document["report"]["findings"][0];
        assert_eq!(finding["code"], "format-vmdk-descriptor", "{document}");
        assert!(finding.get("repairable").is_none(), "{finding}");
        rig.assert_clean(0..=0, "web.vmdk");
    }
}
