use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::agreed::{Agreed, Offsets, Passing, ReadAt};
use super::{Error, Kind, Read};
use crate::bytes::{Hostile, Pool, Segment};

/// A shorter hole is read like data: skipping it would save less than it costs.
const SMALLEST_HOLE: u64 = 256 << 10;

/// A longer hole is handed on in pieces, so that progress is seen.
const LONGEST_RUN: u64 = 64 << 20;

/// An open file or block device of known size.
///
/// All that is ever read of it is read by a [`LocalReader`] or by [`LocalOffsets`], and these are held against each
/// other by content.
pub struct LocalFile {
    file: File,
    path: Option<PathBuf>,
    subject: Hostile,
    size: u64,
    identity: FileIdentity,
    agreed: Arc<Agreed>,
}

/// Readings of a [`LocalFile`] at any offset.
pub type LocalOffsets<'f> = Offsets<&'f LocalFile>;

/// What tells that a file is still the one that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileIdentity {
    /// The device that it is on; a number that is given to another one when this one is gone.
    pub device: u64,
    /// The file system (`f_fsid`): made from its UUID on ext4, Btrfs, bcachefs and ZFS, from the device on XFS and F2FS.
    pub file_system: u64,
    /// Its number there.
    pub inode: u64,
    /// Bytes; of a block device 0.
    pub size: u64,
    /// When its bytes were written last, in seconds and nanoseconds; of a block device 0.
    pub modified: (i64, i64),
    /// The same, set by the kernel at every write and not by `touch`, so a restored mtime does not hide one.
    pub changed: (i64, i64),
}

impl FileIdentity {
    /// Of an open file.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub fn of(file: &File) -> std::io::Result<Self> {
        let meta = file.metadata()?;
        let device = meta.file_type().is_block_device();
        Ok(FileIdentity {
            device: meta.dev(),
            file_system: rustix::fs::fstatvfs(file)?.f_fsid,
            inode: meta.ino(),
            size: meta.size(),
            // A device node's time stamps say nothing about what is on the device.
            modified: if device { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) },
            changed: if device { (0, 0) } else { (meta.ctime(), meta.ctime_nsec()) },
        })
    }
}

/// Whether a regular file ends elsewhere than its size says, and did not just change: file systems that make their
/// files up while they are read have no true sizes.
pub(super) fn misstates_size(file: &File) -> bool {
    let size = || file.metadata().map(|meta| meta.size());
    let byte = |at| file.read_at(&mut [0], at).map(|count| count == 1);
    let Ok(before) = size() else { return false };
    let misstated = match before.checked_sub(1) {
        // What cannot be read is told by who reads it.
        None => byte(0).unwrap_or(true),
        Some(last) => byte(last).ok().zip(byte(before).ok()).is_some_and(|at| at != (true, false)),
    };
    misstated && size().is_ok_and(|size| size == before)
}

impl LocalFile {
    pub(super) fn new(
        mut file: File,
        path: Option<&Path>,
        subject: Hostile,
    ) -> Result<Self, Error> {
        let fail = |e| Error::io(&subject, None, e);
        let meta = file.metadata().map_err(fail)?;
        let size = if meta.file_type().is_block_device() {
            file.seek(SeekFrom::End(0)).map_err(fail)?
        } else {
            meta.size()
        };
        let identity = FileIdentity::of(&file).map_err(fail)?;
        let (path, agreed) = (path.map(Path::to_owned), Arc::new(Agreed::new(size)));
        Ok(LocalFile { file, path, subject, size, identity, agreed })
    }

    /// A temporary file that this program has written and nobody else can open.
    pub(crate) fn temporary(file: File, subject: &Hostile) -> Result<Self, Error> {
        LocalFile::new(file, None, subject.clone())
    }

