//! FAT, exFAT and NTFS: known by their boot sectors, named by an entry elsewhere.

use super::super::fs::{Area, Trouble};
use super::Holds;
use super::probe::{Head, Super};
use super::words::{label, serial, utf16};

/// Bytes of a directory that a label is looked for in at a time.
const PIECE: usize = 16 << 10;

/// A clusters' chain is followed so far, as libblkid does.
const MOST_CLUSTERS: usize = 100;

/// What is read beside the boot sector, and cannot be, has no label.
fn read(area: &Area<'_>, at: Option<u64>, len: usize) -> Result<Option<Vec<u8>>, Trouble> {
    let Some(at) = at.filter(|&at| at < area.size()) else { return Ok(None) };
    let mut bytes = vec![0; (area.size() - at).min(len as u64) as usize];
    match area.read(at, &mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(Trouble::Left(_)) => Ok(None),
        Err(halt) => Err(halt),
    }
}

/// FAT12, FAT16 and FAT32 (`fat_valid_superblock` in libblkid).
pub(super) fn fat(head: &Head, area: &Area<'_>) -> Result<Option<Super>, Trouble> {
    let Some(boot) = Boot::parse(head) else { return Ok(None) };
    let name = boot.label(area)?;
    Ok(Some(Super::new(Holds::Vfat, boot.serial, name)))
}

struct Boot {
    sector: u64,
    cluster_sectors: u64,
    /// Offset of the first table, and of what follows the last one.
    tables: u64,
    behind: u64,
    entries: u64,
    /// Of FAT32: first cluster of the root, and entries of the table.
    root: Option<(u64, u64)>,
    serial: Option<String>,
}

impl Boot {
    fn parse(head: &Head) -> Option<Boot> {
        const NAMES: [(usize, &[u8]); 6] = [
            (0x52, b"MSWIN"),
            (0x52, b"FAT32   "),
            (0x36, b"MSDOS"),
            (0x36, b"FAT16   "),
            (0x36, b"FAT12   "),
            (0x36, b"FAT     "),
        ];
        let named = NAMES.iter().any(|(at, name)| head.has(*at, name));
        let other = head.has(0x36, b"JFS     ") || head.has(0x36, b"HPFS    ");
        if !named && (!head.has(510, b"\x55\xaa") || other) {
            return None;
        }
        let byte = |at: usize| head.bytes::<1>(at).map(|[byte]| u64::from(byte));
        let short = |at: usize| head.u16(at).map(u64::from);
        let (sector, cluster_sectors, reserved) = (short(11)?, byte(13)?, short(14)?);
        let (tables, entries, media) = (byte(16)?, short(17)?, byte(21)?);
        let valid = tables > 0
            && reserved > 0
            && (media >= 0xf8 || media == 0xf0)
            && cluster_sectors.is_power_of_two()
            && matches!(sector, 512 | 1024 | 2048 | 4096);
        if !valid {
            return None;
        }
        let sectors = short(19).filter(|&count| count > 0).or(head.u32(32).map(u64::from))?;
        let (length, long) = (short(22)?, u64::from(head.u32(36)?));
        let table = if length > 0 { length } else { long };
        let behind = reserved + table * tables;
        let data = behind + (entries * 32).div_ceil(sector);
        let clusters = sectors.checked_sub(data)? / cluster_sectors;
        let most = if length == 0 && long > 0 { 0x0fff_fff6 } else { 0xfff6 };
        if clusters > most {
            return None;
        }
        let is_32 = length == 0 && long > 0;
        let id = if is_32 { 67 } else { 39 };
        let signed = is_32 || matches!(byte(id - 1)?, 0x28 | 0x29);
        Some(Boot {
            sector,
            cluster_sectors,
            tables: reserved * sector,
            behind: behind * sector,
            entries,
            root: is_32.then_some((head.u32(44)?.into(), long * sector / 4)),
            serial: head.get(id..id + 4).filter(|_| signed).and_then(serial),
        })
    }

    /// The label is an entry of the root directory.
    fn label(&self, area: &Area<'_>) -> Result<Option<Vec<u8>>, Trouble> {
        let Some((root, entries)) = self.root else {
            let size = self.entries * 32;
            let mut at = 0;
            while at < size {
                let len = (size - at).min(PIECE as u64) as usize;
                let Some(piece) = read(area, Some(self.behind + at), len)? else { break };
                area.spend(piece.len() as u64 / 32)?;
                match search(&piece) {
                    Search::Found(name) => return Ok(name),
                    Search::End => return Ok(None),
                    Search::GoesOn => at += PIECE as u64,
                }
            }
            return Ok(None);
        };
        let cluster_size = self.cluster_sectors * self.sector;
        let mut cluster = root;
        for _ in 0..MOST_CLUSTERS {
            if cluster < 2 || cluster >= entries {
                break;
            }
            let at =
                (cluster - 2).checked_mul(cluster_size).and_then(|at| at.checked_add(self.behind));
            let Some(piece) = read(area, at, cluster_size as usize)? else { break };
            area.spend(piece.len() as u64 / 32)?;
            // libblkid goes on behind the end of the directory, where clusters of old entries may be; nobody else does.
            match search(&piece) {
                Search::Found(name) => return Ok(name),
                Search::End => return Ok(None),
                Search::GoesOn => {}
            }
            let Some(next) = read(area, Some(self.tables + cluster * 4), 4)? else { break };
            let Some(next) = next.first_chunk() else { break };
            cluster = u64::from(u32::from_le_bytes(*next) & 0x0fff_ffff);
        }
        Ok(None)
    }
}

