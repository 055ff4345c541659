//! What a stream is decoded into.

use std::ops::{Deref, DerefMut};

/// Symbols that a buffer has room for.
pub(in crate::codec) const CAPACITY: usize = 1 << 20;
/// Bytes that a copy may write behind these.
pub(super) const SLACK: usize = 64;

/// What a stream is decoded to: bytes, or numbers that stand for bytes and for what is not known before a place.
pub(in crate::codec) trait Symbol: Copy + PartialEq + From<u8> + 'static {}
impl Symbol for u8 {}
impl Symbol for u16 {}

/// What symbols are decoded into. What was never filled takes no memory.
pub(in crate::codec) struct Buffer<S>(Box<[S; CAPACITY + SLACK]>);

impl<S: Symbol> Default for Buffer<S> {
    fn default() -> Self {
        // By way of a vector, as it may be larger than a thread's stack has room for.
        let buffer = vec![S::from(0); CAPACITY + SLACK].into_boxed_slice();
        // It has this length.
        Buffer(buffer.try_into().unwrap_or_else(|_| unreachable!()))
    }
}

impl<S> Deref for Buffer<S> {
    type Target = [S; CAPACITY + SLACK];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S> DerefMut for Buffer<S> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
