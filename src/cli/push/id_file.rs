//! The file that gets the number of the image.

use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::cli::Usage;
use crate::cli::target::{self, Kind, Other, Place, Target};

/// What an earlier run wrote is no longer than this, in bytes: a number, and the end of its line.
const LONGEST: usize = 32;

/// What is written to `--output-image-id`. A file that has anything but a number is left as it is, whatever it is: the
/// image, by its name or by a link, or somebody's work.
const NUMBER: Kind = Kind {
    option: "--output-image-id",
    what: "the number of the image",
    earlier: "the number of an image",
    is_ours: is_number,
    private: false,
};

/// Where the number goes at the end. A file is not touched before.
pub(super) enum IdFile {
    Stream(Target, PathBuf),
    File(Place),
}

/// Looks before anything is done whether the number can be written.
pub(super) fn open(path: &Path, others: &[Other<'_>]) -> Result<IdFile, Usage> {
    if target::names_descriptor(path) == Some(1) {
        return Err(NUMBER.wrong(path, "standard output has the result; name a file"));
    }
    match Target::open(path, NUMBER, others)? {
        Some(Target::File(part)) => Ok(IdFile::File(part.into_place())),
        Some(stream) => Ok(IdFile::Stream(stream, path.to_owned())),
        None => Err(NUMBER.wrong(path, "standard output has the result; name a file")),
    }
}

/// Makes sure that [`open`] would open it. A stream is left to whoever reads it.
pub(super) fn could_open(path: &Path, others: &[Other<'_>]) -> Result<(), Usage> {
    let is_stream = std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo());
    if is_stream { Ok(()) } else { open(path, others).map(drop) }
}

impl IdFile {
    /// Whether the number of an earlier image is there.
    pub(super) fn has_number(&self) -> bool {
        matches!(self, IdFile::File(place) if place.has_content())
    }

    /// Writes the number. What was there until now is there until it is written.
    pub(super) fn write(self, id: u64) -> Result<(), Usage> {
        match self {
            IdFile::Stream(mut stream, path) => {
                writeln!(stream, "{id}").map_err(|e| NUMBER.wrong(&path, &e.to_string()))
            }
            IdFile::File(place) => {
                let draft = place.draft().map_err(|why| place.wrong(&why))?;
                writeln!(draft.file(), "{id}").map_err(|e| place.wrong(&e.to_string()))?;
                place.settle(draft).map(drop)
            }
        }
    }
}

/// Whether a text is what this program writes.
fn is_number(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    text.len() <= LONGEST && !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}
