//! Wanted ranges of an image, served in the order in which a stream can give them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Got, Halt, ImageView, Missing};

/// The most that is wanted in one piece. Larger tables are wanted in several.
pub(super) const LARGEST_PIECE: usize = 1 << 20;

/// How many ranges a view is told of before they are read.
const MOST_AHEAD: usize = 64;

/// What an examiner wants to see of an image, each range with a tag that says what it is.
pub(super) struct Scan<T> {
    queue: BTreeMap<(u64, u32), (u32, T)>,
    /// What comes into the queue when its turn is near, the last first: hundreds of thousands of ranges take a third of
    /// the room that they would take in the queue.
    later: Vec<(u64, u32, T)>,
    /// What lay behind already when it was wanted so.
    passed: Vec<(u64, u32, T)>,
    /// Tells ranges with the same offset apart, in the order in which they were wanted.
    serial: u32,
    /// Image offset up to which ranges were served.
    at: u64,
    /// Where the image ends, once a range reached past that.
    end: u64,
}

/// A range that was wanted.
pub(super) struct Piece<T> {
    /// What it is.
    pub(super) tag: T,
    /// Image offset of its first byte.
    pub(super) at: u64,
    /// Its bytes; fewer than wanted only at the end of the image, none if it is missing.
    pub(super) bytes: Vec<u8>,
    /// Why it could not be read.
    pub(super) missing: Option<Missing>,
    /// Whether the image ends before it does.
    pub(super) cut: bool,
}

impl<T> Scan<T> {
    pub(super) fn new() -> Self {
        let (later, passed) = (Vec::new(), Vec::new());
        Scan { queue: BTreeMap::new(), later, passed, serial: 0, at: 0, end: u64::MAX }
    }

    /// Wants `len` bytes, at most [`LARGEST_PIECE`], from image offset `at`.
    pub(super) fn want(&mut self, at: u64, len: usize, tag: T) {
        self.serial = self.serial.wrapping_add(1);
        self.queue.insert((at, self.serial), (len.min(LARGEST_PIECE) as u32, tag));
    }

    /// Wants a table of any length in pieces of [`LARGEST_PIECE`]; its length has to be checked before.
    /// The tag is made from the number of bytes before the piece.
    pub(super) fn want_table(&mut self, at: u64, len: u64, mut tag: impl FnMut(u64) -> T) {
        let mut done = 0;
        while done < len {
            let piece = (len - done).min(LARGEST_PIECE as u64);
            self.want(at.saturating_add(done), piece as usize, tag(done));
            done += piece;
        }
    }

    /// Wants many tables of `len` bytes, of which no more is held than their places. The tag is made from what stands beside
    /// a place and from the number of bytes before the piece.
    pub(super) fn want_tables<N: Copy>(
        &mut self,
        len: u64,
        tables: impl Iterator<Item = (u64, N)>,
        tag: impl Fn(N, u64) -> T,
    ) {
        for (table, beside) in tables {
            for done in (0..len).step_by(LARGEST_PIECE) {
                let (at, piece) =
                    (table.saturating_add(done), (len - done).min(LARGEST_PIECE as u64));
                let list = if at >= self.at { &mut self.later } else { &mut self.passed };
                if list.len() == list.capacity() {
                    // By a quarter: what has been left behind by growing is lost for what comes after.
                    list.reserve_exact(list.len() / 4 + MOST_AHEAD);
                }
                list.push((at, piece as u32, tag(beside, done)));
            }
        }
        self.later.sort_unstable_by_key(|(at, ..)| Reverse(*at));
    }

    /// Brings what comes next into the queue.
    fn fill(&mut self) {
        while let Some(&(next, ..)) = self.later.last() {
            let first = self.queue.range((self.at, 0)..).next().map(|((at, _), _)| *at);
            if first.is_some_and(|first| first <= next) {
                return;
            }
            for _ in 0..MOST_AHEAD {
                if let Some((at, len, tag)) = self.later.pop() {
                    self.want(at, len as usize, tag);
                }
            }
            if self.later.len() < self.later.capacity() / 2 {
                // Others grow while these become fewer.
                self.later.shrink_to_fit();
            }
        }
    }

    /// Image offset of the next range ahead.
    pub(super) fn next_at(&mut self) -> Option<u64> {
        self.fill();
        self.queue.range((self.at, 0)..).next().map(|((at, _), _)| *at)
    }

    /// Says that the image is read from its beginning again: what lies behind is ahead.
    pub(super) fn turn(&mut self) {
        self.at = 0;
        self.later.append(&mut self.passed);
        self.later.sort_unstable_by_key(|(at, ..)| Reverse(*at));
    }

