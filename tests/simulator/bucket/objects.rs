//! Objects, who may see them, and the bucket they are in.

use serde_json::json;

use super::s3::*;
use crate::common::*;
use crate::rig::*;

#[test]
fn objects_are_as_they_were_put() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    let ask = s3.ask("PUT", "tidegate/a%20b/c").body(b"0123456789");
    let put = ask.header("content-type", "application/gzip").header("x-amz-meta-push", "7").send();
    assert_eq!((put.status, put.etag()), (200, md5(b"0123456789").as_str()));
    assert_eq!(
        rig.state()["objects"],
        json!([{"key": "tidegate/a b/c", "acl": "private", "size": 10}])
    );
    let get = s3.get("tidegate/a%20b/c");
    assert_eq!((get.status, get.body.as_slice()), (200, b"0123456789".as_slice()));
    let head = s3.ask("HEAD", "tidegate/a%20b/c").send();
    for got in [&get, &head] {
        for (name, value) in [
            ("content-length", "10"),
            ("content-type", "application/gzip"),
            ("x-amz-meta-push", "7"),
            ("accept-ranges", "bytes"),
        ] {
            assert_eq!(got.headers[name], value);
        }
        assert!(got.headers["last-modified"].ends_with(" GMT"));
        assert_eq!(got.etag(), put.etag());
    }
    assert_eq!((head.status, head.body.len()), (200, 0));
    let etag = put.headers["etag"].clone();
    for (name, value, status, body) in [
        ("range", "bytes=2-4", 206, "234"),
        ("range", "bytes=8-", 206, "89"),
        ("if-match", &etag, 200, "0123456789"),
        ("if-none-match", &etag, 304, ""),
    ] {
        let got = s3.ask("GET", "tidegate/a%20b/c").header(name, value).send();
        assert_eq!((got.status, got.text()), (status, body), "{name}: {value}");
    }
    let ranged = s3.ask("GET", "tidegate/a%20b/c").header("range", "bytes=2-4");
    assert_eq!(ranged.send().headers["content-range"], "bytes 2-4/10");
    assert_eq!(ranged.clone().header("if-range", &etag).send().status, 206);
    assert_eq!(ranged.clone().header("if-range", "\"other\"").send().status, 200);
    for (name, value, error) in [
        ("range", "bytes=10-", (416, "InvalidRange")),
        ("if-match", "\"other\"", (412, "PreconditionFailed")),
    ] {
        let got = s3.ask("GET", "tidegate/a%20b/c").header(name, value).send();
        assert_eq!(got.error(), error, "{name}: {value}");
    }
    // Another body takes its place, and it can be deleted twice.
    s3.put("tidegate/a%20b/c", b"", "private");
    assert_eq!(s3.get("tidegate/a%20b/c").headers["content-length"], "0");
    for _ in 0..2 {
        assert_eq!(s3.ask("DELETE", "tidegate/a%20b/c").send().status, 204);
    }
    assert_eq!(s3.get("tidegate/a%20b/c").error(), (404, "NoSuchKey"));
    assert_eq!(rig.state()["objects"], json!([]));
}

#[test]
fn anybody_sees_what_is_public_and_nothing_else() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    s3.put("a", b"body", "private");
    assert_eq!([s3.anybody("a"), s3.anybody("none"), s3.anybody("")], [403; 3]);
    let set = |acl: &str| s3.ask("PUT", "a?acl").header("x-amz-acl", acl).send();
    let everybody = "http://acs.amazonaws.com/groups/global/AllUsers";
    for (acl, status, named) in [("public-read", 200, true), ("private", 403, false)] {
        assert_eq!(set(acl).status, 200);
        assert_eq!(s3.anybody("a"), status, "{acl}");
        assert_eq!(rig.state()["objects"][0]["acl"], acl);
        let grants = s3.get("a?acl");
        assert_eq!(grants.elements("URI").contains(&everybody), named, "{grants:?}");
        assert!(grants.elements("Permission").contains(&"FULL_CONTROL"));
    }
    assert_eq!(set("public-read-write").error(), (400, "InvalidArgument"));
    assert_eq!(s3.ask("PUT", "a?acl").send().error(), (501, "NotImplemented"));
    let none = s3.ask("PUT", "none?acl").header("x-amz-acl", "private").send();
    assert_eq!(none.error(), (404, "NoSuchKey"));
    s3.put("b", b"body", "public-read");
    let got = s3.ask("GET", "b").unsigned().send();
    assert_eq!((got.status, got.body.as_slice()), (200, b"body".as_slice()));
    assert_eq!(s3.ask("GET", "b?acl").unsigned().send().error(), (403, "AccessDenied"));
    assert_eq!(s3.ask("GET", "?list-type=2").unsigned().send().error(), (403, "AccessDenied"));
}

#[test]
fn lists_have_pages() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    for key in ["a/1", "a/2", "a/3%20%26", "b"] {
        s3.put(key, b"x", "private");
    }
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let got = s3.get(&format!("?list-type=2&max-keys=2&prefix=a%2F{token}"));
        listed.extend(got.elements("Key").into_iter().map(str::to_owned));
        if got.element("IsTruncated") == "false" {
            break;
        }
        token = format!("&continuation-token={}", got.element("NextContinuationToken"));
    }
    assert_eq!(listed, ["a/1", "a/2", "a/3 &amp;"]);
    let encoded = s3.get("?encoding-type=url&list-type=2&start-after=a%2F2");
    assert_eq!(encoded.elements("Key"), ["a/3%20%26", "b"]);
    assert_eq!((encoded.element("KeyCount"), encoded.elements("Size")), ("2", vec!["1", "1"]));
    for query in ["?list-type=2&continuation-token=x", "?list-type=2&max-keys=x"] {
        assert_eq!(s3.get(query).error(), (400, "InvalidArgument"), "{query}");
    }
}

