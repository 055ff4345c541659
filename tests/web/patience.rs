//! Every wait on a server has an end, and some servers are not asked at all.

use std::time::{Duration, Instant};

use crate::common::*;
use crate::server::{Object, Reply, Server, long_disk};

/// A server that sends a byte now and then.
fn dripping() -> Server {
    let object = Object::new(long_disk());
    Server::new(move |request| Reply {
        drip: Some((1, Duration::from_millis(100))),
        ..object.answer(request)
    })
}

#[test]
fn a_server_that_drips_is_given_up() {
    let server = dripping();
    for more in [&["--connections", "1"][..], &["--connections", "4"], &["--quick"]] {
        let began = Instant::now();
        let url = server.url("disk.img");
        let arguments = ["--no-url-rules", "--timeout", "1", "--retries", "1", &url];
        let (code, found) = report(&[&arguments[..], more].concat());
        assert_eq!((code, found["error"]["kind"].as_str()), (3, Some("timed-out")), "{found}");
        let said = found["error"]["message"].as_str().unwrap();
        assert!(said.contains("bytes came in") && said.contains("--min-rate"), "{said}");
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
}

#[test]
fn a_list_of_check_sums_that_drips_is_given_up() {
    let lists = Server::new(|_| Reply {
        drip: Some((1, Duration::from_millis(100))),
        ..Reply::status(200, vec![b'a'; 1000])
    });
    let began = Instant::now();
    let scratch = Scratch::new();
    let image = scratch.write("disk.img", &disk());
    let url = lists.url("SHA256SUMS");
    let arguments = ["--no-url-rules", "--timeout", "1", "--retries", "0", "--checksums", &url];
    let output = check(&[&arguments[..], &[image.to_str().unwrap()]].concat());
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("bytes came in"), "{output:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn slow_lines_are_borne_and_the_rate_can_be_set() {
    let object = Object::new(disk());
    // 40 kB a second, of which one connection has to bring 10.
    let plan = move |request: &crate::server::Request| Reply {
        drip: Some((4096, Duration::from_millis(100))),
        stall: Some((160 << 10, Duration::ZERO)),
        ..object.answer(request)
    };
    let server = Server::new(plan);
    let url = server.url("disk.img");
    let arguments =
        ["--no-url-rules", "--connections", "1", "--timeout", "1", "--retries", "0", &url];
    let (_, found) = report(&[&arguments[..], &["--min-rate", "10kB"]].concat());
    assert_eq!(found["error"]["kind"], "interrupted", "{found}");
    let (_, found) = report(&[&arguments[..], &["--min-rate", "200kB"]].concat());
    assert_eq!(found["error"]["kind"], "timed-out", "{found}");
    let output = check(&["--min-rate", "fast", &url]);
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("is no rate"), "{output:?}");
}

#[test]
fn nothing_is_sent_to_private_addresses() {
    let object = Object::new(disk());
    let server = Server::new(move |request| object.answer(request));
    let port = server.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "[::1]"] {
        let url = format!("http://{host}:{port}/disk.img");
        for more in [&["--no-url-rules"][..], &["--insecure-http"]] {
            let (code, found) =
                report(&[&["--public-only", "--retries", "0", &url], more].concat());
            let kind = found["error"]["kind"].as_str();
            assert_eq!((code, kind), (3, Some("private-host")), "{host}: {found}");
            let said = found["error"]["message"].as_str().unwrap();
            assert!(!host.starts_with("[::1") || said.contains("([::1] cannot"), "{said}");
        }
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    // Lists of check sums are asked for by the same client.
    let scratch = Scratch::new();
    let image = scratch.write("disk.img", &disk());
    let sums = server.url("SHA256SUMS");
    let arguments = ["--public-only", "--no-url-rules", "--checksums", &sums];
    let output = check(&[&arguments[..], &[image.to_str().unwrap()]].concat());
    assert_eq!(exit_code(&output), 2, "{output:?}");
    // A proxy would look for the name on its own.
    let output = tidegate()
        .args(["check", "--public-only", "--insecure-http", "http://example.com/disk.img"])
        .env("http_proxy", server.url(""))
        .output()
        .unwrap();
    assert_eq!(exit_code(&output), 3, "{output:?}");
    assert!(stdout(&output).contains("proxy"), "{output:?}");
    assert!(server.requests().is_empty(), "{:?}", server.requests());
}

#[test]
fn a_body_whose_end_nothing_marks_is_told() {
    let object = Object::new(disk());
    let inner = object.clone();
    let server = Server::new(move |request| Reply { unframed: true, ..inner.whole(request) });
    let (code, found) = report(&["--guest=never", "--no-url-rules", &server.url("disk.img")]);
    assert_eq!((code, codes(&found)), (0, vec!["url-no-length"]), "{found}");
    let inner = object.clone();
    let server = Server::new(move |request| Reply { chunked: true, ..inner.whole(request) });
    let (code, found) = report(&["--guest=never", "--no-url-rules", &server.url("disk.img")]);
    assert_eq!((code, codes(&found)), (0, vec![]), "{found}");
}

#[test]
fn errors_of_s3_are_named() {
    let error = |status: u16, code: &str, more: &str| {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>{more}<RequestId>R</RequestId></Error>"
        );
        Reply::status(status, body.into_bytes())
            .with("content-type", "application/xml")
            .with("x-amz-bucket-region", "eu-central-9")
    };
    let echo = "<Message>no Signature=0123456789abcdef0123, no %30123456789abcdef0123</Message>";
    for (reply, kind, parts) in [
        (
            error(403, "AccessDenied", "<Message>Request has expired</Message>"),
            "http-status",
            &["403", "Request has expired", "AccessDenied", "make a new one"][..],
        ),
        (error(403, "AccessDenied", ""), "http-status", &["AccessDenied", "not public"]),
        (error(404, "NoSuchKey", ""), "http-status", &["NoSuchKey", "no such object"]),
        (
            error(301, "PermanentRedirect", "<Endpoint>b.s3.example</Endpoint>"),
            "redirect",
            &["eu-central-9", "PermanentRedirect", "b.s3.example"],
        ),
        (error(403, "SignatureDoesNotMatch", echo), "http-status", &["SignatureDoesNotMatch"]),
    ] {
        let server = Server::new(move |_| reply.clone());
        let url = server.url("disk.img?X-Amz-Signature=0123456789abcdef0123");
        let (code, found) = report(&["--no-url-rules", &url]);
        assert_eq!((code, found["error"]["kind"].as_str()), (3, Some(kind)), "{found}");
        let said = found["error"]["message"].as_str().unwrap();
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        assert!(!said.contains("23456789abcdef0123"), "{said}");
    }
    // It may be over in the middle.
    let object = Object::new(long_disk());
    let server = Server::new(move |request| match request.before {
        0 => Reply { cut: Some(1_000_000), ..object.answer(request) },
        _ => error(403, "AccessDenied", "<Message>Request has expired</Message>"),
    });
    let (code, found) = report(&["--no-url-rules", &server.url("disk.img")]);
    assert_eq!(code, 3, "{found}");
    assert!(found["error"]["message"].as_str().unwrap().contains("expired"), "{found}");
}
