//! Where it writes, and where it does not.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::*;
use crate::rig::*;

fn refused(scratch: &Scratch, arguments: &[&str], what: &str) {
    let before = names(&scratch.path("."));
    let output = repack(&scratch.path("."), arguments);
    assert_eq!(exit_code(&output), 2, "{arguments:?}: {output:?}");
    assert!(stderr(&output).contains(what), "{arguments:?}: {output:?}");
    assert!(stdout(&output).is_empty(), "{arguments:?}: {output:?}");
    assert_eq!(names(&scratch.path(".")), before);
}

#[test]
fn nothing_is_ever_replaced() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    scratch.write("there.gz", b"mine");
    std::fs::create_dir(scratch.path("folder")).unwrap();
    symlink("disk.raw", scratch.path("link")).unwrap();
    symlink("nowhere", scratch.path("dangling")).unwrap();
    std::fs::hard_link(scratch.path("disk.raw"), scratch.path("hard")).unwrap();
    for (out, what) in [
        ("there.gz", "is there already"),
        ("dangling", "is there already"),
        ("disk.raw", "is the image itself"),
        ("link", "is the image itself"),
        ("hard", "is the image itself"),
        ("./folder/../disk.raw", "is the image itself"),
        ("folder", "is a folder"),
        ("folder/", "is a folder"),
        ("new/", "is a folder"),
        ("missing/out.gz", "cannot write"),
        ("there.gz/out.gz", "cannot write"),
        ("-", "cannot be taken back"),
        ("https://example.com/out.gz", "is a URL"),
        ("", "no file name"),
        ("..", "is a folder"),
    ] {
        refused(&scratch, &["disk.raw", out], what);
    }
    refused(&scratch, &["-"], "has no name");
    assert_eq!(std::fs::read(scratch.path("there.gz")).unwrap(), b"mine");
    assert!(std::fs::read(scratch.path("disk.raw")).unwrap() == disk());
    // Nor by the name that it gives itself.
    scratch.write("disk.raw.gz", b"mine");
    let document = document(&scratch.path("."), &["disk.raw"], 2);
    assert_eq!(document["error"]["kind"], "exists");
    assert_eq!(std::fs::read(scratch.path("disk.raw.gz")).unwrap(), b"mine");
    assert!(!scratch.path("nowhere").exists());
}

#[test]
fn what_appears_meanwhile_stays() {
    let scratch = Scratch::new();
    let mut command = tidegate();
    command.current_dir(scratch.path(".")).args(["repack", "-", "out.gz"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let disk = disk();
    std::io::Write::write_all(&mut stdin, &disk[..1000]).unwrap();
    // Whether the program has looked at the path before or comes later makes no difference.
    scratch.write("out.gz", b"theirs");
    let _ = std::io::Write::write_all(&mut stdin, &disk[1000..]);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("is there already"), "{output:?}");
    assert_eq!(std::fs::read(scratch.path("out.gz")).unwrap(), b"theirs");
    assert_eq!(names(&scratch.path(".")), ["out.gz"]);
}

#[test]
fn odd_names_are_kept() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("a folder")).unwrap();
    for (image, out) in [
        (&b"./-q.raw"[..], &b"-q.raw.gz"[..]),
        (b"a\nb.raw", b"a\nb.raw.gz"),
        (b"\xff\xfe.raw", b"\xff\xfe.raw.gz"),
        (b"\x1b[31m.raw", b"\x1b[31m.raw.gz"),
        (b"a folder/my disk.raw", b"a folder/my disk.raw.gz"),
        (b"https:/disk.raw", b""),
    ] {
        let (image, out) = (OsStr::from_bytes(image), OsStr::from_bytes(out));
        if out.is_empty() {
            continue;
        }
        std::fs::write(scratch.path(image), disk()).unwrap();
        let output = repack(&scratch.path("."), &[image]);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        assert!(!output.stdout.contains(&0x1b), "{output:?}");
        assert!(unpacked(&scratch.path(out)) == disk(), "{image:?}");
    }
    // A name like an option, behind `--`.
    std::fs::write(scratch.path("--x.raw"), disk()).unwrap();
    let output = repack(&scratch.path("."), &["--", "--x.raw", "--y.gz"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(unpacked(&scratch.path("--y.gz")) == disk());
    let report =
        document(&scratch.path("."), &[OsStr::from_bytes(b"\xff\xfe.raw"), OsStr::new("n.gz")], 0);
    assert_eq!(report["image"], "\\xff\\xfe.raw");
}

#[test]
fn the_umask_decides_who_reads_it() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    let program = env!("CARGO_BIN_EXE_tidegate");
    let script = format!("umask 027; exec {program} repack -q disk.raw");
    let mut command = Command::new("sh");
    command.current_dir(scratch.path(".")).args(["-c", &script]);
    assert!(command.output().unwrap().status.success());
    let mode = std::fs::metadata(scratch.path("disk.raw.gz")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_folder_that_may_not_be_written_is_known_at_the_start() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    // For root too, there are folders that take no file.
    for out in ["/proc/out.gz", "/sys/out.gz"] {
        if !Path::new(out).parent().unwrap().exists() {
            continue;
        }
        let output = repack(&scratch.path("."), &["disk.raw", out]);
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert!(stderr(&output).contains("cannot write"), "{output:?}");
    }
    let folder = scratch.path("closed");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o555)).unwrap();
    if std::fs::write(folder.join("probe"), b"").is_ok() {
        // Nothing is closed to whoever runs this.
        std::fs::remove_file(folder.join("probe")).unwrap();
        return;
    }
    let output = repack(&scratch.path("."), &["disk.raw", "closed/out.gz"]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("cannot write closed/out.gz"), "{output:?}");
}

