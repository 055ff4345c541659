use super::xml::Xml;

/// An error of S3: status and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) u16, pub(super) &'static str);

pub(super) const ACCESS_DENIED: Code = Code(403, "AccessDenied");
pub(super) const BAD_DIGEST: Code = Code(400, "BadDigest");
pub(super) const BAD_HEADER: Code = Code(400, "AuthorizationHeaderMalformed");
pub(super) const BAD_QUERY: Code = Code(400, "AuthorizationQueryParametersError");
pub(super) const BAD_XML: Code = Code(400, "MalformedXML");
pub(super) const ENTITY_TOO_LARGE: Code = Code(400, "EntityTooLarge");
pub(super) const ENTITY_TOO_SMALL: Code = Code(400, "EntityTooSmall");
pub(super) const INCOMPLETE_BODY: Code = Code(400, "IncompleteBody");
pub(super) const INTERNAL_ERROR: Code = Code(500, "InternalError");
pub(super) const INVALID_ARGUMENT: Code = Code(400, "InvalidArgument");
pub(super) const INVALID_DIGEST: Code = Code(400, "InvalidDigest");
pub(super) const INVALID_KEY_ID: Code = Code(403, "InvalidAccessKeyId");
pub(super) const INVALID_PART: Code = Code(400, "InvalidPart");
pub(super) const INVALID_PART_ORDER: Code = Code(400, "InvalidPartOrder");
pub(super) const INVALID_RANGE: Code = Code(416, "InvalidRange");
pub(super) const INVALID_REQUEST: Code = Code(400, "InvalidRequest");
pub(super) const INVALID_URI: Code = Code(400, "InvalidURI");
pub(super) const KEY_TOO_LONG: Code = Code(400, "KeyTooLongError");
pub(super) const METHOD_NOT_ALLOWED: Code = Code(405, "MethodNotAllowed");
pub(super) const MISSING_LENGTH: Code = Code(411, "MissingContentLength");
pub(super) const NO_SUCH_BUCKET: Code = Code(404, "NoSuchBucket");
pub(super) const NO_SUCH_KEY: Code = Code(404, "NoSuchKey");
pub(super) const NO_SUCH_UPLOAD: Code = Code(404, "NoSuchUpload");
pub(super) const NOT_IMPLEMENTED: Code = Code(501, "NotImplemented");
pub(super) const PAYLOAD_MISMATCH: Code = Code(400, "XAmzContentSHA256Mismatch");
pub(super) const PRECONDITION_FAILED: Code = Code(412, "PreconditionFailed");
pub(super) const SIGNATURE_MISMATCH: Code = Code(403, "SignatureDoesNotMatch");
pub(super) const SLOW_DOWN: Code = Code(503, "SlowDown");
pub(super) const TIME_SKEWED: Code = Code(403, "RequestTimeTooSkewed");

impl Code {
    /// What clients are told where nothing else is said. Ceph's gateway says nothing for most codes, and there are
    /// clients that end with a fault of their own where there is nothing.
    pub(super) fn message(self) -> &'static str {
        match self {
            NOT_IMPLEMENTED => "A header or a parameter asks for something that is not simulated.",
            METHOD_NOT_ALLOWED => "The method is not allowed here.",
            ACCESS_DENIED => "The key may not do this.",
            INTERNAL_ERROR => "The simulator failed.",
            NO_SUCH_BUCKET => "There is no such bucket.",
            NO_SUCH_KEY => "There is no such object.",
            NO_SUCH_UPLOAD => "There is no such upload.",
            SLOW_DOWN => "There were too many requests.",
            _ => "The request is refused.",
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: Code,
    /// For the log; clients are told the code alone.
    pub(super) why: Option<String>,
    /// What clients are told beside the code.
    pub(super) message: &'static str,
}

impl Problem {
    pub(super) fn of(code: Code) -> Problem {
        Problem { code, why: None, message: code.message() }
    }

    pub(super) fn because(code: Code, why: impl Into<String>) -> Problem {
        Problem { code, why: Some(why.into()), message: code.message() }
    }

    /// One that clients are told in words.
    pub(super) fn said(code: Code, message: &'static str) -> Problem {
        Problem { message, ..Problem::because(code, message) }
    }
}

/// The body of an error, in the form of Ceph's gateway, which stands behind Spaces.
pub(super) fn body(code: Code, message: &str, bucket: Option<&str>, request_id: &str) -> String {
    let mut xml = Xml::new();
    xml.open("Error").text("Code", code.1).text("Message", message);
    if let Some(bucket) = bucket {
        xml.text("BucketName", bucket);
    }
    xml.text("RequestId", request_id);
    xml.text("HostId", "simulator").close("Error").finish()
}
