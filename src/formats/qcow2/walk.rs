//! The walk over all tables: what refers to which cluster, held against the refcounts.

use std::collections::BTreeMap;
use std::ops::Range;

use super::behind::{Behind, STATE};
use super::counts::Use;
use super::disk::{Tables, packed};
use super::entry::{COPIED, Entry, L1_RESERVED, OFFSET};
use super::extensions::Encryption;
use super::groups::{Groups, L2, Touched};
use super::header::Header;
use super::leaks::Leaks;
use super::room::Room;
use super::side_tables::{self, SideTable};
use super::tally::Tally;
use crate::bytes::human_size;
use crate::facts::{Code, Left, Notebook};
use crate::formats::entries::Entries;
use crate::formats::passing::Passing;
use crate::formats::scan::{Piece, Scan};
use crate::formats::view::{End, Last, not_examined};
use crate::formats::{Halt, ImageView, Reach, Walked, Wanted};

/// Refcount blocks that are followed.
pub(super) const MOST_BLOCKS: usize = 200_000;

/// Bytes of L1 tables that are read, again and again for groups of L2 tables and bands. 100 GB in clusters of 512
/// bytes, in the order in which they are written, take 3 GiB, and 9 GiB with as many entries of snapshots as are followed.
const MOST_L1_BYTES: u64 = 16 << 30;

/// What a piece of the image is. Hundreds of thousands wait at a time: numbers are as short as tables are, none of which
/// has 4 GiB. Bytes of the same table lie `before` it.
#[derive(Clone, Copy)]
pub(super) enum Tag {
    /// Entries of an L1 table; those before the piece take so many bytes.
    L1 { active: bool, before: u32 },
    /// Entries of an L2 table.
    L2 { before: u32 },
    /// Entries of the refcount table.
    Refcounts { before: u32 },
    /// Refcounts of the block of this number.
    Block { number: u32, before: u32 },
    /// Entries of a bitmap's table.
    Bitmap,
    /// Where the state of a machine would begin.
    State,
}

/// An L1 table.
struct L1 {
    at: u64,
    len: u64,
    active: bool,
}

pub(super) struct Walk<'w> {
    pub(super) header: &'w Header,
    pub(super) notebook: &'w Notebook<'w>,
    /// Takes down what is wrong with entries.
    pub(super) wrong: Entries<'w>,
    wanted: &'w Wanted,
    pub(super) reach: &'w mut Reach,
    pub(super) room: Room,
    /// The band that is looked at, and its clusters. What is wrong with an entry is said in the first
    /// one, and what it maps is remembered.
    pub(super) band: u64,
    /// The tables are walked once more, for compressed clusters that had to wait; everything else was seen.
    again: bool,
    pub(super) clusters: Range<u64>,
    /// The last cluster that is used or counted, in all bands so far.
    pub(super) last_used: u64,
    /// Refcount blocks in this band. Nothing shares them, whatever snapshots there are.
    pub(super) block_clusters: Vec<u64>,
    pub(super) leaks: Leaks,
    behind: Behind,
    /// The last cluster that is used or may have a refcount.
    pub(super) last_cluster: u64,
    pub(super) scan: Scan<Tag>,
    pub(super) tally: Tally,
    l1_tables: Vec<L1>,
    /// Pieces of L1 tables that have not come yet. L2 tables wait for them: how often an L2 table is
    /// used says how often its clusters are.
    l1_pieces: usize,
    l1_bytes: u64,
    groups: Groups,
    first_group: bool,
    pub(super) blocks: usize,
    /// The gravest reason for which not everything was looked at.
    pub(super) partial: Option<Left>,
    /// L2 entries that map what is wanted, by cluster of the disk.
    known: BTreeMap<u64, Entry>,
    /// Where on the active disk the L2 tables begin to map that have to do with what is wanted, by image offset of the
    /// table. Several entries of an L1 table may share one.
    wanted_tables: BTreeMap<u64, Vec<u64>>,
    /// Whether the active disk has a compressed cluster.
    packed: bool,
    /// Clusters of the active disk that read as zeros and keep their place.
    zeroed: u64,
    /// Unpacks the compressed clusters of the active disk as they come by.
    passing: Option<Passing>,
}

/// Walks all tables of the image.
pub(super) fn walk(
    tables: &mut Tables,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    wanted: &Wanted,
    reach: &mut Reach,
) -> Result<Walked, Halt> {
    let room = match view.is_seekable() {
        true => Room::SEEKABLE,
        false => Room::of_stream(view.scans_left()),
    };
    walk_in(room, tables, view, notebook, wanted, reach)
}

