//! What is decoded before its turn: pieces from the middle of the file.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::super::workers::Workers;
use super::guess::Guesser;
use super::piece::{Piece, Run};

/// Bytes of the file that are a piece. To find where it begins takes as long for a short one, and what many threads decode has to
/// stay within the memory of a check.
pub(super) fn piece(threads: usize) -> usize {
    if threads <= 4 { 2 * SHORT_PIECE } else { SHORT_PIECE }
}

/// The same where others need the memory.
const SHORT_PIECE: usize = 128 << 10;

/// Threads at most, however many there are: 24 and what waits take 50 MB, and what is given out has to be summed in one place.
const MOST_THREADS: usize = 24;

/// Pieces that were of no use after which the longest pause comes, by doubling. One that was of use makes up for half of them.
const MOST_MISSES: u32 = 6;

/// A piece, and the bit at which it ends.
type Job = (usize, Piece);

fn workers(count: usize) -> Workers<Job, Piece> {
    Workers::new(count, "gzip", || {
        let mut guesser = Guesser::default();
        move |(end, piece): Job| guesser.decode(end, piece)
    })
}

/// A piece that begins at a byte of the file.
struct Early {
    at: u64,
    state: State,
    /// Whether the one who decodes in turn has come to it, and whether any of it was of use.
    reached: bool,
    hit: bool,
}

enum State {
    Running(Receiver<Piece>),
    Done(Piece),
}

impl State {
    /// Whether a thread is at it, or is going to be.
    fn is_running(&mut self) -> bool {
        let State::Running(receiver) = self else { return false };
        match receiver.try_recv() {
            Ok(piece) => *self = State::Done(piece),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => {}
        }
        false
    }

    /// Waits until it is done; nothing if its thread is gone.
    fn wait(&mut self) -> Option<&mut Piece> {
        if let State::Running(receiver) = self {
            *self = State::Done(receiver.recv().ok()?);
        }
        match self {
            State::Done(piece) => Some(piece),
            State::Running(_) => None,
        }
    }
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
    /// Bytes that are left to the one who decodes in turn, after a row of pieces. It follows from who waits for whom.
    gap: usize,
    /// Pieces since the last gap.
    row: usize,
    /// Pieces that were of no use, of late.
    misses: u32,
    /// Buffers.
    spare: Vec<Piece>,
    workers: Option<Workers<Job, Piece>>,
    /// Pieces that were of use.
    #[cfg(test)]
    pub(super) hits: usize,
}

impl Ahead {
    /// `threads` are beside the one that decodes in turn.
    pub(super) fn new(threads: usize, piece: usize) -> Self {
        // With many threads, what they have decoded is all that can be given out.
        let gap = match threads {
            1 => piece * 3 / 2,
            2 => piece,
            3 => piece / 2,
            _ => 0,
        };
        Ahead {
            threads: threads.min(MOST_THREADS),
            piece,
            gap,
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
        2 * self.gap + (self.threads + 2) * self.piece + self.behind()
    }

    /// Bytes that a thread is given behind a piece, for the block at its end.
    fn behind(&self) -> usize {
        self.piece / 2
    }

    /// Gives the threads what they can do. The window begins at byte `base` of the file; what is before byte `at` was decoded.
    pub(super) fn start(&mut self, window: &[u8], base: u64, at: u64) {
        let least = at + self.gap.max(self.piece / 2) as u64;
        if self.next < at {
            // Nobody was fast enough, or much of the file was of no use.
            let pause = (self.piece as u64) << self.misses;
            self.next = least + if self.misses > 1 { pause } else { 0 };
            self.row = 0;
        }
        while self.pieces.len() <= self.threads {
            let from = (self.next - base) as usize;
            let Some(bytes) = window.get(from..from + self.piece + self.behind()) else { return };
            let workers = self.workers.get_or_insert_with(|| workers(self.threads));
            let mut piece = self.spare.pop().unwrap_or_default();
            piece.input.clear();
            piece.input.extend_from_slice(bytes);
            let state = State::Running(workers.start((self.piece * 8, piece)));
            self.pieces.push_back(Early { at: self.next, state, reached: false, hit: false });
            self.next += self.piece as u64;
            self.row += 1;
            if self.row == self.threads {
                self.row = 0;
                self.next += self.gap as u64;
            }
        }
    }

    /// The piece that has a run from this bit of the file on, which is then its first one. What is before this bit is not needed any more.
    pub(super) fn at(&mut self, bit: u64) -> Option<&Piece> {
        while let Some(early) = self.pieces.front_mut() {
            let from = bit.checked_sub(early.at * 8)? as usize;
            let (first, waited) = (!early.reached, early.state.is_running());
            early.reached = true;
            if let Some(piece) = early.state.wait() {
                while piece.run().is_some_and(|run| run.from < from) {
                    piece.pass();
                }
                let next = piece.run().map(|run| run.from);
                early.hit |= next == Some(from);
                if first {
                    self.balance(waited);
                }
                match next {
                    Some(next) if next > from => return None,
                    Some(_) => break,
                    None => {}
                }
            }
            self.drop_first();
        }
        self.first().map(|(piece, ..)| piece)
    }

    /// Leaves less to the one who waited, or more to threads without anything to do.
    fn balance(&mut self, waited: bool) {
        let step = self.piece / 16;
        if waited {
            self.gap = (self.gap + step).min(2 * self.piece);
        } else if self.pieces.back_mut().is_some_and(|last| !last.state.is_running()) {
            self.gap = self.gap.saturating_sub(step);
        }
    }

    /// The first piece, its first run, and the byte of the file at which the piece begins.
    pub(super) fn first(&self) -> Option<(&Piece, Run, u64)> {
        let early = self.pieces.front()?;
        match &early.state {
            State::Done(piece) => Some((piece, piece.run()?, early.at)),
            State::Running(_) => None,
        }
    }

    /// The first run of the first piece was used.
    pub(super) fn pass(&mut self) {
        if let Some(Early { state: State::Done(piece), .. }) = self.pieces.front_mut() {
            piece.pass();
            if piece.run().is_none() {
                self.drop_first();
            }
        }
    }

    /// Lets the first piece go, and lends its buffers again.
    fn drop_first(&mut self) {
        let Some(early) = self.pieces.pop_front() else { return };
        if early.hit {
            self.misses /= 2;
            #[cfg(test)]
            {
                self.hits += 1;
            }
        } else {
            self.misses = MOST_MISSES.min(self.misses + 1);
        }
        if let State::Done(piece) = early.state
            && piece.input.len() <= self.piece + self.behind()
        {
            self.spare.push(piece);
        }
    }

    /// Takes short pieces from now on.
    pub(super) fn save_memory(&mut self) {
        if self.piece > SHORT_PIECE {
            self.gap = self.gap * SHORT_PIECE / self.piece;
            self.piece = SHORT_PIECE;
            self.spare.clear();
        }
    }

    /// Has threads of this fate.
    #[cfg(test)]
    pub(super) fn doom(&mut self, threads: usize, fate: super::super::workers::Fate) {
        self.workers = Some(Workers::new(threads, "gzip", move || {
            let mut guesser = Guesser::default();
            fate.of(move |(end, piece): Job| guesser.decode(end, piece))
        }));
    }
}
