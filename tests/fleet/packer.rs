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
    scratch.write("blank", &[0; 8192]);
    scratch.write("efivars", &[&[0; 40][..], b"_FVH", &[0; 4052]].concat());
    scratch.write("build.log", b"built\n");
    scratch.write("old.vhd", &[b"conectix".as_slice(), &[0; 4096]].concat());
    scratch.write("packed.xz", b"\xfd7zXZ\0\0\x04");
    let mut ext4 = vec![0; 8192];
    ext4[1080..1082].copy_from_slice(b"\x53\xef");
    scratch.write("root", &ext4);
    scratch.write("fs.raw", &[1; 8192]);
    scratch.write("warned.vmdk", &std::fs::read(testdata("gpt.qcow2")).unwrap());
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
        (&["efivars", "good.qcow2"], "ACCEPT  good.qcow2"),
        // A bad image is found among what is none, and checked.
        (&["vars.fd", "bad.raw.gz"], "REJECT  bad.raw.gz"),
        // What is alone is meant, and so is what alone is no text.
        (&["SHA256SUMS"], "REJECT  SHA256SUMS"),
        (&["SHA256SUMS", "build.log", "vars.fd"], "REJECT  vars.fd"),
        (&["SHA256SUMS", "vars.fd", "fs.raw"], "REJECT  fs.raw"),
        (&["vars.fd", "root"], "REJECT  root"),
        (&["vars.fd", "old.vhd"], "REJECT  old.vhd"),
        (&["build.log", "packed.xz"], "REJECT  packed.xz"),
        (&["vars.fd", "warned.vmdk"], "WARN    warned.vmdk"),
    ] {
        let (code, out, err) = gate(&folder(files), &[]);
        // What Packer shows in red is why the build fails, and nothing else.
        let refused = found.starts_with("REJECT");
        let (with, without) = if refused { (&err, &out) } else { (&out, &err) };
        assert!(with.contains(found) && !without.contains(found), "{out}\n{err}");
        assert_eq!((code, err.is_empty()), (i32::from(refused), !refused), "{err}");
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
    // Whichever of two images were taken, the other would go unseen.
    for (other, what) in [
        ("old.vhd", "old.vhd  vpc"),
        ("bad.raw.gz", "bad.raw.gz  gzip, damaged"),
        ("packed.xz", "packed.xz  xz, not looked into"),
        ("root", "root  raw with a file system"),
        ("fs.raw", "fs.raw  raw by its name"),
        ("-x", "-x  raw with a partition table"),
        // The system disk, to which nothing was written, is no less a disk than the second one.
        ("blank", "blank  raw or anything"),
    ] {
        let told = ["several files could be the image", "good.qcow2  qcow2", what];
        refused(&folder(&["good.qcow2", other, "SHA256SUMS"]), &[], &told);
    }
    let none = folder(&["SHA256SUMS", "build.log"]);
    refused(&none, &[], &["none of the files is an image", "build.log  text"]);
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
    // A warning is no failure.
    let (code, out, err) = push(&folder(&["warned.vmdk"]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("tidegate: warning: "), "{out}");
    let (code, out, err) = push(&folder(&["bad.raw.gz"]));
    assert_eq!(code, 1);
    // All of the reason in one stream, which Packer keeps in order.
    let report = err.find("REJECT").unwrap();
    assert!(report < err.find("tidegate: the check refuses the image").unwrap(), "{err}");
    assert!(!out.contains("REJECT"), "{out}");
}

/// A document is alone on standard output; what is under way is told elsewhere.
#[test]
fn a_document_is_all_of_standard_output() {
    let told = |arguments: &[&str], scratch: &Scratch| {
        let mut command = at(&scratch.path(""));
        ended(
            command.args(arguments).args(["--packer-manifest", "manifest.json"]).output().unwrap(),
        )
    };
    for (image, expected) in [("good.qcow2", 0), ("bad.raw.gz", 1)] {
        let scratch = folder(&[image]);
        for (format, begins) in [
            ("json", "{"),
            ("sarif", "{"),
            ("junit", "<?xml"),
            ("html", "<!DOCTYPE"),
            ("github", if expected == 0 { "accept: " } else { "reject: " }),
        ] {
            let (code, out, err) = told(&["check", "--format", format], &scratch);
            assert_eq!(code, expected, "{err}");
            assert!(out.starts_with(begins), "{out}");
            assert!(err.contains("of Packer's build \"base\""), "{err}");
            assert_eq!(err.contains("REJECT  bad.raw.gz: "), expected == 1, "{err}");
            if begins == "{" {
                serde_json::from_str::<Value>(&out).unwrap();
            }
            // In a file it is in nobody's way.
            let (_, out, err) = told(&["check", "--format", format, "--output", "out"], &scratch);
            assert!(out.contains("of Packer's build") && !err.contains("of Packer's"), "{out}");
            assert_eq!(err.is_empty(), expected == 0, "{err}");
        }
        #[cfg(feature = "simulator")]
        {
            let (code, out, err) = told(&["push", "--rehearse", "--format", "json"], &scratch);
            assert_eq!(code, expected, "{err}");
            serde_json::from_str::<Value>(&out).unwrap();
        }
    }
}
