//! Faults by plan, and what each leaves behind.

use std::time::Duration;

use serde_json::{Value, json};

use super::s3::*;
use crate::rig::*;

fn plan(text: &str) -> Rig {
    Rig::with_plan(&format!("[[bucket]]\n{text}\n"), &[])
}

#[test]
fn a_part_is_told_to_slow_down() {
    let rig = plan(
        "kind = \"slow-down\"\noperation = \"upload-part\"\npart = 2\ntimes = 2\nretry-after = 1",
    );
    let s3 = S3::of(&rig);
    let id = s3.begin("k");
    let body = vec![1; MIB];
    assert_eq!(s3.part("k", &id, 1, &body).send().status, 200);
    for _ in 0..2 {
        let got = s3.part("k", &id, 2, &body).send();
        assert_eq!((got.error(), got.headers["retry-after"].as_str()), ((503, "SlowDown"), "1"));
        assert_eq!(got.headers["content-type"], "application/xml");
    }
    assert_eq!(s3.get(&format!("k?uploadId={id}")).elements("PartNumber"), ["1"]);
    assert_eq!(s3.part("k", &id, 2, &body).send().status, 200);
    assert_eq!(rig.log()[2]["faults"], json!(["slow-down"]));
}

/// What each operation leaves behind, if it has an effect and if it has none.
#[test]
fn connections_are_cut_before_and_after_the_effect_of_every_operation() {
    for operation in [
        "put-object",
        "put-object-acl",
        "delete-object",
        "create-multipart-upload",
        "upload-part",
        "complete-multipart-upload",
        "abort-multipart-upload",
        "head-object",
        "list-multipart-uploads",
    ] {
        for (kind, effect) in [("cut-before", false), ("cut-after", true)] {
            // The first of each is for what has to be there.
            let nth =
                if ["put-object", "create-multipart-upload", "upload-part"].contains(&operation) {
                    2
                } else {
                    1
                };
            let rig = plan(&format!("kind = {kind:?}\noperation = {operation:?}\nnth = {nth}"));
            let s3 = S3::of(&rig);
            s3.put("there", b"old", "private");
            let id = s3.begin("open");
            s3.part("open", &id, 1, b"old").send();
            let open = format!("open?uploadId={id}");
            let got = match operation {
                "put-object" => s3.ask("PUT", "new").body(&vec![0; MIB]).try_send(),
                "put-object-acl" => {
                    s3.ask("PUT", "there?acl").header("x-amz-acl", "public-read").try_send()
                }
                "delete-object" => s3.ask("DELETE", "there").try_send(),
                "create-multipart-upload" => s3.ask("POST", "new?uploads").try_send(),
                "upload-part" => s3.part("open", &id, 2, &vec![0; MIB]).try_send(),
                "complete-multipart-upload" => s3.complete("open", &id, &[md5(b"old")]),
                "abort-multipart-upload" => s3.ask("DELETE", &open).try_send(),
                "head-object" => s3.ask("HEAD", "there").try_send(),
                _ => s3.ask("GET", "?uploads").try_send(),
            };
            assert!(got.is_none(), "{operation} {kind}: {got:?}");
            let state = rig.state();
            let of = |what: &str| state[what].as_array().unwrap().len();
            let done = match operation {
                "put-object" => of("objects") == 2,
                "put-object-acl" => state["objects"][0]["acl"] == "public-read",
                "delete-object" => of("objects") == 0,
                "create-multipart-upload" => of("uploads") == 2,
                "upload-part" => s3.get(&open).elements("Part").len() == 2,
                "complete-multipart-upload" => (of("objects"), of("uploads")) == (2, 0),
                "abort-multipart-upload" => of("uploads") == 0,
                _ => effect,
            };
            assert_eq!(done, effect, "{operation} {kind}: {state}");
            let log = rig.log();
            let met: Vec<&Value> =
                log.iter().filter(|line| line["faults"] == json!([kind])).collect();
            assert_eq!((met.len(), &met[0]["status"]), (1, &Value::Null), "{operation} {kind}");
        }
    }
}

