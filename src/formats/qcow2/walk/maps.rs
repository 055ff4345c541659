//! The entries of L1 and L2 tables: what of the image they lead to, and what is wrong with them.

use super::super::behind::STATE;
use super::super::counts::Use;
use super::super::disk::packed;
use super::super::entry::{COPIED, Entry, L1_RESERVED, OFFSET};
use super::super::groups::{L2, Touched};
use super::super::room::Room;
use super::{Tag, Walk, entries};
use crate::facts::{Code, Left};
use crate::formats::ImageView;
use crate::formats::scan::Piece;
use crate::formats::view::Last;

impl Walk<'_> {
    pub(super) fn l1(&mut self, piece: &Piece<Tag>, active: bool, before: u64) {
        let size = self.header.cluster_size();
        let fresh = self.band == 0 && self.first_group && !self.again;
        for (index, value) in entries(&piece.bytes) {
            // Nearly all entries of a large table, each time that it is read again.
            if !self.first_group && self.groups.passes_over(value & OFFSET) {
                continue;
            }
            let at = piece.at + index * 8;
            let entry = before / 8 + index;
            let guest = entry.saturating_mul(self.header.l2_covers());
            let table = value & OFFSET;
            if value & L1_RESERVED != 0 || !table.is_multiple_of(size) {
                if fresh {
                    self.wrong.say(Code::Qcow2TableEntryInvalid, at, || format!(
                        "The L1 entry {value:#018x} has reserved bits set or points between clusters."));
                }
                continue;
            }
            if table == 0 {
                if fresh {
                    // `qemu-img check` follows it into the header (`check_refcounts_l1`).
                    if value != 0 {
                        self.wrong.say(Code::Qcow2TableEntryInvalid, at, || {
                            format!(
                                "The L1 entry {value:#018x} has the COPIED flag, but no L2 table."
                            )
                        });
                    }
                    if active {
                        self.remember(guest, self.header.l2_covers(), Entry::default());
                    }
                    if active && guest < self.header.size {
                        self.leaks.unmapped(guest..guest.saturating_add(self.header.l2_covers()));
                    }
                }
                continue;
            }
            if fresh {
                self.reach.include("an L2 table", table, size);
                if active && self.wanted.touches(guest, self.header.l2_covers()) {
                    self.wanted_tables.entry(table).or_default().push(guest);
                }
            }
            if self.first_group {
                let copied = active.then_some(value & COPIED != 0);
                self.count("an L2 table", table, size, 1, at, Use::Data { copied });
            }
            self.groups.add(table, active.then_some(entry as u32));
        }
        self.l1_pieces = self.l1_pieces.saturating_sub(1);
        if self.l1_pieces == 0 {
            if !self.groups.settle() {
                self.leave_too_many(Left::TooManyTables, self.room.groups < Room::MOST_OF_STREAM);
            }
            let tables = self.groups.of_band(self.band).map(|table| (table, ()));
            self.scan.want_tables(size, tables, |(), before| Tag::L2 { before: before as u32 });
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

    pub(super) fn l2(&mut self, piece: &Piece<Tag>, before: u64, view: &mut dyn ImageView) {
        let table = piece.at - before;
        let L2 { entry, users, number } = self.groups.get(table).unwrap_or_default();
        let guest = entry.map(|entry| u64::from(entry).saturating_mul(self.header.l2_covers()));
        let entry_size = self.header.l2_entry_size();
        let cluster_size = self.header.cluster_size();
        let fresh = self.band == 0 && !self.again;
        let mut touched = Touched::default();
        let shown = match fresh {
            true => self.wanted_tables.get(&table).cloned().unwrap_or_default(),
            false => Vec::new(),
        };
        let mut packed: Vec<(u64, u64)> = Vec::new();
        let mut copied: Vec<u64> = Vec::new();
        // What is odd about the other entries of a table that something else was written over has the same cause.
        let mut broken = false;
        for (index, bytes) in (0u64..).zip(piece.bytes.chunks_exact(entry_size as usize)) {
            let at = piece.at + index * entry_size;
            let entry = Entry::parse(bytes);
            let in_table = (before / entry_size + index) * cluster_size;
            let place = guest.map(|guest| guest + in_table);
            for guest in &shown {
                self.remember(guest + in_table, cluster_size, entry);
            }
            if let Some(place) =
                place.filter(|&place| fresh && entry.is_empty() && place < self.header.size)
            {
                self.leaks.unmapped(place..place + cluster_size);
                continue;
            }
            if let Err(said) = entry.check(self.header) {
                broken = true;
                if fresh {
                    self.wrong.say(Code::Qcow2TableEntryInvalid, at, || said.to_string());
                }
                continue;
            }
            if let Some(place) = place
                && fresh
                && self.behind.add(self.header, place, &entry, at)
            {
                self.scan.want(entry.cluster(), STATE.len(), Tag::State);
            }
            if self.header.data_file {
                // It refers to the other file.
                continue;
            }
            let (start, len) = if entry.is_compressed() {
                let (start, len) = self.compressed(&entry, at, users, place, view);
                let wanted = |guest: &u64| self.wanted.touches(guest + in_table, cluster_size);
                if shown.iter().any(wanted) {
                    view.keep(start, len);
                }
                packed.push((start, at));
                copied.extend(entry.is_copied().then_some(at));
                (start, len)
            } else if entry.cluster() != 0 {
                let copied = guest.map(|_| entry.is_copied());
                self.count("data", entry.cluster(), cluster_size, users, at, Use::Data { copied });
                if fresh {
                    self.data_reach(&entry, place);
                    for guest in shown.iter().filter(|_| entry.is_stored()) {
                        self.wanted.keep(view, guest + in_table, cluster_size, entry.cluster());
                    }
                }
                (entry.cluster(), cluster_size)
            } else {
                if fresh && place.is_some_and(|place| place < self.header.size) {
                    self.leaks.zeros();
                }
                continue;
            };
            if fresh {
                let bits = self.header.cluster_bits;
                touched.add((start >> bits) / self.room.clusters);
                touched.add((start.saturating_add(len - 1) >> bits) / self.room.clusters);
            }
        }
        if !fresh {
            return;
        }
        if let Some(known) = self.groups.touch(number) {
            known.merge(touched);
        }
        if broken {
            return;
        }
        for at in copied {
            self.wrong.say(Code::Qcow2CopiedFlagWrong, at, || {
                "An L2 entry of a compressed cluster has the COPIED flag, which compressed clusters never have.".into()
            });
        }
        packed.sort_unstable();
        for pair in packed.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            self.wrong.say(Code::Qcow2CompressedTwice, pair[1].1, || {
                format!(
                    "The compressed cluster at byte {} is named by the L2 entry at byte {} too.",
                    pair[0].0, pair[0].1
                )
            });
        }
    }

    /// The last cluster of an image may be short. Of subclusters only the stored ones have to be there; of the cluster in
    /// which the disk ends, what is before that end (QEMU up to 2.x wrote no more of it, `copy_sectors`). What is no part of
    /// the disk is held against nothing but `qemu-img check` in version 2 (`qcow2_inc_refcounts_imrt`).
    fn data_reach(&mut self, entry: &Entry, guest: Option<u64>) {
        let size = self.header.cluster_size();
        let stored = match entry.bitmap {
            Some(bitmap) => u64::from(32 - (bitmap as u32).leading_zeros()) * (size / 32),
            None => size,
        };
        let left =
            guest.and_then(|guest| self.header.size.checked_sub(guest)).filter(|&left| left > 0);
        let least = match left {
            Some(left) => stored.min(left),
            None if self.header.version == 2 => 1,
            None => stored,
        };
        let (at, what) = (entry.cluster(), "a data cluster");
        match left {
            Some(_) => {
                let piece = if entry.bitmap.is_some() { size / 32 } else { 1 };
                self.reach.include_last(what, Last { at, least: least.max(1), whole: size, piece });
                if entry.is_stored() {
                    self.reach.stored.add(at, size);
                } else {
                    self.zeroed += 1;
                }
            }
            None => self.reach.include(what, at, least.max(1)),
        }
    }

    /// Counts a compressed cluster; its first byte on the image and its length.
    fn compressed(
        &mut self,
        entry: &Entry,
        at: u64,
        users: u32,
        guest: Option<u64>,
        view: &mut dyn ImageView,
    ) -> (u64, u64) {
        let packed = packed(self.header, entry.first, 0);
        self.count("a compressed cluster", packed.at, packed.len, users, at, Use::Compressed);
        self.packed |= guest.is_some();
        if let Some(passing) = &mut self.passing
            && guest.is_some_and(|guest| guest < self.header.size)
        {
            passing.want(view, packed.at, packed.len);
        }
        if self.band > 0 || self.again {
            return (packed.at, packed.len);
        }
        // The number of sectors is an upper bound. QEMU reads zeros behind the end of an image, but counts
        // no use that reaches a cluster further (`qcow2_inc_refcounts_imrt`, `block/qcow2-refcount.c`).
        let least = packed.len.saturating_sub(self.header.cluster_size() - 1).max(1);
        self.reach.include("a compressed cluster", packed.at, least);
        (packed.at, packed.len)
    }
}
