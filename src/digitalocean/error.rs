use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::types::{ErrorBody, Image};
use crate::bytes::Hostile;
use crate::net::{self, Called, Failure, masked_text, retry_after};

/// Why a call brought nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What went wrong, by meaning.
    pub kind: Kind,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The API's name of the error, such as `not_found`.
    pub id: Option<String>,
    /// The API's message, or that of the network; hostile text, which `Display` shows escaped.
    pub message: String,
    /// What DigitalOcean's support asks for.
    pub request_id: Option<String>,
}

/// Kinds of [`Error`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// 401: the token is not known, or no longer.
    Unauthorized,
    /// 403: the token may not do this.
    Forbidden {
        /// The scope that is missing, where the API says it.
        missing: Option<String>,
        /// The scope that this call needs, by the API's documentation; `None` if the answer is not the API's: then
        /// the token may be good.
        needed: Option<&'static str>,
    },
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// 400, 422 and other refusals of what was asked for.
    Invalid {
        /// An image that was made nevertheless: a second document stood behind the refusal.
        stray: Option<Box<Image>>,
    },
    /// 429, or it is known that there would be one: then nothing was sent, and there is no status.
    RateLimited {
        /// When calls are taken again.
        until: Option<SystemTime>,
    },
    /// 5xx.
    Server,
    /// There was no whole answer.
    Transport {
        /// What the network says.
        kind: net::Kind,
        /// Whether certainly nothing of the request was sent.
        unsent: bool,
    },
    /// An answer of success that is not JSON.
    NotJson,
    /// An answer of success that lacks what it has to have, or more pages than can be.
    Incomplete,
    /// An answer of another kind, such as a redirect.
    Unexpected,
}

impl Error {
    /// Whether the call may have had its effect although it brought nothing.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        match &self.kind {
            Kind::Server | Kind::NotJson | Kind::Incomplete => true,
            Kind::Transport { unsent, .. } => !unsent,
            // A server that gave up waiting for its own back end says this too.
            _ => self.status == Some(408),
        }
    }

    /// Whether the call was certainly never sent.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        match self.kind {
            Kind::RateLimited { .. } => self.status.is_none(),
            Kind::Transport { unsent, .. } => unsent,
            _ => false,
        }
    }

    /// Whether asking later may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match &self.kind {
            Kind::Server | Kind::RateLimited { .. } | Kind::NotJson | Kind::Incomplete => true,
            Kind::Transport { kind, .. } => kind.is_passing(),
            _ => matches!(self.status, Some(408 | 425)),
        }
    }

    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, status: None, id: None, message: message.into(), request_id: None }
    }

    /// A call that was not made, as none is taken before.
    pub(crate) fn limited(until: SystemTime) -> Self {
        Error::new(Kind::RateLimited { until: Some(until) }, "the API's rate limit is used up")
    }

    pub(super) fn transport(failure: &Failure) -> Self {
        let kind = Kind::Transport { kind: failure.kind, unsent: failure.unsent };
        Error::new(kind, failure.said.clone())
    }

    /// An answer that cannot be used.
    pub(super) fn unusable(kind: Kind, called: &Called, message: impl Into<String>) -> Self {
        Error {
            status: Some(called.status),
            request_id: called.header("x-request-id").map(str::to_owned),
            ..Error::new(kind, message)
        }
    }

    /// The error that a refusing answer is. `scope` is what the call needs.
    pub(super) fn refusal(called: &Called, scope: &'static str) -> Self {
        let (mut body, mut stray) = (None, None);
        // A refusal and the image that was made all the same come in either order.
        for document in documents(&called.body) {
            if body.is_none() {
                body = serde_json::from_value::<ErrorBody>(document.clone()).ok();
            }
            if stray.is_none() {
                stray = image_of(document).map(Box::new);
            }
        }
        let is_api = body.is_some();
        let (id, message, request_id) = match body {
            Some(body) => (Some(body.id), body.message, body.request_id),
            None if (300..400).contains(&called.status) => (None, redirect(called), None),
            None => (None, excerpt(&called.body), None),
        };
        let missing = Some(&message).filter(|_| is_api).and_then(|said| scope_in(said));
        let kind = Kind::of(called, Kind::Forbidden { missing, needed: is_api.then_some(scope) });
        let kind = match kind {
            Kind::Invalid { .. } => Kind::Invalid { stray },
            kind => kind,
        };
        let error = Error::unusable(kind, called, message);
        let request_id = request_id.or(error.request_id);
        Error { id: id.filter(|id| !id.is_empty()), request_id, ..error }
    }

    /// The same, of which nothing may be shown that stands in its body.
    pub(super) fn hushed(called: &Called, scope: &'static str) -> Self {
        let is_api = |document| serde_json::from_value::<ErrorBody>(document).is_ok();
        let needed = documents(&called.body).any(is_api).then_some(scope);
        let kind = Kind::of(called, Kind::Forbidden { missing: None, needed });
        let said = "what it says is not shown, as a key may be in it";
        Error::unusable(kind, called, said)
    }
}