#[test]
fn a_part_may_arrive_corrupted() {
    for (more, told) in [("", true), ("\nsilent = true", false)] {
        let rig = plan(&format!("kind = \"corrupt-part\"\npart = 1{more}"));
        let s3 = S3::of(&rig);
        let id = s3.begin("k");
        let got = s3.part("k", &id, 1, b"right").send();
        assert_eq!(got.status, 200);
        assert_eq!(got.etag() != md5(b"right"), told);
        assert_eq!(s3.complete("k", &id, &[got.etag().to_owned()]).unwrap().status, 200);
        let stored = s3.get("k").body;
        assert_eq!((stored.len(), &stored[1..], stored[0] == b'r'), (5, b"ight".as_slice(), false));
        if told {
            assert_eq!(got.etag(), md5(&stored));
        }
    }
    // Who sends it again mends it.
    let rig = plan("kind = \"corrupt-part\"");
    let s3 = S3::of(&rig);
    let id = s3.begin("k");
    s3.part("k", &id, 1, b"right").send();
    let again = s3.part("k", &id, 1, b"right").send();
    assert_eq!(again.etag(), md5(b"right"));
    s3.complete("k", &id, &[md5(b"right")]);
    assert_eq!(s3.get("k").body, b"right");
}

#[test]
fn an_etag_may_be_a_lie() {
    let rig = plan("kind = \"lying-etag\"");
    let s3 = S3::of(&rig);
    let id = s3.begin("k");
    let lie = s3.part("k", &id, 1, b"right").send().etag().to_owned();
    assert_ne!(lie, md5(b"right"));
    let listed = s3.get(&format!("k?uploadId={id}"));
    assert_eq!(listed.element("ETag"), format!("&quot;{}&quot;", md5(b"right")));
    assert_eq!(s3.complete("k", &id, &[lie]).unwrap().error(), (400, "InvalidPart"));
    assert_eq!(s3.complete("k", &id, &[md5(b"right")]).unwrap().status, 200);
}

#[test]
fn complete_may_answer_200_with_an_error() {
    for effect in [false, true] {
        let rig = plan(&format!("kind = \"complete-fails\"\neffect = {effect}"));
        let s3 = S3::of(&rig);
        let id = s3.begin("k");
        s3.part("k", &id, 1, b"x").send();
        let got = s3.complete("k", &id, &[md5(b"x")]).unwrap();
        assert_eq!(got.error(), (200, "InternalError"));
        let again = s3.complete("k", &id, &[md5(b"x")]).unwrap();
        assert_eq!(again.status, if effect { 404 } else { 200 });
        assert_eq!(rig.state()["objects"], json!([{"key": "k", "acl": "private", "size": 1}]));
    }
}

#[test]
fn acls_may_be_refused() {
    let rig = plan("kind = \"acl-refused\"\nforever = true");
    let s3 = S3::of(&rig);
    s3.put("a", b"", "private");
    for (method, target) in [("PUT", "a?acl"), ("PUT", "b"), ("POST", "b?uploads")] {
        let got = s3.ask(method, target).header("x-amz-acl", "public-read").send();
        assert_eq!(got.error(), (403, "AccessDenied"), "{method} {target}");
    }
    assert_eq!(s3.ask("PUT", "a?acl").header("x-amz-acl", "private").send().status, 403);
    let state = rig.state();
    assert_eq!(state["objects"], json!([{"key": "a", "acl": "private", "size": 0}]));
    assert_eq!(state["uploads"], json!([]));
}

