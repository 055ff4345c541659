//! The walk over all tables: what refers to which cluster, held against the refcounts.

use std::collections::BTreeMap;

use super::disk::{Tables, packed};
use super::entry::{COPIED, Entry, L1_RESERVED, OFFSET};
use super::header::Header;
use super::side_tables::{self, SideTable};
use super::tally::Tally;
use crate::facts::{Code, Notebook};
use crate::formats::scan::{Piece, Scan};
use crate::formats::{Halt, ImageView, Missing, Reach, Walked, Wanted};

/// Tables of one kind that are followed. 100 GB in clusters of 2 KiB have as many L2 tables.
const MOST_TABLES: usize = 200_000;

/// Bytes of refcount blocks that are read. 100 GB in clusters of 2 KiB have 98 MB of 16-bit refcounts.
const MOST_BLOCK_BYTES: u64 = 512 << 20;

/// What a piece of the image is.
#[derive(Clone, Copy)]
enum Tag {
    /// Entries of an L1 table; those before the piece take so many bytes.
    L1 { active: bool, before: u64 },
    /// Entries of the L2 table at this image offset.
    L2 { table: u64, before: u64 },
    /// Entries of the refcount table.
    Refcounts { before: u64 },
    /// Refcounts, from that of this cluster on.
    Block { first: u64 },
    /// Entries of a bitmap's table.
    Bitmap,
}

/// Who refers to an L2 table.
#[derive(Clone, Copy, Default)]
struct L2 {
    /// Where on the disk it begins to map, if the active L1 table names it.
    guest: Option<u64>,
    /// L1 entries that name it, of the active disk and of snapshots.
    users: u32,
}

struct Walk<'w> {
    header: &'w Header,
    notebook: &'w Notebook<'w>,
    wanted: &'w Wanted,
    reach: &'w mut Reach,
    scan: Scan<Tag>,
    tally: Tally,
    l2_tables: BTreeMap<u64, L2>,
    /// Pieces of L1 tables that have not come yet. L2 tables wait for them: how often an L2 table is
    /// used says how often its clusters are.
    l1_pieces: usize,
    blocks: usize,
    partial: Option<&'static str>,
    /// L2 entries that map what is wanted, by cluster of the disk.
    known: BTreeMap<u64, Entry>,
}

/// Walks all tables of the image.
pub(super) fn walk(
    tables: &mut Tables,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    wanted: &Wanted,
    reach: &mut Reach,
) -> Result<Walked, Halt> {
    let header = tables.header.clone();
    let mut walk = Walk {
        header: &header,
        notebook,
        wanted,
        reach,
        scan: Scan::new(),
        tally: Tally::default(),
        l2_tables: BTreeMap::new(),
        l1_pieces: 0,
        blocks: 0,
        partial: None,
        known: BTreeMap::new(),
    };
    walk.begin(view)?;
    while let Some(piece) = walk.scan.next(view)? {
        walk.take(piece, view);
    }
    walk.compare();
    tables.known = walk.known;
    Ok(walk.partial.map_or(Walked::Whole, Walked::Partial))
}

