//! Memory stays bounded, whatever the image.

use std::process::Output;

use crate::common::*;

/// What a check may take (DESIGN: at most 64 MiB resident on 2 cores).
const MOST_RESIDENT_KB: u64 = 64 << 10;

/// Runs a check while its peak of resident memory, in kB, is watched.
pub(crate) fn watched(arguments: &[&std::ffi::OsStr]) -> (Output, u64) {
    watched_with("2", arguments)
}

/// The same, with so many threads.
pub(crate) fn watched_with(threads: &str, arguments: &[&std::ffi::OsStr]) -> (Output, u64) {
    let mut command = tidegate();
    command.env("TIDEGATE_THREADS", threads).args(["check", "--format", "json"]);
    let mut child = command.args(arguments).spawn().unwrap();
    let peak = peak(&mut child);
    (child.wait_with_output().unwrap(), peak)
}

/// 101 GiB of zeros in about 100 kB: many times the same bzip2 stream of one full block.
fn bomb() -> Vec<u8> {
    // The longest run of zeros that one block of 900 kB takes.
    const RUN: usize = 45_899_235;
    let stream = bzip2(&vec![0; RUN]);
    stream.repeat((101usize << 30).div_ceil(RUN))
}

#[test]
fn a_bomb_costs_neither_time_nor_memory() {
    let scratch = Scratch::new();
    let bytes = bomb();
    assert!(bytes.len() < 200_000, "a bomb of {} bytes", bytes.len());
    let path = scratch.write("bomb.raw.bz2", &bytes);
    let (output, peak) = watched(&[path.as_os_str()]);
    assert_eq!(exit_code(&output), 1);
    let report = &images(&output)[0];
    assert_eq!(codes(report), ["raw-no-partition-table"]);
    assert_eq!(report["digests"]["sha256"], sha256(&bytes));
    assert!(peak < MOST_RESIDENT_KB, "{peak} kB");

    let bounded =
        ["--keep-going".as_ref(), "--max-size".as_ref(), "500MB".as_ref(), path.as_os_str()];
    let (output, peak) = watched(&bounded);
    assert_eq!(exit_code(&output), 1);
    assert!(codes(&images(&output)[0]).contains(&"image-too-large"), "{output:?}");
    assert!(peak < MOST_RESIDENT_KB, "{peak} kB");
}

#[test]
fn a_large_disk_takes_no_more_memory_than_a_small_one() {
    let scratch = Scratch::new();
    let path = scratch.sparse("disk.raw", 2_000_000_000);
    let (output, peak) = watched(&[path.as_os_str()]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(peak < MOST_RESIDENT_KB, "{peak} kB");
}
