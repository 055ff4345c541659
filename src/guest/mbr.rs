//! The master boot record and its chain of extended boot records.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::signatures::is_volume_boot_record;
use super::{Part, Partition, PartitionTable, SECTOR, Scheme, Unread, past_end};
use crate::facts::{Code, Layer, Notebook};
use crate::formats::{Disk, Got, Halt};

/// Disk offset of the first partition entry.
const ENTRIES_AT: usize = 446;

/// Links of an extended partition that are followed. Linux stops at 256 partitions, others earlier.
const MOST_LOGICAL: u32 = 256;

/// Type of the entry that covers a GPT.
const PROTECTIVE: u8 = 0xee;

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Entry {
    flag: u8,
    first_chs: [u8; 3],
    kind: u8,
    last_chs: [u8; 3],
    first: U32,
    sectors: U32,
}

impl Entry {
    fn is_used(&self) -> bool {
        self.kind != 0 && self.sectors.get() > 0
    }

    /// Only the flag has forbidden values. Hybrid discs list unused entries of type 0 with a size.
    fn is_valid(&self) -> bool {
        matches!(self.flag, 0x00 | 0x80)
    }

    fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }

    /// Disk offsets of its first byte and the byte after its last one, counted from sector `base`.
    fn range(&self, base: u64) -> (u64, u64) {
        let first = base + u64::from(self.first.get());
        (first * SECTOR, (first + u64::from(self.sectors.get())) * SECTOR)
    }

    fn partition(&self, number: u32, base: u64) -> Partition {
        let (start, end) = self.range(base);
        Partition {
            number,
            start,
            size: end - start,
            kind: format!("{:02x}", self.kind),
            name: String::new(),
        }
    }
}

/// The first sector of a disk that is a master boot record.
pub(super) struct Mbr {
    entries: [Entry; 4],
}

impl Mbr {
    /// Whether it has an entry that covers a GPT.
    pub(super) fn is_protective(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind == PROTECTIVE)
    }

    /// Whether it lists no partition.
    pub(super) fn is_blank(&self) -> bool {
        self.entries.iter().all(|entry| !entry.is_used())
    }

    /// Whether it lists ordinary partitions beside the protective one.
    pub(super) fn is_hybrid(&self) -> bool {
        self.is_protective() && self.entries.iter().any(|e| e.is_used() && e.kind != PROTECTIVE)
    }
}

/// The boot record in the first sector; `None` if it is something else or has no sensible entry.
pub(super) fn parse(first: &[u8]) -> Option<Mbr> {
    let sector = first.get(..SECTOR as usize)?;
    if !sector.ends_with(b"\x55\xaa") {
        return None;
    }
    let (entries, _) = <[Entry; 4]>::read_from_prefix(&sector[ENTRIES_AT..]).ok()?;
    let sensible = entries.iter().any(|entry| entry.is_valid() && entry.is_used());
    // As Linux does: a volume's boot record with partition entries that are all valid is an MBR too.
    if is_volume_boot_record(sector) && !(sensible && entries.iter().all(Entry::is_valid)) {
        return None;
    }
    let empty = entries.iter().all(|entry| entry.kind == 0 && entry.flag == 0);
    (sensible || empty).then_some(Mbr { entries })
}

/// Whether the sector is a master boot record with valid entries, at least one of them used.
#[must_use]
pub fn is_bootable(first: &[u8]) -> bool {
    parse(first).is_some_and(|mbr| !mbr.is_blank() && mbr.entries.iter().all(Entry::is_valid))
}

/// Reads the logical partitions and holds all of them against the disk.
pub(super) fn examine(
    disk: &mut dyn Disk,
    mbr: &Mbr,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    table.scheme = Scheme::Mbr;
    for (number, entry) in (1..).zip(&mbr.entries) {
        let at = ENTRIES_AT as u64 + (u64::from(number) - 1) * 16;
        if !entry.is_valid() {
            notebook.disk(
                Code::MbrInvalid,
                at,
                format!(
                    "MBR entry {number} has the boot flag {:#04x} (type {:#04x}, {} sectors); 00 and 80 are possible.",
                    entry.flag,
                    entry.kind,
                    entry.sectors.get()
                ),
            );
        } else if entry.is_used() {
            table.partitions.push(entry.partition(number, 0));
        }
    }
    check_overlap(&table.partitions, notebook);
    let end = table.partitions.iter().map(|p| p.start + p.size).max().unwrap_or(0);
    notebook.claim_disk_size(end, Layer::Disk, ENTRIES_AT as u64);

    for entry in mbr
        .entries
        .iter()
        .filter(|entry| entry.is_valid() && entry.is_used() && entry.is_extended())
    {
        follow(disk, entry, notebook, table)?;
    }
    let Some(size) = disk.size()? else {
        table.unread.push(Unread { what: Part::Bounds, why: crate::formats::Missing::Quick });
        return Ok(());
    };
    for partition in &table.partitions {
        let end = partition.start + partition.size;
        if end > size {
            let what = format!("Partition {}", partition.number);
            past_end(notebook, Code::MbrPartitionPastEnd, ENTRIES_AT as u64, &what, end, size);
        }
    }
    Ok(())
}

