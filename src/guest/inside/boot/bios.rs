//! What a BIOS starts: the code of the MBR, and what that code loads.
//!
//! Only what is needed to know that a loader is there in full: GRUB's first sector names the sectors of its core, the
//! code of other MBRs starts the boot sector of the active partition.

use super::super::super::fs::Area;
use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::super::super::volumes::{Holds, Volume};
use super::grub_core;
use super::names;

/// Bytes of a sector.
pub(super) const SECTOR: u64 = 512;

/// Where the code of an MBR ends: the disk's signature and the partitions follow.
const CODE_END: usize = 440;

/// Type of a BIOS boot partition, where GRUB's core lies on a GPT.
pub(super) const BIOS_BOOT: &str = "21686148-6449-6E6F-744E-656564454649";

/// Type of FreeBSD's boot partition.
const FREEBSD_BOOT: &str = "83BD6B9D-7F41-11DC-BE0B-001560B84F0F";

/// Bytes at the beginning of a boot partition that tidegate reads: GRUB's core has less than 64 KiB, others less than 512.
const BOOT_PARTITION: u64 = 1 << 20;

/// Boot partitions that tidegate reads.
const MOST_BOOT_PARTITIONS: usize = 4;

/// Entries of a GPT that tidegate reads.
const MOST_ENTRIES: u32 = 128;

/// A boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loader {
    Grub,
    GrubLegacy,
    Syslinux,
    FreeBsd,
    /// One that is known by name only.
    Named(&'static str),
    /// Code that is not known.
    Unknown,
}

impl Loader {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Loader::Grub => "GRUB 2",
            Loader::GrubLegacy => "GRUB Legacy",
            Loader::Syslinux => "SYSLINUX",
            Loader::FreeBsd => "FreeBSD's loader",
            Loader::Named(name) => name,
            Loader::Unknown => "code that is not known",
        }
    }
}

/// What a BIOS does with a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bios {
    /// It starts this loader.
    Starts(Loader),
    /// It starts SYSLINUX from this volume.
    StartsSyslinux(usize),
    /// GRUB is meant to start, and is not there in full; a sentence says what is missing.
    Incomplete(String),
    /// It starts nothing; a sentence says why.
    Nothing(String),
}

/// What the code of a boot sector does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// There is none, or it only prints that the disk does not boot.
    Nothing,
    /// It loads GRUB's core.
    Grub,
    /// It starts the boot sector of the partition that is active in the MBR…
    Active,
    /// …or in the GPT.
    ActiveInGpt,
    /// It loads what is in FreeBSD's boot partition.
    FreeBsd,
    /// It is a loader, or loads one.
    Is(Loader),
}

fn has(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark)
}

fn little_u64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn little_u32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// What the code of an MBR does.
fn code_of_mbr(sector: &[u8; 512]) -> Code {
    let code = &sector[..CODE_END];
    let has = |mark: &[u8]| has(code, mark);
    if code.iter().all(|&byte| byte == 0) || has(b"not a bootable disk") {
        Code::Nothing
    } else if has(b"GRUB ") {
        Code::Grub
    } else if has(b"Missing OS\r\n") {
        // gptmbr.bin of SYSLINUX.
        Code::ActiveInGpt
    } else if has(b"issing boot loader") || has(b"oot loader too large") {
        // pmbr of FreeBSD.
        Code::FreeBsd
    } else if has(b"issing operating system")
        || has(b"Multiple active partitions")
        || has(b"nvalid partition table")
        // What parted writes.
        || code.starts_with(b"\xfa\xb8\x00\x10\x8e\xd0\xbc\x00\xb0")
    {
        Code::Active
    } else if has(b"F6 PXE") || has(b"Drive 1\r\n") || has(b"Default: ") {
        Code::Is(Loader::FreeBsd)
    } else {
        code_of_others(code)
    }
}

