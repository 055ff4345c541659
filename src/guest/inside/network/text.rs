//! Texts that several managers share: sections with keys, words, patterns of names, directories that shadow each other.

use std::collections::BTreeMap;

use super::super::super::fs::{Trouble, Why};
use super::super::super::tree::{Text, Tree};
use super::super::patterns;

/// Settings of a file, files of a directory, and lines of what is included, at most.
pub(super) const MOST: usize = 10_000;

/// A key of a section.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The section, without its brackets.
    pub(super) section: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) line: u32,
}

impl Setting {
    /// Whether it is this key of this section.
    pub(super) fn is(&self, section: &str, key: &str) -> bool {
        self.section == section.as_bytes() && self.key == key.as_bytes()
    }
}

/// The settings of a text with sections in brackets. A line that ends with a backslash goes on in the next one.
///
/// # Errors
/// If there are more than any configuration has.
pub(super) fn settings(text: &Text) -> Result<Vec<Setting>, Trouble> {
    let mut found: Vec<Setting> = Vec::new();
    let (mut section, mut goes_on) = (Vec::new(), false);
    for (line, bytes) in text.lines() {
        let whole = bytes.trim_ascii();
        let ends_open = whole.last() == Some(&b'\\');
        let part = whole.strip_suffix(b"\\").unwrap_or(whole);
        if goes_on && let Some(last) = found.last_mut() {
            if !whole.starts_with(b"#") && !whole.starts_with(b";") {
                last.value.push(b' ');
                last.value.extend_from_slice(part);
                goes_on = ends_open;
            }
            continue;
        }
        if whole.is_empty() || whole.starts_with(b"#") || whole.starts_with(b";") {
            continue;
        }
        if let Some(name) = whole.strip_prefix(b"[") {
            section = name.strip_suffix(b"]").unwrap_or(name).to_vec();
        } else if let Some(at) = part.iter().position(|&byte| byte == b'=') {
            if found.len() == MOST {
                return Err(too_many());
            }
            let (key, value) = (part[..at].trim_ascii().to_vec(), part[at + 1..].trim_ascii());
            found.push(Setting { section: section.clone(), key, value: value.to_vec(), line });
            goes_on = ends_open;
        }
    }
    Ok(found)
}

/// Too much of something.
pub(super) fn too_many() -> Trouble {
    Why::Limit("the network's configuration is longer than that of any system").into()
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Whether a value is true, as systemd and netplan read it.
pub(super) fn is_true(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    matches!(&lower[..], b"1" | b"yes" | b"y" | b"true" | b"t" | b"on")
}

/// Whether a name matches a pattern with `*`, `?` and `[…]`.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    patterns::matches(pattern, name, true)
}

/// The files of several directories by name, each with its path: of files with the same name, that of the first
/// directory counts.
///
/// # Errors
/// If a directory cannot be read.
pub(super) fn shadowed(
    tree: &mut Tree<'_>,
    directories: &[&str],
    ending: &str,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Trouble> {
    let mut found = BTreeMap::new();
    for directory in directories {
        for name in tree.names(directory, ending)? {
            let mut path = format!("{directory}/").into_bytes();
            path.extend_from_slice(&name);
            found.entry(name).or_insert(path);
        }
        if found.len() > MOST {
            return Err(too_many());
        }
    }
    Ok(found)
}

/// What a shell's assignment gives: the value without quotes, up to a comment.
pub(super) fn unquoted(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    match value.first() {
        Some(&quote @ (b'"' | b'\'')) => {
            let inner = &value[1..];
            let end = inner.iter().position(|&byte| byte == quote).unwrap_or(inner.len());
            inner[..end].to_vec()
        }
        _ => words(value).next().unwrap_or_default().to_vec(),
    }
}

/// A name, its value, and the line.
pub(super) type Assigned = (Vec<u8>, Vec<u8>, u32);

/// The assignments of a text of a shell, each with its line.
///
/// # Errors
/// If there are more than any configuration has.
pub(super) fn assignments(text: &Text) -> Result<Vec<Assigned>, Trouble> {
    let mut found = Vec::new();
    for (line, bytes) in text.lines() {
        let bytes = bytes.trim_ascii();
        let bytes = bytes.strip_prefix(b"export ").unwrap_or(bytes);
        let Some(at) = bytes.iter().position(|&byte| byte == b'=') else { continue };
        let name = &bytes[..at];
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_[]".contains(byte);
        if name.is_empty() || !name.iter().all(is_name) {
            continue;
        }
        if found.len() == MOST {
            return Err(too_many());
        }
        found.push((name.to_vec(), unquoted(&bytes[at + 1..]), line));
    }
    Ok(found)
}

/// The last value of a name among assignments, with its line.
pub(super) fn last<'a>(assignments: &'a [Assigned], name: &str) -> Option<(&'a [u8], u32)> {
    let same = assignments.iter().rev().find(|(other, ..)| other == name.as_bytes());
    same.map(|(_, value, line)| (&value[..], *line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8]) -> Text {
        Text { path: b"/x".to_vec(), bytes: bytes.to_vec(), cut: false }
    }

    #[test]
    fn sections_keys_and_lines_that_go_on() {
        let text = text(b"\xef\xbb\xbf# c\r\n[Match]\r\nName = a \\\r\n# c\r\n b\r\n;x=1\n[Network]\nDHCP=yes\nbad\n=\n");
        let found = settings(&text).unwrap();
        assert_eq!(found.len(), 3);
        assert!(found[0].is("Match", "Name") && found[1].is("Network", "DHCP"));
        assert_eq!((&found[0].value[..], found[0].line), (&b"a b"[..], 3));
        assert!(settings(&self::text(&b"a=\n".repeat(MOST + 1))).is_err());
    }

    #[test]
    fn assignments_of_a_shell() {
        let found =
            assignments(&text(b"# c\n A=\"x y\" # c\nB='z'\nexport C=w # c\nA=2\nnot this=1\n"))
                .unwrap();
        assert_eq!(last(&found, "A"), Some((&b"2"[..], 5)));
        assert_eq!(last(&found, "B"), Some((&b"z"[..], 3)));
        assert_eq!(last(&found, "C"), Some((&b"w"[..], 4)));
        assert_eq!(found[0].1, b"x y");
    }

    proptest! {
        #[test]
        fn any_text_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = text(&bytes);
            let _ = settings(&text);
            let _ = assignments(&text);
        }
    }
}
