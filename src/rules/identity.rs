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

/// Judges all marks that an image bears. `bootable` says whether its first sectors are a partition
/// table, `trailer` what its last sector is, where that is known.
pub fn identify(
    candidates: &Candidates,
    bootable: bool,
    trailer: Option<(Trailer, u64)>,
    notebook: &Notebook<'_>,
) -> Identity {
    let trailer = trailer.map(|(trailer, at)| trailer.at(at));
    let mut formats: Vec<Match> = candidates.containers.clone();
    if let Some(found) = trailer.filter(|found| formats.iter().all(|m| m.format != found.format)) {
        formats.push(found);
    }
    if !formats.is_empty() {
        formats.extend(candidates.iso9660);
    }
    if let [first, second, ..] = formats[..] {
        notebook.image(
            Code::FormatPolyglot,
            second.offset,
            format!(
                "The image bears the marks of {} (at byte {}) and of {} (at byte {}).",
                first.format.as_str(),
                first.offset,
                second.format.as_str(),
                second.offset
            ),
        );
        return Identity::Refused(first.format);
    }
    if let [found] = formats[..] {
        if let Some(code) = found.foreign {
            return refuse(found, code, notebook);
        }
        if bootable {
            notebook.image(Code::FormatPolyglot, 0, format!(
                "The image is a {} by its magic, and its first sector is a master boot record as well.",
                found.format.as_str()));
            return Identity::Refused(found.format);
        }
        return Identity::Taken(found.format);
    }
    if let Some(iso) = candidates.iso9660 {
        if !bootable {
            return refuse(iso, Code::FormatIso9660, notebook);
        }
        notebook.image(
            Code::IsoHybrid,
            iso.offset,
            "The image is an ISO 9660 file system and a partitioned disk at once.",
        );
    } else if let Some(found) = candidates.content.filter(|_| !bootable)
        && let Some(code) = found.foreign
    {
        return refuse(found, code, notebook);
    }
    Identity::Taken(DiskFormat::Raw)
}

fn refuse(found: Match, code: Code, notebook: &Notebook<'_>) -> Identity {
    let what = match found.format {
        DiskFormat::Empty => "The image has no bytes.".to_owned(),
        format => format!("The image is {}.", with_article(format, code)),
    };
    notebook.add(code, Layer::Image, found.offset, what);
    Identity::Refused(found.format)
}

fn with_article(format: DiskFormat, code: Code) -> &'static str {
    match format {
        DiskFormat::Vpc => "a VHD (Virtual PC, Hyper-V generation 1)",
        DiskFormat::Qcow => "a qcow image of version 1",
        DiskFormat::Qed => "a QED image",
        DiskFormat::Parallels => "a Parallels disk image",
        DiskFormat::Luks => "a LUKS encrypted volume",
        DiskFormat::Dmg => "an Apple disk image (UDIF)",
        DiskFormat::Iso9660 => "an optical disc (ISO 9660) without a partition table",
        DiskFormat::Cowd => "a VMware COWD extent",
        DiskFormat::Sesparse => "a VMware seSparse extent",
        DiskFormat::Vmdk if code == Code::FormatVmdkDescriptor => {
            "a VMDK descriptor: a text that names the files with the data"
        }
        DiskFormat::Ewf => "an Expert Witness (EnCase) image",
        DiskFormat::Bochs => "a Bochs growing image",
        DiskFormat::Cloop => "a compressed loop image",
        DiskFormat::Elf => "an executable program (ELF)",
        DiskFormat::Html => "a web page",
        DiskFormat::Xml => "an XML document",
        DiskFormat::Json => "a JSON document",
        DiskFormat::Text => "plain text",
        DiskFormat::GitLfsPointer => "a Git LFS pointer, not the file it stands for",
        _ => "no disk image",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(format: DiskFormat, offset: u64) -> Match {
        Match { format, offset, foreign: None }
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
    }

    #[test]
    fn trailers_beat_raw() {
        let raw = Candidates::default();
        assert_eq!(judge(&raw, true, None), (Identity::Taken(DiskFormat::Raw), vec![]));
        let vhd = (Identity::Refused(DiskFormat::Vpc), vec![Code::FormatVpc]);
        assert_eq!(judge(&raw, true, Some(Trailer::Vpc)), vhd);
    }

    #[test]
    fn a_hybrid_iso_is_a_raw_disk_with_a_warning() {
        let iso = Match {
            format: DiskFormat::Iso9660,
            offset: 0x8001,
            foreign: Some(Code::FormatIso9660),
        };
        let candidates = Candidates { iso9660: Some(iso), ..Candidates::default() };
        assert_eq!(
            judge(&candidates, true, None),
            (Identity::Taken(DiskFormat::Raw), vec![Code::IsoHybrid])
        );
        assert_eq!(judge(&candidates, false, None).1, [Code::FormatIso9660]);
    }
}
