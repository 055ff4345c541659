//! The master boot record: what Linux takes for one, and what it says of a GPT.

mod ebr;
mod nested;
mod primary;

pub(super) use primary::examine;

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::signatures::is_volume_boot_record;
use super::volumes::type_name;
use super::{Partition, SECTOR};
use crate::facts::{Code, Notebook};

/// Disk offset of the first partition entry.
const ENTRIES_AT: usize = 446;

/// Type of the entry that covers a GPT.
const PROTECTIVE: u8 = 0xee;

/// Where that entry begins, as cylinder, head and sector (UEFI 2.10, table 5.4).
const FIRST_CHS: [u8; 3] = [0, 2, 0];

/// Type of the entries of a disk that Windows' Logical Disk Manager divides.
const DYNAMIC: u8 = 0x42;

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
    /// Whether Linux shows it: whatever its type is, it has sectors.
    fn is_used(&self) -> bool {
        self.sectors.get() > 0
    }

    /// Only the flag has forbidden values.
    fn is_valid(&self) -> bool {
        matches!(self.flag, 0x00 | 0x80)
    }

    fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }

    /// Whether the type says something else than the size: one reader goes by the first, one by the other.
    fn is_ambiguous(&self) -> bool {
        (self.kind == 0) == self.is_used()
    }

    /// Disk offsets of its first byte and the byte after its last one, counted from sector `base`.
    fn range(&self, base: u64) -> (u64, u64) {
        let first = base + u64::from(self.first.get());
        (first * SECTOR, (first + u64::from(self.sectors.get())) * SECTOR)
    }

    fn partition(&self, number: u32, base: u64) -> Partition {
        let (start, end) = self.range(base);
        Partition::new(number, start, end - start, format!("{:02x}", self.kind))
    }
}

/// Disk offset of an entry in the boot record that begins at disk offset `record`.
fn entry_at(record: u64, index: usize) -> u64 {
    record + ENTRIES_AT as u64 + 16 * index as u64
}

/// A type by its number, and by its name if it has one.
fn type_shown(kind: u8) -> String {
    let number = format!("{kind:02x}");
    type_name(&number).map_or(number.clone(), |name| format!("{number} ({name})"))
}

/// Writes down that an entry's type and size do not agree on whether it is used.
fn check_entry(entry: &Entry, at: u64, what: &str, notebook: &Notebook<'_>) {
    if !entry.is_ambiguous() {
        return;
    }
    let said = if entry.kind == 0 {
        format!(
            "{what} has type 00, which means unused, and {} sectors from sector {}: Linux and libblkid show it, parted and UEFI do not.",
            entry.sectors.get(),
            entry.first.get()
        )
    } else {
        format!(
            "{what} has type {}, but no sectors: sfdisk shows an empty partition, Linux and libblkid show none.",
            type_shown(entry.kind)
        )
    };
    notebook.disk(Code::MbrEntryAmbiguous, at, said);
}

/// What an MBR says of a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protective {
    /// Nothing.
    None,
    /// There is one: an entry of type EE begins at sector 1, where a GPT has its header.
    Announces,
    /// An entry of type EE, of this index, begins elsewhere. Linux then takes the disk neither for a GPT nor for an MBR.
    Misplaced(usize),
}

/// The first sector of a disk that is a master boot record.
pub(super) struct Mbr {
    entries: [Entry; 4],
}

impl Mbr {
    /// Whether it has an entry that covers a GPT, and one that Linux accepts (`is_pmbr_valid` in efi.c).
    pub(super) fn protective(&self) -> Protective {
        let covers = |entry: &Entry| entry.kind == PROTECTIVE;
        let Some(index) = self.entries.iter().position(covers) else { return Protective::None };
        match self.entries.iter().any(announces_gpt) {
            true => Protective::Announces,
            false => Protective::Misplaced(index),
        }
    }

