//! JUnit XML, read by an XML parser that knows nothing of us.

use serde_json::Value;

use crate::common::{Scratch, disk, stdout, tidegate};
use crate::{document, images, python, testdata};

/// The document as JSON: what is counted, and each case with what became of it.
const READ: &str = r#"
import json, sys
import xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
def counts(element):
    read = {"name": str, "time": float, "timestamp": str}
    return {key: read.get(key, int)(value) for key, value in element.items()}
suites = []
for suite in root:
    assert suite.tag == "testsuite", suite.tag
    cases = []
    for case in suite.findall("testcase"):
        became = [child.tag for child in case]
        assert len(became) < 2, became
        text = "".join((child.get("message") or "") + (child.text or "") for child in case)
        cases.append([case.get("name"), case.get("classname"), (became or ["passed"])[0], text])
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    suites.append({"cases": cases, "properties": properties, **counts(suite)})
json.dump({"tag": root.tag, "suites": suites, **counts(root)}, sys.stdout)
"#;

fn read(document: &str) -> Option<Value> {
    let found = python(READ, document)?;
    assert_eq!(found["tag"], "testsuites");
    // What is counted is what is there.
    for (count, tag) in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
        let mut sum = 0;
        for suite in found["suites"].as_array().unwrap() {
            let cases = suite["cases"].as_array().unwrap();
            assert_eq!(suite["tests"], cases.len());
            let there = cases.iter().filter(|case| case[2] == tag).count();
            assert_eq!(suite[count], there, "{suite}");
            sum += there;
        }
        // The root has no count of what was skipped: Jenkins's schema does not know one there.
        assert_eq!(found[count], if tag == "skipped" { Value::Null } else { sum.into() });
    }
    Some(found)
}

/// What became of a rule in a suite; `None` if it is not there.
fn became<'s>(suite: &'s Value, rule: &str) -> Option<&'s str> {
    let cases = suite["cases"].as_array().unwrap();
    cases.iter().find(|case| case[0] == rule).map(|case| case[2].as_str().unwrap())
}

#[test]
fn a_case_for_each_rule_that_concerns_the_image() {
    let scratch = Scratch::new();
    let images = images(&scratch);
    let Some(found) = read(&document("junit", &[], &images)) else { return };
    let suites = found["suites"].as_array().unwrap();
    assert_eq!(suites.len(), images.len());

    let good = &suites[0];
    assert_eq!(good["properties"]["verdict"], "accept");
    assert_eq!(good["properties"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!((&good["failures"], &good["skipped"]), (&0.into(), &0.into()));
    assert_eq!(became(good, "raw-no-partition-table"), Some("passed"));
    assert_eq!(became(good, "gpt-damaged"), Some("passed"));
    // Rules of other formats have nothing to say, and those that need an option were not asked.
    for other in [
        "qcow2-backing-file",
        "gzip-damaged",
        "mbr-partitions-overlap",
        "url-query",
        "digest-mismatch",
    ] {
        assert_eq!(became(good, other), None, "{other}");
    }

    let backing = &suites[3];
    assert_eq!(became(backing, "qcow2-backing-file"), Some("failure"));
    // What could not be looked at is no pass.
    assert_eq!(became(backing, "disk-no-partition-table"), Some("skipped"));
    assert_eq!(became(&suites[5], "gzip-truncated"), Some("failure"));
    assert_eq!(became(&suites[6], "name-mismatch"), Some("system-out"));

    let missing = suites.last().unwrap();
    assert_eq!(missing["cases"].as_array().unwrap().len(), 1);
    assert_eq!((&missing["cases"][0][2], &missing["errors"]), (&"error".into(), &1.into()));
}

#[test]
fn a_suite_has_the_time_of_its_check() {
    let scratch = Scratch::new();
    let images = [scratch.write("a.raw", &disk()), scratch.path("missing.raw")];
    let Some(found) = read(&document("junit", &[], &images)) else { return };
    let time = |element: &Value| element["time"].as_f64().unwrap();
    let each = found["suites"].as_array().unwrap().iter().map(time);
    // Each is rounded to microseconds.
    assert!((each.sum::<f64>() - time(&found)).abs() < 0.00001, "{found}");
    assert!(time(&found["suites"][0]) > 0.0, "a check cannot take no time: {found}");

    // What was not measured is not made up.
    let report = scratch.write("report.json", document("json", &[], &images).as_bytes());
    let merged =
        tidegate().args(["report", "merge", "--format", "junit"]).arg(report).output().unwrap();
    let merged = read(stdout(&merged)).unwrap();
    assert_eq!((&merged["time"], &merged["suites"][0]["time"]), (&Value::Null, &Value::Null));
}

#[test]
fn warnings_fail_when_they_matter() {
    let scratch = Scratch::new();
    let image = [scratch.write("wrong.qcow2", &disk())];
    for (options, expected) in [
        (&[][..], "system-out"),
        (&["--strict"], "failure"),
        (&["--strict", "--allow", "name-mismatch"], "system-out"),
    ] {
        let Some(found) = read(&document("junit", options, &image)) else { return };
        assert_eq!(became(&found["suites"][0], "name-mismatch"), Some(expected), "{options:?}");
    }
}

#[test]
fn expectations_and_quick_checks_say_what_was_compared() {
    let scratch = Scratch::new();
    let image = [scratch.write("disk.raw", &disk())];
    let right = crate::common::sha256(&disk());
    let Some(found) = read(&document("junit", &["--sha256", &right], &image)) else { return };
    assert_eq!(became(&found["suites"][0], "digest-mismatch"), Some("passed"));
    assert_eq!(became(&found["suites"][0], "image-digest-mismatch"), None);

    let image = [scratch.write("disk.raw.gz", &crate::common::gzip(&disk()))];
    let found = read(&document("junit", &["--quick"], &image)).unwrap();
    assert_eq!(became(&found["suites"][0], "gzip-crc-mismatch"), Some("skipped"));
}

#[test]
fn every_finding_of_every_image_is_in_its_suite() {
    let images = testdata();
    let reports = crate::common::reports(&images).1;
    let Some(found) = read(&document("junit", &[], &images)) else { return };
    for (report, suite) in reports.iter().zip(found["suites"].as_array().unwrap()) {
        assert_eq!(report["source"], suite["name"]);
        for finding in report["findings"].as_array().unwrap() {
            let expected = if finding["severity"] == "reject" { "failure" } else { "system-out" };
            let code = finding["code"].as_str().unwrap();
            assert_eq!(became(suite, code), Some(expected), "{report:#}");
        }
        if report["verdict"] == "accept" && report["mode"] == "full" {
            assert_eq!(suite["failures"], 0);
        }
    }
}
