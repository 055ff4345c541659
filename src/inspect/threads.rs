//! The threads beside the examiner's: one reads the file, others digest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Scope, ScopedJoinHandle};

use super::digest::sha256;
use crate::bytes::{Pool, Segment};
use crate::formats::{Trailer, trailer};
use crate::source::{self, Read};

/// Buffers for the file where it is decoded or examined as it comes by: large, because every hand-over
/// costs, and enough for the head of an image that is kept.
pub(super) const FILE_BUFFER: usize = 1 << 20;
pub(super) const FILE_BUFFERS: usize = 5;

/// The same for a packed file, whose decoder takes what it needs of the next ones. Two are held at most, for its first bytes.
const PACKED_BUFFER: usize = 256 << 10;

/// Buffers for a file that is only digested: few and small, so that they stay in the cache between the
/// cores. That takes a fifth less time.
pub(super) const DIGEST_BUFFER: usize = 256 << 10;
pub(super) const DIGEST_BUFFERS: usize = 3;

/// Bytes at the end of the file that are remembered: the last sector has trailers, and what is before it may be the end of
/// a zip archive.
const LAST: usize = super::marks::LAST;

/// What the reader's thread says at the end.
pub(super) struct Delivered {
    /// Bytes of the file, holes included.
    pub(super) bytes: u64,
    /// Bytes that were not holes.
    pub(super) read: u64,
    /// The last bytes of the file, [`LAST`] at most.
    pub(super) last: Vec<u8>,
    /// Whether it came to the end of the file.
    pub(super) whole: bool,
}

/// The buffers of a stream.
pub(super) fn stream_pool() -> Pool {
    Pool::new(FILE_BUFFERS, FILE_BUFFER)
}

/// Those of a packed file.
pub(super) fn packed_pool() -> Pool {
    Pool::new(FILE_BUFFERS, PACKED_BUFFER)
}

/// Bytes after which a file has nothing to do with an image under the limit: packing adds far less
/// than a 64th to what cannot be packed.
pub(super) fn longest_file(limit: u64) -> u64 {
    limit.saturating_add(limit / 64 + (1 << 20))
}

pub(super) type Reader<'scope> = ScopedJoinHandle<'scope, Result<Delivered, source::Error>>;
pub(super) type Digester<'scope> = ScopedJoinHandle<'scope, [u8; 32]>;

/// Who gets what is read.
pub(super) struct Outputs {
    /// Somebody without whom reading makes no sense.
    pub(super) needed: Option<Sender<Segment>>,
    /// Those who may stop listening, until nobody is left.
    pub(super) others: Vec<Sender<Segment>>,
}

impl From<Vec<Sender<Segment>>> for Outputs {
    fn from(others: Vec<Sender<Segment>>) -> Self {
        Outputs { needed: None, others }
    }
}

impl Outputs {
    fn are_left(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether to go on.
    fn take(&mut self, segment: &Segment) -> bool {
        self.others.retain(|output| output.send(segment.clone()).is_ok());
        self.needed.as_ref().is_none_or(|output| output.send(segment.clone()).is_ok())
    }
}

/// Reads a file to everybody in `outputs`, until it ends, nobody listens, or `most` bytes have come.
/// `ended` is set at the end of the file, before the channels close.
pub(super) fn deliver<'scope>(
    threads: &'scope Scope<'scope, '_>,
    mut reader: impl Read + 'scope,
    mut pool: Pool,
    mut outputs: Outputs,
    ended: Arc<AtomicBool>,
    most: u64,
) -> Reader<'scope> {
    threads.spawn(move || {
        let mut delivered = Delivered { bytes: 0, read: 0, last: Vec::new(), whole: false };
        while delivered.bytes < most && outputs.are_left() {
            let Some(segment) = reader.next(&mut pool)? else {
                delivered.whole = reader.is_whole();
                ended.store(delivered.whole, Ordering::Release);
                break;
            };
            delivered.bytes += segment.len();
            match &segment {
                Segment::Data(chunk) => {
                    delivered.read += chunk.len() as u64;
                    remember(&mut delivered.last, chunk);
                }
                Segment::Zeros(len) => {
                    remember(&mut delivered.last, &[0; LAST][..LAST.min(*len as usize)])
                }
            }
            if !outputs.take(&segment) {
                break;
            }
        }
        Ok(delivered)
    })
}

/// Keeps the last bytes of what has come so far.
fn remember(last: &mut Vec<u8>, bytes: &[u8]) {
    last.extend_from_slice(&bytes[bytes.len().saturating_sub(LAST)..]);
    let surplus = last.len().saturating_sub(LAST);
    last.drain(..surplus);
}

/// Digests what is sent to the channel that is returned.
pub(super) fn digest<'scope>(
    threads: &'scope Scope<'scope, '_>,
    seen: impl FnMut(u64) + Send + 'scope,
) -> (Sender<Segment>, Digester<'scope>) {
    let (sender, receiver) = channel();
    (sender, threads.spawn(move || sha256(&receiver, seen)))
}

/// Whether the file ends in a UDIF trailer.
pub(super) fn is_dmg(delivered: &Delivered) -> bool {
    delivered.whole && trailer(&delivered.last) == Some(Trailer::Dmg)
}

/// The result of a thread; its panic goes on here.
pub(super) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_bytes() {
        let mut last = Vec::new();
        remember(&mut last, &[1; LAST - 200]);
        remember(&mut last, &[2; 300]);
        assert_eq!(last.len(), LAST);
        assert_eq!((last[0], last[LAST - 301], last[LAST - 300]), (1, 1, 2));
        remember(&mut last, &[3; LAST + 488]);
        assert_eq!(last, [3; LAST]);
    }
}
