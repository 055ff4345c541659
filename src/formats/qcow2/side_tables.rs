//! The tables beside the active disk's: snapshots and persistent bitmaps. They are few and small, and
//! read entry by entry.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::extensions::Bitmaps;
use super::header::Header;
use crate::facts::{Code, Left, Notebook};
use crate::formats::{Got, Halt, ImageView};

/// The most entries that are followed in each of the two directories.
const MOST: u32 = 65536;

/// Largest snapshot L1 table (`QCOW_MAX_L1_SIZE`), in entries.
const LARGEST_L1: u32 = (32 << 20) / 8;

/// Extra data of a snapshot in version 3: sizes of the machine's state and of the disk (qcow2.rst).
/// `qemu-img check` calls an entry with less an error.
const LEAST_EXTRA: u32 = 16;

/// Most extra data of a snapshot, and bytes of all entries (`QCOW_MAX_SNAPSHOT_EXTRA_DATA`,
/// `QCOW_MAX_SNAPSHOTS_SIZE`).
const MOST_EXTRA: u32 = 1024;
const LARGEST_SNAPSHOT_TABLE: u64 = 1024 * 65536;

/// Bounds of a bitmap (`BME_…`, `block/qcow2-bitmap.c`): bytes of its clusters, bits of its granularity,
/// bytes of its name.
const LARGEST_BITMAP: u64 = 0x2000_0000;
const GRANULARITIES: std::ops::RangeInclusive<u8> = 9..=31;
const LONGEST_NAME: u16 = 1023;

/// Flags of a bitmap that exist: in use, and enabled when the image is opened.
const BITMAP_FLAGS: u32 = 3;
const IN_USE: u32 = 1;

/// The only type of a bitmap: one that tracks what was written.
const TRACKING: u8 = 1;

/// Entries of all these tables together; more are not followed.
const MOST_ENTRIES: u64 = 8 << 20;

/// A table that the directories name, or a place that they take themselves.
pub(super) enum SideTable {
    Place { what: &'static str, at: u64, len: u64, named_at: u64 },
    L1 { at: u64, entries: u32, named_at: u64 },
    Bitmap { at: u64, entries: u32, named_at: u64 },
}

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Snapshot {
    l1_offset: U64,
    l1_entries: U32,
    id_len: U16,
    name_len: U16,
    date: [u8; 16],
    vm_state_size: U32,
    extra_len: U32,
}

/// What version 3 adds to a snapshot.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Extra {
    vm_state_size: U64,
    disk_size: U64,
}

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Bitmap {
    table_offset: U64,
    table_entries: U32,
    flags: U32,
    kind: u8,
    granularity: u8,
    name_len: U16,
    extra_len: U32,
}

/// Reads both directories. With what was found goes why they could not be read to their end.
pub(super) fn read(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
) -> Result<(Vec<SideTable>, Option<Left>), Halt> {
    let mut found = Vec::new();
    let mut entries = 0u64;
    let snapshots = snapshots(view, notebook, header, &mut found, &mut entries)?.err();
    let bitmaps = bitmaps(view, notebook, header, &mut found, &mut entries)?.err();
    Ok((found, snapshots.map_or(bitmaps, |left| Some(left.or_graver(bitmaps)))))
}

/// That a directory was read to its end, or why not.
type Done = Result<(), Left>;

const UNREAD: Done = Err(Left::SideTableUnread);

