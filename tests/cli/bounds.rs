//! Memory and time of everything together: many images, reports in every format, and what is read whole.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::*;

/// Images of a large run.
const MANY: usize = 4000;

/// What a large run may take more than a small one, in kB: names, and parts of documents up to what is kept in memory.
const MORE_KB: u64 = 7 << 10;

/// Runs a command to its end, with its output in a file, and gives its exit code and peak of resident memory in kB.
fn peak(command: &mut Command, output: &Path) -> (i32, u64) {
    let mut child =
        command.stdout(File::create(output).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let peak = crate::common::peak(&mut child);
    (child.wait().unwrap().code().unwrap(), peak)
}

/// A list may have 100,000 names of 160 bytes: these have to fit into 64 MiB, with what is known of each.
#[test]
fn of_many_images_little_but_their_names_is_kept() {
    // What is kept up to a bound, whatever the count, is there in full with the few: 1 MiB of each document, and of
    // what came of images that are not due.
    const FEW: usize = 5_000;
    const MANY: usize = 20_000;
    let scratch = Scratch::new();
    let list = |name: &str, count: usize| {
        let lines: String = (0..count).map(|at| format!("{}{at:06}\n", "x".repeat(154))).collect();
        scratch.write(name, lines.as_bytes())
    };
    let run = |arguments: &[&str], list: &Path, reports: Option<&Path>| {
        let mut command = tidegate();
        command.args(arguments).args(reports).arg("--images-from").arg(list);
        let (code, peak) = peak(&mut command, &scratch.path(format!("{}.json", arguments[0])));
        assert_eq!(code, 3);
        peak
    };
    let (few, many) = (list("few", FEW), list("many", MANY));
    let measured = [&few, &many].map(|list| {
        let check = run(&["check", "--format", "json"], list, None);
        let reports = scratch.path("check.json");
        (check, run(&["report", "merge", "--format", "json"], list, Some(&reports)))
    });
    let [(check, merge), (checks, merges)] = measured;
    let each = |few: u64, many: u64| many.saturating_sub(few) * 1024 / (MANY - FEW) as u64;
    assert!(each(check, checks) < 400, "check: {check} kB, then {checks} kB");
    assert!(each(merge, merges) < 600, "report merge: {merge} kB, then {merges} kB");
}

#[test]
fn many_images_take_the_memory_of_few_in_any_report() {
    let scratch = Scratch::new();
    let image = scratch.write("some.raw", &[7; 4096]);
    let check = |count: usize, format: &str| {
        let output = scratch.path(format!("{count}.{format}"));
        let mut command = tidegate();
        command.args(["check", "-q", "--format", format]).args(vec![&image; count]);
        let (code, peak) = peak(&mut command, &output);
        assert_eq!(code, 1);
        (peak, std::fs::metadata(output).unwrap().len())
    };
    for format in ["text", "json", "junit", "sarif", "github", "html"] {
        let ((few, short), (many, long)) = (check(100, format), check(MANY, format));
        assert!(long > 20 * short, "{format}: {short} bytes, then {long}");
        assert!(many < few + MORE_KB, "{format}: {few} kB, then {many} kB");
    }
    for format in ["json", "html"] {
        let merge = |count: usize| {
            let mut command = tidegate();
            command.args(["report", "merge", "--format", format]);
            command.arg(scratch.path(format!("{count}.json")));
            let (code, peak) = peak(&mut command, &scratch.path("merged"));
            assert_eq!(code, 1);
            peak
        };
        let (few, many) = (merge(100), merge(MANY));
        assert!(many < few + MORE_KB, "merged as {format}: {few} kB, then {many} kB");
    }
}

/// What a run said that may have 1 GiB of address space; without bounds it would need more.
fn bounded(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let program = tidegate().get_program().to_owned();
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 1048576; exec \"$@\"", "sh"])
        .arg(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(exit_code(&output), 2, "{arguments:?}: {output:?}");
    stderr(&output).to_owned()
}