    /// Whether it lists no partition.
    pub(super) fn is_blank(&self) -> bool {
        self.entries.iter().all(|entry| !entry.is_used())
    }

    /// Whether it has entries of ordinary types beside the protective one. Linux goes by the types alone (`is_pmbr_valid`).
    fn is_hybrid(&self) -> bool {
        self.entries.iter().any(|entry| !matches!(entry.kind, 0 | PROTECTIVE))
    }

    /// Writes down what is odd about an MBR that covers a GPT.
    pub(super) fn examine_protective(&self, protective: Protective, notebook: &Notebook<'_>) {
        if let Protective::Misplaced(index) = protective {
            notebook.disk(Code::GptWithoutProtectiveMbr, entry_at(0, index), format!(
                "The MBR's entry of type ee begins at sector {}. Linux and UEFI look for a GPT only if it begins at sector 1: they see no partition; libblkid shows those of the GPT.",
                self.entries[index].first.get()));
        }
        if self.is_hybrid() && protective != Protective::None {
            notebook.disk(
                Code::MbrHybrid,
                ENTRIES_AT as u64,
                "The MBR has entries of ordinary types beside the protective one.",
            );
        }
        let mut covering =
            self.entries.iter().enumerate().filter(|(_, entry)| entry.kind == PROTECTIVE);
        let first = covering.next();
        if let Some((index, _)) = covering.next() {
            notebook.disk(
                Code::GptProtectiveMbrTwice,
                entry_at(0, index),
                format!("Entry {} of the MBR is of type ee, and not the first one.", index + 1),
            );
        }
        let Some((index, entry)) = first.filter(|_| protective == Protective::Announces) else {
            return;
        };
        let mut odd = Vec::new();
        // The safety check of oslo.utils, `check_mbr_partitions`, asks for both.
        let mut refused = Vec::new();
        if index > 0 && !self.is_hybrid() {
            refused.push(format!("it is entry {}, not the first", index + 1));
        }
        if entry.first_chs != FIRST_CHS {
            let [head, sector, cylinder] = entry.first_chs;
            refused.push(format!(
                "its first CHS is {head:02x} {sector:02x} {cylinder:02x}, not 00 02 00 as UEFI asks for"
            ));
        }
        if !refused.is_empty() {
            odd.push(format!("{}, and OpenStack refuses the image", refused.join(", ")));
        }
        if !entry.is_used() {
            odd.push("it has no sectors".into());
        }
        if entry.flag != 0 {
            odd.push(format!("its boot flag is {:02x}, not 00 as UEFI asks for", entry.flag));
        }
        if !odd.is_empty() {
            let said = format!("Of the MBR's entry of type ee: {}.", odd.join("; "));
            notebook.disk(Code::GptProtectiveMbrOdd, entry_at(0, index), said);
        }
    }
}

fn announces_gpt(entry: &Entry) -> bool {
    entry.kind == PROTECTIVE && entry.first.get() == 1
}

/// The boot record in the first sector; `None` if it is something else or has no sensible entry.
pub(super) fn parse(first: &[u8]) -> Option<Mbr> {
    let sector = first.get(..SECTOR as usize)?;
    if !sector.ends_with(b"\x55\xaa") {
        return None;
    }
    let (entries, _) = <[Entry; 4]>::read_from_prefix(&sector[ENTRIES_AT..]).ok()?;
    let valid = entries.iter().all(Entry::is_valid);
    // Linux takes none of the entries if one is invalid; if one looks good still, it is a damaged MBR.
    let sensible = entries.iter().any(|e| e.is_used() && e.is_valid() && (valid || e.kind != 0));
    // Of an entry that covers a GPT, nobody looks at the flag, or at what else the sector is.
    let announced = entries.iter().any(announces_gpt);
    // As Linux does: a volume's boot record with partition entries that are all valid is an MBR too.
    let table = if is_volume_boot_record(sector) { sensible && valid } else { sensible || valid };
    (table || announced).then_some(Mbr { entries })
}

