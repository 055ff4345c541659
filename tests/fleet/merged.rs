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
    // What that check was given is not known here.
    refused(
        &scratch,
        &["0.json"],
        "Repeat the check that made the others, with --shard 1/2 and another output",
    );
    refused(&scratch, &["0.json", "0.json", "1.json"], "two of the reports are of shard 0/2");
    refused(&scratch, &["good.json", "bad.json", "0.json", "1.json"], "both have");
    refused(&scratch, &["good.json", "--images-from", "list"], "nothing of 1 of the 2 images");
    refused(&scratch, &["nowhere.json"], "nowhere.json");
    let other =
        std::fs::read_to_string(scratch.path("1.json")).unwrap().replace("\"of\": 2", "\"of\": 3");
    scratch.write("other.json", other.as_bytes());
    refused(&scratch, &["0.json", "other.json"], "reports of different runs");
}

/// Names that begin with the same 200 characters are shown alike, and so are URLs that differ in their queries.
#[test]
fn an_image_that_is_shown_like_another_is_not_covered_by_its_report() {
    let scratch = Scratch::new();
    let here = scratch.path("");
    let folder = "d".repeat(205);
    std::fs::create_dir(scratch.path(&folder)).unwrap();
    std::fs::copy(testdata("gpt.qcow2.gz"), scratch.path(&folder).join("good.qcow2.gz")).unwrap();
    std::fs::copy(testdata("truncated.raw.gz"), scratch.path(&folder).join("bad.raw.gz")).unwrap();
    let list = format!("{folder}/good.qcow2.gz\n{folder}/bad.raw.gz\n");
    scratch.write("list", list.as_bytes());
    let json = ["--format", "json", "--output"];
    run(
        &here,
        &[&["check", &format!("{folder}/good.qcow2.gz")], &json[..], &["good.json"]].concat(),
    );
    refused(&scratch, &["good.json", "--images-from", "list"], "nothing of 1 of the 2 images");
    run(&here, &[&["check", "--images-from", "list"], &json[..], &["all.json"]].concat());
    let merge = ["report", "merge", "-q", "--format", "text", "all.json", "--images-from", "list"];
    assert_eq!(run(&here, &merge).0, 1);

    scratch.write("list", b"http://127.0.0.1:9/disk.raw?v=1\nhttp://127.0.0.1:9/disk.raw?v=2\n");
    let url = ["check", "--no-url-rules", "--retries", "0", "http://127.0.0.1:9/disk.raw?v=1"];
    run(&here, &[&url[..], &json, &["url.json"]].concat());
    refused(&scratch, &["url.json", "--images-from", "list"], "nothing of 1 of the 2 images");
}

#[test]
fn a_verdict_that_the_findings_do_not_come_to_is_not_merged() {
    let scratch = folder();
    let whole = std::fs::read_to_string(scratch.path("bad.json")).unwrap();
    for verdict in ["accept", "warn", "error"] {
        let edited =
            whole.replace("\"verdict\": \"reject\"", &format!("\"verdict\": \"{verdict}\""));
        scratch.write("edited.json", edited.as_bytes());
        refused(&scratch, &["edited.json"], "of bad.raw.gz it has a verdict that its findings");
    }
}

