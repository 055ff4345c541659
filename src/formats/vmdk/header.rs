use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::markers::GRAIN_DATA;
use super::tables::ENTRY;
use super::{SECTOR, offset_of};
use crate::facts::{Code, Notebook};
use crate::formats::tail::begin_with;
use crate::formats::{Halt, ImageView};

/// The sparse extent header (VMware Virtual Disk Format 1.1, 4.1). Zeros fill its sector.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Raw {
    magic: [u8; 4],
    version: U32,
    flags: U32,
    capacity: U64,
    grain_size: U64,
    descriptor_offset: U64,
    descriptor_size: U64,
    entries_per_table: U32,
    redundant_directory: U64,
    directory: U64,
    overhead: U64,
    unclean: u8,
    newlines: [u8; 4],
    compression: U16,
}

const MAGIC: &[u8; 4] = b"KDMV";

/// Line ends that a transfer in text mode would change (VMware Virtual Disk Format 1.1, 4.1).
const NEWLINES: &[u8; 4] = b"\n \r\n";

/// A directory at this sector is given by the footer (`GD_AT_END`).
const AT_END: u64 = u64::MAX;

const NEWLINES_VALID: u32 = 1 << 0;
const REDUNDANT: u32 = 1 << 1;
const ZEROED_GRAINS: u32 = 1 << 2;
const COMPRESSED: u32 = 1 << 16;
const MARKERS: u32 = 1 << 17;

/// A grain table entry that stands for zeros, where the header's flag 4 allows it.
const ZEROED: u32 = 1;

/// Largest grain that QEMU opens, in sectors (`vmdk_add_extent`, `block/vmdk.c`).
const LARGEST_GRAIN: u64 = 0x20_0000;

/// Largest compressed grain, in sectors: 2 MiB, as much as is ever unpacked in one piece.
const LARGEST_COMPRESSED_GRAIN: u64 = 4096;

/// Smallest grain, in sectors: a power of two greater than 8 (VMware Virtual Disk Format 1.1, 4.1,
/// grainSize).
const SMALLEST_GRAIN: u64 = 16;

/// Entries of a grain table (VMware Virtual Disk Format 1.1, 4.1, numGTEsPerGT). Everybody writes as
/// many; QEMU opens fewer, VirtualBox and open-vmdk only from 128 on.
pub(super) const ENTRIES: u32 = 512;

/// Most grain tables that QEMU opens (`l1_size`, `block/vmdk.c`).
const MOST_TABLES: u64 = 32 << 20;

/// The sector that the descriptor of a monolithic image begins at.
pub(super) const DESCRIPTOR_SECTOR: u64 = 1;

/// Descriptors have to be smaller than 1 MiB (`vmdk_read_desc`, `block/vmdk.c`).
pub(super) const MOST_DESCRIPTOR_SECTORS: u64 = (1 << 20) / SECTOR - 1;

/// A header, or the copy of it in the footer. Its numbers are what the image says.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Image offset of the header itself.
    pub(super) at: u64,
    pub(super) version: u32,
    pub(super) flags: u32,
    /// Sectors of the disk.
    pub(super) capacity: u64,
    /// Sectors of a grain.
    pub(super) grain_size: u64,
    pub(super) descriptor_offset: u64,
    pub(super) descriptor_size: u64,
    pub(super) entries_per_table: u32,
    pub(super) redundant_directory: u64,
    pub(super) directory: u64,
    pub(super) overhead: u64,
    pub(super) unclean: u8,
    pub(super) newlines: [u8; 4],
    pub(super) compression: u16,
}

impl Header {
    /// From the sector at image offset `at`; `None` if it does not begin like a header.
    pub(super) fn parse(sector: &[u8], at: u64) -> Option<Header> {
        let (raw, _) = Raw::read_from_prefix(sector).ok()?;
        (raw.magic == *MAGIC).then(|| Header {
            at,
            version: raw.version.get(),
            flags: raw.flags.get(),
            capacity: raw.capacity.get(),
            grain_size: raw.grain_size.get(),
            descriptor_offset: raw.descriptor_offset.get(),
            descriptor_size: raw.descriptor_size.get(),
            entries_per_table: raw.entries_per_table.get(),
            redundant_directory: raw.redundant_directory.get(),
            directory: raw.directory.get(),
            overhead: raw.overhead.get(),
            unclean: raw.unclean,
            newlines: raw.newlines,
            compression: raw.compression.get(),
        })
    }

    /// Bytes of the disk.
    pub(super) fn virtual_size(&self) -> u64 {
        offset_of(self.capacity)
    }

    /// Bytes of a grain; never zero once the header was checked.
    pub(super) fn grain_bytes(&self) -> u64 {
        offset_of(self.grain_size).max(1)
    }

    /// Bytes of the disk that one grain table maps; never zero once the header was checked.
    pub(super) fn table_covers(&self) -> u64 {
        self.grain_bytes().saturating_mul(u64::from(self.entries_per_table)).max(1)
    }

