//! The main job, as its users see it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::*;
use crate::disks::*;
use crate::rig::*;

#[test]
fn a_file_becomes_an_image_and_nothing_else_is_left() {
    for (name, bytes, ending) in [
        ("my disk.raw.gz", gzip(&disk()), "/my-disk.img.gz"),
        ("disk.qcow2", std::fs::read(root().join("testdata/gpt.qcow2")).unwrap(), "/disk.qcow2"),
    ] {
        let rig = Rig::new();
        rig.scratch.write(name, &bytes);
        let more = [
            "--distribution",
            "Debian",
            "--description",
            "of a test",
            "--tag",
            "one,two",
            "--output-image-id",
            "id",
        ];
        let document = rig.document(0, &[&[name][..], &more].concat());
        rig.assert_clean(1..=1, name);
        let image = rig.images().remove(0);
        let id = image["id"].as_u64().unwrap();
        assert_eq!(std::fs::read_to_string(rig.scratch.path("id")).unwrap(), format!("{id}\n"));
        assert_eq!(document["image"]["id"], id);
        assert_eq!((&image["name"], &image["distribution"]), (&json!(name), &json!("Debian")));
        assert!(image["description"].as_str().unwrap().starts_with("of a test"), "{image}");
        let mark = document["mark"].as_str().unwrap();
        let tags = image["tags"].as_array().unwrap();
        assert!(["one", "two", mark].iter().all(|tag| tags.contains(&json!(tag))), "{image}");
        assert_eq!((&document["done"], &document["left"]), (&json!(true), &json!([])));
        let staged = &document["staged"];
        let key = staged["key"].as_str().unwrap();
        assert!(key.starts_with("tidegate/") && key.ends_with(ending), "{key}");
        assert_eq!(staged["sha256"], sha256(&bytes));
        assert_eq!((&staged["size"], &staged["kept"]), (&json!(bytes.len()), &json!(false)));
        assert_eq!(image["url"], staged["url"]);
        assert_eq!(document["report"]["digests"]["sha256"], sha256(&bytes));
        for step in ["probe", "check", "complete", "publish", "create", "import", "remove"] {
            assert!(document["timings"][format!("{step}_ms")].is_u64(), "{step}: {document}");
        }
        assert!(rig.journals().is_empty());
        // It was public from before the create until after the import, and not longer.
        let log = rig.log();
        let at = |is: &dyn Fn(&Value) -> bool| log.iter().position(is).unwrap();
        let path = format!("/simulated/{key}");
        let of = |operation: &'static str| {
            let path = path.clone();
            move |line: &Value| line["operation"] == operation && line["path"] == path
        };
        let last = |is: &dyn Fn(&Value) -> bool| log.iter().rposition(is).unwrap();
        let create = at(&|line| line["method"] == "POST" && line["path"] == "/v2/images");
        assert!(at(&of("complete-multipart-upload")) < at(&of("put-object-acl")));
        assert!(at(&of("put-object-acl")) < create && at(&of("head-object")) < create);
        assert!(last(&of("get-object")) < last(&of("put-object-acl")));
        assert!(last(&of("put-object-acl")) < at(&of("delete-object")));
    }
}

#[test]
fn a_pipe_is_pushed_too() {
    let rig = Rig::new();
    let mut command = rig.push(&["-", "--name", "piped", "--format", "json"]);
    let output = fed(command.args(PARTS), big());
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    let document = crate::documents::parsed("push", &output);
    assert_eq!(document["staged"]["sha256"], sha256(big()));
    assert_eq!(document["staged"]["parts"], parts(big()));
    assert_eq!(rig.images()[0]["name"], "piped");
    rig.assert_clean(1..=1, "a pipe");
    // It has no name of its own.
    let output = fed(&mut rig.push(&["-"]), &gzip(&disk()));
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("--name"), "{output:?}");
}

#[test]
fn results_are_on_standard_output_and_the_rest_is_not() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz"]);
    let id = rig.images()[0]["id"].clone();
    assert_eq!(stdout(&output), format!("image {id} \"disk.raw.gz\" is available in nyc3\n"));
    let said = stderr(&output);
    for step in ["probe: ", "check: ", "complete: ", "publish: ", "create: ", "import: "] {
        assert!(said.lines().any(|line| line.starts_with(step)), "{step}: {said}");
    }
    let quiet = rig.pushed(&["disk.raw.gz", "--quiet"]);
    assert_eq!((exit_code(&quiet), stderr(&quiet)), (0, ""));
}

