//! What the bucket takes of the machine, what outlives it, and what is written of it.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use serde_json::{Value, json};

use super::s3::*;
use crate::common::*;
use crate::rig::*;

#[test]
fn bodies_are_not_held_in_memory() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    let id = s3.begin("big");
    let before = rig.peak();
    let body: Vec<u8> = (0..64 * MIB).map(|at| (at / 512) as u8).collect();
    thread::scope(|scope| {
        for number in 1..=4 {
            let (s3, id, body) = (&s3, &id, &body);
            scope.spawn(move || assert_eq!(s3.part("big", id, number, body).send().status, 200));
        }
    });
    let etags = vec![md5(&body); 4];
    assert_eq!(s3.complete("big", &id, &etags).unwrap().status, 200);
    assert_eq!(s3.get("big").body.len(), 4 * body.len());
    // 256 MiB went in and out.
    let grown = rig.peak() - before;
    assert!(grown < 32 * MIB as u64, "{grown} bytes");
}

#[test]
fn the_bucket_outlives_the_simulator() {
    let rig = Rig::start(Scratch::new(), &["--state", "state"]);
    let s3 = S3::of(&rig);
    s3.put("kept", b"a body", "public-read");
    s3.put("gone", b"a body", "private");
    s3.ask("DELETE", "gone").send();
    let id = s3.begin("open");
    s3.part("open", &id, 1, b"a part").send();
    let aborted = s3.begin("aborted");
    s3.ask("DELETE", &format!("aborted?uploadId={aborted}")).send();
    let grants = json!([{"bucket": "simulated", "permission": "read"}]);
    let minted = rig.post("/v2/spaces/keys", &json!({"name": "x", "grants": grants})).json();
    let before = rig.state();
    let (_, scratch) = rig.stop("KILL");
    assert_eq!(std::fs::read_dir(scratch.path("state/bucket")).unwrap().count(), 2);
    std::fs::remove_file(scratch.path("env")).unwrap();
    scratch.write("state/bucket/0123456789abcdef0123456789abcdef", b"half of a body");
    let rig = Rig::start(scratch, &["--state", "state"]);
    let state = rig.state();
    assert_eq!((&state["objects"], &state["uploads"]), (&before["objects"], &before["uploads"]));
    assert_eq!(before["uploads"][0]["upload_id"], id);
    assert!(!rig.scratch.path("state/bucket/0123456789abcdef0123456789abcdef").exists());
    // The key is a new one; that of the API is not.
    assert_eq!(S3 { address: S3::of(&rig).address, ..s3.clone() }.get("kept").status, 403);
    let s3 = S3::of(&rig);
    assert_eq!((s3.anybody("kept"), s3.get("kept").body), (200, b"a body".to_vec()));
    let text = |name: &str| minted["key"][name].as_str().unwrap().to_owned();
    let own = S3 { id: text("access_key"), secret: text("secret_key"), ..s3.clone() };
    assert_eq!(own.get("kept").status, 200);
    assert_eq!(s3.complete("open", &id, &[md5(b"a part")]).unwrap().status, 200);
    assert_eq!(s3.get("open").body, b"a part");
}

#[test]
fn the_log_says_what_was_asked_and_no_secret() {
    let rig = Rig::new(&[]);
    let s3 = S3::of(&rig);
    let id = s3.begin("k");
    s3.part("k", &id, 1, b"x").send();
    s3.anybody("k");
    s3.get(&s3.secret);
    s3.ask("GET", "k?X-Amz-Signature=5ec7e7&X-Amz-Date=1").unsigned().send();
    s3.ask("PUT", "k").payload(&"0".repeat(64)).send();
    let log = rig.log();
    let fields =
        |at: usize| ["method", "path", "operation", "status"].map(|name| log[at][name].clone());
    assert_eq!(fields(1), [json!("PUT"), json!("/simulated/k"), json!("upload-part"), json!(200)]);
    assert_eq!(log[1]["query"], format!("partNumber=1&uploadId={id}"));
    assert_eq!((&log[2]["operation"], &log[2]["anonymous"]), (&json!("head-object"), &json!(true)));
    assert_eq!((&log[1]["anonymous"], &log[2]["status"]), (&Value::Null, &json!(403)));
    assert_eq!(log[3]["path"], "/simulated/…");
    assert!(log[4]["query"].as_str().unwrap().starts_with("X-Amz-Signature=…"));
    assert_eq!(log[5]["status"], 400);
    let text = std::fs::read_to_string(rig.scratch.path("log")).unwrap();
    for secret in [&s3.secret, "5ec7e7", "Signature=0", "AWS4"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn a_body_that_ends_early_leaves_nothing() {
    let rig = Rig::start(Scratch::new(), &["--state", "state"]);
    let s3 = S3::of(&rig);
    let id = s3.begin("k");
    let body = vec![7; MIB];
    for target in ["a".to_owned(), format!("k?partNumber=1&uploadId={id}")] {
        let head = s3.ask("PUT", &target).body(&body).head();
        let mut stream = TcpStream::connect(&s3.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body[..MIB / 2]).unwrap();
    }
    // That of the upload stays.
    let bodies = || std::fs::read_dir(rig.scratch.path("state/bucket")).unwrap().count();
    wait_until("the file is gone", || bodies() == 1);
    assert_eq!(rig.state()["objects"], json!([]));
    assert_eq!(s3.get(&format!("k?uploadId={id}")).elements("Part"), [""; 0]);
}
