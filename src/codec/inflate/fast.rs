//! The loop in which nearly all symbols are decoded: as long as there is input for a symbol and room for what it makes.

use super::bits::Bits;
use super::buffer::{CAPACITY, SLACK, Symbol};
use super::table::{Distances, Literals};
use super::{Fault, LONGEST_MATCH, ROOM};

/// Bytes of the input that one turn may look at: two words, the second up to 7 bytes further on.
const AHEAD: usize = 16;

/// An index of this or less is within the buffer, and the [`SLACK`] bytes behind it are as well. Copies begin at no other, so
/// that the compiler needs no check and nothing changes.
const MASK: usize = CAPACITY - 1;

/// The most that one turn makes: three literals and a match.
const TURN: usize = 3 + LONGEST_MATCH;

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// The input or the room is nearly used up.
    Edge,
    /// The block ended.
    Block,
    /// The last match was of the longest kind and repeats a zero.
    Zeros,
}

/// The word that begins at this byte, which is one of the first eight.
#[inline(always)]
fn word(window: &[u8; AHEAD], from: usize) -> u64 {
    let from = from & 7;
    let mut word = [0; 8];
    word.copy_from_slice(&window[from..from + 8]);
    u64::from_le_bytes(word)
}

#[inline(always)]
fn copy<S: Symbol, const N: usize>(out: &mut [S; CAPACITY + SLACK], from: usize, to: usize) {
    let (from, to) = (from & MASK, to & MASK);
    let mut word = [S::from(0); N];
    word.copy_from_slice(&out[from..from + N]);
    out[to..to + N].copy_from_slice(&word);
}

/// Repeats what lies `distance` bytes before `op` up to `end`. Up to [`SLACK`] bytes behind it are overwritten.
#[inline(always)]
fn repeat<S: Symbol>(out: &mut [S; CAPACITY + SLACK], distance: usize, op: usize, end: usize) {
    let (mut from, mut to) = (op - distance, op);
    match distance {
        16.. => {
            copy::<S, 16>(out, from, to);
            copy::<S, 16>(out, from + 16, to + 16);
            while to + 32 < end {
                copy::<S, 16>(out, from + 32, to + 32);
                from += 16;
                to += 16;
            }
        }
        1 => {
            let bytes = [out[from & MASK]; 16];
            while to < end {
                out[to & MASK..][..16].copy_from_slice(&bytes);
                to += 16;
            }
        }
        8.. => {
            while to < end {
                copy::<S, 8>(out, from, to);
                from += 8;
                to += 8;
            }
        }
        _ => {
            while to < end {
                out[to & MASK] = out[from & MASK];
                from += 1;
                to += 1;
            }
        }
    }
}

/// Decodes from `input` at `at` into `out` at `filled`, where the stream begins at `floor`, up to `room`: 0 and [`ROOM`] unless it
/// `KEEPS` what was made, so that the compiler knows them. Of the bits, fewer than 8 were read before.
pub(super) fn run<S: Symbol, const KEEPS: bool>(
    (literals, distances): (&Literals, &Distances),
    input: &[u8],
    at: &mut usize,
    state: &mut Bits,
    (out, floor, room): (&mut [S; CAPACITY + SLACK], usize, usize),
    filled: &mut usize,
) -> Result<Pause, Fault> {
    let Bits { mut bits, mut count } = *state;
    let (mut ip, mut op) = (*at, *filled);
    let (floor, room) = if KEEPS { (floor, room.min(CAPACITY)) } else { (0, ROOM) };
    let last = room - TURN;
    // 56 bits or more.
    macro_rules! refill {
        ($window:ident, $from:expr) => {{
            bits |= word($window, $from).wrapping_shl(count);
            let used = (63 - count >> 3) as usize;
            ip += used;
            count |= 56;
            used
        }};
    }
    macro_rules! take {
        ($entry:ident) => {
            bits = $entry.rest(bits);
            count -= $entry.bits();
        };
    }
    macro_rules! put {
        ($entry:ident) => {
            out[op & MASK] = S::from($entry.byte());
            op += 1;
        };
    }
    let Some(window) = input.get(ip..).and_then(|input| input.first_chunk()) else {
        return Ok(Pause::Edge);
    };
    refill!(window, 0);
    // What comes next is looked up as soon as its bits are known.
    let mut entry = literals.first(bits);
    let result = loop {
        let Some(window) = input.get(ip..).and_then(|input| input.first_chunk()) else {
            break Ok(Pause::Edge);
        };
        if op > last {
            break Ok(Pause::Edge);
        }
        let used = refill!(window, 0);
        // Three literals of 11 bits leave enough for a length of 20; a fourth leaves 11 for what comes next.
        if entry.is_literal() {
            take!(entry);
            put!(entry);
            entry = literals.first(bits);
            if entry.is_literal() {
                take!(entry);
                put!(entry);
                entry = literals.first(bits);
                if entry.is_literal() {
                    take!(entry);
                    put!(entry);
                    entry = literals.first(bits);
                    if entry.is_literal() {
                        take!(entry);
                        put!(entry);
                        entry = literals.first(bits);
                        continue;
                    }
                }
            }
        }
        // The bit at which the symbol begins; it may have been read before.
        let start = (ip * 8) as isize - count as isize;
        if entry.is_special() {
            if entry.is_longer() {
                take!(entry);
                entry = literals.next(entry, bits);
                if entry.is_literal() {
                    take!(entry);
                    put!(entry);
                    entry = literals.first(bits);
                    continue;
                }
            }
            if entry.is_end() {
                take!(entry);
                break Ok(Pause::Block);
            }
            if entry.is_special() {
                break Err((Fault::Literal, start));
            }
        }
        let length = entry.value_in(bits);
        take!(entry);
        refill!(window, used);
        let mut far = distances.first(bits);
        if far.is_special() {
            if far.is_longer() {
                take!(far);
                far = distances.next(far, bits);
            }
            if far.is_special() {
                break Err((Fault::Distance, start));
            }
        }
        let distance = far.value_in(bits);
        take!(far);
        entry = literals.first(bits);
        if distance > op - floor {
            break Err((Fault::TooFar, start));
        }
        let end = op + length;
        repeat(out, distance, op, end);
        op = end;
        if distance == 1 && length == LONGEST_MATCH && out[(op - 1) & MASK] == S::from(0) {
            break Ok(Pause::Zeros);
        }
    };
    // Whole bytes that were not used go back, and a symbol that means nothing.
    if let Err((_, start)) = result {
        ip = start.max(0).unsigned_abs().div_ceil(8);
        count = ((ip * 8) as isize - start) as u32;
    }
    ip -= (count >> 3) as usize;
    count &= 7;
    *state = Bits { bits: bits & ((1 << count) - 1), count };
    (*at, *filled) = (ip, op);
    result.map_err(|(fault, _)| fault)
}
