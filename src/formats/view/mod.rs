//! Views of an image: a local file at any offset, or a stream read forward.

mod cached;
mod ends;
mod file;
mod held;
mod kept;
mod memory;
mod reach;
#[cfg(feature = "net")]
mod remote;
mod store;
mod stream;
#[cfg(test)]
mod stream_tests;
mod trail;

pub use cached::CachedView;
pub use file::FileView;
#[doc(hidden)]
pub use memory::{MemoryFeed, MemoryImage};
pub use reach::Reach;
#[cfg(feature = "net")]
pub use remote::RemoteView;
pub use store::Store;
pub use stream::{Feed, Reopen, StreamView};

pub(super) use ends::{Last, Stored};
pub(super) use reach::{End, truncated};

use super::Walked;
use crate::bytes::human_size;
use crate::facts::{Code, Layer, Left, Notebook};
use crate::source;

/// Reads an image by offset. Reading forward is always possible; what lies behind depends on the view.
pub trait ImageView {
    /// Fills `buf` from image offset `at`; less only at the end of the image.
    ///
    /// # Errors
    /// If the image cannot be read further.
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt>;

    /// Size of the image in bytes. A stream is read to its end for it; `None` if that is not wanted.
    ///
    /// # Errors
    /// If the image cannot be read to its end.
    fn size(&mut self) -> Result<Option<u64>, Halt>;

    /// Asks for `len` bytes from image offset `at` to be kept when they come by, because they will be
    /// read later. A view that can go back has nothing to do; a stream keeps a bounded number.
    fn keep(&mut self, _at: u64, _len: u64) {}

    /// For how many bytes from `at` on the image is known to be a hole, or not known to be one. A
    /// view that does not know of holes says so of all bytes.
    fn hole(&mut self, at: u64) -> (u64, bool) {
        (u64::MAX - at, false)
    }

    /// Says what will be read next: offset and length of each range, in ascending order. A view to
    /// which every read is a journey makes one of many.
    ///
    /// # Errors
    /// If the image cannot be read further.
    fn ahead(&mut self, _parts: &mut dyn Iterator<Item = (u64, u64)>) -> Result<(), Halt> {
        Ok(())
    }

    /// Whether any offset can be read at any time, for whoever reads a part of the image several times
    /// over. A source that has to be scanned again for it is none.
    fn is_seekable(&self) -> bool {
        false
    }

    /// Whether any offset can be read once the image was read to its end, if each reading may take long.
    fn is_random(&self) -> bool {
        self.is_seekable()
    }

    /// Whether each reading crosses a network.
    fn is_far(&self) -> bool {
        false
    }

    /// Says that from now on no scan is worth it, and that what lies behind in a packed file is to be decoded again with no more
    /// effort than once for all of it.
    fn ration(&mut self) {}

    /// Bytes of the image that were decoded again since [`ration`](Self::ration).
    fn decoded_again(&self) -> u64 {
        0
    }

    /// Whether all of the image comes by in order and is not at hand afterwards: what has to be looked at
    /// in full is looked at as it passes. False too if not all of it will come by.
    fn is_passing(&self) -> bool {
        false
    }

    /// Asks for the last `len` bytes before what was read last to be kept at hand, from now on. A stream
    /// keeps a bounded number of them.
    fn look_back(&mut self, _len: u64) {}

    /// Image offset of the first byte that can be read without reading the image anew.
    fn at_hand(&self) -> u64 {
        0
    }

    /// How often the image can still be read from its beginning for what lies behind.
    fn scans_left(&self) -> u32 {
        u32::MAX
    }

    /// Image offset behind the last byte that is no zero, if that is known or costs little: of a stream, once it has come by.
    ///
    /// # Errors
    /// If the image cannot be read further.
    fn used_end(&mut self) -> Result<Option<u64>, Halt> {
        Ok(None)
    }

    /// Says that somebody else needs much memory from now on.
    fn save_memory(&mut self) {}

    /// Says that what was read is not read again for a digest of the disk, because the disk is the
    /// image: a stream need not be spooled for it.
    fn release(&mut self) {}
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// So many bytes: as many as wanted, or up to the end.
    Bytes(usize),
    /// None, for this reason.
    Missing(Missing),
}

/// Why a range could not be read although the image may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A stream has passed it and cannot go back.
    Behind,
    /// A stream has passed it, and was begun anew as often as it will be: no layout of a writer takes that.
    Scattered,
    /// It lies too far into a compressed image for a quick check.
    Quick,
    /// A table that leads there is broken or cannot be read; the notebook has the reason.
    Broken,
}

impl From<Missing> for Left {
    fn from(missing: Missing) -> Left {
        match missing {
            Missing::Behind => Left::Behind,
            Missing::Scattered => Left::Scattered,
            Missing::Quick => Left::QuickFar,
            // A view does not say so of the image, but whoever looks in it for a part of the disk.
            Missing::Broken => Left::DiskUnreadable,
        }
    }
}

/// Why an examination ends before it is complete.
#[derive(Debug)]
pub enum Halt {
    /// The source failed: there is no verdict.
    Source(source::Error),
    /// Nothing more is to be had or to be learned: the stream is damaged, too long, or already
    /// rejected. The notebook has the reason.
    Stopped,
}

impl From<source::Error> for Halt {
    fn from(error: source::Error) -> Self {
        Halt::Source(error)
    }
}

impl dyn ImageView + '_ {
    /// Fills all of `buf` from image offset `at`, or writes down why not and returns false. `what`
    /// names the structure, as in "the BAT".
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub fn need(
        &mut self,
        at: u64,
        buf: &mut [u8],
        notebook: &Notebook<'_>,
        what: &str,
    ) -> Result<bool, Halt> {
        match self.read_at(at, buf)? {
            Got::Bytes(count) if count == buf.len() => Ok(true),
            Got::Bytes(count) => {
                let end = at.saturating_add(buf.len() as u64);
                let size = at.saturating_add(count as u64);
                // With nothing read, the image may end long before `at`.
                let size = if count == 0 { self.size()?.unwrap_or(size) } else { size };
                truncated(notebook, what, end, size);
                Ok(false)
            }
            Got::Missing(missing) => {
                not_examined(notebook, at, what, missing);
                Ok(false)
            }
        }
    }
}

/// Writes down that `what` at image offset `at` could not be looked at, and says what that makes of
/// the walk that wanted it.
pub(super) fn not_walked(notebook: &Notebook<'_>, at: u64, what: &str, missing: Missing) -> Walked {
    not_examined(notebook, at, what, missing);
    Walked::Partial(missing.into())
}

/// Writes down that `what` at image offset `at` could not be looked at.
pub(super) fn not_examined(notebook: &Notebook<'_>, at: u64, what: &str, missing: Missing) {
    match missing {
        Missing::Behind => notebook.image(Code::StructureNotExamined, at, format!(
            "{} at byte {at} lies behind what was read already, and the source cannot be read again.",
            capitalised(what))),
        // What a quick check leaves out is said by the list of checks; broken tables are in the book.
        Missing::Scattered | Missing::Quick | Missing::Broken => {}
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Writes down that an image reaches the limit.
pub fn too_large(notebook: &Notebook<'_>, limit: u64) {
    notebook.add(
        Code::ImageTooLarge,
        Layer::Image,
        limit,
        format!(
            "The image has {limit} bytes ({}) or more; it has to be smaller.",
            human_size(limit)
        ),
    );
}
