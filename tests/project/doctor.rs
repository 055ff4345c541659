//! `tidegate doctor` against the simulator, and against servers that are not what they should be.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{at, document, invalid};
use crate::common::*;
use crate::rig::Rig;
use crate::server::{Reply, Server};

fn doctor(scratch: &Scratch, env: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command: Command = at(scratch.path(""));
    command.args(["doctor", "--format", "json"]).args(arguments).envs(env.iter().copied());
    command.output().unwrap()
}

fn state(document: &Value, id: &str) -> String {
    let checks = document["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == id);
    check.map_or("absent", |check| check["state"].as_str().unwrap()).to_owned()
}

/// The states of these checks.
fn states(document: &Value, ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| state(document, id)).collect()
}

#[test]
fn a_healthy_place_is_healthy() {
    let rig = Rig::new(&[]);
    let scratch = Scratch::new();
    let url = rig.url("");
    let mut env =
        vec![("DIGITALOCEAN_API_URL", url.as_str()), ("DIGITALOCEAN_TOKEN", rig.token.as_str())];
    let output = doctor(&scratch, &env, &[]);
    let told = document(&output);
    assert_eq!(exit_code(&output), 0, "{told:#}");
    assert_eq!(invalid("doctor", &told), Vec::<String>::new());
    let ids = [
        "proxy",
        "network",
        "clock",
        "token",
        "token-accepted",
        "scopes",
        "bucket",
        "bucket-versions",
        "bucket-rights",
    ];
    let without = ["ok", "ok", "ok", "ok", "ok", "ok", "unknown", "absent", "absent"];
    assert_eq!(states(&told, &ids), without);

    env.extend(rig.spaces.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let told = document(&doctor(&scratch, &env, &[]));
    assert_eq!(states(&told, &ids[6..]), ["ok", "ok", "unknown"], "{told:#}");
    assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 0);
    let output = doctor(&scratch, &env, &["--probe"]);
    let told = document(&output);
    assert_eq!(
        (exit_code(&output), states(&told, &ids[6..])),
        (0, vec!["ok".into(), "ok".into(), "ok".into()]),
        "{told:#}"
    );
    assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 0, "nothing is left");
    for secret in [rig.token.as_str(), rig.spaces["SPACES_SECRET_ACCESS_KEY"].as_str()] {
        assert!(!stdout(&output).contains(secret) && !stderr(&output).contains(secret));
    }
    let text = at(scratch.path("")).arg("doctor").envs(env).output().unwrap();
    assert!(
        stdout(&text).contains("nothing is wrong") && stdout(&text).contains("--probe"),
        "{text:?}"
    );
}

#[test]
fn what_is_wrong_is_said_with_the_fix() {
    let rig = Rig::new(&[]);
    let scratch = Scratch::new();
    let url = rig.url("");
    let here = ("DIGITALOCEAN_API_URL", url.as_str());
    let wrong = "dop_v1_0123456789abcdef";
    for (env, failing) in [
        (vec![here], "token"),
        (vec![here, ("DIGITALOCEAN_TOKEN", wrong)], "token-accepted"),
        (
            vec![("DIGITALOCEAN_API_URL", "http://127.0.0.1:1"), ("DIGITALOCEAN_TOKEN", wrong)],
            "network",
        ),
        (vec![("DIGITALOCEAN_API_URL", "nonsense"), ("DIGITALOCEAN_TOKEN", wrong)], "network"),
        (vec![here, ("DIGITALOCEAN_TOKEN", &rig.token), ("SPACES_BUCKET", "b")], "bucket"),
    ] {
        let output = doctor(&scratch, &env, &["--retries", "0"]);
        let told = document(&output);
        assert_eq!(
            (exit_code(&output), state(&told, failing).as_str()),
            (4, "fail"),
            "{failing}: {told:#}"
        );
        let checks = told["checks"].as_array().unwrap();
        let failed = checks.iter().filter(|check| check["state"] == "fail");
        assert!(
            failed.clone().count() > 0 && failed.clone().all(|check| check["fix"].is_string()),
            "{told:#}"
        );
        assert!(!stdout(&output).contains(wrong) && !stderr(&output).contains(wrong));
    }
}

