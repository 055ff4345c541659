use std::collections::HashSet;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::header::{MIB, Span, damage};
use crate::bytes::guid as written;
use crate::facts::{Code, Notebook};
use crate::formats::{Halt, ImageView, Reach};

/// Image offsets of the two copies of the region table (MS-VHDX 2.2).
const REGION_TABLES_AT: [u64; 2] = [192 << 10, 256 << 10];

/// Bytes of a region table and of the metadata table (MS-VHDX 2.2.3, 2.6.1).
pub(super) const TABLE_LENGTH: usize = 64 << 10;

/// Most entries of either table (MS-VHDX 2.2.3.1, 2.6.1.1).
pub(super) const MOST_ENTRIES: u32 = 2047;

/// Bytes before the first entry of a region table.
const REGION_TABLE_HEADER: u64 = 16;

/// Bytes of an entry of either table.
const ENTRY_LENGTH: u64 = 32;

const REQUIRED_REGION: u32 = 1;

const BAT: [u8; 16] = guid(0x2dc2_7766_f623_4200_9d64_115e_9bfd_4a08);
const METADATA: [u8; 16] = guid(0x8b7c_a206_4790_4b9a_b8fe_575f_050f_886e);

/// A GUID as it lies on the image, from its digits as they are written.
pub(super) const fn guid(digits: u128) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = digits.to_be_bytes();
    let [i, j, k, l, m, n, o, p] = rest;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RegionHeader {
    signature: [u8; 4],
    checksum: U32,
    count: U32,
    reserved: U32,
}

#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RegionEntry {
    guid: [u8; 16],
    offset: U64,
    length: U32,
    flags: U32,
}

/// Where the two regions are that every image has.
#[derive(Clone, Copy)]
pub(super) struct Regions {
    pub(super) bat: Span,
    pub(super) metadata: Span,
}

/// Reads the region table. `None` if the BAT or the metadata cannot be found with it.
pub(super) fn regions(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    log: Span,
    reach: &mut Reach,
) -> Result<Option<Regions>, Halt> {
    let mut copies = [vec![0; TABLE_LENGTH], vec![0; TABLE_LENGTH]];
    for (copy, at) in copies.iter_mut().zip(REGION_TABLES_AT) {
        if !view.need(at, copy, notebook, "the region table")? {
            return Ok(None);
        }
    }
    let [first, second] = copies.each_ref().map(|copy| region_entries(copy));
    let damaged = Code::VhdxRegionTableDamaged;
    let (entries, table_at) = match (first, second) {
        (Ok(first), Ok(second)) => {
            let same = |(a, b): (&RegionEntry, &RegionEntry)| {
                (a.guid, a.offset, a.length) == (b.guid, b.offset, b.length)
            };
            if first.len() != second.len() || !first.iter().zip(second).all(same) {
                notebook.image(Code::VhdxRegionInvalid, REGION_TABLES_AT[1],
                    "The two copies of the region table are both whole but name different regions, so readers may see different disks.");
            }
            (first, REGION_TABLES_AT[0])
        }
        (Ok(first), Err(why)) => {
            let said = format!("The second copy of the region table {why}.");
            notebook.image(damaged, REGION_TABLES_AT[1], said);
            (first, REGION_TABLES_AT[0])
        }
        (Err(why), Ok(second)) => {
            let said = format!("The first copy of the region table {why}.");
            notebook.image(damaged, REGION_TABLES_AT[0], said);
            (second, REGION_TABLES_AT[1])
        }
        (Err(first), Err(second)) => {
            notebook.image(
                Code::VhdxNoRegionTable,
                REGION_TABLES_AT[0],
                format!(
                    "The first copy of the region table {first}, and the second copy {second}."
                ),
            );
            return Ok(None);
        }
    };
    Ok(place(entries, table_at, notebook, log, reach))
}

/// The entries of a whole region table, or what is wrong with it.
fn region_entries(table: &[u8]) -> Result<&[RegionEntry], String> {
    if let Some(why) = damage(table, b"regi") {
        return Err(why);
    }
    let Ok((header, rest)) = RegionHeader::ref_from_prefix(table) else {
        return Err("is too short".into());
    };
    let count = header.count.get();
    if count > MOST_ENTRIES {
        return Err(format!("says {count} regions, where {MOST_ENTRIES} are the most"));
    }
    match <[RegionEntry]>::ref_from_prefix_with_elems(rest, count as usize) {
        Ok((entries, _)) => Ok(entries),
        Err(_) => Err("is too short".into()),
    }
}

