//! What is printed where.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use serde_json::Value;

use crate::common::*;

#[test]
fn text_says_the_verdict_first() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let bad = scratch.write("bad.raw", &[0; 4096]);
    let output = check(&[&good]);
    assert!(stdout(&output).starts_with("ACCEPT  "), "{output:?}");
    assert!(stdout(&output).contains(&sha256(&disk())));
    let output = check(&[&bad]);
    assert!(stdout(&output).starts_with("REJECT  "), "{output:?}");
    for said in ["raw-no-partition-table", "Fix: "] {
        assert!(stdout(&output).contains(said), "{output:?}");
    }
    let output = check(&[&good, &bad, &scratch.path("missing")]);
    let last = stdout(&output).lines().last().unwrap();
    assert_eq!(last, "3 images: 1 accepted, 1 rejected, 1 not read");
}

#[test]
fn nothing_but_plain_text_reaches_what_is_no_terminal() {
    let scratch = Scratch::new();
    // Large enough that a bar would have been drawn.
    let path = scratch.sparse("large.raw", 1_000_000_000);
    for no_color in [None, Some("1")] {
        let mut command = tidegate();
        command.arg("check").arg(&path);
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let output = command.output().unwrap();
        assert_eq!(exit_code(&output), 0);
        assert_eq!(stderr(&output), "");
        assert!(!stdout(&output).contains(['\x1b', '\r']), "{output:?}");
    }
}

#[test]
fn colour_is_decoration_and_no_color_takes_it_away() {
    let scratch = Scratch::new();
    let bad = scratch.write("bad.raw", &[0; 4096]);
    let run = |variables: &[(&str, &str)]| {
        let mut command = tidegate();
        command.env("TERM", "xterm").envs(variables.iter().copied());
        let output = command.arg("check").arg(&bad).output().unwrap();
        stdout(&output).to_owned()
    };
    let plain = run(&[]);
    let coloured = run(&[("CLICOLOR_FORCE", "1")]);
    assert!(coloured.contains("\x1b["), "{coloured}");
    let mut stripped = String::new();
    for (index, piece) in coloured.split("\x1b[").enumerate() {
        let text = if index == 0 { piece } else { piece.split_once('m').unwrap().1 };
        stripped.push_str(text);
    }
    assert_eq!(stripped, plain);
    assert_eq!(run(&[("NO_COLOR", "1")]), plain);
}

#[test]
fn quiet_is_one_line_an_image() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let bad = scratch.write("bad.raw", &[0; 1 << 16]);
    let missing = scratch.path("missing");
    for quiet in ["-q", "--quiet"] {
        let output =
            check(&[quiet.as_ref(), good.as_os_str(), bad.as_os_str(), missing.as_os_str()]);
        assert_eq!((exit_code(&output), stderr(&output)), (3, ""));
        let lines: Vec<&str> = stdout(&output).lines().collect();
        // The last one names those that were refused again.
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[3].starts_with("refused 2 of 3: "), "{lines:?}");
        assert_eq!(lines[0], format!("ACCEPT  {}", good.display()));
        assert_eq!(lines[1], format!("REJECT  {}: raw-no-partition-table", bad.display()));
        assert!(lines[2].starts_with(&format!("ERROR   {}: ", missing.display())));
    }
}

#[test]
fn json_is_one_document_with_a_report_for_each_image() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let output = check(&["--format".as_ref(), "json".as_ref(), good.as_os_str()]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "tidegate.report/1");
    assert!(output.stdout.ends_with(b"}\n"));
    let image = &document["images"][0];
    assert_eq!(image["verdict"], "accept");
    assert_eq!(image["compression"], "none");
    assert_eq!(image["disk_format"], "raw");
    for size in ["file_size", "image_size", "virtual_size"] {
        assert_eq!(image[size], DISK, "{size}");
    }
    assert_eq!(image["complete"], true);
    // Headers are read beside the digest, which reads all of it.
    assert!(image["bytes_read"].as_u64().unwrap() >= DISK);
    assert_eq!(image["limit"], 100_000_000_000u64);
    let partition = &image["partition_table"]["partitions"][0];
    assert_eq!(partition["name"], "root");
    assert_eq!(partition["start"], 1 << 20);
    assert_eq!(partition["type"], "0fc63daf-8483-4772-8e79-3d69d8477de4");
}

#[test]
fn a_report_can_be_written_to_a_file() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let long = format!("ACCEPT  {}\n", "an older and longer report/".repeat(999));
    let target = scratch.write("report.json", long.as_bytes());
    let arguments = [
        "--format".as_ref(),
        "json".as_ref(),
        "--output".as_ref(),
        target.as_os_str(),
        good.as_os_str(),
    ];
    let output = check(&arguments);
    assert_eq!((exit_code(&output), stdout(&output), stderr(&output)), (0, "", ""));
    let document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&target).unwrap()).unwrap();
    assert_eq!(document["images"][0]["verdict"], "accept");

    let text = scratch.path("report.txt");
    let output = tidegate()
        .env("CLICOLOR_FORCE", "1")
        .args(["check".as_ref(), "--output".as_ref(), text.as_os_str(), good.as_os_str()])
        .output()
        .unwrap();
    assert_eq!((exit_code(&output), stdout(&output)), (0, ""));
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("ACCEPT  "), "no colour in files");
}

