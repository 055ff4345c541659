//! `tidegate report merge`: the reports of a fleet's shards as one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::args::{MergeArgs, ReportArgs, ReportCommand, ReportFormat};
use super::merged::{Images, Place};
use super::target::{Kind, Other, ours};
use super::{ACCEPTED, Usage, check, images, output};
use crate::bytes::Hostile;
use crate::inspect::{Look, Report};
use crate::project::{Shard, Terms};
use crate::render::Closing;
use crate::render::json::Scope;
use crate::source::{NameDigest, shown};

/// What is written to `--output`.
const MERGED: Kind = Kind {
    option: "--output",
    what: "the report",
    earlier: "a report of tidegate report merge",
    is_ours: ours::is_merged,
    private: false,
};

/// So many names are told of those that are missing.
const TOLD: usize = 5;

pub(super) fn run(args: &ReportArgs) -> Result<u8, Usage> {
    match &args.command {
        ReportCommand::Merge(args) => merge(args),
    }
}

fn merge(args: &MergeArgs) -> Result<u8, Usage> {
    let listed = args
        .images_from
        .as_deref()
        .map(|list| images::listed(list, images::between(args.null), &|_| true))
        .transpose()?;
    let mut images = Images::new();
    let scopes = args
        .reports
        .iter()
        .map(|path| Ok((path, images.read(path)?)))
        .collect::<Result<Vec<(&PathBuf, Scope)>, Usage>>()?;
    all_shards(&scopes)?;
    let scope = Scope { shard: None, terms: common_terms(&scopes)?, merged: args.output.is_some() };
    images.sort_by_digest();
    disjoint(&images, &scopes)?;
    if let (Some(list), Some(listed)) = (&args.images_from, listed) {
        all_listed(images.places(), list, &listed)?;
    }
    images.sort();
    let output = args.output.as_deref().map(|path| (path, MERGED));
    let (mut target, mut document) = check::opened(args.format, scope, output, read_too(args))?;
    let style = output::style(target.is_none());
    let mut code = ACCEPTED;
    let mut closing = Closing::default();
    images.each(|mut report| {
        report.strict |= args.strict;
        if check::exit_code(&report) != ACCEPTED && !report.is_not_checked() {
            closing.add(&report);
        }
        if args.format == ReportFormat::Text {
            let first = document.tally().images() == 0;
            output::write(&mut target, &check::text_of(&report, args.quiet, style, first))?;
        }
        code = code.max(check::exit_code(&report));
        document.add(&report, &|| unseen(&report))
    })?;
    let tally = document.tally();
    if args.format == ReportFormat::Text && tally.images() != 1 {
        let closing = match args.quiet {
            true => closing.line(tally.images()),
            false => format!("\n{}{tally}\n", closing.lines(style)),
        };
        output::write(&mut target, &closing)?;
    }
    let unwritten = document.write(target)?;
    Ok(if code == ACCEPTED { unwritten } else { code })
}

/// Makes sure that every image of a list has a report. Names are compared by their digests: what is shown of two may be
/// the same. Where even these are, as of URLs that differ in their passwords, there have to be as many reports. The images
/// are sorted by digest.
fn all_listed(images: &[Place], list: &OsStr, listed: &[OsString]) -> Result<(), Usage> {
    let mut wanted: Vec<(NameDigest, &OsString)> =
        listed.iter().map(|name| (NameDigest::of(name), name)).collect();
    wanted.sort_unstable();
    let mut there = images.iter().map(|image| image.digest).peekable();
    wanted.retain(|(digest, _)| {
        while there.next_if(|other| other < digest).is_some() {}
        there.next_if_eq(digest).is_none()
    });
    let mut missing: Vec<&OsString> = wanted.into_iter().map(|(_, name)| name).collect();
    missing.sort_unstable();
    match missing.len() {
        0 => Ok(()),
        count => {
            let told: Vec<String> =
                missing.iter().take(TOLD + 1).map(|name| shown(name).to_string()).collect();
            Err(Usage(format!(
                "the reports say nothing of {count} of the {} images in {}: {}; check those too",
                listed.len(),
                shown(list),
                few(&told)
            )))
        }
    }
}

