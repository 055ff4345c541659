//! A report as a document for other programs, and what goes elsewhere along with it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::args::ReportFormat;
use super::{Usage, output};
use crate::bytes::Hostile;
use crate::inspect::{Look, Report};
use crate::render::{github, html, json, junit, sarif, text};

/// The document of all images of a scope. For a page, each is looked at again: `look` is told which it is.
pub(super) fn of(
    reports: &[Report],
    format: ReportFormat,
    scope: &json::Scope,
    look: &dyn Fn(usize, &Report) -> Look,
) -> Result<String, Usage> {
    // Without one, paths stay as they were given.
    let root = std::env::current_dir().unwrap_or_default();
    let unmade = |e: serde_json::Error| Usage(format!("cannot write the report: {e}"));
    Ok(match format {
        ReportFormat::Text => text::summary(reports),
        ReportFormat::Json => json::render(reports, scope).map_err(unmade)?,
        ReportFormat::Junit => junit::render(reports),
        ReportFormat::Sarif => sarif::render(reports, &root).map_err(unmade)?,
        ReportFormat::Github => {
            summarise(reports);
            github::render(reports, &root)
        }
        ReportFormat::Html => {
            let looks: Vec<_> =
                reports.iter().enumerate().map(|(at, report)| look(at, report)).collect();
            html::render(reports, &looks)
        }
    })
}

/// Appends the summary to that of the job, where there is one. The verdict does not depend on it.
fn summarise(reports: &[Report]) {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return;
    };
    let path = PathBuf::from(path);
    let written = File::options()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(github::summary(reports).as_bytes()));
    if let Err(error) = written {
        output::warn(&format!(
            "cannot write the summary to {} (GITHUB_STEP_SUMMARY): {error}",
            Hostile::from_os(path.as_os_str())
        ));
    }
}
