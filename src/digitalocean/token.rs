use std::fmt;

use crate::net::Secret;

/// Shorter ones are not looked for in text. Those of DigitalOcean have 71 characters.
const SHORTEST: usize = 8;

/// A secret that opens an account. It shows itself nowhere: not in `Debug`, not in errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Secret);

impl Token {
    /// A token as it stands in a variable or a file; blanks around it do not count.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn new(text: &str) -> Result<Token, &'static str> {
        match is_assignment(text) {
            true => Err("a line NAME=VALUE is no token; give what stands behind the ="),
            false => Secret::new(text).map(Token),
        }
    }

    /// The secret itself, for the header of a request.
    pub(super) fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// Text of a server without the token, as far as it is there: as it is, as JSON may escape it, or as a URL
    /// may. Tokens shorter than [`SHORTEST`] stay: they may stand in any word.
    pub(super) fn redact(&self, text: &[u8]) -> Vec<u8> {
        // DigitalOcean's tokens are as secret without the name of their kind before them.
        let whole = self.0.reveal();
        let bare = match whole.split_once("_v1_") {
            Some((kind, bare)) if kind.len() == 3 => bare,
            _ => whole,
        };
        let mut clean = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((first, after)) = rest.split_first() {
            let found = [whole, bare]
                .into_iter()
                .filter(|secret| secret.len() >= SHORTEST)
                .find_map(|secret| past(rest, secret.as_bytes()));
            match found {
                Some(after) => {
                    clean.extend_from_slice("…".as_bytes());
                    rest = after;
                }
                None => {
                    clean.push(*first);
                    rest = after;
                }
            }
        }
        clean
    }
}

/// Whether this is a line of an env file or of a shell.
fn is_assignment(text: &str) -> bool {
    let text = text.trim();
    let Some((name, value)) = text.strip_prefix("export ").unwrap_or(text).split_once('=') else {
        return false;
    };
    let name = name.trim();
    let named = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    // Text in Base64 ends so.
    let padded = value.bytes().all(|b| b == b'=');
    named && !padded && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
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

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_to_itself() {
        let token = Token::new(" dop_v1_secret\n").unwrap();
        assert_eq!(token.reveal(), "dop_v1_secret");
        assert_eq!(format!("{token:?}"), "Token(…)");
        for bad in ["", " \n", "dop_v1_a b", "a\nb", "a\u{7}", "ä", &"x".repeat(5000)] {
            assert!(Token::new(bad).is_err());
        }
    }

    #[test]
    fn a_line_that_sets_it_is_none() {
        for line in ["DIGITALOCEAN_TOKEN=dop_v1_0a", " export T='x'\n", "A = b", "A=1\nB=2"] {
            assert!(Token::new(line).unwrap_err().contains("NAME=VALUE"), "{line}");
        }
        for token in ["dop_v1_0a", "c2VjcmV0==", "c2VjcmV0cw="] {
            assert!(Token::new(token).is_ok(), "{token}");
        }
    }

    #[test]
    fn is_found_however_it_is_written() {
        let token = Token::new("dop_v1_se/cret01").unwrap();
        for (text, clean) in [
            ("a dop_v1_se/cret01 b", "a … b"),
            ("dop_v1_se/cret01dop_v1_se/cret01", "……"),
            (r#"{"dop_v1_se\/cret01": "\u0064op_v1_se\u002Fcret01"}"#, r#"{"…": "…"}"#),
            ("/x?t=dop_v1_se%2fcret01&", "/x?t=…&"),
            ("Bearer se/cret01", "Bearer …"),
            ("dop_v1_se/cret0", "dop_v1_se/cret0"),
            ("\\u00", "\\u00"),
        ] {
            assert_eq!(String::from_utf8(token.redact(text.as_bytes())).unwrap(), clean);
        }
        assert_eq!(Token::new("id").unwrap().redact(b"{\"id\": 1}"), b"{\"id\": 1}");
    }
}
