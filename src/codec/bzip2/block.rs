//! One block, from its magic to its own end: header, codes, symbols.

use super::bits::{Bits, Starved};
use super::bwt::Sorted;
use super::codes::{Code, MOST_SYMBOLS};
use super::runs::Uncounted;
use super::{random, sum};

/// What a block begins with: the digits of pi.
pub(super) const BLOCK: u64 = 0x3141_5926_5359;

/// What a stream ends with: the digits of its square root.
pub(super) const END: u64 = 0x1772_4538_5090;

/// Bits of each of these.
pub(super) const MAGIC: u32 = 48;

/// A level of compression allows so many bytes a block.
pub(super) const LEVEL: usize = 100_000;

/// Bytes that a block has at most.
const MOST: usize = 9 * LEVEL;

/// Bytes of a compressed block at most: as many symbols of 20 bits, selectors and codes. A code may be described in any
/// number of bits; nobody needs more.
pub(super) const LONGEST: usize = MOST * 20 / 8 + (64 << 10);

/// What is said of a block with more bytes.
pub(super) const TOO_LONG: &str = "is longer than its stream allows";

/// Symbols that are coded with the same code.
const GROUP: usize = 50;

/// Selectors that a block can need; more are read and mean nothing.
const MOST_SELECTORS: usize = 18_002;

/// A run of more is damage, as libbz2 has it (`decompress.c`).
const LONGEST_RUN: usize = 2 << 20;

/// A block that was decoded.
pub(super) struct Block {
    /// What it stands for, as the outer run-length code has it.
    pub(super) bytes: Vec<u8>,
    /// Its CRC-32, which was compared.
    pub(super) crc: u32,
    /// Bits from the beginning of what it was decoded from to its end.
    pub(super) end: usize,
}

/// Why a block could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fail {
    /// It goes on behind what there is.
    Starved,
    /// What is wrong with it; follows "the block".
    Damaged(&'static str),
}

impl From<Starved> for Fail {
    fn from(_: Starved) -> Self {
        Fail::Starved
    }
}

impl From<Uncounted> for Fail {
    fn from(_: Uncounted) -> Self {
        Fail::Damaged("ends inside a run")
    }
}

/// Decodes blocks one after another, in the same memory.
#[derive(Default)]
pub(super) struct Blocks {
    codes: Vec<Code>,
    selectors: Vec<u8>,
    sorted: Sorted,
}

