use std::collections::HashSet;

use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes as _, KnownLayout, Unaligned};

use super::bat::SECTORS_OF_A_BITMAP;
use super::header::{MIB, Span, reserved};
use super::tables::{MOST_ENTRIES, TABLE_LENGTH, Taken, guid};
use crate::bytes::{guid as written, human_size};
use crate::facts::{Code, Notebook};
use crate::formats::tail::between;
use crate::formats::view::not_examined;
use crate::formats::{Halt, ImageView};

/// Largest virtual disk (MS-VHDX 2.6.2.2).
const LARGEST_DISK: u64 = 64 << 40;

const USER_ITEM: u32 = 1 << 0;
const REQUIRED_ITEM: u32 = 1 << 2;

/// The flags of an item: of a user, of the virtual disk, required (MS-VHDX 2.6.1.2).
const ITEM_FLAGS: u32 = 0b111;

const FIXED: u32 = 1 << 0;
const HAS_PARENT: u32 = 1 << 1;

#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct TableHeader {
    signature: [u8; 8],
    reserved: [u8; 2],
    count: U16,
    reserved2: [u8; 20],
}

#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Entry {
    guid: [u8; 16],
    offset: U32,
    length: U32,
    flags: U32,
    reserved: U32,
}

/// An item that is known.
struct Item {
    guid: [u8; 16],
    name: &'static str,
    /// Bytes that it takes.
    length: usize,
}

const fn item(digits: u128, name: &'static str, length: usize) -> Item {
    Item { guid: guid(digits), name, length }
}

/// The items that every image has (MS-VHDX 2.6.2).
const ITEMS: [Item; 5] = [
    item(0xcaa1_6737_fa36_4d43_b3b6_33f0_aa44_e76b, "the file parameters", 8),
    item(0x2fa5_4224_cd1b_4876_b211_5dbe_d83b_f4b8, "the virtual disk size", 8),
    item(0x8141_bf1d_a96f_4709_ba47_f233_a8fa_ab5f, "the logical sector size", 4),
    item(0xcda3_48c7_445d_4471_9cc9_e988_5251_c556, "the physical sector size", 4),
    item(0xbeca_12ab_b2e6_4523_93ef_c309_e000_c746, "the disk's identifier (page 83)", 16),
];

/// The item that only differencing images have.
const PARENT_LOCATOR: [u8; 16] = guid(0xa8d3_5f2d_b30b_454d_abf7_d3d8_4834_ab0c);

/// What the metadata says about the disk, checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metadata {
    /// Bytes in a payload block: a power of two, 1 MiB to 256 MiB.
    pub(super) block_size: u64,
    /// Bytes of the disk, at most 64 TiB.
    pub(super) size: u64,
    /// Image offset of the size.
    pub(super) size_at: u64,
    /// Bytes in a logical sector: 512 or 4096.
    pub(super) sector: u64,
    /// Whether blocks stay allocated.
    pub(super) fixed: bool,
}

/// Bytes between the headers, the log and the regions that writers leave unused, headers included.
const UNUSED: u64 = 16 * MIB;

impl Metadata {
    /// Payload blocks of the disk.
    pub(super) fn blocks(&self) -> u64 {
        self.size.div_ceil(self.block_size)
    }

    /// Payload blocks that share a sector bitmap; its entry comes after theirs. At least 2^32 / 2^28.
    pub(super) fn chunk(&self) -> u64 {
        SECTORS_OF_A_BITMAP * self.sector / self.block_size
    }

    /// Bytes that an image of this disk has at most, beside what is `taken`; with as much again as the
    /// disk for what writers gave up.
    pub(super) fn most(&self, taken: &[Taken]) -> u64 {
        let taken = taken.iter().fold(UNUSED, |sum, taken| sum.saturating_add(taken.span.len));
        let bitmaps = self.blocks().div_ceil(self.chunk()) * MIB;
        // A disk has at most 2^46 bytes.
        let blocks = self.blocks() * self.block_size + bitmaps;
        taken.saturating_add(2 * blocks)
    }
}

