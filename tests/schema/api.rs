//! Documents of `tidegate image`, against a server that answers as the API does, or strangely.

use std::process::Output;

use serde_json::{Value, json};

use crate::common::{exit_code, tidegate};
use crate::server::{Reply, Request, Server};
use crate::{assert_valid_by, root, schema_of, takes};

/// An image with every field that there is, and text that nobody should send.
fn image(id: u64) -> Value {
    json!({"id": id, "name": "disk \u{1b}[31m\u{202e}", "type": "custom", "distribution": "Debian", "slug": null,
        "public": false, "regions": ["nyc3"], "created_at": "2026-01-02T03:04:05Z", "min_disk_size": 7,
        "size_gigabytes": 2.34, "description": null, "tags": null, "status": "available",
        "error_message": " ", "added": {"later": 1}})
}

fn answer(request: &Request) -> Reply {
    let text = std::fs::read_to_string(root().join("testdata/api/action.json")).unwrap();
    let mut action: Value = serde_json::from_str(&text).unwrap();
    let action = action["action"].take();
    let region = |slug: &str| json!({"slug": slug, "name": slug, "features": ["image_transfer"], "available": true, "sizes": []});
    let (status, body) = match (request.method.as_str(), request.path.split('?').next().unwrap()) {
        ("DELETE", _) => return Reply::status(204, Vec::new()),
        ("POST", "/v2/images") => return created(request, "NEW", ""),
        ("POST", _) if request.body.windows(4).any(|four| four == b"fra1") => {
            (422, json!({"id": "unprocessable_entity", "message": "no\u{7}"}))
        }
        // An action of the oldest shape.
        ("POST", _) if request.before == 0 => (201, json!({"status": "in-progress"})),
        ("POST", _) => (201, json!({"action": action})),
        (_, "/v2/images") => (200, json!({"images": [image(7), {"id": 8}], "links": {}})),
        (_, "/v2/regions") => {
            (200, json!({"regions": [region("nyc3"), region("fra1"), region("ams3")]}))
        }
        (_, path) if path.ends_with("/actions") => (200, json!({"actions": [action]})),
        _ => (200, json!({"image": image(7)})),
    };
    Reply::status(status, body.to_string().into_bytes())
}

/// Runs a command, and holds its document against the schema of this name.
fn written(server: &Server, schema: &str, code: i32, arguments: &[&str]) -> Value {
    let output: Output = tidegate()
        .arg("image")
        .args(arguments)
        .args(["--format", "json"])
        .env("DIGITALOCEAN_API_URL", server.url(""))
        .env("DIGITALOCEAN_TOKEN", "dop_v1_0123456789abcdef")
        .output()
        .unwrap();
    assert_eq!(exit_code(&output), code, "{output:?}");
    let document =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    assert_valid_by(&schema_of(schema), &document, &format!("{arguments:?}"));
    document
}

#[test]
fn documents_of_the_images_api_are_valid() {
    let server = Server::new(answer);
    let url = "https://h.example/x.img";
    let create = ["create", url, "--region", "nyc3", "--unchecked"];
    let transfer = ["transfer", "7", "--region", "nyc3,ams3,fra1,mars1"];
    for (schema, code, arguments) in [
        ("image", 0, &["get", "7"][..]),
        ("image", 0, &["wait", "7"]),
        ("image", 0, &["update", "7", "--name", "x"]),
        ("images", 0, &["list"]),
        ("transfers", 4, &transfer),
        ("create", 0, &create),
        ("actions", 0, &["convert", "7"]),
        ("actions", 0, &["actions", "7"]),
        ("deleted", 0, &["delete", "7", "--yes"]),
    ] {
        let document = written(&server, schema, code, arguments);
        assert!(takes(schema, &document, |d| d["added-later"] = json!(1)), "keys may be added");
        let newer = format!("tidegate.{schema}/2");
        assert!(!takes(schema, &document, |d| d["schema"] = newer.clone().into()), "{schema}");
        let keys: Vec<String> = document.as_object().unwrap().keys().cloned().collect();
        for key in keys {
            let without =
                takes(schema, &document, |d| drop(d.as_object_mut().unwrap().remove(&key)));
            assert!(!without, "{schema} without {key}");
        }
    }
    // Of a new conversation, whose first action has no number.
    let server = Server::new(answer);
    let document = written(&server, "actions", 0, &["convert", "7"]);
    assert_eq!(document["actions"][0]["id"], Value::Null);
    let transfers = written(&server, "transfers", 4, &transfer);
    let outcomes: Vec<&Value> =
        transfers["transfers"].as_array().unwrap().iter().map(|t| &t["outcome"]).collect();
    assert_eq!(outcomes, ["present", "started", "failed", "failed"]);
    assert!(!takes("transfers", &transfers, |d| d["transfers"][2]["error"] = Value::Null));
    assert!(!takes("transfers", &transfers, |d| d["transfers"][0]["outcome"] = json!("lost")));
    assert!(!takes("transfers", &transfers, |d| d["transfers"] = json!([])));
    let images = written(&server, "images", 0, &["list"]);
    assert!(!takes("images", &images, |d| d["images"][1]["id"] = json!("8")));
    let created = written(&server, "create", 0, &create);
    assert!(!takes("create", &created, |d| d["mark"] = json!("tidegate-")));
}

