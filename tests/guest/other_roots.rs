//! The Debian with its root in other file systems: the same is inside, and found.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::common::{stdout, tidegate};
use super::disks::{done, have};
use super::sample::{self, checked, disk};

/// The disk with this file system, which is made once and kept beside the other.
fn disk_with(system: &str) -> Option<PathBuf> {
    let first = disk()?;
    if !have(&["python3", &format!("mkfs.{system}")]) {
        return None;
    }
    let path = first.with_extension(format!("{system}.raw"));
    if !path.exists() {
        let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest/make-debian");
        let tree = format!("{}.tar", first.display());
        let made = path.with_extension("made");
        done(Command::new(maker).arg(&made).args(["2G", system, &tree]).stderr(Stdio::inherit()));
        fs::rename(made, &path).unwrap();
    }
    Some(path)
}

/// What is inside, without what differs: the volumes, and how much of them was read.
fn inside(path: &Path) -> serde_json::Value {
    let output = tidegate().args(["inspect", "--format", "json"]).arg(path).output().unwrap();
    let mut document: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
    let inside = document["guest"].as_object_mut().unwrap();
    for differs in ["volumes", "bytes_read"] {
        assert!(inside.remove(differs).is_some(), "{differs}");
    }
    serde_json::to_value(inside).unwrap()
}

#[test]
fn a_root_of_another_file_system_is_as_sound() {
    let Some(first) = disk() else { return };
    let expected = inside(first);
    for system in ["xfs", "btrfs"] {
        let Some(path) = disk_with(system) else { continue };
        let (found, report) = checked(&path, &["--guest", "require"]);
        let graver: Vec<_> = found.iter().filter(|said| !said.starts_with("note")).collect();
        assert!(graver.is_empty(), "{system}: {graver:#?}");
        assert_eq!(report["guest"]["volumes"][0]["holds"], system);
        assert_eq!(inside(&path), expected, "{system}");
    }
}

/// XFS has no checksum of what is in files.
#[test]
fn a_root_that_is_not_there_is_found_in_xfs() {
    const ROOT: &str = "root=UUID=6f9b3c1e";
    let Some(path) = disk_with("xfs") else { return };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let copy = folder.path().join("disk.raw");
    sample::copy(&path, &copy);
    let found = done(Command::new("grep").args(["-aob", ROOT]).arg(&copy));
    let file = File::options().write(true).open(&copy).unwrap();
    for line in stdout(&found).lines() {
        let at: u64 = line.split(':').next().unwrap().parse().unwrap();
        file.write_all_at(b"7", at + "root=UUID=".len() as u64).unwrap();
    }
    let (found, _) = checked(&copy, &[]);
    assert!(found.iter().any(|said| said.starts_with("reject boot-root-missing")), "{found:#?}");
}
