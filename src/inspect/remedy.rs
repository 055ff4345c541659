//! The remedies of a report's findings, made from what the report says of the image.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::Report;
use crate::facts::Compression;
use crate::rules::remedy::{Case, Input};
use crate::rules::row;
use crate::source;

impl Report {
    /// Makes the remedies of all findings, for an input that is reached by this argument.
    pub(super) fn advise(&mut self, argument: &OsStr) {
        let mut findings = std::mem::take(&mut self.findings);
        let path = self.path.clone();
        let path = path.as_deref();
        let input = if source::is_url(argument) {
            Input::Url
        } else if argument != "-" {
            Input::File(Path::new(argument))
        } else if let Some(path) = path.filter(|_| self.compression.is_none()) {
            // Nothing came out of it, so it is what the findings are about.
            Input::File(path)
        } else if path.is_some() || self.source != "-" {
            Input::Inside
        } else {
            Input::Pipe
        };
        for finding in &mut findings {
            let mut case = Case::new(input, finding.layer, self.limit, &is_free);
            case.offset = finding.offset;
            case.compression = self.compression;
            case.format = self.disk_format;
            case.virtual_size = self.virtual_size;
            case.partitions = self.partition_table.as_ref();
            // What lies beside a file can be had only with a file, and not through what it is packed in.
            let alone =
                matches!(input, Input::File(_)) && self.compression == Some(Compression::None);
            finding.repairable &= alone || !row(finding.code).beside;
            let advice = row(finding.code).remedy.advice(&case);
            (finding.remedy, finding.commands) = (advice.text, advice.commands);
        }
        self.findings = findings;
    }
}

/// Whether a file of this name could be made. A link that leads nowhere is in the way as well.
fn is_free(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
