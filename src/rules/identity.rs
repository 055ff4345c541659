//! Which of all the formats that an image could be it is. What two readers may understand differently
//! is refused.

use crate::facts::{Code, DiskFormat, Layer, Notebook};
use crate::formats::{Candidates, Match, Trailer};

/// What an image is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Identity {
    /// One of the five formats that DigitalOcean takes: to be examined.
    Taken(DiskFormat),
    /// Something that is refused; the notebook has the reason.
    Refused(DiskFormat),
}

impl Identity {
    /// The format's name in reports.
    #[must_use]
    pub fn format(self) -> DiskFormat {
        match self {
            Identity::Taken(format) | Identity::Refused(format) => format,
        }
    }
}

/// Judges all marks that an image bears. `partitioned` says whether its first sectors are a partition
/// table, `trailer` what its last sector is, where that is known. A partition table makes no reading
/// harmless: another reader may look at the other mark first.
pub fn identify(
    candidates: &Candidates,
    partitioned: bool,
    trailer: Option<(Trailer, u64)>,
    notebook: &Notebook<'_>,
) -> Identity {
    let mut formats: Vec<Match> = Vec::new();
    let trailer = trailer.map(|(trailer, at)| trailer.at(at));
    for &found in candidates.containers.iter().chain(&trailer).chain(&candidates.documents) {
        // A format may put its mark at both ends.
        if formats.iter().all(|known| known.what != found.what) {
            formats.push(found);
        }
    }
    if !formats.is_empty() {
        formats.extend(candidates.iso9660);
    }
    let trailed = trailer.is_some_and(|trailer| formats.first() == Some(&trailer));
    match formats[..] {
        [first, second, ..] => {
            polyglot(first, &format!("{} (at byte {})", second.what, second.offset), notebook);
            Identity::Refused(first.format)
        }
        // A fixed VHD is a raw disk with a trailer.
        [found] if partitioned && !trailed => {
            polyglot(found, "a disk with a partition table (at byte 510 or 512)", notebook);
            Identity::Refused(found.format)
        }
        [found] => match found.foreign {
            Some(code) => refuse(found, code, notebook),
            None => Identity::Taken(found.format),
        },
        [] => {
            let found = candidates.iso9660.or(candidates.content).filter(|_| !partitioned);
            match found.and_then(|found| Some((found, found.foreign?))) {
                Some((found, code)) => refuse(found, code, notebook),
                None => Identity::Taken(DiskFormat::Raw),
            }
        }
    }
}

fn polyglot(first: Match, second: &str, notebook: &Notebook<'_>) {
    notebook.image(
        Code::FormatPolyglot,
        first.offset,
        format!("The image is {} (at byte {}) and {second} at once.", first.what, first.offset),
    );
}

fn refuse(found: Match, code: Code, notebook: &Notebook<'_>) -> Identity {
    let what = match (found.format, code) {
        (DiskFormat::Empty, _) => "The image has no bytes.".to_owned(),
        (_, Code::FormatVmdkDescriptor) => {
            "The image is a VMDK descriptor: a text that names the files with the data.".to_owned()
        }
        (DiskFormat::GitLfsPointer | DiskFormat::Pointer, _) => {
            format!("The image is {}, not the file it stands for.", found.what)
        }
        (DiskFormat::Iso9660, _) => {
            format!("The image is {} without a partition table.", found.what)
        }
        _ => format!("The image is {}.", found.what),
    };
    notebook.add(code, Layer::Image, found.offset, what);
    Identity::Refused(found.format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(format: DiskFormat, offset: u64) -> Match {
        Match { format, what: format.as_str(), offset, foreign: None }
    }

    fn judge(
        candidates: &Candidates,
        bootable: bool,
        trailer: Option<Trailer>,
    ) -> (Identity, Vec<Code>) {
        let notebook = Notebook::new(&|_| false, 1);
        let identity = identify(candidates, bootable, trailer.map(|t| (t, 1024)), &notebook);
        (identity, notebook.close().iter().map(|a| a.code).collect())
    }

    #[test]
    fn two_formats_at_once_are_refused() {
        let mut candidates = Candidates::default();
        candidates.containers.push(container(DiskFormat::Qcow2, 0));
        assert_eq!(judge(&candidates, false, None), (Identity::Taken(DiskFormat::Qcow2), vec![]));
        assert_eq!(judge(&candidates, true, None).1, [Code::FormatPolyglot]);
        assert_eq!(judge(&candidates, false, Some(Trailer::Vpc)).1, [Code::FormatPolyglot]);
        candidates.iso9660 = Some(container(DiskFormat::Iso9660, 0x8001));
        assert_eq!(judge(&candidates, false, None).1, [Code::FormatPolyglot]);
        candidates.iso9660 = None;
        candidates.containers.push(container(DiskFormat::Vdi, 64));
        assert_eq!(judge(&candidates, false, None).1, [Code::FormatPolyglot]);
        candidates.containers.clear();
        candidates.documents.push(container(DiskFormat::Elf, 0));
        assert_eq!(judge(&candidates, true, None).1, [Code::FormatPolyglot]);
    }

    #[test]
    fn a_mark_at_both_ends_is_one_format() {
        let mut candidates = Candidates::default();
        candidates.containers.push(Trailer::Vpc.at(0));
        let vhd = (Identity::Refused(DiskFormat::Vpc), vec![Code::FormatVpc]);
        assert_eq!(judge(&candidates, false, Some(Trailer::Vpc)), vhd);
    }

    #[test]
    fn trailers_beat_raw() {
        let raw = Candidates::default();
        assert_eq!(judge(&raw, true, None), (Identity::Taken(DiskFormat::Raw), vec![]));
        let vhd = (Identity::Refused(DiskFormat::Vpc), vec![Code::FormatVpc]);
        assert_eq!(judge(&raw, true, Some(Trailer::Vpc)), vhd);
    }

    #[test]
    fn an_iso_with_a_partition_table_is_a_raw_disk() {
        let iso = Match {
            format: DiskFormat::Iso9660,
            what: "an optical disc",
            offset: 0x8001,
            foreign: Some(Code::FormatIso9660),
        };
        let candidates = Candidates { iso9660: Some(iso), ..Candidates::default() };
        assert_eq!(judge(&candidates, true, None), (Identity::Taken(DiskFormat::Raw), vec![]));
        assert_eq!(judge(&candidates, false, None).1, [Code::FormatIso9660]);
    }
}