    /// Number of grain tables, which is the number of entries of the grain directory.
    pub(super) fn tables(&self) -> u64 {
        let sectors = self.grain_size.saturating_mul(u64::from(self.entries_per_table));
        self.capacity.div_ceil(sectors.max(1))
    }

    /// The first sector behind the header and, where it is placed as it has to be, the descriptor.
    pub(super) fn first_free_sector(&self) -> u64 {
        match (self.descriptor_offset, self.descriptor_size) {
            (DESCRIPTOR_SECTOR, size @ ..=MOST_DESCRIPTOR_SECTORS) => DESCRIPTOR_SECTOR + size,
            _ => 1,
        }
    }

    /// Number of grains, of which the last may be cut by the end of the disk.
    pub(super) fn grains(&self) -> u64 {
        self.capacity.div_ceil(self.grain_size.max(1))
    }

    /// The sector that no grain or table of this disk can reach: room for every grain, with a marker, and
    /// two copies of all tables; and as much again for what a writer gave up.
    pub(super) fn farthest(&self) -> u64 {
        let entries = self.tables().saturating_mul(u64::from(self.entries_per_table) + 1);
        let tables = entries.saturating_mul(2 * ENTRY).div_ceil(SECTOR);
        let grains = self.grains().saturating_mul(self.grain_size.saturating_add(1));
        let sectors = MOST_DESCRIPTOR_SECTORS.saturating_add(tables).saturating_add(grains);
        sectors.saturating_mul(2)
    }

    /// Most packed bytes of a grain. Deflate adds little to what it cannot pack, and QEMU reads two
    /// grains at most, the marker included (`vmdk_read_extent`, `block/vmdk.c`).
    pub(super) fn largest_packed_grain(&self) -> u64 {
        self.grain_bytes().saturating_mul(2).saturating_sub(GRAIN_DATA)
    }

    /// Bytes of the disk that the grain which begins at disk sector `sector` holds: the last one may be
    /// cut by the end of the disk.
    pub(super) fn bytes_from(&self, sector: u64) -> u64 {
        self.virtual_size().saturating_sub(offset_of(sector)).min(self.grain_bytes())
    }

    /// Whether a grain table entry stands for no grain.
    pub(super) fn reads_as_zeros(&self, entry: u32) -> bool {
        entry == 0 || entry == ZEROED && self.has_zeroed_grains()
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compression == 1
    }

    /// Whether the flags announce compressed grains, which the algorithm has to agree with.
    pub(super) fn announces_compression(&self) -> bool {
        self.flags & COMPRESSED != 0
    }

    pub(super) fn has_footer(&self) -> bool {
        self.directory == AT_END
    }

    pub(super) fn has_redundant_directory(&self) -> bool {
        self.flags & REDUNDANT != 0
    }

    pub(super) fn has_zeroed_grains(&self) -> bool {
        self.flags & ZEROED_GRAINS != 0
    }
}

