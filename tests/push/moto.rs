//! A bucket that nobody here wrote.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::common::*;
use crate::disks::*;
use crate::moto_server::Moto;
use crate::rig::*;

/// What anybody is answered.
fn asked(moto: &Moto, request: &str) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    moto.anonymous(method, path)
}

/// A push whose bucket is moto, and whose API is the simulator.
fn at(moto: &Moto, mut push: std::process::Command) -> std::process::Command {
    push.env("SPACES_ENDPOINT_URL", moto.url()).env("SPACES_REGION", "us-east-1");
    push.env("SPACES_BUCKET", "images").env("SPACES_ACCESS_KEY_ID", "someone");
    push.env("SPACES_SECRET_ACCESS_KEY", "something");
    push
}

#[test]
fn it_becomes_an_image_by_way_of_moto() {
    let Some(moto) = Moto::open() else { return };
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", big());
    let output = at(&moto, rig.push(&["disk.raw.gz", "--part-size", "5MiB"])).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    assert_eq!(rig.images().len(), 1);
    assert!(!asked(&moto, "GET /images?list-type=2").contains("<Contents>"));
    assert!(!asked(&moto, "GET /images?uploads").contains("<Upload>"));
}

#[test]
fn what_moto_has_is_read_again() {
    let Some(moto) = Moto::open() else { return };
    let rig = Rig::new();
    // By one connection, and by several.
    for file in [gzip(&disk()), big().to_vec()] {
        rig.scratch.write("disk.raw.gz", &file);
        let push =
            &mut at(&moto, rig.push(&["disk.raw.gz", "--read-back", "-v", "--format", "json"]));
        let output = push.args(PARTS).output().unwrap();
        assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
        let document = crate::documents::parsed("push", &output);
        assert!(document["timings"]["read_back_ms"].is_u64(), "{document}");
        for text in [stdout(&output), stderr(&output)] {
            assert!(!text.contains("X-Amz-"), "{text}");
        }
    }
    assert!(!asked(&moto, "GET /images?list-type=2").contains("<Contents>"));
}

#[test]
fn what_is_refused_or_killed_leaves_nothing_with_moto() {
    let Some(moto) = Moto::open() else { return };
    let rig = Rig::new();
    rig.scratch.write("cut.raw.gz", cut());
    rig.scratch.write("disk.raw.gz", big());
    let output = at(&moto, rig.push(&["cut.raw.gz", "--part-size", "5MiB"])).output().unwrap();
    assert_eq!(exit_code(&output), 1, "{}", stderr(&output));
    // As slow as it takes to be killed while parts are under way.
    let mut slow = at(&moto, rig.push(&["disk.raw.gz", "--part-size", "5MiB"]));
    let mut push = Running::start(slow.args(["--max-rate", "4MB"]));
    wait_until("an upload is open", || asked(&moto, "GET /images?uploads").contains("<Upload>"));
    push.child().kill().unwrap();
    push.output();
    let mut sweep = at(&moto, rig.tidegate("sweep"));
    let output = sweep.args(["--yes", "--remote", "--older-than", "1ms"]).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(!asked(&moto, "GET /images?list-type=2").contains("<Contents>"));
    assert!(!asked(&moto, "GET /images?uploads").contains("<Upload>"));
    assert_eq!((rig.creates(), rig.images().len()), (0, 0));
}

#[test]
fn an_object_of_the_bucket_is_fetched_with_its_key() {
    let Some(moto) = Moto::open() else { return };
    let rig = Rig::new();
    let disk = gzip(&disk());
    let mut stream = TcpStream::connect(("127.0.0.1", moto.port)).unwrap();
    let head = format!(
        "PUT /images/mine/disk.raw.gz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        disk.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&disk).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let push =
        &mut at(&moto, rig.push(&["s3://images/mine/disk.raw.gz", "--format", "json", "-v"]));
    let output = push.output().unwrap();
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    let document = crate::documents::parsed("push", &output);
    assert_eq!(document["source"]["name"], "s3://images/mine/disk.raw.gz");
    assert_eq!(document["staged"]["sha256"], sha256(&disk));
    // The URL opens the object for whoever has it.
    for text in [stdout(&output), stderr(&output)] {
        assert!(!text.contains("X-Amz-Signature"), "{text}");
    }
    // Only what was there before is there.
    let objects = asked(&moto, "GET /images?list-type=2");
    assert_eq!(objects.matches("<Contents>").count(), 1, "{objects}");
}

#[test]
fn a_bucket_that_keeps_versions_keeps_none_of_a_push() {
    let Some(moto) = Moto::open() else { return };
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    moto.unsigned("PUT", "/images?versioning", "s3", enabled);
    let left = || {
        let listed = asked(&moto, "GET /images?versions");
        ["<Version>", "<DeleteMarker>"].iter().any(|entry| listed.contains(entry))
    };
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", big());
    rig.scratch.write("cut.raw.gz", cut());
    for (file, code) in [("disk.raw.gz", 0), ("cut.raw.gz", 1)] {
        let output = at(&moto, rig.push(&[&[file][..], &PARTS].concat())).output().unwrap();
        assert_eq!(exit_code(&output), code, "{}", stderr(&output));
        assert!(stderr(&output).contains("warning: versioning of the bucket is on"), "{output:?}");
        assert!(!left(), "{file}");
    }
    // What a plain deletion left of an earlier push: nobody sees it who does not ask for versions.
    let id = "0123456789abcdef0123456789abcdef";
    let path = format!("/images/tidegate/{id}/disk.img.gz");
    moto.unsigned("PUT", &path, "s3", "x");
    let deleted = moto.unsigned("DELETE", &path, "s3", "");
    assert!(deleted.contains("x-amz-delete-marker"), "{deleted}");
    assert!(!asked(&moto, "GET /images?list-type=2").contains("<Contents>") && left());
    let mut sweep = at(&moto, rig.tidegate("sweep"));
    let output = sweep.args(["--yes", "--remote", "--older-than", "1ms"]).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(!left());
}
