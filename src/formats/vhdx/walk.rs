use super::bat::{
    ENTRY_LENGTH, FULLY_PRESENT, NOT_PRESENT, OFFSET, PARTIALLY_PRESENT, RESERVED, STATE,
    UNDEFINED, UNMAPPED, UNMAPPED_BEFORE_1, ZERO,
};
use super::disk::{self, Blocks};
use super::gaps::{Places, units};
use super::header::{MIB, Span};
use super::metadata::Metadata;
use crate::bytes::human_size;
use crate::facts::{Code, Left, Notebook};
use crate::formats::entries::Entries;
use crate::formats::scan::Scan;
use crate::formats::view::{End, Last, Stored as Heap, not_walked};
use crate::formats::{Halt, ImageView, Reach, Walked, Wanted};

/// Looks at every entry of the BAT.
pub(super) fn walk(
    blocks: &mut Blocks,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    wanted: &Wanted,
    reach: &mut Reach,
) -> Result<Walked, Halt> {
    let mut walk = Walk {
        notebook,
        wrong: Entries::new(notebook),
        wanted,
        places: Places::new(notebook, &blocks.taken),
        farthest: None,
        unmapped: 0,
        uncompared: false,
        heap: Heap::default(),
        parent: notebook.has(Code::VhdxParent),
    };
    // All of the region, not only what the disk needs: a block that is stored past its end is one too.
    let length = blocks.bat.len;
    let mut walked = Walked::Whole;
    let kept = std::mem::take(&mut blocks.kept);
    walk.entries(blocks, view, 0, &kept.0);
    let have = kept.0.len() as u64 / ENTRY_LENGTH * ENTRY_LENGTH;
    blocks.kept = kept;
    if have < length {
        let mut scan = Scan::new();
        scan.want_table(blocks.bat.at.saturating_add(have), length - have, |done| have + done);
        while let Some(piece) = scan.next(view)? {
            match piece.missing {
                // A short piece is cut off by the end of the image, and `reach` has all of the BAT.
                None => walk.entries(blocks, view, piece.tag, &piece.bytes),
                Some(missing) => {
                    walked = not_walked(notebook, piece.at, "a part of the BAT", missing);
                    break;
                }
            }
        }
    }
    if let Some(block) = &walk.farthest {
        let what = format!(
            "the block of the disk's byte {} (BAT entry at byte {})",
            block.guest, block.entry_at
        );
        let (at, whole) = (block.at, blocks.metadata.block_size);
        reach.include_last(&what, Last { at, least: block.len, whole, piece: 1 });
    }
    reach.stored = std::mem::take(&mut walk.heap);
    walk.unmapped(&blocks.metadata, blocks.bat.at);
    if walked == Walked::Whole {
        let at = walk.places.end();
        reach.ends_at(End {
            at,
            code: Code::VhdxTrailingBytes,
            unit: MIB,
            spare: 0,
            freed: u64::MAX,
        });
        walked = walk.places.check(blocks, view, notebook, reach)?;
        // Blocks past 64 TiB, where images may be so large.
        if walk.uncompared && walked == Walked::Whole {
            walked = Walked::Partial(Left::TooManyBlocks);
        }
    }
    Ok(walked)
}

/// A stored block.
struct Stored {
    guest: u64,
    at: u64,
    /// Bytes of it that the image has to have.
    len: u64,
    /// Image offset of its entry.
    entry_at: u64,
}

/// What is known while the entries go by.
struct Walk<'w> {
    notebook: &'w Notebook<'w>,
    wrong: Entries<'w>,
    wanted: &'w Wanted,
    /// What takes which part of the image.
    places: Places,
    /// The block that ends last.
    farthest: Option<Stored>,
    /// Blocks that are unmapped and keep their place.
    unmapped: u64,
    /// Some block lies too far for `places`.
    uncompared: bool,
    /// Where blocks are stored.
    heap: Heap,
    /// The image needs a parent, so entries may lead there.
    parent: bool,
}

