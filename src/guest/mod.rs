//! What lies on the disk: today its partition table.
//!
//! The room reads a [`Disk`] by guest offset and does not know which container the disk is in. It
//! writes what is odd into the notebook and passes no verdict.
//!
//! Which table counts, and which partitions it has, is decided as Linux decides it (`block/partitions`): the
//! system of nearly every Droplet is found by what its kernel lists. Where libblkid, sfdisk, parted, sgdisk
//! or UEFI's firmware would see something else, that is an anomaly. `docs/partition-tables.md` has the rules.

mod filesystem;
mod gpt;
mod listing;
mod mbr;

pub use listing::{Partition, PartitionTable, Scheme};
pub use mbr::is_bootable as has_valid_mbr;

use listing::MOST_LISTED;
use mbr::Protective;

use crate::facts::{Code, Layer, Notebook};
use crate::formats::{Disk, Got, Halt, Missing, Wanted};

/// Bytes of a sector. Disks laid out for 4096-byte sectors are told apart and refused.
const SECTOR: u64 = 512;

/// The sectors at the beginning that a partition table usually takes: MBR, GPT header, 32 of entries.
const FIRST_SECTORS: usize = 34 * SECTOR as usize;

/// A part of the partition table that could not be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unread {
    /// What it is.
    pub what: Part,
    /// Why.
    pub why: Missing,
}

/// Parts of a partition table that are elsewhere on the disk than its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The first sectors.
    Table,
    /// Logical partitions in an extended one, or GPT entries in an unusual place.
    Entries,
    /// The backup GPT.
    Backup,
    /// The end of the disk, which partitions have to stay within.
    Bounds,
}

/// The parts of a disk of this size that [`examine`] reads in nearly all cases: both copies of a GPT.
#[must_use]
pub fn wanted(size: u64) -> Wanted {
    let first = 0..size.min(FIRST_SECTORS as u64);
    let last = size.saturating_sub(gpt::BACKUP_WINDOW).max(first.end)..size;
    Wanted(vec![first, last])
}

/// Reads and judges the partition table. `none_found` is the anomaly of a disk without one.
///
/// # Errors
/// If the image cannot be read further.
pub fn examine(
    disk: &mut dyn Disk,
    none_found: Code,
    notebook: &Notebook<'_>,
) -> Result<PartitionTable, Halt> {
    let mut first = vec![0; FIRST_SECTORS];
    let mut table = PartitionTable::new();
    match disk.read_at(0, &mut first)? {
        Got::Bytes(count) => first.truncate(count),
        Got::Missing(why) => {
            table.unread.push(Unread { what: Part::Table, why });
            return Ok(table);
        }
    }
    let boot = mbr::parse(&first);
    let has_gpt = gpt::has_signature(&first, SECTOR);
    let protective = boot.as_ref().map_or(Protective::None, mbr::Mbr::protective);
    let announced = protective != Protective::None;
    if !has_gpt && (boot.is_none() || announced) && gpt::has_signature(&first, gpt::LARGE_SECTOR) {
        table.scheme = Scheme::Gpt;
        notebook.disk(
            Code::GptSectorSize,
            gpt::LARGE_SECTOR,
            "The GPT is laid out for sectors of 4096 bytes; a Droplet's disk has sectors of 512.",
        );
    } else if announced || has_gpt && boot.as_ref().is_none_or(mbr::Mbr::is_blank) {
        mbr::name_others(&first, Scheme::Gpt, notebook);
        if let Some(boot) = &boot {
            boot.examine_protective(protective, notebook);
        }
        if !announced {
            notebook.disk(
                Code::GptWithoutProtectiveMbr,
                0,
                "There is a GPT, but no protective MBR before it: Linux and UEFI do not look for a GPT then.",
            );
        }
        gpt::examine(disk, &first, protective == Protective::Announces, notebook, &mut table)?;
    } else if let Some(boot) = boot.filter(|boot| !boot.is_blank()) {
        mbr::name_others(&first, Scheme::Mbr, notebook);
        if has_gpt {
            notebook.disk(Code::GptWithoutProtectiveMbr, SECTOR,
                "There is a GPT, but the MBR lists ordinary partitions and no protective one; most systems follow the MBR.");
        }
        mbr::examine(disk, &boot, notebook, &mut table)?;
    } else {
        let found = filesystem::name(&first);
        notebook.add(
            none_found,
            Layer::Disk,
            0,
            format!("The disk has neither an MBR nor a GPT; it begins with {found}."),
        );
    }
    Ok(table)
}

/// Writes down that something of the table lies past the end of the disk.
fn past_end(notebook: &Notebook<'_>, code: Code, at: u64, what: &str, end: u64, size: u64) {
    let missing = end - size;
    notebook.disk(code, at, format!(
        "{what} ends at byte {end}, but the disk has only {size} bytes: {missing} bytes ({}) are missing.",
        crate::bytes::human_size(missing)));
}
