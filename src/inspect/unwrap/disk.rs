//! The disk in a container that DigitalOcean does not take, from its first byte to its last.

use std::ops::Deref;
use std::sync::{Arc, OnceLock, PoisonError};

use sha2::{Digest as _, Sha256};

use super::super::digest;
use super::super::examine::{recognise, trailer};
use super::super::spool::Spool;
use super::layers::{Failure, LeftOut, Peeked, Pull};
use super::{HEAD, Inner, Unwrapping, Wrapped, Wrapping};
use crate::bytes::Pool;
use crate::codec::{Damage, Packing, sniff};
use crate::facts::{Code, DiskFormat, Notebook};
use crate::formats::{
    self, CachedView, Disk as _, FileView, Footer, Got, Halt, ImageView as _, Layout, MappedDisk,
    Store as _,
};
use crate::rules::Identity;
use crate::source::{self, LocalFile, Read};

/// Buffers through which a file is digested.
const BUFFER: usize = 256 << 10;

/// A file that can be read at any offset.
enum Held<'a> {
    Borrowed(&'a LocalFile),
    Own(LocalFile),
}

impl Deref for Held<'_> {
    type Target = LocalFile;

    fn deref(&self) -> &LocalFile {
        match self {
            Held::Borrowed(file) => file,
            Held::Own(file) => file,
        }
    }
}

/// The disk in an uncompressed file, as if it were unwrapped; `None` if it is in no container of these.
///
/// # Errors
/// If the file cannot be read.
pub(in crate::inspect) fn disk(file: &LocalFile) -> Result<Option<Unwrapping<'_>>, source::Error> {
    let mut unwrapping = empty();
    match opened(Held::Borrowed(file), 0) {
        Ok(None) => return Ok(None),
        Ok(Some((wrapping, pull))) => put(&mut unwrapping, wrapping, pull),
        Err(failure) => unwrapping.end(failure)?,
    }
    // It stands for the file that was read, also if its disk is not.
    let wrapped = Wrapped { size: file.size(), sha256: digest(file)?, left_out: Vec::new() };
    let _ = unwrapping.wrapped.set(wrapped);
    Ok(Some(unwrapping))
}

fn empty<'a>() -> Unwrapping<'a> {
    Unwrapping {
        wrappings: Vec::new(),
        needs_gzip: true,
        same: false,
        inner: Inner::Ended,
        wrapped: Arc::default(),
        left_out: LeftOut::default(),
        fault: Arc::<OnceLock<_>>::default(),
        whole: false,
    }
}

fn put<'a>(unwrapping: &mut Unwrapping<'a>, wrapping: Wrapping, pull: Contained<'a>) {
    unwrapping.wrappings.push(wrapping);
    unwrapping.needs_gzip = true;
    unwrapping.same = false;
    unwrapping.inner = Inner::Unwrapped(Peeked::new(Box::new(pull)));
}

fn digest(file: &LocalFile) -> Result<[u8; 32], source::Error> {
    let (mut reader, mut pool, mut sha) = (file.reader(), Pool::new(2, BUFFER), Sha256::new());
    while let Some(segment) = reader.next(&mut pool)? {
        digest::update(&mut sha, &segment);
    }
    Ok(sha.finalize().into())
}

impl<'a> Unwrapping<'a> {
    /// The same, but if a container came out whose disk is to be taken out of it, what comes out is the disk. The
    /// container is spooled for it.
    ///
    /// # Errors
    /// If it cannot be read or spooled.
    pub(in crate::inspect) fn into_disk(mut self) -> Result<Unwrapping<'a>, source::Error> {
        let Inner::Unwrapped(peeked) = &mut self.inner else { return Ok(self) };
        match peeked.peek(HEAD) {
            Ok(head) if is_contained(head) => {}
            _ => return Ok(self),
        }
        let mut spool = Spool::new()?;
        let mut pool = Pool::new(2, BUFFER);
        while let Some(segment) = self.next(&mut pool)? {
            match spool.put(&segment) {
                Ok(()) => {}
                Err(Halt::Source(error)) => return Err(error),
                Err(Halt::Stopped) => return Ok(self),
            }
        }
        if !self.whole {
            // Why is known already.
            return Ok(self);
        }
        self.whole = false;
        match opened(Held::Own(spool.finish()?), self.wrappings.len()) {
            Ok(Some((wrapping, pull))) => put(&mut self, wrapping, pull),
            // Nothing came out that could be accepted.
            Ok(None) => {}
            Err(failure) => self.end(failure)?,
        }
        Ok(self)
    }
}

/// Whether an image that begins like this may be a container whose disk is taken out of it.
pub(super) fn is_contained(head: &[u8]) -> bool {
    head.starts_with(b"conectix") || head.starts_with(b"QFI\xfb\0\0\0\x01")
}

/// The disk in a file.
struct Contained<'a> {
    file: Held<'a>,
    layout: Box<dyn Layout>,
    at: u64,
    /// Which wrapping it is, for what is wrong with it.
    level: usize,
}

fn never(_: Code) -> bool {
    false
}

/// A notebook in which nothing is settled, and no file is too large: what comes out is held against the limit.
fn notebook() -> Notebook<'static> {
    Notebook::new(&never, u64::MAX)
}

