//! An image packed anew: taken out of all that it is packed in, packed as one gzip member, checked, and put into a file
//! that was not there before, or nowhere.
//!
//! [`repack`] reads the source once. The very bytes that come out of the wrappings are checked and packed in that pass, and
//! what was packed is unpacked again beside it. Then the file that was written is checked as any other. Only if that accepts
//! it, and all digests agree, the file gets its name, and only if nothing has this name. Until then it has none where the
//! file system allows it, so that nothing is left whatever ends the program.
//!
//! A VMDK descriptor in a local file names the parts in which its disk is. Repack opens the parts that lie beside the
//! descriptor, as its user ordered this disk to be put together; check and push open nothing that an image names.
//!
//! A VMDK stream of which it turns out that it is out of order is read a second time, if it can be had again.
//!
//! The room knows files and the order of the steps. It knows no bytes of any format, and nothing of DigitalOcean.

mod beginning;
mod name;
mod pack;
mod run;
mod target;

pub(crate) use beginning::{beginning, first_bytes, until_refused};
pub use pack::{Packed, pack};
pub use run::repack;
pub use target::Leftover;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use crate::codec::Encoding;
use crate::inspect::{self, Report};

/// What is to be packed anew, and how.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Order {
    /// A path, a URL, or `-` for standard input.
    pub source: OsString,
    /// The file that is written in any case. Without one, it is called after the source, and written only if there is
    /// something to mend or to pack.
    pub out: Option<PathBuf>,
    /// How it is packed.
    pub encoding: Encoding,
    /// How source and result are checked.
    pub check: inspect::Options,
    /// Whether warnings refuse the result too.
    pub strict: bool,
}

/// What became of an [`Order`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Repacked {
    /// What was read, if it was read to its end.
    pub source: Option<Source>,
    /// The file that was written; `None` also if there was nothing to do.
    pub output: Option<Output>,
    /// The check of the output; where there is none, of the source.
    pub report: Option<Report>,
    /// Why there is no output, unless there was nothing to do.
    pub stop: Option<Stop>,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of it.
    pub sha256: String,
    /// What was taken off, the outermost first.
    pub wrappings: Vec<String>,
    /// What is said of bytes that belong to nothing and were left out.
    pub left_out: Vec<String>,
    /// What is odd about a VMDK whose disk was taken out, or about a part of it.
    pub noticed: Vec<String>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of it.
    pub sha256: String,
    /// SHA-256 of what comes out of it.
    pub image_sha256: String,
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// The source, or what came of it, would be refused. The report says why.
    #[error("the image is rejected, so nothing was written")]
    Rejected,
    /// The source cannot be read. The report says why.
    #[error("the image cannot be read, so nothing was written")]
    Unread,
    /// Something is where the output was to be. It is not touched.
    #[error("there is something at this path already, and nothing is ever replaced")]
    Taken {
        /// Where the output was to be.
        path: PathBuf,
    },
    /// The source has no name from which that of the output could be made, or the one that was given is that of no file.
    #[error("{why}")]
    NoName {
        /// What is wrong.
        why: &'static str,
    },
    /// The output cannot be written.
    #[error("it cannot be written")]
    Unwritten {
        /// Where the output was to be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What was written is not what was read.
    #[error("what was written is not what was read ({why}), so it was removed")]
    Unfaithful {
        /// What differs.
        why: String,
    },
}

impl Stop {
    /// Its stable name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Stop::Rejected => "rejected",
            Stop::Unread => "unread",
            Stop::Taken { .. } => "exists",
            Stop::NoName { .. } => "no-name",
            Stop::Unwritten { .. } => "unwritten",
            Stop::Unfaithful { .. } => "unfaithful",
        }
    }
}
