//! A URL that is handed over leads to what was checked, before the create and after the import.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::common::*;
use crate::rig::*;
use crate::server::{Object, Reply, Request, Server};

/// Pushes from a server whose object becomes another one at some request.
fn pushed(code: i32, changes: fn(&Request) -> bool) -> (Rig, Value, Server) {
    let changed = Arc::new(AtomicBool::new(false));
    let first = Object::new(gzip(&disk()));
    let second = Object { etag: Some("\"v2\"".into()), ..first.clone() };
    let server = Server::new(move |request: &Request| -> Reply {
        if changes(request) {
            changed.store(true, Ordering::SeqCst);
        }
        match changed.load(Ordering::SeqCst) {
            true => second.answer(request),
            false => first.answer(request),
        }
    });
    let rig = Rig::new();
    let document = rig.document(code, &[&server.url("disk.raw.gz"), "--no-url-rules"]);
    (rig, document, server)
}

#[test]
fn a_url_is_handed_over_without_any_bucket() {
    let (rig, document, server) = pushed(0, |_| false);
    assert_eq!(rig.images()[0]["url"], server.url("disk.raw.gz"));
    assert_eq!(document["staged"], Value::Null);
    assert!(rig.log().iter().all(|line| line["operation"] == Value::Null));
    rig.assert_clean(1..=1, "a URL");
    assert!(rig.journals().is_empty());
}

#[test]
fn what_changes_before_the_create_is_not_created() {
    let (rig, document, _) = pushed(5, |request| request.before == 1);
    assert_eq!(document["error"]["kind"], "changed", "{document}");
    assert_eq!(rig.creates(), 0);
    assert!(rig.journals().is_empty());
}

#[test]
fn an_image_of_what_changed_is_deleted() {
    // The importer looks before it reads.
    let (rig, document, _) = pushed(5, |request| request.method == "HEAD");
    assert_eq!(document["error"]["kind"], "changed", "{document}");
    assert_eq!((rig.creates(), &document["available"]), (1, &json!(false)));
    rig.assert_clean(0..=0, "changed");
    assert!(rig.journals().is_empty());
}

#[test]
fn a_url_that_is_refused_is_not_created() {
    let server = Server::new(|_| Reply::status(200, b"<html>no image</html>".to_vec()));
    let rig = Rig::new();
    rig.document(1, &[&server.url("disk.raw.gz"), "--no-url-rules"]);
    assert_eq!(rig.creates(), 0);
}

#[test]
fn what_nobody_could_tell_from_another_object_is_not_handed_over() {
    let server = Server::new(|request: &Request| -> Reply {
        Object { etag: None, ..Object::new(gzip(&disk())) }.answer(request)
    });
    let rig = Rig::new();
    let url = server.url("disk.raw.gz");
    let output = rig.pushed(&[&url, "--no-url-rules"]);
    assert_eq!(exit_code(&output), 1, "{output:?}");
    assert!(stderr(&output).contains("url-unpinned") && stderr(&output).contains("--stage"));
    assert_eq!(rig.creates(), 0);
    // What is staged is what was checked, whatever the server does later.
    let output = rig.pushed(&[&url, "--no-url-rules", "--stage"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    rig.assert_clean(1..=1, "staged");
}
