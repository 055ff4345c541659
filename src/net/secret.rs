use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Longer ones are files of something else.
const LONGEST: usize = 4096;

/// Shorter ones are not looked for in text: they may stand in any word. Tokens of DigitalOcean have 71 characters,
/// secrets of Spaces 43.
const SHORTEST: usize = 8;

/// Whatever shows a secret that this process has, or had: itself, and what it is written as. A server that was told one
/// may say it at any time, and to whoever asks.
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
    known.extend(written(secret));
    // Of two that begin alike all of the longer one is to go.
    known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
}

/// A secret and the other texts that it can be read from: hexadecimal digits, and base64 of anything that it stands in.
/// How far a group of base64 is moved depends on what stands before; characters that the secret decides only in part
/// belong to nobody.
pub(super) fn written(secret: &str) -> Vec<String> {
    let hex = crate::bytes::hex(secret.as_bytes());
    let mut all = vec![secret.to_owned(), hex.to_uppercase(), hex];
    for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let mut text = vec![0; before];
            text.extend_from_slice(secret.as_bytes());
            let encoded = alphabet.encode(&text);
            let (first, end) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
            all.push(encoded[first..end].to_owned());
        }
    }
    all.sort();
    all.dedup();
    all
}

/// Text of a server without any [`Secret`] of this process: as it is, in base64 or hexadecimal, and each of these as
/// JSON, XML or a URL may escape it. Those shorter than [`SHORTEST`] stay.
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

/// How often an escape is looked for that was escaped itself, and how many blanks stand between two characters.
const DEEPEST: usize = 8;

/// What comes after the secret that a text begins with. Base64 may be broken into lines.
fn past<'a>(text: &'a [u8], secret: &[u8]) -> Option<&'a [u8]> {
    let (first, others) = secret.split_first()?;
    let text = escaped(text, *first)?;
    others.iter().try_fold(text, |rest, byte| {
        escaped(rest, *byte).or_else(|| escaped(without_blanks(rest), *byte))
    })
}

/// A text without the blanks and line breaks that it begins with, which may be written as `\n`.
fn without_blanks(mut text: &[u8]) -> &[u8] {
    for _ in 0..DEEPEST {
        text = match text {
            [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] => rest,
            [b'\\', b't' | b'r' | b'n', rest @ ..] => rest,
            _ => break,
        };
    }
    text
}

/// What comes after a byte, which may be written as `\u0064`, `\x64`, `\/`, `%64`, `&#100;`, `&#x64;` or `&amp;`, and
/// these as `\\u0064`, `%2564` or `&amp;#100;`.
fn escaped(text: &[u8], byte: u8) -> Option<&[u8]> {
    match text {
        [plain, rest @ ..] if *plain == byte && !matches!(byte, b'\\' | b'%' | b'&') => Some(rest),
        [b'\\', rest @ ..] => nested(rest, b"\\", |rest| backslashed(rest, byte)),
        [b'%', rest @ ..] => nested(rest, b"25", |rest| hexadecimal::<2>(rest, byte)),
        [b'&', rest @ ..] => nested(rest, b"amp;", |rest| referred(rest, byte)),
        _ => None,
    }
    .or_else(|| text.strip_prefix(&[byte]))
}

/// What one of these escapes leaves, each of which has one more of what escapes its mark.
fn nested<'a>(
    mut text: &'a [u8],
    mark: &[u8],
    past: impl Fn(&'a [u8]) -> Option<&'a [u8]>,
) -> Option<&'a [u8]> {
    for _ in 0..DEEPEST {
        match past(text) {
            None => text = text.strip_prefix(mark)?,
            rest => return rest,
        }
    }
    None
}

/// What comes after a byte as JSON or a log escapes it, of which the backslash is off already.
fn backslashed(text: &[u8], byte: u8) -> Option<&[u8]> {
    match text {
        [b'u', rest @ ..] => hexadecimal::<4>(rest, byte),
        [b'x', rest @ ..] => hexadecimal::<2>(rest, byte),
        [plain @ (b'"' | b'\\' | b'/'), rest @ ..] if *plain == byte => Some(rest),
        _ => None,
    }
}

/// What comes after a byte that is written in so many digits.
fn hexadecimal<const DIGITS: usize>(text: &[u8], byte: u8) -> Option<&[u8]> {
    let (digits, rest) = text.split_first_chunk::<DIGITS>()?;
    let digits = std::str::from_utf8(digits).ok()?;
    (u32::from_str_radix(digits, 16).ok()? == u32::from(byte)).then_some(rest)
}

/// The longest name or number of a character, with its zeros in front.
const LONGEST_REFERENCE: usize = 16;

/// What comes after a reference to a byte, of which the `&` is off already (XML 1.0, 4.1 and 4.6).
fn referred(text: &[u8], byte: u8) -> Option<&[u8]> {
    let end = text.iter().take(LONGEST_REFERENCE).position(|&byte| byte == b';')?;
    let name = std::str::from_utf8(&text[..end]).ok()?;
    let number = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => digits.parse().ok()?,
        },
        None => u32::from(match name {
            "amp" => b'&',
            "lt" => b'<',
            "gt" => b'>',
            "quot" => b'"',
            "apos" => b'\'',
            _ => return None,
        }),
    };
    (number == u32::from(byte)).then_some(&text[end + 1..])
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
            ("&#100;&#x6F;&#x000070;_v1_se&#47;cret01;", "…;"),
            (r"\x64op_v1_se\x2Fcret01", "…"),
            (
                "&#100;op_v1_se/cret0 &amp &#; &#x; &nothing;",
                "&#100;op_v1_se/cret0 &amp &#; &#x; &nothing;",
            ),
            ("dop_v1_se/cret0", "dop_v1_se/cret0"),
            ("/x?t=%2564op_v1_se%25252Fcret01&", "/x?t=…&"),
            (r"\\u0064op_v1_se\\\/cret01", "…"),
            ("&amp;#100;op_v1_se&amp;amp;#x2f;cret01", "…"),
            ("dop_v1_\r\n se/cre\\r\\nt01\n", "…\n"),
            ("dop_v1_\nse/other", "dop_v1_\nse/other"),
            ("\\u00", "\\u00"),
        ] {
            assert_eq!(String::from_utf8_lossy(&without(text.as_bytes(), &known)), clean);
        }
    }

    #[test]
    fn is_found_in_base64_and_hexadecimal() {
        let secret = "a?secret>of<43~characters&more/of=them+here";
        let known = written(secret);
        let hidden = |text: &str| {
            let clean = without(text.as_bytes(), &known).into_owned();
            let clean = String::from_utf8(clean).unwrap();
            assert!(clean.contains('…') && clean.chars().count() <= 24, "{text}: {clean}");
        };
        for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            for before in ["", "u", "u:", "id:", "abcd"] {
                for after in ["", "}", "\r\n"] {
                    let text = alphabet.encode(format!("{before}{secret}{after}"));
                    hidden(&text);
                    hidden(&text.replace('/', "\\/").replace('+', "%2B"));
                    let lines: Vec<&[u8]> = text.as_bytes().chunks(19).collect();
                    hidden(&String::from_utf8(lines.join(&b"\r\n"[..])).unwrap());
                }
            }
        }
        let hex = crate::bytes::hex(secret.as_bytes());
        hidden(&hex);
        hidden(&hex.to_uppercase());
        let escaped: String = secret.chars().map(|c| format!("&#{};", u32::from(c))).collect();
        hidden(&escaped);
        hidden(&secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
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
