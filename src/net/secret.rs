use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock};

/// Longer ones are files of something else.
const LONGEST: usize = 4096;

/// Shorter ones are not looked for in text: they may stand in any word. Tokens of DigitalOcean have 71 characters,
/// secrets of Spaces 43.
const SHORTEST: usize = 8;

/// All secrets that this process has, or had: a server that was told one may say it at any time, and to whoever asks.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// A secret: a key, or a token. It shows itself nowhere, neither in `Debug` nor in errors; and from when it is made
/// `masked` takes it out of whatever servers say.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret as it stands in a variable or a file; blanks around it do not count.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn new(text: &str) -> Result<Secret, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("there is nothing in it");
        }
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "it is no token or key: there are blanks, lines or strange characters in it",
            );
        }
        remember(text);
        Ok(Secret(text.to_owned()))
    }

    /// The secret itself, for a signature or a header.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn remember(secret: &str) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if secret.len() < SHORTEST || known.iter().any(|other| other == secret) {
        return;
    }
    known.push(secret.to_owned());
    // Of two that begin alike all of the longer one is to go.
    known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
}

/// Text of a server without any [`Secret`] of this process: as it is, as JSON may escape it, or as a URL may. Those
/// shorter than [`SHORTEST`] stay.
pub(crate) fn masked(text: &[u8]) -> Cow<'_, [u8]> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    without(text, &known)
}

/// The same for text.
pub(crate) fn masked_text(text: String) -> String {
    match masked(text.as_bytes()) {
        Cow::Borrowed(_) => text,
        Cow::Owned(clean) => String::from_utf8_lossy(&clean).into_owned(),
    }
}

/// Text without any of these, however it is escaped.
pub(super) fn without<'a>(text: &'a [u8], secrets: &[String]) -> Cow<'a, [u8]> {
    let found =
        |at: &usize| secrets.iter().find_map(|secret| past(&text[*at..], secret.as_bytes()));
    let Some(first) = (0..text.len()).find(|at| found(at).is_some()) else {
        return Cow::Borrowed(text);
    };
    let mut clean = text[..first].to_vec();
    let mut at = first;
    while at < text.len() {
        match found(&at) {
            Some(after) => {
                clean.extend_from_slice("…".as_bytes());
                at = text.len() - after.len();
            }
            None => {
                clean.push(text[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(clean)
}

/// What comes after the secret that a text begins with.
fn past<'a>(text: &'a [u8], secret: &[u8]) -> Option<&'a [u8]> {
    secret.iter().try_fold(text, |rest, byte| escaped(rest, *byte))
}

/// What comes after a byte, which may be written as `\u0064`, `\/` or `%64`.
fn escaped(text: &[u8], byte: u8) -> Option<&[u8]> {
    let is = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok();
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) == Some(u32::from(byte))
    };
    match text {
        [b'\\', b'u', a, b, c, d, rest @ ..] if is(&[*a, *b, *c, *d]) => Some(rest),
        [b'\\', plain @ (b'"' | b'\\' | b'/'), rest @ ..] if *plain == byte => Some(rest),
        [b'%', a, b, rest @ ..] if is(&[*a, *b]) => Some(rest),
        [plain, rest @ ..] if *plain == byte => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_to_itself() {
        let secret = Secret::new(" s3cr/t+\n").unwrap();
        assert_eq!(secret.reveal(), "s3cr/t+");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for bad in ["", " \n", "a b", "a\nb", "a\u{7}", "ä", &"x".repeat(5000)] {
            assert!(Secret::new(bad).is_err());
        }
    }

    #[test]
    fn is_found_however_it_is_written() {
        let known = ["dop_v1_se/cret01".to_owned(), "se/cret01".to_owned()];
        for (text, clean) in [
            ("a dop_v1_se/cret01 b", "a … b"),
            ("dop_v1_se/cret01dop_v1_se/cret01", "……"),
            (r#"{"dop_v1_se\/cret01": "\u0064op_v1_se\u002Fcret01"}"#, r#"{"…": "…"}"#),
            ("/x?t=dop_v1_se%2fcret01&", "/x?t=…&"),
            ("Bearer se/cret01", "Bearer …"),
            ("dop_v1_se/cret0", "dop_v1_se/cret0"),
            ("\\u00", "\\u00"),
        ] {
            assert_eq!(String::from_utf8_lossy(&without(text.as_bytes(), &known)), clean);
        }
    }

    #[test]
    fn is_looked_for_from_when_it_is_made() {
        let said = "a known-from-now-on b";
        assert_eq!(masked_text(said.into()), said);
        Secret::new("known-from-now-on").unwrap();
        Secret::new("known-from-now-on-and-longer").unwrap();
        assert_eq!(masked_text(said.into()), "a … b");
        assert_eq!(masked_text("known-from-now-on-and-longer".into()), "…");
        Secret::new("id").unwrap();
        assert_eq!(masked_text("{\"id\": 1}".into()), "{\"id\": 1}");
    }
}