/// Reads the metadata. `None` if the disk cannot be found with it.
pub(super) fn read(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    region: Span,
) -> Result<Option<Metadata>, Halt> {
    let mut table = vec![0; TABLE_LENGTH];
    if !view.need(region.at, &mut table, notebook, "the metadata table")? {
        return Ok(None);
    }
    let Some(entries) = entries(&table, region, notebook) else { return Ok(None) };
    let Some((places, locator_at)) = places(entries, region, notebook) else { return Ok(None) };

    // The last of them needs no reading: its value does not matter.
    let mut values = [[0; 8]; 4];
    let mut wanted: Vec<_> = values.iter_mut().zip(places).zip(&ITEMS).collect();
    // A stream cannot go back.
    wanted.sort_by_key(|((_, at), _)| *at);
    let mut wanted = wanted.into_iter().peekable();
    let mut gaps = gaps(entries, region).into_iter().peekable();
    while wanted.peek().is_some() || gaps.peek().is_some() {
        let next = wanted.peek().map_or(u64::MAX, |((_, at), _)| *at);
        if let Some((from, to)) = gaps.next_if(|(from, _)| *from < next) {
            check_gap(view, notebook, from, to)?;
        } else if let Some(((value, at), item)) = wanted.next()
            && !view.need(at, &mut value[..item.length], notebook, item.name)?
        {
            return Ok(None);
        }
    }
    Ok(judge(values.map(u64::from_le_bytes), places, locator_at, notebook))
}

/// What the region has between its items and behind the last one, as image offsets.
fn gaps(entries: &[Entry], region: Span) -> Vec<(u64, u64)> {
    let items = entries.iter().map(|entry| (entry.offset.get().into(), entry.length.get().into()));
    let mut items: Vec<(u64, u64)> = items.filter(|(_, length)| *length > 0).collect();
    items.sort_unstable();
    items.push((region.len, 0));
    let mut end = TABLE_LENGTH as u64;
    let mut gaps = Vec::new();
    for (offset, length) in items {
        if end < offset {
            gaps.push((region.at.saturating_add(end), region.at.saturating_add(offset)));
        }
        end = end.max(offset.saturating_add(length));
    }
    gaps
}

/// Looks into a part of the region that no item has.
fn check_gap(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    from: u64,
    to: u64,
) -> Result<(), Halt> {
    match between(view, from, to)? {
        Ok(None) => {}
        Ok(Some((at, begins))) => {
            let len = to.saturating_sub(at);
            notebook.image(Code::VhdxSpaceUnused, at, format!(
                "In the metadata region, {len} bytes ({}) from byte {at} on belong to no item{begins}.",
                human_size(len)));
        }
        Err((at, missing)) => not_examined(notebook, at, "the metadata region", missing),
    }
    Ok(())
}

/// The entries of the table.
fn entries<'t>(table: &'t [u8], region: Span, notebook: &Notebook<'_>) -> Option<&'t [Entry]> {
    let (header, rest) = TableHeader::ref_from_prefix(table).ok()?;
    if &header.signature != b"metadata" {
        let said = format!("No metadata table begins at byte {}.", region.at);
        notebook.image(Code::VhdxMetadataInvalid, region.at, said);
        return None;
    }
    reserved("in the metadata table", region.at.saturating_add(8), &header.reserved, notebook);
    reserved("in the metadata table", region.at.saturating_add(12), &header.reserved2, notebook);
    let count = header.count.get();
    if u32::from(count) > MOST_ENTRIES {
        let said = format!("The metadata table says {count} items; {MOST_ENTRIES} are the most.");
        notebook.image(Code::VhdxMetadataInvalid, region.at.saturating_add(10), said);
        return None;
    }
    Some(<[Entry]>::ref_from_prefix_with_elems(rest, usize::from(count)).ok()?.0)
}

