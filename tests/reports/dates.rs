//! When images were checked stands in every document.

use std::process::Command;

use crate::common::{Scratch, disk, exit_code, images, stderr, stdout, tidegate};

/// Runs a check with this date in the environment.
fn dated(date: &str, format: &str, scratch: &Scratch) -> Command {
    let mut command = tidegate();
    command.env("SOURCE_DATE_EPOCH", date).current_dir(scratch.path(""));
    command.args(["check", "--format", format, "disk.raw", "missing.raw"]);
    command
}

/// All but the seconds that a check took.
fn without_times(text: &str) -> String {
    text.split(' ').filter(|word| !word.starts_with("time=")).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_document_says_when_and_a_merged_one_too() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    let json = dated("1700000000", "json", &scratch).output().unwrap();
    for image in images(&json) {
        assert_eq!(image["checked_at"], "2023-11-14T22:13:20Z");
    }
    let report = scratch.write("report.json", &json.stdout);
    for (format, said) in [
        ("json", "\"checked_at\": \"2023-11-14T22:13:20Z\""),
        ("junit", " timestamp=\"2023-11-14T22:13:20\""),
        ("sarif", "\"startTimeUtc\": \"2023-11-14T22:13:20Z\""),
        ("html", "it work there? Checked 2023-11-14T22:13:20Z."),
    ] {
        let direct = dated("1700000000", format, &scratch).output().unwrap();
        assert!(stdout(&direct).contains(said), "{}", stdout(&direct));
        let again = dated("1700000000", format, &scratch).output().unwrap();
        assert_eq!(without_times(stdout(&direct)), without_times(stdout(&again)));
        let merged = tidegate()
            .args(["report", "merge", "--format", format])
            .arg(&report)
            .env("SOURCE_DATE_EPOCH", "1800000000")
            .output()
            .unwrap();
        assert!(stdout(&merged).contains(said), "{}", stdout(&merged));
        assert!(!stdout(&merged).contains("2027-01-15"), "{}", stdout(&merged));
    }
    let summary = scratch.path("summary");
    let mut github = dated("1700000000", "github", &scratch);
    github.env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.contains("Checked 2023&#45;11&#45;14T22"), "{summary}");
}

#[test]
fn several_dates_are_said_from_the_first_to_the_last() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    for (date, name) in [("1700000000", "a.raw"), ("1600000000", "b.raw")] {
        std::fs::copy(scratch.path("disk.raw"), scratch.path(name)).unwrap();
        let output = tidegate()
            .args(["check", "--format", "json", name])
            .env("SOURCE_DATE_EPOCH", date)
            .current_dir(scratch.path(""))
            .output()
            .unwrap();
        scratch.write(format!("{name}.json"), &output.stdout);
    }
    let merged = tidegate()
        .args(["report", "merge", "--format", "html", "a.raw.json", "b.raw.json"])
        .current_dir(scratch.path(""))
        .output()
        .unwrap();
    let said = "Checked from 2020-09-13T12:26:40Z to 2023-11-14T22:13:20Z.";
    assert!(stdout(&merged).contains(said), "{}", stdout(&merged));
}

#[test]
fn the_date_is_that_of_the_machine_or_a_number() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    for wrong in ["yesterday", "-1", "1.5", "999999999999"] {
        let output = dated(wrong, "json", &scratch).output().unwrap();
        assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{wrong}");
        assert!(stderr(&output).contains("SOURCE_DATE_EPOCH"), "{}", stderr(&output));
    }
    let mut now = dated("", "json", &scratch);
    let before = date();
    let said = images(&now.output().unwrap())[0]["checked_at"].as_str().unwrap().to_owned();
    assert!(before <= said && said <= date(), "{before} {said}");
}

/// The date of the machine, as another program has it.
fn date() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    stdout(&output).trim().to_owned()
}

#[test]
fn what_is_packed_anew_or_pushed_was_checked_on_a_date() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    for arguments in [&["repack", "disk.raw"][..], &["push", "--rehearse", "disk.raw"]] {
        let mut command = tidegate();
        command.env("SOURCE_DATE_EPOCH", "1700000000").current_dir(scratch.path(""));
        let output = command.args(arguments).args(["--format", "json"]).output().unwrap();
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let document: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
        assert_eq!(document["report"]["checked_at"], "2023-11-14T22:13:20Z", "{document:#}");
    }
}
