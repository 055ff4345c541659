//! The partitions of a master boot record, as Linux's `msdos_partition` lists them.

use super::ebr::Logicals;
use super::{ENTRIES_AT, Entry, Mbr, check_entry, entry_at, nested};
use crate::facts::{Code, Layer, Notebook};
use crate::formats::{Disk, Halt, Missing};
use crate::guest::{Part, Partition, PartitionTable, Scheme, Unread, past_end};

/// Partitions of an MBR that sfdisk and fdisk show (MAXIMUM_PARTS in libfdisk/src/dos.c).
const MOST_OF_SFDISK: usize = 60;

/// Reads the logical partitions and holds all of them against the disk.
pub(in crate::guest) fn examine(
    disk: &mut dyn Disk,
    mbr: &Mbr,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Result<(), Halt> {
    table.scheme = Scheme::Mbr;
    for (index, entry) in mbr.entries.iter().enumerate() {
        primary(entry, index, notebook, table);
    }
    check_active(mbr, notebook);
    check_overlap(&table.partitions, notebook);
    let end = table.partitions.iter().map(Partition::end).max().unwrap_or(0);
    notebook.claim_disk_size(end, Layer::Disk, ENTRIES_AT as u64);

    let extended_at = mbr.entries.iter().find(|entry| entry.is_extended()).map(|e| e.first.get());
    let is_before = |entry: &Entry| extended_at.is_none_or(|at| entry.first.get() < at);
    look_into(disk, mbr, is_before, notebook)?;
    let is_extended = |entry: &&Entry| entry.is_valid() && entry.is_used() && entry.is_extended();
    let mut logicals = Logicals::default();
    for (count, extended) in mbr.entries.iter().filter(is_extended).enumerate() {
        if count > 0 {
            notebook.disk(
                Code::MbrExtendedAmbiguous,
                ENTRIES_AT as u64,
                "The MBR has more than one extended partition: Linux and libblkid show the logical ones in all of them, sfdisk and parted those of one.",
            );
        }
        if extended.first.get() == 0 {
            notebook.disk(
                Code::MbrExtendedInvalid,
                ENTRIES_AT as u64,
                "The extended partition begins at sector 0, which makes the MBR its first record: Linux takes the entries there for logical partitions, sfdisk and fdisk take none.",
            );
            continue;
        }
        logicals.follow(disk, extended, notebook, table)?;
    }
    look_into(disk, mbr, |entry| !is_before(entry), notebook)?;
    logicals.check(notebook, table);
    let count = table.partitions.len();
    if count > MOST_OF_SFDISK {
        notebook.disk(Code::PartitionsTooMany, ENTRIES_AT as u64, format!(
            "There are {count} partitions; sfdisk and fdisk show {MOST_OF_SFDISK}, and lose the others when they write."));
    }
    let Some(size) = disk.size()? else {
        table.unread.push(Unread { what: Part::Bounds, why: Missing::Quick });
        return Ok(());
    };
    for partition in &table.partitions {
        let end = partition.end();
        if end > size {
            let what = format!("Partition {}", partition.number);
            past_end(notebook, Code::MbrPartitionPastEnd, ENTRIES_AT as u64, &what, end, size);
        }
    }
    Ok(())
}

/// Looks for tables within those primary partitions that are to be read now: a stream does not go back.
fn look_into(
    disk: &mut dyn Disk,
    mbr: &Mbr,
    now: impl Fn(&Entry) -> bool,
    notebook: &Notebook<'_>,
) -> Result<(), Halt> {
    let mut entries: Vec<(u32, &Entry)> = (1..).zip(&mbr.entries).collect();
    entries.sort_by_key(|(_, entry)| entry.first.get());
    for (number, entry) in entries {
        if entry.is_used() && entry.is_valid() && now(entry) {
            nested::look(disk, entry, number, notebook)?;
        }
    }
    Ok(())
}

/// Lists the partition of an entry, and writes down what is wrong with it.
fn primary(entry: &Entry, index: usize, notebook: &Notebook<'_>, table: &mut PartitionTable) {
    let (at, number) = (entry_at(0, index), index as u32 + 1);
    if !entry.is_valid() {
        notebook.disk(
            Code::MbrInvalid,
            at,
            format!(
                "MBR entry {number} has the boot flag {:#04x}, type {} and {} sectors; flags 00 and 80 are possible.",
                entry.flag,
                super::type_shown(entry.kind),
                entry.sectors.get()
            ),
        );
        return;
    }
    check_entry(entry, at, &format!("MBR entry {number}"), notebook);
    if !entry.is_used() {
        return;
    }
    // Of an extended one the MBR would be a record, which is said where its records are followed.
    if entry.first.get() == 0 && !entry.is_extended() {
        notebook.disk(
            Code::MbrPartitionOverTable,
            at,
            format!("Partition {number} begins at sector 0, so the MBR lies in it."),
        );
    }
    table.list(entry.partition(number, 0));
}

/// Boot code goes by the flag alone, whether the entry is used or not.
fn check_active(mbr: &Mbr, notebook: &Notebook<'_>) {
    const ACTIVE: u8 = 0x80;
    let active = mbr.entries.iter().enumerate().filter(|(_, entry)| entry.flag == ACTIVE);
    let active: Vec<usize> = active.map(|(index, _)| index).collect();
    if let [_, .., last] = active[..] {
        let said = format!(
            "{} entries of the MBR are marked as active, the last of them entry {}.",
            active.len(),
            last + 1
        );
        notebook.disk(Code::MbrActiveTwice, entry_at(0, last), said);
    }
}

fn check_overlap(partitions: &[Partition], notebook: &Notebook<'_>) {
    for (index, a) in partitions.iter().enumerate() {
        for b in &partitions[index + 1..] {
            if a.start < b.end() && b.start < a.end() {
                notebook.disk(
                    Code::MbrPartitionsOverlap,
                    ENTRIES_AT as u64,
                    format!("Partitions {} and {} overlap.", a.number, b.number),
                );
            }
        }
    }
}
