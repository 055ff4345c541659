//! A folder as argument: the images in it, and nothing that is positively something else.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::*;

/// A folder with images, and with what lies beside them.
fn folder() -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    let at = scratch.path("out");
    for folder in ["deep/er", ".git/objects"] {
        std::fs::create_dir_all(at.join(folder)).unwrap();
    }
    let disk = disk();
    // Names say nothing of the second one.
    for (name, bytes) in [
        ("a.raw", &disk),
        ("b", &disk),
        ("deep/c.raw.gz", &gzip(&disk)),
        ("deep/er/d.img", &b"404 page not found\n".to_vec()),
        ("deep/er/e.tar.gz", &gzip(&tar("server", &disk))),
        ("README.md", &b"# Images\n".to_vec()),
        ("build.sh", &b"#!/bin/sh\nexit 0\n".to_vec()),
        ("deep/notes.txt.gz", &gzip(b"some notes\n")),
        ("deep/source.tar.gz", &gzip(&tar("main.c", b"int main;\n"))),
        ("deep/source.zip", &zip("main.c", b"int main;\n")),
        ("manifest.json", &b"{\"builds\": []}\n".to_vec()),
        (".gitkeep", &Vec::new()),
        (".git/objects/x", &b"x\x9c\x01\0\0\xff\xff\0\0\0\x01".to_vec()),
    ] {
        std::fs::write(at.join(name), bytes).unwrap();
    }
    symlink(at.join("a.raw"), at.join("latest.raw")).unwrap();
    symlink(&at, at.join("deep/up")).unwrap();
    (scratch, at)
}

fn tar(name: &str, data: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}

/// A zip archive with one stored member.
fn zip(name: &str, data: &[u8]) -> Vec<u8> {
    let (crc, size) = (crc32fast::hash(data), data.len() as u32);
    let mut common = b"\x14\0\0\0\0\0\0\0\0\0".to_vec();
    for number in [crc, size, size] {
        common.extend_from_slice(&number.to_le_bytes());
    }
    common.extend_from_slice(&(name.len() as u16).to_le_bytes());
    common.extend_from_slice(&[0, 0]);
    let mut zip = [b"PK\x03\x04".as_slice(), &common, name.as_bytes(), data].concat();
    let at = zip.len() as u32;
    zip.extend_from_slice(
        &[b"PK\x01\x02\x14\0".as_slice(), &common, &[0; 14], name.as_bytes()].concat(),
    );
    let len = zip.len() as u32 - at;
    zip.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend_from_slice(&len.to_le_bytes());
    zip.extend_from_slice(&at.to_le_bytes());
    zip.extend_from_slice(&[0, 0]);
    zip
}

/// Exit code, standard output and standard error of a check in the folder above `out`.
fn check(scratch: &Scratch, arguments: &[&str]) -> (i32, String, String) {
    let mut command = tidegate();
    command.arg("check").args(arguments).current_dir(scratch.path(""));
    let output = command.output().unwrap();
    (exit_code(&output), stdout(&output).to_owned(), stderr(&output).to_owned())
}

#[test]
fn the_images_of_a_folder_are_checked_and_the_rest_is_counted() {
    let (scratch, _) = folder();
    let (code, out, err) = check(&scratch, &["out"]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    let told: Vec<&str> = out
        .lines()
        .filter(|line| {
            line.starts_with("ACCEPT") || line.starts_with("REJECT") || line.starts_with("WARN")
        })
        .collect();
    assert_eq!(
        told,
        [
            "ACCEPT  out/a.raw",
            "ACCEPT  out/b",
            "ACCEPT  out/deep/c.raw.gz",
            "REJECT  out/deep/er/d.img",
            "REJECT  out/deep/er/e.tar.gz",
        ]
    );
    let end = "\n\n  REJECT  out/deep/er/d.img: content-text\n  REJECT  out/deep/er/e.tar.gz: archive-tar\n10 entries of the \
               folders are no images and were left out (-v names them)\n5 images: 3 accepted, 2 rejected\n";
    assert!(out.ends_with(end), "{out}");
}

#[test]
fn what_is_left_out_is_named_if_asked_for() {
    let (scratch, _) = folder();
    let (code, _, err) = check(&scratch, &["-v", "out"]);
    assert_eq!(code, 1);
    for (name, what) in [
        (".git", "the folder of git"),
        (".gitkeep", "nothing"),
        ("README.md", "plain text"),
        ("build.sh", ""),
        ("deep/notes.txt.gz", "plain text"),
        ("deep/source.tar.gz", "an archive without a disk"),
        ("deep/source.zip", "an archive without a disk"),
        ("deep/up", "a symbolic link, which is not followed"),
        ("latest.raw", "a symbolic link, which is not followed"),
        ("manifest.json", "a JSON document"),
    ] {
        let line = format!("tidegate: out/{name} is left out: it is {what}");
        assert!(err.lines().any(|said| said.starts_with(&line)), "{line}: {err}");
    }
    assert_eq!(err.lines().count(), 10, "{err}");
    // A document is about the images; the count is told beside it, unless it is to be quiet.
    let (_, out, err) = check(&scratch, &["--format", "json", "out"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["images"].as_array().unwrap().len(), 5);
    assert!(err.contains("10 entries of the folders are no images"), "{err}");
    assert_eq!(check(&scratch, &["-q", "--format", "json", "out"]).2, "");
}

/// What holds an archive that nobody looks into is not positively something else.
#[test]
fn an_archive_that_may_hold_an_appliance_is_checked() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("out")).unwrap();
    let appliance = tar("web.ovf", b"<?xml version=\"1.0\"?>\n");
    let large = [&zip("disk.vmdk", b"disk")[..], &[7; 1 << 20]].concat();
    for (name, bytes) in [
        ("a.raw", disk()),
        ("b.tar", tar("web.ova", &appliance)),
        ("c.tgz", gzip(&tar("web.ova", &appliance))),
        ("d.tar", tar("web.zip", &large)),
        // Too small for any image, and a package.
        ("e.tar", tar("test.zip", &zip("main.c", b"int main;\n"))),
        ("f.tar", tar("web.deb", &[&b"!<arch>\n"[..], &[7; 1 << 20]].concat())),
    ] {
        std::fs::write(scratch.path("out").join(name), bytes).unwrap();
    }
    let (code, out, err) = check(&scratch, &["-q", "-v", "out"]);
    assert_eq!(code, 1);
    let told: Vec<&str> = out.lines().take(4).map(|line| &line[..15]).collect();
    let expected = ["ACCEPT  out/a.ra", "REJECT  out/b.ta", "REJECT  out/c.tg", "REJECT  out/d.ta"];
    assert_eq!(told, expected.map(|line| &line[..15]), "{out}{err}");
    assert_eq!(err.lines().count(), 2, "{err}");
    assert!(err.lines().all(|line| line.ends_with("an archive without a disk")), "{err}");
}

