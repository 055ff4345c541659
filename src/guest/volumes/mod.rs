//! The volumes of a disk: what each partition, or the whole disk, holds by its superblock.
//!
//! It knows marks, names and places of file systems, swap, members of LVM, RAID and encryption; it opens none of them.

use serde::{Deserialize, Serialize};

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
