//! The steps, in their order.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::pack::{Packed, pack};
use super::target::{Leftover, Target};
use super::{Order, Output, Repacked, Source, Stop, beginning, first_bytes, name, until_refused};
use crate::bytes::hex;
use crate::facts::{Code, DiskFormat};
use crate::inspect::{
    Depth, Finding, Inside, Listener, Options, Report, Tap, Tapped, Verdict, Wrapped, inspect,
    inspect_file, inspect_inside, look_inside, recognise,
};
use crate::rules::Severity;

/// Packs an image anew. If this ends before its end, `leftover` removes what it would leave.
#[must_use]
pub fn repack(order: &Order, listener: &dyn Listener, leftover: &Leftover) -> Repacked {
    let mut repacked = Repacked::default();
    let run = Run { order, listener, leftover };
    match run.all(&mut repacked) {
        Ok(output) => repacked.output = output,
        Err(stop) => repacked.stop = Some(stop),
    }
    repacked
}

struct Run<'a> {
    order: &'a Order,
    listener: &'a dyn Listener,
    leftover: &'a Leftover,
}

/// What was written, before it is checked.
struct Written {
    target: Target,
    /// Bytes of the image.
    taken: u64,
    packed: Packed,
}

impl Run<'_> {
    fn all(&self, repacked: &mut Repacked) -> Result<Option<Output>, Stop> {
        let target = self.named()?;
        if target.is_none() && self.is_fine(repacked)? {
            return Ok(None);
        }
        let mut written = self.write(target, Depth::Beside, repacked);
        if self.is_out_of_order(repacked) {
            // Its place is made free first.
            drop(written);
            written = self.write(self.named()?, Depth::Spooled, repacked);
        }
        let Written { target, taken, packed } = written?;
        let image = repacked.report.as_ref().and_then(|report| report.digests.sha256.clone());
        let size = repacked.report.as_ref().and_then(|report| report.file_size);
        same("bytes of the image", size, taken)?;
        same("SHA-256 of the image", image.as_ref(), &packed.inner_sha256)?;
        let size = self.look_again(&target, &packed, repacked)?;
        let path = target.commit()?;
        let (sha256, image_sha256) = (packed.sha256, packed.inner_sha256);
        Ok(Some(Output { path, size, sha256, image_sha256 }))
    }

    /// Begins the output that the order names.
    fn named(&self) -> Result<Option<Target>, Stop> {
        let out = self.order.out.as_ref();
        out.map(|path| Target::create(path, self.leftover)).transpose()
    }

    /// Whether it turned out to be a VMDK stream out of order, and nothing worse, which streamed by and can be had again.
    fn is_out_of_order(&self, repacked: &Repacked) -> bool {
        let found = repacked.report.iter().flat_map(|report| &report.findings);
        let worse = |found: &Finding| found.severity == Severity::Reject && !found.repairable;
        let unordered = |found: &Finding| {
            found.code == Code::VmdkGrainsUnordered && found.severity != Severity::Note
        };
        let again = crate::source::is_url(&self.order.source)
            || fs::metadata(&self.order.source).is_ok_and(|meta| meta.is_file());
        again && found.clone().any(unordered) && !found.clone().any(worse)
    }

    /// Whether nothing about the source is to be mended or packed: it is checked as it is then.
    fn is_fine(&self, repacked: &mut Repacked) -> Result<bool, Stop> {
        let (source, options) = (&self.order.source, &self.order.check);
        match look_inside(source, options, self.listener, Depth::Refused) {
            // The reading says the same, and has a report.
            Err(_) => return Ok(false),
            Ok(Some(found)) if found.wrappings.is_empty() && !found.raw => {}
            Ok(_) => return Ok(false),
        }
        let report = inspect(source, options, self.listener);
        let of = |severity| report.findings.iter().filter(move |found| found.severity == severity);
        let warns = of(Severity::Warn).any(|found| found.repairable);
        let rejects = of(Severity::Reject).count() > 0;
        let mendable = rejects && of(Severity::Reject).all(|found| found.repairable);
        let verdict = report.verdict;
        repacked.report = Some(report);
        match verdict {
            Verdict::Error => Err(Stop::Unread),
            Verdict::Reject if !mendable => Err(Stop::Rejected),
            Verdict::Reject => Ok(false),
            _ if warns => Ok(false),
            Verdict::Warn if self.order.strict => Err(Stop::Rejected),
            _ => Ok(true),
        }
    }

    /// Reads the source, and checks and packs what comes out of it in the same pass.
    fn write(
        &self,
        target: Option<Target>,
        depth: Depth,
        repacked: &mut Repacked,
    ) -> Result<Written, Stop> {
        let (tap, tapped) = Tap::new();
        let (say, inside) = channel();
        let options = self.first_look();
        let ((report, wrapped), (inside, written)) = thread::scope(|scope| {
            let checking = scope.spawn(move || {
                // Nobody may want to know any more.
                let tell = |found: Inside| drop(say.send(found));
                let source = &self.order.source;
                inspect_inside(source, &options, self.listener, Some(&tap), depth, tell)
            });
            let written = self.pack(target, &inside, tapped);
            (checking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), written)
        });
        let (verdict, complete) = (report.verdict, report.complete);
        repacked.source = source(&report, inside, wrapped);
        let read = repacked.source.is_some();
        let noticed = repacked.source.as_ref().map(|source| source.noticed.as_slice());
        let noticed = noticed.unwrap_or_default();
        let warns = report
            .findings
            .iter()
            .any(|found| found.severity == Severity::Warn && noticed.contains(&found.message));
        repacked.report = Some(report);
        match (verdict, written) {
            // What cannot be written ends the reading too, so it says nothing of the image.
            (
                _,
                Err(stop @ (Stop::Unwritten { .. } | Stop::Taken { .. } | Stop::NoName { .. })),
            ) => {
                (repacked.report, repacked.source) = (None, None);
                Err(stop)
            }
            (Verdict::Error, _) => Err(Stop::Unread),
            (Verdict::Reject, _) => Err(Stop::Rejected),
            // What was written has nothing of it.
            (_, Ok(_)) if warns && self.order.strict => Err(Stop::Rejected),
            (_, Ok(written)) if read && complete => Ok(written),
            (_, Ok(_)) => Err(Stop::Unread),
            (_, Err(stop)) => Err(stop),
        }
    }

    /// How the source is checked. It streams by; what lies behind then is looked at in the file that was written.
    fn first_look(&self) -> Options {
        let mut options = Options { quick: false, ..self.order.check.clone() };
        let code = Code::StructureNotExamined.as_str();
        // A finding that is a matter of physics could not be weighed, and this one can.
        let _ = options.policy.set(code, Severity::Note);
        options
    }

    /// Packs what the tap gives into the target; what was found inside, too.
    fn pack(
        &self,
        target: Option<Target>,
        inside: &Receiver<Inside>,
        tapped: Tapped,
    ) -> (Option<Inside>, Result<Written, Stop>) {
        let Ok(inside) = inside.recv() else { return (None, Err(Stop::Unread)) };
        let written = self.pack_into(target, &tapped);
        (Some(inside), written)
    }

    fn pack_into(&self, target: Option<Target>, tapped: &Tapped) -> Result<Written, Stop> {
        let (first, whole) = beginning(tapped);
        let head = recognise(&first_bytes(&first), whole, &self.order.check);
        if head.refused {
            // It is known now, and only the report is missing.
            return Err(Stop::Rejected);
        }
        let mut target = match target {
            Some(target) => target,
            None => Target::create(&self.beside(head.disk_format)?, self.leftover)?,
        };
        let mut failed = None;
        let packed =
            pack(until_refused(first, tapped), self.order.encoding, &mut |bytes| match target
                .write(bytes)
            {
                Ok(()) => ControlFlow::Continue(()),
                Err(stop) => {
                    failed = Some(stop);
                    ControlFlow::Break(())
                }
            });
        match (failed, packed) {
            (Some(stop), _) => Err(stop),
            (None, Some((taken, packed))) => Ok(Written { target, taken, packed }),
            (None, None) => Err(Stop::Unfaithful { why: "it cannot be unpacked".into() }),
        }
    }

    fn beside(&self, format: Option<DiskFormat>) -> Result<PathBuf, Stop> {
        let format = format.unwrap_or(DiskFormat::Raw);
        name::beside(&self.order.source, format)
            .ok_or(Stop::NoName { why: "the source has no file name, so name the output" })
    }

    /// Checks the file that was written, as anybody else would; its size.
    fn look_again(
        &self,
        target: &Target,
        packed: &Packed,
        repacked: &mut Repacked,
    ) -> Result<u64, Stop> {
        let file = target.written()?;
        let options = Options {
            quick: false,
            image_digest: true,
            expected: Vec::new(),
            ..self.order.check.clone()
        };
        let report = inspect_file(file, named(target.path()).as_os_str(), &options, self.listener);
        let verdict = report.verdict;
        let digests = report.digests.clone();
        let (size, error) = (report.file_size, report.error.clone());
        repacked.report = Some(report);
        match verdict {
            Verdict::Error => {
                let why = error.map_or_else(|| "it cannot be read".to_owned(), |e| e.message);
                return Err(Stop::Unfaithful { why });
            }
            Verdict::Reject => return Err(Stop::Rejected),
            Verdict::Warn if self.order.strict => return Err(Stop::Rejected),
            Verdict::Warn | Verdict::Accept => {}
        }
        same("SHA-256 of the file", digests.sha256.as_ref(), &packed.sha256)?;
        same("SHA-256 of its image", digests.image_sha256.as_ref(), &packed.inner_sha256)?;
        Ok(size.unwrap_or_default())
    }
}

