//! Pushes whose journals are lost, and of which nothing is in the bucket: `sweep --remote` finds their images
//! by the marks.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::common::*;
use crate::crash::UNHURRIED;
use crate::disks::*;
use crate::rig::*;
use crate::server::{Object, Reply, Request, Server};
use crate::url::{OTHER, killed_before_it_is_compared, says_uncompared};

const WORD: &str = "[tidegate: not compared yet]";

const OLD: [&str; 3] = ["--remote", "--older-than", "1ms"];

/// Sweeps as on a machine that has no journals.
fn remote(rig: &Rig) -> (i32, Value) {
    let _ = std::fs::remove_dir_all(rig.scratch.path("state"));
    rig.quiet();
    rig.sweep(&OLD)
}

/// An image that bears the marks of a push, of which there is neither journal nor object; its import has begun.
fn marked(plan: &str) -> (Rig, u64, Server) {
    let rig = Rig::with(plan, &UNHURRIED);
    let server = disk_server();
    let mut create = bare(&rig.scratch);
    create.envs(rig.env.iter().map(|(name, value)| (name, value)));
    create.args(["image", "create", &server.url("disk.raw.gz"), "--region", "nyc3"]);
    let output = create.args(["--no-url-rules", "--interval", "20ms"]).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let id = rig.images()[0]["id"].as_u64().unwrap();
    (rig, id, server)
}

fn disk_server() -> Server {
    let object = Object::new(gzip(&disk()));
    Server::new(move |request: &Request| object.answer(request))
}

#[test]
fn an_image_that_nobody_compared_is_named_and_kept() {
    let (rig, leads_to, _server) = killed_before_it_is_compared();
    leads_to.store(OTHER, Ordering::SeqCst);
    let id = rig.images()[0]["id"].to_string();
    let _ = std::fs::remove_dir_all(rig.scratch.path("state"));
    for arguments in [&["--dry-run"][..], &[]] {
        let (code, document) = rig.sweep(&[&OLD, arguments].concat());
        assert_eq!((code, &document["unlisted"]), (4, &json!([])), "{document}");
        let pushes = document["pushes"].as_array().unwrap();
        assert_eq!((pushes.len(), &pushes[0]["state"]), (1, &json!("left")), "{document}");
        assert_eq!(pushes[0]["steps"], json!([]));
        let left = pushes[0]["left"][0].as_str().unwrap();
        for part in ["nobody knows", WORD, &format!("`tidegate image delete {id}`")] {
            assert!(left.contains(part), "{left}");
        }
        assert!(says_uncompared(&rig));
    }
    let mut sweep = rig.tidegate("sweep");
    let output = sweep.arg("--yes").args(OLD).output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let text = stdout(&output);
    assert!(text.contains(": not done\n  left: image ") && text.contains(&id), "{text}");
    rig.assert_clean(1..=1, "named");

    // What it says to do does it.
    let mut update = bare(&rig.scratch);
    update.envs(rig.env.iter().map(|(name, value)| (name, value)));
    let description = format!("[tidegate push {}]", "0".repeat(32));
    let output = update.args(["image", "update", &id, "--description", &description]).output();
    assert_eq!(exit_code(&output.unwrap()), 0);
    let (code, document) = rig.sweep(&OLD);
    assert_eq!((code, &document["pushes"]), (0, &json!([])));
}

#[test]
fn a_settled_image_is_kept_in_silence() {
    let (rig, document, _server) = {
        let server = disk_server();
        let rig = Rig::new();
        let url = server.url("disk.raw.gz");
        let document = rig.document(0, &[&url, "--no-url-rules", "--description", "of a test"]);
        (rig, document, server)
    };
    let description = document["image"]["description"].as_str().unwrap();
    assert!(description.starts_with("of a test [tidegate push "), "{description}");
    assert!(!says_uncompared(&rig));
    let (code, document) = remote(&rig);
    assert_eq!((code, &document["pushes"]), (0, &json!([])));
    rig.assert_clean(1..=1, "settled");
}

