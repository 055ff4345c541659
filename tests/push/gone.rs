//! What is said to be gone is gone: in all versions, by the right account, also what came late; and nothing is removed
//! that is not the push's.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tidegate::net::Address;
use tidegate::spaces::{Acl, Bucket, BucketName, Endpoint, Key, Keys, Options, Region};

use crate::common::*;
use crate::crash::{Sweep, swept};
use crate::disks::*;
use crate::rig::*;
use crate::server::{Reply, Request, Server, forwarded};

const VERSIONED: &str = "[[bucket]]\nkind = \"bucket-versioned\"\n";

/// A push that somebody else might have made.
pub(crate) const OTHER: &str = "0123456789abcdef0123456789abcdef";

const ALL_OLD: [&str; 3] = ["--remote", "--older-than", "1ms"];

/// A client of a rig's bucket.
fn bucket(rig: &Rig) -> Bucket {
    let address = Address::parse(rig.value("SPACES_ENDPOINT_URL")).unwrap();
    let region = Region::parse(rig.value("SPACES_REGION")).unwrap();
    let keys = Keys::new(rig.value("SPACES_ACCESS_KEY_ID"), rig.value("SPACES_SECRET_ACCESS_KEY"));
    Bucket::new(Options {
        endpoint: Endpoint::at(address, Some(region)).unwrap(),
        bucket: BucketName::parse(rig.value("SPACES_BUCKET")).unwrap(),
        keys: keys.unwrap(),
        net: tidegate::net::Options::default(),
        pace: None,
        listener: None,
    })
    .unwrap()
}

pub(crate) fn put(rig: &Rig, key: &str, acl: Acl) {
    let bucket = bucket(rig);
    bucket.wait(bucket.put(&Key::parse(key).unwrap(), "x".into(), acl)).unwrap();
}

#[test]
fn no_version_is_left_of_a_push_however_it_ends() {
    for (plan, file, code) in [
        ("", gzip(&disk()), 0),
        ("", cut().to_vec(), 1),
        ("[[fault]]\nkind = \"import-fails\"", gzip(&disk()), 5),
        (
            "[[bucket]]\nkind = \"403\"\noperation = \"head-object\"\nsigned = false\nforever = true",
            gzip(&disk()),
            4,
        ),
    ] {
        let rig = Rig::with_plan(&format!("{VERSIONED}{plan}"));
        rig.scratch.write("disk.raw.gz", &file);
        let output = rig.pushed(&[&["disk.raw.gz"][..], &PARTS].concat());
        assert_eq!(exit_code(&output), code, "{plan}: {output:?}");
        assert!(stderr(&output).contains("warning: versioning of the bucket is on"), "{output:?}");
        rig.assert_clean(usize::from(code == 0)..=usize::from(code == 0), plan);
    }
}

#[test]
fn no_version_is_left_of_a_push_that_is_killed() {
    for sweep in [Sweep::Journal, Sweep::Remote] {
        // It waits where its object is stored and public.
        let waits = "[[bucket]]\nkind = \"slow-down\"\noperation = \"put-object-acl\"\nnth = 3\nretry-after = 60\n";
        let rig = Rig::with_plan(&format!("{VERSIONED}{waits}"));
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let mut push = Running::start(&mut rig.push(&["disk.raw.gz"]));
        wait_until("it is stored", || rig.asked("put-object-acl").len() == 3);
        push.child().kill().unwrap();
        drop(push);
        swept(&rig, sweep, &format!("{sweep:?}"));
        rig.assert_clean(0..=0, "killed");
    }
}

#[test]
fn a_sweep_finds_what_a_plain_deletion_left() {
    let rig = Rig::with_plan(VERSIONED);
    for name in ["disk.img.gz", "probe", "kept/probe"] {
        put(&rig, &format!("tidegate/{OTHER}/{name}"), Acl::PublicRead);
    }
    let bucket = bucket(&rig);
    let key = Key::parse(&format!("tidegate/{OTHER}/disk.img.gz")).unwrap();
    bucket.wait(bucket.delete(&key)).unwrap();
    assert_eq!(rig.state()["versions"].as_array().unwrap().len(), 2);
    let (code, document) = rig.sweep(&ALL_OLD);
    assert_eq!(code, 0, "{document:#}");
    rig.assert_clean(0..=0, "swept");
}

