//! The marks at the end of a disk: of what it is a member of, and of a zip archive.
//!
//! Linux RAID with metadata 0.90 and 1.0, RAID by firmware and DRBD have the rules of libblkid 2.38 to 2.41 (`superblocks/`):
//! of what only the later ones ask for (check sums, NVIDIA's blanks and size), the sum is asked for where the mark has two bytes.

use super::{Partition, PartitionTable, SECTOR, leave};
use crate::codec::{ZIP_TAIL, zip_end};
use crate::facts::{Code, Notebook};
use crate::formats::{Disk, Got, Halt, trailer};

/// Bytes at the end of a disk that have every mark; a stream keeps as much. The farthest is the second place of a DDF
/// header, and a zip archive is looked for in as many.
pub(super) const WINDOW: u64 = 257 * SECTOR;
const _: () = assert!(WINDOW == ZIP_TAIL as u64);

/// MD_SB_MAGIC in `include/uapi/linux/raid/md_p.h`. Metadata 0.90 has the byte order of the machine that wrote it.
const MAGIC: u32 = 0xa92b_4efc;

/// The end of a disk.
struct Tail<'d> {
    bytes: &'d [u8],
    size: u64,
    partitions: &'d [Partition],
}

/// What a disk can be a member of, and where the mark is on one that ends like this.
type Member = (&'static str, fn(&Tail<'_>) -> Option<u64>);

const MEMBERS: [Member; 12] = [
    ("a member of a Linux RAID", linux),
    ("a member of an Intel RAID", |tail| tail.mark(tail.sector(2)?, b"Intel Raid ISM Cfg Sig. ")),
    ("a member of a DDF RAID", ddf),
    ("a member of an NVIDIA RAID", |tail| tail.mark(tail.sector(2)?, b"NVIDIA")),
    ("a member of a Promise RAID", promise),
    ("a member of an LSI RAID", |tail| tail.mark(tail.sector(1)?, b"$XIDE$")),
    ("a member of a JMicron RAID", jmicron),
    ("a member of an Adaptec RAID", adaptec),
    ("a member of a Silicon Image RAID", silicon),
    ("a member of a VIA RAID", via),
    ("a member of a Highpoint RAID", |tail| {
        let at = tail.sector(11)?;
        tail.mark(at, b"\xf3\x16\x78\x5a").or_else(|| tail.mark(at, b"\xfd\x16\x78\x5a"))
    }),
    ("a DRBD device", drbd),
];

impl<'d> Tail<'d> {
    /// The bytes from a disk offset on.
    fn from(&self, at: u64) -> Option<&'d [u8]> {
        let begin = self.size - self.bytes.len() as u64;
        self.bytes.get(usize::try_from(at.checked_sub(begin)?).ok()?..)
    }

    /// The disk offset of the sector that is so many before the end, of which only whole ones count.
    fn sector(&self, before: u64) -> Option<u64> {
        Some((self.size / SECTOR).checked_sub(before)? * SECTOR)
    }

    /// The disk offset, if these bytes stand there.
    fn mark(&self, at: u64, magic: &[u8]) -> Option<u64> {
        self.from(at)?.starts_with(magic).then_some(at)
    }
}

/// Where a superblock of metadata 0.90 is (MD_NEW_SIZE_SECTORS): 64 KiB before the last multiple of 64 KiB.
fn old(size: u64) -> Option<u64> {
    (size & !0xffff).checked_sub(0x1_0000)
}

/// Where a superblock of metadata 1.0 is (`super_1_load` in `drivers/md/md.c`): 8 KiB before the end, at a multiple of 4 KiB.
fn new(size: u64) -> Option<u64> {
    Some(((size / SECTOR).checked_sub(16)? & !7) * SECTOR)
}

fn linux(tail: &Tail<'_>) -> Option<u64> {
    metadata_0_90(tail).or_else(|| metadata_1_0(tail))
}

