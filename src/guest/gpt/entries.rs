//! The entries of a GPT: which of them are partitions, and how they lie to each other.

use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::Copy;
use crate::bytes::{Hostile, guid};
use crate::facts::{Code, Notebook};
use crate::guest::volumes::utf16;
use crate::guest::{MOST_LISTED, Partition, PartitionTable, SECTOR};

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

/// A partition, in sectors of which both are its own.
pub(super) struct Used {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) number: u32,
    unique: [u8; 16],
}

/// The partitions of a copy, by their first sectors, checked against its header and each other. They are listed if
/// the table is one that is `shown`, that is by Linux.
pub(super) fn check(
    copy: &Copy,
    shown: bool,
    notebook: &Notebook<'_>,
    table: &mut PartitionTable,
) -> Vec<Used> {
    let header = &copy.header;
    let usable = header.first_usable.get()..=header.last_usable.get();
    let entry_size = header.entry_size.get() as usize;
    let mut used = Vec::new();
    let mut beyond = 0;
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
            // Linux shows it all the same, if it is on the disk (`is_pte_valid`); the backup is in its last sector.
            if first > last || last > header.alternate_lba.get() {
                continue;
            }
        }
        used.push(Used { first, last, number, unique: entry.unique });
        if !shown || number > MOST_LISTED {
            table.left_out += 1;
            beyond += u32::from(shown);
            continue;
        }
        let start = first.saturating_mul(SECTOR);
        let size = (last - first).saturating_add(1).saturating_mul(SECTOR);
        table.list(Partition {
            name: Hostile::from_utf16le(&entry.name).to_string(),
            guid: Some(guid(entry.unique)),
            attributes: entry.attributes.get(),
            label: utf16(&entry.name, u16::from_le_bytes),
            ..Partition::new(number, start, size, guid(entry.kind))
        });
    }
    if beyond > 0 {
        notebook.disk(
            Code::PartitionsTooMany,
            header.array_at(),
            format!(
                "Linux shows partitions up to number {MOST_LISTED}; {beyond} more are in the table."
            ),
        );
    }
    if used.is_empty() {
        notebook.disk(
            Code::PartitionTableEmpty,
            header.array_at(),
            "The GPT lists no valid partition.",
        );
    }
    check_against_each_other(&mut used, header.array_at(), notebook);
    used
}

/// Overlaps, and GUIDs that are there twice. Leaves them sorted by their first sectors.
fn check_against_each_other(used: &mut [Used], at: u64, notebook: &Notebook<'_>) {
    used.sort_unstable_by_key(|partition| (partition.unique, partition.number));
    for pair in used.windows(2) {
        let [a, b] = pair else { continue };
        if a.unique == b.unique {
            let (a, b, guid) = (a.number, b.number, guid(a.unique));
            let said = format!("Partitions {a} and {b} have the same GUID {guid}.");
            notebook.disk(Code::GptDuplicateGuid, at, said);
        }
    }
    used.sort_unstable_by_key(|partition| (partition.first, partition.last, partition.number));
    let mut longest: Option<&Used> = None;
    for partition in &*used {
        if let Some(other) = longest.filter(|other| partition.first <= other.last) {
            let said = format!("Partitions {} and {} overlap.", other.number, partition.number);
            notebook.disk(Code::GptPartitionsOverlap, at, said);
        }
        if longest.is_none_or(|other| other.last < partition.last) {
            longest = Some(partition);
        }
    }
}
