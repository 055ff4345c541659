//! Zeros, where something else would belong to nothing.

use super::view::{Got, Halt, ImageView, Missing};

/// Bytes of which a view is told that they are read next, and how many times as many.
const AHEAD: usize = 1 << 20;
const MOST_AHEAD: usize = 4;

/// Bytes that are looked at at a time, from the end.
const STEP: u64 = 1 << 20;

/// Bytes that are looked at at a time.
pub(super) const PIECE: usize = 64 << 10;

pub(super) static ZEROS: [u8; PIECE] = [0; PIECE];

/// The first byte from `from` on that is no zero, if there is one before `to` and before the end of the image; or what
/// cannot be read, and why.
///
/// # Errors
/// If the image cannot be read further.
pub(super) fn first_used(
    view: &mut dyn ImageView,
    from: u64,
    to: u64,
) -> Result<Result<Option<u64>, (u64, Missing)>, Halt> {
    let mut bytes = vec![0; PIECE];
    let mut at = from;
    while at < to {
        if let (len, true) = view.hole(at) {
            at = at.saturating_add(len.max(1));
            continue;
        }
        if (at - from).is_multiple_of(AHEAD as u64) {
            let parts = (at..to).step_by(AHEAD).map(|at| (at, (to - at).min(AHEAD as u64)));
            view.ahead(&mut parts.take(MOST_AHEAD))?;
        }
        let want = (to - at).min(PIECE as u64) as usize;
        let count = match view.read_at(at, &mut bytes[..want])? {
            Got::Bytes(count) => count,
            Got::Missing(missing) => return Ok(Err((at, missing))),
        };
        let found = &bytes[..count];
        // Slices first: of a large image this is all that there is to do.
        if *found != ZEROS[..count] {
            let zeros = found.iter().take_while(|&&byte| byte == 0).count();
            return Ok(Ok(Some(at.saturating_add(zeros as u64))));
        }
        if count < want {
            break;
        }
        at = at.saturating_add(count as u64);
    }
    Ok(Ok(None))
}

/// How many bytes there are up to the last one that is no zero; `None` if all are zeros.
pub(super) fn used_len(bytes: &[u8]) -> Option<usize> {
    let mut end = bytes.len();
    for piece in bytes.rchunks(PIECE) {
        let begin = end - piece.len();
        // Slices first: of a hole that was written out this is all that there is to do.
        if *piece != ZEROS[..piece.len()] {
            let last = piece.iter().rposition(|&byte| byte != 0);
            return last.map(|last| begin + last + 1);
        }
        end = begin;
    }
    None
}

/// Image offset behind the last byte that is no zero of an image of `size` bytes, looked for from its end; `None` if that
/// cannot be read.
///
/// # Errors
/// If the image cannot be read further.
pub(super) fn last_used(view: &mut dyn ImageView, size: u64) -> Result<Option<u64>, Halt> {
    // Most images end with something else.
    let mut step = PIECE as u64;
    let mut bytes = Vec::new();
    let mut end = size;
    while end > 0 {
        let begin = end.saturating_sub(step);
        let len = end - begin;
        let (run, is_hole) = view.hole(begin);
        if is_hole && run >= len {
            // Each look at a hole is as long as the hole: of a large one there are few.
            step = step.saturating_mul(2);
            end = begin;
            continue;
        }
        if len > STEP {
            step = (len / 2).max(STEP);
            continue;
        }
        bytes.resize(len as usize, 0);
        match view.read_at(begin, &mut bytes)? {
            Got::Bytes(count) if count == bytes.len() => {}
            _ => return Ok(None),
        }
        if let Some(used) = used_len(&bytes) {
            return Ok(Some(begin + used as u64));
        }
        (step, end) = (STEP, begin);
    }
    Ok(Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::MemoryImage;

    #[test]
    fn the_last_byte_that_is_no_zero_is_found() {
        for at in [0, 1, PIECE - 1, PIECE, 3 * PIECE + 5, 4 << 20, (5 << 20) - 1] {
            let mut image = MemoryImage::new(vec![1]);
            image.resize(5 << 20);
            image.patch(at as u64, vec![7]);
            assert_eq!(last_used(&mut image, 5 << 20).unwrap(), Some(at as u64 + 1), "{at}");
        }
        assert_eq!(last_used(&mut MemoryImage::new(vec![0; 70_000]), 70_000).unwrap(), Some(0));
        assert_eq!(used_len(&[]), None);
    }
}