    /// Ranges that are still wanted, but for those of [`Scan::want_tables`].
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The next range ahead, or if there is none, the first of those that lie behind. `None` when
    /// nothing is wanted any more.
    pub(super) fn next(&mut self, view: &mut dyn ImageView) -> Result<Option<Piece<T>>, Halt> {
        if self.next_at().is_none() {
            if self.queue.is_empty() && self.passed.is_empty() {
                return Ok(None);
            }
            self.turn();
            self.fill();
        }
        let Some(key) = self.queue.range((self.at, 0)..).next().map(|(key, _)| *key) else {
            return Ok(None);
        };
        let (at, _) = key;
        if at >= self.end {
            // A length that an image claims costs no reads of what it does not have.
            let Some((len, tag)) = self.queue.remove(&key) else { return Ok(None) };
            self.at = at;
            return Ok(Some(Piece { tag, at, bytes: Vec::new(), missing: None, cut: len > 0 }));
        }
        let next = self.queue.range(key..).map(|((at, _), (len, _))| (*at, u64::from(*len)));
        view.ahead(&mut next.take(MOST_AHEAD))?;
        let Some((len, tag)) = self.queue.remove(&key) else { return Ok(None) };
        let len = len as usize;
        let mut bytes = vec![0; len];
        let missing = match view.read_at(at, &mut bytes)? {
            Got::Bytes(count) => {
                bytes.truncate(count);
                None
            }
            Got::Missing(missing) => {
                bytes.clear();
                Some(missing)
            }
        };
        self.at = at;
        let cut = missing.is_none() && bytes.len() < len;
        if cut {
            self.end = at.saturating_add(bytes.len() as u64);
        }
        Ok(Some(Piece { tag, at, bytes, missing, cut }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryImage;
    use super::super::testing::MemoryView;
    use super::*;

    /// Counts reads.
    struct Counted<'v> {
        view: &'v mut dyn ImageView,
        reads: usize,
    }

    impl ImageView for Counted<'_> {
        fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
            self.reads += 1;
            self.view.read_at(at, buf)
        }

        fn size(&mut self) -> Result<Option<u64>, Halt> {
            self.view.size()
        }
    }

    #[test]
    fn serves_ahead_first_and_then_what_lies_behind() {
        let mut view = MemoryView::new((0..100).collect());
        let mut scan = Scan::new();
        scan.want(50, 2, "b");
        scan.want(99, 5, "end");
        scan.want(10, 2, "a");
        let mut seen = Vec::new();
        while let Some(piece) = scan.next(&mut view).unwrap() {
            if piece.tag == "a" {
                scan.want(20, 1, "after a");
            }
            if piece.tag == "b" {
                scan.want(5, 1, "behind");
            }
            seen.push((piece.tag, piece.bytes));
        }
        let expected = [
            ("a", vec![10, 11]),
            ("after a", vec![20]),
            ("b", vec![50, 51]),
            ("end", vec![99]),
            ("behind", vec![5]),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_lies_past_the_end_is_not_read() {
        let mut image = MemoryImage::new(vec![7; LARGEST_PIECE + 100]);
        let mut view = Counted { view: &mut image, reads: 0 };
        let mut scan = Scan::new();
        scan.want_table(0, 1 << 30, |before| before);
        let mut pieces = Vec::new();
        while let Some(piece) = scan.next(&mut view).unwrap() {
            pieces.push((piece.bytes.len(), piece.cut));
        }
        assert_eq!(pieces.len(), 1024);
        assert_eq!(pieces[..3], [(LARGEST_PIECE, false), (100, true), (0, true)]);
        assert_eq!(view.reads, 2);
        // What lies before the end is read still.
        scan.want(10, 5, 0);
        assert_eq!(scan.next(&mut view).unwrap().unwrap().bytes, [7; 5]);
    }

    #[test]
    fn many_tables_come_in_the_order_of_the_others() {
        let mut view = MemoryView::new(vec![7; 4000]);
        let mut scan = Scan::new();
        scan.want(1000, 1, 0);
        assert_eq!(scan.next(&mut view).unwrap().unwrap().at, 1000);
        // Behind and ahead, some of them twice, with others between them.
        let places = (0..900u64).map(|n| (n * 7919 % 300 * 10 + 5, n));
        scan.want_tables(2, places, |n, before| n + before);
        assert_eq!(scan.len(), 0);
        (0..300).for_each(|n| scan.want(n * 10, 1, 1000 + n));
        let (mut seen, mut tags) = (Vec::new(), Vec::new());
        while let Some(piece) = scan.next(&mut view).unwrap() {
            assert!(scan.len() <= 300 + MOST_AHEAD);
            assert_eq!(piece.bytes.len(), if piece.at % 10 == 5 { 2 } else { 1 });
            seen.push(piece.at);
            tags.push(piece.tag);
        }
        let each = (0..300u64).flat_map(|n| [n * 10, n * 10 + 5, n * 10 + 5, n * 10 + 5]);
        let (mut expected, behind): (Vec<_>, Vec<_>) = each.partition(|&at| at >= 1000);
        expected.extend(behind);
        assert_eq!(seen, expected);
        tags.sort_unstable();
        assert_eq!(tags, (0..900).chain(1000..1300).collect::<Vec<u64>>());
    }

    #[test]
    fn a_long_table_comes_in_pieces() {
        let mut scan = Scan::new();
        scan.want_table(0, (LARGEST_PIECE as u64) * 2 + 8, |before| before);
        assert_eq!(scan.len(), 3);
    }
}
