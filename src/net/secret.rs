use std::fmt;

/// Longer ones are files of something else.
const LONGEST: usize = 4096;

/// A secret: a key, or a token. It shows itself nowhere, neither in `Debug` nor in errors.
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
        Ok(Secret(text.to_owned()))
    }

    /// The secret itself, for a signature, a header, or the search for it in what a server says.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
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
}
