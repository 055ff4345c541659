//! `tidegate check`.

mod work;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use self::work::{Checked, Work};
use super::args::{CheckArgs, GuestArg, Layer, NetArgs, ReportFormat};
use super::checksums::Checksums;
use super::clock::Clock;
use super::document::Document;
use super::images::Chosen;
use super::jobs::{self, Plan, Shown};
use super::project::Subject;
use super::target::{Kind, Other, Target, ours};
use super::{ACCEPTED, REJECTED, UNREADABLE, USAGE, Usage, images, output, receipts, signals};
use crate::bytes::{Hostile, Small, read_size};
use crate::inspect::{Guest, Options, Report, Verdict};
use crate::project::Terms;
use crate::render::json::Scope;
use crate::render::{Closing, Style, text};
use crate::rules::{Policy, SIZE_LIMIT, Severity};
use crate::source::shown;

pub(super) fn run(args: &Arc<CheckArgs>) -> Result<u8, Usage> {
    let Chosen { subjects, left_out } = images::chosen(args)?;
    let plan = Plan::new(args.jobs, subjects.len())?;
    let options = options(args, &subjects, plan.threads)?;
    let clock = Clock::new()?;
    let shown = Shown::new(args.quiet, subjects.len());
    let closed = shown.clone();
    signals::watch(move || closed.close());
    let fetch = |argument: &OsStr, small| fetch(&options, argument, small);
    let checksums = args
        .checksums
        .as_deref()
        .map(|argument| Checksums::read(argument, |small| fetch(argument, small)))
        .transpose()?;
    if args.sha256.is_some() && subjects.len() != 1 {
        return Err(Usage("--sha256 is for one image; use --checksums for several".into()));
    }
    let terms = Terms::of(&options);
    let work = Work { args: Arc::clone(args), options, checksums, subjects, clock, plan, shown };
    work.can_check_all()?;
    let subjects = &work.subjects;
    if subjects.iter().filter(|subject| subject.argument == "-").count() > 1 {
        return Err(Usage("standard input can be checked only once".into()));
    }
    if args.receipt.is_some() && subjects.len() > 1 {
        return Err(Usage("--receipt is for one image; use --cache for several".into()));
    }
    let receipts = receipts::receipts(args)?;
    let orders = receipts::Orders::new(args, subjects)?;
    receipts::warn_of_no_seal(&orders, &receipts);
    let scope = Scope { shard: args.shard, terms: Some(terms), merged: false };
    let output = args.output.as_deref().map(|path| (path, REPORT));
    let (target, document) = opened(args.format, scope, output, read_too(args, subjects, &orders))?;
    if let Some(wanted) = work.plan.lowered.filter(|_| args.net.verbose) {
        let jobs = work.plan.jobs;
        output::warn(&format!("{jobs} jobs instead of {wanted}: more do not fit into memory"));
    }
    orders.begin();
    let work = Arc::new(work);
    let mut telling = Telling::new(&work, &orders, target, document);
    let checks = Arc::clone(&work);
    let files = orders.shared();
    let check = move |image: usize, turn: &jobs::Turn<'_>| {
        checks.check(image, turn, &receipts, files[image].as_deref())
    };
    jobs::in_order(work.plan.jobs, work.subjects.len(), check, |image, came| {
        telling.tell(image, came)
    })?;
    telling.end(left_out.unwrap_or(0))
}

/// Tells of the images of a call, one after the other.
struct Telling<'a> {
    work: &'a Work,
    orders: &'a receipts::Orders,
    target: Option<Target>,
    document: Document,
    style: Style,
    closing: Closing,
    code: u8,
    unwritten: u8,
}

impl<'a> Telling<'a> {
    fn new(
        work: &'a Work,
        orders: &'a receipts::Orders,
        target: Option<Target>,
        document: Document,
    ) -> Self {
        let verbose = work.args.net.verbose;
        let style = Style { verbose, ..output::style(target.is_none()) };
        let (closing, code, unwritten) = (Closing::default(), ACCEPTED, ACCEPTED);
        work.shown.is_due(0);
        Telling { work, orders, target, document, style, closing, code, unwritten }
    }

