//! A file that changes while it is read, without a new time stamp: whatever is said of it is said of bytes that it
//! had all at once, and a file that stays as it is never changed.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::*;
use crate::flipper::{self, Flipper};

/// How often a file is checked while it changes.
const TURNS: u64 = 20;

/// Large enough to be read for a while: a disk with a GPT and noise behind it.
fn noisy() -> Vec<u8> {
    const SIZE: u64 = 12 << 20;
    let mut disk = vec![0; SIZE as usize];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for bytes in disk[1 << 20..].chunks_exact_mut(8) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        bytes.copy_from_slice(&random.to_le_bytes());
    }
    for (at, bytes) in gpt_parts(SIZE, "root") {
        disk[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
    }
    disk
}

/// What is said of a file, with what it is said of.
fn said(arguments: &[&Path]) -> Value {
    let (_, report) = report(arguments);
    json!([report["verdict"], codes(&report), report["digests"], report["error"]["kind"]])
}

/// Checks a file over and over while one byte of it changes between two values, and holds what is said against what
/// is said of each state alone.
fn check_while_it_flips(path: &Path, at: u64, values: [u8; 2], more: &[&str]) {
    let mut arguments: Vec<&Path> = more.iter().map(Path::new).collect();
    arguments.push(path);
    let alone = values.map(|value| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at as usize] = value;
        std::fs::write(path, bytes).unwrap();
        // Nothing changes here, so nothing is said to change.
        let once = said(&arguments);
        assert_ne!(once[3], "changed");
        assert_eq!(said(&arguments), once);
        once
    });
    assert_ne!(alone[0], alone[1]);
    let mut changed = 0;
    for turn in 0..TURNS {
        let pause = Duration::from_micros(500 * (1 + turn % 10));
        let Some(_flipper) = Flipper::start(path, at, values, pause) else { return };
        let now = said(&arguments);
        match now[3] == "changed" {
            true => changed += 1,
            false => assert!(alone.contains(&now), "{now} is neither of {alone:?}"),
        }
    }
    eprintln!("{}: {changed} of {TURNS} changed", path.display());
}

#[test]
fn what_was_judged_of_a_raw_disk_is_what_was_digested() {
    let folder = flipper::in_memory();
    let path = folder.path().join("disk.raw");
    let disk = noisy();
    // A check sum in the backup GPT, at the end of the disk, which is read at the beginning.
    let at = disk.len() as u64 - 512 + 16;
    let value = disk[at as usize];
    std::fs::write(&path, disk).unwrap();
    check_while_it_flips(&path, at, [value, !value], &[]);
}

#[test]
fn what_was_judged_of_a_container_is_what_was_digested() {
    let folder = flipper::in_memory();
    let Some((path, at, values)) = flipper::qcow2(folder.path(), &noisy()) else { return };
    check_while_it_flips(&path, at, values, &[]);
    check_while_it_flips(&path, at, values, &["--digest", "disk"]);
}

#[test]
fn what_was_judged_of_a_packed_file_is_what_was_digested() {
    let folder = flipper::in_memory();
    let path = folder.path().join("disk.raw.gz");
    // The header of a gzip member that nothing else looks at: the time.
    std::fs::write(&path, gzip(&noisy())).unwrap();
    check_while_it_flips(&path, 4, [0, 1], &[]);
}
