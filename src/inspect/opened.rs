//! An image opened for reading its disk, whatever it is packed in.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread::scope;

use super::Options;
use super::examine::{recognise, trailer};
use super::feed::{Incoming, unpack};
#[cfg(feature = "net")]
use super::fetched::Fetched;
use super::marks;
use super::pipeline::refused_packing;
use super::report::Error;
use super::spool::Spool;
use super::threads::{deliver, join, longest_file, stream_pool};
use super::unpacked::{Packed, too_long};
use super::{Event, Listener};
use crate::codec::{Packing, Threads, sniff};
use crate::facts::{Anomaly, Code, DiskFormat, Layer, Notebook};
use crate::formats::{
    self, CachedView, Disk, FileView, Halt, ImageView, Layout, MappedDisk, RawDisk, Store, Trailer,
    Wanted,
};
use crate::rules::{Identity, Policy};
use crate::source::{LocalFile, Read, Source, shown};

const SECTOR: u64 = 512;

/// An image, to be read at any offset as often as it takes.
pub(super) trait Image {
    /// Bytes of it.
    fn size(&self) -> u64;

    /// The bytes.
    fn view<'v>(&'v self, notebook: &Notebook<'_>) -> Box<dyn ImageView + 'v>;

    /// The file on this machine that is read, which may be a temporary one.
    fn file(&self) -> Option<&LocalFile>;
}

impl Image for LocalFile {
    fn size(&self) -> u64 {
        self.size()
    }

    fn view<'v>(&'v self, notebook: &Notebook<'_>) -> Box<dyn ImageView + 'v> {
        Box::new(FileView::new(self, notebook))
    }

    fn file(&self) -> Option<&LocalFile> {
        Some(self)
    }
}

/// An image whose disk can be read at any offset. What comes from a pipe was spooled, and so was what comes from a URL, unless
/// it is compressed and its server sends parts.
pub struct Opened<'l> {
    source: String,
    image: Box<dyn Image + 'l>,
    notebook: Notebook<'static>,
    format: DiskFormat,
    /// `None` if the image is the disk.
    layout: Option<Box<dyn Layout>>,
}

/// Nothing settles the matter here: what matters is whether the disk can be read.
fn never(_: Code) -> bool {
    false
}

