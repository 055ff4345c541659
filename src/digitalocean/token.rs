use std::fmt;

use crate::net::Secret;

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
        .inspect(|token| {
            // DigitalOcean's tokens are as secret without the name of their kind before them.
            if let Some((kind, bare)) = token.reveal().split_once("_v1_")
                && kind.len() == 3
            {
                // There may be nothing behind it.
                let _ = Secret::new(bare);
            }
        })
    }

    /// The secret itself, for the header of a request.
    pub(super) fn reveal(&self) -> &str {
        self.0.reveal()
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
    fn is_masked_with_and_without_its_kind() {
        Token::new("dop_v1_0c0ffee0c0ffee").unwrap();
        for said in ["a dop_v1_0c0ffee0c0ffee b", "a 0c0ffee0c0ffee b"] {
            assert_eq!(crate::net::masked_text(said.into()), "a … b");
        }
    }
}