#[test]
fn only_reports_of_this_version_are_merged() {
    let scratch = folder();
    let whole: Value =
        serde_json::from_slice(&std::fs::read(scratch.path("bad.json")).unwrap()).unwrap();
    let mut harmful = whole["images"].clone();
    harmful[0]["source"] = json!("\u{1b}[31m");
    for (key, value, told) in [
        (
            "schema",
            json!("tidegate.report/2"),
            "its schema is tidegate.report/2, and this takes tidegate.report/1; make one by a check",
        ),
        ("schema", json!("tidegate.map/1"), "its schema is tidegate.map/1"),
        ("schema", Value::Null, "it is no report of tidegate"),
        ("tidegate", json!("77.0.0"), "written by tidegate 77.0.0"),
        ("images", json!([{}]), "it is no report of tidegate"),
        ("images", harmful, "acts on a terminal"),
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
    assert_eq!((code, out.lines().count()), (1, 3));
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

/// What would be cut, escaped, encoded or taken for something else, and none of it the same as shown and as it is.
fn hostile() -> Vec<Vec<u8>> {
    let long = [b"long-".as_slice(), &[b'l'; 240], b".img"].concat();
    let mut names: Vec<Vec<u8>> = [
        "a b.raw",
        "a\u{1b}[31m::error::x.raw",
        "a!.raw",
        "%41.raw",
        "<b>&\"'`.raw",
        "c,d:e;f.raw",
        "-o",
        "ünïcode\u{202e}.raw",
        "##[error]x.raw",
        "w[1]*.raw",
    ]
    .map(|name| name.as_bytes().to_vec())
    .into();
    names.extend([b"x\xff\xfe.raw".to_vec(), long]);
    names
}

/// A folder with images of hostile names, and the list of them, with URLs or without.
fn hostile_folder(urls: &[&str]) -> Scratch {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    const KINDS: [&str; 4] = ["gpt.raw", "truncated.raw.gz", "backing.qcow2", "gpt.vdi.gz"];
    let scratch = Scratch::new();
    let mut list = Vec::new();
    for (n, name) in hostile().into_iter().enumerate() {
        let path = scratch.path("").join(OsString::from_vec(name.clone()));
        std::fs::copy(testdata(KINDS[n % KINDS.len()]), path).unwrap();
        list.extend([name.as_slice(), b"\0"].concat());
        // The same file by its whole path.
        if n == 0 {
            list.extend(scratch.path("a b.raw").as_os_str().as_encoded_bytes());
            list.push(0);
        }
    }
    list.extend(b"missing?.raw\0");
    urls.iter().for_each(|url| list.extend([url.as_bytes(), b"\0"].concat()));
    scratch.write("list", &list);
    scratch
}

/// A rendering without what is of the run and not of the images: the time of a suite.
fn timeless(text: &str) -> String {
    let mut parts = text.split(" time=\"");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |out, part| out + part.split_once('"').unwrap().1)
}

#[test]
fn a_merged_rendering_is_that_of_a_single_run() {
    let urls: &[&str] = match cfg!(feature = "net") {
        true => &[
            "http://127.0.0.1:1/a?b=secret",
            "http://127.0.0.1:1/a.img",
            "https://127.0.0.1:1/a%20%41.qcow2",
        ],
        false => &[],
    };
    for urls in [&[][..], urls] {
        let scratch = hostile_folder(urls);
        let here = scratch.path("");
        let check = |more: &[&str]| {
            let mut command = crate::at(&here);
            command.args(["check", "-0", "--images-from", "list"]).args(more);
            if cfg!(feature = "net") {
                command.args(["--retries", "0", "--insecure-http"]);
            }
            crate::ended(command.output().unwrap())
        };
        for shard in ["0/3", "1/3", "2/3"] {
            let output = format!("{}.json", &shard[..1]);
            let (code, _, err) =
                check(&["--shard", shard, "--format", "json", "--output", &output]);
            assert!([1, 3].contains(&code), "{err}");
        }
        for format in ["text", "json", "junit", "sarif", "github", "html"] {
            let (code, single, err) = check(&["--format", format]);
            assert_eq!(code, 3, "{err}");
            let merge = ["report", "merge", "2.json", "0.json", "1.json", "--format", format];
            let (merged_code, merged, err) = run(&here, &merge);
            assert_eq!((merged_code, err.as_str()), (3, ""), "{format}");
            match format {
                "html" => {
                    assert!(merged.contains("the report was merged from others"));
                    let heads = |page: &str| page.matches("<h2").count();
                    assert_eq!(heads(&merged), heads(&single));
                }
                _ => assert_eq!(merged, timeless(&single), "{format}"),
            }
            if format == "sarif" {
                assert!(
                    merged.contains("\"uri\": \"a%20b.raw\"") && merged.contains("x%FF%FE.raw")
                );
                assert!(!merged.contains("standard input"));
            }
            if format == "github" {
                assert!(merged.contains("::warning file=") || merged.contains("::error file="));
            }
        }
    }
}

#[test]
fn what_is_merged_was_checked_alike() {
    let scratch = folder();
    let here = scratch.path("");
    // A report that is given twice has its images twice, by whatever name.
    std::fs::hard_link(scratch.path("good.json"), scratch.path("linked.json")).unwrap();
    for again in ["good.json", "./good.json", "linked.json"] {
        refused(&scratch, &["good.json", again], "both have good.qcow2.gz");
    }
    let shard = |index: &str, more: &[&str]| {
        let shard = format!("{index}/2");
        let output = format!("{index}.json");
        let check = ["check", "--images-from", "list", "--shard", &shard, "--format", "json"];
        let (code, _, err) = run(&here, &[&check[..], &["--output", &output], more].concat());
        assert!([0, 1].contains(&code), "{err}");
    };
    for (more, told) in [
        (&["--quick"][..], "mode is full in the first, and quick in the second"),
        (
            &["--max-size", "1GB"],
            "limit is 100000000000 in the first, and 1000000000 in the second",
        ),
        (
            &["--reject", "iso-hybrid"],
            "iso-hybrid is as the rules have it in the first, and reject",
        ),
        (&["--keep-going"], "keep_going is false in the first, and true"),
    ] {
        shard("0", &[]);
        shard("1", more);
        refused(&scratch, &["0.json", "1.json"], told);
        refused(&scratch, &["0.json", "1.json"], "were not checked alike");
        // Alike they make a whole.
        shard("0", more);
        let (_, single, _) =
            run(&here, &[&["check", "--images-from", "list", "--format", "json"], more].concat());
        assert_eq!(run(&here, &["report", "merge", "1.json", "0.json"]).1, single);
    }
    let mut other: Value =
        serde_json::from_slice(&std::fs::read(scratch.path("good.json")).unwrap()).unwrap();
    other["terms"]["rules"] = json!("0.1.0/0000");
    scratch.write("other.json", other.to_string().as_bytes());
    refused(&scratch, &["other.json"], "made under other rules (0.1.0/0000");
    other.as_object_mut().unwrap().remove("terms");
    scratch.write("other.json", other.to_string().as_bytes());
    refused(&scratch, &["bad.json", "other.json"], "does not say how");
}

#[test]
fn what_was_strict_is_strict_when_it_is_merged() {
    let scratch = Scratch::new();
    let here = scratch.path("");
    // A name that promises something else is a warning.
    std::fs::copy(testdata("gpt.raw"), scratch.path("warned.qcow2")).unwrap();
    std::fs::copy(testdata("gpt.raw"), scratch.path("good.raw")).unwrap();
    scratch.write("list", b"warned.qcow2\ngood.raw\n");
    let digest = crate::common::sha256(&std::fs::read(testdata("gpt.raw")).unwrap());
    scratch.write("sums", format!("{digest}  good.raw\n{digest}  warned.qcow2\n").as_bytes());
    for (strict, expected) in [(&[][..], 0), (&["--strict"], 1)] {
        for shard in ["0/2", "1/2"] {
            let output = format!("{}.json", &shard[..1]);
            let check = ["check", "--images-from", "list", "--shard", shard, "--format", "json"];
            let check = [&check[..], &["--checksums", "sums"]].concat();
            run(&here, &[&check[..], &["--output", &output], strict].concat());
        }
        for format in ["json", "junit"] {
            let check =
                ["check", "--images-from", "list", "--checksums", "sums", "--format", format];
            let (code, single, _) = run(&here, &[&check[..], strict].concat());
            let merge = ["report", "merge", "0.json", "1.json", "--format", format];
            let (merged_code, merged, _) = run(&here, &merge);
            assert_eq!((code, merged_code), (expected, expected));
            assert_eq!(merged, timeless(&single));
        }
        let (code, ..) = run(&here, &["report", "merge", "0.json", "1.json", "--strict"]);
        assert_eq!(code, 1);
    }
}

#[test]
fn names_of_checks_and_errors_are_those_that_a_check_has() {
    let scratch = folder();
    let here = scratch.path("");
    run(&here, &["check", "--format", "json", "--output", "missing.json", "missing.raw"]);
    let document = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(scratch.path(name)).unwrap()).unwrap()
    };
    for id in ["<script>alert(1)</script>", "**[x](https://h)**", "format ", "", "image"] {
        let mut edited = document("good.json");
        let checks = edited["images"][0]["checks"].as_array_mut().unwrap();
        checks.push(json!({"id": id, "state": "done"}));
        scratch.write("edited.json", edited.to_string().as_bytes());
        refused(&scratch, &["edited.json", "--format", "html"], "no such part of a check");
        refused(&scratch, &["edited.json", "--format", "github"], "no such part of a check");
        let mut edited = document("missing.json");
        edited["images"][0]["error"]["kind"] = json!(id);
        scratch.write("edited.json", edited.to_string().as_bytes());
        refused(&scratch, &["edited.json", "--format", "html"], "no such kind of error");
    }
}

