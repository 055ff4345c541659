//! The volumes of a disk: what each partition, or the whole disk, holds by its superblock.
//!
//! It knows marks, names and places of file systems, swap, members of LVM, RAID and encryption; it opens none of them.

mod lvm;
mod microsoft;
mod probe;
mod text;
mod types;
mod words;

pub use types::type_name;
pub(super) use words::utf16;

use serde::{Deserialize, Serialize};

use super::fs::{Area, Trouble, Why};
use super::{Partition, PartitionTable, Scheme};

/// What a volume holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Holds {
    /// ext2.
    Ext2,
    /// ext3.
    Ext3,
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// FAT12, FAT16 or FAT32.
    Vfat,
    /// exFAT.
    Exfat,
    /// NTFS.
    Ntfs,
    /// Swap.
    Swap,
    /// A physical volume of LVM2.
    Lvm,
    /// Encrypted by LUKS.
    Luks,
    /// A member of a Linux RAID.
    Raid,
    /// A member of a ZFS pool.
    Zfs,
    /// UFS or UFS2.
    Ufs,
    /// squashfs.
    Squashfs,
    /// EROFS.
    Erofs,
    /// ISO 9660.
    Iso9660,
    /// F2FS.
    F2fs,
    /// bcachefs.
    Bcachefs,
    /// JFS.
    Jfs,
    /// ReiserFS.
    Reiserfs,
    /// HFS+.
    Hfsplus,
    /// Zeros only, as far as was looked.
    Zeros,
    /// Something that is not known here.
    Unknown,
}

impl Holds {
    /// Its name, as libblkid, mount and fstab have it where they know it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Holds::Ext2 => "ext2",
            Holds::Ext3 => "ext3",
            Holds::Ext4 => "ext4",
            Holds::Xfs => "xfs",
            Holds::Btrfs => "btrfs",
            Holds::Vfat => "vfat",
            Holds::Exfat => "exfat",
            Holds::Ntfs => "ntfs",
            Holds::Swap => "swap",
            Holds::Lvm => "LVM2_member",
            Holds::Luks => "crypto_LUKS",
            Holds::Raid => "linux_raid_member",
            Holds::Zfs => "zfs_member",
            Holds::Ufs => "ufs",
            Holds::Squashfs => "squashfs",
            Holds::Erofs => "erofs",
            Holds::Iso9660 => "iso9660",
            Holds::F2fs => "f2fs",
            Holds::Bcachefs => "bcachefs",
            Holds::Jfs => "jfs",
            Holds::Reiserfs => "reiserfs",
            Holds::Hfsplus => "hfsplus",
            Holds::Zeros => "zeros",
            Holds::Unknown => "unknown",
        }
    }
}

/// A partition, a logical volume, or the whole disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// The number of its partition; `None` for the whole disk and for a logical volume.
    pub partition: Option<u32>,
    /// Volume group and logical volume, if it is one.
    pub logical: Option<(Vec<u8>, Vec<u8>)>,
    /// Disk offset of its first byte.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// What it holds.
    pub holds: Holds,
    /// The UUID of what it holds, as libblkid writes it.
    pub uuid: Option<String>,
    /// The label of what it holds.
    pub label: Option<Vec<u8>>,
    /// The UUID of the partition, as libblkid writes it, in lower case.
    pub partuuid: Option<String>,
    /// The name of the partition, of a GPT.
    pub partlabel: Option<Vec<u8>>,
    /// The type of the partition: two hexadecimal digits, or a GUID in upper case.
    pub kind: Option<String>,
}

impl Volume {
    /// As it is called in messages: `partition 1`, `vg/root`, `the whole disk`.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.logical, self.partition) {
            (Some((group, name)), _) => {
                format!(
                    "{}/{}",
                    crate::bytes::Hostile::new(group),
                    crate::bytes::Hostile::new(name)
                )
            }
            (None, Some(number)) => format!("partition {number}"),
            (None, None) => "the whole disk".to_owned(),
        }
    }
}

/// A volume, where its bytes are, and what else is known of it.
pub(super) struct Probed<'d> {
    pub(super) volume: Volume,
    pub(super) area: Area<'d>,
    /// What it holds, if that has a name and is nothing of [`Holds`].
    pub(super) what: Option<&'static str>,
    /// Why not all places were examined.
    pub(super) left: Option<Why>,
}

/// Every partition of the table but extended ones, or the whole disk if there is no table; and the logical volumes in them.
///
/// # Errors
/// If the source fails. What cannot be read of one volume is said of that volume.
pub(super) fn probed<'d>(
    disk: &Area<'d>,
    table: &PartitionTable,
) -> Result<Vec<Probed<'d>>, Trouble> {
    if table.scheme == Scheme::None {
        let whole = Partition::new(0, 0, disk.size(), String::new());
        let volume = Volume { partition: None, kind: None, ..unprobed(&whole) };
        let mut volumes = vec![filled(volume, disk.clone())?];
        lvm::add(disk, &mut volumes)?;
        return Ok(volumes);
    }
    let signature = match table.scheme {
        Scheme::Mbr => disk_signature(disk)?,
        _ => None,
    };
    let is_extended = |partition: &&Partition| matches!(&*partition.kind, "05" | "0f" | "85");
    let mut volumes = Vec::new();
    for partition in table.partitions.iter().filter(|partition| !is_extended(partition)) {
        let mut volume = unprobed(partition);
        if let Some(signature) = signature {
            volume.partuuid = Some(format!("{signature:08x}-{:02x}", partition.number));
        }
        volumes.push(filled(volume, disk.part(partition.start, partition.size))?);
    }
    lvm::add(disk, &mut volumes)?;
    Ok(volumes)
}

/// What the table says of a partition.
fn unprobed(partition: &Partition) -> Volume {
    Volume {
        partition: Some(partition.number),
        logical: None,
        start: partition.start,
        size: partition.size,
        holds: Holds::Unknown,
        uuid: None,
        label: None,
        partuuid: partition.guid.clone(),
        partlabel: Some(partition.label.clone()).filter(|label| !label.is_empty()),
        kind: Some(match partition.kind.len() {
            2 => partition.kind.clone(),
            _ => partition.kind.to_uppercase(),
        }),
    }
}

/// The volume with what its superblock says.
fn filled<'d>(mut volume: Volume, area: Area<'d>) -> Result<Probed<'d>, Trouble> {
    let (found, left) = probe::probe(&area)?;
    (volume.holds, volume.uuid, volume.label) = (found.holds, found.uuid, found.label);
    Ok(Probed { volume, area, what: found.what, left })
}

/// The number of an MBR that PARTUUIDs begin with; `None` if it has none, or it cannot be read.
fn disk_signature(disk: &Area<'_>) -> Result<Option<u32>, Trouble> {
    match disk.array(0x1b8) {
        Ok(bytes) => Ok(Some(u32::from_le_bytes(bytes)).filter(|&signature| signature != 0)),
        Err(Trouble::Left(_)) => Ok(None),
        Err(halt) => Err(halt),
    }
}
