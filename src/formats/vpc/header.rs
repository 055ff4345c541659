use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

const COOKIE: [u8; 8] = *b"conectix";
const VERSION: u32 = 0x0001_0000;

const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;

/// Cylinders, heads and sectors of the largest geometry, which stands for any larger disk.
const LARGEST_GEOMETRY: (u16, u8, u8) = (65535, 16, 255);

/// Programs that give a disk the size of its geometry: Virtual PC, and QEMU before `force_size`. QEMU reads their images
/// so, and those of all others by the size.
const BY_GEOMETRY: [&[u8; 4]; 2] = [b"vpc ", b"qemu"];

/// Where the sum of a structure stands.
const FOOTER_SUM: usize = 64;
const HEADER_SUM: usize = 36;

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct FooterFields {
    cookie: [u8; 8],
    features: U32,
    version: U32,
    data_offset: U64,
    time: U32,
    creator: [u8; 4],
    creator_version: U32,
    creator_os: U32,
    original_size: U64,
    current_size: U64,
    cylinders: U16,
    heads: u8,
    sectors: u8,
    kind: U32,
    sum: U32,
}

/// The last 512 bytes of an image, of which a dynamic one has a copy at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Bytes of the disk.
    size: u64,
    /// Image offset of the dynamic header.
    header_at: u64,
    kind: u32,
}

impl Footer {
    /// Bytes of a footer.
    pub const LENGTH: usize = 512;

    /// Reads a footer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8; Footer::LENGTH]) -> Result<Footer, &'static str> {
        let Ok((fields, _)) = FooterFields::read_from_prefix(bytes) else {
            return Err("is too short");
        };
        if fields.cookie != COOKIE {
            return Err("does not begin with \"conectix\"");
        }
        if fields.sum.get() != sum(bytes, FOOTER_SUM) {
            return Err("has a check sum that does not match");
        }
        if fields.version.get() != VERSION {
            return Err("has another version than 1.0");
        }
        let geometry = (fields.cylinders.get(), fields.heads, fields.sectors);
        let (cylinders, heads, sectors) = geometry;
        let by_geometry = BY_GEOMETRY.contains(&&fields.creator) && geometry != LARGEST_GEOMETRY;
        let size = match by_geometry {
            true => 512 * u64::from(cylinders) * u64::from(heads) * u64::from(sectors),
            false => fields.current_size.get(),
        };
        if size == 0 || size % 512 != 0 {
            return Err("has a size that no disk has");
        }
        Ok(Footer { size, header_at: fields.data_offset.get(), kind: fields.kind.get() })
    }

    /// Bytes of the disk before it, if it is that of a fixed image.
    #[must_use]
    pub fn fixed_size(&self) -> Option<u64> {
        (self.kind == FIXED).then_some(self.size)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn header_at(&self) -> u64 {
        self.header_at
    }

    /// What keeps it from being that of a dynamic image.
    pub(super) fn not_dynamic(&self) -> Option<&'static str> {
        match self.kind {
            DYNAMIC => None,
            DIFFERENCING => Some("holds only the differences to another image"),
            _ => Some("is of another type than fixed, dynamic and differencing"),
        }
    }
}

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct HeaderFields {
    cookie: [u8; 8],
    data_offset: U64,
    table_at: U64,
    version: U32,
    entries: U32,
    block_size: U32,
    sum: U32,
    parent: [u8; 16],
}

/// The header of a dynamic image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Image offset of the block allocation table.
    pub(super) table_at: u64,
    /// Entries of it.
    pub(super) entries: u64,
    /// Bytes of the disk in a block.
    pub(super) block_size: u64,
}

/// Blocks that programs write: of 512 KiB and 2 MiB; others would make tables that nobody needs.
const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 512 << 10..=256 << 20;

impl Header {
    pub(super) const LENGTH: usize = 1024;

