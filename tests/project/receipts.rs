//! Receipts: what spares a check, and what does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{at, data, document, invalid};
use crate::common::*;

pub(crate) const KEY: (&str, &str) = ("TIDEGATE_RECEIPT_KEY", "0123456789abcdef-for-tests");

/// A file that changes so shortly before its check has no receipt.
pub(crate) fn settle() {
    std::thread::sleep(Duration::from_millis(2100));
}

pub(crate) fn check(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut command = at(scratch.path(""));
    command.args(["check", "--format", "json"]).args(arguments);
    command
}

/// The report on one image, and what was said on standard error.
pub(crate) fn run(command: &mut Command) -> (Value, String) {
    let output = command.output().unwrap();
    (document(&output)["images"][0].clone(), stderr(&output).to_owned())
}

pub(crate) fn state(report: &Value) -> &str {
    report["receipt"]["state"].as_str().unwrap_or("absent")
}

#[test]
fn an_unchanged_file_is_not_read_again() {
    let scratch = Scratch::new();
    fs::copy(data("gpt.qcow2.gz"), scratch.path("disk.qcow2.gz")).unwrap();
    let cached = |more: &[&str]| {
        run(&mut check(&scratch, &[&["--cache", "disk.qcow2.gz"], more].concat())).0
    };
    let first = cached(&[]);
    assert_eq!(state(&first), "none", "{first}");
    assert!(first["receipt"]["why"].as_str().unwrap().contains("less than 2 s"));
    settle();
    let made = cached(&[]);
    assert_eq!((state(&made), made["bytes_read"].as_u64().unwrap() > 0), ("kept", true));
    let again = cached(&[]);
    assert_eq!((state(&again), &again["bytes_read"]), ("unchanged", &json!(0)));
    // All but what the receipt had to do with it is the same.
    let without = |report: &Value| {
        let mut report = report.clone();
        for key in ["receipt", "bytes_read", "checked_at"] {
            report.as_object_mut().unwrap().remove(key);
        }
        report
    };
    assert_eq!(without(&again), without(&made));
    let output = check(&scratch, &["--cache", "disk.qcow2.gz"]).output().unwrap();
    assert_eq!(invalid("report", &document(&output)), Vec::<String>::new());

    // Off by default, and by option; on by the environment.
    assert_eq!(state(&run(&mut check(&scratch, &["disk.qcow2.gz"])).0), "absent");
    assert_eq!(state(&cached(&["--no-cache"])), "absent");
    let on = |value: &str| run(check(&scratch, &["disk.qcow2.gz"]).env("TIDEGATE_CACHE", value)).0;
    assert_eq!(state(&on("on")), "unchanged");
    assert_eq!(state(&on("off")), "absent");
    let output =
        check(&scratch, &["disk.qcow2.gz"]).env("TIDEGATE_CACHE", "maybe").output().unwrap();
    assert_eq!(exit_code(&output), 2);

    // Other questions are asked of the image itself.
    assert_eq!(state(&cached(&["--max-size", "1GB"])), "kept");
    assert_eq!(state(&cached(&["--warn", "qcow2-backing-file"])), "kept");
    assert_eq!(state(&cached(&["--digest", "disk"])), "kept");
    assert_eq!(state(&cached(&["--digest", "disk"])), "unchanged");
    assert_eq!(state(&cached(&["--quick"])), "none");
    // What is expected is held against what was made.
    let sum = made["digests"]["sha256"].as_str().unwrap();
    let right = cached(&["--sha256", sum]);
    assert_eq!(state(&right), "unchanged");
    assert!(
        right["checks"]
            .as_array()
            .unwrap()
            .contains(&json!({"id": "expected-digest", "state": "done"}))
    );
    let wrong = cached(&["--sha256", &"0".repeat(64)]);
    assert_eq!((codes(&wrong), state(&wrong)), (vec!["digest-mismatch"], "none"));
    assert_eq!(state(&cached(&[])), "unchanged");

    // Another name is another finding, and one byte is another file, whatever touch says of it.
    fs::hard_link(scratch.path("disk.qcow2.gz"), scratch.path("disk.vmdk.gz")).unwrap();
    settle();
    let (odd, _) = run(&mut check(&scratch, &["--cache", "disk.vmdk.gz"]));
    assert_eq!((codes(&odd), state(&odd)), (vec!["name-mismatch"], "kept"));
    assert_eq!(state(&cached(&[])), "kept");
    let path = scratch.path("disk.qcow2.gz");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let changed = cached(&[]);
    assert_eq!((&changed["verdict"], state(&changed)), (&json!("reject"), "none"));
}

