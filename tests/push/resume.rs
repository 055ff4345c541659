//! Going on with an upload that was killed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::*;
use crate::disks::*;
use crate::rig::*;

const FEW: [&str; 3] = ["disk.raw.gz", "--uploads", "1"];

/// The parts that have arrived, by the log from some line on.
fn arrived(rig: &Rig, from: usize) -> BTreeSet<u32> {
    let is = |line: &Value| line["operation"] == "upload-part" && line["status"] == 200;
    let number = |line: &Value| {
        let query = line["query"].as_str().unwrap();
        let pairs = query.split('&').find_map(|pair| pair.strip_prefix("partNumber="));
        pairs.unwrap().parse().unwrap()
    };
    rig.log()[from..].iter().filter(|line| is(line)).map(number).collect()
}

/// A push that is killed when two parts have arrived; what has, and the lines of the log.
fn killed() -> (Rig, BTreeSet<u32>, usize) {
    let rig = Rig::with_plan(PACED);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(rig.push(&FEW).args(PARTS));
    wait_until("two parts have arrived", || arrived(&rig, 0).len() >= 2);
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
    let (there, lines) = (arrived(&rig, 0), rig.log().len());
    assert!(there.len() < parts(big()), "it was too fast");
    (rig, there, lines)
}

fn resume(rig: &Rig) -> Value {
    rig.document(0, &[&FEW[..], &["--resume"], &PARTS].concat())
}

fn all() -> BTreeSet<u32> {
    (1..=parts(big()) as u32).collect()
}

#[test]
fn only_what_is_missing_is_sent() {
    let (rig, there, lines) = killed();
    let first = rig.journals()[0].file_stem().unwrap().to_str().unwrap().to_owned();
    let document = resume(&rig);
    assert_eq!(document["push"], first);
    assert_eq!(arrived(&rig, lines), &all() - &there);
    assert_eq!(document["staged"]["sha256"], sha256(big()));
    assert_eq!(document["staged"]["parts"], parts(big()));
    rig.assert_clean(1..=1, "resumed");
    assert!(rig.journals().is_empty());
    assert_eq!(rig.asked("create-multipart-upload").len(), 1);
}

#[test]
fn a_part_size_that_is_not_said_again_is_that_of_the_upload() {
    let (rig, there, lines) = killed();
    let document = rig.document(0, &["disk.raw.gz", "--resume"]);
    assert_eq!(arrived(&rig, lines), &all() - &there);
    assert_eq!(document["staged"]["parts"], parts(big()));
    rig.assert_clean(1..=1, "resumed");
}

#[test]
fn a_journal_with_parts_that_none_can_have_is_refused() {
    let (rig, _, lines) = killed();
    let journal = rig.journals().remove(0);
    let text = std::fs::read_to_string(&journal).unwrap();
    for size in ["0", "5242879", "18446744073709551615"] {
        let other = text.replace("\"part_size\":5242880", &format!("\"part_size\":{size}"));
        assert_ne!(text, other);
        std::fs::write(&journal, other).unwrap();
        let output = rig.pushed(&["disk.raw.gz", "--resume"]);
        let said = stderr(&output);
        assert_eq!(exit_code(&output), 2, "{said}");
        assert!(said.contains(size) && said.contains("`tidegate sweep --state /"), "{said}");
        assert_eq!((arrived(&rig, lines).len(), rig.journals().len()), (0, 1), "{said}");
    }
    assert_eq!(rig.sweep(&[]).0, 0);
    rig.assert_clean(0..=0, "swept");
}

#[test]
fn what_an_upload_was_not_begun_with_is_refused() {
    let (rig, there, lines) = killed();
    for option in [&["--keep-object"][..], &["--part-size", "6MiB"]] {
        let output = rig.pushed(&[&["disk.raw.gz", "--resume"], option].concat());
        assert_eq!(exit_code(&output), 2, "{output:?}");
        let said = stderr(&output);
        assert!(said.contains(option[0]) && said.contains("`tidegate sweep --state /"), "{said}");
        assert_eq!((arrived(&rig, lines).len(), rig.journals().len()), (0, 1), "{said}");
    }
    resume(&rig);
    assert_eq!(arrived(&rig, lines), &all() - &there);
    rig.assert_clean(1..=1, "without the options");
}

