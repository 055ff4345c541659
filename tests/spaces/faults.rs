//! What is tried again, and how often.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate::net::{self, Pace};
use tidegate::spaces::{Acl, Bucket, ETag, Kind, Operation, PartNumber};

use crate::common::{Scratch, sha256};
use crate::server::{Reply, Server};
use crate::support::*;

fn part(bytes: &[u8]) -> Reply {
    Reply::status(200, Vec::new()).with("etag", &format!("\"{}\"", ETag::of(bytes).as_str()))
}

#[test]
fn a_part_is_sent_until_it_arrives() {
    let server = Server::new(|request| match request.before {
        0 => refusal(503, "SlowDown"),
        1 => Reply { silent: true, ..Reply::status(200, Vec::new()) },
        2 => refusal(500, "InternalError"),
        // What arrived was another.
        3 => part(b"damaged"),
        _ => part(&request.body),
    });
    let (bucket, told) = told(&server, 5);
    let body = Bytes::from(vec![7; 300_000]);
    let number = PartNumber::new(3).unwrap();
    let etag = bucket.wait(bucket.put_part(&upload(), number, &body.clone().into())).unwrap();
    assert_eq!(etag, ETag::of(&body));
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    for request in &requests {
        let path = "/images/tidegate/1/disk.qcow2.gz?partNumber=3&uploadId=2~up%2Bload%2F1%3D";
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", path));
        assert_eq!(request.body, body);
        assert_eq!(request.headers["content-length"], "300000");
        let sum = &request.headers["x-amz-content-sha256"];
        assert_eq!(sum.len(), 64);
        assert!(request.headers["authorization"].contains("host;x-amz-content-sha256"));
        assert!(!request.headers.contains_key("transfer-encoding"));
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 4);
    for said in told.iter() {
        assert!(said.contains("PutPart") && said.contains("PartNumber(3)"), "{said}");
        assert!(!said.contains(SECRET) && !said.contains(ACCESS), "{said}");
    }
}

