use super::header::{Compression, Header};
use crate::facts::{Code, Notebook};
use crate::formats::disk::{Method, Packed};
use crate::formats::{Halt, ImageView, Layout, Missing, Place, Run};

/// Bits 9 to 55 of L1 and L2 entries: an image offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Bits of an L1 entry that have to be zero: 0 to 8 and 56 to 62.
const L1_RESERVED: u64 = 0x7f00_0000_0000_01ff;
/// Bits of a standard L2 entry that have to be zero: 1 to 8 and 56 to 61.
const L2_RESERVED: u64 = 0x3f00_0000_0000_01fe;
const L2_ZERO: u64 = 1;
const L2_COMPRESSED: u64 = 1 << 62;

/// An extended L2 entry maps its cluster in 32 parts.
const SUBCLUSTERS: u64 = 32;

/// The way from a byte of the disk to its cluster: one L1 entry, one L2 entry.
pub(super) struct Tables {
    pub(super) header: Header,
}

impl Layout for Tables {
    fn virtual_size(&self) -> u64 {
        self.header.size
    }

    fn locate(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        guest: u64,
    ) -> Result<Run, Halt> {
        let header = &self.header;
        let in_cluster = guest % header.cluster_size();
        let rest_of_cluster = header.cluster_size() - in_cluster;
        let found = |len, place| Ok(Run { len, place });

        // Within the L1 table, which `tables` checked; its place may be past all that a number can say.
        let l1_at = header.l1_offset.saturating_add(guest / header.l2_covers() * 8);
        let Some(l1) = entry(view, notebook, l1_at, "an L1 table entry")? else {
            return found(rest_of_cluster, Place::Missing(Missing::Broken));
        };
        let l2_table = l1 & OFFSET;
        if l1 & L1_RESERVED != 0 || !l2_table.is_multiple_of(header.cluster_size()) {
            notebook.image(
                Code::Qcow2TableEntryInvalid,
                l1_at,
                format!(
                    "The L1 entry {l1:#018x} has reserved bits set or points between clusters."
                ),
            );
            return found(rest_of_cluster, Place::Missing(Missing::Broken));
        }
        if l2_table == 0 {
            return found(header.l2_covers() - guest % header.l2_covers(), Place::Zeros);
        }

        let index = guest % header.l2_covers() / header.cluster_size();
        let l2_at = l2_table + index * header.l2_entry_size();
        let Some(l2) = entry(view, notebook, l2_at, "an L2 table entry")? else {
            return found(rest_of_cluster, Place::Missing(Missing::Broken));
        };
        if l2 & L2_COMPRESSED != 0 {
            return found(rest_of_cluster, Place::Packed(packed(header, l2, in_cluster)));
        }
        let cluster = l2 & OFFSET;
        // The zero flag came with version 3 and is a reserved bit in extended entries.
        let reserved = match (header.version, header.extended_l2) {
            (2, _) | (_, true) => L2_RESERVED | L2_ZERO,
            _ => L2_RESERVED,
        };
        if l2 & reserved != 0 || !cluster.is_multiple_of(header.cluster_size()) {
            notebook.image(
                Code::Qcow2TableEntryInvalid,
                l2_at,
                format!(
                    "The L2 entry {l2:#018x} has reserved bits set or points between clusters."
                ),
            );
            return found(rest_of_cluster, Place::Missing(Missing::Broken));
        }
        if header.extended_l2 {
            let Some(bitmap) = entry(view, notebook, l2_at + 8, "an L2 table entry")? else {
                return found(rest_of_cluster, Place::Missing(Missing::Broken));
            };
            return Ok(subcluster(header, cluster, bitmap, in_cluster));
        }
        if l2 & L2_ZERO != 0 || cluster == 0 {
            return found(rest_of_cluster, Place::Zeros);
        }
        found(rest_of_cluster, Place::Stored(cluster + in_cluster))
    }
}

/// An eight-byte table entry.
fn entry(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    at: u64,
    what: &str,
) -> Result<Option<u64>, Halt> {
    let mut bytes = [0; 8];
    Ok(view.need(at, &mut bytes, notebook, what)?.then(|| u64::from_be_bytes(bytes)))
}

/// A compressed cluster: a byte offset in the low bits, then the number of further 512-byte sectors.
fn packed(header: &Header, l2: u64, skip: u64) -> Packed {
    let offset_bits = 62 - (header.cluster_bits - 8);
    let at = l2 & ((1 << offset_bits) - 1);
    let sectors = (l2 & (L2_COMPRESSED - 1)) >> offset_bits;
    let len = (sectors + 1) * 512 - at % 512;
    let method = match header.compression {
        Compression::Zlib => Method::Deflate,
        Compression::Zstd => Method::Zstd,
    };
    Packed { at, len, skip, method, damaged: Code::Qcow2ClusterDamaged }
}

/// In extended entries the low half of the bitmap says which parts are stored, the high half which
/// read as zeros.
fn subcluster(header: &Header, cluster: u64, bitmap: u64, in_cluster: u64) -> Run {
    let size = header.cluster_size() / SUBCLUSTERS;
    let index = in_cluster / size;
    let len = size - in_cluster % size;
    let stored = bitmap >> index & 1 != 0 && cluster != 0;
    let place = if stored { Place::Stored(cluster + in_cluster) } else { Place::Zeros };
    Run { len, place }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Code, DiskFormat};
    use crate::formats::testing::codes;

    #[test]
    fn an_l1_table_at_the_end_of_all_numbers_is_beyond_the_image() {
        let mut image = vec![0; 4096];
        image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
        // Clusters of 512 bytes, 4 MiB of disk, 128 L1 entries of which only 64 have a place.
        image[23] = 9;
        image[24..32].copy_from_slice(&(4u64 << 20).to_be_bytes());
        image[39] = 128;
        image[40..48].copy_from_slice(&(u64::MAX - 511).to_be_bytes());
        image[48..56].copy_from_slice(&512u64.to_be_bytes());
        image[59] = 1;
        assert_eq!(codes(DiskFormat::Qcow2, image), [Code::ImageTruncated]);
    }
}
