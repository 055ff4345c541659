//! The images of reports that are merged: what names them in memory, all else in an unlinked temporary file.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use tempfile::SpooledTempFile;

use super::{Usage, output};
use crate::inspect::Report;
use crate::project::MOST_IMAGES;
use crate::render::json::Scope;
use crate::render::written::{self, ReadError};
use crate::source::{NameDigest, shown};

/// Bytes of reports that are kept in memory.
const IN_MEMORY: usize = 1 << 20;

/// Bytes that the names of all images may take, as they are shown: more than those of any list whose names need no
/// escapes.
const MOST_NAMES: usize = 20 << 20;

/// Where the report of an image is, and what it is sorted by.
pub(super) struct Place {
    /// Of the name.
    pub(super) digest: NameDigest,
    /// Which of the documents it comes from.
    pub(super) document: u32,
    /// Where the name is among all names.
    name: Range<u32>,
    at: u64,
    len: u32,
}

/// The images of several documents.
pub(super) struct Images {
    places: Vec<Place>,
    /// What is shown of all names, one after the other.
    names: String,
    documents: u32,
    reports: BufWriter<SpooledTempFile>,
    end: u64,
}

impl Images {
    pub(super) fn new() -> Self {
        let reports = BufWriter::new(SpooledTempFile::new(IN_MEMORY));
        Images { places: Vec::new(), names: String::new(), documents: 0, reports, end: 0 }
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
        if self.names.len() + report.source.len() > MOST_NAMES {
            return Err(io::Error::other(format!(
                "with it the names of all images take more than {} MiB; merge fewer reports at once",
                MOST_NAMES >> 20
            )));
        }
        let text = serde_json::to_vec(&report)?;
        self.reports.write_all(&text)?;
        let name = self.names.len() as u32;
        self.names.push_str(&report.source);
        self.places.push(Place {
            digest: report.name_sha256,
            document: self.documents,
            name: name..self.names.len() as u32,
            at: self.end,
            len: u32::try_from(text.len()).map_err(io::Error::other)?,
        });
        self.end += text.len() as u64;
        Ok(())
    }

    /// Puts them in the order of the digests of their names.
    pub(super) fn sort_by_digest(&mut self) {
        self.places.sort_unstable_by_key(|place| (place.digest, place.at));
    }

    /// Puts them in the order of a check: see [`crate::source::by_shown`].
    pub(super) fn sort(&mut self) {
        let names = &self.names;
        let key = |place: &Place| (&names[range(place)], place.digest, place.at);
        self.places.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    }

    /// What is shown of the name of an image.
    pub(super) fn name(&self, place: &Place) -> &str {
        &self.names[range(place)]
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
            text.resize(place.len as usize, 0);
            reports.seek(SeekFrom::Start(place.at)).map_err(unwritten)?;
            reports.read_exact(&mut text).map_err(unwritten)?;
            to(serde_json::from_slice(&text).map_err(|e| unwritten(e.into()))?)?;
        }
        Ok(())
    }
}

fn range(place: &Place) -> Range<usize> {
    place.name.start as usize..place.name.end as usize
}