    /// Tells what came of an image, if anything did.
    fn tell(&mut self, image: usize, came: Option<Checked>) -> Result<(), Usage> {
        let checked = match came {
            Some(Checked { came: Ok(checked), .. }) => checked,
            Some(Checked { came: Err(why), .. }) => {
                self.orders.hold();
                let image = shown(&self.work.subjects[image].argument);
                return Err(Usage(format!("nothing was read of {image}: {why}")));
            }
            None => self.work.not_checked(image),
        };
        let report = checked.report;
        if !report.is_not_checked() {
            self.orders.is_done(image);
        }
        self.work.shown.clone().aside(|| self.write(&report))?;
        if let (Some(file), Some(why)) = (self.orders.file(image), checked.unwritten) {
            let place = Hostile::from_os(file.as_os_str());
            output::complain(&format!("there is no receipt {place}: {why}"));
            self.unwritten = USAGE;
        }
        self.code = self.code.max(exit_code(&report));
        self.document.add(&report, &|| self.work.look(image, &report))?;
        self.work.shown.is_due(image + 1);
        Ok(())
    }

    /// Writes what is told of an image at once.
    fn write(&mut self, report: &Report) -> Result<(), Usage> {
        let args = &self.work.args;
        let refused = exit_code(report) != ACCEPTED;
        if args.format == ReportFormat::Text {
            let first = self.document.tally().images() == 0;
            let text = text_of(report, args.quiet, self.style, first);
            output::verdict(&mut self.target, &text, refused)?;
        }
        if refused && !report.is_not_checked() {
            self.closing.add(report);
        }
        if args.packer_manifest.is_some()
            && refused
            && (self.target.is_some() || args.format != ReportFormat::Text)
        {
            // Who reads the log of the build need not have the report.
            output::fail(text::line(report, Style::default()).trim_end());
        }
        Ok(())
    }

    /// Tells what all of them came to, and that so many entries of folders were left out; the exit code.
    fn end(mut self, left_out: usize) -> Result<u8, Usage> {
        self.work.shown.close();
        let images = self.document.tally().images();
        let left_out = match (left_out, self.work.args.quiet) {
            (0, _) | (_, true) => String::new(),
            (1, _) => "1 entry of the folders is no image and was left out (-v names it)\n".into(),
            (count, _) => {
                format!(
                    "{count} entries of the folders are no images and were left out (-v names them)\n"
                )
            }
        };
        match self.work.args.format {
            ReportFormat::Text if self.work.args.quiet && images > 1 => {
                output::write(&mut self.target, &self.closing.line(images))?;
            }
            ReportFormat::Text if images > 1 || !left_out.is_empty() => {
                let (tally, again) = (self.document.tally(), self.closing.lines(self.style));
                output::write(&mut self.target, &format!("\n{again}{left_out}{tally}\n"))?;
            }
            ReportFormat::Text => {}
            // A document is about what was checked.
            _ if !left_out.is_empty() => output::warn(left_out.trim_end()),
            _ => {}
        }
        let unwritten = self.unwritten.max(self.document.write(self.target)?);
        // A verdict on an image tells more than that its receipt or the job's summary is missing.
        Ok(if self.code == ACCEPTED { unwritten } else { self.code })
    }
}

/// What is read or written but the report, each with what it is.
fn read_too<'a>(
    args: &'a CheckArgs,
    subjects: &'a [Subject],
    orders: &'a receipts::Orders,
) -> Vec<Other<'a>> {
    let name = |name: &'a OsString| Cow::from(name.as_os_str());
    let path = |path: &'a Path| Cow::from(path.as_os_str());
    let mut all: Vec<Other<'_>> = Vec::new();
    all.extend(subjects.iter().map(|subject| (name(&subject.argument), "one of the images")));
    all.extend(orders.files().flatten().map(|file| (path(file), "where a receipt goes")));
    all.extend(args.images_from.iter().map(|list| (name(list), "the list of images")));
    all.extend(args.checksums.iter().map(|list| (name(list), "the list of check sums")));
    all.extend(args.packer_manifest.iter().map(|file| (path(file), "the manifest")));
    all.extend(args.net.cacert.iter().map(|file| (path(file), "a file of certificates")));
    let headers = args.net.header.iter().filter_map(|header| header.strip_prefix('@'));
    all.extend(headers.map(|file| (path(Path::new(file)), "a file of headers")));
    if subjects.iter().any(|subject| subject.image.is_some())
        && let Ok(Some(project)) = super::project::project()
    {
        all.push((Cow::Owned(project.file.into()), "the file that names the images"));
    }
    all
}

/// What is written to `--output`.
const REPORT: Kind = Kind {
    option: "--output",
    what: "the report",
    earlier: "a report of tidegate check",
    is_ours: ours::is_report,
    private: false,
};

