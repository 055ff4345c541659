//! The outer run-length code: four equal bytes are followed by a count of more of them.

use std::ops::Range;

/// A piece of what a block stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The bytes of the block in this range.
    Literal(Range<usize>),
    /// So many bytes of this value.
    Run(u8, u64),
}

/// Four bytes and a count after them stand for this many bytes at least.
const ANNOUNCED: usize = 4;

/// The piece that begins at byte `at` of a block, and where the next one does; `None` at the end. A block that ends
/// without the count for its last run is damaged, as libbz2 has it (`unRLE_obuf_to_output_FAST`, `decompress.c`).
pub(super) fn piece(block: &[u8], at: usize) -> Result<Option<(Piece, usize)>, Uncounted> {
    let Some(rest) = block.get(at..).filter(|rest| !rest.is_empty()) else { return Ok(None) };
    if let Some((byte, mut len)) = run(rest)? {
        // Long runs are several of the longest ones.
        let mut next = at + ANNOUNCED + 1;
        while let Some((more, count)) = run(&block[next..])?.filter(|(more, _)| *more == byte) {
            debug_assert_eq!(more, byte);
            len += count;
            next += ANNOUNCED + 1;
        }
        return Ok(Some((Piece::Run(byte, len), next)));
    }
    let next = at + next_run(rest);
    Ok(Some((Piece::Literal(at..next), next)))
}

/// A run without its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uncounted;

/// The run that `bytes` begin with.
fn run(bytes: &[u8]) -> Result<Option<(u8, u64)>, Uncounted> {
    let Some(&[a, b, c, d]) = bytes.first_chunk::<ANNOUNCED>() else { return Ok(None) };
    if a != b || b != c || c != d {
        return Ok(None);
    }
    let count = bytes.get(ANNOUNCED).ok_or(Uncounted)?;
    Ok(Some((a, ANNOUNCED as u64 + u64::from(*count))))
}

/// Where in `bytes`, which do not begin with a run, the first run begins; their length if there is none.
fn next_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    // Two equal bytes at an odd distance from here are in every run.
    while let Some(&[_, b, c, d]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        if c != d {
            at += 3;
            continue;
        }
        if b != c {
            at += 2;
            continue;
        }
        if bytes[at] == b {
            return at;
        }
        at += 1;
    }
    bytes.len()
}
