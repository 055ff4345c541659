use std::collections::VecDeque;

use super::trail::Trail;
use super::{Got, Halt, ImageView, Missing, Store, too_large};
use crate::bytes::Segment;
use crate::facts::Notebook;

/// Bytes at the beginning of an image that a stream keeps: headers live there.
const HEAD: usize = 1 << 20;

/// Bytes before the position that a stream keeps: trailers, the backup GPT and the marks of a RAID live in the last
/// ones.
const KEPT_BEHIND: u64 = 128 << 10;

/// The most that a stream keeps behind its position on request: a table of the largest cluster, the
/// cluster before it, and one that reaches over it.
const MOST_LOOKED_BACK: u64 = 8 << 20;

/// How far into a compressed image a quick check reads. Headers and first tables lie before it.
const QUICK_HORIZON: u64 = 64 << 20;

/// How often a source is read from its beginning for what lay behind: an image of nearly the limit so often, a
/// smaller one for as many bytes in all, up to the larger number. That bounds what a hostile layout can cost.
const SCANS_OF_LARGEST: u32 = 8;
const MOST_SCANS: u32 = 32;

/// What a stream keeps on request: ranges, and bytes in all.
const MOST_KEEPSAKES: usize = 64;
const MOST_KEPT: u64 = 1 << 20;

/// A range that is kept because somebody asked for it.
struct Keepsake {
    at: u64,
    bytes: Vec<u8>,
    /// How much of it has come by; the rest is still ahead.
    have: usize,
}

/// Where a [`StreamView`] gets the image from.
pub trait Feed {
    /// The next run of the image; `None` at its end. Runs are never empty.
    ///
    /// # Errors
    /// If the source fails or the packed stream is damaged.
    fn next(&mut self) -> Result<Option<Segment>, Halt>;
}

/// Opens another feed over the same image, from its beginning.
pub type Reopen<'a> = Box<dyn FnMut() -> Box<dyn Feed + 'a> + 'a>;

/// An image that arrives in order.
///
/// What it answers depends on the ranges it is asked for, never on how the feed cuts the image: it
/// keeps the first MiB, and the 64 KiB before the end of the last range that was read.
pub struct StreamView<'a> {
    feed: Box<dyn Feed + 'a>,
    reopen: Option<Reopen<'a>>,
    notebook: &'a Notebook<'a>,
    quick: bool,
    head: Option<Vec<u8>>,
    /// Runs that were read, oldest first, each with its image offset. The last ones reach to `fed`.
    kept: VecDeque<(u64, Segment)>,
    /// What came before the kept runs, as far as somebody looks back for it.
    trail: Trail,
    keepsakes: Vec<Keepsake>,
    /// Image bytes that the feed has delivered in this scan.
    fed: u64,
    /// Image offset up to which ranges were read in this scan.
    at: u64,
    size: Option<u64>,
    /// The stream broke inside the head; what came before the break can be read.
    broken: bool,
    scans: u32,
    /// Has all that was fed, if what lies behind is to be read from there.
    store: Option<Box<dyn Store + 'a>>,
    /// Bytes that a store had written when it was let go.
    written: u64,
    /// Whether the store is wanted for more than a digest of the disk.
    lasting: bool,
}

impl<'a> StreamView<'a> {
    /// A view of what `feed` delivers. With `reopen`, what lies behind is read by scanning again.
    #[must_use]
    pub fn new(
        feed: Box<dyn Feed + 'a>,
        reopen: Option<Reopen<'a>>,
        notebook: &'a Notebook<'a>,
        quick: bool,
    ) -> Self {
        StreamView {
            feed,
            reopen,
            notebook,
            quick,
            head: None,
            kept: VecDeque::new(),
            trail: Trail::default(),
            keepsakes: Vec::new(),
            fed: 0,
            at: 0,
            size: None,
            broken: false,
            scans: 1,
            store: None,
            written: 0,
            lasting: false,
        }
    }

    /// Lets `store` have all that comes, and reads from it what lies behind. Unless it is `lasting`,
    /// [`ImageView::release`] lets go of it.
    #[must_use]
    pub fn with_store(mut self, store: Option<Box<dyn Store + 'a>>, lasting: bool) -> Self {
        (self.store, self.lasting) = (store, lasting);
        self
    }

