//! Whatever ends it, nothing is left.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::common::*;
use crate::rig::*;

#[test]
fn nothing_is_left_of_a_run_that_is_ended() {
    let disk = disk();
    for (signal, code) in [
        ("INT", Some(130)),
        ("TERM", Some(130)),
        ("KILL", None),
        ("HUP", Some(130)),
        ("QUIT", Some(130)),
    ] {
        let scratch = Scratch::new();
        let mut command = tidegate();
        command
            .current_dir(scratch.path("."))
            .args(["repack", "-", "out.gz"])
            .stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It goes on until nobody reads it.
        let (disk, noise) = (disk[..3 << 20].to_vec(), noise());
        let feeding = std::thread::spawn(move || {
            let _ = stdin.write_all(&disk);
            while stdin.write_all(&noise).is_ok() {}
        });
        wait_until("something is written", || has_written(child.id()));
        let kill = ["-s", signal, &child.id().to_string()].map(str::to_owned);
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), code, "{signal}: {output:?}");
        assert!(names(&scratch.path(".")).is_empty(), "{signal}: {:?}", names(&scratch.path(".")));
        feeding.join().unwrap();
    }
}

/// Bytes that hardly pack.
fn noise() -> Vec<u8> {
    let mut state = 1u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..1 << 20).map(|_| byte()).collect()
}

/// Whether the process has written more than messages.
fn has_written(id: u32) -> bool {
    let counts = std::fs::read_to_string(format!("/proc/{id}/io")).unwrap_or_default();
    let written = counts.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok());
    written.is_some_and(|count: u64| count > 1 << 20)
}

#[test]
fn a_pipe_that_ends_early_leaves_nothing() {
    let scratch = Scratch::new();
    let packed = gzip(&gzip(&disk()));
    for end in [0, 1, 12, packed.len() / 2, packed.len() - 1] {
        let mut command = tidegate();
        command
            .current_dir(scratch.path("."))
            .args(["repack", "-", "out.gz"])
            .stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&packed[..end]).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(exit_code(&output), 1, "{end}: {output:?}");
        assert!(names(&scratch.path(".")).is_empty());
    }
}
