//! The check within a push, and what may go on after it.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::entry::{Entry, Outcome};
use super::event::{Event, Step};
use super::handed;
use super::order::{Repack, Route};
use super::pushed::Source;
use super::run::Run;
use super::stop::Stop;
use crate::bytes::hex;
use crate::inspect::{
    Depth, Inside, Report, Tap, Verdict, Wrapped, inspect_inside, inspect_tapped,
};
use crate::rules::Severity;

/// A check that is under way.
pub(super) struct Checking {
    pub(super) inside: oneshot::Receiver<Inside>,
    pub(super) report: oneshot::Receiver<(Report, Option<Wrapped>)>,
}

impl Run<'_> {
    /// Checks the image where it is.
    pub(super) async fn check(&mut self) -> Result<(), Stop> {
        self.begin(Step::Check, &self.order.shown.clone());
        let checking = self.inspect(None, Repack::Never);
        let checked = self.cancel.unless(checking.report).await?;
        self.judge(checked.map_err(|_| Stop::Unread)?, Vec::new())?;
        self.done(Step::Check, "accepted");
        Ok(())
    }

    /// A check on a thread of its own: a pipe may block for as long as it likes.
    pub(super) fn inspect(&self, tap: Option<Tap>, repack: Repack) -> Checking {
        let (say_inside, inside) = oneshot::channel();
        let (say_report, report) = oneshot::channel();
        let (source, options) = (self.order.source.clone(), self.order.check.clone());
        let watch = Arc::clone(&self.world.watch);
        std::thread::spawn(move || {
            let tap = tap.as_ref();
            // Nobody may want to know any more.
            let tell = move |found| drop(say_inside.send(found));
            let checked = match repack {
                Repack::Never => {
                    tell(Inside { wrappings: Vec::new(), raw: false });
                    (inspect_tapped(&source, &options, &*watch, tap), None)
                }
                Repack::Auto | Repack::Always => {
                    inspect_inside(&source, &options, &*watch, tap, Depth::Refused, tell)
                }
                Repack::Anew => {
                    inspect_inside(&source, &options, &*watch, tap, Depth::Everything, tell)
                }
            };
            let _ = say_report.send(checked);
        });
        Checking { inside, report }
    }

    /// Goes on only with what was accepted, every byte of it.
    pub(super) fn judge(
        &mut self,
        (mut report, wrapped): (Report, Option<Wrapped>),
        wrappings: Vec<String>,
    ) -> Result<(), Stop> {
        // No push opens what lies beside a file.
        report.findings.iter_mut().for_each(|finding| finding.repairable &= !finding.row().beside);
        let mended = |repack| repack == Repack::Anew || !wrappings.is_empty();
        if matches!(self.order.route, Route::Staged { repack, .. } if mended(repack)) {
            // What can be mended by repacking was mended, or it would not be found.
            report.findings.iter_mut().for_each(|finding| finding.repairable = false);
        }
        for said in wrapped.iter().flat_map(|file| &file.left_out) {
            self.world.note(&format!("left out of what is sent: {said}"));
        }
        let whole = wrappings.is_empty() || wrapped.is_some();
        let (verdict, complete) = (report.verdict, report.complete && whole);
        self.pushed.source = Some(Source {
            name: self.order.shown.clone(),
            size: wrapped.as_ref().map_or(report.file_size, |file| Some(file.size)),
            sha256: match &wrapped {
                Some(file) => Some(hex(&file.sha256)),
                None if wrappings.is_empty() => report.digests.sha256.clone(),
                None => None,
            },
            wrappings,
        });
        let accepted = complete && verdict == Verdict::Warn && !self.order.strict;
        for finding in report.findings.iter().filter(|f| accepted && f.severity == Severity::Warn) {
            self.world
                .tell(&Event::Warning { code: finding.code.as_str(), what: &finding.message });
        }
        self.pushed.report = Some(report);
        match verdict {
            Verdict::Accept if complete => Ok(()),
            Verdict::Warn if accepted => Ok(()),
            Verdict::Warn if complete => Err(Stop::Rejected),
            Verdict::Reject => Err(Stop::Rejected),
            _ => Err(Stop::Unread),
        }
    }

    /// Makes sure that the URL still leads to what was checked: nobody else may have put an image there.
    pub(super) async fn still_the_same(&mut self, step: Step) -> Result<(), Stop> {
        let checked = self.pushed.report.as_ref().and_then(|report| report.identity.clone());
        let Some(checked) = checked else { return Err(Stop::Unread) };
        let looking = handed::look(&self.order.source, &self.order.check, &self.world.watch);
        let why = match self.cancel.unless(looking).await? {
            Ok(now) => checked.difference(&now).map(|why| {
                format!(
                    "{why}; if several servers answer for this URL, --stage sends what was checked"
                )
            }),
            Err(why) => Some(format!("it cannot be read again: {why}")),
        };
        let Some(why) = why else { return Ok(()) };
        if let Some(image) = self.pushed.image.as_ref().map(|image| image.id) {
            // What was imported is not what was checked: it goes like one that failed.
            let outcome = Outcome::Import { image, available: false };
            if let Some(error) = self.journal.note(Entry::Outcome(outcome)) {
                self.world.note(&error.to_string());
            }
        }
        Err(Stop::Changed { step, why })
    }
}
