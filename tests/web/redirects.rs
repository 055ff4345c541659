//! Where redirects lead, and where they do not.

use crate::common::*;
use crate::server::{Object, Reply, Request, Server};

fn redirect(status: u16, to: &str) -> Reply {
    Reply::status(status, Vec::new()).with("location", to)
}

/// `/0` leads to `/1` and so on, up to `/last`, which is a disk.
fn chain(status: u16, last: usize) -> Server {
    let object = Object::new(disk());
    Server::new(move |request| {
        let number: usize = request.path[1..].trim_end_matches(".img").parse().unwrap();
        match number == last {
            true => object.answer(request),
            false => redirect(status, &format!("/{}.img", number + 1)),
        }
    })
}

#[test]
fn redirects_are_followed_and_listed() {
    for status in [301, 302, 303, 307, 308] {
        let server = chain(status, 3);
        let (code, report) = report(&["--no-url-rules", &server.url("0.img")]);
        assert_eq!(code, 0, "{report}");
        assert_eq!(report["digests"]["sha256"], sha256(&disk()));
        assert_eq!(report["identity"]["url"], server.url("3.img"));
        let before = report["identity"]["redirects"].as_array().unwrap();
        assert_eq!(before.len(), 3);
        assert_eq!(before[0], server.url("0.img"));
    }
    let server = chain(302, 2);
    let arguments = ["--insecure-http", "--keep-going", &server.url("0.img")];
    let (_, report) = report(&arguments);
    let findings = report["findings"].as_array().unwrap();
    let said = findings.iter().find(|f| f["code"] == "url-redirected").unwrap();
    assert_eq!(said["message"].as_str().unwrap().matches(" → ").count(), 2, "{said}");
}

#[test]
fn endless_redirects_end() {
    let (code, found) = report(&["--no-url-rules", &chain(302, 10).url("0.img")]);
    assert_eq!(code, 0, "{found}");
    for server in [chain(302, 11), Server::new(|request| redirect(307, &request.path))] {
        let (code, report) = report(&["--no-url-rules", &server.url("0.img")]);
        assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("redirect")), "{report}");
        assert_eq!(server.requests().len(), 11);
    }
}

#[test]
fn redirects_that_lead_nowhere() {
    let bad: [fn(&Request) -> Reply; 4] = [
        |_| Reply::status(302, Vec::new()),
        |_| redirect(302, "ftp://127.0.0.1/disk.img"),
        |_| redirect(302, "file:///etc/passwd"),
        |_| redirect(302, "http://"),
    ];
    for plan in bad {
        let server = Server::new(plan);
        let (code, report) = report(&["--no-url-rules", &server.url("disk.img")]);
        assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("redirect")), "{report}");
    }
}

#[test]
fn after_a_redirect_the_rest_is_read_from_where_it_led() {
    let object = Object::new(disk());
    let inner = object.clone();
    // The second address is good for one request only, like a signed one.
    let server = Server::new(move |request| match (request.path.as_str(), request.before) {
        ("/disk.img", 0 | 3..) => redirect(302, "/signed?first"),
        ("/signed?first", 1) => Reply { cut: Some(1_000_000), ..inner.answer(request) },
        ("/signed?first", 2) => Reply::status(403, Vec::new()),
        _ => inner.answer(request),
    });
    let (code, report) = report(&["--no-url-rules", &server.url("disk.img")]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["digests"]["sha256"], sha256(&object.bytes));
    assert!(!report.to_string().contains("first"), "{report}");
}
