//! Logical partitions: the chain of extended boot records, as Linux's `parse_extended` follows it.
//!
//! A record has room for four entries. Usually the first one is a partition, counted from the record, and the
//! second one the link to the next record, counted from the extended partition. Linux takes what it finds in
//! any of them; where others do not, or where a writer would have put it elsewhere, that is written down.

use std::collections::BTreeSet;

use zerocopy::FromBytes;

use super::{ENTRIES_AT, Entry, check_entry, entry_at};
use crate::facts::{Code, Notebook};
use crate::formats::{Disk, Got, Halt};
use crate::guest::{MOST_LISTED, Part, PartitionTable, SECTOR, Unread};

/// Records without a partition that Linux follows in a row.
const MOST_EMPTY: u32 = 100;

/// Records of a chain that are followed: 251 logical partitions can be numbered, and no writer leaves so many empty
/// records between them.
const MOST_RECORDS: usize = 1000;

/// The logical partitions of a disk, and the records that list them.
#[derive(Default)]
pub(super) struct Logicals {
    /// First sector, the sector after the last one, and number of each.
    partitions: Vec<(u64, u64, u32)>,
    /// Sectors of the records.
    records: BTreeSet<u64>,
}

/// A record that a link leads to.
struct Place {
    /// Its sector.
    sector: u64,
    /// Sectors that the link gives to it.
    sectors: u64,
}

/// The extended partition, in sectors.
struct Extended {
    first: u64,
    end: u64,
}

impl Logicals {
    /// Lists what the chain in `extended` lists.
    pub(super) fn follow(
        &mut self,
        disk: &mut dyn Disk,
        extended: &Entry,
        notebook: &Notebook<'_>,
        table: &mut PartitionTable,
    ) -> Result<(), Halt> {
        let first = u64::from(extended.first.get());
        let sectors = u64::from(extended.sectors.get());
        let extended = Extended { first, end: first + sectors };
        let mut place = Place { sector: first, sectors };
        let mut visited = BTreeSet::new();
        let mut empty = 0;
        loop {
            let at = place.sector * SECTOR;
            let broken = |why: String| notebook.disk(Code::MbrExtendedInvalid, at, why);
            if !visited.insert(place.sector) {
                broken(format!(
                    "The chain of logical partitions runs in a circle: it comes back to sector {}.",
                    place.sector
                ));
                return Ok(());
            }
            empty += 1;
            if empty > MOST_EMPTY || visited.len() > MOST_RECORDS {
                broken(format!(
                    "Linux gives up at the extended boot record at sector {}: too many before it have no partition.",
                    place.sector
                ));
                return Ok(());
            }
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
            if !sector.ends_with(b"\x55\xaa") {
                broken(format!(
                    "There is no extended boot record at sector {}: it does not end in 55 AA.",
                    place.sector
                ));
                return Ok(());
            }
            let Ok((entries, _)) = <[Entry; 4]>::read_from_prefix(&sector[ENTRIES_AT..]) else {
                return Ok(());
            };
            self.records.insert(place.sector);
            check_record(&entries, at, notebook);
            for (index, entry) in entries.iter().enumerate() {
                if !entry.is_used()
                    || entry.is_extended()
                    || index >= 2 && !fits(entry, &place, &extended)
                {
                    continue;
                }
                empty = 0;
                if !self.list(entry, index, &place, &extended, notebook, table) {
                    return Ok(());
                }
            }
            let Some(link) = entries.iter().find(|e| e.is_used() && e.is_extended()) else {
                return Ok(());
            };
            place = next(link, &place, &extended, notebook);
        }
    }

    /// Lists the partition of an entry; false if Linux numbers no more.
    fn list(
        &mut self,
        entry: &Entry,
        index: usize,
        place: &Place,
        extended: &Extended,
        notebook: &Notebook<'_>,
        table: &mut PartitionTable,
    ) -> bool {
        let at = entry_at(place.sector * SECTOR, index);
        let number = 5 + self.partitions.len() as u32;
        if number > MOST_LISTED {
            table.left_out += 1;
            notebook.disk(Code::PartitionsTooMany, at, format!(
                "Linux shows partitions up to number {MOST_LISTED}; the logical ones from sector {} on are not shown.",
                place.sector));
            return false;
        }
        let first = place.sector + u64::from(entry.first.get());
        let end = first + u64::from(entry.sectors.get());
        if first < extended.first || end > extended.end {
            notebook.disk(
                Code::MbrExtendedInvalid,
                at,
                format!("Partition {number} reaches out of its extended partition."),
            );
        }
        self.partitions.push((first, end, number));
        table.list(entry.partition(number, place.sector));
        true
    }

