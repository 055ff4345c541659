//! bzip2, decoded block by block on several threads.
//!
//! A parser goes from block to block and is the only one who decides: each block ends where its own symbols say, and
//! there the next one or the end of the stream has to begin. A scanner looks ahead for what looks like a block, and threads decode
//! that before its turn. If the parser comes to the place, the work is done; if it does not, it was only data that
//! looked like a block, and the work is thrown away. CRCs of blocks and streams are always compared.

mod ahead;
mod bits;
mod block;
mod bwt;
mod codes;
mod expand;
mod random;
mod runs;
mod scan;
mod sum;
mod threads;

use self::ahead::{Ahead, Early};
use self::block::{BLOCK, Block, Blocks, END, Fail, LEVEL, LONGEST, MAGIC, TOO_LONG};
use self::expand::Expanding;
use self::scan::magic_at;
use self::threads::Left;
pub use self::threads::Threads;
use super::index::{Index, Marks, State as Place};
use super::{Behind, Damage, Decoder, LEAST_ZEROS, Step, Summary};
use crate::facts::Code;

/// Unpacks bzip2 files of any number of streams.
pub struct Bzip2 {
    state: State,
    /// Bytes of the file from the one that the parser is at on; a part before it may still be there.
    window: Vec<u8>,
    /// Offset in the file of the first byte of the window.
    base: u64,
    /// Bit of the file that the parser is at.
    at: u64,
    streams: u64,
    zeros: u64,
    ahead: Ahead,
    blocks: Blocks,
    /// The block that is being given out.
    out: Option<Expanding>,
    /// Whether long runs of zeros are counted instead of being written.
    sparse: bool,
    threads: Threads,
    /// Bytes of the image that were given out.
    image: u64,
    marks: Option<Marks>,
}

enum State {
    /// So many bytes of a stream's magic were seen.
    Magic(usize),
    /// Within a stream.
    Stream(Stream),
    /// After all streams and their padding.
    Behind(Behind),
}

struct Stream {
    /// Bytes that its blocks have at most.
    most: usize,
    /// Its CRC so far.
    crc: u32,
    blocks: u64,
    /// The block that comes next is not decoded again before there are more bytes than these.
    starved: usize,
}

const STREAM: &[u8; 3] = b"BZh";

/// Bytes of the file beside those of the longest block, for each thread.
const LOOK_AHEAD: usize = 1 << 20;

/// What the parser did.
enum Parsed {
    /// It went on.
    On,
    /// It cannot go on without more bytes, or has nothing to do before a thread is done.
    Wants,
}

impl Default for Bzip2 {
    fn default() -> Self {
        Bzip2::new(&Threads::new(1))
    }
}

impl Bzip2 {
    /// Decodes on so many threads; with one, on the caller's. It goes on with what the last decoder on them has left.
    #[must_use]
    pub fn new(threads: &Threads) -> Self {
        let Left { workers, blocks, spent } = threads.take().unwrap_or_default();
        Bzip2 {
            state: State::Magic(0),
            window: Vec::new(),
            base: 0,
            at: 0,
            streams: 0,
            zeros: 0,
            ahead: Ahead::new(threads.count(), workers, spent),
            blocks,
            out: None,
            sparse: false,
            threads: threads.clone(),
            image: 0,
            marks: None,
        }
    }

    /// Counts long runs of zeros instead of writing them ([`Step::zeros`]).
    #[must_use]
    pub fn sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    /// Notes in an index where it can go on.
    #[must_use]
    pub(super) fn marking(mut self, index: Option<&Index>) -> Self {
        self.marks = index.map(Marks::new);
        self
    }

    /// Goes on at a bit of the file where a block begins, in a stream whose blocks have so many bytes at most, and this CRC
    /// so far.
    #[must_use]
    pub(super) fn going_on(mut self, bit: u64, most: usize, crc: u32) -> Self {
        self.state = State::Stream(Stream { most, crc, blocks: 0, starved: 0 });
        (self.base, self.at) = (bit / 8, bit);
        self.ahead.pass(self.at, self.base);
        self
    }

    /// Gives out what was decoded; whether there is place for more.
    fn write(&mut self, output: &mut [u8], step: &mut Step) -> bool {
        let Some(out) = &mut self.out else { return true };
        while out.more() {
            if self.sparse {
                step.zeros = out.zeros(LEAST_ZEROS);
                if step.zeros > 0 {
                    return false;
                }
            }
            if step.made == output.len() {
                return false;
            }
            step.made += out.write(&mut output[step.made..]);
        }
        if let Some(out) = self.out.take() {
            self.ahead.give_back(out.into_block());
        }
        true
    }