impl<'l> Opened<'l> {
    /// Opens a path, a URL, or `-` for standard input. Of the options, the limit and the client matter.
    /// The listener hears how far a stream is read, and what is tried again.
    ///
    /// # Errors
    /// If it cannot be read, is no image that DigitalOcean takes, or its headers are not in order.
    pub fn open(
        argument: &OsStr,
        options: &Options,
        listener: &'l dyn Listener,
    ) -> Result<Opened<'l>, Error> {
        let name = shown(argument).to_string();
        // Nobody imports what is only looked at.
        let options = Options { url_rules: false, quick: false, ..options.clone() };
        let source = super::open(argument, &options, listener).map_err(|e| Error::from(&e))?;
        listener.event(Event::Started { source: &name, size: source.size() });
        let notebook = Notebook::new(&never, options.limit);
        let unpacked = unpacked(source, &notebook, listener);
        listener.event(Event::Finished);
        let Unpacked { image, packed } = match unpacked {
            Ok(unpacked) => unpacked,
            Err(halt) => return Err(explained(halt, notebook)),
        };
        let found = match layout(&mut *image.view(&notebook), packed, &notebook) {
            Ok(found) => found,
            Err(halt) => return Err(explained(halt, notebook)),
        };
        let unfit = refused(&notebook);
        let Some((format, layout)) = found.filter(|_| !unfit) else {
            return Err(explained(Halt::Stopped, notebook));
        };
        Ok(Opened { source: name, image, notebook, format, layout })
    }

    /// The path as given, escaped, or `-`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the image is.
    #[must_use]
    pub fn format(&self) -> DiskFormat {
        self.format
    }

    /// The file on this machine that is read, which may be a temporary one.
    pub(super) fn file(&self) -> Option<&LocalFile> {
        self.image.file()
    }

    /// Size of the disk in bytes.
    #[must_use]
    pub fn virtual_size(&self) -> u64 {
        self.layout.as_ref().map_or_else(|| self.image.size(), |layout| layout.virtual_size())
    }

    /// Does something with the disk.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn with_disk<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Disk) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        let mut view = self.image.view(&self.notebook);
        match &mut self.layout {
            None => work(&mut RawDisk::new(&mut *view)),
            Some(layout) => {
                let mut cached = CachedView::new(&mut *view);
                work(&mut MappedDisk::new(&mut cached, &mut **layout, &self.notebook))
            }
        }
    }

    /// Makes sure that the file did not change meanwhile. A URL tells by itself, in each of its answers.
    ///
    /// # Errors
    /// If it did.
    pub fn unchanged(&self) -> Result<(), Error> {
        let unchanged = self.file().map_or(Ok(()), LocalFile::verify_unchanged);
        unchanged.map_err(|e| Error::from(&e))
    }

    /// Makes sure that the file did not change meanwhile, and that all that was wanted of it could be
    /// read.
    ///
    /// # Errors
    /// Why not.
    pub fn close(self) -> Result<(), Error> {
        self.unchanged()?;
        if !refused(&self.notebook) {
            return Ok(());
        }
        match self.missing() {
            Ok(Some(error)) => Err(error),
            Ok(None) => Err(explained(Halt::Stopped, self.notebook)),
            Err(halt) => Err(explained(halt, self.notebook)),
        }
    }

    /// What is missing of a cut image in all, as a check says it: whoever reads the disk only meets the
    /// first of it.
    fn missing(&self) -> Result<Option<Error>, Halt> {
        const PAST_THE_END: [Code; 2] = [Code::ImageTruncated, Code::ImageOffsetImpossible];
        let cut = PAST_THE_END.iter().any(|&code| self.notebook.has(code));
        if self.layout.is_none() || !cut {
            return Ok(None);
        }
        let notebook = Notebook::new(&never, self.notebook.limit());
        let view = &mut *self.image.view(&notebook);
        let Some(mut examined) = formats::examine(self.format, view, &notebook)? else {
            return Ok(None);
        };
        let wanted = Wanted::default();
        examined.layout.walk(view, &notebook, &wanted, &mut examined.reach)?;
        let size = view.size()?.unwrap_or_default();
        examined.reach.judge(size, &notebook);
        let found = notebook.close().into_iter().find(|a| PAST_THE_END.contains(&a.code));
        Ok(found
            .map(|Anomaly { code, said, .. }| Error { kind: code.as_str().into(), message: said }))
    }
}

/// What a source has.
struct Unpacked<'l> {
    image: Box<dyn Image + 'l>,
    /// Whether it came packed.
    packed: bool,
}

impl Unpacked<'_> {
    /// One that is in a file as it is.
    fn plain(file: LocalFile, packed: bool) -> Self {
        Unpacked { image: Box::new(file), packed }
    }
}

/// The image of a source.
fn unpacked<'l>(
    source: Source,
    notebook: &Notebook<'_>,
    listener: &'l dyn Listener,
) -> Result<Unpacked<'l>, Halt> {
    match source {
        Source::File(file) => {
            let mut first = vec![0; SECTOR.min(file.size()) as usize];
            file.offsets().read_at(0, &mut first)?;
            let last = trailer(&mut FileView::new(&file, notebook), file.size())?;
            let packing = match last {
                Some((Trailer::Dmg, _)) => Packing::Plain,
                _ => sniff(&first),
            };
            match packing {
                Packing::Plain => Ok(Unpacked::plain(file, false)),
                Packing::Foreign(compression, code) => {
                    notebook.add(code, Layer::File, 0, refused_packing(compression, &first));
                    Err(Halt::Stopped)
                }
                Packing::Gzip | Packing::Bzip2 => {
                    let image = Box::new(Packed::of(file, packing, notebook, listener)?);
                    Ok(Unpacked { image, packed: true })
                }
            }
        }
        Source::Stream(stream) => {
            let spool = spooled(stream.reader(), notebook, listener)?;
            stream.verify_unchanged()?;
            Ok(spool)
        }
        #[cfg(feature = "net")]
        Source::Remote(remote) => {
            let packing = sniff(&remote.peek(SECTOR as usize));
            if remote.has_parts() && matches!(packing, Packing::Gzip | Packing::Bzip2) {
                let image = Box::new(Fetched::of(remote, packing, notebook, listener)?);
                return Ok(Unpacked { image, packed: true });
            }
            let shown = remote.served().asked.to_string();
            let notify = super::remote::notify(listener, &shown);
            spooled(remote.reader(&notify), notebook, listener)
        }
    }
}

