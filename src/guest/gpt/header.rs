//! The header of a GPT, and what Linux's `is_gpt_valid` asks of it.

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::guest::SECTOR;

pub(super) const SIGNATURE: &[u8; 8] = b"EFI PART";

/// The revision that every version of UEFI has had.
pub(super) const REVISION: u32 = 0x0001_0000;

/// The size of an entry that Linux and libblkid read; UEFI allows its multiples by powers of two.
pub(super) const ENTRY_SIZE: u32 = 128;

/// Largest array of entries that Linux reads (KMALLOC_MAX_SIZE); the usual one has 16 KiB.
pub(super) const LARGEST_ARRAY: u64 = 4 << 20;

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Header {
    signature: [u8; 8],
    pub(super) revision: U32,
    header_size: U32,
    header_crc: U32,
    reserved: U32,
    my_lba: U64,
    pub(super) alternate_lba: U64,
    pub(super) first_usable: U64,
    pub(super) last_usable: U64,
    pub(super) disk_guid: [u8; 16],
    entries_lba: U64,
    pub(super) entries: U32,
    pub(super) entry_size: U32,
    pub(super) entries_crc: U32,
}

impl Header {
    /// Reads the header in the sector at `lba`. What Linux asks of the size of the disk is left.
    pub(super) fn parse(sector: &[u8], lba: u64) -> Result<Header, String> {
        let Ok((header, _)) = Header::read_from_prefix(sector) else {
            return Err("it lies past the end of the disk".into());
        };
        if &header.signature != SIGNATURE {
            return Err("there is no GPT header".into());
        }
        let size = header.header_size.get();
        let Some(covered) =
            (92..=SECTOR as u32).contains(&size).then(|| sector.get(..size as usize)).flatten()
        else {
            return Err(format!("it says that it is {size} bytes long"));
        };
        let mut crc = crc32fast::Hasher::new();
        crc.update(&covered[..16]);
        crc.update(&[0; 4]);
        crc.update(&covered[20..]);
        let (stored, found) = (header.header_crc.get(), crc.finalize());
        if stored != found {
            return Err(format!("its CRC-32 is {found:08x}, it says {stored:08x}"));
        }
        if header.my_lba.get() != lba {
            return Err(format!(
                "it says that it is at sector {}, it is at {lba}",
                header.my_lba.get()
            ));
        }
        let (first, last) = (header.first_usable.get(), header.last_usable.get());
        if last < first {
            return Err(format!("it gives sectors {first} to {last} to partitions"));
        }
        let entry_size = header.entry_size.get();
        if entry_size < ENTRY_SIZE || !entry_size.is_power_of_two() || entry_size > 4096 {
            return Err(format!("its entries have {entry_size} bytes"));
        }
        if header.array_bytes() == 0 || header.array_bytes() > LARGEST_ARRAY {
            return Err(format!("it says {} entries", header.entries.get()));
        }
        Ok(header)
    }

    /// Size of the array of entries in bytes.
    pub(super) fn array_bytes(&self) -> u64 {
        u64::from(self.entries.get()) * u64::from(self.entry_size.get())
    }

    /// Disk offset of the array of entries.
    pub(super) fn array_at(&self) -> u64 {
        self.entries_lba.get().saturating_mul(SECTOR)
    }

    /// First sector of the array of entries, and the sector after its last one.
    pub(super) fn array_sectors(&self) -> (u64, u64) {
        let first = self.entries_lba.get();
        (first, first.saturating_add(self.array_bytes().div_ceil(SECTOR)))
    }
}
