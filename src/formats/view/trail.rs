//! What a stream keeps behind its position.

use std::collections::VecDeque;

use crate::bytes::Segment;

/// Copies of the last bytes that were let go, so that no buffer of a pool is held for them.
#[derive(Default)]
pub(super) struct Trail {
    /// Image offset behind its last byte.
    end: u64,
    bytes: VecDeque<u8>,
    /// Bytes before the position of the reader that are kept.
    pub(super) len: u64,
}

impl Trail {
    /// Takes a run that is let go while the reader is at `at`.
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

    /// Forgets all bytes; how many are kept stays.
    pub(super) fn clear(&mut self) {
        (self.bytes, self.end) = (VecDeque::new(), 0);
    }

    fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// Copies what it has from image offset `at` on, and says how many bytes that were.
    pub(super) fn copy(&self, at: u64, buf: &mut [u8]) -> usize {
        let Some(skip) = at.checked_sub(self.start()).and_then(|skip| usize::try_from(skip).ok())
        else {
            return 0;
        };
        let (first, second) = self.bytes.as_slices();
        let parts = [first.get(skip..), second.get(skip.saturating_sub(first.len())..)]
            .map(Option::unwrap_or_default);
        let mut have = 0;
        for part in parts {
            let count = part.len().min(buf.len() - have);
            buf[have..have + count].copy_from_slice(&part[..count]);
            have += count;
        }
        have
    }
}
