//! Huffman codes of a block's symbols.

use super::bits::{Bits, Starved};

/// Symbols that a code can have: two for runs, 255 places, the end.
pub(super) const MOST_SYMBOLS: usize = 258;

/// Bits of the longest code word.
const LONGEST: usize = 20;

/// Bits of what is looked up at once: longer code words are rare.
const LOOKED_UP: u32 = 11;

/// One code: which bits stand for which symbol.
///
/// A code may leave bits without meaning, which are damage when they are met, and have symbols for which no bits
/// are left, which are never met: libbz2 takes both (`BZ2_hbCreateDecodeTables`, `huffman.c`).
pub(super) struct Code {
    /// By the next bits: a symbol times 32 and the length of its word; 0 where the word is longer or there is none.
    short: [u16; 1 << LOOKED_UP],
    /// The first word of each length, as far as there are words.
    first: [u32; LONGEST + 1],
    /// How many symbols have words of each length.
    count: [u32; LONGEST + 1],
    /// How many symbols have shorter words.
    before: [u32; LONGEST + 1],
    /// Symbols, ordered by the length of their words.
    ordered: [u16; MOST_SYMBOLS],
}

impl Default for Code {
    fn default() -> Self {
        Code {
            short: [0; 1 << LOOKED_UP],
            first: [0; LONGEST + 1],
            count: [0; LONGEST + 1],
            before: [0; LONGEST + 1],
            ordered: [0; MOST_SYMBOLS],
        }
    }
}

impl Code {
    /// Makes this the code in which each symbol has a word of this length, 1 to 20 bits.
    pub(super) fn set(&mut self, lengths: &[u8]) {
        self.count = [0; LONGEST + 1];
        for &length in lengths {
            self.count[usize::from(length)] += 1;
        }
        let (mut first, mut before) = (0u32, 0);
        for length in 1..=LONGEST {
            self.first[length] = first;
            self.before[length] = before;
            before += self.count[length];
            // With too many words it grows past what bits can say, by 258 for each length at most.
            first = (first + self.count[length]) << 1;
        }
        let mut next = self.before;
        for (symbol, &length) in lengths.iter().enumerate() {
            let place = &mut next[usize::from(length)];
            self.ordered[*place as usize] = symbol as u16;
            *place += 1;
        }
        self.fill_short();
    }

    fn fill_short(&mut self) {
        let mut at = 0;
        for length in 1..=LOOKED_UP as usize {
            let each = 1 << (LOOKED_UP as usize - length);
            for index in self.before[length]..self.before[length] + self.count[length] {
                let entry = self.ordered[index as usize] << 5 | length as u16;
                let end = (at + each).min(self.short.len());
                self.short[at..end].fill(entry);
                at = end;
            }
        }
        self.short[at..].fill(0);
    }

    /// The next symbol; `None` if the bits stand for none.
    #[inline]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<Option<u16>, Starved> {
        bits.refill();
        let entry = self.short[(bits.ahead() >> (32 - LOOKED_UP)) as usize];
        let length = u32::from(entry & 31);
        if length > 0 && length <= bits.at_hand() {
            bits.skip(length);
            return Ok(Some(entry >> 5));
        }
        self.long_symbol(bits)
    }

    #[cold]
    fn long_symbol(&self, bits: &mut Bits<'_>) -> Result<Option<u16>, Starved> {
        for length in 1..=LONGEST {
            if bits.at_hand() < length as u32 {
                return Err(Starved);
            }
            let word = bits.ahead() >> (32 - length);
            // Shorter words were ruled out, so it is not below the first one of this length.
            let index = word.wrapping_sub(self.first[length]);
            if index < self.count[length] {
                bits.skip(length as u32);
                let place = self.before[length] + index;
                return Ok(self.ordered.get(place as usize).copied());
            }
        }
        Ok(None)
    }
}
