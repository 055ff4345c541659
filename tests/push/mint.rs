//! A key that is made for one push ends with it, whatever happens to the push.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::common::*;
use crate::crash::{Sweep, kill_at_each_with, swept};
use crate::disks::*;
use crate::rig::*;

/// Without any credentials of the bucket.
fn minted(rig: &Rig, arguments: &[&str]) -> std::process::Command {
    let mut push = rig.push(&[&["--mint-key"], arguments].concat());
    push.env_remove("SPACES_ACCESS_KEY_ID").env_remove("SPACES_SECRET_ACCESS_KEY");
    push
}

#[test]
fn a_minted_key_ends_with_its_push() {
    for (plan, code) in [
        ("", 0),
        ("[[fault]]\nkind = \"import-fails\"", 5),
        ("[[fault]]\nkind = \"401\"\nmethod = \"POST\"\npath = \"/v2/images\"", 4),
        ("[[bucket]]\nkind = \"403\"\noperation = \"upload-part\"", 4),
        // What its bucket does not let it remove, it does not outlive either.
        ("[[bucket]]\nkind = \"403\"\noperation = \"delete-object\"\nnth = 2\ntimes = 2", 4),
    ] {
        let rig = Rig::with_plan(plan);
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let output = minted(&rig, &["disk.raw.gz"]).output().unwrap();
        assert_eq!(exit_code(&output), code, "{plan}: {output:?}");
        assert!(stderr(&output).contains("full access"), "{output:?}");
        assert_eq!(rig.keys().len(), 0, "{plan}: {output:?}");
        if code != 4 || !plan.contains("delete") {
            rig.assert_clean(0..=1, plan);
        }
    }
}

#[test]
fn its_secret_is_nowhere() {
    let rig = Rig::with(PACED, &["--state", "simulated"]);
    rig.scratch.write("disk.raw.gz", big());
    let push = &mut minted(&rig, &["disk.raw.gz", "-v"]);
    let mut push = Running::start(push.args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    push.child().kill().unwrap();
    let output = push.output();
    let mut secret = None;
    for entry in std::fs::read_dir(rig.scratch.path("simulated")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        if let Some((_, rest)) = text.split_once("\"secret_key\":\"") {
            secret = Some(rest.split('"').next().unwrap().to_owned());
        }
    }
    let secret = secret.expect("the simulator keeps it");
    assert!(secret.len() > 20);
    let journal = std::fs::read_to_string(&rig.journals()[0]).unwrap();
    for text in [&journal, stdout(&output), stderr(&output)] {
        assert!(!text.contains(&secret), "{text}");
    }
    // A sweep without credentials of the bucket ends the key at least.
    let mut sweep = rig.tidegate("sweep");
    sweep.env_remove("SPACES_ACCESS_KEY_ID").env_remove("SPACES_SECRET_ACCESS_KEY");
    let output = sweep.arg("--yes").output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    assert!(stdout(&output).contains("no credentials for its bucket"), "{output:?}");
    assert_eq!(rig.keys().len(), 0);
    swept(&rig, Sweep::Journal, "with credentials");
    rig.assert_clean(0..=0, "with credentials");
}

#[test]
fn killed_at_each_line_its_key_is_swept_too() {
    kill_at_each_with(Sweep::Journal, &gzip(&disk()), true, &["--mint-key"], |rig, what| {
        assert_eq!(rig.keys().len(), 0, "{what}");
    });
}

#[test]
fn a_key_whose_journal_is_lost_is_swept_by_its_name() {
    let rig = Rig::with(PACED, &[]);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(minted(&rig, &["disk.raw.gz"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    push.child().kill().unwrap();
    push.output();
    assert_eq!(rig.keys().len(), 1);
    std::fs::remove_dir_all(rig.scratch.path("state")).unwrap();
    // Nothing that is young is touched.
    let (code, _) = rig.sweep(&["--remote"]);
    assert_eq!((code, rig.keys().len()), (0, 1));
    // A sweep may have a key of its own, too.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut sweep = rig.tidegate("sweep");
    sweep.env_remove("SPACES_ACCESS_KEY_ID").env_remove("SPACES_SECRET_ACCESS_KEY");
    sweep.args(["--yes", "--remote", "--older-than", "1s", "--mint-key"]);
    let output = sweep.output().unwrap();
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(rig.keys().len(), 0);
    rig.assert_clean(0..=0, "by name");
}

/// A server before the bucket to which the key is unknown for so many requests.
fn forgetful(bucket: &str, times: usize) -> String {
    let bucket = bucket.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the process.
    std::thread::spawn(move || {
        for (count, stream) in listener.incoming().flatten().enumerate() {
            let bucket = bucket.clone();
            std::thread::spawn(move || match count < times {
                true => drop(refuse(stream)),
                false => drop(pass(stream, &bucket)),
            });
        }
    });
    address
}

fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let body = match head.starts_with(b"HEAD") {
        true => "",
        false => "<Error><Code>InvalidAccessKeyId</Code></Error>",
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn pass(mut stream: TcpStream, bucket: &str) -> std::io::Result<()> {
    let mut to = TcpStream::connect(bucket)?;
    let (mut back, mut from) = (stream.try_clone()?, to.try_clone()?);
    let answers = std::thread::spawn(move || {
        let copied = std::io::copy(&mut from, &mut back);
        back.shutdown(std::net::Shutdown::Both).and(copied)
    });
    let _ = std::io::copy(&mut stream, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
    let _ = answers.join();
    Ok(())
}

#[test]
fn a_sweep_waits_until_its_key_is_known() {
    let rig = Rig::with(PACED, &[]);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(rig.push(&["disk.raw.gz"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
    let mut sweep = rig.tidegate("sweep");
    sweep.env_remove("SPACES_ACCESS_KEY_ID").env_remove("SPACES_SECRET_ACCESS_KEY");
    sweep.env("SPACES_ENDPOINT_URL", forgetful(rig.value("SPACES_ENDPOINT_URL"), 2));
    sweep.args(["--yes", "--remote", "--older-than", "1ms", "--mint-key", "--interval", "20ms"]);
    let output = sweep.output().unwrap();
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(rig.keys().len(), 0);
    rig.assert_clean(0..=0, "known at last");
}

#[test]
fn a_run_that_lives_is_left_alone_also_by_what_is_in_the_bucket() {
    let rig = Rig::with(PACED, &[]);
    rig.scratch.write("disk.raw.gz", big());
    let push = Running::start(rig.push(&["disk.raw.gz"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    let (code, document) = rig.sweep(&["--remote", "--older-than", "1ms"]);
    assert_eq!((code, &document["pushes"]), (0, &serde_json::json!([])), "{document}");
    let output = push.output();
    assert_eq!(exit_code(&output), 0, "{output:?}");
}
