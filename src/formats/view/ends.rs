//! Where an image may end inside the last of its clusters, and what of the disk lies behind a byte of the image.

/// Writers round the end of a file up to a sector.
const SECTOR: u64 = 512;

/// A cluster, grain or block of which the image need not have all.
#[derive(Clone, Copy, Debug)]
pub(in crate::formats) struct Last {
    /// Image offset of its first byte.
    pub(in crate::formats) at: u64,
    /// Bytes of it that the disk needs.
    pub(in crate::formats) least: u64,
    /// All of its bytes.
    pub(in crate::formats) whole: u64,
    /// Bytes of the pieces in which it is written: a sector, or a subcluster.
    pub(in crate::formats) piece: u64,
}

impl Last {
    /// Whether an image of `size` bytes has the end of what the disk needs, and ends before the end of all.
    fn is_cut(&self, size: u64) -> bool {
        self.at.saturating_add(self.least) <= size && size < self.at.saturating_add(self.whole)
    }

    /// Whether no writer leaves an image that ends so many bytes into it.
    pub(super) fn is_odd(&self, size: u64) -> bool {
        let have = size.saturating_sub(self.at);
        let sector = self.least.checked_next_multiple_of(SECTOR);
        let in_pieces = self.piece > SECTOR && have.is_multiple_of(self.piece);
        self.is_cut(size) && have != self.least && Some(have) != sector && !in_pieces
    }
}

/// Parts of the image that are counted. With clusters of 64 KiB, those of 256 MiB have one each.
const PARTS: usize = 4096;

/// Bytes of a part, of a small image.
const SMALLEST_PART: u64 = 64 << 10;

/// How many stored clusters begin in which part of the image. However large the image is, it takes 16 KiB.
#[derive(Clone, Debug)]
pub(in crate::formats) struct Stored {
    part: u64,
    counts: Vec<u32>,
    /// Bytes of a cluster.
    len: u64,
}

impl Default for Stored {
    fn default() -> Self {
        Stored { part: SMALLEST_PART, counts: Vec::new(), len: 0 }
    }
}

impl Stored {
    /// Says that `len` bytes of the disk are stored from image offset `at` on.
    pub(in crate::formats) fn add(&mut self, at: u64, len: u64) {
        // No image is so large that its parts could not be doubled.
        while at / self.part >= PARTS as u64 {
            self.part = self.part.saturating_mul(2);
            let halves = self.counts.chunks(2);
            self.counts = halves
                .map(|two| two.iter().fold(0u32, |sum, count| sum.saturating_add(*count)))
                .collect();
        }
        let index = (at / self.part) as usize;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(index) {
            *count = count.saturating_add(1);
        }
        self.len = self.len.max(len);
    }

    /// How many clusters at least begin from image offset `from` on and before `to`, and how many bytes they have.
    pub(super) fn between(&self, from: u64, to: u64) -> (u64, u64) {
        let (first, end) = (from.div_ceil(self.part) as usize, to.div_ceil(self.part) as usize);
        let end = end.min(self.counts.len());
        let counts = self.counts.get(first.min(end)..end).unwrap_or_default();
        let count = counts.iter().fold(0u64, |sum, count| sum + u64::from(*count));
        (count, count.saturating_mul(self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_ends_with_its_last_cluster_or_with_the_disk() {
        let last = Last { at: 65_536, least: 1000, whole: 4096, piece: 512 };
        for (len, odd) in [
            (999, false), // cut off, which is said elsewhere
            (1000, false),
            (1001, true),
            (1024, false),
            (1025, true),
            (1536, true),
            (4095, true),
            (4096, false),
            (9000, false),
        ] {
            assert_eq!(last.is_odd(65_536 + len), odd, "{len}");
        }
        let pieces = Last { piece: 2048, ..last };
        assert!(!pieces.is_odd(65_536 + 2048) && pieces.is_odd(65_536 + 1536));
    }

    #[test]
    fn the_order_of_clusters_does_not_matter() {
        let count = |places: &mut dyn Iterator<Item = u64>| {
            let mut stored = Stored::default();
            places.for_each(|at| stored.add(at << 16, 65_536));
            [
                stored.between(0, u64::MAX),
                stored.between(5 << 30, 6 << 30),
                stored.between(1 << 40, 2 << 40),
            ]
        };
        let forwards = count(&mut (0..100_000));
        assert_eq!(forwards, count(&mut (0..100_000).rev()));
        assert_eq!(forwards, [(100_000, 100_000 << 16), (16_384, 1 << 30), (0, 0)]);
    }
}
