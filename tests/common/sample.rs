//! A disk with a Debian that a Droplet could be made of, as `tests/guest/make-debian` makes it, and what breaks it.

// Every test binary has its own copy of this module and none uses all of it.
#![allow(dead_code, clippy::print_stderr)]
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::disks::{done, have, program};

/// Disk offset of the partition with the root, and of those with the core of GRUB and the EFI system partition.
pub(crate) struct Layout {
    pub(crate) root: u64,
    pub(crate) bios: u64,
}

/// The disk, which is made once and kept beside the build; `None` if what makes it is not there.
pub(crate) fn disk() -> Option<&'static Path> {
    static DISK: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = DISK.get_or_init(|| {
        if !have(&[
            "mmdebstrap",
            "fakeroot",
            "sgdisk",
            "mke2fs",
            "mkfs.vfat",
            "mcopy",
            "grub-mkimage",
        ]) {
            return None;
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest/make-debian");
        // A change of how it is made makes another one.
        let script = fs::read(&here).unwrap();
        let sum =
            script.iter().fold(0u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guest");
        let path = folder.join(format!("debian-{sum:08x}.raw"));
        if !path.exists() {
            done(Command::new(here).arg(&path).stderr(Stdio::inherit()));
        }
        Some(path)
    });
    made.as_deref()
}

/// Where they are.
pub(crate) fn layout(disk: &Path) -> Layout {
    let output = done(program("sfdisk").arg("--json").arg(disk));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let start = |kind: &str| {
        let all = found["partitiontable"]["partitions"].as_array().unwrap();
        let one = all.iter().find(|partition| partition["type"] == kind).unwrap();
        one["start"].as_u64().unwrap() * 512
    };
    Layout {
        root: start("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"),
        bios: start("21686148-6449-6E6F-744E-656564454649"),
    }
}

/// What a check says: each finding as its severity, code and place, and the document.
pub(crate) fn checked(path: &Path, arguments: &[&str]) -> (Vec<String>, Value) {
    let mut command = crate::common::tidegate();
    command.args(["check", "--format", "json"]).args(arguments).arg(path);
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let image = document["images"][0].clone();
    let said = |finding: &Value| {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        let line = finding["line"].as_u64().map(|line| format!(":{line}")).unwrap_or_default();
        format!("{} {} {}{line}", text("severity"), text("code"), text("path"))
    };
    (image["findings"].as_array().unwrap().iter().map(said).collect(), image)
}

/// A copy of a disk, to be broken.
pub(crate) fn copy(disk: &Path, to: &Path) {
    done(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(disk).arg(to));
}

/// Breaks the root of a disk.
pub(crate) fn edit(path: &Path, layout: &Layout, version: &str, edits: &[&str]) {
    const ROOT: &str = "6f9b3c1e-7c52-4c1f-9a7e-0d6f5d2b1a01";
    let folder = tempfile::tempdir().unwrap();
    let device = format!("{}?offset={}", path.display(), layout.root);
    let run = |commands: &str| {
        let script = folder.path().join("commands");
        fs::write(&script, commands).unwrap();
        let output = done(program("debugfs").arg("-w").arg("-f").arg(&script).arg(&device));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // debugfs says its version, and errors.
        assert_eq!(said.lines().count(), 1, "{commands}: {said}");
        output.stdout
    };
    let write = |guest: &str, mode: &str, bytes: &[u8]| {
        let file = folder.path().join("file");
        fs::write(&file, bytes).unwrap();
        run(&format!(
            "write {} {guest}\nset_inode_field {guest} mode 0100{mode}\n",
            file.display()
        ));
    };
    for edit in edits {
        let edit = edit.replace("VERSION", version).replace("UUID=ROOT", &format!("UUID={ROOT}"));
        let words: Vec<&str> = edit.splitn(4, ' ').collect();
        match words[..] {
            ["WRITE", guest, mode, text] => {
                write(guest, mode, text.replace("\\n", "\n").as_bytes())
            }
            ["SED", guest, from, to] => {
                let text = String::from_utf8(run(&format!("cat {guest}\n"))).unwrap();
                let text = text.split_once('\n').unwrap().1.to_owned();
                assert!(text.contains(from), "{guest} has no {from}: {text}");
                run(&format!("rm {guest}\n"));
                write(guest, "644", text.replace(from, to).as_bytes());
            }
            // The entry goes; nobody asks for its inode.
            ["RMDIR", guest] => drop(run(&format!("unlink {guest}\n"))),
            _ => drop(run(&format!("{edit}\n"))),
        }
    }
}

/// The version of the kernel of the disk.
pub(crate) fn version(disk: &Path) -> String {
    let (_, report) = checked(disk, &[]);
    report["guest"]["kernels"][0]["version"].as_str().unwrap().to_owned()
}