/// Spools a stream, unpacked.
fn spooled<'l>(
    reader: impl Read,
    notebook: &Notebook<'_>,
    listener: &'l dyn Listener,
) -> Result<Unpacked<'l>, Halt> {
    let mut spool = Spool::new()?;
    let most = longest_file(notebook.limit());
    let packed = scope(|scope| {
        let (sender, segments) = channel();
        let ended = Arc::<AtomicBool>::default();
        let pool = stream_pool();
        let reader = deliver(scope, reader, pool, vec![sender].into(), Arc::clone(&ended), most);
        let taken = Arc::<AtomicU64>::default();
        let incoming = Incoming::new(segments, ended, Arc::clone(&taken));
        let seen = || listener.event(Event::Progress { bytes: taken.load(Ordering::Relaxed) });
        let packed = fill(&mut spool, incoming, notebook, seen);
        let delivered = join(reader)?;
        too_long(&delivered, most, notebook);
        if let Ok(packing) = packed {
            marks::last(packing, &delivered.last, delivered.bytes, notebook);
        }
        packed
    })?;
    Ok(Unpacked::plain(spool.finish()?, packed != Packing::Plain))
}

fn fill(
    spool: &mut Spool,
    mut incoming: Incoming,
    notebook: &Notebook<'_>,
    seen: impl Fn(),
) -> Result<Packing, Halt> {
    let head = incoming.peek(marks::HEAD)?;
    let packing = sniff(&head);
    if let Packing::Foreign(compression, code) = packing {
        notebook.add(code, Layer::File, 0, refused_packing(compression, &head));
        return Err(Halt::Stopped);
    }
    marks::head(packing, &head, notebook);
    let decoder = packing.decoder(&Threads::new(1), None);
    let mut feed = unpack((packing, decoder), incoming, notebook, (None, Arc::default()));
    let mut size = 0;
    while let Some(segment) = feed.next()? {
        size += segment.len();
        if size >= notebook.limit() {
            let limit = notebook.limit();
            notebook.image(
                Code::ImageTooLarge,
                limit,
                format!("The image has {limit} bytes or more."),
            );
            return Err(Halt::Stopped);
        }
        spool.put(&segment)?;
        seen();
    }
    Ok(packing)
}

type Found = (DiskFormat, Option<Box<dyn Layout>>);

/// What the image is and how its disk is laid out; the notebook has the reason if that is not known.
fn layout(
    view: &mut dyn ImageView,
    packed: bool,
    notebook: &Notebook<'_>,
) -> Result<Option<Found>, Halt> {
    let size = view.size()?.unwrap_or_default();
    let trailer = trailer(view, size)?;
    let Some(Identity::Taken(format)) = recognise(view, trailer, packed, notebook)? else {
        return Ok(None);
    };
    if format == DiskFormat::Raw {
        return Ok(Some((format, None)));
    }
    let examined = formats::examine(format, view, notebook)?;
    Ok(examined.filter(|_| !notebook.is_elsewhere()).map(|known| (format, Some(known.layout))))
}

/// Whether something was found for which a check refuses the image.
fn refused(notebook: &Notebook<'_>) -> bool {
    let policy = Policy::default();
    Code::ALL.iter().any(|&code| policy.refuses(code) && notebook.has(code))
}

/// Why an image cannot be used: what the source said, or the first thing that a check refuses.
fn explained(halt: Halt, notebook: Notebook<'_>) -> Error {
    if let Halt::Source(error) = halt {
        return Error::from(&error);
    }
    let policy = Policy::default();
    let anomalies = notebook.close();
    let first = anomalies.iter().find(|a| policy.refuses(a.code)).or(anomalies.first());
    match first {
        Some(Anomaly { code, said, .. }) => {
            Error { kind: code.as_str().into(), message: said.clone() }
        }
        None => Error { kind: "unreadable".into(), message: "The disk cannot be read.".to_owned() },
    }
}

/// As a reason for people.
impl From<Halt> for Error {
    fn from(halt: Halt) -> Error {
        match halt {
            Halt::Source(error) => Error::from(&error),
            Halt::Stopped => {
                Error { kind: "unreadable".into(), message: "The disk cannot be read.".to_owned() }
            }
        }
    }
}
