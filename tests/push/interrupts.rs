//! What Ctrl-C does, once and twice, and what a sweep does beside a push that lives.

use serde_json::json;

use crate::common::*;
use crate::crash::{Sweep, swept};
use crate::disks::*;
use crate::rig::*;

/// Ends without having been waited for.
fn interrupted(rig: &Rig, mut push: Running, name: &str) -> std::process::Output {
    signal(push.child(), name);
    let output = push.output();
    assert_eq!(exit_code(&output), 130, "{output:?}");
    assert_eq!(stdout(&output), "", "{output:?}");
    assert!(rig.journals().is_empty(), "{output:?}");
    output
}

#[test]
fn an_upload_that_is_interrupted_is_aborted() {
    for name in ["INT", "TERM"] {
        let rig = Rig::with_plan(PACED);
        rig.scratch.write("disk.raw.gz", big());
        let push = Running::start(rig.push(&["disk.raw.gz", "--uploads", "1"]).args(PARTS));
        wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
        let output = interrupted(&rig, push, name);
        rig.quiet();
        rig.assert_clean(0..=0, name);
        let said = stderr(&output);
        for text in
            ["interrupted during check; cleaning up", "ending the upload", "nothing is left"]
        {
            assert!(said.contains(text), "{text}: {said}");
        }
    }
}

#[test]
fn a_pipe_that_is_silent_can_be_interrupted() {
    let rig = Rig::new();
    let mut push = rig.push(&["-", "--name", "x"]);
    let mut push = Running::start(push.stdin(std::process::Stdio::piped()));
    let stdin = push.child().stdin.take();
    wait_until("it has begun", || !rig.journals().is_empty());
    interrupted(&rig, push, "INT");
    drop(stdin);
    rig.assert_clean(0..=0, "a silent pipe");
}

#[test]
fn an_import_that_is_interrupted_leaves_no_image() {
    let rig = Rig::with_plan("[[fault]]\nkind = \"import-hangs\"");
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let push = Running::start(&mut rig.push(&["disk.raw.gz"]));
    wait_until("it is looked at", || {
        let is = |line: &serde_json::Value| {
            line["method"] == "GET" && line["path"].as_str().unwrap().starts_with("/v2/images/2")
        };
        rig.log().iter().any(is)
    });
    let output = interrupted(&rig, push, "INT");
    rig.assert_clean(0..=0, "an import");
    let said = stderr(&output);
    for text in ["during import; cleaning up", "deleting image", "deleting the object"] {
        assert!(said.contains(text), "{text}: {said}");
    }
}

#[test]
fn a_transfer_that_is_interrupted_leaves_the_image() {
    let rig = Rig::with_plan("[[fault]]\nkind = \"action-hangs\"");
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let push = Running::start(&mut rig.push(&["disk.raw.gz", "--transfer", "fra1"]));
    wait_until("it is on its way", || {
        rig.log().iter().any(|line| {
            line["method"] == "POST" && line["path"].as_str().unwrap().ends_with("/actions")
        })
    });
    let output = interrupted(&rig, push, "INT");
    rig.assert_clean(1..=1, "a transfer");
    let id = rig.images()[0]["id"].to_string();
    let said = stderr(&output);
    let stays = format!("image {id} is available, and stays");
    assert!(said.contains("during transfer") && said.contains(&stays), "{said}");
    // It is not said of an image that stays that it is gone.
    assert!(!said.contains("removed") && !said.contains("nothing was created"), "{said}");
}