/// What the code of a partition's boot sector does, or of a whole disk's without partitions.
fn code_of_volume(sector: &[u8; 512]) -> Code {
    let oem = &sector[3..11];
    if sector[510..] != [0x55, 0xaa]
        || sector[..510].iter().all(|&byte| byte == 0)
        || has(sector, b"not a bootable disk")
    {
        Code::Nothing
    } else if oem == b"SYSLINUX" || oem == b"EXTLINUX" {
        Code::Is(Loader::Syslinux)
    } else if has(sector, b"GRUB ") {
        Code::Grub
    } else {
        code_of_others(sector)
    }
}

fn code_of_others(code: &[u8]) -> Code {
    const NAMES: [(&[u8], &str); 8] = [
        (b"LILO", "LILO"),
        (b"Limine", "Limine"),
        (b"LIMINE", "Limine"),
        (b"isolinux", "ISOLINUX"),
        (b"BOOTMGR", "Windows Boot Manager"),
        (b"NTLDR", "NTLDR of Windows"),
        (b"Using drive", "OpenBSD's loader"),
        (b"NetBSD", "NetBSD's loader"),
    ];
    let name = NAMES.iter().find(|(mark, _)| has(code, mark));
    Code::Is(name.map_or(Loader::Unknown, |&(_, name)| Loader::Named(name)))
}

/// What a BIOS starts from the disk.
///
/// # Errors
/// If the disk cannot be read there.
pub(super) fn find(tree: &Tree<'_>) -> Result<Bios, Trouble> {
    let disk = tree.disk().clone();
    if disk.size() < SECTOR {
        return Ok(Bios::Nothing("The disk has no sector to start from.".to_owned()));
    }
    let first: [u8; 512] = disk.array(0)?;
    if first[510..] != [0x55, 0xaa] {
        return Ok(Bios::Nothing(
            "The first sector lacks the signature 55 AA, without which a BIOS does not start it."
                .to_owned(),
        ));
    }
    let whole = tree.volumes().iter().any(|volume| volume.partition.is_none() && volume.start == 0);
    let code = if whole { code_of_volume(&first) } else { code_of_mbr(&first) };
    match code {
        Code::Grub => grub(&disk, &first, tree.volumes()),
        Code::Nothing => nothing(&disk, tree.volumes()),
        Code::Active | Code::ActiveInGpt => {
            let gpt = code == Code::ActiveInGpt;
            active(&disk, &first, gpt, tree.volumes())
        }
        Code::FreeBsd => freebsd(&disk, tree.volumes()),
        Code::Is(Loader::Syslinux) => {
            let at = tree.volumes().iter().position(|volume| volume.start == 0);
            Ok(at.map_or(Bios::Starts(Loader::Syslinux), Bios::StartsSyslinux))
        }
        // Most code that nobody has heard of starts the active partition, too.
        Code::Is(Loader::Unknown) if !whole => {
            Ok(match active(&disk, &first, false, tree.volumes())? {
                Bios::Nothing(_) => Bios::Starts(Loader::Unknown),
                known => known,
            })
        }
        Code::Is(loader) => Ok(Bios::Starts(loader)),
    }
}

/// Whether the volume is a partition of this type.
fn is(volume: &Volume, kind: &str) -> bool {
    volume.kind.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(kind))
}

/// Of the boot partitions of this type, whether one is not empty; `None` if there is none.
fn any_filled(disk: &Area<'_>, volumes: &[Volume], kind: &str) -> Result<Option<bool>, Trouble> {
    let mut any = None;
    for volume in volumes.iter().filter(|volume| is(volume, kind)).take(MOST_BOOT_PARTITIONS) {
        let filled = !are_zeros(disk, volume.start, volume.size.min(BOOT_PARTITION))?;
        any = Some(any.unwrap_or(false) || filled);
    }
    Ok(any)
}

/// Whether all bytes there are zeros; those past the end of the disk are.
pub(super) fn are_zeros(disk: &Area<'_>, start: u64, len: u64) -> Result<bool, Trouble> {
    let end = start.saturating_add(len).min(disk.size());
    let (mut at, mut piece) = (start, [0; 4096]);
    while at < end {
        let piece = &mut piece[..(end - at).min(4096) as usize];
        disk.read(at, piece)?;
        if piece.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at += piece.len() as u64;
    }
    Ok(true)
}