#[test]
fn a_report_never_overwrites_an_image() {
    let scratch = Scratch::new();
    let bytes = disk();
    let image = scratch.write("disk.raw", &bytes);
    let other = scratch.write("other.raw", &bytes);
    let link = scratch.path("link.raw");
    std::os::unix::fs::symlink(&image, &link).unwrap();
    let hard = scratch.path("hard.raw");
    std::fs::hard_link(&image, &hard).unwrap();
    for target in [&image, &link, &hard] {
        let output =
            check(&["--output".as_ref(), target.as_os_str(), other.as_os_str(), image.as_os_str()]);
        assert_eq!(exit_code(&output), 2, "{target:?}");
        assert!(std::fs::read(&image).unwrap() == bytes, "{target:?}: the image was harmed");
    }
}

#[test]
fn a_report_never_overwrites_the_image_behind_standard_input() {
    let scratch = Scratch::new();
    let bytes = disk();
    let image = scratch.write("disk.raw", &bytes);
    let output = tidegate()
        .args(["check".as_ref(), "--output".as_ref(), image.as_os_str(), "-".as_ref()])
        .stdin(Stdio::from(File::open(&image).unwrap()))
        .output()
        .unwrap();
    assert!(std::fs::read(&image).unwrap() == bytes, "the image was harmed");
    assert_eq!(exit_code(&output), 2, "{output:?}");
}