    /// Holds the logical partitions against each other and against the records.
    pub(super) fn check(&mut self, notebook: &Notebook<'_>, table: &PartitionTable) {
        self.partitions.sort_unstable();
        let extended = table.partitions.iter().find(|p| p.number < 5 && is_extended(&p.kind));
        let at = extended.map_or(ENTRIES_AT as u64, |partition| partition.start);
        let mut longest: Option<(u64, u32)> = None;
        for &(first, end, number) in &self.partitions {
            if let Some((_, other)) = longest.filter(|&(reach, _)| first < reach) {
                let said = format!("Partitions {other} and {number} overlap.");
                notebook.disk(Code::MbrPartitionsOverlap, at, said);
            }
            if longest.is_none_or(|(reach, _)| reach < end) {
                longest = Some((end, number));
            }
            if let Some(record) = self.records.range(first..end).next() {
                notebook.disk(
                    Code::MbrPartitionOverTable,
                    record * SECTOR,
                    format!(
                        "Partition {number} covers the extended boot record at sector {record}."
                    ),
                );
            }
        }
    }
}

fn is_extended(kind: &str) -> bool {
    matches!(kind, "05" | "0f" | "85")
}

/// The test that Linux makes of the third and fourth entry, as they sometimes hold garbage.
fn fits(entry: &Entry, place: &Place, extended: &Extended) -> bool {
    let (first, sectors) = (u64::from(entry.first.get()), u64::from(entry.sectors.get()));
    first + sectors <= place.sectors && place.sector + first + sectors <= extended.end
}

/// Writes down what other readers would see otherwise in a record.
fn check_record(entries: &[Entry; 4], at: u64, notebook: &Notebook<'_>) {
    let sector = at / SECTOR;
    for (index, entry) in entries.iter().enumerate() {
        let what = format!("Entry {} of the extended boot record at sector {sector}", index + 1);
        check_entry(entry, entry_at(at, index), &what, notebook);
    }
    let count =
        |extended| entries.iter().filter(|e| e.is_used() && e.is_extended() == extended).count();
    let (data, links) = (count(false), count(true));
    if data > 1 || links > 1 || entries[2..].iter().any(Entry::is_used) {
        notebook.disk(Code::MbrExtendedAmbiguous, at, format!(
            "The extended boot record at sector {sector} lists {data} partitions and {links} links, or has one behind its second entry; sfdisk and UEFI take one of each, Linux and libblkid what they find."));
        return;
    }
    let swapped = entries[0].is_used() && entries[0].is_extended()
        || entries[1].is_used() && !entries[1].is_extended();
    if swapped {
        notebook.disk(Code::MbrExtendedUnusual, at, format!(
            "In the extended boot record at sector {sector}, the link is not the second entry or the partition not the first."));
    }
    if let Some(entry) = entries.iter().find(|entry| !entry.is_valid()) {
        notebook.disk(Code::MbrExtendedUnusual, at, format!(
            "The extended boot record at sector {sector} has the boot flag {:02x}, which nobody looks at.", entry.flag));
    }
}

/// Where a link leads.
fn next(link: &Entry, from: &Place, extended: &Extended, notebook: &Notebook<'_>) -> Place {
    let at = from.sector * SECTOR;
    let sector = extended.first + u64::from(link.first.get());
    let sectors = u64::from(link.sectors.get());
    let said = format!(
        "The extended boot record at sector {} names sector {sector} as the next one",
        from.sector
    );
    if sector >= extended.end {
        let said = format!("{said}, which is not in the extended partition.");
        notebook.disk(Code::MbrExtendedInvalid, at, said);
    } else if sector + sectors > extended.end {
        notebook.disk(Code::MbrExtendedAmbiguous, at, format!(
            "{said}, with {sectors} sectors, which are not all in the extended partition: libblkid shows nothing of it, Linux what it lists."));
    } else if sector <= from.sector {
        let said = format!("{said}, which lies before it.");
        notebook.disk(Code::MbrExtendedUnusual, at, said);
    }
    Place { sector, sectors }
}