#[test]
fn a_rejected_image_stays_rejected() {
    let scratch = Scratch::new();
    let bad = data("truncated.raw.gz");
    let cached = || check(&scratch, &["--cache", bad.to_str().unwrap()]).output().unwrap();
    let (first, second) = (cached(), cached());
    assert_eq!((exit_code(&first), exit_code(&second)), (1, 1));
    let (first, second) = (&document(&first)["images"][0], &document(&second)["images"][0]);
    assert_eq!((state(first), state(second)), ("kept", "unchanged"));
    assert_eq!(first["findings"], second["findings"]);
    // Told of another way to the same file, the remedy is too.
    let warned = data("gpt-zstd.qcow2");
    let cached = || check(&scratch, &["--cache", warned.to_str().unwrap()]).output().unwrap();
    assert_eq!(exit_code(&cached()), 0);
    let mut command = at(data(""));
    command.env("XDG_CACHE_HOME", scratch.path(".cache"));
    let (third, _) = run(command.args(["check", "--cache", "--format", "json", "gpt-zstd.qcow2"]));
    assert_eq!((state(&third), &third["source"]), ("unchanged", &json!("gpt-zstd.qcow2")));
    let command = third["findings"][0]["commands"][0].as_str().unwrap();
    assert!(command.contains(" gpt-zstd.qcow2 gpt-zstd-2.qcow2.part/new && "), "{command}");
    let junit = at(scratch.path(""))
        .args(["check", "--cache", "--format", "junit", bad.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(stdout(&junit).contains("failures=\"1\""), "{junit:?}");
}

/// What a strict check refuses in one name of a file is not accepted for the receipt of another that is shown alike.
#[test]
fn a_receipt_counts_for_one_name_however_long_it_is() {
    let scratch = Scratch::new();
    let [raw, other] = ["raw.gz", "qcow2.gz"].map(|ending| format!("{}.{ending}", "a".repeat(205)));
    fs::copy(data("gpt.raw"), scratch.path(&raw)).unwrap();
    fs::hard_link(scratch.path(&raw), scratch.path(&other)).unwrap();
    settle();
    let receipt = |name: &str| run(check(&scratch, &[name, "--receipt", "r"]).envs([KEY])).0;
    assert_eq!(state(&receipt(&raw)), "kept");
    assert_eq!(state(&receipt(&raw)), "unchanged");
    assert_eq!(state(&receipt(&other)), "kept");
}

#[test]
fn an_unchanged_file_is_not_read() {
    let scratch = Scratch::new();
    scratch.write("disk.raw", &disk());
    settle();
    let cached = || run(&mut check(&scratch, &["--cache", "disk.raw"])).0;
    let (first, second) = (cached(), cached());
    assert_eq!((state(&first), state(&second)), ("kept", "unchanged"));
    assert!(first["bytes_read"].as_u64().unwrap() > 0, "{first}");
    assert_eq!(second["bytes_read"], 0, "{second}");
}

#[test]
fn only_the_users_own_cache_is_believed() {
    let scratch = Scratch::new();
    let image = data("gpt.qcow2.gz");
    let cached = || run(&mut check(&scratch, &["--cache", image.to_str().unwrap()]));
    assert_eq!(state(&cached().0), "kept");
    let folder = scratch.path(".cache/tidegate");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let receipt = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&receipt).unwrap();
    for (edit, said) in [
        (text.replace("\"accept\"", "\"warn\""), "changed after it was written"),
        (
            text.replace(&rules(&text), "0.0.1+0123456789abcdef"),
            "made under other rules (0.0.1+0123456789abcdef; these are",
        ),
        ("{".to_owned(), "no receipt of tidegate"),
        (
            text.replace("tidegate.receipt/1", "tidegate.receipt/2"),
            "its schema is tidegate.receipt/2",
        ),
        (text.replacen("\"rules\"", "\"more\": 1, \"rules\"", 1), "no receipt of tidegate"),
    ] {
        fs::write(&receipt, edit).unwrap();
        let (report, told) = cached();
        assert_eq!((&report["verdict"], state(&report)), (&json!("accept"), "kept"), "{said}");
        assert!(told.contains(said), "{said}: {told}");
        assert_eq!(state(&cached().0), "unchanged");
    }
    // A folder that others can look into is none; the image is checked all the same.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let (report, told) = cached();
    assert_eq!((&report["verdict"], state(&report)), (&json!("accept"), "absent"));
    assert!(told.contains("the cache is not used") && told.contains("chmod 700"), "{told}");
}

fn rules(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap();
    value["rules"].as_str().unwrap().to_owned()
}

#[test]
fn receipts_elsewhere_need_a_seal() {
    let scratch = Scratch::new();
    let image = data("gpt.qcow2.gz");
    let image = image.to_str().unwrap();
    let receipt = scratch.path("r.json");
    let plain = || run(&mut check(&scratch, &["--receipt", "r.json", image]));
    let keyed =
        |value: &str| run(check(&scratch, &["--receipt", "r.json", image]).env(KEY.0, value));
    assert_eq!(state(&plain().0), "kept");
    let (report, told) = plain();
    assert_eq!(state(&report), "kept");
    assert!(told.contains("not sealed with a key; set TIDEGATE_RECEIPT_KEY"), "{told}");
    let (report, told) = keyed(KEY.1);
    assert!(state(&report) == "kept" && told.contains("not sealed"), "{told}");
    assert_eq!(state(&keyed(KEY.1).0), "unchanged");
    let (report, told) = keyed("another key of 16 or more");
    assert!(state(&report) == "kept" && told.contains("seal is not of this"), "{told}");
    assert_eq!(state(&keyed(KEY.1).0), "kept");
    let text = fs::read_to_string(&receipt).unwrap();
    assert!(!text.contains(KEY.1));
    assert_eq!(invalid("receipt", &serde_json::from_str(&text).unwrap()), Vec::<String>::new());
    // An edit that mends the digest still lacks the seal.
    let mut forged: Value = serde_json::from_str(&text).unwrap();
    forged["receipt"]["report"]["verdict"] = json!("warn");
    fs::write(&receipt, forged.to_string()).unwrap();
    let (report, told) = keyed(KEY.1);
    assert!(state(&report) == "kept" && told.contains("changed after"), "{told}");
    // What is no receipt is not replaced, least of all an image.
    let precious = scratch.write("precious.img", &disk());
    let output = check(&scratch, &["--receipt", "precious.img", image]).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(
        stderr(&output).contains("cannot write the receipt precious.img: it would be replaced"),
        "{}",
        stderr(&output)
    );
    assert!(fs::read(precious).unwrap() == disk());
    let output = check(&scratch, &["--receipt", "r.json", image, image]).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    let output =
        check(&scratch, &["--receipt", "r.json", image]).env(KEY.0, "short").output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("openssl rand") && !stderr(&output).contains("short\n"));
}

