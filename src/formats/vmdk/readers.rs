//! Where readers of an embedded descriptor differ: in how much of it they read, and whether it or the header says that
//! grains are compressed.

use super::descriptor::{Text, setting, up_to_nul};
use super::header::{DESCRIPTOR_SECTOR, Header};
use super::offset_of;
use crate::bytes::Hostile;
use crate::facts::{Code, Notebook};
use crate::formats::tail::begin_with;
use crate::formats::{Got, Halt, ImageView};

/// Sectors that QEMU takes for the descriptor, whatever the header says (`DESC_SIZE`, `block/vmdk.c`). VirtualBox reads 4
/// where the header says fewer than 3 and no directory is in the way (`vmdkDescriptorReadSparse`, `VMDK.cpp`).
pub(super) const MOST_READ: u64 = 20;

/// Digits of a CID.
const CID_DIGITS: usize = 8;

const SPARSE: &[u8] = b"monolithicSparse";
const STREAM: &[u8] = b"streamOptimized";

/// The bytes that any reader takes for the descriptor: `bytes`, which the header gives it, and what follows them up to the
/// first directory.
pub(super) fn widest(
    view: &mut dyn ImageView,
    header: &Header,
    bytes: Vec<u8>,
) -> Result<Vec<u8>, Halt> {
    let redundant = header.has_redundant_directory().then_some(header.redundant_directory);
    let directory = redundant.unwrap_or(u64::MAX).min(header.directory);
    let sectors = MOST_READ.min(directory.saturating_sub(DESCRIPTOR_SECTOR));
    if sectors <= header.descriptor_size {
        return Ok(bytes);
    }
    let mut wide = vec![0; offset_of(sectors) as usize];
    Ok(match view.read_at(offset_of(DESCRIPTOR_SECTOR), &mut wide)? {
        Got::Bytes(count) => {
            wide.truncate(count);
            wide
        }
        Got::Missing(_) => bytes,
    })
}

/// Checks that the text of the descriptor ends where the header says.
pub(super) fn check_length(text: Text<'_>, header: &Header, notebook: &Notebook<'_>) {
    let (have, said) = (text.bytes.len() as u64, offset_of(header.descriptor_size));
    if have > said {
        let at = offset_of(DESCRIPTOR_SECTOR).saturating_add(said);
        let rest = text.bytes.get(said as usize..).unwrap_or_default();
        let rest = Hostile::new(rest.get(..40).unwrap_or(rest));
        notebook.image(Code::VmdkDescriptorOverlong, at, format!(
            "The header gives the descriptor {said} bytes, but its text has {have}: the rest begins with \"{rest}\"."));
    }
}

/// Looks for what belongs to nothing behind the text, where the header gives the descriptor more.
pub(super) fn check_padding(
    bytes: &[u8],
    header: &Header,
    notebook: &Notebook<'_>,
) -> Result<(), Halt> {
    let room = bytes.get(..offset_of(header.descriptor_size) as usize).unwrap_or(bytes);
    let text = up_to_nul(room).len();
    let rest = room.get(text..).unwrap_or_default();
    // Of what is no descriptor it is not known where it ends.
    let none = notebook.has(Code::VmdkDescriptorInvalid);
    let Some(first) = rest.iter().position(|&byte| byte != 0 && !none) else { return Ok(()) };
    let rest = rest.get(first..).unwrap_or_default();
    let end = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let left = rest.get(..end).unwrap_or_default();
    // QEMU writes a CID with fewer digits over one with eight, and leaves the end of the longer text behind the shorter
    // one (`vmdk_write_cid`, `block/vmdk.c`): with one CID of sixteen.
    if left.len() < CID_DIGITS && bytes.get(..text).is_some_and(|text| text.ends_with(left)) {
        return Ok(());
    }
    let at = offset_of(DESCRIPTOR_SECTOR).saturating_add((text + first) as u64);
    notebook.image(
        Code::VmdkSpaceUnused,
        at,
        format!(
            "Behind the text of the descriptor, {} bytes from byte {at} on belong to nothing{}.",
            rest.len(),
            begin_with(rest)?
        ),
    );
    Ok(())
}

