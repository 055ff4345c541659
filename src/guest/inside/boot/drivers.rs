//! Drivers that a Droplet needs, and whether the kernel has them when it needs them.
//!
//! Its disk is virtio-blk on PCI, its network virtio-net; the config drive is ISO 9660, and DHCP clients use packet
//! sockets. What the root needs has to be built in or in the initramfs, as modules on the root cannot be loaded before.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::Tree;
use super::super::super::volumes::Holds;
use super::super::{Case, shown};
use super::initramfs::Look;
use super::modules::{self, Driver, Have, Modules};
use crate::facts::Code;

/// Files of modprobe.d that are read.
const MOST_FILES: usize = 256;

/// A kernel that boots, and what goes with it.
pub(super) struct Booted<'b> {
    pub(super) version: &'b [u8],
    pub(super) modules: &'b Modules,
    /// What is in its initramfs; `None` if it has none.
    pub(super) look: Option<&'b Look>,
    /// Whether it has none for certain, not even one that is built into the kernel.
    pub(super) without_initramfs: bool,
    /// Paths of the initramfs, as they are shown.
    pub(super) initrd: String,
    pub(super) options: &'b [u8],
}

/// What one thing needs: any of these drivers.
struct Need {
    any_of: &'static [Driver],
    what: &'static str,
}

const PCI: Need = Need { any_of: &[modules::VIRTIO_PCI], what: "the virtual devices of a Droplet" };
const DISK: Need = Need { any_of: &[modules::VIRTIO_BLK], what: "the disk of a Droplet" };
const NET: Need = Need { any_of: &[modules::VIRTIO_NET], what: "the network of a Droplet" };
const DRIVE: Need = Need { any_of: &[modules::ISOFS], what: "the config drive" };
const PACKET: Need = Need { any_of: &[modules::AF_PACKET], what: "clients of DHCP" };

/// What the file system of the root needs; `None` if that is not known here.
fn of_file_system(holds: Holds) -> Option<Need> {
    let any_of: &'static [Driver] = match holds {
        Holds::Ext4 => &[modules::EXT4],
        Holds::Ext3 => &[modules::EXT4, modules::EXT3],
        Holds::Ext2 => &[modules::EXT4, modules::EXT2],
        Holds::Xfs => &[modules::XFS],
        Holds::Btrfs => &[modules::BTRFS],
        Holds::F2fs => &[modules::F2FS],
        Holds::Jfs => &[modules::JFS],
        Holds::Reiserfs => &[modules::REISERFS],
        Holds::Squashfs => &[modules::SQUASHFS],
        Holds::Erofs => &[modules::EROFS],
        _ => return None,
    };
    Some(Need { any_of, what: "the file system of the root" })
}

const LOGICAL: Need = Need { any_of: &[modules::DM_MOD], what: "the logical volume of the root" };

impl Need {
    /// The names of the drivers.
    fn names(&self) -> String {
        let names: Vec<&str> = self.any_of.iter().map(|driver| driver.module).collect();
        names.join(" or ")
    }

    /// Whether the kernel has it: built in, or as these modules with what they need.
    fn have(&self, modules: &Modules) -> Have {
        let each = || self.any_of.iter().map(|driver| modules.have(*driver));
        if each().any(|have| have == Have::BuiltIn) {
            return Have::BuiltIn;
        }
        let unknown = each().any(|have| have == Have::Unknown);
        let module = each().find(|have| matches!(have, Have::Module(_)));
        module.unwrap_or(if unknown { Have::Unknown } else { Have::Absent })
    }
}

/// Judges the drivers of the kernel that boots.
///
/// # Errors
/// If what says so cannot be read.
pub(super) fn judge(case: &mut Case<'_, '_>, booted: &Booted<'_>) -> Result<(), Trouble> {
    let root = case.tree.mounted().into_iter().find(|(_, at)| at.is_empty());
    let root = root.and_then(|(volume, _)| case.tree.volumes().get(volume));
    let logical = root.filter(|volume| volume.logical.is_some()).map(|_| LOGICAL);
    let system = root.and_then(|volume| of_file_system(volume.holds));
    has(case, booted, &PCI, Code::KernelNoVirtioDisk);
    has(case, booted, &DISK, Code::KernelNoVirtioDisk);
    has(case, booted, &NET, Code::KernelNoVirtioNet);
    has(case, booted, &DRIVE, Code::KernelNoIsofs);
    has(case, booted, &PACKET, Code::KernelNoPacket);
    let of_root: Vec<Need> = logical.into_iter().chain(system).collect();
    for need in &of_root {
        has(case, booted, need, Code::KernelNoRootDriver);
    }
    for need in [&PCI, &DISK].into_iter().chain(&of_root) {
        before_root(case, booted, need);
    }
    disabled(case, booted, &of_root)
}

