//! The end of a zip archive. Its directory is found from behind, so an archive can be the end of anything.

/// Bytes at the end of a file in which readers look for the end of a directory: the record, and the longest comment.
pub const ZIP_TAIL: usize = RECORD + 0xffff;

/// Bytes of an end of central directory record without its comment (APPNOTE 6.3.10, 4.3.16).
const RECORD: usize = 22;

/// Bytes of an entry of the directory without its names (4.3.12).
const ENTRY: u32 = 46;

/// How far before the end the directory of a zip archive ends, in a file of `size` bytes with these last bytes. unzip,
/// libarchive and Python take such a file for the archive. Four bytes are no mark on a disk full of files, so the record
/// has to fit: one volume, entries, and a directory of their size before it that begins as one.
#[must_use]
pub fn zip_end(last: &[u8], size: u64) -> Option<usize> {
    let begin = last.len().saturating_sub(ZIP_TAIL);
    let ends = last[begin..].windows(RECORD).enumerate().rev();
    let mut ends = ends.filter(|(_, record)| record.starts_with(b"PK\x05\x06"));
    let (at, _) = ends.find(|(at, record)| fits(last, begin + at, record, size))?;
    Some(last.len() - begin - at)
}

fn fits(last: &[u8], at: usize, record: &[u8], size: u64) -> bool {
    let u16_at = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
    let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
    let (entries, length, offset) = (u16_at(10), u32_at(12), u32_at(16));
    let before = last.len() as u64 - at as u64;
    let comment = u64::from(u16_at(20)) + RECORD as u64;
    if u32_at(4) != 0 || u16_at(8) != entries || entries == 0 || comment > before {
        return false;
    }
    if (length, offset) == (u32::MAX, u32::MAX) {
        // The locator of a zip64 record stands before it (4.3.15).
        return at.checked_sub(20).is_some_and(|at| last[at..].starts_with(b"PK\x06\x07"));
    }
    let Some(start) = size.checked_sub(before).and_then(|end| end.checked_sub(length.into()))
    else {
        return false;
    };
    let begins = match at.checked_sub(length as usize) {
        Some(start) => last[start..].starts_with(b"PK\x01\x02"),
        // A large directory begins before what is at hand.
        None => true,
    };
    length / ENTRY >= u32::from(entries) && u64::from(offset) <= start && begins
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of one entry, and the end record, with a comment of so many bytes to come.
    fn archive(comment: u16) -> Vec<u8> {
        let mut bytes = [&b"PK\x01\x02"[..], &[0; 42], b"PK\x05\x06", &[0; 18]].concat();
        bytes[46 + 8..46 + 12].copy_from_slice(&[1, 0, 1, 0]);
        bytes[46 + 12] = 46;
        bytes[46 + 20..].copy_from_slice(&comment.to_le_bytes());
        bytes
    }

    #[test]
    fn an_archive_ends_where_its_record_fits() {
        let end = |bytes: &[u8]| zip_end(bytes, bytes.len() as u64);
        let whole = archive(0);
        assert_eq!(end(&whole), Some(22));
        assert_eq!(end(&[&[7; 100][..], &whole].concat()), Some(22));
        // With a comment, and with bytes behind it.
        assert_eq!(end(&[&archive(8)[..], &[0; 8]].concat()), Some(30));
        assert_eq!(end(&[&whole[..], &[0; 100]].concat()), Some(122));
        assert_eq!(end(&[&whole[..], &[0; 0xffff]].concat()), Some(ZIP_TAIL));
        assert_eq!(end(&[&whole[..], &[0; 0x1_0000]].concat()), None);
        assert_eq!(end(&archive(1)), None);
        for at in [0, 46, 50, 54, 57, 61] {
            let mut other = whole.clone();
            other[at] ^= 0x40;
            assert_eq!(end(&other), None, "{at}");
        }
        assert_eq!(end(b""), None);
        assert_eq!(end(&whole[47..]), None);
    }
}
