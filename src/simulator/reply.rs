use serde::Serialize;

/// An answer of the API, before the headers that all answers have.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
    /// Whether the body is a web page instead of JSON.
    pub(super) html: bool,
    /// Seconds in a `retry-after` header.
    pub(super) retry_after: Option<u64>,
    /// Goes into the log, for whoever looks for the mistake.
    pub(super) why: Option<String>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    id: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// Ids and messages of errors, to the letter of the published examples, and whether the body of the
/// example has a request id.
const ERRORS: [(u16, &str, &str, bool); 8] = [
    (400, "bad_request", "error parsing request body", true),
    (401, "unauthorized", "Unable to authenticate you.", false),
    (403, "forbidden", "You do not have permission to perform this action.", false),
    (404, "not_found", "The resource you requested could not be found.", false),
    (409, "conflict", "The request could not be completed due to a conflict.", false),
    (422, "unprocessable_entity", "request payload validation failed", true),
    (429, "too_many_requests", "API rate limit exceeded.", false),
    (500, "server_error", "Unexpected server-side error", false),
];

impl Reply {
    /// A JSON document.
    pub(super) fn json(status: u16, document: &impl Serialize) -> Reply {
        match serde_json::to_string(document) {
            Ok(body) => Reply::new(status, body),
            Err(error) => Reply { why: Some(error.to_string()), ..Reply::error(500, "") },
        }
    }

    /// No body at all.
    pub(super) fn empty() -> Reply {
        Reply::new(204, String::new())
    }

    fn new(status: u16, body: String) -> Reply {
        Reply { status, body, html: false, retry_after: None, why: None }
    }

    /// The published error of this status.
    pub(super) fn error(status: u16, request_id: &str) -> Reply {
        Reply::said(status, None, request_id)
    }

    /// An error with another message than the published one.
    pub(super) fn said(status: u16, message: Option<&str>, request_id: &str) -> Reply {
        let (_, id, usual, with_id) = ERRORS
            .into_iter()
            .find(|(known, ..)| *known == status)
            .unwrap_or((status, "server_error", "Unexpected server-side error", false));
        let request_id = (with_id && !request_id.is_empty()).then_some(request_id);
        let body = ErrorBody { id, message: message.unwrap_or(usual), request_id };
        // Three strings can always be written.
        Reply::new(status, serde_json::to_string(&body).unwrap_or_default())
    }

    /// The published refusal of a request that cannot be met; the log says what is wrong with it.
    pub(super) fn invalid(why: &str, request_id: &str) -> Reply {
        Reply { why: Some(why.to_owned()), ..Reply::error(422, request_id) }
    }

    /// What stands in front of the API answers when the API does not.
    pub(super) fn page(status: u16) -> Reply {
        let title = match status {
            502 => "502 Bad Gateway",
            503 => "503 Service Unavailable",
            _ => "504 Gateway Time-out",
        };
        let body = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
        );
        Reply { html: true, ..Reply::new(status, body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Transcribed from the published examples.
    #[test]
    fn errors_are_to_the_letter() {
        for (status, body) in [
            (
                400,
                r#"{"id":"bad_request","message":"error parsing request body","request_id":"4851a473"}"#,
            ),
            (401, r#"{"id":"unauthorized","message":"Unable to authenticate you."}"#),
            (
                403,
                r#"{"id":"forbidden","message":"You do not have permission to perform this action."}"#,
            ),
            (
                404,
                r#"{"id":"not_found","message":"The resource you requested could not be found."}"#,
            ),
            (
                409,
                r#"{"id":"conflict","message":"The request could not be completed due to a conflict."}"#,
            ),
            (
                422,
                r#"{"id":"unprocessable_entity","message":"request payload validation failed","request_id":"4851a473"}"#,
            ),
            (429, r#"{"id":"too_many_requests","message":"API rate limit exceeded."}"#),
            (500, r#"{"id":"server_error","message":"Unexpected server-side error"}"#),
        ] {
            let reply = Reply::error(status, "4851a473");
            assert_eq!((reply.status, reply.body.as_str()), (status, body));
        }
    }
}