fn place(
    entries: &[RegionEntry],
    table_at: u64,
    notebook: &Notebook<'_>,
    log: Span,
    reach: &mut Reach,
) -> Option<Regions> {
    let invalid = |at, said: String| notebook.image(Code::VhdxRegionInvalid, at, said);
    let mut seen = HashSet::new();
    let mut placed = Vec::new();
    let (mut bat, mut metadata) = (None, None);
    if log.len > 0 {
        placed.push((log, "the log".to_owned(), table_at));
        reach.include("the log", log.at, log.len);
    }
    for (entry, index) in entries.iter().zip(0..) {
        let at = table_at + REGION_TABLE_HEADER + index * ENTRY_LENGTH;
        let span = Span { at: entry.offset.get(), len: u64::from(entry.length.get()) };
        let name = match entry.guid {
            BAT => "the BAT".to_owned(),
            METADATA => "the metadata region".to_owned(),
            other => format!("the region {}", written(other)),
        };
        if !seen.insert(entry.guid) {
            invalid(at, format!("The region table names {name} twice."));
            continue;
        }
        match entry.guid {
            BAT => bat = Some(span),
            METADATA => metadata = Some(span),
            _ if entry.flags.get() & REQUIRED_REGION != 0 => {
                let said = format!("The image says that a reader has to know {name}.");
                notebook.image(Code::VhdxRegionUnknown, at, said);
            }
            _ => {}
        }
        let aligned = span.at.is_multiple_of(MIB) && span.len.is_multiple_of(MIB);
        if !aligned || span.at < MIB || span.len == 0 {
            invalid(
                at + 16,
                format!(
                    "The region table places {name} at byte {} with {} bytes; both have to be multiples of 1 MiB and at least 1 MiB.",
                    span.at, span.len
                ),
            );
        }
        reach.include(&name, span.at, span.len);
        placed.push((span, name, at + 16));
    }
    placed.sort_by_key(|(span, ..)| (span.at, span.len));
    for pair in placed.windows(2) {
        if let [(one, first, _), (two, second, at)] = pair
            && one.overlaps(*two)
        {
            invalid(
                *at,
                format!(
                    "At byte {} begins {second}, but {first} reaches to byte {}.",
                    two.at,
                    one.end()
                ),
            );
        }
    }
    if bat.is_none() {
        invalid(table_at, "The region table does not name the BAT.".into());
    }
    if metadata.is_none() {
        invalid(table_at, "The region table does not name the metadata region.".into());
    }
    Some(Regions { bat: bat?, metadata: metadata? })
}

#[cfg(test)]
mod tests {
    use super::super::examine::tests::{REGIONS, Sample, codes};
    use super::*;

    #[test]
    fn guids_are_written_as_people_write_them() {
        assert_eq!(written(BAT), "2dc27766-f623-4200-9d64-115e9bfd4a08");
        assert_eq!(BAT[..4], [0x66, 0x77, 0xc2, 0x2d]);
    }

    #[test]
    fn one_damaged_copy_is_survived_two_are_not() {
        let copies = [REGIONS, REGIONS + TABLE_LENGTH];
        for at in copies {
            let mut sample = Sample::new();
            sample.image[at + 60_000] ^= 1;
            assert_eq!(codes(sample.image), [Code::VhdxRegionTableDamaged]);
        }
        let mut sample = Sample::new();
        sample.in_region_tables(8, &2048u32.to_le_bytes());
        assert_eq!(codes(sample.image), [Code::VhdxNoRegionTable]);
    }

    #[test]
    fn the_copies_have_to_agree() {
        let mut sample = Sample::new();
        sample.put(REGIONS + 16 + 18, &[0x50]).seal(REGIONS, TABLE_LENGTH);
        let found = codes(sample.image);
        assert!(found.contains(&Code::VhdxRegionInvalid), "{found:?}");
    }

    #[test]
    fn regions_lie_at_whole_mib_and_apart() {
        for (at, bytes) in [
            // The BAT between two MiB, at the beginning, without bytes, over the metadata, the log,
            // beyond all that a number can say.
            (16 + 17, vec![1]),
            (16 + 18, vec![0]),
            (16 + 26, vec![0]),
            (16 + 18, vec![0x20]),
            (16 + 18, vec![0x10]),
            (16 + 16, vec![0xff; 8]),
            // Each region twice in place of the other.
            (48, BAT.to_vec()),
            (16, METADATA.to_vec()),
            // One region only.
            (8, vec![1]),
            (8, vec![0]),
        ] {
            let mut sample = Sample::new();
            sample.in_region_tables(at, &bytes);
            let found = codes(sample.image);
            assert!(found.contains(&Code::VhdxRegionInvalid), "{at}: {found:?}");
        }
    }

    #[test]
    fn an_unknown_region_matters_only_if_it_is_required() {
        for (required, expected) in [(0, &[][..]), (1, &[Code::VhdxRegionUnknown])] {
            let mut sample = Sample::new();
            let mut entry = [9; 32];
            entry[16..24].copy_from_slice(&(4u64 << 20).to_le_bytes());
            entry[24..].copy_from_slice(&[0, 0, 0x10, 0, required, 0, 0, 0]);
            sample.in_region_tables(8, &[3]).in_region_tables(80, &entry);
            assert_eq!(codes(sample.image), expected);
        }
    }
}
