//! A piece of the file, decoded from the middle before it is known what comes before.
//!
//! It begins with a block, or with a member. Where a match of such a block reaches back before the piece, the symbol stands for a place there. As soon
//! as the last 32 KiB have no such symbol, and in each member that begins in the piece, bytes are decoded.

use super::super::inflate::{CAPACITY, Inflate, Next, Symbol, WINDOW, find};
use super::TRAILER;
use super::header;
use super::piece::{PLACE, Piece, Run};

/// Bits in which the beginning of a block or member is looked for. Blocks are rarely longer than this.
const MOST_SEARCHED: usize = 96 << 13;

/// Bytes that are searched for a member before they are searched for a block.
const STRIDE: usize = 4 << 10;

/// Symbols that a piece has at most, for each of its bytes, and in any case. What is behind the last block that fits is decoded
/// in its turn.
const MOST_SYMBOLS: usize = 4;
const LEAST_MOST: usize = 512 << 10;

/// A place that looks like a head costs as much as so many in any case: its codes are read.
const LOOK: usize = 1 << 10;

/// One whose codes are right costs as much more: tables are made, and 32 KiB are filled.
const HEAD: usize = 8 << 10;

/// Members of which a piece has a part, at most. In pieces of 128 KiB, only members of a few words are more.
const MOST_RUNS: usize = 1 << 10;

/// Decodes pieces.
pub(super) struct Guesser {
    marked: Inflate<u16>,
    plain: Inflate<u8>,
    places: Vec<u16>,
    /// Symbols that the piece may have.
    most: usize,
    /// Symbols that were decoded for a piece before it was known what comes before them.
    tried: usize,
}

impl Default for Guesser {
    fn default() -> Self {
        Guesser {
            marked: Inflate::default().by_blocks(),
            plain: Inflate::default().by_blocks(),
            places: (0..WINDOW as u16).map(|place| PLACE | place).collect(),
            most: 0,
            tried: 0,
        }
    }
}

impl Guesser {
    /// Decodes from the first block or member of the input that is found, to the first block that begins at `end` (a bit) or behind it
    /// and that would be found, or as far as is possible. There is no run if nothing was found.
    pub(super) fn decode(&mut self, end: usize, mut piece: Piece) -> Piece {
        let input = std::mem::take(&mut piece.input);
        self.marked.exchange(&mut piece.marked.buffer);
        self.plain.exchange(&mut piece.plain.buffer);
        let searched = end.min(MOST_SEARCHED);
        let mut from = 0;
        self.most = LEAST_MOST.max(end / 8 * MOST_SYMBOLS).min(CAPACITY - WINDOW);
        self.tried = 0;
        piece.clear();
        while self.tried < 2 * self.most
            && piece.runs.is_empty()
            && let Some(found) = start(&input, from, searched)
        {
            self.tried += LOOK;
            piece.clear();
            match found {
                Start::Block(bit) if !self.marked.has_codes(&input, bit) => {}
                Start::Block(bit) => self.middle(&input, (bit, end), &mut piece),
                Start::Member(byte) => {
                    if let Some(body) = header::body(&input, byte) {
                        self.member(&input, (body, end), &mut piece);
                    }
                }
            }
            from = found.bit() + 1;
        }
        self.members(&input, end, &mut piece);
        self.marked.exchange(&mut piece.marked.buffer);
        self.plain.exchange(&mut piece.plain.buffer);
        piece.input = input;
        piece
    }

    /// Decodes from a block in the middle of a member.
    fn middle(&mut self, input: &[u8], (from, end): (usize, usize), piece: &mut Piece) {
        self.tried += HEAD;
        let begun = self.marked.begin(&self.places, input, from);
        self.marked.limit(WINDOW + self.most);
        // Behind the last symbol that stands for a place.
        let mut known = 0;
        let enough = |made: &[u16], new: usize| {
            if let Some(at) = made[new..].iter().rposition(|&symbol| symbol >= PLACE) {
                known = new + at + 1;
            }
            made.len() - known >= WINDOW
        };
        let (mut run, count) = blocks(&mut self.marked, input, begun, (from, end), enough);
        self.tried += count;
        piece.marked.len = run.made;
        if !is_over(input, &run, end) && run.made >= known + WINDOW {
            // None of them stands for a place.
            let before = &self.marked.made()[run.made - WINDOW..run.made];
            let before: Vec<u8> = before.iter().map(|&byte| byte as u8).collect();
            let begun = self.plain.begin(&before, input, run.to);
            run = self.bytes(input, begun, (run.to, end), piece);
        }
        if run.to > from {
            piece.runs.push(Run { made: piece.made(), from, ..run });
        }
    }