/// Why the disk cannot be read further.
fn failure(halt: Option<Halt>, notebook: Notebook<'_>, level: usize) -> Failure {
    if let Some(Halt::Source(error)) = halt {
        return Failure::Source(error);
    }
    let refused = |code| matches!(code, Code::FormatVpc | Code::FormatQcow1);
    let first = notebook.close().into_iter().find(|anomaly| !refused(anomaly.code));
    let damage = match first {
        Some(found) => {
            Damage { code: found.code, offset: found.offset.unwrap_or_default(), said: found.said }
        }
        None => Damage {
            code: Code::StructureUnexaminable,
            offset: 0,
            said: "The disk cannot be read.".to_owned(),
        },
    };
    Failure::Wrapping { level, damage }
}

/// The disk in a file, if that is a container of these and nothing else.
fn opened(file: Held<'_>, level: usize) -> Result<Option<(Wrapping, Contained<'_>)>, Failure> {
    let notebook = notebook();
    let mut view = FileView::new(&file, &notebook);
    let found = (|| {
        let mut head = [0; 512];
        let Got::Bytes(count) = view.read_at(0, &mut head)? else { return Ok(None) };
        if sniff(&head[..count]) != Packing::Plain {
            return Ok(None);
        }
        let trailer = trailer(&mut view, file.size())?;
        recognise(&mut view, trailer, false, &notebook)
    })();
    let found = match found {
        Ok(found) => found,
        Err(halt) => return Err(failure(Some(halt), notebook, level)),
    };
    let (Some(Identity::Refused(format)), false) = (found, notebook.has(Code::FormatPolyglot))
    else {
        return Ok(None);
    };
    let wrapping = match format {
        DiskFormat::Vpc => Wrapping::Vhd,
        DiskFormat::Qcow => Wrapping::Qcow1,
        _ => return Ok(None),
    };
    match formats::examine(format, &mut view, &notebook) {
        Ok(Some(examined)) => {
            let layout = examined.layout;
            drop(view);
            Ok(Some((wrapping, Contained { file, layout, at: 0, level })))
        }
        Ok(None) => Err(failure(None, notebook, level)),
        Err(halt) => Err(failure(Some(halt), notebook, level)),
    }
}

impl Pull for Contained<'_> {
    fn pull(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        let size = self.layout.virtual_size();
        let notebook = notebook();
        let mut view = FileView::new(&self.file, &notebook);
        let mut cached = CachedView::new(&mut view);
        let mut disk = MappedDisk::new(&mut cached, &mut *self.layout, &notebook);
        let mut have = 0;
        while have < buf.len() && self.at < size {
            let run = match disk.run(self.at) {
                Ok(run) => run,
                Err(halt) => return Err(failure(Some(halt), notebook, self.level)),
            };
            // At most the length of the buffer.
            let count = run.len.min((buf.len() - have) as u64) as usize;
            let part = &mut buf[have..have + count];
            let read = match run.place.reads_as_zeros() {
                true => {
                    part.fill(0);
                    Ok(Got::Bytes(count))
                }
                false => disk.read_at(self.at, part),
            };
            match read {
                Ok(Got::Bytes(read)) if read == count => {}
                Ok(_) => return Err(failure(None, notebook, self.level)),
                Err(halt) => return Err(failure(Some(halt), notebook, self.level)),
            }
            self.at += count as u64;
            have += count;
        }
        Ok(have)
    }
}

/// A raw image that may have the footer of a fixed VHD behind it, which is left out then.
pub(super) struct Footless<'a> {
    inner: Box<dyn Pull + 'a>,
    /// What was read and not given out: the last bytes, and what is before them.
    held: Vec<u8>,
    done: usize,
    made: u64,
    ended: bool,
    left_out: LeftOut,
}

impl<'a> Footless<'a> {
    pub(super) fn new(inner: Box<dyn Pull + 'a>, left_out: &LeftOut) -> Self {
        let left_out = Arc::clone(left_out);
        Footless { inner, held: Vec::new(), done: 0, made: 0, ended: false, left_out }
    }

    fn refill(&mut self) -> Result<(), Failure> {
        self.held.drain(..self.done);
        self.done = 0;
        let have = self.held.len();
        self.held.resize(have + BUFFER, 0);
        let count = self.inner.pull(&mut self.held[have..])?;
        self.held.truncate(have + count);
        if count > 0 {
            return Ok(());
        }
        self.ended = true;
        let footer = self.held.as_slice().try_into().ok().map(Footer::read);
        if let Some(Ok(footer)) = footer
            && footer.fixed_size() == Some(self.made)
        {
            self.held.clear();
            let said = format!(
                "The last {} bytes are the footer of a fixed VHD, and no part of the disk.",
                Footer::LENGTH
            );
            self.left_out.lock().unwrap_or_else(PoisonError::into_inner).push(said);
        }
        Ok(())
    }
}

impl Pull for Footless<'_> {
    fn pull(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        let kept = |ended| if ended { 0 } else { Footer::LENGTH };
        while self.held.len() - self.done <= kept(self.ended) {
            if self.ended {
                return Ok(0);
            }
            self.refill()?;
        }
        let count = (self.held.len() - self.done - kept(self.ended)).min(buf.len());
        buf[..count].copy_from_slice(&self.held[self.done..self.done + count]);
        self.done += count;
        self.made += count as u64;
        Ok(count)
    }
}
