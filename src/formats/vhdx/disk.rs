use std::collections::BTreeMap;

use super::bat::{
    ENTRY_LENGTH, FULLY_PRESENT, Kept, LARGEST_BAT, NOT_PRESENT, OFFSET, PARTIALLY_PRESENT, STATE,
    UNDEFINED, UNMAPPED, UNMAPPED_BEFORE_1, ZERO,
};
use super::header::Span;
use super::metadata::Metadata;
use super::tables::{Regions, Taken};
use super::walk;
use crate::facts::{Code, Notebook};
use crate::formats::{Halt, ImageView, Layout, Missing, Place, Reach, Run, Walked, Wanted};

/// The way from a byte of the disk to its block: one BAT entry.
pub(super) struct Blocks {
    pub(super) metadata: Metadata,
    pub(super) bat: Span,
    /// Where no block can be, in order.
    pub(super) taken: Vec<Taken>,
    pub(super) kept: Kept,
    /// Entries that lead to wanted parts of the disk, by their offset in the BAT.
    pub(super) remembered: BTreeMap<u64, u64>,
    /// Every entry was judged, so what is wrong with one is in the notebook already.
    pub(super) walked: bool,
}

impl Blocks {
    /// Checks that the BAT can map the disk. `None` if it cannot.
    pub(super) fn new(
        metadata: Metadata,
        regions: Regions,
        kept: Kept,
        notebook: &Notebook<'_>,
    ) -> Option<Self> {
        let (bat, taken) = (regions.bat, regions.taken);
        let remembered = BTreeMap::new();
        let blocks = Blocks { metadata, bat, taken, kept, remembered, walked: false };
        if bat.len > LARGEST_BAT {
            notebook.image(
                Code::VhdxBatInvalid,
                bat.at,
                format!("The BAT has {} bytes; QEMU reads {LARGEST_BAT} at most.", bat.len),
            );
            return None;
        }
        let (count, entries) = (blocks.metadata.blocks(), blocks.entries());
        if entries * ENTRY_LENGTH > bat.len {
            notebook.image(Code::VhdxBatInvalid, bat.at, format!(
                "The BAT has {} bytes; the {count} blocks of the disk need {entries} entries of {ENTRY_LENGTH} bytes.",
                bat.len));
            return None;
        }
        Some(blocks)
    }

    /// Entries that the disk needs. The last payload block comes after all bitmap entries that an
    /// image without parent needs.
    pub(super) fn entries(&self) -> u64 {
        self.metadata.blocks().checked_sub(1).map_or(0, |last| self.index(last) + 1)
    }

    /// The number of the entry of a payload block.
    fn index(&self, block: u64) -> u64 {
        block + block / self.metadata.chunk()
    }

    /// Where an entry says that its block is, `None` for nowhere, or what is wrong with it.
    pub(super) fn place(&self, entry: u64) -> Result<Option<u64>, String> {
        let at = entry & OFFSET;
        match entry & STATE {
            // Readers ignore the offset then, and writers leave there what was before.
            NOT_PRESENT | UNDEFINED | ZERO | UNMAPPED | UNMAPPED_BEFORE_1 => Ok(None),
            FULLY_PRESENT => match self.misplaced(at) {
                None => Ok(Some(at)),
                Some(wrong) => Err(format!("places its block {wrong}")),
            },
            PARTIALLY_PRESENT => Err("says that part of its block is in a parent image".into()),
            state => Err(format!("has the state {state}, which does not exist")),
        }
    }

    /// What is wrong with the place of a stored block.
    fn misplaced(&self, at: u64) -> Option<String> {
        let block = Span { at, len: self.metadata.block_size };
        if at == 0 {
            return Some("in the first MiB, where the headers are".into());
        }
        // They do not overlap, or the image is refused for it; so the last that begins before the block's
        // end is the only one that can reach into it.
        let after = self.taken.partition_point(|taken| taken.span.at < block.end());
        let taken = self.taken.get(after.checked_sub(1)?)?;
        taken.span.overlaps(block).then(|| format!("over {}", taken.name))
    }
}