    /// Takes input into the window, as far as there is place.
    fn take(&mut self, input: &[u8]) -> usize {
        let passed = self.index();
        if passed >= LOOK_AHEAD {
            self.window.drain(..passed);
            self.base += passed as u64;
            self.ahead.forget(passed);
        }
        let most = LONGEST + self.ahead.threads() * LOOK_AHEAD;
        let room = most.saturating_sub(self.window.len() - self.index());
        let count = room.min(input.len());
        self.window.extend_from_slice(&input[..count]);
        if let State::Stream(_) = self.state {
            self.ahead.look(&self.window, self.base);
        }
        count
    }

    /// Where in the window the parser is.
    fn index(&self) -> usize {
        (self.at / 8 - self.base) as usize
    }

    /// Goes on, if possible. `urgent` says that the window is full or that no input came: what is not done is waited for.
    fn parse(&mut self, urgent: bool) -> Result<Parsed, Damage> {
        let bit = (self.at - self.base * 8) as usize;
        match &mut self.state {
            State::Magic(_) => self.parse_between(),
            State::Behind(behind) => {
                let rest = &self.window[bit / 8..];
                behind.take(rest);
                self.at += rest.len() as u64 * 8;
                Ok(Parsed::Wants)
            }
            State::Stream(_) => match magic_at(&self.window, bit) {
                Some(BLOCK) => self.parse_block(bit, urgent),
                Some(END) => self.parse_end(bit),
                None if urgent && !begins_as_magic(&self.window, bit) => Err(self.out_of_place()),
                None => Ok(Parsed::Wants),
                Some(_) => Err(self.out_of_place()),
            },
        }
    }

    /// Between streams, byte by byte.
    fn parse_between(&mut self) -> Result<Parsed, Damage> {
        let State::Magic(seen) = &mut self.state else { return Ok(Parsed::On) };
        let Some(&byte) = self.window.get((self.at / 8 - self.base) as usize) else {
            return Ok(Parsed::Wants);
        };
        if *seen == STREAM.len() {
            if !(b'1'..=b'9').contains(&byte) {
                return Err(self.damage("has no level of compression from 1 to 9".into()));
            }
            let most = usize::from(byte - b'0') * LEVEL;
            self.state = State::Stream(Stream { most, crc: 0, blocks: 0, starved: 0 });
            self.at += 8;
            self.ahead.pass(self.at, self.base);
            self.ahead.look(&self.window, self.base);
        } else if byte == STREAM[*seen] && self.zeros == 0 {
            *seen += 1;
            self.at += 8;
        } else if byte == 0 && *seen == 0 && self.streams > 0 {
            self.zeros += 1;
            self.at += 8;
        } else if self.streams > 0 {
            let mut behind = Behind::at(self.at / 8 - *seen as u64);
            behind.take(&STREAM[..*seen]);
            self.state = State::Behind(behind);
        } else {
            let said = "The file does not begin with a bzip2 stream.".into();
            return Err(Damage { code: Code::Bzip2Damaged, offset: self.at / 8, said });
        }
        Ok(Parsed::On)
    }

    fn parse_end(&mut self, bit: usize) -> Result<Parsed, Damage> {
        let State::Stream(stream) = &self.state else { return Ok(Parsed::On) };
        let magic = MAGIC as usize;
        let Some(crc) = magic_at(&self.window, bit + magic - 16)
            .filter(|_| self.window.len() * 8 >= bit + magic + 32)
        else {
            return Ok(Parsed::Wants);
        };
        if crc as u32 != stream.crc {
            return Err(self.damage("ends with another CRC than that of its blocks".into()));
        }
        self.streams += 1;
        self.at = (self.at + u64::from(MAGIC) + 32).next_multiple_of(8);
        self.state = State::Magic(0);
        self.ahead.pass(self.at, self.base);
        Ok(Parsed::On)
    }