/// A path as an argument that cannot be taken for a URL or standard input.
fn named(path: &Path) -> PathBuf {
    match path.is_relative() && (crate::source::is_url(path.as_os_str()) || path == Path::new("-"))
    {
        true => Path::new(".").join(path),
        false => path.to_owned(),
    }
}

/// What was read; nothing unless all of it was.
fn source(report: &Report, inside: Option<Inside>, wrapped: Option<Wrapped>) -> Option<Source> {
    let wrappings: Vec<String> = inside?.wrappings.iter().map(ToString::to_string).collect();
    match wrapped {
        Some(file) => {
            let (size, sha256) = (file.size, hex(&file.sha256));
            let (left_out, noticed) = (file.left_out, file.noticed);
            Some(Source { size, sha256, wrappings, left_out, noticed })
        }
        None if wrappings.is_empty() => {
            let (size, sha256) = (report.file_size?, report.digests.sha256.clone()?);
            Some(Source { size, sha256, wrappings, left_out: Vec::new(), noticed: Vec::new() })
        }
        None => None,
    }
}

/// Holds what was found against what has to be.
fn same<T: PartialEq + std::fmt::Display>(
    what: &str,
    found: Option<T>,
    expected: T,
) -> Result<(), Stop> {
    match found {
        Some(found) if found == expected => Ok(()),
        Some(found) => {
            Err(Stop::Unfaithful { why: format!("{what}: {found} instead of {expected}") })
        }
        None => Err(Stop::Unfaithful { why: format!("{what}: unknown") }),
    }
}
