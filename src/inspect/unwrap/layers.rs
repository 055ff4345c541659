//! Bytes on their way out of wrappings, pulled through one layer after another.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest as _, Sha256};

use super::super::feed::said_behind;
use super::Wrapped;
use crate::bytes::{Pool, Segment};
use crate::codec::{Damage, Decoder};
use crate::facts::{Anomaly, Code, Compression};
use crate::source::{self, Read};

/// Why nothing more can be pulled.
pub(super) enum Failure {
    /// The source cannot be read: there is no verdict.
    Source(source::Error),
    /// Somebody cut the reading short.
    Cut,
    /// A wrapping is damaged, or holds what it may not.
    Wrapping {
        /// Which one, from the outermost, which is 0.
        level: usize,
        damage: Damage,
    },
    /// A part of the disk in a file of its own is damaged, or holds what it may not.
    Part(Anomaly),
}

/// A source of bytes.
pub(super) trait Pull: Send {
    /// Fills a part of `buf`, which has room; 0 at the end, after which it is not called again.
    fn pull(&mut self, buf: &mut [u8]) -> Result<usize, Failure>;
}

/// Buffers between layers.
const BUFFER: usize = 256 << 10;

/// The file itself.
pub(super) struct Outer<'a> {
    reader: Box<dyn Read + 'a>,
    pool: Pool,
    /// Bytes that were looked at before their turn, and how many of them are done.
    head: Vec<u8>,
    done: usize,
    /// A run that is not used up.
    rest: Option<(Segment, u64)>,
    ended: bool,
    digest: Sha256,
    size: u64,
    most: u64,
    wrapped: Arc<OnceLock<Wrapped>>,
}

/// What is said of bytes that were left out of what came out.
pub(super) type LeftOut = Arc<Mutex<Vec<String>>>;

impl<'a> Outer<'a> {
    /// At most `most` bytes of it are taken out of wrappings.
    pub(super) fn new(
        reader: Box<dyn Read + 'a>,
        most: u64,
        wrapped: Arc<OnceLock<Wrapped>>,
    ) -> Self {
        Outer {
            reader,
            pool: Pool::new(2, BUFFER),
            head: Vec::new(),
            done: 0,
            rest: None,
            ended: false,
            digest: Sha256::new(),
            size: 0,
            most,
            wrapped,
        }
    }

    /// The first `count` bytes, or all that there are. After an error nothing can be read.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], source::Error> {
        let mut have = self.head.len();
        let mut head = std::mem::take(&mut self.head);
        head.resize(count.max(have), 0);
        while have < count {
            match self.fetch(&mut head[have..])? {
                0 => break,
                more => have += more,
            }
        }
        head.truncate(have);
        self.head = head;
        Ok(&self.head)
    }

    /// Fills a part of `buf` from the reader; 0 at the end.
    fn fetch(&mut self, buf: &mut [u8]) -> Result<usize, source::Error> {
        if self.rest.is_none() && !self.ended {
            self.rest = self.reader.next(&mut self.pool)?.map(|segment| (segment, 0));
            self.ended = self.rest.is_none();
        }
        Ok(self.copy_rest(buf))
    }

    /// Fills a part of `buf` from the run that is not used up.
    fn copy_rest(&mut self, buf: &mut [u8]) -> usize {
        let Some((segment, done)) = &mut self.rest else { return 0 };
        let count = (segment.len() - *done).min(buf.len() as u64) as usize;
        match segment {
            Segment::Data(chunk) => {
                let from = *done as usize;
                buf[..count].copy_from_slice(&chunk[from..from + count]);
            }
            Segment::Zeros(_) => buf[..count].fill(0),
        }
        *done += count as u64;
        if *done == segment.len() {
            // The buffer goes home before the next one is waited for.
            self.rest = None;
        }
        count
    }

    /// Fills a part of `buf` from what was looked at before its turn.
    fn copy_early(&mut self, buf: &mut [u8]) -> usize {
        let head = &self.head[self.done..];
        if head.is_empty() {
            return self.copy_rest(buf);
        }
        let count = head.len().min(buf.len());
        buf[..count].copy_from_slice(&head[..count]);
        self.done += count;
        count
    }

    /// The runs of the file as they come, for a file that is taken as it is.
    pub(super) fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, source::Error> {
        if self.done == self.head.len() && self.rest.is_none() {
            return if self.ended { Ok(None) } else { self.reader.next(pool) };
        }
        let mut chunk = pool.take();
        while !chunk.space().is_empty() {
            match self.copy_early(chunk.space()) {
                0 => break,
                count => chunk.grow(count),
            }
        }
        Ok(Some(Segment::Data(Arc::new(chunk))))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.reader.is_whole()
    }
}

