//! The GUID partition table (UEFI specification 2.10, chapter 5.3): primary, backup, bounds.

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::mbr::Mbr;
use super::{Part, Partition, PartitionTable, SECTOR, Scheme, Unread, past_end};
use crate::bytes::{Hostile, guid};
use crate::facts::{Code, Layer, Notebook};
use crate::formats::{Disk, Got, Halt, Missing};

/// Sector size of "4Kn" disks.
pub(super) const LARGE_SECTOR: u64 = 4096;

const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;

/// Largest array of entries that is read; the usual one has 16 KiB.
const LARGEST_ARRAY: u64 = 1 << 20;

/// Bytes read around a backup header: it follows its entries, and a stream keeps as much.
pub(super) const BACKUP_WINDOW: u64 = 64 << 10;

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Header {
    signature: [u8; 8],
    revision: U32,
    header_size: U32,
    header_crc: U32,
    reserved: U32,
    my_lba: U64,
    alternate_lba: U64,
    first_usable: U64,
    last_usable: U64,
    disk_guid: [u8; 16],
    entries_lba: U64,
    entries: U32,
    entry_size: U32,
    entries_crc: U32,
}

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Entry {
    kind: [u8; 16],
    unique: [u8; 16],
    first: U64,
    last: U64,
    attributes: U64,
    name: [u8; 72],
}

impl Header {
    /// Reads the header in the sector at `lba`.
    fn parse(sector: &[u8], lba: u64) -> Result<Header, String> {
        let Ok((header, _)) = Header::read_from_prefix(sector) else {
            return Err("it lies past the end of the disk".into());
        };
        if &header.signature != SIGNATURE {
            return Err("there is no GPT header".into());
        }
        let size = header.header_size.get();
        let Some(covered) =
            (92..=SECTOR as u32).contains(&size).then(|| sector.get(..size as usize)).flatten()
        else {
            return Err(format!("it says that it is {size} bytes long"));
        };
        let mut crc = crc32fast::Hasher::new();
        crc.update(&covered[..16]);
        crc.update(&[0; 4]);
        crc.update(&covered[20..]);
        let (stored, found) = (header.header_crc.get(), crc.finalize());
        if stored != found {
            return Err(format!("its CRC-32 is {found:08x}, it says {stored:08x}"));
        }
        if header.revision.get() != REVISION {
            return Err(format!("its revision is {:#010x}", header.revision.get()));
        }
        if header.my_lba.get() != lba {
            return Err(format!(
                "it says that it is at sector {}, it is at {lba}",
                header.my_lba.get()
            ));
        }
        let entry_size = header.entry_size.get();
        if entry_size < 128 || !entry_size.is_power_of_two() || entry_size > 4096 {
            return Err(format!("its entries have {entry_size} bytes"));
        }
        if header.array_bytes() == 0 || header.array_bytes() > LARGEST_ARRAY {
            return Err(format!("it says {} entries", header.entries.get()));
        }
        Ok(header)
    }

    /// Size of the array of entries in bytes.
    fn array_bytes(&self) -> u64 {
        u64::from(self.entries.get()) * u64::from(self.entry_size.get())
    }

    /// Disk offset of the array of entries.
    fn array_at(&self) -> u64 {
        self.entries_lba.get().saturating_mul(SECTOR)
    }
}

/// Whether the sector after the first one begins with a GPT header, for this size of sectors.
pub(super) fn has_signature(first: &[u8], sector: u64) -> bool {
    first.get(sector as usize..).is_some_and(|rest| rest.starts_with(SIGNATURE))
}

/// One of the two copies of the table.
struct Copy {
    header: Header,
    array: Vec<u8>,
}

/// What reading a copy brought.
enum Reading {
    Good(Copy),
    Bad(String),
    Unread(Missing),
}