/// What the report goes to, if that is not standard output, and the document that it is, if it is one.
pub(super) fn opened<'a>(
    format: ReportFormat,
    scope: Scope,
    output: Option<(&'a Path, Kind)>,
    mut others: Vec<Other<'a>>,
) -> Result<(Option<Target>, Document), Usage> {
    let target = output.map(|(path, kind)| Target::open(path, kind, &others)).transpose()?;
    others.extend(output.map(|(path, _)| (Cow::from(path.as_os_str()), "where the report goes")));
    Ok((target.flatten(), Document::new(format, scope, &others)?))
}

/// What is said of an image. All but the first stand apart from the one before.
pub(super) fn text_of(report: &Report, quiet: bool, style: Style, first: bool) -> String {
    if quiet {
        return text::line(report, style);
    }
    let gap = if first { "" } else { "\n" };
    format!("{gap}{}", text::render(report, style))
}

pub(super) fn exit_code(report: &Report) -> u8 {
    match report.verdict {
        Verdict::Accept => ACCEPTED,
        Verdict::Warn if !report.strict => ACCEPTED,
        Verdict::Warn | Verdict::Reject => REJECTED,
        Verdict::Error if report.is_not_checked() => REJECTED,
        Verdict::Error => UNREADABLE,
    }
}

/// What findings weigh, by `--allow`, `--warn` and `--reject`.
pub(super) fn policy(
    allow: &[String],
    warn: &[String],
    reject: &[String],
) -> Result<Policy, Usage> {
    let mut policy = Policy::default();
    for (codes, severity) in
        [(allow, Severity::Note), (warn, Severity::Warn), (reject, Severity::Reject)]
    {
        for code in codes {
            policy.set(code, severity).map_err(|e| Usage(e.to_string()))?;
        }
    }
    Ok(policy)
}

/// Makes findings of what `guest` requires, which somebody asks for. `options` and [`work`] do that: an image of a project
/// may have a word of its own.
fn require(guest: Guest, args: &CheckArgs, policy: &mut Policy, by: &str) -> Result<(), Usage> {
    match guest {
        Guest::Require if args.quick => {
            Err(Usage(format!("--quick examines nothing inside the disk, which {by} asks for")))
        }
        Guest::Require => {
            policy.require_guest();
            Ok(())
        }
        Guest::Auto | Guest::Never => Ok(()),
    }
}

fn options(args: &CheckArgs, subjects: &[Subject], threads: usize) -> Result<Options, Usage> {
    let guest = GuestArg::option(args.guest);
    let mut policy = policy(&args.allow, &args.warn, &args.reject)?;
    require(guest, args, &mut policy, "--guest require")?;
    Ok(Options {
        quick: args.quick,
        keep_going: args.keep_going,
        image_digest: args.digest.contains(&Layer::Image),
        disk_digest: args.digest.contains(&Layer::Disk),
        spool: args.spool,
        expected: Vec::new(),
        guest,
        policy,
        limit: args.max_size.as_deref().map_or(Ok(SIZE_LIMIT), size)?,
        threads,
        url_rules: !args.no_url_rules,
        client: super::net::client(
            &args.net,
            args.net.insecure_http || args.no_url_rules,
            subjects.iter().map(|subject| subject.argument.as_os_str()),
            args.checksums.as_deref(),
        )?,
        share: None,
    })
}

/// For commands that look at images and judge nothing.
pub(super) fn to_look_at<'a>(
    max_size: &str,
    net: &NetArgs,
    images: impl IntoIterator<Item = &'a OsString>,
) -> Result<Options, Usage> {
    let images = images.into_iter().map(OsString::as_os_str);
    Ok(Options {
        limit: size(max_size)?,
        threads: super::threads::threads()?,
        client: super::net::client(net, net.insecure_http, images, None)?,
        ..Options::default()
    })
}

/// The bytes behind a URL that is no image.
fn fetch(options: &Options, argument: &OsStr, small: Small) -> Result<Vec<u8>, String> {
    match &options.client {
        Some(client) => super::net::fetch(client, argument, small),
        None => Err("it is no URL".into()),
    }
}

/// Bytes from `100GB`, `20GiB` or a plain number.
pub(super) fn size(text: &str) -> Result<u64, Usage> {
    read_size(text).ok_or_else(|| {
        Usage(format!(
            "--max-size takes a size such as 100GB, 20GiB or 5000000000, not \"{}\"",
            Hostile::from(text)
        ))
    })
}