    /// For how many bytes from `at` on there is a hole, or none; none at the end of the file.
    fn run_at(&self, at: u64) -> (u64, bool) {
        if at >= self.size {
            return (0, false);
        }
        match self.data_after(at) {
            (start, _) if start > at => (start - at, true),
            (_, end) => (end.max(at + 1) - at, false),
        }
    }

    /// The path by which it was opened, if it was.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What it is called.
    pub(super) fn subject(&self) -> &Hostile {
        &self.subject
    }

    /// Whether it is a file, and no device.
    pub(super) fn is_regular(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.is_file())
    }

    /// What identified it when it was opened.
    #[must_use]
    pub fn identity(&self) -> &FileIdentity {
        &self.identity
    }

    /// Size in bytes when it was opened.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What its readings agree on.
    #[must_use]
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Readings at any offset.
    #[must_use]
    pub fn offsets(&self) -> LocalOffsets<'_> {
        Offsets::new(self, Arc::clone(&self.agreed))
    }

    /// A reader from the first byte to the last.
    #[must_use]
    pub fn reader(&self) -> LocalReader<'_> {
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::Sequential);
        LocalReader { file: self, at: 0, data_until: 0, passing: Passing::default() }
    }

    /// Makes sure that the file is still what it was when it was opened, also at its path, and that no reading of it
    /// met other bytes than another one. Whoever reads has to have ended.
    ///
    /// # Errors
    /// [`Kind::Changed`] if it is not.
    pub fn verify_unchanged(&self) -> Result<(), Error> {
        if self.agreed.is_broken() {
            return Err(Error::of(Kind::Changed, &self.subject));
        }
        let now = FileIdentity::of(&self.file).map_err(|e| Error::io(&self.subject, None, e))?;
        let same_path = match &self.path {
            Some(path) => std::fs::metadata(path).is_ok_and(|meta| {
                (meta.dev(), meta.ino()) == (self.identity.device, self.identity.inode)
            }),
            None => true,
        };
        if same_path && now == self.identity {
            Ok(())
        } else {
            Err(Error::of(Kind::Changed, &self.subject))
        }
    }

    /// End of the data that begins at or after `at`, and where it begins; holes lie between. A file
    /// system that does not tell has no holes.
    fn data_after(&self, at: u64) -> (u64, u64) {
        use rustix::fs::SeekFrom;
        let start = match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
            Ok(start) => start.clamp(at, self.size),
            // No data up to the end of the file.
            Err(rustix::io::Errno::NXIO) => return (self.size, self.size),
            Err(_) => return (at, self.size),
        };
        match rustix::fs::seek(&self.file, SeekFrom::Hole(start)) {
            Ok(end) => (start, end.clamp(start, self.size)),
            Err(_) => (start, self.size),
        }
    }
}

impl ReadAt for &LocalFile {
    fn fill(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Error> {
        let mut have = 0;
        while have < buf.len() {
            match self.file.read_at(&mut buf[have..], at + have as u64) {
                Ok(0) => return Err(self.changed(at + have as u64)),
                Ok(count) => have += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.subject, Some(at + have as u64), e)),
            }
        }
        Ok(())
    }

    fn run(&mut self, at: u64) -> (u64, bool) {
        self.run_at(at)
    }

    fn changed(&self, at: u64) -> Error {
        Error { offset: Some(at), ..Error::of(Kind::Changed, &self.subject) }
    }
}

/// Reads a [`LocalFile`] forward, skipping its holes.
pub struct LocalReader<'f> {
    file: &'f LocalFile,
    at: u64,
    data_until: u64,
    passing: Passing,
}

impl Read for LocalReader<'_> {
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, Error> {
        let at = self.at;
        let run = self.run(pool)?;
        match &run {
            Some(run) if !self.passing.take(&self.file.agreed, run) => Err(self.file.changed(at)),
            _ => Ok(run),
        }
    }
}

