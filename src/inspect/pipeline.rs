//! The threads of a check.
//!
//! ```text
//! reader ──┬─► digest of the file
//!          └─► decoder and examiner (the calling thread) ──► digest of the image
//! ```
//!
//! An uncompressed local file is examined by offset while the digest reads past it; everything else
//! is examined as it streams by. Channels are unbounded, but all data travels in the buffers of
//! pools, so what is in flight is bounded by them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Scope, scope};

use super::behind::Behind;
use super::feed::{Ending, IMAGE_BUFFER, IMAGE_BUFFERS, Incoming, decoding, unpack};
use super::report::Report;
use super::tap::Tap;
use super::threads::{
    self, DIGEST_BUFFER, DIGEST_BUFFERS, Delivered, FILE_BUFFER, FILE_BUFFERS, Outputs, deliver,
    join, packed_pool, stream_pool,
};
use super::{Digested, Event, Listener, Options, examine, marks};
use crate::bytes::{Pool, Segment, hex};
use crate::codec::{Packing, packing_name, sniff};
use crate::facts::{Anomaly, Code, Compression, DiskFormat, Layer, Left, Notebook};
use crate::formats::{FileView, Halt, ImageView, Reopen, StreamView, Trailer, trailer};
#[cfg(feature = "net")]
use crate::source::remote::{Notify, Remote};
use crate::source::{self, LocalFile, Read, Source};

/// What all buffers in flight may take, so that a check stays under 64 MiB resident together with the
/// head of the image, tables, codec state and stacks. A second scan has buffers of its own.
const BUDGET: usize = 32 << 20;
const _: () = assert!(2 * (FILE_BUFFER * FILE_BUFFERS + IMAGE_BUFFER * IMAGE_BUFFERS) <= BUDGET);

/// Bytes that packing and trailers are recognised by.
pub(super) const SECTOR: usize = 512;

/// Checks an opened source. The anomalies are returned, everything measured goes into the report.
pub(super) fn run(
    source: &Source,
    options: &Options,
    listener: &dyn Listener,
    tap: Option<&Tap>,
    report: &mut Report,
) -> Result<Vec<Anomaly>, source::Error> {
    let blank = report.clone();
    match attempt(source, options, listener, tap, report) {
        // Only a quick check stands on parts, and nobody was given any of them: it begins anew, in one piece.
        Err(error) if error.kind == source::Kind::NoParts => {
            *report = blank;
            attempt(source, options, listener, tap, report)
        }
        done => done,
    }
}

fn attempt(
    source: &Source,
    options: &Options,
    listener: &dyn Listener,
    tap: Option<&Tap>,
    report: &mut Report,
) -> Result<Vec<Anomaly>, source::Error> {
    let settles = |code| !options.keep_going && options.policy.refuses(code);
    let notebook = Notebook::new(&settles, options.limit);
    let pipeline = Pipeline { options, listener, tap, notebook: &notebook };
    match source {
        Source::File(file) => pipeline.local(file, report)?,
        Source::Stream(stream) => {
            pipeline.streamed(stream.reader(), Origin::Gone, report)?;
        }
        #[cfg(feature = "net")]
        Source::Remote(remote) => pipeline.remote(remote, report)?,
    }
    source.verify_unchanged()?;
    pipeline.raw_disk_digest(report);
    report.later.drain(..).for_each(|found| notebook.put(found));
    Ok(notebook.close())
}

/// Checks what a reader delivers as if it came from a pipe: files that are unwrapped, and the bodies of
/// fuzzing, have no pipe.
pub(super) fn run_stream(
    reader: impl Read,
    options: &Options,
    listener: &dyn Listener,
    tap: Option<&Tap>,
    report: &mut Report,
) -> Result<Vec<Anomaly>, source::Error> {
    let settles = |code| !options.keep_going && options.policy.refuses(code);
    let notebook = Notebook::new(&settles, options.limit);
    let pipeline = Pipeline { options, listener, tap, notebook: &notebook };
    pipeline.streamed(reader, Origin::Gone, report)?;
    pipeline.raw_disk_digest(report);
    report.later.drain(..).for_each(|found| notebook.put(found));
    Ok(notebook.close())
}

/// What is said of a file whose packing is refused.
pub(super) fn refused_packing(compression: Compression, head: &[u8]) -> String {
    let what = packing_name(head).unwrap_or(compression.as_str());
    // The name of an archive has an article.
    match what.starts_with("a ") || what.starts_with("an ") {
        true => format!("The file is {what}."),
        false => format!("The file is compressed with {what}."),
    }
}

#[derive(Clone, Copy)]
pub(super) struct Pipeline<'a> {
    pub(super) options: &'a Options,
    pub(super) listener: &'a dyn Listener,
    /// Who else wants the bytes of the file.
    pub(super) tap: Option<&'a Tap>,
    pub(super) notebook: &'a Notebook<'a>,
}

