//! Several connections at once, in order.
//!
//! The object is cut into pieces. Each connection takes the next piece that nobody has, as long as it
//! lies within a window before the reader; the reader takes the bytes of the first piece as they come. Each piece begins
//! with the last bytes of the one before, which the reader holds against those that it took. If it turns out that the
//! pieces may not belong together, one connection goes on.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use super::link::{Link, is_of_parts};
use super::seam::{SEAM, Tail};
use super::single::{Single, Taken};
use super::{First, Notify};
use crate::bytes::Chunk;
use crate::net::{Answer, Failure, Kind, Retry};
use crate::source::{self, Error};

/// Bytes of all pieces in flight, and of what their connections hold themselves.
const ROOM: u64 = 20 << 20;

/// What a connection holds: hyper reads up to 400 KiB ahead, and TLS has its records.
const CONNECTION: u64 = 512 << 10;

/// The pieces have so much room however many connections there are.
const LEAST_WINDOW: u64 = 8 << 20;

/// Pieces are not larger, so that the first bytes after a seek do not wait long, and not smaller, so
/// that requests cost little.
const LARGEST_PIECE: u64 = 4 << 20;
const SMALLEST_PIECE: u64 = 256 << 10;

/// Reads by several connections.
pub(super) struct Window<'r> {
    link: &'r Arc<Link>,
    shared: Arc<Shared>,
    notify: Notify<'r>,
    taken: Taken,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    link: Arc<Link>,
    size: u64,
    /// What a piece has that the one before does not have.
    piece: u64,
    /// Pieces in flight at most.
    most: usize,
    state: Mutex<State>,
    /// Tells the reader that something came.
    news: Condvar,
    /// Tells connections that the reader has moved on.
    room: tokio::sync::Notify,
}

#[derive(Default)]
struct State {
    /// Number of the piece that is first in the queue.
    front: u64,
    /// From the reader's on; every one has a connection, or had it.
    pieces: VecDeque<Piece>,
    /// Buffers of pieces that were read.
    spare: Vec<Vec<u8>>,
    /// Pieces that a connection could not fetch, for the others.
    returned: Vec<u64>,
    /// Connections that fetch, or wait for a piece.
    live: usize,
    retries: Vec<Retry>,
    failed: Option<Error>,
}

struct Piece {
    bytes: Vec<u8>,
    /// How many of its bytes the piece before has, too.
    seam: usize,
    /// How much of it the reader has taken, or need not take.
    taken: usize,
    len: usize,
}

impl Piece {
    /// Bytes that the reader can take.
    fn ready(&self) -> usize {
        self.bytes.len().saturating_sub(self.taken)
    }
}

impl<'r> Window<'r> {
    pub(super) fn new(
        link: &'r Arc<Link>,
        mut first: First,
        size: u64,
        notify: Notify<'r>,
    ) -> Self {
        let connections = link.client.options().connections.clamp(1, 64) as u64;
        // Twice as many as connections, so that one that lags does not stop the others.
        let window = ROOM.saturating_sub(connections * CONNECTION).max(LEAST_WINDOW);
        let piece = (window / (2 * connections + 2)).clamp(SMALLEST_PIECE, LARGEST_PIECE) & !0xffff;
        let most = (window / (piece + SEAM)).max(1) as usize;
        let mut state = State { live: connections as usize, ..State::default() };
        let len = piece.min(size) as usize;
        if first.bytes.len() >= len {
            // More came than the piece has room for.
            first = First::default();
        }
        let begun = first.bytes.len();
        if begun > 0 {
            state.pieces.push_back(Piece { bytes: first.bytes, seam: 0, taken: 0, len });
        }
        let state = Mutex::new(state);
        let shared = Arc::new(Shared {
            link: Arc::clone(link),
            size,
            piece,
            most,
            state,
            news: Condvar::new(),
            room: tokio::sync::Notify::new(),
        });
        let mut first = Some((begun as u64, first.answer));
        let mut tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (begun, answer) = first.take().unwrap_or_default();
                link.client.spawn(connection(Arc::clone(&shared), begun, answer))
            })
            .collect();
        tasks.push(link.client.spawn(cut(Arc::clone(&shared))));
        Window { link, shared, notify, taken: Taken::default(), tasks }
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a piece begins and ends.
    fn part(&self, number: u64) -> Range<u64> {
        let start = number.saturating_mul(self.piece);
        start.saturating_sub(SEAM)..self.size.min(start.saturating_add(self.piece))
    }

    /// Takes the next piece that nobody has; `None` when nothing is to be fetched any more.
    async fn claim(&self) -> Option<u64> {
        loop {
            let room = self.room.notified();
            {
                let mut state = self.lock();
                if state.failed.is_some() || self.link.is_cut() {
                    return None;
                }
                if let Some(number) = state.returned.pop() {
                    return Some(number);
                }
                let number = state.front + state.pieces.len() as u64;
                let start = number.saturating_mul(self.piece);
                // After the last piece it waits, because another connection may return one.
                if start < self.size && state.pieces.len() < self.most {
                    let part = self.part(number);
                    let seam = (start - part.start) as usize;
                    let len = (part.end - part.start) as usize;
                    let mut bytes = state.spare.pop().unwrap_or_default();
                    bytes.clear();
                    bytes.reserve_exact(len);
                    state.pieces.push_back(Piece { bytes, seam, taken: seam, len });
                    return Some(number);
                }
            }
            room.await;
        }
    }

    /// Leaves a piece to the other connections, if there are any.
    fn give_back(&self, number: u64, error: Error) {
        let mut state = self.lock();
        if state.live > 1 && is_of_one_connection(error.kind) {
            state.live -= 1;
            state.returned.push(number);
        } else {
            state.failed.get_or_insert(error);
        }
        drop(state);
        self.news.notify_one();
        self.room.notify_waiters();
    }

    /// Appends to a piece that has not come in full; false if nobody wants it any more.
    fn put(&self, number: u64, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        // The reader goes no further than to the end of a piece that has come in full.
        let index = number - state.front;
        if state.failed.is_some() || self.link.is_cut() {
            return false;
        }
        state.pieces[index as usize].bytes.extend_from_slice(bytes);
        if index == 0 {
            self.news.notify_one();
        }
        true
    }
}

