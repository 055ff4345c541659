//! Zeros, where something else would belong to nothing.

use super::view::{Got, Halt, ImageView, Missing};

/// Bytes of which a view is told that they are read next, and how many times as many.
const AHEAD: usize = 1 << 20;
const MOST_AHEAD: usize = 4;

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
