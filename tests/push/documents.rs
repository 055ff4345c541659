//! Documents hold to their published schemas.

use std::process::Output;

use serde_json::{Value, json};

use crate::common::*;
use crate::rig::*;

fn schema(name: &str) -> Value {
    let text = std::fs::read(root().join(format!("docs/{name}.schema.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn assert_valid(name: &str, document: &Value) {
    let validator = jsonschema::draft202012::new(&schema(name)).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}\n{document:#}");
}

/// The document on standard output, which keeps to the schema of this name.
pub(crate) fn parsed(name: &str, output: &Output) -> Value {
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    assert_valid(name, &document);
    let described = schema(name)["properties"].clone();
    for member in document.as_object().unwrap().keys() {
        assert!(described[member].is_object(), "{name}: {member} is not described");
    }
    if let Some(report) = document.get("report").filter(|report| !report.is_null()) {
        let whole = json!({"schema": "tidegate.report/1", "tidegate": "0.0.0", "images": [report]});
        assert_valid("report", &whole);
    }
    document
}

#[test]
fn what_the_schemas_do_not_allow_is_refused() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw", &disk());
    let good = rig.document(0, &["disk.raw"]);
    let takes = |name: &str, document: &Value, change: &dyn Fn(&mut Value)| {
        let mut document = document.clone();
        change(&mut document);
        jsonschema::draft202012::new(&schema(name)).unwrap().is_valid(&document)
    };
    let push = |change: &dyn Fn(&mut Value)| takes("push", &good, change);
    assert!(push(&|_| {}));
    assert!(push(&|d| d["added-later"] = json!(1)), "keys may be added");
    assert!(!push(&|d| d["schema"] = json!("tidegate.push/2")));
    assert!(!push(&|d| d["done"] = json!(false)), "what is not done has its reason");
    assert!(!push(&|d| d["error"] = json!({"kind": "x", "message": "y"})));
    assert!(!push(&|d| d["image"] = Value::Null), "what is done has its image");
    assert!(!push(&|d| drop(d.as_object_mut().unwrap().remove("source"))));
    assert!(!push(&|d| drop(d["source"].as_object_mut().unwrap().remove("wrappings"))));
    assert!(!push(&|d| d["source"]["sha256"] = json!("x")));
    assert!(!push(&|d| d["source"]["name"] = json!("a\u{1b}b")));
    assert!(!push(&|d| drop(d["staged"].as_object_mut().unwrap().remove("public"))));
    assert!(!push(&|d| d["staged"]["url"] = json!("https://host/key?secret")));
    assert!(
        !push(&|d| d["regions"] = json!([{"region": "x", "outcome": "failed", "error": null}]))
    );
    assert!(!push(&|d| d["timings"]["check_ms"] = json!(-1)));

    let swept = json!({"schema": "tidegate.sweep/1", "dry_run": false, "unlisted": [], "pushes": [
        {"push": "x", "state": "ended", "steps": ["delete"], "left": []}]});
    let sweep = |change: &dyn Fn(&mut Value)| takes("sweep", &swept, change);
    assert!(sweep(&|_| {}));
    assert!(!sweep(&|d| d["pushes"][0]["state"] = json!("left")), "what is left is named");
    assert!(!sweep(&|d| d["pushes"][0]["left"] = json!(["x"])));
    assert!(!sweep(&|d| d["pushes"][0]["push"] = json!("\u{1b}")));
}
