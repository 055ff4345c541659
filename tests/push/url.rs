//! A URL that is handed over leads to what was checked, before the create and after the import.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use serde_json::{Value, json};

use crate::common::*;
use crate::crash::{Sweep, UNHURRIED, killer, swept};
use crate::repack::through;
use crate::rig::*;
use crate::server::{Object, Reply, Request, Server, long_disk};

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
    let url = server.url("disk.raw.gz");
    let document = rig.document(code, &[&url, "--no-url-rules", "--guest", "never"]);
    (rig, document, server)
}

#[test]
fn a_url_is_handed_over_without_any_bucket() {
    let (rig, document, server) = pushed(0, |_| false);
    // While it was imported it said that it was not compared; the document has what it says now.
    let put = |line: &Value| line["method"] == "PUT";
    assert_eq!(rig.log().iter().filter(|line| put(line)).count(), 1);
    let push = document["push"].as_str().unwrap();
    for image in [&rig.images()[0], &document["image"]] {
        assert_eq!(image["description"], format!("[tidegate push {push}]"), "{image}");
    }
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
fn a_url_that_several_servers_answer_is_not_handed_over() {
    let object = Object::new(gzip(&long_disk()));
    let server = Server::new(move |request: &Request| {
        let mut asked = request.clone();
        asked.headers.remove("if-range");
        let etag = format!("\"node-{}\"", request.before % 2);
        object.answer(&asked).with("etag", &etag)
    });
    let rig = Rig::new();
    let url = server.url("disk.raw.gz");
    let output = rig.push(&[&url, "--no-url-rules"]).output().unwrap();
    assert_eq!((exit_code(&output), rig.creates()), (1, 0), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("url-unpinned") && said.contains("--stage"), "{said}");
    // What was read is what is sent, whichever of them it came from.
    rig.document(0, &[&url, "--no-url-rules", "--stage"]);
    assert_eq!(rig.creates(), 1);
}

#[test]
fn a_url_that_is_refused_is_not_created() {
    let server = Server::new(|_| Reply::status(200, b"<html>no image</html>".to_vec()));
    let rig = Rig::new();
    rig.document(1, &[&server.url("disk.raw.gz"), "--no-url-rules"]);
    assert_eq!(rig.creates(), 0);
}

#[test]
fn what_the_importer_is_not_to_fetch_as_it_is_goes_through_the_bucket() {
    let server = Server::new({
        let object = Object::new(gzip(&disk()));
        move |request: &Request| object.answer(request)
    });
    let url = server.url("disk.raw.gz");
    let signed = format!("{url}?signature=secret");
    for arguments in [
        &[&url[..], "--header", "authorization: Bearer x"][..],
        &[&signed],
        &[&url, "--repack", "always"],
    ] {
        let rig = Rig::new();
        let document = rig.document(0, &[arguments, &["--no-url-rules"]].concat());
        assert!(document["staged"].is_object(), "{arguments:?}");
        assert!(rig.images()[0]["url"].as_str().unwrap().contains("/tidegate/"), "{arguments:?}");
        rig.assert_clean(1..=1, "not handed over");
    }
}

#[test]
fn what_is_refused_for_its_packing_alone_goes_through_the_bucket() {
    let Some(packed) = through("xz", &["-c"], &disk()) else { return };
    let server = Server::new({
        let object = Object::new(packed);
        move |request: &Request| object.answer(request)
    });
    let url = server.url("disk.raw.xz");
    let rig = Rig::new();
    let document = rig.document(0, &[&url, "--no-url-rules"]);
    assert_eq!(document["source"]["wrappings"], json!(["xz"]));
    assert!(document["staged"]["key"].as_str().unwrap().ends_with(".gz"));
    rig.assert_clean(1..=1, "repacked");
    // Not where it is told not to, nor where there is no bucket: that is said.
    rig.document(1, &[&url, "--no-url-rules", "--repack", "never"]);
    let mut nowhere = rig.push(&[&url, "--no-url-rules"]);
    let output = nowhere.env_remove("SPACES_BUCKET").output().unwrap();
    assert_eq!(exit_code(&output), 1, "{output:?}");
    assert!(stderr(&output).contains("through a bucket: "), "{output:?}");
    assert_eq!(rig.creates(), 1);
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

/// Whether the description of the one image says that nobody compared it with what was checked.
pub(crate) fn says_uncompared(rig: &Rig) -> bool {
    let images = rig.images();
    assert_eq!(images.len(), 1, "{images:?}");
    images[0]["description"].as_str().unwrap().contains("[tidegate: not compared yet]")
}

/// What the URL leads to: what was checked, something else, nothing.
pub(crate) const SAME: u8 = 0;
pub(crate) const OTHER: u8 = 1;
const NOTHING: u8 = 2;

/// A server of an object that can become another one.
pub(crate) fn changeable() -> (Server, Arc<AtomicU8>) {
    let leads_to = Arc::new(AtomicU8::new(SAME));
    let there = Arc::clone(&leads_to);
    let first = Object::new(gzip(&disk()));
    let second = Object { etag: Some("\"v2\"".into()), ..first.clone() };
    let server = Server::new(move |request: &Request| -> Reply {
        match there.load(Ordering::SeqCst) {
            SAME => first.answer(request),
            OTHER => second.answer(request),
            _ => Reply::status(404, Vec::new()),
        }
    });
    (server, leads_to)
}

/// A push that is killed when its image is available, but not compared with what was checked.
pub(crate) fn killed_before_it_is_compared() -> (Rig, Arc<AtomicU8>, Server) {
    let (server, leads_to) = changeable();
    let rig = Rig::with("", &UNHURRIED);
    let mut push = rig.tidegate("push");
    // It has looked once when the import begins, and does not look again.
    push.args(["--region", "nyc3", "--interval", "10m", "--no-url-rules"]);
    let mut push = Running::start(push.arg(server.url("disk.raw.gz")));
    wait_until("the image is available", || {
        rig.images().first().is_some_and(|image| image["status"] == "available")
    });
    push.child().kill().unwrap();
    drop(push);
    (rig, leads_to, server)
}

#[test]
fn a_sweep_keeps_an_image_of_what_was_checked() {
    let (rig, _, server) = killed_before_it_is_compared();
    let asked = server.requests().len();
    let planned = rig.tidegate("sweep").arg("--dry-run").output().unwrap();
    assert!(stdout(&planned).contains("unless its URL still leads"), "{planned:?}");
    assert_eq!(server.requests().len(), asked);
    assert!(says_uncompared(&rig));
    let (code, document) = rig.sweep(&[]);
    assert_eq!(code, 0, "{document}");
    assert!(server.requests().len() > asked, "nobody looked");
    assert!(!says_uncompared(&rig));
    rig.assert_clean(1..=1, "the same");
    assert!(rig.journals().is_empty());
}

#[test]
fn a_sweep_deletes_an_image_of_what_was_not_checked() {
    let (rig, leads_to, _server) = killed_before_it_is_compared();
    leads_to.store(OTHER, Ordering::SeqCst);
    let (code, document) = rig.sweep(&[]);
    assert_eq!(code, 0, "{document}");
    rig.assert_clean(0..=0, "another one");
    assert!(rig.journals().is_empty());
}

#[test]
fn a_sweep_that_cannot_look_leaves_it_to_the_next_one() {
    let (rig, leads_to, _server) = killed_before_it_is_compared();
    leads_to.store(NOTHING, Ordering::SeqCst);
    let (code, document) = rig.sweep(&[]);
    assert_eq!(code, 4, "{document}");
    let left = document["pushes"][0]["left"][0].as_str().unwrap();
    let id = rig.images()[0]["id"].to_string();
    assert!(
        left.contains("nobody knows") && left.contains(&format!("image delete {id}")),
        "{left}"
    );
    assert_eq!((rig.images().len(), rig.journals().len()), (1, 1));
    leads_to.store(SAME, Ordering::SeqCst);
    assert_eq!(rig.sweep(&[]).0, 0);
    rig.assert_clean(1..=1, "it is there again");
    assert!(rig.journals().is_empty());
}

/// Kills a push of a URL that is handed over at each line of its journal; what the URL leads to is another
/// object then. `holds` is told whether the journal says that the image was compared.
fn kill_at_each(holds: impl Fn(&Rig, bool, &str) + Sync) {
    let Some(killer) = killer() else { return };
    let start = |at: usize, written: bool| {
        let (server, leads_to) = changeable();
        let rig = Rig::with("", &UNHURRIED);
        let mut push = rig.push(&[&server.url("disk.raw.gz"), "--no-url-rules"]);
        push.env("LD_PRELOAD", killer).env("PUSH_KILL_COUNT", "count");
        if !written {
            push.env("PUSH_KILL_NONE", "1");
        }
        let output = push.env("PUSH_KILL_AT", at.to_string()).output().unwrap();
        (rig, output, server, leads_to)
    };
    let (rig, output, ..) = start(0, true);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let count = std::fs::read_to_string(rig.scratch.path("count")).unwrap();
    let count: usize = count.trim().parse().unwrap();
    assert!(count >= 7, "{count}");
    let all: Vec<_> = (1..=count).flat_map(|at| [(at, true), (at, false)]).collect();
    each(&all, |&(at, written)| {
        let (rig, output, _server, leads_to) = start(at, written);
        let what = format!("killed at {at} of {count}, written: {written}");
        assert_eq!(output.status.signal(), Some(9), "{what}: {output:?}");
        // The importer may read it only now.
        leads_to.store(OTHER, Ordering::SeqCst);
        // Without a journal it had come to its end.
        let compared = rig.journals().first().is_none_or(|path| {
            std::fs::read_to_string(path).unwrap().contains("\"available\":true")
        });
        holds(&rig, compared, &what);
    });
}

#[test]
fn killed_at_each_line_nothing_stays_that_was_not_checked() {
    kill_at_each(|rig, compared, what| {
        swept(rig, Sweep::Journal, what);
        let images = usize::from(compared);
        rig.assert_clean(images..=images, what);
        // What was compared says nothing else, wherever the push was killed.
        assert!(!compared || !says_uncompared(rig), "{what}");
    });
}

#[test]
fn killed_at_each_line_and_without_its_journal_nothing_is_kept_in_silence() {
    kill_at_each(|rig, compared, what| {
        std::fs::remove_dir_all(rig.scratch.path("state/pushes")).unwrap();
        rig.quiet();
        let (code, document) = rig.sweep(&["--remote", "--older-than", "1ms"]);
        let created = rig.creates();
        // Nothing is deleted that nobody compared.
        rig.assert_clean(created..=created, what);
        let said = document["pushes"].to_string();
        let left = said.contains("nobody knows whether it is made of what was checked");
        let silent = created == 0 || !says_uncompared(rig);
        assert_eq!((code, left), if silent { (0, false) } else { (4, true) }, "{what}: {document}");
        assert!(compared || created == 0 || left, "{what}: {document}");
    });
}
