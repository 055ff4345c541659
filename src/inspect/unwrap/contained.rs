//! The bytes of a disk, from the first to the last, out of the files that hold it.

use std::collections::VecDeque;
use std::ops::Deref;

use super::layers::{Failure, Pull};
use crate::bytes::Hostile;
use crate::codec::Damage;
use crate::facts::{Anomaly, Code, Layer, Notebook};
use crate::formats::{
    CachedView, Disk as _, FileView, Got, Halt, ImageView, Layout, MappedDisk, MemoryImage,
};
use crate::source::LocalFile;

/// A file that can be read at any offset.
pub(super) enum Held<'a> {
    Borrowed(&'a LocalFile),
    Own(LocalFile),
}

impl Deref for Held<'_> {
    type Target = LocalFile;

    fn deref(&self) -> &LocalFile {
        match self {
            Held::Borrowed(file) => file,
            Held::Own(file) => file,
        }
    }
}

/// A part of a disk, or all of it.
pub(super) struct Piece<'a> {
    /// The file that has it. Zeros have none.
    pub(super) file: Option<Held<'a>>,
    pub(super) layout: Box<dyn Layout>,
    pub(super) whose: Whose,
}

/// Whose fault it is if a part of the disk cannot be read.
#[derive(Clone)]
pub(super) enum Whose {
    /// That of the wrapping with this number.
    Wrapping(usize),
    /// That of a file of this name, which lies beside the one that was opened.
    Part(Hostile),
}

impl Whose {
    /// The finding as one about the file that was opened.
    pub(super) fn told(&self, found: Anomaly) -> Anomaly {
        match self {
            Whose::Wrapping(level) => {
                // Offsets are those of the file, which is the outermost.
                let offset = found.offset.filter(|_| *level == 0);
                Anomaly { layer: Layer::File, offset, ..found }
            }
            Whose::Part(name) => {
                let place = found.offset.map(|at| format!(", at byte {at}")).unwrap_or_default();
                let said = format!("{name}{place}: {}", found.said);
                Anomaly { layer: Layer::File, offset: None, said, ..found }
            }
        }
    }

    /// The failure that this is.
    pub(super) fn failed(&self, found: Anomaly) -> Failure {
        match self {
            Whose::Wrapping(level) => {
                let (code, offset) = (found.code, found.offset.unwrap_or_default());
                let damage = Damage { code, offset, said: found.said };
                Failure::Wrapping { level: *level, damage }
            }
            Whose::Part(_) => Failure::Part(self.told(found)),
        }
    }

    /// Why the disk cannot be read further.
    pub(super) fn failure(&self, halt: Option<Halt>, notebook: Notebook<'_>) -> Failure {
        if let Some(Halt::Source(error)) = halt {
            return Failure::Source(error);
        }
        // That the format is not taken is why the disk is taken out.
        let refused =
            |code| matches!(code, Code::FormatVpc | Code::FormatQcow1 | Code::FormatVmdkDescriptor);
        let first = notebook.close().into_iter().find(|anomaly| !refused(anomaly.code));
        self.failed(first.unwrap_or_else(|| Anomaly {
            code: Code::StructureUnexaminable,
            layer: Layer::File,
            offset: None,
            spot: None,
            said: "The disk cannot be read.".to_owned(),
        }))
    }
}

/// The disk in one file, or in several one after the other.
pub(super) struct Contained<'a> {
    pieces: VecDeque<Piece<'a>>,
    /// Bytes of the first piece that are done.
    at: u64,
}

impl<'a> Contained<'a> {
    pub(super) fn new(pieces: Vec<Piece<'a>>) -> Self {
        Contained { pieces: pieces.into(), at: 0 }
    }
}

fn never(_: Code) -> bool {
    false
}

/// A notebook in which nothing is settled, and no file is too large: what comes out is held against the limit.
pub(super) fn notebook() -> Notebook<'static> {
    limited(u64::MAX)
}

/// The same for what says how large the disk is: no table is read of a disk that is too large.
pub(super) fn limited(limit: u64) -> Notebook<'static> {
    Notebook::new(&never, limit)
}

impl Piece<'_> {
    /// The name of the file that has it, if that lies beside the one that was opened.
    pub(super) fn name(&self) -> Option<&Hostile> {
        match &self.whose {
            Whose::Part(name) => Some(name),
            Whose::Wrapping(_) => None,
        }
    }

    /// Fills a part of `buf` from its byte `at`; 0 at its end.
    fn read(&mut self, at: u64, buf: &mut [u8]) -> Result<usize, Failure> {
        let notebook = notebook();
        let found = match &self.file {
            Some(file) => {
                let view = &mut FileView::new(file, &notebook);
                filled(view, &mut *self.layout, &notebook, at, buf)
            }
            None => {
                let view = &mut MemoryImage::from(&[][..]);
                filled(view, &mut *self.layout, &notebook, at, buf)
            }
        };
        match found {
            Ok(Some(count)) => Ok(count),
            Ok(None) => Err(self.whose.failure(None, notebook)),
            Err(halt) => Err(self.whose.failure(Some(halt), notebook)),
        }
    }

    /// Makes sure of a part that was read to its end that it is the file that was opened. The outermost file is looked at
    /// by whoever opened it.
    fn verify_unchanged(&self) -> Result<(), Failure> {
        match (&self.whose, &self.file) {
            (Whose::Part(_), Some(file)) => file.verify_unchanged().map_err(Failure::Source),
            _ => Ok(()),
        }
    }
}

/// Fills `buf` from the disk's byte `at`, less only at its end; `None` if it cannot be read.
fn filled(
    view: &mut dyn ImageView,
    layout: &mut dyn Layout,
    notebook: &Notebook<'_>,
    at: u64,
    buf: &mut [u8],
) -> Result<Option<usize>, Halt> {
    let size = layout.virtual_size();
    let mut cached = CachedView::new(view);
    let mut disk = MappedDisk::new(&mut cached, layout, notebook);
    let mut have = 0;
    while have < buf.len() && at + (have as u64) < size {
        let from = at + have as u64;
        let run = disk.run(from)?;
        // At most the length of the buffer.
        let count = run.len.min((buf.len() - have) as u64) as usize;
        let part = &mut buf[have..have + count];
        if run.place.reads_as_zeros() {
            part.fill(0);
        } else if disk.read_at(from, part)? != Got::Bytes(count) {
            return Ok(None);
        }
        have += count;
    }
    Ok(Some(have))
}

impl Pull for Contained<'_> {
    fn pull(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        while let Some(piece) = self.pieces.front_mut() {
            let count = piece.read(self.at, buf)?;
            if count > 0 {
                self.at += count as u64;
                return Ok(count);
            }
            piece.verify_unchanged()?;
            // What is known of its bytes goes with it, so that many parts take the memory of one.
            self.pieces.pop_front();
            self.at = 0;
        }
        Ok(0)
    }
}
