//! AWS Signature Version 4 in the `Authorization` header, from the side of who checks it: what a client
//! signed is put together again from what arrived.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::keys::Key;
use super::problem::*;
use super::request::{Call, encode};
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
    #[allow(clippy::expect_used)]
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
    let signature = field("Signature")?;
    let signature = (0..signature.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(signature.get(at..at + 2)?, 16).ok())
        .collect::<Option<_>>()?;
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
    let mut digest = [0; 32];
    let digits = said.len() == 64 && said.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (at, byte) in digest.iter_mut().enumerate() {
        let text = digits.then(|| &said[at * 2..at * 2 + 2]).unwrap_or_default();
        *byte = u8::from_str_radix(text, 16)
            .map_err(|_| Problem::because(INVALID_ARGUMENT, "x-amz-content-sha256"))?;
    }
    Ok(Payload::Sha256(digest))
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
