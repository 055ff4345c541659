//! Bits of a byte string, the highest bit of a byte first.

/// A place in a byte string between two bits.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte that goes into `buffer`.
    next: usize,
    /// The bits that come next are its highest ones.
    buffer: u64,
    /// How many of them there are.
    count: u32,
}

/// The bytes end before the bits do that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Starved;

impl<'a> Bits<'a> {
    /// From bit `at` of `bytes` on.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        let mut bits = Bits { bytes, next: at / 8, buffer: 0, count: 0 };
        bits.refill();
        bits.skip(at as u32 % 8);
        bits
    }

    /// Bits from the beginning of the bytes to here.
    pub(super) fn position(&self) -> usize {
        self.next * 8 - self.count as usize
    }

    /// Makes sure that there are 56 bits or all that are left.
    #[inline]
    pub(super) fn refill(&mut self) {
        if let Some(bytes) = self.bytes.get(self.next..).and_then(|rest| rest.first_chunk::<8>()) {
            self.buffer |= u64::from_be_bytes(*bytes) >> self.count;
            let whole = (63 - self.count) / 8;
            self.next += whole as usize;
            self.count += 8 * whole;
            // Bits that do not count yet are added once more later, and are the same then.
            return;
        }
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.next) else { return };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.next += 1;
            self.count += 8;
        }
    }

    /// The next 32 bits, with zeros behind the end.
    #[inline]
    pub(super) fn ahead(&self) -> u32 {
        (self.buffer >> 32) as u32
    }

    /// Bits that are at hand.
    #[inline]
    pub(super) fn at_hand(&self) -> u32 {
        self.count
    }

    /// Goes on by bits that are at hand.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) {
        let count = count.min(self.count);
        self.buffer <<= count;
        self.count -= count;
    }

    /// The next `count` bits, 32 at most.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Starved> {
        if self.count < count {
            self.refill();
        }
        if self.count < count {
            return Err(Starved);
        }
        let value = (u64::from(self.ahead()) >> (32 - count)) as u32;
        self.skip(count);
        Ok(value)
    }

    /// Whether the next bit is set.
    pub(super) fn flag(&mut self) -> Result<bool, Starved> {
        Ok(self.take(1)? == 1)
    }
}
