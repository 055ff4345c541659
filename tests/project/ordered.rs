//! Receipts that were ordered by `--receipt`: they speak of this check, or are not there.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::data;
use super::receipts::{KEY, check, run, state, verify};

use crate::common::*;

#[test]
fn a_receipt_that_cannot_be_written_is_known_before_the_image_is_read() {
    let scratch = Scratch::new();
    scratch.write("file", b"text");
    // What cannot be read has its own exit code, and would be told first.
    for receipt in ["none/r.json", "file/r.json", "/proc/r.json"] {
        let output = check(&scratch, &["--receipt", receipt, "missing.raw"]).output().unwrap();
        let told = stderr(&output);
        assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{told}");
        assert!(told.contains(&format!("cannot write the receipt {receipt}: ")), "{told}");
        assert!(told.contains("name a file in a folder") && !told.contains(".tmp"), "{told}");
    }
    // The trial leaves nothing.
    let output = check(&scratch, &["--receipt", "r.json", "missing.raw"]).output().unwrap();
    assert_eq!(exit_code(&output), 3);
    assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 1);
}

#[test]
fn a_receipt_that_was_ordered_speaks_of_this_check_or_is_not_there() {
    let scratch = Scratch::new();
    let (good, bad) = (data("gpt.qcow2.gz"), data("truncated.raw.gz"));
    let receipt = scratch.path("r.json");
    let mut pipe = Command::new("mkfifo");
    assert!(pipe.arg(scratch.path("pipe")).status().unwrap().success());
    let order = |arguments: &[&str]| {
        let output = check(&scratch, &[&["-q", "--receipt", "r.json"], arguments].concat())
            .env(KEY.0, KEY.1)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        (exit_code(&output), stdout(&output).to_owned(), stderr(&output).to_owned())
    };
    let zero = "0".repeat(64);
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    for (arguments, expected, said) in [
        (&["--quick", good][..], 2, "a quick check does not read all"),
        (&["-"], 2, "standard input"),
        (&["pipe"], 2, "a device or a pipe"),
        (&["/dev/null"], 2, "a device or a pipe"),
        (&["/proc/version"], 2, "the file system is not one of those"),
        #[cfg(feature = "net")]
        (&["https://127.0.0.1:1/disk.img?token=s3cret"], 2, "a query or a password"),
        // What is known later comes with a verdict.
        (&["missing.raw"], 3, "there is no receipt r.json: the image was not read"),
        (&["--sha256", &zero, good], 1, "there is no receipt r.json: the digest is not"),
    ] {
        assert_eq!(order(&[good]).0, 0);
        assert!(receipt.exists());
        let (code, out, told) = order(arguments);
        assert_eq!(code, expected, "{arguments:?}: {told}");
        assert!(told.contains(said) && !told.contains("s3cret"), "{arguments:?}: {told}");
        assert!(out.is_empty() || code != 2, "{out}");
        // Of an earlier check it speaks only if there was no other one.
        assert_eq!(receipt.exists(), code == 2, "{arguments:?}");
    }
    assert_eq!(order(&[good]).0, 0);
    // One of a rejected image takes the place of the other.
    assert_eq!(order(&[bad]).0, 1);
    assert_eq!(verify(&scratch, Some(KEY.1), &[&receipt]).0, 1);
    // An empty file is as none; a link is not followed.
    scratch.write("empty.json", b"");
    fs::remove_file(&receipt).unwrap();
    std::os::unix::fs::symlink("empty.json", &receipt).unwrap();
    let (code, _, told) = order(&[good]);
    assert_eq!((code, told.as_str()), (0, ""));
    assert!(fs::read(scratch.path("empty.json")).unwrap().is_empty());
    assert!(receipt.symlink_metadata().unwrap().is_file());
    // Where receipts are kept anyway, that there is none is no failure.
    let output = check(&scratch, &["-q", "--cache", "--quick", good]).output().unwrap();
    assert_eq!((exit_code(&output), stderr(&output)), (0, ""));
}

#[test]
fn a_fresh_image_has_the_receipt_that_was_ordered() {
    let scratch = Scratch::new();
    fs::copy(data("gpt.qcow2.gz"), scratch.path("disk.qcow2.gz")).unwrap();
    let ordered = || run(check(&scratch, &["--receipt", "r.json", "disk.qcow2.gz"]).envs([KEY]));
    let (report, told) = ordered();
    assert_eq!((state(&report), told.as_str()), ("kept", ""));
    let (code, _, _) =
        verify(&scratch, Some(KEY.1), &[&scratch.path("r.json"), &scratch.path("disk.qcow2.gz")]);
    assert_eq!(code, 0);
    assert_eq!(state(&ordered().0), "unchanged");
    // Time stamps that somebody set do not matter.
    let day = Duration::from_secs(24 * 3600);
    let file = fs::File::options().write(true).open(scratch.path("disk.qcow2.gz")).unwrap();
    file.set_modified(std::time::SystemTime::now() + day).unwrap();
    assert_eq!(state(&ordered().0), "kept");
    assert_eq!(state(&ordered().0), "unchanged");
}

#[test]
fn a_file_that_keeps_changing_has_no_receipt() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let scratch = Scratch::new();
    let image = scratch.path("disk.raw");
    fs::write(&image, disk()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Neither a byte nor the length changes, but the time stamp does.
            while !done.load(Ordering::Relaxed) {
                let mode = fs::metadata(&image).unwrap().permissions();
                fs::set_permissions(&image, mode).unwrap();
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let output = check(&scratch, &["--receipt", "r.json", "disk.raw"]).output().unwrap();
        done.store(true, Ordering::Relaxed);
        let told = stderr(&output);
        assert!([2, 3].contains(&exit_code(&output)), "{told}");
        assert!(told.contains("there is no receipt r.json: "), "{told}");
    });
    assert!(!scratch.path("r.json").exists());
}

#[test]
fn a_receipt_without_a_key_is_told_to_be_worth_little() {
    let scratch = Scratch::new();
    let good = data("gpt.qcow2.gz");
    let mut command = check(&scratch, &["-q", "--receipt", "r.json", good.to_str().unwrap()]);
    let output = command.output().unwrap();
    assert_eq!(exit_code(&output), 0);
    assert!(stderr(&output).contains("without TIDEGATE_RECEIPT_KEY"), "{}", stderr(&output));
    assert_eq!(
        stderr(command.envs([KEY]).output().as_ref().unwrap()).matches("without").count(),
        0
    );
}

#[test]
fn a_report_goes_over_nothing_that_is_read() {
    let scratch = Scratch::new();
    let good = data("gpt.qcow2.gz");
    let good = good.to_str().unwrap();
    scratch.write("list", good.as_bytes());
    scratch.write("tidegate.toml", b"[[image]]\nname = \"a\"\npath = \"a.img\"\n");
    std::os::unix::fs::symlink("list", scratch.path("link")).unwrap();
    for (arguments, said) in [
        (&["--output", "list", "--images-from", "list"][..], "is the list of images"),
        (&["--output", "link", "--images-from", "./list"], "is the list of images"),
        (&["--output", "r.json", "--receipt", "./r.json", good], "is where a receipt goes"),
        (&["--output", "tidegate.toml", "a"], "is the file that names the images"),
    ] {
        let output = check(&scratch, arguments).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    assert_eq!(fs::read(scratch.path("list")).unwrap(), good.as_bytes());
}