#[test]
fn an_import_is_waited_for() {
    let (rig, id, _server) = marked("");
    let wait = format!("wait for the import of image {id}");
    let (code, document) = rig.sweep(&[&OLD[..], &["--dry-run"]].concat());
    assert_eq!((code, &document["pushes"][0]["steps"]), (0, &json!([wait])), "{document}");
    assert_eq!(document["pushes"][0]["state"], "planned");
    let (code, document) = remote(&rig);
    assert_eq!((code, &document["pushes"][0]["steps"]), (0, &json!([wait])), "{document}");
    assert_eq!(document["pushes"][0]["state"], "ended");
    rig.assert_clean(1..=1, "waited for");
    assert_eq!(remote(&rig).1["pushes"], json!([]));

    // One that is not compared then is named.
    let server = disk_server();
    let rig = Rig::with("", &UNHURRIED);
    let mut push = rig.push(&[&server.url("disk.raw.gz"), "--no-url-rules"]);
    let mut push = Running::start(&mut push);
    wait_until("it is created", || rig.creates() == 1);
    push.child().kill().unwrap();
    drop(push);
    let (code, document) = remote(&rig);
    let push = &document["pushes"][0];
    assert_eq!((code, &push["state"]), (4, &json!("left")), "{document}");
    assert!(push["steps"][0].as_str().unwrap().starts_with("wait for the import"), "{document}");
    assert!(push["left"][0].as_str().unwrap().contains("nobody knows"), "{document}");
    rig.assert_clean(1..=1, "named");
}

#[test]
fn an_import_that_fails_or_hangs_is_brought_to_its_end_or_told() {
    let (rig, id, _server) = marked("[[fault]]\nkind = \"import-fails\"");
    let (code, document) = remote(&rig);
    let steps = &document["pushes"][0]["steps"];
    assert_eq!(code, 0, "{document}");
    assert_eq!(steps[1], format!("delete image {id}, whose import failed"), "{document}");
    let deleted =
        |line: &Value| line["method"] == "DELETE" && line["path"] == format!("/v2/images/{id}");
    assert!(rig.log().iter().any(deleted));
    rig.assert_clean(0..=0, "failed");

    let (rig, id, _server) = marked("[[fault]]\nkind = \"import-hangs\"");
    let (code, document) = remote(&rig);
    assert_eq!((code, &document["pushes"][0]["state"]), (4, &json!("left")));
    let left = document["pushes"][0]["left"][0].as_str().unwrap();
    assert!(left.contains(&format!("image {id} is still being imported")), "{left}");
    assert_eq!(rig.images().len(), 1);
}

#[test]
fn what_is_young_or_lives_is_not_touched() {
    let server = disk_server();
    let rig = Rig::with_plan("[[fault]]\nkind = \"import-hangs\"");
    let mut push = rig.push(&[&server.url("disk.raw.gz"), "--no-url-rules"]);
    let mut push = Running::start(&mut push);
    wait_until("it is created", || rig.creates() == 1);
    let before = rig.state();
    let (code, document) = rig.sweep(&OLD);
    assert_eq!((code, &document["pushes"]), (0, &json!([])), "it lives here");
    push.child().kill().unwrap();
    drop(push);
    for age in ["24h", "1h"] {
        let (code, document) = rig.sweep(&["--remote", "--older-than", age]);
        assert_eq!((code, &document["pushes"]), (0, &json!([])), "it is young");
    }
    assert_eq!(rig.state()["images"][0]["id"], before["images"][0]["id"]);
    let deleted = |line: &Value| line["method"] == "DELETE" || line["method"] == "PUT";
    assert!(!rig.log().iter().any(deleted));
}

/// An API that knows these images, also in its list, and keeps what it was asked that was no GET.
fn api(images: Vec<Value>) -> (Server, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let server = Server::new(move |request: &Request| {
        let path = request.path.split('?').next().unwrap();
        if request.method != "GET" {
            kept.lock().unwrap().push(format!("{} {path}", request.method));
            return Reply::status(204, Vec::new());
        }
        let id = path.strip_prefix("/v2/images/").and_then(|id| id.parse::<u64>().ok());
        let found = images.iter().find(|image| image["id"].as_u64() == id);
        let (status, body) = match (path, found) {
            ("/v2/images", _) => (200, json!({"images": images, "links": {}})),
            ("/v2/spaces/keys", _) => (200, json!({"keys": [], "links": {}})),
            (_, Some(image)) => (200, json!({"image": image})),
            _ => (404, json!({"id": "not_found", "message": "no such thing"})),
        };
        Reply::status(status, serde_json::to_vec(&body).unwrap())
            .with("content-type", "application/json")
    });
    (server, asked)
}