/// Reads both copies and holds the partitions against the disk.
pub(super) fn examine(
    disk: &mut dyn Disk,
    first: &[u8],
    mbr: Option<&Mbr>,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    if mbr.is_none_or(|mbr| !mbr.is_protective()) {
        notebook.disk(
            Code::GptWithoutProtectiveMbr,
            0,
            "There is a GPT, but no protective MBR before it.",
        );
    } else if mbr.is_some_and(Mbr::is_hybrid) {
        notebook.disk(
            Code::MbrHybrid,
            446,
            "The MBR lists ordinary partitions beside the protective one.",
        );
    }
    let sector = first.get(SECTOR as usize..).unwrap_or_default();
    match Header::parse(sector, 1) {
        Ok(header) => match array(disk, &header, first, 0)? {
            Reading::Good(primary) => {
                table.scheme = Scheme::Gpt;
                with_primary(disk, &primary, notebook, table)
            }
            Reading::Bad(why) => without_primary(disk, &why, notebook, table),
            Reading::Unread(why) => {
                table.scheme = Scheme::Gpt;
                table.unread.push(Unread { what: Part::Entries, why });
                Ok(())
            }
        },
        Err(why) => without_primary(disk, &why, notebook, table),
    }
}

/// The primary is good: lists its partitions, and looks at the backup and the end of the disk.
fn with_primary(
    disk: &mut dyn Disk,
    primary: &Copy,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    let header = &primary.header;
    check_entries(primary, notebook, table);
    let alternate = header.alternate_lba.get();
    let end = alternate.saturating_add(1).saturating_mul(SECTOR);
    if !notebook.claim_disk_size(end, Layer::Disk, SECTOR + 32) {
        return Ok(());
    }
    let backup = if alternate > header.last_usable.get() {
        backup(disk, alternate)?
    } else {
        Reading::Bad("the primary places it among the partitions".into())
    };
    let Some(size) = disk.size()? else {
        table.unread.push(Unread { what: Part::Bounds, why: Missing::Quick });
        table.unread.push(Unread { what: Part::Backup, why: Missing::Quick });
        return Ok(());
    };
    let last = table.partitions.iter().map(|p| p.start.saturating_add(p.size)).max().unwrap_or(0);
    if end.max(last) > size {
        past_end(notebook, Code::GptPastEnd, SECTOR + 32, "The GPT's disk", end.max(last), size);
        return Ok(());
    }
    if end <= size - size % SECTOR - SECTOR {
        notebook.disk(
            Code::GptBackupMisplaced,
            alternate * SECTOR,
            format!(
                "The backup GPT is at sector {alternate}, the last sector of the disk is {}.",
                size / SECTOR - 1
            ),
        );
    }
    match backup {
        Reading::Good(copy) => {
            if copy.header.entries_crc.get() != header.entries_crc.get()
                || copy.header.disk_guid != header.disk_guid
            {
                notebook.disk(Code::GptCopiesDiffer, alternate * SECTOR,
                    "The primary and the backup GPT are both intact but list different partitions or disks.");
            }
        }
        Reading::Bad(why) => notebook.disk(
            Code::GptBackupDamaged,
            alternate.saturating_mul(SECTOR),
            format!("The backup GPT at sector {alternate} is damaged: {why}."),
        ),
        Reading::Unread(why) => table.unread.push(Unread { what: Part::Backup, why }),
    }
    Ok(())
}

/// The primary is damaged: the backup has to be in the last sector.
fn without_primary(
    disk: &mut dyn Disk,
    why: &str,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    let Some(size) = disk.size()? else {
        notebook.disk(
            Code::GptPrimaryDamaged,
            SECTOR,
            format!("The primary GPT is damaged: {why}."),
        );
        table.unread.push(Unread { what: Part::Backup, why: Missing::Quick });
        return Ok(());
    };
    match backup(disk, (size / SECTOR).saturating_sub(1))? {
        Reading::Good(copy) => {
            table.scheme = Scheme::Gpt;
            notebook.disk(Code::GptPrimaryDamaged, SECTOR, format!(
                "The primary GPT is damaged: {why}. The backup at the end of the disk is intact."));
            check_entries(&copy, notebook, table);
        }
        Reading::Bad(_) if why == "there is no GPT header" => notebook.disk(Code::GptMissing, SECTOR,
            "The MBR announces a GPT, but there is none, neither after it nor in the last sector."),
        Reading::Bad(backup) => notebook.disk(Code::GptDamaged, SECTOR, format!(
            "Both copies of the GPT are damaged. Of the primary, {why}; of the backup, {backup}.")),
        Reading::Unread(missing) => {
            notebook.disk(Code::GptPrimaryDamaged, SECTOR, format!("The primary GPT is damaged: {why}."));
            table.unread.push(Unread { what: Part::Backup, why: missing });
        }
    }
    Ok(())
}

