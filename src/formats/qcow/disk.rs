use super::header::Header;
use crate::facts::{Code, Notebook};
use crate::formats::disk::{Method, Packed};
use crate::formats::{Halt, ImageView, Layout, Missing, Place, Reach, Run, Walked, Wanted};

/// Bytes of an entry of either table.
pub(super) const ENTRY: u64 = 8;

/// The bit of an L2 entry whose cluster is packed.
const PACKED: u64 = 1 << 63;

/// The way from a byte of the disk to its cluster: an entry of the L1 table, and one of an L2 table.
pub(super) struct Clusters {
    pub(super) header: Header,
}

impl Clusters {
    /// The place that an L2 entry names, from this byte of its cluster on; what is wrong with it otherwise.
    pub(super) fn place(&self, entry: u64, in_cluster: u64) -> Result<Place, &'static str> {
        let cluster = self.header.cluster();
        if entry == 0 {
            return Ok(Place::Unallocated);
        }
        if entry & PACKED == 0 {
            let aligned = entry.is_multiple_of(512);
            let at = entry.checked_add(in_cluster).filter(|_| aligned);
            return at.map(Place::Stored).ok_or("leads to no sector");
        }
        let shift = 63 - self.header.cluster_bits;
        let len = (entry >> shift) & (cluster - 1);
        if len == 0 {
            return Err("leads to packed data of no bytes");
        }
        Ok(Place::Packed(Packed {
            at: entry & ((1 << shift) - 1),
            len,
            skip: in_cluster,
            whole: cluster,
            method: Method::Deflate,
            damaged: Code::Qcow1TableInvalid,
            unended: None,
        }))
    }
}

/// Reads the entry of a table; `None` if the image does not have it.
pub(super) fn entry(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    at: Option<u64>,
    what: &str,
) -> Result<Option<u64>, Halt> {
    let mut bytes = [0; ENTRY as usize];
    let there = view.need(at.unwrap_or(u64::MAX), &mut bytes, notebook, what)?;
    Ok(there.then_some(u64::from_be_bytes(bytes)))
}

impl Layout for Clusters {
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
        let (span, cluster) = (header.l2_span(), header.cluster());
        let in_cluster = guest % cluster;
        let len = cluster - in_cluster;
        let broken = Run { len, place: Place::Missing(Missing::Broken) };
        let l1_at = header.l1_at.checked_add(guest / span * ENTRY);
        let Some(l2) = entry(view, notebook, l1_at, "an L1 entry")? else { return Ok(broken) };
        if l2 == 0 {
            return Ok(Run { len: span - guest % span, place: Place::Unallocated });
        }
        let l2_at = l2.checked_add(guest % span / cluster * ENTRY);
        let Some(found) = entry(view, notebook, l2_at, "an L2 entry")? else { return Ok(broken) };
        match self.place(found, in_cluster) {
            Ok(place) => Ok(Run { len, place }),
            Err(said) => {
                let at = l2_at.unwrap_or_default();
                let said = format!("The L2 entry for the disk's byte {guest} {said}.");
                notebook.image(Code::Qcow1TableInvalid, at, said);
                Ok(broken)
            }
        }
    }

    fn has_packed(&self) -> Option<bool> {
        None
    }

    fn walk(
        &mut self,
        _: &mut dyn ImageView,
        _: &Notebook<'_>,
        _: &Wanted,
        _: &mut Reach,
    ) -> Result<Walked, Halt> {
        // The examination has walked over all of them.
        Ok(Walked::Whole)
    }
}