/// Holds the createType against the header. QEMU goes by the header's compression alone (`vmdk_open_vmdk4`), VirtualBox by
/// whether the createType is streamOptimized, letter by letter (`vmdkParseDescriptor`).
pub(super) fn check_create_type(text: Text<'_>, header: &Header, notebook: &Notebook<'_>) {
    // What contradicts itself is said of the header.
    if header.announces_compression() != header.is_compressed() {
        return;
    }
    for (at, line) in text.lines() {
        let Some(value) = setting(line, b"createType") else { continue };
        let streamed = value.eq_ignore_ascii_case(STREAM);
        if !streamed && !value.eq_ignore_ascii_case(SPARSE) {
            continue;
        }
        let shown = Hostile::new(line);
        if streamed != header.is_compressed() || streamed && value != STREAM {
            let grains = if header.is_compressed() { "compressed" } else { "not compressed" };
            notebook.image(Code::VmdkCreateTypeMismatch, at, format!(
                "The header says that the grains are {grains}, but the descriptor says {shown}: VirtualBox goes by the descriptor, QEMU by the header."));
        } else if value != STREAM && value != SPARSE || !line.starts_with(b"createType") {
            notebook.image(Code::VmdkCreateTypeCase, at, format!(
                "The descriptor says {shown}; readers that compare letter by letter know createType, monolithicSparse and streamOptimized."));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{DESCRIPTOR, Sample, codes};
    use super::*;

    fn with(sample: Sample, kind: &str) -> Vec<Code> {
        let text = String::from_utf8_lossy(&sample.image[512..21 * 512]).into_owned();
        let text = text.trim_end_matches('\0');
        let text = text.replace("monolithicSparse", kind).replace("streamOptimized", kind);
        codes(&sample.described(&text).image)
    }

    #[test]
    fn the_create_type_says_what_the_header_says() {
        let mismatch = [Code::VmdkCreateTypeMismatch];
        assert_eq!(with(Sample::sparse(), "streamOptimized"), mismatch);
        assert_eq!(with(Sample::sparse(), "STREAMOPTIMIZED"), mismatch);
        assert_eq!(with(Sample::stream(3), "monolithicSparse"), mismatch);
        assert_eq!(with(Sample::stream(3), "StreamOptimized"), mismatch);
        assert_eq!(with(Sample::sparse(), "MonolithicSparse"), [Code::VmdkCreateTypeCase]);
        let second = "monolithicSparse\"\ncreateType=\"streamOptimized";
        assert_eq!(with(Sample::sparse(), second), mismatch);
        let text = DESCRIPTOR.replace("createType=", "CREATETYPE = ");
        assert_eq!(codes(&Sample::sparse().described(&text).image), [Code::VmdkCreateTypeCase]);
    }

    /// The codes where the header gives the descriptor one sector, which is full, and this text follows.
    fn behind(directory: u8, rest: &str) -> Vec<Code> {
        let text = format!("{DESCRIPTOR}#");
        let text = format!("{text}{}\n{rest}", ".".repeat(511 - text.len()));
        let sample = Sample::sparse().described(&text);
        codes(&Sample { image: sample.patched(36, &[1]), ..sample }.patched(48, &[directory]))
    }

    #[test]
    fn what_follows_a_short_descriptor_is_read_with_it() {
        assert_eq!(behind(21, ""), []);
        assert_eq!(behind(21, "ddb.comment=\"x\"\n"), [Code::VmdkDescriptorOverlong]);
        let parent = "ddb.uuid.parent=\"6fbd2c41-0001-4c3c-8000-0123456789ab\"\n";
        assert_eq!(behind(21, parent), [Code::VmdkDescriptorOverlong, Code::VmdkParent]);
        assert!(behind(21, "RW 8 FLAT \"x\" 0\n").contains(&Code::VmdkExtentsInvalid));
        assert_eq!(behind(21, "encryption.keySafe=\"x\"\n"), [Code::VmdkEncrypted]);
    }
}