/// Reads the copy whose header is in sector `lba`, with its entries before it.
fn backup(disk: &mut dyn Disk, lba: u64) -> Result<Reading, Halt> {
    let at = lba.saturating_mul(SECTOR);
    let start = (at.saturating_add(SECTOR)).saturating_sub(BACKUP_WINDOW);
    let mut window = vec![0; (at.saturating_add(SECTOR) - start) as usize];
    match disk.read_at(start, &mut window)? {
        Got::Bytes(count) => window.truncate(count),
        Got::Missing(why) => return Ok(Reading::Unread(why)),
    }
    match Header::parse(window.get((at - start) as usize..).unwrap_or_default(), lba) {
        Ok(header) => array(disk, &header, &window, start),
        Err(why) => Ok(Reading::Bad(why)),
    }
}

/// Reads the entries of a header, out of `window` (which begins at disk offset `start`) if it can.
fn array(disk: &mut dyn Disk, header: &Header, window: &[u8], start: u64) -> Result<Reading, Halt> {
    let (at, len) = (header.array_at(), header.array_bytes() as usize);
    let within = at.checked_sub(start).and_then(|skip| window.get(skip as usize..)?.get(..len));
    let array = match within {
        Some(array) => array.to_vec(),
        None => {
            // At most LARGEST_ARRAY: the header was checked.
            let mut array = vec![0; len];
            match disk.read_at(at, &mut array)? {
                Got::Bytes(count) if count == len => array,
                Got::Bytes(_) => {
                    return Ok(Reading::Bad("its entries lie past the end of the disk".into()));
                }
                Got::Missing(why) => return Ok(Reading::Unread(why)),
            }
        }
    };
    let (stored, found) = (header.entries_crc.get(), crc32fast::hash(&array));
    if stored != found {
        return Ok(Reading::Bad(format!(
            "the CRC-32 of its entries is {found:08x}, it says {stored:08x}"
        )));
    }
    Ok(Reading::Good(Copy { header: *header, array }))
}

/// Lists the partitions, and checks them against the header and each other.
fn check_entries(copy: &Copy, notebook: &Notebook<'_>, table: &mut PartitionTable) {
    let header = &copy.header;
    let usable = header.first_usable.get()..=header.last_usable.get();
    let entry_size = header.entry_size.get() as usize;
    let mut used: Vec<(u64, u64, u32, [u8; 16])> = Vec::new();
    for (number, bytes) in (1..).zip(copy.array.chunks_exact(entry_size)) {
        let Ok((entry, _)) = Entry::read_from_prefix(bytes) else { continue };
        if entry.kind == [0; 16] {
            continue;
        }
        let at = header.array_at().saturating_add(u64::from(number - 1) * entry_size as u64);
        let (first, last) = (entry.first.get(), entry.last.get());
        if first > last || !usable.contains(&first) || !usable.contains(&last) {
            notebook.disk(
                Code::GptEntryInvalid,
                at,
                format!(
                    "Partition {number} takes sectors {first} to {last}; the GPT allows {} to {}.",
                    usable.start(),
                    usable.end()
                ),
            );
            continue;
        }
        used.push((first, last, number, entry.unique));
        table.partitions.push(Partition {
            number,
            start: first.saturating_mul(SECTOR),
            size: (last - first).saturating_add(1).saturating_mul(SECTOR),
            kind: guid(entry.kind),
            name: Hostile::from_utf16le(&entry.name).to_string(),
        });
    }
    if used.is_empty() {
        notebook.disk(
            Code::PartitionTableEmpty,
            header.array_at(),
            "The GPT lists no valid partition.",
        );
    }
    used.sort_unstable();
    for pair in used.windows(2) {
        let [(_, last, a, _), (first, _, b, _)] = pair else { continue };
        if first <= last {
            notebook.disk(
                Code::GptPartitionsOverlap,
                header.array_at(),
                format!("Partitions {a} and {b} overlap."),
            );
        }
    }
    used.sort_unstable_by_key(|(.., number, unique)| (*unique, *number));
    for pair in used.windows(2) {
        let [(.., a, first), (.., b, second)] = pair else { continue };
        if first == second {
            notebook.disk(
                Code::GptDuplicateGuid,
                header.array_at(),
                format!("Partitions {a} and {b} have the same GUID {}.", guid(*first)),
            );
        }
    }
}
