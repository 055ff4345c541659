//! What the walk counts: uses of clusters, and what the refcounts say of them.

use super::entry::OFFSET;
use super::refcounts::refcounts;
use super::tally::{BAND, Kind};
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
            let kind = match how {
                Use::Metadata | Use::Data { copied: None } => Kind::Other,
                Use::Data { copied: Some(true) } => Kind::Copied,
                Use::Data { copied: Some(false) } => Kind::NotCopied,
                Use::Compressed => Kind::Compressed,
            };
            // Compressed clusters share the clusters of the image, and snapshots share everything with their like.
            let shared = before.references > 0
                && match how {
                    Use::Compressed => before.kind != Kind::Compressed,
                    Use::Data { .. } => {
                        self.header.snapshots == 0 || before.kind == Kind::Compressed
                    }
                    Use::Metadata => true,
                };
            if shared {
                self.wrong.say(Code::Qcow2ClustersOverlap, named_at, || format!(
                    "The cluster at byte {} is used for {what}, and for something else as well.",
                    cluster << bits));
            }
            if matches!(
                (before.kind, kind),
                (Kind::Copied, Kind::NotCopied) | (Kind::NotCopied, Kind::Copied)
            ) && !self.notebook.has(Code::Qcow2Dirty)
            {
                self.wrong.say(Code::Qcow2CopiedFlagWrong, named_at, || {
                    format!(
                        "Of two entries for the cluster at byte {} only one has the COPIED flag.",
                        cluster << bits
                    )
                });
            }
            self.tally.update(cluster, |count| {
                count.references = count.references.saturating_add(times);
                if count.kind == Kind::Other {
                    count.kind = kind;
                }
            });
        }
    }

    pub(super) fn refcounts(&mut self, piece: &Piece<Tag>, before: u64) {
        /// Bits 0 to 8 of an entry have to be zero, the others are an image offset.
        const RESERVED: u64 = 0x1ff;
        let size = self.header.cluster_size();
        let covers = self.counted_in(size);
        let mut blocks = Vec::new();
        for (index, value) in entries(&piece.bytes) {
            let at = piece.at + index * 8;
            if value == 0 {
                continue;
            }
            if value & RESERVED != 0 || !value.is_multiple_of(size) {
                if self.band == 0 {
                    self.wrong.say(Code::Qcow2RefcountTableInvalid, at, || format!(
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
            let number = before / 8 + index;
            let first = number.saturating_mul(covers);
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
            blocks.push((value, number as u32));
        }
        self.scan.want_tables(size, blocks.into_iter(), |number, before| Tag::Block {
            number,
            before: before as u32,
        });
    }

    /// Refcounts in so many bytes. `tables` checked that a refcount has at most 64 bits.
    fn counted_in(&self, bytes: u64) -> u64 {
        (bytes * 8) >> self.header.refcount_order.min(6)
    }

    pub(super) fn block(&mut self, bytes: &[u8], number: u64, before: u64) {
        let first = number.saturating_mul(self.counted_in(self.header.cluster_size()));
        let first = first.saturating_add(self.counted_in(before));
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
                self.wrong.say(Code::Qcow2BitmapsInvalid, at, || format!(
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
                self.wrong.say(Code::Qcow2ClustersOverlap, at, || format!(
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
            let packed = count.kind == Kind::Compressed;
            if references > 0 {
                self.leaks.used(if packed { references } else { 1 });
            }
            if stored > references && (references == 0 || packed) && !dirty {
                self.leaks.leaked(cluster, references, stored);
                continue;
            }
            if stored != references {
                let said = || {
                    format!(
                        "The cluster at byte {at} is used {references} times, its refcount is {stored}."
                    )
                };
                let code = match stored < references {
                    _ if dirty => Code::Qcow2RefcountStale,
                    true => Code::Qcow2RefcountTooLow,
                    false => Code::Qcow2ClustersLeaked,
                };
                self.wrong.say(code, at, said);
            }
            let expected = if stored == 1 { Kind::Copied } else { Kind::NotCopied };
            if !dirty
                && matches!(count.kind, Kind::Copied | Kind::NotCopied)
                && count.kind != expected
            {
                self.wrong.say(Code::Qcow2CopiedFlagWrong, at, || format!(
                    "The COPIED flag of an entry for the cluster at byte {at} disagrees with its refcount {stored}."));
            }
        }
    }
}
