//! Where the bytes of a file come from: a path, standard input or a URL.
//!
//! It knows files, pipes, objects behind URLs, holes of sparse files and what identifies a file while
//! it is read, and which files may be opened beside one. It knows
//! nothing of compression, formats or verdicts: every failure here means that there is no verdict.

mod agreed;
mod beside;
mod error;
mod fingerprint;
mod local;
mod name;
#[cfg(feature = "net")]
pub mod remote;
mod stream;

pub use agreed::{Against, Agreed, Known, Offsets, Passing, ReadAt};
pub use beside::Beside;
pub use error::{Error, Kind};
pub use local::{FileIdentity, LocalFile, LocalOffsets, LocalReader};
#[cfg(feature = "net")]
pub use name::address;
pub use name::{NameDigest, by_shown, file_name, is_url, shown};
pub use stream::{Reading, Stream};

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::bytes::{Hostile, Pool, Segment};

/// What asks for URLs.
#[cfg(feature = "net")]
pub type Client = std::sync::Arc<crate::net::Client>;
/// Nothing asks for URLs.
#[cfg(not(feature = "net"))]
pub type Client = std::convert::Infallible;

/// An opened source.
#[non_exhaustive]
pub enum Source {
    /// A file or block device that can be read at any offset, again and again.
    File(LocalFile),
    /// A pipe, a terminal or standard input: forward only, once.
    Stream(Stream),
    /// An object behind a URL.
    #[cfg(feature = "net")]
    Remote(remote::Remote),
}

impl Source {
    /// Opens an argument of the command line: a path, or `-` for standard input.
    ///
    /// # Errors
    /// If there is no such file, it may not be read, or it is no source of bytes.
    pub fn open(argument: &OsStr) -> Result<Source, Error> {
        if argument == "-" {
            return Source::from_file(stdin()?, None, &Hostile::from("standard input"));
        }
        let subject = Hostile::from_os(argument);
        let path = Path::new(argument);
        if names_closed_stdin(path) {
            return Err(Error::io(&subject, None, closed()));
        }
        let file = File::open(path).map_err(|e| Error::io(&subject, None, e))?;
        Source::from_file(file, Some(path), &subject)
    }

    /// A regular file behind standard input is no pipe: it can be read at any offset like any other,
    /// unless it is to be read from its middle. A regular file of no size may still have bytes (`/proc`), and
    /// one of some size other ones (`/sys`): both are read for what they bring.
    fn from_file(file: File, path: Option<&Path>, subject: &Hostile) -> Result<Source, Error> {
        let meta = file.metadata().map_err(|e| Error::io(subject, None, e))?;
        let kind = meta.file_type();
        if kind.is_dir() {
            Err(Error::of(Kind::Directory, subject))
        } else if at_start(&file)
            && (kind.is_block_device() || kind.is_file() && !local::misstates_size(&file))
        {
            Ok(Source::File(LocalFile::new(file, path, subject.clone())?))
        } else if kind.is_file() || kind.is_fifo() || kind.is_char_device() || path.is_none() {
            Ok(Source::Stream(Stream::new(file, subject.clone())))
        } else {
            Err(Error::of(Kind::Unsupported, subject))
        }
    }

    /// Makes sure that what was read is one state of the source, as far as anything tells. Whoever reads has to have
    /// ended. A URL tells by itself, in each of its answers.
    ///
    /// # Errors
    /// [`Kind::Changed`] if it is not.
    pub fn verify_unchanged(&self) -> Result<(), Error> {
        match self {
            Source::File(file) => file.verify_unchanged(),
            Source::Stream(stream) => stream.verify_unchanged(),
            #[cfg(feature = "net")]
            Source::Remote(_) => Ok(()),
        }
    }

    /// Size of the file in bytes, where it is known before reading.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Source::File(file) => Some(file.size()),
            Source::Stream(_) => None,
            #[cfg(feature = "net")]
            Source::Remote(remote) => remote.served().size,
        }
    }
}

/// Whether a file is positioned at its first byte.
fn at_start(mut file: &File) -> bool {
    std::io::Seek::stream_position(&mut file).is_ok_and(|position| position == 0)
}

/// Whether one of the standard streams was closed when the program began: the run time opens /dev/null for reading and
/// writing in its place. A shell opens it for one of both.
#[must_use]
pub fn is_unconnected(stream: &impl std::os::fd::AsFd) -> bool {
    use std::os::unix::fs::MetadataExt;
    let file = stream.as_fd().try_clone_to_owned().map(File::from);
    let Ok(file) = file else { return true };
    let null = std::fs::metadata("/dev/null").map(|null| null.rdev());
    let there = file.metadata().map(|meta| (meta.file_type().is_char_device(), meta.rdev()));
    let both = rustix::fs::fcntl_getfl(&file)
        .is_ok_and(|flags| flags & rustix::fs::OFlags::RWMODE == rustix::fs::OFlags::RDWR);
    both && matches!((there, null), (Ok((true, device)), Ok(null)) if device == null)
}

/// Whether a path is one of standard input's names while that is closed: what is opened by it then is the run time's
/// /dev/null, which nobody asked for.
#[must_use]
pub fn names_closed_stdin(path: &Path) -> bool {
    const NAMES: [&str; 4] =
        ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/proc/thread-self/fd/0"];
    NAMES.iter().any(|name| path == Path::new(name)) && is_unconnected(&std::io::stdin())
}

/// What is said of standard input that is closed.
#[must_use]
pub fn closed() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::NotConnected, "it is closed")
}

/// Standard input as a file, positioned where the shell left it.
fn stdin() -> Result<File, Error> {
    use std::os::fd::AsFd;
    let subject = Hostile::from("standard input");
    if is_unconnected(&std::io::stdin()) {
        return Err(Error::io(&subject, None, closed()));
    }
    let fd =
        std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| Error::io(&subject, None, e))?;
    Ok(File::from(fd))
}

/// Reads a source from its beginning to its end.
pub trait Read: Send {
    /// The next run of bytes, `None` at the end. Runs are never empty, and fill their buffer unless
    /// a hole or the end follows: whoever keeps the last bytes of a stream keeps their buffers.
    ///
    /// # Errors
    /// If the source cannot be read.
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, Error>;

    /// Whether what came last was the end of the source. It is not if somebody cut the reading short.
    fn is_whole(&self) -> bool {
        true
    }
}
