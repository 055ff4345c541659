use hyper::Response;
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED,
};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::time::{Duration, UNIX_EPOCH};

use super::Bucket;
use super::contents::{Acl, Manner, Object, now};
use super::inflow::{Inflow, Stored};
use super::outflow::Body;
use super::problem::*;
use super::request::Call;
use super::serve::{Outcome, document, empty, with_status};
use super::sign::Payload;
use super::xml::Xml;
use crate::bytes::hex;

/// The most bytes of one PUT, part or not; Spaces' own limit.
const LARGEST_PUT: u64 = 5 << 30;
/// Headers of a request that the answers to others have.
const KEPT_HEADERS: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];

/// `PutObject`.
pub(super) async fn put(
    bucket: &Bucket,
    call: &Call,
    payload: Payload,
    inflow: &mut Inflow,
) -> Outcome {
    let key = call.object()?;
    if call.headers.contains_key("x-amz-copy-source") {
        return Err(Problem::because(NOT_IMPLEMENTED, "copies are not simulated"));
    }
    let manner = manner(call)?;
    length(call)?;
    let (id, file) = bucket.there()?.new_file()?;
    let mut unfinished = Unfinished { bucket, id: Some(id) };
    let stored = inflow.store(file, 0, payload, false).await?;
    check(call, payload, &stored)?;
    // It may have vanished while this came.
    let mut contents = bucket.there()?;
    let file = unfinished.id.take().unwrap_or_default();
    let etag = hex(&stored.md5);
    let object = Object {
        manner,
        etag: etag.clone(),
        size: stored.size,
        modified: now(),
        file,
        pieces: vec![(0, stored.size)],
        version: String::new(),
    };
    let version = contents.put(key, object)?;
    Ok(versioned(tagged(&etag), version.as_deref()))
}

/// The file of an object that is not there yet: it goes with the request, however that ends.
struct Unfinished<'a> {
    bucket: &'a Bucket,
    /// `None` once there is an object.
    id: Option<String>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.bucket.contents().remove_file(id);
        }
    }
}

/// `HeadObject` and `GetObject`. What is not public looks to anybody as if it might not be there.
pub(super) fn get(bucket: &Bucket, call: &Call, public_only: bool, body: bool) -> Outcome {
    let contents = bucket.there()?;
    let object = match contents.find(call)? {
        Some(object) if !public_only || object.manner.acl == Acl::PublicRead => object,
        _ if public_only => return Err(Problem::of(ACCESS_DENIED)),
        _ => return Err(Problem::of(NO_SUCH_KEY)),
    };
    let etag = format!("\"{}\"", object.etag);
    if call.header("if-match").is_some_and(|wanted| wanted != "*" && wanted != etag) {
        return Err(Problem::of(PRECONDITION_FAILED));
    }
    let mut response = if call.header("if-none-match") == Some(&etag) {
        empty(304)
    } else {
        let range = call
            .header("range")
            .filter(|_| call.header("if-range").is_none_or(|validator| validator == etag));
        let (status, from, to) = match range.map(|range| wanted(range, object.size)) {
            None | Some(Wanted::All) => (200, 0, object.size),
            Some(Wanted::Part(from, to)) => (206, from, to),
            Some(Wanted::Nothing) => return Err(Problem::of(INVALID_RANGE)),
        };
        let sent = match body {
            true => Body::file(contents.file(&object.file)?, &object.pieces, from, to - from),
            false => Body::Whole(None),
        };
        let mut response = with_status(status, sent);
        response.headers_mut().insert(CONTENT_LENGTH, (to - from).into());
        if status == 206 {
            let range = format!("bytes {from}-{}/{}", to - 1, object.size);
            set(&mut response, CONTENT_RANGE, &range);
        }
        response
    };
    set(&mut response, ETAG, &etag);
    response = versioned(response, contents.versioned.then_some(object.version.as_str()));
    set(&mut response, ACCEPT_RANGES, "bytes");
    let modified = UNIX_EPOCH + Duration::from_secs(object.modified);
    set(&mut response, LAST_MODIFIED, &httpdate::fmt_http_date(modified));
    for (name, value) in &object.manner.headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            set(&mut response, name, value);
        }
    }
    Ok(response)
}

/// `PutObjectAcl`, by its header.
pub(super) fn put_acl(bucket: &Bucket, call: &Call) -> Outcome {
    let acl = acl(call)?.ok_or_else(|| {
        Problem::because(NOT_IMPLEMENTED, "of ACLs, those that x-amz-acl names are simulated")
    })?;
    let mut contents = bucket.there()?;
    contents.find_mut(call)?.manner.acl = acl;
    contents.saved()?;
    Ok(empty(200))
}

