//! What is decoded before its turn.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::super::workers::Workers;
use super::block::{Block, Blocks, Fail, LONGEST};
use super::scan::{Hint, Scanner};

/// Places that may wait for a thread, however many look like blocks.
const MOST_HINTS: usize = 1 << 10;

/// Bytes that a thread is given behind the place at which the next block seems to begin: the end of a block may look like the
/// beginning of one.
const BEHIND: usize = 8;

/// Threads at most, however many there are: each needs 7 MB for its block and has 4 MB of file and of blocks that wait, and
/// a check may take 256 MB.
const MOST_THREADS: usize = 18;

/// So many blocks are decoded although they are none, before nothing more is decoded ahead. By chance there is one in 2^48
/// bits, and somebody who plants them could have threads work without an end.
const MOST_THROWN_AWAY: u32 = 32;

/// What comes of a job.
pub(super) type Decoded = Result<Block, Fail>;

/// Bytes, the bit at which what may be a block begins, and memory for it.
pub(super) type Job = (Vec<u8>, usize, Vec<u8>);

fn workers(count: usize) -> Workers<Job, Decoded> {
    Workers::new(count, "bzip2", || {
        let mut blocks = Blocks::default();
        move |(bytes, bit, spent): Job| blocks.decode(&bytes, bit, spent)
    })
}

/// Places that look like blocks, and threads that decode them.
pub(super) struct Ahead {
    threads: usize,
    scanner: Scanner,
    /// Bytes of the window that were scanned.
    scanned: usize,
    /// What was found and not given to a thread, in the order of the file.
    hints: VecDeque<Hint>,
    /// What was, by the bit of the file at which it begins.
    jobs: VecDeque<(u64, Receiver<Decoded>)>,
    /// Started when there is something to do.
    workers: Option<Workers<Job, Decoded>>,
    /// Blocks that were given to a thread and were none.
    thrown_away: u32,
    /// Blocks that were given out: their memory is that of the next ones, so that little of it lies about unused.
    spent: Vec<Vec<u8>>,
}

/// What is known of the block at some place.
pub(super) enum Early {
    /// It was decoded; its end is counted from the beginning of its first byte.
    Done(Decoded),
    /// Somebody is at it.
    Later,
    /// Nobody is.
    Nobody,
}

impl Ahead {
    /// With threads that were started already, and blocks that were given out.
    pub(super) fn new(
        threads: usize,
        workers: Option<Workers<Job, Decoded>>,
        spent: Vec<Vec<u8>>,
    ) -> Self {
        Ahead {
            threads: threads.min(MOST_THREADS),
            scanner: Scanner::default(),
            scanned: 0,
            hints: VecDeque::new(),
            jobs: VecDeque::new(),
            workers,
            thrown_away: 0,
            spent,
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Looks through what has come into the window, which begins at byte `base` of the file.
    pub(super) fn look(&mut self, window: &[u8], base: u64) {
        let hints = &mut self.hints;
        self.scanned = self.scanner.scan(window, self.scanned, |bit, is_block| {
            let hint = Hint { bit: base * 8 + bit as u64, is_block };
            // Most are found twice. What is left out is decoded in its turn.
            if hints.len() < MOST_HINTS && hints.back().is_none_or(|last| last.bit < hint.bit) {
                hints.push_back(hint);
            }
        });
    }

    /// The first bytes of the window are gone.
    pub(super) fn forget(&mut self, bytes: usize) {
        self.scanned = self.scanned.saturating_sub(bytes);
    }

    /// The parser came to this bit of the file; the window begins at byte `base`.
    pub(super) fn pass(&mut self, at: u64, base: u64) {
        while self.hints.front().is_some_and(|hint| hint.bit < at) {
            self.hints.pop_front();
        }
        while self.jobs.front().is_some_and(|(bit, _)| *bit < at) {
            self.jobs.pop_front();
            self.thrown_away += 1;
        }
        self.scanned = self.scanned.max((at / 8 - base) as usize);
    }

    /// Whether anything seems to begin after this bit.
    pub(super) fn is_anything_after(&self, at: u64) -> bool {
        let last =
            self.hints.back().map(|hint| hint.bit).max(self.jobs.back().map(|(bit, _)| *bit));
        last.is_some_and(|last| last > at)
    }

    /// Gives threads what they can do. What seems to be the last block is one only if nothing more comes for now.
    pub(super) fn start(&mut self, window: &[u8], base: u64, urgent: bool) {
        let looks_ahead = self.threads > 1 && self.thrown_away < MOST_THROWN_AWAY;
        while looks_ahead && self.jobs.len() < 2 * self.threads {
            let Some(&hint) = self.hints.front() else { return };
            let from = (hint.bit / 8 - base) as usize;
            let next = self.hints.get(1).map(|next| (next.bit / 8 - base) as usize + BEHIND);
            let whole = next.is_some() || urgent || window.len() - from >= LONGEST;
            // One block alone is decoded here.
            if !whole || self.workers.is_none() && self.hints.len() < 3 {
                return;
            }
            self.hints.pop_front();
            if !hint.is_block {
                continue;
            }
            let to = next.unwrap_or(from + LONGEST).min(window.len());
            let workers = self.workers.get_or_insert_with(|| workers(self.threads));
            let spent = self.spent.pop().unwrap_or_default();
            let job = (window[from..to].to_vec(), hint.bit as usize % 8, spent);
            let result = workers.start(job);
            self.jobs.push_back((hint.bit, result));
        }
    }

    /// Lets go of the threads, and of blocks that were given out.
    pub(super) fn let_go(&mut self) -> (Option<Workers<Job, Decoded>>, Vec<Vec<u8>>) {
        (self.workers.take(), std::mem::take(&mut self.spent))
    }

    /// Memory for a block.
    pub(super) fn spent(&mut self) -> Vec<u8> {
        self.spent.pop().unwrap_or_default()
    }

    /// The bytes of a block are not needed any more.
    pub(super) fn give_back(&mut self, block: Vec<u8>) {
        if self.spent.len() < 2 * self.threads {
            self.spent.push(block);
        }
    }

    /// What is known of the block at this bit; `wait` for whoever is at it.
    pub(super) fn take(&mut self, at: u64, wait: bool) -> Early {
        let Some((_, result)) = self.jobs.front().filter(|(bit, _)| *bit == at) else {
            return Early::Nobody;
        };
        let early = match wait {
            true => result.recv().map_or(Early::Nobody, Early::Done),
            false => match result.try_recv() {
                Ok(result) => Early::Done(result),
                Err(TryRecvError::Empty) => return Early::Later,
                Err(TryRecvError::Disconnected) => Early::Nobody,
            },
        };
        self.jobs.pop_front();
        early
    }

    /// How many blocks were decoded that were none, and how many may be.
    #[cfg(test)]
    pub(super) fn thrown_away(&self) -> (u32, u32) {
        (self.thrown_away, MOST_THROWN_AWAY + 2 * self.threads as u32)
    }

    /// Has threads of this fate.
    #[cfg(test)]
    pub(super) fn doom(&mut self, threads: usize, fate: super::super::workers::Fate) {
        self.workers = Some(Workers::new(threads, "bzip2", move || {
            let mut blocks = Blocks::default();
            fate.of(move |(bytes, bit, spent): Job| blocks.decode(&bytes, bit, spent))
        }));
    }
}
