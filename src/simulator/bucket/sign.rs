//! AWS Signature Version 4, in the `Authorization` header or in the query of a URL, from the side of who checks it:
//! what a client signed is put together again from what arrived.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::keys::Key;
use super::problem::*;
use super::request::{Call, encode, unhex};
use crate::bytes::hex;
use crate::simulator::clock;

/// How far the clock of a client may be off, in seconds; S3's own limit.
const MOST_SKEW: u64 = 15 * 60;
/// The longest time that a URL may be good for, in seconds: a week, as S3 has it.
const LONGEST: u64 = 7 * 24 * 3600;
/// What a query has that signs.
pub(super) const IN_QUERY: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];
/// What stands for the digest of a body that is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
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

/// The parts of an `Authorization` header, or of a query that stands for one.
struct Shown<'a> {
    id: &'a str,
    /// `DATE/REGION/s3/aws4_request`
    scope: &'a str,
    headers: Vec<&'a str>,
    signature: Vec<u8>,
}

impl<'a> Shown<'a> {
    fn new(credential: &'a str, headers: &'a str, signature: &str) -> Option<Shown<'a>> {
        let (id, scope) = credential.split_once('/')?;
        Some(Shown {
            id,
            scope,
            headers: headers.split(';').collect(),
            signature: unhex(signature)?,
        })
    }
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
            true => check_query(call, region, now, key),
            false => Ok(Who::Anybody),
        };
    };
    if call.get("X-Amz-Algorithm").is_some() {
        return Err(Problem::because(INVALID_ARGUMENT, "a request is signed in one way only"));
    }
    let shown = header.to_str().ok().and_then(shown);
    let shown = shown.ok_or_else(|| Problem::because(BAD_HEADER, "Authorization"))?;
    let date = dated(call, shown.scope, region, now)?;
    let key = key(shown.id).ok_or_else(|| Problem::of(INVALID_KEY_ID))?;
    let payload = payload(call)?;
    let digest = call.header("x-amz-content-sha256").unwrap_or_default();
    let canonical = canonical(call, &shown.headers, digest)?;
    verify(&shown, date, &canonical, &key)?;
    Ok(Who::Holder(Box::new(key), payload))
}

/// The same for a URL that is good for some time, which may fetch an object and look at it.
fn check_query(
    call: &Call,
    region: &str,
    now: u64,
    key: impl FnOnce(&str) -> Option<Key>,
) -> Result<Who, Problem> {
    let bad = |why: &str| Problem::because(BAD_QUERY, why);
    let read = matches!(call.method.as_str(), "GET" | "HEAD") && call.key.is_some();
    let Some(algorithm) = call.get("X-Amz-Algorithm").filter(|_| read) else {
        let why = "of presigned URLs only those of version 4 are simulated that fetch an object";
        return Err(Problem::because(NOT_IMPLEMENTED, why));
    };
    if algorithm != "AWS4-HMAC-SHA256" {
        return Err(bad("X-Amz-Algorithm"));
    }
    let get = |name: &str| call.get(name).ok_or_else(|| bad(&format!("there is no {name}")));
    let (credential, headers) = (get("X-Amz-Credential")?, get("X-Amz-SignedHeaders")?);
    let shown = Shown::new(credential, headers, get("X-Amz-Signature")?);
    let shown = shown.ok_or_else(|| bad("X-Amz-Credential or X-Amz-Signature"))?;
    let date = get("X-Amz-Date")?;
    let began = clock::read(date).ok_or_else(|| bad("X-Amz-Date"))?;
    if !is_scope(shown.scope, date, region) {
        return Err(bad("X-Amz-Credential"));
    }
    let good = get("X-Amz-Expires")?.parse().ok().filter(|good| (1..=LONGEST).contains(good));
    let good = good.ok_or_else(|| bad("X-Amz-Expires"))?;
    if began > now + MOST_SKEW {
        return Err(Problem::said(ACCESS_DENIED, "Request is not valid yet"));
    }
    if began + good < now {
        return Err(Problem::said(ACCESS_DENIED, "Request has expired"));
    }
    let key = key(shown.id).ok_or_else(|| Problem::of(INVALID_KEY_ID))?;
    let digest = call.header("x-amz-content-sha256").unwrap_or(UNSIGNED);
    let canonical = canonical(call, &shown.headers, digest)?;
    verify(&shown, date, &canonical, &key)?;
    Ok(Who::Holder(Box::new(key), Payload::Unsigned))
}

/// Holds the signature against what should have been signed.
fn verify(shown: &Shown<'_>, date: &str, canonical: &str, key: &Key) -> Result<(), Problem> {
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let message = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{digest}", shown.scope);
    let mut signing = format!("AWS4{}", key.secret_key.reveal()).into_bytes();
    for part in shown.scope.split('/') {
        signing = keyed(&signing, part.as_bytes()).finalize().into_bytes().to_vec();
    }
    // In constant time.
    keyed(&signing, message.as_bytes())
        .verify_slice(&shown.signature)
        .map_err(|_| Problem::of(SIGNATURE_MISMATCH))
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
    Shown::new(field("Credential")?, field("SignedHeaders")?, field("Signature")?)
}

