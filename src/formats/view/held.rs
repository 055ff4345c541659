//! What a stream holds of what came by: all from one image offset up to the last byte that it read.

use std::collections::VecDeque;

use super::trail::Trail;
use crate::bytes::Segment;

/// Bytes before the position that a stream keeps: trailers, the backup GPT and the marks of a RAID live in the last
/// ones.
const KEPT_BEHIND: u64 = (128 << 10) + 1024;

/// The most that a stream keeps behind its position on request: a table of the largest cluster, the
/// cluster before it, and one that reaches over it.
const MOST_LOOKED_BACK: u64 = 8 << 20;

/// The last runs of a stream, and copies of what came before them. Positions are image offsets up to which the stream's
/// reader has got; they never go back until all is forgotten.
#[derive(Default)]
pub(super) struct Held {
    /// Runs that were read, oldest first, each with its image offset.
    runs: VecDeque<(u64, Segment)>,
    /// What came before the runs, as far as somebody looks back for it.
    trail: Trail,
    /// Image offset up to which bytes may have been let go before somebody looked back for them.
    gone: u64,
}

impl Held {
    /// Image offset from which on everything that was read is held while the reader is at `at`. It depends on what was asked
    /// for, not on how long the runs are, so more may be held.
    pub(super) fn from(&self, at: u64) -> u64 {
        at.saturating_sub(KEPT_BEHIND.max(self.trail.len)).max(self.gone)
    }

    /// Holds `len` bytes before the position from now on, as far as that is allowed. What was let go before stays
    /// away.
    pub(super) fn look_back(&mut self, len: u64, at: u64) {
        self.gone = self.from(at);
        self.trail.len = self.trail.len.max(len.min(MOST_LOOKED_BACK));
    }

    /// Takes the next run, which begins at image offset `start`, where the last one ended.
    pub(super) fn push(&mut self, start: u64, segment: Segment) {
        self.runs.push_back((start, segment));
    }

    /// Lets go of what is not wanted any more by a reader at `at`.
    pub(super) fn let_go(&mut self, at: u64) {
        let behind = at.saturating_sub(KEPT_BEHIND);
        while self.runs.front().is_some_and(|(start, segment)| start + segment.len() <= behind) {
            if let Some((start, segment)) = self.runs.pop_front()
                && self.trail.len > 0
            {
                self.trail.take(start, &segment, at);
            }
        }
    }

    /// Forgets everything but how far to look back, because the image is read from its beginning again.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.trail.clear();
        self.gone = 0;
    }

    /// Copies what is held from image offset `at` on. Of `buf`, so many bytes were filled; the rest was not touched.
    #[must_use]
    pub(super) fn copy(&self, at: u64, buf: &mut [u8]) -> usize {
        let mut have = self.trail.copy(at, buf);
        for (start, segment) in &self.runs {
            let Some(skip) = (at + have as u64).checked_sub(*start) else { break };
            let count = segment.len().saturating_sub(skip).min((buf.len() - have) as u64) as usize;
            let target = &mut buf[have..have + count];
            match segment {
                _ if count == 0 => {}
                Segment::Zeros(_) => target.fill(0),
                Segment::Data(chunk) => {
                    target.copy_from_slice(&chunk[skip as usize..skip as usize + count]);
                }
            }
            have += count;
        }
        have
    }
}
