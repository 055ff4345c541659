//! The token and the secret of the bucket's key are in requests and nowhere else.

use std::path::Path;

use crate::common::*;
use crate::disks::*;
use crate::rig::*;

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
