use std::ffi::OsString;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::bytes::hex;
use crate::digitalocean::wait::Patience;
use crate::digitalocean::{Distribution, RegionSlug};
use crate::facts::endings::{self, Parts};
use crate::facts::{Compression, DiskFormat};
use crate::inspect;

/// What stands in the keys of objects that stay after an import that succeeds.
pub(super) const KEPT: &str = "/kept/";

/// What is to be pushed, and how.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Order {
    /// A path, a URL, or `-` for standard input.
    pub source: OsString,
    /// Its name for people and for the journal: an absolute path, or a URL without its secrets.
    pub shown: String,
    /// What tells it from all others, as [`fingerprint`] makes it of the whole of this name: `shown` is cut
    /// where it is long.
    pub fingerprint: String,
    /// Whether to go on with the upload of an earlier run that was killed.
    pub resume: bool,
    /// How it is checked.
    pub check: inspect::Options,
    /// Whether warnings refuse it too.
    pub strict: bool,
    /// How DigitalOcean gets it.
    pub route: Route,
    /// The image to be.
    pub image: NewImage,
    /// Whether it is marked with a tag too, which needs the scope `tag:create`.
    pub tag: bool,
    /// Where else it is to be.
    pub transfer: Vec<RegionSlug>,
    /// Whether it is to become a snapshot.
    pub convert: bool,
    /// For how long it is looked for after an answer that says neither yes nor no.
    pub settle: Duration,
    /// How the import and actions are waited for.
    pub patience: Patience,
}

/// How DigitalOcean gets the image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Route {
    /// From the URL that was checked.
    Url(String),
    /// Through a bucket.
    Staged {
        /// The name of the file, without its endings.
        stem: String,
        /// Parts that are uploaded at once.
        at_once: usize,
        /// Bytes of each part but the last; otherwise by the file's size.
        part_size: Option<u64>,
        /// Whether the object stays, private, after an import that succeeds.
        keep_object: bool,
        /// Whether the whole object is read again before it becomes public, and held against what was sent.
        read_back: bool,
        /// Whether the file may be packed otherwise on the way.
        repack: Repack,
    },
}

/// Whether a file may be packed otherwise on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repack {
    /// What DigitalOcean would refuse, or take much longer with: it is taken out of what it is packed in, and
    /// raw images are packed as gzip.
    Auto,
    /// Never: it goes as it is.
    Never,
    /// Everything that is not packed is packed as gzip, containers too.
    Always,
    /// Everything that it is packed in is taken off, and what comes out is packed as gzip: bytes behind packed data are
    /// left out, which are met only at the end.
    Anew,
}

/// The image to be.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct NewImage {
    /// Its name.
    pub name: String,
    /// Where it is imported to.
    pub region: RegionSlug,
    /// Its distribution.
    pub distribution: Option<Distribution>,
    /// What is written about it.
    pub description: Option<String>,
    /// Whether system and kernel that the check finds inside are written behind it.
    pub describe: bool,
    /// Its tags.
    pub tags: Vec<String>,
}

/// What tells a path or a URL from all others: its SHA-256, in hexadecimal.
#[must_use]
pub fn fingerprint(name: &[u8]) -> String {
    hex(&Sha256::digest(name))
}

/// The file's name without the endings that say what it is, in characters that mean nothing in a URL.
#[must_use]
pub fn stem(name: &str) -> String {
    let name = &name[..Parts::of(name.as_bytes()).stem.len()];
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let stem: String = name.chars().map(|c| if plain(c) { c } else { '-' }).take(100).collect();
    match stem.trim_matches(['.', '-']) {
        "" => "disk".to_owned(),
        stem => stem.to_owned(),
    }
}

/// The name of a staged file: what is in it decides how it ends.
pub(super) fn staged_name(stem: &str, format: Option<DiskFormat>, packed: Compression) -> String {
    let ending = endings::ending(format.unwrap_or(DiskFormat::Raw));
    match packed {
        Compression::Gzip => format!("{stem}{ending}.gz"),
        Compression::Bzip2 => format!("{stem}{ending}.bz2"),
        _ => format!("{stem}{ending}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_in_what_is_in_the_file() {
        assert_eq!(stem("disk.QCOW2.gz"), "disk");
        assert_eq!(stem("debian-12.5.img"), "debian-12.5");
        assert_eq!(stem("my disk (1).tar.xz"), "my-disk--1");
        assert_eq!(stem(".img"), "img");
        assert_eq!(stem("../../x"), "x");
        assert_eq!(stem("…"), "disk");
        let qcow2 = Some(DiskFormat::Qcow2);
        assert_eq!(staged_name("a", qcow2, Compression::Gzip), "a.qcow2.gz");
        assert_eq!(staged_name("a", None, Compression::None), "a.img");
    }
}