impl Blocks {
    /// Decodes the block of which the magic begins at bit `at` of `bytes`, as one of a stream with the longest blocks, in
    /// the memory of `spent`.
    ///
    /// # Errors
    /// If it is damaged, or not all there.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        at: usize,
        mut spent: Vec<u8>,
    ) -> Result<Block, Fail> {
        spent.clear();
        let mut bits = Bits::new(bytes, at);
        let (high, low) = (bits.take(MAGIC - 32)?, bits.take(32)?);
        if u64::from(high) << 32 | u64::from(low) != BLOCK {
            return Err(Fail::Damaged("does not begin as blocks do"));
        }
        let crc = bits.take(32)?;
        let randomised = bits.flag()?;
        let origin = bits.take(24)? as usize;
        if origin >= MOST {
            return Err(Fail::Damaged("begins outside of itself"));
        }
        let order = self.header(&mut bits)?;
        self.symbols(&mut bits, order)?;
        if origin >= self.sorted.len() {
            return Err(Fail::Damaged("begins outside of itself"));
        }
        let mut bytes = spent;
        self.sorted.restore(origin, &mut bytes);
        if randomised {
            random::restore(&mut bytes);
        }
        if sum::crc(&bytes)? != crc {
            return Err(Fail::Damaged("does not match its CRC"));
        }
        Ok(Block { bytes, crc, end: bits.position() })
    }

    /// Reads which bytes there are, selectors and codes; returns the bytes.
    fn header(&mut self, bits: &mut Bits<'_>) -> Result<Order, Fail> {
        let mut order = Order { bytes: [0; 256], len: 0 };
        let used = bits.take(16)?;
        for high in 0..16u8 {
            if used >> (15 - high) & 1 == 0 {
                continue;
            }
            let used = bits.take(16)?;
            for low in 0..16u8 {
                if used >> (15 - low) & 1 == 1 {
                    order.bytes[order.len] = high << 4 | low;
                    order.len += 1;
                }
            }
        }
        if order.len == 0 {
            return Err(Fail::Damaged("has no bytes"));
        }
        let codes = bits.take(3)? as usize;
        if !(2..=6).contains(&codes) {
            return Err(Fail::Damaged("has an impossible number of codes"));
        }
        self.selectors(bits, codes)?;
        self.codes.resize_with(codes.max(self.codes.len()), Code::default);
        for code in &mut self.codes[..codes] {
            let mut lengths = [0; MOST_SYMBOLS];
            let lengths = &mut lengths[..order.len + 2];
            let mut length = bits.take(5)? as u8;
            for place in &mut *lengths {
                loop {
                    if !(1..=20).contains(&length) {
                        return Err(Fail::Damaged("has an impossible code"));
                    }
                    if !bits.flag()? {
                        break;
                    }
                    length = if bits.flag()? { length - 1 } else { length + 1 };
                }
                *place = length;
            }
            code.set(lengths);
        }
        Ok(order)
    }

    fn selectors(&mut self, bits: &mut Bits<'_>, codes: usize) -> Result<(), Fail> {
        let count = bits.take(15)? as usize;
        if count == 0 {
            return Err(Fail::Damaged("has no selectors"));
        }
        self.selectors.clear();
        let mut order = [0, 1, 2, 3, 4, 5];
        for index in 0..count {
            let mut place = 0;
            while bits.flag()? {
                place += 1;
                if place >= codes {
                    return Err(Fail::Damaged("has an impossible selector"));
                }
            }
            let selector = order[place];
            order.copy_within(0..place, 1);
            order[0] = selector;
            if index < MOST_SELECTORS {
                self.selectors.push(selector);
            }
        }
        Ok(())
    }

    /// Reads the symbols up to the end of the block.
    fn symbols(&mut self, bits: &mut Bits<'_>, mut order: Order) -> Result<(), Fail> {
        let end = order.len as u16 + 1;
        self.sorted.clear();
        let (mut run, mut weight) = (0, 1);
        for &selector in &self.selectors {
            let code = &self.codes[usize::from(selector)];
            for _ in 0..GROUP {
                let Some(symbol) = code.symbol(bits)? else {
                    return Err(Fail::Damaged("has bits that no code explains"));
                };
                if symbol <= 1 {
                    if weight >= LONGEST_RUN {
                        return Err(Fail::Damaged("has an impossible run"));
                    }
                    run += weight << symbol;
                    weight <<= 1;
                    continue;
                }
                if run > 0 {
                    if run > MOST - self.sorted.len() {
                        return Err(Fail::Damaged(TOO_LONG));
                    }
                    self.sorted.push_run(order.bytes[0], run);
                    (run, weight) = (0, 1);
                }
                if symbol == end {
                    return Ok(());
                }
                if self.sorted.len() >= MOST {
                    return Err(Fail::Damaged(TOO_LONG));
                }
                self.sorted.push(order.bring_to_front(usize::from(symbol) - 1));
            }
        }
        Err(Fail::Damaged("has more symbols than selectors"))
    }
}

/// The bytes of a block, those that were met last first.
struct Order {
    bytes: [u8; 256],
    len: usize,
}

impl Order {
    #[inline]
    fn bring_to_front(&mut self, place: usize) -> u8 {
        let byte = self.bytes[place];
        self.bytes.copy_within(0..place, 1);
        self.bytes[0] = byte;
        byte
    }
}
