use std::fmt;

/// Longer ones are files of something else.
const LONGEST: usize = 4096;

/// A secret that opens an account. It shows itself nowhere: not in `Debug`, not in errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as it stands in a variable or a file; blanks around it do not count.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn new(text: &str) -> Result<Token, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("there is nothing in it");
        }
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it is no token: there are blanks, lines or strange characters in it");
        }
        Ok(Token(text.to_owned()))
    }

    /// The secret itself, for the header of a request.
    pub(super) fn reveal(&self) -> &str {
        &self.0
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
