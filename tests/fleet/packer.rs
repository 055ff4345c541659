use serde_json::{Value, json};

use crate::common::Scratch;
use crate::{at, ended, testdata};

/// A folder with a manifest of two runs, of which the last one left these files.
fn folder(files: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    for name in ["good.qcow2", "old.qcow2"] {
        std::fs::copy(testdata("gpt.qcow2"), scratch.path(name)).unwrap();
    }
    std::fs::copy(testdata("truncated.raw.gz"), scratch.path("bad.raw.gz")).unwrap();
    scratch.write("SHA256SUMS", b"00  good.qcow2\n");
    scratch.write("vars.fd", &[0xff; 4096]);
    scratch.write("-x", &std::fs::read(testdata("gpt.raw")).unwrap());
    let build = |run: &str, files: &[&str]| {
        let files: Vec<Value> = files.iter().map(|name| json!({"name": name, "size": 1})).collect();
        json!({"name": "base", "builder_type": "qemu", "files": files, "artifact_id": "VM", "packer_run_uuid": run})
    };
    let manifest =
        json!({"builds": [build("r1", &["old.qcow2"]), build("r2", files)], "last_run_uuid": "r2"});
    scratch.write("manifest.json", manifest.to_string().as_bytes());
    scratch
}

fn gate(scratch: &Scratch, environment: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = at(&scratch.path(""));
    command.envs(environment.iter().copied());
    ended(command.args(["check", "-q", "--packer-manifest", "manifest.json"]).output().unwrap())
}

#[test]
fn the_image_of_this_run_is_found_by_content() {
    for (files, found) in [
        (&["good.qcow2"][..], "ACCEPT  good.qcow2"),
        (&["SHA256SUMS", "vars.fd", "good.qcow2"], "ACCEPT  good.qcow2"),
        (&["-x", "SHA256SUMS"], "ACCEPT  ./-x"),
        // A bad image is found among what is none, and checked.
        (&["vars.fd", "bad.raw.gz"], "REJECT  bad.raw.gz"),
        // What is alone is meant.
        (&["SHA256SUMS"], "REJECT  SHA256SUMS"),
    ] {
        let (code, out, err) = gate(&folder(files), &[]);
        assert!(out.contains(found), "{out}{err}");
        assert_eq!((code, err.as_str()), (i32::from(found.starts_with("REJECT")), ""));
    }
    let scratch = folder(&["good.qcow2"]);
    let (code, out, _) =
        gate(&scratch, &[("PACKER_RUN_UUID", "r1"), ("PACKER_BUILD_NAME", "base")]);
    assert_eq!(code, 0);
    assert!(out.contains("ACCEPT  old.qcow2"), "{out}");
}

#[test]
fn a_manifest_that_does_not_say_which() {
    let refused = |scratch: &Scratch, environment: &[(&str, &str)], told: &[&str]| {
        let (code, out, err) = gate(scratch, environment);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        told.iter().for_each(|told| assert!(err.contains(told), "{err}"));
    };
    let scratch = folder(&["good.qcow2"]);
    let first = "put the post-processor \"manifest\" first";
    refused(&scratch, &[("PACKER_RUN_UUID", "r3")], &["no build of this run (r3)", first]);
    refused(&scratch, &[("PACKER_BUILD_NAME", "web")], &["no build \"web\"", "\"base\"", first]);
    let several = folder(&["good.qcow2", "old.qcow2", "SHA256SUMS"]);
    let told = ["several files could be the image", "good.qcow2  qcow2", "SHA256SUMS  text"];
    refused(&several, &[], &told);
    refused(&folder(&["SHA256SUMS", "vars.fd"]), &[], &["none of the files is an image"]);
    refused(&folder(&["gone.qcow2"]), &[], &["gone.qcow2", "strip_path"]);
    refused(&folder(&[]), &[], &["left no files (qemu)"]);
    scratch.write("manifest.json", b"{\"builds\": 7}");
    refused(&scratch, &[], &["it is no manifest of Packer's"]);
    std::fs::remove_file(scratch.path("manifest.json")).unwrap();
    refused(&scratch, &[], &["cannot read the manifest manifest.json"]);
}

#[cfg(feature = "simulator")]
#[test]
fn a_push_tells_packer_on_standard_output() {
    let push = |scratch: &Scratch| {
        let arguments = ["push", "--rehearse", "--packer-manifest", "manifest.json"];
        ended(at(&scratch.path("")).args(arguments).output().unwrap())
    };
    let (code, out, err) = push(&folder(&["SHA256SUMS", "good.qcow2"]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("create: image ") && out.contains("is available in nyc3"), "{out}");
    let (code, out, err) = push(&folder(&["bad.raw.gz"]));
    assert_eq!(code, 1);
    // All of the reason in one stream, which Packer keeps in order.
    let report = err.find("REJECT").unwrap();
    assert!(report < err.find("tidegate: the check refuses the image").unwrap(), "{err}");
    assert!(!out.contains("REJECT"), "{out}");
}
