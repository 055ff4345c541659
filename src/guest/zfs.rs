//! The labels of ZFS at the beginning of a disk. A GPT lies over the first one; the second, at 256 KiB, survives it.
//!
//! libblkid 2.38 counts uberblocks and wants four, 2.41 reads the list of pairs (`superblocks/zfs.c`); either is enough here.
//! Both pass over a label that lies in a partition.

use super::{Partition, PartitionTable, leave};
use crate::facts::{Code, Notebook};
use crate::formats::{Disk, Got, Halt};

/// Bytes of a label.
const LABEL: u64 = 256 << 10;

/// Disk offsets of the two labels at the beginning. Those at the end lie farther from it than a stream keeps.
const LABELS: [u64; 2] = [0, LABEL];

/// Offset of the list of pairs in a label, and bytes of its beginning.
const PAIRS: u64 = 16 << 10;
const BEGINNING: usize = 36;

/// Offset of the uberblocks in a label, which take the rest of it.
const UBERBLOCKS: u64 = LABEL / 2;

/// Bytes of the smallest uberblock.
const UBERBLOCK: usize = 1024;

const MAGIC: u64 = 0x00ba_b10c;

/// Uberblocks by which libblkid 2.38 knows a pool.
const FEWEST: usize = 4;

/// Whether a list of pairs begins like this: XDR, in either byte order, whose first pair every writer calls the version.
fn is_list(bytes: &[u8]) -> bool {
    matches!(bytes, [1, 0 | 1, ..])
        && bytes.get(2..).is_some_and(|rest| {
            rest.starts_with(b"\0\0\0\0\0\0\0\0\0\x01\0\0\0\x24\0\0\0\x20\0\0\0\x07version")
        })
}

/// Where the first label has its list of pairs.
pub(super) fn first_label(first: &[u8]) -> Option<usize> {
    let at = PAIRS as usize;
    first.get(at..).is_some_and(is_list).then_some(at)
}

/// The ranges of the disk that [`find`] reads.
pub(super) fn wanted() -> impl Iterator<Item = std::ops::Range<u64>> {
    let list = LABEL + PAIRS;
    let blocks = LABELS.map(|label| label + UBERBLOCKS..label + LABEL);
    std::iter::once(list..list + BEGINNING as u64).chain(blocks)
}

fn uberblocks(bytes: &[u8]) -> usize {
    let marks = [MAGIC.to_le_bytes(), MAGIC.to_be_bytes()];
    let is = |block: &&[u8]| marks.iter().any(|mark| block.starts_with(mark));
    bytes.chunks(UBERBLOCK).filter(is).count()
}

/// Looks at both labels. The list of the first one is a mark like others, and known by then.
pub(super) fn find(
    disk: &mut dyn Disk,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
    is_known: bool,
) -> Result<(), Halt> {
    if is_known || disk.size()?.is_none() {
        return Ok(());
    }
    let mut count = 0;
    let mut bytes = vec![0; UBERBLOCKS as usize];
    for label in LABELS {
        let covers = |there: &Partition| there.start <= label && label + LABEL <= there.end();
        if table.partitions.iter().any(covers) {
            continue;
        }
        for (at, len) in [(label + PAIRS, BEGINNING), (label + UBERBLOCKS, UBERBLOCKS as usize)] {
            let read = match disk.read_at(at, &mut bytes[..len])? {
                Got::Bytes(read) => &bytes[..read],
                Got::Missing(why) => {
                    leave(table, why);
                    continue;
                }
            };
            count += uberblocks(read);
            if is_list(read) || count >= FEWEST {
                notebook.disk(Code::DiskMemberSignature, at, format!(
                    "The disk has a partition table, and is a member of a ZFS pool by a label that has its mark at byte {at} or behind."));
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_known_by_their_pairs_or_their_uberblocks() {
        let mut first = vec![0; 0x4020];
        assert_eq!(first_label(&first), None);
        first[0x4000..0x4020].copy_from_slice(
            b"\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\0\0\x24\0\0\0\x20\0\0\0\x07version\0",
        );
        assert_eq!(first_label(&first), Some(0x4000));
        first[0x4001] = 2;
        assert_eq!(first_label(&first), None);
        let mut blocks = vec![0; 8 * UBERBLOCK + 4];
        assert_eq!(uberblocks(&blocks), 0);
        blocks[..8].copy_from_slice(&MAGIC.to_le_bytes());
        blocks[UBERBLOCK..UBERBLOCK + 8].copy_from_slice(&MAGIC.to_be_bytes());
        blocks[UBERBLOCK + 512..UBERBLOCK + 520].copy_from_slice(&MAGIC.to_be_bytes());
        assert_eq!(uberblocks(&blocks), 2);
    }
}
