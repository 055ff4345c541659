//! The end of a zip archive. Its directory is found from behind, so an archive can be the end of anything.

/// Bytes at the end of a file in which readers look for the end of a directory. That is the record and the longest comment
/// for most of them; unzip 6.0 goes on a little (`find_ecrec` in `process.c`).
const SEARCHED: usize = 66_000;

/// Bytes at the end of a file that [`zip_end`] looks at: where the end may be, and before it the largest entry of a directory that
/// has but a name or a comment.
pub const ZIP_TAIL: usize = 257 * 512;

/// Bytes of an end of central directory record without its comment (APPNOTE 6.3.10, 4.3.16).
const RECORD: usize = 22;

/// Bytes of an entry of the directory without its names (4.3.12).
const ENTRY: usize = 46;

/// Bytes of the locator of a zip64 record, which stands before the other one (4.3.15).
const LOCATOR: usize = 20;

/// How far before the end the directory of a zip archive ends, in a file of `size` bytes with these last bytes. unzip,
/// 7z, libarchive and Python take such a file for the archive, and each passes over other fields of the record: Python over all but
/// the size of the directory, 7z over that too. Four bytes are no mark on a disk full of files, so an entry of the
/// directory has to be seen. Where it is not at hand, the record has to be in order.
#[must_use]
pub fn zip_end(last: &[u8], size: u64) -> Option<usize> {
    let begin = last.len().saturating_sub(SEARCHED);
    let ends = last[begin..].windows(RECORD).enumerate().rev();
    let mut ends = ends.filter(|(_, record)| record.starts_with(b"PK\x05\x06"));
    let (at, _) = ends.find(|(at, record)| is_end(last, begin + at, record, size))?;
    Some(last.len() - begin - at)
}

fn is_end(last: &[u8], at: usize, record: &[u8], size: u64) -> bool {
    let has_locator =
        at.checked_sub(LOCATOR).is_some_and(|at| last[at..].starts_with(b"PK\x06\x07"));
    has_locator || has_entry(&last[..at]) || is_in_order(last, at, record, size)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// Whether an entry of a directory is in what stands before its end. It is whole, and wants a version of the format that
/// exists, as Python asks for.
fn has_entry(before: &[u8]) -> bool {
    const NEWEST: u8 = 63;
    before.windows(ENTRY).enumerate().any(|(at, entry)| {
        let lengths = [28, 30, 32].map(|field| usize::from(u16_at(entry, field)));
        entry.starts_with(b"PK\x01\x02")
            && entry[6] <= NEWEST
            && ENTRY + lengths.iter().sum::<usize>() <= before.len() - at
    })
}

/// Whether a record fits whose directory is not at hand, by its size or by its offset: one volume, entries, room for them, a
/// comment that ends in time.
fn is_in_order(last: &[u8], at: usize, record: &[u8], size: u64) -> bool {
    let (entries, length) = (u16_at(record, 10), u64::from(u32_at(record, 12)));
    let offset = u64::from(u32_at(record, 16));
    let after = last.len() - at;
    let Some(start) = (size - last.len() as u64 + at as u64).checked_sub(length) else {
        return false;
    };
    let begin = size - last.len() as u64;
    u32_at(record, 4) == 0
        && u16_at(record, 8) == entries
        && entries > 0
        && usize::from(u16_at(record, 20)) + RECORD <= after
        && length >= ENTRY as u64 * u64::from(entries)
        && offset <= start
        && (start < begin || (1..begin).contains(&offset))
}

/// The members of a zip archive of `size` bytes that ends like this, each with its name and its size: nothing unless
/// all of the directory is at hand and in order.
#[must_use]
pub fn zip_members(last: &[u8], size: u64) -> Option<Vec<(Vec<u8>, u64)>> {
    let end = last.len() - zip_end(last, size)?;
    let record = last.get(end..end + RECORD)?;
    let length = usize::try_from(u32_at(record, 12)).ok()?;
    let mut directory = &last[end.checked_sub(length)?..end];
    let mut members = Vec::new();
    while !directory.is_empty() {
        let entry = directory.get(..ENTRY).filter(|entry| entry.starts_with(b"PK\x01\x02"))?;
        let [name, extra, comment] = [28, 30, 32].map(|field| usize::from(u16_at(entry, field)));
        let bytes = directory.get(ENTRY..ENTRY + name)?;
        // The largest size stands for one that is elsewhere.
        members.push((bytes.to_vec(), u64::from(u32_at(entry, 24))));
        directory = directory.get(ENTRY + name + extra + comment..)?;
    }
    (members.len() == usize::from(u16_at(record, 10))).then_some(members)
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
    fn an_archive_ends_where_its_record_does() {
        let end = |bytes: &[u8]| zip_end(bytes, bytes.len() as u64);
        let whole = archive(0);
        assert_eq!(end(&whole), Some(22));
        assert_eq!(end(&[&[7; 100][..], &whole].concat()), Some(22));
        // With a comment, and with bytes behind it.
        assert_eq!(end(&[&archive(8)[..], &[0; 8]].concat()), Some(30));
        assert_eq!(end(&[&whole[..], &[0; 100]].concat()), Some(122));
        assert_eq!(end(&[&whole[..], &[0; 0xffff]].concat()), Some(22 + 0xffff));
        assert_eq!(end(&[&whole[..], &[0; SEARCHED - 22]].concat()), Some(SEARCHED));
        assert_eq!(end(&[&whole[..], &[0; SEARCHED - 21]].concat()), None);
        // Some reader passes over any field of the record, and over bytes before it.
        assert_eq!(end(&archive(1)), Some(22));
        for at in 50..68 {
            let mut other = whole.clone();
            other[at] ^= 0x40;
            assert_eq!(end(&other), Some(22), "{at}");
        }
        assert_eq!(end(&[&whole[..46], b"gap", &whole[46..]].concat()), Some(22));
        // Without its marks, or with an entry that is none, it is not.
        for at in [0, 6, 29, 46] {
            let mut other = whole.clone();
            other[at] ^= 0x40;
            assert_eq!(end(&other), None, "{at}");
        }
        assert_eq!(end(b""), None);
        assert_eq!(end(&whole[47..]), None);
        let locator = [b"PK\x06\x07", &[0; 16][..], &whole[46..]].concat();
        assert_eq!(end(&locator), Some(22));
    }

    #[test]
    fn a_directory_that_is_not_at_hand_needs_a_record_in_order() {
        let record = |length: u32, offset: u32| {
            let mut bytes = archive(0).split_off(46);
            bytes[12..16].copy_from_slice(&length.to_le_bytes());
            bytes[16..20].copy_from_slice(&offset.to_le_bytes());
            [&[0; ZIP_TAIL - 22][..], &bytes].concat()
        };
        let size = 8 << 20;
        let end = |bytes: &[u8]| zip_end(bytes, size);
        assert_eq!(end(&record(200_000, 0)), Some(22));
        assert_eq!(end(&record(46, 1 << 20)), Some(22));
        // At hand, and not there; larger than the file; behind its end; too small for its entry.
        for (length, offset) in
            [(46, 0), (46, (8 << 20) - 9000), (9 << 20, 0), (200_000, 8 << 20), (45, 1 << 20)]
        {
            assert_eq!(end(&record(length, offset)), None, "{length} {offset}");
        }
        for at in [4, 6, 8, 10, 21] {
            let mut other = record(46, 1 << 20);
            other[ZIP_TAIL - 22 + at] ^= 0x40;
            assert_eq!(end(&other), None, "{at}");
        }
    }
}
