//! What a sweep makes of journals that no push wrote, or that are damaged: it removes nothing for them.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tidegate::spaces::Acl;

use crate::common::*;
use crate::gone::{OTHER, put};
use crate::rig::*;

/// Writes a journal as a push would, but for what is said.
fn plant(rig: &Rig, name: &str, push: &str, lines: &[Value]) -> PathBuf {
    let folder = rig.scratch.path("state/pushes");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let place = json!({
        "endpoint": rig.value("SPACES_ENDPOINT_URL"),
        "bucket": rig.value("SPACES_BUCKET"),
        "region": rig.value("SPACES_REGION"),
    });
    let began = json!({"at": 1, "entry": "began", "of": {
        "push": push, "source": "x", "fingerprint": "", "api": format!("{}/", rig.value("DIGITALOCEAN_API_URL")),
        "place": place, "keep_object": false, "settle": 0,
    }});
    let text: String = [&began].into_iter().chain(lines).map(|line| format!("{line}\n")).collect();
    let path = folder.join(format!("{name}.journal"));
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn intent(of: Value) -> Value {
    json!({"at": 2, "entry": "intent", "of": of})
}

fn outcome(of: Value) -> Value {
    json!({"at": 3, "entry": "outcome", "of": of})
}

/// Sweeps, and what it says is left.
fn left(rig: &Rig) -> String {
    let (code, document) = rig.sweep(&[]);
    assert_eq!(code, 4, "{document:#}");
    document["pushes"][0]["left"].to_string()
}

#[test]
fn a_journal_removes_only_what_its_push_made() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(0, &["disk.raw.gz"]);
    let image = &document["image"]["id"];
    put(&rig, "mine/disk.img", Acl::Private);
    let abandoned = json!({"at": 4, "entry": "abandoned"});
    let create =
        [intent(json!({"step": "create"})), outcome(json!({"step": "create", "image": image}))];
    let path = plant(&rig, OTHER, OTHER, &[create.to_vec(), vec![abandoned.clone()]].concat());
    let said = left(&rig);
    assert!(said.contains("nothing of it is seen"), "{said}");
    std::fs::remove_file(path).unwrap();

    for (name, key) in [(OTHER, "mine/disk.img"), ("ffffffffffffffffffffffffffffffff", "x")] {
        let upload = intent(json!({"step": "upload", "key": key, "part_size": 5 << 20}));
        let probe = intent(json!({"step": "probe", "key": key}));
        for line in [upload, probe] {
            let path = plant(&rig, name, OTHER, &[line]);
            let said = left(&rig);
            assert!(said.contains("of its push") || said.contains("named otherwise"), "{said}");
            assert!(said.contains("sweep --remote"), "{said}");
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(rig.images().len(), 1);
    assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 1);
}

#[test]
fn an_image_without_the_marks_is_left_alone_also_by_its_own_account() {
    let rig = Rig::with_plan(
        "[[bucket]]\nkind = \"slow-down\"\noperation = \"get-object\"\nsigned = true\nretry-after = 60\n",
    );
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(0, &["disk.raw.gz"]);
    let mut push = Running::start(&mut rig.push(&["disk.raw.gz", "--read-back"]));
    let own = |line: &Value| line["anonymous"].is_null();
    wait_until("it is read", || rig.asked("get-object").iter().any(own));
    push.child().kill().unwrap();
    drop(push);
    let path = &rig.journals()[0];
    let mut text = std::fs::read_to_string(path).unwrap();
    for line in [
        intent(json!({"step": "create"})),
        outcome(json!({"step": "create", "image": document["image"]["id"]})),
        json!({"at": 4, "entry": "abandoned"}),
    ] {
        text += &format!("{line}\n");
    }
    std::fs::write(path, text).unwrap();
    let said = left(&rig);
    assert!(said.contains("does not bear the marks"), "{said}");
    assert_eq!(rig.images().len(), 1);
}

#[test]
fn what_somebody_else_may_have_put_there_is_no_journal() {
    let rig = Rig::new();
    put(&rig, &format!("tidegate/{OTHER}/probe"), Acl::Private);
    let probe = || {
        let key = format!("tidegate/{OTHER}/probe");
        plant(&rig, OTHER, OTHER, &[intent(json!({"step": "probe", "key": key}))])
    };
    let mode = |path: &PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = rig.scratch.path("state/pushes");
    let elsewhere = rig.scratch.path("elsewhere");
    for what in
        ["everybody writes", "others' folder", "a link", "a pipe", "a folder", "another owner"]
    {
        let path = probe();
        let expected = match what {
            "everybody writes" => {
                mode(&path, 0o666);
                "others may write to the file"
            }
            "others' folder" => {
                mode(&folder, 0o777);
                "others may write to the folder"
            }
            "a link" => {
                std::fs::rename(&path, &elsewhere).unwrap();
                symlink(&elsewhere, &path).unwrap();
                "it is a link"
            }
            "a pipe" => {
                std::fs::remove_file(&path).unwrap();
                assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
                "no regular file"
            }
            "a folder" => {
                std::fs::remove_file(&path).unwrap();
                std::fs::create_dir(&path).unwrap();
                "directory"
            }
            _ => match std::os::unix::fs::chown(&path, Some(12_345), None) {
                Ok(()) => "belongs to somebody else",
                // Only root gives files away.
                Err(_) => continue,
            },
        };
        let said = left(&rig);
        assert!(said.contains(expected), "{what}: {said}");
        assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 1, "{what}");
        mode(&folder, 0o700);
        drop(std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path)));
    }
    // Neither does a push begin where others may write.
    mode(&folder, 0o777);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz"]);
    assert_eq!((exit_code(&output), rig.creates()), (2, 0), "{output:?}");
}

