//! Whether DigitalOcean's importer could fetch what a server says of an object.

use crate::bytes::Hostile;
use crate::facts::{Code, Layer, Notebook};
use crate::net::{Address, Header, as_host, is_public};
use crate::source::remote::{Head, Served};

/// Writes down what makes it uncertain which bytes there are, whoever asks for them. That the end of them is marked and
/// not announced matters only to the importer.
pub fn judge_object(served: &Served, importer: bool, notebook: &Notebook<'_>) {
    let note = |code, said: String| notebook.add(code, Layer::File, None, said);
    if let Some(encoding) = &served.encoding {
        let encoding = Hostile::from(encoding.as_str());
        note(
            Code::UrlContentEncoding,
            format!(
                "The answer is encoded with \"{encoding}\" (Content-Encoding or Transfer-Encoding); its bytes were checked as they came."
            ),
        );
    }
    if served.pin.strong().is_none() {
        let said = match &served.pin.etag {
            Some(_) => "The server sends a weak ETag only.",
            None => "The server sends no ETag.",
        };
        note(Code::UrlUnpinned, said.into());
    }
    if served.size.is_none() && !served.framed {
        note(
            Code::UrlNoLength,
            "The answer has no Content-Length, and ends where the connection does.".into(),
        );
    } else if served.size.is_none() && importer {
        note(Code::UrlNoLength, "The answer has no Content-Length.".into());
    }
}

/// Writes down what the importer would stumble over. False if a proxy hides who answered.
pub fn judge_fetch(served: &Served, headers: &[Header], notebook: &Notebook<'_>) -> bool {
    let note = |code, said: String| notebook.add(code, Layer::File, None, said);
    let asked = &served.asked;
    judge_address(asked, headers, &note);
    if served.address != *asked {
        let way: Vec<String> = served.hops.iter().map(|hop| hop.address.to_string()).collect();
        note(Code::UrlRedirected, format!("The way to the file: {}.", way.join(" → ")));
    }
    let mut all_seen = true;
    for hop in &served.hops {
        match hop.peer {
            Some(peer) if !is_public(peer) => note(
                Code::UrlPrivateHost,
                format!(
                    "{} was answered by {}, which cannot be reached from outside.",
                    hop.address,
                    as_host(peer)
                ),
            ),
            Some(_) => {}
            None => {
                all_seen = false;
                if names_itself_private(hop.address.host()) {
                    note(
                        Code::UrlPrivateHost,
                        format!(
                            "{} names a host that cannot be reached from outside.",
                            hop.address
                        ),
                    );
                }
            }
        }
    }
    let kind = served.content_type.as_deref().unwrap_or_default();
    if served.hops.len() > 1
        && kind
            .to_ascii_lowercase()
            .split(',')
            .any(|kind| kind.trim_start().starts_with("text/html"))
    {
        note(
            Code::UrlLoginPage,
            format!("{asked} leads to {}, which serves a web page.", served.address),
        );
    }
    if let Some(head) = &served.head {
        judge_head(head, served, &note);
    }
    all_seen
}

fn judge_address(asked: &Address, headers: &[Header], note: &impl Fn(Code, String)) {
    if !asked.is_https() {
        note(Code::UrlNotHttps, format!("{asked} is plain http."));
    }
    if asked.has_credentials() {
        note(Code::UrlCredentials, "The URL has a user name or a password in it.".into());
    }
    if let Some(header) = headers.iter().find(|header| header.may_matter()) {
        note(
            Code::UrlCredentials,
            format!(
                "The check sent the header \"{}\"; DigitalOcean sends none of yours.",
                header.name()
            ),
        );
    }
    if asked.has_query() {
        note(Code::UrlQuery, "The URL goes on with a query string after the path.".into());
    }
    if asked.file_name().is_none() {
        note(Code::UrlNoFileName, format!("{asked} ends in a slash."));
    }
}

fn judge_head(head: &Head, served: &Served, note: &impl Fn(Code, String)) {
    match &head.status {
        Ok(200..300) => {}
        Ok(status) => {
            return note(
                Code::UrlHeadRefused,
                format!("HEAD was answered with {status}, GET brings the file."),
            );
        }
        Err(said) => {
            let said = Hostile::from(said.as_str());
            return note(
                Code::UrlHeadRefused,
                format!("HEAD was not answered ({said}), GET brings the file."),
            );
        }
    }
    match (head.size, served.size) {
        (Some(said), Some(size)) if said != size => {
            note(Code::UrlHeadDiffers, format!("HEAD says {said} bytes, GET brings {size}."))
        }
        (None, Some(size)) => {
            note(Code::UrlHeadDiffers, format!("HEAD says no length, GET brings {size} bytes."))
        }
        _ if head.address.as_ref() != Some(&served.address) => {
            note(Code::UrlHeadDiffers, "HEAD and GET are redirected to different places.".into());
        }
        _ if head.encoding != served.encoding => {
            note(Code::UrlHeadDiffers, "HEAD and GET have different Content-Encodings.".into());
        }
        _ if head.pin.contradicts(&served.pin) => {
            note(Code::UrlHeadDiffers, "HEAD and GET have different ETags or dates.".into());
        }
        _ => {}
    }
}

/// Whether a host is private by what it is called.
fn names_itself_private(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    let local = host == "localhost" || host.ends_with(".localhost") || host.ends_with(".local");
    local || address.is_ok_and(|address| !is_public(address))
}
