use super::held::Held;
use super::kept::Kept;
use super::{Got, Halt, ImageView, Missing, Store, too_large};
use crate::bytes::Segment;
use crate::facts::Notebook;
use crate::formats::zeros::used_len;

/// Bytes at the beginning of an image that a stream keeps: headers live there.
const HEAD: usize = 1 << 20;

/// How far into a compressed image a quick check reads. Headers and first tables lie before it.
const QUICK_HORIZON: u64 = 64 << 20;

/// How often a source is read from its beginning for what lay behind: an image of nearly the limit so often, a
/// smaller one for as many bytes in all, up to the larger number. That bounds what a hostile layout can cost.
const SCANS_OF_LARGEST: u32 = 8;
const MOST_SCANS: u32 = 32;

/// Where a [`StreamView`] gets the image from.
pub trait Feed {
    /// The next run of the image; `None` at its end. Runs are never empty.
    ///
    /// # Errors
    /// If the source fails or the packed stream is damaged.
    fn next(&mut self) -> Result<Option<Segment>, Halt>;

    /// Gets by with less memory from now on.
    fn save_memory(&mut self) {}
}

/// A feed of nothing.
struct Gone;

impl Feed for Gone {
    fn next(&mut self) -> Result<Option<Segment>, Halt> {
        Ok(None)
    }
}

/// Opens another feed over the same image, from its beginning.
pub type Reopen<'a> = Box<dyn FnMut() -> Box<dyn Feed + 'a> + 'a>;

/// An image that arrives in order.
///
/// What it answers depends on the ranges it is asked for, never on how the feed cuts the image: it
/// keeps the first MiB, and the 129 KiB before the end of the last range that was read.
pub struct StreamView<'a> {
    feed: Box<dyn Feed + 'a>,
    reopen: Option<Reopen<'a>>,
    notebook: &'a Notebook<'a>,
    quick: bool,
    head: Option<Vec<u8>>,
    /// The last bytes before `fed`.
    held: Held,
    /// What somebody asked for.
    kept: Kept,
    /// Image bytes that the feed has delivered in this scan.
    fed: u64,
    /// Image offset up to which ranges were read in this scan.
    at: u64,
    /// Image offset behind the last byte that is no zero, of those that were fed.
    used: u64,
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
            held: Held::default(),
            kept: Kept::default(),
            fed: 0,
            at: 0,
            used: 0,
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

    /// Takes the next run from the feed; false at the end.
    fn pull(&mut self) -> Result<bool, Halt> {
        let Some(segment) = self.feed.next()? else {
            self.size = Some(self.fed);
            // It lets go of its memory, and of threads.
            self.feed = Box::new(Gone);
            return Ok(false);
        };
        if let Some(store) = &mut self.store {
            store.put(&segment)?;
        }
        let start = self.fed;
        self.fed += segment.len();
        if let Segment::Data(chunk) = &segment
            && let Some(end) = used_len(chunk)
        {
            self.used = self.used.max(start + end as u64);
        }
        self.held.push(start, segment);
        self.kept.fill(&self.held, self.at);
        self.held.let_go(self.at);
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
        let have = self.held.copy(0, &mut head);
        head.truncate(have);
        self.at = head.len() as u64;
        self.head = Some(head);
        Ok(())
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
        self.kept.fill(&self.held, self.at);
        let most = self.most_scans();
        let Some(reopen) = &mut self.reopen else { return Ok(Err(Missing::Behind)) };
        if self.scans >= most {
            return Ok(Err(Missing::Scattered));
        }
        self.held.clear();
        // It lets go of what the next one needs.
        self.feed = Box::new(Gone);
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

    /// Copies the range as it comes by, as far as the image has it. What has passed and is not held is missing.
    fn forward(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        let mut have = 0;
        loop {
            let from = at + have as u64;
            let count = self.held.copy(from, &mut buf[have..]);
            have += count;
            if have < buf.len() && from + (count as u64) < self.fed {
                return Ok(Got::Missing(Missing::Behind));
            }
            // What lies before is let go with the next run.
            self.at = self.at.max(self.fed.min(from) + count as u64);
            let ended = self.size.is_some_and(|size| self.fed >= size);
            if have == buf.len() || ended || !self.pull()? {
                return Ok(Got::Bytes(have));
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
        self.kept.fill(&self.held, self.at);
        let kept = self.kept.copy(at, buf);
        let (at, buf) = (at.saturating_add(kept as u64), &mut buf[kept..]);
        let have = in_head + kept;
        if buf.is_empty() {
            return Ok(Got::Bytes(have));
        }
        if self.quick && at.saturating_add(buf.len() as u64) > QUICK_HORIZON {
            return Ok(Got::Missing(Missing::Quick));
        }
        if at < self.held.from(self.at) {
            if let Some(count) = self.stored(at, buf)? {
                return Ok(Got::Bytes(have + count));
            }
            if let Err(missing) = self.rewind()? {
                return Ok(Got::Missing(missing));
            }
        }
        Ok(match self.forward(at, buf)? {
            Got::Bytes(count) => Got::Bytes(have + count),
            missing => missing,
        })
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

    fn is_random(&self) -> bool {
        self.store.is_some()
    }

    fn is_far(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.is_far())
    }

    fn ration(&mut self) {
        self.reopen = None;
        self.store.iter_mut().for_each(|store| store.ration());
    }

    fn decoded_again(&self) -> u64 {
        self.store.as_ref().map_or(0, |store| store.decoded_again())
    }

    fn is_passing(&self) -> bool {
        !self.quick && !self.is_seekable()
    }

    fn look_back(&mut self, len: u64) {
        self.held.look_back(len, self.at);
    }

    fn at_hand(&self) -> u64 {
        if self.store.is_some() { 0 } else { self.held.from(self.at) }
    }

    fn scans_left(&self) -> u32 {
        match (&self.store, &self.reopen) {
            (Some(_), _) => u32::MAX,
            (None, Some(_)) => self.most_scans().saturating_sub(self.scans),
            (None, None) => 0,
        }
    }

    fn used_end(&mut self) -> Result<Option<u64>, Halt> {
        Ok(self.size.map(|_| self.used))
    }

    fn save_memory(&mut self) {
        self.feed.save_memory();
    }

    fn release(&mut self) {
        if !self.lasting {
            self.written = self.written();
            self.store = None;
        }
    }

    /// Only of what is still ahead or surely at hand, so that it does not matter how the feed cuts.
    fn keep(&mut self, at: u64, len: u64) {
        if at >= self.held.from(self.at) {
            self.kept.want(at, len);
        }
    }
}