/// What can be had again of a stream.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// Nothing.
    Gone,
    /// All of it: it is a local file, which is packed like this.
    File(&'a LocalFile, Packing),
    /// Parts of it, if the server has them.
    #[cfg(feature = "net")]
    Remote(&'a Remote, Notify<'a>),
}

impl Origin<'_> {
    /// Whether the stream may have no end.
    fn may_be_endless(self) -> bool {
        !matches!(self, Origin::File(..))
    }

    /// Ends a transfer that nobody needs any more. A pipe is read on, so that its writer can end.
    fn cut(self) {
        #[cfg(feature = "net")]
        if let Origin::Remote(remote, _) = self {
            remote.cut();
        }
    }
}

impl<'a> Pipeline<'a> {
    /// A file that can be read at any offset.
    fn local(self, file: &'a LocalFile, report: &mut Report) -> Result<(), source::Error> {
        let (first, last) = ends(file)?;
        // A UDIF image may begin with a bzip2 block; its trailer says what it is.
        let packing = match trailer(&last) {
            Some(Trailer::Dmg) => Packing::Plain,
            _ => sniff(&first),
        };
        match packing {
            Packing::Gzip | Packing::Bzip2 => {
                marks::last(packing, &last, file.size(), self.notebook);
                self.streamed(file.reader(), Origin::File(file, packing), report)
            }
            Packing::Plain => {
                report.compression = Some(Compression::None);
                self.beside_digest(file, report, |report| self.examine_file(file, report))
            }
            Packing::Foreign(compression, code) => {
                report.compression = Some(compression);
                self.beside_digest(file, report, |report| {
                    self.refuse((compression, code), &first, report)
                })
            }
        }
    }

    /// Does something while the file is digested on threads of their own, unless the check is quick.
    fn beside_digest(
        self,
        file: &LocalFile,
        report: &mut Report,
        work: impl FnOnce(&mut Report) -> Result<(), source::Error>,
    ) -> Result<(), source::Error> {
        if self.options.quick {
            self.no_digest(report);
            return work(report);
        }
        if file.size() > self.longest_file() {
            report.skipped("file-digest", Left::FileTooLarge);
            return work(report);
        }
        scope(|scope| {
            let (sender, digest) = self.digest_file(scope);
            let pool = Pool::new(DIGEST_BUFFERS, DIGEST_BUFFER);
            let outputs = Outputs { needed: self.tap(), others: vec![sender] };
            let reader = deliver(scope, file.reader(), pool, outputs, Arc::default(), u64::MAX);
            let result = work(report);
            self.tell_tap();
            let delivered = join(reader)?;
            self.note_digest(join(digest), &delivered, report);
            result
        })
    }

    /// Examines an uncompressed file by offset.
    fn examine_file(self, file: &LocalFile, report: &mut Report) -> Result<(), source::Error> {
        report.image_size = Some(file.size());
        report.scans = 1;
        report.done("image-end");
        let mut view = FileView::new(file, self.notebook);
        let result = examine::trailer(&mut view, file.size()).and_then(|trailer| {
            examine::image(&mut view, trailer, self.notebook, self.whole_disk(), report)
        });
        if self.options.quick {
            report.bytes_read = view.bytes_read();
        }
        report.stopped = unless_stopped(result)?.is_none();
        Ok(())
    }

    pub(super) fn refuse(
        self,
        (compression, code): (Compression, Code),
        head: &[u8],
        report: &mut Report,
    ) -> Result<(), source::Error> {
        self.notebook.add(code, Layer::File, 0, refused_packing(compression, head));
        report.done("format");
        Ok(())
    }

    /// Examines what streams by.
    pub(super) fn streamed(
        self,
        reader: impl Read,
        origin: Origin<'a>,
        report: &mut Report,
    ) -> Result<(), source::Error> {
        let most = if origin.may_be_endless() { self.longest_file() } else { u64::MAX };
        scope(|scope| {
            let (to_examiner, segments) = channel();
            let mut outputs = vec![to_examiner];
            let digest = (!self.options.quick).then(|| {
                let (sender, digest) = self.digest_file(scope);
                outputs.push(sender);
                digest
            });
            let ended = Arc::<AtomicBool>::default();
            let outputs = Outputs { needed: self.tap(), others: outputs };
            let pool = match origin {
                Origin::File(..) => packed_pool(),
                _ => stream_pool(),
            };
            let reader = deliver(scope, reader, pool, outputs, Arc::clone(&ended), most);
            let taken = Arc::<AtomicU64>::default();
            let incoming = Incoming::new(segments, ended, Arc::clone(&taken));
            let result = self.examine_stream(scope, incoming, origin, report);
            self.tell_tap();
            if self.notebook.doomed() || self.options.quick {
                origin.cut();
            }
            // The reader goes on for the digest, or stops because nobody listens any more.
            let delivered = join(reader)?;
            if delivered.bytes >= most && !delivered.whole {
                self.notebook.add(Code::FileTooLarge, Layer::File, most, format!(
                    "The file has {most} bytes or more; its image has to be smaller than {} bytes.",
                    self.options.limit));
            }
            if delivered.whole {
                let packing = report.compression.map(Packing::of).unwrap_or(Packing::Plain);
                marks::last(packing, &delivered.last, delivered.bytes, self.notebook);
            }
            if origin.may_be_endless() && threads::is_dmg(&delivered) {
                self.turn_into_dmg(&delivered, report);
            }
            match digest {
                Some(digest) => self.note_digest(join(digest), &delivered, report),
                None => {
                    report.bytes_read = taken.load(Ordering::Relaxed);
                    self.no_digest(report);
                }
            }
            if delivered.whole && !self.options.quick {
                report.file_size = Some(delivered.bytes);
            }
            result
        })
    }