#[test]
fn a_project_says_where_its_receipts_go() {
    let scratch = Scratch::new();
    fs::copy(data("gpt.qcow2.gz"), scratch.path("a.qcow2.gz")).unwrap();
    fs::create_dir(scratch.path("out")).unwrap();
    scratch.write(
        "tidegate.toml",
        b"[[image]]\nname = \"a\"\npath = \"a.qcow2.gz\"\nreceipt = \"out/a.json\"\n",
    );
    settle();
    assert_eq!(state(&run(&mut check(&scratch, &[])).0), "kept");
    assert!(scratch.path("out/a.json").exists());
    let output = check(&scratch, &["--quick"]).output().unwrap();
    assert_eq!((exit_code(&output), scratch.path("out/a.json").exists()), (2, true));
    assert!(stderr(&output).contains("which line 4 of tidegate.toml asks for"), "{output:?}");
    // What comes to nothing because of another image leaves those that are there; two images do not share one.
    fs::copy(data("gpt.qcow2.gz"), scratch.path("b.qcow2.gz")).unwrap();
    let two = |receipt: &str, more: &str| {
        let toml = format!(
            "[[image]]\nname = \"a\"\npath = \"a.qcow2.gz\"\nreceipt = \"out/a.json\"\n\
             [[image]]\nname = \"b\"\n{more}\nreceipt = \"{receipt}\"\n"
        );
        scratch.write("tidegate.toml", toml.as_bytes());
        check(&scratch, &[]).output().unwrap()
    };
    assert_eq!(exit_code(&two("out/b.json", "path = \"b.qcow2.gz\"")), 0);
    assert!(scratch.path("out/a.json").exists() && scratch.path("out/b.json").exists());
    let output = two("out/a.json", "path = \"b.qcow2.gz\"");
    assert_eq!((exit_code(&output), scratch.path("out/a.json").exists()), (2, true), "{output:?}");
    #[cfg(feature = "net")]
    {
        assert_eq!(exit_code(&two("out/b.json", "path = \"b.qcow2.gz\"")), 0);
        let output = two("out/b.json", "url = \"https://127.0.0.1:1/x.img?a=b\"");
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert!(scratch.path("out/a.json").exists() && scratch.path("out/b.json").exists());
    }
    // A link would write elsewhere.
    fs::remove_dir_all(scratch.path("out")).unwrap();
    let outside = Scratch::new();
    std::os::unix::fs::symlink(outside.path(""), scratch.path("out")).unwrap();
    let output = check(&scratch, &[]).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("a link leads out"), "{}", stderr(&output));
    assert!(fs::read_dir(outside.path("")).unwrap().next().is_none());
}