/// A server before the API of a rig, which takes every token for the right one; one that is another account's sees
/// nothing.
fn api(rig: &Rig, other: &Arc<AtomicBool>, told: bool) -> Server {
    let api = rig.value("DIGITALOCEAN_API_URL").to_owned();
    let (token, other) = (rig.value("DIGITALOCEAN_TOKEN").to_owned(), Arc::clone(other));
    Server::new(move |request: &Request| {
        let other = other.load(Ordering::SeqCst);
        let mut request = request.clone();
        request.headers.insert("authorization".into(), format!("Bearer {token}"));
        let list = |name: &str| {
            let text = json!({name: [], "links": {}, "meta": {"total": 0}}).to_string();
            Reply::status(200, text.into_bytes())
        };
        match (request.path.split('?').next().unwrap(), other) {
            ("/v2/account", _) if !told => Reply::status(403, b"{\"id\": \"forbidden\"}".to_vec()),
            ("/v2/account", true) => Reply::status(
                200,
                b"{\"account\": {\"uuid\": \"another\", \"team\": null}}".to_vec(),
            ),
            ("/v2/images", true) => list("images"),
            ("/v2/spaces/keys", true) if request.method == "GET" => list("keys"),
            (path, true) if path.starts_with("/v2/images/") || path.starts_with("/v2/spaces/") => {
                Reply::status(404, b"{\"id\": \"not_found\", \"message\": \"not found\"}".to_vec())
            }
            _ => forwarded(&api, &request),
        }
    })
}

/// A push with a key of its own that is killed while it uploads.
fn killed_with_its_key(rig: &Rig, server: &Server) {
    rig.scratch.write("disk.raw.gz", big());
    let mut push = rig.push(&["disk.raw.gz", "--mint-key"]);
    push.env("DIGITALOCEAN_API_URL", server.url("").trim_end_matches('/'));
    let mut push = Running::start(push.args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
}

fn sweep_with(rig: &Rig, server: &Server, token: &str) -> Output {
    let mut sweep = rig.tidegate("sweep");
    sweep.env("DIGITALOCEAN_API_URL", server.url("").trim_end_matches('/'));
    sweep.env("DIGITALOCEAN_TOKEN", token).args(["--yes", "--interval", "20ms"]);
    sweep.output().unwrap()
}

#[test]
fn what_another_account_does_not_find_is_not_gone() {
    let (rig, other) = (Rig::with_plan(PACED), Arc::<AtomicBool>::default());
    let server = api(&rig, &other, true);
    killed_with_its_key(&rig, &server);
    let journal = std::fs::read_to_string(&rig.journals()[0]).unwrap();
    assert!(!journal.contains(rig.value("DIGITALOCEAN_TOKEN")), "{journal}");
    assert!(!journal.contains("00000000-0000-4000"), "{journal}");
    other.store(true, Ordering::SeqCst);
    let output = sweep_with(&rig, &server, "dop_v1_another");
    assert_eq!(exit_code(&output), 4, "{output:?}");
    assert!(stdout(&output).contains("another account"), "{output:?}");
    assert_eq!((rig.keys().len(), rig.journals().len()), (1, 1));
    // Another token of the same account does.
    other.store(false, Ordering::SeqCst);
    let output = sweep_with(&rig, &server, "dop_v1_rotated");
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!((rig.keys().len(), rig.journals().len()), (0, 0));
    rig.assert_clean(0..=0, "swept");
}

#[test]
fn what_an_account_that_is_not_known_does_not_find_is_not_gone() {
    // Either the token may not read its account, or the journal is older than that it says whose it is.
    for old in [false, true] {
        let (rig, other) = (Rig::with_plan(PACED), Arc::<AtomicBool>::default());
        let server = api(&rig, &other, old);
        killed_with_its_key(&rig, &server);
        if old {
            let path = &rig.journals()[0];
            let text = std::fs::read_to_string(path).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let lines = lines.filter(|line| line["entry"] != "account").map(|mut line| {
                line["of"].as_object_mut().unwrap().remove("owner");
                format!("{line}\n")
            });
            std::fs::write(path, lines.collect::<String>()).unwrap();
        }
        other.store(true, Ordering::SeqCst);
        let output = sweep_with(&rig, &server, "dop_v1_another");
        assert_eq!(exit_code(&output), 4, "{output:?}");
        assert!(stdout(&output).contains("nothing of it is seen"), "{output:?}");
        assert_eq!((rig.keys().len(), rig.journals().len()), (1, 1));
        // Who sees something of it has the account.
        other.store(false, Ordering::SeqCst);
        let output = sweep_with(&rig, &server, "dop_v1_rotated");
        assert_eq!(exit_code(&output), 0, "{old}: {output:?}");
        assert_eq!((rig.keys().len(), rig.journals().len()), (0, 0), "{output:?}");
        rig.assert_clean(0..=0, "swept");
    }
}

#[test]
fn a_key_that_comes_late_is_deleted() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let api = rig.value("DIGITALOCEAN_API_URL").to_owned();
    let server = Server::new(move |request: &Request| {
        if (request.method.as_str(), request.path.as_str()) == ("POST", "/v2/spaces/keys") {
            std::thread::sleep(Duration::from_secs(4));
        }
        forwarded(&api, request)
    });
    let arguments =
        ["disk.raw.gz", "--mint-key", "--timeout", "1", "--retries", "0", "--settle", "40s"];
    let mut push = rig.push(&arguments);
    push.env("DIGITALOCEAN_API_URL", server.url("").trim_end_matches('/'));
    let output = push.output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let made = rig.log().iter().any(|line| line["method"] == "POST" && line["status"] == 201);
    assert!(made, "{:?}", rig.log());
    assert_eq!((rig.keys().len(), rig.journals().len()), (0, 0), "{output:?}");
    rig.assert_clean(0..=0, "late");
}