#[test]
fn the_bucket_may_vanish() {
    let rig = plan("kind = \"bucket-vanishes\"\noperation = \"upload-part\"\nnth = 2");
    let s3 = S3::of(&rig);
    s3.put("a", b"body", "public-read");
    let id = s3.begin("k");
    assert_eq!(s3.part("k", &id, 1, b"x").send().status, 200);
    for _ in 0..2 {
        assert_eq!(s3.part("k", &id, 2, b"x").send().error(), (404, "NoSuchBucket"));
    }
    assert_eq!(s3.ask("PUT", "b").body(b"x").send().error(), (404, "NoSuchBucket"));
    assert_eq!(s3.begin_error("k"), (404, "NoSuchBucket".to_owned()));
    assert_eq!((s3.anybody("a"), s3.ask("HEAD", "").send().status), (404, 404));
    let state = rig.state();
    assert_eq!((&state["objects"], &state["uploads"]), (&json!([]), &json!([])));
    let missing = plan("kind = \"bucket-vanishes\"");
    assert_eq!(S3::of(&missing).ask("HEAD", "").send().status, 404);
    // It does not come back.
    let text = "[[bucket]]\nkind = \"bucket-vanishes\"\nnth = 2";
    let rig = Rig::with_plan(text, &["--state", "state"]);
    S3::of(&rig).put("a", b"body", "private");
    assert_eq!(S3::of(&rig).get("a").status, 404);
    let (_, scratch) = rig.stop("TERM");
    let rig = Rig::start(scratch, &["--state", "state"]);
    assert_eq!(S3::of(&rig).get("a").error(), (404, "NoSuchBucket"));
}

#[test]
fn a_part_may_be_slow() {
    let rig = plan("kind = \"slow\"\nrate = 1048576\npart = 2\noperation = \"upload-part\"");
    let s3 = S3::of(&rig);
    let id = s3.begin("k");
    let body = vec![3; 2 * MIB];
    let (_, quick) = timed(|| s3.part("k", &id, 1, &body).send());
    let (got, slow) = timed(|| s3.part("k", &id, 2, &body).send());
    assert_eq!(got.status, 200);
    assert!(slow > Duration::from_millis(1800) && slow > quick, "{slow:?} {quick:?}");
    assert_eq!(got.etag(), md5(&body));
}

#[test]
fn servers_fail_with_and_without_effect() {
    for (kind, html) in
        [("403", false), ("500", false), ("502", true), ("503", true), ("504", true)]
    {
        for effect in [false, true] {
            let rig = plan(&format!("kind = {kind:?}\neffect = {effect}"));
            let s3 = S3::of(&rig);
            let got = s3.ask("PUT", "a").body(b"x").send();
            assert_eq!(got.status.to_string(), kind);
            let (start, form) = match html {
                true => ("<html>", "text/html"),
                false => ("<?xml", "application/xml"),
            };
            assert!(got.text().starts_with(start), "{got:?}");
            assert_eq!(got.headers["content-type"], form);
            assert_eq!(rig.state()["objects"].as_array().unwrap().len(), usize::from(effect));
        }
    }
}

#[test]
fn faults_are_for_signed_requests_or_others() {
    let rig = plan("kind = \"403\"\noperation = \"head-object\"\nsigned = false\ntimes = 2");
    let s3 = S3::of(&rig);
    s3.put("a", b"x", "public-read");
    let signed = || s3.ask("HEAD", "a").send().status;
    assert_eq!([signed(), s3.anybody("a"), signed(), s3.anybody("a")], [200, 403, 200, 403]);
    assert_eq!(s3.anybody("a"), 200);
}

#[test]
fn who_is_not_let_in_uses_up_no_fault_and_the_api_has_its_own() {
    let rig = plan("kind = \"500\"");
    let s3 = S3::of(&rig);
    let wrong = S3 { secret: "wrong".into(), ..s3.clone() };
    assert_eq!(wrong.get("a").status, 403);
    assert_eq!(rig.get("/v2/images").status, 200);
    assert_eq!(s3.get("a").status, 500);
    assert_eq!(s3.get("a").status, 404);
}