pub(crate) fn verify(
    scratch: &Scratch,
    key: Option<&str>,
    arguments: &[&Path],
) -> (i32, String, String) {
    let mut command = at(scratch.path(""));
    command.arg("verify-receipt").args(arguments);
    if let Some(key) = key {
        command.env(KEY.0, key);
    }
    let output = command.output().unwrap();
    (exit_code(&output), stdout(&output).to_owned(), stderr(&output).to_owned())
}

#[test]
fn receipts_are_verified() {
    let scratch = Scratch::new();
    let (good, bad) = (data("gpt.qcow2.gz"), data("truncated.raw.gz"));
    for (image, name) in [(&good, "good.json"), (&bad, "bad.json")] {
        check(&scratch, &["--receipt", name, image.to_str().unwrap()])
            .env(KEY.0, KEY.1)
            .output()
            .unwrap();
    }
    let (receipt, rejected) = (scratch.path("good.json"), scratch.path("bad.json"));
    let key = Some(KEY.1);
    let (code, out, _) = verify(&scratch, key, &[&receipt]);
    assert!(code == 0 && out.contains("valid") && out.contains("ACCEPT"), "{out}");
    assert_eq!(verify(&scratch, key, &[&receipt, &good]).0, 0);
    assert_eq!(verify(&scratch, key, &[&receipt, &bad]).0, 1);
    assert_eq!(verify(&scratch, key, &[&rejected, &bad]).0, 1);
    assert_eq!(verify(&scratch, key, &[&receipt, &scratch.path("none")]).0, 3);
    let text = fs::read_to_string(&receipt).unwrap();
    for (key, edit, said) in [
        (None, text.clone(), "nobody here can tell who made it"),
        (Some("another key of 16 or more"), text.clone(), "seal is not of this"),
        (key, text.replace("\"accept\"", "\"warn\""), "changed after it was written"),
        (
            key,
            text.replace("\"complete\": true", "\"complete\": true, \"x\": 1")
                .replace("gpt.qcow2.gz", "x"),
            "changed after",
        ),
        (
            key,
            text.replace(&rules(&text), "9.9.9+0123456789abcdef"),
            "other rules (9.9.9+0123456789abcdef",
        ),
        (key, "[]".into(), "it has no schema); make one by a check with --receipt"),
        (key, "no JSON".into(), "(it is not JSON); make one by a check with --receipt"),
        (key, String::new(), "it is empty; make one by a check"),
    ] {
        let edited = scratch.write("edited.json", edit.as_bytes());
        let (code, out, told) = verify(&scratch, key, &[&edited]);
        assert!(code == 2 && out.is_empty() && told.contains(said), "{said}: {code} {out} {told}");
    }
    let output = at(scratch.path(""))
        .args(["verify-receipt", "--format", "json", "good.json"])
        .env(KEY.0, KEY.1)
        .output()
        .unwrap();
    assert_eq!(document(&output)["valid"], true);
}