#[test]
fn a_put_that_is_held_back_is_not_overtaken() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let (held, seen) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (there, told) = (rig.value("SPACES_ENDPOINT_URL").to_owned(), Arc::clone(&seen));
    let done = Arc::clone(&held);
    let server = Server::new(move |request: &Request| {
        if request.method == "PUT" && request.path.ends_with("/probe") {
            told.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_secs(3));
            let reply = forwarded(&there, request);
            done.store(true, Ordering::SeqCst);
            return reply;
        }
        forwarded(&there, request)
    });
    let mut push = rig.push(&["disk.raw.gz"]);
    push.env("SPACES_ENDPOINT_URL", server.url(""));
    let mut push = Running::start(&mut push);
    wait_until("it is put", || seen.load(Ordering::SeqCst));
    signal(push.child(), "TERM");
    let output = push.output();
    assert_eq!(exit_code(&output), 130, "{output:?}");
    assert!(held.load(Ordering::SeqCst), "{output:?}");
    assert_eq!(rig.asked("put-object").len(), 1);
    rig.assert_clean(0..=0, "held back");
    assert!(rig.journals().is_empty(), "{output:?}");
}

#[test]
fn only_the_clock_of_the_server_makes_something_old() {
    let rig = Rig::new();
    let ahead = Arc::<AtomicI64>::default();
    // Both are dated alike: the server's clock is wrong by so much, or the one here is.
    let dated = |to: &str| {
        let (to, ahead) = (to.to_owned(), Arc::clone(&ahead));
        Server::new(move |request: &Request| {
            let by = Duration::from_secs(ahead.load(Ordering::SeqCst).unsigned_abs());
            let now = match ahead.load(Ordering::SeqCst) {
                0 => None,
                1.. => Some(SystemTime::now() + by),
                _ => Some(SystemTime::now() - by),
            };
            let reply = forwarded(&to, request);
            match now {
                Some(now) => reply.with("date", &httpdate::fmt_http_date(now)),
                None => reply.with("date", "soon"),
            }
        })
    };
    let api = dated(rig.value("DIGITALOCEAN_API_URL"));
    let spaces = dated(rig.value("SPACES_ENDPOINT_URL"));
    let sweep = |older: &str| {
        let mut sweep = rig.tidegate("sweep");
        sweep.env("DIGITALOCEAN_API_URL", api.url("").trim_end_matches('/'));
        sweep.env("SPACES_ENDPOINT_URL", spaces.url(""));
        sweep.args(["--yes", "--remote", "--older-than", older]).output().unwrap()
    };
    let day = 24 * 60 * 60;
    put(&rig, &format!("tidegate/{OTHER}/probe"), Acl::Private);
    let there = || rig.state()["objects"].as_array().unwrap().len();
    // Without a time nothing is old, and that is said.
    for (by, older, code, left) in
        [(0, "1ms", 4, 1), (-2 * day, "1ms", 4, 1), (2 * day, "24h", 0, 0)]
    {
        ahead.store(by, Ordering::SeqCst);
        let output = sweep(older);
        assert_eq!((exit_code(&output), there()), (code, left), "{by}: {output:?}");
        assert_eq!(stderr(&output).contains("nobody knows how old"), by == 0, "{output:?}");
    }
}

