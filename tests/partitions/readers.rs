//! Other programs that list partitions.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;
use tidegate::inspect::bodies::Listed;

/// Says what is missing; under `CI=true` that is a failure.
pub(crate) fn missing(what: &str) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{what} is missing");
    eprintln!("SKIPPED: {what} is missing");
}

/// libblkid, in a small program that is built here.
pub(crate) struct Blkid {
    child: Child,
    paths: Option<ChildStdin>,
    lists: BufReader<ChildStdout>,
    _folder: TempDir,
}

impl Blkid {
    /// `None` if libblkid or its headers are missing.
    pub(crate) fn start() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let program = folder.path().join("blkid");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/partitions/blkid.c");
        let built = Command::new("gcc")
            .args(["-Wall", "-Werror", "-I/usr/include/blkid", "-o"])
            .arg(&program)
            .args([source, "-lblkid"])
            .stderr(Stdio::null())
            .status();
        if !built.is_ok_and(|status| status.success()) {
            missing("libblkid-dev");
            return None;
        }
        let mut child =
            Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lists = BufReader::new(child.stdout.take().unwrap());
        let paths = child.stdin.take();
        Some(Blkid { child, paths, lists, _folder: folder })
    }

    pub(crate) fn list(&mut self, path: &Path) -> Vec<Listed> {
        writeln!(self.paths.as_mut().unwrap(), "{}", path.display()).unwrap();
        let mut line = String::new();
        self.lists.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the program has ended");
        let number = |text: &str| text.parse::<u64>().unwrap();
        let listed = |part: &str| match part.split(':').map(number).collect::<Vec<_>>()[..] {
            [partition, start, size] => (partition as u32, start, size),
            _ => panic!("{part}"),
        };
        line.split_whitespace().map(listed).collect()
    }
}

impl Drop for Blkid {
    fn drop(&mut self) {
        drop(self.paths.take());
        let _ = self.child.wait();
    }
}

/// What `sfdisk --json` lists; `None` if there is no sfdisk.
pub(crate) fn sfdisk(path: &Path) -> Option<Vec<Listed>> {
    let Ok(output) = Command::new("sfdisk").arg("--json").arg(path).output() else {
        missing("sfdisk");
        return None;
    };
    // What it says of empty entries comes before the document.
    let start = output.stdout.iter().position(|&byte| byte == b'{').unwrap_or(0);
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&output.stdout[start..]) else {
        return Some(Vec::new());
    };
    let partitions = value["partitiontable"]["partitions"].as_array();
    let name = path.to_str().unwrap();
    let listed = |partition: &serde_json::Value| {
        let node = partition["node"].as_str().unwrap().strip_prefix(name).unwrap();
        let number = node.trim_start_matches('p').parse().unwrap();
        let bytes = |key: &str| partition[key].as_u64().unwrap_or(u64::MAX).saturating_mul(512);
        (number, bytes("start"), bytes("size"))
    };
    // It lists entries that have a start or a type, and no sectors; there is nothing to be seen in them.
    let all = partitions.into_iter().flatten().map(listed).filter(|(_, _, size)| *size > 0);
    Some(all.collect())
}
