use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::args::{CheckArgs, Layer, NetArgs, ReportFormat};
use super::checksums::Checksums;
use super::progress::Progress;
use super::{ACCEPTED, REJECTED, UNREADABLE, Usage, document, output, signals};
use crate::bytes::Hostile;
use crate::inspect::{Digested, Expected, Options, Report, Verdict, inspect};
use crate::render::{self, text};
use crate::rules::{Policy, Severity};

pub(super) fn run(args: &CheckArgs) -> Result<u8, Usage> {
    let options = options(args)?;
    let progress = Progress::new(args.quiet);
    signals::watch(&progress);
    let fetch = |argument: &OsStr, largest| fetch(&options, argument, largest);
    let checksums = args
        .checksums
        .as_deref()
        .map(|argument| Checksums::read(argument, |largest| fetch(argument, largest)))
        .transpose()?;
    let expected = args
        .images
        .iter()
        .map(|image| expected(image, args, checksums.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    if args.images.iter().filter(|image| *image == "-").count() > 1 {
        return Err(Usage("standard input can be checked only once".into()));
    }
    let mut target =
        args.output.as_deref().map(|path| open_output(path, &args.images)).transpose()?;

    let style = output::style(target.is_none());
    let mut reports = Vec::new();
    for (image, expected) in args.images.iter().zip(expected) {
        let options = Options { expected, ..options.clone() };
        let report = inspect(image, &options, &*progress);
        if args.format == ReportFormat::Text {
            let first = reports.is_empty();
            output::write(&mut target, &text_of(&report, args, style, first))?;
        }
        reports.push(report);
    }
    match args.format {
        ReportFormat::Text if reports.len() > 1 && !args.quiet => {
            output::write(&mut target, &format!("\n{}", text::summary(&reports)))?;
        }
        ReportFormat::Text => {}
        format => {
            let document = document::of(&reports, format, args.strict, &options)?;
            output::write(&mut target, &document)?;
        }
    }
    Ok(reports.iter().map(|report| exit_code(report, args.strict)).max().unwrap_or(ACCEPTED))
}

fn text_of(report: &Report, args: &CheckArgs, style: render::Style, first: bool) -> String {
    if args.quiet {
        return text::line(report, style);
    }
    let gap = if first { "" } else { "\n" };
    format!("{gap}{}", text::render(report, style))
}

pub(super) fn exit_code(report: &Report, strict: bool) -> u8 {
    match report.verdict {
        Verdict::Accept => ACCEPTED,
        Verdict::Warn if !strict => ACCEPTED,
        Verdict::Warn | Verdict::Reject => REJECTED,
        Verdict::Error => UNREADABLE,
    }
}

fn options(args: &CheckArgs) -> Result<Options, Usage> {
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
        limit: size(&args.max_size)?,
        url_rules: !args.no_url_rules,
        client: super::net::client(
            &args.net,
            args.net.insecure_http || args.no_url_rules,
            args.images.iter().map(OsString::as_os_str),
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
        if args.images.len() > 1 {
            return Err(Usage("--sha256 is for one image; use --checksums for several".into()));
        }
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
    const UNITS: [(&str, u64); 9] = [
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
        ("kb", 1000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("b", 1),
    ];
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((lower.strip_suffix(name)?.trim_end(), *unit)))
        .unwrap_or((&lower, 1));
    let count =
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    count.and_then(|count| count.checked_mul(unit)).filter(|&size| size > 0).ok_or_else(|| {
        Usage(format!(
            "--max-size takes a size such as 100GB, 20GiB or 5000000000, not \"{}\"",
            Hostile::from(text)
        ))
    })
}

/// Opens the file for the report before any work, so that a bad path is known at once. It must not be
/// one of the images.
fn open_output(path: &Path, images: &[OsString]) -> Result<File, Usage> {
    let shown = Hostile::from_os(path.as_os_str());
    if let Ok(there) = fs::metadata(path) {
        let same = |image: &OsString| {
            let image = if image == "-" { Path::new("/dev/stdin") } else { Path::new(image) };
            fs::metadata(image).is_ok_and(|m| (m.dev(), m.ino()) == (there.dev(), there.ino()))
        };
        if images.iter().any(same) {
            return Err(Usage(format!("--output {shown} is one of the images")));
        }
    }
    File::create(path).map_err(|e| Usage(format!("cannot write the report to {shown}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(size("100GB").unwrap(), 100_000_000_000);
        assert_eq!(size("20 GiB").unwrap(), 20 << 30);
        assert_eq!(size("5000000000").unwrap(), 5_000_000_000);
        assert_eq!(size("7b").unwrap(), 7);
        for bad in ["", "GB", "-1", "1.5GB", "0", "99999999999TB", "+5"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