#[test]
fn what_has_no_end_is_not_read_to_it() {
    let scratch = Scratch::new();
    let image = scratch.write("a.raw", &disk());
    let image = image.to_str().unwrap();
    let url = "https://127.0.0.1:1/a.raw";
    for (arguments, variables, told) in [
        (&["check", "--images-from", "/dev/zero"][..], &[][..], "line 1 is longer than 64 KiB"),
        (&["check", "--checksums", "/dev/zero", image], &[], "not a list of check sums"),
        (&["check", "--packer-manifest", "/dev/zero"], &[], "not a manifest of Packer"),
        (&["check", "--cacert", "/dev/zero", url], &[], "not a file of certificates"),
        (&["check", url], &[("SSL_CERT_FILE", "/dev/zero")], "not a file of certificates"),
        (&["check", "--header", "@/dev/zero", url], &[], "not a file of headers"),
        (&["report", "merge", "/dev/zero"], &[], "it is no report of tidegate"),
        (&["verify-receipt", "/dev/zero"], &[], "it is no regular file"),
        (&["image", "list", "--token-file", "/dev/zero"], &[], "not a file with a token"),
        (
            &["image", "list", "--context", "x"],
            &[("DIGITALOCEAN_CONFIG", "/dev/zero")],
            "not a file with a token",
        ),
        (&["simulate", "--faults", "/dev/zero"], &[], "not a plan of faults"),
    ] {
        let said = bounded(arguments, variables);
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn a_large_project_is_none() {
    let scratch = Scratch::new();
    scratch.write("tidegate.toml", &vec![b'['; 600 << 10]);
    let output = tidegate().arg("check").current_dir(scratch.path("")).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("larger than 512 KiB"), "{output:?}");
}

#[test]
fn a_document_that_is_not_there_in_full_is_an_error() {
    let scratch = Scratch::new();
    let image = scratch.write("a.raw", &disk());
    for format in ["json", "junit", "sarif", "html"] {
        let run = |output: Stdio| {
            let mut command = tidegate();
            command.args(["check", "-q", "--format", format]).arg(&image).stdout(output);
            command.stderr(Stdio::piped()).spawn().unwrap()
        };
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run(full.into()).wait_with_output().unwrap();
        assert_eq!(exit_code(&output), 2, "{format}: {output:?}");
        let mut child = run(Stdio::piped());
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(exit_code(&output), 2, "{format}: {output:?}");
        assert!(stderr(&output).contains("the program that was to read it has ended"));
    }
    // A short one needs no temporary file; a long one that finds no room for it says where.
    let run = |count| {
        let images = vec![&image; count];
        let nowhere = scratch.path("nowhere");
        let quick = ["check", "-q", "--quick", "--format", "junit"];
        tidegate().args(quick).args(images).env("TMPDIR", nowhere).output().unwrap()
    };
    assert_eq!(exit_code(&run(1)), 0);
    let output = run(500);
    assert_eq!(exit_code(&output), 2);
    assert!(output.stdout.is_empty() && stderr(&output).contains("(TMPDIR)"), "{output:?}");
}

/// A stream of one byte, which says that its blocks may have so many hundred thousand bytes.
fn short_stream(blocks: u8) -> Vec<u8> {
    let mut stream = bzip2(b"x");
    stream[3] = b'0' + blocks;
    stream
}

#[test]
fn many_short_bzip2_streams_cost_what_they_hold() {
    let scratch = Scratch::new();
    let took = |blocks: u8| -> Duration {
        let path = scratch.write("many.bz2", &short_stream(blocks).repeat(20_000));
        let run = |_| {
            let begun = Instant::now();
            assert_eq!(report(&[path.as_os_str()]).0, 1);
            begun.elapsed()
        };
        (0..3).map(run).min().unwrap()
    };
    let (small, large) = (took(1), took(9));
    assert!(large < small * 3, "{small:?} for the smallest blocks, {large:?} for the largest");
}

/// A MiB of refcounts of one bit counts eight million clusters.
#[test]
fn refcounts_of_one_bit_are_not_kept_one_by_one() {
    let scratch = Scratch::new();
    let raw = scratch.sparse("raw", 64 << 20);
    let path = scratch.path("image.qcow2");
    let convert = ["convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=2M,refcount_bits=1"];
    let Some(done) = qemu_img(&convert, &[&raw, &path]) else { return };
    assert!(done.status.success(), "{done:?}");
    let mut image = std::fs::read(&path).unwrap();
    let number = |at: usize| u64::from_be_bytes(image[at..at + 8].try_into().unwrap()) as usize;
    let block = number(number(48));
    // Of clusters behind all that an image may have.
    image[block + (64 << 10)..block + (2 << 20)].fill(0xff);
    std::fs::write(&path, image).unwrap();
    let (code, peak) = peak(tidegate().arg("check").arg(&path), &scratch.path("report"));
    assert_eq!(code, 0);
    assert!(peak < 64 << 10, "{peak} kB");
}
