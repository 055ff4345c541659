//! Reports for other programs, held against what reads them: parsers of XML, the schema of SARIF, the
//! rules by which GitHub's runner takes commands from a log, a parser of HTML.

#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test
#![allow(clippy::print_stderr)] // who runs the tests is told what was skipped

#[path = "../common/mod.rs"]
mod common;
mod dates;
mod github;
mod html;
mod junit;
mod sarif;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{Scratch, disk, disk_named, gzip, qcow2_with_backing, stdout, tidegate};

/// What would begin a tag, a command, an entity or another line, reverse text, or be no character.
pub(crate) const EVIL: &str = "]]><script>alert(1)</script>&\"' \n::error::forged\r##[error]forged\u{1b}[31m\u{202e}\u{fffe}\u{7f}|`*%0A,:";

/// Images of every verdict, with hostile names outside and inside, one of them no UTF-8.
pub(crate) fn images(scratch: &Scratch) -> Vec<PathBuf> {
    let evil: OsString = EVIL.replace('/', "∕").into();
    let invalid = OsString::from_vec([b"x".as_slice(), b"\xff\xfe::error::"].concat());
    vec![
        scratch.write("good.raw", &disk()),
        scratch.write(evil, &disk()),
        scratch.write(invalid, &[7; 4096]),
        scratch.write("names.qcow2", &qcow2_with_backing(EVIL.as_bytes())),
        scratch.write("named.raw.gz", &gzip(&disk_named(EVIL))),
        scratch.write("cut.raw.gz", &gzip(&disk())[..2000]),
        scratch.write("wrong.qcow2", &disk()),
        scratch.path("missing\n::error::.raw"),
    ]
}

/// Test data of the project, where an image of every format is.
pub(crate) fn testdata() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut files: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    assert!(files.len() > 20, "{files:?}");
    files
}

/// Runs a check, and gives what it printed.
pub(crate) fn run(format: &str, options: &[&str], images: &[PathBuf]) -> Output {
    let output = tidegate()
        .args(["check", "--quiet", "--format", format])
        .args(options)
        .args(images)
        .env_remove("GITHUB_STEP_SUMMARY")
        .output()
        .unwrap();
    assert!(output.status.code().is_some_and(|code| [0, 1, 3].contains(&code)), "{output:?}");
    output
}

pub(crate) fn document(format: &str, options: &[&str], images: &[PathBuf]) -> String {
    stdout(&run(format, options, images)).to_owned()
}

/// Runs a script of Python over a document, and gives what it prints as JSON; `None` if there is no Python.
pub(crate) fn python(script: &str, document: &str) -> Option<serde_json::Value> {
    let child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none(), "python3 is missing");
        eprintln!("SKIPPED: python3 is missing");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let bytes = document.as_bytes().to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    assert!(output.status.success(), "the script failed: {output:?}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
