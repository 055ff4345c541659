//! The remedies of a report's findings, made from what the report says of the image.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::Access;

use super::Report;
use crate::bytes::folder;
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
        } else if argument != "-" && !is_there_again(Path::new(argument)) {
            Input::Pipe
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
            case.path = finding.spot.as_ref().map(|spot| spot.path.as_str());
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

/// Whether a command that names this path reads the same bytes: a FIFO has them once, and what a process has open is
/// something else to the next one. What is not there, or not to be looked at, has been named as a file.
fn is_there_again(path: &Path) -> bool {
    let is_open =
        ["/dev/fd", "/dev/stdin", "/proc"].iter().any(|of_process| path.starts_with(of_process));
    let is_stream = |meta: Metadata| !meta.is_file() && !meta.file_type().is_block_device();
    !is_open && !path.metadata().is_ok_and(is_stream)
}

/// Whether a file of this name could be made: in its folder, where nothing has that name. A link that leads nowhere is in
/// the way as well.
fn is_free(path: &Path) -> bool {
    let nothing =
        path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    nothing && rustix::fs::access(folder(path), Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_free_where_a_file_can_be_made() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("new");
        assert!(is_free(&path));
        std::fs::write(&path, "").unwrap();
        assert!(!is_free(&path) && !is_free(&scratch.path().join("none/new")));
    }
}
