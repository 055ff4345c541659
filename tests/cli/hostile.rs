//! Text from outside is shown escaped, wherever it comes from.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Output;

use crate::common::*;

/// What would act on a terminal, hide, or fake a line of output, if it came through.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\nACCEPT  fake\r\u{202e}\u{200b}\u{9b}31m\u{7f}";

/// File names that have it, one of them no UTF-8.
fn names() -> Vec<OsString> {
    let invalid = [EVIL.as_bytes(), b"\xff\xfe\x9b"].concat();
    vec![EVIL.into(), OsString::from_vec(invalid), "\u{2066}gpj.war".into()]
}

/// Nothing of [`EVIL`] is in the output, raw.
fn assert_tame(output: &Output) {
    for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let text = std::str::from_utf8(bytes).unwrap_or_else(|e| panic!("{stream}: {e}"));
        for c in text.chars() {
            let acts = c.is_control() && c != '\n';
            let hides = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            assert!(!acts && !hides, "{stream} has {c:?}: {text}");
        }
        assert!(!text.lines().any(|line| line.starts_with("ACCEPT  fake")), "{stream}: {text}");
    }
}

/// All strings of a JSON value.
fn strings<'v>(value: &'v serde_json::Value, found: &mut Vec<&'v str>) {
    match value {
        serde_json::Value::String(text) => found.push(text),
        serde_json::Value::Array(values) => values.iter().for_each(|v| strings(v, found)),
        serde_json::Value::Object(map) => map.values().for_each(|v| strings(v, found)),
        _ => {}
    }
}

/// JSON's own escapes hide nothing either: its strings are tame when they are decoded.
fn assert_json_tame(output: &Output) {
    let images = images(output);
    let mut found = Vec::new();
    images.iter().for_each(|image| strings(image, &mut found));
    for text in found {
        assert!(
            !text.chars().any(|c| c.is_control() || c == '\u{202e}' || c == '\u{2066}'),
            "{text:?}"
        );
    }
}

fn every_output(path: &OsStr, expected: i32) {
    for options in [&[][..], &["--quiet"], &["--quick"], &["--format", "json"]] {
        let options = options.iter().map(OsStr::new);
        let output = check(&options.clone().chain([path]).collect::<Vec<_>>());
        assert_eq!(exit_code(&output), expected, "{output:?}");
        assert_tame(&output);
        if options.clone().any(|option| option == "json") {
            assert_json_tame(&output);
        }
        if options.clone().any(|option| option == "--quiet") {
            assert_eq!(stdout(&output).lines().count(), 1, "{output:?}");
        }
    }
}

#[test]
fn names_of_files() {
    let scratch = Scratch::new();
    for name in names() {
        every_output(scratch.write(&name, &disk()).as_os_str(), 0);
        every_output(scratch.write(&name, &[0; 4096]).as_os_str(), 1);
        // Its name is quoted by the warning that it promises something else.
        let mut misnamed = name.clone();
        misnamed.push(".qcow2");
        every_output(scratch.write(&misnamed, &disk()).as_os_str(), 0);
        let mut missing = name;
        missing.push(".missing");
        every_output(scratch.path(&missing).as_os_str(), 3);
    }
}

#[test]
fn names_inside_images() {
    let scratch = Scratch::new();
    let path = scratch.write("disk.qcow2", &qcow2_with_backing(EVIL.as_bytes()));
    every_output(path.as_os_str(), 1);
    let (_, report) = report(&[&path]);
    assert!(codes(&report).contains(&"qcow2-backing-file"), "{report}");
    every_output(scratch.write("disk.raw", &disk_named(EVIL)).as_os_str(), 0);
}

#[test]
fn a_backing_file_is_never_opened() {
    let scratch = Scratch::new();
    // Opening it would block for ever: nobody writes to it.
    let fifo = scratch.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let image = qcow2_with_backing(fifo.as_os_str().as_bytes());
    every_output(scratch.write("disk.qcow2", &image).as_os_str(), 1);
}

#[test]
fn names_in_complaints() {
    let scratch = Scratch::new();
    let disk = scratch.write("disk.raw", &disk());
    for name in names() {
        let list = scratch.write(&name, b"nothing");
        let below = disk.join(&name);
        let image = scratch.write([name.as_bytes(), b".raw"].concat().as_os(), b"x");
        let sums = scratch.write("SHA256SUMS", format!("{}  x\n", sha256(b"x")).as_bytes());
        let cases: [&[&OsStr]; 6] = [
            &["--checksums".as_ref(), list.as_os_str(), disk.as_os_str()],
            &["--checksums".as_ref(), sums.as_os_str(), image.as_os_str()],
            &["--output".as_ref(), below.as_os_str(), disk.as_os_str()],
            &["--output".as_ref(), image.as_os_str(), image.as_os_str()],
            &["--allow".as_ref(), &OsString::from(EVIL), disk.as_os_str()],
            &["--max-size".as_ref(), &OsString::from(EVIL), disk.as_os_str()],
        ];
        for arguments in cases {
            let output = check(arguments);
            assert_eq!(exit_code(&output), 2, "{output:?}");
            assert_tame(&output);
        }
    }
    let output = tidegate().args(["explain", EVIL]).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert_tame(&output);
}

/// `tidegate check *` in a directory with such a name in it.
#[test]
fn names_that_look_like_options() {
    for arguments in [
        &["check".into(), format!("--{EVIL}")][..],
        &["check".into(), "x".into(), "--format".into(), EVIL.into()],
        &[EVIL.into()],
    ] {
        let output = tidegate().args(arguments).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert_tame(&output);
    }
}

/// Bytes as a name.
trait AsOs {
    fn as_os(&self) -> &OsStr;
}

impl AsOs for Vec<u8> {
    fn as_os(&self) -> &OsStr {
        OsStr::from_bytes(self)
    }
}
