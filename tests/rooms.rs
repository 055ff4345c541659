//! Imports go down the table of rooms, never up: `ARCHITECTURE.md` says why.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from the lowest to the highest. A room uses itself and those before it.
const ROOMS: [&str; 18] = [
    "bytes",
    "facts",
    "net",
    "digitalocean",
    "spaces",
    "source",
    "codec",
    "formats",
    "guest",
    "rules",
    "inspect",
    "repack",
    "boot",
    "simulator",
    "push",
    "project",
    "render",
    "cli",
];

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rooms that a line of code names as `crate::room`.
fn named(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::")
        .skip(1)
        .map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
        })
        .collect()
}

#[test]
fn imports_go_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut edges = 0;
    for (height, room) in ROOMS.iter().enumerate() {
        let mut files = Vec::new();
        rust_files(&src.join(room), &mut files);
        assert!(!files.is_empty(), "the room {room} is empty");
        for file in files {
            for (number, line) in (1..).zip(fs::read_to_string(&file).unwrap().lines()) {
                for used in named(line) {
                    let target = ROOMS.iter().position(|room| *room == used);
                    let place = format!("{}:{number}", file.display());
                    assert!(target.is_some(), "{place} uses crate::{used}, which is no room");
                    assert!(target <= Some(height), "{place}: {room} must not know {used}");
                    edges += 1;
                }
            }
        }
    }
    assert!(edges > 50, "only {edges} imports were found");
}

#[test]
fn every_folder_is_a_room() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!path.is_dir() || ROOMS.contains(&name), "{name} is not in the table of rooms");
    }
}

/// What opens files that an image names is asked for by `repack` alone, and done in one place.
#[test]
fn only_repack_opens_what_an_image_names() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    for (what, rooms) in [
        ("Depth::Beside", &["repack/run.rs", "inspect/unwrap"][..]),
        ("Beside::of(", &["inspect/unwrap/parts.rs", "source/beside.rs"]),
        ("beside.open(", &["inspect/unwrap/parts.rs", "source/beside.rs"]),
        ("formats::parts(", &["inspect/unwrap/parts.rs", "inspect/bodies/parts.rs"]),
    ] {
        let mut found = 0;
        for file in &files {
            let text = fs::read_to_string(file).unwrap();
            if text.lines().any(|line| line.split("//").next().unwrap_or_default().contains(what)) {
                let place = file.strip_prefix(&src).unwrap();
                assert!(rooms.iter().any(|room| place.starts_with(room)), "{what}: {place:?}");
                found += 1;
            }
        }
        assert!(found > 0, "{what} is nowhere");
    }
}

/// Whether the file is of tests alone.
fn is_of_tests(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let names = ["oracle.rs", "testing.rs", "properties.rs", "tests.rs"];
    names.contains(&name)
        || name.ends_with("_tests.rs")
        || file.components().any(|part| part.as_os_str() == "bodies")
}

#[test]
fn nothing_is_read_whole_without_a_bound() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.retain(|file| !is_of_tests(file) && !file.ends_with("bytes/small.rs"));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for (number, line) in (1..).zip(code.lines()) {
            let whole = ["read_to_end(", "read_to_string(", "fs::read("];
            let unbounded =
                whole.iter().any(|call| line.contains(call)) && !line.contains(".take(");
            assert!(!unbounded, "{}:{number}: read it by bytes::Small\n{line}", file.display());
        }
    }
}
