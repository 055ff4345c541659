//! What is secret is never shown.

use std::process::Output;

use crate::common::*;
use crate::server::{Object, Reply, Server};

const SECRET: &str = "s3cr3t";

fn assert_silent(output: &Output, what: &str) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(SECRET), "{what}: {text}");
    }
}

/// The ways in which a secret comes in.
fn ways(server: &Server) -> Vec<Vec<String>> {
    let port = server.port();
    let url = format!("http://127.0.0.1:{port}");
    vec![
        vec![format!("http://me:{SECRET}@127.0.0.1:{port}/disk.img")],
        vec![format!("http://{SECRET}@127.0.0.1:{port}/disk.img")],
        vec![format!("{url}/disk.img?X-Amz-Signature={SECRET}#{SECRET}")],
        vec![
            "--header".into(),
            format!("Authorization: Bearer {SECRET}"),
            format!("{url}/disk.img"),
        ],
        vec!["--header".into(), format!("X-Key: {SECRET}"), format!("{url}/other")],
        vec!["--header".into(), SECRET.into(), format!("{url}/disk.img")],
        vec!["--header".into(), format!("X-Key: {SECRET}\u{7}"), format!("{url}/disk.img")],
        vec!["--checksums".into(), format!("{url}/sums?{SECRET}"), format!("{url}/disk.img")],
        vec![format!("http://{SECRET}@[::1/disk.img")],
        vec![format!("s3://{SECRET}@bucket/disk.img")],
        vec![format!(" https:/me:{SECRET}@127.0.0.1:1/disk.img?{SECRET}"), "--retries=0".into()],
        vec![format!("https://me:{SECRET}@127.0.0.1:1/disk.img"), "--retries=1".into()],
    ]
}

#[test]
fn no_output_shows_a_secret() {
    let object = Object::new(disk());
    let server = Server::new(move |request| match request.path.as_str() {
        "/other" => Reply::status(302, Vec::new()).with("location", &format!("/disk.img?{SECRET}")),
        // Fails once, so that retries are told too.
        _ if request.before % 3 == 1 => Reply { cut: Some(1000), ..object.answer(request) },
        _ => object.answer(request),
    });
    for way in ways(&server) {
        for more in [
            vec![],
            vec!["--verbose"],
            vec!["--no-url-rules", "--verbose", "--format", "json"],
            vec!["--insecure-http", "--keep-going", "--verbose"],
            vec!["--insecure-http", "--format", "json"],
            vec!["--no-url-rules", "--quick", "-q"],
        ] {
            let output = tidegate().arg("check").args(&way).args(&more).output().unwrap();
            assert_silent(&output, &format!("{way:?} {more:?}"));
        }
    }
    // What the command line itself complains of.
    for arguments in [
        vec!["compare".to_owned(), "a".into(), "b".into(), format!("https://me:{SECRET}@h/x")],
        vec!["explain".to_owned(), "--no".into(), format!("https://h/x?{SECRET}")],
    ] {
        assert_silent(&tidegate().args(&arguments).output().unwrap(), &format!("{arguments:?}"));
    }
}

#[test]
fn the_log_says_what_was_asked() {
    let object = Object::new(disk());
    let server = Server::new(move |request| object.answer(request));
    let output = check(&["-v", "--no-url-rules", &server.url("disk.img")]);
    let said = stderr(&output);
    assert!(said.contains(&format!("GET {} → 200 ", server.url("disk.img"))), "{said}");
}

#[test]
fn headers_go_to_no_other_host_than_the_images() {
    let object = Object::new(disk());
    let sums = format!("{}  disk.img\n", sha256(&object.bytes));
    let images = Server::new(move |request| object.answer(request));
    let lists = Server::new(move |_| Reply::status(200, sums.clone().into_bytes()));
    let header = format!("X-Key: {SECRET}");
    let arguments = ["--no-url-rules", "--header", &header, "--checksums"];
    let (list, image) = (lists.url("SHA256SUMS"), images.url("disk.img"));
    let (code, found) = report(&[&arguments[..], &[&list, &image]].concat());
    assert_eq!(code, 0, "{found}");
    assert!(!lists.requests()[0].headers.contains_key("x-key"));
    assert_eq!(images.requests()[0].headers["x-key"], SECRET);
    // Which of several hosts is meant nobody knows.
    let output = check(&["--no-url-rules", "--header", &header, &image, &lists.url("disk.img")]);
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("one host"), "{output:?}");
    assert_eq!(lists.requests().len(), 1);
}

#[test]
fn headers_go_to_the_origin_only() {
    let object = Object::new(disk());
    let other = Server::new(move |request| object.answer(request));
    let target = other.url("disk.img");
    let inner = target.clone();
    let first = Server::new(move |_| Reply::status(302, Vec::new()).with("location", &inner));
    let scratch = Scratch::new();
    let file = scratch.write("headers", format!("X-Key: {SECRET}\n\nX-More: 1\n").as_bytes());
    let header = format!("@{}", file.display());
    let (code, _) = report(&["--no-url-rules", "--header", &header, &first.url("disk.img")]);
    assert_eq!(code, 0);
    let sent = &first.requests()[0].headers;
    assert_eq!((sent["x-key"].as_str(), sent["x-more"].as_str()), (SECRET, "1"));
    assert!(other.requests().iter().all(|request| !request.headers.contains_key("x-key")));
    assert!(!other.requests().is_empty());
}