/// The superblock of the last partition may stand where that of the disk would, so libblkid takes it for the disk's only if no
/// partition covers all that it speaks of (`probe_raid0`).
fn metadata_0_90(tail: &Tail<'_>) -> Option<u64> {
    const SIZE: usize = 32;
    const RESERVED: u64 = 0x1_0000;
    let at = old(tail.size)?;
    let block = tail.from(at)?;
    let field = |at: usize| block.get(at..)?.first_chunk::<4>();
    let magic = *field(0)?;
    let kib = match magic {
        _ if magic == MAGIC.to_le_bytes() => u32::from_le_bytes(*field(SIZE)?),
        _ if magic == MAGIC.to_be_bytes() => u32::from_be_bytes(*field(SIZE)?),
        _ => return None,
    };
    let (start, end) = (at.saturating_sub(u64::from(kib) << 10), at + RESERVED);
    let covers = |partition: &Partition| partition.start <= start && end <= partition.end();
    let fits = tail.partitions.iter().all(|partition| partition.end() <= tail.size);
    (!(fits && tail.partitions.iter().any(covers))).then_some(at)
}

/// That of a partition says another place (`probe_raid1` of libblkid, `super_1_load` in `drivers/md/md.c`).
fn metadata_1_0(tail: &Tail<'_>) -> Option<u64> {
    new(tail.size).filter(|&at| tail.from(at).is_some_and(|block| is_metadata_1(block, at)))
}

/// Whether a superblock of metadata 1 at this disk offset is that of the disk.
pub(super) fn is_metadata_1(block: &[u8], at: u64) -> bool {
    const PLACE: usize = 144;
    let place = || Some(u64::from_le_bytes(*block.get(PLACE..)?.first_chunk()?));
    block.starts_with(b"\xfc\x4e\x2b\xa9\x01\0\0\0") && place() == Some(at / SECTOR)
}

/// libblkid 2.38 takes either byte order.
fn ddf(tail: &Tail<'_>) -> Option<u64> {
    const MAGICS: [&[u8]; 2] = [b"\xde\x11\xde\x11", b"\x11\xde\x11\xde"];
    let mut places = [1, 257].into_iter().filter_map(|before| tail.sector(before));
    places.find(|&at| MAGICS.iter().any(|magic| tail.mark(at, magic).is_some()))
}

/// Of the places that tidegate reads, those in the last 128 KiB.
fn promise(tail: &Tail<'_>) -> Option<u64> {
    let at = |before| tail.mark(tail.sector(before)?, b"Promise Technology, Inc.");
    [63, 255, 256, 16].into_iter().find_map(at)
}

fn words(bytes: &[u8]) -> u16 {
    let words = bytes.as_chunks::<2>().0.iter().map(|word| u16::from_le_bytes(*word));
    words.fold(0, u16::wrapping_add)
}

fn jmicron(tail: &Tail<'_>) -> Option<u64> {
    let at = tail.sector(1)?;
    let header = tail.from(at)?.first_chunk::<128>()?;
    (header.starts_with(b"JM") && words(header) <= 1 && header[48] <= 5).then_some(at)
}

fn adaptec(tail: &Tail<'_>) -> Option<u64> {
    let at = tail.sector(1)?;
    tail.mark(at, b"\x37\xfc\x4d\x1e").filter(|at| tail.mark(at + 256, b"DPTM").is_some())
}

fn silicon(tail: &Tail<'_>) -> Option<u64> {
    let at = tail.sector(1)?;
    let header = tail.from(at)?.first_chunk::<320>()?;
    let sum = u16::from_le_bytes([header[318], header[319]]);
    let is = header[96..].starts_with(b"\0\0\0\x2f") && header[278] < 8;
    (is && words(&header[..318]).wrapping_add(sum) == 0).then_some(at + 96)
}