/// What a part of a directory says of the label.
enum Search {
    Found(Option<Vec<u8>>),
    End,
    GoesOn,
}

fn search(entries: &[u8]) -> Search {
    for entry in entries.chunks_exact(32) {
        let attributes = entry[11];
        match entry[0] {
            0 => return Search::End,
            0xe5 => continue,
            _ if attributes & 0x3f == 0x0f => continue,
            _ if entry[20..22] != [0; 2] || entry[26..28] != [0; 2] => continue,
            _ if attributes & 0x18 != 0x08 => continue,
            _ => {}
        }
        let mut name = entry[..11].to_vec();
        if name[0] == 0x05 {
            name[0] = 0xe5;
        }
        return Search::Found(label(&name));
    }
    Search::GoesOn
}

/// exFAT.
pub(super) fn exfat(head: &Head, area: &Area<'_>) -> Result<Option<Super>, Trouble> {
    let fields = || {
        let is = head.has(0, b"\xeb\x76\x90EXFAT   ") && head.has(510, b"\x55\xaa");
        let [sector, cluster] = head.bytes(108)?;
        let shifts = (9..=12).contains(&sector) && cluster <= 25 - sector;
        let (heap, root) = (u64::from(head.u32(88)?), u64::from(head.u32(96)?));
        let at = (
            (heap << sector) + (root.checked_sub(2)? << (sector + cluster)),
            1usize << (sector + cluster),
        );
        (is && shifts).then_some(at)
    };
    let Some((at, cluster)) = head.has(3, b"EXFAT   ").then(fields).flatten() else {
        return Ok(None);
    };
    // It is one of the first entries.
    let entries = read(area, Some(at), cluster.min(PIECE))?.unwrap_or_default();
    let mut entries = entries.chunks_exact(32).take_while(|entry| entry[0] != 0);
    let name = entries.find(|entry| entry[0] == 0x83).and_then(|entry| {
        label(&utf16(entry[2..24].get(..usize::from(entry[1]) * 2)?, u16::from_le_bytes))
    });
    Ok(Some(Super::new(Holds::Exfat, head.get(100..104).and_then(serial), name)))
}

/// NTFS: the name is an attribute of the fourth record of its table of files.
pub(super) fn ntfs(head: &Head, area: &Area<'_>) -> Result<Option<Super>, Trouble> {
    if !head.has(3, b"NTFS    ") {
        return Ok(None);
    }
    let record = || {
        let sector = u64::from(head.u16(11)?);
        let [sectors] = head.bytes::<1>(13)?;
        let sectors = match sectors {
            240..=249 => 1u64 << (256 - u32::from(sectors)),
            _ => u64::from(sectors),
        };
        let [clusters] = head.bytes::<1>(64)?;
        let size = match clusters.cast_signed() {
            shift @ -31..=-9 => 1u64 << shift.unsigned_abs(),
            clusters @ 1.. => u64::from(clusters.unsigned_abs()) * sectors * sector,
            _ => return None,
        };
        let size = Some(size).filter(|size| (256..=1 << 16).contains(size))?;
        let table = head.u64(48)?.checked_mul(sectors * sector)?;
        Some((table.checked_add(3 * size)?, size as usize))
    };
    let bytes = match record() {
        Some((at, size)) => read(area, Some(at), size)?,
        None => None,
    };
    let name = bytes.as_deref().filter(|bytes| bytes.starts_with(b"FILE")).and_then(volume_name);
    let id = head.u64(72).map(|number| format!("{number:016X}"));
    Ok(Some(Super::new(Holds::Ntfs, id, name)))
}

fn volume_name(record: &[u8]) -> Option<Vec<u8>> {
    let short =
        |at: usize| Some(usize::from(u16::from_le_bytes(*record.get(at..)?.first_chunk()?)));
    let word = |at: usize| Some(u32::from_le_bytes(*record.get(at..)?.first_chunk()?) as usize);
    let mut at = short(20)?;
    loop {
        let (kind, len) = (word(at)?, word(at + 4)?);
        if kind == 0x60 {
            let value = record.get(at + short(at + 20)?..)?.get(..word(at + 16)?)?;
            return label(&utf16(value, u16::from_le_bytes));
        }
        // Attributes are sorted by their kinds, and the shortest one has 24 bytes.
        if kind > 0x60 || len < 24 {
            return None;
        }
        at = at.checked_add(len)?;
    }
}
