//! `--read-back`: the object is read again before anybody else can, and has to be what was sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::*;
use crate::crash::{Sweep, swept};
use crate::disks::*;
use crate::rig::*;
use crate::server::{Object, Reply, Request, Server, forwarded};

const SILENT: &str = "[[bucket]]\nkind = \"corrupt-part\"\nsilent = true\n";

/// A bucket that asks for patience when the object is read again: time enough for whatever is to happen.
const WAITS: &str = "[[bucket]]\nkind = \"slow-down\"\noperation = \"get-object\"\nsigned = true\nretry-after = 60\n";

/// Requests about the staged object, not the one of the probe.
fn of_object(rig: &Rig, operation: &str) -> Vec<Value> {
    let is = |line: &Value| !line["path"].as_str().unwrap().ends_with("/probe");
    rig.asked(operation).into_iter().filter(is).collect()
}

/// Requests that read the object with the key.
fn readings(rig: &Rig) -> usize {
    rig.asked("get-object").iter().filter(|line| line["anonymous"].is_null()).count()
}

/// Nobody but the owner ever saw anything, and nothing is left of it.
fn assert_untouched(rig: &Rig, what: &str) {
    // It is made private again before it is deleted, and never anything else.
    let (acls, deletes) = (of_object(rig, "put-object-acl"), of_object(rig, "delete-object"));
    assert_eq!(acls.len(), deletes.len(), "{what}: {:?}", rig.log());
    assert_eq!(rig.creates(), 0, "{what}: {:?}", rig.log());
    assert!(rig.journals().is_empty(), "{what}");
    rig.assert_clean(0..=0, what);
}

#[test]
fn other_bytes_under_the_right_etag_are_noticed_before_they_are_public() {
    for (bytes, plan) in [(gzip(&disk()), SILENT), (big().to_vec(), &format!("{SILENT}part = 3\n"))]
    {
        let rig = Rig::with_plan(plan);
        rig.scratch.write("disk.raw.gz", &bytes);
        let arguments = ["disk.raw.gz", "--read-back", PARTS[0], PARTS[1]];
        let document = rig.document(4, &arguments);
        let error = &document["error"];
        let said = error["message"].as_str().unwrap();
        assert_eq!(error["kind"], "spaces", "{said}");
        assert!(said.starts_with("read-back: ") && said.contains(&sha256(&bytes)), "{said}");
        assert_eq!(document["staged"]["sha256"], sha256(&bytes));
        assert_eq!(document["staged"]["kept"], false);
        // What did not come to its end has no time.
        assert!(document["timings"]["complete_ms"].is_u64(), "{document}");
        assert!(document["timings"]["read_back_ms"].is_null(), "{document}");
        assert_eq!(of_object(&rig, "complete-multipart-upload").len(), 1);
        assert_untouched(&rig, said);
    }

    let rig = Rig::with_plan(SILENT);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz", "--read-back"]);
    assert_eq!((exit_code(&output), stdout(&output)), (4, ""), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("nothing was created, and nothing is left behind"), "{said}");

    // Without the option it goes as far as the importer.
    let rig = Rig::with_plan(SILENT);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    rig.document(5, &["disk.raw.gz"]);
    assert_eq!((rig.creates(), readings(&rig)), (1, 0));
    rig.assert_clean(0..=0, "not read");
}

