//! What lies behind in a packed file: decoded again from the nearest place that the index has.

use std::collections::VecDeque;
use std::sync::Arc;

use super::spool::Spool;
use crate::bytes::{Pool, Segment};
use crate::codec::{Decoder, Index, Packing, Point, Threads, effort};
use crate::formats::{Halt, Store};
use crate::source::{Kind, Offsets, ReadAt};

/// Bytes of the file that are read at once.
const INPUT: usize = 64 << 10;

/// Bytes of the image that are decoded at once, and how many such pieces are kept: for whoever reads in order, and for whoever
/// reads here and there, when all else is done.
const PIECE: usize = 64 << 10;
const KEPT: usize = 8;
const KEPT_AT_LAST: usize = 80;

/// Places at which decoding can go on, likewise: what was decoded up to there is not decoded once more.
const CURSORS: usize = 1;
const CURSORS_AT_LAST: usize = 8;

/// Whoever reads so much at once reads in order, and does not come back.
const LONG: usize = 256 << 10;

/// So many times the effort of the whole file is granted at last.
const MOST_AT_LAST: u64 = 2;

/// So many times the effort of the whole file is granted to whoever wants something that lies behind.
const MOST: u64 = 6;

/// For the digest of a disk, which can be spooled instead: a disk in order takes one.
const MOST_BEFORE_SPOOL: u64 = 2;

/// Granted in any case, in bytes of the file.
const LEAST: u64 = 16 << 20;

/// How a packed file is decoded again.
#[derive(Clone)]
pub(super) struct How {
    pub(super) packing: Packing,
    /// The threads that decode it first.
    pub(super) threads: Threads,
    pub(super) index: Index,
    /// Whether a temporary file takes over where too much would have to be decoded again and again.
    pub(super) spools: bool,
}

/// An image in a packed file, at any offset that came by.
pub(super) struct Again<S> {
    how: How,
    file: Offsets<S>,
    /// The one that was used last at the end.
    cursors: VecDeque<Cursor>,
    /// What was decoded or read last, the last one at the end.
    recent: VecDeque<Piece>,
    /// Effort so far.
    spent: u64,
    /// The effort that is granted, once somebody has said so, and bytes decoded since.
    ration: Option<u64>,
    again: u64,
    /// Bytes of the image that came by.
    put: u64,
    spool: Option<Spool>,
}

/// Where decoding goes on.
struct Cursor {
    decoder: Box<dyn Decoder>,
    input: Vec<u8>,
    /// Bytes of the input that were taken.
    used: usize,
    /// Byte of the file behind the input.
    file_at: u64,
    /// Image offset of what comes next.
    at: u64,
}

/// A part of the image: bytes, and zeros behind them.
#[derive(Default)]
struct Piece {
    at: u64,
    bytes: Vec<u8>,
    zeros: u64,
}

impl Piece {
    fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64 + self.zeros
    }

    /// Lets go of what lies behind an offset.
    fn cut(&mut self, end: u64) {
        let len = end.saturating_sub(self.at);
        self.bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        self.zeros = self.zeros.min(len - self.bytes.len() as u64);
    }

    /// Copies what it has from an offset on.
    fn copy(&self, at: u64, buf: &mut [u8]) -> usize {
        if at < self.at || at >= self.end() {
            return 0;
        }
        let count = (self.end() - at).min(buf.len() as u64) as usize;
        let bytes = self.bytes.get((at - self.at) as usize..).unwrap_or_default();
        let (data, zeros) = buf[..count].split_at_mut(bytes.len().min(count));
        data.copy_from_slice(&bytes[..data.len()]);
        zeros.fill(0);
        count
    }
}

