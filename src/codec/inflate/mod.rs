//! Deflate (RFC 1951), decoded in pieces of any length.
//!
//! Knows blocks, codes and the last 32 KiB; nothing of gzip or zlib around them.

mod bits;
mod buffer;
mod fast;
mod fault;
pub(super) mod find;
mod table;

use self::bits::{Bits, Wants};
pub(super) use self::buffer::{Buffer, CAPACITY, Symbol};
use self::fast::Pause;
pub(super) use self::fault::Fault;
use self::table::{DISTANCES, Distances, Entry, LITERALS, Literals, Table, Unfit};

/// How far back a match may reach, in bytes.
pub(super) const WINDOW: usize = 32 << 10;
/// Symbols of the buffer that are filled before they have to be taken, unless there is [another limit](Inflate::limit).
const ROOM: usize = 256 << 10;
/// The longest match, in bytes.
const LONGEST_MATCH: usize = 258;
/// Zeros that are counted and not written, at least; as much as a match may reach back.
const LEAST_ZEROS: usize = super::LEAST_ZEROS as usize;

#[derive(Clone, Copy, Debug)]
enum State {
    /// The head of a block.
    Head,
    /// The length of a stored block.
    Length,
    /// A stored block that has so many bytes left.
    Stored(usize),
    /// How many codes a block has.
    Counts,
    /// The lengths of the code lengths' code: so many have come.
    Order(usize),
    /// The code lengths: so many have come.
    Codes(usize),
    /// Symbols.
    Symbols,
    /// Behind the last block.
    Done,
}

/// The code of the code lengths.
type Precode = Table<7, 128>;

/// The order in which the lengths of the code lengths' code come (RFC 1951, 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// A deflate stream being decoded.
pub(super) struct Inflate<S: Symbol = u8> {
    state: State,
    last: bool,
    bits: Bits,
    buffer: Buffer<S>,
    /// Where the stream begins in the buffer, and how much of that may be filled.
    floor: usize,
    room: usize,
    /// Whether it stays there when the room is used up.
    keeps: bool,
    /// Bytes of the buffer that were taken, and that were filled.
    taken: usize,
    filled: usize,
    /// Zeros that come behind them.
    zeros: u64,
    literals: Literals,
    distances: Distances,
    /// Whether the tables are those of fixed codes.
    fixed: bool,
    precode: Precode,
    /// Numbers of codes: literals and lengths, distances, code lengths.
    counts: [usize; 3],
    lengths: [u8; 320],
    /// Whether long runs of zeros are counted.
    sparse: bool,
    /// Whether to pause at the end of each block.
    blocks: bool,
}

/// Why decoding paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// All of the input was taken.
    Input,
    /// What was made has to be taken.
    Output,
    /// A block has ended, and another one follows.
    Block,
    /// The stream has ended.
    End,
}

impl<S: Symbol> Default for Inflate<S> {
    fn default() -> Self {
        Inflate {
            state: State::Head,
            last: false,
            bits: Bits::default(),
            buffer: Buffer::default(),
            floor: 0,
            room: ROOM,
            keeps: false,
            taken: 0,
            filled: 0,
            zeros: 0,
            literals: Literals::new(),
            distances: Distances::new(),
            fixed: false,
            precode: Precode::new(),
            counts: [0; 3],
            lengths: [0; 320],
            sparse: false,
            blocks: false,
        }
    }
}

impl<S: Symbol> Inflate<S> {
    /// Counts long runs of zeros instead of writing them.
    pub(super) fn sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    /// Pauses at the end of each block.
    pub(super) fn by_blocks(mut self) -> Self {
        self.blocks = true;
        self
    }

    /// Goes on with a block whose head begins at this bit of `input`, behind these symbols, of which there are at most as
    /// many as a match may reach back. Returns the byte of the input to go on at.
    pub(super) fn begin(&mut self, before: &[S], input: &[u8], bit: usize) -> usize {
        self.buffer[..before.len()].copy_from_slice(before);
        self.begin_at(0, before.len(), input, bit)
    }