/// The image offsets of the known items, all of them; and that of the entry of a parent locator.
fn places(
    entries: &[Entry],
    region: Span,
    notebook: &Notebook<'_>,
) -> Option<([u64; 5], Option<u64>)> {
    let mut locator_at = None;
    let mut seen = HashSet::new();
    let mut places = [None; 5];
    let mut usable = true;
    let mut invalid = |at, said: String| {
        usable = false;
        notebook.image(Code::VhdxMetadataInvalid, at, said);
    };
    for (entry, index) in entries.iter().zip(1u64..) {
        let at = region.at.saturating_add(index * 32);
        let known = ITEMS.iter().position(|item| item.guid == entry.guid);
        let item = known.and_then(|index| ITEMS.get(index));
        let name =
            item.map_or_else(|| format!("the item {}", written(entry.guid)), |i| i.name.to_owned());
        if !seen.insert(entry.guid) {
            invalid(at, format!("The metadata table names {name} twice."));
            continue;
        }
        if entry.guid == PARENT_LOCATOR {
            locator_at = Some(at);
        } else if item.is_none() && entry.flags.get() & REQUIRED_ITEM != 0 {
            let said = format!("The image says that a reader has to know {name}.");
            notebook.image(Code::VhdxMetadataUnknown, at, said);
        }
        let flags = entry.flags.get();
        if flags & !ITEM_FLAGS != 0 {
            notebook.image(Code::VhdxFieldUnknown, at.saturating_add(24), format!(
                "The metadata table gives {name} the flags {flags:#x}; the format has bits 0 to 2."));
        }
        reserved(
            "in an entry of the metadata table",
            at.saturating_add(28),
            entry.reserved.as_bytes(),
            notebook,
        );
        if item.is_some() && entry.flags.get() & USER_ITEM != 0 {
            let said = format!("The metadata table says that {name} is an item of a user's.");
            invalid(at.saturating_add(24), said);
            continue;
        }
        let (offset, length) = (u64::from(entry.offset.get()), u64::from(entry.length.get()));
        let nothing = item.is_none() && length == 0;
        if !nothing && (offset < TABLE_LENGTH as u64 || offset + length > region.len) {
            invalid(
                at.saturating_add(16),
                format!(
                    "The metadata table places {name} at byte {offset} of its region with {length} bytes; items lie after the table's 64 KiB and before byte {}.",
                    region.len
                ),
            );
            continue;
        }
        if let Some(item) = item.filter(|item| length < item.length as u64) {
            let said = format!("There are {length} bytes for {name}, which takes {}.", item.length);
            invalid(at.saturating_add(20), said);
            continue;
        }
        // QEMU reads what it needs of it, others refuse the image.
        if let Some(item) = item.filter(|item| length != item.length as u64) {
            notebook.image(
                Code::VhdxFieldUnknown,
                at.saturating_add(20),
                format!(
                    "The metadata table gives {name} {length} bytes; the format has {}.",
                    item.length
                ),
            );
        }
        if let Some(place) = known.and_then(|index| places.get_mut(index)) {
            *place = Some(region.at.saturating_add(offset));
        }
    }
    if !usable {
        return None;
    }
    for (item, _) in ITEMS.iter().zip(places).filter(|(_, place)| place.is_none()) {
        let said = format!("The metadata table does not name {}.", item.name);
        notebook.image(Code::VhdxMetadataMissing, region.at, said);
    }
    let [parameters, size, logical, physical, page83] = places;
    Some(([parameters?, size?, logical?, physical?, page83?], locator_at))
}