/// Tells everybody when the transfer is cut.
async fn cut(shared: Arc<Shared>) {
    shared.link.wake.notified().await;
    // Whoever is between looking and waiting holds the lock.
    drop(shared.lock());
    shared.news.notify_one();
    shared.room.notify_waiters();
}

/// Fetches piece after piece. Of the first one, so many bytes may be there already, and an answer that
/// goes on after them.
async fn connection(shared: Arc<Shared>, begun: u64, answer: Option<Answer>) {
    let mut first = answer.map(|answer| (begun, answer));
    if begun > 0 && !fetch(&shared, 0, first.take()).await {
        return;
    }
    while let Some(number) = shared.claim().await {
        if !fetch(&shared, number, first.take()).await {
            return;
        }
    }
}

/// Fetches what is missing of a piece; false if no more is wanted. `first` is an answer, and where it goes on.
async fn fetch(shared: &Shared, number: u64, first: Option<(u64, Answer)>) -> bool {
    let Range { start, end } = shared.part(number);
    let (have, had) = {
        let state = shared.lock();
        let bytes = &state.pieces[(number - state.front) as usize].bytes;
        (bytes.len() as u64, Tail::of(bytes))
    };
    let part = start + have..end;
    // Somebody else may have the first piece.
    let answer = first.filter(|(at, _)| *at == part.start).map(|(_, answer)| answer);
    let retried = |retry| {
        shared.lock().retries.push(retry);
        shared.news.notify_one();
    };
    let put = |bytes: &[u8]| shared.put(number, bytes);
    // A server that minds so many connections is not asked again as long as others go on, unless it
    // says when.
    let give_up = |failure: &Failure| {
        let refused = matches!(failure.kind, Kind::Status(_)) && failure.retry_after.is_none();
        refused && shared.lock().live > 1
    };
    match shared.link.fetch(part, had, answer, retried, give_up, put).await {
        Ok(wanted) => wanted,
        Err(error) => {
            shared.give_back(number, error);
            false
        }
    }
}

/// Whether other connections may fare better.
fn is_of_one_connection(kind: source::Kind) -> bool {
    use source::Kind::{Interrupted, Status, TimedOut, Unreachable};
    matches!(kind, Status | Unreachable | TimedOut | Interrupted)
}

/// How a window ends before the object does.
pub(super) enum Ended<'r> {
    /// One connection goes on.
    Alone(Box<Single<'r>>),
    Failed(Error),
}

impl<'r> Window<'r> {
    fn end(&self, error: Error) -> Ended<'r> {
        if !is_of_parts(error.kind) {
            return Ended::Failed(error);
        }
        self.link.go_alone();
        Ended::Alone(Box::new(Single::after(self.link, self.taken.clone(), self.notify)))
    }

    /// Fills a chunk, unless the object ends before.
    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), Ended<'r>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        while !chunk.space().is_empty() && self.taken.bytes < shared.size && !shared.link.is_cut() {
            let retries = std::mem::take(&mut state.retries);
            if !retries.is_empty() {
                drop(state);
                retries.iter().for_each(|retry| (self.notify)(retry));
                state = shared.lock();
                continue;
            }
            let ready = state.pieces.front().map_or(0, Piece::ready);
            if ready == 0 {
                if let Some(error) = state.failed.take() {
                    return Err(self.end(error));
                }
                state = shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let Some(piece) = state.pieces.front_mut() else { continue };
            if piece.taken == piece.seam {
                let (at, seam) = (self.taken.bytes, &piece.bytes[..piece.seam]);
                let held = self.link.hold(&self.taken.tail, piece.seam as u64, seam);
                held.map_err(|failure| Ended::Failed(self.link.error(at, failure)))?;
            }
            let space = chunk.space();
            let count = space.len().min(ready);
            space[..count].copy_from_slice(&piece.bytes[piece.taken..piece.taken + count]);
            piece.taken += count;
            if piece.taken == piece.len {
                state.front += 1;
                if let Some(piece) = state.pieces.pop_front() {
                    state.spare.push(piece.bytes);
                }
                shared.room.notify_waiters();
            }
            // Others need not wait for the digest.
            drop(state);
            self.taken.take(&chunk.space()[..count]);
            chunk.grow(count);
            state = shared.lock();
        }
        Ok(())
    }

    pub(super) fn is_whole(&self) -> bool {
        self.taken.bytes == self.shared.size
    }
}