/// Says if the kernel lacks a driver.
fn has(case: &mut Case<'_, '_>, booted: &Booted<'_>, need: &Need, code: Code) {
    if need.have(booted.modules) != Have::Absent {
        return;
    }
    let without = &booted.modules.without_file;
    let gone =
        without.iter().find(|(name, _)| need.any_of.iter().any(|driver| driver.module == *name));
    let how = match gone {
        Some((_, path)) => format!(": {} is listed in modules.dep, and is not there", shown(path)),
        None => ", neither built in nor as a module".to_owned(),
    };
    let said = format!(
        "The kernel {} lacks {}, which {} needs{how}.",
        shown(booted.version),
        need.names(),
        need.what
    );
    match &booted.modules.folder {
        Some(folder) => case.book.found_at(code, folder, said),
        None => case.book.found(code, said),
    }
}

/// Says if a module that the root needs cannot be loaded before there is a root.
fn before_root(case: &mut Case<'_, '_>, booted: &Booted<'_>, need: &Need) {
    let Have::Module(needs) = need.have(booted.modules) else { return };
    let version = shown(booted.version);
    let Some(look) = booted.look else {
        if booted.without_initramfs {
            let said = format!(
                "The kernel {version} has {} as a module, boots without an initramfs, and has no other way to load it before the root is there.",
                need.names()
            );
            case.book.found(Code::BootDriverNotInInitramfs, said);
        }
        return;
    };
    if look.incomplete.is_some() || look.damaged.is_some() {
        return;
    }
    let is_in = |name: &[u8]| look.modules.contains(name);
    let any = need.any_of.iter().any(|driver| is_in(driver.module.as_bytes()));
    let lacks = match any {
        false => need.names(),
        // A module with nothing to stand on is not loaded.
        true => match needs.iter().find(|name| !is_in(name) && need.any_of.len() == 1) {
            Some(name) => shown(name).to_string(),
            None => return,
        },
    };
    let other = match &look.other_version {
        Some(other) if look.modules.is_empty() => {
            format!("; its modules are for the kernel {}", shown(other))
        }
        _ => String::new(),
    };
    let said = format!(
        "The initramfs lacks the module {lacks}, which {} needs, and the kernel {version} does not have it built in{other}.",
        need.what
    );
    case.book.found_at(Code::BootDriverNotInInitramfs, &booted.initrd, said);
}

/// Says if something keeps a module from being loaded.
fn disabled(case: &mut Case<'_, '_>, booted: &Booted<'_>, of_root: &[Need]) -> Result<(), Trouble> {
    let needs = [&NET, &PCI, &DISK, &DRIVE, &PACKET].into_iter().chain(of_root);
    let drivers: Vec<Driver> = needs
        .flat_map(|need| need.any_of.iter().copied())
        .filter(|driver| !matches!(booted.modules.have(*driver), Have::BuiltIn | Have::Absent))
        .collect();
    let find = |name: &[u8]| {
        let name: Vec<u8> =
            name.iter().map(|&byte| if byte == b'-' { b'_' } else { byte }).collect();
        drivers.iter().find(|driver| driver.module.as_bytes() == name)
    };
    for word in booted.options.split(u8::is_ascii_whitespace) {
        const LISTS: [&[u8]; 3] =
            [b"module_blacklist=", b"modprobe.blacklist=", b"rd.driver.blacklist="];
        let Some(list) = LISTS.iter().find_map(|list| word.strip_prefix(*list)) else { continue };
        for driver in list.split(|&byte| byte == b',').filter_map(find) {
            let said = format!(
                "The command line of the kernel has {}: {} is not loaded by itself.",
                shown(word),
                driver.module
            );
            case.book.found(Code::KernelModuleBlacklisted, said);
        }
    }
    for (path, name) in files(&mut case.tree)? {
        let Some(text) = case.tree.text(&path)? else { continue };
        for (number, line) in text.lines() {
            let words: Vec<&[u8]> = line
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty())
                .take(3)
                .collect();
            let Some(driver) = words.get(1).and_then(|name| find(name)) else { continue };
            let command = words.get(2).copied().unwrap_or_default();
            let command = command.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            let is_nothing = matches!(command, b"true" | b"false" | b"nologin" | b":");
            // Before the root is there, it is the initramfs that has a say.
            let code = match (words[0], is_nothing) {
                (b"install", true) if *driver == modules::VIRTIO_NET => Code::KernelModuleDisabled,
                (b"install", true) | (b"blacklist", _) => Code::KernelModuleBlacklisted,
                _ => continue,
            };
            let said = format!(
                "{} keeps {} from being loaded: {}.",
                shown(&name),
                driver.module,
                shown(line.trim_ascii())
            );
            case.book.found_in(code, &path, number, said);
        }
    }
    Ok(())
}

/// A path, and the name at its end.
type File = (Vec<u8>, Vec<u8>);

/// The files of modprobe.d. One of the same name in a directory before hides it.
fn files(tree: &mut Tree<'_>) -> Result<Vec<File>, Trouble> {
    const FOLDERS: [&str; 4] =
        ["/etc/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];
    let mut files: Vec<File> = Vec::new();
    for folder in FOLDERS {
        for entry in tree.list(folder)?.unwrap_or_default() {
            let is_hidden = files.iter().any(|(_, name)| *name == entry.name);
            if entry.name.ends_with(b".conf")
                && entry.kind != Kind::Directory
                && !is_hidden
                && files.len() < MOST_FILES
            {
                files.push(([folder.as_bytes(), b"/", &entry.name].concat(), entry.name));
            }
        }
    }
    Ok(files)
}
