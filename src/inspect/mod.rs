//! The check of one image: source, codec, examiner and rules in one pass, into one [`Report`].
//!
//! The room knows the threads, the buffers in flight and the order of things. It speaks events while
//! it works and prints nothing.

mod again;
mod behind;
#[doc(hidden)]
pub mod bodies;
pub mod booted;
mod closed;
mod compare;
mod digest;
mod disk_digest;
mod elsewhere;
mod examine;
mod extents;
mod feed;
#[cfg(feature = "net")]
mod fetched;
mod guest;
mod identity;
mod inner;
mod look;
mod marks;
mod name;
mod opened;
mod pipeline;
mod recognise;
mod remedy;
#[cfg(feature = "net")]
mod remote;
mod report;
mod share;
mod spool;
mod stable;
mod tap;
mod threads;
mod unpacked;
mod unwrap;
mod within;

pub use compare::{Difference, compare};
pub use elsewhere::{elsewhere, is_named_image};
pub use examine::LARGEST_TABLES;
pub use extents::{CELLS, Extent, Map, Totals, What, extents};
pub use identity::Identity;
pub use inner::{Inside, inspect_file, inspect_inside, inspect_unwrapped, look_inside};
pub use look::{Excerpt, Look, look};
pub use name::unpacked;
pub use opened::Opened;
pub use recognise::{Recognised, recognise};
#[cfg(feature = "net")]
pub use remote::{glance, identity};
pub use report::{Check, Digests, Error, Finding, Mode, Receipt, Report, State, Verdict};
pub use share::{Budget, Held, Share};
pub use stable::Stable;
pub use tap::{Tap, Tapped};
pub use unwrap::{Aftermath, Depth, Unwrapping, Wrapped, Wrapping, unwrapped};
pub use within::{files, within};

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bytes::Hostile;
use crate::facts::Layer;
#[cfg(feature = "net")]
use crate::net::Header;
use crate::rules::{Policy, SIZE_LIMIT};
use crate::source::{self, Source};

/// What to check and how.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Options {
    /// Read only what the examiner wants: headers and tables.
    pub quick: bool,
    /// Read on to the end although the image is already refused, for all findings.
    pub keep_going: bool,
    /// Digest the decompressed bytes.
    pub image_digest: bool,
    /// Digest the virtual disk. A piped container is spooled for it, and a compressed one behind a URL without parts.
    pub disk_digest: bool,
    /// Spool a stream, so that what lies behind can be read.
    pub spool: bool,
    /// Whether what is inside the disk is examined.
    pub guest: Guest,
    /// Digests that have to come out.
    pub expected: Vec<Expected>,
    /// How severe findings are.
    pub policy: Policy,
    /// Bytes that image and disk have to stay under.
    pub limit: u64,
    /// Threads that decompress: the file, and the clusters and grains of its image.
    pub threads: usize,
    /// Hold a URL against the rules of DigitalOcean's importer.
    pub url_rules: bool,
    /// What asks for URLs; without one, each image makes its own.
    pub client: Option<source::Client>,
    /// What the check may have in memory beside others of the same call. Without one it is alone.
    pub share: Option<Share>,
}

impl Options {
    /// Takes so many bytes for what may grow large, which others of the same call may hold.
    fn take(&self, bytes: usize) -> Option<Held<'_>> {
        self.share.as_ref().map(|share| share.take(bytes))
    }

    /// The headers that go with requests.
    #[cfg(feature = "net")]
    fn headers(&self) -> Vec<Header> {
        self.client.as_ref().map(|client| client.options().headers.clone()).unwrap_or_default()
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            quick: false,
            keep_going: false,
            image_digest: false,
            disk_digest: false,
            spool: false,
            guest: Guest::Never,
            expected: Vec::new(),
            policy: Policy::default(),
            limit: SIZE_LIMIT,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            url_rules: true,
            client: None,
            share: None,
        }
    }
}

/// Whether what is inside the disk is examined: whether a Droplet boots, gets a network and lets its owner in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "callers choose one")]
pub enum Guest {
    /// No.
    #[default]
    Never,
    /// Wherever the disk can be read in any order.
    Auto,
    /// Likewise, and what cannot be examined refuses the image.
    Require,
}

impl Guest {
    /// Its name in arguments and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Guest::Never => "never",
            Guest::Auto => "auto",
            Guest::Require => "require",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Guest::Never, Guest::Auto, Guest::Require].into_iter().find(|it| it.as_str() == name)
    }
}

/// A digest that somebody says the bytes have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Expected {
    /// Of the file as it is, or of the decompressed image.
    pub of: Digested,
    /// SHA-256.
    pub sha256: [u8; 32],
    /// Who says so, for messages: an option or a file of check sums.
    pub origin: String,
}

/// What a digest is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Digested {
    /// The file as stored.
    File,
    /// The decompressed image.
    Image,
}

impl Digested {
    /// The layer that it is over.
    #[must_use]
    pub fn layer(self) -> Layer {
        match self {
            Digested::File => Layer::File,
            Digested::Image => Layer::Image,
        }
    }
}

