//! What lies on the disk: today its partition table.
//!
//! The room reads a [`Disk`] by guest offset and does not know which container the disk is in. It
//! writes what is odd into the notebook and passes no verdict.
//!
//! Which table counts, and which partitions it has, is decided as Linux decides it (`block/partitions`): the
//! system of nearly every Droplet is found by what its kernel lists. Where libblkid, sfdisk, parted, sgdisk
//! or UEFI's firmware would see something else, that is an anomaly. `docs/partition-tables.md` has the rules.

mod ends;
mod file_systems;
mod files;
pub mod fs;
mod gpt;
pub mod inside;
mod listing;
mod luks;
mod mbr;
mod mount;
mod optical;
mod signatures;
mod tree;
pub mod volumes;
mod yaml;
mod zfs;

pub use file_systems::{FILE_SYSTEMS, FileSystem};
pub use files::{DeadLink, Files, Listed, NoRoot, Reading};
pub use listing::{Partition, PartitionTable, Scheme};
pub use mbr::is_bootable as has_valid_mbr;
pub use signatures::{SIGNATURES, Signature};

use listing::MOST_LISTED;
use mbr::Protective;

use crate::codec::{PACKINGS, would_unpack};
use crate::facts::{Anomaly, Code, DiskFormat, Layer, Notebook};
use crate::formats::{Disk, FORMATS, Got, Halt, Is, Missing, Wanted};

/// Whether a disk that begins like this has a partition table: an MBR with valid entries, at least one of
/// them used, or the mark of a GPT.
#[must_use]
pub fn has_partition_table(first: &[u8]) -> bool {
    table_mark(first).is_some()
}

/// Where the mark of the partition table is on a disk that begins like this.
#[must_use]
pub fn table_mark(first: &[u8]) -> Option<usize> {
    let gpt = |sector| gpt::has_signature(first, sector).then_some(sector as usize);
    let mbr = has_valid_mbr(first).then_some(SECTOR as usize - 2);
    // A GPT for sectors of 4096 bytes counts for nobody who takes them for 512, and a container of small clusters may
    // have one there that is its disk's.
    mbr.or_else(|| gpt(SECTOR))
}

/// Bytes at the beginning of a disk that its marks are looked for in.
pub const FIRST: usize = FIRST_SECTORS;

/// Bytes of a sector. Disks laid out for 4096-byte sectors are told apart and refused.
const SECTOR: u64 = 512;

/// Bytes at the beginning that tidegate reads: a partition table usually takes 34 sectors, an optical disc describes
/// itself at 32 KiB, and the mark of btrfs is farther than all others, behind 64 KiB.
const FIRST_SECTORS: usize = 136 * SECTOR as usize;

/// A part of the partition table that could not be examined.
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

/// The parts of a disk of this size that [`examine`] reads in nearly all cases: both copies of a GPT, the places of
/// headers, and the marks at the end.
#[must_use]
pub fn wanted(size: u64) -> Wanted {
    let first = 0..size.min(FIRST_SECTORS as u64);
    let last = size.saturating_sub(ends::WINDOW + size % SECTOR).max(first.end)..size;
    let headers = luks::FAR.map(|at| at.min(size)..(at + luks::HEADER as u64).min(size));
    let labels = zfs::wanted().map(|range| range.start.min(size)..range.end.min(size));
    Wanted([first, last].into_iter().chain(headers).chain(labels).collect())
}

/// Notes that a part of the disk that has marks was not examined, and why; once for each reason.
fn leave(table: &mut PartitionTable, why: Missing) {
    if table.unread.iter().all(|unread| unread.why != why) {
        table.unread.push(Unread { what: Part::Bounds, why });
    }
}

/// Reads and judges the partition table. `none_found` is the anomaly of a disk without one: it is not written down,
/// as it settles the matter, and whoever reads more of the disk says it last ([`PartitionTable::missing`]).
///
/// # Errors
/// If the image cannot be read further.
pub fn examine(
    disk: &mut dyn Disk,
    none_found: Code,
    notebook: &Notebook<'_>,
) -> Result<PartitionTable, Halt> {
    let mut table = examine_table(disk, none_found, notebook)?;
    // What a raw image is by its last sector was decided before anything else.
    if none_found != Code::RawNoPartitionTable && ends::name_image(disk, notebook, &mut table)? {
        table.missing = None;
    }
    Ok(table)
}