/// `GetObjectAcl`.
pub(super) fn get_acl(bucket: &Bucket, call: &Call) -> Outcome {
    const SCHEMA: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
    let contents = bucket.there()?;
    let object = contents.find(call)?.ok_or_else(|| Problem::of(NO_SUCH_KEY))?;
    let mut xml = Xml::answer("AccessControlPolicy");
    xml.open("Owner").text("ID", "1").text("DisplayName", "simulator").close("Owner");
    xml.open("AccessControlList");
    if object.manner.acl == Acl::PublicRead {
        xml.open("Grant").raw(&format!("<Grantee {SCHEMA} xsi:type=\"Group\">"));
        xml.text("URI", EVERYBODY).close("Grantee").text("Permission", "READ").close("Grant");
    }
    xml.open("Grant").raw(&format!("<Grantee {SCHEMA} xsi:type=\"CanonicalUser\">"));
    xml.text("ID", "1").text("DisplayName", "simulator").close("Grantee");
    xml.text("Permission", "FULL_CONTROL").close("Grant").close("AccessControlList");
    Ok(document(200, xml.close("AccessControlPolicy").finish()))
}

/// Who may see what a request makes, and the headers that it shall have.
pub(super) fn manner(call: &Call) -> Result<Manner, Problem> {
    let kept = |name: &str| KEPT_HEADERS.contains(&name) || name.starts_with("x-amz-meta-");
    let headers = call.headers.iter().filter(|(name, _)| kept(name.as_str()));
    let headers = headers.filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    Ok(Manner { acl: acl(call)?.unwrap_or_default(), headers: headers.collect() })
}

fn acl(call: &Call) -> Result<Option<Acl>, Problem> {
    match call.header("x-amz-acl") {
        None => Ok(None),
        Some("private") => Ok(Some(Acl::Private)),
        Some("public-read") => Ok(Some(Acl::PublicRead)),
        Some(other) => Err(Problem::because(INVALID_ARGUMENT, format!("x-amz-acl: {other}"))),
    }
}

/// The length of the body that is coming, which has to be said.
pub(super) fn length(call: &Call) -> Result<u64, Problem> {
    let said = call.header("content-length").ok_or_else(|| Problem::of(MISSING_LENGTH))?;
    match said.parse() {
        Ok(length) if length <= LARGEST_PUT => Ok(length),
        _ => Err(Problem::of(ENTITY_TOO_LARGE)),
    }
}

/// Whether a body is what its request said of it.
pub(super) fn check(call: &Call, payload: Payload, stored: &Stored) -> Result<(), Problem> {
    if let Some(said) = call.header("content-md5") {
        let said = STANDARD.decode(said).ok().filter(|digest| digest.len() == 16);
        if said.ok_or_else(|| Problem::of(INVALID_DIGEST))? != stored.md5 {
            return Err(Problem::of(BAD_DIGEST));
        }
    }
    match payload {
        Payload::Sha256(digest) if stored.sha256 != Some(digest) => {
            Err(Problem::of(PAYLOAD_MISMATCH))
        }
        _ => Ok(()),
    }
}

/// Whether a body that was read is what its request said of it.
pub(super) fn agrees(call: &Call, payload: Payload, body: &[u8]) -> Result<(), Problem> {
    let md5 = md5_simd::digest(body);
    let sha256 = Some(Sha256::digest(body).into());
    check(call, payload, &Stored { size: body.len() as u64, sha256, md5, stored_md5: md5 })
}

/// An answer that says an ETag and nothing else.
pub(super) fn tagged(etag: &str) -> Response<Body> {
    let mut response = empty(200);
    set(&mut response, ETAG, &format!("\"{etag}\""));
    response
}

/// The same answer with the version that it is about, if there are any.
pub(super) fn versioned(mut response: Response<Body>, version: Option<&str>) -> Response<Body> {
    if let Some(version) = version {
        set(&mut response, HeaderName::from_static("x-amz-version-id"), version);
    }
    response
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// It asks for nothing that is understood.
    All,
    /// From, and to before.
    Part(u64, u64),
    /// For bytes behind the end.
    Nothing,
}

fn wanted(range: &str, size: u64) -> Wanted {
    let ends = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'));
    let Some((from, to)) = ends else { return Wanted::All };
    match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), _) if from >= size => Wanted::Nothing,
        (Ok(from), Ok(to)) if to >= from => Wanted::Part(from, to.saturating_add(1).min(size)),
        (Ok(from), _) if to.is_empty() => Wanted::Part(from, size),
        (_, Ok(0)) if from.is_empty() => Wanted::Nothing,
        (_, Ok(_)) if from.is_empty() && size == 0 => Wanted::Nothing,
        (_, Ok(last)) if from.is_empty() => Wanted::Part(size.saturating_sub(last), size),
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=2-5", Wanted::Part(2, 6)),
            ("bytes=2-", Wanted::Part(2, 10)),
            ("bytes=2-18446744073709551615", Wanted::Part(2, 10)),
            ("bytes=-3", Wanted::Part(7, 10)),
            ("bytes=-30", Wanted::Part(0, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::All),
            ("bytes=0-1,4-5", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(wanted(range, 10), expected, "{range}");
        }
        assert_eq!(wanted("bytes=-3", 0), Wanted::Nothing);
    }
}