/// There is no code in the MBR.
fn nothing(disk: &Area<'_>, volumes: &[Volume]) -> Result<Bios, Trouble> {
    if any_filled(disk, volumes, BIOS_BOOT)? == Some(false) {
        return Ok(Bios::Incomplete(
            "The BIOS boot partition has nothing but zeros, and the first sector has no code."
                .to_owned(),
        ));
    }
    Ok(Bios::Nothing("The first sector has no code that a BIOS could start.".to_owned()))
}

fn freebsd(disk: &Area<'_>, volumes: &[Volume]) -> Result<Bios, Trouble> {
    Ok(match any_filled(disk, volumes, FREEBSD_BOOT)? {
        Some(true) => Bios::Starts(Loader::FreeBsd),
        Some(false) => Bios::Nothing("FreeBSD's boot partition has nothing but zeros.".to_owned()),
        None => Bios::Nothing("There is no boot partition of FreeBSD.".to_owned()),
    })
}

/// GRUB's first sector is at the beginning of the disk.
fn grub(disk: &Area<'_>, first: &[u8; 512], volumes: &[Volume]) -> Result<Bios, Trouble> {
    // Stage 1 of GRUB Legacy has its version there, and the first sector of stage 2 at 0x44.
    if first[0x3e..0x40] == [3, 2] {
        let at = u64::from(little_u32(first, 0x44)) * SECTOR;
        if at == 0 || at >= disk.size() || are_zeros(disk, at, SECTOR)? {
            return Ok(Bios::Incomplete(format!(
                "The first sector is GRUB Legacy's, and at byte {at}, where its second stage has to be, there is nothing."
            )));
        }
        return Ok(Bios::Starts(Loader::GrubLegacy));
    }
    Ok(match grub_core::missing(disk, first, volumes)? {
        None => Bios::Starts(Loader::Grub),
        Some(said) => Bios::Incomplete(said),
    })
}

/// The code of the MBR starts the boot sector of the active partition.
fn active(
    disk: &Area<'_>,
    first: &[u8; 512],
    in_gpt: bool,
    volumes: &[Volume],
) -> Result<Bios, Trouble> {
    let starts = if in_gpt { active_in_gpt(disk)? } else { active_in_mbr(first) };
    let table = if in_gpt { "has the attribute legacy BIOS bootable" } else { "is active" };
    let Some(&start) = starts.first() else {
        return Ok(Bios::Nothing(format!(
            "The code of the first sector starts the active partition, and no partition {table}."
        )));
    };
    if start.checked_add(SECTOR).is_none_or(|end| end > disk.size()) {
        return Ok(Bios::Nothing("The active partition lies past the end of the disk.".to_owned()));
    }
    let sector: [u8; 512] = disk.array(start)?;
    let volume = volumes.iter().position(|volume| volume.start == start);
    let name = volume.map_or("the active partition".to_owned(), |index| volumes[index].name());
    Ok(match code_of_volume(&sector) {
        Code::Is(Loader::Syslinux) => {
            volume.map_or(Bios::Starts(Loader::Syslinux), Bios::StartsSyslinux)
        }
        Code::Is(loader) => Bios::Starts(loader),
        Code::Grub => grub(disk, &sector, volumes)?,
        _ => Bios::Nothing(format!(
            "The code of the first sector starts the boot sector of {name}, and there is no code in it."
        )),
    })
}

/// Disk offsets of the partitions that are active in an MBR.
fn active_in_mbr(first: &[u8; 512]) -> Vec<u64> {
    let entries = (0..4).map(|index| 446 + 16 * index);
    // The entry of a protective MBR says nothing of a partition.
    let active = entries.filter(|&at| first[at] == 0x80 && !matches!(first[at + 4], 0 | 0xee));
    active.map(|at| u64::from(little_u32(first, at + 8)) * SECTOR).collect()
}

