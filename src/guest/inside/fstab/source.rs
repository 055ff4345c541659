//! What the first field of a line means on a Droplet.

use super::super::super::mount::resolve;
use super::super::super::tree::Tree;
use super::super::super::volumes::{Holds, Volume};
use super::super::shown;

/// Volumes that a message lists at most.
const MOST_LISTED: usize = 8;

/// Disks by names that a Droplet's do not have.
const ELSEWHERE: [&[u8]; 9] =
    [b"sd", b"hd", b"xvd", b"nvme", b"mmcblk", b"ubd", b"sr", b"fd", b"cdrom"];

/// Beginnings of names that hardware gives, below /dev/disk/by-id.
const HARDWARE: [&[u8]; 6] = [b"ata-", b"scsi-", b"nvme-", b"usb-", b"wwn-", b"google-"];

/// Partitions without files, by type: BIOS boot, PReP, freebsd-boot, Microsoft reserved.
const WITHOUT_FILES: [&str; 5] = [
    "21686148-6449-6E6F-744E-656564454649",
    "9E1A2D38-C612-4316-AA26-8B49521E5A8B",
    "83BD6B9D-7F41-11DC-BE0B-001560B84F0F",
    "E3C9E316-0B5C-4DB8-817D-F92DF00215AE",
    "41",
];

/// What a source of a line turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// This volume.
    Volume(usize),
    /// It is none of this disk: how it is called in a message.
    Missing,
    /// The name is one that hardware gives, and a Droplet has other hardware.
    Elsewhere,
    /// The config drive, which a Droplet has beside its disk.
    ConfigDrive,
    /// No device, or one that comes about in the guest, or one that could lie where nothing was read.
    Other,
}

/// What the source of a line means. `opened` are the names that crypttab gives.
pub(super) fn found(tree: &Tree<'_>, source: &[u8], opened: &[Vec<u8>]) -> Source {
    let volumes = tree.volumes();
    let device = source.strip_prefix(b"/dev/");
    if let Some(device) = device {
        if let Some(rest) = device.strip_prefix(b"vd") {
            return match rest.first() {
                Some(b'a') => resolve(volumes, source).map_or(Source::Missing, Source::Volume),
                Some(b'b') => Source::ConfigDrive,
                _ => Source::Elsewhere,
            };
        }
        let numbered = |start: &&[u8]| {
            device.strip_prefix(*start).is_some_and(|rest| {
                start.len() > 3 || rest.first().is_some_and(|byte| byte.is_ascii_alphanumeric())
            })
        };
        let by_hardware = device.strip_prefix(b"disk/by-id/");
        if ELSEWHERE.iter().any(|start| numbered(start) && !device.contains(&b'/'))
            || by_hardware.is_some_and(|name| HARDWARE.iter().any(|start| name.starts_with(start)))
        {
            return Source::Elsewhere;
        }
    }
    if let Some(volume) = resolve(volumes, source) {
        return Source::Volume(volume);
    }
    let of = |starts: &[&[u8]]| starts.iter().any(|start| source.starts_with(start));
    if of(&[b"PARTUUID=", b"PARTLABEL=", b"/dev/disk/by-partuuid/", b"/dev/disk/by-partlabel/"]) {
        return Source::Missing;
    }
    let by_content = of(&[b"UUID=", b"LABEL=", b"/dev/disk/by-uuid/", b"/dev/disk/by-label/"]);
    let mapped = device.and_then(|device| device.strip_prefix(b"mapper/"));
    let is_opened = mapped.is_some_and(|name| opened.iter().any(|other| other == name));
    let is_logical = mapped.is_some() || device.is_some_and(is_of_group);
    let is_raid = device.is_some_and(|device| device.starts_with(b"md"));
    match by_content || is_logical || is_raid {
        true if is_opened || volumes.iter().any(|volume| hides(volume, volumes)) => Source::Other,
        true => Source::Missing,
        false => Source::Other,
    }
}

/// Whether a name below /dev is one of a volume group, as `vg/root`; others there have names of their own.
fn is_of_group(device: &[u8]) -> bool {
    let own: [&[u8]; 8] =
        [b"disk/", b"mapper/", b"block/", b"char/", b"md/", b"zvol/", b"gpt/", b"shm/"];
    device.iter().filter(|&&byte| byte == b'/').count() == 1
        && !own.iter().any(|start| device.starts_with(start))
}

/// Whether there may be volumes in it that nothing here has read.
fn hides(volume: &Volume, volumes: &[Volume]) -> bool {
    let is_plain = || volume.kind.as_deref().is_some_and(|kind| WITHOUT_FILES.contains(&kind));
    match volume.holds {
        Holds::Lvm => !volumes.iter().any(|volume| volume.logical.is_some()),
        Holds::Luks | Holds::Raid | Holds::Zfs => true,
        Holds::Unknown => !is_plain(),
        Holds::Zeros | Holds::Squashfs | Holds::Iso9660 => false,
        // Their identity was not read.
        _ => volume.uuid.is_none(),
    }
}

/// The volumes of a disk, for a message.
pub(super) fn listed(volumes: &[Volume]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for volume in volumes.iter().take(MOST_LISTED) {
        let mut part = format!("{} ({}", volume.name(), volume.holds.as_str());
        if let Some(uuid) = &volume.uuid {
            part += &format!(", UUID={}", shown(uuid));
        }
        if let Some(label) = &volume.label {
            part += &format!(", LABEL={}", shown(label));
        }
        parts.push(part + ")");
    }
    match volumes.len() {
        0 => "no volumes at all".to_owned(),
        count if count > MOST_LISTED => {
            format!("{} and {} more", parts.join(", "), count - MOST_LISTED)
        }
        _ => parts.join(", "),
    }
}
