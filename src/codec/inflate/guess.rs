//! A piece of a stream, decoded from the middle before it is known what comes before.
//!
//! Where a match reaches back before the piece, the symbol stands for a place there. As soon as the last 32 KiB have no
//! such symbol, bytes are decoded.

use super::{Inflate, Next, Symbol, WINDOW, find};

/// Symbols from this one on stand for a place in the 32 KiB before the piece.
const PLACE: u16 = 1 << 15;

/// Bits in which the head of a block is looked for. Blocks are rarely longer than this.
const MOST_SEARCHED: usize = 96 << 13;

/// Symbols that a piece has at most. What is behind the last block that fits is decoded in its turn.
const MOST_SYMBOLS: usize = 512 << 10;

/// Symbols that are decoded for a piece, with those behind what only looked like the head of a block.
const MOST_TRIED: usize = 2 * MOST_SYMBOLS;

/// Such a place costs as much as so many in any case: tables are made, and 32 KiB are filled.
const HEAD: usize = 8 << 10;

/// What a piece was decoded to, from the head of a block to that of another.
#[derive(Default)]
pub(in crate::codec) struct Piece {
    /// Bits of the input at which it begins and ends.
    pub(in crate::codec) from: usize,
    pub(in crate::codec) to: usize,
    /// Bytes, and places before it.
    marked: Vec<u16>,
    /// Bytes behind these.
    plain: Vec<u8>,
}

impl Piece {
    /// These 32 KiB, and the bytes behind them.
    pub(in crate::codec) fn resolve(&self, before: &[u8; WINDOW], bytes: &mut Vec<u8>) {
        let mut values = vec![0; 1 << 16];
        for (value, byte) in values.iter_mut().zip(0..=u8::MAX) {
            *value = byte;
        }
        values[usize::from(PLACE)..].copy_from_slice(before);
        bytes.clear();
        bytes.extend_from_slice(before);
        bytes.extend(self.marked.iter().map(|&symbol| values[usize::from(symbol)]));
        bytes.extend_from_slice(&self.plain);
    }
}

/// Decodes pieces.
pub(in crate::codec) struct Guesser {
    marked: Inflate<u16>,
    plain: Inflate<u8>,
    places: Vec<u16>,
    /// Symbols that were decoded for a piece before it was known what comes before them.
    tried: usize,
}

impl Default for Guesser {
    fn default() -> Self {
        Guesser {
            marked: Inflate::default().by_blocks(),
            plain: Inflate::default().by_blocks(),
            places: (0..WINDOW as u16).map(|place| PLACE | place).collect(),
            tried: 0,
        }
    }
}

impl Guesser {
    /// Decodes from the first block of `input` that is found to the first one that begins at `end` (a bit) or behind it,
    /// or as far as is possible. `piece` lends its buffers.
    pub(in crate::codec) fn decode(
        &mut self,
        input: &[u8],
        end: usize,
        mut piece: Piece,
    ) -> Option<Piece> {
        let most = end.min(MOST_SEARCHED);
        let mut from = find::block(input, 0, most)?;
        self.tried = 0;
        while self.tried < MOST_TRIED {
            self.tried += HEAD;
            piece.marked.clear();
            piece.plain.clear();
            (piece.from, piece.to) = (from, from);
            let begun = self.marked.begin(&self.places, input, from);
            // Behind the last symbol that stands for a place.
            let mut known = 0;
            let made = &mut piece.marked;
            let (to, count) = blocks(
                &mut self.marked,
                input,
                begun,
                (from, end),
                (made, MOST_SYMBOLS),
                |made, new| {
                    if let Some(at) = made[new..].iter().rposition(|&symbol| symbol >= PLACE) {
                        known = new + at + 1;
                    }
                    made.len() - known >= WINDOW
                },
            );
            piece.to = to;
            self.tried += count;
            if piece.to < end && piece.marked.len() >= known + WINDOW {
                let last = piece.marked.len() - WINDOW;
                // None of them stands for a place.
                let before: Vec<u8> = piece.marked[last..].iter().map(|&byte| byte as u8).collect();
                let begun = self.plain.begin(&before, input, piece.to);
                let room = MOST_SYMBOLS - piece.marked.len();
                let made = &mut piece.plain;
                let span = (piece.to, end);
                (piece.to, _) =
                    blocks(&mut self.plain, input, begun, span, (made, room), |_, _| false);
            }
            if piece.to > from {
                return Some(piece);
            }
            from = find::block(input, from + 1, most)?;
        }
        None
    }
}

