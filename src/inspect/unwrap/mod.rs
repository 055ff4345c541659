//! Takes a file out of what DigitalOcean does not take: xz, Zstandard, a second packing, bzip2 of
//! several streams, an archive with one image in it; or out of all that it is packed in. Bytes behind packed data
//! that belong to nothing are left out, which is said.
//!
//! Who takes everything off gets the disk of a container that is refused, and, if that was ordered, the disk that lies in
//! the files beside a VMDK descriptor (`parts`): the only files that are opened because an image names them.
//!
//! It decides by the first bytes what has to be taken off and delivers the inner file as a reader,
//! which is checked like any other. What is damaged on the way is kept until it is asked for, as
//! a reader can only say that there is nothing more.

mod contained;
mod disk;
mod layers;
mod member;
mod parts;
mod wrapping;

use std::sync::{Arc, OnceLock, PoisonError};

pub(super) use self::disk::disk;
use self::disk::{Footless, is_contained};
use self::layers::{Failure, LeftOut, Outer, Packed, Peeked, Pull};
use self::member::Members;
pub use self::wrapping::Wrapping;
use super::threads::longest_file;
use crate::bytes::{Pool, Segment};
use crate::codec::{Bzip2, Decoder, Gzip, LARGEST_WINDOW, Packing, Xz, Zstd, sniff};
use crate::facts::{Anomaly, Compression, Layer};
use crate::formats::{Candidates, MemoryImage, detect};
use crate::guest;
use crate::source::{self, Read};

/// Wrappings that are taken off one file at most. What is inside more of them is refused as it is.
const MOST: usize = 4;

/// Bytes that tell what a file is: the mark of ISO 9660 is the farthest.
const HEAD: usize = 0x8006;

/// Bytes in which the first bzip2 stream ends and the next begins, in files of programs that write many:
/// a block of 900 kB, which packing hardly makes longer.
const BZIP2_HEAD: usize = 1 << 20;

/// The window that a [`Depth::Glance`] grants: a check stays within 64 MiB with it.
const WINDOW_OF_GLANCE: u64 = 32 << 20;

/// How much is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Depth {
    /// What DigitalOcean refuses, and nothing that it takes.
    Refused,
    /// All packings and an archive, so that an image comes out that is not packed; and the disk out of a container that is
    /// refused.
    Everything,
    /// The same, and of a VMDK descriptor in a local file the disk in the files beside it that it names. These are
    /// opened, so nobody may ask for it but who was told to put this very disk together.
    Beside,
    /// The same as [`Everything`](Depth::Everything), by who only wants to know whether there may be a disk: in the memory of a
    /// check, and what nobody looks into may be one.
    Glance,
    /// As [`Everything`](Depth::Everything), and the disk out of a VMDK stream that is not at hand, which is spooled for it
    /// and has to be out of order.
    Spooled,
}

/// A file that was read to its end while it was unwrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wrapped {
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// What is said of bytes in it that did not come out, as they belong to nothing.
    pub left_out: Vec<String>,
    /// What is odd about a container whose disk came out, or about a part of it.
    pub noticed: Vec<String>,
}

/// The file inside a file, as a reader. Without wrappings it is the file itself.
pub struct Unwrapping<'a> {
    wrappings: Vec<Wrapping>,
    needs_gzip: bool,
    /// Whether it is the file as it is.
    same: bool,
    inner: Inner<'a>,
    wrapped: Arc<OnceLock<Wrapped>>,
    left_out: LeftOut,
    fault: Arc<OnceLock<Anomaly>>,
    noticed: Vec<Anomaly>,
    whole: bool,
}

