//! A folder, the program run in it, and programs that it is held against.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::*;

/// A missing oracle is a failure in CI, and is told elsewhere.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
}

/// Runs `tidegate repack` in a folder.
pub(crate) fn repack<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Output {
    tidegate().current_dir(folder).arg("repack").args(arguments).output().unwrap()
}

/// As [`repack`], with the document; the exit code has to be this.
pub(crate) fn document<S: AsRef<OsStr>>(folder: &Path, arguments: &[S], code: i32) -> Value {
    let mut command = tidegate();
    command.current_dir(folder).args(["repack", "--format", "json"]).args(arguments);
    let output = command.output().unwrap();
    assert_eq!(exit_code(&output), code, "{output:?}");
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    assert_eq!(document["done"], code == 0, "{document}");
    assert_eq!(document["error"].is_null(), code == 0, "{document}");
    document
}

/// What a program makes of a file; `None` if it is not there.
pub(crate) fn oracle<S: AsRef<OsStr>>(
    folder: &Path,
    program: &str,
    arguments: &[S],
) -> Option<Vec<u8>> {
    match Command::new(program).current_dir(folder).args(arguments).output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        Ok(output) => panic!("{program}: {output:?}"),
        Err(_) => {
            missing(&format!("{program} is missing"));
            None
        }
    }
}

/// What `gzip` makes of a file that was written. It has to be one member without padding.
pub(crate) fn unpacked(path: &Path) -> Vec<u8> {
    let (code, report) = report(&[path]);
    assert_eq!(code, 0, "{report}");
    assert!(codes(&report).iter().all(|code| !code.starts_with("gzip-")), "{report}");
    let file = std::fs::read(path).unwrap();
    let mut inner = Vec::new();
    let mut reader = flate2::bufread::GzDecoder::new(file.as_slice());
    std::io::Read::read_to_end(&mut reader, &mut inner).unwrap();
    assert!(reader.into_inner().is_empty(), "something follows the first member");
    inner
}

/// The names in a folder.
pub(crate) fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// A file of the test data.
pub(crate) fn test_data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}
