use super::header::Header;
use crate::facts::{Code, Notebook};
use crate::formats::{Halt, ImageView, Layout, Missing, Place, Run};

/// Entries of blocks that are not stored: never written, or discarded.
const FREE: u32 = 0xffff_ffff;
const DISCARDED: u32 = 0xffff_fffe;

/// The way from a byte of the disk to its block: one entry of the block map.
pub(super) struct Blocks {
    pub(super) header: Header,
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
        let entry_at = header.map_at + guest / header.block_size * 4;
        let mut bytes = [0; 4];
        if !view.need(entry_at, &mut bytes, notebook, "a block map entry")? {
            return Ok(broken);
        }
        let entry = u32::from_le_bytes(bytes);
        if matches!(entry, FREE | DISCARDED) {
            return Ok(Run { len, place: Place::Zeros });
        }
        if entry >= header.blocks {
            notebook.image(Code::VdiBlockMapEntryInvalid, entry_at, format!(
                "The disk's byte {guest} is in stored block {entry}, but the image has only {} blocks.",
                header.blocks));
            return Ok(broken);
        }
        // Below 2^29 blocks of 2^31 bytes.
        let at = header.data_at + u64::from(entry) * header.block_size + in_block;
        Ok(Run { len, place: Place::Stored(at) })
    }
}
