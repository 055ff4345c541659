//! What S3 says to whoever fetches an object by its URL, as its owner or as anybody.

use super::error::{Kind, redacted};
use super::xml;

/// Why an object is not given out, if this is an answer of S3 or of a server that has its form of errors, and what
/// to do about it. `region` is where the answer says that the bucket is. The text is the server's, without signatures.
#[must_use]
pub fn refused(status: u16, region: Option<&str>, body: &[u8]) -> Option<String> {
    let said = xml::refusal(body).filter(|said| !said.code.is_empty())?;
    let expired = said.message.to_ascii_lowercase().contains("expired")
        || matches!(&*said.code, "ExpiredToken" | "RequestExpired");
    let kind = Kind::of(&said.code, status);
    let mut text = kind.to_string();
    if let Some(region) = said.region.as_deref().or(region).filter(|_| is_elsewhere(&kind)) {
        text = format!("the bucket is in the region {region}");
    }
    if !said.message.is_empty() {
        text = format!("{text}: {}", said.message.trim_end_matches('.'));
    }
    text = format!("{text} ({})", said.code);
    let advice = match kind {
        _ if expired => "the time of this URL is over: make a new one",
        Kind::Forbidden if said.code == "InvalidObjectState" => {
            "it is archived: have it restored first"
        }
        Kind::Forbidden => "it is not public, or not there: make it public, or use a presigned URL",
        Kind::NoSuchKey => "look at its name; capital letters count",
        Kind::NoSuchBucket => "look at the bucket's name, and at its region",
        Kind::Region { .. } => match &said.endpoint {
            Some(endpoint) => return Some(redacted(&format!("{text}; ask at {endpoint}"), "")),
            None => "use the URL of that region",
        },
        Kind::UnknownKey | Kind::BadSignature => {
            "the signature in this URL does not count: make a new URL"
        }
        Kind::ClockSkew { .. } => "make a new URL, on a machine whose clock is right",
        Kind::Server | Kind::SlowDown => "try again later",
        _ => return Some(redacted(&text, "")),
    };
    Some(redacted(&format!("{text}; {advice}"), ""))
}

fn is_elsewhere(kind: &Kind) -> bool {
    matches!(kind, Kind::Region { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, code: &str, more: &str) -> String {
        let body = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>{more}</Error>");
        refused(status, Some("eu-1"), body.as_bytes()).unwrap()
    }

    #[test]
    fn codes_have_meanings_and_advice() {
        let expired = "<Message>Request has expired</Message><Expires>x</Expires>";
        for (status, code, more, parts) in [
            (
                403,
                "AccessDenied",
                expired,
                &["Request has expired", "AccessDenied", "make a new"][..],
            ),
            (403, "AccessDenied", "", &["forbidden", "presigned"]),
            (404, "NoSuchKey", "", &["no such object", "name"]),
            (404, "NoSuchBucket", "", &["no such bucket"]),
            (403, "SignatureDoesNotMatch", "", &["signature"]),
            (403, "InvalidObjectState", "", &["archived"]),
            (
                301,
                "PermanentRedirect",
                "<Endpoint>b.s3.example</Endpoint>",
                &["eu-1", "b.s3.example"],
            ),
            (301, "PermanentRedirect", "", &["eu-1", "that region"]),
            (503, "SlowDown", "", &["try again"]),
            (404, "BlobNotFound", "<Message>m.</Message>", &["m (BlobNotFound)"]),
        ] {
            let said = said(status, code, more);
            assert!(parts.iter().all(|part| said.contains(part)), "{code}: {said}");
        }
        for other in ["", "<html><body>no</body></html>", "<Error/>", "{\"code\": 1}"] {
            assert_eq!(refused(403, None, other.as_bytes()), None);
        }
    }
}
