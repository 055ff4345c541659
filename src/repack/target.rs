//! A file that is there in full or not at all.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::TempPath;

use super::Stop;

/// What the umask takes its part of, as of any file that is written.
const MODE: u32 = 0o666;

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
    file: File,
    path: PathBuf,
    folder: PathBuf,
    /// The name that it has until then; none where the file system allows it.
    named: Option<TempPath>,
    leftover: Leftover,
}

impl Target {
    /// Begins a file for this path, at which there is nothing.
    pub(super) fn create(path: &Path, leftover: &Leftover) -> Result<Self, Stop> {
        let Some(folder) = path.parent().filter(|_| path.file_name().is_some()) else {
            return Err(Stop::NoName { why: "this path has no file name" });
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        is_free(path)?;
        let unwritten = |source| Stop::Unwritten { path: path.to_owned(), source };
        let (file, named) = begun(folder).map_err(unwritten)?;
        leftover.set(named.as_ref().map(|named| named.to_path_buf()));
        let (path, folder) = (path.to_owned(), folder.to_owned());
        Ok(Target { file, path, folder, named, leftover: leftover.clone() })
    }

    /// The path that it gets.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.file.write_all(bytes).map_err(|source| self.unwritten(source))
    }

    /// Makes sure that all of it is on the disk; the file, to be read.
    pub(super) fn written(&self) -> Result<File, Stop> {
        let synced = self.file.sync_all().and_then(|()| self.file.try_clone());
        synced.map_err(|source| self.unwritten(source))
    }

    /// Gives it its path, unless something is there.
    pub(super) fn commit(mut self) -> Result<PathBuf, Stop> {
        let linked = match self.named.take() {
            Some(named) => named.persist_noclobber(&self.path).map_err(|failed| failed.error),
            None => link(&self.file, &self.path),
        };
        self.leftover.set(None);
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Stop::Taken { path: self.path });
            }
            Err(error) => return Err(self.unwritten(error)),
        }
        // The file is whole; that its name lasts is up to a folder that may not be read, or cannot be synced.
        let _ = File::open(&self.folder).and_then(|folder| folder.sync_all());
        Ok(self.path)
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

/// A file in this folder, without a name if that can be.
fn begun(folder: &Path) -> io::Result<(File, Option<TempPath>)> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open(folder, flags, Mode::from_raw_mode(MODE)) {
        let file = File::from(file);
        if is_reached(&file) {
            return Ok((file, None));
        }
    }
    // The error would name the file in it.
    fs::metadata(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tidegate-").suffix(".part").permissions(Permissions::from_mode(MODE));
    let (file, named) = builder.tempfile_in(folder)?.into_parts();
    Ok((file, Some(named)))
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
            let named = tempfile::Builder::new().tempfile_in(dir.path()).unwrap();
            let (file, named) = named.into_parts();
            let (leftover, folder) = (Leftover::default(), dir.path().to_owned());
            leftover.set(Some(named.to_path_buf()));
            Target { file, path: path.clone(), folder, named: Some(named), leftover }
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
