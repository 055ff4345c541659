//! What an image could be, by the marks that formats leave. Every match is returned; which of them
//! counts is judged elsewhere.

use super::{Got, Halt, ImageView};
use crate::facts::{Code, DiskFormat};

/// Bytes at the beginning that marks are looked for in. The ISO 9660 mark is the farthest.
const LOOKED_AT: usize = 0x8001 + 5;

/// Bytes at the beginning that text is judged by.
const TEXT_SAMPLE: usize = 4096;

/// Size of the trailers that VHD and UDIF images end with.
const TRAILER: usize = 512;

/// A mark that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The format that leaves it.
    pub format: DiskFormat,
    /// Image offset of the mark.
    pub offset: u64,
    /// What it means if the format is refused; `None` for the formats that DigitalOcean takes.
    pub foreign: Option<Code>,
}

/// All that an image could be by its beginning.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// Containers by their magic, in order of offset.
    pub containers: Vec<Match>,
    /// The mark of an ISO 9660 file system.
    pub iso9660: Option<Match>,
    /// What it is if it is no disk at all: text, a document, a program, nothing.
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
        let (format, code) = match self {
            Trailer::Vpc => (DiskFormat::Vpc, Code::FormatVpc),
            Trailer::Dmg => (DiskFormat::Dmg, Code::FormatDmg),
        };
        Match { format, offset, foreign: Some(code) }
    }
}

/// The trailer that the last 512 bytes of an image or file are.
#[must_use]
pub fn trailer(last: &[u8]) -> Option<Trailer> {
    let last = last.last_chunk::<TRAILER>()?;
    if last.starts_with(b"conectix") {
        Some(Trailer::Vpc)
    } else if last.starts_with(b"koly") {
        Some(Trailer::Dmg)
    } else {
        None
    }
}

/// A format's magic and where it stands.
struct Mark {
    at: usize,
    magic: &'static [u8],
    format: DiskFormat,
    foreign: Option<Code>,
}

const fn taken(at: usize, magic: &'static [u8], format: DiskFormat) -> Mark {
    Mark { at, magic, format, foreign: None }
}

const fn refused(at: usize, magic: &'static [u8], format: DiskFormat, code: Code) -> Mark {
    Mark { at, magic, format, foreign: Some(code) }
}

const MARKS: [Mark; 16] = [
    taken(0, b"vhdxfile", DiskFormat::Vhdx),
    taken(0, b"KDMV", DiskFormat::Vmdk),
    taken(0x40, b"\x7f\x10\xda\xbe", DiskFormat::Vdi),
    refused(0, b"conectix", DiskFormat::Vpc, Code::FormatVpc),
    refused(0, b"QED\0", DiskFormat::Qed, Code::FormatQed),
    refused(0, b"WithoutFreeSpace", DiskFormat::Parallels, Code::FormatParallels),
    refused(0, b"WithouFreSpacExt", DiskFormat::Parallels, Code::FormatParallels),
    refused(0, b"LUKS\xba\xbe", DiskFormat::Luks, Code::FormatLuks),
    refused(0, b"COWD", DiskFormat::Cowd, Code::FormatCowd),
    refused(0, b"\xbe\xba\xfe\xca\0\0\0\0", DiskFormat::Sesparse, Code::FormatSesparse),
    refused(0, b"EVF\x09\x0d\x0a\xff\0", DiskFormat::Ewf, Code::FormatEwf),
    refused(0, b"EVF2\x0d\x0a\x81\0", DiskFormat::Ewf, Code::FormatEwf),
    refused(0, b"LVF\x09\x0d\x0a\xff\0", DiskFormat::Ewf, Code::FormatEwf),
    refused(0, b"Bochs Virtual HD Image", DiskFormat::Bochs, Code::FormatBochs),
    refused(0, b"#!/bin/sh\n#V2.0 Format\n", DiskFormat::Cloop, Code::FormatCloop),
    refused(0, b"koly", DiskFormat::Dmg, Code::FormatDmg),
];

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

