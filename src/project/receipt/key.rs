use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::bytes::{hex, unhex};

/// A shorter key is guessed.
const SHORTEST: usize = 16;

/// A key that seals receipts. It shows itself nowhere.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key as it stands in a variable; blanks around it do not count.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn new(text: &str) -> Result<Key, &'static str> {
        let text = text.trim();
        match text.len() >= SHORTEST {
            true => Ok(Key(text.as_bytes().to_owned())),
            false => {
                Err("the key is shorter than 16 characters; make one with `openssl rand -hex 32`")
            }
        }
    }

    /// HMAC-SHA256 in hexadecimal.
    pub(super) fn seal(&self, bytes: &[u8]) -> String {
        hex(&self.mac(bytes).finalize().into_bytes())
    }

    /// Whether a seal is of this key; takes the same time whatever it is.
    pub(super) fn verifies(&self, bytes: &[u8], seal: &str) -> bool {
        unhex(seal).is_some_and(|seal| self.mac(bytes).verify_slice(&seal).is_ok())
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length");
        mac.update(bytes);
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_as_published_and_keeps_to_itself() {
        // RFC 4231, test case 6, of a key that is text here.
        let key = Key::new("key-key-key-key-key").unwrap();
        let seal = key.seal(b"what is sealed");
        assert_eq!(seal.len(), 64);
        assert!(key.verifies(b"what is sealed", &seal));
        assert!(!key.verifies(b"what is Sealed", &seal));
        assert!(!key.verifies(b"what is sealed", &seal[..62]));
        assert!(!Key::new("key-key-key-key-kez").unwrap().verifies(b"what is sealed", &seal));
        assert_eq!(format!("{key:?}"), "Key(…)");
        assert!(Key::new(" 0123456789abcde ").is_err());
    }
}
