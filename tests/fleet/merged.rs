use serde_json::{Value, json};

use crate::common::Scratch;
use crate::{run, testdata};

/// Reports of two shards and of a check of another image.
fn folder() -> Scratch {
    let scratch = Scratch::new();
    let here = scratch.path("");
    std::fs::copy(testdata("gpt.qcow2.gz"), scratch.path("good.qcow2.gz")).unwrap();
    std::fs::copy(testdata("truncated.raw.gz"), scratch.path("bad.raw.gz")).unwrap();
    scratch.write("list", b"good.qcow2.gz\nbad.raw.gz\n");
    for shard in ["0/2", "1/2"] {
        let output = format!("{}.json", &shard[..1]);
        let check = ["check", "--images-from", "list", "--shard", shard, "--format", "json"];
        run(&here, &[&check[..], &["--output", &output]].concat());
    }
    run(&here, &["check", "--format", "json", "--output", "good.json", "good.qcow2.gz"]);
    run(&here, &["check", "--format", "json", "--output", "bad.json", "bad.raw.gz"]);
    scratch
}

fn refused(scratch: &Scratch, reports: &[&str], told: &str) {
    let (code, out, err) = run(&scratch.path(""), &[&["report", "merge"], reports].concat());
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains(told), "{err}");
}

#[test]
fn only_a_whole_is_merged() {
    let scratch = folder();
    refused(&scratch, &["0.json"], "1 of 2 shards are missing: 1/2");
    refused(&scratch, &["0.json", "0.json", "1.json"], "two of the reports are of shard 0/2");
    refused(&scratch, &["good.json", "bad.json", "0.json", "1.json"], "both have");
    refused(&scratch, &["good.json", "--images-from", "list"], "nothing of 1 of the 2 images");
    refused(&scratch, &["nowhere.json"], "nowhere.json");
    let other =
        std::fs::read_to_string(scratch.path("1.json")).unwrap().replace("\"of\": 2", "\"of\": 3");
    scratch.write("other.json", other.as_bytes());
    refused(&scratch, &["0.json", "other.json"], "reports of different runs");
}

#[test]
fn only_reports_of_this_version_are_merged() {
    let scratch = folder();
    let whole: Value =
        serde_json::from_slice(&std::fs::read(scratch.path("bad.json")).unwrap()).unwrap();
    for (key, value, told) in [
        (
            "schema",
            json!("tidegate.report/2"),
            "its schema is tidegate.report/2, and this takes tidegate.report/1; make one with",
        ),
        ("schema", json!("tidegate.map/1"), "its schema is tidegate.map/1"),
        ("schema", Value::Null, "it is no report of tidegate"),
        ("tidegate", json!("77.0.0"), "written by tidegate 77.0.0"),
        ("images", json!([{}]), "it is no report of tidegate"),
        ("images", json!([{"source": "\u{1b}[31m"}]), "acts on a terminal"),
        ("shard", json!("1/2"), "it is no report of tidegate"),
    ] {
        let mut report = whole.clone();
        report[key] = value;
        scratch.write("other.json", report.to_string().as_bytes());
        refused(&scratch, &["good.json", "other.json"], told);
    }
    scratch.write("other.json", b"\x7fELF");
    refused(&scratch, &["other.json"], "it is no report of tidegate");
}

#[test]
fn a_merged_report_has_the_formats_and_codes_of_a_check() {
    let scratch = folder();
    let here = scratch.path("");
    let merge = |more: &[&str]| {
        run(
            &here,
            &[&["report", "merge", "0.json", "1.json", "--images-from", "list"], more].concat(),
        )
    };
    let (code, out, _) = merge(&["--format", "text"]);
    assert_eq!(code, 1);
    let (_, single, _) = run(&here, &["check", "bad.raw.gz", "good.qcow2.gz"]);
    assert_eq!(out, single);
    let (code, out, _) = merge(&["--format", "text", "--quiet"]);
    assert_eq!((code, out.lines().count()), (1, 2));
    for (format, begins) in
        [("html", "<!doctype html>"), ("junit", "<?xml"), ("sarif", "{"), ("json", "{")]
    {
        let (code, out, _) = merge(&["--format", format]);
        assert_eq!(code, 1);
        assert!(out.to_lowercase().starts_with(begins), "{format}: {}", &out[..40]);
    }
    let (code, ..) = run(&here, &["report", "merge", "good.json"]);
    assert_eq!(code, 0);
    // The output is none of what is read.
    let before = std::fs::read(scratch.path("0.json")).unwrap();
    let (code, _, err) = merge(&["--output", "0.json"]);
    assert_eq!(code, 2, "{err}");
    assert_eq!(std::fs::read(scratch.path("0.json")).unwrap(), before);
    assert!(err.contains("--output 0.json is one of the reports"), "{err}");
}