#[test]
fn a_bucket_that_locks_what_is_written_gets_nothing() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let there = rig.value("SPACES_ENDPOINT_URL").to_owned();
    let rule = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                <Mode>GOVERNANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    let server =
        Server::new(move |request: &Request| match request.path.contains("?object-lock") {
            true => Reply::status(200, rule.into()).with("content-type", "application/xml"),
            false => forwarded(&there, request),
        });
    let mut push = rig.push(&["disk.raw.gz"]);
    let output = push.env("SPACES_ENDPOINT_URL", server.url("")).output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    assert!(stderr(&output).contains("GOVERNANCE for 30 days"), "{output:?}");
    assert_eq!(rig.asked("put-object").len() + rig.asked("create-multipart-upload").len(), 0);
    assert!(rig.journals().is_empty(), "{output:?}");
}

#[test]
fn a_bucket_that_another_key_does_not_see_is_not_gone() {
    let rig = Rig::with_plan(PACED);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(rig.push(&["disk.raw.gz"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
    // A gateway shows each tenant its own buckets; the place is the same one.
    let text = "<Error><Code>NoSuchBucket</Code></Error>";
    let server = Server::new(move |_| {
        Reply::status(404, text.into()).with("content-type", "application/xml")
    });
    let path = &rig.journals()[0];
    let (journal, other) = (std::fs::read_to_string(path).unwrap(), server.url(""));
    let (first, rest) = journal.split_once('\n').unwrap();
    let mut began: Value = serde_json::from_str(first).unwrap();
    began["of"]["place"]["endpoint"] = other.as_str().into();
    std::fs::write(path, format!("{began}\n{rest}")).unwrap();
    for (access, code) in [("another", 4), (rig.value("SPACES_ACCESS_KEY_ID"), 0)] {
        let mut sweep = rig.tidegate("sweep");
        sweep.env("SPACES_ENDPOINT_URL", &other).env("SPACES_ACCESS_KEY_ID", access);
        let output = sweep.args(["--yes", "--interval", "20ms"]).output().unwrap();
        assert_eq!(exit_code(&output), code, "{access}: {output:?}");
        assert_eq!(stdout(&output).contains("not there for this key"), code == 4, "{output:?}");
        assert_eq!(rig.journals().len(), usize::from(code == 4));
    }
}

/// A push that is interrupted while its image is imported, by way of a server before the API.
fn interrupted_import(rig: &Rig, server: &Server, interrupted: &AtomicBool) -> Output {
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut push = rig.push(&["disk.raw.gz"]);
    push.env("DIGITALOCEAN_API_URL", server.url("").trim_end_matches('/'));
    let mut push = Running::start(&mut push);
    let looked = |rig: &Rig| {
        let is = |line: &Value| {
            line["method"] == "GET" && line["path"].as_str().unwrap().starts_with("/v2/images/")
        };
        rig.log().iter().any(is)
    };
    wait_until("it is imported", || looked(rig));
    interrupted.store(true, Ordering::SeqCst);
    signal(push.child(), "TERM");
    push.output()
}

#[test]
fn every_image_of_a_push_is_deleted() {
    let rig = Rig::with("", &["--pace", "20"]);
    let api = rig.value("DIGITALOCEAN_API_URL").to_owned();
    // Somebody on the way asks twice.
    let server = Server::new(move |request: &Request| {
        if (request.method.as_str(), request.path.as_str()) == ("POST", "/v2/images") {
            assert_eq!(forwarded(&api, request).status, 202);
        }
        forwarded(&api, request)
    });
    let output = interrupted_import(&rig, &server, &AtomicBool::default());
    assert_eq!((exit_code(&output), rig.creates()), (130, 2), "{output:?}");
    assert_eq!((rig.images().len(), rig.journals().len()), (0, 0), "{output:?}");
    rig.assert_nothing_staged("twice");
}

#[test]
fn an_image_that_is_not_found_for_a_while_is_deleted_all_the_same() {
    let rig = Rig::with("", &["--pace", "20"]);
    let (api, hidden) =
        (rig.value("DIGITALOCEAN_API_URL").to_owned(), Arc::<AtomicBool>::default());
    let (hides, count) = (Arc::clone(&hidden), AtomicI64::new(0));
    let server = Server::new(move |request: &Request| {
        let image = request.path.starts_with("/v2/images/");
        if image && hides.load(Ordering::SeqCst) && count.fetch_add(1, Ordering::SeqCst) < 4 {
            return Reply::status(404, b"{\"id\": \"not_found\", \"message\": \"no\"}".to_vec());
        }
        forwarded(&api, request)
    });
    let output = interrupted_import(&rig, &server, &hidden);
    assert_eq!(exit_code(&output), 130, "{output:?}");
    assert_eq!((rig.images().len(), rig.journals().len()), (0, 0), "{output:?}");
    rig.assert_nothing_staged("hidden");
}
