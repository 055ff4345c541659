//! What a thread has made of a piece of the file, which it decoded before it was known what comes before.

use super::super::inflate::{Buffer, Symbol, WINDOW};

/// Symbols from this one on stand for a place in the 32 KiB before the piece.
pub(super) const PLACE: u16 = 1 << 15;

/// Blocks that follow each other within one member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Bits of the piece at which the first one begins and the last one ends.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Whether the last one is the last of its member.
    pub(super) ends: bool,
    /// Where its symbols end among those of the piece.
    pub(super) made: usize,
}

/// A piece of the file, and what it was decoded to: a run of each member of which it has a part.
#[derive(Default)]
pub(super) struct Piece {
    /// Bytes of the file.
    pub(super) input: Vec<u8>,
    pub(super) runs: Vec<Run>,
    /// Runs that were passed.
    passed: usize,
    /// What the first run begins with: bytes, and places before it.
    pub(super) marked: Made<u16>,
    /// Bytes behind these.
    pub(super) plain: Made<u8>,
}

/// Symbols in a buffer, behind the 32 KiB before them.
#[derive(Default)]
pub(super) struct Made<S: Symbol> {
    pub(super) buffer: Buffer<S>,
    pub(super) len: usize,
}

impl<S: Symbol> Made<S> {
    fn symbols(&self) -> &[S] {
        &self.buffer[WINDOW..WINDOW + self.len]
    }
}

impl Piece {
    /// Forgets what was decoded.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.passed = 0;
        (self.marked.len, self.plain.len) = (0, 0);
    }

    /// How many symbols it was decoded to.
    pub(super) fn made(&self) -> usize {
        self.marked.len + self.plain.len
    }

    /// The first run of those that were not passed.
    pub(super) fn run(&self) -> Option<Run> {
        self.runs.get(self.passed).copied()
    }

    /// Passes it.
    pub(super) fn pass(&mut self) {
        self.passed += 1;
    }

    /// Where its symbols begin.
    pub(super) fn begin(&self) -> usize {
        self.passed.checked_sub(1).map_or(0, |before| self.runs[before].made)
    }

    /// Whether it may have symbols that stand for places before it.
    pub(super) fn is_marked(&self) -> bool {
        self.begin() < self.marked.len
    }

    /// Writes the bytes of these symbols, as many as there is room for; how many that are.
    pub(super) fn write(&self, from: usize, to: usize, places: &Places, out: &mut [u8]) -> usize {
        let count = out.len().min(to - from);
        let symbols = self.marked.symbols().get(from..).unwrap_or_default();
        let (marked, plain) = out[..count].split_at_mut(count.min(symbols.len()));
        for (byte, &symbol) in marked.iter_mut().zip(symbols) {
            *byte = places.0[usize::from(symbol)];
        }
        if !plain.is_empty() {
            let from = from + marked.len() - self.marked.len;
            plain.copy_from_slice(&self.plain.symbols()[from..from + plain.len()]);
        }
        count
    }

    /// The last 32 KiB up to the end of the first run, of which these are `before` it.
    pub(super) fn last(&self, before: &[u8], places: &Places) -> Vec<u8> {
        let (begin, to) = (self.begin(), self.run().map_or(0, |run| run.made));
        let from = begin.max(to.saturating_sub(WINDOW));
        let kept = before.len().min(WINDOW - (to - from));
        let mut last = before[before.len() - kept..].to_vec();
        last.resize(kept + to - from, 0);
        self.write(from, to, places, &mut last[kept..]);
        last
    }
}

/// The byte for each symbol.
pub(super) struct Places(Box<[u8; 1 << 16]>);

impl Default for Places {
    fn default() -> Self {
        let mut values = Box::new([0; 1 << 16]);
        for (value, byte) in values.iter_mut().zip(0..=u8::MAX) {
            *value = byte;
        }
        Places(values)
    }
}

impl Places {
    /// Places are those of these 32 KiB.
    pub(super) fn set(&mut self, before: &[u8; WINDOW]) {
        self.0[usize::from(PLACE)..].copy_from_slice(before);
    }
}