/// Disk offsets of the partitions with attribute 2 of a GPT.
fn active_in_gpt(disk: &Area<'_>) -> Result<Vec<u64>, Trouble> {
    let mut starts = Vec::new();
    if disk.size() < 2 * SECTOR {
        return Ok(starts);
    }
    let header: [u8; 512] = disk.array(SECTOR)?;
    let size = u64::from(little_u32(&header, 84));
    if !header.starts_with(b"EFI PART") || !(128..=4096).contains(&size) {
        return Ok(starts);
    }
    for index in 0..little_u32(&header, 80).min(MOST_ENTRIES) {
        let at = little_u64(&header, 72).checked_mul(SECTOR);
        let at = at.and_then(|at| at.checked_add(u64::from(index) * size));
        let Some(at) = at.filter(|&at| at <= disk.size().saturating_sub(128)) else { break };
        let entry: [u8; 128] = disk.array(at)?;
        let is_used = entry[..16].iter().any(|&byte| byte != 0);
        if is_used && little_u64(&entry, 48) & 4 != 0 {
            starts.extend(little_u64(&entry, 32).checked_mul(SECTOR));
        }
    }
    Ok(starts)
}

/// Whether `ldlinux.sys`, which the boot sector of SYSLINUX loads, is in one of the places where installers put it;
/// `None` if the volume cannot be looked into.
///
/// # Errors
/// If it cannot be read.
pub(super) fn has_ldlinux(tree: &mut Tree<'_>, volume: usize) -> Result<Option<bool>, Trouble> {
    const PLACES: [&[&[u8]]; 8] = [
        &[b"ldlinux.sys"],
        &[b"boot", b"ldlinux.sys"],
        &[b"extlinux", b"ldlinux.sys"],
        &[b"syslinux", b"ldlinux.sys"],
        &[b"boot", b"extlinux", b"ldlinux.sys"],
        &[b"boot", b"syslinux", b"ldlinux.sys"],
        &[b"EFI", b"syslinux", b"ldlinux.sys"],
        &[b"linux", b"ldlinux.sys"],
    ];
    let folded = matches!(tree.volumes().get(volume).map(|volume| volume.holds), Some(Holds::Vfat));
    let Some(system) = tree.system(volume) else { return Ok(None) };
    for place in PLACES {
        if names::walk(system, place, folded)?.is_some() {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::{tree_on, volume};
    use super::*;

    /// An MBR with this code and one active partition at 1 MiB.
    fn mbr(code: &[u8], status: u8) -> Vec<u8> {
        let mut sector = vec![0; 512];
        sector[..code.len()].copy_from_slice(code);
        sector[446] = status;
        sector[450] = 0x83;
        sector[454..458].copy_from_slice(&2048u32.to_le_bytes());
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    fn boot_sector(oem: &[u8]) -> Vec<u8> {
        let mut sector = vec![0; 512];
        sector[..3].copy_from_slice(&[0xeb, 0x58, 0x90]);
        sector[3..3 + oem.len()].copy_from_slice(oem);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    fn found(sectors: Vec<(u64, Vec<u8>)>) -> Bios {
        find(&tree_on(sectors, vec![(volume(1), Some(Memory::new()))])).unwrap()
    }

    #[test]
    fn code_that_starts_the_active_partition_needs_one_with_a_loader() {
        let code = b"\x33\xc0Missing operating system.\r\n";
        let loader = (1 << 20, boot_sector(b"EXTLINUX"));
        assert_eq!(found(vec![(0, mbr(code, 0x80)), loader.clone()]), Bios::StartsSyslinux(0));
        let inactive = found(vec![(0, mbr(code, 0)), loader]);
        assert!(matches!(inactive, Bios::Nothing(said) if said.contains("no partition is active")));
        let empty = found(vec![(0, mbr(code, 0x80))]);
        assert!(matches!(empty, Bios::Nothing(said) if said.contains("no code in it")));
        let fat = b"mkfs.fat\0This is not a bootable disk.";
        let fat = found(vec![(0, mbr(code, 0x80)), (1 << 20, boot_sector(fat))]);
        assert!(matches!(fat, Bios::Nothing(_)));
    }

    #[test]
    fn the_code_for_a_gpt_goes_by_its_attribute() {
        let code = b"\x33\xc0Missing OS\r\n";
        let (mut header, mut entries) = (b"EFI PART".to_vec(), vec![0; 256]);
        header.resize(512, 0);
        header[72] = 2;
        header[80] = 128;
        header[84] = 128;
        entries[128] = 1;
        entries[160..164].copy_from_slice(&2048u32.to_le_bytes());
        let with = |entries: &[u8]| {
            found(vec![
                (0, mbr(code, 0x80)),
                (512, header.clone()),
                (1024, entries.to_vec()),
                (1 << 20, boot_sector(b"SYSLINUX")),
            ])
        };
        assert!(matches!(with(&entries), Bios::Nothing(_)));
        entries[176] = 4;
        assert_eq!(with(&entries), Bios::StartsSyslinux(0));
    }

    #[test]
    fn a_disk_without_code_and_one_with_code_that_is_not_known() {
        assert!(matches!(found(vec![(0, mbr(b"", 0x80))]), Bios::Nothing(_)));
        assert!(
            matches!(found(vec![(0, vec![1; 440])]), Bios::Nothing(said) if said.contains("55 AA"))
        );
        assert_eq!(found(vec![(0, mbr(b"\xfa\x01\x02", 0))]), Bios::Starts(Loader::Unknown));
        assert_eq!(found(vec![(0, mbr(b"\xfaLILO", 0))]), Bios::Starts(Loader::Named("LILO")));
        let chained = vec![(0, mbr(b"\xfa\x01\x02", 0x80)), (1 << 20, boot_sector(b"SYSLINUX"))];
        assert_eq!(found(chained), Bios::StartsSyslinux(0));
    }

    #[test]
    fn a_disk_without_partitions_starts_by_the_boot_sector_of_its_file_system() {
        let whole = |sector: Vec<u8>| {
            let mut volume = volume(1);
            (volume.partition, volume.start, volume.size) = (None, 0, 1 << 30);
            find(&tree_on(vec![(0, sector)], vec![(volume, Some(Memory::new()))])).unwrap()
        };
        assert_eq!(whole(boot_sector(b"EXTLINUX")), Bios::StartsSyslinux(0));
        assert!(matches!(whole(vec![0; 512]), Bios::Nothing(_)));
    }

    #[test]
    fn boot_partitions_that_are_empty_are_none() {
        let with = |kind: &str, code: &[u8], filled: bool| {
            let mut volume = volume(1);
            volume.kind = Some(kind.to_owned());
            let mut sectors = vec![(0, mbr(code, 0))];
            sectors.extend(filled.then(|| (1 << 20, vec![7; 512])));
            find(&tree_on(sectors, vec![(volume, None)])).unwrap()
        };
        assert!(matches!(with(BIOS_BOOT, b"", false), Bios::Incomplete(_)));
        assert!(matches!(with(BIOS_BOOT, b"", true), Bios::Nothing(_)));
        let code = b"\xfcMissing boot loader";
        assert!(matches!(with(FREEBSD_BOOT, code, false), Bios::Nothing(_)));
        assert_eq!(with(FREEBSD_BOOT, code, true), Bios::Starts(Loader::FreeBsd));
    }

    #[test]
    fn ldlinux_is_looked_for_where_installers_put_it() {
        let looked = |memory: Memory| {
            has_ldlinux(&mut tree_on(Vec::new(), vec![(volume(1), Some(memory))]), 0).unwrap()
        };
        assert_eq!(looked(Memory::new().with("/extlinux/ldlinux.sys", "x")), Some(true));
        assert_eq!(looked(Memory::new()), Some(false));
    }
}
