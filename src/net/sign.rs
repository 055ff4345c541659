//! AWS Signature Version 4, as a header (AWS, "Authenticating Requests: Using the Authorization Header").

use std::fmt;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::{Address, Secret};
use crate::bytes::hex;

/// What stands for the digest of the body in URLs that are signed for others.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Signs requests.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Signer {
    /// The name of the key.
    pub access: String,
    /// The key.
    pub secret: Secret,
    /// What temporary keys come with.
    pub session: Option<Secret>,
    /// Where the service is, such as `nyc3`.
    pub region: String,
    /// The service, such as `s3`.
    pub service: &'static str,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} in {})", self.service, self.region)
    }
}

/// Headers of a request.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

impl Signer {
    /// Adds what S3 wants of a signed request to its headers: time, SHA-256 of the body, session token
    /// and signature. The signature holds for all headers that are there and for the host. The path and
    /// the query of the address have to be encoded by [`encode`] already.
    ///
    /// # Errors
    /// If a header is not text.
    pub fn sign(
        &self,
        method: &Method,
        address: &Address,
        payload: &[u8; 32],
        now: SystemTime,
        headers: &mut Headers,
    ) -> Result<(), String> {
        let payload = hex(payload);
        let time = stamp(now);
        let mut add = |name: &'static str, value: &str, secret: bool| {
            let mut value = HeaderValue::from_str(value).map_err(|e| e.to_string())?;
            value.set_sensitive(secret);
            headers.push((HeaderName::from_static(name), value));
            Ok::<_, String>(())
        };
        add("x-amz-content-sha256", &payload, false)?;
        add("x-amz-date", &time, false)?;
        if let Some(session) = &self.session {
            add("x-amz-security-token", session.reveal(), true)?;
        }
        let authorization = self.authorization(method, address, &payload, &time, headers)?;
        let mut value = HeaderValue::from_str(&authorization).map_err(|e| e.to_string())?;
        value.set_sensitive(true);
        headers.push((AUTHORIZATION, value));
        Ok(())
    }

    /// The URL that fetches what is at an address, for whoever has it, for so many seconds (AWS, "Using
    /// Query Parameters"). It is a secret for that time. The address has to be encoded by [`encode`], without
    /// a query.
    ///
    /// # Errors
    /// If the address cannot take a query.
    pub fn presign(
        &self,
        address: &Address,
        now: SystemTime,
        seconds: u32,
    ) -> Result<String, String> {
        let time = stamp(now);
        let credential = encode(&format!("{}/{}", self.access, self.scope(&time)), false);
        let mut query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={time}&X-Amz-Expires={seconds}"
        );
        if let Some(session) = &self.session {
            query += &format!("&X-Amz-Security-Token={}", encode(session.reveal(), false));
        }
        query += "&X-Amz-SignedHeaders=host";
        let mut url = address.url().clone();
        url.set_query(Some(&query));
        let unsigned = Address::parse(url.as_str())?;
        let host = vec![("host", host(&unsigned))];
        let signature = self.signature(&Method::GET, &unsigned, UNSIGNED, &time, &host);
        Ok(format!("{url}&X-Amz-Signature={signature}"))
    }

    /// The value of `Authorization`.
    fn authorization(
        &self,
        method: &Method,
        address: &Address,
        payload: &str,
        time: &str,
        headers: &Headers,
    ) -> Result<String, String> {
        let mut named = vec![("host", host(address))];
        for (name, value) in headers {
            let value = value.to_str().map_err(|_| format!("the header {name} is not text"))?;
            let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            named.push((name.as_str(), value));
        }
        named.sort();
        let signature = self.signature(method, address, payload, time, &named);
        let (signed, scope) = (signed(&named), self.scope(time));
        Ok(format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            self.access
        ))
    }

    /// Where and when a signature holds.
    fn scope(&self, time: &str) -> String {
        let day = time.split('T').next().unwrap_or_default();
        format!("{day}/{}/{}/aws4_request", self.region, self.service)
    }

    /// The signature. `named` are the headers that it holds for, sorted.
    fn signature(
        &self,
        method: &Method,
        address: &Address,
        payload: &str,
        time: &str,
        named: &[(&str, String)],
    ) -> String {
        let url = address.url();
        let listed: String =
            named.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let mut query: Vec<(&str, &str)> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect();
        query.sort();
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = query.join("&");
        let signed = signed(named);
        let canonical = format!("{method}\n{}\n{query}\n{listed}\n{signed}\n{payload}", url.path());

        let day = time.split('T').next().unwrap_or_default();
        let scope = self.scope(time);
        let digest = hex(&Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let mut key = keyed(format!("AWS4{}", self.secret.reveal()).as_bytes(), day);
        for part in [&self.region, self.service, "aws4_request"] {
            key = keyed(&key, part);
        }
        hex(&keyed(&key, &text))
    }
}

/// The host as a request names it.
fn host(address: &Address) -> String {
    match address.url().port() {
        Some(port) => format!("{}:{port}", address.host()),
        None => address.host().to_owned(),
    }
}