#[test]
fn exit_codes_tell_what_it_was() {
    let pushed = |plan: &str, bytes: &[u8], arguments: &[&str]| {
        let rig = Rig::with_plan(plan);
        rig.scratch.write("disk", bytes);
        let output = rig.pushed(&[&["disk"], arguments].concat());
        rig.assert_clean(0..=1, &format!("{plan} {arguments:?}: {output:?}"));
        exit_code(&output)
    };
    let good = gzip(&disk());
    assert_eq!(pushed("", &good, &[]), 0);
    assert_eq!(pushed("", &backed(), &[]), 1);
    let warned = std::fs::read(root().join("testdata/gpt-dirty.qcow2")).unwrap();
    assert_eq!(pushed("", &warned, &[]), 0);
    assert_eq!(pushed("", &warned, &["--strict"]), 1);
    assert_eq!(pushed("", &good, &["--sha256", &"0".repeat(64)]), 1);
    assert_eq!(pushed("", &good, &["--sha256", "x"]), 2);
    assert_eq!(pushed("", &good, &["--part-size", "1MiB"]), 2);
    assert_eq!(pushed("[[fault]]\nkind = \"401\"\nmethod = \"POST\"", &good, &[]), 4);
    assert_eq!(pushed("[[bucket]]\nkind = \"acl-refused\"\nforever = true", &good, &[]), 4);
    assert_eq!(pushed("[[fault]]\nkind = \"import-fails\"", &good, &[]), 5);

    let rig = Rig::new();
    assert_eq!(exit_code(&rig.pushed(&["missing"])), 3);
    // The bucket was not troubled with it.
    assert!(rig.asked("put-object").is_empty());
    rig.scratch.write("disk", &good);
    let mut elsewhere = rig.push(&["disk", "--bucket", "another"]);
    let output = elsewhere.output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    // Without credentials nothing is begun.
    for name in ["DIGITALOCEAN_TOKEN", "SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY"] {
        let output = rig.push(&["disk"]).env_remove(name).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{name}: {output:?}");
    }
    assert!(rig.journals().is_empty());
}

#[test]
fn a_plan_touches_nothing() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz", "--dry-run", "--transfer", "fra1", "--convert"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let plan = stdout(&output);
    for step in ["probe", "check", "complete", "publish", "create", "import", "transfer", "convert"]
    {
        assert!(plan.lines().any(|line| line.trim_start().starts_with(step)), "{step}: {plan}");
    }
    assert!(plan.contains("fra1") && plan.contains("simulated"), "{plan}");
    assert!(rig.log().is_empty(), "{:?}", rig.log());
    let mut there: Vec<PathBuf> = std::fs::read_dir(rig.scratch.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into())
        .collect();
    there.sort();
    assert_eq!(there, ["disk.raw.gz", "env", "log", "plan.toml", "state"].map(PathBuf::from));
    assert_eq!(std::fs::read_dir(rig.scratch.path("state")).unwrap().count(), 0);
}

#[test]
fn a_kept_object_is_private() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(0, &["disk.raw.gz", "--keep-object"]);
    assert_eq!(document["staged"]["kept"], true);
    let state = rig.state();
    let key = &document["staged"]["key"];
    let size = &document["staged"]["size"];
    assert_eq!(state["objects"], json!([{"key": key, "acl": "private", "size": size}]));
    assert!(rig.journals().is_empty());
    // Nor does a sweep without journals take it.
    assert_eq!(rig.sweep(&["--remote", "--older-than", "1ms"]).1["pushes"], json!([]));
    assert_eq!(rig.state()["objects"], state["objects"]);

    // That of an import that fails is of no use.
    let rig = Rig::with_plan("[[fault]]\nkind = \"import-fails\"");
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    assert_eq!(rig.document(5, &["disk.raw.gz", "--keep-object"])["staged"]["kept"], false);
    rig.assert_clean(0..=0, "a failed import");
}