    /// Decodes a member from its first block on.
    fn member(&mut self, input: &[u8], (from, end): (usize, usize), piece: &mut Piece) {
        let floor = WINDOW + piece.plain.len;
        let begun = self.plain.begin_at(floor, floor, input, from);
        let run = self.bytes(input, begun, (from, end), piece);
        if run.to > from {
            piece.runs.push(Run { made: piece.made(), ..run });
        }
    }

    /// Decodes blocks to bytes.
    fn bytes(
        &mut self,
        input: &[u8],
        begun: usize,
        span: (usize, usize),
        piece: &mut Piece,
    ) -> Run {
        self.plain.limit(WINDOW + self.most - piece.marked.len);
        let (run, count) = blocks(&mut self.plain, input, begun, span, |_, _| false);
        self.tried += count;
        piece.plain.len += run.made;
        run
    }

    /// Decodes the members that follow one which has ended. A member behind `end` is what the next piece begins with.
    fn members(&mut self, input: &[u8], end: usize, piece: &mut Piece) {
        while let Some(Run { to, ends: true, .. }) = piece.runs.last()
            && piece.runs.len() < MOST_RUNS
        {
            let head = to.div_ceil(8) + TRAILER;
            let runs = piece.runs.len();
            match header::body(input, head) {
                Some(body) if head * 8 < end => self.member(input, (body, end), piece),
                _ => return,
            }
            if piece.runs.len() == runs {
                return;
            }
        }
    }
}

/// Where a piece may begin.
enum Start {
    /// With a block at this bit.
    Block(usize),
    /// With a member at this byte.
    Member(usize),
}

impl Start {
    fn bit(&self) -> usize {
        match *self {
            Start::Block(bit) => bit,
            Start::Member(byte) => byte * 8,
        }
    }
}

/// What is first in these bits.
fn start(input: &[u8], mut from: usize, to: usize) -> Option<Start> {
    while from < to {
        // Members are found sooner than blocks, and a file of members has no need for them.
        let stride = to.min((from / 8 + STRIDE) * 8);
        let member = header::find(input, from.div_ceil(8), stride.div_ceil(8));
        let block = find::block(input, from, member.map_or(stride, |byte| byte * 8));
        if let Some(found) = block.map(Start::Block).or(member.map(Start::Member)) {
            return Some(found);
        }
        from = stride;
    }
    None
}

/// Whether blocks from the next one on belong to the next piece, or to another member.
fn is_over(input: &[u8], run: &Run, end: usize) -> bool {
    run.ends || run.to >= end && find::is_head(input, run.to)
}

/// Decodes whole blocks, as many as there is room for, from the first bit on to where it [is over](is_over) or `enough`: that sees all symbols,
/// and from which on they are new. The run has the number of their symbols; how many were decoded is returned, too.
fn blocks<S: Symbol>(
    inflate: &mut Inflate<S>,
    input: &[u8],
    mut at: usize,
    (from, end): (usize, usize),
    mut enough: impl FnMut(&[S], usize) -> bool,
) -> (Run, usize) {
    let mut run = Run { from, to: from, ends: false, made: 0 };
    while let Ok(next @ (Next::Block | Next::End)) = inflate.decode(input, &mut at) {
        run.to = at * 8 - inflate.spare() as usize;
        run.ends = next == Next::End;
        let new = std::mem::replace(&mut run.made, inflate.made().len());
        if enough(inflate.made(), new) || is_over(input, &run, end) {
            break;
        }
    }
    (run, inflate.made().len())
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
        let begun = guesser.marked.begin(&guesser.places, &input, 0);
        let (run, count) = blocks(&mut guesser.marked, &input, begun, (0, 256 << 13), |_, _| false);
        assert!(run.to == 0 && count > LEAST_MOST / 3, "each of them is long: {count}");
        let mut piece = Piece::default();
        piece.input = input;
        piece = guesser.decode(256 << 13, piece);
        assert!(piece.run().is_none());
        assert!(guesser.tried < 4 * guesser.most, "{}", guesser.tried);
    }
}
