//! Looks for what blocks and the ends of streams begin with, at every bit. What it finds are hints: data may look the
//! same, and only the parser knows.

use super::block::{BLOCK, END, MAGIC};

/// Bytes that a magic touches at most.
const TOUCHED: usize = 7;

/// Finds magics in bytes as they come.
pub(super) struct Scanner {
    /// Whether two bytes can be in a magic, by all of their values.
    filter: Box<[bool]>,
}

/// A place that looks like the beginning of a block, or else like the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hint {
    /// The first bit of the magic.
    pub(super) bit: u64,
    pub(super) is_block: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        let mut filter = vec![false; 1 << 16];
        for magic in [BLOCK, END] {
            for shift in 0..=MAGIC - 16 {
                filter[(magic >> shift & 0xffff) as usize] = true;
            }
        }
        Scanner { filter: filter.into() }
    }
}

impl Scanner {
    /// Looks through `bytes` from `from` on, where an earlier call with the same beginning stopped, and returns where
    /// it stops itself. `found` gets the bit, counted from the beginning of the bytes, and whether it is a block's.
    pub(super) fn scan(
        &self,
        bytes: &[u8],
        mut from: usize,
        mut found: impl FnMut(usize, bool),
    ) -> usize {
        // A magic has at least five whole bytes, so that every second pair of bytes is enough.
        while let Some(&[a, b]) = bytes.get(from..).and_then(|rest| rest.first_chunk::<2>()) {
            if self.filter[usize::from(u16::from_be_bytes([a, b]))] {
                if from + TOUCHED > bytes.len() {
                    break;
                }
                let lowest = (from * 8).saturating_sub(MAGIC as usize - 16);
                for bit in lowest..=from * 8 {
                    match magic_at(bytes, bit) {
                        Some(BLOCK) => found(bit, true),
                        Some(END) => found(bit, false),
                        _ => {}
                    }
                }
            }
            from += 2;
        }
        from
    }
}

/// The 48 bits from `bit` on, if there are so many.
pub(super) fn magic_at(bytes: &[u8], bit: usize) -> Option<u64> {
    let rest = bytes.get(bit / 8..)?;
    let mut first = [0; 8];
    let count = rest.len().min(first.len());
    first[..count].copy_from_slice(&rest[..count]);
    let shift = bit as u32 % 8;
    (count * 8 >= (shift + MAGIC) as usize)
        .then(|| u64::from_be_bytes(first) << shift >> (u64::BITS - MAGIC))
}
