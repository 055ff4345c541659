//! Several readings of one source, held against each other by content.
//!
//! A file is read in several ways while it is checked: forward for its digest, at any offset by whoever examines it.
//! No time stamp tells that the bytes were the same each time: a device has none, and a page that is mapped into
//! memory is written without one. So the source is cut into blocks, and the first reading of a block says what its
//! fingerprint is. Every later one has to have the same, whoever reads, and in whatever order. What is read at an
//! offset is read by whole blocks for it, without their holes. To say of bytes that they are a hole is a reading, too:
//! they are zeros for everybody. Different bytes are [`Kind::Changed`](super::Kind::Changed).
//!
//! Where all of the source was digested, all that was judged is what was digested. Where nothing was digested, in a
//! quick check, it holds for what was read more than once, and no digest says otherwise.
//!
//! These are all readings of a source, and what holds each:
//!
//! | reading | of | held by |
//! | --- | --- | --- |
//! | `LocalReader`: digest, tap of a push, decoder, second scan, what unwraps, `map` and `compare` | file, device | `LocalFile`'s `Agreed` |
//! | `LocalOffsets`, in `FileView`: first and last sector, headers, tables, partitions, packed data, what is decoded again, digest of a disk, `map`, `compare` | file, device | the same |
//! | `LocalOffsets` of a part of a VMDK, by `repack` | file beside a descriptor | an `Agreed` for each part, and its stamps when it was read to its end |
//! | `Stream`, `RemoteReader`: all of it | pipe, URL | nothing else is read: examined, digested and sent are the same buffers; where one answer goes on after another, 4 KiB of both |
//! | `Parts`: what lies behind in the stream of a URL, and `Again`: the same if it is packed | URL | an `Agreed` of its own, which the stream passes too |
//! | `Fetched`: `map` and `compare` of a packed object, from parts or all of it once more | URL | the same |
//! | `RemoteView`: a quick check | URL | nothing is digested; status, range, size and ETag of each answer, and 4 KiB where one lies behind another that is kept |
//! | `Remote::peek`: the first bytes | URL | handed on to the reader, so they are read once |
//! | the spool, what a stream keeps | our own | a file without a name, and memory |
//! | `look`: bytes and picture of a page, after the check | file | the stamps, and fingerprints around the findings |
//!
//! Receipts believe stamps later, where the file system sets them for every change (`project/receipt/subject.rs`).

mod offsets;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use self::offsets::{Offsets, ReadAt};
use super::fingerprint::{Fingerprint, LARGEST};
use super::{Error, Kind};
use crate::bytes::{Hostile, Segment};

/// The smallest block: what the kernel reads at least.
const SMALLEST: u64 = 4096;

/// So many blocks have room in 4 MiB. Those of a large file are larger, so that there are no more; they grow up to
/// [`LARGEST`], which half a TiB has.
const MOST: u64 = 1 << 19;

/// Fingerprints that are stored together: a table has room for what was read, whatever a source claims to have.
const TOGETHER: u64 = 512;

static ZEROS: [u8; SMALLEST as usize] = [0; SMALLEST as usize];

/// What one block had for this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Offset of its first byte.
    at: u64,
    found: u64,
}

/// What the blocks of a source have, as far as they were read.
pub struct Agreed {
    size: u64,
    block: u64,
    /// The fingerprint of a whole block of zeros: holes take no time.
    zeros: u64,
    /// 0 where nothing was read.
    known: Mutex<HashMap<u64, Box<[u64]>>>,
    broken: AtomicBool,
}

impl Agreed {
    /// Of a source of so many bytes, of which nothing was read yet.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let block = (size / MOST).max(1).next_power_of_two().clamp(SMALLEST, LARGEST as u64);
        let mut zeros = Fingerprint::default();
        for _ in 0..block / SMALLEST {
            zeros.update(&ZEROS);
        }
        Agreed {
            size,
            block,
            zeros: zeros.finish(),
            known: Mutex::default(),
            broken: AtomicBool::new(false),
        }
    }

    /// Whether a reading met other bytes than an earlier one.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// What is known of the blocks in which these bytes are, for a later opening of the same source.
    #[must_use]
    pub fn known(&self, bytes: impl Iterator<Item = u64>) -> Vec<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Known> = bytes
            .filter(|at| *at < self.size)
            .filter_map(|at| {
                let number = at / self.block;
                let page = known.get(&(number / TOGETHER))?;
                let found = page[(number % TOGETHER) as usize];
                (found != 0).then_some(Known { at: number * self.block, found })
            })
            .collect();
        all.dedup();
        all
    }

    /// Holds all readings against what an earlier opening of the source met, too.
    pub fn expect(&self, known: &[Known]) {
        for block in known {
            self.agree(block.at, block.found);
        }
    }

    /// The block in which this byte is.
    fn around(&self, at: u64) -> Range<u64> {
        let start = at - at % self.block;
        start..start.saturating_add(self.block).min(self.size)
    }

    /// Says what a reading found in the block that begins at `at`.
    fn agree(&self, at: u64, found: u64) -> bool {
        let number = at / self.block;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let page = known
            .entry(number / TOGETHER)
            .or_insert_with(|| vec![0; TOGETHER as usize].into_boxed_slice());
        let known = &mut page[(number % TOGETHER) as usize];
        if *known == 0 {
            *known = found;
        }
        let same = *known == found;
        if !same {
            self.broken.store(true, Ordering::Release);
        }
        same
    }
}

