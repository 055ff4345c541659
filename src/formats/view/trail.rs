//! What a stream keeps behind its position.

use std::collections::VecDeque;

use crate::bytes::Segment;

/// Copies of the last bytes that were let go, so that no buffer of a pool is held for them.
#[derive(Default)]
pub(super) struct Trail {
    /// Image offset behind its last byte.
    pub(super) end: u64,
    pub(super) bytes: VecDeque<u8>,
    /// Bytes before the position of the view that are kept.
    pub(super) len: u64,
}

impl Trail {
    /// Takes a run that is let go while the view is at `at`.
    pub(super) fn take(&mut self, start: u64, segment: &Segment, at: u64) {
        let end = start + segment.len();
        let from = at.saturating_sub(self.len).clamp(start, end);
        match segment {
            Segment::Data(chunk) => self.bytes.extend(&chunk[(from - start) as usize..]),
            // At most `len` bytes.
            Segment::Zeros(_) => self.bytes.resize(self.bytes.len() + (end - from) as usize, 0),
        }
        self.end = end;
        let excess = at.saturating_sub(self.len).saturating_sub(self.start());
        self.bytes.drain(..self.bytes.len().min(excess as usize));
    }

    pub(super) fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// Copies what it has of a range.
    pub(super) fn copy(&self, at: u64, buf: &mut [u8]) {
        let from = at.max(self.start());
        let to = (at + buf.len() as u64).min(self.end);
        let (first, second) = self.bytes.as_slices();
        for (start, have) in [(self.start(), first), (self.end - second.len() as u64, second)] {
            let (from, to) = (from.max(start), to.min(start + have.len() as u64));
            if from < to {
                buf[(from - at) as usize..(to - at) as usize]
                    .copy_from_slice(&have[(from - start) as usize..(to - start) as usize]);
            }
        }
    }
}