/// A pattern of the shell makes an image of what was to be the report.
#[test]
fn a_report_replaces_nothing_but_reports() {
    let scratch = Scratch::new();
    let disk = scratch.write("disk.raw", &disk());
    for (name, bytes) in [
        (
            "a.qcow2",
            std::fs::read(format!("{}/testdata/gpt.qcow2", env!("CARGO_MANIFEST_DIR"))).unwrap(),
        ),
        ("thesis.txt", b"Chapter 1".to_vec()),
        ("n.json", b"{}".to_vec()),
    ] {
        let path = scratch.write(name, &bytes);
        let output = check(&["--output".as_ref(), path.as_os_str(), disk.as_os_str()]);
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert!(stderr(&output).contains("name another file"), "{output:?}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    let report = scratch.write("report", b"");
    for format in ["text", "json", "junit", "html", "sarif", "github", "text"] {
        for more in [&["-q"][..], &[]] {
            let mut arguments = vec!["--format".as_ref(), format.as_ref(), "--output".as_ref()];
            arguments.push(report.as_os_str());
            arguments.extend(more.iter().map(|more| std::ffi::OsStr::new(*more)));
            arguments.push(disk.as_os_str());
            let output = check(&arguments);
            assert_eq!(exit_code(&output), 0, "{format}: {output:?}");
        }
    }
}

#[test]
fn a_report_that_cannot_be_written_is_no_success() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for format in ["text", "json"] {
        let output = tidegate()
            .args(["check", "--format", format])
            .arg(&good)
            .stdout(Stdio::from(full()))
            .output()
            .unwrap();
        assert_ne!(exit_code(&output), 0);
        assert!(stderr(&output).contains("cannot write the report"), "{output:?}");
    }
    assert!(std::fs::metadata(&good).unwrap().size() == DISK);
}

#[test]
fn help_that_cannot_be_written_is_no_success() {
    for arguments in [&["--help"][..], &["--version"], &["check", "--help"], &["explain"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = tidegate().args(arguments).stdout(Stdio::from(full)).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains("cannot write"), "{output:?}");
    }
}

#[test]
fn the_readme_shows_what_a_check_says() {
    let readme = include_str!("../../README.md");
    let call = "$ tidegate check gpt.qcow2.gz truncated.raw.gz\n";
    let (_, shown) = readme.split_once(call).unwrap();
    let (shown, _) = shown.split_once("$ echo $?\n1\n").unwrap();
    let output = tidegate()
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata"))
        .args(["check", "gpt.qcow2.gz", "truncated.raw.gz"])
        .output()
        .unwrap();
    assert_eq!(exit_code(&output), 1);
    assert_eq!(stdout(&output), shown);
}

#[test]
fn findings_are_explained() {
    let explain = |codes: &[&str]| tidegate().arg("explain").args(codes).output().unwrap();
    let list = explain(&[]);
    assert_eq!(exit_code(&list), 0);
    let listed: Vec<&str> =
        stdout(&list).lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert!(listed.len() > 50, "{listed:?}");
    // Every one that is listed is explained, also several at once.
    let all = explain(&listed);
    assert_eq!(exit_code(&all), 0);
    for name in listed {
        assert!(stdout(&all).contains(&format!("{name}: ")), "{name}");
    }
    let one = explain(&["gzip-truncated"]);
    for part in ["gzip-truncated: ", "What to do", "Severity", "whatever the policy", "Source"] {
        assert!(stdout(&one).contains(part), "{part}");
    }
    let unknown = explain(&["gzip"]);
    assert_eq!((exit_code(&unknown), stdout(&unknown)), (2, ""));
    assert!(stderr(&unknown).contains("gzip-truncated"), "near ones are named: {unknown:?}");
    assert_eq!(exit_code(&explain(&["no such thing"])), 2);
}

/// What is to be copied is on a line of its own, whole and with nothing glued to it.
#[test]
fn commands_of_a_fix_can_be_copied() {
    let scratch = Scratch::new();
    let name = format!("{}.raw.gz", "long-name-".repeat(12));
    let odd = scratch.write(&name, &[disk(), vec![0; 100]].concat());
    let output = check(&[&odd]);
    let ends = format!(" && tidegate check {}", odd.with_extension("").display());
    let whole = |line: &str| line.starts_with("            test ! -e /") && line.ends_with(&ends);
    assert!(stdout(&output).lines().any(whole), "{}", stdout(&output));
    let page = check(&["--format".as_ref(), "html".as_ref(), odd.as_os_str()]);
    let ends = format!("tidegate check {}</code></pre>", odd.with_extension("").display());
    let block = |line: &str| {
        line.starts_with("<pre class=\"command\"><code>test ! -e /") && line.ends_with(&ends)
    };
    assert!(stdout(&page).lines().any(block), "{}", stdout(&page));
    let explained = tidegate().args(["explain", "qcow2-backing-file"]).output().unwrap();
    let command = "test ! -e IMAGE.qcow2 || ! echo IMAGE.qcow2 exists already && mkdir IMAGE.qcow2.part && \
                   qemu-img convert -f qcow2 -O qcow2 IMAGE IMAGE.qcow2.part/new && \
                   mv -n IMAGE.qcow2.part/new IMAGE.qcow2 && rmdir IMAGE.qcow2.part && tidegate check IMAGE.qcow2";
    assert!(stdout(&explained).lines().any(|line| line.trim() == command), "{explained:?}");
    assert!(!stdout(&explained).contains('`'), "{explained:?}");
}

#[test]
fn a_disk_that_nobody_could_look_at_has_no_partition_table_to_report() {
    let scratch = Scratch::new();
    let mut image =
        std::fs::read(format!("{}/testdata/gpt.qcow2", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let l1 = u64::from_be_bytes(image[40..48].try_into().unwrap()) as usize;
    image[l1..l1 + 8].fill(0xff);
    let unread = scratch.write("unread.qcow2", &image);
    image[l1..l1 + 8].fill(0);
    let nothing = scratch.write("nothing.qcow2", &image);
    for (path, scheme, said) in [
        (&unread, Value::Null, "partition table not read"),
        (&nothing, "none".into(), "no partition table"),
    ] {
        let (_, report) = report(&[path]);
        let table = &report["partition_table"];
        assert_eq!(table.is_null(), scheme.is_null(), "{report}");
        assert_eq!(table["scheme"], scheme, "{report}");
        assert!(stdout(&check(&[path])).contains(said));
        let page = check(&["--format".as_ref(), "html".as_ref(), path.as_os_str()]);
        assert!(stdout(&page).contains(said), "{said}");
    }
}

#[test]
fn blanks_in_a_name_make_no_line_of_their_own() {
    let scratch = Scratch::new();
    let forged = format!("e.raw{}ACCEPT  release.raw", " ".repeat(67));
    for name in [forged.clone(), forged.replace(' ', "\u{3000}"), forged.replace(' ', "\u{a0}")] {
        let path = scratch.write(&name, &[0; 4096]);
        for more in [&["-q"][..], &[], &["--format", "github"]] {
            let output = tidegate().arg("check").args(more).arg(&path).output().unwrap();
            assert_eq!(exit_code(&output), 1);
            let first = stdout(&output).lines().next().unwrap();
            assert!(!first.contains("ACCEPT  ") && first.contains("e.raw"), "{first}");
            let name = first.trim_start_matches("REJECT  ");
            assert!(!name.contains("  ") && !name.contains(['\u{3000}', '\u{a0}']), "{first}");
        }
    }
    // One that cannot be read has its name in the reason too.
    let output = check(&["-q", &forged]);
    assert!(!stdout(&output)["ERROR   ".len()..].contains("  "), "{output:?}");
    let plain = scratch.write("a b.raw", &disk());
    assert!(stdout(&check(&["-q".as_ref(), plain.as_os_str()])).ends_with("/a b.raw\n"));
}

#[test]
fn a_name_that_promises_two_compressions_is_a_finding() {
    let scratch = Scratch::new();
    let packed = gzip(&disk());
    for name in ["g.raw.gz.gz", "g.raw.bz2.gz", "g.qcow2.gz.gz", "g.vhdx.bz2.gz", "g.img.gz.gzip"] {
        let (_, found) = report(&[scratch.write(name, &packed)]);
        assert_eq!(codes(&found), ["name-mismatch"], "{name}");
    }
    let (_, found) = report(&[scratch.write("g.raw.gz", &packed)]);
    assert_eq!(codes(&found), Vec::<&str>::new());
}