fn examine_table(
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
    luks::keep(disk);
    let boot = mbr::parse(&first);
    let has_gpt = gpt::has_signature(&first, SECTOR);
    let protective = boot.as_ref().map_or(Protective::None, mbr::Mbr::protective);
    let announced = protective != Protective::None;
    if let Some(boot) = boot.as_ref().filter(|boot| announced || !boot.is_blank()) {
        mbr::name_others(&first, boot, notebook);
    }
    if !has_gpt && (boot.is_none() || announced) && gpt::has_signature(&first, gpt::LARGE_SECTOR) {
        table.scheme = Scheme::Gpt;
        notebook.disk(
            Code::GptSectorSize,
            gpt::LARGE_SECTOR,
            "The GPT is laid out for sectors of 4096 bytes; a Droplet's disk has sectors of 512.",
        );
    } else if announced || has_gpt && boot.as_ref().is_none_or(mbr::Mbr::is_blank) {
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
        if has_gpt {
            notebook.disk(Code::GptWithoutProtectiveMbr, SECTOR,
                "There is a GPT, but the MBR lists ordinary partitions and no protective one; most systems follow the MBR.");
        }
        mbr::examine(disk, &boot, notebook, &mut table)?;
    } else {
        if !name_image(&first, "The disk", notebook) {
            table.missing = Some(no_table(&first, none_found));
        }
        return Ok(table);
    }
    name_image(&first, "The disk has a partition table, but", notebook);
    for (what, at) in signatures::members(&first) {
        notebook.disk(
            Code::DiskMemberSignature,
            at,
            format!("The disk has a partition table, and is {what} by the mark at byte {at}."),
        );
    }
    luks::find(disk, notebook, &mut table)?;
    zfs::find(disk, notebook, &mut table, zfs::first_label(&first).is_some())?;
    ends::find(disk, notebook, &mut table)?;
    let is_disc = optical::judge(&first, &table.partitions, notebook);
    file_systems::judge(&first, is_disc, &table.partitions, notebook);
    for (map, at) in signatures::maps(&first) {
        // A disc for Macs has one, and is known for a disc that is a disk as well.
        if !(is_disc && map.what == signatures::APPLE) {
            notebook.disk(Code::PartitionTableSecond, at, format!(
                "The disk has the mark of {} as well (at byte {at}), which may list other partitions; known to: {}.",
                map.what, map.readers));
        }
    }
    Ok(table)
}

/// Writes down what else than a disk it is by its first bytes, and says whether it is: an image, a packed file, an archive,
/// a program. Converted to a raw disk it is that to every program that goes by the first bytes, and that program opens
/// what is named there. It is what a raw image is refused for. A LUKS volume is both, and is named as a volume; an optical
/// disc is judged apart.
fn name_image(first: &[u8], subject: &str, notebook: &Notebook<'_>) -> bool {
    let is_disk = |is| matches!(is, Is::Optical | Is::Refused(DiskFormat::Luks, _));
    let images = FORMATS.iter().filter(|known| !is_disk(known.is));
    let images = images.map(|known| (known.what, known.find(first)));
    let packed = PACKINGS.iter().filter(|known| would_unpack(known.is, first));
    let packed = packed.map(|known| (known.what, known.find(first)));
    let found = images.chain(packed).find_map(|(what, at)| Some((what, at?)));
    if let Some((what, at)) = found {
        notebook.disk(Code::FormatPolyglot, at as u64, format!(
            "{subject} begins as {what} does (at byte {at}): converted to raw sectors it is opened as one."));
    }
    found.is_some()
}

/// What a disk is that has no partition table.
fn no_table(first: &[u8], none_found: Code) -> Anomaly {
    const NONE: &str = "The disk has neither an MBR nor a GPT; it begins with";
    let (code, offset, said) = if optical::Volume::find(first).is_some() {
        let said = "The disk is an optical disc (ISO 9660, UDF) without a partition table.";
        (Code::FormatIso9660, optical::MARK, said.to_owned())
    } else if let signatures::Beginning::Known(what) = signatures::beginning(first) {
        (none_found, 0, format!("{NONE} {what}."))
    } else {
        let looks = match signatures::is_dense(first) {
            true => ", and looks compressed or encrypted",
            false => "",
        };
        let bytes = crate::bytes::hex(&first[..first.len().min(8)]);
        let said = format!("{NONE} nothing that is known (bytes {bytes}){looks}.");
        // A container is known for what it is, whatever its disk begins with.
        let raw = none_found == Code::RawNoPartitionTable;
        (if raw { Code::ContentUnrecognised } else { none_found }, 0, said)
    };
    Anomaly { code, layer: Layer::Disk, offset: Some(offset), spot: None, said }
}

/// Writes down that something of the table lies past the end of the disk.
fn past_end(notebook: &Notebook<'_>, code: Code, at: u64, what: &str, end: u64, size: u64) {
    let missing = end - size;
    notebook.disk(code, at, format!(
        "{what} ends at byte {end}, but the disk has only {size} bytes: {missing} bytes ({}) are missing.",
        crate::bytes::human_size(missing)));
}
