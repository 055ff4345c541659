//! A folder with an image in it, and the programs that make images.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An image that was made.
pub(crate) struct Made {
    /// Its name in the folder.
    pub(crate) name: String,
    /// Options of the check that finds what is to be found.
    pub(crate) options: Vec<String>,
}

impl Made {
    /// Checked with no option.
    pub(crate) fn plain(name: String) -> Option<Made> {
        Some(Made { name, options: Vec::new() })
    }
}

/// A folder of one test.
pub(crate) struct Folder(tempfile::TempDir);

/// What is in a folder: the digest of each file, or nothing for a folder.
pub(crate) type Content = BTreeMap<String, String>;

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.at(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }

    /// Changes bytes of a file.
    pub(crate) fn patch(&self, name: &str, at: usize, with: &[u8]) {
        let mut bytes = self.read(name);
        bytes[at..at + with.len()].copy_from_slice(with);
        self.write(name, &bytes);
    }

    pub(crate) fn content(&self) -> Content {
        let names = std::fs::read_dir(self.path()).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| match self.at(&name).is_dir() {
                true => (name, String::new()),
                false => (name.clone(), crate::common::sha256(&self.read(&name))),
            })
            .collect()
    }

    /// Runs a program in the folder. `None` if it is not installed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
        self.feed(program, arguments, &[])
    }

    /// The same, with these bytes as its input.
    pub(crate) fn feed(&self, program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let child = Command::new(program)
            .args(arguments)
            .current_dir(self.path())
            .env("PATH", programs())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            skipped(program);
            return None;
        };
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        Some(output.stdout)
    }

    /// An image of this disk and format that `qemu-img` made, with options.
    pub(crate) fn image(
        &self,
        name: &str,
        disk: &[u8],
        format: &str,
        options: &[&str],
    ) -> Option<()> {
        self.write("source", disk);
        let (name, mut arguments) = (dotted(name), vec!["convert", "-f", "raw", "-O", format]);
        arguments.extend(options);
        arguments.extend(["source", &name]);
        self.run("qemu-img", &arguments)?;
        std::fs::remove_file(self.at("source")).unwrap();
        Some(())
    }
}

/// The name as no program takes it for an option.
pub(crate) fn dotted(name: &str) -> String {
    format!("./{name}")
}

/// Where programs are: with those of administrators, and the program that is tested.
pub(crate) fn programs() -> String {
    let own = Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}:/usr/sbin:/sbin", own.display())
}

/// Says that a program is missing, which CI does not allow.
pub(crate) fn skipped(program: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is not installed");
    eprintln!("skipped: {program} is not installed");
}