impl Walk<'_> {
    /// Wants the tables that the header names.
    fn begin(&mut self, view: &mut dyn ImageView) -> Result<(), Halt> {
        let header = self.header;
        let cluster_size = header.cluster_size();
        self.refer("the header", 0, cluster_size, 0);
        self.want_l1(header.l1_offset, header.l1_entries, true, 40);
        if self.notebook.has(Code::Qcow2RefcountTableInvalid) {
            self.partial = Some("the refcount table cannot be used");
        } else {
            let len = u64::from(header.refcount_clusters) * cluster_size;
            self.refer("the refcount table", header.refcount_offset, len, 48);
            self.scan.want_table(header.refcount_offset, len, |before| Tag::Refcounts { before });
        }
        let (found, complete) = side_tables::read(view, self.notebook, header)?;
        if !complete {
            self.partial = Some("a snapshot or bitmap table could not be read");
        }
        for table in found {
            match table {
                SideTable::Place { what, at, len, named_at } => self.refer(what, at, len, named_at),
                SideTable::L1 { at, entries, named_at } => {
                    self.want_l1(at, entries, false, named_at)
                }
                SideTable::Bitmap { at, entries, named_at } => {
                    let len = u64::from(entries) * 8;
                    self.refer("a bitmap table", at, len, named_at);
                    self.scan.want_table(at, len, |_| Tag::Bitmap);
                }
            }
        }
        Ok(())
    }

    fn want_l1(&mut self, at: u64, entries: u32, active: bool, named_at: u64) {
        let len = u64::from(entries) * 8;
        self.refer("an L1 table", at, len, named_at);
        let before = self.scan.len();
        self.scan.want_table(at, len, |before| Tag::L1 { active, before });
        self.l1_pieces += self.scan.len() - before;
    }

    fn take(&mut self, piece: Piece<Tag>, view: &mut dyn ImageView) {
        if piece.cut {
            // How much is missing is said of `reach`.
            self.partial = Some("the image ends inside a table");
        }
        if let Some(missing) = piece.missing {
            self.partial =
                Some("a table lies behind what was read, and the source cannot be read again");
            if missing == Missing::Behind && !self.notebook.has(Code::StructureNotExamined) {
                self.notebook.image(Code::StructureNotExamined, piece.at, format!(
                    "A table at byte {} lies behind what was read already, and the source cannot be read again.",
                    piece.at));
            }
        }
        match piece.tag {
            Tag::L1 { active, before } => self.l1(&piece, active, before),
            Tag::L2 { table, before } => self.l2(&piece, table, before, view),
            Tag::Refcounts { before } => self.refcounts(&piece, before),
            Tag::Block { first } => self.block(&piece.bytes, first),
            Tag::Bitmap => self.bitmap(&piece),
        }
    }

    /// Notes that the bytes from image offset `at` on are used, by the entry at `named_at`.
    fn refer(&mut self, what: &str, at: u64, len: u64, named_at: u64) {
        self.reach.include(what, at, len);
        self.count(what, at, len, 1, named_at, Use::Metadata);
    }

    /// Counts a use of all clusters that the bytes touch.
    fn count(&mut self, what: &str, at: u64, len: u64, times: u32, named_at: u64, how: Use) {
        // What lies past the limit lies past the end of the image; that is said of `reach`.
        let end = at.saturating_add(len).min(self.notebook.limit());
        if len == 0 || at >= end {
            return;
        }
        let bits = self.header.cluster_bits;
        for cluster in at >> bits..=(end - 1) >> bits {
            let before = self.tally.get(cluster);
            // Compressed clusters share the clusters of the image, and snapshots share everything.
            let shared = match how {
                Use::Compressed => before.references > 0 && before.is_data(),
                Use::Metadata | Use::Data { .. } => before.references > 0,
            };
            if shared && self.header.snapshots == 0 {
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

    fn l1(&mut self, piece: &Piece<Tag>, active: bool, before: u64) {
        for (index, value) in entries(&piece.bytes) {
            let at = piece.at + index * 8;
            let guest = (before / 8 + index).saturating_mul(self.header.l2_covers());
            let table = value & OFFSET;
            if value & L1_RESERVED != 0 || !table.is_multiple_of(self.header.cluster_size()) {
                self.notebook.image(Code::Qcow2TableEntryInvalid, at, format!(
                    "The L1 entry {value:#018x} has reserved bits set or points between clusters."));
                continue;
            }
            if table == 0 {
                self.remember(guest, self.header.l2_covers(), Entry::default());
                continue;
            }
            let copied = active.then_some(value & COPIED != 0);
            self.reach.include("an L2 table", table, self.header.cluster_size());
            let known = self.l2_tables.get(&table).copied();
            if known.is_none() && self.l2_tables.len() >= MOST_TABLES {
                self.partial = Some("there are more L2 tables than a check follows");
                continue;
            }
            self.count(
                "an L2 table",
                table,
                self.header.cluster_size(),
                1,
                at,
                Use::Data { copied },
            );
            let mut l2 = known.unwrap_or_default();
            l2.users = l2.users.saturating_add(1);
            if active {
                l2.guest.get_or_insert(guest);
            }
            self.l2_tables.insert(table, l2);
        }
        self.l1_pieces = self.l1_pieces.saturating_sub(1);
        if self.l1_pieces == 0 {
            let size = self.header.cluster_size();
            for &table in self.l2_tables.keys() {
                self.scan.want_table(table, size, |before| Tag::L2 { table, before });
            }
        }
    }

    /// Notes what an entry says of the parts of the disk that will be read later.
    fn remember(&mut self, guest: u64, len: u64, entry: Entry) {
        let size = self.header.cluster_size();
        for range in &self.wanted.0 {
            let end = range.end.min(guest.saturating_add(len));
            let first = range.start.max(guest) / size;
            for cluster in first..end.div_ceil(size).max(first) {
                self.known.insert(cluster, entry);
            }
        }
    }

    fn l2(&mut self, piece: &Piece<Tag>, table: u64, before: u64, view: &mut dyn ImageView) {
        let L2 { guest, users } = self.l2_tables.get(&table).copied().unwrap_or_default();
        let entry_size = self.header.l2_entry_size();
        let cluster_size = self.header.cluster_size();
        for (index, bytes) in (0u64..).zip(piece.bytes.chunks_exact(entry_size as usize)) {
            let at = piece.at + index * entry_size;
            let entry = Entry::parse(bytes);
            let place = guest.map(|guest| guest + (before / entry_size + index) * cluster_size);
            if let Some(guest) = place {
                self.remember(guest, cluster_size, entry);
            }
            if let Err(said) = entry.check(self.header) {
                self.notebook.image(Code::Qcow2TableEntryInvalid, at, said);
                continue;
            }
            if entry.is_compressed() {
                self.compressed(&entry, at, users, place, view);
            } else if entry.cluster() != 0 {
                let copied = guest.map(|_| entry.is_copied());
                self.data_reach(&entry);
                self.count("data", entry.cluster(), cluster_size, users, at, Use::Data { copied });
                if let Some(guest) = place.filter(|_| entry.is_stored()) {
                    self.wanted.keep(view, guest, cluster_size, entry.cluster());
                }
            }
        }
    }

    /// The last cluster of an image may be short: old writers did not fill up those of version 2, and
    /// of subclusters only the stored ones have to be there. The rest reads as zeros.
    fn data_reach(&mut self, entry: &Entry) {
        let size = self.header.cluster_size();
        let least = match (self.header.version, entry.bitmap) {
            (_, Some(bitmap)) => u64::from(32 - (bitmap as u32).leading_zeros()) * (size / 32),
            (2, None) => 1,
            (_, None) => size,
        };
        self.reach.include("a data cluster", entry.cluster(), least.max(1));
    }

    fn compressed(
        &mut self,
        entry: &Entry,
        at: u64,
        users: u32,
        guest: Option<u64>,
        view: &mut dyn ImageView,
    ) {
        let packed = packed(self.header, entry.first, 0);
        if entry.is_copied() {
            self.notebook.image(Code::Qcow2CopiedFlagWrong, at,
                "An L2 entry of a compressed cluster has the COPIED flag, which compressed clusters never have.");
        }
        self.reach.include("a compressed cluster", packed.at, packed.len);
        self.count("a compressed cluster", packed.at, packed.len, users, at, Use::Compressed);
        if guest.is_some_and(|guest| self.wanted.touches(guest, self.header.cluster_size())) {
            view.keep(packed.at, packed.len);
        }
    }

    fn refcounts(&mut self, piece: &Piece<Tag>, before: u64) {
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
                self.notebook.image(Code::Qcow2RefcountTableInvalid, at, format!(
                    "The refcount table entry {value:#018x} has reserved bits set or points between clusters."));
                continue;
            }
            self.blocks += 1;
            // Entries of a hostile table may all name the same block.
            if self.blocks > MOST_TABLES || self.blocks as u64 * size > MOST_BLOCK_BYTES {
                self.partial = Some("there are more refcount blocks than a check follows");
                return;
            }
            self.refer("a refcount block", value, size, at);
            let first = (before / 8 + index).saturating_mul(covers);
            let entry_bits = 1 << self.header.refcount_order.min(6);
            self.scan.want_table(value, size, |before| Tag::Block {
                first: first.saturating_add(before * 8 / entry_bits),
            });
        }
    }

    fn block(&mut self, bytes: &[u8], first: u64) {
        let last = self.notebook.limit() >> self.header.cluster_bits;
        for (index, stored) in refcounts(bytes, self.header.refcount_order) {
            let cluster = first.saturating_add(index);
            if cluster > last {
                return;
            }
            self.tally
                .update(cluster, |count| count.stored = u32::try_from(stored).unwrap_or(u32::MAX));
        }
    }

    fn bitmap(&mut self, piece: &Piece<Tag>) {
        for (index, value) in entries(&piece.bytes) {
            let at = piece.at + index * 8;
            let cluster = value & OFFSET;
            // Bit 0 stands for a bitmap of ones where no cluster is.
            if !cluster.is_multiple_of(self.header.cluster_size()) || value & !OFFSET & !1 != 0 {
                self.notebook.image(Code::Qcow2BitmapsInvalid, at, format!(
                    "The bitmap table entry {value:#018x} has reserved bits set or points between clusters."));
            } else if cluster != 0 {
                self.refer("a bitmap", cluster, self.header.cluster_size(), at);
            }
        }
    }

    /// Holds references against refcounts.
    fn compare(&mut self) {
        if self.tally.is_full() && self.partial.is_none() {
            self.partial = Some("there are more clusters than a check counts");
        }
        if self.partial.is_some() {
            // Tables that were not read make every count too low.
            return;
        }
        let dirty = self.notebook.has(Code::Qcow2Dirty);
        for (cluster, count) in self.tally.iter() {
            let at = cluster << self.header.cluster_bits;
            let (references, stored) = (count.references, count.stored);
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

/// How a cluster is used.
#[derive(Clone, Copy)]
enum Use {
    /// By a table of the image that no snapshot shares.
    Metadata,
    /// By an entry that maps the disk; its COPIED flag counts if the disk is the active one.
    Data { copied: Option<bool> },
    /// By a compressed cluster, which takes a part of it.
    Compressed,
}

/// Eight-byte entries with their index.
fn entries(bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    (0..).zip(bytes.as_chunks::<8>().0.iter().map(|entry| u64::from_be_bytes(*entry)))
}

/// The refcounts of a block that are not zero, with their index. They have 2^order bits; those of less
/// than a byte begin at the least significant bit (QEMU docs/interop/qcow2.rst, refcount blocks).
fn refcounts(bytes: &[u8], order: u32) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut note = |index: u64, value: u64| {
        if value != 0 {
            found.push((index, value));
        }
    };
    match order {
        0..=2 => {
            let (bits, per_byte) = (1u32 << order, 8u64 >> order);
            for (index, &byte) in (0u64..).zip(bytes).filter(|(_, byte)| **byte != 0) {
                for part in 0..per_byte {
                    let value = u32::from(byte) >> (part as u32 * bits) & ((1 << bits) - 1);
                    note(index * per_byte + part, u64::from(value));
                }
            }
        }
        _ => {
            let size = 1usize << (order.min(6) - 3);
            for (index, entry) in (0u64..).zip(bytes.chunks_exact(size)) {
                note(index, entry.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refcounts_of_every_width() {
        assert_eq!(refcounts(&[0b0000_0101], 0), [(0, 1), (2, 1)]);
        assert_eq!(refcounts(&[0b0000_1101], 1), [(0, 1), (1, 3)]);
        assert_eq!(refcounts(&[0x20, 0x03], 2), [(1, 2), (2, 3)]);
        assert_eq!(refcounts(&[0, 7], 3), [(1, 7)]);
        assert_eq!(refcounts(&[0, 0, 1, 2], 4), [(1, 258)]);
        assert_eq!(refcounts(&[0, 0, 0, 0, 0, 0, 1, 0], 6), [(0, 256)]);
    }
}