/// Of a block that was read in part, the rest is read as well: the part was seen by somebody.
impl Drop for LocalReader<'_> {
    fn drop(&mut self) {
        let open = self.passing.open(&self.file.agreed);
        let mut rest = vec![0; (open.end - open.start) as usize];
        match (&mut self.file).fill(open.start, &mut rest) {
            Ok(()) => drop(self.passing.bytes(&self.file.agreed, &rest)),
            Err(_) => Passing::fail(&self.file.agreed),
        }
    }
}

impl LocalReader<'_> {
    fn run(&mut self, pool: &mut Pool) -> Result<Option<Segment>, Error> {
        if self.at >= self.file.size {
            return Ok(None);
        }
        let mut chunk = None;
        while self.at < self.file.size {
            if self.at >= self.data_until {
                let (start, end) = self.file.data_after(self.at);
                if start - self.at >= SMALLEST_HOLE {
                    if chunk.is_some() {
                        break;
                    }
                    let len = (start - self.at).min(LONGEST_RUN);
                    self.at += len;
                    return Ok(Some(Segment::Zeros(len)));
                }
                // An extent that is found empty (the file changed) is read as data all the same.
                self.data_until = end.max(self.at + 1);
            }
            let chunk = chunk.get_or_insert_with(|| pool.take());
            let space = chunk.space();
            let want = space.len().min((self.data_until - self.at) as usize);
            if want == 0 {
                break;
            }
            self.file.fill(self.at, &mut space[..want])?;
            chunk.grow(want);
            self.at += want as u64;
        }
        Ok(chunk.map(|chunk| Segment::Data(Arc::new(chunk))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn open(path: &Path) -> LocalFile {
        LocalFile::new(File::open(path).unwrap(), Some(path), Hostile::from("x")).unwrap()
    }

    fn collect(file: &LocalFile) -> (Vec<u8>, u64) {
        let mut pool = Pool::new(2, 4096);
        let mut reader = file.reader();
        let (mut bytes, mut zeros) = (Vec::new(), 0);
        while let Some(segment) = reader.next(&mut pool).unwrap() {
            match segment {
                Segment::Data(chunk) => bytes.extend_from_slice(&chunk),
                Segment::Zeros(len) => {
                    zeros += len;
                    bytes.resize(bytes.len() + len as usize, 0);
                }
            }
        }
        (bytes, zeros)
    }

    #[test]
    fn holes_are_skipped_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let file = File::create(&path).unwrap();
        let mut expected = vec![0u8; 5 << 20];
        for (at, text) in [(0, "start"), (3 << 20, "middle"), ((5 << 20) - 3, "end")] {
            file.write_all_at(text.as_bytes(), at as u64).unwrap();
            expected[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        let (bytes, zeros) = collect(&open(&path));
        assert!(bytes == expected);
        assert!(zeros > 3 << 20, "only {zeros} bytes were skipped");
    }

    #[test]
    fn a_file_that_changes_is_no_longer_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, b"abc").unwrap();
        let file = open(&path);
        file.verify_unchanged().unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"d").unwrap();
        assert_eq!(file.verify_unchanged().unwrap_err().kind, Kind::Changed);

        let file = open(&path);
        let other = dir.path().join("other");
        std::fs::write(&other, b"abcd").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(file.verify_unchanged().unwrap_err().kind, Kind::Changed);
    }

    #[test]
    fn an_empty_file_that_grows_is_no_longer_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, b"").unwrap();
        assert!(!misstates_size(&File::open(&path).unwrap()));
        let file = open(&path);
        file.verify_unchanged().unwrap();
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(file.verify_unchanged().unwrap_err().kind, Kind::Changed);
    }

    #[test]
    fn a_file_cut_under_the_reader_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, vec![1u8; 10000]).unwrap();
        let file = open(&path);
        File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
        let mut buf = vec![0; 10000];
        assert_eq!(file.offsets().read_at(0, &mut buf).unwrap_err().kind, Kind::Changed);
    }
}
