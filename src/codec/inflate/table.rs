//! Tables that turn the next bits of a stream into a symbol (RFC 1951, 3.2.2).
//!
//! A table is looked up with the next bits of the stream, the first one lowest. Codes that are longer than the main
//! part's index lead on to a part of their own behind it.

/// What a lookup found, in one word.
///
/// | bits | of a literal | of a length or a distance | of a code that goes on |
/// | --- | --- | --- | --- |
/// | 0 to 7 | bits to take | bits to take, extra bits included | bits to take |
/// | 8 to 12 | | bits before the extra bits | bits of the next index |
/// | 13 to 15 | | | flags |
/// | 16 to 30 | the byte | the smallest value | where the next part begins |
/// | 31 | set | | |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry(u32);

const LITERAL: u32 = 1 << 31;
const SPECIAL: u32 = 1 << 15;
const END: u32 = 1 << 14;
const LONGER: u32 = 1 << 13;

impl Entry {
    const INVALID: Entry = Entry(SPECIAL | 1);

    const fn literal(byte: u32) -> Entry {
        Entry(LITERAL | byte << 16)
    }

    const fn value(base: u32, extra: u32) -> Entry {
        Entry(base << 16 | extra)
    }

    const fn end() -> Entry {
        Entry(SPECIAL | END)
    }

    const fn longer(start: usize, bits: u32, main: u32) -> Entry {
        Entry(SPECIAL | LONGER | (start as u32) << 16 | bits << 8 | main)
    }

    /// The same for a code of so many bits.
    const fn coded(self, bits: u32) -> Entry {
        match self.0 & LITERAL {
            0 => Entry(self.0 + (bits << 8 | bits)),
            _ => Entry(self.0 + bits),
        }
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        u32::from(self.0 as u8)
    }

    /// What is left of these bits behind the ones that were looked up.
    #[inline(always)]
    pub(super) fn rest(self, bits: u64) -> u64 {
        bits.wrapping_shr(self.0)
    }

    #[inline(always)]
    pub(super) fn is_literal(self) -> bool {
        (self.0 as i32) < 0
    }

    #[inline(always)]
    pub(super) fn byte(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Whether it is no symbol with a value.
    #[inline(always)]
    pub(super) fn is_special(self) -> bool {
        self.0 & SPECIAL != 0
    }

    /// Whether it stands for this value.
    pub(super) fn is_value(self, value: usize, bits: u64) -> bool {
        !self.is_literal() && !self.is_special() && self.value_in(bits) == value
    }

    pub(super) fn is_end(self) -> bool {
        self.0 & END != 0
    }

    pub(super) fn is_longer(self) -> bool {
        self.0 & LONGER != 0
    }

    /// The value, with its extra bits out of the bits that were looked up.
    #[inline(always)]
    pub(super) fn value_in(self, bits: u64) -> usize {
        let taken = bits & !u64::MAX.wrapping_shl(self.0);
        (self.0 >> 16) as usize + taken.wrapping_shr(self.0 >> 8) as usize
    }

    /// The index in the table to go on at, with the bits behind the ones that were looked up.
    #[inline(always)]
    fn next(self, bits: u64) -> usize {
        (self.0 >> 16 & 0x7fff) as usize + (bits as usize & ((1 << (self.0 >> 8 & 31)) - 1))
    }
}

/// What is wrong with a set of code lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// More codes than there is room for.
    Over,
    /// Fewer, so that some bits mean nothing.
    Under,
}

/// The longest code, in bits.
const LONGEST: usize = 15;

/// A table with an index of `MAIN` bits in `SIZE` entries, which is a power of two.
pub(super) struct Table<const MAIN: u32, const SIZE: usize> {
    entries: Box<[Entry; SIZE]>,
}

/// Literals, lengths and the end of a block: 2,342 entries are the most that 288 codes need.
pub(super) type Literals = Table<11, 4096>;
/// Distances: 402 entries are the most that 32 codes need.
pub(super) type Distances = Table<8, 512>;

impl<const MAIN: u32, const SIZE: usize> Table<MAIN, SIZE> {
    pub(super) fn new() -> Self {
        Table { entries: Box::new([Entry::INVALID; SIZE]) }
    }

    #[inline(always)]
    pub(super) fn first(&self, bits: u64) -> Entry {
        self.entries[bits as usize & ((1 << MAIN) - 1)]
    }

    /// What a code that goes on leads to; `bits` are behind the ones that were taken.
    #[inline(always)]
    pub(super) fn next(&self, entry: Entry, bits: u64) -> Entry {
        self.entries[entry.next(bits) & (SIZE - 1)]
    }

    /// The next symbol, if these bits, of which so many were read, are enough for it and its extra bits. A code that goes on is
    /// skipped to its second part.
    pub(super) fn symbol(&self, bits: &mut u64, count: &mut u32) -> Option<Entry> {
        let mut entry = self.first(*bits);
        if entry.is_longer() && entry.bits() <= *count {
            *bits = entry.rest(*bits);
            *count -= entry.bits();
            entry = self.next(entry, *bits);
        }
        (entry.bits() <= *count).then_some(entry)
    }

