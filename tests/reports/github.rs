//! Annotations, taken from the log by the rules of GitHub's runner.

use std::path::{Path, PathBuf};

use crate::common::{Scratch, disk_named, exit_code, qcow2_with_backing, tidegate};
use crate::{document, images, testdata};

/// A command in a log: its name, what it says of the file, and its message.
#[derive(Debug, PartialEq)]
struct Command {
    name: String,
    file: Option<String>,
    message: String,
}

fn decoded(text: &str) -> String {
    let text = text.replace("%0D", "\r").replace("%0A", "\n");
    text.replace("%3A", ":").replace("%2C", ",").replace("%25", "%")
}

/// The commands of a log, as the runner finds them: `::name key=value,key=value::message` at the start
/// of a line, blanks before it left out; `##[` anywhere in any other.
fn commands(log: &str) -> Vec<Command> {
    let mut found = Vec::new();
    for line in log.split(['\n', '\r']) {
        let Some(rest) = line.trim_start().strip_prefix("::") else {
            assert!(!line.contains("##["), "a command of the older kind: {line}");
            continue;
        };
        let (head, message) = rest.split_once("::").unwrap();
        let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
        let file = properties.split(',').find_map(|p| p.strip_prefix("file=")).map(decoded);
        found.push(Command { name: name.to_owned(), file, message: decoded(message) });
    }
    found
}

#[test]
fn an_annotation_for_each_finding_and_no_other() {
    let scratch = Scratch::new();
    for images in [images(&scratch), testdata()] {
        let reports = crate::common::reports(&images).1;
        let mut expected = Vec::new();
        for report in &reports {
            expected.extend(report["error"].is_object().then_some("error"));
            expected.extend(report["findings"].as_array().unwrap().iter().map(|finding| {
                match finding["severity"].as_str().unwrap() {
                    "reject" => "error",
                    "warn" => "warning",
                    _ => "notice",
                }
            }));
        }
        let log = document("github", &[], &images);
        let found = commands(&log);
        let names: Vec<&str> = found.iter().map(|command| command.name.as_str()).collect();
        assert_eq!(names, expected, "{log}");
        assert!(!log.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{log}");
        for command in &found {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let file = command.file.as_ref().map(|file| root.join(file));
            assert!(file.is_none_or(|file| images.contains(&file)), "{command:?}");
        }
    }
}

/// A workflow that shows what is for people must not be commanded by it either.
#[test]
fn no_other_output_has_commands() {
    const FORGED: &str =
        "::error::forged ::error file=x::forged \u{a0}::add-mask::a ##[error]forged";
    let scratch = Scratch::new();
    let images = [
        scratch.write(FORGED, &disk_named(FORGED)),
        scratch.write("backing.qcow2", &qcow2_with_backing(FORGED.repeat(3).as_bytes())),
        scratch.path("::error::missing"),
    ];
    let names: Vec<_> = images.iter().map(|path| path.file_name().unwrap()).collect();
    for arguments in [
        &["check"][..],
        &["check", "--quiet"],
        &["check", "--format", "json"],
        &["map"],
        &["explain"],
    ] {
        for name in &names {
            let output = tidegate()
                .args(arguments)
                .arg(name)
                .current_dir(scratch.path(""))
                .output()
                .unwrap();
            let printed = [output.stdout, output.stderr].concat();
            let printed = String::from_utf8(printed).unwrap();
            assert!(!printed.is_empty());
            assert_eq!(commands(&printed), [], "{arguments:?} {printed}");
        }
    }
}

#[test]
fn files_below_the_working_directory_are_named_as_the_repository_has_them() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("images")).unwrap();
    let path = scratch.write("images/a,b:c%41.raw", &[0; 4096]);
    let root = scratch.path("").canonicalize().unwrap();
    for argument in [path.canonicalize().unwrap(), "./images/a,b:c%41.raw".into()] {
        let output = tidegate()
            .args(["check", "--quiet", "--format", "github"])
            .arg(argument)
            .current_dir(&root)
            .output()
            .unwrap();
        assert_eq!(exit_code(&output), 1);
        let found = commands(std::str::from_utf8(&output.stdout).unwrap());
        assert_eq!(found[0].file.as_deref(), Some("images/a,b:c%41.raw"));
    }
}

#[test]
fn the_summary_is_appended_where_the_job_wants_it() {
    let scratch = Scratch::new();
    let images = images(&scratch);
    let summary = scratch.write("summary.md", b"before\n");
    let run = |summary: &PathBuf| {
        tidegate()
            .args(["check", "--quiet", "--format", "github"])
            .args(&images)
            .env("GITHUB_STEP_SUMMARY", summary)
            .output()
            .unwrap()
    };
    assert_eq!(exit_code(&run(&summary)), 3);
    let text = std::fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n### tidegate\n"), "{text}");
    let rows = text.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, images.len() + 2, "{text}");
    for line in text.lines() {
        assert!(!line.contains('<') && !line.contains('`'), "{line}");
        assert!(!line.starts_with("| ") || line.matches('|').count() == 7, "{line}");
    }
    // Where it cannot be written, the verdict is the same.
    let output = run(&scratch.path("no/such"));
    assert_eq!(exit_code(&output), 3);
    assert!(String::from_utf8_lossy(&output.stderr).contains("GITHUB_STEP_SUMMARY"), "{output:?}");
    // A report that is not written is never a success, and what is read is not written to.
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/gpt.qcow2.gz");
    let copy = scratch.path("copy.qcow2.gz");
    let bytes = std::fs::read(good).unwrap();
    std::fs::write(&copy, &bytes).unwrap();
    for (summary, told) in [(Path::new("/dev/full"), "No space"), (&copy, "is one of the images")] {
        let output = tidegate()
            .args(["check", "--format", "github"])
            .arg(&copy)
            .env("GITHUB_STEP_SUMMARY", summary)
            .output()
            .unwrap();
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(told), "{output:?}");
    }
    assert!(std::fs::read(&copy).unwrap() == bytes);
}

/// A parser of Markdown finds what was meant: one table, headings and lists, and the hostile names as
/// text in them; no tag, link, picture or code.
#[test]
fn the_summary_is_what_a_parser_of_markdown_makes_of_it() {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    let scratch = Scratch::new();
    let summary = scratch.path("summary.md");
    tidegate()
        .args(["check", "--quiet", "--format", "github"])
        .args(images(&scratch))
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .unwrap();
    let markdown = std::fs::read_to_string(summary).unwrap();
    let (mut tables, mut text) = (0, String::new());
    for event in Parser::new_ext(&markdown, Options::all()) {
        match event {
            Event::Start(Tag::Table(_)) => tables += 1,
            Event::Start(
                Tag::TableHead
                | Tag::TableRow
                | Tag::TableCell
                | Tag::Heading { .. }
                | Tag::List(_)
                | Tag::Item
                | Tag::Paragraph
                | Tag::Strong,
            )
            | Event::End(_)
            | Event::SoftBreak => {}
            Event::Text(piece) => text.push_str(&piece),
            other => panic!("{other:?} in {markdown}"),
        }
    }
    assert_eq!(tables, 1);
    assert!(text.contains("]]><script>alert(1)<∕script>&\"' "), "{text}");
}
