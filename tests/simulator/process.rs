//! The program around the API: listening, files, signals, and where the token is not.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::common::*;
use crate::rig::*;

#[test]
fn it_ends_cleanly_and_the_token_is_in_the_env_file_alone() {
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        let rig = Rig::new(&[]);
        let env = rig.scratch.path("env");
        assert_eq!(std::fs::metadata(&env).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((rig.token.len(), &rig.token[..7]), (71, "dop_v1_"));
        rig.get("/v2/images");
        rig.get(&format!("/v2/images/{0}?x={0}", rig.token));
        rig.send("POST", "/v2/images", Some(&format!("{{\"name\": {:?}}}", rig.token)));
        let body = json!({"name": "x", "url": "x", "region": "x", "tags": rig.token});
        assert_eq!(rig.post("/v2/images", &body).status, 422);
        let (token, log) = (rig.token.clone(), rig.log());
        assert_eq!(log.len(), 4);
        assert!(log[3]["why"].as_str().unwrap().contains('…'), "{log:?}");
        let (output, scratch) = rig.stop(signal);
        assert_eq!((exit_code(&output), stdout(&output)), (0, ""), "{signal}: {output:?}");
        assert!(stderr(&output).contains("listens on http://127.0.0.1:"), "{output:?}");
        assert!(!stderr(&output).contains(&token));
        assert!(!scratch.path("env").exists(), "the env file names a simulator that is no more");
        let log = std::fs::read_to_string(scratch.path("log")).unwrap();
        assert!(!log.contains(&token), "{log}");
    }
}

#[test]
fn a_line_of_the_log_says_what_was_asked_and_answered() {
    let rig =
        Rig::with_plan("[[fault]]\nkind = \"404\"\n[[fault]]\nkind = \"cut-before\"\nnth = 2", &[]);
    let answer = rig.get("/v2/regions?page=1");
    assert!(rig.try_send("GET", "/v2/regions", None).is_none());
    rig.post("/v2/images", &json!({"name": "x", "url": "ftp://h/", "region": "nyc3"}));
    let log = rig.log();
    assert_eq!(log[0]["request_id"], answer.header("x-request-id"));
    assert_eq!(
        [&log[0]["method"], &log[0]["path"], &log[0]["query"], &log[0]["status"]],
        [&json!("GET"), &json!("/v2/regions"), &json!("page=1"), &json!(404)]
    );
    assert_eq!(log[0]["faults"], json!(["404"]));
    assert_eq!(log[2]["why"], json!("url: only http and https are fetched"));
}

