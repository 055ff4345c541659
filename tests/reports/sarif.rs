//! SARIF, held against the schema that its committee publishes.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{Scratch, disk, piped, sha256, tidegate};
use crate::{document, images, testdata};

/// SHA-256 of the schema as it is published: who may copy it may not change it.
const PUBLISHED: &str = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e";

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/sarif-schema-2.1.0.json");
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(sha256(&bytes), PUBLISHED, "the schema is not the one that is published");
    let mut schema: Value = serde_json::from_slice(&bytes).unwrap();
    // It says draft 4, which does not know the format uri-reference that it uses; read as draft 7, which has nothing else
    // that would mean something different there.
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema
}

fn valid(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).unwrap();
    let validator =
        jsonschema::draft7::options().should_validate_formats(true).build(&schema()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
    let mut broken = document.clone();
    broken["runs"][0]["results"][0]["level"] = json!("fatal");
    assert!(!validator.is_valid(&broken), "the schema refuses nothing");
    document
}

#[test]
fn documents_hold_to_the_schema() {
    let scratch = Scratch::new();
    for (options, images) in [
        (&[][..], images(&scratch)),
        (&["--strict", "--keep-going", "--digest", "image,disk"], testdata()),
        (&["--quick"], testdata()),
    ] {
        let log = valid(&document("sarif", options, &images));
        let run = &log["runs"][0];
        assert_eq!(run["artifacts"].as_array().unwrap().len(), images.len());
        for result in run["results"].as_array().unwrap() {
            let index = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
            let at = &result["locations"][0]["physicalLocation"]["artifactLocation"];
            let artifact = &run["artifacts"][at["index"].as_u64().unwrap() as usize];
            assert_eq!(artifact["location"]["uri"], at["uri"]);
        }
    }
}

#[test]
fn places_are_uris_and_offsets_are_those_of_the_file() {
    let scratch = Scratch::new();
    let dir = scratch.path("a dir%");
    std::fs::create_dir(&dir).unwrap();
    let mut broken = disk();
    // The first byte of the GPT's check sum.
    broken[512 + 16] ^= 1;
    std::fs::write(dir.join("b:c\n.raw"), &broken).unwrap();
    let sarif = |argument: &Path, root: &Path| {
        let output = tidegate()
            .args(["check", "--quiet", "--format", "sarif"])
            .arg(argument)
            .current_dir(root)
            .output()
            .unwrap();
        valid(std::str::from_utf8(&output.stdout).unwrap())["runs"][0]["results"][0].clone()
    };
    let root = scratch.path("").canonicalize().unwrap();
    let place = |result: &Value| result["locations"][0]["physicalLocation"].clone();
    let relative = sarif(Path::new("./a dir%/b:c\n.raw"), &root);
    let at = place(&relative);
    assert_eq!(at["artifactLocation"]["uri"], "a%20dir%25/b%3Ac%0A.raw");
    assert_eq!(at["artifactLocation"]["uriBaseId"], "%SRCROOT%");
    assert_eq!(at["region"], json!({ "byteOffset": 512, "byteLength": 1 }), "{relative:#}");
    // The same file by its whole path.
    let whole = place(&sarif(&root.join("a dir%/b:c\n.raw"), &root));
    assert_eq!(whole, at);
    let outside = place(&sarif(&root.join("a dir%/b:c\n.raw"), Path::new("/")));
    let uri = outside["artifactLocation"]["uri"].as_str().unwrap();
    assert!(uri.ends_with("a%20dir%25/b%3Ac%0A.raw"), "{uri}");

    // Of a packed disk, no byte of the file can be named.
    let packed: PathBuf = scratch.write("packed.raw.gz", &crate::common::gzip(&broken));
    let result = sarif(&packed, &root);
    assert_eq!(place(&result)["region"], Value::Null);
    assert_eq!(result["properties"]["offset"], 512);
    // A finding is the same one in the next build.
    assert_eq!(result["partialFingerprints"], sarif(&packed, &root)["partialFingerprints"]);
}

#[test]
fn what_has_no_verdict_is_a_notification() {
    let scratch = Scratch::new();
    let images = [scratch.write("empty.raw", b""), scratch.path("missing.raw")];
    let log = valid(&document("sarif", &[], &images));
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notes = invocation["toolExecutionNotifications"].as_array().unwrap();
    assert!(
        notes.iter().any(|n| n["level"] == "error" && n["descriptor"]["id"] == "not-found"),
        "{notes:?}"
    );
    let output = piped(&["--format", "sarif", "-"], &[0; 4096]);
    let log = valid(std::str::from_utf8(&output.stdout).unwrap());
    assert_eq!(log["runs"][0]["artifacts"][0]["location"]["description"]["text"], "standard input");
}