impl Cursor {
    /// Decodes a piece into the memory of another one; `None` at the end of the file, or where it is damaged.
    fn step<S: ReadAt>(
        &mut self,
        file: &mut Offsets<S>,
        mut piece: Piece,
    ) -> Result<Option<Piece>, Halt> {
        piece.at = self.at;
        piece.bytes.resize(PIECE, 0);
        let (mut made, mut zeros) = (0, 0);
        while made < PIECE && zeros == 0 {
            if self.used == self.input.len() {
                let left = file.size().saturating_sub(self.file_at).min(INPUT as u64) as usize;
                self.input.resize(left, 0);
                file.read_at(self.file_at, &mut self.input)?;
                (self.used, self.file_at) = (0, self.file_at + left as u64);
            }
            let last = self.input.is_empty();
            // Its damage was written down when it came by first, if anybody has seen so much of it.
            let Ok(step) = self.decoder.decode(&self.input[self.used..], &mut piece.bytes[made..])
            else {
                break;
            };
            self.used += step.taken;
            (made, zeros) = (made + step.made, step.zeros);
            if last && made < PIECE && zeros == 0 {
                break;
            }
        }
        piece.bytes.truncate(made);
        piece.zeros = zeros;
        self.at = piece.end();
        Ok((piece.end() > piece.at).then_some(piece))
    }
}

impl<S: ReadAt> Again<S> {
    pub(super) fn new(how: How, file: Offsets<S>) -> Self {
        let recent = VecDeque::with_capacity(KEPT);
        Again {
            how,
            file,
            cursors: VecDeque::new(),
            recent,
            spent: 0,
            ration: None,
            again: 0,
            put: 0,
            spool: None,
        }
    }

    /// After so many bytes of the image came by.
    pub(super) fn after(self, put: u64) -> Self {
        Again { put, ..self }
    }

    /// The effort that is granted.
    fn most(&self) -> u64 {
        if let Some(ration) = self.ration {
            return ration;
        }
        let times = if self.how.spools { MOST_BEFORE_SPOOL } else { MOST };
        effort(self.file.size(), self.put).saturating_mul(times).saturating_add(LEAST)
    }

    fn open(&self, point: Option<&Point>) -> Cursor {
        // A decoder that is still at work needs them, and a few blocks of bzip2 are large.
        let free = self.how.threads.are_free();
        let threads = if free { self.how.threads.clone() } else { Threads::new(1) };
        let decoder = match point {
            Some(point) => point.decoder(&threads),
            None => self.fresh(&threads),
        };
        let file_at = point.map_or(0, Point::byte);
        let at = point.map_or(0, Point::image);
        Cursor { decoder, input: Vec::new(), used: 0, file_at, at }
    }

    fn fresh(&self, threads: &Threads) -> Box<dyn Decoder> {
        match self.how.packing.decoder(threads, None) {
            Some(decoder) => decoder,
            // Nobody keeps an index of what is not packed.
            None => unreachable!("{:?} has no decoder", self.how.packing),
        }
    }

    /// Whether what is read now is the last that is read of the image.
    fn is_last(&self) -> bool {
        self.ration.is_some()
    }

    /// The nearest place before an image offset at which decoding can go on.
    fn nearest(&mut self, at: u64) -> Cursor {
        let from = self.how.index.start(at)..=at;
        let near = (0..self.cursors.len()).filter(|&index| from.contains(&self.cursors[index].at));
        let near = near.max_by_key(|&index| self.cursors[index].at);
        if let Some(cursor) = near.and_then(|index| self.cursors.remove(index)) {
            return cursor;
        }
        let most = if self.is_last() { CURSORS_AT_LAST } else { CURSORS };
        if self.cursors.len() >= most {
            self.cursors.pop_front();
        }
        self.open(self.how.index.before(at).as_ref())
    }

