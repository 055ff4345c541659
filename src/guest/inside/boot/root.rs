//! What the command line of the kernel says of the root and of consoles.

use super::super::super::fs::Trouble;
use super::super::super::volumes::{Holds, Volume};
use super::super::{Case, shown};
use super::bios::BIOS_BOOT;
use super::menu::Entry;
use crate::facts::Code;

/// How the kernel gets to its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Helped {
    /// By an initramfs.
    ByInitramfs,
    /// By itself, for certain.
    ByNothing,
    /// It is given no initramfs, but may have one built in.
    Perhaps,
}

/// The values of an option, in order.
fn values<'o>(options: &'o [u8], name: &str) -> Vec<&'o [u8]> {
    let words = options.split(u8::is_ascii_whitespace);
    let values = words.filter_map(|word| word.strip_prefix(name.as_bytes()));
    values
        .map(|value| {
            value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
        })
        .collect()
}

/// What a name of a device leads to on a Droplet with this disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// This volume.
    Volume(usize),
    /// Nothing.
    Missing,
    /// A disk that a Droplet does not have.
    OtherDisk,
    /// That is not known.
    Unknown,
}

/// Whether something on the disk may have volumes or file systems that are not listed.
fn may_hide(volumes: &[Volume]) -> bool {
    let has_logical = volumes.iter().any(|volume| volume.logical.is_some());
    volumes.iter().any(|volume| match volume.holds {
        Holds::Luks | Holds::Raid | Holds::Zfs | Holds::Bcachefs => true,
        Holds::Lvm => !has_logical,
        Holds::Unknown => {
            !volume.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(BIOS_BOOT))
        }
        _ => false,
    })
}

fn source(volumes: &[Volume], name: &[u8]) -> Source {
    let found = |is: &dyn Fn(&Volume) -> bool, certain: bool| match volumes.iter().position(is) {
        Some(index) => Source::Volume(index),
        None if certain => Source::Missing,
        None => Source::Unknown,
    };
    let same = |known: &Option<String>, value: &[u8]| {
        known.as_ref().is_some_and(|known| known.as_bytes().eq_ignore_ascii_case(value))
    };
    let tag = |tag: &str, folder: &str| {
        name.strip_prefix(tag.as_bytes()).or_else(|| name.strip_prefix(folder.as_bytes()))
    };
    if let Some(uuid) = tag("UUID=", "/dev/disk/by-uuid/") {
        found(&|volume| same(&volume.uuid, uuid), !may_hide(volumes))
    } else if let Some(label) = tag("LABEL=", "/dev/disk/by-label/") {
        // Blanks and slashes are escaped by udev.
        let certain = !may_hide(volumes) && !label.contains(&b'\\');
        found(&|volume| volume.label.as_deref() == Some(label), certain)
    } else if let Some(uuid) = tag("PARTUUID=", "/dev/disk/by-partuuid/") {
        // Linux takes an offset from the partition of this UUID, too.
        let (uuid, offset) = match uuid.iter().position(|&byte| byte == b'/') {
            Some(at) => (&uuid[..at], true),
            None => (uuid, false),
        };
        found(&|volume| !offset && same(&volume.partuuid, uuid), !offset)
    } else if let Some(label) = tag("PARTLABEL=", "/dev/disk/by-partlabel/") {
        let certain = !label.contains(&b'\\');
        found(&|volume| volume.partlabel.as_deref() == Some(label), certain)
    } else if let Some(disk) = name.strip_prefix(b"/dev/") {
        device(volumes, disk)
    } else {
        Source::Unknown
    }
}