#[test]
fn one_region_that_fails_stops_no_other() {
    let plan = "[[fault]]\nkind = \"action-errors\"\nnth = 1";
    let rig = Rig::with_plan(plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let transfer = ["--transfer", "fra1,ams3,nyc3,fra1"];
    let document =
        rig.document(4, &[&["disk.raw.gz", "--output-image-id", "id"], &transfer[..]].concat());
    assert_eq!(document["available"], true);
    // Whoever asked for it can go on with it.
    assert!(rig.scratch.path("id").exists());
    let mut outcomes: Vec<&str> = Vec::new();
    for region in document["regions"].as_array().unwrap() {
        outcomes.push(region["outcome"].as_str().unwrap());
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["completed", "failed"]);
    assert_eq!((&document["error"]["kind"], &document["done"]), (&json!("spread"), &json!(false)));
    rig.assert_clean(1..=1, plan);
    assert_eq!(rig.images()[0]["regions"].as_array().unwrap().len(), 2);
    assert!(rig.journals().is_empty());

    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(0, &[&["disk.raw.gz", "--convert"], &transfer[..]].concat());
    assert_eq!(document["regions"].as_array().unwrap().len(), 2);
    assert_eq!(rig.images()[0]["regions"].as_array().unwrap().len(), 3);
    assert!(document["timings"]["convert_ms"].is_u64(), "{document}");
    rig.assert_clean(1..=1, "all regions");
}

#[test]
fn the_number_of_an_image_is_written_only_if_there_is_one() {
    let rig = Rig::with_plan("[[fault]]\nkind = \"import-fails\"\ntimes = 2");
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    // A push that fails leaves the file alone, and makes none.
    rig.scratch.write("id", b"1\n");
    rig.document(5, &["disk.raw.gz", "--output-image-id", "id"]);
    assert_eq!(std::fs::read(rig.scratch.path("id")).unwrap(), b"1\n");
    rig.document(5, &["disk.raw.gz", "--output-image-id", "new"]);
    assert!(!rig.scratch.path("new").exists());
    // A file that cannot be written is known before anything is sent.
    let asked = rig.log().len();
    let output = rig.pushed(&["disk.raw.gz", "--output-image-id", "no/such/folder"]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert_eq!(rig.log().len(), asked);
    // One that is full is known after it, and says which image it is.
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz", "--output-image-id", "/dev/full"]);
    let id = rig.images()[0]["id"].to_string();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    assert!(stderr(&output).contains(&format!("image {id} is available")), "{output:?}");
}

#[test]
fn a_token_that_is_not_taken_is_known_before_anything_is_sent() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.push(&["disk.raw.gz"]).env("DIGITALOCEAN_TOKEN", "wrong-token").output();
    let output = output.unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    assert!(stderr(&output).contains("account: "), "{output:?}");
    assert_eq!(rig.asked("put-object").len(), 0);
    rig.assert_clean(0..=0, "a wrong token");
    // So is a region that is mistyped, which DigitalOcean decides about.
    let output = rig.push(&["disk.raw.gz", "--transfer", "ncy3"]).output().unwrap();
    assert!(stderr(&output).contains("did you mean nyc3?"), "{output:?}");
}

#[test]
fn what_was_certainly_not_put_is_not_left() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    for (name, value) in
        [("SPACES_ENDPOINT_URL", nobody.as_str()), ("SPACES_SECRET_ACCESS_KEY", "wrong")]
    {
        let mut push = rig.push(&["disk.raw.gz", "--retries", "0"]);
        let output = push.env(name, value).output().unwrap();
        assert_eq!(exit_code(&output), 4, "{output:?}");
        assert!(!stderr(&output).contains("left behind:"), "{output:?}");
        assert!(rig.journals().is_empty(), "{name}");
    }
}

#[test]
fn warnings_are_told_also_of_what_is_accepted() {
    let rig = Rig::new();
    let dirty = root().join("testdata/gpt-dirty.qcow2");
    let output = rig.pushed(&[dirty.to_str().unwrap()]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(stderr(&output).contains("warning: ") && stderr(&output).contains("qcow2-dirty"));
}

#[test]
fn the_number_is_never_written_over_anything_else() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw", &disk());
    rig.scratch.write("work.txt", b"something that somebody wrote");
    let path = |name: &str| rig.scratch.path(name);
    std::os::unix::fs::symlink("disk.raw", path("link")).unwrap();
    std::fs::hard_link(path("disk.raw"), path("hard")).unwrap();
    std::os::unix::fs::symlink("work.txt", path("to-work")).unwrap();
    for name in ["disk.raw", "./disk.raw", "link", "hard", "work.txt", "to-work"] {
        let output = rig.pushed(&["disk.raw", "--output-image-id", name]);
        assert_eq!(exit_code(&output), 2, "{name}: {output:?}");
        assert!(stderr(&output).contains("name another file"), "{output:?}");
        assert_eq!(std::fs::read(path("disk.raw")).unwrap(), disk(), "{name}");
        assert_eq!(std::fs::read(path("work.txt")).unwrap(), b"something that somebody wrote");
    }
    assert!(rig.log().is_empty() && rig.journals().is_empty());
    for before in ["", "200000001\n", "7"] {
        rig.scratch.write("id", before.as_bytes());
        let document = rig.document(0, &["disk.raw", "--output-image-id", "id"]);
        let id = std::fs::read_to_string(path("id")).unwrap();
        assert_eq!(id, format!("{}\n", document["image"]["id"]), "{before:?}");
    }
    // A link stays, and the file that it leads to keeps its rights; of a push that fails, its content too.
    rig.scratch.write("id", b"200000001\n");
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(path("id"), rights).unwrap();
    std::os::unix::fs::symlink("id", path("to-id")).unwrap();
    let document = rig.document(0, &["disk.raw", "--output-image-id", "to-id"]);
    let id = format!("{}\n", document["image"]["id"]);
    assert_eq!(std::fs::read_to_string(path("id")).unwrap(), id);
    assert!(path("to-id").is_symlink());
    let mode = std::fs::metadata(path("id")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o640);
    rig.scratch.write("bad.qcow2", &crate::disks::backed());
    rig.document(1, &["bad.qcow2", "--output-image-id", "id"]);
    assert_eq!(std::fs::read_to_string(path("id")).unwrap(), id);
}

