use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Instant;

use super::args::{CheckArgs, Layer, NetArgs, ReportFormat};
use super::checksums::Checksums;
use super::clock::Clock;
use super::document::Document;
use super::progress::Progress;
use super::project::Subject;
use super::target::{Kind, Other, Target, ours};
use super::{ACCEPTED, REJECTED, UNREADABLE, USAGE, Usage, images, output, receipts, signals};
use crate::bytes::{Hostile, Small, read_size};
use crate::inspect::{Digested, Expected, Options, Receipt, Report, Verdict, look};
use crate::project::Terms;
use crate::render::json::Scope;
use crate::render::{self, text};
use crate::rules::{Policy, SIZE_LIMIT, Severity};
use crate::source::shown;

pub(super) fn run(args: &CheckArgs) -> Result<u8, Usage> {
    let subjects = images::subjects(args)?;
    let options = options(args, &subjects)?;
    let clock = Clock::new()?;
    let progress = Progress::new(args.quiet);
    signals::watch(&progress);
    let fetch = |argument: &OsStr, small| fetch(&options, argument, small);
    let checksums = args
        .checksums
        .as_deref()
        .map(|argument| Checksums::read(argument, |small| fetch(argument, small)))
        .transpose()?;
    if args.sha256.is_some() && subjects.len() != 1 {
        return Err(Usage("--sha256 is for one image; use --checksums for several".into()));
    }
    // Of each image it is known now that it can be checked so; there may be too many to keep how.
    let each = |subject| for_one(&options, subject, args, checksums.as_ref());
    subjects.iter().try_for_each(|subject| each(subject).map(drop))?;
    if subjects.iter().filter(|subject| subject.argument == "-").count() > 1 {
        return Err(Usage("standard input can be checked only once".into()));
    }
    if args.receipt.is_some() && subjects.len() > 1 {
        return Err(Usage("--receipt is for one image; use --cache for several".into()));
    }
    let receipts = receipts::receipts(args)?;
    let orders = receipts::Orders::new(args, &subjects)?;
    receipts::warn_of_no_seal(&orders, &receipts);
    let scope = Scope { shard: args.shard, terms: Some(Terms::of(&options)), merged: false };
    let output = args.output.as_deref().map(|path| (path, REPORT));
    let (mut target, mut document) =
        opened(args.format, scope, output, read_too(args, &subjects, &orders))?;
    orders.begin();
    let style = output::style(target.is_none());
    let mut code = ACCEPTED;
    let mut unwritten = ACCEPTED;
    for (subject, file) in subjects.iter().zip(orders.files()) {
        let (image, options) = (&subject.argument, &each(subject)?);
        let (began, date) = (Instant::now(), clock.now());
        let checked =
            receipts.check(image, options, file, &*progress, &output::warn).map_err(|why| {
                orders.hold();
                Usage(format!("nothing was read of {}: {why}", shown(image)))
            })?;
        orders.is_done();
        let mut report = checked.report;
        report.took = Some(began.elapsed());
        report.checked_at = Some(match &report.receipt {
            Some(Receipt::Unchanged { checked_at, .. }) => checked_at.clone(),
            _ => date,
        });
        report.strict = args.strict || subject.is_strict();
        if args.format == ReportFormat::Text {
            let first = document.tally().images() == 0;
            let text = text_of(&report, args.quiet, style, first);
            output::verdict(&mut target, &text, exit_code(&report) != ACCEPTED)?;
        }
        if args.packer_manifest.is_some()
            && exit_code(&report) != ACCEPTED
            && (target.is_some() || args.format != ReportFormat::Text)
        {
            // Who reads the log of the build need not have the report.
            output::fail(text::line(&report, render::Style::default()).trim_end());
        }
        if let (Some(file), Some(why)) = (file, checked.unwritten) {
            let place = Hostile::from_os(file.as_os_str());
            output::complain(&format!("there is no receipt {place}: {why}"));
            unwritten = USAGE;
        }
        code = code.max(exit_code(&report));
        document.add(&report, &|| look(&report, options))?;
    }
    if args.format == ReportFormat::Text && document.tally().images() > 1 && !args.quiet {
        output::write(&mut target, &format!("\n{}\n", document.tally()))?;
    }
    unwritten = unwritten.max(document.write(target)?);
    // A verdict on an image tells more than that its receipt or the job's summary is missing.
    Ok(if code == ACCEPTED { unwritten } else { code })
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

/// What is said of an image. All but the first stand apart from the one before.
pub(super) fn text_of(report: &Report, quiet: bool, style: render::Style, first: bool) -> String {
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

fn options(args: &CheckArgs, subjects: &[Subject]) -> Result<Options, Usage> {
    Ok(Options {
        quick: args.quick,
        keep_going: args.keep_going,
        image_digest: args.digest.contains(&Layer::Image),
        disk_digest: args.digest.contains(&Layer::Disk),
        spool: args.spool,
        expected: Vec::new(),
        policy: policy(&args.allow, &args.warn, &args.reject)?,
        limit: args.max_size.as_deref().map_or(Ok(SIZE_LIMIT), size)?,
        threads: super::threads::threads()?,
        url_rules: !args.no_url_rules,
        client: super::net::client(
            &args.net,
            args.net.insecure_http || args.no_url_rules,
            subjects.iter().map(|subject| subject.argument.as_os_str()),
            args.checksums.as_deref(),
        )?,
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

/// The digests that an image has to have, by `--sha256` and `--checksums`.
fn expected(
    image: &OsString,
    args: &CheckArgs,
    checksums: Option<&Checksums>,
) -> Result<Vec<Expected>, Usage> {
    let mut expected = Vec::new();
    if let Some(hex) = &args.sha256 {
        let sha256 = super::checksums::sha256(hex)
            .ok_or_else(|| Usage("--sha256 takes 64 hexadecimal digits".into()))?;
        expected.push(Expected { of: Digested::File, sha256, origin: "--sha256".into() });
    }
    if let Some(checksums) = checksums {
        expected.extend(checksums.of(image)?);
    }
    Ok(expected)
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
