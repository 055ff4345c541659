//! Partition tables within a partition, which Linux's `msdos_partition` looks for in its second pass.

use super::Entry;
use crate::facts::{Code, Notebook};
use crate::formats::{Disk, Got, Halt};
use crate::guest::SECTOR;

/// A table within a partition: the types it is looked for in, its name, and its mark.
struct Kind {
    types: &'static [u8],
    what: &'static str,
    /// Sector of the partition, and place and bytes of the mark in it.
    mark: (u64, usize, [u8; 4]),
}

const KINDS: [Kind; 3] = [
    Kind {
        types: &[0xa5, 0xa6, 0xa9],
        what: "a BSD disklabel",
        mark: (1, 0, [0x57, 0x45, 0x56, 0x82]),
    },
    Kind { types: &[0x82, 0xbf], what: "a Solaris table", mark: (1, 12, [0xee, 0xde, 0x0d, 0x60]) },
    Kind { types: &[0x63], what: "a UnixWare table", mark: (29, 4, [0x0d, 0x60, 0x5e, 0xca]) },
];

/// Type of Minix partitions. Those within one are listed in its first sector, as in an MBR.
const MINIX: u8 = 0x81;

/// Writes down that a partition is divided once more. What of it lies behind in a stream is left: nothing but the
/// list of partitions depends on it.
pub(super) fn look(
    disk: &mut dyn Disk,
    entry: &Entry,
    number: u32,
    notebook: &Notebook<'_>,
) -> Result<(), Halt> {
    let kind = KINDS.iter().find(|kind| kind.types.contains(&entry.kind));
    let at = match kind {
        Some(kind) => kind.mark.0,
        None if entry.kind == MINIX => 0,
        None => return Ok(()),
    };
    let (first, _) = entry.range(0);
    let mut sector = [0; SECTOR as usize];
    if disk.read_at(first + at * SECTOR, &mut sector)? != Got::Bytes(sector.len()) {
        return Ok(());
    }
    let what = match kind {
        Some(Kind { what, mark: (_, place, mark), .. }) => {
            sector[*place..].starts_with(mark).then_some(*what)
        }
        None => (sector.ends_with(b"\x55\xaa") && sector[super::ENTRIES_AT + 4] == MINIX)
            .then_some("a Minix table"),
    };
    if let Some(what) = what {
        notebook.disk(Code::MbrPartitionDivided, first, format!(
            "In partition {number} there is {what}: Linux and libblkid show its partitions as well, numbered after the logical ones."));
    }
    Ok(())
}
