//! What an image could be, by the marks that formats leave. Every match is returned; which of them
//! counts is judged elsewhere.

mod descriptor;
mod table;
mod text;

pub use table::{FORMATS, Is};

use super::{Got, Halt, ImageView};
use crate::facts::{Code, DiskFormat};

/// Bytes at the beginning that marks are looked for in: those of an optical disc are the farthest.
pub const LOOKED_AT: usize = 0x9320;

/// Size of the trailers that VHD and UDIF images end with.
const TRAILER: usize = 512;

/// A mark that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The format that leaves it.
    pub format: DiskFormat,
    /// What it is, with its article.
    pub what: &'static str,
    /// Image offset of the mark.
    pub offset: u64,
    /// What it means if the format is refused; `None` for the formats that DigitalOcean takes.
    pub foreign: Option<Code>,
}

/// All that an image could be by its beginning.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// Containers by their marks, in the order of the table.
    pub containers: Vec<Match>,
    /// Documents and programs by their marks.
    pub documents: Vec<Match>,
    /// The mark of an optical disc.
    pub iso9660: Option<Match>,
    /// What it is by its text, if it is no disk at all, or nothing.
    pub content: Option<Match>,
}

/// A format that puts its mark at the end of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailer {
    /// VHD (Virtual PC, Hyper-V generation 1), also the fixed kind.
    Vpc,
    /// Apple UDIF.
    Dmg,
}

impl Trailer {
    /// The match at image offset `offset`.
    #[must_use]
    pub fn at(self, offset: u64) -> Match {
        let (format, code, what) = match self {
            Trailer::Vpc => (DiskFormat::Vpc, Code::FormatVpc, "a VHD image"),
            Trailer::Dmg => (DiskFormat::Dmg, Code::FormatDmg, "an Apple disk image"),
        };
        Match { format, what, offset, foreign: Some(code) }
    }
}

/// The trailer that the last 512 bytes of an image or file are.
#[must_use]
pub fn trailer(last: &[u8]) -> Option<Trailer> {
    let last = last.last_chunk::<TRAILER>()?;
    let known = FORMATS.iter().find(|known| known.find_last(last).is_some())?;
    match known.is {
        Is::Refused(DiskFormat::Dmg, _) => Some(Trailer::Dmg),
        _ => Some(Trailer::Vpc),
    }
}

/// Looks for every mark at the beginning of the image.
///
/// # Errors
/// If the image cannot be read.
pub fn detect(view: &mut dyn ImageView) -> Result<Candidates, Halt> {
    let mut head = vec![0; LOOKED_AT];
    match view.read_at(0, &mut head)? {
        Got::Bytes(count) => head.truncate(count),
        // The beginning is never missing.
        Got::Missing(_) => head.clear(),
    }
    Ok(candidates(&head))
}

/// The mark of a format that DigitalOcean takes, where it is known that the image has it.
#[must_use]
pub fn taken(format: DiskFormat) -> Option<Match> {
    let known = FORMATS.iter().find(|known| known.is == Is::Taken(format))?;
    Some(Match { format, what: known.what, offset: 0, foreign: None })
}

/// All that an image could be that begins with these bytes; [`LOOKED_AT`] of them tell everything.
#[must_use]
pub fn candidates(head: &[u8]) -> Candidates {
    let mut candidates = Candidates::default();
    for known in FORMATS {
        let Some(at) = known.find(head) else { continue };
        let found =
            |format, foreign| Match { format, what: known.what, offset: at as u64, foreign };
        match known.is {
            Is::Taken(format) => candidates.containers.push(found(format, None)),
            Is::Refused(format, code) => candidates.containers.push(found(format, Some(code))),
            Is::Content(format, code) => candidates.documents.push(found(format, Some(code))),
            Is::Optical => {
                candidates.iso9660 = Some(found(DiskFormat::Iso9660, Some(Code::FormatIso9660)));
            }
        }
    }
    let content = |(format, code, what)| Match { format, what, offset: 0, foreign: Some(code) };
    candidates.content = if head.is_empty() {
        Some(content((DiskFormat::Empty, Code::ContentEmpty, "nothing")))
    } else if head.starts_with(b"\xff\xd8\xff") {
        Some(content((DiskFormat::Unknown, Code::ContentUnknown, "a JPEG picture")))
    } else {
        text::kind(head).map(content)
    };
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(head: &[u8]) -> Vec<DiskFormat> {
        let found = candidates(head);
        found
            .containers
            .iter()
            .chain(&found.documents)
            .chain(&found.iso9660)
            .chain(&found.content)
            .map(|m| m.format)
            .collect()
    }

    #[test]
    fn knows_what_is_uploaded_by_mistake() {
        let cases: [(&[u8], DiskFormat); 13] = [
            (b"", DiskFormat::Empty),
            (b"\x7fELF\x02", DiskFormat::Elf),
            (b"\n<!DOCTYPE html><html>", DiskFormat::Html),
            (b"\xef\xbb\xbf<?xml version='1.0'?><Error/>", DiskFormat::Xml),
            (b"{\"id\": \"not_found\"}", DiskFormat::Json),
            (b"404 page not found\n", DiskFormat::Text),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n",
                DiskFormat::GitLfsPointer,
            ),
            (b"# Disk DescriptorFile\nversion=1\n\0\0\0", DiskFormat::Vmdk),
            (b"\n# x\nversion=1\ncreateType=\"monolithicFlat\"\n", DiskFormat::Vmdk),
            (b"\x89PNG\r\n\x1a\n\0", DiskFormat::Unknown),
            (b"QFI\xfb\0\0\0\x01", DiskFormat::Qcow),
            (b"QFI\xfb\0\0\0\x03\0", DiskFormat::Qcow2),
            (b"QED\0", DiskFormat::Qed),
        ];
        for (head, format) in cases {
            assert_eq!(formats(head)[0], format, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn binary_is_not_text() {
        assert_eq!(formats(&[0; 512]), []);
        assert_eq!(formats(b"abc\0\0\x01"), []);
        assert_eq!(formats(b"\xeb\x63\x90"), []);
        assert_eq!(formats(b"hsqs\0\0\0\0\0\0"), []);
        assert_eq!(formats(b"hello\0\0\0\0\0\0"), [DiskFormat::Text]);
        assert_eq!(formats(b"hi\n"), [DiskFormat::Text]);
    }

    #[test]
    fn returns_every_match() {
        let mut head = vec![0; LOOKED_AT];
        head[..4].copy_from_slice(b"QFI\xfb");
        head[0x40..0x44].copy_from_slice(b"\x7f\x10\xda\xbe");
        head[0x8001..0x8006].copy_from_slice(b"CD001");
        assert_eq!(formats(&head), [DiskFormat::Vdi, DiskFormat::Qcow2, DiskFormat::Iso9660]);
    }

    #[test]
    fn trailers_are_at_the_very_end() {
        let mut last = vec![0; 600];
        last[89..97].copy_from_slice(b"conectix");
        // Virtual PC before 2004 wrote 511 bytes.
        assert_eq!(trailer(&last), Some(Trailer::Vpc));
        last[88..96].copy_from_slice(b"conectix");
        assert_eq!(trailer(&last), Some(Trailer::Vpc));
        assert_eq!(trailer(&last[..511]), None);
        assert_eq!(trailer(&last[..590]), None);
        assert_eq!(trailer(b"koly"), None);
    }
}
