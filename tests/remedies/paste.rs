//! Reports are made, and what they say is pasted.

use std::process::Command;

use serde_json::Value;

use crate::Promise;
use crate::common::{codes, exit_code, images, tidegate};
use crate::folder::{Content, Folder, Made, dotted, programs, skipped};

/// Stems of the names that an image is tried under.
const STEMS: [&str; 2] = ["server", "-it's $(a) test &"];

/// What somebody else has in the file that a command would make.
const PRECIOUS: &[u8] = b"somebody else's\n";

/// Pastes the remedy of a finding under each name.
pub(crate) fn all(code: &str, make: fn(&Folder, &str) -> Option<Made>, promise: Promise) {
    for stem in STEMS {
        let what = format!("{code}, {stem}");
        let folder = Folder::new();
        let Some(made) = make(&folder, stem) else { return };
        let before = folder.content();
        let found = finding(&folder, &made, code, &what);
        let command = command(&found, &what);
        if let Some(missing) = ["sgdisk", "qemu-img", "simg2img", "unzip", "7z"]
            .into_iter()
            .find(|tool| command.contains(&format!("{tool} ")) && !installed(tool))
        {
            skipped(missing);
            return;
        }

        // Where nothing is in the way.
        let (exit, said) = pasted(&folder, &command);
        assert_eq!(exit, 0, "{what}: {command}\n{said}");
        let new = unchanged_and_new(&before, &folder.content(), &what);
        if promise == Promise::Shown {
            assert_eq!(new, Vec::<String>::new(), "{what}: {command}");
            continue;
        }
        let result = last_file(&command, &new, stem, &what);
        mended(&folder, &made, &result, code, &what);

        // Once more.
        refused(&folder, &command, &what);

        // Interrupted: no byte can be written to a file. A second name is made at once.
        if !command.contains(" && ln ") {
            new.iter().for_each(|name| std::fs::remove_file(folder.at(name)).unwrap());
            let (exit, said) = pasted(&folder, &format!("ulimit -c 0; ulimit -f 0; {command}"));
            assert_ne!(exit, 0, "{what}: {command}\n{said}");
            let left = unchanged_and_new(&before, &folder.content(), &what);
            assert!(!left.contains(&result), "{what}: {command}\n{left:?}");
            match left.is_empty() {
                true => assert_eq!(pasted(&folder, &command).0, 0, "{what}: {command}"),
                false => refused(&folder, &command, &what),
            }
            let found = finding(&folder, &made, code, &what);
            let command = self::command(&found, &what);
            let there = folder.content();
            let (exit, said) = pasted(&folder, &command);
            assert_eq!(exit, 0, "{what}: {command}\n{said}");
            unchanged_and_new(&there, &folder.content(), &what);
            for name in folder.content().keys().filter(|name| !before.contains_key(*name)) {
                let path = folder.at(name);
                match path.is_dir() {
                    true => std::fs::remove_dir_all(path).unwrap(),
                    false => std::fs::remove_file(path).unwrap(),
                }
            }
        }

        // Where all that it makes is there by the time it is pasted.
        for name in &new {
            // A second name of the input would change the input.
            let _ = std::fs::remove_file(folder.at(name));
            folder.write(name, PRECIOUS);
        }
        let taken = folder.content();
        refused(&folder, &command, &what);

        // Where it is there when the report is made.
        let found = finding(&folder, &made, code, &what);
        let command = self::command(&found, &what);
        let (exit, said) = pasted(&folder, &command);
        assert_eq!(exit, 0, "{what}: {command}\n{said}");
        let new = unchanged_and_new(&taken, &folder.content(), &what);
        let result = last_file(&command, &new, stem, &what);
        mended(&folder, &made, &result, code, &what);
    }
}

/// The report of an image in a folder, as it is reached from there.
fn report(folder: &Folder, options: &[String], name: &str) -> (i32, Value) {
    let output = tidegate()
        .args(["check", "--format", "json"])
        .args(options)
        .args(["--", name])
        .current_dir(folder.path())
        .output()
        .unwrap();
    (exit_code(&output), images(&output).remove(0))
}

fn finding(folder: &Folder, made: &Made, code: &str, what: &str) -> Value {
    let (_, report) = report(folder, &made.options, &made.name);
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["code"] == code);
    found.unwrap_or_else(|| panic!("{what}: {report:#}")).clone()
}

/// The command of a finding, which its text has between backticks.
fn command(found: &Value, what: &str) -> String {
    let remedy = found["remedy"].as_str().unwrap();
    crate::words::assert_plain(remedy, what);
    let commands = found["commands"].as_array().unwrap_or_else(|| panic!("{what}: {found:#}"));
    let quoted: Vec<&str> = remedy.split('`').skip(1).step_by(2).collect();
    assert_eq!(
        quoted,
        commands.iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>(),
        "{what}"
    );
    quoted.join("\n")
}

pub(crate) fn installed(program: &str) -> bool {
    programs().split(':').any(|folder| std::path::Path::new(folder).join(program).is_file())
}

/// Pastes commands into a shell that stands in the folder: its exit code, and what it said.
fn pasted(folder: &Folder, command: &str) -> (i32, String) {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", command])
        .current_dir(folder.path())
        .env("PATH", programs())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    (exit_code(&output), String::from_utf8_lossy(&said).into_owned())
}

/// Pastes commands where something is that they would make: they say so, and change nothing.
fn refused(folder: &Folder, command: &str, what: &str) {
    let before = folder.content();
    let (exit, said) = pasted(folder, command);
    assert_ne!(exit, 0, "{what}: {command}\n{said}");
    let says = said.contains("exists") || said.contains("is there already");
    assert!(says, "{what}: {command}\n{said}");
    assert_eq!(folder.content(), before, "{what}: {command}\n{said}");
}

/// What is new in the folder; all that was there is as it was.
fn unchanged_and_new(before: &Content, after: &Content, what: &str) -> Vec<String> {
    for (name, digest) in before {
        assert_eq!(after.get(name), Some(digest), "{what}: {name} was changed");
    }
    after.keys().filter(|name| !before.contains_key(*name)).cloned().collect()
}

/// The new file that the last step of a command names, which is called after the input.
fn last_file(command: &str, new: &[String], stem: &str, what: &str) -> String {
    let quoted = |name: &str| name.replace('\'', "'\\''");
    let ends = |name: &&String| {
        let name = quoted(name);
        command.ends_with(&name) || command.ends_with(&format!("{name}'"))
    };
    let result = new.iter().filter(ends).max_by_key(|name| name.len());
    let result = result.unwrap_or_else(|| panic!("{what}: {command}: {new:?}"));
    assert!(new.iter().all(|name| name.starts_with(stem)), "{what}: {new:?}");
    result.clone()
}

/// Checks what came out.
fn mended(folder: &Folder, made: &Made, result: &str, code: &str, what: &str) {
    let (exit, report) = report(folder, &made.options, &dotted(result));
    assert_eq!(exit, 0, "{what}: {report:#}");
    assert!(!codes(&report).contains(&code), "{what}: {report:#}");
}