impl Kind {
    /// What the status of a refusing answer means.
    fn of(called: &Called, forbidden: Kind) -> Kind {
        match called.status {
            401 => Kind::Unauthorized,
            403 => forbidden,
            404 => Kind::NotFound,
            409 => Kind::Conflict,
            429 => Kind::RateLimited { until: until(called) },
            400..=499 => Kind::Invalid { stray: None },
            500.. => Kind::Server,
            _ => Kind::Unexpected,
        }
    }
}

/// The JSON documents at the beginning of a body: there may be several.
pub(super) fn documents(body: &[u8]) -> impl Iterator<Item = Value> {
    let values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    values.map_while(Result::ok).map(without_secrets)
}

/// A document without secrets: one may only come to light when its escapes are taken off.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(masked_text(text)),
        Value::Array(values) => values.into_iter().map(without_secrets).collect(),
        Value::Object(values) => values
            .into_iter()
            .map(|(name, value)| (masked_text(name), without_secrets(value)))
            .collect(),
        plain => plain,
    }
}

/// The image that a document is about.
fn image_of(mut document: Value) -> Option<Image> {
    serde_json::from_value(document.get_mut("image")?.take()).ok()
}

/// Where an answer leads to that is not followed.
fn redirect(called: &Called) -> String {
    let asked = &called.address;
    match called.header("location").map(|place| asked.join(place)) {
        Some(Ok(place)) if place.same_origin(asked) => format!(
            "it redirects to {place} of the same server, which is not followed: the API does not redirect, so its \
             address may be wrong"
        ),
        Some(Ok(place)) => {
            let origin =
                asked.join("/").map_or_else(|_| asked.to_string(), |root| root.to_string());
            format!(
                "it redirects to {place}, which is not followed: the token goes to {origin} only"
            )
        }
        Some(Err(_)) | None => "it redirects elsewhere, which is not followed".into(),
    }
}

/// The beginning of a body that is not JSON, for people.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4000)]);
    let text = text.trim();
    let short = |text: &str| {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        words.chars().take(120).collect::<String>()
    };
    if text.is_empty() {
        return "the answer says nothing".into();
    }
    if !text.starts_with('<') {
        return format!("the answer is not JSON: {}", short(text));
    }
    // Gateways answer with pages; what their tags say is of no use here.
    let title = element(text, "title").map(|(_, title, _)| short(title));
    match title.filter(|title| !title.is_empty()).unwrap_or_else(|| short(&plain(text))) {
        empty if empty.is_empty() => "the answer is a web page instead of JSON".into(),
        said => format!("the answer is a web page instead of JSON: {said}"),
    }
}

/// What stands before, in and after the first element of this name. One that does not end is all the rest.
fn element<'a>(page: &'a str, name: &str) -> Option<(&'a str, &'a str, &'a str)> {
    // As long as the page, so that places in one are places in the other.
    let folded = page.to_ascii_lowercase();
    let begin = folded.find(&format!("<{name}"))?;
    let inner = begin + folded[begin..].find('>')? + 1;
    let end = folded[inner..].find(&format!("</{name}")).map_or(page.len(), |at| inner + at);
    Some((&page[..begin], &page[inner..end], &page[end..]))
}

/// The text of a page.
fn plain(page: &str) -> String {
    let mut page = page.to_owned();
    for name in ["script", "style"] {
        while let Some((before, _, after)) = element(&page, name) {
            page = format!("{before} {after}");
        }
    }
    let mut plain = String::with_capacity(page.len());
    let mut in_tag = false;
    for c in page.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                plain.push(' ');
            }
            c if !in_tag => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// When an answer says that calls are taken again: `retry-after` where the burst was too much,
