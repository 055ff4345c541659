//! `tidegate repack`: an image packed so that DigitalOcean takes it, in a file that was not there before.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::args::{Format, RepackArgs};
use super::clock::Clock;
use super::progress::Progress;
use super::{ACCEPTED, REJECTED, UNREADABLE, USAGE, Usage, check, output, signals};
use crate::bytes::Hostile;
use crate::codec::Encoding;
use crate::inspect::{Digested, Expected, Options};
use crate::render::{Style, repack as shown_as, text};
use crate::repack::{Leftover, Order, Repacked, Stop, repack};
use crate::source::{is_url, shown};

pub(super) fn run(args: &RepackArgs) -> Result<u8, Usage> {
    let clock = Clock::new()?;
    let order = order(args)?;
    let progress = Progress::new(args.quiet);
    let leftover = Leftover::default();
    let (closing, removing) = (progress.clone(), leftover.clone());
    signals::watch_with(move || {
        closing.close();
        removing.remove();
        None
    });
    let date = clock.now();
    let mut repacked = repack(&order, &*progress, &leftover);
    progress.close();
    if let Some(report) = &mut repacked.report {
        report.checked_at = Some(date);
    }
    let code = match &repacked.stop {
        None => ACCEPTED,
        Some(Stop::Rejected) => REJECTED,
        Some(Stop::Unread) => UNREADABLE,
        Some(_) => USAGE,
    };
    let said = repacked.stop.as_ref().and_then(|stop| said(stop, &order));
    let written = match args.format {
        Format::Text => write_text(args, &repacked),
        Format::Json => {
            let name = shown(&args.image).to_string();
            shown_as::json(&name, &repacked, said.as_deref())
                .map_err(|e| Usage(format!("cannot write the report: {e}")))
                .and_then(|text| output::document_text(&text))
        }
    };
    if let Some(said) = said {
        output::complain(&said);
    }
    if let (Err(_), Some(made)) = (&written, &repacked.output) {
        // Whoever reads 2 as "nothing was done" must not do it again.
        let path = Hostile::from_os(made.path.as_os_str());
        output::complain(&format!("{path} was written all the same"));
    }
    written?;
    Ok(code)
}

fn order(args: &RepackArgs) -> Result<Order, Usage> {
    let image = &args.image;
    let out = match &args.out {
        Some(out) => Some(path(out)?),
        None if image == "-" => {
            return Err(Usage(
                "standard input has no name: say where to write, by a second name behind the dash"
                    .into(),
            ));
        }
        None => None,
    };
    let mut expected = Vec::new();
    if let Some(hex) = &args.sha256 {
        let sha256 = super::checksums::sha256(hex)
            .ok_or_else(|| Usage("--sha256 takes 64 hexadecimal digits".into()))?;
        expected.push(Expected { of: Digested::File, sha256, origin: "--sha256".into() });
    }
    let encoding = Encoding::default();
    let threads = args.threads.map_or(encoding.threads, usize::from);
    let look = check::to_look_at(&args.max_size, &args.net, [image])?;
    Ok(Order {
        source: image.clone(),
        out,
        encoding: Encoding { level: u32::from(args.level), threads },
        check: Options {
            expected,
            policy: check::policy(&args.allow, &args.warn, &args.reject)?,
            // The importer is not to fetch it.
            url_rules: false,
            ..look
        },
        strict: args.strict,
    })
}

/// Where to write.
fn path(out: &OsStr) -> Result<PathBuf, Usage> {
    let place = shown(out);
    if out == "-" {
        return Err(Usage(
            "what goes to standard output cannot be taken back if the image turns out to be bad: name a file".into(),
        ));
    }
    if is_url(out) {
        return Err(Usage(format!("{place} is a URL, and the image is written to a file")));
    }
    if out.as_bytes().ends_with(b"/") || Path::new(out).is_dir() {
        return Err(Usage(format!("{place} is a folder: name a file in it")));
    }
    Ok(out.into())
}

/// Why nothing was written, as a sentence. Where a report says it better, it is short.
fn said(stop: &Stop, order: &Order) -> Option<String> {
    let place = |path: &Path| Hostile::from_os(path.as_os_str());
    Some(match stop {
        Stop::Taken { path } if is_same(path, &order.source) => {
            format!(
                "{} is the image itself, which is never replaced: name another file",
                place(path)
            )
        }
        Stop::Taken { path } if order.out.is_some() => {
            format!(
                "{} is there already, and nothing is ever replaced: name another file",
                place(path)
            )
        }
        Stop::Taken { path } => format!(
            "{} is there already, and nothing is ever replaced: name another file after the image, or remove it",
            place(path)
        ),
        Stop::Unwritten { path, source } => format!("cannot write {}: {source}", place(path)),
        stop => stop.to_string(),
    })
}

/// Whether a path leads to the image.
fn is_same(path: &Path, image: &OsStr) -> bool {
    let image = if image == "-" { OsStr::new("/dev/stdin") } else { image };
    let id = |meta: fs::Metadata| (meta.dev(), meta.ino());
    let there = fs::metadata(path).map(id).ok();
    there.is_some() && there == fs::metadata(image).map(id).ok()
}

fn write_text(args: &RepackArgs, repacked: &Repacked) -> Result<(), Usage> {
    let style = Style { verbose: args.net.verbose, ..output::style(true) };
    let mut out = String::new();
    if let Some(report) = &repacked.report {
        // A file that could not be written says nothing of the image.
        let judged = matches!(repacked.stop, None | Some(Stop::Rejected | Stop::Unread));
        out = match (judged, args.quiet) {
            (false, _) => String::new(),
            (true, true) => text::line(report, style),
            (true, false) => text::render(report, style),
        };
    }
    if !args.quiet {
        out += &shown_as::text(&shown(&args.image).to_string(), repacked, style);
    }
    output::write(&mut None, &out)
}