#[test]
fn a_file_that_may_not_grow_is_not_there() {
    let scratch = Scratch::new();
    // What hardly packs.
    let mut noise = disk();
    let mut state = 1u64;
    for byte in &mut noise[1 << 20..3 << 20] {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    scratch.write("disk.raw", &noise);
    let program = env!("CARGO_BIN_EXE_tidegate");
    let script = format!("ulimit -f 200; exec {program} repack disk.raw");
    let mut command = Command::new("sh");
    command.current_dir(scratch.path(".")).args(["-c", &script]);
    let output = command.output().unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("cannot write disk.raw.gz"), "{output:?}");
    assert!(stdout(&output).is_empty(), "{output:?}");
    assert_eq!(names(&scratch.path(".")), ["disk.raw"]);
}

#[test]
fn closed_standard_output_is_said_and_the_file_is_there() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    let program = env!("CARGO_BIN_EXE_tidegate");
    for (redirected, format, code) in [
        (">&-", "text", 0),
        (">&-", "json", 2),
        ("> /dev/full", "text", 2),
        ("> /dev/full", "json", 2),
    ] {
        let script = format!("{program} repack --format {format} disk.raw {redirected}");
        let mut command = Command::new("sh");
        command.current_dir(scratch.path(".")).args(["-c", &script]);
        let output = command.output().unwrap();
        assert_eq!(exit_code(&output), code, "{redirected} {format}: {output:?}");
        let said = stderr(&output).contains("disk.raw.gz was written all the same");
        assert_eq!(said, code == 2, "{output:?}");
        assert!(unpacked(&scratch.path("disk.raw.gz")) == disk());
        std::fs::remove_file(scratch.path("disk.raw.gz")).unwrap();
    }
}

#[test]
fn a_source_that_cannot_be_read_leaves_nothing() {
    let scratch = Scratch::new();
    for arguments in [&["missing.raw"][..], &["missing.raw", "out.gz"], &[".", "out.gz"]] {
        let document = document(&scratch.path("."), arguments, 3);
        assert_eq!(document["error"]["kind"], "unread", "{document}");
        assert!(names(&scratch.path(".")).is_empty());
    }
    let script = format!("{} repack - out.gz <&-", env!("CARGO_BIN_EXE_tidegate"));
    let mut command = Command::new("sh");
    command.current_dir(scratch.path(".")).args(["-c", &script]);
    let output = command.output().unwrap();
    assert_eq!(exit_code(&output), 3, "{output:?}");
    assert!(names(&scratch.path(".")).is_empty());
}

#[test]
fn a_quiet_run_says_one_line() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    let output = repack(&scratch.path("."), &["-q", "disk.raw"]);
    assert_eq!((stdout(&output), stderr(&output)), ("ACCEPT  disk.raw.gz\n", ""));
}