#[test]
fn the_same_bytes_go_on_to_the_import() {
    for (bytes, more) in [
        (gzip(&disk()), &[][..]),
        (big().to_vec(), &PARTS[..]),
        // What was packed on the way is held against what was sent, not against the file.
        (disk(), &[]),
        (gzip(&disk()), &["--mint-key"]),
        (gzip(&disk()), &["--keep-object"]),
    ] {
        let rig = Rig::new();
        rig.scratch.write("disk", &bytes);
        let document = rig.document(0, &[&["disk", "--read-back"], more].concat());
        assert!(document["timings"]["read_back_ms"].is_u64(), "{document}");
        let log = rig.log();
        let at = |is: &dyn Fn(&Value) -> bool| log.iter().position(is).unwrap();
        let is = |operation: &'static str| {
            move |line: &Value| {
                line["operation"] == operation
                    && !line["path"].as_str().unwrap().ends_with("/probe")
            }
        };
        let read = at(&is("get-object"));
        assert!(log[read]["anonymous"].is_null(), "{}", log[read]);
        assert!(at(&is("complete-multipart-upload")) < read, "{log:?}");
        assert!(read < at(&is("put-object-acl")), "{log:?}");
        assert_eq!((rig.images().len(), rig.creates()), (1, 1));
        let kept = usize::from(more.contains(&"--keep-object"));
        assert_eq!(rig.state()["objects"].as_array().unwrap().len(), kept);
    }

    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz", "--read-back"]);
    let said = stderr(&output);
    let line = said.lines().find(|line| line.starts_with("read-back: the bucket has the "));
    assert!(line.is_some() && exit_code(&output) == 0, "{said}");
    let quiet = rig.pushed(&["disk.raw.gz", "--read-back", "--quiet"]);
    assert_eq!((exit_code(&quiet), stderr(&quiet)), (0, ""));
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_ends_the_push() {
    let fault = |kind: &str, more: &str| {
        format!(
            "[[bucket]]\nkind = \"{kind}\"\noperation = \"get-object\"\nsigned = true\n{more}\n"
        )
    };
    let mut cases = Vec::new();
    for kind in ["slow-down", "500", "503", "cut-before", "cut-after"] {
        cases.push((fault(kind, "times = 2"), 0));
        // One of several connections.
        cases.push((fault(kind, "nth = 2"), 0));
    }
    cases.push((fault("slow-down", "retry-after = 1"), 0));
    cases.push((fault("slow-down", "forever = true"), 4));
    cases.push((fault("cut-after", "forever = true"), 4));
    cases.push((fault("403", ""), 4));
    each(&cases, |(plan, code)| {
        let rig = Rig::with_plan(plan);
        rig.scratch.write("disk.raw.gz", big());
        let arguments = ["disk.raw.gz", "--read-back", "-v", "--format", "json", "--retries", "2"];
        let output = rig.push(&arguments).args(PARTS).output().unwrap();
        assert_eq!(exit_code(&output), *code, "{plan}: {}", stderr(&output));
        let document = crate::documents::parsed("push", &output);
        let faults = rig.log().iter().filter(|line| !line["faults"].is_null()).count();
        assert!(faults > 0 && readings(&rig) > 0, "{plan}: {:?}", rig.log());
        match code {
            0 => rig.assert_clean(1..=1, plan),
            _ => {
                assert_eq!(document["error"]["kind"], "spaces", "{document}");
                let said = document["error"]["message"].as_str().unwrap();
                assert!(said.starts_with("read-back: the object cannot be read again"), "{said}");
                assert_untouched(&rig, plan);
            }
        }
        if plan.contains("times = 2") {
            let said = stderr(&output);
            assert!(said.contains("trying again in"), "{said}");
        }
        assert_secret(&rig, &output);
    });
}

/// The URL opens the object for whoever has it.
fn assert_secret(rig: &Rig, output: &std::process::Output) {
    let mut texts = vec![stdout(output).to_owned(), stderr(output).to_owned()];
    texts.extend(rig.journals().iter().map(|path| std::fs::read_to_string(path).unwrap()));
    for text in texts {
        assert!(!text.contains("X-Amz-") && !text.contains("Signature"), "{text}");
    }
}

/// A server before the bucket, whose answers to whoever reads the object with the key are changed.
fn before(rig: &Rig, change: impl Fn(usize, Reply) -> Reply + Send + Sync + 'static) -> Server {
    let bucket = rig.value("SPACES_ENDPOINT_URL").to_owned();
    let read = AtomicUsize::new(0);
    Server::new(move |request: &Request| {
        let reply = forwarded(&bucket, request);
        match request.path.contains("X-Amz-Signature=") {
            true => change(read.fetch_add(1, Ordering::SeqCst), reply),
            false => reply,
        }
    })
}

fn pushed_by(rig: &Rig, server: &Server, arguments: &[&str]) -> std::process::Command {
    let mut push = rig.push(&["disk.raw.gz", "--read-back", "-v", "--format", "json"]);
    push.env("SPACES_ENDPOINT_URL", server.url("").trim_end_matches('/')).args(arguments);
    push
}

#[test]
fn a_reading_that_is_cut_or_silent_goes_on_where_it_stopped() {
    type Change = fn(Reply) -> Reply;
    let cut: Change = |reply| Reply { cut: Some(1 << 20), ..reply };
    let stalls: Change = |reply| Reply { stall: Some((1 << 20, Duration::from_secs(8))), ..reply };
    // By one connection, and by several, of which one may take what was answered first for its own, or not.
    let (one, several) = (&gzip(&big_disk(6 * MIB)), big());
    let all = [(&one[..], 0, cut), (one, 0, stalls), (several, 1, cut), (several, 1, stalls)];
    each(&all, |&(file, which, change)| {
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", file);
        let server =
            before(&rig, move |nth, reply| if nth == which { change(reply) } else { reply });
        let output = pushed_by(&rig, &server, &["--timeout", "3"]).output().unwrap();
        assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
        assert!(stderr(&output).contains("trying again in"), "{}", stderr(&output));
        let mut requests = server.requests();
        requests.retain(|request| request.path.contains("X-Amz-Signature="));
        let first = |request: &Request| request.range.map_or(0, |(first, _)| first);
        let begins: Vec<u64> = requests.iter().map(first).collect();
        // Of what came before a cut the system may have kept nothing.
        if which == 0 && change(Reply::status(200, Vec::new())).cut.is_none() {
            assert!(begins.len() == 2 && begins[1] > 0, "{begins:?}");
        }
        assert_secret(&rig, &output);
        rig.assert_clean(1..=1, "cut");
    });
}