    /// Reads the header; what is wrong with it otherwise.
    pub(super) fn read(bytes: &[u8; Header::LENGTH]) -> Result<Header, &'static str> {
        let Ok((fields, _)) = HeaderFields::read_from_prefix(bytes) else {
            return Err("is too short");
        };
        if fields.cookie != *b"cxsparse" {
            return Err("does not begin with \"cxsparse\"");
        }
        if fields.sum.get() != sum(bytes, HEADER_SUM) {
            return Err("has a check sum that does not match");
        }
        if fields.version.get() != VERSION {
            return Err("has another version than 1.0");
        }
        let block_size = fields.block_size.get();
        if !block_size.is_power_of_two() || !BLOCK_SIZES.contains(&block_size) {
            return Err("has a block size that is not read");
        }
        if fields.parent != [0; 16] {
            return Err("names a parent");
        }
        Ok(Header {
            table_at: fields.table_at.get(),
            entries: u64::from(fields.entries.get()),
            block_size: u64::from(block_size),
        })
    }
}

/// The complement of the sum of all bytes but the sum itself.
fn sum(bytes: &[u8], at: usize) -> u32 {
    let sum = |part: &[u8]| part.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    !(sum(&bytes[..at]) + sum(&bytes[at + 4..]))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes the check sums of a footer or a header right.
    pub(in super::super) fn renew(bytes: &mut [u8]) {
        let at = if bytes.len() == Footer::LENGTH { FOOTER_SUM } else { HEADER_SUM };
        let sum = sum(bytes, at);
        bytes[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    }

    /// A footer of this type, of a disk of `size` bytes.
    pub(in super::super) fn footer(kind: u32, size: u64) -> [u8; 512] {
        let mut bytes = [0; 512];
        bytes[..8].copy_from_slice(b"conectix");
        bytes[8..12].copy_from_slice(&2u32.to_be_bytes());
        bytes[12..16].copy_from_slice(&VERSION.to_be_bytes());
        bytes[16..24].copy_from_slice(&(if kind == FIXED { u64::MAX } else { 512 }).to_be_bytes());
        bytes[28..32].copy_from_slice(b"win ");
        bytes[40..48].copy_from_slice(&size.to_be_bytes());
        bytes[48..56].copy_from_slice(&size.to_be_bytes());
        bytes[60..64].copy_from_slice(&kind.to_be_bytes());
        renew(&mut bytes);
        bytes
    }

    #[test]
    fn footers_are_read_or_refused() {
        let good = footer(FIXED, 1 << 20);
        assert_eq!(Footer::read(&good).unwrap().fixed_size(), Some(1 << 20));
        assert_eq!(Footer::read(&footer(DYNAMIC, 1 << 20)).unwrap().fixed_size(), None);
        for at in 0..512 {
            let mut wrong = good;
            wrong[at] ^= 1;
            assert!(Footer::read(&wrong).is_err(), "byte {at}");
        }
        for (at, byte) in [(13, 2), (55, 1)] {
            let mut wrong = good;
            wrong[at] = byte;
            renew(&mut wrong);
            assert!(Footer::read(&wrong).is_err(), "byte {at}");
        }
        assert!(Footer::read(&footer(FIXED, 0)).is_err());
    }

    #[test]
    fn some_programs_mean_the_geometry() {
        let mut by = footer(DYNAMIC, 1 << 20);
        by[56..60].copy_from_slice(&[0, 30, 4, 17]);
        for (creator, size) in
            [(b"win ", 1 << 20), (b"vbox", 1 << 20), (b"qemu", 30 * 4 * 17 * 512)]
        {
            by[28..32].copy_from_slice(creator);
            renew(&mut by);
            assert_eq!(Footer::read(&by).unwrap().size(), size, "{creator:?}");
        }
        by[56..60].copy_from_slice(&[255, 255, 16, 255]);
        renew(&mut by);
        assert_eq!(Footer::read(&by).unwrap().size(), 1 << 20);
    }
}
