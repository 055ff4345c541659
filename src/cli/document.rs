//! A report as a document for other programs, and what goes elsewhere along with it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::args::ReportFormat;
use super::{Usage, output};
use crate::bytes::Hostile;
use crate::inspect::{Look, Report};
use crate::render::github::{Annotations, Summary};
use crate::render::html::Html;
use crate::render::json::{Json, Scope};
use crate::render::junit::Junit;
use crate::render::sarif::Sarif;
use crate::render::{self, Tally};

/// The document that a run makes, image by image; none where all is told as it comes.
pub(super) struct Document {
    made: Option<Box<dyn render::Document>>,
    /// For the job of GitHub Actions that the run is part of.
    summary: Option<(PathBuf, Summary)>,
    tally: Tally,
}

impl Document {
    pub(super) fn new(format: ReportFormat, scope: Scope) -> Self {
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
        let summary = std::env::var_os("GITHUB_STEP_SUMMARY")
            .filter(|path| format == ReportFormat::Github && !path.is_empty())
            .map(|path| (path.into(), Summary::default()));
        Document { made, summary, tally: Tally::default() }
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

    /// Writes it, all of it.
    pub(super) fn write(self, target: &mut Option<File>) -> Result<(), Usage> {
        if let Some((path, summary)) = &self.summary {
            append(path, &summary.to_string());
        }
        match self.made {
            Some(made) => {
                output::document(target, |out| made.write(out)).map_err(output::unwritten)
            }
            None => Ok(()),
        }
    }
}

/// Appends the summary to that of the job. The verdict does not depend on it.
fn append(path: &PathBuf, summary: &str) {
    let opened = File::options().append(true).create(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(summary.as_bytes()));
    if let Err(error) = written {
        output::warn(&format!(
            "cannot write the summary to {} (GITHUB_STEP_SUMMARY): {error}",
            Hostile::from_os(path.as_os_str())
        ));
    }
}
