//! The boot sector: where tables and clusters are, and what Linux asks of it (`fs/fat/inode.c`).

use super::super::fields::{le16, le32};
use super::super::{Trouble, Why};

/// Bytes of it that are read.
pub(super) const SIZE: usize = 512;

/// Clusters that FAT12, FAT16 and FAT32 have at most.
const MOST_12: u64 = 0xff4;
const MOST_16: u64 = 0xfff4;
const MOST_32: u64 = 0x0fff_fff6;

/// Bits of an entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Bits12,
    Bits16,
    Bits32,
}

/// Where the entries of a directory are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// From a byte on, so many bytes.
    Fixed(u64, u64),
    /// In clusters from this one on.
    Chain(u32),
}

/// What it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) width: Width,
    /// Bytes of a cluster.
    pub(super) cluster_size: u64,
    /// Clusters in all; the first one has number 2.
    pub(super) clusters: u32,
    /// Byte offset of the table that counts.
    pub(super) table: u64,
    /// Byte offset of cluster 2.
    data: u64,
    pub(super) root: Root,
    /// Byte offset of the sector that says how many clusters are free.
    pub(super) info: Option<u64>,
    /// Whether it was not unmounted.
    pub(super) is_dirty: bool,
}

impl Layout {
    pub(super) fn parse(raw: &[u8; SIZE]) -> Result<Layout, Trouble> {
        let sector = u64::from(le16(raw, 0xb));
        let (per_cluster, tables) = (u64::from(raw[0xd]), u64::from(raw[0x10]));
        let reserved = u64::from(le16(raw, 0xe));
        let is_known = sector.is_power_of_two()
            && (512..=4096).contains(&sector)
            && per_cluster.is_power_of_two()
            && (raw[0x15] == 0xf0 || raw[0x15] >= 0xf8);
        if !is_known || reserved == 0 || tables == 0 {
            return Err(Why::damaged("there is no boot sector of FAT"));
        }
        let short_or_long = |short: u16, long| if short == 0 { long } else { u32::from(short) };
        let is_fat32 = le16(raw, 0x16) == 0;
        let table_size = u64::from(short_or_long(le16(raw, 0x16), le32(raw, 0x24))) * sector;
        let all = u64::from(short_or_long(le16(raw, 0x13), le32(raw, 0x20))) * sector;
        let root_at = reserved * sector + tables * table_size;
        let root_size = u64::from(le16(raw, 0x11)) * 32;
        if !root_size.is_multiple_of(sector) {
            let said = format!("the boot sector claims {root_size} bytes of the root directory");
            return Err(Why::damaged(said));
        }
        let data = root_at + root_size;
        let cluster_size = sector * per_cluster;
        let fits = all.saturating_sub(data) / cluster_size;
        let width = match is_fat32 {
            true => Width::Bits32,
            false if fits > MOST_12 => Width::Bits16,
            false => Width::Bits12,
        };
        let (has_room_for, most) = match width {
            Width::Bits12 => (table_size * 2 / 3, MOST_12),
            Width::Bits16 => (table_size / 2, MOST_16),
            Width::Bits32 => (table_size / 4, MOST_32),
        };
        let clusters = fits.min(has_room_for.saturating_sub(2));
        if clusters == 0 || clusters > most {
            return Err(Why::damaged(format!("the boot sector claims {clusters} clusters")));
        }
        let flags = le16(raw, 0x28);
        // One table of several may be the only one that is kept up to date.
        let active = if is_fat32 && flags & 0x80 != 0 { u64::from(flags & 0xf) } else { 0 };
        if active >= tables {
            let said = format!("the boot sector names table {active} of {tables}");
            return Err(Why::damaged(said));
        }
        let info = u64::from(le16(raw, 0x30));
        Ok(Layout {
            width,
            cluster_size,
            clusters: clusters as u32,
            table: reserved * sector + active * table_size,
            data,
            root: match is_fat32 {
                true => Root::Chain(le32(raw, 0x2c)),
                false => Root::Fixed(root_at, root_size),
            },
            info: (is_fat32 && info != 0 && info < reserved).then(|| info * sector),
            is_dirty: raw[if is_fat32 { 0x41 } else { 0x25 }] & 1 != 0,
        })
    }

    pub(super) fn is_fat32(&self) -> bool {
        self.width == Width::Bits32
    }

    /// Byte offset of a cluster.
    pub(super) fn place(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster.saturating_sub(2)) * self.cluster_size
    }
}
