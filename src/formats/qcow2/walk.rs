//! The walk over all tables: what refers to which cluster, held against the refcounts.

mod maps;

use std::collections::BTreeMap;
use std::ops::Range;

use super::behind::{Behind, STATE};
use super::disk::{Tables, packed};
use super::entry::Entry;
use super::extensions::Encryption;
use super::groups::Groups;
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
use crate::formats::view::{End, not_examined};
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
}

/// Eight-byte entries with their index.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    (0..).zip(bytes.as_chunks::<8>().0.iter().map(|entry| u64::from_be_bytes(*entry)))
}
