//! A file that is there in full or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Stop;
use crate::bytes::{Draft, folder};

/// A temporary file that has a name, because the file system knows no others. Whoever ends the program removes it.
#[derive(Clone, Debug, Default)]
pub struct Leftover(Arc<Mutex<Option<PathBuf>>>);

impl Leftover {
    /// Removes the file, if there is one.
    pub fn remove(&self) {
        if let Some(path) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nothing can be done if it stays.
            let _ = fs::remove_file(path);
        }
    }

    fn set(&self, path: Option<PathBuf>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = path;
    }
}

/// A file that is being written, and the path that it gets at the end.
pub(super) struct Target {
    draft: Draft,
    path: PathBuf,
    leftover: Leftover,
}

impl Target {
    /// Begins a file for this path, at which there is nothing.
    pub(super) fn create(path: &Path, leftover: &Leftover) -> Result<Self, Stop> {
        if path.file_name().is_none() {
            return Err(Stop::NoName { why: "this path has no file name" });
        }
        is_free(path)?;
        let unwritten = |source| Stop::Unwritten { path: path.to_owned(), source };
        let draft = Draft::begin(folder(path)).map_err(unwritten)?;
        leftover.set(draft.name().map(Path::to_owned));
        Ok(Target { draft, path: path.to_owned(), leftover: leftover.clone() })
    }

    /// The path that it gets.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.draft.file().write_all(bytes).map_err(|source| self.unwritten(source))
    }

    /// Makes sure that all of it is on the disk; the file, to be read.
    pub(super) fn written(&self) -> Result<File, Stop> {
        let synced = self.draft.file().sync_all().and_then(|()| self.draft.file().try_clone());
        synced.map_err(|source| self.unwritten(source))
    }

    /// Gives it its path, unless something is there.
    pub(super) fn commit(self) -> Result<PathBuf, Stop> {
        let Target { draft, path, leftover } = self;
        let settled = draft.settle(&path);
        leftover.set(None);
        match settled {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Stop::Taken { path });
            }
            Err(source) => return Err(Stop::Unwritten { path, source }),
        }
        // The file is whole; that its name lasts is up to a folder that may not be read, or cannot be synced.
        let _ = File::open(folder(&path)).and_then(|folder| folder.sync_all());
        Ok(path)
    }

    fn unwritten(&self, source: io::Error) -> Stop {
        Stop::Unwritten { path: self.path.clone(), source }
    }
}

/// Makes sure that nothing is at the path, not even a link that leads nowhere.
pub(super) fn is_free(path: &Path) -> Result<(), Stop> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Stop::Taken { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Stop::Unwritten { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn nothing_is_there_before_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        for commits in [false, true] {
            let mut target = Target::create(&path, &Leftover::default()).unwrap();
            target.write(b"abc").unwrap();
            target.written().unwrap();
            assert!(names(dir.path()).is_empty());
            if commits {
                assert_eq!(target.commit().unwrap(), path);
            }
        }
        assert_eq!(names(dir.path()), ["out"]);
        assert_eq!(fs::read(&path).unwrap(), b"abc");
    }

    #[test]
    fn a_file_with_a_name_goes_the_same_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let begin = || {
            let draft = Draft::with_name(dir.path()).unwrap();
            let leftover = Leftover::default();
            leftover.set(draft.name().map(Path::to_owned));
            Target { draft, path: path.clone(), leftover }
        };
        let mut target = begin();
        target.write(b"abc").unwrap();
        drop(target);
        assert!(names(dir.path()).is_empty());
        let target = begin();
        let leftover = target.leftover.clone();
        assert_eq!(names(dir.path()).len(), 1);
        leftover.remove();
        assert!(names(dir.path()).is_empty());
        drop(target);
        let mut target = begin();
        target.write(b"abc").unwrap();
        target.commit().unwrap();
        assert_eq!(names(dir.path()), ["out"]);
        assert!(matches!(begin().commit(), Err(Stop::Taken { .. })));
        assert_eq!(names(dir.path()), ["out"]);
        assert_eq!(fs::read(&path).unwrap(), b"abc");
    }

    #[test]
    fn what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let target = Target::create(&path, &Leftover::default()).unwrap();
        // Somebody else is faster.
        fs::write(&path, b"theirs").unwrap();
        assert!(matches!(target.commit(), Err(Stop::Taken { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        for taken in [&path, &link, dir.path()] {
            let created = Target::create(taken, &Leftover::default());
            assert!(matches!(created, Err(Stop::Taken { .. })), "{}", taken.display());
        }
        let missing = Target::create(&dir.path().join("a/b"), &Leftover::default());
        assert!(matches!(missing, Err(Stop::Unwritten { .. })));
        assert!(matches!(
            Target::create(Path::new("/"), &Leftover::default()),
            Err(Stop::Taken { .. } | Stop::NoName { .. })
        ));
    }
}
