//! What an argument of the command line is called: a path, a URL, or `-` for standard input.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::bytes::Hostile;

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
    #[cfg(feature = "net")]
    fn urls_keep_their_secrets() {
        let url = OsStr::new("https://u:pw@h/disk.img?sig=pw");
        assert_eq!(file_name(url).unwrap(), "disk.img");
        assert!(!shown(url).to_string().contains("pw"));
        assert!(!shown(OsStr::new("https://pw:x@h:port/")).to_string().contains("pw"));
    }
}
