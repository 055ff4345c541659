use hyper::header::HeaderMap;

use super::problem::{INVALID_URI, KEY_TOO_LONG, Problem};

/// The longest key of an object, in bytes; S3's own limit.
const LONGEST_KEY: usize = 1024;

/// A request before its body.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) headers: HeaderMap,
    /// The path, decoded.
    pub(super) path: Vec<u8>,
    /// What stands behind the question mark, decoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) bucket: Option<String>,
    pub(super) key: Option<String>,
}

impl Call {
    /// Takes a request apart.
    pub(super) fn new(
        method: &str,
        (path, query): (&str, &str),
        headers: HeaderMap,
    ) -> Result<Call, Problem> {
        let bad = || Problem::of(INVALID_URI);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| bad());
        let decoded = decode(path).ok_or_else(bad)?;
        let whole = text(decoded.clone())?;
        let rest = whole.strip_prefix('/').ok_or_else(bad)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if key.len() > LONGEST_KEY {
            return Err(Problem::of(KEY_TOO_LONG));
        }
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let part = |part| decode(part).ok_or_else(bad).and_then(text);
                Ok((part(name)?, part(value)?))
            })
            .collect::<Result<_, _>>()?;
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (bucket, key) = (given(bucket), given(key));
        Ok(Call { method: method.to_owned(), headers, path: decoded, query, bucket, key })
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The key, for what is asked of an object alone.
    pub(super) fn object(&self) -> Result<&str, Problem> {
        self.key.as_deref().ok_or_else(|| Problem::of(INVALID_URI))
    }
}

/// Without percent signs; `None` if one of them stands for nothing.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        decoded.push(match byte {
            b'%' => (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8,
            other => other,
        });
    }
    Some(decoded)
}

/// Bytes from hexadecimal digits; `None` if there is anything else.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// As signatures and lists of keys have it: all but letters, digits, `-._~` and what is in `kept`.
pub(super) fn encode(bytes: &[u8], kept: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'-' | b'.' | b'_' | b'~' => text.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() || kept.contains(byte) => {
                text.push(char::from(*byte));
            }
            byte => text += &format!("%{byte:02X}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(path: &str, query: &str) -> Result<Call, Problem> {
        Call::new("GET", (path, query), HeaderMap::new())
    }

    #[test]
    fn bucket_and_key_are_told_apart() {
        for (path, bucket, key) in [
            ("/", None, None),
            ("/b", Some("b"), None),
            ("/b/", Some("b"), None),
            ("/b/k", Some("b"), Some("k")),
            ("/b/k/l//m%20%2F%c3%a4+", Some("b"), Some("k/l//m /ä+")),
        ] {
            let call = call(path, "").unwrap();
            assert_eq!((call.bucket.as_deref(), call.key.as_deref()), (bucket, key), "{path}");
        }
        for path in ["*", "/b/%", "/b/%4", "/b/%gg", "/b/%ff"] {
            assert_eq!(call(path, "").unwrap_err().code, INVALID_URI, "{path}");
        }
        let long = format!("/b/{}", "k".repeat(1025));
        assert_eq!(call(&long, "").unwrap_err().code, KEY_TOO_LONG);
    }

    #[test]
    fn parameters_need_no_value() {
        let call = call("/b", "uploads&prefix=a%2Fb+c&x=").unwrap();
        assert_eq!(call.get("uploads"), Some(""));
        assert_eq!(call.get("prefix"), Some("a/b+c"));
        assert_eq!(call.get("y"), None);
    }

    #[test]
    fn what_is_encoded_is_what_signatures_want() {
        assert_eq!(encode("a/ä ~+".as_bytes(), b"/"), "a/%C3%A4%20~%2B");
        assert_eq!(encode(b"a/b", b""), "a%2Fb");
    }

    #[test]
    fn digits_are_hexadecimal() {
        assert_eq!(unhex("00fFa9"), Some(vec![0, 0xff, 0xa9]));
        assert_eq!([unhex("0"), unhex("+1"), unhex("ää")], [None, None, None]);
    }
}