    /// Bytes that were written to keep what came by.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.store.as_ref().map_or(self.written, |store| store.written())
    }

    /// How often the image was read from its beginning.
    #[must_use]
    pub fn scans(&self) -> u32 {
        self.scans
    }

    /// Reads to the end of the image, so that all of it was decoded and verified.
    ///
    /// # Errors
    /// If it cannot be read, or the verdict is already settled.
    pub fn run_out(&mut self) -> Result<u64, Halt> {
        self.fill_head()?;
        loop {
            if let Some(size) = self.size {
                self.at = self.at.max(size);
                return Ok(size);
            }
            if self.broken || self.notebook.doomed() {
                return Err(Halt::Stopped);
            }
            self.at = self.fed;
            self.pull()?;
        }
    }

    /// Image offset from which on what was read is kept.
    fn kept_from(&self) -> u64 {
        self.at.saturating_sub(KEPT_BEHIND.max(self.trail.len))
    }

    /// Takes the next run from the feed; false at the end.
    fn pull(&mut self) -> Result<bool, Halt> {
        let Some(segment) = self.feed.next()? else {
            self.size = Some(self.fed);
            return Ok(false);
        };
        if let Some(store) = &mut self.store {
            store.put(&segment)?;
        }
        let start = self.fed;
        self.fed += segment.len();
        self.kept.push_back((start, segment));
        self.fill_keepsakes();
        let behind = self.at.saturating_sub(KEPT_BEHIND);
        while self.kept.front().is_some_and(|(start, segment)| start + segment.len() <= behind) {
            if let Some((start, segment)) = self.kept.pop_front()
                && self.trail.len > 0
            {
                self.trail.take(start, &segment, self.at);
            }
        }
        if self.fed >= self.notebook.limit() {
            too_large(self.notebook, self.notebook.limit());
            return Err(Halt::Stopped);
        }
        Ok(true)
    }

    fn fill_head(&mut self) -> Result<(), Halt> {
        if self.head.is_some() {
            return Ok(());
        }
        while self.fed < HEAD as u64 {
            match self.pull() {
                Ok(true) => {}
                Ok(false) => break,
                Err(Halt::Stopped) => {
                    self.broken = true;
                    break;
                }
                Err(halt) => return Err(halt),
            }
        }
        let mut head = vec![0; HEAD.min(self.fed as usize)];
        self.copy_kept(0, &mut head);
        self.at = head.len() as u64;
        self.head = Some(head);
        Ok(())
    }

    /// Takes what has come by of the ranges that are to be kept.
    fn fill_keepsakes(&mut self) {
        let mut keepsakes = std::mem::take(&mut self.keepsakes);
        for keepsake in &mut keepsakes {
            let from = keepsake.at + keepsake.have as u64;
            let count =
                self.fed.saturating_sub(from).min((keepsake.bytes.len() - keepsake.have) as u64);
            let end = keepsake.have + count as usize;
            self.copy_kept(from, &mut keepsake.bytes[keepsake.have..end]);
            keepsake.have = end;
        }
        self.keepsakes = keepsakes;
    }

    /// Copies a range that lies within the kept runs.
    fn copy_kept(&self, at: u64, buf: &mut [u8]) {
        let end = at + buf.len() as u64;
        self.trail.copy(at, buf);
        for (start, segment) in &self.kept {
            let from = at.max(*start);
            let to = end.min(start + segment.len());
            if from >= to {
                continue;
            }
            let target = &mut buf[(from - at) as usize..(to - at) as usize];
            match segment {
                Segment::Zeros(_) => target.fill(0),
                Segment::Data(chunk) => {
                    target.copy_from_slice(&chunk[(from - start) as usize..(to - start) as usize]);
                }
            }
        }
    }

    /// How often the image may be read from its beginning.
    fn most_scans(&self) -> u32 {
        let Some(size) = self.size else { return MOST_SCANS };
        let bytes = self.notebook.limit().saturating_mul(SCANS_OF_LARGEST.into());
        let scans = u32::try_from(bytes / size.max(1)).unwrap_or(u32::MAX);
        scans.clamp(SCANS_OF_LARGEST, MOST_SCANS)
    }

    /// Begins a new scan of the same image, after the first one has seen all of it; or says why not.
    fn rewind(&mut self) -> Result<Result<(), Missing>, Halt> {
        self.run_out()?;
        let most = self.most_scans();
        let Some(reopen) = &mut self.reopen else { return Ok(Err(Missing::Behind)) };
        if self.scans >= most {
            return Ok(Err(Missing::Scattered));
        }
        self.kept.clear();
        (self.trail.bytes, self.trail.end) = (VecDeque::new(), 0);
        self.feed = reopen();
        (self.fed, self.at) = (0, 0);
        self.scans += 1;
        Ok(Ok(()))
    }

    /// Reads a range that begins behind from the store, after the rest of it has come by.
    fn stored(&mut self, at: u64, buf: &mut [u8]) -> Result<Option<usize>, Halt> {
        let end = at.saturating_add(buf.len() as u64);
        while self.store.is_some() && self.fed < end && self.size.is_none() {
            self.at = self.fed;
            self.pull()?;
        }
        let Some(store) = &mut self.store else { return Ok(None) };
        let count = self.fed.saturating_sub(at).min(buf.len() as u64) as usize;
        if !store.read_at(at, &mut buf[..count])? {
            self.store = None;
            return Ok(None);
        }
        Ok(Some(count))
    }

    /// Copies the range as it comes by, as far as the image has it.
    fn forward(&mut self, at: u64, buf: &mut [u8]) -> Result<usize, Halt> {
        let mut have = 0;
        loop {
            let from = at + have as u64;
            let count = self.fed.saturating_sub(from).min((buf.len() - have) as u64) as usize;
            self.copy_kept(from, &mut buf[have..have + count]);
            have += count;
            // What lies before is let go with the next run.
            self.at = self.at.max(self.fed.min(from) + count as u64);
            let ended = self.size.is_some_and(|size| self.fed >= size);
            if have == buf.len() || ended || !self.pull()? {
                return Ok(have);
            }
        }
    }
}

