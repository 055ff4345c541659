use super::disk::{Blocks, ENTRY_LENGTH, stored};
use super::header::{ALLOCATED_AT, Header};
use crate::bytes::human_size;
use crate::facts::{Anomaly, Code, Layer, Left, Notebook};
use crate::formats::bits::Bits;
use crate::formats::entries::Entries;
use crate::formats::scan::Scan;
use crate::formats::tail::between;
use crate::formats::view::{End, Stored, not_walked};
use crate::formats::{Halt, ImageView, Reach, Walked, Wanted};

/// Looks at every entry of the block map.
pub(super) fn walk(
    blocks: &mut Blocks,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    wanted: &Wanted,
    reach: &mut Reach,
) -> Result<Walked, Halt> {
    let header = &blocks.header;
    let length = u64::from(header.blocks) * ENTRY_LENGTH;
    // What lies at the limit or after it is past the end of every image that is taken.
    let bound = u64::from(header.blocks).min(notebook.limit() / header.block_size + 1);
    let mut walk = Walk {
        notebook,
        wrong: Entries::new(notebook),
        wanted,
        used: Bits::new(bound),
        bound,
        allocated: 0,
        distinct: 0,
        last: None,
        uncompared: false,
        stored: Stored::default(),
    };
    let mut walked =
        gap(view, notebook, reach, "the header and the block map", (header.end, header.map_at))?;
    let mut scan = Scan::new();
    scan.want_table(header.map_at, length, |done| done / ENTRY_LENGTH);
    let mut read = 0;
    while let Some(piece) = scan.next(view)? {
        if let Some(missing) = piece.missing {
            walked = not_walked(notebook, piece.at, "a part of the block map", missing);
            break;
        }
        walk.entries(blocks, view, piece.tag, &piece.bytes);
        read += piece.bytes.len() as u64;
        if !piece.bytes.len().is_multiple_of(ENTRY_LENGTH as usize) || piece.bytes.is_empty() {
            // The end of the image, where `reach` has all of the map.
            break;
        }
    }
    if walked == Walked::Whole {
        let (map_end, data_at) =
            (blocks.header.map_at.saturating_add(length), blocks.header.data_at);
        walked = gap(view, notebook, reach, "the block map and the data", (map_end, data_at))?;
    }
    if let Some((last, guest)) = walk.last {
        let what = format!("the block of the disk's byte {guest}");
        let header = &blocks.header;
        reach.include(&what, header.block_at(last), header.block_size);
    }
    reach.stored = std::mem::take(&mut walk.stored);
    // Without all of the map there is nothing to count.
    if read == length {
        walk.judge(&blocks.header);
    }
    if walked == Walked::Whole {
        let header = &blocks.header;
        let end = walk.last.map_or(header.data_at, |(last, _)| {
            header.block_at(last).saturating_add(header.block_size)
        });
        reach.ends_at(End {
            at: end,
            code: Code::VdiTrailingBytes,
            unit: header.block_size,
            spare: 0,
            freed: u64::MAX,
        });
    }
    if walk.uncompared && walked == Walked::Whole {
        walked = Walked::Partial(Left::TooManyBlocks);
    }
    Ok(walked)
}

/// Looks for what belongs to nothing between two parts of the image. Writers fill up to the next sector or MiB with zeros.
fn gap(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    reach: &mut Reach,
    parts: &str,
    (from, to): (u64, u64),
) -> Result<Walked, Halt> {
    Ok(match between(view, from, to)? {
        Ok(None) => Walked::Whole,
        Ok(Some((at, begins))) => {
            let len = to.saturating_sub(at);
            // Of an image that is cut off, it is not known what is there.
            reach.if_whole(Anomaly {
                code: Code::VdiSpaceUnused,
                layer: Layer::Image,
                offset: Some(at),
                spot: None,
                said: format!(
                    "Between {parts}, {len} bytes ({}) from byte {at} on belong to nothing{begins}.",
                    human_size(len)),
            });
            Walked::Whole
        }
        Err((at, missing)) => not_walked(notebook, at, "the space before the data", missing),
    })
}

/// What is known while the entries go by.
struct Walk<'w> {
    notebook: &'w Notebook<'w>,
    wrong: Entries<'w>,
    wanted: &'w Wanted,
    /// The stored blocks that entries name.
    used: Bits,
    /// Stored blocks that lie below the limit.
    bound: u64,
    /// Entries that name a block, as QEMU counts them.
    allocated: u64,
    /// Blocks that are named.
    distinct: u64,
    /// The last block in the image, and the byte of the disk that it holds.
    last: Option<(u32, u64)>,
    /// Some block has too high a number for `used`.
    uncompared: bool,
    /// Where blocks are stored.
    stored: Stored,
}

