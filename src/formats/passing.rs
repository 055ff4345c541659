//! Packed clusters and grains of an image that streams by, unpacked as they pass.
//!
//! A walk over tables says where packed data is; most of it lies ahead then. It waits in a bounded queue
//! until the stream gets there. What lies behind already is read when the image comes by again; what has no place in the
//! queue waits for another round, in which the tables are walked once more.

use std::collections::BTreeSet;

use super::disk::Packed;
use super::stretch::Stretch;
use super::{Halt, ImageView};
use crate::facts::{Left, Notebook};

/// Clusters or grains that wait, ahead and behind together: 4 MiB. A walk in the order in which images
/// are written has those of one table at a time, and of an image under the limit these are never as many.
const MOST_WAITING: usize = 1 << 17;

/// What is packed and waits for its turn.
pub(super) struct Passing {
    /// All of it is like this, at other places.
    like: Packed,
    /// How many may wait.
    most: usize,
    stretch: Stretch,
    /// Image offset and length of what is still to come.
    ahead: BTreeSet<(u64, u32)>,
    /// What has passed already.
    behind: BTreeSet<(u64, u32)>,
    last: Option<(u64, u32)>,
    /// Image offset from which on this round unpacks.
    from: u64,
    /// Image offset from which on there was no place in this round.
    full: Option<u64>,
}

impl Passing {
    /// An empty queue of whole clusters that are packed like this one, which so many threads unpack.
    pub(super) fn new(like: Packed, threads: usize) -> Self {
        Passing {
            like: Packed { skip: 0, ..like },
            most: MOST_WAITING,
            stretch: Stretch::new(threads),
            ahead: BTreeSet::new(),
            behind: BTreeSet::new(),
            last: None,
            from: 0,
            full: None,
        }
    }

    /// Wants the packed data that takes at most `len` bytes from image offset `at` on.
    pub(super) fn want(&mut self, view: &dyn ImageView, at: u64, len: u64) {
        let one = (at, u32::try_from(len).unwrap_or(u32::MAX));
        let other_round = at < self.from || self.full.is_some_and(|full| at >= full);
        if other_round || self.last.replace(one) == Some(one) {
            return;
        }
        match at >= view.at_hand() {
            true => self.ahead.insert(one),
            false => self.behind.insert(one),
        };
        if self.ahead.len() + self.behind.len() > self.most {
            // The next round begins with the last of them. So few lengths are possible for each offset that it gets on.
            let last = self.ahead.last().max(self.behind.last()).copied();
            self.full = last.map(|(at, _)| at);
            last.map(|last| self.ahead.remove(&last) || self.behind.remove(&last));
        }
    }

    /// Image offset of what comes next; `None` if nothing more is to come in this scan of the image.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.ahead.first().map(|(at, _)| *at)
    }

    /// Reads what comes next, to be unpacked; damage goes into the notebook, that of the last ones when it is settled.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub(super) fn take(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
    ) -> Result<(), Halt> {
        if let Some((at, len)) = self.ahead.pop_first() {
            let packed = Packed { at, len: u64::from(len), ..self.like.clone() };
            self.stretch.read(view, notebook, packed, 0)?;
        }
        Ok(())
    }

    /// Makes sure that all that was taken is unpacked, before anything else is found.
    pub(super) fn settle(&mut self, notebook: &Notebook<'_>) {
        self.stretch.settle(notebook);
    }

    /// Says that the image comes by once more: what was behind is ahead. False if nothing was.
    pub(super) fn turn(&mut self) -> bool {
        let any = !self.behind.is_empty();
        self.ahead.append(&mut self.behind);
        any
    }

    /// Begins another round for what had no place, in which all tables have to be walked again. False if nothing is left, or
    /// if the image cannot be read as often.
    pub(super) fn next_round(&mut self, view: &dyn ImageView) -> bool {
        let Some(from) = self.full.take() else { return false };
        if view.scans_left() == 0 {
            self.stretch.leave(Left::PackedTooMany);
            return false;
        }
        (self.from, self.last) = (from, None);
        true
    }

    /// Whether all was unpacked that was wanted, or why not.
    pub(super) fn result(&self) -> Result<(), Left> {
        self.stretch.result()
    }
}
