//! Who is let in, and what a request has to say of itself.

use serde_json::json;

use super::s3::*;
use crate::rig::Rig;

#[test]
fn what_is_signed_wrongly_is_refused_by_name() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    s3.put("a", b"body", "private");
    let with = |change: fn(&mut S3)| {
        let mut other = s3.clone();
        change(&mut other);
        other.get("a")
    };
    assert_eq!(with(|s3| s3.secret.push('x')).error(), (403, "SignatureDoesNotMatch"));
    assert_eq!(with(|s3| s3.id.push('x')).error(), (403, "InvalidAccessKeyId"));
    assert_eq!(with(|s3| s3.region = "fra1".into()).error(), (400, "AuthorizationHeaderMalformed"));
    assert_eq!(with(|s3| s3.region = "us-east-1".into()).body, b"body");
    for skew in [-1000, 1000] {
        let got = s3.ask("GET", "a").skewed(skew).send();
        assert_eq!(got.error(), (403, "RequestTimeTooSkewed"));
        assert_eq!(s3.ask("GET", "a").skewed(skew / 2).send().status, 200);
    }
    assert_eq!(s3.ask("GET", "a").unsigned().send().error(), (403, "AccessDenied"));
    assert_eq!(s3.ask("PUT", "a").unsigned().send().error(), (403, "AccessDenied"));
    let presigned = s3.ask("GET", "a?X-Amz-Signature=00&X-Amz-Expires=60").unsigned().send();
    assert_eq!(presigned.error(), (501, "NotImplemented"));
    let got = s3.get("a");
    assert!(got.headers["x-amz-request-id"].starts_with("tx"), "{got:?}");
}

#[test]
fn a_body_is_what_was_signed() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    let id = s3.begin("b");
    let part = format!("b?partNumber=1&uploadId={id}");
    for target in ["a", &part] {
        let ask = || s3.ask("PUT", target).body(b"body");
        let other = "0".repeat(64);
        for (payload, error) in [
            (other.as_str(), (400, "XAmzContentSHA256Mismatch")),
            ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", (400, "XAmzContentSHA256Mismatch")),
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", (501, "NotImplemented")),
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", (501, "NotImplemented")),
            ("nothing", (400, "InvalidArgument")),
        ] {
            assert_eq!(ask().payload(payload).send().error(), error, "{target}: {payload}");
        }
        for (name, value, error) in [
            ("content-encoding", "aws-chunked", (400, "XAmzContentSHA256Mismatch")),
            ("x-amz-trailer", "x-amz-checksum-crc32", (400, "XAmzContentSHA256Mismatch")),
            ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", (400, "BadDigest")),
            ("content-md5", "AAAA", (400, "InvalidDigest")),
            ("content-md5", "?", (400, "InvalidDigest")),
            ("transfer-encoding", "chunked", (411, "MissingContentLength")),
        ] {
            let chunks: &[u8] = b"4\r\nbody\r\n0\r\n\r\n";
            let body = if name == "transfer-encoding" { chunks } else { b"body" };
            let got = s3.ask("PUT", target).header(name, value).body(body).send();
            assert_eq!(got.error(), error, "{target}: {name}");
        }
    }
    assert_eq!(rig.state()["objects"], json!([]));
    assert_eq!(s3.get(&format!("b?uploadId={id}")).elements("Part"), [""; 0]);
    for target in ["a", &part] {
        let right = "hBotaJrYa9FhFEdFPCLG/A==";
        let ask = s3.ask("PUT", target).body(b"body").header("content-md5", right);
        let ask = ask.payload("UNSIGNED-PAYLOAD");
        assert_eq!((ask.send().status, ask.send().etag()), (200, md5(b"body").as_str()));
    }
}

#[test]
fn minted_keys_may_what_they_were_granted() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    s3.put("a", b"body", "private");
    let mint = |bucket: &str, permission: &str| {
        let grants = json!([{"bucket": bucket, "permission": permission}]);
        let got = rig.post("/v2/spaces/keys", &json!({"name": permission, "grants": grants}));
        assert_eq!(got.status, 201, "{got:?}");
        let key = got.json()["key"].clone();
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        S3 { id: text("access_key"), secret: text("secret_key"), ..s3.clone() }
    };
    let statuses = |s3: &S3| {
        [
            s3.get("a").status,
            s3.ask("PUT", "b").body(b"x").send().status,
            s3.ask("PUT", "b").header("x-amz-acl", "private").send().status,
            s3.ask("PUT", "b").header("x-amz-acl", "public-read").send().status,
            s3.ask("POST", "b?uploads").header("x-amz-acl", "public-read").send().status,
            s3.ask("PUT", "a?acl").header("x-amz-acl", "private").send().status,
            s3.ask("DELETE", "b").send().status,
        ]
    };
    for (bucket, permission, expected) in [
        ("simulated", "read", [200, 403, 403, 403, 403, 403, 403]),
        ("simulated", "readwrite", [200, 200, 200, 403, 403, 403, 204]),
        ("simulated", "fullaccess", [200, 200, 200, 200, 200, 200, 204]),
        ("", "fullaccess", [200, 200, 200, 200, 200, 200, 204]),
        ("elsewhere", "fullaccess", [403; 7]),
    ] {
        assert_eq!(statuses(&mint(bucket, permission)), expected, "{bucket}: {permission}");
    }
    let own = mint("simulated", "read");
    let listed = rig.get("/v2/spaces/keys?per_page=2&page=3").json();
    assert_eq!(
        (&listed["meta"]["total"], &listed["keys"][1]["access_key"]),
        (&json!(6), &json!(own.id))
    );
    let one = rig.get(&format!("/v2/spaces/keys/{}", own.id));
    assert_eq!(one.json()["key"]["grants"], json!([{"bucket": "simulated", "permission": "read"}]));
    assert!(!one.body.contains(&own.secret) && !listed.to_string().contains("secret"));
    assert_eq!(rig.get("/v2/spaces/keys?name=fullaccess").json()["meta"]["total"], 3);
    assert_eq!(own.get("a").status, 200);
    let path = format!("/v2/spaces/keys/{}", own.id);
    assert_eq!(rig.send("DELETE", &path, None).status, 204);
    assert_eq!(own.get("a").error(), (403, "InvalidAccessKeyId"));
    assert_eq!(rig.send("DELETE", &path, None).status, 404);
    for body in [
        "{}",
        r#"{"name": ""}"#,
        r#"{"name": "x", "grants": [{"bucket": "x", "permission": "y"}]}"#,
    ] {
        assert_eq!(rig.send("POST", "/v2/spaces/keys", Some(body)).status, 400, "{body}");
    }
}
