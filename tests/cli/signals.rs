//! Ctrl-C, SIGTERM, and readers that go away.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::*;

/// A check that reads a pipe, once it is ready for signals, and the pipe.
fn reading() -> (Child, std::process::ChildStdin) {
    let mut child = tidegate().args(["check", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    // Before the handlers are there, a signal would end the process in its own way.
    wait_until("signals are caught", || {
        let caught = status(&child, "SigCgt").unwrap_or_default();
        u64::from_str_radix(&caught, 16).is_ok_and(|mask| mask & 0x4002 == 0x4002)
    });
    (child, stdin)
}

/// Sends the signal and holds the end of the program against what is promised.
fn interrupt(child: Child, signal: &str) {
    let sent = Instant::now();
    let kill = ["-s", signal, &child.id().to_string()].map(str::to_owned);
    assert!(Command::new("kill").args(kill).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    // One second is promised; the rest is for a machine that is busy with other tests.
    assert!(sent.elapsed() < Duration::from_secs(4), "{signal}: {:?}", sent.elapsed());
    assert_eq!(exit_code(&output), 130, "{signal}");
    assert!(output.stdout.is_empty(), "there is no verdict: {output:?}");
    assert!(stderr(&output).lines().count() <= 2, "{output:?}");
    assert!(!stderr(&output).contains('\x1b'), "{output:?}");
}

#[test]
fn a_read_that_blocks_is_interrupted() {
    for signal in ["INT", "TERM"] {
        let (child, mut stdin) = reading();
        stdin.write_all(&disk()[..1000]).unwrap();
        interrupt(child, signal);
        drop(stdin);
    }
}

#[test]
fn a_read_that_never_ends_is_interrupted() {
    for signal in ["INT", "TERM"] {
        let (child, mut stdin) = reading();
        let endless = std::thread::spawn(move || {
            let zeros = vec![0; 1 << 16];
            let mut written = 0;
            // Until the reader has gone away.
            while stdin.write_all(&zeros).is_ok() {
                written += zeros.len();
            }
            written
        });
        interrupt(child, signal);
        endless.join().unwrap();
    }
}

#[test]
fn a_closed_standard_output_changes_no_exit_code() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let bad = scratch.write("bad.raw", &[0; 4096]);
    for (path, expected) in [(&good, 0), (&bad, 1), (&scratch.path("missing"), 3)] {
        let mut child = tidegate().arg("check").arg(path).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(exit_code(&output), expected, "{path:?}");
        assert!(stderr(&output).is_empty(), "{output:?}");
    }
    let mut child = tidegate().arg("explain").spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((exit_code(&output), stderr(&output)), (0, ""));
}