    /// Makes the table of these code lengths, one for each of `symbols`. As zlib does, a single code of one bit
    /// may be all there is, and no code at all as well.
    pub(super) fn make(&mut self, lengths: &[u8], symbols: &[Entry]) -> Result<(), Unfit> {
        let mut counts = [0u32; LONGEST + 1];
        for &length in lengths {
            counts[usize::from(length) & LONGEST] += 1;
        }
        counts[0] = 0;
        let mut room = 1i32;
        for &count in &counts[1..] {
            room = (room << 1) - count as i32;
            if room < 0 {
                return Err(Unfit::Over);
            }
        }
        let longest = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        let main = 1usize << MAIN;
        if room > 0 {
            if longest > 1 {
                return Err(Unfit::Under);
            }
            let only = lengths.iter().position(|&length| length == 1);
            let entry = only.map_or(Entry::INVALID, |symbol| symbols[symbol].coded(1));
            for (at, slot) in self.entries[..main].iter_mut().enumerate() {
                *slot = if at & 1 == 0 { entry } else { Entry::INVALID };
            }
            return Ok(());
        }
        // The symbols in the order of their codes.
        let mut starts = [0u16; LONGEST + 2];
        for length in 1..=LONGEST {
            starts[length + 1] = starts[length] + counts[length] as u16;
        }
        let mut sorted = [0u16; 288];
        for (symbol, &length) in lengths.iter().enumerate() {
            if length > 0 {
                let start = &mut starts[usize::from(length) & LONGEST];
                sorted[usize::from(*start) % 288] = symbol as u16;
                *start += 1;
            }
        }
        let mut sorted = sorted.iter().map(|&symbol| symbols[usize::from(symbol)]);
        // Codes are counted up with their first bit lowest.
        let mut code = 0usize;
        for length in 1..=MAIN {
            // The table so far, once for each value of the bit that comes in.
            let half = 1usize << (length - 1);
            self.entries.copy_within(..half, half);
            for entry in sorted.by_ref().take(counts[length as usize] as usize) {
                self.entries[code] = entry.coded(length);
                code = after(code, length);
            }
        }
        let mut free = main;
        let mut part = None;
        for length in MAIN + 1..=LONGEST as u32 {
            for left in (1..=counts[length as usize]).rev() {
                let Some(entry) = sorted.next() else { break };
                let prefix = code & (main - 1);
                let (start, bits) = match part {
                    Some((begun, start, bits)) if begun == prefix => (start, bits),
                    _ => {
                        let mut bits = length - MAIN;
                        let mut used = left;
                        while used < 1 << bits {
                            bits += 1;
                            used = (used << 1) + counts[(MAIN + bits) as usize];
                        }
                        let start = free;
                        free += 1 << bits;
                        self.entries[prefix] = Entry::longer(start, bits, MAIN);
                        part = Some((prefix, start, bits));
                        (start, bits)
                    }
                };
                let entry = entry.coded(length - MAIN);
                for at in ((code >> MAIN)..1 << bits).step_by(1 << (length - MAIN)) {
                    self.entries[start + at] = entry;
                }
                code = after(code, length);
            }
        }
        Ok(())
    }
}

/// The code behind `code` among those of `length` bits, the first bit lowest.
fn after(code: usize, length: u32) -> usize {
    let zeros = !code & ((1 << length) - 1);
    match zeros.checked_ilog2() {
        Some(bit) => code & ((1 << bit) - 1) | 1 << bit,
        // The last one; nothing follows.
        None => code,
    }
}

const fn literal_symbols() -> [Entry; 288] {
    // RFC 1951, 3.2.5: extra bits of the lengths, and where each begins.
    const EXTRA: [u32; 29] =
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
    let mut symbols = [Entry::INVALID; 288];
    let mut symbol = 0;
    while symbol < 256 {
        symbols[symbol] = Entry::literal(symbol as u32);
        symbol += 1;
    }
    symbols[256] = Entry::end();
    let (mut base, mut at) = (3, 0);
    while at < 28 {
        symbols[257 + at] = Entry::value(base, EXTRA[at]);
        base += 1 << EXTRA[at];
        at += 1;
    }
    // The longest has a code of its own.
    symbols[285] = Entry::value(258, 0);
    // 286 and 287 have fixed codes and no meaning.
    symbols[286] = Entry(SPECIAL);
    symbols[287] = Entry(SPECIAL);
    symbols
}

const fn distance_symbols() -> [Entry; 32] {
    let mut symbols = [Entry(SPECIAL); 32];
    let (mut base, mut at) = (1, 0u32);
    while at < 30 {
        let extra = if at < 2 { 0 } else { at / 2 - 1 };
        symbols[at as usize] = Entry::value(base, extra);
        base += 1 << extra;
        at += 1;
    }
    symbols
}

/// What each code of literals and lengths stands for.
pub(super) static LITERALS: [Entry; 288] = literal_symbols();
/// What each code of distances stands for.
pub(super) static DISTANCES: [Entry; 32] = distance_symbols();

/// Symbols that stand for themselves.
pub(super) const fn values() -> [Entry; 19] {
    let mut symbols = [Entry::INVALID; 19];
    let mut symbol = 0;
    while symbol < 19 {
        symbols[symbol] = Entry::value(symbol as u32, 0);
        symbol += 1;
    }
    symbols
}
