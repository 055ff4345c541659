use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bytes::Hostile;
use crate::facts::{Code, Notebook};
use crate::formats::{Halt, ImageView};

/// Log, regions and blocks lie at multiples of this (MS-VHDX 2.1).
pub(super) const MIB: u64 = 1 << 20;

/// Image offsets of the two headers (MS-VHDX 2.2).
pub(super) const HEADERS_AT: [u64; 2] = [64 << 10, 128 << 10];

/// Where in a header the place of the log stands.
const LOG_OFFSET_AT: u64 = 72;

/// Bytes of a header that its checksum covers (MS-VHDX 2.2.2).
pub(super) const HEADER_LENGTH: usize = 4096;

/// Bytes of a header before those that it reserves.
pub(super) const FIELDS_LENGTH: usize = size_of::<Fields>();

/// The file type identifier: the signature, then the creator as UTF-16 (MS-VHDX 2.2.1).
pub(super) const IDENTIFIER_LENGTH: usize = 8 + 512;

/// The beginning of a header.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Fields {
    signature: [u8; 4],
    checksum: U32,
    sequence: U64,
    file_write_guid: [u8; 16],
    data_write_guid: [u8; 16],
    log_guid: [u8; 16],
    log_version: U16,
    version: U16,
    log_length: U32,
    log_offset: U64,
}

/// A range of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u64,
    pub(super) len: u64,
}

impl Span {
    /// The byte after its last.
    pub(super) fn end(self) -> u64 {
        self.at.saturating_add(self.len)
    }

    /// Whether the two have a byte in common, or one without bytes lies within the other: QEMU refuses
    /// that too (`vhdx_region_check`).
    pub(super) fn overlaps(self, other: Span) -> bool {
        self.at < other.end() && other.at < self.end()
    }
}

/// What the identifier and the current header say.
pub(super) struct Header {
    /// The program that made the image, by its own word.
    pub(super) creator: Hostile,
    /// The log.
    pub(super) log: Span,
    /// Image offset of the log's place in the header.
    pub(super) log_at: u64,
    /// The GUID of the log's entries, if the header says that there are any.
    pub(super) log_guid: Option<LogGuid>,
}

/// What the entries of a log that is in use carry.
#[derive(Clone, Copy)]
pub(super) struct LogGuid {
    pub(super) guid: [u8; 16],
    /// Image offset of the GUID in the header.
    pub(super) at: u64,
}

