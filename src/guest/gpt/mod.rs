//! The GUID partition table (UEFI specification 2.10, chapter 5.3): primary, backup, bounds.
//!
//! Linux (`block/partitions/efi.c`) reads the primary alone: if it is damaged, there are no partitions, unless
//! the kernel was started with `gpt`. libblkid, sfdisk and sgdisk turn to the backup.

mod agreement;
mod entries;
mod header;

use self::header::{ENTRY_SIZE, Header, REVISION, SIGNATURE};
use super::{Part, Partition, PartitionTable, SECTOR, Scheme, Unread, past_end};
use crate::facts::{Code, Layer, Notebook};
use crate::formats::{Disk, Got, Halt, Missing};

/// Sector size of "4Kn" disks.
pub(super) const LARGE_SECTOR: u64 = 4096;

/// Bytes read around a backup header: it follows its entries, and a stream keeps as much.
pub(super) const BACKUP_WINDOW: u64 = 64 << 10;

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

/// Reads both copies and holds the partitions against the disk. `announced` says whether the MBR makes Linux look
/// for a GPT.
pub(super) fn examine(
    disk: &mut dyn Disk,
    first: &[u8],
    announced: bool,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    let sector = first.get(SECTOR as usize..).unwrap_or_default();
    match Header::parse(sector, 1) {
        Ok(header) => match array(disk, &header, first, 0)? {
            Reading::Good(primary) => {
                table.scheme = Scheme::Gpt;
                with_primary(disk, primary, announced, notebook, table)
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
    primary: Copy,
    announced: bool,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    let readable = primary.header.entry_size.get() == ENTRY_SIZE;
    let used = entries::check(&primary, announced && readable, notebook, table);
    let header = primary.header;
    // The backup may be as large.
    drop(primary.array);
    if !readable {
        notebook.disk(Code::GptEntrySize, SECTOR + 84, format!(
            "The entries of the GPT have {} bytes. Linux and libblkid read only entries of {ENTRY_SIZE} bytes, and show no partition.",
            header.entry_size.get()));
    }
    if header.revision.get() != REVISION {
        notebook.disk(Code::GptRevision, SECTOR + 8, format!(
            "The GPT says that it is of revision {:#010x}; there is {REVISION:#010x} alone. Linux does not look, sgdisk takes it for damaged.",
            header.revision.get()));
    }
    let alternate = header.alternate_lba.get();
    let usable = header.last_usable.get();
    let end = alternate.max(usable).saturating_add(1).saturating_mul(SECTOR);
    if !notebook.claim_disk_size(end, Layer::Disk, SECTOR + 32) {
        return Ok(());
    }
    let backup = backup(disk, alternate, header.array_bytes())?;
    let copy = match &backup {
        Reading::Good(copy) => Some(&copy.header),
        Reading::Bad(_) | Reading::Unread(_) => None,
    };
    agreement::check_areas(&header, copy, &used, notebook);
    let Some(size) = disk.size()? else {
        table.unread.push(Unread { what: Part::Bounds, why: Missing::Quick });
        table.unread.push(Unread { what: Part::Backup, why: Missing::Quick });
        return Ok(());
    };
    let last = table.partitions.iter().map(Partition::end).max().unwrap_or(0);
    if end.max(last) > size {
        past_end(notebook, Code::GptPastEnd, SECTOR + 32, "The GPT's disk", end.max(last), size);
        return Ok(());
    }
    if alternate < (size / SECTOR).saturating_sub(1) {
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
            agreement::compare(&header, &copy.header, alternate * SECTOR, notebook);
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

/// The primary is damaged: the backup has to be in the last sector. Linux does not look there.
fn without_primary(
    disk: &mut dyn Disk,
    why: &str,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    let damaged = |more: &str| {
        notebook.disk(
            Code::GptPrimaryDamaged,
            SECTOR,
            format!("The primary GPT is damaged: {why}.{more}"),
        );
    };
    let Some(size) = disk.size()? else {
        damaged("");
        table.unread.push(Unread { what: Part::Backup, why: Missing::Quick });
        return Ok(());
    };
    match backup(disk, (size / SECTOR).saturating_sub(1), 0)? {
        Reading::Good(copy) => {
            table.scheme = Scheme::Gpt;
            damaged(
                " The backup at the end of the disk is intact, but Linux does not look at it and shows no partition; libblkid and sfdisk show those of the backup.",
            );
            entries::check(&copy, false, notebook, table);
        }
        Reading::Bad(_) if why == "there is no GPT header" => notebook.disk(Code::GptMissing, SECTOR,
            "The MBR announces a GPT, but there is none, neither after it nor in the last sector."),
        Reading::Bad(backup) => notebook.disk(Code::GptDamaged, SECTOR, format!(
            "Both copies of the GPT are damaged. Of the primary, {why}; of the backup, {backup}.")),
        Reading::Unread(missing) => {
            damaged("");
            table.unread.push(Unread { what: Part::Backup, why: missing });
        }
    }
    Ok(())
}

/// Reads the copy whose header is in sector `lba`, with its entries before it, which may take `entries` bytes.
fn backup(disk: &mut dyn Disk, lba: u64, entries: u64) -> Result<Reading, Halt> {
    let at = lba.saturating_mul(SECTOR);
    let end = at.saturating_add(SECTOR);
    // At most LARGEST_ARRAY and a sector.
    let start = end.saturating_sub(BACKUP_WINDOW.max(entries + SECTOR));
    let mut window = vec![0; (end - start) as usize];
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