impl Walk<'_> {
    /// Looks at the entries in `bytes`, which lie `offset` bytes into the BAT.
    fn entries(
        &mut self,
        blocks: &mut Blocks,
        view: &mut dyn ImageView,
        offset: u64,
        bytes: &[u8],
    ) {
        let chunk = blocks.metadata.chunk();
        let (chunks, _) = bytes.as_chunks::<{ ENTRY_LENGTH as usize }>();
        for (index, bytes) in (offset / ENTRY_LENGTH..).zip(chunks) {
            let entry = u64::from_le_bytes(*bytes);
            let offset = index * ENTRY_LENGTH;
            let entry_at = blocks.bat.at.saturating_add(offset);
            if index % (chunk + 1) == chunk {
                self.bitmap(entry, entry_at);
                continue;
            }
            let block = index - index / (chunk + 1);
            // A BAT has fewer than 2^29 entries, for blocks of at most 2^28 bytes.
            let guest = block * blocks.metadata.block_size;
            if guest >= blocks.metadata.size {
                self.past_the_disk(entry, entry_at, block, blocks.metadata.blocks());
                continue;
            }
            let whole = blocks.metadata.block_size;
            // The last block may be cut where the disk ends: old versions of QEMU wrote no more of it.
            // QEMU lets it pass, but not after an entry of a sector bitmap, as it then takes the number of
            // the entry for that of the block (`vhdx_check_bat_entries`).
            let len = if index == block { whole.min(blocks.metadata.size - guest) } else { whole };
            match (entry & OFFSET, entry & STATE) {
                (0, _) | (_, NOT_PRESENT) => {}
                (at, FULLY_PRESENT) => self.places.store(Span { at, len: whole }, len),
                (at, state) => {
                    self.unmapped += u64::from(state == UNMAPPED);
                    self.places.keep(Span { at, len: whole });
                }
            }
            if self.wanted.touches(guest, len) {
                blocks.remembered.insert(offset, entry);
            }
            // Readers ignore them, so the block can still be read.
            if entry & RESERVED != 0 {
                self.wrong.say(Code::VhdxBatEntryInvalid, entry_at, || {
                    disk::invalid(entry, guest, "has reserved bits set")
                });
            }
            match blocks.place(entry) {
                Ok(None) => {
                    self.nowhere(blocks.metadata.fixed, entry, entry_at, guest);
                    self.undefined(entry, entry_at, guest);
                }
                Ok(Some(at)) => {
                    self.wanted.keep(view, guest, len, at);
                    self.stored(Stored { guest, at, len, entry_at }, entry);
                }
                Err(_) if self.parent && entry & STATE == PARTIALLY_PRESENT => {}
                Err(wrong) => {
                    self.wrong.say(Code::VhdxBatEntryInvalid, entry_at, || {
                        disk::invalid(entry, guest, &wrong)
                    });
                }
            }
        }
    }

    /// A fixed image keeps a place for each of its blocks. QEMU gives blocks of zeros none in any image
    /// (`vhdx_create_bat`, `block/vhdx.c`), so these may lack one; and images with a parent ignore the
    /// flag.
    fn nowhere(&mut self, fixed: bool, entry: u64, entry_at: u64, guest: u64) {
        let may = match entry & STATE {
            NOT_PRESENT => false,
            ZERO => true,
            _ => entry & OFFSET != 0,
        };
        if fixed && !may && !self.parent {
            self.wrong.say(Code::VhdxFixedBlockMissing, entry_at, || format!(
                "The BAT entry {entry:#018x} gives the block of the disk's byte {guest} no place, but blocks of a fixed image stay allocated."));
        }
    }

    /// Of a block in state 1, a reader may show what is stored at its place; one of zeros has none, and Hyper-V refuses it
    /// where it has one (`vhdx_update_bat_table_entry`, `block/vhdx.c`); the state 5 is reserved (MS-VHDX 2.5.1.1), and QEMU takes it for what it was in version 0.95.
    fn undefined(&mut self, entry: u64, entry_at: u64, guest: u64) {
        let what = match (entry & STATE, entry & OFFSET) {
            (UNDEFINED, at) if at != 0 => {
                format!(
                    "leaves it open what the block of the disk's byte {guest} shows, and names byte {at} for it"
                )
            }
            (ZERO, at) if at != 0 => format!(
                "says that the block of the disk's byte {guest} is zeros, and names byte {at} for it, which the format reserves and Hyper-V refuses"
            ),
            (UNMAPPED_BEFORE_1, _) => format!(
                "gives the block of the disk's byte {guest} the state 5, which no version of the format from 1.0 on has"
            ),
            _ => return,
        };
        if !self.parent {
            self.wrong.say(Code::VhdxBlockUndefined, entry_at, || {
                format!("The BAT entry {entry:#018x} {what}. QEMU shows zeros.")
            });
        }
    }

    /// A block that a guest has discarded may keep its place with what was there (MS-VHDX 2.5.1.1). So may one whose entry
    /// was changed, and nothing tells them apart.
    fn unmapped(&self, metadata: &Metadata, at: u64) {
        let count = self.unmapped;
        if count > 0 && !self.parent {
            let len = human_size(count.saturating_mul(metadata.block_size));
            self.notebook.image(Code::VhdxBlocksUnmapped, at, format!(
                "{count} blocks ({len}) are marked as unmapped and keep their place in the image: QEMU shows zeros for them."));
        }
    }

    /// An image without a parent has no sector bitmaps (MS-VHDX 2.5.1.2).
    fn bitmap(&mut self, entry: u64, entry_at: u64) {
        if entry & STATE != NOT_PRESENT && !self.parent {
            self.wrong.say(Code::VhdxBatEntryInvalid, entry_at, || format!(
                "The BAT entry {entry:#018x} is that of a sector bitmap and has the state {}; only images that need a parent have sector bitmaps.",
                entry & STATE));
        }
    }

    /// The specification does not say what stands after the entries that the disk needs, and readers
    /// ignore it; but a stored block there means that the disk was larger than the metadata says.
    fn past_the_disk(&mut self, entry: u64, entry_at: u64, block: u64, count: u64) {
        if matches!(entry & STATE, FULLY_PRESENT | PARTIALLY_PRESENT) {
            self.wrong.say(Code::VhdxBatEntryInvalid, entry_at, || format!(
                "The BAT entry {entry:#018x} says that block {block} of the disk is stored, but the disk has only {count} blocks."));
        }
    }

    fn stored(&mut self, block: Stored, entry: u64) {
        let mut new = true;
        for unit in units(Span { at: block.at, len: block.len }) {
            self.uncompared |= !self.places.holds(unit) && unit <= self.notebook.limit() / MIB;
            new &= self.places.add(unit);
        }
        if !new {
            self.wrong.say(Code::VhdxBlocksOverlap, block.entry_at, || format!(
                "The BAT entry {entry:#018x} of the disk's byte {} places its block at byte {}, over the block of another entry.",
                block.guest, block.at));
        }
        if new {
            self.heap.add(block.at, block.len);
        }
        let end = |block: &Stored| block.at.saturating_add(block.len);
        if self.farthest.as_ref().is_none_or(|farthest| end(farthest) < end(&block)) {
            self.farthest = Some(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bat::UNDEFINED;
    use super::super::examine::tests::{BAT, METADATA, Sample, all_codes, codes};
    use super::*;
    use crate::facts::DiskFormat;
    use crate::formats::testing;

    /// Where the one block of the sample lies.
    const BLOCK: u64 = 4 << 20;

    #[test]
    fn blocks_do_not_share_a_place() {
        let mut sample = Sample::new();
        sample.entry(0, BLOCK | FULLY_PRESENT);
        assert_eq!(codes(sample.image), [Code::VhdxBlocksOverlap]);
        // Readers ignore the offset of a block that is not there.
        let mut sample = Sample::new();
        sample.entry(0, BLOCK | NOT_PRESENT);
        assert_eq!(codes(sample.image), []);
        // Blocks of 2 MiB, one MiB apart.
        let mut sample = Sample::new();
        sample.put(METADATA + (64 << 10) + 2, &[0x20]);
        sample.image.resize(8 << 20, 0);
        sample.entry(0, (5 << 20) | FULLY_PRESENT).entry(1, BLOCK | FULLY_PRESENT);
        // Only the MiB with the end of the disk is taken by the last block.
        assert_eq!(codes(sample.image.clone()), []);
        sample.put(METADATA + (64 << 10) + 16, &(4u64 << 20).to_le_bytes());
        assert_eq!(codes(sample.image), [Code::VhdxBlocksOverlap]);
    }

    #[test]
    fn blocks_lie_within_the_image_but_the_last_may_be_cut() {
        let mut sample = Sample::new();
        sample.entry(2, (5 << 20) | FULLY_PRESENT);
        sample.image.resize((5 << 20) + 1024, 0);
        assert_eq!(codes(sample.image.clone()), []);
        sample.image.pop();
        assert_eq!(codes(sample.image), [Code::ImageTruncated]);
        let mut sample = Sample::new();
        sample.image.pop();
        assert_eq!(codes(sample.image), [Code::ImageTruncated]);
    }

    #[test]
    fn nothing_is_stored_past_the_disk() {
        for (state, expected) in [
            (0, &[][..]),
            (2, &[]),
            (6, &[Code::VhdxBatEntryInvalid]),
            (7, &[Code::VhdxBatEntryInvalid]),
        ] {
            let mut sample = Sample::new();
            sample.entry(3, (5 << 20) | state);
            assert_eq!(codes(sample.image), expected, "{state}");
        }
    }

    #[test]
    fn only_an_image_with_a_parent_has_sector_bitmaps() {
        let mut sample = Sample::new();
        // 4096 blocks of 1 MiB, then their bitmap.
        sample.entry(4096, (5 << 20) | FULLY_PRESENT);
        assert_eq!(codes(sample.image.clone()), [Code::VhdxBatEntryInvalid]);
        sample.put(METADATA + (64 << 10) + 4, &[2]).entry(0, PARTIALLY_PRESENT);
        sample.entry(4096, FULLY_PRESENT);
        // Whoever reads the disk meets the block that the parent has.
        assert!(codes(sample.image).contains(&Code::VhdxParent));
    }

    #[test]
    fn reserved_bits_are_zero() {
        for (entry, expected) in [
            (BLOCK | FULLY_PRESENT | 1 << 3, &[Code::VhdxBatEntryInvalid][..]),
            (BLOCK | FULLY_PRESENT | 1 << 19, &[Code::VhdxBatEntryInvalid]),
            (1 << 10, &[Code::VhdxBatEntryInvalid]),
            (1 << 20, &[]),
        ] {
            let mut sample = Sample::new();
            sample.entry(1, entry);
            assert_eq!(codes(sample.image), expected, "{entry:#x}");
        }
    }

    #[test]
    fn blocks_of_a_fixed_image_stay_allocated() {
        let missing = [Code::VhdxFixedBlockMissing];
        let kept = [Code::VhdxBlocksUnmapped];
        for (entry, expected) in [
            (0, &missing[..]),
            ((5 << 20) | NOT_PRESENT, &missing),
            (UNMAPPED, &missing),
            (UNDEFINED, &missing),
            // A place is kept, or QEMU made it.
            ((5 << 20) | UNMAPPED, &kept),
            (ZERO, &[]),
            ((5 << 20) | FULLY_PRESENT, &[]),
        ] {
            let mut sample = Sample::new();
            sample.image.resize(7 << 20, 0);
            sample.put(METADATA + (64 << 10) + 4, &[1]).entry(0, entry).entry(2, ZERO);
            assert_eq!(codes(sample.image.clone()), expected, "{entry:#x}");
            // It is not for images that do not say that they are fixed, nor for those with a parent.
            sample.put(METADATA + (64 << 10) + 4, &[0]);
            let expected = if expected == kept { &kept[..] } else { &[] };
            assert_eq!(codes(sample.image.clone()), expected, "{entry:#x}");
            sample.put(METADATA + (64 << 10) + 4, &[3]);
            assert_eq!(codes(sample.image), [Code::VhdxParent], "{entry:#x}");
        }
    }

    #[test]
    fn what_belongs_to_nothing_is_said() {
        let trailing = [Code::VhdxTrailingBytes];
        let mut sample = Sample::new();
        sample.image.push(1);
        assert_eq!(all_codes(sample.image.clone()), trailing);
        // A region there is not nothing; nor are blocks that keep their place, but not more than they have.
        sample.image.resize(6 << 20, 1);
        let mut region = Sample { image: sample.image.clone() };
        assert_eq!(all_codes(region.third_region(5, 0).image.clone()), []);
        let kept = Code::VhdxBlocksUnmapped;
        sample.entry(0, (5 << 20) | UNMAPPED);
        assert_eq!(all_codes(sample.image.clone()), [kept]);
        sample.image.push(1);
        assert_eq!(all_codes(sample.image.clone()), [trailing[0], kept]);
        sample.entry(0, (50 << 20) | UNMAPPED);
        assert_eq!(all_codes(sample.image), [trailing[0], kept]);
    }

    #[test]
    fn only_a_block_of_the_first_chunk_may_be_cut() {
        // 4098 blocks, the last of 512 bytes; a bitmap's entry comes before its own.
        let mut sample = Sample::new();
        let size = (4097u64 << 20) + 512;
        sample.put(METADATA + (64 << 10) + 16, &size.to_le_bytes());
        sample.entry(4098, (5 << 20) | FULLY_PRESENT);
        sample.image.resize(6 << 20, 0);
        assert_eq!(codes(sample.image.clone()), []);
        sample.image.truncate((5 << 20) + 512);
        assert_eq!(codes(sample.image), [Code::ImageTruncated]);
    }

    #[test]
    fn a_block_past_the_disk_is_found_in_all_of_the_region() {
        let mut sample = Sample::new();
        let bat = 6u64 << 20;
        sample.image.resize(8 << 20, 0xab);
        sample.image[6 << 20..].fill(0);
        sample.in_region_tables(16 + 16, &bat.to_le_bytes()).in_region_tables(16 + 26, &[0x20]);
        let entry = |index: usize| (6 << 20) + 8 * index;
        sample.put(entry(1), &((4u64 << 20) | FULLY_PRESENT).to_le_bytes());
        sample.image.drain(5 << 20..6 << 20);
        sample.in_region_tables(16 + 16, &(5u64 << 20).to_le_bytes());
        assert_eq!(codes(sample.image.clone()), []);
        let last = (7 << 20) - 8;
        sample.put(last, &((4u64 << 20) | FULLY_PRESENT).to_le_bytes());
        assert_eq!(codes(sample.image), [Code::VhdxBatEntryInvalid]);
    }

    #[test]
    fn an_entry_is_named_with_its_offset() {
        let mut sample = Sample::new();
        sample.entry(0, BLOCK | FULLY_PRESENT);
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = testing::MemoryView::new(sample.image);
        let mut examined = super::super::examine::examine(&mut view, &notebook).unwrap().unwrap();
        let wanted = Wanted::default();
        let walked = examined.layout.walk(&mut view, &notebook, &wanted, &mut examined.reach);
        assert_eq!(walked.unwrap(), Walked::Whole);
        let found = notebook.close();
        assert_eq!(found[0].offset, Some(BAT as u64 + 8));
        assert!(found[0].said.contains("of the disk's byte 1048576"), "{}", found[0].said);
    }

    #[test]
    fn walks_over_what_qemu_writes() {
        for options in [
            "block_size=1M",
            "block_size=8M,log_size=4M",
            "block_size=64M",
            "block_size=256M,subformat=fixed",
            "subformat=fixed,log_size=2M",
            "block_state_zero=off",
            "block_state_zero=off,subformat=fixed,block_size=1M",
        ] {
            for size in [40 << 20, (9 << 20) + 512] {
                testing::walks_what_qemu_writes(DiskFormat::Vhdx, options, size);
            }
        }
    }

    #[test]
    fn finds_what_qemu_finds_in_the_bat() {
        let image = Sample::new().image;
        testing::finds_what_qemu_finds(DiskFormat::Vhdx, &image, 60, |image, random| {
            let at = BAT + 8 * (random % 3) as usize;
            let entry = match random >> 8 & 1 {
                0 => (random >> 16 & 15) << 20,
                _ => random >> 12 << 20,
            };
            image[at..at + 8].copy_from_slice(&(entry | FULLY_PRESENT).to_le_bytes());
        });
    }
}
