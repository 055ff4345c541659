//! Names what lies at the beginning of a disk that has no partition table.

/// A few words for what the first sectors are.
pub(super) fn name(first: &[u8]) -> &'static str {
    let has = |at: usize, magic: &[u8]| first.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if first.len() < 512 {
        "less than one sector"
    } else if first.iter().all(|&b| b == 0) {
        "nothing but zeros"
    } else if has(1024 + 56, b"\x53\xef") {
        "an ext2, ext3 or ext4 file system"
    } else if has(0, b"XFSB") {
        "an XFS file system"
    } else if has(512, b"LABELONE") {
        "an LVM physical volume"
    } else if has(3, b"NTFS    ") {
        "an NTFS file system"
    } else if has(3, b"EXFAT   ") {
        "an exFAT file system"
    } else if is_volume_boot_record(first) {
        "a FAT file system"
    } else if has(4096 - 10, b"SWAPSPACE2") {
        "Linux swap space"
    } else if has(510, b"\x55\xaa") {
        "a boot sector without usable partitions"
    } else {
        "nothing that is known"
    }
}

/// Whether the sector is a FAT, NTFS or exFAT volume's: it ends in 55 AA like an MBR, but what stands
/// in the place of the partition entries is boot code.
pub(super) fn is_volume_boot_record(sector: &[u8]) -> bool {
    let Some(start) = sector.first_chunk::<36>() else { return false };
    if !matches!(start, [0xeb, _, 0x90, ..] | [0xe9, ..]) {
        return false;
    }
    if &start[3..11] == b"NTFS    " || &start[3..11] == b"EXFAT   " {
        return true;
    }
    // BIOS parameter block of FAT (Microsoft FAT specification 1.03). Boot loaders leave it zero.
    let sector_size = u16::from_le_bytes([start[11], start[12]]);
    let sectors_per_cluster = start[13];
    let reserved = u16::from_le_bytes([start[14], start[15]]);
    let fats = start[16];
    let media = start[21];
    matches!(sector_size, 512 | 1024 | 2048 | 4096)
        && sectors_per_cluster.is_power_of_two()
        && reserved > 0
        && (1..=2).contains(&fats)
        && (media == 0xf0 || media >= 0xf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_fat_volume_from_a_boot_loader() {
        let mut sector = [0u8; 512];
        sector[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
        sector[3..11].copy_from_slice(b"MSDOS5.0");
        assert!(!is_volume_boot_record(&sector));
        sector[11..22].copy_from_slice(&[0, 2, 4, 1, 0, 2, 0, 2, 0, 0, 0xf8]);
        assert!(is_volume_boot_record(&sector));
    }

    #[test]
    fn names_file_systems() {
        let mut first = vec![0u8; 17408];
        assert_eq!(name(&first), "nothing but zeros");
        first[1080..1082].copy_from_slice(b"\x53\xef");
        assert_eq!(name(&first), "an ext2, ext3 or ext4 file system");
        assert_eq!(name(&[1; 100]), "less than one sector");
    }
}
