//! Readings at any offset: by whole blocks, each of which has to agree with what others read of it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::{Agreed, Passing, SMALLEST};
use crate::source::Error;
use crate::source::fingerprint::Fingerprint;

/// Blocks that are kept.
const KEPT: usize = 4;

/// Something that can be read at any offset.
pub trait ReadAt {
    /// Fills all of `buf` from byte `at`; the source has them.
    ///
    /// # Errors
    /// If it cannot be read.
    fn fill(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Error>;

    /// For how many bytes from `at` on there is a hole, or none: holes are not read.
    fn run(&mut self, at: u64) -> (u64, bool) {
        (u64::MAX - at, false)
    }

    /// The error of a source that has other bytes by now.
    fn changed(&self, at: u64) -> Error;
}

/// A block that was read.
struct Block {
    at: u64,
    /// Where its bytes begin; before and behind them it has zeros.
    begin: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// What it has of these bytes, without the zeros around; empty if that is nothing.
    fn part(&self, wanted: &Range<u64>) -> (u64, &[u8]) {
        let end = self.begin + self.bytes.len() as u64;
        let from = wanted.start.clamp(self.begin, end);
        let to = wanted.end.clamp(from, end);
        (from, &self.bytes[(from - self.begin) as usize..(to - self.begin) as usize])
    }

    fn copy(&self, at: u64, buf: &mut [u8]) {
        buf.fill(0);
        let (from, bytes) = self.part(&(at..at + buf.len() as u64));
        if !bytes.is_empty() {
            buf[(from - at) as usize..][..bytes.len()].copy_from_slice(bytes);
        }
    }

    fn is_zeros(&self, wanted: Range<u64>) -> bool {
        self.part(&wanted).1.iter().all(|&byte| byte == 0)
    }
}

/// Readings at any offset, by whole blocks that agree with all other readings.
pub struct Offsets<S> {
    source: S,
    agreed: Arc<Agreed>,
    /// The blocks that were used last, the last one at the end.
    kept: VecDeque<Block>,
    /// Bytes that were in no hole when somebody asked last.
    data: Range<u64>,
}

impl<S: ReadAt> Offsets<S> {
    /// Readings of `source`, held against those that `agreed` knows.
    pub fn new(source: S, agreed: Arc<Agreed>) -> Self {
        Offsets { source, agreed, kept: VecDeque::with_capacity(KEPT), data: 0..0 }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.agreed.size
    }

    /// Fills `buf` from byte `at`; less only at the end.
    ///
    /// # Errors
    /// If the source cannot be read, or has other bytes than it had for another reading.
    pub fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let want = self.agreed.size.saturating_sub(at).min(buf.len() as u64) as usize;
        let mut have = 0;
        while have < want {
            let from = at + have as u64;
            let left = &mut buf[have..want];
            let block = self.agreed.around(from);
            let end = from + left.len() as u64;
            if from == block.start && end >= block.end {
                // All blocks that have room, and the last one if the source ends there.
                let last = self.agreed.around(end);
                let until = if end == self.agreed.size { end } else { last.start };
                let left = &mut left[..(until - from) as usize];
                self.read(from, left)?;
                have += (until - from) as usize;
            } else {
                let count = (block.end - from).min(left.len() as u64) as usize;
                self.block(block)?.copy(from, &mut left[..count]);
                have += count;
            }
        }
        Ok(want)
    }

    /// For how many bytes from `at` on there is a hole, or none. To say so is a reading of zeros like any other.
    ///
    /// # Errors
    /// If the source cannot be read, or has other bytes than it had for another reading.
    pub fn run_at(&mut self, at: u64) -> Result<(u64, bool), Error> {
        let (len, hole) = self.source.run(at);
        let end = at.saturating_add(len).min(self.agreed.size);
        let mut from = at;
        while hole && from < end {
            let block = self.agreed.around(from);
            let until = block.end.min(end);
            if block == (from..until) && until - from == self.agreed.block {
                if !self.agreed.agree(from, self.agreed.zeros) {
                    return Err(self.source.changed(from));
                }
            } else {
                if !self.block(block)?.is_zeros(from..until) {
                    // There is no hole any more.
                    break;
                }
            }
            from = until;
        }
        Ok(match from - at {
            0 => (len, false),
            zeros => (zeros, true),
        })
    }

    fn block(&mut self, block: Range<u64>) -> Result<&Block, Error> {
        let known = self.kept.iter().position(|known| known.at == block.start);
        let known = match known.and_then(|index| self.kept.remove(index)) {
            Some(known) => known,
            None => self.load(&block)?,
        };
        self.kept.push_back(known);
        Ok(&self.kept[self.kept.len() - 1])
    }