#[test]
fn clocks_and_scopes_are_looked_at() {
    let answer = |date: &str, status: u16| {
        let date = date.to_owned();
        Server::new(move |request| {
            let known = request.headers.contains_key("authorization");
            let body = match request.path.split('?').next() {
                Some("/v2/images") if status == 200 => {
                    br#"{"images": [], "links": {}, "meta": {"total": 0}}"#.to_vec()
                }
                _ => {
                    br#"{"id": "forbidden", "message": "You are missing the required permission"}"#
                        .to_vec()
                }
            };
            let status = match known {
                true if request.path.starts_with("/v2/images") => status,
                true => 403,
                false => 401,
            };
            Reply::status(status, body).with("date", &date)
        })
    };
    let scratch = Scratch::new();
    let told = |server: &Server| {
        let env = [("DIGITALOCEAN_API_URL", server.url("")), ("DIGITALOCEAN_TOKEN", "tok".into())];
        let env: Vec<(&str, &str)> =
            env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        document(&doctor(&scratch, &env, &["--retries", "0"]))
    };
    let skewed = told(&answer("Thu, 01 Jan 2015 00:00:00 GMT", 200));
    let ids = ["clock", "token-accepted", "scopes"];
    assert_eq!(states(&skewed, &ids), ["fail", "ok", "ok"], "{skewed:#}");
    assert!(
        skewed.to_string().contains("has image:read; lacks regions:read, spaces_key:read"),
        "{skewed:#}"
    );
    let forbidden = told(&answer("nonsense", 403));
    assert_eq!(states(&forbidden, &ids), ["unknown", "ok", "fail"], "{forbidden:#}");
}

#[test]
fn what_nobody_said_is_unknown() {
    let server = Server::new(|_| Reply::status(500, b"{}".to_vec()));
    let url = server.url("");
    let env = [("DIGITALOCEAN_API_URL", url.as_str()), ("DIGITALOCEAN_TOKEN", "tok")];
    let told = document(&doctor(&Scratch::new(), &env, &["--retries", "0"]));
    assert_eq!(states(&told, &["token-accepted", "scopes"]), ["unknown", "unknown"], "{told:#}");
    let said = told.to_string();
    assert!(!said.contains("none;") && !said.contains("has none"), "{told:#}");
    assert!(said.contains("image:read, regions:read, spaces_key:read: unknown"), "{told:#}");
}

