//! AWS Signature Version 4 in the `Authorization` header, from the side of who checks it: what a client
//! signed is put together again from what arrived.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::keys::Key;
use super::problem::*;
use super::request::{Call, encode, unhex};
use crate::bytes::hex;
use crate::simulator::clock;

/// How far the clock of a client may be off, in seconds; S3's own limit.
const MOST_SKEW: u64 = 15 * 60;
/// What DigitalOcean's documents sign with is the region; Terraform signs with this one everywhere.
const USUAL_REGION: &str = "us-east-1";

/// Who asks.
#[derive(Debug)]
pub(super) enum Who {
    /// There is no signature.
    Anybody,
    /// The owner of this key, and what was said of the body.
    Holder(Box<Key>, Payload),
}

/// What a signature says of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Nothing.
    Unsigned,
    /// Its SHA-256.
    Sha256([u8; 32]),
}

/// The parts of an `Authorization` header.
struct Shown<'a> {
    id: &'a str,
    /// `DATE/REGION/s3/aws4_request`
    scope: &'a str,
    headers: Vec<&'a str>,
    signature: Vec<u8>,
}

/// Checks the signature of a request, if it has one. `now` is in seconds since 1970.
pub(super) fn check(
    call: &Call,
    region: &str,
    now: u64,
    key: impl FnOnce(&str) -> Option<Key>,
) -> Result<Who, Problem> {
    let Some(header) = call.headers.get("authorization") else {
        let by_query = |(name, _): &(String, String)| {
            name.starts_with("X-Amz-") || name == "Signature" || name == "AWSAccessKeyId"
        };
        return match call.query.iter().any(by_query) {
            true => Err(Problem::because(NOT_IMPLEMENTED, "presigned URLs are not simulated")),
            false => Ok(Who::Anybody),
        };
    };
    let shown = header.to_str().ok().and_then(shown);
    let shown = shown.ok_or_else(|| Problem::because(BAD_HEADER, "Authorization"))?;
    let date = dated(call, shown.scope, region, now)?;
    let key = key(shown.id).ok_or_else(|| Problem::of(INVALID_KEY_ID))?;
    let payload = payload(call)?;
    let canonical = canonical(call, &shown.headers)?;
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let message = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{digest}", shown.scope);
    let mut signing = format!("AWS4{}", key.secret_key.reveal()).into_bytes();
    for part in shown.scope.split('/') {
        signing = keyed(&signing, part.as_bytes()).finalize().into_bytes().to_vec();
    }
    // In constant time.
    match keyed(&signing, message.as_bytes()).verify_slice(&shown.signature) {
        Ok(()) => Ok(Who::Holder(Box::new(key), payload)),
        Err(_) => Err(Problem::of(SIGNATURE_MISMATCH)),
    }
}

fn keyed(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    // A key of HMAC may have any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(message);
    mac
}

fn shown(header: &str) -> Option<Shown<'_>> {
    let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
    let field = |name: &str| {
        fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let (id, scope) = field("Credential")?.split_once('/')?;
    let headers: Vec<&str> = field("SignedHeaders")?.split(';').collect();
    let signature = unhex(field("Signature")?)?;
    Some(Shown { id, scope, headers, signature })
}

/// The time of the request, if it is of now, and of the day and for the place that the scope names.
fn dated<'a>(call: &'a Call, scope: &str, region: &str, now: u64) -> Result<&'a str, Problem> {
    let bad = |why: &str| Problem::because(BAD_HEADER, why);
    let date = call.header("x-amz-date").ok_or_else(|| bad("there is no x-amz-date"))?;
    let form = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if date.len() != 16 || !date.bytes().enumerate().all(form) {
        return Err(bad("x-amz-date"));
    }
    // Times of this form have the order of their text.
    let bound = |seconds| clock::written(seconds).replace(['-', ':'], "");
    if *date < *bound(now.saturating_sub(MOST_SKEW)) || *date > *bound(now + MOST_SKEW) {
        return Err(Problem::of(TIME_SKEWED));
    }
    let parts: Vec<&str> = scope.split('/').collect();
    match parts.as_slice() {
        [day, place, "s3", "aws4_request"]
            if date.starts_with(day)
                && day.len() == 8
                && [region, USUAL_REGION].contains(place) =>
        {
            Ok(date)
        }
        _ => Err(bad("the scope of the credential")),
    }
}

