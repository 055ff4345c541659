//! What people upload by mistake, by its text.

use crate::facts::{Code, DiskFormat};

/// Bytes at the beginning that text is judged by.
const SAMPLE: usize = 4096;

/// Printable bytes before NULs that make a text: a mark of four and nothing behind it is none.
const SHORTEST: usize = 5;

/// What a text is: its format, the anomaly, and its name with an article.
pub(super) fn kind(head: &[u8]) -> Option<(DiskFormat, Code, &'static str)> {
    let text = text(head)?;
    let start = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let begins = |with: &[&str]| with.iter().any(|with| start.starts_with(with));
    Some(if begins(&LFS) {
        (DiskFormat::GitLfsPointer, Code::ContentGitLfsPointer, "a Git LFS pointer")
    } else if let Some(what) = pointer(&start) {
        (DiskFormat::Pointer, Code::ContentPointer, what)
    } else if is_vmdk_descriptor(&start) {
        (DiskFormat::Vmdk, Code::FormatVmdkDescriptor, "a VMDK descriptor")
    } else if begins(&["<!doctype html", "<html", "<head", "<body"]) {
        (DiskFormat::Html, Code::ContentHtml, "a web page")
    } else if begins(&["<?xml", "<"]) {
        (DiskFormat::Xml, Code::ContentXml, "an XML document")
    } else if begins(&["{", "["]) {
        (DiskFormat::Json, Code::ContentJson, "a JSON document")
    } else {
        (DiskFormat::Text, Code::ContentText, "plain text")
    })
}

/// The first lines of a pointer, of today and of before Git LFS had its name.
const LFS: [&str; 3] = [
    "version https://git-lfs.github.com/",
    "version https://hawser.github.com/",
    "version http://git-media.io/",
];

/// What stands for a file that another program keeps elsewhere.
fn pointer(start: &str) -> Option<&'static str> {
    let line = start.lines().next().unwrap_or_default();
    if line.contains("/annex/objects/") {
        Some("a git-annex pointer")
    } else if line.starts_with("# xet version") || line.starts_with("version https://xethub.com/") {
        Some("a git-xet pointer")
    } else if line.starts_with("outs:") && start.contains("md5:") {
        Some("a DVC pointer")
    } else {
        None
    }
}

/// The beginning as text, if it is: UTF-8 without control characters, then nothing but NUL bytes,
/// which QEMU pads descriptors with.
fn text(head: &[u8]) -> Option<&str> {
    let sample = &head[..head.len().min(SAMPLE)];
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
    let long = padding.is_empty() || text.len() >= SHORTEST;
    (!text.is_empty()
        && long
        && padding.iter().all(|&b| b == 0)
        && !text.starts_with("GNU Parted Loopback")
        && text.chars().all(is_text))
    .then_some(text)
}

/// A descriptor whose first line is missing or written otherwise than any reader wants it: a `version=` line after
/// comments and blank lines.
fn is_vmdk_descriptor(start: &str) -> bool {
    start
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

    #[test]
    fn pointers_are_told_from_text() {
        let cases = [
            ("version https://git-lfs.github.com/spec/v1\n", Code::ContentGitLfsPointer),
            ("version https://hawser.github.com/spec/v1\n", Code::ContentGitLfsPointer),
            ("/annex/objects/SHA256E-s8388608--ab.img\n", Code::ContentPointer),
            ("../.git/annex/objects/Gx/9j/SHA256E-s8--ab/SHA256E-s8--ab", Code::ContentPointer),
            ("# xet version 0\nfilesize = 12\nhash = 'ab'\n", Code::ContentPointer),
            ("outs:\n- md5: ab\n  path: disk.img\n", Code::ContentPointer),
            ("outs: 1", Code::ContentText),
        ];
        for (text, code) in cases {
            assert_eq!(kind(text.as_bytes()).map(|kind| kind.1), Some(code), "{text}");
        }
    }
}
