use std::fmt;
use std::time::{Duration, SystemTime};

use super::xml;
use crate::bytes::Hostile;
use crate::net::{self, Called, Failure, retry_after};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is named as the method that asks for it
#[non_exhaustive]
pub enum Operation {
    HeadBucket,
    Put,
    CreateUpload,
    PutPart,
    Complete,
    Abort,
    ListParts,
    ListUploads,
    ListObjects,
    Head,
    HeadAnonymous,
    SetAcl,
    GetAcl,
    Delete,
    ListVersions,
    GetVersioning,
    GetObjectLock,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::HeadBucket => "look at the bucket",
            Operation::Put => "write the object",
            Operation::CreateUpload => "begin the upload",
            Operation::PutPart => "upload a part",
            Operation::Complete => "complete the upload",
            Operation::Abort => "abort the upload",
            Operation::ListParts => "list the parts of the upload",
            Operation::ListUploads => "list the open uploads",
            Operation::ListObjects => "list the objects",
            Operation::Head => "look at the object",
            Operation::HeadAnonymous => "look at the object without a key",
            Operation::SetAcl => "set who may read the object",
            Operation::GetAcl => "see who may read the object",
            Operation::Delete => "delete the object",
            Operation::ListVersions => "list the versions",
            Operation::GetVersioning => "see whether the bucket keeps versions",
            Operation::GetObjectLock => "see whether the bucket locks objects",
        })
    }
}

/// Why a request brought nothing. What a server said of it is hostile text, which `Display` shows escaped;
/// the keys and the signature are taken out of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What went wrong, by meaning.
    pub kind: Kind,
    /// What was asked for.
    pub operation: Operation,
    /// The bucket, and the object if it was about one: `bucket/key`.
    pub place: Box<str>,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// S3's name of the error, such as `NoSuchBucket`.
    pub code: Option<Box<str>>,
    /// The server's message, or that of the network.
    pub message: String,
    /// What the provider's support asks for.
    pub request_id: Option<Box<str>>,
}

/// Kinds of [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The bucket does not exist.
    NoSuchBucket,
    /// The object does not exist.
    NoSuchKey,
    /// The upload was completed, aborted, or never was.
    NoSuchUpload,
    /// The key may not do this.
    Forbidden,
    /// The bucket takes no ACLs from anybody.
    NoAcls,
    /// The server does not know the key.
    UnknownKey,
    /// The secret is not that of the key.
    BadSignature,
    /// This machine's clock differs too much from the server's.
    ClockSkew {
        /// By how much this one is ahead (true) or behind, where the server says its time.
        by: Option<(Duration, bool)>,
    },
    /// The bucket is elsewhere.
    Region {
        /// Where, if the server says so.
        expected: Option<String>,
    },
    /// There is no room left that the account may use.
    Quota,
    /// The object is locked, so nobody deletes it.
    Locked {
        /// Until when, as the server writes it; hostile text.
        until: Option<String>,
    },
    /// The server says that it is deleted, and shows it.
    StillThere,
    /// The server says that it is private, and shows it to anybody.
    StillPublic,
    /// What arrived is not what was sent.
    Corrupted,
    /// Too many requests; they had no effect.
    SlowDown,
    /// 5xx.
    Server,
    /// There was no whole answer.
    Transport {
        /// What the network says.
        kind: net::Kind,
        /// Whether certainly nothing of the request was sent.
        unsent: bool,
    },
    /// Nobody knows whether the upload was completed: look for the object.
    Unknown,
    /// An answer of success that is not the document it has to be.
    NotXml,
    /// A document of success that lacks what it has to have, or a list without an end.
    Incomplete,
    /// The server does not know the request.
    Unsupported,
    /// Other refusals of what was asked for.
    Invalid,
    /// An answer of another kind.
    Unexpected,
}

