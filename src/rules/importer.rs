//! Whether DigitalOcean's importer could fetch what a server says of an object.

use std::net::IpAddr;

use crate::bytes::Hostile;
use crate::facts::{Code, Layer, Notebook};
use crate::net::{Address, Header};
use crate::source::remote::{Head, Served};

/// Writes down what makes it uncertain that two requests bring the same bytes, whoever makes them.
pub fn judge_object(served: &Served, notebook: &Notebook<'_>) {
    let note = |code, said: String| notebook.add(code, Layer::File, None, said);
    if let Some(encoding) = &served.encoding {
        let encoding = Hostile::from(encoding.as_str());
        note(
            Code::UrlContentEncoding,
            format!(
                "The answer has the Content-Encoding \"{encoding}\"; its bytes were checked as they came."
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
                    "{} was answered by {peer}, which cannot be reached from outside.",
                    hop.address
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
    if served.hops.len() > 1 && kind.trim_start().to_ascii_lowercase().starts_with("text/html") {
        note(
            Code::UrlLoginPage,
            format!("{asked} leads to {}, which serves a web page.", served.address),
        );
    }
    if let Some(head) = &served.head {
        judge_head(head, served, &note);
    }
    if served.size.is_none() {
        note(Code::UrlNoLength, "The answer has no Content-Length.".into());
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

/// Whether an address can be reached from anywhere (RFC 6890, and RFC 4193 and 4291 for IPv6).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let benchmarks = a == 198 && (b == 18 || b == 19);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || shared
                || benchmarks)
        }
        IpAddr::V6(v6) => {
            // Everything that is public lies in 2000::/3; documentation is 2001:db8::/32.
            let [first, second, ..] = v6.segments();
            first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0xdb8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_and_private_addresses() {
        for public in ["1.1.1.1", "172.15.0.1", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
