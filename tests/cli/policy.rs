//! What the user may decide: severities, strictness, the size limit.

use std::ffi::OsStr;

use crate::common::*;

/// Checks `path` with options: exit code, verdict, and each finding with its severity.
fn judged(path: &std::path::Path, options: &[&str]) -> (i32, String, Vec<(String, String)>) {
    let options = options.iter().map(OsStr::new);
    let arguments: Vec<&OsStr> = options.chain([path.as_os_str()]).collect();
    let (code, report) = report(&arguments);
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let findings = findings.map(|f| (text(&f["code"]), text(&f["severity"]))).collect();
    (code, text(&report["verdict"]), findings)
}

#[test]
fn severities_are_what_the_user_says() {
    let scratch = Scratch::new();
    let misnamed = scratch.write("disk.qcow2", &disk());
    let finding = |severity: &str| vec![("name-mismatch".to_owned(), severity.to_owned())];
    let expect = |options: &[&str], code, verdict: &str, severity| {
        let expected = (code, verdict.to_owned(), finding(severity));
        assert_eq!(judged(&misnamed, options), expected, "{options:?}");
    };
    expect(&[], 0, "warn", "warn");
    expect(&["--strict"], 1, "warn", "warn");
    expect(&["--allow", "name-mismatch"], 0, "accept", "note");
    expect(&["--allow", "name-mismatch", "--strict"], 0, "accept", "note");
    expect(&["--warn", "name-mismatch"], 0, "warn", "warn");
    expect(&["--reject", "name-mismatch"], 1, "reject", "reject");
    // Lists, and the graver word on the same finding counts.
    expect(&["--reject", "iso-hybrid,name-mismatch"], 1, "reject", "reject");
    expect(&["--allow", "name-mismatch", "--reject", "name-mismatch"], 1, "reject", "reject");
}

#[test]
fn a_reject_can_be_allowed() {
    let scratch = Scratch::new();
    let blank = scratch.write("blank.raw", &vec![0; 1 << 20]);
    assert_eq!(judged(&blank, &[]).0, 1);
    assert_eq!(judged(&blank, &["--warn", "raw-no-partition-table"]).0, 0);
    let (code, verdict, _) = judged(&blank, &["--allow", "raw-no-partition-table"]);
    assert_eq!((code, verdict.as_str()), (0, "accept"));
}

#[test]
fn unknown_findings_and_facts_of_physics_are_wrong_usage() {
    let scratch = Scratch::new();
    let disk = scratch.write("disk.raw", &disk());
    for (option, code, said) in [
        ("--allow", "no-such-finding", "no-such-finding"),
        ("--warn", "no-such-finding", "no-such-finding"),
        ("--reject", "no-such-finding", "no-such-finding"),
        ("--allow", "gzip-truncated", "gzip-truncated"),
        ("--warn", "image-truncated", "image-truncated"),
    ] {
        let output = check(&[option.as_ref(), code.as_ref(), disk.as_os_str()]);
        assert_eq!(exit_code(&output), 2, "{option} {code}");
        assert!(stderr(&output).contains(said), "{output:?}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(judged(&disk, &["--reject", "gzip-truncated"]).0, 0);
}

#[test]
fn sizes_have_to_stay_under_the_limit() {
    let scratch = Scratch::new();
    let raw = scratch.write("disk.raw", &disk());
    let packed = scratch.write("disk.raw.gz", &gzip(&disk()));
    for path in [&raw, &packed] {
        assert_eq!(judged(path, &["--max-size", &(DISK + 1).to_string()]).0, 0);
        // Strictly below.
        for limit in [&DISK.to_string(), "3MB", "2MiB", "512"] {
            let (code, _, findings) = judged(path, &["--max-size", limit]);
            assert_eq!(code, 1, "{limit}");
            // The GPT of a stream tells before its end is reached.
            let told = |(code, _): &(String, String)| {
                ["image-too-large", "disk-too-large"].contains(&code.as_str())
            };
            assert!(findings.iter().any(told), "{limit}: {findings:?}");
        }
    }
    let mut qcow2 = qcow2_with_backing(b"");
    qcow2[8..16].fill(0);
    qcow2[24..32].copy_from_slice(&100_000_000_000u64.to_be_bytes());
    let container = scratch.write("disk.qcow2", &qcow2);
    let (_, _, findings) = judged(&container, &["--keep-going"]);
    assert!(findings.iter().any(|(code, _)| code == "disk-too-large"), "{findings:?}");
    let (_, _, findings) = judged(&container, &["--keep-going", "--max-size", "100GiB"]);
    assert!(!findings.iter().any(|(code, _)| code == "disk-too-large"), "{findings:?}");
}

/// What is read of a file is bounded by the limit, but a file that goes on past that is not whole.
#[test]
fn a_packed_file_that_is_longer_than_its_image_may_be_is_not_accepted_unseen() {
    let scratch = Scratch::new();
    let small = &gzip(&disk())[..];
    for tail in [vec![0; 8 << 20], [vec![0; 8 << 20], b"junk".to_vec()].concat()] {
        let bytes = [small, &tail].concat();
        let path = scratch.write("disk.raw.gz", &bytes);
        let by_path = reports(&["--max-size".as_ref(), "5MB".as_ref(), path.as_os_str()]);
        let by_pipe = piped(&["--format", "json", "--max-size", "5MB", "-"], &bytes);
        for report in [&by_path.1[0], &images(&by_pipe)[0]] {
            assert_ne!(report["verdict"], "accept", "{report}");
        }
    }
}

#[test]
fn keep_going_finds_what_comes_after_the_first_reject() {
    let scratch = Scratch::new();
    let mut bytes = gzip(&vec![0; 3 << 20]);
    let at = bytes.len() - 8;
    bytes[at] ^= 1;
    let path = scratch.write("blank.raw.gz", &bytes);
    let codes = |options: &[&str]| -> Vec<String> {
        judged(&path, options).2.into_iter().map(|(code, _)| code).collect()
    };
    assert_eq!(codes(&[]), ["raw-no-partition-table"]);
    assert_eq!(codes(&["--keep-going"]), ["gzip-crc-mismatch", "raw-no-partition-table"]);
}