fn snapshots(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
    found: &mut Vec<SideTable>,
    entries: &mut u64,
) -> Result<Done, Halt> {
    if header.snapshots == 0 || notebook.has(Code::Qcow2SnapshotTableInvalid) {
        return Ok(if header.snapshots == 0 { Ok(()) } else { UNREAD });
    }
    let start = header.snapshots_offset;
    let (mut at, mut end) = (start, start);
    for _ in 0..header.snapshots.min(MOST) {
        let mut bytes = [0; size_of::<Snapshot>()];
        match view.read_at(at, &mut bytes)? {
            Got::Bytes(count) if count == bytes.len() => {}
            Got::Bytes(_) => {
                // Lengths in the entries before led behind the end of the image.
                let len = at.saturating_add(bytes.len() as u64) - start;
                found.push(SideTable::Place {
                    what: "the snapshot table",
                    at: start,
                    len,
                    named_at: 64,
                });
                return Ok(UNREAD);
            }
            Got::Missing(missing) => return Ok(Err(missing.into())),
        }
        let Ok(snapshot) = Snapshot::read_from_bytes(&bytes) else { return Ok(UNREAD) };
        let (l1, count) = (snapshot.l1_offset.get(), snapshot.l1_entries.get());
        if count > LARGEST_L1 || !l1.is_multiple_of(header.cluster_size()) {
            notebook.image(
                Code::Qcow2SnapshotTableInvalid,
                at,
                format!(
                    "A snapshot's L1 table has {count} entries at byte {l1}, which is impossible."
                ),
            );
            return Ok(UNREAD);
        }
        let extra = snapshot.extra_len.get();
        if header.version >= 3 && extra < LEAST_EXTRA {
            notebook.image(Code::Qcow2SnapshotTableInvalid, at, format!(
                "A snapshot's entry has {extra} bytes of extra data; version 3 has {LEAST_EXTRA} or more."));
        }
        if extra > MOST_EXTRA {
            // Nor is it known where the entry ends.
            notebook.image(Code::Qcow2SnapshotTableInvalid, at, format!(
                "A snapshot's entry has {extra} bytes of extra data; QEMU opens {MOST_EXTRA} at most."));
            return Ok(UNREAD);
        }
        if extra >= LEAST_EXTRA {
            let mut bytes = [0; size_of::<Extra>()];
            let got = view.read_at(at.saturating_add(size_of::<Snapshot>() as u64), &mut bytes)?;
            let extra = Extra::read_from_bytes(&bytes).ok().filter(|_| whole(got, bytes.len()));
            let mapped = u64::from(count).saturating_mul(header.l2_covers());
            if let Some(size) = extra.map(|extra| extra.disk_size.get()).filter(|&it| it > mapped) {
                notebook.image(Code::Qcow2SnapshotTableInvalid, at, format!(
                    "A snapshot's disk has {size} bytes, but its L1 table of {count} entries maps {mapped}."));
            }
        }
        *entries += u64::from(count);
        if *entries > MOST_ENTRIES {
            return Ok(UNREAD);
        }
        found.push(SideTable::L1 { at: l1, entries: count, named_at: at });
        let names = u64::from(snapshot.id_len.get()) + u64::from(snapshot.name_len.get());
        let len = bytes.len() as u64 + u64::from(snapshot.extra_len.get()) + names;
        // QEMU does not fill up the last entry, which may end the image.
        end = at.saturating_add(len);
        at = at.saturating_add(len.next_multiple_of(8));
        if end - start > LARGEST_SNAPSHOT_TABLE {
            notebook.image(Code::Qcow2SnapshotTableInvalid, start, format!(
                "The snapshot table has more than {LARGEST_SNAPSHOT_TABLE} bytes, which QEMU does not open."));
            return Ok(UNREAD);
        }
    }
    found.push(SideTable::Place {
        what: "the snapshot table",
        at: start,
        len: end - start,
        named_at: 64,
    });
    Ok(if header.snapshots <= MOST { Ok(()) } else { UNREAD })
}

fn bitmaps(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
    found: &mut Vec<SideTable>,
    entries: &mut u64,
) -> Result<Done, Halt> {
    let Some(directory) = &header.extensions.bitmaps else { return Ok(Ok(())) };
    let done = bitmap_entries(directory, view, notebook, header, found, entries)?;
    // Of a directory that is wrong it is not known how long it is.
    if done.is_ok() || !notebook.has(Code::Qcow2BitmapsInvalid) {
        found.push(SideTable::Place {
            what: "the bitmap directory",
            at: directory.offset,
            len: directory.size,
            named_at: directory.named_at,
        });
    }
    Ok(done)
}

