use std::collections::HashSet;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::header::{MIB, Span, damage};
use crate::bytes::guid as written;
use crate::facts::{Code, Notebook};
use crate::formats::{Halt, ImageView};

/// Image offsets of the two copies of the region table (MS-VHDX 2.2).
pub(super) const REGION_TABLES_AT: [u64; 2] = [192 << 10, 256 << 10];

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

/// A range of the image that is no place for blocks.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) span: Span,
    pub(super) name: String,
    /// Image offset of the number that says where it is.
    pub(super) said_at: u64,
}

/// What a region table says.
pub(super) struct Regions {
    pub(super) bat: Span,
    pub(super) metadata: Span,
    /// The log and every region, known or not, in order of their places.
    pub(super) taken: Vec<Taken>,
}

/// Reads the region table. `None` if the BAT or the metadata cannot be found with it.
pub(super) fn regions(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    log: (Span, u64),
) -> Result<Option<Regions>, Halt> {
    let mut copies = [vec![0; TABLE_LENGTH], vec![0; TABLE_LENGTH]];
    for (copy, at) in copies.iter_mut().zip(REGION_TABLES_AT) {
        if !view.need(at, copy, notebook, "the region table")? {
            return Ok(None);
        }
    }
    let [first, second] = copies.each_ref().map(|copy| region_entries(copy));
    let (entries, table_at) = match (first, second) {
        (Ok(first), Ok(second)) => {
            let same = |(a, b): (&RegionEntry, &RegionEntry)| {
                (a.guid, a.offset, a.length, a.flags) == (b.guid, b.offset, b.length, b.flags)
            };
            if first.len() != second.len() || !first.iter().zip(second).all(same) {
                notebook.image(Code::VhdxRegionInvalid, REGION_TABLES_AT[1],
                    "The two copies of the region table are both whole but name different regions, so readers may see different disks.");
            }
            (first, REGION_TABLES_AT[0])
        }
        (Ok(first), Err(why)) => {
            let said = format!("The second copy of the region table {why}.");
            notebook.image(Code::VhdxRegionTableDamaged, REGION_TABLES_AT[1], said);
            (first, REGION_TABLES_AT[0])
        }
        (Err(why), Ok(second)) => {
            let said = format!("The first copy of the region table {why}.");
            notebook.image(Code::VhdxFirstRegionTableDamaged, REGION_TABLES_AT[0], said);
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
    Ok(place(entries, table_at, notebook, log))
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
    (log, log_at): (Span, u64),
) -> Option<Regions> {
    let invalid = |at, said: String| notebook.image(Code::VhdxRegionInvalid, at, said);
    let mut seen = HashSet::new();
    let (mut bat, mut metadata) = (None, None);
    let mut taken = vec![Taken { span: log, name: "the log".to_owned(), said_at: log_at }];
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
        taken.push(Taken { span, name, said_at: at + 16 });
    }
    taken.sort_by_key(|taken| (taken.span.at, taken.span.len));
    for pair in taken.windows(2) {
        if let [one, two] = pair
            && one.span.overlaps(two.span)
        {
            invalid(
                two.said_at,
                format!(
                    "At byte {} begins {}, but {} reaches to byte {}.",
                    two.span.at,
                    two.name,
                    one.name,
                    one.span.end()
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
    Some(Regions { bat: bat?, metadata: metadata?, taken })
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
        for (at, expected) in [
            // QEMU reads only this one.
            (REGIONS, Code::VhdxFirstRegionTableDamaged),
            (REGIONS + TABLE_LENGTH, Code::VhdxRegionTableDamaged),
        ] {
            let mut sample = Sample::new();
            sample.image[at + 60_000] ^= 1;
            assert_eq!(codes(sample.image), [expected]);
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
            sample.image.resize(6 << 20, 0);
            sample.third_region(5, required);
            assert_eq!(codes(sample.image), expected);
        }
    }

    #[test]
    fn no_block_lies_over_a_region_even_if_nobody_knows_it() {
        let mut sample = Sample::new();
        sample.third_region(4, 0);
        assert_eq!(codes(sample.image), [Code::VhdxBatEntryInvalid]);
    }

    #[test]
    fn a_log_without_bytes_has_its_place_too() {
        for (at, expected) in [(3u64, &[][..]), (2, &[]), (9, &[])] {
            let mut sample = Sample::new();
            sample.in_headers(68, &[0; 4]).in_headers(72, &(at << 20).to_le_bytes());
            assert_eq!(codes(sample.image), expected, "{at}");
        }
        // Within the BAT, which is made 2 MiB long.
        let mut sample = Sample::new();
        sample.image[4 << 20..].fill(0);
        sample.image.resize(6 << 20, 0xab);
        sample.in_region_tables(16 + 26, &[0x20]).entry(1, (5 << 20) | 6);
        assert_eq!(codes(sample.image.clone()), []);
        sample.in_headers(68, &[0; 4]).in_headers(72, &(4u64 << 20).to_le_bytes());
        assert_eq!(codes(sample.image), [Code::VhdxRegionInvalid]);
    }
}
