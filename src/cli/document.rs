//! A report as a document for other programs, and what goes elsewhere along with it.

use std::path::Path;

use super::args::ReportFormat;
use super::target::{Appendix, Kind, Other, Target, ours};
use super::{ACCEPTED, USAGE, Usage, output};
use crate::inspect::{Look, Report};
use crate::render::github::{Annotations, Summary};
use crate::render::html::Html;
use crate::render::json::{Json, Scope};
use crate::render::junit::Junit;
use crate::render::sarif::Sarif;
use crate::render::{self, Tally};

/// The variable that names the summary of a job of GitHub Actions.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// What is appended to the file of that variable.
const OF_JOB: Kind = Kind {
    option: SUMMARY,
    what: "the summary",
    earlier: "a text",
    is_ours: ours::is_any_text,
    private: false,
};

/// The document that a run makes, image by image; none where all is told as it comes.
pub(super) struct Document {
    made: Option<Box<dyn render::Document>>,
    /// For the job of GitHub Actions that the run is part of.
    summary: Option<(Appendix, Summary)>,
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
            .map(|path| Appendix::look(Path::new(&path), OF_JOB, others))
            .transpose()?
            .map(|path| (path, Summary::default()));
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

    /// Writes it, all of it, and gives the target its path. The exit code is that of a summary which could not be written: of the report itself it is an
    /// error, but who reads the summary has the verdicts in the log too.
    pub(super) fn write(self, mut target: Option<Target>) -> Result<u8, Usage> {
        let appended = self.summary.map(|(path, summary)| path.append(&summary.to_string()));
        if let Some(made) = self.made {
            output::document(&mut target, |out| made.write(out)).map_err(output::unwritten)?;
        }
        target.map_or(Ok(()), Target::commit)?;
        match appended {
            Some(Err(Usage(why))) => {
                output::complain(&why);
                Ok(USAGE)
            }
            Some(Ok(())) | None => Ok(ACCEPTED),
        }
    }
}
