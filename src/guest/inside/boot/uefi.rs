//! What UEFI firmware would start. A Droplet's firmware is a BIOS, so it matters only where nothing else boots.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::Tree;
use super::super::super::volumes::{Holds, Volume};
use super::names;

/// Type of an EFI system partition of a GPT, and of an MBR.
const ESP: [&str; 2] = ["C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "EF"];

/// What is known of the EFI system partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uefi {
    /// What the firmware would start, by its path.
    pub(super) loader: Option<Vec<u8>>,
    /// An EFI system partition could not be looked into.
    pub(super) unread: bool,
}

/// Whether a volume is an EFI system partition.
pub(super) fn is_esp(volume: &Volume) -> bool {
    let kind = volume.kind.as_deref().unwrap_or_default();
    ESP.iter().any(|esp| kind.eq_ignore_ascii_case(esp))
}

/// What UEFI firmware would start from the disk.
///
/// # Errors
/// If a volume cannot be read.
pub(super) fn find(tree: &mut Tree<'_>) -> Result<Uefi, Trouble> {
    let mut uefi = Uefi::default();
    let volumes: Vec<(usize, bool, Holds)> = tree
        .volumes()
        .iter()
        .enumerate()
        .filter(|(_, volume)| is_esp(volume) || volume.holds == Holds::Vfat)
        .map(|(index, volume)| (index, is_esp(volume), volume.holds))
        .collect();
    for (index, is_esp, holds) in volumes {
        let loader = match tree.system(index) {
            Some(_) => loader_on(tree, index)?,
            None => {
                uefi.unread |= is_esp && holds != Holds::Zeros;
                None
            }
        };
        uefi.loader = uefi.loader.or(loader);
    }
    Ok(uefi)
}

/// The loader on a volume: the one that firmware starts without being told, else any other.
fn loader_on(tree: &mut Tree<'_>, index: usize) -> Result<Option<Vec<u8>>, Trouble> {
    let Some(system) = tree.system(index) else { return Ok(None) };
    let Some(efi) = names::walk(system, &[b"EFI"], true)? else { return Ok(None) };
    let mut other = None;
    for (folder, node) in names::list(system, efi)? {
        let is_default = folder.eq_ignore_ascii_case(b"BOOT");
        for (name, file) in names::list(system, node)? {
            let inode = system.inode(file)?;
            if inode.kind != Kind::Regular || inode.size == 0 || !is_for_x64(&name) {
                continue;
            }
            let path = [b"/EFI/", &folder[..], b"/", &name].concat();
            if is_default && name.eq_ignore_ascii_case(b"BOOTX64.EFI") {
                return Ok(Some(path));
            }
            other = other.or(Some(path));
        }
    }
    Ok(other)
}

/// Whether this is the name of a program of UEFI that is not for another processor by its name.
fn is_for_x64(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let others: [&[u8]; 4] = [b"ia32.efi", b"aa64.efi", b"arm.efi", b"riscv64.efi"];
    name.ends_with(b".efi") && !others.iter().any(|other| name.ends_with(other))
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::{tree_on, volume};
    use super::*;

    fn esp() -> Volume {
        let mut volume = volume(1);
        (volume.kind, volume.holds) = (Some("ef".to_owned()), Holds::Vfat);
        volume
    }

    fn loader(memory: Memory) -> Option<String> {
        let found = find(&mut tree_on(Vec::new(), vec![(esp(), Some(memory))])).unwrap();
        assert!(!found.unread);
        found.loader.map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn the_default_loader_comes_before_others_and_case_does_not_matter() {
        let vendor = Memory::new().with("/EFI/debian/shimx64.efi", "MZ");
        let both =
            Memory::new().with("/efi/Boot/bootx64.efi", "MZ").with("/efi/debian/shimx64.efi", "MZ");
        assert_eq!(loader(vendor).as_deref(), Some("/EFI/debian/shimx64.efi"));
        assert_eq!(loader(both).as_deref(), Some("/EFI/Boot/bootx64.efi"));
        let arm = Memory::new().with("/EFI/BOOT/BOOTAA64.EFI", "MZ");
        assert_eq!(loader(arm.with("/EFI/BOOT/grubx64.efi", "").with("/EFI/x", "")), None);
        assert_eq!(loader(Memory::new()), None);
    }

    #[test]
    fn a_partition_that_nobody_read_is_not_taken_for_an_empty_one() {
        let unread = |holds| {
            let volume = Volume { holds, ..esp() };
            find(&mut tree_on(Vec::new(), vec![(volume, None)])).unwrap().unread
        };
        assert!(unread(Holds::Vfat));
        assert!(unread(Holds::Unknown));
        assert!(!unread(Holds::Zeros));
    }
}