/// The time of the request, if it is of now, and of the day and for the place that the scope names.
fn dated<'a>(call: &'a Call, scope: &str, region: &str, now: u64) -> Result<&'a str, Problem> {
    let bad = |why: &str| Problem::because(BAD_HEADER, why);
    let date = call.header("x-amz-date").ok_or_else(|| bad("there is no x-amz-date"))?;
    let asked = clock::read(date).ok_or_else(|| bad("x-amz-date"))?;
    if asked.abs_diff(now) > MOST_SKEW {
        return Err(Problem::of(TIME_SKEWED));
    }
    match is_scope(scope, date, region) {
        true => Ok(date),
        false => Err(bad("the scope of the credential")),
    }
}

/// Whether a credential is for this day and place.
fn is_scope(scope: &str, date: &str, region: &str) -> bool {
    let parts: Vec<&str> = scope.split('/').collect();
    match parts.as_slice() {
        [day, place, "s3", "aws4_request"] => {
            day.len() == 8 && date.starts_with(day) && [region, USUAL_REGION].contains(place)
        }
        _ => false,
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
    if said == UNSIGNED {
        return Ok(Payload::Unsigned);
    }
    unhex(said)
        .and_then(|digest| digest.try_into().ok())
        .map(Payload::Sha256)
        .ok_or_else(|| Problem::because(INVALID_ARGUMENT, "x-amz-content-sha256"))
}

/// What the client has to have signed, with this digest of the body. A signature in the query does not sign itself.
fn canonical(call: &Call, signed: &[&str], digest: &str) -> Result<String, Problem> {
    let mut query: Vec<(String, String)> = call
        .query
        .iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
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
        "{}\n{}\n{}\n{headers}\n{}\n{digest}",
        call.method,
        encode(&call.path, b"/"),
        query.join("&"),
        signed.join(";"),
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

    /// The example of "Using Query Parameters" of Amazon's documents.
    fn by_query(method: &str, path: &str, change: (&str, &str)) -> Call {
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ID}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("examplebucket.s3.amazonaws.com"));
        Call::new(method, (path, &query.replace(change.0, change.1)), headers).unwrap()
    }

    #[test]
    fn a_published_url_is_right() {
        let asked = |method, change, now| {
            // There the bucket is in the name of the host, so that the path is that of the object.
            let mut call = by_query(method, "/test.txt", change);
            call.key = call.bucket.take();
            check(&call, "nyc3", now, key).map_err(|problem| (problem.code, problem.message))
        };
        const AS_IT_IS: (&str, &str) = ("X", "X");
        for now in [THEN - 900, THEN, THEN + 86_400] {
            match asked("GET", AS_IT_IS, now).unwrap() {
                Who::Holder(key, Payload::Unsigned) => assert_eq!(key.access_key, ID),
                other => panic!("{other:?}"),
            }
        }
        for (method, change, now, expected) in [
            ("GET", AS_IT_IS, THEN + 86_401, (ACCESS_DENIED, "Request has expired")),
            ("GET", AS_IT_IS, THEN - 901, (ACCESS_DENIED, "Request is not valid yet")),
            ("HEAD", AS_IT_IS, THEN, (SIGNATURE_MISMATCH, "")),
            ("PUT", AS_IT_IS, THEN, (NOT_IMPLEMENTED, "")),
            ("GET", ("404", "405"), THEN, (SIGNATURE_MISMATCH, "")),
            ("GET", ("86400", "86399"), THEN, (SIGNATURE_MISMATCH, "")),
            ("GET", ("=host", "=host%3Brange"), THEN, (SIGNATURE_MISMATCH, "")),
            ("GET", ("=host", "=range"), THEN, (ACCESS_DENIED, "")),
            ("GET", (ID, "AKIAOTHER"), THEN, (INVALID_KEY_ID, "")),
            ("GET", ("86400", "604801"), THEN, (BAD_QUERY, "")),
            ("GET", ("86400", "0"), THEN, (BAD_QUERY, "")),
            ("GET", ("86400", "-1"), THEN, (BAD_QUERY, "")),
            ("GET", ("us-east-1", "lon1"), THEN, (BAD_QUERY, "")),
            ("GET", ("20130524T000000Z", "20130524T00000Z"), THEN, (BAD_QUERY, "")),
            ("GET", ("20130524T000000Z", "20139924T000000Z"), THEN, (BAD_QUERY, "")),
            ("GET", ("AWS4-HMAC-SHA256", "AWS4"), THEN, (BAD_QUERY, "")),
            ("GET", ("X-Amz-Expires", "X-Amz-Other"), THEN, (BAD_QUERY, "")),
            ("GET", ("X-Amz-Algorithm", "Signature"), THEN, (NOT_IMPLEMENTED, "")),
        ] {
            let (code, said): (Code, &str) = expected;
            let said = if said.is_empty() { code.message() } else { said };
            let expected = (code, said);
            assert_eq!(asked(method, change, now).unwrap_err(), expected, "{method} {change:?}");
        }
        assert!(check(&by_query("GET", "/", AS_IT_IS), "nyc3", THEN, key).is_err());
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
