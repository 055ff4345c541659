use super::header::Span;
use super::metadata::Metadata;
use super::tables::Regions;
use crate::facts::{Code, Notebook};
use crate::formats::{Got, Halt, ImageView, Layout, Missing, Place, Run};

/// Sectors whose bits fit into one sector-bitmap block (MS-VHDX 2.5).
const SECTORS_OF_A_BITMAP: u64 = 1 << 23;

/// Bytes of a BAT entry.
const ENTRY_LENGTH: u64 = 8;

/// The part of the BAT that is kept. QEMU places the BAT before the metadata, so a stream has to
/// take it along before it is known how much of it matters; this maps 64 GB in blocks of 8 MiB.
const KEPT: u64 = 1 << 20;

/// Bits 0 to 2 of an entry: the state of the block.
const STATE: u64 = 0b111;
/// Bits 20 to 63 of an entry: the image offset of the block, which begins at a MiB.
const OFFSET: u64 = !((1 << 20) - 1);

/// The states of a payload block (MS-VHDX 2.5.1.1), and that which version 0.95 had for an unmapped
/// one.
const NOT_PRESENT: u64 = 0;
const UNDEFINED: u64 = 1;
const ZERO: u64 = 2;
const UNMAPPED: u64 = 3;
const UNMAPPED_BEFORE_1: u64 = 5;
const FULLY_PRESENT: u64 = 6;
const PARTIALLY_PRESENT: u64 = 7;

/// The first bytes of the BAT; the rest is read when it is wanted.
#[derive(Default)]
pub(super) struct Kept(Vec<u8>);

impl Kept {
    /// Reads the beginning of a BAT. What cannot be read is missed by whoever needs it.
    pub(super) fn read(view: &mut dyn ImageView, bat: Span) -> Result<Kept, Halt> {
        let mut bytes = vec![0; bat.len.min(KEPT) as usize];
        let count = match view.read_at(bat.at, &mut bytes)? {
            Got::Bytes(count) => count,
            Got::Missing(_) => 0,
        };
        bytes.truncate(count);
        Ok(Kept(bytes))
    }

    fn entry(&self, offset: u64) -> Option<u64> {
        let bytes = self.0.get(usize::try_from(offset).ok()?..)?;
        Some(u64::from_le_bytes(*bytes.first_chunk()?))
    }
}

/// The way from a byte of the disk to its block: one BAT entry.
pub(super) struct Blocks {
    metadata: Metadata,
    bat: Span,
    /// Where no block can be.
    taken: [(Span, &'static str); 3],
    kept: Kept,
}

impl Blocks {
    /// Checks that the BAT can map the disk. `None` if it cannot.
    pub(super) fn new(
        metadata: Metadata,
        regions: Regions,
        log: Span,
        kept: Kept,
        notebook: &Notebook<'_>,
    ) -> Option<Self> {
        let bat = regions.bat;
        let taken = [(log, "the log"), (bat, "the BAT"), (regions.metadata, "the metadata")];
        let blocks = Blocks { metadata, bat, taken, kept };
        let count = metadata.size.div_ceil(metadata.block_size);
        // The last payload block comes after all bitmap entries that an image without parent needs.
        let entries = count.checked_sub(1).map_or(0, |last| blocks.index(last) + 1);
        if entries * ENTRY_LENGTH > bat.len {
            notebook.image(Code::VhdxBatInvalid, bat.at, format!(
                "The BAT has {} bytes; the {count} blocks of the disk need {entries} entries of {ENTRY_LENGTH} bytes.",
                bat.len));
            return None;
        }
        Some(blocks)
    }

    /// The number of the entry of a payload block: after each chunk of them comes the entry of the
    /// chunk's sector bitmap.
    fn index(&self, block: u64) -> u64 {
        // At least 2^32 / 2^28.
        let chunk = SECTORS_OF_A_BITMAP * self.metadata.sector / self.metadata.block_size;
        block + block / chunk
    }

    /// What is wrong with the place of a stored block.
    fn misplaced(&self, at: u64) -> Option<String> {
        let block = Span { at, len: self.metadata.block_size };
        if at == 0 {
            return Some("in the first MiB, where the headers are".into());
        }
        let (_, name) = self.taken.iter().find(|(span, _)| span.overlaps(block))?;
        Some(format!("over {name}"))
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
        let entry = match self.kept.entry(offset) {
            Some(entry) => entry,
            None => {
                let mut bytes = [0; ENTRY_LENGTH as usize];
                if !view.need(entry_at, &mut bytes, notebook, "a BAT entry")? {
                    return Ok(broken);
                }
                u64::from_le_bytes(bytes)
            }
        };
        let at = entry & OFFSET;
        let wrong = match entry & STATE {
            NOT_PRESENT | UNDEFINED | ZERO | UNMAPPED | UNMAPPED_BEFORE_1 => {
                return Ok(Run { len, place: Place::Zeros });
            }
            FULLY_PRESENT => match self.misplaced(at) {
                None => {
                    return Ok(Run { len, place: Place::Stored(at.saturating_add(in_block)) });
                }
                Some(wrong) => format!("places its block {wrong}"),
            },
            PARTIALLY_PRESENT => "says that part of its block is in a parent image".into(),
            state => format!("has the state {state}, which does not exist"),
        };
        notebook.image(
            Code::VhdxBatEntryInvalid,
            entry_at,
            format!("The BAT entry {entry:#018x} of the disk's byte {guest} {wrong}."),
        );
        Ok(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::examine::tests::{METADATA, Sample, codes};
    use super::*;
    use crate::formats::testing::MemoryView;

    #[test]
    fn entries_that_hold_no_block_read_as_zeros() {
        for state in [NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, UNMAPPED_BEFORE_1] {
            let mut sample = Sample::new();
            sample.entry(1, (4 << 20) | state);
            assert_eq!(codes(sample.image), []);
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
        sample.entry(1, OFFSET | 6);
        assert_eq!(codes(sample.image), [Code::ImageTruncated]);
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
        let regions = Regions { bat: span(0, 1 << 20), metadata: span(8 << 20, 1 << 20) };
        let notebook = Notebook::new(&|_| false, 1 << 40);
        // 16 payload blocks, then a bitmap; the entry of block 16 is the seventeenth.
        let mut bat = vec![0; 8 * 18];
        bat[8 * 17..].copy_from_slice(&((1u64 << 30) | FULLY_PRESENT).to_le_bytes());
        let mut view = MemoryView::new(bat);
        for kept in [Kept::default(), Kept::read(&mut view, regions.bat).unwrap()] {
            let log = Span::default();
            let mut blocks = Blocks::new(metadata, regions, log, kept, &notebook).unwrap();
            let run = blocks.locate(&mut view, &notebook, (16 << 28) + 5).unwrap();
            assert_eq!(run, Run { len: (256 << 20) - 5, place: Place::Stored((1 << 30) + 5) });
        }
    }
}
