//! Commands that are printed do what is said of them when they are pasted.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::{at, data};
use crate::common::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_cache_that_others_see_is_closed_by_what_is_said() {
    for name in ["my cache", "x$(touch PWNED)", "-rf `touch PWNED`", "it's\nnew", "\u{202e}::x"] {
        let scratch = Scratch::new();
        let folder = scratch.path(name).join("tidegate");
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let mut check = at(scratch.path(""));
        check.env("XDG_CACHE_HOME", scratch.path(name));
        check.args(["check", "--cache"]).arg(data("gpt.qcow2"));
        let said = check.output().unwrap();
        let mut told = commands(stderr(&said));
        told.retain(|command| command.starts_with("chmod "));
        assert_eq!(told.len(), 1, "{said:?}");
        let elsewhere = Scratch::new();
        let output = pasted(&mut at(elsewhere.path("")), &told[0]);
        assert_eq!((exit_code(&output), mode(&folder)), (0, 0o700), "{told:?}: {output:?}");
        assert!(!elsewhere.path("PWNED").exists());
        assert!(!stderr(&check.output().unwrap()).contains("chmod"), "{name}");
    }
}

#[test]
fn a_project_that_everybody_may_write_to_is_closed_by_what_is_said() {
    let scratch = Scratch::new();
    let folder = scratch.path("my project");
    fs::create_dir(&folder).unwrap();
    fs::copy(data("gpt.qcow2"), folder.join("disk.qcow2")).unwrap();
    let file = folder.join("tidegate.toml");
    fs::write(&file, "[[image]]\nname = \"disk\"\npath = \"disk.qcow2\"\n").unwrap();
    for path in [&folder, &file] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let check = || at(&folder).arg("check").output().unwrap();
    let said = check();
    assert_eq!(exit_code(&said), 2, "{said:?}");
    let told = commands(stderr(&said));
    let elsewhere = Scratch::new();
    let output = pasted(&mut at(elsewhere.path("")), &told[0]);
    assert_eq!(exit_code(&output), 0, "{told:?}: {output:?}");
    let output = check();
    assert_eq!(exit_code(&output), 0, "{output:?}");
}

#[test]
fn a_folder_that_is_for_everybody_is_not_closed() {
    let scratch = Scratch::new();
    let folder = scratch.path("tmp");
    fs::create_dir(&folder).unwrap();
    fs::copy(data("gpt.qcow2"), folder.join("disk.qcow2")).unwrap();
    let file = folder.join("tidegate.toml");
    fs::write(&file, "[[image]]\nname = \"disk\"\npath = \"disk.qcow2\"\n").unwrap();
    for rights in [0o644, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(rights)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
        let said = at(&folder).arg("check").output().unwrap();
        assert_eq!(exit_code(&said), 2, "{said:?}");
        let text = stderr(&said);
        assert!(!text.contains("chmod"), "{text}");
        assert!(text.contains("put the file into a folder of your own"), "{text}");
    }
}

#[test]
fn a_name_that_is_no_text_is_left_out_and_told() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("out")).unwrap();
    scratch.write(std::ffi::OsStr::from_bytes(b"\xff.qcow2"), b"x");
    scratch.write(std::ffi::OsStr::from_bytes(b"out/\xfe.raw"), b"x");
    scratch.write("disk.raw", b"x");
    let output = at(scratch.path("")).arg("init").output().unwrap();
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let said = stderr(&output);
    for name in ["\\xff.qcow2", "out/\\xfe.raw"] {
        assert!(said.contains(&format!("{name} is left out: its name is no UTF-8")), "{said}");
    }
    let text = fs::read_to_string(scratch.path("tidegate.toml")).unwrap();
    assert_eq!(text.matches("\nname = ").count(), 1, "{text}");
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => rust_files(&path, found),
            false => found.push(path),
        }
    }
}

/// What a place may write itself: the others are remedies of findings, which have a builder and tests of their own.
const BUILDERS: [&str; 2] = ["src/bytes/shell.rs", "src/rules/"];

/// Programs that a message may name.
const PROGRAMS: [&str; 10] =
    ["tidegate", "chmod", "chown", "rm", "mv", "cp", "mkdir", "export", "unset", "openssl"];

/// Commands that the source has as text are whole: they need nothing of the case, and do what they say when they are
/// pasted. The others come from the one place that builds them.
#[test]
fn every_command_in_the_source_is_built_or_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    let mut seen = 0;
    for file in files {
        let place = file.strip_prefix(root).unwrap().to_str().unwrap();
        if BUILDERS.iter().any(|builder| place.starts_with(builder)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for shown in commands(line) {
                if !PROGRAMS.iter().any(|name| shown.starts_with(&format!("{name} "))) {
                    continue;
                }
                assert!(!shown.contains(['{', '\\']), "{place} does not build {shown}");
                let output = in_a_project(&shown);
                assert_eq!(exit_code(&output), 0, "{place}: {shown}: {output:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "only {seen} commands were found");
}

/// Pastes a command where there is a project, or none yet for the one that makes it.
fn in_a_project(command: &str) -> Output {
    let scratch = Scratch::new();
    if command != "tidegate init" {
        fs::copy(data("gpt.qcow2"), scratch.path("disk.qcow2")).unwrap();
        scratch.write("tidegate.toml", b"[[image]]\nname = \"disk\"\npath = \"disk.qcow2\"\n");
    }
    pasted(&mut at(scratch.path("")), command)
}
