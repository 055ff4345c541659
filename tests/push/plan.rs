//! `--dry-run` says what would be done, as lines or as one document, and does nothing.

use serde_json::{Value, json};

use crate::common::*;
use crate::rig::*;

fn steps(document: &Value) -> Vec<&str> {
    let steps = document["steps"].as_array().unwrap();
    steps.iter().map(|step| step["step"].as_str().unwrap()).collect()
}

fn planned(rig: &Rig, code: i32, arguments: &[&str]) -> Value {
    let output = rig.pushed(&[&["--dry-run", "--format", "json"], arguments].concat());
    assert_eq!(exit_code(&output), code, "{output:?}");
    let document = crate::documents::parsed("plan", &output);
    assert!(rig.log().is_empty() && rig.journals().is_empty(), "{:?}", rig.log());
    document
}

#[test]
fn a_plan_is_lines_or_a_document() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw", &disk());
    let document = planned(&rig, 0, &["disk.raw", "--transfer", "fra1", "--convert"]);
    let staged = ["probe", "check", "complete", "publish", "create", "import", "remove"];
    assert_eq!(steps(&document), [&staged[..], &["transfer", "convert"]].concat());
    assert_eq!((&document["staged"], &document["error"]), (&json!(true), &Value::Null));
    let output = rig.pushed(&["--dry-run", "disk.raw"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(
        staged.iter().all(|step| stdout(&output).contains(&format!("  {step} "))),
        "{output:?}"
    );

    let document = planned(&rig, 0, &["disk.raw", "--read-back"]);
    assert_eq!(steps(&document)[..4], ["probe", "check", "complete", "read-back"]);

    let document = planned(&rig, 0, &["https://example.com/disk.raw"]);
    assert_eq!(steps(&document), ["check", "compare", "create", "import"]);
    assert_eq!(document["staged"], false);
}

#[test]
fn what_cannot_be_read_is_said_with_the_code_of_a_push() {
    let rig = Rig::new();
    std::fs::create_dir(rig.scratch.path("folder")).unwrap();
    for (name, kind) in [("missing", "not-found"), ("folder", "directory")] {
        let document = planned(&rig, 3, &[name]);
        assert_eq!(document["error"]["kind"], kind);
        assert!(steps(&document).is_empty(), "{document}");
        let output = rig.pushed(&["--dry-run", name]);
        assert_eq!((exit_code(&output), stdout(&output)), (3, ""), "{output:?}");
        assert!(stderr(&output).contains(name), "{output:?}");
        rig.document(3, &[name]);
        std::fs::remove_dir_all(rig.scratch.path("state/pushes")).unwrap();
        std::fs::write(rig.scratch.path("log"), "").unwrap();
    }
}

#[test]
fn a_pipe_is_not_opened() {
    let rig = Rig::new();
    let made = std::process::Command::new("mkfifo").arg(rig.scratch.path("pipe")).status();
    assert!(made.unwrap().success());
    // Nobody writes into it: opening it would wait.
    planned(&rig, 0, &["pipe"]);
    planned(&rig, 0, &["-", "--name", "x"]);
}

/// As of a variable that is not set: it is not the image of the project.
#[test]
fn an_empty_name_is_no_image() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw", &disk());
    rig.scratch.write("tidegate.toml", b"[image.only]\npath = \"disk.raw\"\n");
    let output = rig.pushed(&["--dry-run", ""]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("IMAGE is empty"), "{output:?}");
}