#[test]
fn another_length_is_other_bytes() {
    let shorter = |_, _| Object::new(vec![7; 10]).answer(&ranged());
    let longer = |_, reply: Reply| {
        let mut body = reply.body;
        body.push(7);
        Reply { chunked: true, ..Reply::status(200, body) }
    };
    let check = |server: &Server, rig: &Rig, text: &str| {
        let output = pushed_by(rig, server, &[]).output().unwrap();
        assert_eq!(exit_code(&output), 4, "{output:?}");
        let document = crate::documents::parsed("push", &output);
        let said = document["error"]["message"].as_str().unwrap();
        assert!(said.starts_with("read-back: ") && said.contains(text), "{said}");
        assert_untouched(rig, text);
    };
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    check(&before(&rig, shorter), &rig, "10 bytes in the bucket");
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    check(&before(&rig, longer), &rig, "more than the");
}

#[test]
fn bytes_from_elsewhere_prove_nothing_of_the_bucket() {
    // The first answer, and one of those about the rest.
    for (bytes, first) in [(gzip(&disk()), 0), (big().to_vec(), 1)] {
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", &bytes);
        let elsewhere = Server::new(move |request| Object::new(bytes.clone()).answer(request));
        let to = elsewhere.url("/disk.raw.gz?key=hushed");
        let server = before(&rig, move |nth, reply| match nth < first {
            true => reply,
            false => Reply::status(302, Vec::new()).with("location", &to),
        });
        let output = pushed_by(&rig, &server, &[]).output().unwrap();
        assert_eq!(exit_code(&output), 4, "{output:?}");
        let document = crate::documents::parsed("push", &output);
        let said = document["error"]["message"].as_str().unwrap();
        assert!(said.starts_with("read-back: ") && said.contains("none is followed"), "{said}");
        assert!(!stderr(&output).contains("hushed") && !said.contains("hushed"), "{output:?}");
        assert!(elsewhere.requests().is_empty(), "somebody else was asked");
        assert_secret(&rig, &output);
        assert_untouched(&rig, "elsewhere");
    }
}

/// A request for all of an object.
fn ranged() -> Request {
    Request {
        method: "GET".into(),
        path: "/".into(),
        headers: Default::default(),
        range: Some((0, None)),
        before: 0,
        body: Vec::new(),
    }
}

#[test]
fn a_push_that_is_killed_while_it_reads_leaves_nothing_after_a_sweep() {
    for sweep in [Sweep::Journal, Sweep::Remote] {
        let rig = Rig::with_plan(WAITS);
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let mut push = Running::start(&mut rig.push(&["disk.raw.gz", "--read-back", "-v"]));
        wait_until("it is read again", || readings(&rig) > 0);
        push.child().kill().unwrap();
        let output = push.output();
        assert_secret(&rig, &output);
        assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 1);
        swept(&rig, sweep, "killed while it reads");
        assert_untouched(&rig, "killed while it reads");
    }
}

#[test]
fn a_reading_that_is_interrupted_ends_at_once() {
    // While it waits for its next try, and while the bucket says nothing more.
    let rig = Rig::with_plan(WAITS);
    let stalled = Rig::new();
    let stall = Some((100_000, Duration::from_secs(50)));
    let server = before(&stalled, move |_, reply| Reply { stall, ..reply });
    let interrupted = |rig: &Rig, mut push: std::process::Command| {
        let mut push = Running::start(push.args(["--timeout", "60"]));
        wait_until("it is read again", || readings(rig) > 0);
        std::thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        signal(push.child(), "INT");
        let output = push.output();
        assert!(began.elapsed().as_secs() < 20, "{output:?}");
        assert_eq!(exit_code(&output), 130, "{output:?}");
        let said = stderr(&output);
        assert!(said.contains("interrupted during read-back; cleaning up"), "{said}");
        assert_secret(rig, &output);
        assert_untouched(rig, "interrupted");
    };
    for rig in [&rig, &stalled] {
        rig.scratch.write("disk.raw.gz", &gzip(&big_disk(6 * MIB)));
    }
    interrupted(&rig, rig.push(&["disk.raw.gz", "--read-back"]));
    interrupted(&stalled, pushed_by(&stalled, &server, &[]));
}

#[test]
fn a_url_that_is_handed_over_has_no_object_to_read() {
    let rig = Rig::new();
    let note = "note: the URL is handed over, so --read-back finds no object to read";
    let planned = |arguments: &[&str]| {
        let all = [&["--dry-run", "--read-back", "--format", "json"], arguments].concat();
        let output = rig.pushed(&all);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let document = crate::documents::parsed("plan", &output);
        let steps = document["steps"].as_array().unwrap();
        let reads = steps.iter().any(|step| step["step"] == "read-back");
        (reads, stderr(&output).contains(note))
    };
    let url = "https://example.com/disk.raw";
    assert_eq!(planned(&[url]), (false, true));
    assert_eq!(planned(&[url, "--stage"]), (true, false));
    assert!(rig.log().is_empty());
}

#[test]
fn it_is_rehearsed_too() {
    let scratch = Scratch::new();
    scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut command = bare(&scratch);
    command.args(["push", "--rehearse", "--read-back", "disk.raw.gz", "--interval", "100ms"]);
    let output = command.args(["--format", "json"]).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    let document = crate::documents::parsed("push", &output);
    assert!(document["timings"]["read_back_ms"].is_u64(), "{document}");
    assert_eq!(document["error"], json!(null));
}
