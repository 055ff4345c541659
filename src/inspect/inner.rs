//! The check of what is inside a file that DigitalOcean does not take as it is.

use std::ffi::OsStr;
use std::fs::File;

use super::report::{Error, Report};
use super::unwrap::{Depth, Unwrapping, Wrapped, Wrapping, disk, unwrapped};
use super::{Digested, Event, Expected, Listener, Options, Tap, open, pipeline};
use crate::bytes::hex;
use crate::facts::{Anomaly, Code, Layer};
use crate::source::{self, LocalFile, Source};

#[cfg(feature = "net")]
use super::recognise::Beginning;

/// What is inside a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inside {
    /// What was taken off, the outermost first.
    pub wrappings: Vec<Wrapping>,
    /// Whether the inner file is a raw image that is not packed.
    pub raw: bool,
}

impl Inside {
    fn of(unwrapping: &Unwrapping<'_>) -> Self {
        let (wrappings, raw) = (unwrapping.wrappings().to_vec(), unwrapping.needs_gzip());
        Inside { wrappings, raw }
    }
}

/// Bytes that tell what is inside an object behind a URL.
#[cfg(feature = "net")]
const FIRST: usize = 1 << 20;

/// Says what is inside a file, by its first bytes. `None` of a pipe, whose bytes come once.
///
/// # Errors
/// If it cannot be read.
pub fn look_inside(
    argument: &OsStr,
    options: &Options,
    listener: &dyn Listener,
    depth: Depth,
) -> Result<Option<Inside>, Error> {
    let limit = options.limit;
    let source = open(argument, options, listener).map_err(|error| Error::from(&error))?;
    let found = match &source {
        Source::Stream(_) => return Ok(None),
        Source::File(file) => {
            unwrapped(file.reader(), limit, depth).map(|found| Inside::of(&found))
        }
        #[cfg(feature = "net")]
        Source::Remote(remote) => {
            let first = remote.peek(FIRST);
            unwrapped(Beginning::of(&first), limit, depth).map(|found| Inside::of(&found))
        }
    };
    found.map(Some).map_err(|error| Error::from(&error))
}

/// Checks a file that is open and that nobody else has a name for, as if it were at this path.
pub fn inspect_file(
    file: File,
    name: &OsStr,
    options: &Options,
    listener: &dyn Listener,
) -> Report {
    match LocalFile::temporary(file, &source::shown(name)) {
        Ok(file) => super::inspect_source(&Source::File(file), name, options, listener, None),
        Err(error) => Report::new(name, options).failed(&error),
    }
}