#[test]
fn an_object_that_is_to_be_kept_is_kept_after_all() {
    let rig = Rig::with_plan(PACED);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(rig.push(&FEW).args(PARTS).arg("--keep-object"));
    wait_until("a part has arrived", || !arrived(&rig, 0).is_empty());
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
    let output = rig.pushed(&["disk.raw.gz", "--resume", "--format", "json"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(stderr(&output).contains("the object is kept"), "{output:?}");
    let staged = crate::documents::parsed("push", &output)["staged"].clone();
    assert_eq!((&staged["kept"], &staged["public"]), (&json!(true), &json!(false)));
    let objects = rig.state()["objects"].clone();
    assert_eq!(
        (objects[0]["key"].clone(), &objects[0]["acl"]),
        (staged["key"].clone(), &json!("private"))
    );
}

#[test]
fn files_are_told_apart_whose_long_paths_begin_the_same() {
    let rig = Rig::with_plan(PACED);
    let folder = format!("{}/{}", "a".repeat(150), "b".repeat(150));
    let path = |name: &str| format!("{folder}/{name}/disk.raw.gz");
    for name in ["one", "two"] {
        std::fs::create_dir_all(rig.scratch.path(format!("{folder}/{name}"))).unwrap();
        rig.scratch.write(path(name), big());
    }
    let mut push = Running::start(rig.push(&[&path("one"), "--uploads", "1"]).args(PARTS));
    wait_until("a part has arrived", || !arrived(&rig, 0).is_empty());
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
    let first = rig.journals()[0].file_stem().unwrap().to_str().unwrap().to_owned();
    let resumed = |name: &str| {
        let document = rig.document(0, &[&[path(name).as_str(), "--resume"], &PARTS[..]].concat());
        document["push"].as_str().unwrap().to_owned()
    };
    assert_ne!(resumed("two"), first);
    assert_eq!(resumed("one"), first);
    assert_eq!((rig.images().len(), rig.journals().len()), (2, 0));
}

#[test]
fn what_changed_is_sent_anew() {
    let (rig, there, lines) = killed();
    let mut other = big_disk(22 * MIB);
    other[2 * MIB] ^= 1;
    let other = gzip(&other);
    assert_eq!(other.len(), big().len());
    rig.scratch.write("disk.raw.gz", &other);
    let document = resume(&rig);
    let mut sent = &all() - &there;
    sent.insert(1);
    assert_eq!(arrived(&rig, lines), sent);
    assert_eq!(document["staged"]["sha256"], sha256(&other));
    rig.assert_clean(1..=1, "changed");
}

#[test]
fn another_kind_of_file_begins_anew() {
    let (rig, _, lines) = killed();
    let qcow2 = std::fs::read(root().join("testdata/gpt.qcow2")).unwrap();
    rig.scratch.write("disk.raw.gz", &qcow2);
    let document = resume(&rig);
    assert_eq!(document["staged"]["sha256"], sha256(&qcow2));
    assert!(document["staged"]["key"].as_str().unwrap().ends_with(".qcow2"), "{document}");
    assert_eq!(arrived(&rig, lines).len(), 1);
    rig.assert_clean(1..=1, "another kind");
    assert!(rig.journals().is_empty());
}

#[test]
fn a_shorter_file_is_itself() {
    let (rig, ..) = killed();
    let small = gzip(&disk());
    rig.scratch.write("disk.raw.gz", &small);
    assert_eq!(resume(&rig)["staged"]["sha256"], sha256(&small));
    rig.assert_clean(1..=1, "a shorter file");
}

#[test]
fn what_is_refused_now_is_not_completed() {
    let (rig, ..) = killed();
    rig.scratch.write("disk.raw.gz", cut());
    rig.document(1, &[&FEW[..], &["--resume"], &PARTS].concat());
    assert!(rig.asked("complete-multipart-upload").is_empty());
    rig.assert_clean(0..=0, "refused");
    assert!(rig.journals().is_empty());
}

#[test]
fn a_resumed_push_that_is_killed_can_be_resumed_or_swept() {
    let (rig, there, lines) = killed();
    let mut push = Running::start(rig.push(&[&FEW[..], &["--resume"]].concat()).args(PARTS));
    wait_until("a third part has arrived", || !arrived(&rig, lines).is_empty());
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
    let second = arrived(&rig, lines);
    let lines = rig.log().len();
    assert_eq!(resume(&rig)["staged"]["sha256"], sha256(big()));
    assert_eq!(arrived(&rig, lines), &(&all() - &there) - &second);
    rig.assert_clean(1..=1, "resumed twice");

    let (rig, ..) = killed();
    crate::crash::swept(&rig, crate::crash::Sweep::Journal, "killed");
    rig.assert_clean(0..=0, "killed");
    // What was swept is not gone on with.
    assert_eq!(resume(&rig)["staged"]["sha256"], sha256(big()));
    assert_eq!(rig.asked("create-multipart-upload").len(), 2);
    rig.assert_clean(1..=1, "swept");
}

#[test]
fn an_upload_that_is_gone_is_begun_anew() {
    let (rig, ..) = killed();
    let away = rig.scratch.path("away");
    std::fs::rename(rig.scratch.path("state"), &away).unwrap();
    assert_eq!(rig.sweep(&["--remote", "--older-than", "1ms"]).0, 0);
    std::fs::rename(&away, rig.scratch.path("state")).unwrap();
    let lines = rig.log().len();
    assert_eq!(resume(&rig)["staged"]["sha256"], sha256(big()));
    assert_eq!(arrived(&rig, lines), all());
    rig.assert_clean(1..=1, "gone");
    assert!(rig.journals().is_empty());
}

/// Ceph's gateway says of an upload that is gone that there is no such key; and what stands between may have made the
/// ETags weak.
#[test]
fn what_other_servers_say_of_an_upload_is_understood() {
    use crate::server::{Request, Server, forwarded};

    let (rig, _, _) = killed();
    let to = rig.value("SPACES_ENDPOINT_URL").to_owned();
    let server = Server::new(move |request: &Request| {
        let mut reply = forwarded(&to, request);
        let said = String::from_utf8_lossy(&reply.body).replace("NoSuchUpload", "NoSuchKey");
        if reply.status == 404 {
            reply.body = said.into_bytes();
        }
        let etag = reply.headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("etag"));
        if let Some((_, etag)) = etag {
            *etag = format!("W/{etag}");
        }
        reply
    });
    // Its server is another one from here on, for the journal too.
    let url = server.url("").trim_end_matches('/').to_owned();
    let journal = rig.journals().remove(0);
    let text = std::fs::read_to_string(&journal).unwrap();
    let old = rig.value("SPACES_ENDPOINT_URL");
    assert!(text.contains(old), "{text}");
    let id = text.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    std::fs::write(
        &journal,
        text.replace(old, &url).replace(&id, "2~00000000000000000000000000000000"),
    )
    .unwrap();
    let mut push = rig.push(&["disk.raw.gz", "--resume"]);
    let output = push.args(PARTS).env("SPACES_ENDPOINT_URL", &url).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    assert_eq!(rig.images().len(), 1);
}

#[test]
fn without_anything_to_go_on_with_it_begins_anew() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", big());
    let output = rig.pushed(&["disk.raw.gz", "--resume"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(stderr(&output).contains("begins anew"), "{output:?}");
    rig.assert_clean(1..=1, "nothing to go on with");
    // Nor is a pipe what it was.
    let output = fed(&mut rig.push(&["-", "--name", "x", "--resume"]), big());
    assert_eq!(exit_code(&output), 0, "{output:?}");
}

#[test]
fn one_that_lives_is_not_gone_on_with() {
    let rig = Rig::with_plan(PACED);
    rig.scratch.write("disk.raw.gz", big());
    let push = Running::start(rig.push(&FEW).args(PARTS));
    wait_until("a part has arrived", || !arrived(&rig, 0).is_empty());
    let second = rig.pushed(&[&FEW[..], &["--resume"], &PARTS].concat());
    assert_eq!(exit_code(&second), 2, "{second:?}");
    assert!(stderr(&second).contains("is still running"), "{second:?}");
    assert_eq!(exit_code(&push.output()), 0);
    assert_eq!((rig.images().len(), rig.creates()), (1, 1));
    assert_eq!(rig.asked("create-multipart-upload").len(), 1);
}

#[test]
fn a_later_push_names_what_was_killed() {
    let (rig, _, _) = killed();
    rig.scratch.write("disk.raw", &disk());
    let said = |arguments: &[&str]| {
        let output = rig.pushed(arguments);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        stderr(&output).contains("an earlier push was killed before the end: `tidegate sweep")
    };
    assert!(said(&["disk.raw"]));
    assert!(!said(&["disk.raw", "--quiet"]));
    assert_eq!(rig.sweep(&[]).0, 0);
    assert!(!said(&["disk.raw"]));
}

#[test]
fn what_got_further_than_its_upload_is_swept_first() {
    let rig = Rig::with("[[fault]]\nkind = \"import-hangs\"", &["--pace", "0.03"]);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut push = Running::start(&mut rig.push(&["disk.raw.gz"]));
    wait_until("it is created", || rig.creates() == 1);
    wait_until("it is looked at", || {
        rig.log().iter().any(|line| line["path"].as_str().unwrap().starts_with("/v2/images/"))
    });
    push.child().kill().unwrap();
    push.output();
    let output = rig.pushed(&["disk.raw.gz", "--resume"]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("`tidegate sweep --state /"), "{said}");
    assert!(said.contains("nothing was begun") && !said.contains("left behind"), "{said}");
    // There is one image, not two.
    assert_eq!((rig.creates(), rig.journals().len()), (1, 1));
}