type Answer = fn(&Request) -> Reply;

/// The answer to a create: the image of the request, in this state.
fn created(request: &Request, status: &str, said: &str) -> Reply {
    let mut image: Value = serde_json::from_slice(&request.body).unwrap();
    image["id"] = json!(7);
    image["status"] = json!(status);
    image["error_message"] = json!(said);
    Reply::status(202, json!({"image": image}).to_string().into_bytes())
}

#[test]
fn creates_that_fail_have_valid_documents() {
    let answers: [(&str, Answer); 4] = [
        ("api", |_| {
            let path = root().join("testdata/api/two-documents.txt");
            Reply::status(400, std::fs::read(path).unwrap())
        }),
        ("unknown-outcome", |_| Reply::status(504, b"<html>".to_vec())),
        ("import-failed", |request| created(request, "deleted", "no")),
        ("import-wait", |request| created(request, "NEW", "")),
    ];
    for (kind, posted) in answers {
        let server = Server::new(move |request: &Request| match request.method.as_str() {
            "POST" => posted(request),
            _ => Reply::status(403, Vec::new()),
        });
        let create = ["create", "https://h.example/x.img", "--region", "nyc3", "--unchecked"];
        let more: &[&str] = match kind {
            "import-wait" => &["--wait", "--wait-timeout", "100ms"],
            _ => &["--settle", "10ms"],
        };
        let code = if kind == "import-failed" { 5 } else { 4 };
        let document = written(&server, "create", code, &[&create[..], more].concat());
        assert_eq!(document["error"]["kind"], kind);
        assert!(document["mark"].is_string() && document["report"].is_null(), "{document}");
        assert_eq!(document["image"].is_object(), kind.starts_with("import"), "{document}");
        assert_eq!(document["stray"]["id"].as_u64(), (kind == "api").then_some(95_739_054));
        let unfit = !document["image"].is_object();
        assert_eq!(!takes("create", &document, |d| d["error"] = Value::Null), unfit, "{kind}");
        assert!(!takes("create", &document, |d| d["error"]["message"] = Value::Null), "{kind}");
    }
    // What nothing was posted for.
    let server = Server::new(|request: &Request| match request.path.as_str() {
        "/page.img" => Reply::status(200, b"<!DOCTYPE html><html>Sign in".to_vec()),
        _ => Reply::status(404, Vec::new()),
    });
    for (path, kind, verdict, code) in
        [("page.img", "rejected", "reject", 1), ("none.img", "unread", "error", 3)]
    {
        let url = server.url(path);
        let create = ["create", &url, "--region", "nyc3", "--no-url-rules", "--retries", "0"];
        let document = written(&server, "create", code, &create);
        assert_eq!(document["error"]["kind"], kind);
        assert_eq!(document["report"]["verdict"], verdict, "{document}");
        assert!(document["mark"].is_null() && document["image"].is_null(), "{document}");
        let report = json!({"schema": "tidegate.report/1", "tidegate": env!("CARGO_PKG_VERSION"), "images": [document["report"]]});
        assert_valid_by(&schema_of("report"), &report, path);
    }
}

#[test]
fn an_image_is_the_same_in_all_documents() {
    let image = |of: &str| schema_of(of)["$defs"]["image"].clone();
    assert!(image("image").is_object());
    assert_eq!(image("image"), image("images"));
    assert_eq!(image("image"), image("create"));
}