/// Makes sure that no shard is missing, if these are reports of shards.
fn all_shards(scopes: &[(&PathBuf, Scope)]) -> Result<(), Usage> {
    let mut shards: BTreeMap<u32, Shard> = BTreeMap::new();
    let mut of = None;
    for (path, scope) in scopes {
        let Some(shard) = scope.shard else { continue };
        if *of.get_or_insert(shard.of()) != shard.of() {
            return Err(Usage(format!(
                "the report {} is of shard {shard}, and others are of {} shards: these are reports of different runs",
                shown(path.as_os_str()),
                of.unwrap_or_default()
            )));
        }
        if shards.insert(shard.index(), shard).is_some() {
            return Err(Usage(format!("two of the reports are of shard {shard}; leave one out")));
        }
    }
    let Some(of) = of else { return Ok(()) };
    let missing: Vec<String> = (0..of)
        .filter(|index| !shards.contains_key(index))
        .map(|index| format!("{index}/{of}"))
        .collect();
    match missing.as_slice() {
        [] => Ok(()),
        _ => Err(Usage(format!(
            "{} of {of} shards are missing: {}; their images would not be in the report. Repeat the check that made \
             the others, with --shard {} and another output, and merge then",
            missing.len(),
            few(&missing),
            missing[0]
        ))),
    }
}

/// How all of the images were checked, which has to be in one way: the whole is no report of a check otherwise.
fn common_terms(scopes: &[(&PathBuf, Scope)]) -> Result<Option<Terms>, Usage> {
    let Some(((first, of_first), others)) = scopes.split_first() else { return Ok(None) };
    for (path, scope) in others {
        let why = match (&of_first.terms, &scope.terms) {
            (Some(one), Some(other)) => one.difference(other).map(|(name, one, other)| {
                let (name, one, other) =
                    (Hostile::from(&*name), Hostile::from(&*one), Hostile::from(&*other));
                format!("{name} is {one} in the first, and {other} in the second")
            }),
            (None, None) => None,
            _ => Some("one of them does not say how (`terms`)".to_owned()),
        };
        if let Some(why) = why {
            return Err(Usage(format!(
                "the images of {} and of {} were not checked alike: {why}; check those of one of them again",
                shown(first.as_os_str()),
                shown(path.as_os_str())
            )));
        }
    }
    Ok(of_first.terms.clone())
}

/// Makes sure that no two documents have the same image. Shards cannot, as each name falls to one of them; but URLs that
/// differ in their passwords have one digest. The images are sorted by digest.
fn disjoint(images: &Images, scopes: &[(&PathBuf, Scope)]) -> Result<(), Usage> {
    let document = |place: &Place| &scopes[place.document as usize];
    let of_shard = |place: &Place| document(place).1.shard.is_some();
    for same in images.places().chunk_by(|a, b| a.digest == b.digest) {
        let first = &same[0];
        let other = same.iter().find(|other| {
            other.document != first.document && !(of_shard(first) && of_shard(other))
        });
        if let Some(other) = other {
            let path = |place: &Place| shown(document(place).0.as_os_str());
            return Err(Usage(format!(
                "{} and {} both have {}: leave out one of the reports",
                path(first),
                path(other),
                images.name(first)
            )));
        }
    }
    Ok(())
}

fn few<S: AsRef<str>>(names: &[S]) -> String {
    let told: Vec<&str> = names.iter().take(TOLD).map(S::as_ref).collect();
    let more = if names.len() > TOLD { ", …" } else { "" };
    format!("{}{more}", told.join(", "))
}

/// What is read, or written but the report, which opening would empty.
fn read_too(args: &MergeArgs) -> Vec<Other<'_>> {
    let reports =
        args.reports.iter().map(|path| (Cow::from(path.as_os_str()), "one of the reports"));
    let list =
        args.images_from.iter().map(|path| (Cow::from(path.as_os_str()), "the list of images"));
    reports.chain(list).collect()
}

/// The images themselves are elsewhere.
fn unseen(report: &Report) -> Look {
    let why = "the report was merged from others, and a merge does not read the image again";
    Look {
        map: Err(why.to_owned()),
        excerpts: report.findings.iter().map(|_| Err(why.to_owned())).collect(),
    }
}
