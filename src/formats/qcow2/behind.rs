//! What the active disk maps behind its own end: data, if its size is wrong, or the state of a machine.

use super::entry::Entry;
use super::header::Header;
use crate::bytes::human_size;
use crate::facts::{Code, Notebook};

/// The first bytes of a machine's state (`QEMU_VM_FILE_MAGIC`).
pub(super) const STATE: &[u8] = b"QEVM";

/// Clusters behind the end of the disk that entries map.
///
/// Whoever shrinks a disk takes its clusters away (`qcow2_co_truncate`, `block/qcow2.c`). A state of a machine lies
/// behind the last L2 table of the disk (`l1_vm_state_index`), and returning to a snapshot copies its entries into the
/// active L1 table, where they stay.
#[derive(Default)]
pub(super) struct Behind {
    /// In the last L2 table of the disk.
    in_table: u64,
    /// In L2 tables behind it.
    in_tables: u64,
    /// Whether those hold the state of a machine, as far as can be known.
    is_state: bool,
    /// Where the first of them is on the disk, and the entry that maps it in the image.
    first: Option<(u64, u64)>,
    /// Where the last of them ends on the disk.
    end: u64,
}

impl Behind {
    /// Counts what the entry at image offset `at` maps to this byte of the disk. True if the state of a machine
    /// would begin there.
    pub(super) fn add(&mut self, header: &Header, guest: u64, entry: &Entry, at: u64) -> bool {
        if guest < header.size || !entry.is_compressed() && !entry.is_stored() {
            return false;
        }
        let state = header.size.div_ceil(header.l2_covers()).saturating_mul(header.l2_covers());
        match guest < state {
            true => self.in_table += 1,
            false => self.in_tables += 1,
        }
        if self.first.is_none_or(|(first, _)| guest < first) {
            self.first = Some((guest, at));
        }
        self.end = self.end.max(guest.saturating_add(header.cluster_size()));
        guest == state
    }

    /// Says that the state of a machine is there, or may be.
    pub(super) fn is_state(&mut self) {
        self.is_state = true;
    }

    /// Writes down what is behind the end.
    pub(super) fn judge(&self, header: &Header, notebook: &Notebook<'_>) {
        let clusters = self.in_table + if self.is_state { 0 } else { self.in_tables };
        let Some((guest, at)) = self.first.filter(|_| clusters > 0) else { return };
        let bytes = human_size(clusters.saturating_mul(header.cluster_size()));
        let end = match self.is_state {
            true => String::new(),
            false => format!(", the last of them up to byte {}", self.end),
        };
        notebook.image(Code::Qcow2ClustersBehindDisk, at, format!(
            "The disk has {} bytes, but L2 entries map {clusters} clusters ({bytes}) behind its end, the first to byte {guest} of the disk{end}.",
            header.size));
    }
}
