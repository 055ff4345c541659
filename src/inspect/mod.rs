//! The check of one image: source, codec, examiner and rules in one pass, into one [`Report`].
//!
//! The room knows the threads, the buffers in flight and the order of things. It speaks events while
//! it works and prints nothing.

#[doc(hidden)]
pub mod bodies;
mod compare;
mod digest;
mod disk_digest;
mod examine;
mod extents;
mod feed;
mod name;
mod opened;
mod pipeline;
mod report;
mod spool;
mod threads;

pub use compare::{Difference, compare};
pub use extents::{CELLS, Extent, Map, Totals, What, extents};
pub use name::unpacked;
pub use opened::Opened;
pub use report::{Check, Digests, Error, Finding, Mode, Report, State, Verdict};

use std::ffi::OsStr;

use crate::rules::{Policy, SIZE_LIMIT};
use crate::source::Source;

/// What to check and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Read only what the examiner wants: headers and tables.
    pub quick: bool,
    /// Read on to the end although the image is already refused, for all findings.
    pub keep_going: bool,
    /// Digest the decompressed bytes.
    pub image_digest: bool,
    /// Digest the virtual disk. A compressed or piped container is spooled for it.
    pub disk_digest: bool,
    /// Spool a stream, so that what lies behind can be read.
    pub spool: bool,
    /// Digests that have to come out.
    pub expected: Vec<Expected>,
    /// How severe findings are.
    pub policy: Policy,
    /// Bytes that image and disk have to stay under.
    pub limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            quick: false,
            keep_going: false,
            image_digest: false,
            disk_digest: false,
            spool: false,
            expected: Vec::new(),
            policy: Policy::default(),
            limit: SIZE_LIMIT,
        }
    }
}

/// A digest that somebody says the bytes have.
#[derive(Clone, Debug, PartialEq, Eq)]
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
pub enum Digested {
    /// The file as stored.
    File,
    /// The decompressed image.
    Image,
}

/// What happens while an image is checked.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The source is open; its size in bytes is known unless it is a pipe.
    Started {
        /// The source's name, escaped.
        source: &'a str,
        /// Bytes of the file.
        size: Option<u64>,
    },
    /// So many bytes of the disk are digested or unpacked; the file's own progress matters less from here on.
    Disk {
        /// Bytes from the beginning.
        bytes: u64,
        /// Bytes of the disk.
        size: u64,
    },
    /// So many bytes of the file are done, holes included.
    Progress {
        /// Bytes from the beginning.
        bytes: u64,
    },
    /// Nothing more will come of this image.
    Finished,
}

/// Somebody who wants to know. Called from the threads of the pipeline.
pub trait Listener: Sync {
    /// Takes one event; must be quick.
    fn event(&self, event: Event<'_>);
}

/// Listens to nothing.
pub struct Deaf;

impl Listener for Deaf {
    fn event(&self, _: Event<'_>) {}
}

/// Checks one image: a path, or `-` for standard input. Whatever happens, there is a report.
pub fn inspect(argument: &OsStr, options: &Options, listener: &dyn Listener) -> Report {
    let mut report = Report::new(argument, options);
    let source = match Source::open(argument) {
        Ok(source) => source,
        Err(error) => return report.failed(&error),
    };
    report.file_size = source.size();
    listener.event(Event::Started { source: &report.source, size: source.size() });
    let outcome = pipeline::run(&source, options, listener, &mut report);
    listener.event(Event::Finished);
    match outcome {
        Ok(anomalies) => report.judged(anomalies, argument, options),
        Err(error) => report.failed(&error),
    }
}
