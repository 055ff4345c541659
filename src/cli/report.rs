//! `tidegate report merge`: the reports of a fleet's shards as one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::args::{MergeArgs, ReportArgs, ReportCommand, ReportFormat};
use super::{ACCEPTED, Usage, check, checksums, document, images, output};
use crate::inspect::{Look, Report};
use crate::project::Shard;
use crate::render::json::{self, Written};
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
    let mut reports = disjoint(read)?;
    // Of one name there may be several, such as URLs without their queries: they keep their order.
    reports.sort_by(|a, b| a.source.cmp(&b.source));
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
        format => {
            let strict = vec![args.strict; reports.len()];
            document::of(&reports, format, &strict, None, &|_, report| unseen(report))?
        }
    };
    output::write(&mut target, &text)?;
    let codes = reports.iter().map(|report| check::exit_code(report, args.strict));
    Ok(codes.max().unwrap_or(ACCEPTED))
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
        let Some(shard) = written.shard else { continue };
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

/// All reports, of which no two files have the same image.
fn disjoint(read: Vec<(&PathBuf, Written)>) -> Result<Vec<Report>, Usage> {
    let mut seen: BTreeMap<String, &PathBuf> = BTreeMap::new();
    let mut all = Vec::new();
    for (path, written) in read {
        for report in written.images {
            match seen.get(&report.source) {
                Some(first) if *first != path => {
                    return Err(Usage(format!(
                        "{} and {} both have {}: leave out one of the reports",
                        shown(first.as_os_str()),
                        shown(path.as_os_str()),
                        report.source
                    )));
                }
                Some(_) => {}
                None => drop(seen.insert(report.source.clone(), path)),
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