/// Checks a path, a URL or standard input as [`inspect`](super::inspect()) does, but takes the file out of
/// wrappings first, those of this depth. `tell` is told what was found before any byte goes to
/// the tap, which gets the inner file. What the outer file was is returned if it was another one.
pub fn inspect_inside(
    argument: &OsStr,
    options: &Options,
    listener: &dyn Listener,
    tap: Option<&Tap>,
    depth: Depth,
    tell: impl FnOnce(Inside),
) -> (Report, Option<Wrapped>) {
    let failed = |error: &source::Error| (Report::new(argument, options).failed(error), None);
    let source = match open(argument, options, listener) {
        Ok(source) => source,
        Err(error) => return failed(&error),
    };
    #[cfg(feature = "net")]
    let shown = source::shown(argument).to_string();
    // Nothing is to be taken off, nor is anything wrong with what would be.
    let as_it_is = |unwrapping: &Unwrapping<'_>| {
        let plain = unwrapping.wrappings().is_empty() && unwrapping.aftermath().fault().is_none();
        // Only of a file it is known how it ends.
        let known = unwrapping.is_same() || matches!(source, Source::File(_));
        (plain && known).then(|| Inside::of(unwrapping))
    };
    let limit = options.limit;
    #[cfg(feature = "net")]
    let notify = super::remote::notify(listener, &shown);
    if let (true, Source::File(file)) = (depth != Depth::Refused, &source) {
        match disk(file, options, depth) {
            Ok(Some(unwrapping)) => {
                tell(Inside::of(&unwrapping));
                let aftermath = unwrapping.aftermath();
                let report = inspect_unwrapped(argument, unwrapping, options, listener, tap);
                return match file.verify_unchanged() {
                    Ok(()) => (report, aftermath.wrapped()),
                    Err(error) => (report.failed(&error), None),
                };
            }
            Ok(None) => {}
            Err(error) => return failed(&error),
        }
    }
    // What can be had again is looked at first; if there is nothing to take off, it is checked as it is.
    let looked = match &source {
        Source::Stream(_) => None,
        Source::File(file) => Some(unwrapped(file.reader(), limit, depth).map(|it| as_it_is(&it))),
        #[cfg(feature = "net")]
        Source::Remote(remote) => {
            let first = remote.peek(FIRST);
            Some(unwrapped(Beginning::of(&first), limit, depth).map(|it| as_it_is(&it)))
        }
    };
    match looked {
        Some(Err(error)) => return failed(&error),
        Some(Ok(Some(found))) => {
            tell(found);
            return (super::inspect_source(&source, argument, options, listener, tap), None);
        }
        _ => {}
    }
    let unwrapping = match &source {
        Source::Stream(stream) => unwrapped(stream.reader(), limit, depth),
        Source::File(file) => unwrapped(file.reader(), limit, depth),
        #[cfg(feature = "net")]
        Source::Remote(remote) => unwrapped(remote.reader(&notify), limit, depth),
    };
    let unwrapping = unwrapping.and_then(|found| match depth {
        Depth::Refused => Ok(found),
        depth => found.into_disk(options, depth),
    });
    let unwrapping = match unwrapping {
        Ok(unwrapping) => unwrapping,
        Err(error) => return failed(&error),
    };
    tell(Inside::of(&unwrapping));
    let aftermath = unwrapping.aftermath();
    let report = inspect_unwrapped(argument, unwrapping, options, listener, tap);
    match source.verify_unchanged() {
        Ok(()) => (report, aftermath.wrapped()),
        Err(error) => (report.failed(&error), None),
    }
}

/// Checks the file inside a file, as it is unwrapped. The report is that of the inner file, named after
/// both; what is wrong with a wrapping is a finding in it. `outer` is the argument that was opened.
///
/// What the outer file was is said by the [`Aftermath`](super::Aftermath) that was taken before.
pub fn inspect_unwrapped(
    outer: &OsStr,
    unwrapping: Unwrapping<'_>,
    options: &Options,
    listener: &dyn Listener,
    tap: Option<&Tap>,
) -> Report {
    let mut report = Report::new(outer, options);
    if !unwrapping.wrappings().is_empty() {
        let inner = match unwrapping.name(&report.source) {
            name if name == report.source => "what is inside".to_owned(),
            name => name,
        };
        report.source = format!("{} → {inner}", report.source);
    }
    let aftermath = unwrapping.aftermath();
    listener.event(Event::Started { source: &report.source, size: None });
    // What somebody says of the file, they say of the outer one.
    let (of_file, of_image) = options
        .expected
        .iter()
        .cloned()
        .partition(|expected| expected.of == Digested::File && !unwrapping.is_same());
    let of_file: Vec<Expected> = of_file;
    let options = &Options { expected: of_image, ..options.clone() };
    let outcome = pipeline::run_stream(unwrapping, options, listener, tap, &mut report);
    listener.event(Event::Finished);
    match outcome {
        Ok(mut anomalies) => {
            anomalies.extend(aftermath.fault());
            anomalies.extend(aftermath.noticed().iter().cloned());
            anomalies.extend(aftermath.wrapped().and_then(|file| other_digest(&of_file, file)));
            // The inner file has no name of its own that anybody else would see.
            report.judged(anomalies, OsStr::new("-"), options)
        }
        Err(error) => report.failed(&error),
    }
}

/// Holds the digest of the outer file against those that were expected.
fn other_digest(expected: &[Expected], file: Wrapped) -> Option<Anomaly> {
    let wanted = expected.iter().find(|expected| expected.sha256 != file.sha256)?;
    Some(Anomaly {
        code: Code::DigestMismatch,
        layer: Layer::File,
        offset: None,
        spot: None,
        said: format!(
            "The SHA-256 of the file is {}; {} says {}.",
            hex(&file.sha256),
            wanted.origin,
            hex(&wanted.sha256)
        ),
    })
}
