use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use super::args::{CheckArgs, Layer, NetArgs, ReportFormat};
use super::checksums::Checksums;
use super::progress::Progress;
use super::project::Subject;
use super::{ACCEPTED, REJECTED, UNREADABLE, Usage, document, images, output, receipts, signals};
use crate::bytes::{Hostile, read_size};
use crate::inspect::{Digested, Expected, Options, Report, Verdict, look};
use crate::project::Terms;
use crate::render::json::Scope;
use crate::render::{self, text};
use crate::rules::{Policy, SIZE_LIMIT, Severity};

pub(super) fn run(args: &CheckArgs) -> Result<u8, Usage> {
    let subjects = images::subjects(args)?;
    let images: Vec<OsString> = subjects.iter().map(|subject| subject.argument.clone()).collect();
    let options = options(args, &images)?;
    let progress = Progress::new(args.quiet);
    signals::watch(&progress);
    let fetch = |argument: &OsStr, largest| fetch(&options, argument, largest);
    let checksums = args
        .checksums
        .as_deref()
        .map(|argument| Checksums::read(argument, |largest| fetch(argument, largest)))
        .transpose()?;
    if args.sha256.is_some() && subjects.len() != 1 {
        return Err(Usage("--sha256 is for one image; use --checksums for several".into()));
    }
    let each = subjects
        .iter()
        .map(|subject| for_one(&options, subject, args, checksums.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    if images.iter().filter(|image| *image == "-").count() > 1 {
        return Err(Usage("standard input can be checked only once".into()));
    }
    if args.receipt.is_some() && subjects.len() > 1 {
        return Err(Usage("--receipt is for one image; use --cache for several".into()));
    }
    let receipts = receipts::receipts(args)?;
    let files = subjects
        .iter()
        .map(|subject| receipts::file(args, subject))
        .collect::<Result<Vec<_>, _>>()?;
    let mut target =
        args.output.as_deref().map(|path| open_output(path, &images, "images")).transpose()?;

    let strict: Vec<bool> =
        subjects.iter().map(|subject| args.strict || subject.is_strict()).collect();
    let style = output::style(target.is_none());
    let mut reports = Vec::new();
    for (((image, options), file), strict) in images.iter().zip(&each).zip(&files).zip(strict) {
        let file = file.as_deref();
        let began = Instant::now();
        let mut report = receipts.check(image, options, file, &*progress, &output::warn);
        report.took = Some(began.elapsed());
        report.strict = strict;
        if args.format == ReportFormat::Text {
            let first = reports.is_empty();
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
        reports.push(report);
    }
    match args.format {
        ReportFormat::Text if reports.len() > 1 && !args.quiet => {
            output::write(&mut target, &format!("\n{}", text::summary(&reports)))?;
        }
        ReportFormat::Text => {}
        format => {
            let look = |at: usize, report: &Report| look(report, &each[at]);
            let scope = Scope { shard: args.shard, terms: Some(Terms::of(&options)) };
            let document = document::of(&reports, format, &scope, &look)?;
            output::write(&mut target, &document)?;
        }
    }
    Ok(reports.iter().map(exit_code).max().unwrap_or(ACCEPTED))
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

/// What is said of all of them at once.
pub(super) fn text_of_all(reports: &[Report], quiet: bool, style: render::Style) -> String {
    let mut text = String::new();
    for report in reports {
        text += &text_of(report, quiet, style, text.is_empty());
    }
    if reports.len() != 1 && !quiet {
        text += &format!("\n{}", text::summary(reports));
    }
    text
}

fn text_of(report: &Report, quiet: bool, style: render::Style, first: bool) -> String {
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

fn options(args: &CheckArgs, images: &[OsString]) -> Result<Options, Usage> {
    let mut policy = Policy::default();
    for (codes, severity) in [
        (&args.allow, Severity::Note),
        (&args.warn, Severity::Warn),
        (&args.reject, Severity::Reject),
    ] {
        for code in codes {
            policy.set(code, severity).map_err(|e| Usage(e.to_string()))?;
        }
    }
    Ok(Options {
        quick: args.quick,
        keep_going: args.keep_going,
        image_digest: args.digest.contains(&Layer::Image),
        disk_digest: args.digest.contains(&Layer::Disk),
        spool: args.spool,
        expected: Vec::new(),
        policy,
        limit: args.max_size.as_deref().map_or(Ok(SIZE_LIMIT), size)?,
        url_rules: !args.no_url_rules,
        client: super::net::client(
            &args.net,
            args.net.insecure_http || args.no_url_rules,
            images.iter().map(OsString::as_os_str),
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
        client: super::net::client(net, net.insecure_http, images, None)?,
        ..Options::default()
    })
}

/// The bytes behind a URL that is no image.
fn fetch(options: &Options, argument: &OsStr, largest: usize) -> Result<Vec<u8>, String> {
    match &options.client {
        Some(client) => super::net::fetch(client, argument, largest),
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

/// Opens the file for the report before any work, so that a bad path is known at once. It must not be
/// one of the images, or of what else is read.
pub(super) fn open_output(path: &Path, images: &[OsString], what: &str) -> Result<File, Usage> {
    let shown = Hostile::from_os(path.as_os_str());
    if let Ok(there) = fs::metadata(path) {
        let same = |image: &OsString| {
            let image = if image == "-" { Path::new("/dev/stdin") } else { Path::new(image) };
            fs::metadata(image).is_ok_and(|m| (m.dev(), m.ino()) == (there.dev(), there.ino()))
        };
        if images.iter().any(same) {
            return Err(Usage(format!("--output {shown} is one of the {what}")));
        }
    }
    File::create(path).map_err(|e| Usage(format!("cannot write the report to {shown}: {e}")))
}
