//! GRUB's core: the sectors that the first one loads.
//!
//! `boot.img` has the number of one sector (`kernel_sector`); that sector, `diskboot.img`, has at its end the list of the
//! others. Which bytes the core has is its own affair; here it is only whether something is there.

use super::super::super::fs::{Area, Trouble};
use super::super::super::volumes::Volume;
use super::bios::{SECTOR, are_zeros};

/// Where `boot.img` has the number of the sector, and the drive that it is on (include/grub/i386/pc/boot.h).
const KERNEL_SECTOR: usize = 0x5c;
const BOOT_DRIVE: usize = 0x64;

/// Bytes of an entry of the list: first sector, how many, and the segment that they are loaded to.
const ENTRY: usize = 12;

/// What is missing of GRUB's core, as a sentence; `None` if it is there.
///
/// # Errors
/// If the disk cannot be read there.
pub(super) fn missing(
    disk: &Area<'_>,
    boot: &[u8; 512],
    volumes: &[Volume],
) -> Result<Option<String>, Trouble> {
    let [b0, b1, b2, b3, b4, b5, b6, b7, drive, ..] = boot[KERNEL_SECTOR..] else {
        return Ok(None);
    };
    debug_assert_eq!(KERNEL_SECTOR + 8, BOOT_DRIVE);
    if !matches!(drive, 0xff | 0x80) {
        return Ok(Some(format!(
            "GRUB's first sector loads its core from drive 0x{drive:02x}, which is not the disk of a Droplet that boots."
        )));
    }
    let sector = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    let Some(at) = inside(disk, sector, 1) else {
        return Ok(Some(format!(
            "GRUB's first sector loads its core from sector {sector}, which is past the end of the disk."
        )));
    };
    let place = volumes
        .iter()
        .find(|volume| {
            volume.partition.is_some() && volume.start <= at && at - volume.start < volume.size
        })
        .map_or("before the first partition".to_owned(), |volume| format!("in {}", volume.name()));
    let first: [u8; 512] = disk.array(at)?;
    if first.iter().all(|&byte| byte == 0) {
        return Ok(Some(format!(
            "GRUB's first sector loads its core from sector {sector} ({place}), where there are only zeros."
        )));
    }
    // It begins by keeping the number of the drive (push dx), in all versions.
    if first[0] != 0x52 || entry(&first, 0).is_none() {
        return Ok(Some(format!(
            "GRUB's first sector loads its core from sector {sector} ({place}), where something else is."
        )));
    }
    for number in 0.. {
        let Some((start, count)) = entry(&first, number) else { break };
        let Some(at) = inside(disk, start, count) else {
            return Ok(Some(format!(
                "GRUB's core goes on with {count} sectors from sector {start}, which end past the end of the disk."
            )));
        };
        if are_zeros(disk, at, SECTOR)? {
            return Ok(Some(format!(
                "GRUB's core goes on in sector {start} ({place}), where there are only zeros."
            )));
        }
    }
    Ok(None)
}

/// Disk offset of these sectors, if they are on the disk.
fn inside(disk: &Area<'_>, sector: u64, count: u64) -> Option<u64> {
    let end = sector.checked_add(count)?.checked_mul(SECTOR)?;
    (sector > 0 && end <= disk.size()).then_some(sector * SECTOR)
}

/// An entry of the list, which begins at the end of the sector and goes backwards, and ends with one of no sectors.
fn entry(sector: &[u8; 512], number: usize) -> Option<(u64, u64)> {
    let at = 512usize.checked_sub(ENTRY * (number + 1)).filter(|&at| at >= 0x100)?;
    let [s0, s1, s2, s3, s4, s5, s6, s7, c0, c1, g0, g1] = sector[at..at + ENTRY] else {
        return None;
    };
    let count = u16::from_le_bytes([c0, c1]);
    let start = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    (count != 0 && [g0, g1] != [0, 0]).then_some((start, count.into()))
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::{tree_on, volume};
    use super::super::bios::{Bios, Loader, find};
    use super::*;

    /// The first sector of GRUB, with its core from this sector on.
    fn boot(sector: u64) -> Vec<u8> {
        let mut boot = vec![0; 512];
        boot[..2].copy_from_slice(&[0xeb, 0x63]);
        boot[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&sector.to_le_bytes());
        boot[BOOT_DRIVE] = 0xff;
        boot[0x180..0x185].copy_from_slice(b"GRUB ");
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        boot
    }

    /// The first sector of its core, which goes on with these.
    fn core(lists: &[(u64, u16)]) -> Vec<u8> {
        let mut core = vec![0; 512];
        core[..4].copy_from_slice(&[0x52, 0x56, 0xbe, 0x1b]);
        for (number, (start, count)) in lists.iter().enumerate() {
            let at = 512 - ENTRY * (number + 1);
            core[at..at + 8].copy_from_slice(&start.to_le_bytes());
            core[at + 8..at + 10].copy_from_slice(&count.to_le_bytes());
            core[at + 10..at + 12].copy_from_slice(&0x820u16.to_le_bytes());
        }
        core
    }

    fn found(sectors: Vec<(u64, Vec<u8>)>) -> Bios {
        find(&tree_on(sectors, vec![(volume(1), Some(Memory::new()))])).unwrap()
    }

    #[test]
    fn a_core_has_to_be_where_its_first_sector_says() {
        let rest = (2 * 512, vec![9; 512]);
        let sound = vec![(0, boot(1)), (512, core(&[(2, 60)])), rest.clone()];
        assert_eq!(found(sound), Bios::Starts(Loader::Grub));
        let breaks = [
            (
                vec![(0, boot(1))],
                "sector 1 (before the first partition), where there are only zeros",
            ),
            (
                vec![(0, boot(2048)), (1 << 20, vec![7; 512])],
                "in partition 1), where something else",
            ),
            (vec![(0, boot(1 << 40))], "past the end"),
            (vec![(0, boot(0))], "past the end"),
            (vec![(0, boot(1)), (512, core(&[(2, 60)]))], "goes on in sector 2"),
            (vec![(0, boot(1)), (512, core(&[(u64::MAX, 60)]))], "past the end"),
            (vec![(0, boot(1)), (512, core(&[])), rest.clone()], "something else"),
        ];
        for (sectors, said) in breaks {
            let Bios::Incomplete(found) = found(sectors) else { panic!("{said}") };
            assert!(found.contains(said), "{found}");
        }
        let mut other = boot(1);
        other[BOOT_DRIVE] = 0x81;
        let other = found(vec![(0, other), (512, core(&[(2, 60)])), rest]);
        assert!(matches!(other, Bios::Incomplete(said) if said.contains("0x81")));
    }

    #[test]
    fn a_core_in_many_pieces_is_followed() {
        let pieces = [(2, 1), (10, 1), (20, 1)];
        let mut sectors = vec![(0, boot(1)), (512, core(&pieces))];
        sectors.extend(pieces.map(|(start, _)| (start * 512, vec![1; 512])));
        assert_eq!(found(sectors.clone()), Bios::Starts(Loader::Grub));
        sectors.pop();
        assert!(matches!(found(sectors), Bios::Incomplete(_)));
    }
}