impl Pull for Outer<'_> {
    fn pull(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        let count = match self.copy_early(buf) {
            0 => self.fetch(buf).map_err(Failure::Source)?,
            count => count,
        };
        if count == 0 {
            if !self.reader.is_whole() {
                return Err(Failure::Cut);
            }
            let sha256 = std::mem::take(&mut self.digest).finalize().into();
            // The end comes once.
            let _ = self.wrapped.set(Wrapped { size: self.size, sha256, ..Wrapped::default() });
            return Ok(0);
        }
        self.digest.update(&buf[..count]);
        self.size += count as u64;
        if self.size > self.most {
            // What is behind packed data may have no end.
            return Err(Failure::Wrapping { level: 0, damage: too_long(self.most) });
        }
        Ok(count)
    }
}

fn too_long(most: u64) -> Damage {
    let said =
        format!("The file has more than {most} bytes, which no image that it may hold needs.");
    Damage { code: Code::FileTooLarge, offset: most, said }
}

/// What a decoder makes of another layer.
pub(super) struct Packed<'a> {
    inner: Box<dyn Pull + 'a>,
    decoder: Box<dyn Decoder>,
    input: Input,
    level: usize,
    made: u64,
    most: u64,
    left_out: LeftOut,
    packed: Compression,
}

impl<'a> Packed<'a> {
    /// At most `most` bytes are unpacked.
    pub(super) fn new(
        inner: Box<dyn Pull + 'a>,
        (packed, decoder): (Compression, Box<dyn Decoder>),
        level: usize,
        most: u64,
        left_out: &LeftOut,
    ) -> Self {
        let left_out = Arc::clone(left_out);
        let input = Input::default();
        Packed { inner, decoder, input, level, made: 0, most, left_out, packed }
    }
}

impl Pull for Packed<'_> {
    fn pull(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        let level = self.level;
        let damaged = |damage| Failure::Wrapping { level, damage };
        loop {
            let more = self.input.refill(&mut *self.inner)?;
            let step = self.decoder.decode(self.input.bytes(), buf).map_err(damaged)?;
            self.input.take(step.taken);
            self.made += step.made as u64;
            if self.made > self.most {
                let most = self.most;
                return Err(damaged(Damage {
                    code: Code::FileTooLarge,
                    offset: 0,
                    said: format!(
                        "It unpacks to more than {most} bytes, and no image may be as large."
                    ),
                }));
            }
            if step.made > 0 {
                return Ok(step.made);
            }
            if !more {
                let summary = self.decoder.finish().map_err(damaged)?;
                if let Some(behind) = &summary.behind {
                    let said = said_behind(self.packed, behind);
                    let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
                    left_out.push(said);
                }
                return Ok(0);
            }
        }
    }
}

/// What a layer has of the layer around it.
#[derive(Default)]
pub(super) struct Input {
    buffer: Vec<u8>,
    at: usize,
    len: usize,
    ended: bool,
}

impl Input {
    /// Makes sure that there is input; false at the end.
    pub(super) fn refill(&mut self, inner: &mut dyn Pull) -> Result<bool, Failure> {
        if self.at == self.len && !self.ended {
            if self.buffer.is_empty() {
                self.buffer = vec![0; BUFFER];
            }
            self.at = 0;
            self.len = 0;
            self.len = inner.pull(&mut self.buffer)?;
            self.ended = self.len == 0;
        }
        Ok(!self.ended)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.at..self.len]
    }

    pub(super) fn take(&mut self, count: usize) {
        self.at = (self.at + count).min(self.len);
    }
}

/// A layer whose first bytes were looked at.
pub(super) struct Peeked<'a> {
    inner: Box<dyn Pull + 'a>,
    head: Vec<u8>,
    done: usize,
    ended: bool,
}

impl<'a> Peeked<'a> {
    pub(super) fn new(inner: Box<dyn Pull + 'a>) -> Self {
        Peeked { inner, head: Vec::new(), done: 0, ended: false }
    }

    /// The first `count` bytes, or all that there are. To be called before anything is pulled.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], Failure> {
        let mut have = self.head.len();
        self.head.resize(count.max(have), 0);
        while have < count && !self.ended {
            let more = self.inner.pull(&mut self.head[have..])?;
            self.ended = more == 0;
            have += more;
        }
        self.head.truncate(have);
        Ok(&self.head)
    }
}

impl Pull for Peeked<'_> {
    fn pull(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        let head = &self.head[self.done..];
        if head.is_empty() {
            return if self.ended { Ok(0) } else { self.inner.pull(buf) };
        }
        let count = head.len().min(buf.len());
        buf[..count].copy_from_slice(&head[..count]);
        self.done += count;
        if self.done == self.head.len() {
            self.head = Vec::new();
            self.done = 0;
        }
        Ok(count)
    }
}
