//! The check of one image of a call.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::super::args::CheckArgs;
use super::super::checksums::Checksums;
use super::super::clock::Clock;
use super::super::jobs::{Outcome, Plan, Shown, Turn};
use super::super::project::Subject;
use super::super::{REJECTED, Usage};
use super::exit_code;
use crate::inspect::{Digested, Expected, LARGEST_TABLES, Look, Options, Receipt, Report, look};
use crate::project::{self, Receipts, Unwritable};

/// What a call checks, and how.
pub(super) struct Work {
    pub(super) args: Arc<CheckArgs>,
    pub(super) options: Options,
    pub(super) checksums: Option<Checksums>,
    pub(super) subjects: Vec<Subject>,
    pub(super) clock: Clock,
    pub(super) plan: Plan,
    pub(super) shown: Shown,
}

/// What came of an image.
pub(super) struct Checked {
    pub(super) came: Result<project::Checked, Unwritable>,
    weight: usize,
    is_last: bool,
}

impl Outcome for Checked {
    fn weight(&self) -> usize {
        self.weight
    }

    fn is_last(&self) -> bool {
        self.is_last
    }
}

/// Whether an image comes from another program, which may take its time: no file, device or URL.
fn is_piped(argument: &OsStr) -> bool {
    let here = Path::new(argument).metadata().map(|meta| meta.file_type());
    argument == "-" || here.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device())
}

/// What a report takes beside what it says.
const SELF: usize = 4 << 10;

impl Work {
    /// Makes sure that each image can be checked as it is asked for; there may be too many to keep how.
    pub(super) fn can_check_all(&self) -> Result<(), Usage> {
        (0..self.subjects.len()).try_for_each(|image| self.tried_options(image).map(drop))
    }

    fn tried_options(&self, image: usize) -> Result<Options, Usage> {
        for_one(&self.options, &self.subjects[image], &self.args, self.checksums.as_ref())
    }

    /// How an image is checked, which was tried.
    pub(super) fn options_of(&self, image: usize) -> Options {
        self.tried_options(image).unwrap_or_else(|_| self.options.clone())
    }

    /// Checks the image of this number.
    pub(super) fn check(
        &self,
        image: usize,
        turn: &Turn<'_>,
        receipts: &Receipts,
        file: Option<&Path>,
    ) -> Checked {
        let subject = &self.subjects[image];
        if is_piped(&subject.argument) {
            // It may never go on, and nobody before it may wait for what it holds.
            turn.wait();
        }
        let teller = self.shown.teller(image);
        let mut options = self.options_of(image);
        options.share = self.plan.share(image);
        if self.subjects.len() > 1 {
            super::super::net::tell(&mut options, &teller);
        }
        let (began, date) = (Instant::now(), self.clock.now());
        let complain = |said: &str| teller.warn(said);
        let mut came = receipts.check(&subject.argument, &options, file, &teller, &complain);
        teller.done();
        let (mut weight, mut is_last) = (SELF, false);
        if let Ok(project::Checked { report, .. }) = &mut came {
            report.took = Some(began.elapsed());
            report.checked_at = Some(match &report.receipt {
                Some(Receipt::Unchanged { checked_at, .. }) => checked_at.clone(),
                _ => date,
            });
            report.strict = self.args.strict || subject.is_strict();
            is_last = self.args.fail_fast && exit_code(report) == REJECTED;
            weight +=
                report.findings.iter().map(|it| it.message.len() + it.remedy.len()).sum::<usize>();
            weight += SELF * report.findings.len() / 8;
        }
        Checked { came, weight, is_last }
    }

    /// Looks at an image again, for a page.
    pub(super) fn look(&self, image: usize, report: &Report) -> Look {
        let share = self.plan.share(image);
        // Its tables are read again, beside those of others.
        let _held = share.as_ref().map(|share| share.take(LARGEST_TABLES));
        look(report, &self.options_of(image))
    }

    /// What is reported of an image of which nothing came before the call ended.
    pub(super) fn not_checked(&self, image: usize) -> project::Checked {
        let subject = &self.subjects[image];
        let why = "--fail-fast ended the call after an image was rejected";
        let mut report = Report::not_checked(&subject.argument, &self.options_of(image), why);
        report.strict = self.args.strict || subject.is_strict();
        report.checked_at = Some(self.clock.now());
        project::Checked { report, unwritten: None }
    }
}

/// How one image is checked: what the project says of it, unless the arguments say otherwise.
fn for_one(
    options: &Options,
    subject: &Subject,
    args: &CheckArgs,
    checksums: Option<&Checksums>,
) -> Result<Options, Usage> {
    let mut options = options.clone();
    let mut expected = expected(&subject.argument, args, checksums)?;
    if let Some(image) = &subject.image {
        options.policy = subject.policy(&options.policy)?;
        if let (None, Some(guest)) = (args.guest, &image.guest) {
            options.guest = guest.value;
            let by = format!("guest = \"require\" in line {} of tidegate.toml", guest.line);
            super::require(guest.value, args, &mut options.policy, &by)?;
        }
        if args.max_size.is_none() {
            options.limit = image.max_size.as_ref().map_or(options.limit, |size| size.value);
        }
        if let Some(sha256) = image.sha256.as_ref().filter(|_| args.sha256.is_none() && !args.quick)
        {
            let origin = "tidegate.toml".into();
            expected.push(Expected { of: Digested::File, sha256: sha256.value, origin });
        }
    }
    Ok(Options { expected, ..options })
}

/// The digests that an image has to have, by `--sha256` and `--checksums`.
fn expected(
    image: &OsString,
    args: &CheckArgs,
    checksums: Option<&Checksums>,
) -> Result<Vec<Expected>, Usage> {
    let mut expected = Vec::new();
    if let Some(hex) = &args.sha256 {
        let sha256 = super::super::checksums::sha256(hex)
            .ok_or_else(|| Usage("--sha256 takes 64 hexadecimal digits".into()))?;
        expected.push(Expected { of: Digested::File, sha256, origin: "--sha256".into() });
    }
    if let Some(checksums) = checksums {
        expected.extend(checksums.of(image)?);
    }
    Ok(expected)
}
