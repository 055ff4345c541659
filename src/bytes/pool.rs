use std::ops::Deref;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A bounded set of buffers of one size, recycled: what a pipeline has in flight never exceeds it.
///
/// A fresh page costs seven times a reused one, so a buffer that is dropped comes home. Taking one
/// waits until one is free, which is also what slows a reader down to the pace of its consumers.
pub struct Pool {
    home: Receiver<Box<[u8]>>,
    back: Sender<Box<[u8]>>,
    unborn: usize,
    size: usize,
}

impl Pool {
    /// A pool of at most `count` buffers of `size` bytes; each is made when it is first wanted.
    #[must_use]
    pub fn new(count: usize, size: usize) -> Self {
        let (back, home) = channel();
        Pool { home, back, unborn: count, size }
    }

    /// An empty chunk; waits until one is free.
    pub fn take(&mut self) -> Chunk {
        let data = match self.home.try_recv() {
            Ok(data) => data,
            Err(_) if self.unborn > 0 => {
                self.unborn -= 1;
                vec![0; self.size].into_boxed_slice()
            }
            Err(_) => match self.home.recv() {
                Ok(data) => data,
                // The pool holds a sender itself, so the channel cannot be closed.
                Err(_) => vec![0; self.size].into_boxed_slice(),
            },
        };
        Chunk { data, len: 0, back: self.back.clone() }
    }
}

/// A buffer of a [`Pool`] with some bytes in it; goes home when dropped.
pub struct Chunk {
    data: Box<[u8]>,
    len: usize,
    back: Sender<Box<[u8]>>,
}

impl Chunk {
    /// The part that holds nothing yet.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.data[self.len..]
    }

    /// Says that `count` bytes of [`Chunk::space`] were filled.
    pub fn grow(&mut self, count: usize) {
        self.len = (self.len + count).min(self.data.len());
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.data[..self.len]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // A pool that is gone needs no buffers.
        let _ = self.back.send(std::mem::take(&mut self.data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_home_and_are_used_again() {
        let mut pool = Pool::new(1, 4);
        let mut chunk = pool.take();
        chunk.space()[..2].copy_from_slice(b"ab");
        chunk.grow(2);
        assert_eq!(&*chunk, b"ab");
        let waiter = std::thread::scope(|scope| {
            scope.spawn(move || drop(chunk));
            pool.take()
        });
        assert!(waiter.is_empty());
        assert_eq!(pool.unborn, 0);
    }
}
