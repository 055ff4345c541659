//! What an argument of the command line is called: a path, a URL, or `-` for standard input.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::bytes::{Hostile, hex, is_harmless, unhex};

/// What tells an argument from every other one, whatever is shown of it: SHA-256 of all its bytes; of a URL, without
/// user name and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameDigest([u8; 32]);

impl NameDigest {
    /// That of an argument.
    #[must_use]
    pub fn of(argument: &OsStr) -> Self {
        let bytes = argument.as_encoded_bytes();
        let mut digest = Sha256::new();
        match is_url(argument).then(|| user(bytes)).flatten() {
            Some((before, after)) => {
                digest.update(before);
                digest.update(after);
            }
            None => digest.update(bytes),
        }
        NameDigest(digest.finalize().into())
    }
}

/// What stands before and after the user name and the password of a URL, if there are any (WHATWG URL, authority state).
fn user(url: &[u8]) -> Option<(&[u8], &[u8])> {
    let scheme = url.iter().position(|byte| *byte == b':')? + 1;
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let begin = scheme + url[scheme..].iter().take_while(|byte| is_slash(byte)).count();
    let ends = |byte: &u8| is_slash(byte) || matches!(byte, b'?' | b'#');
    let host = url[begin..].iter().position(ends).map_or(&url[begin..], |end| &url[begin..][..end]);
    let at = host.iter().rposition(|byte| *byte == b'@')?;
    Some((&url[..begin], &url[begin + at + 1..]))
}

impl fmt::Display for NameDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for NameDigest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NameDigest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        let digest = unhex(&text).ok_or_else(|| serde::de::Error::custom("it is no SHA-256"))?;
        Ok(NameDigest(digest))
    }
}

/// Whether the argument is meant as a URL, be it one that can be fetched or not: it may have secrets in
/// it. A file with such a name is reached by `./`.
#[must_use]
pub fn is_url(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy();
    let Some((scheme, rest)) = text.trim_start().split_once(':') else { return false };
    let known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    known || is_scheme && rest.starts_with("//")
}

/// The argument for people: escaped, and of a URL only what is no secret.
#[must_use]
pub fn shown(argument: &OsStr) -> Hostile {
    if is_url(argument) { url_shown(argument) } else { Hostile::from_os(argument) }
}

/// The order of reports: by what is shown, and where that is the same by digest. It keeps nothing of the names, of which
/// there may be many.
#[must_use]
pub fn by_shown(a: &OsStr, b: &OsStr) -> Ordering {
    let text = |argument| match as_it_is(argument) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(shown(argument).to_string()),
    };
    let order = text(a).cmp(&text(b));
    order.then_with(|| NameDigest::of(a).cmp(&NameDigest::of(b)))
}

/// The argument, if it is shown as it is.
fn as_it_is(argument: &OsStr) -> Option<&str> {
    let text = argument.to_str().filter(|text| text.is_ascii() && text.len() <= Hostile::SHOWN)?;
    (!text.contains('\\') && is_harmless(text) && !is_url(argument)).then_some(text)
}

#[cfg(feature = "net")]
fn url_shown(argument: &OsStr) -> Hostile {
    match address(argument) {
        Ok(address) => Hostile::from(address.to_string().as_str()),
        Err(_) => Hostile::from("the URL"),
    }
}

#[cfg(not(feature = "net"))]
fn url_shown(_: &OsStr) -> Hostile {
    Hostile::from("the URL")
}

/// The address that a URL is.
///
/// # Errors
/// Says what is wrong with it, without repeating it.
#[cfg(feature = "net")]
pub fn address(argument: &OsStr) -> Result<crate::net::Address, String> {
    let text = argument.to_str().ok_or("it is no text")?;
    crate::net::Address::parse(text)
}

/// The name of the file that the argument stands for, if it has one.
#[must_use]
pub fn file_name(argument: &OsStr) -> Option<OsString> {
    #[cfg(feature = "net")]
    if is_url(argument) {
        return address(argument).ok()?.file_name().map(OsString::from);
    }
    Path::new(argument).file_name().filter(|name| *name != "-").map(OsStr::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_urls_from_paths() {
        for url in ["https://h/x", "HTTP://h/x", "http://", " https://h", "https:/h", "s3://b/k"] {
            assert!(is_url(OsStr::new(url)), "{url}");
        }
        for path in ["./https://h", "-", "a:b", "c:/d", "ö", "x://", "a b://c", "//h/x"] {
            assert!(!is_url(OsStr::new(path)), "{path}");
        }
        assert_eq!(file_name(OsStr::new("a/b.img")).unwrap(), "b.img");
        assert_eq!(file_name(OsStr::new("-")), None);
    }

    #[test]
    fn digests_tell_names_apart_that_are_shown_alike() {
        let of = |name: &str| NameDigest::of(OsStr::new(name));
        let long = "d".repeat(300);
        assert_ne!(of(&format!("{long}/a")), of(&format!("{long}/b")));
        assert_ne!(of("https://h/x?v=1"), of("https://h/x?v=2"));
        assert_eq!(of("https://u:p@w@h/x?a@b"), of("https://h/x?a@b"));
        assert_ne!(of("./u@h"), of("./h"));
        assert_eq!(user(b"https://h/a@b"), None);
        assert_eq!(user(b"HTTP:\\\\u@h"), Some((&b"HTTP:\\\\"[..], &b"h"[..])));
    }

    #[test]
    fn names_are_in_the_order_of_what_is_shown() {
        let long = "x".repeat(201);
        let names = [
            "a\\b",
            "a",
            "\u{1b}",
            "b ::c",
            "ä",
            &long,
            "a\u{200b}",
            "https://h/b?c",
            "https://h/b?a",
        ];
        for a in names.map(OsStr::new) {
            for b in names.map(OsStr::new) {
                let expected = (shown(a).to_string(), NameDigest::of(a))
                    .cmp(&(shown(b).to_string(), NameDigest::of(b)));
                assert_eq!(by_shown(a, b), expected, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    #[cfg(feature = "net")]
    fn urls_keep_their_secrets() {
        let url = OsStr::new("https://u:pw@h/disk.img?sig=pw");
        assert_eq!(file_name(url).unwrap(), "disk.img");
        assert!(!shown(url).to_string().contains("pw"));
        assert!(!shown(OsStr::new("https://pw:x@h:port/")).to_string().contains("pw"));
    }
}
