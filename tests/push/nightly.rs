//! What a sweep says and does where not everything can be looked for, and when it is ended itself.

use serde_json::{Value, json};

use crate::common::*;
use crate::crash::UNHURRIED;
use crate::rig::*;

const OLD: [&str; 3] = ["--remote", "--older-than", "1ms"];

/// The program with the environment of a rig, and nothing else.
fn command(rig: &Rig) -> std::process::Command {
    let mut command = bare(&rig.scratch);
    command.envs(rig.env.iter().map(|(name, value)| (name, value)));
    command
}

/// An import that hangs, of a push whose object is in the bucket and whose journal is lost.
fn hanging() -> Rig {
    let rig = Rig::with("[[fault]]\nkind = \"import-hangs\"", &UNHURRIED);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut push = Running::start(&mut rig.push(&["disk.raw.gz"]));
    wait_until("it is created", || rig.creates() == 1);
    push.child().kill().unwrap();
    drop(push);
    std::fs::remove_dir_all(rig.scratch.path("state")).unwrap();
    rig
}

/// A private object of a push that was killed before it could make it public, and whose journal is lost.
fn stored(plan: &str) -> Rig {
    let slow = "[[bucket]]\nkind = \"slow-down\"\noperation = \"put-object-acl\"\nnth = 3\nretry-after = 60\n";
    let rig = Rig::with_plan(&format!("{slow}{plan}"));
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut push = Running::start(&mut rig.push(&["disk.raw.gz"]));
    wait_until("it is stored", || rig.asked("put-object-acl").len() == 3);
    push.child().kill().unwrap();
    drop(push);
    std::fs::remove_dir_all(rig.scratch.path("state")).unwrap();
    rig
}

/// A sweep that waits for an import, with a key of its own.
fn waiting(rig: &Rig) -> Running {
    let mut sweep = rig.tidegate("sweep");
    sweep.args(["--yes", "--mint-key", "--interval", "20ms"]).args(OLD);
    let asked = |rig: &Rig| {
        let is = |line: &&Value| {
            line["method"] == "GET" && line["path"].as_str().unwrap().starts_with("/v2/images/")
        };
        rig.log().iter().filter(is).count()
    };
    let before = asked(rig);
    let running = Running::start(&mut sweep);
    wait_until("it waits", || asked(rig) > before + 2);
    assert_eq!(rig.keys().len(), 1);
    running
}

#[test]
fn a_sweep_that_is_interrupted_deletes_its_key() {
    for name in ["INT", "TERM"] {
        let rig = hanging();
        let mut sweep = waiting(&rig);
        signal(sweep.child(), name);
        let output = sweep.output();
        assert_eq!(exit_code(&output), 130, "{output:?}");
        let said = stderr(&output);
        assert!(said.contains("interrupted") && said.contains("the next one goes on"), "{said}");
        assert!(rig.keys().is_empty() && rig.journals().is_empty(), "{said}");
    }
}

#[test]
fn the_key_of_a_sweep_that_is_killed_is_in_a_journal() {
    let rig = hanging();
    let mut sweep = waiting(&rig);
    // It lives, and another sweep leaves its key alone.
    let (_, document) = rig.sweep(&[]);
    assert_eq!(document["pushes"][0]["state"], "alive", "{document}");
    assert_eq!(rig.keys().len(), 1);
    sweep.child().kill().unwrap();
    drop(sweep);
    assert_eq!(rig.journals().len(), 1);
    let (code, document) = rig.sweep(&[]);
    assert_eq!((code, &document["pushes"][0]["state"]), (0, &json!("ended")), "{document}");
    let steps = document["pushes"][0]["steps"].to_string();
    assert!(steps.contains("temporary key"), "{steps}");
    assert!(rig.keys().is_empty() && rig.journals().is_empty());
}

#[test]
fn a_sweep_does_not_show_its_own_key_as_a_push() {
    let rig = Rig::new();
    let (code, document) = rig.sweep(&["--mint-key"]);
    assert_eq!((code, &document["pushes"]), (0, &json!([])));
    assert!(rig.keys().is_empty() && rig.journals().is_empty());
}

#[test]
fn keys_that_cannot_be_looked_for_are_told() {
    for kind in ["403", "500"] {
        let rig = Rig::with_plan(&format!(
            "[[fault]]\nkind = \"{kind}\"\nmethod = \"GET\"\npath = \"/v2/spaces/keys\"\nforever = true\n"
        ));
        let (code, document) = rig.sweep(&[&OLD[..], &["--retries", "0"]].concat());
        assert_eq!((code, &document["unlisted"][0]["kind"]), (4, &json!("keys-unlisted")));
        let said = document["unlisted"][0]["message"].as_str().unwrap();
        assert!(said.contains("one may be left"), "{said}");
    }
}

#[test]
fn what_is_private_is_removed_also_if_images_cannot_be_listed() {
    let rig = hanging();
    let public = rig.state()["objects"][0]["key"].clone();
    // An API that lets nobody list anything.
    let server = crate::server::Server::new(|_| {
        crate::server::Reply::status(403, b"{\"id\":\"forbidden\",\"message\":\"no\"}".to_vec())
            .with("content-type", "application/json")
    });
    let sweep = |rig: &Rig| {
        let mut sweep = rig.tidegate("sweep");
        sweep.env("DIGITALOCEAN_API_URL", server.url("")).args(["--yes", "--format", "json"]);
        let output = sweep.args(OLD).output().unwrap();
        assert_eq!(exit_code(&output), 4, "{output:?}");
        crate::documents::parsed("sweep", &output)
    };
    let document = sweep(&rig);
    let left = document["pushes"][0]["left"][0].as_str().unwrap();
    assert!(left.contains(public.as_str().unwrap()) && left.contains("which is public"), "{left}");
    assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 1);

    // What no import can read goes.
    let rig = stored("");
    assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 1);
    let document = sweep(&rig);
    assert_eq!(document["pushes"][0]["state"], "ended", "{document}");
    rig.assert_clean(0..=0, "private");
}