#[cfg(feature = "net")]
#[test]
fn an_unchanged_url_is_not_read_again() {
    use crate::server::{Object, Reply, Server};
    use std::sync::{Arc, Mutex};
    let etag = Arc::new(Mutex::new("\"one\"".to_owned()));
    let now = Arc::clone(&etag);
    let server = Server::new(move |request| {
        if request.path != "/disk.img" {
            return Reply::status(404, Vec::new());
        }
        let etag = now.lock().unwrap().clone();
        Object { etag: Some(etag), ..Object::new(disk()) }.answer(request)
    });
    let scratch = Scratch::new();
    let url = server.url("disk.img");
    let sent = || server.requests().len();
    let cached = |url: &str, more: &[&str]| {
        let arguments = [&["--cache", "--insecure-http", url], more].concat();
        run(&mut check(&scratch, &arguments)).0
    };
    let rules = ["--no-url-rules"];
    let made = cached(&url, &rules);
    assert_eq!(state(&made), "kept", "{made}");
    let before = sent();
    let again = cached(&url, &rules);
    assert_eq!((state(&again), &again["bytes_read"]), ("unchanged", &json!(0)));
    assert_eq!(again["digests"], made["digests"]);
    assert_eq!(sent() - before, 1, "one question tells that nothing changed");
    // Another tag is another object, a weak one tells nothing.
    *etag.lock().unwrap() = "\"two\"".into();
    assert_eq!(state(&cached(&url, &rules)), "kept");
    assert_eq!(state(&cached(&url, &rules)), "unchanged");
    *etag.lock().unwrap() = "W/\"two\"".into();
    assert_eq!(state(&cached(&url, &rules)), "none");
    let before = sent();
    let output =
        check(&scratch, &["--no-url-rules", "--receipt", "r.json", &url]).output().unwrap();
    let told = stderr(&output);
    assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{told}");
    assert!(told.contains("nothing was read of") && told.contains("no strong ETag"), "{told}");
    assert_eq!(sent() - before, 1, "it is known before the body is read");
    let with_query = cached(&format!("{url}?version=1"), &rules);
    assert!(state(&with_query) == "none" || with_query["verdict"] == "error", "{with_query}");
}

#[test]
fn with_a_key_receipts_in_the_cache_need_its_seal() {
    let scratch = Scratch::new();
    fs::copy(data("gpt.qcow2.gz"), scratch.path("disk.qcow2.gz")).unwrap();
    settle();
    let cached = |key: Option<(&str, &str)>| {
        run(check(&scratch, &["--cache", "disk.qcow2.gz"]).env_remove(KEY.0).envs(key))
    };
    assert_eq!(state(&cached(None).0), "kept");
    // Somebody may have brought the cache here; it is read, and sealed now.
    let (report, said) = cached(Some(KEY));
    assert_eq!(state(&report), "kept");
    assert!(said.contains("the receipt in the cache does not count: it is not sealed"), "{said}");
    assert_eq!(state(&cached(Some(KEY)).0), "unchanged");
    let (report, said) = cached(Some((KEY.0, "another key of 16 and more")));
    assert_eq!(state(&report), "kept");
    assert!(said.contains("its seal is not of this TIDEGATE_RECEIPT_KEY"), "{said}");
    // Without one, the user's own cache is the user's own.
    assert_eq!(state(&cached(None).0), "unchanged");
}

