use std::borrow::Cow;
use std::sync::Arc;

use super::{Feed, Got, Halt, ImageView};
use crate::bytes::{Pool, Segment};
use crate::formats::zeros::last_used;

/// Bytes of the runs that a [`MemoryFeed`] hands out.
const RUN: usize = 64 << 10;

static ZEROS: [u8; RUN] = [0; RUN];

/// A longer hole is handed on in pieces, as a reader of sparse files does.
const LONGEST_HOLE: u64 = 64 << 20;

/// An image in memory, readable at any offset: some bytes, patches over them, and zeros up to its end.
/// Tests and fuzzing reach structures far into an image with it that takes hardly any room.
#[derive(Clone)]
pub struct MemoryImage<'i> {
    base: Cow<'i, [u8]>,
    /// Each with its offset; later ones lie over earlier ones.
    patches: Vec<(u64, Vec<u8>)>,
    size: u64,
}

impl<'i> MemoryImage<'i> {
    /// An image of these bytes.
    #[must_use]
    pub fn new(base: Vec<u8>) -> Self {
        MemoryImage { size: base.len() as u64, base: Cow::Owned(base), patches: Vec::new() }
    }

    /// Size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Cuts the image, or makes it longer by zeros.
    pub fn resize(&mut self, size: u64) {
        self.size = size;
    }

    /// Writes `bytes` at `at`; what would lie past the end is not seen.
    pub fn patch(&mut self, at: u64, bytes: Vec<u8>) {
        if at.checked_add(bytes.len() as u64).is_some() {
            self.patches.push((at, bytes));
        }
    }

    /// Fills `buf` from `at`, as far as the image has it.
    pub fn read(&self, at: u64, buf: &mut [u8]) -> usize {
        let count = self.size.saturating_sub(at).min(buf.len() as u64) as usize;
        let buf = &mut buf[..count];
        let mut have = 0;
        if let Some(base) = usize::try_from(at).ok().and_then(|at| self.base.get(at..)) {
            have = base.len().min(count);
            buf[..have].copy_from_slice(&base[..have]);
        }
        buf[have..].fill(0);
        for (start, bytes) in &self.patches {
            let from = at.max(*start);
            let to = (at + count as u64).min(start + bytes.len() as u64);
            if from < to {
                buf[(from - at) as usize..(to - at) as usize]
                    .copy_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
            }
        }
        count
    }

    /// How many bytes from `at` on are zeros that need not be looked at.
    fn hole(&self, at: u64) -> u64 {
        let block = usize::try_from(at).ok().and_then(|at| self.base.get(at..)).unwrap_or_default();
        let mut end = self.size;
        if !block.is_empty() {
            let block = &block[..block.len().min(RUN)];
            // One comparison of slices: a loop over bytes is slow where every branch is counted.
            if *block != ZEROS[..block.len()] {
                return 0;
            }
            end = end.min(at + block.len() as u64);
        }
        for (start, bytes) in &self.patches {
            if start + bytes.len() as u64 > at {
                end = end.min(*start);
            }
        }
        end.saturating_sub(at).min(LONGEST_HOLE)
    }
}

impl ImageView for MemoryImage<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        Ok(Got::Bytes(self.read(at, buf)))
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(self.size))
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn used_end(&mut self) -> Result<Option<u64>, Halt> {
        let size = self.size;
        last_used(self, size)
    }
}

/// An image in memory that arrives in runs and cannot be read again.
pub struct MemoryFeed<'i> {
    image: MemoryImage<'i>,
    at: u64,
    pool: Pool,
}

impl<'i> MemoryFeed<'i> {
    /// A feed of this image from its beginning.
    #[must_use]
    pub fn new(image: impl Into<MemoryImage<'i>>) -> Self {
        MemoryFeed { image: image.into(), at: 0, pool: Pool::new(usize::MAX, RUN) }
    }

    /// The next run; `None` at the end.
    pub fn run(&mut self) -> Option<Segment> {
        let hole = self.image.hole(self.at);
        if hole > 0 {
            self.at += hole;
            return Some(Segment::Zeros(hole));
        }
        let mut chunk = self.pool.take();
        let count = self.image.read(self.at, chunk.space());
        chunk.grow(count);
        self.at += count as u64;
        (count > 0).then(|| Segment::Data(Arc::new(chunk)))
    }
}

impl<'i> From<&'i [u8]> for MemoryImage<'i> {
    fn from(bytes: &'i [u8]) -> Self {
        MemoryImage { size: bytes.len() as u64, base: Cow::Borrowed(bytes), patches: Vec::new() }
    }
}

impl<'i> From<&'i Vec<u8>> for MemoryImage<'i> {
    fn from(bytes: &'i Vec<u8>) -> Self {
        MemoryImage::from(bytes.as_slice())
    }
}

impl Feed for MemoryFeed<'_> {
    fn next(&mut self) -> Result<Option<Segment>, Halt> {
        Ok(self.run())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_gives_what_the_image_holds() {
        let mut image = MemoryImage::new(vec![1; 100_000]);
        image.resize(1 << 20);
        image.patch(70_000, vec![2; 10]);
        image.patch(500_000, vec![3; 200_000]);
        image.patch((1 << 20) - 1, vec![4; 10]);
        let mut expected = vec![0; 1 << 20];
        assert_eq!(image.read(0, &mut expected), 1 << 20);
        assert_eq!((expected[70_000], expected[600_000], expected[1 << 19]), (2, 3, 3));
        assert_eq!((expected[99_999], expected[100_000], expected[(1 << 20) - 1]), (1, 0, 4));
        let mut feed = MemoryFeed::new(image);
        let (mut found, mut zeros) = (Vec::new(), 0);
        while let Some(segment) = feed.run() {
            match segment {
                Segment::Data(chunk) => found.extend_from_slice(&chunk),
                Segment::Zeros(len) => {
                    zeros += len;
                    found.resize(found.len() + len as usize, 0);
                }
            }
        }
        assert!(found == expected);
        assert!(zeros > 500_000);
    }
}