impl Kind {
    /// By S3's name of an error, or else by the status.
    pub(super) fn of(code: &str, status: u16) -> Kind {
        match code {
            "NoSuchBucket" => Kind::NoSuchBucket,
            "NoSuchKey" => Kind::NoSuchKey,
            "NoSuchUpload" => Kind::NoSuchUpload,
            "InvalidAccessKeyId" => Kind::UnknownKey,
            "SignatureDoesNotMatch" => Kind::BadSignature,
            "RequestTimeTooSkewed" => Kind::ClockSkew { by: None },
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException" => Kind::Region { expected: None },
            "AccessControlListNotSupported" => Kind::NoAcls,
            "QuotaExceeded" => Kind::Quota,
            "BadDigest" | "XAmzContentSHA256Mismatch" | "RequestTimeout" | "IncompleteBody" => {
                Kind::Corrupted
            }
            "SlowDown" => Kind::SlowDown,
            "NotImplemented" | "MethodNotAllowed" => Kind::Unsupported,
            "InternalError" | "ServiceUnavailable" | "OperationAborted" => Kind::Server,
            _ => match status {
                429 => Kind::SlowDown,
                401 | 403 => Kind::Forbidden,
                404 => Kind::NoSuchKey,
                301 | 302 | 307 | 308 => Kind::Region { expected: None },
                405 | 501 => Kind::Unsupported,
                408 => Kind::Corrupted,
                400..=499 => Kind::Invalid,
                500.. => Kind::Server,
                _ => Kind::Unexpected,
            },
        }
    }
}

/// What an error is about, and what may not show in it.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) operation: Operation,
    pub(super) place: &'a str,
    /// The id of the key.
    pub(super) access: &'a str,
}

