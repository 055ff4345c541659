//! Turns the segments of a file into the segments of its image.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, OnceLock};

use super::Options;
use crate::bytes::{Pool, Segment};
use crate::codec::{Behind, Damage, Decoder, LEAST_ZEROS, Packing, Threads};
use crate::facts::{Compression, Layer, Notebook};
use crate::formats::{Feed, Halt, begin_with};
use crate::source::Against;

/// The file, as the reader's thread hands it over.
pub(super) struct Incoming {
    pub(super) segments: Receiver<Segment>,
    /// Set by the reader at the end of the file; a channel that closes before is a failure.
    pub(super) ended: Arc<AtomicBool>,
    /// Bytes that were taken from the channel.
    pub(super) taken: Arc<AtomicU64>,
    /// Segments that were looked at before their turn.
    early: VecDeque<Segment>,
    /// What the bytes are held against, if others read the file elsewhere.
    held: Option<Against>,
}

impl Incoming {
    pub(super) fn new(
        segments: Receiver<Segment>,
        ended: Arc<AtomicBool>,
        taken: Arc<AtomicU64>,
    ) -> Self {
        Incoming { segments, ended, taken, early: VecDeque::new(), held: None }
    }

    /// Holds all that comes against other readings of the file.
    pub(super) fn held_against(self, held: Option<Against>) -> Self {
        Incoming { held, ..self }
    }

    /// The first `count` bytes of the file, or all that it has, without taking them.
    pub(super) fn peek(&mut self, count: usize) -> Result<Vec<u8>, Halt> {
        let mut bytes = Vec::with_capacity(count);
        let mut seen = 0;
        while bytes.len() < count {
            if seen == self.early.len() {
                let Some(segment) = self.receive()? else { break };
                self.early.push_back(segment);
            }
            let want = count - bytes.len();
            match &self.early[seen] {
                Segment::Data(chunk) => bytes.extend_from_slice(&chunk[..want.min(chunk.len())]),
                Segment::Zeros(len) => bytes.resize(bytes.len() + want.min(*len as usize), 0),
            }
            seen += 1;
        }
        Ok(bytes)
    }

    fn next(&mut self) -> Result<Option<Segment>, Halt> {
        let next = match self.early.pop_front() {
            Some(segment) => Some(segment),
            None => self.receive()?,
        };
        if let (Some(segment), Some(held)) = (&next, &mut self.held) {
            held.take(segment)?;
        }
        Ok(next)
    }

    fn receive(&mut self) -> Result<Option<Segment>, Halt> {
        match self.segments.recv() {
            Ok(segment) => {
                self.taken.fetch_add(segment.len(), Ordering::Relaxed);
                Ok(Some(segment))
            }
            Err(_) if self.ended.load(Ordering::Acquire) => Ok(None),
            // The reader itself says what happened.
            Err(_) => Err(Halt::Stopped),
        }
    }
}

/// An uncompressed file: its image is the file.
struct PlainFeed {
    incoming: Incoming,
}

impl Feed for PlainFeed {
    fn next(&mut self) -> Result<Option<Segment>, Halt> {
        self.incoming.next()
    }
}

/// A compressed file, unpacked.
struct PackedFeed<'a> {
    incoming: Incoming,
    packing: Packing,
    decoder: Box<dyn Decoder>,
    pool: Pool,
    notebook: &'a Notebook<'a>,
    /// The segment being unpacked and how many bytes of it are done.
    input: Option<(Segment, u64)>,
    /// Zeros of the image that come next.
    zeros: u64,
    /// Whoever digests the image.
    digest: Option<Sender<Segment>>,
    ending: Arc<Ending>,
    ended: Option<Result<(), Halt>>,
}

