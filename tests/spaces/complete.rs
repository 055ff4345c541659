//! The end of an upload: never a guess.

use tidegate::spaces::{Completed, ETag, Error, Kind, Part, PartNumber};

use crate::server::{Reply, Server};
use crate::support::*;

const DONE: &str = "<CompleteMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><ETag>&quot;abc-2&quot;</ETag></CompleteMultipartUploadResult>";

fn parts() -> Vec<Part> {
    let number = PartNumber::FIRST;
    vec![
        Part { number, size: 5 << 20, etag: ETag::of(b"a") },
        Part { number: number.next().unwrap(), size: 1, etag: ETag::new("\"<odd>\"") },
    ]
}

/// What comes of completing, and how many requests it took.
fn complete(answers: Vec<Reply>) -> (Result<Completed, Error>, usize) {
    let server = Server::new(move |request| answers[request.before.min(answers.len() - 1)].clone());
    let bucket = bucket(&server);
    let result = bucket.wait(bucket.complete(&upload(), &parts()));
    let requests = server.requests();
    let body = String::from_utf8(requests[0].body.clone()).unwrap();
    assert!(body.contains("<PartNumber>2</PartNumber><ETag>&quot;&lt;odd&gt;&quot;</ETag>"));
    (result, requests.len())
}

#[test]
fn success_has_a_document() {
    let (done, requests) = complete(vec![xml(200, DONE)]);
    assert_eq!((done.unwrap().etag.as_str(), requests), ("abc-2", 1));
    // Blanks keep the connection alive.
    let (done, _) = complete(vec![xml(200, &format!("    \n   {DONE}"))]);
    assert_eq!(done.unwrap().etag.as_str(), "abc-2");
}

#[test]
fn success_may_be_a_refusal() {
    let (done, requests) = complete(vec![refusal(200, "InvalidPart")]);
    let error = done.unwrap_err();
    assert_eq!((error.kind.clone(), requests), (Kind::Invalid, 1), "{error}");
    assert_eq!(error.code.as_deref(), Some("InvalidPart"));
    assert!(!error.is_ambiguous());
}

#[test]
fn what_had_no_effect_is_tried_again() {
    let (done, requests) = complete(vec![refusal(503, "SlowDown"), xml(200, DONE)]);
    assert!(done.is_ok() && requests == 2);
    let (done, requests) = complete(vec![refusal(404, "NoSuchUpload")]);
    assert_eq!((done.unwrap_err().kind, requests), (Kind::NoSuchUpload, 1));
}

#[test]
fn what_nobody_knows_is_unknown() {
    for answer in [
        Reply { silent: true, ..xml(200, DONE) },
        Reply { cut: Some(20), ..xml(200, DONE) },
        xml(200, &DONE[..60]),
        xml(200, "<html/>"),
        xml(200, "<CompleteMultipartUploadResult/>"),
        xml(200, ""),
        refusal(200, "InternalError"),
        refusal(500, "InternalError"),
        Reply::status(504, b"<html>Gateway Time-out".to_vec()),
    ] {
        let (done, requests) = complete(vec![answer]);
        let error = done.unwrap_err();
        assert_eq!((error.kind.clone(), requests), (Kind::Unknown, 1), "{error}");
        assert!(error.to_string().contains("look whether the object is there"), "{error}");
    }
}

#[test]
fn an_abort_goes_on_until_nothing_is_left() {
    let one = "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><Size>9</Size><ETag>x</ETag></Part></ListPartsResult>";
    let server = Server::new(move |request| match (request.method.as_str(), request.before) {
        ("DELETE", 0) => Reply::status(204, Vec::new()),
        ("DELETE", _) => refusal(404, "NoSuchUpload"),
        (_, 0) => xml(200, one),
        _ => refusal(404, "NoSuchUpload"),
    });
    let bucket = bucket(&server);
    bucket.wait(bucket.abort(&upload())).unwrap();
    let methods: Vec<String> = server.requests().into_iter().map(|one| one.method).collect();
    assert_eq!(methods, ["DELETE", "GET", "DELETE", "GET"]);
}