impl Error {
    /// Whether the request may have had its effect although it brought nothing.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        match self.kind {
            Kind::Server | Kind::Unknown | Kind::NotXml | Kind::Incomplete => true,
            Kind::Transport { unsent, .. } => !unsent,
            _ => self.status == Some(408),
        }
    }

    /// Whether certainly nothing of the request was sent.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        matches!(self.kind, Kind::Transport { unsent: true, .. })
    }

    /// Whether asking later may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self.kind {
            Kind::Server | Kind::SlowDown | Kind::Corrupted | Kind::NotXml => true,
            Kind::Transport { kind, .. } => kind.is_passing(),
            _ => self.status == Some(408),
        }
    }

    pub(super) fn new(about: About<'_>, kind: Kind, message: &str) -> Self {
        Error {
            kind,
            operation: about.operation,
            place: about.place.into(),
            status: None,
            code: None,
            message: redacted(message, about.access),
            request_id: None,
        }
    }

    pub(super) fn transport(about: About<'_>, failure: &Failure) -> Self {
        let kind = Kind::Transport { kind: failure.kind, unsent: failure.unsent };
        Error::new(about, kind, &failure.said)
    }

    /// An answer that cannot be used, or says something wrong.
    pub(super) fn answered(about: About<'_>, kind: Kind, called: &Called, message: &str) -> Self {
        let request_id = called.header("x-amz-request-id");
        Error {
            status: Some(called.status),
            request_id: request_id.map(|id| redacted(id, about.access).into()),
            ..Error::new(about, kind, message)
        }
    }

    /// The error that a refusing answer is, which may have a status of success.
    pub(super) fn refusal(about: About<'_>, called: &Called) -> Self {
        let said = xml::refusal(&called.body);
        let code = said.as_ref().map(|said| said.code.as_str()).unwrap_or_default();
        let region = said.as_ref().and_then(|said| said.region.clone());
        let region = region.or_else(|| called.header("x-amz-bucket-region").map(str::to_owned));
        let kind = match Kind::of(code, called.status) {
            Kind::ClockSkew { .. } => Kind::ClockSkew { by: skew(called) },
            Kind::NoSuchKey if code != "NoSuchKey" && about.operation == Operation::HeadBucket => {
                Kind::NoSuchBucket
            }
            Kind::Unexpected if said.is_some() => Kind::Invalid,
            kind => kind,
        };
        let kind = match kind {
            Kind::Region { .. } => {
                Kind::Region { expected: region.map(|region| redacted(&region, about.access)) }
            }
            kind => kind,
        };
        let message = said.as_ref().map(|said| said.message.as_str()).unwrap_or_default();
        let request_id = said.as_ref().and_then(|said| said.request_id.clone());
        let mut error = Error::answered(about, kind, called, message);
        error.code = (!code.is_empty()).then(|| redacted(code, about.access).into());
        if let Some(id) = request_id {
            error.request_id = Some(redacted(&id, about.access).into());
        }
        error
    }

    /// The failure that it is, for the rules of trying again.
    pub(super) fn failure(&self, called: &Called) -> Failure {
        let kind = match self.kind {
            Kind::SlowDown => net::Kind::Status(503),
            Kind::Server => net::Kind::Status(500),
            Kind::Corrupted => net::Kind::Interrupted,
            _ => net::Kind::Protocol,
        };
        let wait = called.header("retry-after").and_then(retry_after);
        Failure { retry_after: wait, ..Failure::new(kind, &called.address, self.to_string()) }
    }

    /// What to do about it.
    fn advice(&self) -> Option<&'static str> {
        use Operation::{GetAcl, HeadAnonymous, SetAcl};
        Some(match self.kind {
            Kind::NoSuchBucket => "create it, or say another one; a bucket is in one region only",
            Kind::Forbidden if self.operation == HeadAnonymous => "it is not public",
            Kind::Forbidden if matches!(self.operation, SetAcl | GetAcl) => {
                "a key that is limited to some buckets may lack the right to ACLs; take one with full access"
            }
            Kind::Forbidden => "take a key that may read and write this bucket",
            Kind::NoAcls => "allow ACLs in its settings, or take another bucket",
            Kind::UnknownKey => {
                "look at the access key's id; keys of the API are not keys of Spaces"
            }
            Kind::BadSignature => "look at the secret key: it does not belong to the key's id",
            Kind::ClockSkew { .. } => "set this machine's clock",
            Kind::Region { .. } => "say the region that the bucket is in",
            Kind::Quota => "make room, or have the limit raised",
            Kind::Unknown => "look whether the object is there",
            Kind::Locked { .. } => "what is locked can be deleted after that",
            Kind::Unsupported => "this server does not have all of S3 that is needed",
            Kind::Server | Kind::SlowDown => "try again later",
            _ => return None,
        })
    }
}

/// By how much this clock differs from that of the answer.
fn skew(called: &Called) -> Option<(Duration, bool)> {
    let theirs = httpdate::parse_http_date(called.header("date")?).ok()?;
    Some(match SystemTime::now().duration_since(theirs) {
        Ok(ahead) => (ahead, true),
        Err(behind) => (behind.duration(), false),
    })
}

/// The text without the key's id, and without anything that looks like a signature: 64 hexadecimal digits. Secrets are
/// not in it any more.
pub(super) fn redacted(text: &str, access: &str) -> String {
    // A secret may only come to light when its escapes are taken off.
    let text = net::masked_text(text.to_owned());
    let text = if access.is_empty() { text } else { text.replace(access, "…") };
    let mut shown = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_ascii_hexdigit() => run.push(c),
            _ => {
                shown.push_str(if run.len() >= 64 { "…" } else { &run });
                run.clear();
                shown.extend(c);
            }
        }
    }
    shown
}

