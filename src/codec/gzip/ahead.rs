//! What is decoded before its turn: pieces from the middle of a member.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;

use super::super::inflate::{Guesser, Piece};
use super::super::workers::Workers;

/// Bytes of the file that are a piece.
pub(super) const PIECE: usize = 128 << 10;

/// Threads at most, however many there are: 24 and what waits take 77 MB, and what is given out has to be summed in one place.
const MOST_THREADS: usize = 24;

/// Pieces that were of no use after which the longest pause comes, by doubling.
const MOST_MISSES: u32 = 6;

/// Bytes of the file, the bit at which the piece ends, and buffers for it.
type Job = (Vec<u8>, usize, Piece);

fn workers(count: usize) -> Workers<Job, Option<Piece>> {
    Workers::new(count, "gzip", || {
        let mut guesser = Guesser::default();
        move |(bytes, end, piece): Job| guesser.decode(&bytes, end, piece)
    })
}

/// A piece that begins at or behind a byte of the file.
struct Early {
    at: u64,
    state: State,
}

enum State {
    Running(Receiver<Option<Piece>>),
    Done(Piece),
}

/// Threads and what they decode.
pub(super) struct Ahead {
    threads: usize,
    /// Bytes of the file that are a piece.
    piece: usize,
    /// In the order of the file.
    pieces: VecDeque<Early>,
    /// Byte of the file at which the next piece begins.
    next: u64,
    /// Pieces since the last gap.
    row: usize,
    misses: u32,
    /// Buffers.
    spare: Vec<Piece>,
    workers: Option<Workers<Job, Option<Piece>>>,
    /// Pieces that were of use.
    #[cfg(test)]
    pub(super) hits: usize,
}

impl Ahead {
    /// `threads` are beside the one that decodes in turn.
    pub(super) fn new(threads: usize, piece: usize) -> Self {
        Ahead {
            threads: threads.min(MOST_THREADS),
            piece,
            pieces: VecDeque::new(),
            next: piece as u64 / 2,
            row: 0,
            misses: 0,
            spare: Vec::new(),
            workers: None,
            #[cfg(test)]
            hits: 0,
        }
    }

    /// Bytes that the window has to have for all threads to have something to do.
    pub(super) fn needed(&self) -> usize {
        2 * self.gap() + (self.threads + 2) * self.piece + self.behind()
    }

    /// Bytes that are left to the one who decodes in turn, after a row of pieces. With many threads, what they have decoded
    /// is all that it can give out.
    fn gap(&self) -> usize {
        match self.threads {
            1 => self.piece * 3 / 2,
            2 => self.piece,
            3 => self.piece / 2,
            _ => 0,
        }
    }

    /// Bytes that a thread is given behind a piece, for the block at its end.
    fn behind(&self) -> usize {
        self.piece / 2
    }

    /// Gives the threads what they can do. The window begins at byte `base` of the file; what is before byte `at` was decoded.
    pub(super) fn start(&mut self, window: &[u8], base: u64, at: u64) {
        let least = at + self.gap().max(self.piece / 2) as u64;
        if self.next < at {
            // Nobody was fast enough, or much of the file was of no use.
            let pause = (self.piece as u64) << self.misses.min(MOST_MISSES);
            self.next = least + if self.misses > 1 { pause } else { 0 };
            self.row = 0;
        }
        while self.pieces.len() <= self.threads {
            let from = (self.next - base) as usize;
            let Some(bytes) = window.get(from..from + self.piece + self.behind()) else { return };
            let workers = self.workers.get_or_insert_with(|| workers(self.threads));
            let piece = self.spare.pop().unwrap_or_default();
            let running = State::Running(workers.start((bytes.to_vec(), self.piece * 8, piece)));
            self.pieces.push_back(Early { at: self.next, state: running });
            self.next += self.piece as u64;
            self.row += 1;
            if self.row == self.threads {
                self.row = 0;
                self.next += self.gap() as u64;
            }
        }
    }

    /// The piece that begins at this bit of the file, and the bit at which it ends.
    pub(super) fn take(&mut self, bit: u64) -> Option<(Piece, u64)> {
        while let Some(early) = self.pieces.front_mut() {
            let base = early.at * 8;
            if bit < base {
                return None;
            }
            if let State::Running(receiver) = &early.state
                && let Ok(Some(piece)) = receiver.recv()
            {
                early.state = State::Done(piece);
            }
            if let State::Done(piece) = &early.state
                && base + piece.from as u64 > bit
            {
                return None;
            }
            match self.pieces.pop_front()?.state {
                State::Done(piece) if base + piece.from as u64 == bit => {
                    self.misses = 0;
                    #[cfg(test)]
                    {
                        self.hits += 1;
                    }
                    let to = base + piece.to as u64;
                    return Some((piece, to));
                }
                State::Done(piece) => {
                    self.misses += 1;
                    self.give_back(piece);
                }
                State::Running(_) => self.misses += 1,
            }
        }
        None
    }

    /// Lends the buffers of a piece again.
    pub(super) fn give_back(&mut self, piece: Piece) {
        self.spare.push(piece);
    }

    /// Lets all threads be gone, as if they had panicked.
    #[cfg(test)]
    pub(super) fn lose_threads(&mut self) {
        self.workers = Some(workers(0));
    }
}
