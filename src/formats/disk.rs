//! The virtual disk: sectors by guest offset, whatever container they are in.

use std::ops::Range;

use super::ahead::Ahead;
use super::packed::{LARGEST, LONGEST, Unpacker, judge, too_few};
use super::view::truncated;
use super::{Got, Halt, ImageView, Layout, Missing};
use crate::facts::{Code, Notebook};

/// Reads a virtual disk.
pub trait Disk {
    /// Fills `buf` from disk offset `at`; less only at the end of the disk.
    ///
    /// # Errors
    /// If the image cannot be read further.
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt>;

    /// Where the disk's byte `at` is, and for how many bytes that holds: at least one, and none past
    /// the end of the disk. What the tables place past the end of the image is missing, so the
    /// size of the image is asked for.
    ///
    /// # Errors
    /// If the image cannot be read further.
    fn run(&mut self, at: u64) -> Result<Run, Halt>;

    /// For how many bytes from its beginning on a run is nothing but zeros, as is known without reading them.
    fn zeros(&mut self, run: &Run) -> u64 {
        if run.place.reads_as_zeros() { run.len } else { 0 }
    }

    /// Size of the disk in bytes; of a raw stream it is known only at its end, and not at all in a
    /// quick check.
    ///
    /// # Errors
    /// If the image cannot be read to its end.
    fn size(&mut self) -> Result<Option<u64>, Halt>;

    /// Asks to keep a range that is read later, where the disk only comes by. That of a container does so by
    /// what is [`Wanted`](super::Wanted) of it.
    fn keep(&mut self, _at: u64, _len: u64) {}
}

/// Where a run of the disk is, from a byte of the disk on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Bytes of the disk for which `place` holds; never zero.
    pub len: u64,
    /// Where they are.
    pub place: Place,
}

/// Where bytes of the disk are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: nothing was ever written there, and they read as zeros.
    Unallocated,
    /// Nowhere: it is said that they are zeros.
    Zeros,
    /// As they are, from this image offset on.
    Stored(u64),
    /// In a packed cluster or grain.
    Packed(Packed),
    /// Unknown.
    Missing(Missing),
}

impl Run {
    /// What is left of it behind its first `skip` bytes, which are fewer than it has.
    pub(super) fn behind(&self, skip: u64) -> Run {
        let place = match self.place.clone() {
            Place::Stored(at) => Place::Stored(at.saturating_add(skip)),
            Place::Packed(packed) => {
                Place::Packed(Packed { skip: packed.skip.saturating_add(skip), ..packed })
            }
            place => place,
        };
        Run { len: self.len.saturating_sub(skip).max(1), place }
    }
}

impl Place {
    /// Whether the bytes are zeros without being read.
    #[must_use]
    pub fn reads_as_zeros(&self) -> bool {
        matches!(self, Place::Unallocated | Place::Zeros)
    }
}

/// A packed cluster or grain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Image offset of its first byte.
    pub at: u64,
    /// Bytes that it takes at most.
    pub len: u64,
    /// Bytes of it, unpacked, that lie before the run.
    pub skip: u64,
    /// Bytes of a whole cluster or grain.
    pub whole: u64,
    /// How it is packed.
    pub method: Method,
    /// Which anomaly it is if it cannot be unpacked.
    pub damaged: Code,
    /// Which anomaly it is if it unpacks to all of the cluster, but does not end there; `None` if it is damaged then.
    pub unended: Option<Code>,
}

