//! The token and the secret of the bucket's key are in requests and nowhere else.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::common::*;
use crate::disks::*;
use crate::rig::*;
use crate::server::{Reply, Request, Server, forwarded};

/// All files below a directory, but those that are to have the secrets.
fn files(directory: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, all),
            false if path.ends_with("env") => {}
            false => all.push((path.display().to_string(), std::fs::read(&path).unwrap())),
        }
    }
}

fn assert_silent(rig: &Rig, outputs: &[std::process::Output], what: &str) {
    let mut all = Vec::new();
    files(&rig.scratch.path(""), &mut all);
    for output in outputs {
        all.push(("standard output".into(), output.stdout.clone()));
        all.push(("standard error".into(), output.stderr.clone()));
    }
    let token = rig.value("DIGITALOCEAN_TOKEN");
    let secrets = [token, &token[token.len() - 20..], rig.value("SPACES_SECRET_ACCESS_KEY")];
    for (name, bytes) in all {
        let text = String::from_utf8_lossy(&bytes);
        for secret in secrets {
            assert!(!text.contains(secret), "{what}: {name}: {text}");
        }
    }
}

#[test]
fn no_output_log_or_journal_has_a_secret() {
    let faults = [
        "",
        "[[fault]]\nkind = \"401\"\nmethod = \"POST\"",
        "[[fault]]\nkind = \"500\"\nmethod = \"POST\"",
        "[[fault]]\nkind = \"import-fails\"",
        "[[bucket]]\nkind = \"403\"\noperation = \"complete-multipart-upload\"",
        "[[bucket]]\nkind = \"504\"\ntimes = 3",
        "[[bucket]]\nkind = \"403\"\noperation = \"delete-object\"\nnth = 2\ntimes = 2",
    ];
    each(&faults, |plan| {
        let rig = Rig::with_plan(plan);
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let mut outputs = Vec::new();
        for more in [&["--verbose"][..], &["--verbose", "--format", "json"], &["--dry-run", "-v"]] {
            outputs.push(rig.pushed(&[&["disk.raw.gz", "--retries", "3"], more].concat()));
        }
        let verbose = stderr(&outputs[0]).lines().count();
        assert!(verbose > 10, "{plan}: {outputs:?}");
        outputs.push(rig.tidegate("sweep").args(["--yes", "-v"]).output().unwrap());
        let remote = ["--yes", "-v", "--remote", "--older-than", "1ms"];
        outputs.push(rig.tidegate("sweep").args(remote).output().unwrap());
        assert_silent(&rig, &outputs, plan);
    });
}

#[test]
fn the_journal_of_a_killed_push_has_none() {
    let rig = Rig::with_plan(PACED);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(rig.push(&["disk.raw.gz", "-v"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    push.child().kill().unwrap();
    let output = push.output();
    let journals = rig.journals();
    assert_eq!(journals.len(), 1);
    assert_silent(&rig, &[output], "killed");
    // Nobody else reads it either.
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let folder = rig.scratch.path("state/pushes");
    assert_eq!((mode(&journals[0]), mode(&folder)), (0o600, 0o700));
}

/// Whatever secret a server says, and however, is masked: also one that is not meant for it.
#[test]
fn no_server_has_a_secret_shown_that_is_not_its_own() {
    let session = "sess10n-t0ken-of-somebody";
    let told = |rig: &Rig, minted: bool| {
        let api = rig.value("DIGITALOCEAN_API_URL").to_owned();
        let mut echo = format!("{} {session}", rig.value("DIGITALOCEAN_TOKEN"));
        echo += &format!(" {}", rig.value("SPACES_SECRET_ACCESS_KEY"));
        let own = Arc::<Mutex<String>>::default();
        let seen = Arc::clone(&own);
        let server = Server::new(move |request: &Request| {
            if request.method == "POST" && request.path == "/v2/images" {
                let echo = format!("{echo} {} to be shown", own.lock().unwrap());
                let body = format!("{{\"id\": \"{echo}\", \"message\": \"{echo}\"}}");
                return Reply::status(422, body.into_bytes()).with("x-request-id", &echo);
            }
            let reply = forwarded(&api, request);
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            if let Some((_, rest)) = text.split_once("\"secret_key\":\"") {
                *own.lock().unwrap() = rest.split('"').next().unwrap().to_owned();
            }
            reply
        });
        let mut push = rig.push(&["disk.raw.gz", "-v", "--format", "json"]);
        push.env("DIGITALOCEAN_API_URL", server.url("").trim_end_matches('/'));
        // With a key that is made for the push, those in the environment are not used, and are secrets all the same.
        match minted {
            true => drop(push.arg("--mint-key")),
            false => {
                for name in ["SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY"] {
                    push.env_remove(name).env(name.replace("SPACES", "AWS"), rig.value(name));
                }
            }
        }
        push.env("AWS_SESSION_TOKEN", session);
        let output = push.output().unwrap();
        assert_eq!(exit_code(&output), 4, "{output:?}");
        assert!(stderr(&output).contains("to be shown"), "{output:?}");
        assert!(stdout(&output).contains("to be shown"), "{output:?}");
        let secret = seen.lock().unwrap().clone();
        assert_eq!(secret.is_empty(), !minted);
        assert!(secret.is_empty() || !format!("{output:?}").contains(&secret), "{output:?}");
        let text = format!("{}{}", stdout(&output), stderr(&output));
        for secret in ["DIGITALOCEAN_TOKEN", "SPACES_SECRET_ACCESS_KEY"].map(|name| rig.value(name))
        {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(!text.contains(session), "{text}");
    };
    for minted in [false, true] {
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        told(&rig, minted);
    }

    // The bucket is not to have the token shown.
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let token = rig.value("DIGITALOCEAN_TOKEN").to_owned();
    let server = Server::new(move |_: &Request| {
        let escaped: String = token.chars().map(|c| format!("&#{};", u32::from(c))).collect();
        let split = format!("{}<![CDATA[{}]]>", &token[..9], &token[9..]);
        let body = format!(
            "<Error><Code>X{token}</Code><Message>to be shown {token} {escaped} {split}</Message></Error>"
        );
        Reply::status(400, body.into_bytes())
    });
    let mut push = rig.push(&["disk.raw.gz", "-v"]);
    push.env("SPACES_ENDPOINT_URL", server.url("").trim_end_matches('/'));
    let output = push.output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    assert!(stderr(&output).contains("to be shown"), "{output:?}");
    assert!(!stderr(&output).contains(rig.value("DIGITALOCEAN_TOKEN")), "{output:?}");
}
