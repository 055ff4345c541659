//! Standard streams that are closed, and readers that go away.

use std::process::{Output, Stdio};

use crate::common::*;

/// Runs it by a shell, which can close what the program gets.
fn shell(script: &str, scratch: &Scratch) -> Output {
    std::process::Command::new("bash")
        .args(["-c", script])
        .env("PROGRAM", env!("CARGO_BIN_EXE_tidegate"))
        .current_dir(scratch.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn closed_standard_input_is_no_empty_image() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    let output = shell("\"$PROGRAM\" check - <&-", &scratch);
    assert_eq!(exit_code(&output), 3, "{output:?}");
    assert!(stdout(&output).contains("it is closed"), "{output:?}");
    // By any of its names, whatever looks at it.
    for name in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/dev//stdin"] {
        for command in ["check", "map", "compare disk.raw"] {
            let output = shell(&format!("\"$PROGRAM\" {command} {name} <&-"), &scratch);
            assert_eq!(exit_code(&output), 3, "{command} {name}: {output:?}");
            let said = [stdout(&output), stderr(&output)].concat();
            assert!(said.contains("it is closed"), "{command} {name}: {output:?}");
        }
    }
    let output = shell("\"$PROGRAM\" check --images-from /dev/stdin <&-", &scratch);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    // Whoever says so has an empty one.
    let output = shell("\"$PROGRAM\" check - </dev/null", &scratch);
    assert_eq!(exit_code(&output), 1, "{output:?}");
    let output = shell("\"$PROGRAM\" check --images-from - <&-", &scratch);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("closed"), "{output:?}");
    // Open for writing only.
    let output = shell("\"$PROGRAM\" check - 0>out", &scratch);
    assert_eq!(exit_code(&output), 3, "{output:?}");
}

#[test]
fn a_document_that_nobody_gets_is_no_success() {
    let scratch = Scratch::new();
    scratch.write("disk.img", &disk());
    for format in ["json", "junit", "sarif", "html", "github"] {
        let output = shell(&format!("\"$PROGRAM\" check --format {format} disk.img >&-"), &scratch);
        assert_eq!(exit_code(&output), 2, "{format}: {output:?}");
        assert!(stderr(&output).contains("closed"), "{format}: {output:?}");
    }
    for command in ["map --format json disk.img", "compare --format json disk.img disk.img"] {
        let output = shell(&format!("\"$PROGRAM\" {command} >&-"), &scratch);
        assert_eq!(exit_code(&output), 2, "{command}: {output:?}");
    }
    // A reader that is gone, and a disk that is full.
    for script in [
        "\"$PROGRAM\" check --format json disk.img > >(exec 0<&-; sleep 3)",
        "\"$PROGRAM\" check --format json disk.img >/dev/full",
    ] {
        let output = shell(script, &scratch);
        assert_eq!(exit_code(&output), 2, "{script}: {output:?}");
        assert!(stderr(&output).contains("the report"), "{script}: {output:?}");
    }
    // Whoever wants none of it says so, and the exit code is a result by itself.
    for script in [
        "\"$PROGRAM\" check --format json disk.img >/dev/null",
        "\"$PROGRAM\" check --format json --output report disk.img >&-",
        "\"$PROGRAM\" check disk.img >&-",
        "\"$PROGRAM\" explain | head -c 1",
    ] {
        let output = shell(&format!("set -o pipefail; {script}"), &scratch);
        assert_eq!(exit_code(&output), 0, "{script}: {output:?}");
    }
}