/// Decodes whole blocks, at most so many symbols, from the first bit to the second or to where it is `enough`: that sees all symbols,
/// and from which on they are new. Returns the bit at which the last one ends, and how many symbols were decoded.
fn blocks<S: Symbol>(
    inflate: &mut Inflate<S>,
    input: &[u8],
    mut at: usize,
    (mut to, end): (usize, usize),
    (made, most): (&mut Vec<S>, usize),
    mut enough: impl FnMut(&[S], usize) -> bool,
) -> (usize, usize) {
    let mut whole = made.len();
    let mut decoded = 0;
    loop {
        let next = inflate.decode(input, &mut at);
        let more = inflate.made();
        decoded += more.len();
        if made.len() + more.len() > most {
            break;
        }
        made.extend_from_slice(more);
        let count = more.len();
        inflate.take(count);
        match next {
            Ok(Next::Output) => {}
            Ok(Next::Block) => {
                to = at * 8 - inflate.spare() as usize;
                let new = std::mem::replace(&mut whole, made.len());
                if enough(made, new) || to >= end {
                    break;
                }
            }
            // The last block is decoded in its turn.
            Ok(Next::Input | Next::End) | Err(_) => break,
        }
    }
    made.truncate(whole);
    (to, decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a block that goes on without an end, with the codes of 15 literals and of the end.
    fn endless() -> Vec<u8> {
        let mut bits = Vec::new();
        let mut put = |value: u32, count: u32| bits.extend((0..count).map(|at| value >> at & 1));
        // Codes of their own: 257, 1, and 19 for their lengths, of which 0 and 18 have five bits and 1 to 15 four.
        put(4, 3);
        put(15 << 10, 14);
        for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
            let length = match symbol {
                0 | 18 => 5,
                16 | 17 => 0,
                _ => 4,
            };
            put(length, 3);
        }
        let mut code = |value: u32, count: u32| put(value.reverse_bits() >> (32 - count), count);
        (0..15).for_each(|length| code(length, 4));
        for more in [109u32, 110] {
            code(31, 5);
            code(more.reverse_bits() >> 25, 7);
        }
        code(14, 4);
        code(30, 5);
        let bytes = bits.chunks(8);
        bytes.map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | *bit as u8)).collect()
    }

    #[test]
    fn planted_heads_cost_no_more_than_a_few_pieces() {
        let mut planted = endless();
        planted.resize(64, 0x44);
        let input = planted.repeat((352 << 10) / 64);
        let heads = (0..64).filter(|&n| find::block(&input, n * 512, n * 512 + 1).is_some());
        assert_eq!(heads.count(), 64);
        let mut guesser = Guesser::default();
        let (mut made, begun) = (Vec::new(), guesser.marked.begin(&guesser.places, &input, 0));
        let span = (0, 256 << 13);
        let marked = &mut guesser.marked;
        let (to, count) =
            blocks(marked, &input, begun, span, (&mut made, MOST_SYMBOLS), |_, _| false);
        assert!(to == 0 && count > MOST_SYMBOLS / 2, "each of them is long: {count}");
        assert!(guesser.decode(&input, 256 << 13, Piece::default()).is_none());
        assert!(guesser.tried < MOST_TRIED + 2 * MOST_SYMBOLS, "{}", guesser.tried);
    }
}
