//! The list of partitions that a report shows, and its bounds.

use serde::{Deserialize, Serialize};

use super::Unread;
use super::volumes::type_name;
use crate::facts::Anomaly;

/// Partitions that are listed at most: Linux numbers a disk's partitions from 1 to 255 (DISK_MAX_PARTS in
/// include/linux/genhd.h), and shows no others.
pub(super) const MOST_LISTED: u32 = 255;

/// Bytes of names that a table keeps at most. 128 partitions with names of 36 ASCII letters take half of it.
const MOST_NAMES: usize = 8 << 10;

/// How the disk is partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Scheme {
    /// Not at all.
    None,
    /// Master boot record.
    Mbr,
    /// GUID partition table.
    Gpt,
}

impl Scheme {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::None => "none",
            Scheme::Mbr => "mbr",
            Scheme::Gpt => "gpt",
        }
    }
}

/// A partition, in bytes of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Partition {
    /// Number that Linux gives it, from 1; logical partitions of an MBR count from 5.
    pub number: u32,
    /// Disk offset of its first byte.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// MBR type as two hexadecimal digits, or GPT type GUID.
    #[serde(rename = "type")]
    pub kind: String,
    /// GPT name, escaped; empty as well once the names of the table take too much room.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What its type is called, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// GPT: the GUID of the partition itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// GPT: its attributes, as 16 hexadecimal digits in reports; left out there if it has none.
    #[serde(default, skip_serializing_if = "has_none", with = "digits")]
    pub attributes: u64,
    /// GPT: its name as it is, in UTF-8.
    #[serde(skip)]
    pub(super) label: Vec<u8>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn has_none(attributes: &u64) -> bool {
    *attributes == 0
}

mod digits {
    //! A number of 64 bits as text: readers of JSON round it.

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

impl Partition {
    /// A partition of which no more is known.
    pub(super) fn new(number: u32, start: u64, size: u64, kind: String) -> Self {
        let (name, label) = (String::new(), Vec::new());
        let (type_name, guid) = (type_name(&kind).map(str::to_owned), None);
        Partition { number, start, size, kind, name, type_name, guid, attributes: 0, label }
    }

    /// Disk offset of the byte after its last one.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

/// The partition table of a disk, as far as it could be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartitionTable {
    /// How the disk is partitioned.
    pub scheme: Scheme,
    /// The partitions that Linux shows, in the order of the table: at most 255.
    pub partitions: Vec<Partition>,
    /// Partitions that the table has and that are not listed, since Linux does not show them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
    /// Why the table is not known in full; empty if it is.
    #[serde(skip)]
    pub unread: Vec<Unread>,
    /// What is to be said of a disk that has no table, once all else is known of it.
    #[serde(skip)]
    pub missing: Option<Anomaly>,
    /// Bytes that names may still take.
    #[serde(skip)]
    room: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl PartitionTable {
    pub(super) fn new() -> Self {
        PartitionTable {
            scheme: Scheme::None,
            partitions: Vec::new(),
            left_out: 0,
            unread: Vec::new(),
            missing: None,
            room: MOST_NAMES,
        }
    }

    /// Lists a partition. Its name is left out if there is no more room for names.
    pub(super) fn list(&mut self, mut partition: Partition) {
        match self.room.checked_sub(partition.name.len()) {
            Some(room) => self.room = room,
            None => {
                self.room = 0;
                partition.name = String::new();
            }
        }
        self.partitions.push(partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_no_more_room_than_there_is() {
        let mut table = PartitionTable::new();
        for number in 1..=MOST_LISTED {
            let name = "n".repeat(200);
            table.list(Partition { name, ..Partition::new(number, 0, 0, String::new()) });
        }
        assert_eq!(table.partitions.len(), 255);
        let named = table.partitions.iter().filter(|p| !p.name.is_empty()).count();
        assert_eq!(named, MOST_NAMES / 200);
    }

    #[test]
    fn attributes_are_text_in_reports() {
        let plain = Partition::new(1, 512, 1024, "83".to_owned());
        let json = serde_json::to_value(&plain).unwrap();
        assert_eq!((json.get("attributes"), json.get("guid")), (None, None));
        assert_eq!(json["type_name"], "Linux");
        let marked = Partition { attributes: 1 << 63 | 4, ..plain };
        let json = serde_json::to_value(&marked).unwrap();
        assert_eq!(json["attributes"], "8000000000000004");
        assert_eq!(serde_json::from_value::<Partition>(json).unwrap(), marked);
    }
}
