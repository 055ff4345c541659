//! The CRC-32 of a block: that of gzip with the bits of each byte the other way round.

use crc32fast::Hasher;

use super::super::repeated;
use super::runs::{Piece, Uncounted, piece};

/// Bytes that are turned round at once.
const AT_ONCE: usize = 4096;

/// Runs from this length on are summed by doubling.
const LONG: u64 = 4 * AT_ONCE as u64;

/// The CRC of all that a block stands for.
pub(super) fn crc(block: &[u8]) -> Result<u32, Uncounted> {
    let mut hasher = Hasher::new();
    let mut turned = [0; AT_ONCE];
    let mut at = 0;
    while let Some((piece, next)) = piece(block, at)? {
        match piece {
            Piece::Literal(range) => {
                for bytes in block[range].chunks(AT_ONCE) {
                    for (to, from) in turned.iter_mut().zip(bytes) {
                        *to = from.reverse_bits();
                    }
                    hasher.update(&turned[..bytes.len()]);
                }
            }
            Piece::Run(byte, len) if len < LONG => {
                turned[..AT_ONCE.min(len as usize)].fill(byte.reverse_bits());
                let mut left = len as usize;
                while left > 0 {
                    let count = left.min(AT_ONCE);
                    hasher.update(&turned[..count]);
                    left -= count;
                }
            }
            Piece::Run(byte, len) => hasher.combine(&repeated(byte.reverse_bits(), len)),
        }
        at = next;
    }
    Ok(hasher.finalize().reverse_bits())
}