fn judge(
    values: [u64; 4],
    places: [u64; 5],
    locator_at: Option<u64>,
    notebook: &Notebook<'_>,
) -> Option<Metadata> {
    let [parameters, size, logical, physical] = values;
    let [parameters_at, size_at, logical_at, physical_at, _] = places;
    // Two numbers of four bytes: the block size, then the flags.
    let (block_size, flags) = (parameters & 0xffff_ffff, (parameters >> 32) as u32);

    let flags_at = parameters_at.saturating_add(4);
    let parent = match (flags & HAS_PARENT != 0, locator_at) {
        (true, Some(_)) => {
            Some((flags_at, "The image holds only the differences to a parent image."))
        }
        (true, None) => {
            Some((flags_at, "The image says that it has a parent image, but does not name one."))
        }
        (false, Some(at)) => Some((
            at,
            "The metadata table has a parent locator, which only images with a parent have.",
        )),
        (false, None) => None,
    };
    if flags & !(FIXED | HAS_PARENT) != 0 {
        notebook.image(
            Code::VhdxFieldUnknown,
            flags_at,
            format!("The file parameters have the flags {flags:#x}; the format has bits 0 and 1."),
        );
    }
    if let Some((at, said)) = parent {
        notebook.image(Code::VhdxParent, at, said);
    }
    if !matches!(physical, 512 | 4096) {
        let said = format!("Physical sectors have {physical} bytes; 512 and 4096 are possible.");
        notebook.image(Code::VhdxSectorSize, physical_at, said);
    }
    let mut usable = true;
    if !block_size.is_power_of_two() || !(MIB..=256 * MIB).contains(&block_size) {
        usable = false;
        notebook.image(
            Code::VhdxBlockSizeInvalid,
            parameters_at,
            format!(
                "Blocks have {block_size} bytes; powers of two from 1 MiB to 256 MiB are possible."
            ),
        );
    }
    if logical != 512 {
        // The specification has 4096 too, so the disk can be found.
        usable &= logical == 4096;
        let said =
            format!("Logical sectors have {logical} bytes; QEMU opens only images with 512.");
        notebook.image(Code::VhdxSectorSize, logical_at, said);
    }
    if size == 0 {
        let said = "The metadata says that the disk has no bytes.";
        notebook.image(Code::DiskEmpty, size_at, said);
    } else if size > LARGEST_DISK {
        usable = false;
        let said =
            format!("The disk has {size} bytes ({}); 64 TiB are the most.", human_size(size));
        notebook.image(Code::VhdxSizeInvalid, size_at, said);
    } else if usable && !size.is_multiple_of(logical) {
        usable = false;
        notebook.image(Code::VhdxSizeInvalid, size_at, format!(
            "The disk has {size} bytes, which is not a multiple of its sectors of {logical} bytes."));
    }
    let fixed = flags & FIXED != 0;
    usable.then_some(Metadata { block_size, size, size_at, sector: logical, fixed })
}

#[cfg(test)]
mod tests {
    use super::super::examine::tests::{METADATA, Sample, all_codes, codes};
    use super::*;

    /// The codes after bytes at an offset of the metadata region were changed.
    fn changed(at: usize, bytes: &[u8]) -> Vec<Code> {
        let mut sample = Sample::new();
        sample.put(METADATA + at, bytes);
        codes(sample.image)
    }

    #[test]
    fn the_table_and_its_items_have_to_be_possible() {
        let invalid = [Code::VhdxMetadataInvalid];
        assert_eq!(changed(0, b"M"), invalid);
        assert_eq!(changed(10, &2048u16.to_le_bytes()), invalid);
        // Within the table, past the region, and too short.
        assert_eq!(changed(32 + 16, &[0, 0xff, 0, 0]), invalid);
        assert_eq!(changed(32 + 16, &((1u32 << 20) - 7).to_le_bytes()), invalid);
        assert_eq!(changed(32 + 16, &[0xff; 8]), invalid);
        assert_eq!(changed(32 + 20, &[7]), invalid);
        // The first item twice.
        assert_eq!(changed(64, &ITEMS[0].guid), invalid);
    }

    #[test]
    fn fields_that_the_format_reserves_are_zero_and_lengths_are_its_own() {
        let unknown = [Code::VhdxFieldUnknown];
        let flags_at = 64 << 10;
        for (at, byte) in [
            (8, 1),
            (12, 1),
            (31, 1),
            (32 + 24, 0xfe),
            (32 + 28, 1),
            (32 + 20, 16),
            (64 + 20, 9),
            (128 + 31, 1),
            (flags_at + 4, 4),
            (flags_at + 7, 0x80),
        ] {
            assert_eq!(changed(at, &[byte]), unknown, "{at}");
        }
    }