#[test]
fn the_second_interrupt_ends_at_once_and_a_sweep_does_the_rest() {
    // Cleaning up takes some time.
    let plan = format!(
        "{PACED}[[bucket]]\nkind = \"503\"\noperation = \"abort-multipart-upload\"\ntimes = 5\n"
    );
    let rig = Rig::with_plan(&plan);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(rig.push(&["disk.raw.gz", "--uploads", "1"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    signal(push.child(), "INT");
    // What comes at once with the first one is no second wish: `timeout` signals a group and its leader.
    signal(push.child(), "INT");
    wait_until("it cleans up", || rig.asked("abort-multipart-upload").len() > 1);
    signal(push.child(), "INT");
    let output = push.output();
    assert_eq!((exit_code(&output), stdout(&output)), (130, ""), "{output:?}");
    let state = rig.scratch.path("state");
    let sweep = format!("`tidegate sweep --state {}`", state.display());
    assert!(stderr(&output).contains(&sweep), "{output:?}");
    assert_eq!(rig.state()["uploads"].as_array().unwrap().len(), 1);
    assert_eq!(rig.journals().len(), 1);
    swept(&rig, Sweep::Journal, "ended at once");
    rig.assert_clean(0..=0, "ended at once");
}

#[test]
fn a_sweep_leaves_a_push_alone_that_lives() {
    let rig = Rig::with_plan(PACED);
    rig.scratch.write("disk.raw.gz", big());
    let push = Running::start(rig.push(&["disk.raw.gz", "--uploads", "1"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    let (code, document) = rig.sweep(&[]);
    let found = &document["pushes"][0];
    assert_eq!((code, &found["state"], &found["steps"]), (0, &json!("alive"), &json!([])));
    // Nor does one without journals, as it is not old.
    assert_eq!(rig.sweep(&["--remote"]).1["pushes"], json!([]));
    let output = push.output();
    assert_eq!(exit_code(&output), 0, "{output:?}");
    rig.assert_clean(1..=1, "beside a sweep");
}

#[test]
fn a_sweep_that_is_not_told_to_does_nothing() {
    let rig = Rig::with_plan(PACED);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(rig.push(&["disk.raw.gz", "--uploads", "1"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
    let requests = rig.log().len();
    // Nobody can be asked.
    assert_eq!(exit_code(&rig.tidegate("sweep").output().unwrap()), 2);
    let planned = rig.tidegate("sweep").args(["--dry-run", "--format", "json"]).output().unwrap();
    assert_eq!(exit_code(&planned), 0, "{planned:?}");
    let document = crate::documents::parsed("sweep", &planned);
    let found = &document["pushes"][0];
    assert_eq!((&document["dry_run"], &found["state"]), (&json!(true), &json!("planned")));
    assert!(found["steps"][0].as_str().unwrap().starts_with("abort the upload"), "{found}");
    assert!(found["source"].as_str().unwrap().ends_with("/disk.raw.gz"), "{found}");
    assert_eq!((rig.log().len(), rig.journals().len()), (requests, 1));
    // Nor does one that knows another simulator than the push did.
    let other = Rig::new();
    let mut command = rig.tidegate("sweep");
    command.arg("--yes").env("DIGITALOCEAN_API_URL", other.value("DIGITALOCEAN_API_URL"));
    let output = command.output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    assert!(stdout(&output).contains(rig.value("DIGITALOCEAN_API_URL")), "{output:?}");
    assert!(other.log().is_empty() && rig.journals().len() == 1);
    swept(&rig, Sweep::Journal, "told to");
    rig.assert_clean(0..=0, "told to");
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    for (name, other) in [("HUP", "TERM"), ("INT", "HUP")] {
        let rig = Rig::with_plan(PACED);
        rig.scratch.write("disk.raw.gz", big());
        let push = rig.push(&["disk.raw.gz", "--uploads", "1"]);
        let program = push.get_program().to_owned();
        // As `nohup` does it, and a shell for what it starts in the background.
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("trap '' {name}; exec \"$@\""), "sh"]).arg(program);
        shell.args(push.get_args()).args(PARTS).current_dir(rig.scratch.path(""));
        for (variable, value) in push.get_envs() {
            match value {
                Some(value) => shell.env(variable, value),
                None => shell.env_remove(variable),
            };
        }
        shell.stdin(std::process::Stdio::null());
        shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut push = Running::start(&mut shell);
        wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
        signal(push.child(), name);
        let before = rig.asked("upload-part").len();
        wait_until("another part has arrived", || rig.asked("upload-part").len() > before);
        // The others are listened to.
        signal(push.child(), other);
        let output = push.output();
        assert_eq!(exit_code(&output), 130, "{name}: {output:?}");
        assert!(stderr(&output).contains("cleaning up"), "{name}: {output:?}");
        rig.quiet();
        rig.assert_clean(0..=0, name);
    }
}

#[test]
fn no_core_file_is_written() {
    let rig = Rig::with_plan(PACED);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(rig.push(&["disk.raw.gz", "--uploads", "1"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", push.child().id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    // Less than a page is no core file, and one byte is none for a program that would be given it either.
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["1", "1"], "{core}");
    signal(push.child(), "INT");
    push.output();
}
