use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The bytes of a path, all but the unreserved characters of RFC 3986 and the slash encoded. So is a
/// colon, which in the first part of a relative path would end a scheme.
#[must_use]
pub fn percent_encoded(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for &byte in path {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The path that [`percent_encoded`] made this of; `None` if it made no such text.
#[must_use]
pub fn percent_decoded(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    (percent_encoded(&bytes) == text).then(|| OsString::from_vec(bytes).into())
}

/// An optional path as its percent-encoded bytes, for `serde(with)`.
pub mod percent_path {
    use std::os::unix::ffi::OsStrExt;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{Path, PathBuf, percent_decoded, percent_encoded};

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        let encoded = |path: &Path| percent_encoded(path.as_os_str().as_bytes());
        path.as_deref().map(encoded).serialize(to)
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is no such text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let decoded = |text: String| {
            percent_decoded(&text).ok_or_else(|| D::Error::custom("a path is not percent-encoded"))
        };
        text.map(decoded).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_byte_by_byte() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(percent_encoded(b"a b/\xff%\n:"), "a%20b/%FF%25%0A%3A");
        let every: Vec<u8> = (0..=255).collect();
        let decoded = percent_decoded(&percent_encoded(&every)).unwrap();
        assert_eq!(decoded.as_os_str().as_bytes(), every);
        for bad in ["%", "%4", "%zz", "%+1", "a b", "%41", "%ff", "ö"] {
            assert_eq!(percent_decoded(bad), None, "{bad}");
        }
    }
}