#[test]
fn without_an_env_file_the_assignments_go_to_standard_output() {
    let scratch = Scratch::new();
    let mut child = simulate(&scratch).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("DIGITALOCEAN_API_URL=http://127.0.0.1:"), "{first}");
    assert!(lines.next().unwrap().unwrap().starts_with("DIGITALOCEAN_TOKEN=dop_v1_"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn wrong_usage_is_told_and_nothing_is_begun() {
    let scratch = Scratch::new();
    scratch.write("plan.toml", b"[[fault]]\nkind = \"500\"\nwhen = 3\n");
    let file = scratch.write("file", b"");
    std::fs::create_dir(scratch.path("broken")).unwrap();
    scratch.write("broken/simulator.json", b"{}");
    for (arguments, said) in [
        (["--listen", "0.0.0.0:0"], "0.0.0.0:0"),
        (["--listen", "[::]:0"], "[::]:0"),
        (["--listen", "192.0.2.1:80"], "192.0.2.1"),
        (["--faults", "plan.toml"], "line 3"),
        (["--faults", "missing.toml"], "missing.toml"),
        (["--state", file.to_str().unwrap()], "--state"),
        (["--state", "broken"], "simulator.json"),
        (["--env-file", "/dev/null"], "/dev/null"),
        (["--pace", "-1"], "pace"),
        (["--pace", "NaN"], "pace"),
        (["--rate-limit", "0/1"], "HOURLY"),
        (["--action-shape", "round"], "bare"),
    ] {
        let mut command = simulate(&scratch);
        let output = command.arg(arguments.join("=")).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {output:?}");
        assert!(stdout(&output).is_empty());
    }
}

#[test]
fn what_it_holds_outlives_it() {
    let files = Files::serve(vec![("/good.img", 200, disk())]);
    let rig = Rig::start(Scratch::new(), &["--state", "state"]);
    let done = rig.create("done", &files.url("/good.img?secret=1"));
    rig.until(done, "available");
    let (output, scratch) = rig.stop("TERM");
    assert_eq!(exit_code(&output), 0);
    // The second run ends while an import is under way, the third one finishes it.
    let rig = Rig::start(scratch, &["--state", "state", "--pace", "3600"]);
    assert_eq!(rig.image(done)["status"], "available");
    let open = rig.create("open", &files.url("/good.img"));
    assert!(open > done);
    let transfer = json!({"type": "transfer", "region": "fra1"});
    let action = rig.post(&format!("/v2/images/{done}/actions"), &transfer).json();
    let (_, scratch) = rig.stop("TERM");
    let kept = std::fs::metadata(scratch.path("state/simulator.json")).unwrap();
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    let rig = Rig::start(scratch, &["--state", "state"]);
    rig.until(open, "available");
    rig.action_until(action["action"]["id"].as_u64().unwrap(), "completed");
    assert_eq!(rig.image(done)["regions"], json!(["nyc3", "fra1"]));
    let state = rig.state();
    assert_eq!(state["images"].as_array().unwrap().len(), 2);
    assert_eq!(state["images"][0]["url"], files.url("/good.img?…"));
}

#[test]
fn two_do_not_share_a_state() {
    let rig = Rig::start(Scratch::new(), &["--state", "state"]);
    let id = rig.create("kept", "http://127.0.0.1:1/x.img");
    let mut second = simulate(&rig.scratch).args(["--state", "state"]).spawn().unwrap();
    let began = std::time::Instant::now();
    while second.try_wait().unwrap().is_none() && began.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // One that would serve is ended, and told by its exit code.
    let _ = second.kill();
    let output = second.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{output:?}");
    assert!(stderr(&output).contains("--state: another simulator uses this directory"));
    // The first one goes on undisturbed, and the next one may follow it.
    assert_eq!(rig.image(id)["name"], "kept");
    let (_, scratch) = rig.stop("TERM");
    let rig = Rig::start(scratch, &["--state", "state"]);
    assert_eq!(rig.image(id)["name"], "kept");
}

#[test]
fn what_was_under_way_when_it_was_killed_goes_on() {
    let files = Files::serve(vec![("/good.img", 200, disk())]);
    let rig = Rig::start(Scratch::new(), &["--state", "state", "--pace", "0.05"]);
    let done = rig.create("done", &files.url("/good.img"));
    rig.until(done, "available");
    let (_, scratch) = rig.stop("TERM");
    let rig = Rig::start(scratch, &["--state", "state", "--pace", "3600"]);
    let open = rig.create("open", &files.url("/good.img"));
    let transfer = json!({"type": "transfer", "region": "fra1"});
    let action = rig.post(&format!("/v2/images/{done}/actions"), &transfer).json();
    // Nothing is put in order, and no lock is left.
    let (_, scratch) = rig.stop("KILL");
    std::fs::remove_file(scratch.path("env")).unwrap();
    let rig = Rig::start(scratch, &["--state", "state"]);
    rig.until(open, "available");
    rig.action_until(action["action"]["id"].as_u64().unwrap(), "completed");
    assert_eq!(rig.state()["images"].as_array().unwrap().len(), 2);
    assert!(rig.create("next", &files.url("/good.img")) > open);
}

/// What a user has already is neither read as the simulator's nor written over.
#[test]
fn no_file_of_somebody_else_is_touched() {
    for (name, had, arguments) in [
        ("s/bucket/data.txt", "mine", &["--state", "s"][..]),
        (".env", "PASSWORD=mine\n", &["--env-file", ".env"]),
        (".env", "DIGITALOCEAN_TOKEN=mine\n", &["--env-file", ".env"]),
        ("disk.raw", "no log", &["--log", "disk.raw"]),
        ("log", "{\"time\":\"now\",\"msg\":\"mine\"}\n", &["--log", "log"]),
    ] {
        let scratch = Scratch::new();
        let path = scratch.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, had).unwrap();
        let output = simulate(&scratch).args(arguments).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert!(stderr(&output).contains("name another"), "{output:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), had);
    }
    // Those of an earlier run that was killed are.
    let rig = Rig::new(&["--state", "s"]);
    rig.get("/v2/images");
    let (_, scratch) = rig.stop("KILL");
    let env = scratch.path("env");
    let old = std::fs::read_to_string(&env).unwrap();
    let mut command = simulate(&scratch);
    command.args(["--state", "s", "--env-file", "env", "--log", "log"]);
    let child = command.spawn().unwrap();
    wait_until("the next one listens", || {
        std::fs::read_to_string(&env).is_ok_and(|now| now.lines().count() == 7 && now != old)
    });
    let kill = ["-s", "TERM", &child.id().to_string()].map(str::to_owned);
    assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((exit_code(&output), env.exists()), (0, false), "{output:?}");
}

/// What a user puts into the state, or leads it to, is neither removed nor written over.
#[test]
fn nothing_in_the_state_is_removed_that_no_simulator_wrote() {
    let (_, scratch) = Rig::new(&["--state", "s"]).stop("TERM");
    let refused = |scratch: &Scratch, named: &str| {
        let output = simulate(scratch).args(["--state", "s"]).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert!(stderr(&output).contains(named), "{named}: {output:?}");
    };
    let bucket = scratch.path("s/bucket");
    let id = "0123456789abcdef0123456789abcdef";
    // A name of its own form that nothing needs is a body of a request that was cut.
    std::fs::write(bucket.join(id), "cut").unwrap();
    std::fs::write(bucket.join("web.qcow2"), "mine").unwrap();
    refused(&scratch, "web.qcow2");
    assert_eq!(std::fs::read(bucket.join("web.qcow2")).unwrap(), b"mine");
    std::fs::remove_file(bucket.join("web.qcow2")).unwrap();
    std::fs::create_dir(bucket.join("folder")).unwrap();
    refused(&scratch, "folder");
    std::fs::remove_dir(bucket.join("folder")).unwrap();
    assert!(bucket.join(id).exists());
    let (_, scratch) = Rig::start(scratch, &["--state", "s"]).stop("TERM");
    assert!(!bucket.join(id).exists());
    // A body that is a link.
    std::fs::create_dir(scratch.path("real")).unwrap();
    scratch.write("real/photo.jpg", b"mine");
    std::os::unix::fs::symlink("../../real/photo.jpg", bucket.join(id)).unwrap();
    refused(&scratch, id);
    // The folder itself is one, and so is a document.
    std::fs::remove_dir_all(&bucket).unwrap();
    std::os::unix::fs::symlink("../real", &bucket).unwrap();
    refused(&scratch, "\"bucket\"");
    std::fs::remove_file(&bucket).unwrap();
    std::fs::rename(scratch.path("s/bucket.json"), scratch.path("real/b.json")).unwrap();
    std::os::unix::fs::symlink("../real/b.json", scratch.path("s/bucket.json")).unwrap();
    refused(&scratch, "bucket.json");
    assert_eq!(std::fs::read(scratch.path("real/photo.jpg")).unwrap(), b"mine");
    // A document that names what is elsewhere.
    std::fs::remove_file(scratch.path("s/bucket.json")).unwrap();
    let mut document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scratch.path("real/b.json")).unwrap()).unwrap();
    document["objects"]["k"] = json!({
        "manner": {"acl": "private", "headers": []}, "etag": "", "size": 4, "modified": 0,
        "file": "../../real/photo.jpg", "pieces": [[0, 4]]
    });
    scratch.write("s/bucket.json", document.to_string().as_bytes());
    refused(&scratch, "photo.jpg");
    assert_eq!(std::fs::read(scratch.path("real/photo.jpg")).unwrap(), b"mine");
}