impl Packed {
    /// Its image offset and length.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.at, self.len)
    }

    /// Image offset behind it.
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.len)
    }

    /// Bytes that are read of it.
    pub(super) fn longest(&self) -> usize {
        (self.len as usize).min(LONGEST)
    }

    /// Bytes that it unpacks to at most.
    pub(super) fn largest(&self) -> usize {
        (self.whole as usize).min(LARGEST)
    }

    /// Whether the `have` bytes that it unpacked to are at least so many; if not, that is written down.
    pub(super) fn has_enough(&self, have: usize, least: u64, notebook: &Notebook<'_>) -> bool {
        let enough = have as u64 >= least;
        if !enough {
            self.note(notebook, self.damaged, &too_few(have));
        }
        enough
    }

    /// Writes down what is wrong with it; `said` follows "The packed data at byte …".
    pub(super) fn note(&self, notebook: &Notebook<'_>, code: Code, said: &str) {
        let said = format!("The packed data at byte {} {said}", self.at);
        notebook.image(code, self.at, said);
    }
}

/// How a cluster or grain is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Deflate without a wrapper (qcow2).
    Deflate,
    /// Deflate in a zlib wrapper (VMDK).
    Zlib,
    /// One Zstandard frame (qcow2).
    Zstd,
}

/// A raw image: the disk is the image.
pub struct RawDisk<'v> {
    view: &'v mut dyn ImageView,
}

impl<'v> RawDisk<'v> {
    /// The disk that the view shows.
    pub fn new(view: &'v mut dyn ImageView) -> Self {
        RawDisk { view }
    }
}

impl Disk for RawDisk<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        self.view.read_at(at, buf)
    }

    fn run(&mut self, at: u64) -> Result<Run, Halt> {
        let left = self.view.size()?.map_or(u64::MAX, |size| size.saturating_sub(at));
        let (len, hole) = self.view.hole(at);
        let place = if hole { Place::Zeros } else { Place::Stored(at) };
        Ok(Run { len: len.min(left).max(1), place })
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        self.view.size()
    }

    fn keep(&mut self, at: u64, len: u64) {
        self.view.keep(at, len);
    }
}

/// A disk in a container.
pub struct MappedDisk<'v> {
    view: &'v mut dyn ImageView,
    layout: &'v mut dyn Layout,
    notebook: &'v Notebook<'v>,
    /// Unpacks, and holds the cluster that was unpacked last.
    unpacker: Unpacker,
    /// Its image offset and length.
    unpacked: Option<(u64, u64)>,
    /// Unpacks what comes next, on threads.
    ahead: Option<Ahead>,
    /// The hole of the image that was found last.
    hole: Range<u64>,
    /// Image offset up to which holes were looked for.
    looked: u64,
}

impl<'v> MappedDisk<'v> {
    /// The disk that `layout` finds in the image that `view` shows.
    pub fn new(
        view: &'v mut dyn ImageView,
        layout: &'v mut dyn Layout,
        notebook: &'v Notebook<'v>,
    ) -> Self {
        let unpacker = Unpacker::default();
        let (unpacked, ahead, hole, looked) = (None, None, 0..0, 0);
        MappedDisk { view, layout, notebook, unpacker, unpacked, ahead, hole, looked }
    }

