//! What the walk counts: uses of clusters, and what the refcounts say of them.

use super::entry::OFFSET;
use super::refcounts::refcounts;
use super::tally::BAND;
use super::walk::{MOST_BLOCKS, Tag, Walk, entries};
use crate::facts::{Code, Left};
use crate::formats::scan::Piece;

/// Bytes of refcount blocks that are read. 100 GB in clusters of 2 KiB have 98 MB of 16-bit refcounts.
const MOST_BLOCK_BYTES: u64 = 512 << 20;

/// How a cluster is used.
#[derive(Clone, Copy)]
pub(super) enum Use {
    /// By a table of the image that no snapshot shares.
    Metadata,
    /// By an entry that maps the disk; its COPIED flag counts if the disk is the active one.
    Data { copied: Option<bool> },
    /// By a compressed cluster, which takes a part of it.
    Compressed,
}

impl Walk<'_> {
    /// Notes that the bytes from image offset `at` on are used, by the entry at `named_at`.
    pub(super) fn refer(&mut self, what: &str, at: u64, len: u64, named_at: u64) {
        if self.band == 0 {
            self.reach.include(what, at, len);
        }
        self.count(what, at, len, 1, named_at, Use::Metadata);
    }

    /// Counts a use of all clusters that the bytes touch.
    pub(super) fn count(
        &mut self,
        what: &str,
        at: u64,
        len: u64,
        times: u32,
        named_at: u64,
        how: Use,
    ) {
        // What lies past the limit lies past the end of the image; that is said of `reach`.
        let end = at.saturating_add(len).min(self.notebook.limit());
        if len == 0 || at >= end {
            return;
        }
        let bits = self.header.cluster_bits;
        let last = (end - 1) >> bits;
        self.last_cluster = self.last_cluster.max(last);
        for cluster in (at >> bits).max(self.clusters.start)..(last + 1).min(self.clusters.end) {
            let before = self.tally.get(cluster);
            // Compressed clusters share the clusters of the image, and snapshots share everything.
            let shared = match how {
                Use::Compressed => {
                    self.header.snapshots == 0 && before.references > 0 && before.is_data()
                }
                Use::Data { .. } => self.header.snapshots == 0 && before.references > 0,
                Use::Metadata => before.references > 0,
            };
            if shared {
                self.notebook.image(Code::Qcow2ClustersOverlap, named_at, format!(
                    "The cluster at byte {} is used for {what}, and for something else as well.",
                    cluster << bits));
            }
            self.tally.update(cluster, |count| {
                count.references = count.references.saturating_add(times);
                if let Use::Data { copied } = how {
                    count.copied |= copied == Some(true);
                    count.not_copied |= copied == Some(false);
                }
            });
        }
    }

    pub(super) fn refcounts(&mut self, piece: &Piece<Tag>, before: u64) {
        /// Bits 0 to 8 of an entry have to be zero, the others are an image offset.
        const RESERVED: u64 = 0x1ff;
        let size = self.header.cluster_size();
        // `tables` checked that a refcount has at most 64 bits.
        let covers = (size * 8) >> self.header.refcount_order.min(6);
        for (index, value) in entries(&piece.bytes) {
            let at = piece.at + index * 8;
            if value == 0 {
                continue;
            }
            if value & RESERVED != 0 || !value.is_multiple_of(size) {
                if self.band == 0 {
                    self.notebook.image(Code::Qcow2RefcountTableInvalid, at, format!(
                        "The refcount table entry {value:#018x} has reserved bits set or points between clusters."));
                }
                // The refcounts that it should lead to would be wrong one by one.
                self.leave(Left::RefcountsUnusable);
                continue;
            }
            self.refer("a refcount block", value, size, at);
            let cluster = value >> self.header.cluster_bits;
            if self.clusters.contains(&cluster) && self.block_clusters.len() < MOST_BLOCKS {
                self.block_clusters.push(cluster);
            }
            let first = (before / 8 + index).saturating_mul(covers);
            let end = first.saturating_add(covers);
            let last = self.notebook.limit() >> self.header.cluster_bits;
            if first > last {
                // No cluster that it counts can be in an image below the limit.
                continue;
            }
            self.last_cluster = self.last_cluster.max(last.min(end - 1));
            if end <= self.clusters.start || first >= self.clusters.end {
                continue;
            }
            self.blocks += 1;
            // Entries of a hostile table may all name the same block.
            if self.blocks > MOST_BLOCKS || self.blocks as u64 * size > MOST_BLOCK_BYTES {
                self.leave(Left::TooManyRefcounts);
                return;
            }
            let entry_bits = 1 << self.header.refcount_order.min(6);
            self.scan.want_table(value, size, |before| Tag::Block {
                first: first.saturating_add(before * 8 / entry_bits),
            });
        }
    }

    pub(super) fn block(&mut self, bytes: &[u8], first: u64) {
        let last = self.notebook.limit() >> self.header.cluster_bits;
        for (index, stored) in refcounts(bytes, self.header.refcount_order) {
            let cluster = first.saturating_add(index);
            if cluster > last || cluster >= self.clusters.end {
                return;
            }
            if cluster >= self.clusters.start {
                let stored = u32::try_from(stored).unwrap_or(u32::MAX);
                self.tally.update(cluster, |count| count.stored = stored);
            }
        }
    }

    pub(super) fn bitmap(&mut self, piece: &Piece<Tag>) {
        for (index, value) in entries(&piece.bytes) {
            let at = piece.at + index * 8;
            let cluster = value & OFFSET;
            // Bit 0 stands for a bitmap of ones where no cluster is.
            let reserved = if cluster == 0 { !OFFSET & !1 } else { !OFFSET };
            if !cluster.is_multiple_of(self.header.cluster_size()) || value & reserved != 0 {
                if self.band > 0 {
                    continue;
                }
                self.notebook.image(Code::Qcow2BitmapsInvalid, at, format!(
                    "The bitmap table entry {value:#018x} has reserved bits set or points between clusters."));
            } else if cluster != 0 {
                self.refer("a bitmap", cluster, self.header.cluster_size(), at);
            }
        }
    }

    /// Holds references against refcounts.
    pub(super) fn compare(&mut self) {
        if self.tally.is_full() && self.partial.is_none() {
            self.leave_too_many(Left::TooManyClusters, self.last_cluster >= BAND);
        }
        if self.partial.is_some() {
            // Tables that were not read make every count too low.
            return;
        }
        let dirty = self.notebook.has(Code::Qcow2Dirty);
        // Without snapshots it was said of the second user.
        for &cluster in self.block_clusters.iter().filter(|_| self.header.snapshots > 0) {
            let references = self.tally.get(cluster).references;
            if references > 1 {
                let at = cluster << self.header.cluster_bits;
                self.notebook.image(Code::Qcow2ClustersOverlap, at, format!(
                    "The cluster at byte {at} is a refcount block, and is used {references} times."));
            }
        }
        for (cluster, count) in self.tally.iter() {
            let at = cluster << self.header.cluster_bits;
            let (references, stored) = (count.references, count.stored);
            // A count alone says of no byte what it is, unless its cluster follows what is used: writers that are
            // interrupted leave such clusters.
            if references > 0 || stored > 0 && cluster == self.last_used + 1 {
                self.last_used = self.last_used.max(cluster);
            }
            if references > 0 {
                self.leaks.used();
            } else if stored > 0 && !dirty {
                self.leaks.leaked(cluster, stored);
                continue;
            }
            if stored != references {
                let said = format!(
                    "The cluster at byte {at} is used {references} times, its refcount is {stored}."
                );
                let code = match stored < references {
                    _ if dirty => Code::Qcow2RefcountStale,
                    true => Code::Qcow2RefcountTooLow,
                    false => Code::Qcow2ClustersLeaked,
                };
                self.notebook.image(code, at, said);
            }
            let alone = stored == 1;
            if !dirty && (count.copied && !alone || count.not_copied && alone) {
                self.notebook.image(Code::Qcow2CopiedFlagWrong, at, format!(
                    "The COPIED flag of an entry for the cluster at byte {at} disagrees with its refcount {stored}."));
            }
        }
    }
}