fn check_overlap(partitions: &[Partition], notebook: &Notebook<'_>) {
    for (index, a) in partitions.iter().enumerate() {
        for b in &partitions[index + 1..] {
            if a.start < b.start + b.size && b.start < a.start + a.size {
                notebook.disk(
                    Code::MbrPartitionsOverlap,
                    ENTRIES_AT as u64,
                    format!("Partitions {} and {} overlap.", a.number, b.number),
                );
            }
        }
    }
}

/// Follows the chain of extended boot records; each names one partition and the next record.
fn follow(
    disk: &mut dyn Disk,
    extended: &Entry,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    let base = u64::from(extended.first.get());
    let (_, end) = extended.range(0);
    let mut record = base;
    for _ in 0..MOST_LOGICAL {
        let at = record * SECTOR;
        let mut sector = [0; SECTOR as usize];
        match disk.read_at(at, &mut sector)? {
            Got::Bytes(count) if count == sector.len() => {}
            // Past the end of the disk, as the extended partition is; that is said of it.
            Got::Bytes(_) => return Ok(()),
            Got::Missing(why) => {
                table.unread.push(Unread { what: Part::Entries, why });
                return Ok(());
            }
        }
        let Ok((entries, _)) = <[Entry; 2]>::read_from_prefix(&sector[ENTRIES_AT..]) else {
            return Ok(());
        };
        let [logical, next] = entries;
        if !sector.ends_with(b"\x55\xaa") || !logical.is_valid() || !next.is_valid() {
            notebook.disk(
                Code::MbrExtendedInvalid,
                at,
                format!("The extended boot record at sector {record} is invalid."),
            );
            return Ok(());
        }
        if logical.is_used() {
            let number = 5 + table.partitions.iter().filter(|p| p.number > 4).count() as u32;
            let partition = logical.partition(number, record);
            if partition.start + partition.size > end {
                notebook.disk(
                    Code::MbrExtendedInvalid,
                    at,
                    format!("Partition {number} reaches out of its extended partition."),
                );
            }
            table.partitions.push(partition);
        }
        if !next.is_used() {
            return Ok(());
        }
        let following = base + u64::from(next.first.get());
        if following <= record || following * SECTOR >= end {
            notebook.disk(Code::MbrExtendedInvalid, at, format!(
                "The extended boot record at sector {record} names sector {following} as the next one, which goes back or out of the extended partition."));
            return Ok(());
        }
        record = following;
    }
    notebook.disk(
        Code::MbrExtendedInvalid,
        base * SECTOR,
        format!("The extended partition holds more than {MOST_LOGICAL} logical ones."),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(entries: &[(u8, u8, u32, u32)]) -> Vec<u8> {
        let mut sector = vec![0; 512];
        for (index, (flag, kind, first, sectors)) in entries.iter().enumerate() {
            let at = ENTRIES_AT + index * 16;
            sector[at] = *flag;
            sector[at + 4] = *kind;
            sector[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
            sector[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
        }
        sector[510..].copy_from_slice(b"\x55\xaa");
        sector
    }

    #[test]
    fn an_mbr_has_sensible_entries() {
        assert!(is_bootable(&sector(&[(0x80, 0x83, 2048, 100)])));
        assert!(!is_bootable(&sector(&[])));
        assert!(!is_bootable(&sector(&[(0x80, 0x83, 2048, 100), (0x12, 0x83, 1, 1)])));
        assert!(parse(&sector(&[(0x12, 0x83, 1, 1)])).is_none());
        assert!(parse(&sector(&[])).is_some_and(|mbr| mbr.is_blank()));
        let mut volume = sector(&[(0x80, 0x0c, 2048, 100)]);
        volume[..22].copy_from_slice(b"\xeb\x3c\x90MSDOS5.0\0\x02\x04\x01\0\x02\0\x02\0\0\xf8");
        assert!(is_bootable(&volume));
        volume[446] = 0x41;
        assert!(parse(&volume).is_none());
        assert!(parse(&[0; 512]).is_none());
        assert!(parse(&[0; 100]).is_none());
    }

    #[test]
    fn protective_and_hybrid_are_told_apart() {
        let protective = parse(&sector(&[(0, PROTECTIVE, 1, u32::MAX)])).unwrap();
        assert!(protective.is_protective() && !protective.is_hybrid());
        let hybrid = parse(&sector(&[(0, PROTECTIVE, 1, 2047), (0x80, 0x83, 2048, 9)])).unwrap();
        assert!(hybrid.is_hybrid());
    }
}
