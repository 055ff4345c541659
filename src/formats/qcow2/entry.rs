//! An L2 entry: where a cluster of the disk is.

use std::fmt;

use super::header::Header;

/// Bits 9 to 55 of L1 and L2 entries: an image offset.
pub(super) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Bits of an L1 entry that have to be zero: 0 to 8 and 56 to 62.
pub(super) const L1_RESERVED: u64 = 0x7f00_0000_0000_01ff;
/// Bits of a standard L2 entry that have to be zero: 1 to 8 and 56 to 61.
const RESERVED: u64 = 0x3f00_0000_0000_01fe;
/// Set where the cluster reads as zeros, whether it has a place or not.
pub(super) const ZERO: u64 = 1;
const COMPRESSED: u64 = 1 << 62;
/// Set when the refcount of what an entry names is exactly one.
pub(super) const COPIED: u64 = 1 << 63;

/// An entry, standard or extended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The first eight bytes.
    pub(super) first: u64,
    /// In extended entries, which parts are stored (low half) and which read as zeros (high half).
    pub(super) bitmap: Option<u64>,
}

impl Entry {
    /// From its 8 or 16 bytes.
    pub(super) fn parse(bytes: &[u8]) -> Entry {
        let (words, _) = bytes.as_chunks::<8>();
        let word = |index: usize| words.get(index).map(|word| u64::from_be_bytes(*word));
        Entry { first: word(0).unwrap_or_default(), bitmap: word(1) }
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.first & COMPRESSED != 0
    }

    pub(super) fn is_copied(&self) -> bool {
        self.first & COPIED != 0
    }

    /// Image offset of the cluster, 0 for none.
    pub(super) fn cluster(&self) -> u64 {
        self.first & OFFSET
    }

    /// Whether it says nothing of its cluster of the disk.
    pub(super) fn is_empty(&self) -> bool {
        self.first == 0 && self.bitmap.unwrap_or_default() == 0
    }

    /// Whether the disk's bytes, or some of them, are read from the cluster.
    pub(super) fn is_stored(&self) -> bool {
        self.cluster() != 0 && (self.bitmap.is_some() || self.first & ZERO == 0)
    }

    /// Finds what is impossible about it.
    pub(super) fn check(&self, header: &Header) -> Result<(), Impossible> {
        let Entry { first, bitmap } = *self;
        if self.is_compressed() {
            return match bitmap {
                None | Some(0) => Ok(()),
                Some(_) => Err(Impossible::Bitmap(*self)),
            };
        }
        // The zero flag came with version 3 and is a reserved bit in extended entries.
        let reserved = match (header.version, bitmap) {
            (2, _) | (_, Some(_)) => RESERVED | ZERO,
            _ => RESERVED,
        };
        if first & reserved != 0 || !self.cluster().is_multiple_of(header.cluster_size()) {
            return Err(Impossible::Bits(*self));
        }
        let (stored, zero) = bitmap.map_or((0, 0), |bitmap| (bitmap as u32, (bitmap >> 32) as u32));
        if stored & zero != 0 || stored != 0 && self.cluster() == 0 {
            return Err(Impossible::Subclusters(*self));
        }
        Ok(())
    }
}

/// What is impossible about an entry. It becomes text where somebody reads it: a table may have millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Impossible {
    /// A compressed cluster has subclusters.
    Bitmap(Entry),
    /// Reserved bits are set, or the place is none of a cluster.
    Bits(Entry),
    /// Subclusters are stored and read as zeros, or are stored nowhere.
    Subclusters(Entry),
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Impossible::Bitmap(entry) | Impossible::Bits(entry) | Impossible::Subclusters(entry)) =
            self;
        let (first, bitmap) = (entry.first, entry.bitmap.unwrap_or_default());
        match self {
            Impossible::Bitmap(_) => write!(
                f,
                "The L2 entry {first:#018x} of a compressed cluster has the subcluster bitmap {bitmap:#018x}."
            ),
            Impossible::Bits(_) => write!(
                f,
                "The L2 entry {first:#018x} has reserved bits set or points between clusters."
            ),
            Impossible::Subclusters(_) => write!(
                f,
                "The subcluster bitmap {bitmap:#018x} of the L2 entry {first:#018x} contradicts itself."
            ),
        }
    }
}