/// What a device of Linux is on a Droplet, whose disk is `vda`.
fn device(volumes: &[Volume], name: &[u8]) -> Source {
    const OTHERS: [&[u8]; 5] = [b"sd", b"hd", b"xvd", b"nvme", b"mmcblk"];
    if let Some(number) = name.strip_prefix(b"vda") {
        let number = std::str::from_utf8(number).ok();
        let is = |volume: &Volume| match number {
            Some("") => volume.partition.is_none() && volume.start == 0,
            Some(number) => volume.partition.is_some() && volume.partition == number.parse().ok(),
            None => false,
        };
        return volumes.iter().position(is).map_or(Source::Missing, Source::Volume);
    }
    if let Some(rest) = name.strip_prefix(b"vd") {
        let is_letter = rest.first().is_some_and(u8::is_ascii_lowercase);
        return if is_letter { Source::OtherDisk } else { Source::Unknown };
    }
    for other in OTHERS {
        let rest = name.strip_prefix(other).unwrap_or_default();
        if rest.first().is_some_and(u8::is_ascii_alphanumeric) {
            return Source::OtherDisk;
        }
    }
    let is = |volume: &Volume| {
        volume.logical.as_ref().is_some_and(|(group, logical)| {
            let dashes = |name: &[u8]| {
                name.iter()
                    .flat_map(|&b| [b; 2].into_iter().take(1 + usize::from(b == b'-')))
                    .collect::<Vec<u8>>()
            };
            name == [&group[..], b"/", logical].concat()
                || name == [b"mapper/", &dashes(group)[..], b"-", &dashes(logical)].concat()
        })
    };
    volumes.iter().position(is).map_or(Source::Unknown, Source::Volume)
}

/// Judges what the entry says of the root.
///
/// # Errors
/// If the root's volume cannot be read.
pub(super) fn judge(case: &mut Case<'_, '_>, entry: &Entry, helped: Helped) -> Result<(), Trouble> {
    consoles(case, entry);
    resume(case, entry);
    // The last one counts.
    let Some(root) = values(&entry.options, "root=").pop() else { return Ok(()) };
    let said = match source(case.tree.volumes(), root) {
        Source::Volume(volume) => {
            alone(case, entry, root, helped);
            return subvolume(case, entry, volume);
        }
        Source::Unknown => {
            alone(case, entry, root, helped);
            return Ok(());
        }
        Source::Missing => format!(
            "The kernel is given root={}, and the disk has nothing of that name.",
            shown(root)
        ),
        Source::OtherDisk => {
            let said = format!(
                "The kernel is given root={}; a Droplet's disk is /dev/vda, and it has no such device.",
                shown(root)
            );
            case.book.found_in(Code::BootRootDevice, &entry.path, entry.line, said);
            return Ok(());
        }
    };
    case.book.found_in(Code::BootRootMissing, &entry.path, entry.line, said);
    Ok(())
}

/// Without an initramfs, the kernel knows partitions and their names only.
fn alone(case: &mut Case<'_, '_>, entry: &Entry, root: &[u8], helped: Helped) {
    const BY_ITSELF: [&[u8]; 4] = [b"PARTUUID=", b"PARTLABEL=", b"/dev/vda", b"/dev/nfs"];
    if helped == Helped::ByInitramfs || BY_ITSELF.iter().any(|known| root.starts_with(known)) {
        return;
    }
    let root = shown(root);
    let (code, said) = match helped {
        Helped::ByNothing => (
            Code::BootRootNeedsInitramfs,
            format!("The kernel gets no initramfs, and by itself it does not find root={root}."),
        ),
        _ => (
            Code::BootNoInitramfs,
            format!(
                "The kernel gets no initramfs, and by itself it does not find root={root}, unless one is built into it."
            ),
        ),
    };
    case.book.found_in(code, &entry.path, entry.line, said);
}