    /// The same behind what is in the buffer from `floor` on up to `filled`.
    pub(super) fn begin_at(
        &mut self,
        floor: usize,
        filled: usize,
        input: &[u8],
        bit: usize,
    ) -> usize {
        self.reset();
        (self.floor, self.taken, self.filled) = (floor, filled, filled);
        let mut at = bit / 8;
        if !bit.is_multiple_of(8) && self.bits.load(input, &mut at).is_ok() {
            self.bits.skip((bit % 8) as u32);
        }
        at
    }

    /// Whether the codes of a block that has its own, and whose head begins at this bit of `input`, are as they have to be.
    pub(super) fn has_codes(&mut self, input: &[u8], bit: usize) -> bool {
        let mut at = self.begin(&[], input, bit);
        loop {
            let step = self.step(input, &mut at);
            match (step, self.state) {
                (Ok(Ok(())), State::Symbols) => return true,
                (Ok(Ok(())), State::Counts | State::Order(_) | State::Codes(_)) => {}
                _ => return false,
            }
        }
    }

    /// Decodes into this buffer from now on, and gives back the one before.
    pub(super) fn exchange(&mut self, buffer: &mut Buffer<S>) {
        std::mem::swap(&mut self.buffer, buffer);
    }

    /// Fills no more than so many symbols of the buffer, all of which stay where they are.
    pub(super) fn limit(&mut self, room: usize) {
        (self.room, self.keeps) = (room.min(CAPACITY), true);
    }

    /// The last symbols that were made, as many as a match may reach back if there are as many.
    pub(super) fn history(&self) -> &[S] {
        &self.buffer[self.filled.saturating_sub(WINDOW).max(self.floor)..self.filled]
    }

    /// Begins another stream.
    pub(super) fn reset(&mut self) {
        (self.state, self.last, self.bits) = (State::Head, false, Bits::default());
        (self.floor, self.taken, self.filled, self.zeros) = (0, 0, 0, 0);
    }

    /// What was made and not yet taken. Zeros may come behind it.
    pub(super) fn made(&self) -> &[S] {
        &self.buffer[self.taken..self.filled]
    }

    /// Whether the last block has ended.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Bits of the input that were taken and not used.
    pub(super) fn spare(&self) -> u32 {
        self.bits.count
    }

    /// Takes bytes of what was made.
    pub(super) fn take(&mut self, count: usize) {
        self.taken += count;
    }

    /// Takes the zeros behind what was made, all of which was taken.
    pub(super) fn take_zeros(&mut self) -> u64 {
        let zeros = std::mem::take(&mut self.zeros);
        if zeros > 0 {
            self.buffer[..WINDOW].fill(S::from(0));
            (self.taken, self.filled) = (WINDOW, WINDOW);
        }
        zeros
    }

