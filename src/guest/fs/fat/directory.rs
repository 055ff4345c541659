//! Directories: entries of 32 bytes.

use super::super::fields::{le16, le32};
use super::super::{Trouble, Why};
use super::Fat;
use super::layout::Root;
use super::names::{Long, short};

/// Bytes of an entry.
pub(super) const ENTRY: usize = 32;

/// Entries that a directory has at most.
const MOST: u64 = 1 << 16;

/// Bytes that are read at once.
const PIECE: usize = 512;

/// The first byte of an entry: there are no more, and it was deleted.
const END: u8 = 0;
const DELETED: u8 = 0xe5;

/// Attributes.
const READ_ONLY: u8 = 1;
const LABEL: u8 = 8;
const DIRECTORY: u8 = 0x10;
const LONG: u8 = 0xf;

/// What an entry says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    attributes: u8,
    /// The first cluster; 0 if there is none.
    pub(super) first: u32,
    pub(super) size: u32,
}

impl Entry {
    pub(super) fn parse(raw: &[u8; ENTRY], is_fat32: bool) -> Self {
        let high = if is_fat32 { u32::from(le16(raw, 20)) << 16 } else { 0 };
        let first = high | u32::from(le16(raw, 26));
        Entry { attributes: raw[11], first, size: le32(raw, 28) }
    }

    /// The root, which has none.
    pub(super) fn root() -> Self {
        Entry { attributes: DIRECTORY, first: 0, size: 0 }
    }

    pub(super) fn is_directory(self) -> bool {
        self.attributes & DIRECTORY != 0
    }

    pub(super) fn is_read_only(self) -> bool {
        self.attributes & READ_ONLY != 0
    }
}

/// Takes a name, the short name, and the byte offset of the entry; says whether to go on.
pub(super) type Each<'e> = dyn FnMut(&[u8], &[u8], u64) -> bool + 'e;

impl Fat<'_> {
    /// Calls `each` with the entries of a directory until it returns false.
    pub(super) fn entries(&mut self, directory: Root, each: &mut Each<'_>) -> Result<(), Trouble> {
        let mut long = Long::default();
        let mut at = 0;
        while let Some(place) = self.piece(directory, at)? {
            let piece = self.area.array::<PIECE>(place)?;
            self.area.spend(PIECE as u64 / ENTRY as u64)?;
            let (entries, _) = piece.as_chunks::<ENTRY>();
            for (index, raw) in entries.iter().enumerate() {
                let attributes = raw[11];
                match raw[0] {
                    END => return Ok(()),
                    DELETED => long = Long::default(),
                    _ if attributes & 0x3f == LONG => long.part(raw),
                    _ if attributes & LABEL != 0 => long = Long::default(),
                    _ => {
                        let (whole, short) = (long.end(raw), short(raw));
                        if short == b"." || short == b".." {
                            continue;
                        }
                        let place = place + (index * ENTRY) as u64;
                        if short.is_empty() || short.iter().any(|byte| matches!(byte, 0 | b'/')) {
                            let said = format!("the entry at byte {place} has no name");
                            return Err(Why::damaged(said));
                        }
                        if !each(whole.as_deref().unwrap_or(&short), &short, place) {
                            return Ok(());
                        }
                    }
                }
            }
            at += PIECE as u64;
        }
        Ok(())
    }

    /// Where a piece of a directory is, by its offset; `None` at its end.
    fn piece(&mut self, directory: Root, at: u64) -> Result<Option<u64>, Trouble> {
        match directory {
            Root::Fixed(start, size) => Ok((at < size).then_some(start + at)),
            Root::Chain(_) if at >= MOST * ENTRY as u64 => {
                Err(Why::damaged(format!("a directory has more than {MOST} entries")))
            }
            Root::Chain(first) => {
                let size = self.layout.cluster_size;
                let cluster = self.table.nth(&self.area, first, at / size)?;
                Ok(cluster.map(|cluster| self.layout.place(cluster) + at % size))
            }
        }
    }
}