    fn parse_block(&mut self, bit: usize, urgent: bool) -> Result<Parsed, Damage> {
        let State::Stream(stream) = &mut self.state else { return Ok(Parsed::On) };
        if let Some(marks) = &mut self.marks {
            let place = Place::Bzip2 { most: stream.most, crc: stream.crc };
            marks.see(self.at, self.image, &[], || place);
        }
        let have = self.window.len() - bit / 8;
        self.ahead.start(&self.window, self.base, urgent);
        let early = match self.ahead.take(self.at, urgent) {
            Early::Later => return Ok(Parsed::Wants),
            // It goes on behind what looked like the next block.
            Early::Done(Err(Fail::Starved)) => {
                stream.starved = stream.starved.max(1);
                None
            }
            Early::Done(result) => Some(result),
            Early::Nobody => None,
        };
        let result = match early {
            Some(result) => {
                // Threads have memory of their own.
                self.blocks = Blocks::default();
                result
            }
            None => {
                let looks_whole = stream.starved == 0 && self.ahead.is_anything_after(self.at);
                let enough = urgent || have >= LONGEST || looks_whole;
                if !enough || stream.starved >= have {
                    return Ok(Parsed::Wants);
                }
                let shift = self.at % 8;
                let result = self.blocks.decode(&self.window, bit, self.ahead.spent());
                result.map(|block| Block { end: block.end - bit + shift as usize, ..block })
            }
        };
        match result {
            Ok(block) => self.accept(block),
            Err(Fail::Damaged(what)) => Err(self.damage_of_block(what)),
            Err(Fail::Starved) if have >= LONGEST => Err(self.damage_of_block("does not end")),
            Err(Fail::Starved) => {
                stream.starved = have;
                Ok(Parsed::Wants)
            }
        }
    }

    /// Takes the block that begins where the parser is. Its end is counted from the beginning of its first byte.
    fn accept(&mut self, block: Block) -> Result<Parsed, Damage> {
        let State::Stream(stream) = &mut self.state else { return Ok(Parsed::On) };
        if block.bytes.len() > stream.most {
            return Err(self.damage_of_block(TOO_LONG));
        }
        stream.crc = stream.crc.rotate_left(1) ^ block.crc;
        stream.blocks += 1;
        stream.starved = 0;
        self.at = self.at / 8 * 8 + block.end as u64;
        self.ahead.pass(self.at, self.base);
        self.out = Some(Expanding::new(block.bytes));
        Ok(Parsed::On)
    }

    /// Damage of the stream that the parser is in, at its place.
    fn damage(&self, what: String) -> Damage {
        let (stream, offset) = (self.streams + 1, self.at / 8);
        let said = format!("bzip2 stream {stream} {what} (byte {offset}).");
        Damage { code: Code::Bzip2Damaged, offset, said }
    }

    fn damage_of_block(&self, what: &str) -> Damage {
        let block = match &self.state {
            State::Stream(stream) => stream.blocks + 1,
            State::Magic(_) | State::Behind(_) => 1,
        };
        let (stream, offset, bit) = (self.streams + 1, self.at / 8, self.at);
        let said = format!(
            "Block {block} of bzip2 stream {stream}, which begins at bit {bit} of the file, {what}."
        );
        Damage { code: Code::Bzip2Damaged, offset, said }
    }

    fn out_of_place(&self) -> Damage {
        self.damage_of_block("does not begin as blocks do, and the stream does not end there")
    }
}

/// Whether the bits from this one on, fewer than a magic has, can be the first ones of one.
fn begins_as_magic(bytes: &[u8], bit: usize) -> bool {
    let mut first = [0; 8];
    let rest = bytes.get(bit / 8..).unwrap_or_default();
    let count = rest.len().min(8);
    first[..count].copy_from_slice(&rest[..count]);
    let have = (count * 8).saturating_sub(bit % 8).min(MAGIC as usize) as u32;
    let bits = u64::from_be_bytes(first) << (bit % 8) >> (u64::BITS - MAGIC);
    let missing = MAGIC - have;
    [BLOCK, END].iter().any(|magic| magic >> missing == bits >> missing)
}

impl Drop for Bzip2 {
    fn drop(&mut self) {
        let (workers, spent) = self.ahead.let_go();
        self.threads.leave(Left { workers, blocks: std::mem::take(&mut self.blocks), spent });
    }
}

impl Decoder for Bzip2 {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0, zeros: 0 };
        loop {
            let before = step.made;
            let room = self.write(output, &mut step);
            self.image += (step.made - before) as u64 + step.zeros;
            if !room {
                return Ok(step);
            }
            step.taken += self.take(&input[step.taken..]);
            let all = step.taken == input.len();
            match self.parse(!all || input.is_empty())? {
                Parsed::On => {}
                Parsed::Wants if all => return Ok(step),
                Parsed::Wants => {}
            }
        }
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
        let summary =
            |behind| Summary { members: self.streams, trailing_zeros: self.zeros, behind };
        match &self.state {
            State::Magic(0) if self.streams > 0 => Ok(summary(None)),
            State::Behind(behind) => Ok(summary(Some(behind.clone()))),
            _ => {
                let offset = self.base + self.window.len() as u64;
                let said = format!("The file ends inside bzip2 stream {}.", self.streams + 1);
                Err(Damage { code: Code::Bzip2Truncated, offset, said })
            }
        }
    }
}

#[cfg(test)]
mod tests;
