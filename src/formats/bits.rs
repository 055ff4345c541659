//! A set of small numbers, such as those of the blocks that were seen.

/// Most numbers that a set can hold: 8 MiB of bits, blocks of 1 MiB for a disk of 64 TiB.
const MOST: u64 = 1 << 26;

/// Numbers below a bound. It takes memory as the numbers grow, up to [`MOST`] bits.
pub(super) struct Bits {
    words: Vec<u64>,
    bound: u64,
}

impl Bits {
    /// A set of numbers below `bound`, or below [`MOST`] if that is less.
    pub(super) fn new(bound: u64) -> Self {
        Bits { words: Vec::new(), bound: bound.min(MOST) }
    }

    /// Whether it can hold the number.
    pub(super) fn holds(&self, number: u64) -> bool {
        number < self.bound
    }

    /// Adds a number; false if it was there already. One that it cannot hold is always new.
    pub(super) fn add(&mut self, number: u64) -> bool {
        if !self.holds(number) {
            return true;
        }
        // Below 2^20.
        let index = (number / 64) as usize;
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        let (Some(word), bit) = (self.words.get_mut(index), 1 << (number % 64)) else {
            return true;
        };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether a number is in it.
    pub(super) fn has(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|index| self.words.get(index));
        word.is_some_and(|word| word >> (number % 64) & 1 != 0)
    }

    /// The first number that is not in it.
    pub(super) fn first_free(&self) -> u64 {
        let full = self.words.iter().take_while(|&&word| word == u64::MAX).count();
        let rest = self.words.get(full).map_or(0, |word| word.trailing_ones());
        full as u64 * 64 + u64::from(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_was_added() {
        let mut bits = Bits::new(1000);
        assert_eq!(bits.first_free(), 0);
        for number in (0..70).chain([999]) {
            assert!(bits.add(number));
            assert!(!bits.add(number));
        }
        assert!(bits.has(69) && !bits.has(70) && bits.has(999) && !bits.has(u64::MAX));
        assert_eq!(bits.first_free(), 70);
        assert!(!bits.holds(1000) && bits.add(1000) && bits.add(1000));
        assert!(bits.add(u64::MAX) && bits.words.len() < 20);
        assert!(Bits::new(u64::MAX).holds(MOST - 1) && !Bits::new(u64::MAX).holds(MOST));
    }
}