/// Reads the identifier and both headers. `None` if the image cannot be used.
pub(super) fn read(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Header>, Halt> {
    let mut identifier = [0; IDENTIFIER_LENGTH];
    if !view.need(0, &mut identifier, notebook, "the VHDX file identifier")? {
        return Ok(None);
    }
    let Some(creator) = identifier.strip_prefix(b"vhdxfile") else {
        notebook.image(
            Code::VhdxNoValidHeader,
            0,
            "The image does not begin with the VHDX file identifier.",
        );
        return Ok(None);
    };
    let mut copies = [[0; HEADER_LENGTH]; 2];
    for (copy, at) in copies.iter_mut().zip(HEADERS_AT) {
        if !view.need(at, copy, notebook, "the VHDX header")? {
            return Ok(None);
        }
    }
    let Some((fields, at)) = choose(&copies, notebook) else { return Ok(None) };

    let (version, log_version) = (fields.version.get(), fields.log_version.get());
    if version != 1 || log_version != 0 {
        notebook.image(Code::VhdxVersionUnsupported, at + 64, format!(
            "The header says VHDX version {version} with log version {log_version}; only version 1 with log version 0 exists."));
        return Ok(None);
    }
    let log = check_log(&fields, at, notebook);
    let in_use = fields.log_guid != [0; 16] && log.len != 0;
    let log_guid = in_use.then(|| LogGuid { guid: fields.log_guid, at: at.saturating_add(48) });
    Ok(Some(Header {
        creator: Hostile::from_utf16le(creator),
        log,
        log_at: at + LOG_OFFSET_AT,
        log_guid,
    }))
}

/// The current one of the two headers, with its image offset.
fn choose(copies: &[[u8; HEADER_LENGTH]; 2], notebook: &Notebook<'_>) -> Option<(Fields, u64)> {
    let [first, second] = copies;
    let read = |bytes: &[u8], at| Some((Fields::read_from_prefix(bytes).ok()?.0, at));
    let (first_at, second_at) = (HEADERS_AT[0], HEADERS_AT[1]);
    match (damage(first, b"head"), damage(second, b"head")) {
        (None, None) => {
            let (one, two) = (read(first, first_at)?, read(second, second_at)?);
            let (n, m) = (one.0.sequence.get(), two.0.sequence.get());
            // Disk2VHD writes the same header twice.
            if n == m && first != second {
                notebook.image(Code::VhdxHeadersConflict, second_at + 8, format!(
                    "Both headers have the sequence number {n} but differ, so none of them is the current one."));
            }
            Some(if m > n { two } else { one })
        }
        (None, Some(why)) => {
            notebook.image(Code::VhdxHeaderDamaged, second_at, format!("The second header {why}."));
            read(first, first_at)
        }
        (Some(why), None) => {
            notebook.image(Code::VhdxHeaderDamaged, first_at, format!("The first header {why}."));
            read(second, second_at)
        }
        (Some(one), Some(two)) => {
            notebook.image(
                Code::VhdxNoValidHeader,
                first_at,
                format!("The first header {one}, and the second header {two}."),
            );
            None
        }
    }
}

/// What is wrong with a structure that begins with a signature and a CRC-32C over all of its bytes,
/// the checksum taken as zero.
pub(super) fn damage(bytes: &[u8], signature: &[u8; 4]) -> Option<String> {
    let Some((found, rest)) = bytes.split_first_chunk::<4>() else {
        return Some("is too short".into());
    };
    if found != signature {
        return Some(format!("does not begin with \"{}\"", signature.escape_ascii()));
    }
    let Some((stored, rest)) = rest.split_first_chunk::<4>() else {
        return Some("is too short".into());
    };
    let stored = u32::from_le_bytes(*stored);
    let computed = [signature.as_slice(), &[0; 4], rest]
        .iter()
        .fold(0, |crc, part| crc32c::crc32c_append(crc, part));
    (stored != computed)
        .then(|| format!("has the checksum {stored:#010x}, but its bytes give {computed:#010x}"))
}

fn check_log(fields: &Fields, header_at: u64, notebook: &Notebook<'_>) -> Span {
    let log = Span { at: fields.log_offset.get(), len: u64::from(fields.log_length.get()) };
    if log.at < MIB || !log.at.is_multiple_of(MIB) {
        notebook.image(
            Code::VhdxLogInvalid,
            header_at + LOG_OFFSET_AT,
            format!(
                "The log is at byte {}; it has to be at a multiple of 1 MiB, after the first MiB.",
                log.at
            ),
        );
    }
    if !log.len.is_multiple_of(MIB) {
        notebook.image(
            Code::VhdxLogInvalid,
            header_at + 68,
            format!("The log has {} bytes, which is not a multiple of 1 MiB.", log.len),
        );
    }
    log
}

#[cfg(test)]
mod tests {
    use super::super::examine::tests::{Sample, codes};
    use super::*;

    const FIRST: usize = 64 << 10;
    const SECOND: usize = 128 << 10;

    #[test]
    fn the_identifier_has_to_be_there() {
        let mut sample = Sample::new();
        sample.put(0, b"vhdxfilf");
        assert_eq!(codes(sample.image), [Code::VhdxNoValidHeader]);
        let mut sample = Sample::new();
        sample.image.truncate(300);
        assert_eq!(codes(sample.image), [Code::ImageTruncated]);
    }

    #[test]
    fn one_damaged_header_is_survived_two_are_not() {
        for at in [FIRST, SECOND] {
            let mut sample = Sample::new();
            sample.image[at + 100] ^= 1;
            assert_eq!(codes(sample.image), [Code::VhdxHeaderDamaged]);
        }
        let mut sample = Sample::new();
        sample.image[FIRST] ^= 1;
        sample.image[SECOND + 4095] ^= 1;
        assert_eq!(codes(sample.image), [Code::VhdxNoValidHeader]);
    }

    #[test]
    fn equal_sequence_numbers_need_equal_headers() {
        let mut sample = Sample::new();
        sample.put(SECOND + 8, &7u64.to_le_bytes()).seal(SECOND, 4096);
        assert_eq!(codes(sample.image.clone()), []);
        sample.put(SECOND + 20, &[9]).seal(SECOND, 4096);
        assert_eq!(codes(sample.image), [Code::VhdxHeadersConflict]);
    }

    #[test]
    fn the_header_with_the_higher_sequence_number_counts() {
        let mut sample = Sample::new();
        sample.put(FIRST + 48, &[1]).seal(FIRST, 4096);
        assert_eq!(codes(sample.image.clone()), []);
        sample.put(FIRST + 8, &9u64.to_le_bytes()).seal(FIRST, 4096);
        assert_eq!(codes(sample.image), [Code::VhdxLogStale]);
    }

    #[test]
    fn version_and_log_are_checked() {
        for (at, value, code) in [
            (64, 1, Code::VhdxVersionUnsupported),
            (66, 2, Code::VhdxVersionUnsupported),
            (70, 0x0f, Code::VhdxLogInvalid),
            (74, 0x0f, Code::VhdxLogInvalid),
            (74, 0, Code::VhdxLogInvalid),
            (63, 1, Code::VhdxLogStale),
        ] {
            let mut sample = Sample::new();
            sample.put(SECOND + at, &[value]).seal(SECOND, 4096);
            assert_eq!(codes(sample.image), [code], "byte {at} of the header");
        }
    }

    #[test]
    fn spans_overlap_if_they_share_a_byte_or_one_lies_within() {
        let span = |at, len| Span { at, len };
        assert!(!span(0, 5).overlaps(span(5, 5)));
        assert!(span(0, 6).overlaps(span(5, 5)));
        assert!(span(3, 0).overlaps(span(0, 9)) && span(0, 9).overlaps(span(3, 0)));
        assert!(!span(0, 0).overlaps(span(0, 9)) && !span(9, 0).overlaps(span(0, 9)));
        assert!(span(u64::MAX - 1, u64::MAX).overlaps(span(0, u64::MAX)));
    }
}
