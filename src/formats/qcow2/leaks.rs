//! Clusters that are counted and used by nothing: a few after an interrupted writer, or what a lost table
//! named.

use std::ops::Range;

use super::header::Header;
use crate::bytes::human_size;
use crate::facts::{Code, Notebook};
use crate::formats::zeros::first_used;
use crate::formats::{Halt, ImageView, Missing};

/// From so many on they are much, whatever share of the image they are. A writer that is interrupted has
/// a few clusters under way.
const MANY: u64 = 16;

/// A smaller number is much if it is this part of all that is used.
const PART: u64 = 16;
const FEW: u64 = 4;

/// So many bytes are much too, if data is in them and the disk has a place where they are missing: what [`MANY`]
/// clusters of the usual size have.
const MUCH: u64 = MANY * (64 << 10);

/// Parts of the disk that are told.
const RANGES: usize = 3;

/// What is leaked, and what of the disk is mapped by nothing.
pub(super) struct Leaks {
    /// Tables of disks that may share a cluster: the active one and those of snapshots.
    disks: u32,
    /// The first of them, as many as are told.
    first: Vec<Leak>,
    /// Clusters that nothing uses, and that something uses.
    unused: u64,
    used: u64,
    /// Clusters of the disk that are lost at most, and those that are not: a cluster of the image may hold many
    /// compressed ones.
    lost: u64,
    held: u64,
    /// Those of the lost ones that are compressed, and a cluster that holds one.
    packed: u64,
    packed_in: Option<u64>,
    /// The first parts of the disk for which there is no L2 table or no entry in it.
    unmapped: Vec<Range<u64>>,
    more: bool,
    /// Whether an entry says zeros of a part of the disk and names no cluster for it.
    zeros: bool,
}

/// A cluster with a refcount that is too high.
struct Leak {
    cluster: u64,
    references: u32,
    stored: u32,
    /// Clusters of the disk that were in it at most.
    lost: u64,
}

impl Leaks {
    /// None so far, of an image with so many snapshots.
    pub(super) fn new(snapshots: u32) -> Self {
        Leaks {
            disks: snapshots.saturating_add(1),
            first: Vec::new(),
            unused: 0,
            used: 0,
            lost: 0,
            held: 0,
            packed: 0,
            packed_in: None,
            unmapped: Vec::new(),
            more: false,
            zeros: false,
        }
    }

    /// A cluster that is used, so often if what it holds is compressed.
    pub(super) fn used(&mut self, times: u32) {
        self.used += 1;
        self.held = self.held.saturating_add(times.into());
    }

    /// A cluster with a refcount that is higher than its references. Nothing uses it, or what it holds is compressed.
    pub(super) fn leaked(&mut self, cluster: u64, references: u32, stored: u32) {
        self.unused += u64::from(references == 0);
        // Each compressed cluster has a reference, from each disk that has it.
        let lost = u64::from(stored.saturating_sub(references).div_ceil(self.disks));
        self.lost = self.lost.saturating_add(lost);
        if references > 0 || lost > 1 {
            self.packed = self.packed.saturating_add(lost);
            self.packed_in = self.packed_in.or(Some(cluster));
        }
        if (self.first.len() as u64) < MANY {
            self.first.push(Leak { cluster, references, stored, lost });
        }
    }

    /// A part of the disk that an entry says to be zeros, without a cluster.
    pub(super) fn zeros(&mut self) {
        self.zeros = true;
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

    /// Whether so much is lost that no writer leaves it behind that was only interrupted.
    fn are_many(&self) -> bool {
        let share = self.lost.saturating_mul(PART) >= self.held;
        self.lost >= MANY || self.lost >= FEW && share
    }

    /// Whether the clusters, few as they are, hold much data that the disk may have to have; or what cannot be read, and why.
    fn hold_much(
        &self,
        header: &Header,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
    ) -> Result<Result<bool, (u64, Missing)>, Halt> {
        let size = header.cluster_size();
        let is_much = |lost: u64| lost.saturating_mul(size) >= MUCH;
        let has_room = !self.unmapped.is_empty() || self.zeros;
        // Of an image that is refused nothing more is read.
        if !is_much(self.lost) || !has_room || notebook.doomed() {
            return Ok(Ok(false));
        }
        let mut lost = 0;
        for leak in &self.first {
            let at = leak.cluster << header.cluster_bits;
            let holds_data = leak.references > 0
                || match first_used(view, at, at.saturating_add(size))? {
                    Ok(used) => used.is_some(),
                    Err(missing) => return Ok(Err(missing)),
                };
            lost += if holds_data { leak.lost } else { 0 };
            if is_much(lost) {
                return Ok(Ok(true));
            }
        }
        Ok(Ok(false))
    }

    /// Writes down what is leaked, after a look at what it holds if that decides. Returns what cannot be read, and why.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub(super) fn judge(
        &self,
        header: &Header,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
    ) -> Result<Option<(u64, Missing)>, Halt> {
        let at = |cluster: u64| cluster << header.cluster_bits;
        let mut left = None;
        let lost = self.are_many()
            || self.hold_much(header, view, notebook)?.unwrap_or_else(|missing| {
                left = Some(missing);
                false
            });
        if lost {
            let first = self.first.first().map_or(0, |leak| at(leak.cluster));
            notebook.image(Code::Qcow2ClustersLost, first, self.told(header));
            return Ok(None);
        }
        // Fewer than `MANY`, so these are all.
        for &Leak { cluster, references, stored, .. } in &self.first {
            let at = at(cluster);
            let said = match references {
                0 => format!(
                    "The cluster at byte {at} is used by nothing, its refcount is {stored}."
                ),
                _ => format!(
                    "The cluster at byte {at} holds {references} compressed clusters, its refcount is {stored}."
                ),
            };
            notebook.image(Code::Qcow2ClustersLeaked, at, said);
        }
        Ok(left)
    }

    /// Says what is lost.
    fn told(&self, header: &Header) -> String {
        let size = header.cluster_size();
        let at = |cluster: u64| cluster << header.cluster_bits;
        let mut said = Vec::new();
        if self.unused > 0 {
            let first = self.first.iter().find(|leak| leak.references == 0);
            let first = first.map_or(String::new(), |leak| {
                format!("; the first is at byte {}", at(leak.cluster))
            });
            said.push(format!(
                "{} clusters ({}) of the {} that the image counts are used by nothing{first}.",
                self.unused,
                human_size(self.unused.saturating_mul(size)),
                self.used.saturating_add(self.unused),
            ));
        }
        if let Some(cluster) = self.packed_in {
            // A cluster that cannot be in the disk is not lost.
            let bytes = self.packed.saturating_mul(size).min(header.size);
            said.push(format!(
                "Refcounts count {} more compressed clusters than entries name, the first of them in the cluster at byte {}: up to {} of the disk are lost.",
                self.packed,
                at(cluster),
                human_size(bytes)
            ));
        }
        let parts = self.parts();
        let parts = parts.iter().map(|part| {
            let (start, end) = (part.start, part.end.min(header.size));
            format!("{start} to {end}")
        });
        let parts = parts.collect::<Vec<_>>().join(", ");
        if !parts.is_empty() {
            let more = if self.more { " and others" } else { "" };
            said.push(format!(
                "Nothing maps the bytes {parts}{more} of the disk, which read as zeros."
            ));
        } else if self.zeros {
            said.push(
                "L2 entries say zeros of a part of the disk, and name no cluster for it.".into(),
            );
        }
        said.join(" ")
    }
}
