use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

const MAGIC: [u8; 8] = *b"QFI\xfb\0\0\0\x01";
const SECTOR: u64 = 512;

/// Bits of a cluster's size, and of the number of entries in an L2 table, which has 512 bytes to 64 KiB.
const CLUSTER_BITS: std::ops::RangeInclusive<u8> = 9..=16;
const L2_BITS: std::ops::RangeInclusive<u8> = 6..=13;

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Fields {
    magic: [u8; 8],
    backing_offset: U64,
    backing_size: U32,
    modified: U32,
    size: U64,
    cluster_bits: u8,
    l2_bits: u8,
    padding: U16,
    encryption: U32,
    l1_at: U64,
}

/// A header that says where everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the disk: whole sectors.
    pub(super) size: u64,
    pub(super) cluster_bits: u32,
    /// Bits of the number of entries in an L2 table.
    pub(super) l2_bits: u32,
    /// Image offset of the L1 table.
    pub(super) l1_at: u64,
}

impl Header {
    pub(super) const LENGTH: usize = size_of::<Fields>();

    /// Reads the header; where it is wrong, and how, otherwise.
    pub(super) fn read(bytes: &[u8; Header::LENGTH]) -> Result<Header, (u64, &'static str)> {
        let Ok(fields) = Fields::read_from_bytes(bytes) else {
            return Err((0, "is too short"));
        };
        if fields.magic != MAGIC {
            return Err((0, "is not that of version 1"));
        }
        if fields.backing_offset.get() != 0 {
            return Err((8, "names another image, of which this one holds only the differences"));
        }
        if fields.encryption.get() != 0 {
            return Err((36, "says that the disk is encrypted"));
        }
        if !CLUSTER_BITS.contains(&fields.cluster_bits) {
            return Err((32, "has a cluster size that is not between 512 bytes and 64 KiB"));
        }
        if !L2_BITS.contains(&fields.l2_bits) {
            return Err((33, "has L2 tables that are not between 512 bytes and 64 KiB"));
        }
        let size = fields.size.get() / SECTOR * SECTOR;
        if size == 0 {
            return Err((24, "says that the disk has no sectors"));
        }
        Ok(Header {
            size,
            cluster_bits: fields.cluster_bits.into(),
            l2_bits: fields.l2_bits.into(),
            l1_at: fields.l1_at.get(),
        })
    }

    pub(super) fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Bytes of the disk for which an L2 table holds.
    pub(super) fn l2_span(&self) -> u64 {
        1 << (self.cluster_bits + self.l2_bits)
    }
}
