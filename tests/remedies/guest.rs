//! What is found inside a disk: what mends it is done in the build, by whoever makes the image.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate::facts::Code;

/// What the names of findings about the inside of a disk begin with.
const FAMILIES: [&str; 14] = [
    "account-",
    "boot-",
    "booted-",
    "crypttab-",
    "fstab-",
    "guest-",
    "kernel-",
    "leftover-",
    "network-",
    "provisioner-",
    "root-",
    "ssh-",
    "sshd-",
    "system-",
];

/// Whether it is about the inside of a disk.
pub(crate) fn is_inside(code: Code) -> bool {
    FAMILIES.iter().any(|family| code.as_str().starts_with(family))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The tests of a file, if it has any.
fn tests_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    match text.split_once("mod tests {") {
        Some((_, tests)) => tests.to_owned(),
        None if name.contains("test")
            || path.components().any(|part| part.as_os_str() == "tests") =>
        {
            text
        }
        None => String::new(),
    }
}

#[test]
fn each_finding_inside_a_disk_is_met_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src/guest"), &mut files);
    sources(&root.join("tests/guest"), &mut files);
    sources(&root.join("tests/boot"), &mut files);
    files.push(root.join("src/inspect/booted.rs"));
    let text: String = files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| tests_of(path))
        .collect();
    let is_met = |code: &&Code| {
        text.contains(&format!("{}\"", code.as_str()))
            || text.contains(&format!("{} ", code.as_str()))
            || text.contains(&format!("Code::{code:?}"))
    };
    let unmet: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| is_inside(**code))
        .filter(|code| !is_met(code))
        .map(|code| code.as_str())
        .collect();
    assert!(unmet.is_empty(), "{unmet:?}");
}