    /// Reads a block from its first data to its last: around them, a large one is a hole.
    fn load(&mut self, block: &Range<u64>) -> Result<Block, Error> {
        let mut bytes = match self.kept.len() {
            KEPT => self.kept.pop_front().map(|old| old.bytes).unwrap_or_default(),
            _ => Vec::new(),
        };
        bytes.clear();
        let mut begin = block.end;
        let mut passing = Passing { at: block.start, block: Fingerprint::default() };
        while passing.at < block.end {
            let from = passing.at;
            let (run, hole) = self.run_known(from);
            let run = run.clamp(1, block.end - from);
            let same = if hole {
                passing.zeros(&self.agreed, run)
            } else {
                begin = begin.min(from);
                bytes.resize((from - begin + run) as usize, 0);
                let now = &mut bytes[(from - begin) as usize..];
                self.source.fill(from, now)?;
                passing.bytes(&self.agreed, now)
            };
            if !same {
                return Err(self.source.changed(from));
            }
        }
        Ok(Block { at: block.start, begin, bytes })
    }

    /// Reads whole blocks. What is a hole of a large one is zeros without being read.
    fn read(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Error> {
        let mut passing = Passing { at, block: Fingerprint::default() };
        let mut left = buf;
        while !left.is_empty() {
            let from = passing.at;
            let (run, hole) = self.run_known(from);
            let (now, later) = left.split_at_mut(run.clamp(1, left.len() as u64) as usize);
            let same = if hole {
                now.fill(0);
                passing.zeros(&self.agreed, now.len() as u64)
            } else {
                self.source.fill(from, now)?;
                passing.bytes(&self.agreed, now)
            };
            if !same {
                return Err(self.source.changed(from));
            }
            left = later;
        }
        Ok(())
    }

    /// For how many bytes from `at` on there is a hole, or none that has to be known.
    fn run_known(&mut self, at: u64) -> (u64, bool) {
        if self.agreed.block == SMALLEST {
            return (u64::MAX, false);
        }
        if self.data.contains(&at) {
            return (self.data.end - at, false);
        }
        let (run, hole) = self.source.run(at);
        if !hole {
            self.data = at..at.saturating_add(run);
        }
        (run, hole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Hostile, Pool, Segment};
    use crate::source::Kind;

    /// Bytes that somebody may change between two readings.
    struct Bytes<'b>(&'b [u8]);

    impl ReadAt for Bytes<'_> {
        fn fill(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Error> {
            buf.copy_from_slice(&self.0[at as usize..at as usize + buf.len()]);
            Ok(())
        }

        fn changed(&self, at: u64) -> Error {
            Error { offset: Some(at), ..Error::of(Kind::Changed, &Hostile::from("bytes")) }
        }
    }

    fn noise(len: usize) -> Vec<u8> {
        (0..len as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }

    /// Lets bytes pass in runs of these lengths; every third run of zeros is a hole.
    fn pass(agreed: &Agreed, passing: &mut Passing, mut bytes: &[u8], lengths: &[usize]) -> bool {
        let mut pool = Pool::new(1, 1 << 20);
        let mut same = true;
        for len in lengths.iter().cycle() {
            if bytes.is_empty() {
                break;
            }
            let (now, later) = bytes.split_at((*len).min(bytes.len()));
            same &= if now.iter().all(|&byte| byte == 0) {
                passing.take(agreed, &Segment::Zeros(now.len() as u64))
            } else {
                let mut chunk = pool.take();
                chunk.space()[..now.len()].copy_from_slice(now);
                chunk.grow(now.len());
                passing.take(agreed, &Segment::Data(Arc::new(chunk)))
            };
            bytes = later;
        }
        same
    }

    #[test]
    fn readings_of_the_same_bytes_agree_however_they_are_cut() {
        for size in [1, 511, 4096, 4097, 300_000, 1_000_003] {
            let mut bytes = noise(size);
            bytes[size / 3..size / 2].fill(0);
            for lengths in [&[1 << 20][..], &[4096], &[1000, 70_000, 3], &[100_000]] {
                let agreed = Arc::new(Agreed::new(size as u64));
                let mut offsets = Offsets::new(Bytes(&bytes), Arc::clone(&agreed));
                let (early, late) = bytes.split_at(size / 2);
                let mut passing = Passing::default();
                let mut look = |at: usize, len: usize| {
                    let mut buf = vec![0xee; len];
                    let count = offsets.read_at(at as u64, &mut buf).unwrap();
                    assert_eq!(count, len.min(size.saturating_sub(at)));
                    assert!(buf[..count] == bytes[at.min(size)..(at + len).min(size)]);
                };
                look(0, 512);
                look(size / 4, size);
                assert!(pass(&agreed, &mut passing, early, lengths));
                look(size / 5, 10);
                look(size - 1, 10);
                assert!(pass(&agreed, &mut passing, late, lengths));
                for turn in 0..50 {
                    look(turn * 7919 % size, turn * 331);
                }
                assert!(passing.open(&agreed).is_empty());
                assert!(!agreed.is_broken());
            }
        }
    }

    #[test]
    fn one_byte_that_changes_between_two_readings_is_met() {
        let size = 100_000;
        let before = noise(size);
        for at in [0, 4095, 4096, 50_000, 98_304, size - 1] {
            let mut after = before.clone();
            after[at] ^= 1;
            let look = |agreed: &Arc<Agreed>, bytes: &[u8]| {
                Offsets::new(Bytes(bytes), Arc::clone(agreed)).read_at(at as u64, &mut [0])
            };
            // Looked at before the stream comes by, and after.
            let agreed = Arc::new(Agreed::new(size as u64));
            look(&agreed, &before).unwrap();
            assert!(!pass(&agreed, &mut Passing::default(), &after, &[10_000]));
            assert!(agreed.is_broken());
            let agreed = Arc::new(Agreed::new(size as u64));
            assert!(pass(&agreed, &mut Passing::default(), &before, &[10_000]));
            let error = look(&agreed, &after).unwrap_err();
            assert_eq!((error.kind, error.offset), (Kind::Changed, Some(at as u64 / 4096 * 4096)));
            assert!(agreed.is_broken());
            // Looked at twice, and passed twice.
            let agreed = Arc::new(Agreed::new(size as u64));
            look(&agreed, &before).unwrap();
            look(&agreed, &after).unwrap_err();
            let agreed = Arc::new(Agreed::new(size as u64));
            assert!(pass(&agreed, &mut Passing::default(), &before, &[10_000]));
            assert!(!pass(&agreed, &mut Passing::default(), &after, &[10_000]));
        }
    }

    #[test]
    fn holes_are_zeros() {
        let size = 3 << 20;
        let zeros = vec![0; size];
        let mut other = zeros.clone();
        other[size - 5000] = 1;
        for (bytes, same) in [(&zeros, true), (&other, false)] {
            let agreed = Arc::new(Agreed::new(size as u64));
            assert!(Passing::default().take(&agreed, &Segment::Zeros(size as u64)));
            let mut offsets = Offsets::new(Bytes(bytes), Arc::clone(&agreed));
            assert_eq!(offsets.read_at(1000, &mut vec![0; size]).is_ok(), same);
        }
    }

    /// Bytes of which all but one part is a hole, and how many of them were read.
    struct Sparse {
        data: Range<u64>,
        value: u8,
        read: u64,
    }

    impl ReadAt for &mut Sparse {
        fn fill(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Error> {
            self.read += buf.len() as u64;
            for (at, byte) in (at..).zip(buf) {
                *byte = if self.data.contains(&at) { self.value } else { 0 };
            }
            Ok(())
        }

        fn run(&mut self, at: u64) -> (u64, bool) {
            match () {
                () if at < self.data.start => (self.data.start - at, true),
                () if at < self.data.end => (self.data.end - at, false),
                () => (u64::MAX - at, true),
            }
        }

        fn changed(&self, at: u64) -> Error {
            Bytes(&[]).changed(at)
        }
    }

    #[test]
    fn holes_of_large_blocks_are_not_read() {
        let size = 100_000_000_000;
        let at = 50_000_000_000 / 4096 * 4096;
        let mut sparse = Sparse { data: at..at + 4096, value: 7, read: 0 };
        let agreed = Arc::new(Agreed::new(size));
        let mut buf = [0; 600];
        let mut offsets = Offsets::new(&mut sparse, Arc::clone(&agreed));
        offsets.read_at(at + 4000, &mut buf).unwrap();
        assert!(buf[..96] == [7; 96] && buf[96..] == [0; 504]);
        assert_eq!(sparse.read, 4096);
        // It is the same block for whoever reads all of it.
        let block = agreed.around(at);
        let mut passing = Passing { at: block.start, block: Fingerprint::default() };
        assert!(passing.zeros(&agreed, at - block.start));
        assert!(passing.bytes(&agreed, &[7; 4096]));
        assert!(passing.zeros(&agreed, block.end - at - 4096));
        assert!(!agreed.is_broken());
    }

    #[test]
    fn what_was_said_to_be_a_hole_has_no_bytes_later() {
        for size in [40_000, 1 << 40] {
            for at in [0, 5000, size / 2, size - 1] {
                let agreed = Arc::new(Agreed::new(size));
                let mut sparse = Sparse { data: size..size, value: 7, read: 0 };
                let mut offsets = Offsets::new(&mut sparse, Arc::clone(&agreed));
                // Of the large one so much that it is seen here.
                let most = 8 << 20;
                let from = at.saturating_sub(most / 2);
                let seen = agreed.size.min(from + most);
                offsets.source.data = seen..size;
                assert_eq!(offsets.run_at(from).unwrap(), (seen - from, true));
                let mut other = Sparse { data: at..at + 1, value: 7, read: 0 };
                let mut offsets = Offsets::new(&mut other, Arc::clone(&agreed));
                assert!(offsets.read_at(at, &mut [0]).is_err(), "{size} {at}");
            }
        }
    }
}