/// Buffers for the image: small enough for the cache, and enough for the largest range that is wanted at once, even if each
/// has little before 64 KiB of zeros.
pub(super) const IMAGE_BUFFER: usize = 128 << 10;
pub(super) const IMAGE_BUFFERS: usize = 24;
// A range of 1 MiB, what a view keeps behind it, and those that are being filled and digested.
const _: () =
    assert!(IMAGE_BUFFERS as u64 * LEAST_ZEROS >= (1 << 20) + (256 << 10) + 3 * LEAST_ZEROS);

/// What is known of a packed stream that was read to its end and found whole.
#[derive(Default)]
pub(super) struct Ending(OnceLock<Option<Behind>>);

impl Ending {
    /// Whether it was.
    pub(super) fn is_whole(&self) -> bool {
        self.0.get().is_some()
    }

    /// Writes down what is behind it. To be called when the image was examined: what is behind refuses the file, and
    /// says nothing about the image.
    pub(super) fn note(&self, packing: Packing, notebook: &Notebook<'_>) {
        if let Some(Some(behind)) = self.0.get() {
            let [_, _, code] = packing.oddities();
            let said = said_behind(packing.compression(), behind);
            notebook.add(code, Layer::File, behind.offset, said);
        }
    }
}

/// What is said of bytes behind packed data.
pub(super) fn said_behind(packed: Compression, behind: &Behind) -> String {
    let (packed, len, at) = (packed.as_str(), behind.len, behind.offset);
    let noun = if len == 1 { "byte" } else { "bytes" };
    // Memory can be read.
    let begins = begin_with(&behind.first).unwrap_or_default();
    format!(
        "The {packed} data is whole. From byte {at} on, {len} {noun} belong to nothing{begins}."
    )
}

/// Threads that decode. A quick look is over before they are of use, and gzip beside others leaves the cores to them.
pub(super) fn decoding(packing: Packing, options: &Options) -> Threads {
    let beside = options.share.is_some() && packing != Packing::Bzip2;
    Threads::new(if options.quick || beside { 1 } else { options.threads })
}

/// The image in a file that is packed like this, with a decoder for that. A digest is given all of it, and the ending is
/// noted of a packed stream that was found whole.
pub(super) fn unpack<'a>(
    (packing, decoder): (Packing, Option<Box<dyn Decoder>>),
    incoming: Incoming,
    notebook: &'a Notebook<'a>,
    (digest, ending): (Option<Sender<Segment>>, Arc<Ending>),
) -> Box<dyn Feed + 'a> {
    match decoder {
        None => Box::new(PlainFeed { incoming }),
        Some(decoder) => Box::new(PackedFeed {
            incoming,
            packing,
            decoder,
            pool: Pool::new(IMAGE_BUFFERS, IMAGE_BUFFER),
            notebook,
            input: None,
            zeros: 0,
            digest,
            ending,
            ended: None,
        }),
    }
}

/// Writes down what is damaged.
fn note(notebook: &Notebook<'_>, damage: Damage) -> Halt {
    notebook.add(damage.code, Layer::File, damage.offset, damage.said);
    Halt::Stopped
}

/// Compressed files have no holes worth skipping; one that is found is fed as zeros.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl PackedFeed<'_> {
    /// Makes sure that there is input; false at the end of the file.
    fn refill(&mut self) -> Result<bool, Halt> {
        if self.input.as_ref().is_some_and(|(segment, done)| *done < segment.len()) {
            return Ok(true);
        }
        // Lets the buffer go home before waiting for the next one.
        self.input = None;
        self.input = self.incoming.next()?.map(|segment| (segment, 0));
        Ok(self.input.is_some())
    }

    /// Gives it to the digest as well.
    fn give(&self, segment: Segment) -> Segment {
        if let Some(digest) = &self.digest {
            // The digest's thread outlives this feed.
            let _ = digest.send(segment.clone());
        }
        segment
    }

    fn finish(&mut self) -> Result<(), Halt> {
        let summary = self.decoder.finish().map_err(|damage| note(self.notebook, damage))?;
        let (members, trailing_zeros) = (summary.members, summary.trailing_zeros);
        let behind = summary.behind.as_ref().map_or(0, |behind| behind.len);
        if self.ending.0.set(summary.behind).is_err() {
            // A second scan; the first one has noted what follows.
            return Ok(());
        }
        let file = self.incoming.taken.load(Ordering::Relaxed);
        let [several, zeros, _] = self.packing.oddities();
        if members > 1 {
            self.notebook.add(
                several,
                Layer::File,
                None,
                format!("The file is {members} packed streams one after another."),
            );
        }
        if trailing_zeros > 0 {
            self.notebook.add(
                zeros,
                Layer::File,
                file.saturating_sub(trailing_zeros.saturating_add(behind)),
                format!("After the packed data there are {trailing_zeros} zero bytes."),
            );
        }
        Ok(())
    }
}

