use std::ffi::OsStr;
use std::sync::Arc;

use super::pipeline::{Origin, Pipeline};
use super::report::Report;
use super::{Deaf, Options};
use crate::bytes::{Pool, Segment};
use crate::facts::{Compression, DiskFormat, Notebook};
use crate::source::{self, Read};

/// What the first bytes of a file say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recognised {
    /// How it is packed.
    pub compression: Compression,
    /// What the image is; `None` if there are too few bytes to tell.
    pub disk_format: Option<DiskFormat>,
    /// Whether the disk begins with a partition table.
    pub partitioned: bool,
    /// Whether they are enough to refuse it.
    pub refused: bool,
}

/// Tells by its first bytes what a file is: by all of them if they are the `whole` file. A MiB is plenty; of
/// fewer it tells what they allow.
#[must_use]
pub fn recognise(first: &[u8], whole: bool, options: &Options) -> Recognised {
    let options = Options { quick: true, expected: Vec::new(), ..options.clone() };
    let mut report = Report::new(OsStr::new("-"), &options);
    let settles = |code| !options.keep_going && options.policy.refuses(code);
    let notebook = Notebook::new(&settles, options.limit);
    let pipeline = Pipeline { options: &options, listener: &Deaf, tap: None, notebook: &notebook };
    let beginning = Beginning { whole, ..Beginning::of(first) };
    // Bytes in memory can be read.
    let _ = pipeline.streamed(beginning, Origin::Gone, &mut report);
    Recognised {
        compression: report.compression.unwrap_or(Compression::None),
        disk_format: report.disk_format,
        partitioned: report
            .partition_table
            .is_some_and(|table| table.scheme != crate::guest::Scheme::None),
        refused: notebook.doomed(),
    }
}

/// The beginning of a file, of which the rest has not come.
pub(super) struct Beginning<'b> {
    bytes: Option<&'b [u8]>,
    whole: bool,
}

impl<'b> Beginning<'b> {
    pub(super) fn of(bytes: &'b [u8]) -> Self {
        Beginning { bytes: Some(bytes), whole: false }
    }
}

impl Read for Beginning<'_> {
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, source::Error> {
        let Some(bytes) = self.bytes.take() else { return Ok(None) };
        let mut chunk = pool.take();
        let space = chunk.space();
        let (now, later) = bytes.split_at(bytes.len().min(space.len()));
        space[..now.len()].copy_from_slice(now);
        chunk.grow(now.len());
        self.bytes = (!later.is_empty()).then_some(later);
        Ok(Some(Segment::Data(Arc::new(chunk))))
    }

    fn is_whole(&self) -> bool {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        let options = Options::default();
        let recognised = |first: &[u8], whole| {
            let found = recognise(first, whole, &options);
            assert_eq!(found.partitioned, !found.refused);
            (found.compression, found.disk_format, found.refused)
        };
        let mut raw = vec![0; 1 << 20];
        raw[510] = 0x55;
        raw[511] = 0xaa;
        raw[446 + 4] = 0x83;
        raw[446 + 9] = 8;
        raw[446 + 12] = 8;
        assert_eq!(recognised(&raw, false), (Compression::None, Some(DiskFormat::Raw), false));
        let xz = recognised(b"\xfd7zXZ\0\0\x04", true);
        assert_eq!((xz.0, xz.2), (Compression::Xz, true));
        let mut elf = vec![1; 64 << 10];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        assert!(recognised(&elf, false).2);
    }
}
