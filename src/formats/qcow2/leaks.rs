//! Clusters that are counted and used by nothing: a few after an interrupted writer, or what a lost table
//! named.

use std::ops::Range;

use super::header::Header;
use crate::bytes::human_size;
use crate::facts::{Code, Notebook};

/// Leaked clusters that are told one by one.
const TOLD: usize = 8;

/// From so many on they are much, whatever share of the image they are. A writer that is interrupted has
/// a few clusters under way.
const MANY: u64 = 16;

/// A smaller number is much if it is this part of all that is used.
const PART: u64 = 16;
const FEW: u64 = 4;

/// Parts of the disk that are told.
const RANGES: usize = 3;

/// What is leaked, and what of the disk is mapped by nothing.
#[derive(Default)]
pub(super) struct Leaks {
    /// The first clusters, each with what its refcount says.
    first: Vec<(u64, u32)>,
    clusters: u64,
    used: u64,
    /// The first parts of the disk for which there is no L2 table, or an empty one.
    unmapped: Vec<Range<u64>>,
    more: bool,
}

impl Leaks {
    /// A cluster that is used.
    pub(super) fn used(&mut self) {
        self.used += 1;
    }

    /// A cluster that nothing uses, with its refcount.
    pub(super) fn leaked(&mut self, cluster: u64, refcount: u32) {
        self.clusters += 1;
        if self.first.len() < TOLD {
            self.first.push((cluster, refcount));
        }
    }

    /// A part of the disk that nothing maps.
    pub(super) fn unmapped(&mut self, part: Range<u64>) {
        if let Some(last) = self.unmapped.last_mut().filter(|last| last.end == part.start) {
            last.end = part.end;
        } else if self.unmapped.len() < RANGES {
            self.unmapped.push(part);
        } else {
            self.more = true;
        }
    }

    /// The parts of the disk in order, neighbours as one: L1 and L2 tables are read one after the other.
    fn parts(&self) -> Vec<Range<u64>> {
        let mut parts = self.unmapped.clone();
        parts.sort_unstable_by_key(|part| part.start);
        parts.dedup_by(|next, part| {
            let follows = next.start == part.end;
            if follows {
                part.end = next.end;
            }
            follows
        });
        parts
    }

    /// Writes down what is leaked.
    pub(super) fn judge(&self, header: &Header, notebook: &Notebook<'_>) {
        let many = self.clusters >= MANY
            || self.clusters >= FEW && self.clusters.saturating_mul(PART) >= self.used;
        let at = |cluster: u64| cluster << header.cluster_bits;
        if many {
            let bytes = self.clusters.saturating_mul(header.cluster_size());
            let all = self.used.saturating_add(self.clusters);
            let first = self.first.first().map_or(0, |(cluster, _)| at(*cluster));
            let mut said = format!(
                "{} clusters ({}) of the {all} that the image counts are used by nothing; the first is at byte {first}.",
                self.clusters,
                human_size(bytes)
            );
            let parts = self.parts();
            let parts = parts.iter().map(|part| {
                let (start, end) = (part.start, part.end.min(header.size));
                format!("{start} to {end}")
            });
            let parts = parts.collect::<Vec<_>>().join(", ");
            if !parts.is_empty() {
                let more = if self.more { " and others" } else { "" };
                said.push_str(&format!(
                    " Nothing maps the bytes {parts}{more} of the disk, which read as zeros."
                ));
            }
            return notebook.image(Code::Qcow2ClustersLost, first, said);
        }
        for &(cluster, refcount) in &self.first {
            let at = at(cluster);
            notebook.image(
                Code::Qcow2ClustersLeaked,
                at,
                format!("The cluster at byte {at} is used by nothing, its refcount is {refcount}."),
            );
        }
        // Fewer than `MANY`.
        for _ in self.first.len() as u64..self.clusters {
            notebook.image(Code::Qcow2ClustersLeaked, 0, "Another cluster is used by nothing.");
        }
    }
}