impl ImageView for StreamView<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        self.fill_head()?;
        let head = self.head.as_deref().unwrap_or_default();
        let in_head = (head.len() as u64).saturating_sub(at).min(buf.len() as u64) as usize;
        if in_head > 0 {
            let start = at as usize;
            buf[..in_head].copy_from_slice(&head[start..start + in_head]);
        }
        let (at, buf) = (at.saturating_add(in_head as u64), &mut buf[in_head..]);
        if buf.is_empty() || self.size.is_some_and(|size| at >= size) {
            return Ok(Got::Bytes(in_head));
        }
        if self.broken || self.notebook.doomed() {
            return Err(Halt::Stopped);
        }
        let kept = self.keepsakes.iter().find_map(|keepsake| {
            let skip = usize::try_from(at.checked_sub(keepsake.at)?).ok()?;
            keepsake.bytes[..keepsake.have].get(skip..)?.get(..buf.len())
        });
        if let Some(kept) = kept {
            buf.copy_from_slice(kept);
            return Ok(Got::Bytes(in_head + buf.len()));
        }
        if self.quick && at.saturating_add(buf.len() as u64) > QUICK_HORIZON {
            return Ok(Got::Missing(Missing::Quick));
        }
        if at < self.kept_from() {
            if let Some(count) = self.stored(at, buf)? {
                return Ok(Got::Bytes(in_head + count));
            }
            if let Err(missing) = self.rewind()? {
                return Ok(Got::Missing(missing));
            }
        }
        Ok(Got::Bytes(in_head + self.forward(at, buf)?))
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        self.fill_head()?;
        if self.quick && !self.broken {
            return Ok(self.size);
        }
        self.run_out().map(Some)
    }

    fn is_seekable(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.is_near())
    }

    fn is_passing(&self) -> bool {
        !self.quick && !self.is_seekable()
    }

    fn look_back(&mut self, len: u64) {
        self.trail.len = self.trail.len.max(len.min(MOST_LOOKED_BACK));
    }

    fn at_hand(&self) -> u64 {
        if self.store.is_some() { 0 } else { self.kept_from() }
    }

    fn scans_left(&self) -> u32 {
        match (&self.store, &self.reopen) {
            (Some(_), _) => u32::MAX,
            (None, Some(_)) => self.most_scans().saturating_sub(self.scans),
            (None, None) => 0,
        }
    }

    fn release(&mut self) {
        if !self.lasting {
            self.written = self.written();
            self.store = None;
        }
    }

    /// Only of what is still ahead or surely at hand, so that it does not matter how the feed cuts.
    fn keep(&mut self, at: u64, len: u64) {
        let held: u64 = self.keepsakes.iter().map(|keepsake| keepsake.bytes.len() as u64).sum();
        if at < self.kept_from()
            || self.keepsakes.len() >= MOST_KEEPSAKES
            || held.saturating_add(len) > MOST_KEPT
            || at.checked_add(len).is_none()
        {
            return;
        }
        self.keepsakes.push(Keepsake { at, bytes: vec![0; len as usize], have: 0 });
        self.fill_keepsakes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Pool;
    use crate::facts::Code;
    use std::sync::Arc;

    /// Feeds an image in runs of the lengths given, again and again.
    struct Pieces {
        image: Vec<u8>,
        at: usize,
        lengths: Vec<usize>,
        turn: usize,
        pool: Pool,
    }

    impl Pieces {
        fn feed(image: &[u8], lengths: &[usize]) -> Box<dyn Feed> {
            Box::new(Pieces {
                image: image.to_vec(),
                at: 0,
                lengths: lengths.to_vec(),
                turn: 0,
                pool: Pool::new(usize::MAX, 1 << 16),
            })
        }
    }

    impl Feed for Pieces {
        fn next(&mut self) -> Result<Option<Segment>, Halt> {
            let len = self.lengths[self.turn % self.lengths.len()].min(self.image.len() - self.at);
            self.turn += 1;
            if len == 0 {
                return Ok(None);
            }
            let mut chunk = self.pool.take();
            chunk.space()[..len].copy_from_slice(&self.image[self.at..self.at + len]);
            chunk.grow(len);
            self.at += len;
            Ok(Some(Segment::Data(Arc::new(chunk))))
        }
    }

    fn image(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at / 7 % 251) as u8).collect()
    }

    /// The answers to a list of reads, each as bytes or as the reason.
    fn answers(
        image: &[u8],
        lengths: &[usize],
        reads: &[(u64, usize)],
        again: bool,
    ) -> Vec<Result<Vec<u8>, Missing>> {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let reopen: Option<Reopen<'_>> =
            again.then(|| Box::new(|| Pieces::feed(image, lengths)) as Reopen<'_>);
        let mut view = StreamView::new(Pieces::feed(image, lengths), reopen, &notebook, false);
        reads
            .iter()
            .map(|&(at, len)| {
                let mut buf = vec![0xee; len];
                match view.read_at(at, &mut buf).unwrap() {
                    Got::Bytes(count) => Ok(buf[..count].to_vec()),
                    Got::Missing(missing) => Err(missing),
                }
            })
            .collect()
    }

    #[test]
    fn answers_do_not_depend_on_how_the_feed_cuts() {
        let image = image(3 << 20);
        let mib = 1u64 << 20;
        let reads = [
            (mib + 100, 50),
            (0, 512),
            (mib - 10, 20),
            (2 * mib, 4096),
            (2 * mib - 60_000, 100),
            (mib + 200, 10),
            (3 * mib - 100, 500),
            (5 * mib, 10),
        ];
        let expected = answers(&image, &[65536], &reads, false);
        assert_eq!(expected[5], Err(Missing::Behind));
        for (index, (at, len)) in reads.iter().enumerate().filter(|(index, _)| *index != 5) {
            let from = (*at as usize).min(image.len());
            let to = (from + len).min(image.len());
            assert_eq!(expected[index].as_deref(), Ok(&image[from..to]), "read {index}");
        }
        for lengths in [&[1000, 1, 60000][..], &[33, 65535], &[4096]] {
            assert!(answers(&image, lengths, &reads, false) == expected);
        }
    }

    #[test]
    fn what_lies_behind_is_read_again_where_the_source_allows() {
        let image = image(3 << 20);
        let reads = [(2 << 20, 10), ((1 << 20) + 500, 10)];
        let got = answers(&image, &[65536], &reads, true);
        assert_eq!(got[1].as_deref(), Ok(&image[(1 << 20) + 500..(1 << 20) + 510]));
    }

    #[test]
    fn keeps_what_was_asked_for() {
        let image = image(4 << 20);
        let notebook = Notebook::new(&|_| false, 1 << 40);
        for lengths in [&[65536][..], &[1000, 1, 60000]] {
            let mut view = StreamView::new(Pieces::feed(&image, lengths), None, &notebook, false);
            let ranges = [(1_500_000, 5000), (2_000_000, 70_000), ((4 << 20) - 10, 10)];
            for (at, len) in ranges {
                view.keep(at, len);
            }
            view.keep(1_600_000, u64::MAX);
            view.run_out().unwrap();
            for (at, len) in ranges {
                let mut buf = vec![0; len as usize];
                assert_eq!(view.read_at(at, &mut buf).unwrap(), Got::Bytes(len as usize));
                assert!(buf == image[at as usize..(at + len) as usize]);
            }
            assert_eq!(
                view.read_at(1_600_000, &mut [0; 9]).unwrap(),
                Got::Missing(Missing::Behind)
            );
            // Too late: it has passed.
            view.keep(1_700_000, 10);
            assert_eq!(
                view.read_at(1_700_000, &mut [0; 9]).unwrap(),
                Got::Missing(Missing::Behind)
            );
        }
    }

    #[test]
    fn stops_at_the_limit() {
        let image = image(2 << 20);
        let notebook = Notebook::new(&|_| true, (2 << 20) - 1);
        let mut view = StreamView::new(Pieces::feed(&image, &[65536]), None, &notebook, false);
        assert!(matches!(view.run_out(), Err(Halt::Stopped)));
        assert!(notebook.has(Code::ImageTooLarge));
        let notebook = Notebook::new(&|_| true, (2 << 20) + 1);
        let mut view = StreamView::new(Pieces::feed(&image, &[65536]), None, &notebook, false);
        assert_eq!(view.run_out().unwrap(), 2 << 20);
    }
}
