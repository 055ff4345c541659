//! The second header of LUKS2. Where it is depends on the size of the metadata, so it is looked for in nine places
//! (`secondary_offsets` in libblkid's `superblocks/luks.c`), most of them behind what is read of a disk anyway.

use super::leave;
use crate::facts::{Code, Notebook};
use crate::formats::{Disk, Got, Halt};
use crate::guest::PartitionTable;

/// Disk offsets in the first 68 KiB.
const NEAR: [usize; 3] = [0x4000, 0x8000, 0x1_0000];

/// The other ones.
pub(super) const FAR: [u64; 6] = [0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000];

/// Bytes of a header up to its own place.
pub(super) const HEADER: usize = 264;

/// Where the header is in the beginning of a disk.
pub(super) fn near(first: &[u8]) -> Option<usize> {
    let is = |at: &usize| first.get(*at..).is_some_and(|header| is_second(header, *at as u64));
    NEAR.into_iter().find(is)
}

/// Whether it is the header of a volume that begins at the beginning of the disk: one in a partition names another place.
fn is_second(header: &[u8], at: u64) -> bool {
    let place = || Some(u64::from_be_bytes(*header.get(256..)?.first_chunk()?));
    let has_place = header.get(6..8) == Some(&[0, 2]);
    header.starts_with(b"SKUL\xba\xbe") && (!has_place || place() == Some(at))
}

/// Has a stream keep the places that are not in its beginning.
pub(super) fn keep(disk: &mut dyn Disk) {
    FAR.iter().for_each(|&at| disk.keep(at, HEADER as u64));
}

/// Looks into the places that are not in the beginning. Like the end, they are left where only a beginning is read.
pub(super) fn find(
    disk: &mut dyn Disk,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    let Some(size) = disk.size()? else { return Ok(()) };
    for at in FAR.into_iter().filter(|&at| at < size) {
        let mut header = [0; HEADER];
        match disk.read_at(at, &mut header)? {
            Got::Bytes(count) if is_second(&header[..count], at) => notebook.disk(
                Code::DiskMemberSignature,
                at,
                format!("The disk has a partition table, and is a LUKS volume by the second header at byte {at}."),
            ),
            Got::Bytes(_) => {}
            Got::Missing(why) => leave(table, why),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_where_it_is() {
        let mut header = [0; HEADER];
        header[..6].copy_from_slice(b"SKUL\xba\xbe");
        assert!(is_second(&header, 0x4000));
        header[7] = 2;
        header[262] = 0x40;
        assert!(is_second(&header, 0x4000) && !is_second(&header, 0x8000));
        assert!(!is_second(&header[..100], 0x4000) && !is_second(b"", 0));
        header[0] = b'L';
        assert!(!is_second(&header, 0x4000));
        assert_eq!(near(&[0; 0x4003]), None);
    }
}
