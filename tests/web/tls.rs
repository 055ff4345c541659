//! Whom a connection trusts.

use crate::authority::secure;
use crate::common::*;
use crate::server::{Object, Reply, Server};

#[test]
fn a_private_authority_is_trusted_when_it_is_named() {
    let scratch = Scratch::new();
    let object = Object::new(disk());
    let (server, ca) = secure(&scratch, "127.0.0.1", move |request| object.answer(request));
    let ca = ca.to_str().unwrap();
    let url = server.url("disk.img");
    let (code, found) = report(&["--no-url-rules", &url]);
    assert_eq!((code, found["error"]["kind"].as_str()), (3, Some("tls")), "{found}");
    assert!(server.requests().is_empty());
    let (code, found) = report(&["--no-url-rules", "--cacert", ca, &url]);
    assert_eq!(code, 0, "{found}");
    assert_eq!(found["digests"]["sha256"], sha256(&disk()));
    let (_, found) = report(&["--cacert", ca, "--allow", "url-private-host", &url]);
    assert_eq!(
        (found["verdict"].as_str(), codes(&found)),
        (Some("accept"), vec!["url-private-host"])
    );
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let scratch = Scratch::new();
    let object = Object::new(disk());
    let (server, ca) = secure(&scratch, "other.example", move |request| object.answer(request));
    let arguments = ["--no-url-rules", "--cacert", ca.to_str().unwrap(), &server.url("disk.img")];
    let (code, found) = report(&arguments);
    assert_eq!((code, found["error"]["kind"].as_str()), (3, Some("tls")), "{found}");
    assert!(server.requests().is_empty());
}

#[test]
fn no_redirect_leads_out_of_tls() {
    let scratch = Scratch::new();
    let object = Object::new(disk());
    let plain = Server::new(move |request| object.answer(request));
    let target = plain.url("disk.img");
    let redirect =
        move |_: &crate::server::Request| Reply::status(302, Vec::new()).with("location", &target);
    let (server, ca) = secure(&scratch, "127.0.0.1", redirect);
    let arguments = ["--no-url-rules", "--cacert", ca.to_str().unwrap(), &server.url("disk.img")];
    let (code, found) = report(&arguments);
    assert_eq!((code, found["error"]["kind"].as_str()), (3, Some("redirect")), "{found}");
    assert!(plain.requests().is_empty());
}

#[test]
fn a_file_without_certificates_is_wrong_usage() {
    let scratch = Scratch::new();
    for path in [scratch.write("empty.pem", b"nothing"), scratch.path("missing.pem")] {
        let path = path.to_str().unwrap();
        let output = check(&["--cacert", path, "https://127.0.0.1/disk.img"]);
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert!(stderr(&output).contains(path), "{output:?}");
    }
}
