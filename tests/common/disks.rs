//! Programs that make disks without root, and what is put on disks by them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const MIB: u64 = 1 << 20;

/// A program, which may not be in the path of whoever is not root.
pub(crate) fn program(name: &str) -> Command {
    let system = Path::new("/usr/sbin").join(name);
    let mut command = Command::new(if system.exists() { system } else { name.into() });
    command.env("LC_ALL", "C").env("TZ", "UTC");
    command
}

/// Whether these programs are there. A missing one is said, and is a failure in CI.
pub(crate) fn have(names: &[&str]) -> bool {
    names.iter().all(|name| is_there(name, program(name).arg("-V").output().is_ok()))
}

/// Whether this is there. What is missing is said, and is a failure in CI.
pub(crate) fn is_there(what: &str, is: bool) -> bool {
    assert!(is || std::env::var_os("CI").is_none(), "{what} is not installed");
    if !is {
        eprintln!("SKIPPED: {what} is not installed");
    }
    is
}

/// Runs a command that has to succeed.
pub(crate) fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// Writes files below a folder, by path.
pub(crate) fn plant<P: AsRef<Path>, C: AsRef<[u8]>>(
    root: &Path,
    files: impl IntoIterator<Item = (P, C)>,
) {
    for (name, contents) in files {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, contents).unwrap();
    }
}

/// Makes a file system of a directory.
pub(crate) fn mke2fs(image: &Path, directory: &Path, arguments: &str, size: &str) {
    let mut command = program("mke2fs");
    command.args(["-q", "-F", "-E", "root_owner=0:0"]).args(arguments.split_whitespace());
    done(command.arg("-d").arg(directory).arg(image).arg(size));
}

/// Makes a raw disk of so many bytes with a partition table, by a script of sfdisk.
pub(crate) fn partitioned(path: &Path, size: u64, script: &str) {
    File::create(path).unwrap().set_len(size).unwrap();
    let mut sfdisk = program("sfdisk");
    sfdisk.arg("-q").arg(path).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = sfdisk.spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{script}");
}

/// Makes a raw disk in a folder, with one partition for each tree of files, by path and contents: ext4 from the first MiB
/// on, each of 16 MiB.
pub(crate) fn of_trees<C: AsRef<[u8]>>(folder: &Path, trees: &[&[(&str, C)]]) -> PathBuf {
    let path = folder.join("disk.raw");
    let table = "label: dos\n".to_owned() + &"size=16MiB, type=83\n".repeat(trees.len());
    partitioned(&path, (trees.len() as u64 * 16 + 2) * MIB, &table);
    for (index, tree) in trees.iter().enumerate() {
        let root = folder.join(format!("tree{index}"));
        plant(&root, tree.iter().map(|(name, contents)| (name, contents)));
        let at = (1 + 16 * index as u64) * MIB;
        mke2fs(&path, &root, &format!("-t ext4 -O metadata_csum -E offset={at}"), "16384k");
    }
    path
}