/// Reads the header and checks what it says of itself. `None` if it is not of a known version.
pub(super) fn read(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Header>, Halt> {
    let mut sector = [0; SECTOR as usize];
    if !view.need(0, &mut sector, notebook, "the VMDK header")? {
        return Ok(None);
    }
    let Some(header) = Header::parse(&sector, 0) else {
        notebook.image(Code::VmdkHeaderInvalid, 0, "The image does not begin with KDMV.");
        return Ok(None);
    };
    // Version 3 is what streams and images with changed block tracking have; QEMU opens it as well.
    if !(1..=3).contains(&header.version) {
        let said = format!("The VMDK version is {}; 1, 2 and 3 are known.", header.version);
        notebook.image(Code::VmdkVersionUnsupported, 4, said);
        return Ok(None);
    }
    let newlines = header.newlines;
    // A writer that does not set the flag may still have filled the bytes in.
    let promised = header.flags & NEWLINES_VALID != 0 || newlines != [0; 4];
    if promised && newlines != *NEWLINES {
        notebook.image(Code::VmdkNewlinesBroken, 73, format!(
            "The line end test in the header is {newlines:02x?} instead of {NEWLINES:02x?}: a transfer in text mode has changed the image."));
    }
    if header.unclean != 0 {
        let said = "The header says that the last writer did not close the image.";
        notebook.image(Code::VmdkUnclean, 72, said);
    }
    check_rest(&sector, 0, notebook)?;
    Ok(Some(header))
}

/// Looks for what belongs to nothing in the sector of a header, which begins at image offset `at`. The format has zeros behind
/// the fields (VMware Virtual Disk Format 1.1, 4.1, pad).
pub(super) fn check_rest(sector: &[u8], at: u64, notebook: &Notebook<'_>) -> Result<(), Halt> {
    let rest = sector.get(size_of::<Raw>()..).unwrap_or_default();
    let Some(first) = rest.iter().position(|&byte| byte != 0) else { return Ok(()) };
    let rest = rest.get(first..).unwrap_or_default();
    let at = at.saturating_add((size_of::<Raw>() + first) as u64);
    notebook.image(
        Code::VmdkSpaceUnused,
        at,
        format!(
            "Behind the fields of the header, {} bytes from byte {at} on belong to nothing{}.",
            rest.len(),
            begin_with(rest)?
        ),
    );
    Ok(())
}

/// Checks whether grains can be found with what the header says. False if not.
pub(super) fn check_geometry(header: &Header, notebook: &Notebook<'_>) -> bool {
    if header.capacity == 0 {
        notebook.image(Code::VmdkCapacityZero, 12,
            "The header gives the disk no sectors; QEMU takes such an image for a list of other files.");
        return false;
    }
    check_compression(header, notebook) & check_grains(header, notebook)
}

fn check_grains(header: &Header, notebook: &Notebook<'_>) -> bool {
    let grain = header.grain_size;
    let most = if header.is_compressed() { LARGEST_COMPRESSED_GRAIN } else { LARGEST_GRAIN };
    if !grain.is_power_of_two() || !(SMALLEST_GRAIN..=most).contains(&grain) {
        notebook.image(Code::VmdkGrainSizeInvalid, 20, format!(
            "The header says grains of {grain} sectors; a power of two from {SMALLEST_GRAIN} to {most} is possible."));
        return false;
    }
    let entries = header.entries_per_table;
    if entries != ENTRIES {
        notebook.image(
            Code::VmdkGrainTableInvalid,
            44,
            format!("The header says grain tables of {entries} entries; the format has {ENTRIES}."),
        );
        return false;
    }
    let tables = header.tables();
    if tables > MOST_TABLES {
        notebook.image(Code::VmdkGrainTableInvalid, 12, format!(
            "The disk of {} sectors needs {tables} grain tables; QEMU opens {MOST_TABLES} at most.", header.capacity));
        return false;
    }
    true
}

fn check_compression(header: &Header, notebook: &Notebook<'_>) -> bool {
    let flagged = header.announces_compression();
    let said = match (header.compression, flagged) {
        (0, false) if header.flags & MARKERS == 0 => return true,
        (0, false) => {
            "The grains are not compressed, but flag 0x20000 announces markers before them.".into()
        }
        (1, true) if header.flags & MARKERS != 0 => return true,
        (1, true) => {
            "The grains are compressed, but flag 0x20000 does not announce markers before them."
                .into()
        }
        (algorithm, _) => {
            let flag = if flagged { "is set" } else { "is not set" };
            format!(
                "The compression algorithm is {algorithm}, but flag 0x10000 {flag}; 0 without and 1 with the flag exist."
            )
        }
    };
    notebook.image(Code::VmdkCompressionInvalid, 77, said);
    false
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, codes};
    use super::*;

    /// The codes of a whole sample image after `bytes` were written at `at`.
    fn with(at: usize, bytes: &[u8]) -> Vec<Code> {
        codes(&Sample::sparse().patched(at, bytes))
    }

    #[test]
    fn a_whole_header_raises_nothing() {
        assert_eq!(codes(&Sample::sparse().image), []);
        assert_eq!(with(4, &[2]), []);
        assert_eq!(with(8, &[0]), [], "newlines are right although not promised");
    }

    #[test]
    fn each_field_has_its_code() {
        let big = u64::MAX.to_le_bytes();
        assert_eq!(with(0, b"X"), [Code::VmdkHeaderInvalid]);
        assert_eq!(with(4, &[4]), [Code::VmdkVersionUnsupported]);
        assert_eq!(with(4, &[0]), [Code::VmdkVersionUnsupported]);
        assert_eq!(with(73, b"\r\n"), [Code::VmdkNewlinesBroken]);
        assert_eq!(with(73, &[0; 4]), [Code::VmdkNewlinesBroken]);
        assert_eq!(with(72, &[1]), [Code::VmdkUnclean]);
        assert!(with(12, &[0; 8]).contains(&Code::VmdkCapacityZero));
        assert_eq!(with(20, &[0; 8]), [Code::VmdkGrainSizeInvalid]);
        assert_eq!(with(20, &[17]), [Code::VmdkGrainSizeInvalid]);
        assert_eq!(with(20, &big), [Code::VmdkGrainSizeInvalid]);
        for grain in [1u64, 2, 4, 8, 1 << 22] {
            assert_eq!(with(20, &grain.to_le_bytes()), [Code::VmdkGrainSizeInvalid], "{grain}");
        }
        for entries in [0u32, 1, 32, 128, 256, 511, 513, 1024] {
            assert_eq!(with(44, &entries.to_le_bytes()), [Code::VmdkGrainTableInvalid]);
        }
        assert!(with(12, &big).contains(&Code::VmdkGrainTableInvalid));
        assert!(with(12, &big).contains(&Code::DiskTooLarge));
        assert_eq!(with(77, &[1]), [Code::VmdkCompressionInvalid]);
        assert_eq!(with(77, &[2]), [Code::VmdkCompressionInvalid]);
        assert_eq!(with(10, &[1]), [Code::VmdkCompressionInvalid]);
        assert_eq!(with(10, &[2]), [Code::VmdkCompressionInvalid]);
    }
}
