use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::{Builder, TempPath};

/// What the umask takes its part of, as of any file that is written.
const MODE: u32 = 0o666;

/// A file that is being written. It gets its path when it is whole; one that gets none is gone, also where the program
/// is killed, if the file system knows files without a name.
#[derive(Debug)]
pub struct Draft {
    file: File,
    /// The name that it has until then; none where the file system allows it.
    named: Option<TempPath>,
}

impl Draft {
    /// Begins one in this folder.
    ///
    /// # Errors
    /// If nothing can be made there.
    pub fn begin(folder: &Path) -> io::Result<Draft> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open(folder, flags, Mode::from_raw_mode(MODE)) {
            let file = File::from(file);
            if is_reached(&file) {
                return Ok(Draft { file, named: None });
            }
        }
        // The error would name the file in it.
        fs::metadata(folder)?;
        Draft::with_name(folder)
    }

    /// Begins one that has a name, as where the file system knows no others.
    ///
    /// # Errors
    /// If nothing can be made there.
    pub(crate) fn with_name(folder: &Path) -> io::Result<Draft> {
        let (file, named) = names().tempfile_in(folder)?.into_parts();
        Ok(Draft { file, named: Some(named) })
    }

    /// What is written.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The name that it has until it gets its path, for whoever ends the program.
    #[must_use]
    pub fn name(&self) -> Option<&Path> {
        self.named.as_deref()
    }

    /// Gives it a path at which there is nothing.
    ///
    /// # Errors
    /// If something is there, or the file system refuses.
    pub fn settle(self, path: &Path) -> io::Result<()> {
        match self.named {
            Some(named) => named.persist_noclobber(path).map_err(|failed| failed.error),
            None => link(&self.file, path),
        }
    }

    /// Gives it a path in place of what is there.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn replace(self, path: &Path) -> io::Result<()> {
        let named = match self.named {
            Some(named) => named,
            None => {
                let file = &self.file;
                names().make_in(super::folder(path), |path| link(file, path))?.into_temp_path()
            }
        };
        named.persist(path).map_err(|failed| failed.error)
    }
}

fn names() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".tidegate-").suffix(".part").permissions(Permissions::from_mode(MODE));
    builder
}

/// The way to an open file, which needs `/proc`.
fn way(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn is_reached(file: &File) -> bool {
    let id = |meta: fs::Metadata| (meta.dev(), meta.ino());
    let there = fs::metadata(way(file)).map(id).ok();
    there.is_some() && there == file.metadata().map(id).ok()
}

fn link(file: &File, path: &Path) -> io::Result<()> {
    let way = way(file);
    let from = OsStr::new(&way);
    Ok(rustix::fs::linkat(CWD, from, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_draft_takes_the_place_of_nothing_or_of_all_that_is_there() {
        for begin in [Draft::begin, Draft::with_name] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("out");
            let draft = |text: &str| {
                let draft = begin(dir.path()).unwrap();
                draft.file().write_all(text.as_bytes()).unwrap();
                draft
            };
            drop(draft("0"));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
            draft("1").settle(&path).unwrap();
            assert!(draft("2").settle(&path).is_err());
            assert_eq!(fs::read(&path).unwrap(), b"1");
            draft("3").replace(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"3");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}