fn candidates(head: &[u8]) -> Candidates {
    let mut containers: Vec<Match> = MARKS
        .iter()
        .filter(|mark| head.get(mark.at..).is_some_and(|rest| rest.starts_with(mark.magic)))
        .map(|mark| Match { format: mark.format, offset: mark.at as u64, foreign: mark.foreign })
        .collect();
    containers.extend(qcow(head));
    let iso9660 =
        head.get(0x8001..).is_some_and(|rest| rest.starts_with(b"CD001")).then_some(Match {
            format: DiskFormat::Iso9660,
            offset: 0x8001,
            foreign: Some(Code::FormatIso9660),
        });
    let content =
        content(head).map(|(format, code)| Match { format, offset: 0, foreign: Some(code) });
    Candidates { containers, iso9660, content }
}

/// Versions 1 and 2 share the magic and little else.
fn qcow(head: &[u8]) -> Option<Match> {
    let version = head.strip_prefix(b"QFI\xfb")?;
    let (format, foreign) = match version {
        [0, 0, 0, 1, ..] => (DiskFormat::Qcow, Some(Code::FormatQcow1)),
        _ => (DiskFormat::Qcow2, None),
    };
    Some(Match { format, offset: 0, foreign })
}

/// What people upload by mistake.
fn content(head: &[u8]) -> Option<(DiskFormat, Code)> {
    if head.is_empty() {
        return Some((DiskFormat::Empty, Code::ContentEmpty));
    }
    const DOCUMENTS: [&[u8]; 7] = [
        b"\x89PNG\r\n\x1a\n",
        b"%PDF-",
        b"\xff\xd8\xff",
        b"GIF8",
        b"SQLite format 3\0",
        b"-----BEGIN ",
        b"!<arch>\n",
    ];
    if head.starts_with(b"\x7fELF") {
        return Some((DiskFormat::Elf, Code::ContentElf));
    }
    if DOCUMENTS.iter().any(|magic| head.starts_with(magic)) {
        return Some((DiskFormat::Unknown, Code::ContentUnknown));
    }
    let text = text(head)?;
    let start = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    Some(if start.starts_with("version https://git-lfs.github.com/") {
        (DiskFormat::GitLfsPointer, Code::ContentGitLfsPointer)
    } else if is_vmdk_descriptor(&start) {
        (DiskFormat::Vmdk, Code::FormatVmdkDescriptor)
    } else if ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| start.starts_with(tag))
    {
        (DiskFormat::Html, Code::ContentHtml)
    } else if start.starts_with("<?xml") || start.starts_with('<') {
        (DiskFormat::Xml, Code::ContentXml)
    } else if start.starts_with('{') || start.starts_with('[') {
        (DiskFormat::Json, Code::ContentJson)
    } else {
        (DiskFormat::Text, Code::ContentText)
    })
}

/// The beginning as text, if it is: UTF-8 without control characters, then nothing but NUL bytes,
/// which QEMU pads descriptors with.
fn text(head: &[u8]) -> Option<&str> {
    let sample = &head[..head.len().min(TEXT_SAMPLE)];
    let end = sample.iter().position(|&b| b == 0).unwrap_or(sample.len());
    let (printed, padding) = sample.split_at(end);
    let text = match std::str::from_utf8(printed) {
        Ok(text) => text,
        // The sample may cut a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&printed[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\x0c' | '\x1b');
    (!text.is_empty() && padding.iter().all(|&b| b == 0) && text.chars().all(is_text))
        .then_some(text)
}

/// QEMU takes a text for a VMDK descriptor if a `version=` line follows comments and blank lines.
fn is_vmdk_descriptor(start: &str) -> bool {
    start.starts_with("# disk descriptorfile")
        || start
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .is_some_and(|line| {
                line.replace(' ', "").starts_with("version=") && start.contains("createtype")
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(head: &[u8]) -> Vec<DiskFormat> {
        let found = candidates(head);
        found
            .containers
            .iter()
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
    }

    #[test]
    fn returns_every_match() {
        let mut head = vec![0; LOOKED_AT];
        head[..4].copy_from_slice(b"QFI\xfb");
        head[0x40..0x44].copy_from_slice(b"\x7f\x10\xda\xbe");
        head[0x8001..].copy_from_slice(b"CD001");
        assert_eq!(formats(&head), [DiskFormat::Vdi, DiskFormat::Qcow2, DiskFormat::Iso9660]);
    }

    #[test]
    fn trailers_are_at_the_very_end() {
        let mut last = vec![0; 600];
        last[88..96].copy_from_slice(b"conectix");
        assert_eq!(trailer(&last), Some(Trailer::Vpc));
        assert_eq!(trailer(&last[..599]), None);
        assert_eq!(trailer(b"koly"), None);
    }
}