    /// Decodes one more piece on the way to an image offset; false if there is none, because the file is damaged there.
    fn approach(&mut self, at: u64) -> Result<bool, Halt> {
        let mut cursor = self.nearest(at);
        let kept = if self.is_last() { KEPT_AT_LAST } else { KEPT };
        let spare = match self.recent.len() >= kept {
            true => self.recent.pop_front().unwrap_or_default(),
            false => Piece::default(),
        };
        let before = cursor.file_at;
        let Some(piece) = cursor.step(&mut self.file, spare)? else { return Ok(false) };
        self.spent += effort(cursor.file_at - before, piece.end() - piece.at);
        self.again += piece.end() - piece.at;
        // On the way to a place, nobody wants what comes by: it goes first. At last, what is read next may be near.
        match piece.end() > at || self.is_last() {
            true => self.recent.push_back(piece),
            false => self.recent.push_front(piece),
        }
        self.cursors.push_back(cursor);
        Ok(true)
    }

    /// Copies from an image offset on what is at hand of it; `in_order` if what was read is not read again.
    fn copy(&mut self, at: u64, buf: &mut [u8], in_order: bool) -> usize {
        let pieces = self.recent.iter().enumerate().rev();
        let mut copied = pieces.map(|(index, piece)| (index, piece.copy(at, buf)));
        let Some((index, count)) = copied.find(|&(_, count)| count > 0) else { return 0 };
        if self.is_last()
            && let Some(piece) = self.recent.remove(index)
        {
            match in_order && piece.end() <= at + count as u64 {
                true => self.recent.push_front(piece),
                false => self.recent.push_back(piece),
            }
        }
        count
    }

    /// Decodes all that came by once more, into a temporary file, unless the file is damaged there.
    fn spool(&mut self) -> Result<Option<Spool>, Halt> {
        self.cursors.clear();
        self.recent.clear();
        let mut spool = Spool::new()?;
        let mut cursor = self.open(None);
        let mut pool = Pool::new(1, PIECE);
        let mut spare = Piece::default();
        while cursor.at < self.put {
            let Some(mut piece) = cursor.step(&mut self.file, spare)? else { return Ok(None) };
            // What is still to come is put by whoever it comes by.
            piece.cut(self.put);
            if !piece.bytes.is_empty() {
                let mut chunk = pool.take();
                chunk.space()[..piece.bytes.len()].copy_from_slice(&piece.bytes);
                chunk.grow(piece.bytes.len());
                spool.put(&Segment::Data(Arc::new(chunk)))?;
            }
            if piece.zeros > 0 {
                spool.put(&Segment::Zeros(piece.zeros))?;
            }
            spare = piece;
        }
        Ok(Some(spool))
    }

    fn fill(&mut self, at: u64, buf: &mut [u8]) -> Result<bool, Halt> {
        let mut have = 0;
        let in_order = buf.len() >= LONG;
        while have < buf.len() && self.spool.is_none() {
            let from = at + have as u64;
            let count = self.copy(from, &mut buf[have..], in_order);
            have += count;
            if count > 0 {
                continue;
            }
            if self.spent <= self.most() {
                if !self.approach(from)? {
                    return Ok(false);
                }
                continue;
            }
            if self.how.spools {
                self.spool = self.spool()?;
            }
            if self.spool.is_none() {
                return Ok(false);
            }
        }
        match &mut self.spool {
            Some(spool) => spool.read_at(at, buf),
            None => Ok(true),
        }
    }
}

impl<S: ReadAt> Store for Again<S> {
    fn put(&mut self, segment: &Segment) -> Result<(), Halt> {
        self.put += segment.len();
        match &mut self.spool {
            Some(spool) => spool.put(segment),
            None => Ok(()),
        }
    }

    fn written(&self) -> u64 {
        self.spool.as_ref().map_or(0, Store::written)
    }

    fn ration(&mut self) {
        let most = effort(self.file.size(), self.put).saturating_mul(MOST_AT_LAST);
        self.ration = Some(self.spent.saturating_add(most));
        self.again = 0;
    }

    fn decoded_again(&self) -> u64 {
        self.again
    }

    /// Each reading may take long.
    fn is_near(&self) -> bool {
        false
    }

    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<bool, Halt> {
        match self.fill(at, buf) {
            // The object has no parts any more.
            Err(Halt::Source(error)) if error.kind == Kind::NoParts => Ok(false),
            filled => filled,
        }
    }
}
