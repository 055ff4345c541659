//! A check of an object behind a URL.

use std::ffi::OsStr;
use std::sync::Arc;

use super::examine;
use super::identity::Identity;
use super::pipeline::{Origin, Pipeline, SECTOR, unless_stopped};
use super::recognise::Beginning;
use super::report::Report;
use super::{Event, Listener, Options};
use crate::bytes::{Hostile, Segment};
use crate::codec::{Packing, sniff};
use crate::facts::{Code, Compression, Layer, Left, Notebook};
use crate::formats::{Halt, RemoteView, Store, too_large};
use crate::net::{self, Client, Retry};
use crate::rules::importer;
use crate::source::remote::{Notify, Ranges, Remote, Want};
use crate::source::{self, Against, Agreed, Offsets, ReadAt, Source};

/// Opens a URL.
pub(super) fn open(
    argument: &OsStr,
    options: &Options,
    listener: &dyn Listener,
) -> Result<Source, source::Error> {
    let subject = source::shown(argument);
    let invalid = |why| source::Error::said(source::Kind::Url, &subject, why);
    let asked = source::address(argument).map_err(invalid)?;
    let client = match &options.client {
        Some(client) => Arc::clone(client),
        None => Arc::new(Client::new(net::Options::default()).map_err(invalid)?),
    };
    let want = if options.quick { Want::Parts } else { Want::All };
    let shown = subject.to_string();
    let notify = notify(listener, &shown);
    Remote::open(&client, &asked, want, options.url_rules, &notify).map(Source::Remote)
}

/// What identifies the object that a URL leads to now. The bytes are not read.
///
/// # Errors
/// If it cannot be had.
pub fn identity(
    argument: &OsStr,
    options: &Options,
    listener: &dyn Listener,
) -> Result<Identity, source::Error> {
    let options = Options { quick: true, ..options.clone() };
    match open(argument, &options, listener)? {
        Source::Remote(remote) => Ok(Identity::of(remote.served())),
        Source::File(_) | Source::Stream(_) => {
            Err(source::Error::of(source::Kind::Url, &source::shown(argument)))
        }
    }
}

/// What identifies the object that a URL leads to now, and what the importer would stumble over on the way to it, as
/// a check of it would say. The bytes are not read.
///
/// # Errors
/// If it cannot be had.
pub fn glance(
    argument: &OsStr,
    options: &Options,
    listener: &dyn Listener,
) -> Result<(Identity, Vec<(Code, String)>), source::Error> {
    let looking = Options { quick: true, ..options.clone() };
    let Source::Remote(remote) = open(argument, &looking, listener)? else {
        return Err(source::Error::of(source::Kind::Url, &source::shown(argument)));
    };
    let served = remote.served();
    let notebook = Notebook::new(&|_| false, options.limit);
    importer::judge_object(served, options.url_rules, &notebook);
    if options.url_rules {
        importer::judge_fetch(served, &options.headers(), &notebook);
    }
    let said = notebook.close().into_iter().map(|anomaly| (anomaly.code, anomaly.said));
    Ok((Identity::of(served), said.collect()))
}

/// Tells a listener what is tried again.
pub(super) fn notify(listener: &dyn Listener, source: &str) -> impl Fn(&Retry) + Sync {
    move |Retry { attempt, wait, said }| {
        listener.event(Event::Retry { source, attempt: *attempt, wait: *wait, said });
    }
}

/// Bytes that are looked at before several connections are opened.
const FIRST: usize = 64 << 10;

/// The parts of an uncompressed object, instead of a file with what came by. No ETag proves what is in them: they are
/// held against what came by.
pub(super) struct Parts<'r> {
    parts: Offsets<Part<'r>>,
    passing: Against,
    subject: Hostile,
}

/// Bytes that are fetched at most ahead of whoever reads on: less than what [`Ranges`] keeps.
const AHEAD: u64 = 2 << 20;

/// A part of an object.
pub(super) struct Part<'r> {
    ranges: Ranges<'r>,
    subject: Hostile,
    /// Where the last reading ended.
    end: u64,
    /// Bytes that are fetched together: more and more for whoever reads on.
    together: u64,
}

impl<'r> Parts<'r> {
    /// Those of an object, if the server has any.
    pub(super) fn of(remote: &'r Remote, notify: Notify<'r>) -> Option<Self> {
        let (parts, passing) = offsets(remote, notify)?;
        let subject = Hostile::from(remote.served().asked.to_string().as_str());
        Some(Parts { parts, passing, subject })
    }
}

/// Readings of an object at any offset, if the server has parts of it, and the one that they are held against: all of it, in
/// order.
pub(super) fn offsets<'r>(
    remote: &'r Remote,
    notify: Notify<'r>,
) -> Option<(Offsets<Part<'r>>, Against)> {
    let part = Part::of(remote, notify)?;
    let agreed = Arc::new(Agreed::new(part.ranges.size()));
    let passing = Against::new(Arc::clone(&agreed), part.subject.clone());
    Some((Offsets::new(part, agreed), passing))
}

impl<'r> Part<'r> {
    /// Any part of an object, if the server has any.
    pub(super) fn of(remote: &'r Remote, notify: Notify<'r>) -> Option<Self> {
        let ranges = remote.ranges(notify)?;
        let subject = Hostile::from(remote.served().asked.to_string().as_str());
        Some(Part { ranges, subject, end: 0, together: 0 })
    }

    /// For whoever reads on and hardly ever goes back: nothing is kept but what is fetched ahead.
    pub(super) fn forward(self) -> Self {
        Part { ranges: self.ranges.keeping(AHEAD as usize), ..self }
    }
}

