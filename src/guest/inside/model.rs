//! What is inside a disk, as reports show it. All text from the disk is escaped.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What was found inside a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Inside {
    /// The volumes, in the order of the disk; logical volumes last.
    pub volumes: Vec<VolumeInside>,
    /// The volume of the root; `None` if there is none, or several.
    pub root: Option<usize>,
    /// The system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    /// How it boots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// The kernels, the one that boots first.
    pub kernels: Vec<Kernel>,
    /// What sets a Droplet up when it boots first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioner: Option<Provisioner>,
    /// What brings up the network, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The name that the owner of a Droplet logs in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The users that can log in, or whom a key could be given.
    pub users: Vec<User>,
    /// What was not examined, and why, in words.
    pub not_examined: Vec<NotExamined>,
    /// Bytes of the disk that were read for it.
    pub bytes_read: u64,
    /// Bytes of the image that were decompressed once more for it.
    #[serde(skip_serializing_if = "is_zero")]
    pub decoded_again: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// A volume, as reports show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VolumeInside {
    /// As it is called: `partition 1`, `vg/root`, `the whole disk`.
    pub name: String,
    /// The number of its partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// The type of its partition: two hexadecimal digits of an MBR, or a GUID.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What that type is called, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Disk offset of its first byte.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// What it holds, as libblkid calls it.
    pub holds: String,
    /// The UUID of what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The label of what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The UUID of the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partuuid: Option<String>,
    /// The name of the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partlabel: Option<String>,
    /// Where it is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounted: Option<String>,
    /// Bytes that are free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<u64>,
    /// In which state it was left, if not unmounted: `replayed`, `not-replayed`, `errors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct System {
    /// What it calls itself, such as `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// Its short name, such as `debian`.
    pub id: String,
    /// Its version, such as `12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What DigitalOcean's API calls it: a value of `distribution`.
    pub distribution: String,
    /// Whether that is the family that it belongs to, not the system itself.
    #[serde(default)]
    pub by_family: bool,
    /// The processor that its programs are for, such as `x86-64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
}

/// How the disk boots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Boot {
    /// What a BIOS would start, such as `GRUB 2`; `None` if nothing.
    pub bios: Option<String>,
    /// What UEFI firmware would start, by its path on the EFI system partition.
    pub uefi: Option<String>,
    /// The entry that is started, and where it is written: `/boot/grub/grub.cfg:93`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The command line of its kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    /// How long it took to look through the initramfs; `None` if that was not done.
    #[serde(skip)]
    pub initramfs: Option<Duration>,
}

/// A kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Kernel {
    /// Its version, such as `6.1.0-40-cloud-amd64`.
    pub version: String,
    /// Its path.
    pub path: String,
    /// Whether it is the one that boots.
    #[serde(default)]
    pub boots: bool,
}

/// What sets a Droplet up when it boots first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Provisioner {
    /// Its name, such as `cloud-init`.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it takes a Droplet's data from, such as `ConfigDrive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datasource: Option<String>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// `locked`, `none` (no password, but not locked), `set`, or `empty`.
    pub password: String,
    /// Keys in `authorized_keys`.
    #[serde(default)]
    pub keys: u32,
}

/// Something that was not examined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotExamined {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
}
