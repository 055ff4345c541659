//! A journal that names what cannot be: a sweep says so, and takes nothing for done.

use serde_json::Value;

use crate::common::*;
use crate::disks::*;
use crate::rig::*;

/// A push that is killed during its upload, and whose journal says something else afterwards of a step.
fn damaged(arguments: &[&str], step: &str, name: &str, value: &str) -> Rig {
    let rig = Rig::with_plan(PACED);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = rig.push(&[&["disk.raw.gz"], arguments].concat());
    let mut push = Running::start(push.args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
    let path = &rig.journals()[0];
    let text = std::fs::read_to_string(path).unwrap();
    let mut changed = 0;
    let lines: String = text
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let of = &mut line["of"];
            if of["step"] == step && of.get(name).is_some() {
                of[name] = value.into();
                changed += 1;
            }
            format!("{line}\n")
        })
        .collect();
    assert_eq!(changed, 1, "{text}");
    std::fs::write(path, lines).unwrap();
    rig
}

fn assert_told(rig: &Rig, what: &str) {
    let (code, document) = rig.sweep(&[]);
    assert_eq!(code, 4, "{document}");
    let left = document["pushes"][0]["left"].to_string();
    assert!(left.contains("its journal is damaged") && left.contains(what), "{left}");
    assert_eq!(rig.journals().len(), 1, "{left}");
}

#[test]
fn an_upload_that_is_none_is_not_taken_for_ended() {
    let rig = damaged(&[], "upload", "id", "");
    assert_told(&rig, "no name of an upload");
    assert_eq!(rig.state()["uploads"].as_array().unwrap().len(), 1);
    // As it says, it goes without the journal.
    assert_eq!(rig.sweep(&["--remote", "--older-than", "1ms"]).0, 0);
    rig.assert_clean(0..=0, "remote");
}

#[test]
fn a_key_that_is_none_is_not_taken_for_deleted() {
    let rig = damaged(&[], "upload", "key", "tidegate/../x");
    assert_told(&rig, "leads elsewhere");
    let rig = damaged(&["--mint-key"], "mint-key", "access", "../x");
    assert_told(&rig, "identifies no key");
    // It is found by its name all the same.
    assert_eq!(rig.keys().len(), 0);
}

/// A push whose files may have so many blocks of 512 bytes: the journal gets longer.
fn limited(rig: &Rig, blocks: u32) -> std::process::Output {
    rig.scratch.write("disk.raw.gz", big());
    let push = rig.push(&[&["disk.raw.gz"][..], &PARTS].concat());
    let mut limited = std::process::Command::new("sh");
    let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    limited.args(["-c", &script]).arg(push.get_program());
    limited.args(push.get_args()).current_dir(push.get_current_dir().unwrap()).env_clear();
    for (name, value) in push.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    limited.output().unwrap()
}

#[test]
fn a_limit_on_files_is_a_write_that_fails() {
    let rig = Rig::new();
    let output = limited(&rig, 1);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(stderr(&output).contains("File too large"), "{output:?}");
    rig.assert_clean(0..=0, "a limit on files");
    assert_eq!(rig.creates(), 0);
}

/// What was answered and cannot be written down is known to the run all the same.
#[test]
fn a_disk_that_is_full_leaves_nothing_in_doubt() {
    for blocks in 2..=5 {
        let rig = Rig::new();
        let output = limited(&rig, blocks);
        let said = stderr(&output);
        assert!(matches!(output.status.code(), Some(0 | 4)), "{blocks}: {output:?}");
        assert!(!said.contains("left behind:") && !said.contains("may still"), "{blocks}: {said}");
        rig.assert_clean(0..=1, "a disk that is full");
        assert!(rig.journals().is_empty(), "{blocks}: {said}");
    }
}
