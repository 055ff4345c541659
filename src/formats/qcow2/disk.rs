use std::collections::BTreeMap;

use super::entry::{Entry, L1_RESERVED, OFFSET, ZERO};
use super::header::{Compression, Header};
use super::walk;
use crate::facts::{Code, Left, Notebook};
use crate::formats::disk::{Method, Packed};
use crate::formats::{Halt, ImageView, Layout, Missing, Place, Reach, Run, Walked, Wanted};

/// An extended L2 entry maps its cluster in 32 parts.
const SUBCLUSTERS: u64 = 32;

/// The way from a byte of the disk to its cluster: one L1 entry, one L2 entry.
pub(super) struct Tables {
    pub(super) header: Header,
    /// Entries that the walk has seen, by cluster of the disk.
    pub(super) known: BTreeMap<u64, Entry>,
    /// Whether the walk has seen a compressed cluster of the active disk; `None` if it has not, but has
    /// not seen all.
    pub(super) has_packed: Option<bool>,
    /// What became of the compressed clusters of a stream.
    pub(super) unpacked: Option<Result<(), Left>>,
    /// Threads that decompress those.
    pub(super) threads: usize,
}

impl Tables {
    /// Of an image of which no table was read yet.
    pub(super) fn new(header: Header) -> Self {
        Tables { header, known: BTreeMap::new(), has_packed: None, unpacked: None, threads: 1 }
    }
}

impl Layout for Tables {
    fn virtual_size(&self) -> u64 {
        self.header.size
    }

    fn unit(&self) -> u64 {
        self.header.cluster_size()
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
        let broken = Run { len: rest_of_cluster, place: Place::Missing(Missing::Broken) };
        if let Some(entry) = self.known.get(&(guest / header.cluster_size())) {
            return Ok(entry.check(header).map_or(broken, |()| run(header, entry, in_cluster)));
        }

        // Within the L1 table, which `tables` checked; its place may be past all that a number can say.
        let l1_at = header.l1_offset.saturating_add(guest / header.l2_covers() * 8);
        let mut l1 = [0; 8];
        if !view.need(l1_at, &mut l1, notebook, "an L1 table entry")? {
            return Ok(broken);
        }
        let l1 = u64::from_be_bytes(l1);
        let l2_table = l1 & OFFSET;
        if l1 & L1_RESERVED != 0 || !l2_table.is_multiple_of(header.cluster_size()) {
            notebook.image(
                Code::Qcow2TableEntryInvalid,
                l1_at,
                format!(
                    "The L1 entry {l1:#018x} has reserved bits set or points between clusters."
                ),
            );
            return Ok(broken);
        }
        if l2_table == 0 {
            let len = header.l2_covers() - guest % header.l2_covers();
            return Ok(Run { len, place: Place::Unallocated });
        }

        let index = guest % header.l2_covers() / header.cluster_size();
        let l2_at = l2_table + index * header.l2_entry_size();
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..header.l2_entry_size() as usize];
        if !view.need(l2_at, bytes, notebook, "an L2 table entry")? {
            return Ok(broken);
        }
        let entry = Entry::parse(bytes);
        if let Err(said) = entry.check(header) {
            notebook.image(Code::Qcow2TableEntryInvalid, l2_at, said.to_string());
            return Ok(broken);
        }
        Ok(run(header, &entry, in_cluster))
    }

    fn has_packed(&self) -> Option<bool> {
        self.has_packed
    }

    fn unpacked(&self) -> Option<Result<(), Left>> {
        self.unpacked
    }

    fn unpack_on(&mut self, threads: usize) {
        self.threads = threads;
    }

    fn walk(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        wanted: &Wanted,
        reach: &mut Reach,
    ) -> Result<Walked, Halt> {
        walk::walk(self, view, notebook, wanted, reach)
    }
}

/// Where the rest of a cluster is, by its entry, which was checked.
fn run(header: &Header, entry: &Entry, in_cluster: u64) -> Run {
    let len = header.cluster_size() - in_cluster;
    if entry.is_compressed() {
        return Run { len, place: Place::Packed(packed(header, entry.first, in_cluster)) };
    }
    let stored = Place::Stored(entry.cluster() + in_cluster);
    match entry.bitmap {
        Some(bitmap) => {
            let size = header.cluster_size() / SUBCLUSTERS;
            let part = in_cluster / size;
            let place = match (bitmap >> part & 1, bitmap >> (SUBCLUSTERS + part) & 1) {
                (1, _) => stored,
                (_, 1) => Place::Zeros,
                _ => Place::Unallocated,
            };
            Run { len: size - in_cluster % size, place }
        }
        None if entry.is_stored() => Run { len, place: stored },
        None if entry.first & ZERO != 0 => Run { len, place: Place::Zeros },
        None => Run { len, place: Place::Unallocated },
    }
}

/// A compressed cluster: a byte offset in the low bits, then the number of further 512-byte sectors.
pub(super) fn packed(header: &Header, l2: u64, skip: u64) -> Packed {
    /// Bits 62 and 63 are flags.
    const DESCRIPTOR: u64 = (1 << 62) - 1;
    let offset_bits = 62 - (header.cluster_bits - 8);
    let at = l2 & ((1 << offset_bits) - 1);
    let sectors = (l2 & DESCRIPTOR) >> offset_bits;
    let len = (sectors + 1) * 512 - at % 512;
    Packed {
        at,
        len,
        skip,
        whole: header.cluster_size(),
        method: match header.compression {
            Compression::Zlib => Method::Deflate,
            Compression::Zstd => Method::Zstd,
        },
        damaged: Code::Qcow2ClusterDamaged,
        unended: Some(Code::Qcow2ClusterUnended),
    }
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
        assert_eq!(codes(DiskFormat::Qcow2, image), [Code::ImageOffsetImpossible]);
    }
}
