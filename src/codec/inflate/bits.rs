//! The bits that come next.

/// Bits of the input that were read and not yet used, the next one lowest.
#[derive(Clone, Copy, Default)]
pub(super) struct Bits {
    pub(super) bits: u64,
    pub(super) count: u32,
}

/// More input is needed.
pub(super) struct Wants;

impl Bits {
    /// The next bits, left where they are.
    pub(super) fn peek(&mut self, count: u32, input: &[u8], at: &mut usize) -> Result<u64, Wants> {
        while self.count < count {
            self.load(input, at)?;
        }
        Ok(self.bits & ((1 << count) - 1))
    }

    /// Reads a byte. There is room: at most 48 bits are asked for.
    pub(super) fn load(&mut self, input: &[u8], at: &mut usize) -> Result<(), Wants> {
        let byte = input.get(*at).ok_or(Wants)?;
        *at += 1;
        self.bits |= u64::from(*byte) << self.count;
        self.count += 8;
        Ok(())
    }

    pub(super) fn skip(&mut self, count: u32) {
        self.bits >>= count;
        self.count -= count;
    }

    pub(super) fn take(&mut self, count: u32, input: &[u8], at: &mut usize) -> Result<u64, Wants> {
        let bits = self.peek(count, input, at)?;
        self.skip(count);
        Ok(bits)
    }
}
