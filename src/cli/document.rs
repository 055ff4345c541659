//! A report as a document for other programs, and what goes elsewhere along with it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::ReportFormat;
use super::beside::{self, Other};
use super::{ACCEPTED, USAGE, Usage, output};
use crate::bytes::Hostile;
use crate::inspect::{Look, Report};
use crate::render::github::{Annotations, Summary};
use crate::render::html::Html;
use crate::render::json::{Json, Scope};
use crate::render::junit::Junit;
use crate::render::sarif::Sarif;
use crate::render::{self, Tally};

/// The variable that names the summary of a job of GitHub Actions.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// The document that a run makes, image by image; none where all is told as it comes.
pub(super) struct Document {
    made: Option<Box<dyn render::Document>>,
    /// For the job of GitHub Actions that the run is part of.
    summary: Option<(PathBuf, Summary)>,
    tally: Tally,
}

impl Document {
    /// The others are what is read or written beside it.
    pub(super) fn new(
        format: ReportFormat,
        scope: Scope,
        others: &[Other<'_>],
    ) -> Result<Self, Usage> {
        // Without one, paths stay as they were given.
        let root = std::env::current_dir().unwrap_or_default();
        let made: Option<Box<dyn render::Document>> = match format {
            ReportFormat::Text => None,
            ReportFormat::Json => Some(Box::new(Json::new(scope))),
            ReportFormat::Junit => Some(Box::new(Junit::default())),
            ReportFormat::Sarif => Some(Box::new(Sarif::new(root))),
            ReportFormat::Github => Some(Box::new(Annotations::new(root))),
            ReportFormat::Html => Some(Box::new(Html::default())),
        };
        let summary = std::env::var_os(SUMMARY)
            .filter(|path| format == ReportFormat::Github && !path.is_empty())
            .map(PathBuf::from);
        if let Some(path) = &summary {
            beside::is_none_of(path, SUMMARY, "append to", others)?;
        }
        let summary = summary.map(|path| (path, Summary::default()));
        Ok(Document { made, summary, tally: Tally::default() })
    }

    /// Takes the next image. For a page, it is looked at again.
    pub(super) fn add(&mut self, report: &Report, look: &dyn Fn() -> Look) -> Result<(), Usage> {
        self.tally.add(report);
        if let Some((_, summary)) = &mut self.summary {
            summary.add(report);
        }
        match &mut self.made {
            Some(made) => made.add(report, look).map_err(output::unwritten),
            None => Ok(()),
        }
    }

    /// What the images came to.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// Writes it, all of it. The exit code is that of a summary which could not be written: of the report itself it is an
    /// error, but who reads the summary has the verdicts in the log too.
    pub(super) fn write(self, target: &mut Option<File>) -> Result<u8, Usage> {
        let appended = self.summary.map(|(path, summary)| append(&path, &summary.to_string()));
        if let Some(made) = self.made {
            output::document(target, |out| made.write(out)).map_err(output::unwritten)?;
        }
        match appended {
            Some(Err(why)) => {
                output::complain(&why);
                Ok(USAGE)
            }
            Some(Ok(())) | None => Ok(ACCEPTED),
        }
    }
}

/// Appends the summary to that of the job.
fn append(path: &Path, summary: &str) -> Result<(), String> {
    let opened = File::options().append(true).create(true).open(path);
    opened.and_then(|mut file| file.write_all(summary.as_bytes())).map_err(|error| {
        let place = Hostile::from_os(path.as_os_str());
        format!("cannot write the summary to {place} ({SUMMARY}): {error}")
    })
}