/// In words, as a clause.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::NoSuchBucket => f.write_str("there is no such bucket"),
            Kind::NoSuchKey => f.write_str("there is no such object"),
            Kind::NoSuchUpload => f.write_str("there is no such upload"),
            Kind::Forbidden => f.write_str("it is forbidden"),
            Kind::NoAcls => f.write_str("the bucket takes no ACLs"),
            Kind::UnknownKey => f.write_str("the access key is not known"),
            Kind::BadSignature => f.write_str("the signature is refused"),
            Kind::ClockSkew { by: Some((by, ahead)) } => {
                let way = if *ahead { "ahead of" } else { "behind" };
                write!(f, "this machine's clock is {} s {way} the server's", by.as_secs())
            }
            Kind::ClockSkew { by: None } => f.write_str("this machine's clock is wrong"),
            Kind::Region { expected: Some(region) } => {
                write!(f, "the bucket is in the region {}", Hostile::from(region.as_str()))
            }
            Kind::Region { expected: None } => f.write_str("the bucket is in another region"),
            Kind::Quota => f.write_str("there is no room left"),
            Kind::Locked { until: Some(until) } => {
                write!(f, "it is locked until {}", Hostile::from(until.as_str()))
            }
            Kind::Locked { until: None } => f.write_str("it is locked"),
            Kind::StillThere => f.write_str("it is not gone"),
            Kind::StillPublic => f.write_str("it is not private"),
            Kind::Corrupted => f.write_str("what arrived is not what was sent"),
            Kind::SlowDown => f.write_str("there are too many requests"),
            Kind::Server => f.write_str("the server failed"),
            Kind::Transport { .. } => f.write_str("there is no answer"),
            Kind::Unknown => f.write_str("nobody knows whether it was done"),
            Kind::NotXml | Kind::Incomplete => f.write_str("the answer makes no sense"),
            Kind::Unsupported => f.write_str("the server does not know this request"),
            Kind::Invalid => f.write_str("the request is refused"),
            Kind::Unexpected => f.write_str("the answer is of no kind that S3 has"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} ({}): ", self.operation, Hostile::from(&*self.place))?;
        let kind = self.kind.to_string();
        f.write_str(&kind)?;
        // Some servers say it in the same words.
        let said = self.message.trim().trim_end_matches('.');
        if !said.is_empty() && !said.eq_ignore_ascii_case(&kind) {
            write!(f, ": {}", Hostile::message(&self.message))?;
        }
        let details = [
            self.status.map(|status| status.to_string()),
            self.code.as_deref().map(|code| Hostile::from(code).to_string()),
            self.request_id.as_deref().map(|id| format!("request {}", Hostile::from(id))),
        ];
        let details: Vec<String> = details.into_iter().flatten().collect();
        if !details.is_empty() {
            write!(f, " ({})", details.join(", "))?;
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_signatures_are_taken_out() {
        let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        let said = format!("{signature}; abc123 AKIA");
        assert_eq!(redacted(&said, "AKIA"), "…; abc123 …");
        assert_eq!(redacted(&said, ""), "…; abc123 AKIA");
    }

    #[test]
    fn what_a_server_says_in_the_same_words_is_said_once() {
        let about = || About { operation: Operation::Put, place: "b/k", access: "" };
        for (kind, said) in [
            (Kind::NoSuchBucket, "There is no such bucket."),
            (Kind::NoSuchBucket, "there is no such bucket"),
            (Kind::NoSuchKey, " There is no such object. "),
        ] {
            let error = Error::new(about(), kind, said).to_string().to_lowercase();
            assert_eq!(error.matches("there is no such").count(), 1, "{error}");
        }
        let error = Error::new(about(), Kind::NoSuchBucket, "The specified bucket does not exist");
        assert!(error.to_string().contains("no such bucket: The specified bucket"), "{error}");
    }

    #[test]
    fn what_is_hostile_is_shown_escaped() {
        let about = About { operation: Operation::SetAcl, place: "b/k", access: "" };
        let error = Error::new(about, Kind::Forbidden, "no\u{1b}[31m");
        let said = error.to_string();
        assert!(said.starts_with("cannot set who may read the object (b/k): it is forbidden"));
        assert!(!said.contains('\u{1b}') && said.ends_with("take one with full access"), "{said}");
    }
}
