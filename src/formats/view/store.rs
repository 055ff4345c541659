use super::Halt;
use crate::bytes::Segment;

/// Keeps all that a stream delivers, so that it can be read again.
pub trait Store {
    /// Takes the next run.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn put(&mut self, segment: &Segment) -> Result<(), Halt>;

    /// Bytes that were written for it so far.
    fn written(&self) -> u64;

    /// Whether it can be read as often as one likes; across a network it is better not to.
    fn is_near(&self) -> bool;

    /// Whether each reading crosses a network.
    fn is_far(&self) -> bool {
        false
    }

    /// Says that no more effort than once for all that was put is worth it from now on.
    fn ration(&mut self) {}

    /// Bytes that were decoded for readings since [`ration`](Self::ration).
    fn decoded_again(&self) -> u64 {
        0
    }

    /// Fills `buf` from image offset `at`. Only what was put is asked for. False if nothing can be had of it any more.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<bool, Halt>;
}
