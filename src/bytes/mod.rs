//! The smallest room: bytes on their way through the program.
//!
//! It knows recycled buffers ([`Pool`], [`Chunk`]), runs of a stream ([`Segment`]), text that must not be
//! trusted ([`Hostile`]), commands that are printed to be pasted ([`Command`]), how much is read whole ([`Small`]) and files that are
//! there in full or not at all ([`Draft`]). It knows nothing of codecs or formats.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "no part of the API that is kept"
)]

mod draft;
mod hostile;
mod percent;
mod pool;
mod shell;
mod size;
mod small;
mod sparse;
mod time;

pub use draft::Draft;
pub use hostile::{Hostile, is_harmless};
pub use percent::{percent_decoded, percent_encoded, percent_path};
pub use pool::{Chunk, Pool};
pub use shell::{Command, Given, Options, quoted};
pub use size::{guid, hex, human_size, read_size, unhex};
pub use small::Small;
pub use sparse::Sparse;
pub use time::rfc3339;

use std::path::Path;
use std::sync::Arc;

/// A run of a stream of bytes.
///
/// Zeros are first-class: holes of sparse files arrive as [`Segment::Zeros`], and only a digest has
/// to see the bytes.
#[derive(Clone)]
pub enum Segment {
    /// Bytes in a recycled buffer; several readers may share it.
    Data(Arc<Chunk>),
    /// So many zero bytes.
    Zeros(u64),
}

impl Segment {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Segment::Data(chunk) => chunk.len() as u64,
            Segment::Zeros(len) => *len,
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The folder that a file is in, by its path.
#[must_use]
pub fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}
