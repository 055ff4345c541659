//! `tidegate report merge`: the reports of a fleet's shards as one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::args::{MergeArgs, ReportArgs, ReportCommand, ReportFormat};
use super::{ACCEPTED, Usage, check, checksums, document, images, output};
use crate::bytes::Hostile;
use crate::inspect::{Look, Report};
use crate::project::{Shard, Terms};
use crate::render::json::{self, Scope, Written};
use crate::source::shown;

/// A larger report is none: it would be about a million images.
const LARGEST: usize = 1 << 30;

/// So many names are told of those that are missing.
const TOLD: usize = 5;

pub(super) fn run(args: &ReportArgs) -> Result<u8, Usage> {
    match &args.command {
        ReportCommand::Merge(args) => merge(args),
    }
}

fn merge(args: &MergeArgs) -> Result<u8, Usage> {
    let read = args
        .reports
        .iter()
        .map(|path| Ok((path, read(path)?)))
        .collect::<Result<Vec<(&PathBuf, Written)>, Usage>>()?;
    all_shards(&read)?;
    let scope = Scope { shard: None, terms: common_terms(&read)? };
    let mut reports = disjoint(read)?;
    // Of one name there may be several, such as URLs without their queries: they keep their order.
    reports.sort_by(|a, b| (&a.source, &a.path).cmp(&(&b.source, &b.path)));
    reports.iter_mut().for_each(|report| report.strict |= args.strict);
    if let Some(list) = &args.images_from {
        let there: BTreeSet<&str> = reports.iter().map(|report| report.source.as_str()).collect();
        let listed = images::listed(list)?;
        let listed: BTreeSet<String> = listed.iter().map(|name| shown(name).to_string()).collect();
        let missing: Vec<&str> =
            listed.iter().map(String::as_str).filter(|name| !there.contains(name)).collect();
        if !missing.is_empty() {
            return Err(Usage(format!(
                "the reports say nothing of {} of the {} images in {}: {}; check those too",
                missing.len(),
                listed.len(),
                shown(list),
                few(&missing)
            )));
        }
    }
    let mut target = match &args.output {
        Some(path) => Some(open_output(path, &args.reports)?),
        None => None,
    };
    let text = match args.format {
        ReportFormat::Text => {
            check::text_of_all(&reports, args.quiet, output::style(target.is_none()))
        }
        format => document::of(&reports, format, &scope, &|_, report| unseen(report))?,
    };
    match args.format {
        ReportFormat::Text => output::write(&mut target, &text)?,
        _ => output::document(&mut target, &text)?,
    }
    Ok(reports.iter().map(check::exit_code).max().unwrap_or(ACCEPTED))
}

fn read(path: &Path) -> Result<Written, Usage> {
    let fail = |why: String| Usage(format!("the report {}: {why}", shown(path.as_os_str())));
    let text = checksums::read_file(path, LARGEST).map_err(fail)?;
    json::read(&text).map_err(|e| fail(e.to_string()))
}

/// Makes sure that no shard is missing, if these are reports of shards.
fn all_shards(read: &[(&PathBuf, Written)]) -> Result<(), Usage> {
    let mut shards: BTreeMap<u32, Shard> = BTreeMap::new();
    let mut of = None;
    for (path, written) in read {
        let Some(shard) = written.scope.shard else { continue };
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
            "{} of {of} shards are missing: {}; their images would not be in the report. Run `tidegate check --shard {}` \
             for them, and merge then",
            missing.len(),
            few(&missing),
            missing[0]
        ))),
    }
}

/// How all of the images were checked, which has to be in one way: the whole is no report of a check otherwise.
fn common_terms(read: &[(&PathBuf, Written)]) -> Result<Option<Terms>, Usage> {
    let Some(((first, of_first), others)) = read.split_first() else { return Ok(None) };
    for (path, written) in others {
        let why = match (&of_first.scope.terms, &written.scope.terms) {
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
    Ok(of_first.scope.terms.clone())
}

/// All reports, of which no two documents have the same image. Shards cannot, as each name falls to one of them; but
/// what is shown of two names may be the same, as that of URLs without their queries is.
fn disjoint(read: Vec<(&PathBuf, Written)>) -> Result<Vec<Report>, Usage> {
    struct Seen<'p> {
        document: usize,
        path: &'p PathBuf,
        of_shard: bool,
    }
    let mut seen: BTreeMap<(String, Option<PathBuf>), Seen<'_>> = BTreeMap::new();
    let mut all = Vec::new();
    for (document, (path, written)) in read.into_iter().enumerate() {
        let of_shard = written.scope.shard.is_some();
        for report in written.images {
            match seen.get(&(report.source.clone(), report.path.clone())) {
                Some(first) if first.document != document && !(first.of_shard && of_shard) => {
                    return Err(Usage(format!(
                        "{} and {} both have {}: leave out one of the reports",
                        shown(first.path.as_os_str()),
                        shown(path.as_os_str()),
                        report.source
                    )));
                }
                Some(_) => {}
                None => {
                    let name = (report.source.clone(), report.path.clone());
                    seen.insert(name, Seen { document, path, of_shard });
                }
            }
            all.push(report);
        }
    }
    Ok(all)
}

fn few<S: AsRef<str>>(names: &[S]) -> String {
    let told: Vec<&str> = names.iter().take(TOLD).map(S::as_ref).collect();
    let more = if names.len() > TOLD { ", …" } else { "" };
    format!("{}{more}", told.join(", "))
}

/// The file must not be one of the reports, which opening would empty.
fn open_output(path: &Path, reports: &[PathBuf]) -> Result<std::fs::File, Usage> {
    let reports: Vec<_> = reports.iter().map(|report| report.clone().into_os_string()).collect();
    check::open_output(path, &reports, "reports")
}

/// The images themselves are elsewhere.
fn unseen(report: &Report) -> Look {
    let why = "the report was merged from others, and the image is not looked at again";
    Look {
        map: Err(why.to_owned()),
        excerpts: report.findings.iter().map(|_| Err(why.to_owned())).collect(),
    }
}
