//! Multipart uploads, from their beginning to either end.

use serde_json::json;

use super::s3::*;
use crate::rig::*;

fn body(seed: u8) -> Vec<u8> {
    (0..5 * MIB).map(|at| (at / 4096) as u8 ^ seed).collect()
}

#[test]
fn an_upload_becomes_an_object_when_it_is_complete() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    let ask = s3.ask("POST", "big?uploads").header("x-amz-acl", "public-read");
    let id = ask.header("content-type", "application/gzip").send().element("UploadId").to_owned();
    let bodies = [body(1), body(2), b"the end".to_vec()];
    // In any order, and one of them twice.
    for (number, body) in [(3, &bodies[2]), (1, &bodies[1]), (2, &bodies[1]), (1, &bodies[0])] {
        let got = s3.part("big", &id, number, body).send();
        assert_eq!((got.status, got.etag()), (200, md5(body).as_str()));
    }
    assert_eq!(s3.anybody("big"), 403);
    assert_eq!(rig.state()["uploads"], json!([{"key": "big", "upload_id": id}]));
    let etags: Vec<String> = bodies.iter().map(|body| md5(body)).collect();
    let first = s3.get(&format!("big?uploadId={id}&max-parts=2"));
    assert_eq!(
        (first.element("IsTruncated"), first.element("NextPartNumberMarker")),
        ("true", "2")
    );
    assert_eq!(first.elements("Size"), ["5242880", "5242880"]);
    let second = s3.get(&format!("big?uploadId={id}&max-parts=2&part-number-marker=2"));
    assert_eq!(
        (second.element("IsTruncated"), second.elements("PartNumber")),
        ("false", vec!["3"])
    );
    assert_eq!(second.element("ETag"), format!("&quot;{}&quot;", etags[2]));
    let done = s3.complete("big", &id, &etags).unwrap();
    let of_parts: Vec<u8> = bodies.iter().flat_map(|body| md5_bytes(body)).collect();
    assert_eq!((done.status, done.element("Key")), (200, "big"));
    assert_eq!(done.element("ETag"), format!("&quot;{}-3&quot;", md5(&of_parts)));
    let got = s3.ask("GET", "big").unsigned().send();
    assert!(got.body == bodies.concat());
    assert_eq!(got.headers["content-type"], "application/gzip");
    // A range that lies in two parts.
    let range = format!("bytes={}-{}", 5 * MIB - 3, 5 * MIB + 2);
    let got = s3.ask("GET", "big").header("range", &range).send();
    assert!(got.body == bodies.concat()[5 * MIB - 3..5 * MIB + 3]);
    assert_eq!(s3.complete("big", &id, &etags).unwrap().error(), (404, "NoSuchUpload"));
    assert_eq!(rig.state()["uploads"], json!([]));
}

fn md5_bytes(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    md5::Md5::digest(bytes).to_vec()
}

#[test]
fn what_does_not_add_up_is_not_completed() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    let id = s3.begin("k");
    for (number, text) in [(1, b"small"), (2, b"other")] {
        assert_eq!(s3.part("k", &id, number, text).send().status, 200);
    }
    let (one, two) = (md5(b"small"), md5(b"other"));
    let complete = |etags: &[&String]| {
        let etags: Vec<String> = etags.iter().map(|etag| (*etag).clone()).collect();
        s3.complete("k", &id, &etags).unwrap()
    };
    assert_eq!(complete(&[&one, &two]).error(), (400, "EntityTooSmall"));
    assert_eq!(complete(&[&two]).error(), (400, "InvalidPart"));
    assert_eq!(complete(&[&one, &two, &one]).error(), (400, "EntityTooSmall"));
    assert_eq!(complete(&[]).error(), (400, "MalformedXML"));
    let target = format!("k?uploadId={id}");
    let part = |n: u32, etag: &str| {
        format!("<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    for (parts, error) in [
        (part(2, &two) + &part(1, &one), (400, "InvalidPartOrder")),
        (part(1, &one) + &part(1, &one), (400, "InvalidPartOrder")),
        (part(7, &one), (400, "InvalidPart")),
        ("<Part>".to_owned(), (400, "MalformedXML")),
    ] {
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let got = s3.ask("POST", &target).body(body.as_bytes()).send();
        assert_eq!(got.error(), error, "{parts}");
    }
    for number in ["0", "10001", "x", ""] {
        let got = s3.ask("PUT", &format!("k?partNumber={number}&uploadId={id}")).send();
        assert_eq!(got.error(), (400, "InvalidArgument"), "{number}");
    }
    // The id belongs to the key.
    assert_eq!(s3.part("other", &id, 1, b"").send().error(), (404, "NoSuchUpload"));
    assert_eq!(s3.ask("DELETE", &format!("other?uploadId={id}")).send().status, 404);
    // After all that it can be completed, from fewer parts than there are.
    assert_eq!(complete(&[&one]).status, 200);
    assert_eq!(s3.get("k").body, b"small");
}

#[test]
fn an_upload_that_is_aborted_leaves_nothing() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    let id = s3.begin("k");
    s3.part("k", &id, 1, b"x").send();
    let target = format!("k?uploadId={id}");
    assert_eq!(s3.ask("DELETE", &target).send().status, 204);
    assert_eq!(s3.ask("DELETE", &target).send().error(), (404, "NoSuchUpload"));
    assert_eq!(s3.get(&target).error(), (404, "NoSuchUpload"));
    assert_eq!(s3.part("k", &id, 1, b"x").send().error(), (404, "NoSuchUpload"));
    let state = rig.state();
    assert_eq!((&state["objects"], &state["uploads"]), (&json!([]), &json!([])));
}

#[test]
fn uploads_are_listed_with_pages() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    let mut begun: Vec<(String, String)> =
        ["a/1", "a/1", "a/1", "a/2", "b"].map(|key| (key.to_owned(), s3.begin(key))).to_vec();
    begun.sort();
    let (mut listed, mut marker) = (Vec::new(), String::new());
    loop {
        let got = s3.get(&format!("?uploads&max-uploads=2&prefix=a%2F{marker}"));
        let ids = got.elements("UploadId").into_iter().map(str::to_owned);
        listed.extend(got.elements("Key").into_iter().map(str::to_owned).zip(ids));
        if got.element("IsTruncated") == "false" {
            break;
        }
        marker = format!(
            "&key-marker={}&upload-id-marker={}",
            got.element("NextKeyMarker").replace('/', "%2F"),
            got.element("NextUploadIdMarker")
        );
    }
    assert_eq!(listed, begun[..4]);
    assert_eq!(s3.get("?uploads&key-marker=a%2F1").elements("Key"), ["a/2", "b"]);
    assert_eq!(s3.get("?uploads").elements("Initiated").len(), 5);
}