enum Inner<'a> {
    /// The file as it is: its first runs, which were looked at, then the rest.
    Same(Outer<'a>),
    /// What came out of wrappings.
    Unwrapped(Peeked<'a>),
    /// Nothing more comes.
    Ended,
}

/// What is known of an [`Unwrapping`] after it was read, wherever it went.
#[derive(Clone)]
pub struct Aftermath {
    wrapped: Arc<OnceLock<Wrapped>>,
    left_out: LeftOut,
    fault: Arc<OnceLock<Anomaly>>,
    noticed: Vec<Anomaly>,
}

impl Aftermath {
    /// The outer file, if it was read to its end and all wrappings were found whole. A file without
    /// wrappings is digested by whoever checks it, and not here.
    #[must_use]
    pub fn wrapped(&self) -> Option<Wrapped> {
        let wrapped = self.wrapped.get().filter(|_| self.fault.get().is_none())?;
        let left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let noticed = self.noticed.iter().map(|anomaly| anomaly.said.clone()).collect();
        Some(Wrapped { left_out, noticed, ..wrapped.clone() })
    }

    /// What is odd about a container whose disk comes out, or about a part of it, and does not refuse it.
    #[must_use]
    pub fn noticed(&self) -> &[Anomaly] {
        &self.noticed
    }

    /// What is wrong with a wrapping.
    #[must_use]
    pub fn fault(&self) -> Option<Anomaly> {
        self.fault.get().cloned()
    }
}

/// Looks at the first bytes of a file and takes off what has to be taken off. `limit` is what the image
/// has to stay under, in bytes; no wrapping may unpack to much more.
///
/// Damage in a wrapping is no error here: the reader ends, and [`Aftermath::fault`] says why.
///
/// # Errors
/// If the source cannot be read.
pub fn unwrapped<'a>(
    reader: impl Read + 'a,
    limit: u64,
    depth: Depth,
) -> Result<Unwrapping<'a>, source::Error> {
    let wrapped = Arc::<OnceLock<Wrapped>>::default();
    let most = longest_file(limit);
    let mut outer = Outer::new(Box::new(reader), most, Arc::clone(&wrapped));
    let head = outer.peek(HEAD)?;
    let head = if sniff(head) == Packing::Bzip2 { outer.peek(BZIP2_HEAD)? } else { head };
    let mut unwrapping = Unwrapping {
        wrappings: Vec::new(),
        needs_gzip: is_raw(head),
        same: true,
        inner: Inner::Ended,
        wrapped,
        left_out: LeftOut::default(),
        fault: Arc::default(),
        noticed: Vec::new(),
        whole: false,
    };
    let Some(first) = Take::of(head, depth) else {
        unwrapping.same =
            depth == Depth::Refused || !unwrapping.needs_gzip && !is_contained(head, depth);
        unwrapping.inner = match unwrapping.same {
            true => Inner::Same(outer),
            false => Inner::Unwrapped(unwrapping.footless(Box::new(outer))),
        };
        return Ok(unwrapping);
    };
    (unwrapping.needs_gzip, unwrapping.same) = (false, false);
    let left_out = LeftOut::clone(&unwrapping.left_out);
    let rule = Rule { depth, most, left_out };
    match unwrap(outer, first, &rule, &mut unwrapping.wrappings) {
        Ok((inner, raw)) => {
            unwrapping.inner = match depth {
                Depth::Refused => Inner::Unwrapped(inner),
                _ if raw => Inner::Unwrapped(unwrapping.footless(Box::new(inner))),
                _ => Inner::Unwrapped(inner),
            };
            unwrapping.needs_gzip = raw;
        }
        Err(failure) => unwrapping.end(failure)?,
    }
    Ok(unwrapping)
}

/// By what wrappings are taken off.
struct Rule {
    depth: Depth,
    /// Bytes that one may unpack to.
    most: u64,
    left_out: LeftOut,
}

/// Takes off one wrapping after another; what is left, and whether it is a raw image.
fn unwrap<'a>(
    outer: Outer<'a>,
    first: Take,
    rule: &Rule,
    wrappings: &mut Vec<Wrapping>,
) -> Result<(Peeked<'a>, bool), Failure> {
    let glances = rule.depth == Depth::Glance;
    let window = if glances { WINDOW_OF_GLANCE } else { LARGEST_WINDOW };
    let mut take = first;
    let mut pull: Box<dyn Pull + 'a> = Box::new(outer);
    loop {
        let level = wrappings.len();
        let packed = |pull, compression, decoder: Box<dyn Decoder>| {
            let packing = (compression, decoder);
            Box::new(Packed::new(pull, packing, level, rule.most, &rule.left_out))
        };
        let (inner, wrapping): (Box<dyn Pull + 'a>, _) = match take {
            Take::Gzip => (packed(pull, Compression::Gzip, Box::<Gzip>::default()), Wrapping::Gzip),
            Take::Bzip2 => {
                (packed(pull, Compression::Bzip2, Box::<Bzip2>::default()), Wrapping::Bzip2)
            }
            Take::Xz => (packed(pull, Compression::Xz, Box::new(Xz::within(window))), Wrapping::Xz),
            Take::Zstd => {
                (packed(pull, Compression::Zstd, Box::new(Zstd::within(window))), Wrapping::Zstd)
            }
            Take::Tar => {
                let mut members = Members::new(pull, level, rule.most, glances);
                let member = members.open()?;
                (Box::new(members), Wrapping::Tar { member })
            }
        };
        wrappings.push(wrapping);
        let mut peeked = Peeked::new(inner);
        let head = peeked.peek(HEAD)?;
        let head = if sniff(head) == Packing::Bzip2 { peeked.peek(BZIP2_HEAD)? } else { head };
        let may_follow =
            |take: &Take| wrappings.len() < MOST && may_follow(*take, wrappings, rule.depth);
        match Take::of(head, rule.depth).filter(may_follow) {
            Some(next) => take = next,
            None => {
                let raw = is_raw(head);
                return Ok((peeked, raw));
            }
        }
        pull = Box::new(peeked);
    }
}