    #[test]
    fn what_no_item_has_is_zeros() {
        for (at, expected) in [
            // The last item is the disk's identifier, which may have any value.
            ((64 << 10) + 79, &[][..]),
            ((64 << 10) + 80, &[Code::VhdxSpaceUnused]),
            ((64 << 10) + 8, &[Code::VhdxSpaceUnused]),
            ((64 << 10) + 36, &[Code::VhdxSpaceUnused]),
            (300_000, &[Code::VhdxSpaceUnused]),
            ((1 << 20) - 1, &[Code::VhdxSpaceUnused]),
        ] {
            let mut sample = Sample::new();
            sample.put(METADATA + at, &[9]);
            assert_eq!(all_codes(sample.image), expected, "{at}");
        }
    }

    #[test]
    fn every_item_has_to_be_there() {
        for index in 0..ITEMS.len() {
            let at = 32 + 32 * index;
            let mut sample = Sample::new();
            // Another GUID, and no flag that says that it has to be known.
            sample.put(METADATA + at, &[1; 16]).put(METADATA + at + 24, &[0]);
            assert_eq!(codes(sample.image), [Code::VhdxMetadataMissing]);
        }
        assert_eq!(changed(10, &[0]), [Code::VhdxMetadataMissing]);
    }

    #[test]
    fn an_unknown_item_matters_only_if_it_is_required() {
        for (flags, expected) in [(2, &[][..]), (4, &[Code::VhdxMetadataUnknown])] {
            let mut sample = Sample::new();
            sample.put(METADATA + 10, &[6]).put(METADATA + 192, &[1; 16]);
            sample.put(METADATA + 192 + 24, &[flags]);
            assert_eq!(codes(sample.image), expected);
        }
    }

    #[test]
    fn a_parent_locator_alone_names_a_parent() {
        for length in [0u8, 40] {
            let mut sample = Sample::new();
            sample.put(METADATA + 10, &[6]).put(METADATA + 192, &PARENT_LOCATOR);
            sample.put(METADATA + 192 + 16, &[0, 0, 2, 0, length, 0, 0, 0]);
            assert_eq!(codes(sample.image), [Code::VhdxParent]);
        }
    }

    #[test]
    fn the_known_items_are_no_users() {
        assert_eq!(changed(32 + 24, &[7]), [Code::VhdxMetadataInvalid]);
    }

    #[test]
    fn the_values_have_to_be_possible() {
        const AT: usize = TABLE_LENGTH;
        assert_eq!(changed(AT + 4, &[2]), [Code::VhdxParent]);
        for size in [0, 1 << 19, 3 << 20, 512 << 20, 0xffff_ffff] {
            assert_eq!(changed(AT, &u32::to_le_bytes(size)), [Code::VhdxBlockSizeInvalid]);
        }
        // The stored block is no longer a part of the disk.
        assert_eq!(changed(AT + 16, &[0; 8]), [Code::DiskEmpty, Code::VhdxBatEntryInvalid]);
        assert_eq!(changed(AT + 16, &[1]), [Code::VhdxSizeInvalid]);
        assert_eq!(changed(AT + 16, &[0xff; 8]), [Code::VhdxSizeInvalid]);
        assert_eq!(changed(AT + 16, &(LARGEST_DISK + 512).to_le_bytes()), [Code::VhdxSizeInvalid]);
        assert_eq!(changed(AT + 32, &[0, 1]), [Code::VhdxSectorSize]);
        assert_eq!(changed(AT + 48, &[0, 1]), [Code::VhdxSectorSize]);
        let mut sample = Sample::new();
        sample.put(METADATA + AT + 16, &(1u64 << 21).to_le_bytes());
        sample.put(METADATA + AT + 32, &4096u32.to_le_bytes());
        assert_eq!(codes(sample.image), [Code::VhdxSectorSize]);
    }
}
