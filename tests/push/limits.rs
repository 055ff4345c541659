//! Limits that are known at the start are met at the start: calls of the API, parts, names.

use std::io::Write;

use serde_json::json;

use crate::common::*;
use crate::rig::*;

/// A sparse disk of this size, with a table.
fn sparse(rig: &Rig, name: &str, size: u64) {
    let mut file = std::fs::File::create(rig.scratch.path(name)).unwrap();
    file.write_all(&disk()[..1 << 20]).unwrap();
    file.set_len(size).unwrap();
}

#[test]
fn parts_that_cannot_hold_the_file_are_refused_before_anything_is_done() {
    let rig = Rig::new();
    sparse(&rig, "large.raw", 53_000_000_000);
    for more in [&[][..], &["--dry-run"], &["--repack", "never"]] {
        let output = rig.pushed(&[&["large.raw", "--part-size", "5MiB"], more].concat());
        assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{more:?}: {output:?}");
        let said = stderr(&output);
        assert!(said.contains("--part-size: 10000 parts of 5.2 MB hold 52.4 GB"), "{said}");
        assert!(said.contains("give 5300000 or more"), "{said}");
    }
    assert!(rig.log().is_empty() && rig.journals().is_empty());
    let output = rig.pushed(&["large.raw", "--part-size", "5300000", "--dry-run"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
}

#[test]
fn a_file_past_the_limit_is_refused_by_a_plan_as_by_a_push() {
    let rig = Rig::new();
    sparse(&rig, "large.raw", 120_000_000_000);
    let output = rig.pushed(&["large.raw", "--dry-run", "--format", "json"]);
    assert_eq!(exit_code(&output), 1, "{output:?}");
    let plan = crate::documents::parsed("plan", &output);
    assert_eq!((&plan["error"]["kind"], &plan["steps"]), (&json!("too-large"), &json!([])));
    assert!(rig.log().is_empty());
    let document = rig.document(1, &["large.raw"]);
    assert_eq!(document["error"]["kind"], "rejected");
    assert!(rig.asked("put-object").is_empty() && rig.creates() == 0, "{:?}", rig.log());
}

#[test]
fn names_that_cannot_be_are_refused_before_anything_is_done() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw", &disk());
    let long = "x".repeat(256);
    for bad in [
        &["--tag", "a b"][..],
        &["--tag", long.as_str()],
        &["--tag", "a/b"],
        &["--name", ""],
        &["--name", " "],
        &["--name", "a\nb"],
    ] {
        let output = rig.pushed(&[&["disk.raw", "--dry-run"], bad].concat());
        assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{bad:?}: {output:?}");
    }
    assert!(rig.log().is_empty());
    let long = "x".repeat(255);
    let good = ["disk.raw", "--dry-run", "--tag", "a:b-c_1", "--tag", &long, "--name", "a b"];
    assert_eq!(exit_code(&rig.pushed(&good)), 0);
}

#[test]
fn calls_that_are_used_up_are_told_before_the_upload() {
    for rate in ["1/250", "3/250"] {
        let rig = Rig::with("", &["--pace", "0.03", "--rate-limit", rate]);
        rig.scratch.write("disk.raw", &disk());
        let document = rig.document(4, &["disk.raw"]);
        let said = document["error"]["message"].as_str().unwrap();
        assert!(
            said.starts_with("account: there were too many calls; the next is taken in 3"),
            "{said}"
        );
        assert_eq!(document["left"], json!([]));
        assert!(rig.asked("put-object").is_empty() && rig.creates() == 0, "{:?}", rig.log());
        assert!(rig.journals().is_empty());
    }
}

#[test]
fn a_create_that_comes_too_often_is_posted_again() {
    let plan = |times: u32, after: u32| {
        format!(
            "[[fault]]\nkind = \"429\"\nmethod = \"POST\"\npath = \"/v2/images\"\ntimes = {times}\nretry-after = {after}\n"
        )
    };
    let rig = Rig::with_plan(&plan(2, 1));
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz"]);
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("the create waits for that"), "{}", stderr(&output));
    assert_eq!((rig.creates(), rig.images().len()), (3, 1));
    assert!(rig.state()["objects"].as_array().unwrap().is_empty());

    // Longer than an import is waited for.
    let rig = Rig::with_plan(&plan(9, 7200));
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz"]);
    assert_eq!(exit_code(&output), 4, "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("the next is taken in 7"), "{said}");
    assert!(
        said.contains("no image of it is seen, and nothing that is known of is left behind"),
        "{said}"
    );
    rig.assert_clean(0..=0, "too many");
    assert!(rig.journals().is_empty());
}

#[test]
fn an_object_that_is_to_be_kept_is_gone_on_with_when_calls_are_taken() {
    let plan =
        "[[fault]]\nkind = \"429\"\nmethod = \"POST\"\npath = \"/v2/images\"\nretry-after = 7200\n";
    // As it is, and packed on the way.
    for (name, bytes) in [("disk.raw.gz", gzip(&disk())), ("disk.raw", disk())] {
        let rig = Rig::with_plan(plan);
        rig.scratch.write(name, &bytes);
        let keep = [name, "--keep-object"];
        let document = rig.document(4, &keep);
        let left = document["left"].to_string();
        assert!(left.contains("private, and the same push with --resume"), "{left}");
        assert_eq!(
            (&document["staged"]["kept"], &document["staged"]["public"]),
            (&json!(true), &json!(false))
        );
        assert_eq!((rig.journals().len(), rig.images().len()), (1, 0));
        let objects = rig.state()["objects"].clone();
        assert_eq!(objects.as_array().unwrap().len(), 1, "{objects}");

        let sent = rig.asked("upload-part").len();
        let document = rig.document(0, &[&keep[..], &["--resume"]].concat());
        assert_eq!((rig.asked("upload-part").len(), rig.images().len()), (sent, 1), "{name}");
        assert_eq!(document["staged"]["sha256"].as_str().unwrap().len(), 64);
        assert_eq!(
            (&document["staged"]["kept"], &document["staged"]["parts"]),
            (&json!(true), &json!(0))
        );
        assert!(rig.journals().is_empty());
    }
    // A sweep ends it.
    let rig = Rig::with_plan(plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    rig.document(4, &["disk.raw.gz", "--keep-object"]);
    assert_eq!(rig.sweep(&[]).0, 0);
    rig.assert_clean(0..=0, "swept");
    // With a temporary key, which cannot be deleted then, a sweep has to come first: nothing is kept for later.
    let rig = Rig::with_plan(plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(4, &["disk.raw.gz", "--keep-object", "--mint-key"]);
    assert!(!document["left"].to_string().contains("--resume"), "{document}");
    assert!(rig.state()["objects"].as_array().unwrap().is_empty());
    assert_eq!(rig.sweep(&[]).0, 0);
    assert_eq!((rig.keys().len(), rig.journals().len()), (0, 0));
}

#[test]
fn a_create_that_was_never_sent_is_known_to_be_unsent() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::server::{Request, Server, forwarded};

    // The API is gone when the object is there.
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let api = rig.value("DIGITALOCEAN_API_URL").to_owned();
    let bucket = rig.value("SPACES_ENDPOINT_URL").to_owned();
    let proxy =
        Server::new(move |request: &Request| forwarded(&api, request).with("connection", "close"));
    let url = proxy.url("").trim_end_matches('/').to_owned();
    let (proxy, gone) = (std::sync::Mutex::new(Some(proxy)), Arc::new(AtomicBool::new(false)));
    let is_gone = Arc::clone(&gone);
    let watched = Server::new(move |request: &Request| {
        let publishes = request.method == "PUT"
            && request.path.contains("?acl")
            && request.path.contains("disk");
        let reply = forwarded(&bucket, request);
        if publishes && !is_gone.swap(true, Ordering::SeqCst) {
            drop(proxy.lock().unwrap().take());
        }
        reply
    });
    let mut push = rig.push(&["disk.raw.gz"]);
    push.env("DIGITALOCEAN_API_URL", &url);
    push.env("SPACES_ENDPOINT_URL", watched.url("").trim_end_matches('/'));
    let output = push.output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let said = stderr(&output);
    assert!(gone.load(Ordering::SeqCst), "{said}");
    assert!(said.contains("nothing was created, and nothing is left behind"), "{said}");
    assert!(rig.journals().is_empty());
    rig.assert_clean(0..=0, "unsent");
}

#[test]
fn what_was_never_sent_is_not_undone() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut push = rig.push(&["disk.raw.gz", "-v", "--retries", "0"]);
    let output = push.env("SPACES_ENDPOINT_URL", "http://127.0.0.1:1").output().unwrap();
    let said = stderr(&output);
    assert_eq!(exit_code(&output), 4, "{said}");
    assert!(said.contains("PUT ") && !said.contains("DELETE "), "{said}");
    assert!(said.contains("nothing was created, and nothing is left behind"), "{said}");
    assert!(rig.journals().is_empty());
}