    /// The same, for whoever reads it from its beginning to its end: what is packed is unpacked ahead on so many threads.
    /// The view has to be one that can go back.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.ahead = (threads > 1).then(|| Ahead::new(threads));
        self
    }

    /// Loses its threads but for some, which panic.
    #[cfg(test)]
    pub(super) fn lose_threads(&mut self, left: usize) {
        self.ahead.iter_mut().for_each(|ahead| ahead.lose_threads(left));
    }

    /// Where the disk's byte `guest` is.
    fn locate(&mut self, guest: u64) -> Result<Run, Halt> {
        if let Some(run) = self.ahead.as_mut().and_then(|ahead| ahead.run(guest)) {
            return Ok(run);
        }
        self.layout.locate(self.view, self.notebook, guest)
    }

    /// Unpacks all that is packed and writes down what cannot be, in the order of the disk, up to what
    /// settles the verdict. `seen` is told how many bytes of the disk are done. Why a part is missing,
    /// if one is.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub fn unpack_all(&mut self, mut seen: impl FnMut(u64)) -> Result<Option<Missing>, Halt> {
        let size = self.layout.virtual_size();
        let (mut at, mut missing) = (0, None);
        while at < size && !self.notebook.doomed() {
            let run = self.run(at)?;
            match run.place {
                Place::Packed(packed) => missing = self.unpacked(&packed, at, run.len)?.or(missing),
                Place::Missing(why) => missing = Some(why),
                Place::Unallocated | Place::Zeros | Place::Stored(_) => {}
            }
            at = at.saturating_add(run.len);
            seen(at.min(size));
        }
        Ok(missing)
    }

    /// Reads the part of a run that `buf` wants.
    fn read_place(
        &mut self,
        place: Place,
        guest: u64,
        buf: &mut [u8],
    ) -> Result<Option<Missing>, Halt> {
        match place {
            Place::Unallocated | Place::Zeros => buf.fill(0),
            Place::Missing(missing) => return Ok(Some(missing)),
            Place::Stored(at) => match self.view.read_at(at, buf)? {
                Got::Bytes(count) if count == buf.len() => {}
                Got::Missing(missing) => return Ok(Some(missing)),
                Got::Bytes(_) => {
                    let what = format!("the disk's byte {guest}");
                    self.view.need(at, buf, self.notebook, &what)?;
                    return Ok(Some(Missing::Broken));
                }
            },
            Place::Packed(packed) => {
                if let Some(missing) = self.unpacked(&packed, guest, buf.len() as u64)? {
                    return Ok(Some(missing));
                }
                let skip = packed.skip as usize;
                let Some(bytes) = self.unpacker.bytes.get(skip..skip + buf.len()) else {
                    return Ok(Some(Missing::Broken));
                };
                buf.copy_from_slice(bytes);
            }
        }
        Ok(None)
    }

    /// The run as far as it is in the image: a part that lies past the end is missing.
    fn within_image(&mut self, guest: u64, run: Run) -> Result<Run, Halt> {
        let (at, end) = match &run.place {
            Place::Stored(at) => (*at, at.saturating_add(run.len)),
            Place::Packed(packed) => (packed.at, packed.end()),
            Place::Unallocated | Place::Zeros | Place::Missing(_) => return Ok(run),
        };
        let size = self.view.size()?.unwrap_or(u64::MAX);
        if end <= size {
            return Ok(run);
        }
        let missing = match &run.place {
            // What lies past the end may be more than the packed data needs.
            Place::Packed(packed) => self.unpacked(packed, guest, run.len)?,
            _ if at < size => return Ok(Run { len: size - at, ..run }),
            _ => {
                truncated(self.notebook, &format!("the disk's byte {guest}"), end, size);
                Some(Missing::Broken)
            }
        };
        Ok(match missing {
            Some(missing) => Run { len: run.len, place: Place::Missing(missing) },
            None => run,
        })
    }

    /// Makes the unpacker hold the packed cluster of the disk's byte `guest`, of which `len` bytes from its `skip` on are
    /// wanted; or writes down why that cannot be.
    fn unpacked(&mut self, packed: &Packed, guest: u64, len: u64) -> Result<Option<Missing>, Halt> {
        let place = packed.place();
        if self.unpacked != Some(place) {
            self.unpacked = None;
            if let Some(missing) = self.unpack(packed, guest, len)? {
                return Ok(Some(missing));
            }
            self.unpacked = Some(place);
        }
        let least = packed.skip.saturating_add(len);
        let enough = packed.has_enough(self.unpacker.bytes.len(), least, self.notebook);
        Ok((!enough).then_some(Missing::Broken))
    }

    /// Unpacks it, or takes it from whoever did.
    fn unpack(&mut self, packed: &Packed, guest: u64, len: u64) -> Result<Option<Missing>, Halt> {
        if let Some(ahead) = &mut self.ahead {
            let early = ahead.take(guest);
            ahead.look(self.view, self.layout, self.notebook, (packed, guest.saturating_add(len)));
            if let Some(mut piece) = early {
                std::mem::swap(&mut self.unpacker.bytes, &mut piece.bytes);
                ahead.give_back(piece.bytes);
                return Ok(judge(packed, piece.outcome, None, self.notebook));
            }
        }
        self.unpacker.read(self.view, self.notebook, packed)
    }
}

