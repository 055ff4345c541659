use std::io::Write;
use std::process::Stdio;

use crate::common::Scratch;
use crate::{at, ended, run, sources, testdata};

fn folder() -> Scratch {
    let scratch = Scratch::new();
    for name in ["b.qcow2.gz", "a b.qcow2.gz", "-c.qcow2.gz"] {
        std::fs::copy(testdata("gpt.qcow2.gz"), scratch.path(name)).unwrap();
    }
    scratch
}

const LIST: &str = "# all of them\nb.qcow2.gz\n\n  a b.qcow2.gz\r\n-c.qcow2.gz\nb.qcow2.gz\n";

#[test]
fn a_list_is_checked_in_the_order_of_names() {
    let scratch = folder();
    scratch.write("list", LIST.as_bytes());
    let here = scratch.path("");
    let (code, out, err) =
        run(&here, &["check", "--images-from", "list", "--format", "json", "--quick"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let report = serde_json::from_str(&out).unwrap();
    assert_eq!(sources(&report), ["-c.qcow2.gz", "a b.qcow2.gz", "b.qcow2.gz"]);
    assert!(report.get("shard").is_none());

    let mut child = at(&here)
        .args(["check", "-q", "--images-from", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(LIST.as_bytes()).unwrap();
    let (code, out, _) = ended(child.wait_with_output().unwrap());
    assert_eq!((code, out.lines().count()), (0, 3));
}

#[test]
fn what_is_no_list_is_said_with_its_line() {
    let scratch = folder();
    let here = scratch.path("");
    for (text, told) in [
        ("# nothing\n", "it names no image"),
        ("a\n-\n", "line 2 is \"-\""),
        ("a\0b\n", "line 1 has a NUL byte"),
    ] {
        scratch.write("list", text.as_bytes());
        let (code, out, err) = run(&here, &["check", "--images-from", "list"]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains("cannot use the list of images in list: "), "{err}");
        assert!(err.contains(told), "{err}");
    }
    let (code, _, err) = run(&here, &["check", "--images-from", "nowhere"]);
    assert_eq!(code, 2);
    assert!(err.contains("nowhere"), "{err}");
    let (code, ..) = run(&here, &["check", "--images-from", "list", "b.qcow2.gz"]);
    assert_eq!(code, 2);
}

#[test]
fn there_is_no_ninth_shard_of_eight() {
    let scratch = folder();
    for (shard, told) in [
        ("9/8", "of 8 there are 0/8 to 7/8"),
        ("8/8", "of 8 there are 0/8 to 7/8"),
        ("0/0", "1 to 100000 shards"),
        ("one", "a shard is K/N"),
        ("-1/8", "a shard is K/N, such as 0/8 for the first of eight"),
    ] {
        let (code, out, err) = run(&scratch.path(""), &["check", "--shard", shard, "b.qcow2.gz"]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(told), "{err}");
    }
}

#[test]
fn a_shard_without_images_is_whole() {
    let scratch = folder();
    let here = scratch.path("");
    let mut empty = 0;
    for shard in ["0/2", "1/2"] {
        let (code, out, err) =
            run(&here, &["check", "--shard", shard, "--format", "json", "b.qcow2.gz"]);
        assert_eq!(code, 0, "{err}");
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(report["shard"]["of"], 2);
        if sources(&report).is_empty() {
            empty += 1;
            assert!(err.contains("none of the images falls to shard"), "{err}");
        }
    }
    assert_eq!(empty, 1);
}

#[test]
fn offline_asks_nothing_of_the_network() {
    let scratch = folder();
    let here = scratch.path("");
    let url = "https://images.example.com/base.qcow2";
    let (code, _, err) = run(&here, &["check", "--offline", url]);
    assert_eq!(code, 2);
    assert!(err.contains("this check is --offline"), "{err}");

    scratch.write(
        "tidegate.toml",
        format!("[[image]]\nname = \"web\"\npath = \"b.qcow2.gz\"\n\n[[image]]\nname = \"base\"\nurl = \"{url}\"\n")
            .as_bytes(),
    );
    let (code, out, err) = run(&here, &["check", "--offline", "-q"]);
    assert_eq!((code, out.as_str()), (0, "ACCEPT  b.qcow2.gz\n"), "{err}");
    assert!(err.contains("base is not checked") && err.contains("--online"), "{err}");
    // The hook has --offline, and its user adds --online: then there is a name that nobody resolves, or no network.
    let online = ["check", "--offline", "--online", "-q", "--retries", "0", "--timeout", "1"];
    let (code, out, _) = run(&here, &online);
    assert_eq!((code, out.lines().count()), if cfg!(feature = "net") { (3, 3) } else { (2, 0) });
}

#[test]
fn a_list_of_lines_leaves_out_no_file_that_is_there() {
    for (name, line) in [
        ("#bad.img", "#bad.img"),
        ("#bad.img", " #bad.img\r"),
        ("b.qcow2.gz ", "b.qcow2.gz "),
        ("b.qcow2.gz\r", "b.qcow2.gz\r"),
        (" ", " "),
        ("b.qcow2.gz\nb.qcow2.gz", "b.qcow2.gz\nb.qcow2.gz"),
        ("b.qcow2.gz\n# no", "./b.qcow2.gz\n# no"),
        ("\n# no", "\n# no"),
    ] {
        let scratch = folder();
        let here = scratch.path("");
        scratch.write(name, b"no image");
        scratch.write("list", format!("a b.qcow2.gz\n{line}\nb.qcow2.gz\n").as_bytes());
        for command in [
            &["check", "-q", "--images-from", "list"][..],
            &["check", "-q", "--shard", "0/2", "--images-from", "list"],
            &["check", "-q", "--shard", "1/2", "--images-from", "list"],
        ] {
            let (code, out, err) = run(&here, command);
            assert_eq!((code, out.as_str()), (2, ""), "{name:?}");
            assert!(
                err.contains("is part of the name of a file") && err.contains("--null"),
                "{err}"
            );
        }
        // As programs write it, it has them all.
        scratch.write("list", format!("a b.qcow2.gz\0{name}\0b.qcow2.gz\0").as_bytes());
        for null in ["-0", "--null"] {
            let (code, out, err) = run(&here, &["check", "-q", null, "--images-from", "list"]);
            assert_eq!((code, out.matches("ACCEPT").count()), (1, 2), "{name:?} {err}");
            assert_eq!(out.matches("REJECT").count(), 1, "{out}");
        }
    }
}

#[test]
fn a_merged_report_covers_a_list_with_nul_bytes() {
    let scratch = folder();
    let here = scratch.path("");
    scratch.write("#c", &std::fs::read(testdata("gpt.qcow2.gz")).unwrap());
    scratch.write("list", b"b.qcow2.gz\0#c\0");
    let check =
        ["check", "--format", "json", "--output", "r.json", "--null", "--images-from", "list"];
    assert_eq!(run(&here, &check).0, 0);
    let merge = ["report", "merge", "r.json", "--format", "text", "-q", "--images-from", "list"];
    let (code, out, err) = run(&here, &[&merge[..], &["-0"]].concat());
    assert_eq!((code, out.lines().count()), (0, 2), "{err}");
    // Nor does a list of lines leave it out here.
    scratch.write("list", b"b.qcow2.gz\n#c\n");
    let (code, _, err) = run(&here, &merge);
    assert_eq!(code, 2);
    assert!(err.contains("#c"), "{err}");
    let (code, ..) = run(&here, &["check", "-0", "b.qcow2.gz"]);
    assert_eq!(code, 2);
}
