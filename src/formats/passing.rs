//! Packed clusters and grains of an image that streams by, unpacked as they pass.
//!
//! A walk over tables says where packed data is; most of it lies ahead then. It waits in a bounded queue
//! until the stream gets there. What lies behind already is read when the image comes by again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::disk::{Method, Packed};
use super::packed::Unpacker;
use super::{Halt, ImageView, Missing};
use crate::facts::{Code, Left, Notebook};

/// Clusters or grains that wait, ahead and behind together: 4 MiB. A walk in the order in which images
/// are written has those of one table at a time.
const MOST_WAITING: usize = 1 << 18;

/// What is packed and waits for its turn. All of it is packed in one way.
pub(super) struct Passing {
    method: Method,
    whole: u64,
    damaged: Code,
    unpacker: Unpacker,
    /// Image offset and length of what is still to come, the next one at the top.
    ahead: BinaryHeap<Reverse<(u64, u32)>>,
    /// What has passed already.
    behind: Vec<(u64, u32)>,
    last: Option<(u64, u32)>,
    /// Why not all was unpacked.
    left: Option<Left>,
}

impl Passing {
    /// An empty queue of clusters or grains of `whole` bytes, which are packed like this; those that
    /// cannot be unpacked are `damaged`.
    pub(super) fn new(method: Method, whole: u64, damaged: Code) -> Self {
        Passing {
            method,
            whole,
            damaged,
            unpacker: Unpacker::default(),
            ahead: BinaryHeap::new(),
            behind: Vec::new(),
            last: None,
            left: None,
        }
    }

    /// Wants the packed data that takes at most `len` bytes from image offset `at` on.
    pub(super) fn want(&mut self, view: &dyn ImageView, at: u64, len: u64) {
        let one = (at, u32::try_from(len).unwrap_or(u32::MAX));
        if self.last.replace(one) == Some(one) {
            return;
        }
        if self.ahead.len() + self.behind.len() >= MOST_WAITING {
            self.leave(Left::PackedTooMany);
        } else if at >= view.at_hand() {
            self.ahead.push(Reverse(one));
        } else {
            self.behind.push(one);
        }
    }

    /// Image offset of what comes next; `None` if nothing more is to come in this scan of the image.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.ahead.peek().map(|Reverse((at, _))| *at)
    }

    /// Reads what comes next and unpacks it; damage goes into the notebook.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub(super) fn take(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
    ) -> Result<(), Halt> {
        if let Some(Reverse((at, len))) = self.ahead.pop() {
            self.unpack(view, notebook, at, u64::from(len))?;
        }
        Ok(())
    }

    /// Unpacks what the view has reached.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub(super) fn unpack(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        at: u64,
        len: u64,
    ) -> Result<(), Halt> {
        let Passing { method, whole, damaged, .. } = *self;
        let packed = Packed { at, len, skip: 0, whole, method, damaged };
        if let Some(missing) = self.unpacker.read(view, notebook, &packed)? {
            self.leave(match missing {
                Missing::Behind => Left::PackedBehind,
                missing => missing.into(),
            });
        }
        Ok(())
    }

    fn leave(&mut self, left: Left) {
        self.left = Some(left.or_graver(self.left));
    }

    /// Says that the image comes by once more: what was behind is ahead. False if nothing was.
    pub(super) fn turn(&mut self) -> bool {
        let any = !self.behind.is_empty();
        self.ahead.extend(self.behind.drain(..).map(Reverse));
        any
    }

    /// Whether all was unpacked that was wanted, or why not.
    pub(super) fn result(&self) -> Result<(), Left> {
        self.left.map_or(Ok(()), Err)
    }
}
