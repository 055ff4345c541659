//! The disk in a container that DigitalOcean does not take, from its first byte to its last.

use std::sync::{Arc, OnceLock, PoisonError};

use sha2::{Digest as _, Sha256};

use super::super::digest;
use super::super::examine::{recognise, trailer};
use super::super::spool::Spool;
use super::contained::{Contained, Held, Piece, Whose, limited, notebook};
use super::layers::{Failure, LeftOut, Peeked, Pull};
use super::parts::{self, Found};
use super::{Depth, HEAD, Inner, Unwrapping, Wrapped, Wrapping};
use crate::bytes::{Hostile, Pool};
use crate::codec::{Packing, sniff};
use crate::facts::{Code, DiskFormat};
use crate::formats::{self, FileView, Footer, Got, Halt, ImageView as _, Store as _};
use crate::inspect::Options;
use crate::rules::Identity;
use crate::source::{self, Kind, LocalFile, Read};

/// Buffers through which a file is digested.
const BUFFER: usize = 256 << 10;

/// The disk in an uncompressed file, as if it were unwrapped; `None` if it is in no container of these.
///
/// # Errors
/// If the file cannot be read.
pub(in crate::inspect) fn disk<'a>(
    file: &'a LocalFile,
    options: &Options,
    depth: Depth,
) -> Result<Option<Unwrapping<'a>>, source::Error> {
    let mut unwrapping = empty();
    match opened(Held::Borrowed(file), 0, options, depth) {
        Ok(None) => return Ok(None),
        Ok(Some((wrapping, found))) => put(&mut unwrapping, wrapping, found),
        Err(failure) => unwrapping.end(failure)?,
    }
    // It stands for the file that was read, also if its disk is not.
    let (size, sha256) = (file.size(), digest(file)?);
    let wrapped = Wrapped { size, sha256, ..Wrapped::default() };
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
        noticed: Vec::new(),
        whole: false,
    }
}

fn put<'a>(unwrapping: &mut Unwrapping<'a>, wrapping: Wrapping, found: Found<'a>) {
    let pull = Contained::new(found.pieces);
    unwrapping.noticed = found.noticed;
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
    pub(in crate::inspect) fn into_disk(
        mut self,
        options: &Options,
        depth: Depth,
    ) -> Result<Unwrapping<'a>, source::Error> {
        let Inner::Unwrapped(peeked) = &mut self.inner else { return Ok(self) };
        let is_vmdk = match peeked.peek(HEAD) {
            Ok(head) if is_contained(head, depth) => is_vmdk_stream(head),
            _ => return Ok(self),
        };
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
        match opened(Held::Own(spool.finish()?), self.wrappings.len(), options, depth) {
            Ok(Some((wrapping, found))) => put(&mut self, wrapping, found),
            // It was out of order when it was read before.
            Ok(None) if is_vmdk => {
                return Err(source::Error::of(Kind::Changed, &Hostile::from("the image")));
            }
            // Nothing came out that could be accepted.
            Ok(None) => {}
            Err(failure) => self.end(failure)?,
        }
        Ok(self)
    }
}

/// Whether an image that begins like this may be a container whose disk is taken out of it.
pub(super) fn is_contained(head: &[u8], depth: Depth) -> bool {
    head.starts_with(b"conectix")
        || head.starts_with(b"QFI\xfb\0\0\0\x01")
        || depth == Depth::Spooled && is_vmdk_stream(head)
}

/// Whether an image that begins like this is a VMDK with compressed grains.
fn is_vmdk_stream(head: &[u8]) -> bool {
    head.starts_with(b"KDMV") && head.get(77..79) == Some(&[1, 0])
}

/// The disk in a file, if that is a container of these and nothing else.
fn opened<'a>(
    file: Held<'a>,
    level: usize,
    options: &Options,
    depth: Depth,
) -> Result<Option<(Wrapping, Found<'a>)>, Failure> {
    let (notebook, whose) = (notebook(), Whose::Wrapping(level));
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
        Err(halt) => return Err(whose.failure(Some(halt), notebook)),
    };
    let (Some(found), false) = (found, notebook.has(Code::FormatPolyglot)) else {
        return Ok(None);
    };
    let (format, wrapping) = match (found, &file) {
        (Identity::Refused(DiskFormat::Vpc), _) => (DiskFormat::Vpc, Wrapping::Vhd),
        (Identity::Refused(DiskFormat::Qcow), _) => (DiskFormat::Qcow, Wrapping::Qcow1),
        // A spool has no folder.
        (Identity::Refused(DiskFormat::Vmdk), Held::Borrowed(descriptor))
            if depth == Depth::Beside =>
        {
            let Some(found) = parts::parts(descriptor, options)? else { return Ok(None) };
            let parts = found.pieces.iter().filter_map(Piece::name).cloned().collect();
            return Ok(Some((Wrapping::Vmdk { parts }, found)));
        }
        (Identity::Taken(DiskFormat::Vmdk), _) => {
            drop(view);
            let found = parts::stream(file, level, options)?;
            return Ok(found.map(|found| (Wrapping::Vmdk { parts: Vec::new() }, found)));
        }
        _ => return Ok(None),
    };
    let notebook = limited(options.limit);
    match formats::examine(format, &mut view, &notebook) {
        Ok(Some(examined)) => {
            let layout = examined.layout;
            drop(view);
            let pieces = vec![Piece { file: Some(file), layout, whose }];
            Ok(Some((wrapping, Found { pieces, noticed: Vec::new() })))
        }
        Ok(None) => Err(whose.failure(None, notebook)),
        Err(halt) => Err(whose.failure(Some(halt), notebook)),
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
