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
        Secret::new(text).map(Token)
    }

    /// The secret itself, for the header of a request.
    pub(super) fn reveal(&self) -> &str {
        self.0.reveal()
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
}
