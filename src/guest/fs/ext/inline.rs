//! Contents in the inode itself: where the map of blocks would be, and on in an extended attribute.

use super::super::fields::{le16, le32};
use super::super::{Trouble, Why};
use super::inode::Read;

/// The mark of extended attributes in an inode.
const MAGIC: u32 = 0xea02_0000;

/// Bytes of an entry before its name.
const ENTRY: usize = 16;

/// The attribute `system.data`: number of its prefix, and its name.
const SYSTEM: u8 = 7;
const DATA: &[u8] = b"data";

/// What is in the attribute.
pub(super) fn rest(inode: &Read) -> Result<&[u8], Trouble> {
    let damaged = || Why::damaged(format!("the attributes of inode {} are damaged", inode.number));
    let bytes = &inode.attributes[..];
    if bytes.len() < 8 || le32(bytes, 0) != MAGIC {
        return Ok(&[]);
    }
    // Values are counted from here.
    let bytes = &bytes[4..];
    let mut at = 0;
    while at + 4 <= bytes.len() && le32(bytes, at) != 0 {
        let name_at = at + ENTRY;
        let entry = bytes.get(at..name_at).ok_or_else(damaged)?;
        let name = bytes.get(name_at..name_at + usize::from(entry[0])).ok_or_else(damaged)?;
        if entry[1] == SYSTEM && name == DATA {
            let (start, len) = (usize::from(le16(entry, 2)), le32(entry, 8) as usize);
            let value = start.checked_add(len).and_then(|end| bytes.get(start..end));
            return value.filter(|_| le32(entry, 4) == 0).ok_or_else(damaged);
        }
        at = (name_at + name.len()).next_multiple_of(4);
    }
    Ok(&[])
}

/// Fills the buffer from an offset; zeros behind what there is.
pub(super) fn read(inode: &Read, at: u64, buf: &mut [u8]) -> Result<(), Trouble> {
    let mut bytes = inode.map.iter().chain(rest(inode)?).copied();
    let skipped = usize::try_from(at).unwrap_or(usize::MAX);
    let mut bytes = bytes.by_ref().skip(skipped);
    buf.fill_with(|| bytes.next().unwrap_or(0));
    Ok(())
}