    /// Decodes from `input` on from `at`. Bytes that were not used are left.
    pub(super) fn decode(&mut self, input: &[u8], at: &mut usize) -> Result<Next, Fault> {
        loop {
            if self.zeros > 0 {
                return Ok(Next::Output);
            }
            if self.filled > self.room - LONGEST_MATCH {
                if self.taken < self.filled || self.keeps {
                    return Ok(Next::Output);
                }
                self.buffer.copy_within(self.filled - WINDOW..self.filled, 0);
                (self.taken, self.filled) = (WINDOW, WINDOW);
            }
            match self.step(input, at) {
                Ok(Ok(())) => match self.state {
                    State::Done => return Ok(Next::End),
                    State::Head if self.blocks => return Ok(Next::Block),
                    _ => {}
                },
                Ok(Err(Wants)) => return Ok(Next::Input),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn step(&mut self, input: &[u8], at: &mut usize) -> Result<Result<(), Wants>, Fault> {
        macro_rules! bits {
            ($how:ident $count:expr) => {
                match self.bits.$how($count, input, at) {
                    Ok(bits) => bits as usize,
                    Err(wants) => return Ok(Err(wants)),
                }
            };
        }
        match self.state {
            State::Head => {
                let head = bits!(peek 3);
                self.last = head & 1 == 1;
                self.state = match head >> 1 {
                    0 => State::Length,
                    1 => {
                        self.fix();
                        State::Symbols
                    }
                    2 => State::Counts,
                    _ => return Err(Fault::Kind),
                };
                self.bits.skip(3);
            }
            State::Length => {
                let odd = self.bits.count & 7;
                let both = bits!(peek odd + 32) >> odd;
                let length = both & 0xffff;
                if length ^ 0xffff != both >> 16 {
                    return Err(Fault::Stored);
                }
                self.bits.skip(odd + 32);
                self.state = State::Stored(length);
            }
            State::Stored(0) => self.end_block(),
            State::Stored(left) => {
                if self.bits.count > 0 {
                    // Whole bytes that were read before.
                    self.buffer[self.filled] = S::from(bits!(take 8) as u8);
                    self.filled += 1;
                    self.state = State::Stored(left - 1);
                    return Ok(Ok(()));
                }
                let room = self.room - self.filled;
                let count = left.min(room).min(input.len() - *at);
                if count == 0 {
                    return Ok(Err(Wants));
                }
                let space = &mut self.buffer[self.filled..self.filled + count];
                for (to, &from) in space.iter_mut().zip(&input[*at..]) {
                    *to = S::from(from);
                }
                *at += count;
                self.filled += count;
                self.state = State::Stored(left - count);
            }
            State::Counts => {
                let counts = bits!(peek 14);
                self.counts = [(counts & 31) + 257, (counts >> 5 & 31) + 1, (counts >> 10) + 4];
                if self.counts[0] > 286 || self.counts[1] > 30 {
                    return Err(Fault::Codes);
                }
                self.bits.skip(14);
                self.lengths[..19].fill(0);
                self.state = State::Order(0);
            }
            State::Order(come) if come < self.counts[2] => {
                self.lengths[usize::from(ORDER[come])] = bits!(take 3) as u8;
                self.state = State::Order(come + 1);
            }
            State::Order(_) => {
                let lengths = &self.lengths[..19];
                // This code has to be whole. Of none at all zlib reads zeros, and then misses the end of the block.
                let whole: u32 = lengths.iter().map(|&len| (128 >> len) & 127).sum();
                if ![0, 128].contains(&whole) || self.precode.make(lengths, &VALUES[..19]).is_err()
                {
                    return Err(Fault::Lengths);
                }
                self.state = State::Codes(0);
            }
            State::Codes(mut come) => {
                let all = self.counts[0] + self.counts[1];
                while come < all {
                    self.state = State::Codes(come);
                    let entry = loop {
                        let entry = self.precode.first(self.bits.bits);
                        if entry.bits() <= self.bits.count {
                            break entry;
                        }
                        if let Err(wants) = self.bits.load(input, at) {
                            return Ok(Err(wants));
                        }
                    };
                    let symbol = entry.value_in(0);
                    let (more, base) = match symbol {
                        16 => (2, 3),
                        17 => (3, 3),
                        18 => (7, 11),
                        _ => (0, 1),
                    };
                    let all_bits = bits!(peek entry.bits() + more);
                    let count = base + (all_bits >> entry.bits());
                    let length = match symbol {
                        16 if come == 0 => return Err(Fault::NothingToRepeat),
                        16 => self.lengths[come - 1],
                        17 | 18 => 0,
                        _ => symbol as u8,
                    };
                    if come + count > all {
                        return Err(Fault::TooMany);
                    }
                    self.bits.skip(entry.bits() + more);
                    self.lengths[come..come + count].fill(length);
                    come += count;
                }
                self.codes()?;
                self.state = State::Symbols;
            }
            State::Symbols => {
                if self.bits.count < 8 {
                    let tables = (&self.literals, &self.distances);
                    let run = match self.keeps {
                        false => fast::run::<S, false>,
                        true => fast::run::<S, true>,
                    };
                    let place = (&mut *self.buffer, self.floor, self.room);
                    let pause = run(tables, input, at, &mut self.bits, place, &mut self.filled)?;
                    match pause {
                        Pause::Edge => {}
                        Pause::Block => {
                            self.end_block();
                            return Ok(Ok(()));
                        }
                        Pause::Zeros => {
                            self.zeros(input, at);
                            return Ok(Ok(()));
                        }
                    }
                    if self.filled > self.room - LONGEST_MATCH {
                        return Ok(Ok(()));
                    }
                }
                return self.symbol(input, at);
            }
            State::Done => {}
        }
        Ok(Ok(()))
    }

    fn end_block(&mut self) {
        self.state = if self.last { State::Done } else { State::Head };
    }

    /// Makes the tables of the code lengths.
    fn codes(&mut self) -> Result<(), Fault> {
        self.fixed = false;
        let (literals, distances) =
            self.lengths[..self.counts[0] + self.counts[1]].split_at(self.counts[0]);
        if literals[256] == 0 {
            return Err(Fault::Endless);
        }
        self.literals.make(literals, &LITERALS).map_err(|_: Unfit| Fault::LiteralCode)?;
        self.distances.make(distances, &DISTANCES).map_err(|_| Fault::DistanceCode)
    }

    /// Makes the tables of a block with fixed codes (RFC 1951, 3.2.6).
    fn fix(&mut self) {
        if self.fixed {
            return;
        }
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        // Both are whole codes.
        let _ = self.literals.make(&lengths, &LITERALS);
        let _ = self.distances.make(&[5; 32], &DISTANCES);
        self.fixed = true;
    }

    /// One symbol, with what may be little input. There is room for it.
    fn symbol(&mut self, input: &[u8], at: &mut usize) -> Result<Result<(), Wants>, Fault> {
        loop {
            match self.try_symbol() {
                Ok(true) => return Ok(Ok(())),
                Ok(false) => {}
                Err(fault) => return Err(fault),
            }
            if let Err(wants) = self.bits.load(input, at) {
                return Ok(Err(wants));
            }
        }
    }

    /// One symbol, if the bits that were read are enough.
    fn try_symbol(&mut self) -> Result<bool, Fault> {
        let Bits { mut bits, mut count } = self.bits;
        let Some(entry) = self.literals.symbol(&mut bits, &mut count) else { return Ok(false) };
        if entry.is_literal() {
            self.bits = Bits { bits: bits >> entry.bits(), count: count - entry.bits() };
            self.buffer[self.filled] = S::from(entry.byte());
            self.filled += 1;
            return Ok(true);
        }
        if entry.is_end() {
            self.bits = Bits { bits: bits >> entry.bits(), count: count - entry.bits() };
            self.end_block();
            return Ok(true);
        }
        if entry.is_special() {
            return Err(Fault::Literal);
        }
        let length = entry.value_in(bits);
        bits >>= entry.bits();
        count -= entry.bits();
        let Some(entry) = self.distances.symbol(&mut bits, &mut count) else { return Ok(false) };
        if entry.is_special() {
            return Err(Fault::Distance);
        }
        let distance = entry.value_in(bits);
        if distance > self.filled - self.floor {
            return Err(Fault::TooFar);
        }
        self.bits = Bits { bits: bits >> entry.bits(), count: count - entry.bits() };
        for to in self.filled..self.filled + length {
            self.buffer[to] = self.buffer[to - distance];
        }
        self.filled += length;
        Ok(true)
    }

    /// Counts how often the longest match of zeros comes again.
    fn zeros(&mut self, input: &[u8], at: &mut usize) {
        let room = (self.room - LONGEST_MATCH).saturating_sub(self.filled);
        let most = if self.sparse && room >= LEAST_ZEROS { u64::MAX } else { room as u64 };
        let mut zeros = 0u64;
        loop {
            // A length and a distance have 48 bits at most.
            while self.bits.count <= 48 && self.bits.load(input, at).is_ok() {}
            let Bits { bits, count } = self.bits;
            let length = self.literals.first(bits);
            let rest = length.rest(bits);
            let distance = self.distances.first(rest);
            // Where zeros are many their codes are short; others are no symbols of such a run.
            let same = length.is_value(LONGEST_MATCH, bits) && distance.is_value(1, rest);
            let needed = length.bits() + distance.bits();
            if !same || needed > count || zeros + LONGEST_MATCH as u64 > most {
                break;
            }
            self.bits.skip(needed);
            zeros += LONGEST_MATCH as u64;
        }
        // Whole bytes go back: no more than were loaded here, as there were fewer than 8 bits before.
        *at -= (self.bits.count >> 3) as usize;
        self.bits.count &= 7;
        self.bits.bits &= (1 << self.bits.count) - 1;
        if zeros < LEAST_ZEROS as u64 || !self.sparse {
            let end = self.filled + zeros as usize;
            self.buffer[self.filled..end].fill(S::from(0));
            self.filled = end;
        } else {
            self.zeros = zeros;
        }
    }
}

const VALUES: [Entry; 19] = table::values();

#[cfg(test)]
mod tests;
