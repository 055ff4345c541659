//! Files that lie beside a file, and that it names: parts of a disk.
//!
//! Nothing else opens a file that an image names, and this is for `tidegate repack` of a local file alone; checks and
//! pushes never come here. What may be opened is bounded: a regular file, in the very folder in which the file lies
//! that names it, by a plain name, through no link.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::local::misstates_size;
use super::{Error, Kind, LocalFile};
use crate::bytes::Hostile;

/// The folder in which a file lies.
pub struct Beside {
    folder: File,
    path: PathBuf,
}

impl Beside {
    /// The folder of a regular file that was opened by its path; `None` of another one. Where links lead to the file, it
    /// is the folder of the file itself.
    ///
    /// # Errors
    /// If the folder cannot be opened, or the file is not there any more.
    pub fn of(file: &LocalFile) -> Result<Option<Beside>, Error> {
        let Some(path) = file.path().filter(|_| file.is_regular()) else { return Ok(None) };
        let fail = |error| Error::io(file.subject(), None, error);
        let real = fs::canonicalize(path).map_err(fail)?;
        let (Some(folder), Some(name)) = (real.parent(), real.file_name()) else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(folder, flags, Mode::empty()).map_err(|e| fail(e.into()))?;
        let beside = Beside { folder: File::from(opened), path: folder.to_owned() };
        // It may have been moved since it was opened.
        match beside.look(name) {
            Ok(found) if found == (file.identity().device, file.identity().inode) => {
                Ok(Some(beside))
            }
            _ => Err(Error::of(Kind::Changed, file.subject())),
        }
    }

    /// Opens a file of the folder.
    ///
    /// # Errors
    /// If it is not there, may not be read, or is no regular file: links are not followed.
    pub fn open(&self, name: &str) -> Result<LocalFile, Error> {
        let subject = Hostile::from(name);
        let of = |kind, why| Error { kind, ..Error::io(&subject, None, io::Error::other(why)) };
        let not_regular = || of(Kind::Part, "the descriptor names it as a part of the disk");
        let fail = |error: io::Error| Error::io(&subject, None, error);
        if Path::new(name).file_name() != Some(OsStr::new(name)) {
            return Err(not_regular());
        }
        // To open a device or a pipe can have effects, so it is looked at before.
        let seen = match self.look(OsStr::new(name)) {
            Ok(seen) => seen,
            Err(Look::Other) => return Err(not_regular()),
            Err(Look::Failed(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(of(Kind::NotFound, "the descriptor names it as a part of the disk"));
            }
            Err(Look::Failed(error)) => return Err(fail(error)),
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::empty())
            .map_err(|error| fail(error.into()))?;
        let file = File::from(file);
        let meta = file.metadata().map_err(fail)?;
        if !meta.is_file() || misstates_size(&file) {
            return Err(not_regular());
        }
        if (meta.dev(), meta.ino()) != seen {
            return Err(Error::of(Kind::Changed, &subject));
        }
        LocalFile::new(file, Some(&self.path.join(name)), subject)
    }

    /// Device and number of a regular file that has this name.
    fn look(&self, name: &OsStr) -> Result<(u64, u64), Look> {
        let seen = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| Look::Failed(error.into()))?;
        match FileType::from_raw_mode(seen.st_mode) {
            FileType::RegularFile => Ok((seen.st_dev, seen.st_ino)),
            _ => Err(Look::Other),
        }
    }
}

/// Why there is no regular file of a name.
enum Look {
    /// Something else is there.
    Other,
    Failed(io::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::Source;
    use super::*;

    fn opened(path: &Path) -> LocalFile {
        match Source::open(path.as_os_str()).unwrap() {
            Source::File(file) => file,
            _ => panic!("it is a file"),
        }
    }

    #[test]
    fn only_regular_files_of_the_folder_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("in")).unwrap();
        for name in ["in/disk", "in/part", "outside"] {
            fs::write(at(name), name).unwrap();
        }
        symlink("part", at("in/link")).unwrap();
        symlink("nowhere", at("in/dangling")).unwrap();
        fs::create_dir(at("in/folder")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("in/pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let beside = Beside::of(&opened(&at("in/disk"))).unwrap().unwrap();
        assert_eq!(beside.open("part").unwrap().size(), 7);
        for (name, kind) in [
            ("link", Kind::Part),
            ("dangling", Kind::Part),
            ("folder", Kind::Part),
            ("pipe", Kind::Part),
            (".", Kind::Part),
            ("..", Kind::Part),
            ("", Kind::Part),
            ("../outside", Kind::Part),
            ("./part", Kind::Part),
            ("part/", Kind::Part),
            ("missing", Kind::NotFound),
        ] {
            assert_eq!(beside.open(name).err().map(|error| error.kind), Some(kind), "{name}");
        }
        // A link to the descriptor leads to its own folder.
        symlink("in/disk", at("elsewhere")).unwrap();
        let beside = Beside::of(&opened(&at("elsewhere"))).unwrap().unwrap();
        assert!(beside.open("part").is_ok() && beside.open("outside").is_err());
    }

    #[test]
    fn a_file_that_was_moved_has_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("disk"), "1").unwrap();
        let file = opened(&at("disk"));
        fs::rename(at("disk"), at("old")).unwrap();
        fs::write(at("disk"), "2").unwrap();
        assert_eq!(Beside::of(&file).err().map(|error| error.kind), Some(Kind::Changed));
    }
}