    fn examine_stream<'s>(
        self,
        scope: &'s Scope<'s, '_>,
        mut incoming: Incoming,
        origin: Origin<'s>,
        report: &mut Report,
    ) -> Result<(), source::Error> {
        let Some(first) = unless_stopped(incoming.peek(SECTOR))? else {
            // The reader failed and says so itself, or whoever gave it knows why it ended.
            report.stopped = true;
            return Ok(());
        };
        let packing = match origin {
            Origin::File(_, packing) => packing,
            _ => sniff(&first),
        };
        report.compression = Some(packing.compression());
        if let Packing::Foreign(compression, code) = packing {
            return self.refuse((compression, code), &first, report);
        }
        if packing != Packing::Plain
            && let Some(head) = unless_stopped(incoming.peek(marks::HEAD))?
        {
            marks::head(packing, &head, self.notebook);
        }
        let (digest, image_digest) = if self.wants_image_digest() && packing != Packing::Plain {
            let (sender, digest) = threads::digest(scope, |_| {});
            (Some(sender), Some(digest))
        } else {
            (None, None)
        };
        let ending = Arc::<Ending>::default();
        // Its threads have blocks and a window.
        let _held = (packing == Packing::Bzip2).then(|| self.options.take(usize::MAX));
        let threads = decoding(packing, self.options);
        let Behind { store, lasting, index, held } =
            Behind::of(origin, (packing, &threads), self.options)?;
        let again = threads.clone();
        let incoming = incoming.held_against(held);
        let decoder = packing.decoder(&threads, index.as_ref());
        let outputs = (digest, Arc::clone(&ending));
        let feed = unpack((packing, decoder), incoming, self.notebook, outputs);
        let noted = Arc::clone(&ending);
        let reopen = match origin {
            Origin::File(file, _) => Some(Box::new(move || {
                let (sender, segments) = channel();
                let ended = Arc::<AtomicBool>::default();
                deliver(
                    scope,
                    file.reader(),
                    packed_pool(),
                    vec![sender].into(),
                    Arc::clone(&ended),
                    u64::MAX,
                );
                let incoming = Incoming::new(segments, ended, Arc::default());
                let decoder = packing.decoder(&again, None);
                let outputs = (None, Arc::clone(&noted));
                unpack((packing, decoder), incoming, self.notebook, outputs)
            }) as Reopen<'_>),
            _ => None,
        };
        let mut view = StreamView::new(feed, reopen, self.notebook, self.options.quick)
            .with_store(store, lasting);
        let result = self.examine_view(&mut view, report);
        report.scans = view.scans();
        report.spooled_bytes = view.written();
        // Closes the channel of the image's digest.
        drop(view);
        let size = unless_stopped(result)?;
        report.stopped = size.is_none();
        report.image_size = size.flatten();
        ending.note(packing, self.notebook);
        self.say_stream(packing, ending.is_whole(), report);
        if let (Some(digest), Some(_)) = (image_digest.map(join), report.image_size) {
            report.digests.image_sha256 = Some(hex(&digest));
        }
        Ok(())
    }

    /// Examines a stream and reads it to its end; its size, where it was read so far.
    fn examine_view(
        self,
        view: &mut StreamView<'_>,
        report: &mut Report,
    ) -> Result<Option<u64>, Halt> {
        examine::image(view, None, self.notebook, self.whole_disk(), report)?;
        if self.options.quick {
            return view.size();
        }
        let size = view.run_out()?;
        if let Some(found) = examine::trailer(view, size)? {
            examine::late_trailer(found, self.notebook, report);
        }
        Ok(Some(size))
    }

    /// Where the file's bytes go beside the check.
    fn tap(self) -> Option<Sender<Segment>> {
        self.tap.and_then(Tap::open)
    }

    /// Lets who takes the bytes know that they are not worth it.
    fn tell_tap(self) {
        if let Some(tap) = self.tap.filter(|_| self.notebook.doomed()) {
            tap.refuse();
        }
    }

    pub(super) fn longest_file(self) -> u64 {
        threads::longest_file(self.options.limit)
    }

    fn wants_image_digest(self) -> bool {
        let expected = self.options.expected.iter().any(|e| e.of == Digested::Image);
        // The disk of a raw image is the image.
        let any = self.options.image_digest || self.options.disk_digest || expected;
        !self.options.quick && any
    }

    /// Whether the disk is to be digested.
    fn digests_disk(self) -> bool {
        self.options.disk_digest && !self.options.quick
    }

    /// The same for the examiner, with who wants to know how far it is.
    pub(super) fn whole_disk(self) -> (&'a Options, &'a dyn Listener) {
        (self.options, self.listener)
    }

    /// The disk of a raw image is the image, and so is its digest.
    fn raw_disk_digest(self, report: &mut Report) {
        if !self.digests_disk() {
            return;
        }
        let raw = report.disk_format == Some(DiskFormat::Raw);
        if raw {
            report.digests.disk_sha256.clone_from(&report.digests.image_sha256);
        }
        if !report.checks.iter().any(|check| check.id == "disk-digest") {
            match report.digests.disk_sha256 {
                Some(_) => report.done("disk-digest"),
                None if raw => report.skipped("disk-digest", Left::NotToTheEnd),
                None => report.skipped("disk-digest", Left::DiskUnreadable),
            }
        }
        let expected = self.options.expected.iter().any(|e| e.of == Digested::Image);
        if !self.options.image_digest && !expected {
            report.digests.image_sha256 = None;
        }
    }

    /// A thread that digests the file and says how far it is.
    fn digest_file<'s>(self, scope: &'s Scope<'s, '_>) -> (Sender<Segment>, threads::Digester<'s>)
    where
        'a: 's,
    {
        let listener = self.listener;
        threads::digest(scope, move |bytes| listener.event(Event::Progress { bytes }))
    }

    /// The digest of the file, if all of it came; an uncompressed image has the same one.
    fn note_digest(self, digest: [u8; 32], delivered: &Delivered, report: &mut Report) {
        report.bytes_read = delivered.read;
        report.complete = delivered.whole;
        if !delivered.whole {
            let left = match self.notebook.doomed() {
                true => Left::Stopped,
                false if delivered.bytes < self.longest_file() => Left::NotToTheEnd,
                false => Left::FileTooLarge,
            };
            return report.partial("file-digest", left);
        }
        report.done("file-digest");
        report.digests.sha256 = Some(hex(&digest));
        if self.wants_image_digest() && report.compression == Some(Compression::None) {
            report.digests.image_sha256.clone_from(&report.digests.sha256);
        }
    }

    pub(super) fn no_digest(self, report: &mut Report) {
        report.skipped("file-digest", Left::QuickFile);
    }

    /// Says how far a stream was read: its packing to the last check sum, the image to its trailer.
    fn say_stream(self, packing: Packing, whole: bool, report: &mut Report) {
        let size_known = report.image_size.is_some();
        let left = if self.options.quick { Left::QuickEnd } else { Left::Stopped };
        let mut say = |id, done| if done { report.done(id) } else { report.partial(id, left) };
        if packing != Packing::Plain {
            say("compressed-stream", whole);
        }
        say("image-end", size_known);
    }

    /// A bzip2 stream from a pipe turned out to be the beginning of a UDIF image.
    fn turn_into_dmg(self, delivered: &Delivered, report: &mut Report) {
        report.compression = Some(Compression::None);
        if report.disk_format != Some(DiskFormat::Dmg) {
            report.disk_format = Some(DiskFormat::Dmg);
            let at = delivered.bytes - SECTOR as u64;
            self.notebook.add(
                Code::FormatDmg,
                Layer::Image,
                at,
                "The image is an Apple disk image (UDIF).",
            );
        }
    }
}

/// The first and the last sector of a file, or all of it.
fn ends(file: &LocalFile) -> Result<(Vec<u8>, Vec<u8>), source::Error> {
    let mut offsets = file.offsets();
    let mut first = vec![0; SECTOR.min(file.size() as usize)];
    let mut last = vec![0; marks::LAST.min(file.size() as usize)];
    offsets.read_at(0, &mut first)?;
    offsets.read_at(file.size() - last.len() as u64, &mut last)?;
    Ok((first, last))
}

/// An examination that was stopped because nothing more is to be learned is no failure.
pub(super) fn unless_stopped<T>(result: Result<T, Halt>) -> Result<Option<T>, source::Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Halt::Stopped) => Ok(None),
        Err(Halt::Source(error)) => Err(error),
    }
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
