//! Cuts segments into blocks of one size, wherever they end.

use super::{BLOCK, WINDOW};
use crate::bytes::Segment;

/// A piece of the input.
pub(super) enum Block {
    /// A whole block of zeros.
    Zeros,
    /// Anything else, and what stands before it.
    Data(Buffer),
}

/// A block with its dictionary before it.
#[derive(Default)]
pub(super) struct Buffer {
    /// The dictionary, then the block.
    pub(super) bytes: Vec<u8>,
    /// Where the block begins.
    pub(super) start: usize,
}

/// A run of the input that is not used up.
struct Rest {
    segment: Segment,
    done: u64,
}

impl Rest {
    fn left(&self) -> u64 {
        self.segment.len() - self.done
    }
}

/// Blocks of what an iterator gives.
pub(super) struct Blocks<I> {
    segments: I,
    rest: Option<Rest>,
    /// The last bytes before the next block, a window at most.
    before: Vec<u8>,
    taken: u64,
}

static ZEROS: [u8; WINDOW] = [0; WINDOW];

impl<I: Iterator<Item = Segment>> Blocks<I> {
    pub(super) fn new(segments: I) -> Self {
        Blocks { segments, rest: None, before: Vec::with_capacity(WINDOW), taken: 0 }
    }

    /// Bytes of the input so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The next block; all but the last are of the same size. `fresh` gives a buffer to fill.
    pub(super) fn next(&mut self, fresh: impl FnOnce() -> Buffer) -> Option<Block> {
        if let Some(rest) = self.refill()
            && matches!(rest.segment, Segment::Zeros(_))
            && rest.left() >= BLOCK as u64
        {
            rest.done += BLOCK as u64;
            return Some(self.zeros());
        }
        self.rest.as_ref()?;
        let mut buffer = fresh();
        buffer.bytes.clear();
        buffer.bytes.extend_from_slice(&self.before);
        buffer.start = self.before.len();
        let full = buffer.start + BLOCK;
        while buffer.bytes.len() < full
            && let Some(rest) = self.refill()
        {
            let want = rest.left().min((full - buffer.bytes.len()) as u64);
            // `want` is at most a block.
            let count = want as usize;
            match &rest.segment {
                Segment::Data(chunk) => {
                    let from = rest.done as usize;
                    buffer.bytes.extend_from_slice(&chunk[from..from + count]);
                }
                Segment::Zeros(_) => buffer.bytes.resize(buffer.bytes.len() + count, 0),
            }
            rest.done += want;
            if rest.left() == 0 {
                // The chunk goes home before the next one is waited for.
                self.rest = None;
            }
        }
        let block = &buffer.bytes[buffer.start..];
        self.taken += block.len() as u64;
        if block.len() == BLOCK && block.chunks(WINDOW).all(|piece| piece == ZEROS) {
            self.taken -= BLOCK as u64;
            return Some(self.zeros());
        }
        self.before.clear();
        self.before.extend_from_slice(&block[block.len().saturating_sub(WINDOW)..]);
        Some(Block::Data(buffer))
    }

    /// Counts a block of zeros.
    fn zeros(&mut self) -> Block {
        self.taken += BLOCK as u64;
        self.before.clear();
        self.before.extend_from_slice(&ZEROS);
        Block::Zeros
    }

    /// The run that is being taken; `None` at the end of the input.
    fn refill(&mut self) -> Option<&mut Rest> {
        while self.rest.as_ref().is_none_or(|rest| rest.left() == 0) {
            self.rest = None;
            self.rest = Some(Rest { segment: self.segments.next()?, done: 0 });
        }
        self.rest.as_mut()
    }
}