/// Wrong usage checks nothing, so what is known of an image stays.
#[test]
fn wrong_usage_leaves_the_receipt() {
    let scratch = Scratch::new();
    fs::copy(data("gpt.qcow2"), scratch.path("a.qcow2")).unwrap();
    let made = run(check(&scratch, &["--receipt", "r", "a.qcow2"]).envs([KEY])).0;
    assert_eq!(state(&made), "kept");
    let before = fs::read(scratch.path("r")).unwrap();
    for arguments in [
        &["--receipt", "r", "--quick", "a.qcow2"][..],
        &["--receipt", "r", "--output", "r", "a.qcow2"],
        &["--receipt", "r", "--output", "no/such/folder", "a.qcow2"],
        &["--receipt", "r", "-"],
        &["--receipt", "r", "a.qcow2", "a.qcow2"],
    ] {
        let output = check(&scratch, arguments).envs([KEY]).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{arguments:?}: {output:?}");
        assert_eq!(fs::read(scratch.path("r")).unwrap(), before, "{arguments:?}");
    }
}

/// While the image is read, somebody else makes a file where the receipt is to be.
#[test]
fn a_receipt_replaces_nothing_that_came_meanwhile() {
    let scratch = Scratch::new();
    fs::copy(data("gpt.qcow2"), scratch.path("a.qcow2")).unwrap();
    let path = scratch.write("r", b"");
    let mut command = check(&scratch, &["--receipt", "r", "a.qcow2"]);
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    // The image has just changed, so the check waits after it has withdrawn the old one.
    wait_until("the earlier receipt is gone", || !path.exists());
    fs::write(&path, "mine").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("not replaced"), "{output:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

/// The file systems of two images, mounted one after the other, can have the same numbers and times.
#[test]
fn a_file_on_a_loop_device_has_no_receipt() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("files")).unwrap();
    fs::copy(data("gpt.qcow2.gz"), scratch.path("files/disk.qcow2.gz")).unwrap();
    fs::create_dir(scratch.path("mounted")).unwrap();
    let done = |program: &str, arguments: &[&str]| {
        let run = Command::new(program).args(arguments).current_dir(scratch.path("")).output();
        run.is_ok_and(|output| output.status.success())
    };
    let made = done("mke2fs", &["-q", "-t", "ext4", "-d", "files", "files.img", "8M"]);
    if !made || !done("mount", &["-o", "loop,ro", "files.img", "mounted"]) {
        eprintln!("SKIPPED: this user mounts no file systems");
        return;
    }
    let (found, _) = run(&mut check(&scratch, &["--cache", "mounted/disk.qcow2.gz"]));
    let (code, said) = {
        let output = check(&scratch, &["--receipt", "r.json", "mounted/disk.qcow2.gz"]).output();
        let output = output.unwrap();
        (exit_code(&output), stderr(&output).to_owned())
    };
    assert!(done("umount", &["mounted"]));
    assert_eq!(state(&found), "none", "{found}");
    assert!(found["receipt"]["why"].as_str().unwrap().contains("loop device"), "{found}");
    assert!(code == 2 && said.contains("loop device"), "{said}");
}

#[test]
fn a_receipt_that_may_not_be_written_to_is_kept() {
    let scratch = Scratch::new();
    fs::copy(data("gpt.qcow2"), scratch.path("disk.qcow2")).unwrap();
    settle();
    let ordered = || check(&scratch, &["--receipt", "r.json", "disk.qcow2"]).output().unwrap();
    assert_eq!(exit_code(&ordered()), 0);
    let path = scratch.path("r.json");
    let before = fs::read(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let output = ordered();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("make it writable"), "{output:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}
