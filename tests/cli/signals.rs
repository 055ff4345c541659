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
fn a_reader_that_goes_away_has_seen_what_it_wanted_to_of_text() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let bad = scratch.write("bad.raw", &[0; 4096]);
    let run = |arguments: &[&str], path: &std::path::Path| {
        let mut child = tidegate().args(arguments).arg(path).spawn().unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap()
    };
    for (path, expected) in [(&good, 0), (&bad, 1), (&scratch.path("missing"), 3)] {
        let output = run(&["check"], path);
        assert_eq!((exit_code(&output), stderr(&output)), (expected, ""), "{path:?}");
        // A document that nobody has is no result, whatever it would have said.
        let output = run(&["check", "--format", "json"], path);
        assert_eq!(exit_code(&output), 2, "{path:?}");
        assert!(stderr(&output).contains("was not written in full"), "{output:?}");
    }
    let mut child = tidegate().arg("explain").spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((exit_code(&output), stderr(&output)), (0, ""));
}

/// Runs a command line of a shell with the program as `$1` and an image as `$2`.
fn shell(line: &str, image: &std::path::Path) -> std::process::Output {
    let program = tidegate().get_program().to_owned();
    Command::new("sh").args(["-c", line, "sh"]).arg(program).arg(image).output().unwrap()
}

#[test]
fn a_document_for_a_closed_standard_output_is_an_error() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let output = shell("\"$1\" check --format json \"$2\" >&-", &good);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("standard output is closed"), "{output:?}");
    // Where the report goes elsewhere, nothing is lost.
    let output = shell("\"$1\" check --format json --output \"$2.json\" \"$2\" >&-", &good);
    assert_eq!((exit_code(&output), stderr(&output)), (0, ""));
    // What many programs give those whose text they do not want is /dev/null for reading and writing.
    for line in ["check", "check -q"] {
        for to in [">/dev/null", "1<>/dev/null"] {
            let output = shell(&format!("\"$1\" {line} \"$2\" {to}"), &good);
            assert_eq!((exit_code(&output), stderr(&output)), (0, ""), "{line} {to}");
        }
    }
    let output = shell("\"$1\" check --format json \"$2\" >/dev/null", &good);
    assert_eq!((exit_code(&output), stderr(&output)), (0, ""));
}

#[test]
fn a_named_pipe_without_a_writer_is_named_and_interrupted() {
    let scratch = Scratch::new();
    let pipe = scratch.path("a.raw");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for more in [&["-q"][..], &[]] {
        let mut child = tidegate().arg("check").args(more).arg(&pipe).spawn().unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        assert!(line.contains("a.raw is a named pipe; waiting for a program"), "{line}");
        interrupt(child, "INT");
    }
    // A writer may come late.
    let child = tidegate().args(["check", "-q"]).arg(&pipe).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    std::fs::write(&pipe, disk()).unwrap();
    assert_eq!(exit_code(&child.wait_with_output().unwrap()), 0);
}
