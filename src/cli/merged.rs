//! The images of reports that are merged: what names them in memory, all else in an unlinked temporary file.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::SpooledTempFile;

use super::{Usage, output};
use crate::inspect::Report;
use crate::project::MOST_IMAGES;
use crate::render::json::Scope;
use crate::render::written::{self, ReadError};
use crate::source::shown;

/// Bytes of reports that are kept in memory.
const IN_MEMORY: usize = 4 << 20;

/// Where the report of an image is, and what it is sorted by.
pub(super) struct Place {
    pub(super) source: String,
    pub(super) path: Option<PathBuf>,
    /// Which of the documents it comes from.
    pub(super) document: usize,
    at: u64,
    len: usize,
}

/// The images of several documents.
pub(super) struct Images {
    places: Vec<Place>,
    documents: usize,
    reports: BufWriter<SpooledTempFile>,
    end: u64,
}

impl Images {
    pub(super) fn new() -> Self {
        let reports = BufWriter::new(SpooledTempFile::new(IN_MEMORY));
        Images { places: Vec::new(), documents: 0, reports, end: 0 }
    }

    /// Takes the images of a document.
    pub(super) fn read(&mut self, path: &Path) -> Result<Scope, Usage> {
        let fail = |e: ReadError| Usage(format!("the report {}: {e}", shown(path.as_os_str())));
        let file = File::open(path).map_err(|e| fail(ReadError::Unreadable(e)))?;
        let scope = written::read(BufReader::new(file), &mut |report| self.take(report));
        self.documents += 1;
        scope.map_err(fail)
    }

    fn take(&mut self, report: Report) -> io::Result<()> {
        if self.places.len() == MOST_IMAGES {
            return Err(io::Error::other(format!(
                "with it there are more than {MOST_IMAGES} images; merge fewer reports at once"
            )));
        }
        let text = serde_json::to_vec(&report)?;
        self.reports.write_all(&text)?;
        self.places.push(Place {
            source: report.source,
            path: report.path,
            document: self.documents,
            at: self.end,
            len: text.len(),
        });
        self.end += text.len() as u64;
        Ok(())
    }

    /// Puts them in the order of their names. Of one name there may be several, such as URLs without their queries: they
    /// keep their order.
    pub(super) fn sort(&mut self) {
        self.places.sort_by(|a, b| (&a.source, &a.path).cmp(&(&b.source, &b.path)));
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Gives the reports in their order.
    pub(super) fn each(self, mut to: impl FnMut(Report) -> Result<(), Usage>) -> Result<(), Usage> {
        let unwritten = output::unwritten;
        let mut reports = self.reports.into_inner().map_err(|e| unwritten(e.into_error()))?;
        let mut text = Vec::new();
        for place in &self.places {
            text.resize(place.len, 0);
            reports.seek(SeekFrom::Start(place.at)).map_err(unwritten)?;
            reports.read_exact(&mut text).map_err(unwritten)?;
            to(serde_json::from_slice(&text).map_err(|e| unwritten(e.into()))?)?;
        }
        Ok(())
    }
}
