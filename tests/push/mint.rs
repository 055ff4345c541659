//! A key that is made for one push ends with it, whatever happens to the push.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::common::*;
use crate::crash::{Sweep, kill_at_each_with, swept};
use crate::disks::*;
use crate::rig::*;
use crate::server::{Reply, Request, Server, forwarded};

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
    std::fs::remove_dir_all(rig.scratch.path("state/pushes")).unwrap();
    // Nothing that is young is touched, and that is said.
    let (code, _) = rig.sweep(&["--remote"]);
    assert_eq!((code, rig.keys().len()), (4, 1));
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

/// What stands for the secret in answers that are no good.
const TOLD: &str = "Sekret0123456789SekretABCDEF";

/// The API of a rig behind a server that changes the answers to the making of a key: it is given what the API said.
fn before(
    rig: &Rig,
    changed: impl Fn(&dyn Fn() -> Reply) -> Reply + Send + Sync + 'static,
) -> Server {
    let api = rig.value("DIGITALOCEAN_API_URL").to_owned();
    Server::new(move |request: &Request| {
        let pass = || forwarded(&api, request);
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v2/spaces/keys") => changed(&pass),
            _ => pass(),
        }
    })
}

#[test]
fn nothing_of_an_answer_to_its_making_is_shown() {
    let said = format!(r#"{{"id": "{TOLD}", "message": "{TOLD}", "request_id": "{TOLD}"}}"#);
    for (status, body) in [
        (201, format!(r#"{{"key":{{"access_key":"DO00","secret_key":"{TOLD}"#)),
        (201, format!("<html><title>{TOLD}</title><body>{TOLD}</body></html>")),
        (201, format!(r#"{{"key":"{TOLD}"}}"#)),
        (201, format!(r#"{{"key":{{"access_key":"{TOLD}/","secret_key":"{TOLD} x"}}}}"#)),
        (201, format!(r#"{{"key":{{"access_key":"DO00","secret_key":"","name":"{TOLD}"}}}}"#)),
        (200, TOLD.to_owned()),
        (403, said.clone()),
        (422, said.clone()),
        (422, TOLD.to_owned()),
        (500, said),
    ] {
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let answer = body.clone();
        let server = before(&rig, move |pass| {
            assert_eq!(pass().status, 201);
            Reply::status(status, answer.clone().into_bytes())
        });
        let url = server.url("");
        let mut push = minted(&rig, &["disk.raw.gz", "-v", "--format", "json"]);
        let output = push.env("DIGITALOCEAN_API_URL", url.trim_end_matches('/')).output().unwrap();
        assert_eq!(exit_code(&output), 4, "{body}: {output:?}");
        assert!(!stderr(&output).contains("Sekret"), "{body}: {}", stderr(&output));
        let document = crate::documents::parsed("push", &output).to_string();
        assert!(
            !document.contains("Sekret") && document.contains(&status.to_string()),
            "{document}"
        );
        assert_eq!(rig.keys().len(), 0, "{body}: {output:?}");
        assert!(rig.journals().is_empty(), "{body}");
    }
}

#[test]
fn a_sweep_shows_nothing_of_its_key_either_and_leaves_none() {
    let rig = Rig::new();
    let server = before(&rig, |pass| {
        assert_eq!(pass().status, 201);
        Reply::status(201, format!(r#"{{"key":{{"secret_key":"{TOLD}"#).into_bytes())
    });
    let mut sweep = rig.tidegate("sweep");
    sweep.env("DIGITALOCEAN_API_URL", server.url("").trim_end_matches('/'));
    let output = sweep.args(["--yes", "-v", "--remote", "--mint-key"]).output().unwrap();
    assert_ne!(exit_code(&output), 0, "{output:?}");
    assert!(!stderr(&output).contains("Sekret"), "{output:?}");
    assert_eq!(rig.keys().len(), 0, "{output:?}");
}

#[test]
fn a_key_that_was_made_in_spite_of_the_answer_is_deleted() {
    let fault =
        |rest: &str| format!("[[fault]]\nmethod = \"POST\"\npath = \"/v2/spaces/keys\"\n{rest}\n");
    for rest in [
        "kind = \"400\"\neffect = true",
        "kind = \"401\"\neffect = true",
        "kind = \"403\"\neffect = true",
        "kind = \"409\"\neffect = true",
        "kind = \"422\"\neffect = true",
        "kind = \"500\"\neffect = true",
        "kind = \"502\"\neffect = true",
        "kind = \"cut-after\"",
        "kind = \"429\"\neffect = true\nretry-after = 1",
    ] {
        let rig = Rig::with_plan(&fault(rest));
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let output = minted(&rig, &["disk.raw.gz"]).output().unwrap();
        assert_eq!(exit_code(&output), 4, "{rest}: {output:?}");
        assert_eq!(rig.keys().len(), 0, "{rest}: {output:?}");
        assert!(rig.journals().is_empty(), "{rest}");
    }
}

#[test]
fn keys_that_cannot_be_looked_for_are_not_denied() {
    let fault = |kind: &str, method: &str, more: &str| {
        format!(
            "[[fault]]\nkind = \"{kind}\"\nmethod = \"{method}\"\npath = \"/v2/spaces/keys\"\n{more}\n"
        )
    };
    // A token that may neither make nor see keys has made none.
    let plan = fault("403", "POST", "") + &fault("403", "GET", "forever = true");
    let rig = Rig::with_plan(&plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = minted(&rig, &["disk.raw.gz"]).output().unwrap();
    assert_eq!((exit_code(&output), rig.journals().len()), (4, 0), "{output:?}");
    assert!(stderr(&output).contains("needs the scope spaces_key:create"), "{output:?}");
    assert!(stderr(&output).contains("nothing is left behind"), "{output:?}");

    let plan = fault("422", "POST", "effect = true") + &fault("403", "GET", "");
    let rig = Rig::with_plan(&plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = minted(&rig, &["disk.raw.gz"]).output().unwrap();
    assert_eq!((exit_code(&output), rig.journals().len()), (4, 1), "{output:?}");
    assert!(stderr(&output).contains("left behind: the temporary key"), "{output:?}");
    assert!(!stderr(&output).contains("nothing is left behind"), "{output:?}");
    let (code, document) = rig.sweep(&[]);
    assert_eq!((code, rig.keys().len()), (0, 0), "{document}");
}

#[test]
fn all_keys_of_its_name_end_with_a_push() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    // Somebody on the way asks twice, and the second answer comes through.
    let server = before(&rig, |pass| {
        assert_eq!(pass().status, 201);
        pass()
    });
    let url = server.url("");
    let mut push = minted(&rig, &["disk.raw.gz"]);
    let output = push.env("DIGITALOCEAN_API_URL", url.trim_end_matches('/')).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(rig.keys().len(), 0, "{output:?}");
    rig.assert_clean(1..=1, "twice");
}
