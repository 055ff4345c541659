//! Where a block may begin in the middle of a stream.
//!
//! Only blocks with codes of their own that are not the last are looked for: the head of such a block has many bits that
//! have to fit each other. What is found may be data that looks like a head.

/// Bits of the input from this one on, 57 at least; zeros behind its end.
fn bits_at(input: &[u8], bit: usize) -> u64 {
    let rest = input.get(bit / 8..).unwrap_or_default();
    let word = match rest.first_chunk() {
        Some(word) => *word,
        None => {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            word
        }
    };
    u64::from_le_bytes(word) >> (bit % 8)
}

/// The first bit in `from..to` at which such a block may begin.
pub(in crate::codec) fn block(input: &[u8], from: usize, to: usize) -> Option<usize> {
    const AT_ONCE: usize = 40;
    let mut bit = from;
    while bit < to {
        let bits = bits_at(input, bit);
        // Not the last (0), with codes of its own (2, the lower bit first).
        let mut heads = !bits & !(bits >> 1) & bits >> 2 & ((1 << AT_ONCE) - 1);
        while heads != 0 {
            let at = heads.trailing_zeros() as usize;
            heads &= heads - 1;
            let counts = bits >> (at + 3);
            // At most 286 literals and lengths, and 30 distances.
            if counts & 31 < 30 && counts >> 5 & 31 < 30 && is_code(input, bit + at, counts) {
                return Some(bit + at).filter(|&bit| bit < to);
            }
        }
        bit += AT_ONCE;
    }
    None
}

/// Whether a block that begins at this bit is one of those that are looked for.
pub(in crate::codec) fn is_head(input: &[u8], bit: usize) -> bool {
    bits_at(input, bit) & 7 == 0b100
}

/// How much of a code three lengths use up, in 128ths.
static USED: [u8; 1 << 9] = used();

const fn used() -> [u8; 1 << 9] {
    let mut used = [0; 1 << 9];
    let mut lengths = 0;
    while lengths < used.len() {
        let (low, middle, high) = (lengths & 7, lengths >> 3 & 7, lengths >> 6);
        used[lengths] = ((128 >> low & 127) + (128 >> middle & 127) + (128 >> high & 127)) as u8;
        lengths += 1;
    }
    used
}

/// Whether the lengths of the code lengths' code make a whole code.
fn is_code(input: &[u8], head: usize, counts: u64) -> bool {
    let count = (counts >> 10 & 15) + 4;
    // Three bits each, 57 at most.
    let lengths = bits_at(input, head + 17) & ((1 << (3 * count)) - 1);
    let three = |at: u32| u32::from(USED[(lengths >> (9 * at)) as usize & 511]);
    (0..7).map(three).sum::<u32>() == 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_block_is_found_at_any_bit() {
        // 257 and 1 codes; 18 code lengths; 18 and 1 have one bit.
        let head: u128 = 4 | 14 << 13 | 1 << (17 + 3 * 2) | 1 << (17 + 3 * 17);
        for shift in 0..80 {
            let bits = head << (shift % 8);
            let mut input = vec![0xff; shift / 8];
            let mut bytes = bits.to_le_bytes();
            bytes[0] |= (1 << (shift % 8)) - 1;
            input.extend_from_slice(&bytes);
            assert_eq!(block(&input, 0, input.len() * 8), Some(shift));
            assert_eq!(block(&input, shift, shift + 1), Some(shift));
            assert_eq!(block(&input, shift + 1, shift + 8), None);
        }
    }
}