impl<'a> Unwrapping<'a> {
    /// A raw image, without the footer that makes a fixed VHD of it.
    fn footless(&self, inner: Box<dyn Pull + 'a>) -> Peeked<'a> {
        Peeked::new(Box::new(Footless::new(inner, &self.left_out)))
    }
}

impl Unwrapping<'_> {
    /// Whether it is the file as it is.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.same
    }

    /// What was taken off, the outermost first; nothing if the file is checked and imported as it is.
    #[must_use]
    pub fn wrappings(&self) -> &[Wrapping] {
        &self.wrappings
    }

    /// Whether the inner file is a raw image that is not packed, which is to be packed as gzip. Containers
    /// and what is packed already go out as they are.
    #[must_use]
    pub fn needs_gzip(&self) -> bool {
        self.needs_gzip
    }

    /// What will be known after it was read.
    #[must_use]
    pub fn aftermath(&self) -> Aftermath {
        Aftermath {
            wrapped: Arc::clone(&self.wrapped),
            left_out: LeftOut::clone(&self.left_out),
            fault: Arc::clone(&self.fault),
            noticed: self.noticed.clone(),
        }
    }

    /// The name of the inner file, for people: that of the archive's member, or what is left of `outer`
    /// without its last ending.
    #[must_use]
    pub fn name(&self, outer: &str) -> String {
        let mut name = outer.to_owned();
        for wrapping in &self.wrappings {
            if let Wrapping::Tar { member } = wrapping {
                name = member.to_string();
                continue;
            }
            let stem = wrapping.endings().iter().find_map(|ending| name.strip_suffix(ending));
            if let Some(stem) = stem.filter(|stem| !stem.is_empty() && !stem.ends_with('/')) {
                name = stem.to_owned();
            }
        }
        name
    }

    /// Ends the reader for a reason, which is kept if it is the file's own fault.
    fn end(&mut self, failure: Failure) -> Result<(), source::Error> {
        self.inner = Inner::Ended;
        match failure {
            Failure::Source(error) => return Err(error),
            Failure::Cut => {}
            Failure::Wrapping { level, damage } => {
                let around: Vec<String> =
                    self.wrappings.iter().take(level).map(ToString::to_string).collect();
                let said = match level {
                    0 => damage.said,
                    _ => format!("Inside {}: {}", around.join(", "), damage.said),
                };
                // Offsets are those of the file, which is the outermost.
                let offset = (level == 0).then_some(damage.offset);
                // The first failure is the only one, as nothing is read after it.
                let _ = self.fault.set(Anomaly {
                    code: damage.code,
                    layer: Layer::File,
                    offset,
                    spot: None,
                    said,
                });
            }
            Failure::Part(found) => drop(self.fault.set(found)),
        }
        Ok(())
    }
}

impl Read for Unwrapping<'_> {
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, source::Error> {
        let inner = match &mut self.inner {
            Inner::Ended => return Ok(None),
            Inner::Same(outer) => {
                let segment = outer.next(pool)?;
                self.whole = segment.is_none() && outer.is_whole();
                return Ok(segment);
            }
            Inner::Unwrapped(inner) => inner,
        };
        let mut chunk = pool.take();
        while !chunk.space().is_empty() {
            match inner.pull(chunk.space()) {
                Ok(0) => {
                    self.inner = Inner::Ended;
                    self.whole = true;
                    break;
                }
                Ok(count) => chunk.grow(count),
                Err(failure) => {
                    // What was unpacked before is still worth looking at.
                    self.end(failure)?;
                    break;
                }
            }
        }
        Ok((!chunk.is_empty()).then(|| Segment::Data(Arc::new(chunk))))
    }

    fn is_whole(&self) -> bool {
        self.whole
    }
}

