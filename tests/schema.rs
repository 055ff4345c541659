//! Documents hold to the published schemas. That the schemas name what the program knows is a test of `render::json`.

#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

#[cfg(feature = "net")]
#[path = "schema/api.rs"]
mod api;
mod common;
#[cfg(feature = "net")]
#[path = "common/server.rs"]
mod server;

use std::path::{Path, PathBuf};

use common::{Scratch, disk, gzip, piped, tidegate};
use serde_json::{Value, json};
use tidegate::facts::Code;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn schema() -> Value {
    schema_of("report")
}

fn schema_of(document: &str) -> Value {
    let text = std::fs::read(root().join(format!("docs/{document}.schema.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Holds a report against its schema.
fn assert_valid(document: &Value, what: &str) {
    assert_valid_by(&schema(), document, what);
}

fn assert_valid_by(schema: &Value, document: &Value, what: &str) {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{document:#}");
}

/// Runs a check and holds its document against the schema.
fn checked(arguments: &[&str], files: &[&Path]) -> Value {
    let output = tidegate()
        .args(["check", "--format", "json"])
        .args(arguments)
        .args(files)
        .output()
        .unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap();
    assert_valid(&document, &format!("{arguments:?} {files:?}"));
    document
}

#[test]
fn reports_on_all_test_data_are_valid() {
    let files: Vec<PathBuf> = std::fs::read_dir(root().join("testdata"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    assert!(files.len() > 20, "{files:?}");
    for arguments in [&[][..], &["--quick"], &["--keep-going", "--digest", "image,disk"]] {
        let document = checked(arguments, &files);
        assert_eq!(document["images"].as_array().unwrap().len(), files.len());
    }
}

#[test]
fn reports_on_what_cannot_be_read_are_valid() {
    let scratch = Scratch::new();
    let empty = scratch.write("x", b"");
    let document =
        checked(&["--fail-fast", "--jobs", "1"], &[&scratch.path("missing"), &empty, &empty]);
    assert_eq!(document["images"][0]["verdict"], "error");
    assert_eq!(document["images"][2]["error"]["kind"], "not-checked");
}

#[test]
fn reports_on_pipes_and_with_expectations_are_valid() {
    let output = piped(&["--format", "json", "-"], &gzip(&disk()));
    assert_valid(&serde_json::from_slice(&output.stdout).unwrap(), "a pipe");
    let scratch = Scratch::new();
    let path = scratch.write("hostile\u{1b}\u{202e}\n.qcow2", &disk());
    let wrong = "0".repeat(64);
    checked(&["--sha256", &wrong, "--allow", "name-mismatch"], &[&path]);
}

#[test]
fn what_the_schema_does_not_allow_is_refused() {
    let scratch = Scratch::new();
    let good = checked(&[], &[&scratch.write("disk.raw", &disk())]);
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = good.clone();
        change(&mut document);
        validator.is_valid(&document)
    };
    assert!(with(&|_| {}));
    assert!(with(&|d| d["images"][0]["added-later"] = json!(1)), "keys may be added");
    assert!(!with(&|d| d["schema"] = json!("tidegate.report/2")));
    assert!(!with(&|d| d["images"][0]["verdict"] = json!("maybe")));
    assert!(!with(&|d| d["images"][0]["verdict"] = json!("error")), "an error has its reason");
    assert!(!with(&|d| d["images"][0]["file_size"] = json!(-1)));
    assert!(!with(&|d| d["images"][0]["source"] = json!("a\u{1b}b")));
    assert!(!with(&|d| drop(d["images"][0].as_object_mut().unwrap().remove("findings"))));
}

#[test]
fn what_repacking_mends_is_marked() {
    let data = |name: &str| root().join("testdata").join(name);
    let scratch = Scratch::new();
    let twice = scratch.write("twice.raw.gz", &gzip(&gzip(&disk())));
    let zip_inside = scratch.write("zip.gz", &gzip(b"PK\x03\x04"));
    let lz4_inside = scratch.write("lz4.gz", &gzip(b"\x04\x22\x4d\x18"));
    // A window of 128 MiB, and a dictionary: the header of the first frame says it.
    let wide = scratch.write("wide.zst", b"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00");
    let with_dictionary =
        scratch.write("dictionary.zst", b"\x28\xb5\x2f\xfd\x01\x00\x07\x01\x00\x00");
    for (path, repairable) in [
        (wide, false),
        (with_dictionary, false),
        (data("gpt.raw.xz"), true),
        (data("gpt.raw.zst"), true),
        (data("gpt.tar.gz"), true),
        (data("box.ova"), true),
        (twice, true),
        (zip_inside, false),
        (lz4_inside, false),
        (data("truncated.raw.gz"), false),
    ] {
        let document = checked(&[], &[&path]);
        let finding = &document["images"][0]["findings"][0];
        let expected = if repairable { json!(true) } else { Value::Null };
        assert_eq!(finding["repairable"], expected, "{finding}");
        let mut wrong = document.clone();
        wrong["images"][0]["findings"][0]["repairable"] = json!(false);
        assert!(!jsonschema::draft202012::new(&schema()).unwrap().is_valid(&wrong));
    }
}

/// Runs a command that writes one document, and holds it against its schema.
fn written(command: &str, images: &[&Path]) -> Value {
    let output = tidegate().args([command, "--format", "json"]).args(images).output().unwrap();
    let document =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    assert_valid_by(&schema_of(command), &document, &format!("{command} {images:?}"));
    document
}

/// Whether a schema takes a document after a change.
fn takes(schema: &str, document: &Value, change: impl Fn(&mut Value)) -> bool {
    let mut document = document.clone();
    change(&mut document);
    jsonschema::draft202012::new(&schema_of(schema)).unwrap().is_valid(&document)
}

#[test]
fn maps_are_valid() {
    let mut kinds = std::collections::BTreeSet::new();
    for name in
        ["gpt.qcow2", "gpt-compressed.qcow2", "gpt.vdi.gz", "gpt.vhdx.gz", "gpt.stream.vmdk"]
    {
        let map = written("map", &[&root().join("testdata").join(name)]);
        for extent in map["extents"].as_array().unwrap() {
            kinds.insert(extent["what"].as_str().unwrap().to_owned());
        }
    }
    assert!(
        kinds.contains("data") && kinds.contains("compressed") && kinds.contains("unallocated")
    );

    let scratch = Scratch::new();
    let map = written("map", &[&scratch.sparse("hostile\u{1b}\u{202e}\n.raw", 4 << 20)]);
    assert!(map["extents"].as_array().unwrap().iter().any(|extent| extent["what"] == "zero"));
    assert!(takes("map", &map, |_| {}));
    assert!(takes("map", &map, |m| m["extents"][0]["added-later"] = json!(1)), "keys may be added");
    assert!(!takes("map", &map, |m| m["schema"] = json!("tidegate.map/2")));
    assert!(
        !takes("map", &map, |m| m["extents"][0]["what"] = json!("zero")),
        "zeros have no place"
    );
    assert!(!takes("map", &map, |m| m["extents"][0]["length"] = json!(0)));
    assert!(!takes("map", &map, |m| m["totals"]["zero"] = json!(-1)));
    assert!(!takes("map", &map, |m| m["source"] = json!("a\u{1b}b")));
}

#[test]
fn comparisons_are_valid() {
    let scratch = Scratch::new();
    let a = scratch.write("a\u{1b}\u{202e}.raw", &disk());
    let mut other = disk();
    other[70_000] ^= 1;
    let b = scratch.write("b.raw.gz", &gzip(&other));
    let longer = scratch.write("longer.raw", &[disk(), vec![0; 512]].concat());
    let same = written("compare", &[&a, &a]);
    assert_eq!((&same["same"], &same["first_difference"]), (&json!(true), &Value::Null));
    let different = written("compare", &[&a, &b]);
    assert_eq!(different["first_difference"], json!(69_632));
    assert_eq!(written("compare", &[&a, &longer])["same"], json!(false));
    assert!(takes("compare", &same, |c| c["added-later"] = json!(1)), "keys may be added");
    assert!(!takes("compare", &same, |c| c["schema"] = json!("tidegate.compare/2")));
    assert!(
        !takes("compare", &same, |c| c["first_difference"] = json!(512)),
        "the same is the same"
    );
    assert!(!takes("compare", &different, |c| c["first_difference"] = json!(513)));
    assert!(!takes("compare", &different, |c| c["sources"] = json!(["a"])));
}

#[test]
fn documents_of_repack_are_valid() {
    let scratch = Scratch::new();
    let raw = scratch.write("a\u{1b}\u{202e}.raw", &disk());
    let behind = scratch.write("b.raw.gz", &[gzip(&disk()), b"more\x1b".to_vec()].concat());
    let cut = scratch.write("c.raw.gz", &gzip(&disk())[..2000]);
    let fine = scratch.write("d.raw.gz", &gzip(&disk()));
    let written = |image: &Path| written("repack", &[image]);
    let packed = written(&raw);
    assert_eq!(packed["done"], json!(true));
    assert_eq!(written(&behind)["source"]["left_out"].as_array().unwrap().len(), 1);
    assert_eq!(written(&cut)["error"]["kind"], json!("rejected"));
    assert_eq!(written(&raw)["error"]["kind"], json!("exists"));
    assert_eq!(written(&scratch.path("missing"))["error"]["kind"], json!("unread"));
    let nothing = written(&fine);
    assert!(nothing["output"].is_null() && nothing["done"] == json!(true));
    assert!(takes("repack", &packed, |d| d["added-later"] = json!(1)), "keys may be added");
    assert!(!takes("repack", &packed, |d| d["schema"] = json!("tidegate.repack/2")));
    assert!(!takes("repack", &packed, |d| d["done"] = json!(false)));
    assert!(!takes("repack", &packed, |d| d["output"]["path"] = json!("a b")));
    assert!(!takes("repack", &packed, |d| d["source"]["wrappings"] = json!(["a\u{1b}"])));
}

#[test]
fn every_code_is_a_name() {
    let schema = json!({ "$ref": "#/$defs/name", "$defs": schema()["$defs"] });
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for code in Code::ALL {
        assert!(validator.is_valid(&json!(code.as_str())), "{}", code.as_str());
    }
}