#[test]
fn what_is_to_become_of_a_kept_object_is_said_as_it_is() {
    let rig = Rig::with("", &UNHURRIED);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut push = Running::start(&mut rig.push(&["disk.raw.gz", "--keep-object"]));
    wait_until("it is created", || rig.creates() == 1);
    push.child().kill().unwrap();
    drop(push);
    // Without its journal too: how the import ends is not known yet.
    let (code, document) = rig.sweep(&[&OLD[..], &["--dry-run"]].concat());
    assert_eq!(code, 0, "{document}");
    let steps = document["pushes"][0]["steps"].to_string();
    assert!(steps.contains("private, or delete it if there is no image of it"), "{steps}");
    let (code, document) = rig.sweep(&[]);
    assert_eq!(code, 0, "{document}");
    let steps = document["pushes"][0]["steps"].to_string();
    assert!(steps.contains("private, or delete it if there is no image of it"), "{steps}");
    let objects = rig.state()["objects"].clone();
    assert_eq!((objects.as_array().unwrap().len(), &objects[0]["acl"]), (1, &json!("private")));
}

#[test]
fn a_result_that_cannot_be_written_is_no_wrong_usage() {
    let rig = Rig::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = rig.tidegate("sweep").arg("--yes").args(OLD).stdout(full).output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
}

#[test]
fn an_upload_that_was_opened_in_spite_of_a_refusal_is_ended() {
    for more in [&[][..], &["--keep-object"]] {
        let rig = Rig::with_plan(
            "[[bucket]]\nkind = \"slow-down\"\noperation = \"create-multipart-upload\"\neffect = true\n",
        );
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        rig.document(0, &[&["disk.raw.gz"], more].concat());
        assert_eq!(rig.asked("create-multipart-upload").len(), 2);
        assert_eq!(rig.state()["uploads"], json!([]), "{more:?}");
    }
}

#[test]
fn a_probe_that_was_put_in_spite_of_a_refusal_is_deleted() {
    let rig =
        Rig::with_plan("[[bucket]]\nkind = \"403\"\noperation = \"put-object\"\neffect = true\n");
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    rig.document(4, &["disk.raw.gz"]);
    rig.assert_clean(0..=0, "a probe");
    assert!(rig.journals().is_empty());
}

#[test]
fn what_was_to_be_kept_is_kept_although_its_image_is_gone() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(0, &["disk.raw.gz", "--keep-object"]);
    let id = document["image"]["id"].to_string();
    let output = command(&rig).args(["image", "delete", &id, "--yes"]).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let (code, document) = rig.sweep(&OLD);
    assert_eq!((code, &document["pushes"]), (0, &json!([])), "{document}");
    let objects = rig.state()["objects"].clone();
    assert_eq!((objects.as_array().unwrap().len(), &objects[0]["acl"]), (1, &json!("private")));
}

#[test]
fn objects_are_swept_although_uploads_cannot_be_listed() {
    let rig = stored(
        "[[bucket]]\nkind = \"403\"\noperation = \"list-multipart-uploads\"\nforever = true\n",
    );
    let (code, document) = rig.sweep(&OLD);
    assert_eq!((code, &document["unlisted"][0]["kind"]), (4, &json!("bucket-unlisted")));
    assert_eq!(document["pushes"][0]["state"], "ended", "{document}");
    rig.assert_clean(0..=0, "objects");
}

#[test]
fn a_key_of_a_sweep_that_is_refused_is_no_wrong_usage() {
    let plan = |method: &str| {
        format!(
            "[[fault]]\nkind = \"403\"\nmethod = \"{method}\"\npath = \"/v2/spaces/keys*\"\nforever = true\n"
        )
    };
    let rig = Rig::with_plan(&plan("POST").replace("keys*", "keys"));
    let mut sweep = command(&rig);
    sweep.args(["sweep", "--yes", "--mint-key", "--state", "my state"]).args(OLD);
    let output = sweep.output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let state = rig.scratch.path("my state");
    let sweep = format!("`tidegate sweep --state '{}'`", state.display());
    assert!(stderr(&output).contains(&sweep), "{output:?}");

    // One that cannot be deleted stands in the document.
    let rig = Rig::with_plan(&plan("DELETE").replace("keys*", "keys/*"));
    let (code, document) = rig.sweep(&[&OLD[..], &["--mint-key"]].concat());
    assert_eq!((code, &document["pushes"][0]["state"]), (4, &json!("left")), "{document}");
    assert_eq!(rig.keys().len(), 1);

    // Without a bucket none is made.
    let rig = Rig::new();
    let mut sweep = rig.tidegate("sweep");
    sweep.env_remove("SPACES_BUCKET").args(["--yes", "--mint-key"]).args(OLD);
    let output = sweep.output().unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(!rig.log().iter().any(|line| line["method"] == "POST"), "{output:?}");
}
