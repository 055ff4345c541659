use std::fmt;

use reqwest::header::{AsHeaderName, HeaderMap, HeaderName, HeaderValue};

/// A header that goes with every request to the origin that the user named. Its value is a secret.
#[derive(Clone)]
pub struct Header {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl Header {
    /// Parses `Name: value`.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Header, String> {
        /// What this program itself says, or what would change the bytes that arrive.
        const OURS: [&str; 9] = [
            "accept-encoding",
            "connection",
            "content-length",
            "expect",
            "host",
            "if-range",
            "range",
            "te",
            "transfer-encoding",
        ];
        let (name, value) = text.split_once(':').ok_or("it has to be \"Name: value\"")?;
        let name: HeaderName =
            name.trim().parse().map_err(|_| "what stands before the colon is no header name")?;
        if OURS.contains(&name.as_str()) {
            return Err(format!("tidegate sets \"{name}\" itself"));
        }
        let mut value: HeaderValue =
            value.trim().parse().map_err(|_| "its value has characters that no header can have")?;
        value.set_sensitive(true);
        Ok(Header { name, value })
    }
}

impl Header {
    /// Its name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether a server may give out something else without it.
    #[must_use]
    pub fn may_matter(&self) -> bool {
        !matches!(self.name(), "user-agent" | "accept" | "accept-language" | "cache-control")
    }
}

/// The one value of a header, if it has one: where a server sends several that differ, or one that is no text, nobody can
/// tell which of them another client goes by.
pub(super) fn only(headers: &HeaderMap, name: impl AsHeaderName + Clone) -> Option<&str> {
    let mut values = headers.get_all(name.clone()).iter();
    let first = values.next()?;
    values.all(|other| other == first).then(|| first.to_str().ok()).flatten()
}

/// All values of a header as one list, as any client may read them (RFC 9110, 5.3). What is no text is replaced: it is
/// there all the same.
pub(super) fn list(headers: &HeaderMap, name: impl AsHeaderName) -> Option<String> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_one_value_or_none() {
        let of = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("etag", HeaderValue::from_bytes(value).unwrap());
            }
            (only(&headers, "etag").map(str::to_owned), list(&headers, "etag"))
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of(&[]), (None, None));
        assert_eq!(of(&[b"a"]), (text("a"), text("a")));
        assert_eq!(of(&[b"a", b"a"]), (text("a"), text("a, a")));
        assert_eq!(of(&[b"a", b"b"]), (None, text("a, b")));
        assert_eq!(of(&[b"a\xa0"]), (None, text("a\u{fffd}")));
    }

    #[test]
    fn keeps_its_value_to_itself() {
        let header = Header::parse("Authorization: Bearer tok3n").unwrap();
        assert_eq!(format!("{header:?}"), "authorization: …");
        for text in ["tok3n", "a b: tok3n", "Range: bytes=0-", "x: tok3n\n"] {
            let said = Header::parse(text).map(|header| format!("{header:?}"));
            assert!(!format!("{said:?}").contains("tok3n"), "{said:?}");
        }
    }
}