/// What happens while an image is checked.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The source is open; its size in bytes is known unless it is a pipe.
    Started {
        /// The source's name, escaped.
        source: &'a str,
        /// Bytes of the file.
        size: Option<u64>,
    },
    /// So many bytes of the disk are digested, unpacked or mapped; the file's own progress matters less
    /// from here on.
    Disk {
        /// Bytes from the beginning.
        bytes: u64,
        /// Bytes of the disk.
        size: u64,
    },
    /// So many bytes of what was started are done, holes included: of the file, or of two disks that are
    /// compared.
    Progress {
        /// Bytes from the beginning.
        bytes: u64,
    },
    /// A request failed and will be made again.
    Retry {
        /// The source's name, escaped.
        source: &'a str,
        /// How many failures there were in a row.
        attempt: u32,
        /// After this time.
        wait: Duration,
        /// What failed.
        said: &'a str,
    },
    /// The file changed a moment ago, and is read a little later: then its time stamp tells of every other change.
    Settling {
        /// The file's name, escaped.
        source: &'a str,
        /// After this time.
        wait: Duration,
    },
    /// It is a named pipe that no program has opened for writing.
    NoWriter {
        /// The pipe's name, escaped.
        source: &'a str,
    },
    /// Nothing more will come of this file.
    Finished,
}

/// Somebody who wants to know. Called from the threads of the pipeline.
pub trait Listener: Sync {
    /// Takes one event; must be quick.
    fn event(&self, event: Event<'_>);
}

/// Listens to nothing.
#[expect(clippy::exhaustive_structs, reason = "there is nothing to add to it")]
pub struct Deaf;

impl Listener for Deaf {
    fn event(&self, _: Event<'_>) {}
}

/// Opens a path, a URL, or `-` for standard input.
fn open(
    argument: &OsStr,
    options: &Options,
    listener: &dyn Listener,
) -> Result<Source, source::Error> {
    if !source::is_url(argument) {
        return open_here(argument, listener);
    }
    #[cfg(feature = "net")]
    return remote::open(argument, options, listener);
    #[cfg(not(feature = "net"))]
    {
        let _ = (options, listener);
        Err(source::Error::of(source::Kind::Unsupported, &source::shown(argument)))
    }
}

/// A named pipe is without a writer for so long before somebody hears of it.
const NO_WRITER: Duration = Duration::from_secs(2);

/// Opens a path, or standard input. A named pipe opens when a program opens it for writing, be it late or never.
fn open_here(argument: &OsStr, listener: &dyn Listener) -> Result<Source, source::Error> {
    use std::os::unix::fs::FileTypeExt;
    let is_pipe = |meta: std::fs::Metadata| meta.file_type().is_fifo();
    if argument == "-" || !Path::new(argument).metadata().is_ok_and(is_pipe) {
        return Source::open(argument);
    }
    let (opened, waits) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waits.recv_timeout(NO_WRITER) == Err(mpsc::RecvTimeoutError::Timeout) {
                let source = source::shown(argument).to_string();
                listener.event(Event::NoWriter { source: &source });
            }
        });
        let source = Source::open(argument);
        drop(opened);
        source
    })
}

/// Checks one image: a path, a URL, or `-` for standard input. Whatever happens, there is a report.
pub fn inspect(argument: &OsStr, options: &Options, listener: &dyn Listener) -> Report {
    inspect_tapped(argument, options, listener, None)
}

/// Checks what a reader has, as if it came from a pipe: forward only, once. `name` is what the report calls it.
pub fn inspect_reader(
    name: &str,
    reader: impl io::Read + Send,
    options: &Options,
    listener: &dyn Listener,
) -> Report {
    let mut report = Report::new(OsStr::new("-"), options);
    report.source = Hostile::from(name).to_string();
    listener.event(Event::Started { source: &report.source, size: None });
    let reading = source::Reading::new(name, reader);
    let outcome = pipeline::run_stream(reading, options, listener, None, &mut report);
    listener.event(Event::Finished);
    match outcome {
        Ok(anomalies) => report.judged(anomalies, OsStr::new("-"), options),
        Err(error) => report.failed(&error),
    }
}

/// Checks one image, and gives the bytes of its file to somebody else in the same pass.
pub fn inspect_tapped(
    argument: &OsStr,
    options: &Options,
    listener: &dyn Listener,
    tap: Option<&Tap>,
) -> Report {
    // The window of a URL and the parts that it keeps. No server waits for others of the call.
    let _held = source::is_url(argument).then(|| options.take(usize::MAX));
    match open(argument, options, listener) {
        Ok(source) => inspect_source(&source, argument, options, listener, tap),
        Err(error) => Report::new(argument, options).failed(&error),
    }
}

fn inspect_source(
    source: &Source,
    argument: &OsStr,
    options: &Options,
    listener: &dyn Listener,
    tap: Option<&Tap>,
) -> Report {
    let mut report = Report::new(argument, options);
    report.file_size = source.size();
    if let Source::File(file) = source {
        report.opened = Some(file.identity().clone());
    }
    listener.event(Event::Started { source: &report.source, size: source.size() });
    let outcome = pipeline::run(source, options, listener, tap, &mut report);
    listener.event(Event::Finished);
    let mut report = match outcome {
        Ok(anomalies) => report.judged(anomalies, argument, options),
        Err(error) => report.failed(&error),
    };
    if let Source::File(file) = source {
        report.known = look::around(&report, file);
    }
    report
}