/// The subvolume of btrfs that is to be the root has to exist.
fn subvolume(case: &mut Case<'_, '_>, entry: &Entry, volume: usize) -> Result<(), Trouble> {
    let is_btrfs = case.tree.volumes()[volume].holds == Holds::Btrfs;
    let Some(system) = case.tree.system(volume).filter(|_| is_btrfs) else { return Ok(()) };
    for flags in values(&entry.options, "rootflags=") {
        for option in flags.split(|&byte| byte == b',') {
            let names = option.starts_with(b"subvol=") || option.starts_with(b"subvolid=");
            if names && system.subvolume(option)?.is_none() {
                let said = format!(
                    "The kernel is given rootflags={}, and the btrfs of the root has no such subvolume.",
                    shown(option)
                );
                case.book.found_in(Code::BootRootSubvolume, &entry.path, entry.line, said);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A device to resume from that is not there is waited for.
fn resume(case: &mut Case<'_, '_>, entry: &Entry) {
    let Some(device) = values(&entry.options, "resume=").pop() else { return };
    let source = source(case.tree.volumes(), device);
    if matches!(source, Source::Missing | Source::OtherDisk) {
        let said = format!(
            "The kernel is given resume={}, and a Droplet made from this disk has no such device.",
            shown(device)
        );
        case.book.found_in(Code::BootResumeMissing, &entry.path, entry.line, said);
    }
}

/// A Droplet shows its screen.
fn consoles(case: &mut Case<'_, '_>, entry: &Entry) {
    let consoles = values(&entry.options, "console=");
    let is_serial = |console: &&[u8]| console.starts_with(b"ttyS") || console.starts_with(b"hvc");
    if !consoles.is_empty() && consoles.iter().all(is_serial) {
        let said = format!(
            "All consoles of the kernel are serial ones (console={}): the console of a Droplet shows nothing.",
            shown(consoles[0])
        );
        case.book.found_in(Code::BootSerialConsoleOnly, &entry.path, entry.line, said);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::volume;
    use super::super::super::testing::{codes, judged};
    use super::*;

    const UUID: &str = "root=UUID=00000000-0000-0000-0000-000000000001";

    fn found(options: &str, helped: Helped) -> Vec<&'static str> {
        let entry = Entry::with_options(options);
        let (found, _) = judged(vec![Memory::new()], |case| judge(case, &entry, helped));
        codes(&found)
    }

    #[test]
    fn the_root_has_to_be_on_the_disk() {
        let with = |options: &str| found(options, Helped::ByInitramfs);
        for sound in [
            UUID,
            "ro quiet",
            "root=PARTUUID=12345678-01",
            "root=/dev/vda1 console=ttyS0 console=tty0",
            "root=/dev/disk/by-uuid/00000000-0000-0000-0000-000000000001",
            "root=ZFS=rpool/root",
            "root=/dev/mapper/other-root",
            "root=/dev/sda1 root=/dev/vda1",
            "root=PARTUUID=12345678-09/PARTNROFF=1",
        ] {
            assert!(with(sound).is_empty(), "{sound}");
        }
        for missing in [
            "root=UUID=00000000-0000-0000-0000-000000000009",
            "root=LABEL=cloudimg-rootfs",
            "root=PARTUUID=12345678-02",
            "root=/dev/vda2",
            "root=/dev/vda",
        ] {
            assert_eq!(with(missing), ["boot-root-missing"], "{missing}");
        }
        for other in ["sda1", "xvda1", "nvme0n1p1", "hda1", "vdb1", "mmcblk0p1"] {
            assert_eq!(with(&format!("root=/dev/{other}")), ["boot-root-device"], "{other}");
        }
    }

    #[test]
    fn a_volume_that_hides_others_makes_it_unknown() {
        let mut volumes = vec![volume(1), volume(2)];
        assert_eq!(source(&volumes, b"LABEL=x"), Source::Missing);
        for holds in [Holds::Luks, Holds::Lvm, Holds::Raid, Holds::Unknown] {
            volumes[1].holds = holds;
            assert_eq!(source(&volumes, b"LABEL=x"), Source::Unknown, "{holds:?}");
        }
        volumes[1].kind = Some(BIOS_BOOT.to_owned());
        assert_eq!(source(&volumes, b"LABEL=x"), Source::Missing);
        volumes[1].logical = Some((b"vg-a".to_vec(), b"root".to_vec()));
        for name in [&b"/dev/vg-a/root"[..], b"/dev/mapper/vg--a-root"] {
            assert_eq!(source(&volumes, name), Source::Volume(1));
        }
    }

    #[test]
    fn a_kernel_by_itself_knows_partitions_only() {
        let alone = |options: &str| found(options, Helped::ByNothing);
        assert_eq!(alone(UUID), ["boot-root-needs-initramfs"]);
        assert_eq!(found(UUID, Helped::Perhaps), ["boot-no-initramfs"]);
        assert!(alone("root=PARTUUID=12345678-01").is_empty());
        assert!(alone("root=/dev/vda1").is_empty());
    }

    #[test]
    fn consoles_and_devices_to_resume_from() {
        let with = |options: &str| found(options, Helped::ByInitramfs);
        assert_eq!(with("console=ttyS0,115200n8"), ["boot-serial-console-only"]);
        assert!(with("console=ttyS0 console=tty1").is_empty());
        assert_eq!(with("resume=UUID=1234"), ["boot-resume-missing"]);
        assert_eq!(with("resume=/dev/sda2"), ["boot-resume-missing"]);
        assert!(with("resume=/dev/vda1 noresume").is_empty());
    }
}