/// `ratelimit-reset` (when the oldest call of the hour no longer counts) otherwise.
pub(super) fn until(called: &Called) -> Option<SystemTime> {
    let left =
        called.header("ratelimit-remaining").and_then(|left| left.trim().parse::<u64>().ok());
    match called.header("retry-after").and_then(retry_after) {
        Some(wait) => SystemTime::now().checked_add(wait),
        // With calls left it is not that limit that the answer is about.
        None => reset(called).filter(|_| left.is_none_or(|left| left == 0)),
    }
}

/// `ratelimit-reset`: seconds since 1970.
pub(super) fn reset(called: &Called) -> Option<SystemTime> {
    let seconds = called.header("ratelimit-reset")?.trim().parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A scope that a message names, such as `image:create`.
fn scope_in(message: &str) -> Option<String> {
    message
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .map(|word| word.trim_matches(':'))
        .find(|word| {
            word.split_once(':').is_some_and(|(what, verb)| {
                !what.is_empty()
                    && matches!(verb, "create" | "read" | "update" | "delete" | "admin" | "access")
            })
        })
        .map(str::to_owned)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = Hostile::message(&self.message);
        match &self.kind {
            Kind::Unauthorized => f.write_str("the token is refused")?,
            Kind::Forbidden { missing, needed } => match missing {
                Some(scope) => {
                    write!(f, "the token lacks the scope {}", Hostile::from(scope.as_str()))?;
                }
                None => match needed {
                    Some(scope) => {
                        write!(f, "the token may not do this; it needs the scope {scope}")?;
                    }
                    None => f.write_str("it is refused, but not in the words of the API")?,
                },
            },
            Kind::NotFound => f.write_str("there is none")?,
            Kind::Conflict => f.write_str("it conflicts with something else")?,
            Kind::Invalid { .. } => f.write_str("the request is refused")?,
            Kind::RateLimited { until: Some(until) } => {
                let wait = until.duration_since(SystemTime::now()).unwrap_or_default();
                let wait = wait.as_secs_f64().ceil();
                write!(f, "there were too many calls; the next is taken in {wait} s")?;
            }
            Kind::RateLimited { until: None } => f.write_str("there were too many calls")?,
            Kind::Server => f.write_str("the API failed")?,
            Kind::Transport { .. } => f.write_str("there is no answer")?,
            Kind::NotJson | Kind::Incomplete => f.write_str("the answer makes no sense")?,
            Kind::Unexpected if matches!(self.status, Some(300..400)) => {
                f.write_str("the API is not there")?;
            }
            Kind::Unexpected => f.write_str("the answer is of no kind that the API has")?,
        }
        write!(f, ": {message}")?;
        match (self.status, &self.request_id) {
            (Some(status), Some(id)) => {
                write!(f, " ({status}, request {})", Hostile::from(id.as_str()))
            }
            (Some(status), None) => write!(f, " ({status})"),
            (None, _) => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_found_in_messages() {
        let said = "Missing required scope: `tag:create`. See https://docs.example/x.";
        assert_eq!(scope_in(said).as_deref(), Some("tag:create"));
        assert_eq!(scope_in("You do not have permission to perform this action."), None);
        assert_eq!(scope_in("at 10:30: no"), None);
    }

    #[test]
    fn two_documents_are_two() {
        let body = include_bytes!("../../testdata/api/two-documents.txt");
        let images: Vec<Image> = documents(body).filter_map(image_of).collect();
        assert_eq!(images.len(), 1);
        assert_eq!(images[0].id, 95_739_054);
        assert_eq!(documents(b"{\"a\":1} <html>").count(), 1);
        assert_eq!(documents(b"<html>").count(), 0);
    }

    #[test]
    fn a_body_that_is_no_json_is_told_in_short() {
        assert_eq!(excerpt(b" \n"), "the answer says nothing");
        assert_eq!(excerpt(b"upstream\n down"), "the answer is not JSON: upstream down");
        let page = |text: &str| excerpt(text.as_bytes());
        let said = "the answer is a web page instead of JSON";
        for empty in ["<html>", "<HTML></HTML>", "<html><style>p { x }</style><script>var a;"] {
            assert_eq!(page(empty), said);
        }
        for (text, shown) in [
            (
                "<html>\n  <h1 class='x'>504 Gateway Time-out</h1>\n<p>a > b",
                "504 Gateway Time-out a > b",
            ),
            ("<head><TITLE>Sign\n in</TITLE></head><body>no", "Sign in"),
            ("<html><head><title></title><style>x</style></head><style>y</style>busy", "busy"),
            ("<script>a<b</script>c<script>d</script>e", "c e"),
        ] {
            assert_eq!(page(text), format!("{said}: {shown}"));
        }
    }
}