#[test]
fn a_part_that_is_never_what_was_sent_is_an_error() {
    let server = Server::new(|_| part(b"damaged"));
    let bucket = bucket(&server);
    let upload = upload();
    let body = Bytes::from_static(b"whole").into();
    let put = bucket.put_part(&upload, PartNumber::FIRST, &body);
    let error = bucket.wait(put).unwrap_err();
    assert_eq!((error.kind.clone(), error.operation), (Kind::Corrupted, Operation::PutPart));
    assert!(error.to_string().contains(ETag::of(b"damaged").as_str()), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn an_etag_that_is_no_md5_proves_nothing() {
    let server = Server::new(|_| Reply::status(200, Vec::new()).with("etag", "\"v-1\""));
    let bucket = bucket(&server);
    let upload = upload();
    let body = Bytes::from_static(b"whole").into();
    let put = bucket.put_part(&upload, PartNumber::FIRST, &body);
    assert_eq!(bucket.wait(put).unwrap().as_str(), "v-1");
}

#[test]
fn what_has_meaning_is_not_tried_again() {
    for (status, code, kind) in [
        (404, "NoSuchBucket", Kind::NoSuchBucket),
        (404, "NoSuchUpload", Kind::NoSuchUpload),
        (403, "AccessDenied", Kind::Forbidden),
        (403, "InvalidAccessKeyId", Kind::UnknownKey),
        (403, "SignatureDoesNotMatch", Kind::BadSignature),
        (403, "QuotaExceeded", Kind::Quota),
        (400, "AccessControlListNotSupported", Kind::NoAcls),
        (400, "InvalidArgument", Kind::Invalid),
        (501, "NotImplemented", Kind::Unsupported),
    ] {
        let server = Server::new(move |_| refusal(status, code));
        let bucket = bucket(&server);
        let upload = self::upload();
        let body = Bytes::from_static(b"x").into();
        let put = bucket.put_part(&upload, PartNumber::FIRST, &body);
        let error = bucket.wait(put).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(error.code.as_deref(), Some(code));
        assert_eq!(error.request_id.as_deref(), Some("tx01"));
        let said = error.to_string();
        assert!(said.contains(&format!("because of {code} ({status}, {code}, request tx01)")));
        assert_eq!(server.requests().len(), 1, "{code}");
    }
}

#[test]
fn clocks_and_regions_are_named() {
    let server = Server::new(|request| match request.method.as_str() {
        "PUT" => {
            let date = "Fri, 24 May 2013 00:00:00 GMT";
            refusal(403, "RequestTimeTooSkewed").with("date", date)
        }
        _ => Reply::status(301, Vec::new()).with("x-amz-bucket-region", "fra1"),
    });
    let bucket = bucket(&server);
    let said = bucket.wait(bucket.set_acl(&key(), Acl::Private)).unwrap_err().to_string();
    assert!(said.contains(" s ahead of the server's") && said.contains("set this machine's clock"));
    let said = bucket.wait(bucket.head_bucket()).unwrap_err().to_string();
    assert!(said.contains("the bucket is in the region fra1"), "{said}");
}

#[test]
fn an_upload_is_not_begun_twice() {
    let begun =
        "<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>";
    let server = Server::new(move |request| match request.before {
        0 => refusal(503, "SlowDown").with("retry-after", "1"),
        _ => xml(200, begun),
    });
    let begin = Instant::now();
    let bucket = bucket(&server);
    let upload = bucket.wait(bucket.create_upload(&key(), "application/gzip")).unwrap();
    assert_eq!(upload.id.as_str(), "u-1");
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.requests()[1].headers["content-type"], "application/gzip");
    assert_eq!(server.requests()[1].headers["content-length"], "0");
    assert_eq!(server.requests()[1].headers["x-amz-acl"], "private");

    for bad in [
        Reply { silent: true, ..Reply::status(200, Vec::new()) },
        refusal(500, "InternalError"),
        xml(200, "<InitiateMultipartUploadResult/>"),
        xml(200, "<html>"),
    ] {
        let server = Server::new(move |_| bad.clone());
        let bucket = self::bucket(&server);
        let error = bucket.wait(bucket.create_upload(&key(), "application/gzip")).unwrap_err();
        assert!(error.is_ambiguous(), "{error}");
        assert_eq!(server.requests().len(), 1, "{error}");
    }
}

#[test]
fn a_rate_is_shared_and_is_no_silence() {
    let server = Server::new(|request| part(&request.body));
    let mut options = options(&server.url(""), keys());
    // Each part takes longer than anything may be silent.
    options.net.idle_timeout = Duration::from_millis(600);
    options.net.retries = 0;
    options.pace = Some(Pace::new(200_000));
    let bucket = Bucket::new(options).unwrap();
    let begin = Instant::now();
    let four: Vec<_> = (1..=4u16)
        .map(|number| {
            let bucket = bucket.clone();
            std::thread::spawn(move || {
                let number = PartNumber::new(number).unwrap();
                let body = Bytes::from(vec![1; 100_000]);
                bucket
                    .wait(bucket.put_part(&upload(), number, &body.into()))
                    .map(|_| begin.elapsed())
            })
        })
        .collect();
    let took: Vec<Duration> = four.into_iter().map(|one| one.join().unwrap().unwrap()).collect();
    // 400 kB at 200 kB/s; nobody was done early, because all of them share it.
    let (first, last) = (took.iter().min().unwrap(), took.iter().max().unwrap());
    assert!(*last >= Duration::from_millis(1900), "{took:?}");
    assert!(*first >= Duration::from_millis(1400), "{took:?}");
}

#[test]
fn silence_comes_to_an_end() {
    let stall = Some((0, Duration::from_secs(3)));
    let server = Server::new(move |_| Reply { stall, ..xml(200, "<x/>") });
    let mut options = options(&server.url(""), keys());
    options.net.idle_timeout = Duration::from_millis(300);
    options.net.retries = 0;
    let bucket = Bucket::new(options).unwrap();
    let error = bucket.wait(bucket.objects("")).unwrap_err();
    let silent = Kind::Transport { kind: net::Kind::TimedOut, unsent: false };
    assert_eq!(error.kind, silent, "{error}");
}

#[test]
fn what_is_gone_is_deleted() {
    let server = Server::new(|_| refusal(404, "NoSuchKey"));
    let bucket = bucket(&server);
    bucket.wait(bucket.delete(&key())).unwrap();
    assert_eq!(bucket.wait(bucket.head(&key())).unwrap(), None);
    let server = Server::new(|_| refusal(404, "NoSuchBucket"));
    let bucket = self::bucket(&server);
    assert_eq!(bucket.wait(bucket.delete(&key())).unwrap_err().kind, Kind::NoSuchBucket);
}

#[test]
fn anybody_looks_without_a_key() {
    let server = Server::new(|_| {
        Reply::status(302, vec![0; 5])
            .with("location", "http://127.0.0.1:1/elsewhere")
            .with("content-encoding", "gzip")
    });
    let bucket = bucket(&server);
    let seen = bucket.wait(bucket.head_anonymous(&key())).unwrap();
    assert_eq!((seen.status, seen.size), (302, Some(5)));
    assert_eq!(seen.content_encoding.as_deref(), Some("gzip"));
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/images/tidegate/1/disk.qcow2.gz");
    assert!(!requests[0].headers.contains_key("authorization"));
    assert!(requests[0].headers.keys().all(|name| !name.starts_with("x-amz")));
}

#[test]
fn signatures_hold_for_bodies_and_nothing_trails_behind() {
    let scratch = Scratch::new();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let ca = scratch.write("ca.pem", made.cert.pem().as_bytes());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![made.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    let server = Server::secure(|request| part(&request.body), config);
    let mut options = options(&server.url(""), keys());
    options.net.cacert = Some(ca);
    let bucket = Bucket::new(options).unwrap();
    let (upload, body) = (upload(), Bytes::from(vec![3; 3 << 20]));
    bucket.wait(bucket.put_part(&upload, PartNumber::FIRST, &body.clone().into())).unwrap();
    bucket.wait(bucket.delete(&key())).unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].body, body);
    for request in &requests {
        assert_eq!(request.headers["x-amz-content-sha256"], sha256(&request.body));
    }
    for request in &requests {
        let names: Vec<&String> = request.headers.keys().collect();
        assert!(!names.iter().any(|name| name.contains("checksum") || name.contains("trailer")));
    }
}
