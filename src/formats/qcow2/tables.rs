use super::header::Header;
use crate::bytes::human_size;
use crate::facts::{Code, Notebook};
use crate::formats::Reach;

/// Largest L1 table that QEMU opens (`QCOW_MAX_L1_SIZE`), in bytes.
const LARGEST_L1: u64 = 32 << 20;

/// Largest refcount table that QEMU opens (`QCOW_MAX_REFTABLE_SIZE`), in bytes.
const LARGEST_REFCOUNT_TABLE: u64 = 8 << 20;

/// Most snapshots that QEMU opens (`QCOW_MAX_SNAPSHOTS`).
const MOST_SNAPSHOTS: u32 = 65536;

/// A snapshot table entry has at least this many bytes.
const SMALLEST_SNAPSHOT: u64 = 40;

/// Checks where the header places the tables, without reading them. False if the L1 table cannot be
/// used.
pub(super) fn check(header: &Header, notebook: &Notebook<'_>, reach: &mut Reach) -> bool {
    check_refcounts(header, notebook, reach);
    check_snapshots(header, notebook, reach);
    check_l1(header, notebook, reach)
}

/// What an image of this disk can need: the disk twice for itself and for each snapshot, for tables and for
/// what was given up, and the state of a machine for each snapshot.
pub(super) fn bound(header: &Header) -> u64 {
    const SLACK: u64 = 64 << 20;
    const MACHINE: u64 = 64 << 30;
    let disk = header.size.saturating_mul(2).saturating_add(SLACK);
    let snapshots = u64::from(header.snapshots);
    disk.saturating_add(disk.saturating_add(MACHINE).saturating_mul(snapshots))
}

fn check_l1(header: &Header, notebook: &Notebook<'_>, reach: &mut Reach) -> bool {
    let bytes = u64::from(header.l1_entries) * 8;
    let needed = header.size.div_ceil(header.l2_covers());
    let mut usable = true;
    let mut invalid = |offset, said: String| {
        usable = false;
        notebook.image(Code::Qcow2L1TableInvalid, offset, said);
    };
    if bytes > LARGEST_L1 {
        invalid(
            36,
            format!(
                "The L1 table has {} entries ({}); QEMU opens 32 MiB at most.",
                header.l1_entries,
                human_size(bytes)
            ),
        );
    } else if u64::from(header.l1_entries) < needed {
        invalid(
            36,
            format!(
                "The L1 table has {} entries; a disk of {} needs {needed}.",
                header.l1_entries,
                human_size(header.size)
            ),
        );
    }
    if let Some(said) = misplaced("The L1 table", header.l1_offset, header) {
        if header.l1_entries > 0 {
            invalid(40, said);
        }
    } else {
        reach.include("the L1 table", header.l1_offset, bytes);
    }
    usable
}

fn check_refcounts(header: &Header, notebook: &Notebook<'_>, reach: &mut Reach) {
    if header.refcount_order > 6 {
        notebook.image(
            Code::Qcow2RefcountTableInvalid,
            96,
            format!("Refcounts have 2^{} bits; 2^6 is the most.", header.refcount_order),
        );
    }
    let bytes = u64::from(header.refcount_clusters) << header.cluster_bits;
    if header.refcount_clusters == 0 || bytes > LARGEST_REFCOUNT_TABLE {
        notebook.image(
            Code::Qcow2RefcountTableInvalid,
            56,
            format!(
                "The refcount table has {} clusters ({}); 1 cluster to 8 MiB are possible.",
                header.refcount_clusters,
                human_size(bytes)
            ),
        );
    } else if let Some(said) = misplaced("The refcount table", header.refcount_offset, header) {
        notebook.image(Code::Qcow2RefcountTableInvalid, 48, said);
    } else {
        let l1_end = header.l1_offset.saturating_add(u64::from(header.l1_entries) * 8);
        let end = header.refcount_offset.saturating_add(bytes);
        if header.l1_offset < end && header.refcount_offset < l1_end {
            notebook.image(
                Code::Qcow2RefcountTableInvalid,
                48,
                format!(
                    "The refcount table at byte {} and the L1 table at byte {} overlap.",
                    header.refcount_offset, header.l1_offset
                ),
            );
        }
        reach.include("the refcount table", header.refcount_offset, bytes);
    }
}

fn check_snapshots(header: &Header, notebook: &Notebook<'_>, reach: &mut Reach) {
    if header.snapshots == 0 {
        // QEMU does not open an image with an impossible place even if nothing has to be there.
        let at = header.snapshots_offset;
        if !at.is_multiple_of(header.cluster_size()) || at > i64::MAX as u64 {
            notebook.image(
                Code::Qcow2SnapshotTableInvalid,
                64,
                format!(
                    "There are no snapshots, but the place of their table is byte {at}, where none can be."
                ),
            );
        }
        return;
    }
    if header.snapshots > MOST_SNAPSHOTS {
        notebook.image(
            Code::Qcow2SnapshotTableInvalid,
            60,
            format!(
                "The header says {} snapshots; QEMU opens {MOST_SNAPSHOTS} at most.",
                header.snapshots
            ),
        );
    } else if let Some(said) = misplaced("The snapshot table", header.snapshots_offset, header) {
        notebook.image(Code::Qcow2SnapshotTableInvalid, 64, said);
    } else {
        notebook.image(
            Code::Qcow2Snapshots,
            60,
            format!("The image holds {} internal snapshot(s).", header.snapshots),
        );
        let least = u64::from(header.snapshots) * SMALLEST_SNAPSHOT;
        reach.include("the snapshot table", header.snapshots_offset, least);
    }
}

/// Tables begin at a cluster and not at the header's.
fn misplaced(what: &str, offset: u64, header: &Header) -> Option<String> {
    if offset == 0 {
        Some(format!("{what} is at byte 0, where the header is."))
    } else if !offset.is_multiple_of(header.cluster_size()) {
        Some(format!("{what} is at byte {offset}, which is not the beginning of a cluster."))
    } else {
        None
    }
}
