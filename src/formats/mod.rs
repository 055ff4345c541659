//! What the image is and what it says about the disk inside.
//!
//! The room knows every field of the formats that DigitalOcean takes and the marks of those that it
//! refuses. An examiner does no I/O of its own: it reads through an [`ImageView`], writes what is odd
//! into the notebook and returns what it learned as [`Examined`]. Nothing here knows DigitalOcean,
//! the verdict, or what lies on the disk (`guest` does). Nothing that an image names is opened here: `parts` says which
//! files a VMDK descriptor names, and `source` opens them for whoever ordered it.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "no part of the API that is kept"
)]

mod ahead;
mod bits;
mod detect;
mod disk;
mod entries;
mod packed;
mod passing;
mod qcow;
mod qcow2;
mod scan;
mod stretch;
mod tail;
#[cfg(test)]
mod testing;
mod unpackers;
mod vdi;
mod vhdx;
mod view;
mod vmdk;
mod vpc;
mod zeros;

pub use detect::{
    Candidates, FORMATS, Is, LOOKED_AT, Match, Trailer, candidates, detect, taken, trailer,
};
pub use disk::{Disk, MappedDisk, Place, RawDisk, Run};
pub use tail::begin_with;
#[cfg(feature = "net")]
pub use view::RemoteView;
pub use view::too_large;
pub use view::{
    CachedView, Feed, FileView, Got, Halt, ImageView, Missing, Reach, Reopen, Store, StreamView,
};
#[doc(hidden)]
pub use view::{MemoryFeed, MemoryImage};
pub use vmdk::{Content, Flat, Part, Parts, parts};
pub use vpc::Footer;

use crate::facts::{DiskFormat, Left, Notebook};

/// What an examiner learned of a container.
pub struct Examined {
    /// Size of the disk in bytes.
    pub virtual_size: u64,
    /// Properties worth showing, as short words: `version 3`, `64 KiB clusters`.
    pub traits: Vec<String>,
    /// How far the image has to reach for everything that its headers point at.
    pub reach: Reach,
    /// Where on the image the disk's sectors are.
    pub layout: Box<dyn Layout>,
}

/// Translates offsets of the disk into places of the image, for one image.
pub trait Layout: Send {
    /// Size of the disk in bytes.
    fn virtual_size(&self) -> u64;

    /// The place of the disk's byte `guest`, which is below the virtual size, and for how many bytes
    /// it holds. A table that is broken on the way is written down and is [`Missing::Broken`].
    ///
    /// # Errors
    /// If the image cannot be read further.
    fn locate(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        guest: u64,
    ) -> Result<Run, Halt>;

    /// Bytes of the disk for which its tables have one entry, or fewer.
    fn unit(&self) -> u64 {
        1 << 20
    }

    /// Whether any of the disk is packed; `None` if that is not known, because the tables that would say
    /// so were not all read.
    fn has_packed(&self) -> Option<bool> {
        Some(false)
    }

    /// Whether the walk over a stream has unpacked all that is packed of the disk, or why not. `None` if
    /// it did not try, because the view is at hand for it afterwards, or the disk is not in this image.
    fn unpacked(&self) -> Option<Result<(), Left>> {
        None
    }

    /// On how many threads a walk over a stream unpacks what is packed; by default on that of the caller.
    fn unpack_on(&mut self, _threads: usize) {}

    /// Reads every allocation table, in ascending image offset as far as the layout of the image
    /// allows, and writes down what points past the end, overlaps or contradicts itself. How far the
    /// image has to reach for it goes into `reach`; where the parts of the disk are that will be
    /// `wanted` is told to the view, so that a stream keeps them.
    ///
    /// # Errors
    /// If the image cannot be read further.
    fn walk(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        wanted: &Wanted,
        reach: &mut Reach,
    ) -> Result<Walked, Halt>;
}

/// How far a walk over the allocation tables got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// Every table was read.
    Whole,
    /// Some were not, for this reason.
    Partial(Left),
}

/// Parts of the disk that somebody reads after the walk: ranges of disk offsets.
#[derive(Clone, Debug, Default)]
pub struct Wanted(pub Vec<std::ops::Range<u64>>);

impl Wanted {
    /// Asks the view to keep what is wanted of the `len` bytes of the disk from `guest` on, which are
    /// stored as they are from image offset `at` on.
    fn keep(&self, view: &mut dyn ImageView, guest: u64, len: u64, at: u64) {
        for range in &self.0 {
            let start = range.start.max(guest);
            let end = range.end.min(guest.saturating_add(len));
            if start < end {
                view.keep(at.saturating_add(start - guest), end - start);
            }
        }
    }

    /// Whether any of the `len` bytes of the disk from `guest` on is wanted.
    fn touches(&self, guest: u64, len: u64) -> bool {
        self.0.iter().any(|range| range.start < guest.saturating_add(len) && guest < range.end)
    }
}

/// Reads the structures of a part of a VMDK, a sparse extent that has to hold so many sectors of the disk; the last one may
/// have them rounded up to a grain, and has its own size then. `None` as for [`examine`].
///
/// # Errors
/// If the part cannot be read further.
pub fn examine_part(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    sectors: u64,
    last: bool,
) -> Result<Option<Examined>, Halt> {
    vmdk::examine_part(view, notebook, sectors, last)
}

/// Reads the structures of a container from its beginning. `None` if they are too broken to say
/// where anything is; then the notebook has the reason.
///
/// # Errors
/// If the image cannot be read further.
pub fn examine(
    format: DiskFormat,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Examined>, Halt> {
    match format {
        DiskFormat::Qcow2 => qcow2::examine(view, notebook),
        DiskFormat::Vhdx => vhdx::examine(view, notebook),
        DiskFormat::Vdi => vdi::examine(view, notebook),
        DiskFormat::Vmdk => vmdk::examine(view, notebook),
        // Nobody imports these: the disk is taken out of them.
        DiskFormat::Vpc => vpc::examine(view, notebook),
        DiskFormat::Qcow => qcow::examine(view, notebook),
        _ => Ok(None),
    }
}
