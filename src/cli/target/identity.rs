//! Whether two paths lead to one file, whatever they are called and whether it is there yet.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::bytes::{Hostile, folder};
use crate::cli::Usage;

/// A file that is read or written too, and what it is.
pub(in crate::cli) type Other<'a> = (Cow<'a, OsStr>, &'static str);

/// So many links in a row are followed; Linux follows no more (`path_resolution(7)`).
pub(super) const LINKS: usize = 40;

/// Device and inode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct Inode(u64, u64);

impl Inode {
    pub(super) fn of(meta: &Metadata) -> Inode {
        Inode(meta.dev(), meta.ino())
    }

    /// Of an open file.
    pub(in crate::cli) fn of_file(file: &File) -> std::io::Result<Inode> {
        file.metadata().map(|meta| Inode::of(&meta))
    }
}

/// What tells a file from all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Identity {
    There(Inode),
    /// Nothing is there yet: the folder, and the name in it.
    New(Inode, OsString),
}

impl Identity {
    /// Of what a path leads to; none where nothing can be.
    pub(in crate::cli) fn of(path: &Path) -> Option<Identity> {
        if let Ok(meta) = fs::metadata(path) {
            return Some(Identity::There(Inode::of(&meta)));
        }
        let mut path: PathBuf = path.to_owned();
        for _ in 0..LINKS {
            match fs::read_link(&path) {
                Ok(next) => path = folder(&path).join(next),
                Err(_) => {
                    let above = fs::metadata(folder(&path)).ok()?;
                    return Some(Identity::New(Inode::of(&above), path.file_name()?.to_owned()));
                }
            }
        }
        None
    }
}

/// Makes sure that a file to be written is none of the others. `option` is where the user named it, and `would` what
/// writing would do to the other.
pub(in crate::cli) fn is_none_of(
    target: Option<&Identity>,
    (path, option): (&Path, &str),
    would: &str,
    others: &[Other<'_>],
) -> Result<(), Usage> {
    let same = |other: &OsStr| {
        let other = if other == "-" { Path::new("/dev/stdin") } else { Path::new(other) };
        Identity::of(other).as_ref() == target
    };
    match others.iter().find(|(other, _)| target.is_some() && same(other)) {
        Some((_, what)) => Err(Usage(format!(
            "{option} {} is {what}, which it would {would}; name another file",
            Hostile::from_os(path.as_os_str())
        ))),
        None => Ok(()),
    }
}