fn via(tail: &Tail<'_>) -> Option<u64> {
    let at = tail.sector(1)?;
    let header = tail.from(at)?.first_chunk::<51>()?;
    let sum = header[..50].iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    (header.starts_with(b"\x55\xaa") && header[2] <= 2 && header[50] == sum).then_some(at)
}

fn drbd(tail: &Tail<'_>) -> Option<u64> {
    let at = tail.size.checked_sub(4096)? + 60;
    matches!(tail.from(at)?, [0x83, 0x74, 0x02, 0x6b..=0x6d, ..]).then_some(at)
}

/// The last bytes of a disk with [`WINDOW`] in them, and its size; nothing if they cannot be had.
fn last(disk: &mut dyn Disk, table: &mut PartitionTable) -> Result<Option<(Vec<u8>, u64)>, Halt> {
    let Some(size) = disk.size()? else { return Ok(None) };
    let mut last = vec![0; size.min(WINDOW + size % SECTOR) as usize];
    match disk.read_at(size - last.len() as u64, &mut last)? {
        Got::Bytes(count) if count == last.len() => return Ok(Some((last, size))),
        // The end of the disk has come before it should.
        Got::Bytes(_) => {}
        Got::Missing(why) => leave(table, why),
    }
    Ok(None)
}

/// Writes down what image the disk in a container is by its last sector, and says whether it is. A raw image is refused for
/// the same as what it is.
pub(super) fn name_image(
    disk: &mut dyn Disk,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<bool, Halt> {
    let Some((last, size)) = last(disk, table)? else { return Ok(false) };
    let Some(trailer) = trailer(&last) else { return Ok(false) };
    let found = trailer.at(size - SECTOR);
    notebook.disk(
        Code::FormatPolyglot,
        found.offset,
        format!(
            "The disk ends as {} does (at byte {}): converted to raw sectors it is opened as one.",
            found.what, found.offset
        ),
    );
    Ok(true)
}

/// Writes down what a disk with a partition table is by its last sectors. Of a member of something larger, libblkid shows no partitions then,
/// and what assembles the RAID takes all of the disk.
pub(super) fn find(
    disk: &mut dyn Disk,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    let Some((last, size)) = last(disk, table)? else { return Ok(()) };
    let tail = Tail { bytes: &last, size, partitions: &table.partitions };
    if let Some(before) = zip_end(&last[last.len().saturating_sub(ZIP_TAIL)..], size) {
        let at = size - before as u64;
        notebook.disk(
            Code::ArchiveZipAtEnd,
            at,
            format!("The disk ends as a zip archive does, whose directory ends at byte {at}."),
        );
    }
    let found = MEMBERS.iter().filter_map(|(what, find)| Some((what, find(&tail)?)));
    for (what, at) in found {
        notebook.disk(
            Code::DiskMemberSignature,
            at,
            format!("The disk has a partition table, and is {what} by the mark at byte {at}."),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblocks_are_where_mdadm_puts_them() {
        assert_eq!((old(8 << 20), new(8 << 20)), (Some(8_323_072), Some(8_380_416)));
        assert_eq!(
            (old((8 << 20) + 65_000), new((8 << 20) + 5000)),
            (Some(8_323_072), Some(8_384_512))
        );
        assert_eq!((old(65_535), new(8191)), (None, None));
        for size in (1..300u64).map(|n| n * 7919) {
            assert!(
                [old(size), new(size)].iter().flatten().all(|at| size - at <= WINDOW),
                "{size}"
            );
        }
    }

    #[test]
    fn the_end_of_a_small_disk_is_looked_at_in_bounds() {
        for size in [0u64, 1, 511, 512, 4095, 4096, 8192, 131_584] {
            let bytes = vec![0; size as usize];
            let tail = Tail { bytes: &bytes, size, partitions: &[] };
            assert!(MEMBERS.iter().all(|(_, find)| find(&tail).is_none()), "{size}");
        }
    }
}