/// Walks all tables, with so much room.
pub(super) fn walk_in(
    room: Room,
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
        wrong: Entries::new(notebook),
        wanted,
        reach,
        room,
        band: 0,
        again: false,
        clusters: 0..0,
        last_used: 0,
        block_clusters: Vec::new(),
        leaks: Leaks::new(header.snapshots),
        behind: Behind::default(),
        last_cluster: 0,
        scan: Scan::new(),
        tally: Tally::default(),
        l1_tables: Vec::new(),
        l1_pieces: 0,
        l1_bytes: 0,
        groups: Groups::new(room.tables, room.groups),
        first_group: true,
        blocks: 0,
        partial: None,
        known: BTreeMap::new(),
        wanted_tables: BTreeMap::new(),
        packed: false,
        zeroed: 0,
        passing: passes(view, notebook)
            .then(|| Passing::new(packed(&header, 0, 0), tables.threads)),
    };
    walk.run(view)?;
    walk.behind.judge(&header, notebook);
    if walk.zeroed > 0 {
        let (count, len) =
            (walk.zeroed, human_size(walk.zeroed.saturating_mul(header.cluster_size())));
        notebook.image(Code::Qcow2ClustersZeroed, header.l1_offset, format!(
            "{count} clusters ({len}) of the disk read as zeros and keep their place in the image."));
    }
    tables.has_packed = match walk.packed {
        false if walk.partial.is_some() => None,
        packed => Some(packed),
    };
    if walk.partial.is_none() {
        if let Some(end) = (walk.last_used + 1).checked_mul(header.cluster_size()) {
            let (code, unit) = (Code::Qcow2TrailingBytes, header.cluster_size());
            // A snapshot that was deleted leaves the clusters of its L1 table, and behind them as much of one as the
            // snapshot table took, which is not filled up (`qcow2_write_snapshots`, `block/qcow2-snapshot.c`).
            walk.reach.ends_at(End { at: end, code, unit, spare: 0, freed: unit });
        }
        // An entry that leads nowhere says already that what it led to is lost.
        if !notebook.has(Code::Qcow2TableEntryInvalid)
            && let Some((at, missing)) = walk.leaks.judge(&header, view, notebook)?
        {
            not_examined(notebook, at, "a cluster that nothing uses", missing);
            walk.leave(missing.into());
        }
    }
    tables.known = walk.known;
    tables.unpacked = walk.passing.map(|passing| passing.result());
    Ok(walk.partial.map_or(Walked::Whole, Walked::Partial))
}

/// Whether compressed clusters have to be unpacked as they come by.
fn passes(view: &dyn ImageView, notebook: &Notebook<'_>) -> bool {
    view.is_passing() && !notebook.is_elsewhere()
}