#[test]
fn a_damaged_line_is_told_with_what_to_do() {
    let rig = Rig::new();
    let path = plant(&rig, OTHER, OTHER, &[json!({"at": 2, "entry": "\u{1b}[31mwhat"})]);
    let said = left(&rig);
    assert!(said.contains("line 2") && said.contains("sweep --remote"), "{said}");
    assert!(!said.contains("\u{1b}") && !said.contains("\\u001b"), "{said}");
    assert!(path.exists());
}

#[test]
fn who_only_says_what_would_be_done_removes_no_journal() {
    let rig = Rig::new();
    let path = plant(&rig, OTHER, OTHER, &[json!({"at": 2, "entry": "ended"})]);
    let unborn = path.with_file_name("ffffffffffffffffffffffffffffffff.unborn");
    std::fs::write(&unborn, "").unwrap();
    for more in [&["--dry-run"][..], &["--dry-run", "--remote"]] {
        let (code, document) = rig.sweep(more);
        assert_eq!((code, &document["pushes"]), (0, &json!([])));
        assert!(path.exists() && unborn.exists(), "{more:?}");
    }
    assert_eq!(rig.sweep(&[]).0, 0);
    assert!(!path.exists() && !unborn.exists());
}

#[test]
fn a_journal_that_was_cut_is_not_taken_for_finished() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let probe = format!("tidegate/{OTHER}/probe");
    let intent = intent(json!({"step": "probe", "key": probe}));
    let path = plant(&rig, OTHER, OTHER, &[intent, json!({"at": 3, "entry": "ended"})]);
    let whole = std::fs::read(&path).unwrap();
    let (first, last) = (whole.iter().position(|b| *b == b'\n').unwrap(), whole.len() - 1);
    // What is left of it, whether it has to be ended, and whether it tells how.
    for (cut, told) in [(0, false), (1, false), (first, false), (first + 1, true), (last, true)] {
        put(&rig, &probe, Acl::Private);
        std::fs::write(&path, &whole[..cut]).unwrap();
        let output = rig.pushed(&["disk.raw.gz"]);
        assert_eq!(exit_code(&output), 0, "{cut}: {output:?}");
        assert!(stderr(&output).contains("an earlier push was killed"), "{cut}: {output:?}");
        assert!(stderr(&output).contains("tidegate sweep"), "{cut}: {output:?}");
        let (code, document) = rig.sweep(&["--dry-run"]);
        assert_eq!(code, if told { 0 } else { 4 }, "{cut}: {document}");
        assert_eq!(document["pushes"].as_array().unwrap().len(), 1, "{cut}: {document}");
        let (code, document) = rig.sweep(&[]);
        assert_eq!(code, if told { 0 } else { 4 }, "{cut}: {document}");
        assert_eq!(path.exists(), !told, "{cut}");
        if !told {
            let left = document["pushes"][0]["left"].to_string();
            assert!(left.contains("it was cut") && left.contains("sweep --remote"), "{left}");
        }
    }
    // Bytes behind the end are of no push that has ended.
    std::fs::write(&path, [&whole[..], b"{\"at\""].concat()).unwrap();
    assert_eq!(rig.sweep(&["--dry-run"]).1["pushes"].as_array().unwrap().len(), 1);
}