/// Whether this may be taken off after those: of what is packed around an archive, and of what is packed in
/// it, two layers and no more. gzip and bzip2 are taken off only if something packed is in them, which is the
/// second layer then. Who takes everything off takes all of that off, who glances one layer that takes much memory, and an archive
/// in an archive nobody.
fn may_follow(take: Take, wrappings: &[Wrapping], depth: Depth) -> bool {
    let archive = |wrapping: &Wrapping| matches!(wrapping, Wrapping::Tar { .. });
    let is_large =
        |wrapping: &Wrapping| matches!(wrapping, Wrapping::Bzip2 | Wrapping::Xz | Wrapping::Zstd);
    let packings = wrappings.iter().rev().take_while(|wrapping| !archive(wrapping)).count();
    match take {
        Take::Tar => !wrappings.iter().any(archive),
        Take::Bzip2 | Take::Xz | Take::Zstd if depth == Depth::Glance => {
            !wrappings.iter().any(is_large)
        }
        _ if depth != Depth::Refused => true,
        Take::Gzip | Take::Bzip2 => packings == 0,
        Take::Xz | Take::Zstd => packings <= 1,
    }
}

/// Something that can be taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Take {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Tar,
}

impl Take {
    /// What has to be taken off a file that begins like this.
    fn of(head: &[u8], depth: Depth) -> Option<Self> {
        let take = Take::possible(head)?;
        match take {
            _ if depth != Depth::Refused => Some(take),
            Take::Xz | Take::Zstd | Take::Tar => Some(take),
            // These are taken packed, unless there is something packed in them.
            Take::Bzip2 if has_second_stream(head) => Some(take),
            Take::Gzip | Take::Bzip2 => Take::possible(&preview(head)).is_some().then_some(take),
        }
    }

    fn possible(head: &[u8]) -> Option<Self> {
        match sniff(head) {
            Packing::Gzip => Some(Take::Gzip),
            Packing::Bzip2 => Some(Take::Bzip2),
            Packing::Foreign(Compression::Xz, _) => Some(Take::Xz),
            Packing::Foreign(Compression::Zstd, _) => Some(Take::Zstd),
            Packing::Foreign(Compression::Tar, _) => Some(Take::Tar),
            Packing::Plain | Packing::Foreign(..) => None,
        }
    }
}

/// Whether a bzip2 stream begins after the first one: it stands at a byte, and begins with its mark and
/// that of its first block.
fn has_second_stream(head: &[u8]) -> bool {
    head.windows(10).skip(1).any(|bytes| {
        bytes.starts_with(b"BZh") && bytes[3].is_ascii_digit() && &bytes[4..] == b"1AY&SY"
    })
}

/// The first bytes of what is packed in a file that begins like this; nothing if it is damaged.
fn preview(head: &[u8]) -> Vec<u8> {
    let mut first = vec![0; HEAD];
    let decoder: Option<Box<dyn Decoder>> = match Take::possible(head) {
        Some(Take::Gzip) => Some(Box::<Gzip>::default()),
        Some(Take::Bzip2) => Some(Box::<Bzip2>::default()),
        Some(Take::Xz) => Some(Box::<Xz>::default()),
        Some(Take::Zstd) => Some(Box::<Zstd>::default()),
        Some(Take::Tar) | None => None,
    };
    let step = decoder.and_then(|mut decoder| decoder.decode(head, &mut first).ok());
    first.truncate(step.map_or(0, |step| step.made));
    first
}

/// Whether a file that begins like this is a raw image, or at least nothing that is known.
fn is_raw(head: &[u8]) -> bool {
    sniff(head) == Packing::Plain && marks(head).containers.is_empty()
}

fn marks(head: &[u8]) -> Candidates {
    // Memory can always be read.
    detect(&mut MemoryImage::from(head)).unwrap_or_default()
}

/// Whether a file that begins like this is an image, as far as its content says; `None` if it says
/// nothing.
fn is_image(head: &[u8]) -> Option<bool> {
    let marks = marks(head);
    let gpt = head.get(512..520) == Some(b"EFI PART");
    if !marks.containers.is_empty() || marks.iso9660.is_some() || gpt || guest::has_valid_mbr(head)
    {
        return Some(true);
    }
    marks.content.is_some().then_some(false)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