fn bitmap_entries(
    directory: &Bitmaps,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
    found: &mut Vec<SideTable>,
    entries: &mut u64,
) -> Result<Done, Halt> {
    let end = directory.offset.saturating_add(directory.size);
    let invalid = |at, said: String| {
        notebook.image(Code::Qcow2BitmapsInvalid, at, said);
        Ok(UNREAD)
    };
    let (mut at, mut count) = (directory.offset, 0);
    // Their hashes: 65,535 names may have a KiB each.
    let mut names = HashSet::new();
    while at < end {
        let mut bytes = [0; size_of::<Bitmap>()];
        if end - at < bytes.len() as u64 {
            return invalid(
                at,
                format!("The bitmap directory ends inside the entry at byte {at}."),
            );
        }
        if count == directory.count {
            return invalid(at, format!("The bitmap directory has more than {count} entries."));
        }
        count += 1;
        // A directory past the end is found by its place.
        match view.read_at(at, &mut bytes)? {
            Got::Bytes(count) if count == bytes.len() => {}
            Got::Bytes(_) => return Ok(UNREAD),
            Got::Missing(missing) => return Ok(Err(missing.into())),
        }
        let Ok(bitmap) = Bitmap::read_from_bytes(&bytes) else { return Ok(UNREAD) };
        let len = bytes.len() as u64
            + u64::from(bitmap.extra_len.get())
            + u64::from(bitmap.name_len.get());
        let next = at.saturating_add(len.next_multiple_of(8));
        if next > end {
            return invalid(
                at,
                format!("The entry of a bitmap ends at byte {next}, behind the directory."),
            );
        }
        if let Err(said) = bitmap.check(header) {
            return invalid(at, format!("A bitmap {said}."));
        }
        let mut name = vec![0; usize::from(bitmap.name_len.get())];
        view.read_at(at.saturating_add(bytes.len() as u64), &mut name)?;
        // Names are compared up to their first zero byte.
        name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
        if name.is_empty() {
            return invalid(at, "A bitmap has no name.".into());
        }
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        if !names.insert(hasher.finish()) {
            return invalid(at, "Two bitmaps have the same name.".into());
        }
        let size = bitmap.table_entries.get();
        *entries += u64::from(size);
        if *entries > MOST_ENTRIES {
            return Ok(UNREAD);
        }
        found.push(SideTable::Bitmap {
            at: bitmap.table_offset.get(),
            entries: size,
            named_at: at,
        });
        at = next;
    }
    if count < directory.count {
        return invalid(
            directory.named_at,
            format!("The header says {} bitmaps, the directory has {count}.", directory.count),
        );
    }
    Ok(Ok(()))
}

impl Bitmap {
    /// What QEMU wants of it (`check_dir_entry`, `load_bitmap_data`, `block/qcow2-bitmap.c`); what is
    /// wrong follows "A bitmap …".
    fn check(&self, header: &Header) -> Result<(), String> {
        let (table, count) = (self.table_offset.get(), self.table_entries.get());
        let cluster_size = header.cluster_size();
        if table == 0 || !table.is_multiple_of(cluster_size) {
            return Err(format!("has its table at byte {table}, which is impossible"));
        }
        let bytes = u64::from(count).saturating_mul(cluster_size);
        if count == 0 || bytes > LARGEST_BITMAP {
            return Err(format!("has a table of {count} entries, which is impossible"));
        }
        if !GRANULARITIES.contains(&self.granularity) {
            return Err(format!(
                "has a granularity of 2^{} bytes; 2^9 to 2^31 are possible",
                self.granularity
            ));
        }
        let flags = self.flags.get();
        if flags & !BITMAP_FLAGS != 0 {
            return Err(format!("has the flags {flags:#x}, of which only bits 0 and 1 exist"));
        }
        if self.kind != TRACKING {
            return Err(format!("is of type {}; only 1 exists", self.kind));
        }
        if self.name_len.get() > LONGEST_NAME {
            return Err(format!(
                "has a name of {} bytes; {LONGEST_NAME} are the most",
                self.name_len.get()
            ));
        }
        if self.extra_len.get() != 0 {
            return Err(format!(
                "has {} bytes of extra data, which QEMU does not know",
                self.extra_len.get()
            ));
        }
        // It is kept in words of 64 bits.
        let needed = header.size.div_ceil(1 << self.granularity).div_ceil(64) * 8;
        if flags & IN_USE == 0 && needed.div_ceil(cluster_size) != u64::from(count) {
            return Err(format!(
                "has {count} clusters; for a disk of {} bytes {} are needed",
                header.size,
                needed.div_ceil(cluster_size)
            ));
        }
        Ok(())
    }
}

fn whole(got: Got, wanted: usize) -> bool {
    got == Got::Bytes(wanted)
}
