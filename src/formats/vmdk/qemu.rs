//! The descriptor as QEMU reads it: not where the header says, not line by line, and up to the first NUL.

use super::descriptor::up_to_nul;
use super::header::DESCRIPTOR_SECTOR;
use super::{SECTOR, offset_of, parent};
use crate::bytes::Hostile;
use crate::facts::{Code, Notebook};
use crate::formats::{Got, Halt, ImageView};

/// Bytes from the second sector on that QEMU takes for the descriptor (`DESC_SIZE`, `block/vmdk.c`). The
/// last one becomes a NUL.
const LOOKED_AT: usize = 20 * SECTOR as usize - 1;

/// Checks whether QEMU opens the image by its descriptor, and without another image.
pub(super) fn check(view: &mut dyn ImageView, notebook: &Notebook<'_>) -> Result<(), Halt> {
    let mut bytes = vec![0; LOOKED_AT];
    let Got::Bytes(count) = view.read_at(offset_of(DESCRIPTOR_SECTOR), &mut bytes)? else {
        return Ok(());
    };
    let text = up_to_nul(bytes.get(..count).unwrap_or_default());
    parent::check_hint(text, offset_of(DESCRIPTOR_SECTOR), notebook);
    for name in ["CID", "parentCID"] {
        check_cid(text, name, notebook);
    }
    Ok(())
}

/// QEMU skips the first occurrence of the name and one more character, and wants a hexadecimal number
/// then (`vmdk_read_cid`, `block/vmdk.c`).
fn check_cid(text: &[u8], name: &str, notebook: &Notebook<'_>) {
    let place = offset_of(DESCRIPTOR_SECTOR);
    let found = text.windows(name.len()).position(|window| window == name.as_bytes());
    let Some(found) = found else {
        notebook.image(Code::VmdkCidInvalid, place, format!(
            "The descriptor has no {name} in its first {LOOKED_AT} bytes, where QEMU looks for it."));
        return;
    };
    let rest = text.get(found..).unwrap_or_default();
    if !is_number(rest.get(name.len() + 1..).unwrap_or_default()) {
        let line = rest.split(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
        notebook.image(Code::VmdkCidInvalid, place.saturating_add(found as u64), format!(
            "The first {name} in the descriptor is not followed by a hexadecimal number, as QEMU wants it: {}.", Hostile::new(line)));
    }
}

/// Whether `sscanf` finds a hexadecimal number at the beginning.
fn is_number(text: &[u8]) -> bool {
    let is_space = |b: &u8| b.is_ascii_whitespace() || *b == 0x0b;
    let start = text.iter().position(|b| !is_space(b)).unwrap_or(text.len());
    let text = text.get(start..).unwrap_or_default();
    let text = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let text = text.strip_prefix(b"0x").or(text.strip_prefix(b"0X")).unwrap_or(text);
    text.first().is_some_and(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{DESCRIPTOR, Sample, codes};
    use super::*;

    fn with(from: &str, to: &str) -> Vec<Code> {
        assert!(DESCRIPTOR.contains(from));
        codes(&Sample::sparse().described(&DESCRIPTOR.replace(from, to)).image)
    }

    #[test]
    fn content_ids_are_looked_for_as_qemu_does() {
        let invalid = [Code::VmdkCidInvalid];
        assert_eq!(with("CID=f769065\n", "CID=\n"), invalid);
        assert_eq!(with("CID=f769065\n", "CID= zz\n"), invalid);
        assert_eq!(with("CID=f769065\n", "CID = f769065\n"), invalid);
        assert_eq!(with("parentCID=ffffffff\n", "parentcid=ffffffff\n"), invalid);
        assert_eq!(with("parentCID=ffffffff\n", ""), invalid);
        assert_eq!(with("version=1\n", "version=1\n# CIDxfade\n"), [], "a character is skipped");
        assert_eq!(with("version=1\n", "version=1\n# the CID says\n"), invalid);
        assert_eq!(
            with("version=1\n", "version=1\n# no parentCID here\n"),
            [Code::VmdkCidInvalid; 2]
        );
        assert_eq!(with("version=1\n", "version=1\n# parentCID=ffffffff\n"), []);
        assert_eq!(with("CID=f769065\n", ""), [], "it finds the parent's");
        assert_eq!(with("CID=f769065\n", "CID=0xf769065\n"), []);
        assert_eq!(with("CID=f769065\n", "CID=  -1\n"), []);
    }

    #[test]
    fn content_ids_behind_twenty_sectors_are_not_seen() {
        let mut sample = Sample::sparse();
        // Space, so that the descriptor still fits where the header says.
        let filler = " ".repeat(20 * 512 - DESCRIPTOR.len() - 1);
        let text = DESCRIPTOR.replace("parentCID", &format!("{filler}parentCID"));
        sample.image[512..512 + text.len()].copy_from_slice(text.as_bytes());
        assert_eq!(codes(&sample.image), []);
        let cut = text.find("parentCID").unwrap();
        sample.image[512 + cut] = 0;
        assert!(codes(&sample.image).contains(&Code::VmdkCidInvalid));
    }
}
