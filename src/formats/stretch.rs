//! Packed clusters and grains of a stream, which are unpacked while more of the stream is read.
//!
//! What is found of one is written down when as much more was read as may wait. That is the same with any number of
//! threads, so that they do not decide how far a stream is read behind what settles the verdict.

use std::collections::VecDeque;

use super::disk::Packed;
use super::packed::{Unpacker, fetch, judge};
use super::unpackers::Unpackers;
use super::{Got, Halt, ImageView, Missing};
use crate::facts::{Left, Notebook};

/// Packed bytes that wait at most, where more than two of the largest clusters fit into them.
const MOST_WAITING: usize = 2 << 20;

/// Clusters that wait at most, however small they are.
const MOST_CLUSTERS: usize = 64;

/// How many such clusters wait at most. Packed data takes at most twice what it unpacks to.
fn most(packed: &Packed) -> usize {
    (MOST_WAITING / (2 * packed.largest().max(1))).clamp(2, MOST_CLUSTERS)
}

/// What was read of a stream and waits to be judged.
pub(super) struct Stretch {
    unpackers: Unpackers,
    /// What waits, in order, each with the bytes that it has to unpack to at least.
    waiting: VecDeque<(Packed, u64)>,
    /// For what the image cuts off.
    unpacker: Unpacker,
    /// Why not all was unpacked.
    left: Option<Left>,
}

impl Stretch {
    /// Unpacks on so many threads.
    pub(super) fn new(threads: usize) -> Self {
        Stretch {
            unpackers: Unpackers::new(threads),
            waiting: VecDeque::new(),
            unpacker: Unpacker::default(),
            left: None,
        }
    }

    /// Reads what the view has reached. Damage in it, or that it unpacks to fewer than `least` bytes, goes into the
    /// notebook.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub(super) fn read(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        packed: Packed,
        least: u64,
    ) -> Result<(), Halt> {
        let mut input = self.unpackers.input();
        let got = match fetch(view, &packed, &mut input) {
            Ok(got) => got,
            Err(halt) => {
                self.settle(notebook);
                return Err(halt);
            }
        };
        if got != Got::Bytes(packed.longest()) {
            self.settle(notebook);
            let missing = self.unpacker.finish(view, notebook, &packed, (got, &mut input))?;
            let have = self.unpacker.bytes.len();
            self.note(notebook, &packed, missing, (have, least));
            return Ok(());
        }
        while self.waiting.len() >= most(&packed) {
            self.judge(notebook);
        }
        self.unpackers.put(packed.clone(), input);
        self.waiting.push_back((packed, least));
        Ok(())
    }

    /// Judges all that waits.
    pub(super) fn settle(&mut self, notebook: &Notebook<'_>) {
        while !self.waiting.is_empty() {
            self.judge(notebook);
        }
    }

    /// Judges the first that waits.
    fn judge(&mut self, notebook: &Notebook<'_>) {
        let Some((packed, least)) = self.waiting.pop_front() else { return };
        let Some(piece) = self.unpackers.take() else { return };
        let missing = judge(&packed, piece.outcome, None, notebook);
        self.note(notebook, &packed, missing, (piece.bytes.len(), least));
        self.unpackers.give_back(piece.bytes);
    }

    fn note(
        &mut self,
        notebook: &Notebook<'_>,
        packed: &Packed,
        missing: Option<Missing>,
        (have, least): (usize, u64),
    ) {
        match missing {
            Some(Missing::Behind) => self.leave(Left::PackedBehind),
            Some(missing) => self.leave(missing.into()),
            None if !packed.has_enough(have, least, notebook) => self.leave(Left::DiskUnreadable),
            None => {}
        }
    }

    /// Says that not all was unpacked.
    pub(super) fn leave(&mut self, left: Left) {
        self.left = Some(left.or_graver(self.left));
    }

    /// Whether all was unpacked, or why not.
    pub(super) fn result(&self) -> Result<(), Left> {
        self.left.map_or(Ok(()), Err)
    }
}
