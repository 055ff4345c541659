use std::fmt;

use rustls::crypto::ring;

use crate::bytes::hex;

/// What a client has to show. It appears nowhere by accident: `{:?}` hides it.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// A random one, in the form of DigitalOcean's personal access tokens.
    pub(super) fn random() -> Result<Token, String> {
        Ok(Token(format!("dop_v1_{}", hex(&random::<32>()?))))
    }

    /// Its text, for whoever may know it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is the value of an `Authorization` header that shows it.
    pub(super) fn is_shown_by(&self, header: &[u8]) -> bool {
        let Some((scheme, shown)) = header.split_at_checked(7) else { return false };
        // Every byte is looked at, so that the time does not tell how many are right.
        let differing = shown.iter().zip(self.0.as_bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        scheme.eq_ignore_ascii_case(b"bearer ") && shown.len() == self.0.len() && differing == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The id of a request: a random UUID, which nobody has to be unable to guess.
pub(super) fn request_id() -> String {
    let mut bytes = random::<16>().unwrap_or_default();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    parts.join("-")
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let source = ring::default_provider().secure_random;
    source.fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let token = Token::random().unwrap();
        let text = token.reveal().to_owned();
        assert_eq!(text.len(), 7 + 64);
        assert_ne!(Token::random().unwrap().reveal(), text);
        assert!(token.is_shown_by(format!("Bearer {text}").as_bytes()));
        for header in
            ["", "Bearer ", "Bearer", &text, &format!("Bearer {text}x"), &format!("Basic {text}")]
        {
            assert!(!token.is_shown_by(header.as_bytes()), "{header}");
        }
        assert!(!token.is_shown_by(format!("Bearer {}", &text[..70]).as_bytes()));
        assert!(!format!("{token:?}").contains(&text));
    }

    #[test]
    fn requests_have_uuids() {
        let id = request_id();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!((lengths, id.as_bytes()[14]), (vec![8, 4, 4, 4, 12], b'4'));
        assert_ne!(id, request_id());
    }
}