#[test]
fn the_names_of_a_folder_are_bounded() {
    let scratch = Scratch::new();
    let name = |at: u32| format!("{}{at}", "d".repeat(240));
    let deep: PathBuf = (0..14).map(name).collect();
    std::fs::create_dir_all(scratch.path("out").join(&deep)).unwrap();
    for at in 0..5000 {
        let path = scratch.path("out").join(&deep).join(format!("{at}.raw"));
        std::fs::File::create(path).unwrap();
    }
    let (code, out, err) = check(&scratch, &["-q", "out"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("their names take more than 16 MiB"), "{err}");
}

#[test]
fn folders_in_a_folder_can_be_left_alone() {
    let (scratch, _) = folder();
    let (code, out, err) = check(&scratch, &["-q", "--no-recurse", "out"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "ACCEPT  out/a.raw\nACCEPT  out/b\n", ""));
    // In the place of the argument, and once for each time that it is named.
    let (_, out, _) = check(&scratch, &["-q", "--no-recurse", "--", "out/b", "out", "out/a.raw"]);
    assert_eq!(out, "ACCEPT  out/b\nACCEPT  out/a.raw\nACCEPT  out/b\nACCEPT  out/a.raw\n");
}

#[test]
fn a_folder_without_an_image_is_wrong_usage() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.path("empty/deep")).unwrap();
    let (code, out, err) = check(&scratch, &["empty"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("there is no image in the folder empty"), "{err}");
    std::fs::write(scratch.path("empty/deep/a.txt"), "text\n").unwrap();
    let (code, _, err) = check(&scratch, &["empty"]);
    assert_eq!(code, 2);
    assert!(err.contains("1 entry of it is something else"), "{err}");
}

#[test]
fn a_text_or_a_pointer_with_the_name_of_an_image_is_checked() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("out")).unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n";
    for (name, bytes) in
        [("a.QCOW2", "no image\n"), ("b.vmdk.gz", ""), ("c", pointer), ("d.ova", "x\n")]
    {
        std::fs::write(scratch.path("out").join(name), bytes).unwrap();
    }
    let (code, out, _) = check(&scratch, &["-q", "out"]);
    assert_eq!((code, out.matches("REJECT").count()), (1, 4), "{out}");
}

/// A command as a user without rights, if who runs the tests has them.
fn without_rights(scratch: &Scratch) -> Option<Command> {
    let program = tidegate().get_program().to_owned();
    let root = std::fs::metadata("/proc/self")
        .is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !root {
        return Some(Command::new(program));
    }
    let copy = scratch.path("tidegate");
    std::fs::copy(program, &copy).unwrap();
    let known = Command::new("setpriv").arg("--version").output().is_ok();
    if !known {
        assert!(std::env::var_os("CI").is_none(), "setpriv is missing");
        eprintln!("SKIPPED: there is no setpriv");
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
    Some(command)
}

#[test]
fn an_entry_that_cannot_be_read_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let Some(mut command) = without_rights(&scratch) else { return };
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(&scratch.path(""), 0o755);
    let out = scratch.path("out");
    std::fs::create_dir_all(out.join("closed")).unwrap();
    std::fs::write(out.join("a.raw"), disk()).unwrap();
    std::fs::write(out.join("b"), b"text").unwrap();
    open(&out.join("b"), 0);
    open(&out.join("closed"), 0);
    let output =
        command.args(["check", "-q", "out"]).current_dir(scratch.path("")).output().unwrap();
    open(&out.join("closed"), 0o755);
    assert_eq!(exit_code(&output), 3, "{output:?}");
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(lines[0], "ACCEPT  out/a.raw");
    assert!(lines[1].starts_with("ERROR   out/b: no permission to read it"), "{lines:?}");
    assert!(lines[2].starts_with("ERROR   out/closed: no permission to read it"), "{lines:?}");
    assert_eq!(
        lines[3],
        "refused 2 of 3: out/b (permission-denied), out/closed (permission-denied)"
    );
}

#[test]
fn names_in_a_folder_are_escaped() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("out")).unwrap();
    for name in ["a\x1b[2J.raw", "b\n.txt"] {
        let mut file = std::fs::File::create(scratch.path("out").join(name)).unwrap();
        file.write_all(b"text\n").unwrap();
    }
    let (code, out, err) = check(&scratch, &["-v", "out"]);
    assert_eq!(code, 1);
    assert!(!out.contains('\x1b') && !err.contains('\x1b'), "{out}{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}
