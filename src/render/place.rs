//! Where an image is, for those who look for it from outside: by a path below the directory that the
//! command runs in, or by a URI.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::bytes::{Hostile, percent_encoded as encoded};
use crate::inspect::Report;

/// The path of an image below `root`, where it is there; else as it was given.
fn below(path: &Path, root: &Path) -> PathBuf {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// The path as a property of an annotation; `None` for what is no file here, or has characters that
/// only an escape could show.
pub(super) fn path(report: &Report, root: &Path) -> Option<String> {
    let path = below(report.path.as_deref()?, root);
    let text = path.to_str()?;
    (Hostile::from(text).to_string() == text).then(|| text.to_owned())
}

/// A URI reference of an image: relative to `root` if it is below, which the flag says. Standard input
/// has none.
pub(super) fn uri(report: &Report, root: &Path) -> Option<(String, bool)> {
    let Some(path) = &report.path else {
        return report.source.contains("://").then(|| (encoded_url(&report.source), false));
    };
    let path = below(path, root);
    if path.is_absolute() {
        return Some((format!("file://{}", encoded(path.as_os_str().as_bytes())), false));
    }
    Some((encoded(path.as_os_str().as_bytes()), true))
}

/// A URL as it is shown, without what is allowed nowhere in a URI.
fn encoded_url(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c) => out.push(c),
            c => out.push_str(&encoded(c.encode_utf8(&mut [0; 4]).as_bytes())),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_what_is_allowed_in_them() {
        assert_eq!(encoded_url("https://h/a b%20<ö"), "https://h/a%20b%20%3C%C3%B6");
    }

    #[test]
    fn what_is_below_the_root_is_relative() {
        let root = Path::new("/w/repo");
        assert_eq!(below(Path::new("/w/repo/a/b"), root), Path::new("a/b"));
        assert_eq!(below(Path::new("./a/./b"), root), Path::new("a/b"));
        assert_eq!(below(Path::new("../x"), root), Path::new("../x"));
        assert_eq!(below(Path::new("/w/x"), root), Path::new("/w/x"));
    }
}