/// A reading from the first byte to the last, in runs.
#[derive(Default)]
pub struct Passing {
    at: u64,
    block: Fingerprint,
}

impl Passing {
    /// Takes the next run; false if some of what it ends was other bytes for another reading.
    pub fn take(&mut self, agreed: &Agreed, run: &Segment) -> bool {
        match run {
            Segment::Data(chunk) => self.bytes(agreed, chunk),
            Segment::Zeros(len) => self.zeros(agreed, *len),
        }
    }

    /// The same, of bytes.
    pub fn bytes(&mut self, agreed: &Agreed, mut bytes: &[u8]) -> bool {
        let mut same = true;
        while !bytes.is_empty() {
            let block = agreed.around(self.at);
            let left = block.end.saturating_sub(self.at);
            if left == 0 {
                // It is longer than it was.
                agreed.broken.store(true, Ordering::Release);
                return false;
            }
            let (now, later) = bytes.split_at(left.min(bytes.len() as u64) as usize);
            self.block.update(now);
            self.at += now.len() as u64;
            if self.at >= block.end {
                same &= agreed.agree(block.start, std::mem::take(&mut self.block).finish());
            }
            bytes = later;
        }
        same
    }

    fn zeros(&mut self, agreed: &Agreed, mut len: u64) -> bool {
        let mut same = true;
        while len > 0 && same {
            let block = agreed.around(self.at);
            let now = if self.at == block.start && len >= agreed.block && block.end < agreed.size {
                same = agreed.agree(self.at, agreed.zeros);
                self.at = block.end;
                agreed.block
            } else {
                // All but the last piece at once, which may end the block.
                let most = len.min(block.end.saturating_sub(self.at).saturating_sub(SMALLEST));
                let skipped = self.block.zeros(most as usize) as u64;
                self.at += skipped;
                let rest = (len - skipped).min(SMALLEST);
                same = self.bytes(agreed, &ZEROS[..rest as usize]);
                skipped + rest
            };
            len -= now;
        }
        same
    }

    /// What is missing of a block that has begun.
    pub(super) fn open(&self, agreed: &Agreed) -> Range<u64> {
        let block = agreed.around(self.at);
        match self.at > block.start {
            true => self.at..block.end.max(self.at),
            false => self.at..self.at,
        }
    }

    /// Says that what is missing of a block cannot be read any more, so that nobody knows.
    pub(super) fn fail(agreed: &Agreed) {
        agreed.broken.store(true, Ordering::Release);
    }
}

/// A reading from the first byte to the last that fails where it meets other bytes than another one.
pub struct Against {
    passing: Passing,
    agreed: Arc<Agreed>,
    subject: Hostile,
}

impl Against {
    /// A reading of what is called `subject`, held against those that `agreed` knows.
    #[must_use]
    pub fn new(agreed: Arc<Agreed>, subject: Hostile) -> Self {
        Against { passing: Passing::default(), agreed, subject }
    }

    /// Takes the next run.
    ///
    /// # Errors
    /// [`Kind::Changed`] if some of what it ends was other bytes for another reading.
    pub fn take(&mut self, run: &Segment) -> Result<(), Error> {
        match self.passing.take(&self.agreed, run) {
            true => Ok(()),
            false => Err(Error::of(Kind::Changed, &self.subject)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_while_it_passes_is_not_the_same() {
        let agreed = Agreed::new(5000);
        assert!(!Passing::default().take(&agreed, &Segment::Zeros(5001)));
        assert!(agreed.is_broken());
    }

    #[test]
    fn no_size_makes_it_large() {
        for size in [0, 1, 100_000_000_000, 1 << 40, u64::MAX] {
            let agreed = Agreed::new(size);
            assert!(agreed.block <= LARGEST as u64 && agreed.block >= SMALLEST);
            assert!(agreed.known.lock().unwrap().is_empty());
        }
        assert_eq!(Agreed::new(2 << 30).block, 4096);
        assert_eq!(Agreed::new(100_000_000_000).block, 256 << 10);
    }
}
