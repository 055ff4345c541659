//! Files that are written beside what is read: none of them may be one of the others.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, absolute};

use super::Usage;
use crate::bytes::Hostile;

/// A file that is read or written too, and what it is.
pub(super) type Other<'a> = (Cow<'a, OsStr>, &'static str);

/// Makes sure that a file to be written is none of the others. `option` is where the user named it, and `would` what
/// writing would do to the other.
pub(super) fn is_none_of(
    path: &Path,
    option: &str,
    would: &str,
    others: &[Other<'_>],
) -> Result<(), Usage> {
    let there = fs::metadata(path).ok();
    let same = |other: &OsStr| {
        let other = if other == "-" { Path::new("/dev/stdin") } else { Path::new(other) };
        let id = |meta: &fs::Metadata| (meta.dev(), meta.ino());
        match (&there, fs::metadata(other)) {
            (Some(there), Ok(other)) => id(there) == id(&other),
            // Neither is there yet: a name is all there is.
            (None, Err(_)) => absolute(path).ok() == absolute(other).ok(),
            _ => false,
        }
    };
    match others.iter().find(|(other, _)| same(other)) {
        Some((_, what)) => Err(Usage(format!(
            "{option} {} is {what}, which it would {would}; name another file",
            Hostile::from_os(path.as_os_str())
        ))),
        None => Ok(()),
    }
}

/// Opens the file for the report before any work, so that a bad path is known at once.
pub(super) fn open_output(path: &Path, others: &[Other<'_>]) -> Result<File, Usage> {
    is_none_of(path, "--output", "replace", others)?;
    let place = Hostile::from_os(path.as_os_str());
    if !may_be_replaced(path) {
        return Err(Usage(format!(
            "--output {place} is there already, and it is no report of tidegate, so it is not replaced; name another file"
        )));
    }
    File::create(path).map_err(|e| Usage(format!("cannot write the report to {place}: {e}")))
}

/// Bytes in which each document names the program.
const NAMED_WITHIN: u64 = 16 << 10;

/// What a report begins with that is no document: a verdict, or a command for GitHub.
const VERDICTS: [&[u8]; 9] =
    [b"ACCEPT", b"WARN", b"REJECT", b"ERROR", b"accept:", b"warn:", b"reject:", b"error:", b"::"];

/// Whether there is nothing at a path, nothing in the file, no regular file, or an earlier report.
fn may_be_replaced(path: &Path) -> bool {
    let is_file = fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0);
    // To open anything else may wait for somebody; and what cannot be read will say so when it is written.
    let Some(file) = is_file.then(|| File::open(path).ok()).flatten() else { return true };
    let mut first = Vec::new();
    let name = b"tidegate";
    file.take(NAMED_WITHIN).read_to_end(&mut first).is_err()
        || !first.contains(&0)
            && (VERDICTS.iter().any(|verdict| first.starts_with(verdict))
                || first.windows(name.len()).any(|window| window == name))
}
