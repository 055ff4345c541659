use serde::{Deserialize, Serialize};

#[cfg(feature = "net")]
use crate::source;

/// What identifies an object behind a URL, so that it can be told from another one later. Without user
/// name, password and query.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The address of the answer, after all redirects.
    pub url: String,
    /// The addresses on the way there, the one that was given first.
    pub redirects: Vec<String>,
    /// Bytes of the object, where the server says.
    pub length: Option<u64>,
    /// The entity tag, with its quotes.
    pub etag: Option<String>,
    /// When it was changed last, as the server says.
    pub last_modified: Option<String>,
    /// SHA-256 of the object, if every byte of it was read.
    pub sha256: Option<String>,
}

/// Escaped, and cut where it is long; the digest of all of it tells what is cut from others that begin alike.
#[cfg(feature = "net")]
fn escaped(text: &Option<String>) -> Option<String> {
    use sha2::{Digest, Sha256};
    let text = text.as_deref()?;
    let shown = crate::bytes::Hostile::from(text).to_string();
    Some(match text.chars().count() > crate::bytes::Hostile::SHOWN {
        true => format!("{shown} (SHA-256 {})", crate::bytes::hex(&Sha256::digest(text))),
        false => shown,
    })
}

#[cfg(feature = "net")]
impl Identity {
    /// The bytes are those of another answer than the first one.
    pub(super) fn is_of(&mut self, pin: &source::remote::Pin) {
        self.etag = escaped(&pin.etag);
        self.last_modified = escaped(&pin.last_modified);
    }

    pub(super) fn of(served: &source::remote::Served) -> Self {
        let before = served.hops.split_last().map(|(_, before)| before).unwrap_or_default();
        Identity {
            url: served.address.to_string(),
            redirects: before.iter().map(|hop| hop.address.to_string()).collect(),
            length: served.size,
            etag: escaped(&served.pin.etag),
            last_modified: escaped(&served.pin.last_modified),
            sha256: None,
        }
    }
}

impl Identity {
    /// What tells a later look at the URL from this one, in words.
    #[must_use]
    pub fn difference(&self, now: &Identity) -> Option<String> {
        let pairs = [
            ("length", self.length.map(|n| n.to_string()), now.length.map(|n| n.to_string())),
            ("ETag", self.etag.clone(), now.etag.clone()),
            ("Last-Modified", self.last_modified.clone(), now.last_modified.clone()),
        ];
        pairs.into_iter().find(|(_, before, after)| before != after).map(|(what, before, after)| {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
            format!(
                "its {what} was {} when it was checked, and is {} now",
                shown(before),
                shown(after)
            )
        })
    }
}

#[cfg(all(test, feature = "net"))]
mod tests {
    use super::*;

    #[test]
    fn long_tags_that_begin_alike_are_told_apart() {
        let of = |text: String| escaped(&Some(text)).unwrap();
        let long = "x".repeat(300);
        assert_ne!(of(format!("\"{long}a\"")), of(format!("\"{long}b\"")));
        assert!(of(format!("\"{long}a\"")).contains('…'));
        assert_eq!(of("\"a\"".into()), "\"a\"");
    }
}
