//! Files of SHA-256 sums: `sha256sum`'s format, with or without its `*`, and BSD's.

use std::ffi::OsStr;
use std::path::Path;

use super::Usage;
pub(super) use crate::bytes::unhex as sha256;
use crate::bytes::{Hostile, Small};
use crate::inspect::{Digested, Expected, unpacked};
use crate::source;

/// What lists about 60,000 files.
const SUMS: Small = Small { what: "a list of check sums", most: 8 << 20 };

/// The entries of a file of check sums.
pub(super) struct Checksums {
    path: Hostile,
    /// By name.
    entries: Vec<(String, [u8; 32])>,
}

impl Checksums {
    /// Reads check sums; `fetch` brings those behind a URL.
    pub(super) fn read(
        argument: &OsStr,
        fetch: impl FnOnce(Small) -> Result<Vec<u8>, String>,
    ) -> Result<Self, Usage> {
        let shown = source::shown(argument);
        let fail = |why: String| Usage(format!("cannot use the check sums in {shown}: {why}"));
        let text = match source::is_url(argument) {
            true => fetch(SUMS),
            false => SUMS.open(Path::new(argument)).map_err(|e| e.to_string()),
        };
        let text = text.map_err(fail)?;
        let entries = entries(&String::from_utf8_lossy(&text));
        if entries.is_empty() {
            return Err(fail("it lists no SHA-256".into()));
        }
        Ok(Checksums { path: shown, entries })
    }

    /// What it says of an image, by its file name: of the file, of the decompressed image, or both.
    pub(super) fn of(&self, image: &OsStr) -> Result<Vec<Expected>, Usage> {
        let shown = source::shown(image);
        let name = source::file_name(image).and_then(|name| name.into_string().ok());
        let Some(name) = name.as_deref() else {
            return Err(Usage(format!(
                "--checksums needs a file name to look up, {shown} has none; use --sha256"
            )));
        };
        let unpacked = unpacked(name).map(|(stem, _)| stem);
        let mut expected = Vec::new();
        for (name, of) in [(Some(name), Digested::File), (unpacked, Digested::Image)] {
            let Some(name) = name else { continue };
            if let Some(sha256) = self.find(name)? {
                expected.push(Expected { of, sha256, origin: self.path.to_string() });
            }
        }
        if expected.is_empty() {
            let name = Hostile::from(name);
            return Err(Usage(format!(
                "{} does not list \"{name}\" or its decompressed name",
                self.path
            )));
        }
        Ok(expected)
    }

    fn find(&self, name: &str) -> Result<Option<[u8; 32]>, Usage> {
        let from = self.entries.partition_point(|(listed, _)| listed.as_str() < name);
        let same = self.entries[from..].iter().take_while(|(listed, _)| listed == name);
        let mut found = same.map(|(_, sum)| *sum);
        let first = found.next();
        if found.any(|other| Some(other) != first) {
            let name = Hostile::from(name);
            return Err(Usage(format!(
                "{} lists \"{name}\" twice, with different sums",
                self.path
            )));
        }
        Ok(first)
    }
}

/// All entries, sorted.
fn entries(text: &str) -> Vec<(String, [u8; 32])> {
    let mut entries: Vec<_> = text.lines().filter_map(entry).collect();
    entries.sort_unstable();
    entries
}

/// A line that lists a SHA-256, as file name without directories and digest. All other lines
/// (comments, signatures, other algorithms) are none.
fn entry(line: &str) -> Option<(String, [u8; 32])> {
    // Editors put a byte order mark before the first line.
    let line = line.trim_start_matches('\u{feff}').trim_end();
    let (name, digest) = match line.strip_prefix("SHA256 (") {
        Some(bsd) => {
            let (name, hex) = bsd.rsplit_once(") = ")?;
            (name.to_owned(), sha256(hex)?)
        }
        None => {
            // GNU escapes backslash and newline in names and says so by a leading backslash.
            let (escaped, line) = match line.strip_prefix('\\') {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            let (hex, name) = line.split_once(char::is_whitespace)?;
            let name = name.trim_start_matches([' ', '\t']);
            let name = name.strip_prefix('*').unwrap_or(name);
            let name = if escaped { unescape(name) } else { name.to_owned() };
            (name, sha256(hex)?)
        }
    };
    let name = Path::new(&name).file_name()?.to_str()?.to_owned();
    Some((name, digest))
}

/// Undoes GNU's escapes: `\\` for a backslash, `\n` and `\r` for line ends.
fn unescape(name: &str) -> String {
    let mut chars = name.chars();
    let mut plain = String::with_capacity(name.len());
    while let Some(c) = chars.next() {
        plain.push(match (c, c == '\\') {
            (c, false) => c,
            (_, true) => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn list(text: &str) -> Checksums {
        Checksums { path: "SHA256SUMS".into(), entries: entries(text) }
    }

    #[test]
    fn reads_gnu_and_bsd_lines() {
        for line in [
            format!("{SUM}  disk.img"),
            format!("{SUM} *./out/disk.img\r"),
            format!("SHA256 (disk.img) = {SUM}"),
            format!("{SUM}\tdisk.img"),
            format!("\u{feff}{SUM}  disk.img"),
        ] {
            assert_eq!(entry(&line).unwrap().0, "disk.img", "{line}");
        }
        for line in ["# comment", "SHA512 (disk.img) = 00", "deadbeef  disk.img", "", SUM] {
            assert!(entry(line).is_none(), "{line}");
        }
    }

    #[test]
    fn finds_the_compressed_and_the_decompressed_name() {
        let of = |text: &str, image: &str| list(text).of(OsStr::new(image));
        let found = of(&format!("{SUM}  disk.img\n"), "a/disk.img.gz").unwrap();
        assert_eq!(found[0].of, Digested::Image);
        let both = of(&format!("{SUM}  disk.img\n{SUM}  disk.img.gz\n"), "disk.img.gz").unwrap();
        assert_eq!(both.len(), 2);
        assert!(of(&format!("{SUM}  other.img\n"), "disk.img").is_err());
        assert!(of(&format!("{SUM}  disk.img\n"), "-").is_err());
        let other = SUM.replace('E', "0");
        assert!(of(&format!("{SUM}  disk.img\n{other}  disk.img\n"), "disk.img").is_err());
    }
}