/// A simulator that does not start leaves nothing behind.
#[test]
fn what_is_refused_writes_nothing() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.path("s/bucket")).unwrap();
    scratch.write("s/bucket/x", b"mine");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for arguments in [&["--state", "s"][..], &["--state", "new", "--listen", &address]] {
        let mut command = simulate(&scratch);
        let output = command.args(arguments).args(["--log", "l", "--env-file", "e"]).output();
        let output = output.unwrap();
        assert_eq!(exit_code(&output), 2, "{arguments:?}: {output:?}");
        let mut names: Vec<_> = std::fs::read_dir(scratch.path("s")).unwrap().collect();
        names.retain(|entry| entry.as_ref().unwrap().file_name() != "bucket");
        assert!(names.is_empty(), "{names:?}");
        for name in ["l", "e", "new"] {
            assert!(!scratch.path(name).exists(), "{name}");
        }
    }
}

/// A file for the environment is removed by the simulator that wrote it.
#[test]
fn the_environment_of_another_simulator_stays() {
    let first = Rig::new(&["--state", "s"]);
    let env = first.scratch.path("env");
    let before = std::fs::read_to_string(&env).unwrap();
    let mut second = simulate(&first.scratch);
    let output = second.args(["--state", "s", "--env-file", "env"]).output().unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert_eq!(std::fs::read_to_string(&env).unwrap(), before);
    // One that starts takes the file, and the end of the first leaves it there.
    let second = simulate(&first.scratch).args(["--env-file", "env"]).spawn().unwrap();
    wait_until("the second one listens", || std::fs::read_to_string(&env).unwrap() != before);
    let after = std::fs::read_to_string(&env).unwrap();
    let (output, _scratch) = first.stop("TERM");
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(std::fs::read_to_string(&env).unwrap(), after);
    let kill = ["-s", "TERM", &second.id().to_string()].map(str::to_owned);
    assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
    let output = second.wait_with_output().unwrap();
    assert_eq!((exit_code(&output), env.exists()), (0, false), "{output:?}");
}

/// `-` is standard output, unless that has the environment.
#[test]
fn a_log_goes_to_standard_output_if_that_is_free() {
    let scratch = Scratch::new();
    let output = simulate(&scratch).args(["--log", "-"]).output().unwrap();
    assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{output:?}");
    let rig = Rig::new(&[]);
    let mut child = simulate(&rig.scratch);
    child.args(["--log", "-", "--env-file", "other"]);
    let child = child.spawn().unwrap();
    let env = rig.scratch.path("other");
    wait_until("it listens", || env.exists());
    let text = std::fs::read_to_string(&env).unwrap();
    let address = text.lines().next().unwrap().split_once("http://").unwrap().1.to_owned();
    exchange(&address, "GET", "/v2/regions", "", None).unwrap();
    let kill = ["-s", "TERM", &child.id().to_string()].map(str::to_owned);
    assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(stdout(&output).starts_with("{\"time\":"), "{output:?}");
    assert!(!rig.scratch.path("-").exists());
}