#[test]
fn a_document_that_nobody_reads_is_no_success() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw", &disk());
    let mut push = rig.push(&["disk.raw", "--format", "json"]);
    push.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut push = Running::start(&mut push);
    drop(push.child().stdout.take());
    let output = push.output();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("is available all the same"), "{said}");
}

#[test]
fn names_differ_from_build_to_build() {
    let rig = Rig::new();
    rig.scratch.write("server.raw.gz", &gzip(&disk()));
    let named = |name: &str, build: Option<&str>| {
        let mut push = rig.push(&["server.raw.gz", "--name", name, "--format", "json"]);
        push.env_remove("PACKER_BUILD_NAME").envs(build.map(|build| ("PACKER_BUILD_NAME", build)));
        push.output().unwrap()
    };
    let name = |output: &std::process::Output| {
        assert_eq!(exit_code(output), 0, "{output:?}");
        let document = crate::documents::parsed("push", output);
        document["image"]["name"].as_str().unwrap().to_owned()
    };
    let dated = name(&named("{stem} {date} {{x}}", None));
    assert!(dated.starts_with("server 20") && dated.ends_with(" {x}"), "{dated}");
    assert_eq!(dated.len(), "server 2026-01-02 {x}".len(), "{dated}");
    let timed = name(&named("{build}-{time}", Some("qemu.nightly")));
    assert!(timed.starts_with("qemu.nightly-20") && timed.ends_with('Z'), "{timed}");
    assert_eq!(timed.len(), "qemu.nightly-20260102T030405Z".len(), "{timed}");
    let creates = rig.creates();
    for (bad, said) in [("{build}", "PACKER_BUILD_NAME"), ("{day}", "{stem}"), ("{stem", "partner")]
    {
        let output = named(bad, None);
        assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{bad}: {output:?}");
        assert!(stderr(&output).contains(said), "{bad}: {output:?}");
    }
    assert_eq!(rig.creates(), creates);
}

#[test]
fn what_is_packed_on_the_way_shows_its_pace() {
    // Slow enough that a line is due, which comes every ten seconds.
    let plan = "[[bucket]]\nkind = \"slow\"\nrate = 1000000\nforever = true\n";
    let rig = Rig::with_plan(plan);
    rig.scratch.write("disk.raw", &big_disk(24 * MIB));
    let mut push = rig.push(&["disk.raw", "--part-size", "5MiB", "--uploads", "1"]);
    push.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut push = Running::start(&mut push);
    let stderr = push.child().stderr.take().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
    let line = lines.map_while(Result::ok).find(|line| line.contains("packed, "));
    signal(push.child(), "INT");
    let line = line.expect("it tells how far it is");
    assert!(line.starts_with("check: ") && line.contains("/s") && line.contains(" left"), "{line}");
    push.output();
}

/// The file for the number is removed or taken while a push runs.
#[test]
fn a_number_that_is_written_nowhere_is_said() {
    for (meanwhile, code) in [("gone", 0), ("taken", 4)] {
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let id = rig.scratch.write("id", b"7\n");
        assert!(Command::new("mkfifo").arg(rig.scratch.path("pipe")).status().unwrap().success());
        let arguments = ["pipe", "--name", "n", "--output-image-id", "id"];
        let child = rig.push(&arguments).spawn().unwrap();
        // The image is read after all files were looked at.
        let pipe = std::fs::OpenOptions::new().write(true).open(rig.scratch.path("pipe"));
        let mut pipe = pipe.unwrap();
        std::fs::remove_file(&id).unwrap();
        if meanwhile == "taken" {
            std::fs::write(&id, "8\n").unwrap();
        }
        std::io::Write::write_all(&mut pipe, &gzip(&disk())).unwrap();
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        assert_eq!(exit_code(&output), code, "{meanwhile}: {output:?}");
        let number = rig.images()[0]["id"].to_string();
        match meanwhile {
            "gone" => assert_eq!(std::fs::read_to_string(&id).unwrap(), format!("{number}\n")),
            _ => {
                assert_eq!(std::fs::read_to_string(&id).unwrap(), "8\n");
                assert!(stderr(&output).contains(&format!("image {number} is available")));
            }
        }
    }
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    for stdout in ["-", "/dev/stdout"] {
        let output = rig.pushed(&["disk.raw.gz", "--output-image-id", stdout]);
        assert_eq!((exit_code(&output), rig.scratch.path("-").exists()), (2, false), "{output:?}");
    }
    assert!(rig.log().is_empty());
}