impl Layout for Blocks {
    fn virtual_size(&self) -> u64 {
        self.metadata.size
    }

    fn locate(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        guest: u64,
    ) -> Result<Run, Halt> {
        let in_block = guest % self.metadata.block_size;
        let len = self.metadata.block_size - in_block;
        let broken = Run { len, place: Place::Missing(Missing::Broken) };

        // Within the region, which `new` checked: guest is below the size that it covers.
        let offset = self.index(guest / self.metadata.block_size) * ENTRY_LENGTH;
        let entry_at = self.bat.at.saturating_add(offset);
        let known = self.kept.entry(offset).or_else(|| self.remembered.get(&offset).copied());
        let entry = match known {
            Some(entry) => entry,
            None => {
                let mut bytes = [0; ENTRY_LENGTH as usize];
                if !view.need(entry_at, &mut bytes, notebook, "a BAT entry")? {
                    return Ok(broken);
                }
                u64::from_le_bytes(bytes)
            }
        };
        match self.place(entry) {
            Ok(None) if matches!(entry & STATE, NOT_PRESENT | UNDEFINED) => {
                Ok(Run { len, place: Place::Unallocated })
            }
            Ok(None) => Ok(Run { len, place: Place::Zeros }),
            Ok(Some(at)) => Ok(Run { len, place: Place::Stored(at.saturating_add(in_block)) }),
            Err(wrong) => {
                if !self.walked {
                    let said = invalid(entry, guest, &wrong);
                    notebook.image(Code::VhdxBatEntryInvalid, entry_at, said);
                }
                Ok(broken)
            }
        }
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

/// What an impossible entry does.
pub(super) fn invalid(entry: u64, guest: u64, wrong: &str) -> String {
    format!("The BAT entry {entry:#018x} of the disk's byte {guest} {wrong}.")
}

#[cfg(test)]
mod tests {
    use super::super::examine::tests::{BAT, METADATA, Sample, codes};
    use super::super::header::MIB;
    use super::*;
    use crate::formats::testing::{self, MemoryView};
    use crate::formats::{Got, StreamView};

    #[test]
    fn entries_that_hold_no_block_read_as_zeros() {
        for (state, place) in [
            (NOT_PRESENT, Place::Unallocated),
            (UNDEFINED, Place::Unallocated),
            (ZERO, Place::Zeros),
            (UNMAPPED, Place::Zeros),
            (UNMAPPED_BEFORE_1, Place::Zeros),
        ] {
            let mut sample = Sample::new();
            sample.entry(1, (4 << 20) | state);
            let notebook = Notebook::new(&|_| false, 1 << 40);
            let mut view = MemoryView::new(sample.image.clone());
            let run = blocks(&notebook).locate(&mut view, &notebook, MIB).unwrap();
            assert_eq!(run, Run { len: MIB, place });
            let expected: &[Code] = match state {
                NOT_PRESENT => &[],
                UNMAPPED => &[Code::VhdxBlocksUnmapped],
                _ => &[Code::VhdxBlockUndefined],
            };
            assert_eq!(codes(sample.image), expected);
        }
    }

    #[test]
    fn entries_that_cannot_be_are_broken() {
        let mib = 1 << 20;
        // Another state; a block over the headers, the log, the metadata, the BAT.
        for (at, state) in [(4, 4), (4, 7), (0, 6), (1, 6), (2, 6), (3, 6)] {
            let mut sample = Sample::new();
            sample.entry(1, (at * mib) | state);
            assert_eq!(codes(sample.image), [Code::VhdxBatEntryInvalid], "{at} {state}");
        }
        let mut sample = Sample::new();
        // Farther than anything of so small a disk can be.
        sample.entry(1, OFFSET | 6);
        assert_eq!(codes(sample.image), [Code::ImageOffsetImpossible]);
    }

    #[test]
    fn the_bat_has_to_map_the_whole_disk() {
        // 1 MiB of entries: 131,072 less one for the bitmap of each full 4096 blocks before the last.
        let most = 131_072u64 - 31;
        for (blocks, expected) in [(most, &[][..]), (most + 1, &[Code::VhdxBatInvalid])] {
            let mut sample = Sample::new();
            sample.put(METADATA + (64 << 10) + 16, &(blocks << 20).to_le_bytes());
            assert_eq!(codes(sample.image), expected);
        }
    }

    #[test]
    fn steps_over_the_entries_of_sector_bitmaps() {
        let metadata = Metadata {
            block_size: 256 << 20,
            size: 1 << 36,
            size_at: 0,
            sector: 512,
            fixed: false,
        };
        let span = |at, len| Span { at, len };
        let regions = || Regions {
            bat: span(0, 1 << 20),
            metadata: span(8 << 20, 1 << 20),
            taken: Vec::new(),
        };
        let notebook = Notebook::new(&|_| false, 1 << 40);
        // 16 payload blocks, then a bitmap; the entry of block 16 is the seventeenth.
        let mut bat = vec![0; 8 * 18];
        bat[8 * 17..].copy_from_slice(&((1u64 << 30) | FULLY_PRESENT).to_le_bytes());
        let mut view = MemoryView::new(bat);
        for kept in [Kept::default(), Kept::read(&mut view, regions().bat).unwrap()] {
            let mut blocks = Blocks::new(metadata, regions(), kept, &notebook).unwrap();
            let run = blocks.locate(&mut view, &notebook, (16 << 28) + 5).unwrap();
            assert_eq!(run, Run { len: (256 << 20) - 5, place: Place::Stored((1 << 30) + 5) });
        }
    }

    /// The way through the sample's BAT, of which nothing was kept.
    fn blocks(notebook: &Notebook<'_>) -> Blocks {
        let metadata = Metadata {
            block_size: MIB,
            size: (2 << 20) + 1024,
            size_at: 0,
            sector: 512,
            fixed: false,
        };
        let span = |at| Span { at, len: MIB };
        let taken = [("the log", MIB), ("the metadata", METADATA as u64), ("the BAT", BAT as u64)]
            .map(|(name, at)| Taken { span: span(at), name: name.to_owned(), said_at: 0 });
        let regions = Regions {
            bat: span(BAT as u64),
            metadata: span(METADATA as u64),
            taken: taken.to_vec(),
        };
        Blocks::new(metadata, regions, Kept::default(), notebook).unwrap()
    }

    #[test]
    fn what_was_not_kept_is_read_once() {
        let mut sample = Sample::new();
        sample.entry(0, (5 << 20) | FULLY_PRESENT);
        sample.image.resize(7 << 20, 0xcd);
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut blocks = blocks(&notebook);
        let mut view = StreamView::new(testing::forward(&sample.image), None, &notebook, false);
        let (wanted, mut reach) = (Wanted(vec![0..512, MIB..MIB + 1024]), Reach::new(&notebook));
        let walked = blocks.walk(&mut view, &notebook, &wanted, &mut reach).unwrap();
        assert_eq!(walked, Walked::Whole);
        view.run_out().unwrap();
        for (guest, byte) in [(0, 0xcd), (MIB, 0xab)] {
            let run = blocks.locate(&mut view, &notebook, guest).unwrap();
            let Place::Stored(at) = run.place else { panic!("{run:?}") };
            let mut bytes = [0; 512];
            assert_eq!(view.read_at(at, &mut bytes).unwrap(), Got::Bytes(512));
            assert_eq!(bytes, [byte; 512]);
        }
        drop(view);
        assert!(notebook.close().is_empty());
    }

    #[test]
    fn a_bat_that_a_stream_has_passed_was_not_walked() {
        let sample = Sample::new();
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut blocks = blocks(&notebook);
        let mut view = StreamView::new(testing::forward(&sample.image), None, &notebook, false);
        view.run_out().unwrap();
        let mut reach = Reach::new(&notebook);
        let walked = blocks.walk(&mut view, &notebook, &Wanted::default(), &mut reach).unwrap();
        assert!(matches!(walked, Walked::Partial(_)));
        assert!(notebook.has(Code::StructureNotExamined));
    }
}