/// Whether the sector is a master boot record with valid entries, at least one of them used.
#[must_use]
pub fn is_bootable(first: &[u8]) -> bool {
    parse(first).is_some_and(|mbr| !mbr.is_blank() && mbr.entries.iter().all(Entry::is_valid))
}

/// Names what else the first sector of an MBR is, as far as it makes a reader pass over its entries, or over the GPT that
/// they announce.
pub(super) fn name_others(first: &[u8], mbr: &Mbr, notebook: &Notebook<'_>) {
    if let Some(index) = mbr.entries.iter().position(|entry| entry.kind == DYNAMIC) {
        notebook.disk(
            Code::PartitionTableSecond,
            entry_at(0, index),
            "The MBR has the mark of a Windows dynamic disk (type 42) as well, which Linux reads instead of the MBR if its database is at the end of the disk.",
        );
    }
    if is_volume(first) {
        let (has, shown) = match mbr.protective() {
            Protective::None => ("is an MBR with partitions", "the partitions"),
            Protective::Announces => ("announces a GPT", "the partitions of the GPT"),
            Protective::Misplaced(_) => ("has an entry of type ee", "no partition"),
        };
        notebook.disk(Code::MbrInVolume, 0, format!(
            "The first sector {has} and is the boot sector of a FAT, exFAT or NTFS volume: Linux shows {shown}, libblkid and Windows the volume."));
    }
}

/// Whether libblkid takes the sector for a volume's. It goes by the names, or by the fields of a FAT volume
/// whatever stands before them.
pub(super) fn is_volume(first: &[u8]) -> bool {
    let Some(start) = first.first_chunk::<36>() else { return false };
    if &start[3..11] == b"NTFS    " || &start[3..11] == b"EXFAT   " {
        return true;
    }
    let sector_size = u16::from_le_bytes([start[11], start[12]]);
    let (reserved, media) = (u16::from_le_bytes([start[14], start[15]]), start[21]);
    matches!(sector_size, 512 | 1024 | 2048 | 4096)
        && start[13].is_power_of_two()
        && reserved > 0
        && start[16] > 0
        && (media == 0xf0 || media >= 0xf8)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A boot record with entries of boot flag, type, first sector and sectors.
    pub(in crate::guest) fn sector(entries: &[(u8, u8, u32, u32)]) -> Vec<u8> {
        let mut sector = vec![0; 512];
        for (index, (flag, kind, first, sectors)) in entries.iter().enumerate() {
            let at = ENTRIES_AT + index * 16;
            sector[at] = *flag;
            sector[at + 4] = *kind;
            sector[at + 2] = if *kind == PROTECTIVE { 2 } else { 0 };
            sector[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
            sector[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
        }
        sector[510..].copy_from_slice(b"\x55\xaa");
        sector
    }

    #[test]
    fn an_mbr_has_sensible_entries() {
        assert!(is_bootable(&sector(&[(0x80, 0x83, 2048, 100)])));
        assert!(is_bootable(&sector(&[(0, 0, 2048, 100)])));
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
        assert!(protective.protective() == Protective::Announces && !protective.is_hybrid());
        let hybrid = parse(&sector(&[(0, PROTECTIVE, 1, 2047), (0x80, 0x83, 2048, 9)])).unwrap();
        assert!(hybrid.is_hybrid());
        let typed = parse(&sector(&[(0, PROTECTIVE, 1, 2047), (0, 0x83, 40, 0)])).unwrap();
        assert!(typed.is_hybrid());
        let empty = parse(&sector(&[(0x7f, PROTECTIVE, 1, 0)])).unwrap();
        assert_eq!(empty.protective(), Protective::Announces);
        let elsewhere = parse(&sector(&[(0, 0x83, 9, 9), (0, PROTECTIVE, 63, 99)])).unwrap();
        assert_eq!(elsewhere.protective(), Protective::Misplaced(1));
    }
}
