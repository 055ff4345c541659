//! A fast keyed hash of a block, which tells whether two readings of it brought the same bytes.
//!
//! It is NH, the hash of UMAC (Black, Halevi, Krawczyk, Krovetz, Rogaway, CRYPTO '99; RFC 4418), with words of
//! 64 bits: over pieces of 4 KiB, then over what comes of the pieces. A multilinear hash makes 64 bits of that. Two
//! different blocks of one length have the same fingerprint for at most one in 2^61 keys, whoever chose them. The key
//! is made anew by each process and never leaves it, so nobody can look for such blocks.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// Bytes that are hashed with the same key, one after the other.
const PIECE: usize = 4096;

/// The largest block.
pub(super) const LARGEST: usize = 1 << 20;

const WORD: usize = 16;

struct Key {
    /// Two for each word of a piece.
    piece: Vec<u64>,
    /// Two for each piece of a block.
    block: Vec<u64>,
    fold: [u128; 3],
    /// What comes of a piece of zeros.
    zeros: u128,
}

fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| {
        // SipHash of a counter, with a key from the operating system.
        let random = RandomState::new();
        let mut words = (0u64..).map(|at| random.hash_one(at));
        let mut some = |count| words.by_ref().take(count).collect::<Vec<u64>>();
        let (piece, block) = (some(PIECE / 8), some(LARGEST / PIECE * 2));
        let fold = some(6);
        let wide = |at: usize| (u128::from(fold[at]) << 64) | u128::from(fold[at + 1]);
        let zeros = nh(&[0; PIECE], &piece);
        Key { piece, block, fold: [wide(0), wide(2), wide(4)], zeros }
    })
}

/// The sum over whole words. One multiplication takes in 16 bytes.
fn nh(bytes: &[u8], key: &[u64]) -> u128 {
    let mut sum = 0u128;
    for (word, key) in bytes.as_chunks::<WORD>().0.iter().zip(key.as_chunks::<2>().0) {
        let word = u128::from_le_bytes(*word);
        let low = (word as u64).wrapping_add(key[0]);
        let high = ((word >> 64) as u64).wrapping_add(key[1]);
        sum = sum.wrapping_add(u128::from(low).wrapping_mul(u128::from(high)));
    }
    sum
}

/// The fingerprint of a block that comes in runs.
#[derive(Clone, Default)]
pub(super) struct Fingerprint {
    /// Of the pieces before this one.
    block: u128,
    /// Of the words of this piece before this one.
    piece: u128,
    /// Bytes of the block in whole words.
    len: usize,
    /// A word that has begun.
    word: [u8; WORD],
    begun: usize,
}

impl Fingerprint {
    /// Of a block that is here in one run.
    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut fingerprint = Fingerprint::default();
        fingerprint.update(bytes);
        fingerprint.finish()
    }

    /// Takes the next run; [`LARGEST`] bytes at most in all.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        if self.begun > 0 || bytes.len() < WORD {
            let count = (WORD - self.begun).min(bytes.len());
            let (first, rest) = bytes.split_at(count);
            self.word[self.begun..self.begun + count].copy_from_slice(first);
            self.begun += count;
            bytes = rest;
            if self.begun < WORD {
                return;
            }
            self.begun = 0;
            self.words(&{ self.word });
        }
        let (words, rest) = bytes.split_at(bytes.len() / WORD * WORD);
        self.words(words);
        self.word[..rest.len()].copy_from_slice(rest);
        self.begun = rest.len();
    }

    /// Takes zeros by whole pieces, up to so many; how many it took. They cost next to nothing.
    pub(super) fn zeros(&mut self, len: usize) -> usize {
        let whole = self.begun == 0 && self.len.is_multiple_of(PIECE);
        let pieces = if whole { len / PIECE } else { 0 };
        for _ in 0..pieces {
            self.len += PIECE;
            self.piece = key().zeros;
            self.end_piece(self.len / PIECE - 1);
        }
        pieces * PIECE
    }

    /// Takes whole words.
    fn words(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = self.len % PIECE;
            let (now, later) = bytes.split_at((PIECE - at).min(bytes.len()));
            self.piece = self.piece.wrapping_add(nh(now, &key().piece[at / 8..]));
            self.len += now.len();
            if self.len.is_multiple_of(PIECE) {
                self.end_piece(self.len / PIECE - 1);
            }
            bytes = later;
        }
    }

    fn end_piece(&mut self, number: usize) {
        let word = std::mem::take(&mut self.piece).to_le_bytes();
        self.block = self.block.wrapping_add(nh(&word, &key().block[2 * number..]));
    }

    /// What came of it; never 0.
    pub(super) fn finish(mut self) -> u64 {
        if self.begun > 0 {
            self.word[self.begun..].fill(0);
            self.words(&{ self.word });
        }
        if !self.len.is_multiple_of(PIECE) {
            self.end_piece(self.len / PIECE);
        }
        let [first, low, high] = key().fold;
        let sum = first
            .wrapping_add(low.wrapping_mul(self.block & u128::from(u64::MAX)))
            .wrapping_add(high.wrapping_mul(self.block >> 64));
        ((sum >> 64) as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_block_is_cut_does_not_matter() {
        let block: Vec<u8> = (0..20_001u32).map(|at| ((at * 7919) >> 5) as u8).collect();
        for len in [1, 15, 16, 17, 4095, 4096, 4097, 20_001] {
            let whole = Fingerprint::of(&block[..len]);
            for cut in [1, 3, 16, 100, 4096, 5000] {
                let mut running = Fingerprint::default();
                block[..len].chunks(cut).for_each(|run| running.update(run));
                assert_eq!(running.finish(), whole, "{len} {cut}");
            }
        }
    }

    #[test]
    fn zeros_are_zeros_however_they_come() {
        let mut block = vec![7; 40_000];
        block[4000..30_000].fill(0);
        for at in [0, 4000, 4096, 5000, 8192] {
            let mut running = Fingerprint::default();
            running.update(&block[..at]);
            let zeros = match at {
                0 => 0,
                _ => running.zeros(30_000 - at),
            };
            assert!(zeros > 0 || !at.is_multiple_of(4096) || at == 0);
            running.update(&block[at + zeros..]);
            assert_eq!(running.finish(), Fingerprint::of(&block), "{at}");
        }
    }

    #[test]
    fn every_bit_counts_wherever_it_is() {
        let mut block = vec![0; LARGEST];
        let same = Fingerprint::of(&block);
        for at in [0, 7, 8, 15, 16, 4095, 4096, 8191, LARGEST / 2, LARGEST - 1] {
            for bit in 0..8 {
                block[at] ^= 1 << bit;
                assert_ne!(Fingerprint::of(&block), same, "byte {at}, bit {bit}");
                block[at] ^= 1 << bit;
            }
        }
        // Words, and pieces, that change places.
        let mut block: Vec<u8> = (0..16_384u32).map(|at| (at / 7) as u8).collect();
        let same = Fingerprint::of(&block);
        for size in [8, 16, 4096] {
            let (one, other) = block.split_at_mut(size);
            one.swap_with_slice(&mut other[..size]);
            assert_ne!(Fingerprint::of(&block), same, "{size}");
            let (one, other) = block.split_at_mut(size);
            one.swap_with_slice(&mut other[..size]);
        }
        assert_eq!(Fingerprint::of(&block), same);
    }
}
