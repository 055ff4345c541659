use std::collections::BTreeMap;

use super::header::Header;
use super::walk;
use crate::facts::{Code, Notebook};
use crate::formats::{Halt, ImageView, Layout, Missing, Place, Reach, Run, Walked, Wanted};

/// Bytes of an entry of the block map.
pub(super) const ENTRY_LENGTH: u64 = 4;

/// Entries of blocks that are not stored: never written, or discarded.
const FREE: u32 = 0xffff_ffff;
const DISCARDED: u32 = 0xffff_fffe;

/// The way from a byte of the disk to its block: one entry of the block map.
pub(super) struct Blocks {
    pub(super) header: Header,
    /// Entries that lead to wanted parts of the disk, by the number of their block on the disk.
    pub(super) remembered: BTreeMap<u64, u32>,
    /// Every entry was judged, so what is wrong with one is in the notebook already.
    pub(super) walked: bool,
}

impl Blocks {
    pub(super) fn new(header: Header) -> Self {
        Blocks { header, remembered: BTreeMap::new(), walked: false }
    }
}

/// Whether an entry leads to a block.
pub(super) fn stored(entry: u32) -> bool {
    !matches!(entry, FREE | DISCARDED)
}

/// Writers begin block map and data at multiples of this or less.
const ALIGNMENT: u64 = 1 << 20;

impl Header {
    /// Bytes that an image of this disk has at most.
    pub(super) fn most(&self) -> u64 {
        let map = u64::from(self.blocks) * ENTRY_LENGTH;
        let before_data = (self.end.next_multiple_of(ALIGNMENT) + map).next_multiple_of(ALIGNMENT);
        before_data.saturating_add(u64::from(self.blocks).saturating_mul(self.block_size))
    }

    /// Image offset of a stored block. Fields of 32 bits: it cannot overflow.
    pub(super) fn block_at(&self, entry: u32) -> u64 {
        self.data_at + u64::from(entry) * self.block_size
    }

    /// What an entry says that is past the last block.
    pub(super) fn no_such_block(&self, entry: u32, guest: u64) -> String {
        format!(
            "The disk's byte {guest} is in stored block {entry}, but the image has only {} blocks.",
            self.blocks
        )
    }
}

impl Layout for Blocks {
    fn virtual_size(&self) -> u64 {
        self.header.size
    }

    fn locate(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        guest: u64,
    ) -> Result<Run, Halt> {
        let header = &self.header;
        let in_block = guest % header.block_size;
        let len = header.block_size - in_block;
        let broken = Run { len, place: Place::Missing(Missing::Broken) };

        // Within the map, which `tables` checked: guest is below the size that it covers.
        let block = guest / header.block_size;
        let entry_at = header.map_at + block * ENTRY_LENGTH;
        let entry = match self.remembered.get(&block) {
            Some(&entry) => entry,
            None => {
                let mut bytes = [0; ENTRY_LENGTH as usize];
                if !view.need(entry_at, &mut bytes, notebook, "a block map entry")? {
                    return Ok(broken);
                }
                u32::from_le_bytes(bytes)
            }
        };
        if !stored(entry) {
            let place = if entry == DISCARDED { Place::Zeros } else { Place::Unallocated };
            return Ok(Run { len, place });
        }
        if entry >= header.blocks {
            if !self.walked {
                let said = header.no_such_block(entry, guest);
                notebook.image(Code::VdiBlockMapEntryInvalid, entry_at, said);
            }
            return Ok(broken);
        }
        Ok(Run { len, place: Place::Stored(header.block_at(entry) + in_block) })
    }

    fn walk(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        wanted: &Wanted,
        reach: &mut Reach,
    ) -> Result<Walked, Halt> {
        let walked = walk::walk(self, view, notebook, wanted, reach)?;
        self.walked = walked == Walked::Whole;
        Ok(walked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::examine::{self, tests::sample};
    use super::*;
    use crate::formats::testing::MemoryView;

    #[test]
    fn what_was_discarded_is_zeros_and_what_was_never_written_is_not() {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryView::new(sample());
        let mut layout = examine::examine(&mut view, &notebook).unwrap().unwrap().layout;
        let places = [Place::Unallocated, Place::Stored(1024), Place::Zeros];
        for (block, place) in (0..).zip(places) {
            let run = layout.locate(&mut view, &notebook, block << 20).unwrap();
            assert_eq!(run, Run { len: 1 << 20, place });
        }
    }
}