#[test]
fn only_images_with_marks_are_touched_and_each_of_them() {
    let id = "0123456789abcdef0123456789abcdef";
    let (note, tag) = (format!("[tidegate push {id}]"), format!("tidegate-{id}"));
    let image = |number: u64, status: &str, description: &str, tags: &[&str]| {
        json!({"id": number, "name": "x", "type": "custom", "public": false, "status": status,
            "description": description, "tags": tags, "created_at": "2020-01-02T03:04:05Z",
            "error_message": if status == "deleted" { "no" } else { "" }})
    };
    let with = |mut image: Value, key: &str, value: Value| {
        image[key] = value;
        image
    };
    let uncompared = format!("{WORD} {note}");
    let hostile =
        format!("\u{1b}[31m\u{202e}{WORD} [tidegate push {}\u{0}] tidegate-{id}", &id[..31]);
    let (server, asked) = api(vec![
        image(1, "deleted", &note, &[]),
        image(2, "deleted", "\u{1b}]", &["a", &tag]),
        image(3, "available", &uncompared, &[]),
        image(4, "retired", &note, &[]),
        // Nothing is to be done about these.
        image(10, "available", &note, &[&tag]),
        image(11, "deleted", &hostile, &["tidegate-", "tidegate-\u{202e}", id]),
        image(12, "available", WORD, &[]),
        image(13, "deleted", &note.to_uppercase(), &[&format!("{tag}0"), &format!("x{tag}")]),
        image(14, "deleted", "", &[]),
        with(image(15, "deleted", &note, &[]), "public", json!(true)),
        // Of what has no time nobody knows whether it is old.
        with(image(16, "deleted", &note, &[]), "created_at", Value::Null),
        with(image(17, "deleted", &note, &[]), "created_at", json!("long ago")),
        with(image(18, "deleted", &note, &[]), "created_at", json!("2999-01-02T03:04:05Z")),
    ]);
    let rig = Rig::new();
    for (dry, expected) in
        [(true, vec![]), (false, vec!["DELETE /v2/images/1", "DELETE /v2/images/2"])]
    {
        let mut sweep = rig.tidegate("sweep");
        sweep.env("DIGITALOCEAN_API_URL", server.url("")).args(["--yes", "--remote"]);
        sweep.args(["--format", "json", "--interval", "20ms", "--wait-timeout", "1s"]);
        let output = if dry { sweep.arg("--dry-run") } else { &mut sweep }.output().unwrap();
        assert_eq!(exit_code(&output), 4, "{output:?}");
        let document = crate::documents::parsed("sweep", &output);
        let pushes = document["pushes"].as_array().unwrap();
        assert_eq!(pushes.len(), 4, "{document:#}");
        assert!(pushes.iter().all(|push| push["push"] == id), "{document:#}");
        for (number, push) in [1, 2].into_iter().zip(pushes) {
            let delete = format!("delete image {number}, whose import failed");
            assert_eq!(push["steps"], json!([delete]), "{document:#}");
        }
        assert!(pushes[2]["left"][0].as_str().unwrap().starts_with("image 3 is available"));
        assert!(pushes[3]["left"][0].as_str().unwrap().starts_with("image 4 is retired"));
        assert_eq!(*asked.lock().unwrap(), expected);
    }
}

#[test]
fn a_list_of_images_that_fails_is_told_and_the_bucket_is_swept() {
    let plan = format!(
        "{PACED}[[fault]]\nkind = \"403\"\nmethod = \"GET\"\npath = \"/v2/images\"\nforever = true\n"
    );
    let rig = Rig::with_plan(&plan);
    rig.scratch.write("disk.raw.gz", big());
    let mut push = Running::start(rig.push(&["disk.raw.gz"]).args(PARTS));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    push.child().kill().unwrap();
    drop(push);
    let (code, document) = remote(&rig);
    let unlisted = &document["unlisted"][0];
    assert_eq!((code, &unlisted["kind"]), (4, &json!("images-unlisted")), "{document}");
    assert!(unlisted["message"].as_str().unwrap().contains("(403"), "{document}");
    assert_eq!(document["pushes"][0]["state"], "ended", "{document}");
    rig.assert_clean(0..=0, "the bucket");
    let output = rig.tidegate("sweep").arg("--yes").args(OLD).output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    assert!(stderr(&output).contains("images cannot be listed"), "{output:?}");
    assert!(!stdout(&output).contains("there is nothing to sweep"), "{output:?}");
}

#[test]
fn a_description_that_cannot_be_changed_fails_no_push() {
    let put =
        |kind: &str| format!("[[fault]]\nmethod = \"PUT\"\npath = \"/v2/images/*\"\n{kind}\n");
    for (plan, stays) in [
        (put("kind = \"403\""), true),
        (put("kind = \"500\"\nforever = true"), true),
        // It was changed, or is at the second try.
        (put("kind = \"cut-after\""), false),
        (put("kind = \"500\""), false),
    ] {
        let server = disk_server();
        let rig = Rig::with_plan(&plan);
        let url = server.url("disk.raw.gz");
        let output = rig.pushed(&[&url, "--no-url-rules", "--format", "json"]);
        assert_eq!(exit_code(&output), 0, "{plan}: {output:?}");
        let document = crate::documents::parsed("push", &output);
        assert_eq!((&document["done"], &document["left"]), (&json!(true), &json!([])));
        assert_eq!(says_uncompared(&rig), stays, "{plan}");
        assert_eq!(document["image"]["description"], rig.images()[0]["description"], "{plan}");
        let id = &document["image"]["id"];
        let said = stderr(&output);
        let how = format!(" {id}` changes it");
        assert_eq!(said.contains(WORD) && said.contains(&how), stays, "{plan}: {said}");
        assert!(rig.journals().is_empty(), "{plan}");
        rig.assert_clean(1..=1, &plan);
        if plan.contains("403") {
            let mut update = commands(said);
            update.retain(|told| told.starts_with("tidegate image update"));
            let output = pasted(&mut rig.tidegate("push"), &update[0]);
            assert!(exit_code(&output) == 0 && !says_uncompared(&rig), "{update:?}: {output:?}");
        }
    }
}