impl Feed for PackedFeed<'_> {
    fn save_memory(&mut self) {
        self.decoder.save_memory();
    }

    fn next(&mut self) -> Result<Option<Segment>, Halt> {
        if self.zeros > 0 {
            let zeros = std::mem::take(&mut self.zeros);
            return Ok(Some(self.give(Segment::Zeros(zeros))));
        }
        if let Some(ended) = self.ended.take() {
            return ended.map(|()| None);
        }
        let mut chunk = self.pool.take();
        while !chunk.space().is_empty() {
            let more = self.refill()?;
            let input = match &self.input {
                Some((Segment::Data(chunk), done)) => &chunk[*done as usize..],
                Some((Segment::Zeros(len), done)) => {
                    &ZEROS[..(len - done).min(ZEROS.len() as u64) as usize]
                }
                None => &[],
            };
            let space = chunk.space();
            let room = space.len();
            let step = match self.decoder.decode(input, space) {
                Ok(step) => step,
                Err(damage) => {
                    let halt = note(self.notebook, damage);
                    if chunk.is_empty() {
                        return Err(halt);
                    }
                    // What was decoded before the damage is still worth looking at.
                    self.ended = Some(Err(halt));
                    break;
                }
            };
            chunk.grow(step.made);
            if let Some((_, done)) = &mut self.input {
                *done += step.taken as u64;
            }
            self.zeros = step.zeros;
            if step.zeros > 0 {
                match chunk.is_empty() {
                    true => return self.next(),
                    false => break,
                }
            }
            if !more && step.made < room {
                // What was unpacked before a cut is still worth looking at.
                let ended = self.finish();
                if chunk.is_empty() {
                    return ended.map(|()| None);
                }
                self.ended = Some(ended);
                break;
            }
        }
        Ok(Some(self.give(Segment::Data(Arc::new(chunk)))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::bytes::Hostile;
    use crate::source::{Agreed, Kind, Passing};

    /// Also the last ones, behind all of the image, after which nobody reads elsewhere.
    #[test]
    fn bytes_that_are_others_than_for_another_reading_end_the_check() {
        const LEN: u64 = 6000;
        for last in [0, 1] {
            let agreed = Arc::new(Agreed::new(LEN));
            let mut bytes = vec![0; LEN as usize];
            bytes[LEN as usize - 1] = last;
            assert!(Passing::default().bytes(&agreed, &bytes));
            let (sender, segments) = channel();
            sender.send(Segment::Zeros(LEN - 8)).unwrap();
            sender.send(Segment::Zeros(8)).unwrap();
            drop(sender);
            let ended = Arc::new(AtomicBool::new(true));
            let held = Against::new(agreed, Hostile::from("bytes"));
            let mut incoming =
                Incoming::new(segments, ended, Arc::default()).held_against(Some(held));
            assert!(incoming.next().unwrap().is_some());
            match incoming.next() {
                Ok(Some(_)) => assert_eq!(last, 0),
                Err(Halt::Source(error)) => assert_eq!((last, error.kind), (1, Kind::Changed)),
                _ => unreachable!("it has 8 more bytes"),
            }
        }
    }
}