impl ReadAt for Part<'_> {
    fn fill(&mut self, at: u64, buf: &mut [u8]) -> Result<(), source::Error> {
        let len = buf.len() as u64;
        self.together = if at == self.end { (2 * self.together).min(AHEAD).max(len) } else { len };
        self.end = at.saturating_add(len);
        if len > 0 {
            let end = at.saturating_add(self.together);
            let mut pieces = (at..end).step_by(buf.len()).map(|at| (at, len));
            self.ranges.ahead(&mut pieces)?;
        }
        match self.ranges.read_at(at, buf)? == buf.len() {
            true => Ok(()),
            false => Err(self.changed(at)),
        }
    }

    fn changed(&self, at: u64) -> source::Error {
        let error = source::Error::of(source::Kind::Changed, &self.subject);
        source::Error { offset: Some(at), ..error }
    }
}

impl Store for Parts<'_> {
    fn put(&mut self, segment: &Segment) -> Result<(), Halt> {
        Ok(self.passing.take(segment)?)
    }

    fn written(&self) -> u64 {
        0
    }

    fn is_near(&self) -> bool {
        false
    }

    fn is_far(&self) -> bool {
        true
    }

    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<bool, Halt> {
        // Only what was put is asked for.
        match self.parts.read_at(at, buf) {
            Ok(count) if count == buf.len() => Ok(true),
            Ok(_) => Err(source::Error::of(source::Kind::Changed, &self.subject).into()),
            Err(error) if error.kind == source::Kind::NoParts => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Pipeline<'_> {
    /// An object that has answered.
    pub(super) fn remote(self, remote: &Remote, report: &mut Report) -> Result<(), source::Error> {
        let source = report.source.clone();
        let notify = notify(self.listener, &source);
        let served = remote.served();
        report.identity = Some(Identity::of(served));
        importer::judge_object(served, self.options.url_rules, self.notebook);
        if self.options.url_rules {
            let headers = &self.options.headers();
            match importer::judge_fetch(served, headers, self.notebook) {
                true => report.done("importer-fetch"),
                false => report.partial("importer-fetch", Left::Proxy),
            }
        }
        if let Some(size) = served.size.filter(|&size| size > self.longest_file()) {
            self.notebook.add(
                Code::FileTooLarge,
                Layer::File,
                None,
                format!(
                    "The file has {size} bytes; its image has to be smaller than {} bytes.",
                    self.options.limit
                ),
            );
        }
        if self.notebook.doomed() {
            report.stopped = true;
            report.skipped("file-digest", Left::Stopped);
            return Ok(());
        }
        let result = self.fetch(remote, &notify, report);
        if let Some(said) = remote.unpinned().filter(|_| !self.notebook.has(Code::UrlUnpinned)) {
            self.notebook.add(Code::UrlUnpinned, Layer::File, None, said);
        }
        if let (Some(read), Some(identity)) = (remote.read(), &mut report.identity) {
            identity.is_of(&read);
        }
        report.bytes_read = remote.transferred();
        report.requests = Some(remote.requests());
        result
    }

    fn fetch(
        self,
        remote: &Remote,
        notify: Notify<'_>,
        report: &mut Report,
    ) -> Result<(), source::Error> {
        if self.options.quick
            && let Some(ranges) = remote.ranges(notify)
        {
            let mut view = RemoteView::new(ranges);
            let mut first = [0; SECTOR];
            let count = view.ranges().read_at(0, &mut first)?;
            match sniff(&first[..count]) {
                Packing::Plain => return self.quick(&mut view, report),
                Packing::Foreign(compression, code) => {
                    report.compression = Some(compression);
                    self.no_digest(report);
                    return self.refuse((compression, code), &first[..count], report);
                }
                Packing::Gzip | Packing::Bzip2 => {}
            }
        }
        if self.is_doomed_by(&remote.peek(FIRST), report)? {
            remote.cut();
            return Ok(());
        }
        self.streamed(remote.reader(notify), Origin::Remote(remote, notify), report)
    }

    /// Whether the first bytes alone settle the matter; then the report says so. Several connections
    /// and large buffers would have brought MiBs before anybody looks.
    fn is_doomed_by(self, first: &[u8], report: &mut Report) -> Result<bool, source::Error> {
        if self.options.keep_going || first.is_empty() {
            return Ok(false);
        }
        let policy = &self.options.policy;
        let settles = |code| policy.refuses(code);
        let notebook = Notebook::new(&settles, self.options.limit);
        let options = Options { quick: true, ..self.options.clone() };
        let probe = Pipeline { options: &options, notebook: &notebook, tap: None, ..self };
        probe.streamed(Beginning::of(first), Origin::Gone, &mut report.clone())?;
        if !notebook.doomed() {
            return Ok(false);
        }
        let found = Pipeline { options: &options, tap: None, ..self };
        found.streamed(Beginning::of(first), Origin::Gone, report)?;
        Ok(true)
    }

    /// Examines an uncompressed object by its parts.
    fn quick(self, view: &mut RemoteView<'_>, report: &mut Report) -> Result<(), source::Error> {
        let size = view.ranges().size();
        report.compression = Some(Compression::None);
        report.image_size = Some(size);
        report.scans = 1;
        report.done("image-end");
        self.no_digest(report);
        if size >= self.options.limit {
            too_large(self.notebook, self.options.limit);
        }
        let result = examine::trailer(view, size).and_then(|trailer| {
            examine::image(view, trailer, self.notebook, self.whole_disk(), report)
        });
        report.stopped = unless_stopped(result)?.is_none();
        Ok(())
    }
}