/// Text that others chose is text in a page and in a summary, wherever it comes from.
#[test]
fn no_text_of_a_report_is_markup() {
    const MARK: &str = "<b>x</b>**[x](https://h)**";
    let scratch = folder();
    let here = scratch.path("");
    run(&here, &["check", "--format", "json", "--output", "missing.json", "missing.raw"]);
    for name in ["good.json", "bad.json", "missing.json"] {
        let text = std::fs::read(scratch.path(name)).unwrap();
        let document: Value = serde_json::from_slice(&text).unwrap();
        let mut places = Vec::new();
        texts(&document["images"], "/images".into(), &mut places);
        assert!(places.len() > 7, "{places:?}");
        let mut taken = 0;
        for place in places {
            let mut edited = document.clone();
            *edited.pointer_mut(&place).unwrap() = json!(MARK);
            scratch.write("edited.json", edited.to_string().as_bytes());
            let merge = ["report", "merge", "edited.json", "--format", "html"];
            let (_, page, _) = run(&here, &merge);
            assert!(!page.contains("<b>"), "{place}");
            taken += usize::from(page.contains("&lt;b&gt;"));
            let summary = scratch.path("summary");
            let _ = std::fs::remove_file(&summary);
            let merge = ["report", "merge", "edited.json", "--format", "github"];
            crate::at(&here).args(merge).env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
            let summary = std::fs::read_to_string(summary).unwrap_or_default();
            assert!(!summary.contains("<b>") && !summary.contains("**[x]"), "{place}: {summary}");
        }
        assert!(taken > 0);
    }
}

/// The places of all texts in a document.
fn texts(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::String(_) => places.push(place),
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                texts(value, format!("{place}/{at}"), places);
            }
        }
        Value::Object(values) => {
            for (key, value) in values {
                texts(value, format!("{place}/{key}"), places);
            }
        }
        _ => {}
    }
}