impl Disk for MappedDisk<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        let left = self.layout.virtual_size().saturating_sub(at);
        let want = left.min(buf.len() as u64) as usize;
        let mut have = 0;
        while have < want {
            let guest = at + have as u64;
            let run = self.locate(guest)?;
            let len = run.len.clamp(1, (want - have) as u64) as usize;
            if let Some(missing) = self.read_place(run.place, guest, &mut buf[have..have + len])? {
                return Ok(Got::Missing(missing));
            }
            have += len;
        }
        Ok(Got::Bytes(want))
    }

    fn run(&mut self, at: u64) -> Result<Run, Halt> {
        let left = self.layout.virtual_size().saturating_sub(at);
        let run = self.locate(at)?;
        self.within_image(at, Run { len: run.len.min(left).max(1), ..run })
    }

    fn zeros(&mut self, run: &Run) -> u64 {
        let Place::Stored(at) = run.place else {
            return if run.place.reads_as_zeros() { run.len } else { 0 };
        };
        // A hole is looked through to its end. Whoever leads back and forth in it has it read instead.
        if at >= self.looked {
            let (len, is_hole) = self.view.hole(at);
            self.looked = at.saturating_add(len);
            self.hole = if is_hole { at..self.looked } else { 0..0 };
        }
        if self.hole.contains(&at) { run.len.min(self.hole.end - at) } else { 0 }
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(self.layout.virtual_size()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Reach, Walked, Wanted};

    /// Holes of 1000 bytes behind as many of data, in turn; how often somebody asked.
    struct Holes(u32);

    impl ImageView for Holes {
        fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<Got, Halt> {
            Ok(Got::Bytes(0))
        }

        fn size(&mut self) -> Result<Option<u64>, Halt> {
            Ok(Some(1 << 20))
        }

        fn hole(&mut self, at: u64) -> (u64, bool) {
            self.0 += 1;
            (1000 - at % 1000, at / 1000 % 2 == 1)
        }
    }

    struct Nothing;

    impl Layout for Nothing {
        fn virtual_size(&self) -> u64 {
            1 << 20
        }

        fn locate(&mut self, _: &mut dyn ImageView, _: &Notebook<'_>, _: u64) -> Result<Run, Halt> {
            Ok(Run { len: 1, place: Place::Zeros })
        }

        fn walk(
            &mut self,
            _: &mut dyn ImageView,
            _: &Notebook<'_>,
            _: &Wanted,
            _: &mut Reach,
        ) -> Result<Walked, Halt> {
            Ok(Walked::Whole)
        }
    }

    #[test]
    fn what_is_stored_in_a_hole_is_zeros_and_each_hole_is_looked_at_once() {
        let (mut view, mut layout) = (Holes(0), Nothing);
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut disk = MappedDisk::new(&mut view, &mut layout, &notebook);
        let mut zeros = |place, len| disk.zeros(&Run { len, place });
        assert_eq!(zeros(Place::Stored(0), 5000), 0);
        assert_eq!(zeros(Place::Stored(1000), 5000), 1000);
        assert_eq!(zeros(Place::Stored(1200), 300), 300);
        assert_eq!(zeros(Place::Stored(1999), 300), 1);
        assert_eq!(zeros(Place::Stored(3500), 300), 300);
        // What lies before the last one is read.
        assert_eq!(zeros(Place::Stored(1200), 300), 0);
        assert_eq!(zeros(Place::Zeros, 7), 7);
        assert_eq!(zeros(Place::Unallocated, 7), 7);
        assert_eq!(zeros(Place::Missing(Missing::Broken), 7), 0);
        drop(disk);
        assert_eq!(view.0, 3);
    }
}