/// What certainly fails every push fails here; that a key may not look at a bucket is no proof that it may not write.
#[test]
fn buckets_and_keys_that_are_wrong_fail() {
    let rig = Rig::new(&[]);
    let scratch = Scratch::new();
    let url = rig.url("");
    let of = |name: &str| (name.to_owned(), rig.spaces[name].clone());
    let spaces: Vec<(String, String)> = rig.spaces.keys().map(|name| of(name)).collect();
    for (name, wrong, told) in [
        ("SPACES_BUCKET", "there-is-no-such-bucket", "there is no such bucket"),
        ("SPACES_SECRET_ACCESS_KEY", "wrong", "the signature is refused"),
        ("SPACES_ACCESS_KEY_ID", "DO00WRONG", "the access key is not known"),
        ("SPACES_ENDPOINT_URL", "http://127.0.0.1:1", "127.0.0.1:1"),
    ] {
        let mut env = vec![
            ("DIGITALOCEAN_API_URL", url.as_str()),
            ("DIGITALOCEAN_TOKEN", rig.token.as_str()),
        ];
        env.extend(spaces.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        env.push((name, wrong));
        let output = doctor(&scratch, &env, &["--retries", "0"]);
        let document = document(&output);
        assert_eq!(
            (exit_code(&output), state(&document, "bucket").as_str()),
            (4, "fail"),
            "{name}: {document:#}"
        );
        assert!(document.to_string().contains(told), "{document:#}");
    }
    let limited = Server::new(|_| {
        Reply::status(
            403,
            b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>".to_vec(),
        )
    });
    let place = limited.url("");
    let mut env =
        vec![("DIGITALOCEAN_API_URL", url.as_str()), ("DIGITALOCEAN_TOKEN", rig.token.as_str())];
    env.extend(spaces.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    env.push(("SPACES_ENDPOINT_URL", place.as_str()));
    let output = doctor(&scratch, &env, &["--retries", "0"]);
    let document = document(&output);
    assert_eq!(
        (exit_code(&output), state(&document, "bucket").as_str()),
        (0, "warn"),
        "{document:#}"
    );
}

#[test]
fn a_bucket_that_keeps_what_is_deleted_is_named() {
    let rig = Rig::new(&[]);
    let url = rig.url("");
    let versions = |versioning: &'static str, lock: &'static str| {
        let server = Server::new(move |request| {
            let query = request.path.split_once('?').map_or("", |(_, query)| query);
            let body = match query {
                "versioning=" => versioning,
                "object-lock=" => lock,
                _ => "",
            };
            Reply::status(200, body.as_bytes().to_vec())
        });
        let place = server.url("");
        let mut env = vec![
            ("DIGITALOCEAN_API_URL", url.as_str()),
            ("DIGITALOCEAN_TOKEN", rig.token.as_str()),
        ];
        env.extend(rig.spaces.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        env.push(("SPACES_ENDPOINT_URL", place.as_str()));
        let output = doctor(&Scratch::new(), &env, &["--retries", "0"]);
        let document = document(&output);
        assert_eq!(invalid("doctor", &document), Vec::<String>::new());
        (exit_code(&output), state(&document, "bucket-versions"))
    };
    let off = "<VersioningConfiguration/>";
    let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let unlocked = "<ObjectLockConfiguration/>";
    let locked = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                  <Mode>COMPLIANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    assert_eq!(versions(off, unlocked), (0, "ok".into()));
    assert_eq!(versions(on, unlocked), (0, "warn".into()));
    assert_eq!(versions(on, locked), (4, "fail".into()));
    assert_eq!(versions("nonsense", unlocked), (0, "unknown".into()));
}

#[test]
fn an_interrupted_probe_is_removed_or_named() {
    let unseen = "[[bucket]]\nkind = \"503\"\noperation = \"head-object\"\nforever = true\n";
    let stays = "[[bucket]]\nkind = \"503\"\noperation = \"delete-object\"\nforever = true\n";
    for (plan, left) in [(unseen.to_owned(), 0), (format!("{unseen}{stays}"), 1)] {
        let rig = Rig::with_plan(&plan, &[]);
        let scratch = Scratch::new();
        let mut command: Command = at(scratch.path(""));
        command.args(["doctor", "--probe", "--retries", "1"]).envs(&rig.spaces);
        command.env("DIGITALOCEAN_API_URL", rig.url("")).env("DIGITALOCEAN_TOKEN", &rig.token);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let objects = || rig.state()["objects"].as_array().unwrap().len();
        wait_until("the probe is there", || objects() == 1);
        let kill = ["-s", "HUP", &child.id().to_string()].map(str::to_owned);
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!((exit_code(&output), objects()), (130, left), "{output:?}");
        // Nobody could see that it is gone.
        let said = stdout(&output);
        assert!(said.contains("left behind: tidegate/"), "{said}");
        assert!(said.contains("`tidegate sweep` removes it"), "{said}");
    }
}

#[test]
fn the_fix_is_for_what_went_wrong() {
    let rig = Rig::new(&[]);
    let url = rig.url("");
    let none = Server::new(|_| Reply::status(501, Vec::new()));
    let place = none.url("");
    let fixes = |name: &str, value: &str| {
        let mut env = vec![
            ("DIGITALOCEAN_API_URL", url.as_str()),
            ("DIGITALOCEAN_TOKEN", rig.token.as_str()),
        ];
        env.extend(rig.spaces.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        env.push((name, value));
        let output = doctor(&Scratch::new(), &env, &["--retries", "0", "--probe"]);
        let document = document(&output);
        let checks = document["checks"].as_array().unwrap();
        let fix = |check: &Value| check["fix"].as_str().unwrap_or_default().to_owned();
        let of = |id: &str| checks.iter().find(|check| check["id"] == id).map(fix).unwrap();
        (of("network"), of("bucket"), of("bucket-rights"))
    };
    let (_, bucket, rights) = fixes("SPACES_ENDPOINT_URL", "http://127.0.0.1:1");
    assert!(bucket.contains("SPACES_ENDPOINT_URL") && bucket.contains("server runs"), "{bucket}");
    assert_eq!(bucket, rights);
    let (_, bucket, rights) = fixes("SPACES_ENDPOINT_URL", &place);
    assert!(bucket.contains("does not have all of S3"), "{bucket}");
    assert_eq!(bucket, rights);
    let (network, _, _) = fixes("DIGITALOCEAN_API_URL", &place);
    assert!(network.contains("DIGITALOCEAN_API_URL"), "{network}");
    let (network, _, _) = fixes("DIGITALOCEAN_API_URL", "http://127.0.0.1:1");
    assert!(network.contains("Start what is to listen there"), "{network}");
}