#[test]
fn lists_are_cut_at_a_delimiter_in_both_versions() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    for key in ["a/1", "a/2", "a/b/3", "b", "c/4", "c/5", "d"] {
        s3.put(key, b"x", "private");
    }
    let names = |got: &Got| {
        let keys = got.elements("Key").into_iter().map(str::to_owned);
        let common = got.elements("CommonPrefixes").into_iter();
        let common = common.map(|one| one.replace("<Prefix>", "").replace("</Prefix>", ""));
        (keys.collect::<Vec<_>>(), common.collect::<Vec<_>>())
    };
    let all = |keys: &[&str], common: &[&str]| {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        (own(keys), own(common))
    };
    for version in ["", "&list-type=2"] {
        let get = |query: &str| s3.get(&format!("?{query}{version}"));
        assert_eq!(names(&get("delimiter=%2F")), all(&["b", "d"], &["a/", "c/"]), "{version}");
        assert_eq!(names(&get("delimiter=%2F&prefix=a%2F")), all(&["a/1", "a/2"], &["a/b/"]));
        assert_eq!(names(&get("delimiter=&prefix=c")), all(&["c/4", "c/5"], &[]));
        // Page by page, each entry once.
        let (mut keys, mut common, mut after) = (Vec::new(), Vec::new(), String::new());
        for _ in 0..9 {
            let got = get(&format!("delimiter=%2F&max-keys=1{after}"));
            let (more, others) = names(&got);
            keys.extend(more);
            common.extend(others);
            if got.element("IsTruncated") == "false" {
                break;
            }
            after = match version {
                "" => format!("&marker={}", got.element("NextMarker").replace('/', "%2F")),
                _ => format!("&continuation-token={}", got.element("NextContinuationToken")),
            };
        }
        assert_eq!((keys, common), all(&["b", "d"], &["a/", "c/"]), "{version}");
    }
    let first = s3.get("?marker=b&max-keys=1");
    assert_eq!((first.element("Key"), first.element("Marker")), ("c/4", "b"));
    assert!(first.text().contains("<Owner>") && first.elements("KeyCount").is_empty());
}

#[test]
fn many_objects_are_deleted_by_one_request() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    for key in ["a", "b%26c", "d", "e"] {
        s3.put(key, b"x", "private");
    }
    let delete = |body: &str| s3.ask("POST", "?delete").body(body.as_bytes()).send();
    let got = delete(
        "<Delete><Object><Key>a</Key></Object><Object><Key>b&amp;c</Key></Object><Object><Key>none</Key></Object></Delete>",
    );
    assert_eq!((got.status, got.elements("Key")), (200, vec!["a", "b&amp;c", "none"]));
    let quiet = delete("<Delete><Quiet>true</Quiet><Object><Key>d</Key></Object></Delete>");
    assert_eq!((quiet.status, quiet.elements("Key").len()), (200, 0));
    assert_eq!(rig.state()["objects"], json!([{"key": "e", "acl": "private", "size": 1}]));
    let many = format!("<Delete>{}</Delete>", "<Object><Key>e</Key></Object>".repeat(1001));
    for bad in ["", "<Delete></Delete>", "<Other></Other>", many.as_str()] {
        assert_eq!(delete(bad).error(), (400, "MalformedXML"), "{bad}");
    }
    let unsigned = s3.ask("POST", "?delete").body(b"<Delete></Delete>").unsigned().send();
    assert_eq!(unsigned.error(), (403, "AccessDenied"));
}

#[test]
fn there_is_one_bucket_and_what_is_not_simulated_is_said() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    assert_eq!(s3.ask("HEAD", "").send().status, 200);
    assert!(s3.get("?location").text().contains(">nyc3</LocationConstraint>"));
    let other = S3 { bucket: "elsewhere".into(), ..s3.clone() };
    assert_eq!(other.get("a").error(), (404, "NoSuchBucket"));
    assert_eq!(other.ask("HEAD", "").send().status, 404);
    for (method, target) in
        [("GET", "?lifecycle"), ("GET", "?cors"), ("GET", "a?tagging"), ("PUT", ""), ("POST", "")]
    {
        let got = s3.ask(method, target).send();
        assert_eq!(got.error(), (501, "NotImplemented"), "{method} {target}");
        // There are clients that end with a fault of their own where nothing is said.
        assert!(got.element("Message").contains("simulated"), "{got:?}");
    }
    assert_eq!(s3.ask("PATCH", "a").send().error(), (405, "MethodNotAllowed"));
    let copy = s3.ask("PUT", "a").header("x-amz-copy-source", "/simulated/b").send();
    assert_eq!(copy.error(), (501, "NotImplemented"));
    assert_eq!(s3.get(&"k".repeat(1025)).error(), (400, "KeyTooLongError"));
}

#[test]
fn a_public_object_is_imported() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    s3.put("tidegate/x/disk.img.gz", &gzip(&disk()), "public-read");
    s3.put("tidegate/y/disk.img.gz", &gzip(&disk()), "private");
    let url = |key: &str| rig.url(&format!("/simulated/tidegate/{key}/disk.img.gz"));
    let id = rig.create("public", &url("x"));
    assert_eq!(rig.until(id, "available")["regions"], json!(["nyc3"]));
    let id = rig.create("private", &url("y"));
    let message = rig.until(id, "deleted")["error_message"].clone();
    assert_eq!(message, "[simulator] The source URL answers a HEAD request with 403.");
}