impl Walk<'_> {
    /// Looks at the entries in `bytes`, the first of which is that of the disk's block `first`.
    fn entries(&mut self, blocks: &mut Blocks, view: &mut dyn ImageView, first: u64, bytes: &[u8]) {
        let (chunks, _) = bytes.as_chunks::<{ ENTRY_LENGTH as usize }>();
        let header = &blocks.header;
        for (block, bytes) in (first..).zip(chunks) {
            let entry = u32::from_le_bytes(*bytes);
            let entry_at = header.map_at + block * ENTRY_LENGTH;
            // Both factors have 32 bits.
            let guest = block * header.block_size;
            // Blocks that the map has beyond the disk touch nothing.
            if self.wanted.touches(guest, header.block_size) {
                blocks.remembered.insert(block, entry);
            }
            if !stored(entry) {
                continue;
            }
            if entry >= header.blocks {
                self.wrong.say(Code::VdiBlockMapEntryInvalid, entry_at, || {
                    header.no_such_block(entry, guest)
                });
                continue;
            }
            if guest >= header.size {
                self.wrong.say(Code::VdiBlocksUnused, entry_at, || format!(
                    "The block map names stored block {entry} for byte {guest} of the disk, which has only {} bytes.",
                    header.size));
            }
            self.wanted.keep(view, guest, header.block_size, header.block_at(entry));
            self.allocated += 1;
            self.uncompared |= u64::from(entry) < self.bound && !self.used.holds(entry.into());
            if self.used.add(entry.into()) {
                self.distinct += 1;
                self.stored.add(header.block_at(entry), header.block_size);
            } else {
                self.wrong.say(Code::VdiBlocksOverlap, entry_at, || format!(
                    "The disk's byte {guest} is in stored block {entry}, which another entry of the block map names too."));
            }
            if self.last.is_none_or(|(last, _)| last < entry) {
                self.last = Some((entry, guest));
            }
        }
    }

    /// Compares what was counted with what the header says.
    fn judge(&self, header: &Header) {
        // Blocks that the map does not name may be in the parent; of one that is broken no count can be right.
        if self.notebook.is_elsewhere() {
            return;
        }
        let broken = self.notebook.has(Code::VdiBlockMapEntryInvalid);
        let (allocated, said) = (self.allocated, header.allocated);
        if !broken && allocated != u64::from(said) {
            self.notebook.image(Code::VdiBlockCountMismatch, ALLOCATED_AT, format!(
                "The header says that {said} blocks are allocated, but {allocated} entries of the block map name one."));
        }
        // The header's number is of no help here: blocks are taken one after the other, so those
        // below the last that is named are in the file.
        let stored = self.last.map_or(0, |(last, _)| u64::from(last) + 1);
        let unused = stored.saturating_sub(self.distinct);
        if unused > 0 && !self.uncompared {
            self.notebook.image(Code::VdiBlocksUnused, header.data_at, format!(
                "Of the {stored} blocks up to the last one in use, {unused} are named by no entry of the block map, the first of them block {}.",
                self.used.first_free()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::examine::{self, tests::sample};
    use super::*;
    use crate::facts::DiskFormat;
    use crate::formats::testing::{self, MemoryView};
    use crate::formats::{Got, Missing, StreamView};

    /// A disk of three blocks with these entries and this count; four blocks are in the image.
    fn codes(entries: [u32; 3], allocated: u32) -> Vec<Code> {
        let mut image = sample();
        image.resize(1024 + (4 << 20), 0xab);
        for (index, entry) in entries.into_iter().enumerate() {
            image[512 + 4 * index..516 + 4 * index].copy_from_slice(&entry.to_le_bytes());
        }
        image[0x184..0x188].copy_from_slice(&allocated.to_le_bytes());
        testing::codes(DiskFormat::Vdi, image)
    }

    const NONE: u32 = u32::MAX;

    #[test]
    fn entries_have_to_agree_with_each_other_and_the_header() {
        // Blocks behind the last that is in use.
        let tail = Code::VdiTrailingBytes;
        assert_eq!(codes([0, 1, 2], 3), [tail]);
        assert_eq!(codes([2, NONE - 1, 0], 2), [Code::VdiBlocksUnused, tail]);
        assert_eq!(codes([1, 0, NONE], 2), [tail]);
        assert_eq!(codes([NONE, NONE, NONE], 0), [tail]);
        assert_eq!(codes([0, NONE, NONE], 2), [Code::VdiBlockCountMismatch, tail]);
        assert_eq!(codes([0, 1, NONE], 1), [Code::VdiBlockCountMismatch, tail]);
        assert_eq!(codes([0, 0, 1], 3), [Code::VdiBlocksOverlap, tail]);
        assert_eq!(codes([0, 3, NONE], 1), [Code::VdiBlockMapEntryInvalid, tail]);
        assert_eq!(codes([0, NONE - 2, NONE], 1), [Code::VdiBlockMapEntryInvalid, tail]);
    }

    #[test]
    fn the_last_block_in_use_has_to_be_there() {
        let mut image = sample();
        image[512..516].copy_from_slice(&1u32.to_le_bytes());
        image[0x184] = 2;
        image.resize(1023 + (2 << 20), 0);
        assert_eq!(testing::codes(DiskFormat::Vdi, image.clone()), [Code::ImageTruncated]);
        image.push(0);
        assert_eq!(testing::codes(DiskFormat::Vdi, image), []);
    }

    #[test]
    fn an_entry_beyond_the_disk_counts_too() {
        let mut image = sample();
        image[0x180] = 4;
        image[524..528].copy_from_slice(&0u32.to_le_bytes());
        let found = testing::codes(DiskFormat::Vdi, image.clone());
        assert_eq!(
            found,
            [Code::VdiBlockCountMismatch, Code::VdiBlocksOverlap, Code::VdiBlocksUnused]
        );
        // Of a block that nothing else names.
        image[0x184] = 2;
        image[524..528].copy_from_slice(&1u32.to_le_bytes());
        image.resize(1024 + (2 << 20), 0);
        assert_eq!(testing::codes(DiskFormat::Vdi, image), [Code::VdiBlocksUnused]);
    }

    #[test]
    fn what_lies_behind_the_last_block_is_said() {
        let mut image = sample();
        image.push(1);
        assert_eq!(testing::codes(DiskFormat::Vdi, image), [Code::VdiTrailingBytes]);
    }

    #[test]
    fn a_map_that_a_stream_has_passed_was_not_walked() {
        // The map and the data at 3 MiB, the stream beyond them.
        let mut image = sample();
        image.resize(5 << 20, 0);
        image[0x154..0x158].copy_from_slice(&(3u32 << 20).to_le_bytes());
        image[0x158..0x15c].copy_from_slice(&((3u32 << 20) + 512).to_le_bytes());
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = StreamView::new(testing::forward(&image), None, &notebook, false);
        let mut examined = examine::examine(&mut view, &notebook).unwrap().unwrap();
        view.run_out().unwrap();
        let wanted = Wanted::default();
        let walked = examined.layout.walk(&mut view, &notebook, &wanted, &mut examined.reach);
        assert!(matches!(walked, Ok(Walked::Partial(_))));
        assert!(notebook.has(Code::StructureNotExamined));
        assert_eq!(view.read_at(3 << 20, &mut [0]).unwrap(), Got::Missing(Missing::Behind));
    }

    #[test]
    fn a_huge_map_takes_little_memory_and_time() {
        let mut image = sample();
        image.truncate(1 << 20);
        image[0x180..0x184].copy_from_slice(&0x1fff_ff80_u32.to_le_bytes());
        image[0x158..0x15c].copy_from_slice(&0x8000_0000_u32.to_le_bytes());
        image[512..].fill(0x1f);
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryView::new(image);
        let mut examined = examine::examine(&mut view, &notebook).unwrap().unwrap();
        let wanted = Wanted::default();
        let walked = examined.layout.walk(&mut view, &notebook, &wanted, &mut examined.reach);
        assert_eq!(walked.unwrap(), Walked::Whole);
        examined.reach.judge(1 << 20, &notebook);
        assert!(notebook.has(Code::ImageOffsetImpossible));
    }

    #[test]
    fn walks_over_what_qemu_writes() {
        for options in ["", "static=on"] {
            for size in [40 << 20, (9 << 20) + 512] {
                testing::walks_what_qemu_writes(DiskFormat::Vdi, options, size);
            }
        }
    }

    #[test]
    fn finds_what_qemu_finds_in_the_map() {
        // 16 blocks, every second of them stored.
        let mut image = sample();
        let blocks = 16u32;
        image.resize(1024 + (8 << 20), 0);
        for (at, value) in [(0x170, blocks << 20), (0x180, blocks), (0x184, blocks / 2)] {
            image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        for index in 0..blocks {
            let entry = if index.is_multiple_of(2) { index / 2 } else { NONE };
            let at = 512 + 4 * index as usize;
            image[at..at + 4].copy_from_slice(&entry.to_le_bytes());
        }
        testing::finds_what_qemu_finds(DiskFormat::Vdi, &image, 150, |image, random| {
            let at = 512 + 4 * (random % 16) as usize;
            let value = match random >> 8 & 3 {
                0 => (random >> 16 & 0x1f) as u32,
                1 => NONE - (random >> 16 & 3) as u32,
                2 => (random >> 16) as u32,
                _ => 1 << (random >> 16 & 31),
            };
            image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        });
    }
}