/// What the request says of its body. Checksums behind the body are refused as Spaces refused them: the
/// names of the encodings are no digest of the body that arrives.
fn payload(call: &Call) -> Result<Payload, Problem> {
    let said = call.header("x-amz-content-sha256");
    let said =
        said.ok_or_else(|| Problem::because(INVALID_REQUEST, "there is no x-amz-content-sha256"))?;
    let chunked = call.header("content-encoding").is_some_and(|own| own.contains("aws-chunked"));
    if said.starts_with("STREAMING-AWS4-") {
        return Err(Problem::because(NOT_IMPLEMENTED, said));
    }
    if said.starts_with("STREAMING-") || chunked || call.headers.contains_key("x-amz-trailer") {
        return Err(Problem::because(PAYLOAD_MISMATCH, said));
    }
    if said == "UNSIGNED-PAYLOAD" {
        return Ok(Payload::Unsigned);
    }
    unhex(said)
        .and_then(|digest| digest.try_into().ok())
        .map(Payload::Sha256)
        .ok_or_else(|| Problem::because(INVALID_ARGUMENT, "x-amz-content-sha256"))
}

/// What the client has to have signed.
fn canonical(call: &Call, signed: &[&str]) -> Result<String, Problem> {
    let mut query: Vec<(String, String)> = call
        .query
        .iter()
        .map(|(name, value)| (encode(name.as_bytes(), b""), encode(value.as_bytes(), b"")))
        .collect();
    query.sort();
    let query: Vec<String> =
        query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let needed = call.headers.keys().map(|name| name.as_str());
    let needed = needed.filter(|name| name.starts_with("x-amz-") || *name == "host");
    if let Some(name) = needed.into_iter().find(|name| !signed.contains(name)) {
        return Err(Problem::because(ACCESS_DENIED, format!("{name} is not signed")));
    }
    let mut headers = String::new();
    for name in signed {
        let values: Vec<String> = call
            .headers
            .get_all(*name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .map(|value| {
                value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
            })
            .collect();
        headers += &format!("{name}:{}\n", values.join(","));
    }
    Ok(format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        call.method,
        encode(&call.path, b"/"),
        query.join("&"),
        signed.join(";"),
        call.header("x-amz-content-sha256").unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderMap, HeaderName, HeaderValue};
    use serde_json::json;

    /// Midnight of the 24th of May 2013, when Amazon's documents have their examples.
    const THEN: u64 = 1_369_353_600;
    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn key(id: &str) -> Option<Key> {
        (id == ID).then(|| {
            serde_json::from_value(json!({
                "name": "", "access_key": ID, "grants": [], "created_at": "",
                "secret_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            }))
            .unwrap()
        })
    }

    fn call(target: (&str, &str), signed: &str, signature: &str, own: &[(&str, &str)]) -> Call {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ID}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature={signature}"
        );
        let all = [
            ("authorization", authorization.as_str()),
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-content-sha256", EMPTY),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in all.iter().chain(own) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        Call::new("GET", target, headers).unwrap()
    }

    /// The examples "GET Object" and "GET Bucket (List Objects)" of Amazon's documents.
    #[test]
    fn published_signatures_are_right() {
        let object = || {
            call(
                ("/test.txt", ""),
                "host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                &[("range", "bytes=0-9")],
            )
        };
        let list = call(
            ("/", "max-keys=2&prefix=J"),
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            &[],
        );
        for call in [object(), list] {
            match check(&call, "nyc3", THEN, key).unwrap() {
                Who::Holder(key, Payload::Sha256(_)) => assert_eq!(key.access_key, ID),
                other => panic!("{other:?}"),
            }
        }
        let code = |call: &Call, now| check(call, "nyc3", now, key).unwrap_err().code;
        for now in [THEN - 901, THEN + 901] {
            assert_eq!(code(&object(), now), TIME_SKEWED);
        }
        for now in [THEN - 900, THEN + 900] {
            assert!(check(&object(), "nyc3", now, key).is_ok());
        }
        let mut other = object();
        other.headers.insert("range", HeaderValue::from_static("bytes=0-8"));
        assert_eq!(code(&other, THEN), SIGNATURE_MISMATCH);
        let mut other = object();
        other.headers.insert("x-amz-acl", HeaderValue::from_static("private"));
        assert_eq!(code(&other, THEN), ACCESS_DENIED);
        let nobody = check(&object(), "nyc3", THEN, |_| None).unwrap_err();
        assert_eq!(nobody.code, INVALID_KEY_ID);
    }

    #[test]
    fn headers_that_are_none_are_refused() {
        let mut call = call(("/", ""), "host", "", &[]);
        for header in [
            "",
            "Basic x",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c",
            "AWS4-HMAC-SHA256 Credential=a/b,SignedHeaders=b,Signature=00",
            "AWS4-HMAC-SHA256 Credential=a/20130524/lon1/s3/aws4_request,SignedHeaders=b,Signature=00",
            "AWS4-HMAC-SHA256 Credential=a/20130525/nyc3/s3/aws4_request,SignedHeaders=b,Signature=00",
            "AWS4-HMAC-SHA256 Credential=a/20130524/nyc3/s4/aws4_request,SignedHeaders=b,Signature=00",
        ] {
            call.headers.insert("authorization", HeaderValue::from_str(header).unwrap());
            let problem = check(&call, "nyc3", THEN, key).unwrap_err();
            assert_eq!(problem.code, BAD_HEADER, "{header}");
        }
    }
}