#[test]
fn images_are_found_without_any_bucket() {
    let (rig, _, _server) = killed_before_it_is_compared();
    let without = |arguments: &[&str]| {
        let mut sweep = rig.tidegate("sweep");
        for (name, _) in rig.env.iter().filter(|(name, _)| name.starts_with("SPACES_")) {
            sweep.env_remove(name);
        }
        sweep.args(["--yes", "--format", "json"]).args(OLD).args(arguments).output().unwrap()
    };
    let _ = std::fs::remove_dir_all(rig.scratch.path("state"));
    let output = without(&[]);
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let document = crate::documents::parsed("sweep", &output);
    assert_eq!(document["unlisted"], json!([]));
    assert!(document["pushes"][0]["left"][0].as_str().unwrap().contains(WORD), "{document}");
    assert!(stderr(&output).contains("no bucket is named"), "{output:?}");
    // Who names a part of one means one.
    let output = without(&["--spaces-region", "nyc3"]);
    assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{output:?}");
}

#[test]
fn a_bucket_that_cannot_be_listed_is_told_and_images_are_looked_at() {
    let (rig, _, _server) = killed_before_it_is_compared();
    let _ = std::fs::remove_dir_all(rig.scratch.path("state"));
    let (code, document) = rig.sweep(&[&OLD[..], &["--bucket", "another-one"]].concat());
    assert_eq!((code, &document["unlisted"][0]["kind"]), (4, &json!("bucket-unlisted")));
    let said = document["unlisted"][0]["message"].as_str().unwrap();
    assert!(said.contains("another-one"), "{said}");
    assert!(document["pushes"][0]["left"][0].as_str().unwrap().contains(WORD), "{document}");
}

#[test]
fn a_retired_image_is_left_to_its_users_also_if_there_is_an_object() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(0, &["disk.raw.gz", "--keep-object"]);
    let push = document["push"].as_str().unwrap();
    let (server, asked) = api(vec![json!({"id": 5, "name": "x", "type": "custom",
        "public": false, "status": "retired", "description": format!("[tidegate push {push}]"),
        "tags": [], "created_at": "2020-01-02T03:04:05Z"})]);
    let mut sweep = rig.tidegate("sweep");
    sweep.env("DIGITALOCEAN_API_URL", server.url("")).args(["--yes", "--format", "json"]);
    let output = sweep.args(OLD).output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let document = crate::documents::parsed("sweep", &output);
    let pushes = document["pushes"].as_array().unwrap();
    assert_eq!((pushes.len(), &pushes[0]["steps"]), (1, &json!([])), "{document:#}");
    assert!(pushes[0]["left"][0].as_str().unwrap().starts_with("image 5 is retired"));
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 1);
}

#[test]
fn a_compared_image_says_so_also_after_an_interrupt() {
    let server = disk_server();
    let rig = Rig::with_plan("[[fault]]\nkind = \"action-hangs\"");
    let mut push = rig.push(&[&server.url("disk.raw.gz"), "--no-url-rules", "--format", "json"]);
    let mut push = Running::start(push.args(["--transfer", "fra1", "--description", "mine"]));
    wait_until("it is on its way", || {
        rig.log().iter().any(|line| line["path"].as_str().unwrap().ends_with("/actions"))
    });
    signal(push.child(), "INT");
    let output = push.output();
    assert_eq!(exit_code(&output), 130, "{output:?}");
    let document = crate::documents::parsed("push", &output);
    assert_eq!(document["image"]["description"], rig.images()[0]["description"]);
    assert!(document["image"]["description"].as_str().unwrap().starts_with("mine [tidegate push"));
    rig.assert_clean(1..=1, "interrupted");
}

#[test]
fn the_word_of_another_image_is_not_taken_over() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let description = format!("{WORD} mine");
    let document = rig.document(0, &["disk.raw.gz", "--description", &description]);
    assert!(document["image"]["description"].as_str().unwrap().starts_with("mine [tidegate push"));
    assert_eq!(remote(&rig).0, 0);
}
