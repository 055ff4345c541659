//! The tables beside the active disk's: snapshots and persistent bitmaps. They are few and small, and
//! read entry by entry.

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::header::Header;
use crate::facts::{Code, Notebook};
use crate::formats::{Got, Halt, ImageView};

/// The most entries that are followed in each of the two directories.
const MOST: u32 = 65536;

/// Largest snapshot L1 table (`QCOW_MAX_L1_SIZE`) and bitmap table (`BME_MAX_TABLE_SIZE`), in entries.
const LARGEST_L1: u32 = (32 << 20) / 8;
const LARGEST_BITMAP: u32 = 0x800_0000 / 8;

/// Extra data of a snapshot in version 3: sizes of the machine's state and of the disk (qcow2.rst).
/// `qemu-img check` calls an entry with less an error.
const LEAST_EXTRA: u32 = 16;

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

/// Reads both directories. False with what was found if they could not be read to their end.
pub(super) fn read(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
) -> Result<(Vec<SideTable>, bool), Halt> {
    let mut found = Vec::new();
    let mut entries = 0u64;
    let complete = snapshots(view, notebook, header, &mut found, &mut entries)?
        & bitmaps(view, notebook, header, &mut found, &mut entries)?;
    Ok((found, complete && entries <= MOST_ENTRIES))
}

fn snapshots(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
    found: &mut Vec<SideTable>,
    entries: &mut u64,
) -> Result<bool, Halt> {
    if header.snapshots == 0 || notebook.has(Code::Qcow2SnapshotTableInvalid) {
        return Ok(header.snapshots == 0);
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
                return Ok(false);
            }
            Got::Missing(_) => return Ok(false),
        }
        let Ok(snapshot) = Snapshot::read_from_bytes(&bytes) else { return Ok(false) };
        let (l1, count) = (snapshot.l1_offset.get(), snapshot.l1_entries.get());
        if count > LARGEST_L1 || !l1.is_multiple_of(header.cluster_size()) {
            notebook.image(
                Code::Qcow2SnapshotTableInvalid,
                at,
                format!(
                    "A snapshot's L1 table has {count} entries at byte {l1}, which is impossible."
                ),
            );
            return Ok(false);
        }
        let extra = snapshot.extra_len.get();
        if header.version >= 3 && extra < LEAST_EXTRA {
            notebook.image(Code::Qcow2SnapshotTableInvalid, at, format!(
                "A snapshot's entry has {extra} bytes of extra data; version 3 has {LEAST_EXTRA} or more."));
        }
        *entries += u64::from(count);
        if *entries > MOST_ENTRIES {
            return Ok(false);
        }
        found.push(SideTable::L1 { at: l1, entries: count, named_at: at });
        let names = u64::from(snapshot.id_len.get()) + u64::from(snapshot.name_len.get());
        let len = bytes.len() as u64 + u64::from(snapshot.extra_len.get()) + names;
        // QEMU does not fill up the last entry, which may end the image.
        end = at.saturating_add(len);
        at = at.saturating_add(len.next_multiple_of(8));
    }
    found.push(SideTable::Place {
        what: "the snapshot table",
        at: start,
        len: end - start,
        named_at: 64,
    });
    Ok(header.snapshots <= MOST)
}

fn bitmaps(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
    found: &mut Vec<SideTable>,
    entries: &mut u64,
) -> Result<bool, Halt> {
    let Some(directory) = &header.bitmaps else { return Ok(true) };
    let end = directory.offset.saturating_add(directory.size);
    if !directory.offset.is_multiple_of(header.cluster_size())
        || directory.offset == 0
        || directory.count > MOST
    {
        notebook.image(
            Code::Qcow2BitmapsInvalid,
            directory.named_at,
            format!(
                "The directory of {} bitmaps is at byte {}, which is impossible.",
                directory.count, directory.offset
            ),
        );
        return Ok(false);
    }
    let mut at = directory.offset;
    for _ in 0..directory.count {
        let mut bytes = [0; size_of::<Bitmap>()];
        if !whole(view.read_at(at, &mut bytes)?, bytes.len()) {
            return Ok(false);
        }
        let Ok(bitmap) = Bitmap::read_from_bytes(&bytes) else { return Ok(false) };
        let (table, count) = (bitmap.table_offset.get(), bitmap.table_entries.get());
        let len = bytes.len() as u64
            + u64::from(bitmap.extra_len.get())
            + u64::from(bitmap.name_len.get());
        let next = at.saturating_add(len.next_multiple_of(8));
        if next > end || count > LARGEST_BITMAP || !table.is_multiple_of(header.cluster_size()) {
            notebook.image(Code::Qcow2BitmapsInvalid, at, format!(
                "A bitmap's table has {count} entries at byte {table}, or its entry ends at byte {next} behind the directory."));
            return Ok(false);
        }
        *entries += u64::from(count);
        if *entries > MOST_ENTRIES {
            return Ok(false);
        }
        found.push(SideTable::Bitmap { at: table, entries: count, named_at: at });
        at = next;
    }
    found.push(SideTable::Place {
        what: "the bitmap directory",
        at: directory.offset,
        len: directory.size,
        named_at: directory.named_at,
    });
    Ok(true)
}

fn whole(got: Got, wanted: usize) -> bool {
    got == Got::Bytes(wanted)
}