/// The names of headers, as a signature lists them.
fn signed(named: &[(&str, String)]) -> String {
    named.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
}

/// Percent-encodes all but the unreserved characters, as signatures want it; `/` stays if it parts a path.
#[must_use]
pub fn encode(text: &str, path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            b'/' if path => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A time as `20130524T000000Z`.
fn stamp(time: SystemTime) -> String {
    // "Fri, 24 May 2013 00:00:00 GMT"
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let date = httpdate::fmt_http_date(time.max(SystemTime::UNIX_EPOCH));
    let month = MONTHS.find(&date[8..11]).map_or(0, |at| at / 3 + 1);
    let clock = date[17..25].replace(':', "");
    format!("{}{month:02}{}T{clock}Z", &date[12..16], &date[5..7])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of AWS's documentation of S3 ("Signature Calculations for the Authorization Header").
    fn documented() -> Signer {
        Signer {
            access: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap(),
            session: None,
            region: "us-east-1".into(),
            service: "s3",
        }
    }

    /// The key and the moment of AWS's test suite for Signature Version 4.
    fn suite() -> Signer {
        Signer {
            access: "AKIDEXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").unwrap(),
            session: None,
            region: "us-east-1".into(),
            service: "service",
        }
    }

    fn headers(of: &[(&'static str, &'static str)]) -> Headers {
        of.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn signature(headers: &Headers) -> &str {
        let (_, value) = headers.iter().find(|(name, _)| name == AUTHORIZATION).unwrap();
        assert!(value.is_sensitive());
        value.to_str().unwrap().rsplit_once("Signature=").unwrap().1
    }

    #[test]
    fn signs_the_documented_examples_of_s3() {
        let now = httpdate::parse_http_date("Fri, 24 May 2013 00:00:00 GMT").unwrap();
        let base = "https://examplebucket.s3.amazonaws.com/";
        let signed = |method, url: &str, body: &[u8], with: &[(&'static str, &'static str)]| {
            let (address, mut headers) = (Address::parse(url).unwrap(), headers(with));
            let payload = Sha256::digest(body).into();
            documented().sign(&method, &address, &payload, now, &mut headers).unwrap();
            signature(&headers).to_owned()
        };
        assert_eq!(
            signed(Method::GET, &format!("{base}test.txt"), b"", &[("range", "bytes=0-9")]),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let put = format!("{base}{}", encode("test$file.text", true));
        let with = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        assert_eq!(
            signed(Method::PUT, &put, b"Welcome to Amazon S3.", &with),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(
            signed(Method::GET, &format!("{base}?lifecycle"), b"", &[]),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            signed(Method::GET, &format!("{base}?max-keys=2&prefix=J"), b"", &[]),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn signs_the_published_test_suite() {
        const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let signed = |method, query: &str, with: &[(&'static str, &'static str)]| {
            let address = Address::parse(&format!("https://example.amazonaws.com/{query}"));
            let mut all = headers(with);
            all.extend(headers(&[("x-amz-date", "20150830T123600Z")]));
            let value = suite()
                .authorization(&method, &address.unwrap(), NOTHING, "20150830T123600Z", &all)
                .unwrap();
            value.rsplit_once("Signature=").unwrap().1.to_owned()
        };
        // get-vanilla, post-vanilla, get-vanilla-query-order-key-case
        assert_eq!(
            signed(Method::GET, "", &[]),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            signed(Method::POST, "", &[]),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        assert_eq!(
            signed(Method::GET, "?Param2=value2&Param1=value1", &[]),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        );
    }

    #[test]
    fn times_and_paths_are_written_as_signatures_want_them() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_798_761_599);
        assert_eq!(stamp(time), "20261231T235959Z");
        assert_eq!(encode("a b/ü~'.gz", true), "a%20b/%C3%BC~%27.gz");
        assert_eq!(encode("a/b=c", false), "a%2Fb%3Dc");
    }

    #[test]
    fn a_session_token_goes_along_and_shows_nowhere() {
        let session = Some(Secret::new("sess10n").unwrap());
        let signer = Signer { session, ..documented() };
        let mut headers = Headers::new();
        let address = Address::parse("https://h.example/k").unwrap();
        signer.sign(&Method::PUT, &address, &[7; 32], SystemTime::now(), &mut headers).unwrap();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let expected =
            ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "authorization"];
        assert_eq!(names, expected);
        let value = headers[3].1.to_str().unwrap().to_owned();
        assert!(
            value.contains(
                "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
            )
        );
        let shown = format!("{headers:?} {signer:?}");
        assert!(!shown.contains("sess10n") && !shown.contains("bPxRfiCY"), "{shown}");
        assert_eq!(headers[0].1, "07".repeat(32));
    }

    #[test]
    fn a_url_is_signed_as_documented() {
        // AWS, "Authenticating Requests: Using Query Parameters", its example.
        let address = Address::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
        // 2013-05-24T00:00:00Z
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_369_353_600);
        let url = documented().presign(&address, now, 86_400).unwrap();
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(url.ends_with(&format!("&X-Amz-Signature={signature}")), "{url}");
    }
}