impl Walk<'_> {
    fn run(&mut self, view: &mut dyn ImageView) -> Result<(), Halt> {
        if self.notebook.has(Code::Qcow2RefcountTableInvalid) {
            self.leave(Left::RefcountsUnusable);
        }
        if self.passing.is_some() {
            // The first clusters that a table names may be in the cluster before it, and such a cluster
            // may reach over the table.
            view.look_back(4 * self.header.cluster_size());
        }
        let (side_tables, left) = side_tables::read(view, self.notebook, self.header)?;
        left.into_iter().for_each(|left| self.leave(left));
        let usable = !self.notebook.has(Code::Qcow2RefcountTableInvalid);
        for band in 0..self.room.bands {
            let first = band.saturating_mul(self.room.clusters);
            if band > 0 && first > self.last_cluster {
                break;
            }
            self.band = band;
            self.clusters = first..first.saturating_add(self.room.clusters);
            self.tally = Tally::from(first);
            self.begin(&side_tables, usable);
            self.follow(view)?;
            self.compare();
        }
        if self.last_cluster >= self.clusters.end {
            self.leave(Left::TooManyClusters);
        }
        self.unpack_the_rest(view)
    }

    /// Reads all that is wanted, group by group.
    fn follow(&mut self, view: &mut dyn ImageView) -> Result<(), Halt> {
        loop {
            while self.step(view)? {}
            if !self.next_group() {
                return Ok(());
            }
        }
    }

    /// Walks the tables of the disk as often as it takes to unpack all compressed clusters, if that is still of use.
    fn unpack_the_rest(&mut self, view: &mut dyn ImageView) -> Result<(), Halt> {
        while self.partial.is_none()
            && !self.notebook.doomed()
            && let Some(passing) = &mut self.passing
            && passing.next_round(view)
        {
            // No cluster is counted twice.
            (self.again, self.band, self.clusters) = (true, 0, 0..0);
            self.begin(&[], false);
            self.follow(view)?;
        }
        Ok(())
    }

    /// Wants the tables that the header names and, of L2 tables, the first group.
    fn begin(&mut self, side_tables: &[SideTable], refcounts: bool) {
        let header = self.header;
        let cluster_size = header.cluster_size();
        self.l1_tables.clear();
        self.blocks = 0;
        self.block_clusters.clear();
        self.groups.begin();
        self.first_group = true;
        self.refer("the header", 0, cluster_size, 0);
        self.want_l1(header.l1_offset, header.l1_entries, true, 40);
        if let Some(encryption) = &header.extensions.encryption {
            let Encryption { offset, len, named_at } = *encryption;
            self.refer("the encryption header", offset, len, named_at);
        }
        if refcounts {
            let len = u64::from(header.refcount_clusters) * cluster_size;
            self.refer("the refcount table", header.refcount_offset, len, 48);
            self.scan.want_table(header.refcount_offset, len, |before| Tag::Refcounts {
                before: before as u32,
            });
        }
        for table in side_tables {
            match *table {
                SideTable::Place { what, at, len, named_at } => self.refer(what, at, len, named_at),
                SideTable::L1 { at, entries, named_at } => {
                    self.want_l1(at, entries, false, named_at);
                }
                SideTable::Bitmap { at, entries, named_at } => {
                    let len = u64::from(entries) * 8;
                    self.refer("a bitmap table", at, len, named_at);
                    self.scan.want_table(at, len, |_| Tag::Bitmap);
                }
            }
        }
    }

    fn want_l1(&mut self, at: u64, entries: u32, active: bool, named_at: u64) {
        let len = u64::from(entries) * 8;
        self.refer("an L1 table", at, len, named_at);
        self.read_l1(&L1 { at, len, active });
        self.l1_tables.push(L1 { at, len, active });
    }

    fn read_l1(&mut self, table: &L1) {
        let (active, before) = (table.active, self.scan.len());
        self.scan
            .want_table(table.at, table.len, |before| Tag::L1 { active, before: before as u32 });
        self.l1_pieces += self.scan.len() - before;
        self.l1_bytes = self.l1_bytes.saturating_add(table.len);
    }

    /// Says that not everything was looked at.
    pub(super) fn leave(&mut self, left: Left) {
        self.partial = Some(left.or_graver(self.partial));
    }

    /// Says that not all could be counted. That a stream passes once is the reason only where a file would be
    /// looked at in several passes: what does not fit into one of them either is the image's doing.
    pub(super) fn leave_too_many(&mut self, left: Left, several_passes: bool) {
        let passes_once = self.room.bands == 1 && several_passes;
        self.leave(if passes_once { Left::OnePass } else { left });
    }

    /// Reads the L1 tables once more if there is another group of L2 tables for this band.
    fn next_group(&mut self) -> bool {
        let more = match self.band {
            0 => self.groups.advance(),
            band => self.groups.advance_to(band),
        };
        if more && self.l1_bytes > MOST_L1_BYTES {
            self.leave(Left::TooManyTables);
            return false;
        }
        if more {
            self.first_group = false;
            let tables = std::mem::take(&mut self.l1_tables);
            tables.iter().for_each(|table| self.read_l1(table));
            self.l1_tables = tables;
        }
        more
    }

    /// Takes the next piece of a table or unpacks the next cluster, whichever comes first; false if there
    /// is neither.
    fn step(&mut self, view: &mut dyn ImageView) -> Result<bool, Halt> {
        let table = self.scan.next_at();
        if let Some(passing) = &mut self.passing {
            let next = passing.next_at();
            if let Some(at) = next
                && table.is_none_or(|table| at <= table)
            {
                passing.take(view, self.notebook)?;
                return Ok(true);
            }
            passing.settle(self.notebook);
            if table.is_none() && next.is_none() && passing.turn() {
                self.scan.turn();
                return Ok(true);
            }
        }
        let piece = self.scan.next(view)?;
        let more = piece.is_some();
        if let Some(piece) = piece {
            self.take(piece, view);
        }
        Ok(more)
    }

    fn take(&mut self, piece: Piece<Tag>, view: &mut dyn ImageView) {
        if let Tag::State = piece.tag {
            // What cannot be read may be one.
            if piece.missing.is_some() || piece.bytes == STATE {
                self.behind.is_state();
            }
            return;
        }
        if piece.cut {
            // How much is missing is said of `reach`.
            self.leave(Left::TableCut);
        }
        if let Some(missing) = piece.missing {
            self.leave(missing.into());
            if !self.notebook.has(Code::StructureNotExamined) {
                not_examined(self.notebook, piece.at, "a table", missing);
            }
        }
        match piece.tag {
            Tag::L1 { active, before } => self.l1(&piece, active, before.into()),
            Tag::L2 { before } => self.l2(&piece, before.into(), view),
            Tag::Refcounts { before } => self.refcounts(&piece, before.into()),
            Tag::Block { number, before } => self.block(&piece.bytes, number.into(), before.into()),
            Tag::Bitmap => self.bitmap(&piece),
            Tag::State => {}
        }
    }

    fn l1(&mut self, piece: &Piece<Tag>, active: bool, before: u64) {
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

    fn l2(&mut self, piece: &Piece<Tag>, before: u64, view: &mut dyn ImageView) {
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

/// Eight-byte entries with their index.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    (0..).zip(bytes.as_chunks::<8>().0.iter().map(|entry| u64::from_be_bytes(*entry)))
}
