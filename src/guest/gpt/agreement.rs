//! The two copies of a GPT against each other, and the sectors they take against those of partitions.

use super::Header;
use super::entries::Used;
use crate::facts::{Code, Notebook};
use crate::guest::SECTOR;

/// What the copies do not agree on, by the fields that Linux's `compare_gpts` looks at.
pub(super) fn compare(primary: &Header, backup: &Header, at: u64, notebook: &Notebook<'_>) {
    if primary.entries_crc.get() != backup.entries_crc.get()
        || primary.disk_guid != backup.disk_guid
    {
        notebook.disk(Code::GptCopiesDiffer, at,
            "The primary and the backup GPT are both intact but list different partitions or disks.");
        return;
    }
    let usable = |header: &Header| (header.first_usable.get(), header.last_usable.get());
    let entries = |header: &Header| (header.entries.get(), header.entry_size.get());
    let mut differ = Vec::new();
    if usable(primary) != usable(backup) {
        let ((a, b), (c, d)) = (usable(primary), usable(backup));
        differ.push(format!(
            "the primary gives sectors {a} to {b} to partitions, the backup {c} to {d}"
        ));
    }
    if entries(primary) != entries(backup) {
        let ((a, b), (c, d)) = (entries(primary), entries(backup));
        differ.push(format!("the primary has {a} entries of {b} bytes, the backup {c} of {d}"));
    }
    if backup.alternate_lba.get() != 1 {
        let named = backup.alternate_lba.get();
        differ.push(format!("the backup says that the primary is at sector {named}, it is at 1"));
    }
    if !differ.is_empty() {
        let said = format!("The copies of the GPT do not agree: {}.", differ.join("; "));
        notebook.disk(Code::GptCopiesDiffer, at, said);
    }
}

/// Sectors that the table itself takes: what they are, the first one, and the one after the last.
type Area = (&'static str, u64, u64);

/// Holds the sectors of the table against each other and against those that it gives to partitions.
pub(super) fn check_areas(
    primary: &Header,
    backup: Option<&Header>,
    used: &[Used],
    notebook: &Notebook<'_>,
) {
    let alternate = primary.alternate_lba.get();
    let (first, end) = primary.array_sectors();
    let mut areas: Vec<Area> = vec![
        ("the MBR", 0, 1),
        ("the primary header", 1, 2),
        ("the primary's entries", first, end),
        ("the backup header", alternate, alternate.saturating_add(1)),
    ];
    if let Some(backup) = backup {
        let (first, end) = backup.array_sectors();
        areas.push(("the backup's entries", first, end));
    }
    for (index, &(what, first, end)) in areas.iter().enumerate() {
        for &(other, start, stop) in &areas[..index] {
            if first < stop && start < end {
                notebook.disk(
                    Code::GptOverItself,
                    first.saturating_mul(SECTOR),
                    format!("Of the GPT, {what} and {other} take the same sectors."),
                );
            }
        }
        let covers = |from: u64, to: u64| from < end && first <= to;
        if !covers(primary.first_usable.get(), primary.last_usable.get()) {
            continue;
        }
        // Sorted by their first sectors; those before the end of the area may cover it.
        let covering = used.iter().find(|partition| covers(partition.first, partition.last));
        let by = match covering {
            Some(partition) => format!("partition {} covers {what}", partition.number),
            None => format!("the GPT gives the sectors of {what} to partitions"),
        };
        let said = format!("{}{}.", by[..1].to_uppercase(), &by[1..]);
        notebook.disk(Code::GptOverItself, first.saturating_mul(SECTOR), said);
    }
}
