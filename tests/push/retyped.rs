//! Answers of the images API whose fields have other types than its description gives them: what decides is read
//! all the same, and what cannot be read passes, as a failure of the API does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::*;
use crate::rig::*;
use crate::server::{Reply, Request, Server, forwarded};

/// The API of a simulator, whose answers about images go through `change` first.
fn api(rig: &Rig, change: impl Fn(&Request, &mut Value) + Send + Sync + 'static) -> Server {
    let to = rig.value("DIGITALOCEAN_API_URL").to_owned();
    Server::new(move |request| {
        let mut reply = forwarded(&to, request);
        if let Ok(mut value) = serde_json::from_slice::<Value>(&reply.body) {
            change(request, &mut value);
            reply.body = serde_json::to_vec(&value).unwrap();
        }
        reply
    })
}

fn asks(rig: &Rig, server: &Server, command: &str, arguments: &[&str]) -> std::process::Output {
    let mut asked = match command {
        "push" => rig.push(arguments),
        _ => rig.tidegate(command),
    };
    if command == "sweep" {
        asked.args(["--yes", "--interval", "20ms", "--wait-timeout", "5s"]).args(arguments);
    }
    asked.env("DIGITALOCEAN_API_URL", server.url("").trim_end_matches('/')).output().unwrap()
}

/// Does something to each image in an answer.
fn images(value: &mut Value, change: &dyn Fn(&mut Value)) {
    if value["image"].is_object() {
        change(&mut value["image"]);
    }
    for image in value["images"].as_array_mut().into_iter().flatten() {
        change(image);
    }
}

/// What another writer of JSON might make of a field.
fn retyped(value: &Value, how: u64) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match how % 9 {
        0 => json!(text),
        1 => json!({"name": value}),
        2 => json!([value]),
        3 => json!(7),
        4 => Value::Null,
        5 => json!(true),
        6 => json!({}),
        7 => json!([]),
        _ => json!(-1.5),
    }
}

#[test]
fn what_does_not_decide_may_have_any_type() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let server = api(&rig, |_, value| {
        images(value, &|image| {
            image["min_disk_size"] = json!("1");
            image["created_at"] = json!(1_700_000_000);
            image["size_gigabytes"] = json!("2.5");
            image["regions"] = json!([{"slug": "nyc3", "name": "New York 3"}]);
            let tags: Vec<Value> =
                image["tags"].as_array().unwrap().iter().map(|tag| json!({"name": tag})).collect();
            image["tags"] = json!(tags);
            image["id"] = json!(image["id"].to_string());
        });
        value["meta"] = json!({"total": "1"});
        value["links"] = json!([]);
    });
    let output = asks(&rig, &server, "push", &["disk.raw.gz", "--timeout", "5"]);
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("available in nyc3"), "{output:?}");
    rig.assert_clean(1..=1, "retyped");
}

#[test]
fn random_types_leave_nothing_public() {
    let rounds = if full() { 200 } else { 24 };
    let rounds: Vec<u64> = (0..rounds).collect();
    each(&rounds, |&seed| {
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let random = Arc::new(Mutex::new(Random(seed)));
        let server = api(&rig, move |_, value| {
            let mut random = random.lock().unwrap();
            let picks = [random.next(), random.next(), random.next()];
            images(value, &|image| {
                // Who gives images no number cannot be worked with.
                let keys: Vec<String> =
                    image.as_object().unwrap().keys().filter(|key| *key != "id").cloned().collect();
                let key = &keys[picks[0] as usize % keys.len()];
                image[key] = retyped(&image[key], picks[1]);
            });
            let outer = ["links", "meta"][picks[2] as usize % 2];
            if value.get(outer).is_some() && picks[2].is_multiple_of(3) {
                value[outer] = retyped(&value[outer], picks[1]);
            }
        });
        let output = asks(&rig, &server, "push", &["disk.raw.gz", "--wait-timeout", "20s"]);
        let said = stderr(&output);
        assert!(matches!(exit_code(&output), 0 | 4 | 5), "{seed}: {said}");
        asks(&rig, &server, "sweep", &[]);
        let state = rig.state();
        assert!(state["objects"].as_array().unwrap().is_empty(), "{seed}: {state:#}\n{said}");
        assert!(state["uploads"].as_array().unwrap().is_empty(), "{seed}: {state:#}\n{said}");
        assert!(rig.creates() <= 1, "{seed}");
        drop(server);
        // What was unreadable then can be read now.
        let (code, swept) = rig.sweep(&[]);
        assert!(code == 0 && rig.journals().is_empty(), "{seed}: {swept:#}\n{said}");
    });
}

#[test]
fn an_answer_that_cannot_be_read_passes_like_a_failure() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let looks = AtomicUsize::new(0);
    let server = api(&rig, move |request, value| {
        let about = request.method == "GET" && request.path.starts_with("/v2/images/");
        if about && looks.fetch_add(1, Ordering::SeqCst) < 3 {
            value["image"]["id"] = json!({"value": 1});
        }
    });
    let output = asks(&rig, &server, "push", &["disk.raw.gz"]);
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    rig.assert_clean(1..=1, "unreadable");
}

#[test]
fn an_answer_about_another_image_touches_none() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let mine = rig.document(0, &["disk.raw.gz", "--name", "mine"])["image"]["id"].clone();
    for (asked, code) in [("create", 0), ("looks", 4)] {
        let other = mine.clone();
        let lies = Arc::new(AtomicBool::new(true));
        let lied = Arc::clone(&lies);
        let server = api(&rig, move |request, value| {
            let is = lied.load(Ordering::SeqCst)
                && match asked {
                    "create" => request.method == "POST" && request.path == "/v2/images",
                    _ => request.method == "GET" && request.path.starts_with("/v2/images/"),
                };
            if is {
                value["image"]["id"] = other.clone();
                value["image"]["tags"] = json!([]);
                value["image"]["description"] = json!("mine");
            }
        });
        let arguments = ["disk.raw.gz", "--wait-timeout", "1s"];
        let output = asks(&rig, &server, "push", &arguments);
        assert_eq!(exit_code(&output), code, "{asked}: {}", stderr(&output));
        let images = rig.images();
        let mine = images.iter().find(|image| image["id"] == mine);
        assert!(mine.is_some_and(|mine| mine["status"] == "available"), "{asked}: {images:#?}");
        // What nobody could look at is named, stays in the journal, and goes when answers make sense.
        let left = if asked == "looks" { 1 } else { 0 };
        assert_eq!(images.len(), 2 + left, "{asked}: {images:#?}");
        assert_eq!(stderr(&output).contains("left behind: image"), left == 1, "{asked}");
        assert!(rig.state()["objects"].as_array().unwrap().is_empty(), "{asked}");
        lies.store(false, Ordering::SeqCst);
        let output = asks(&rig, &server, "sweep", &[]);
        assert_eq!(exit_code(&output), 0, "{asked}: {output:?}");
        assert_eq!(rig.images().len(), 2, "{asked}");
    }
}

#[test]
fn what_cannot_be_asked_about_for_too_long_is_public_no_more() {
    let rig = Rig::with("", &["--pace", "1000"]);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let down = Arc::new(AtomicBool::new(false));
    let (to, is_down) = (rig.value("DIGITALOCEAN_API_URL").to_owned(), Arc::clone(&down));
    let server = Server::new(move |request| match is_down.load(Ordering::SeqCst) {
        true => Reply::status(503, b"{}".to_vec()),
        false => forwarded(&to, request),
    });
    let url = server.url("").trim_end_matches('/').to_owned();
    let mut push = Running::start(rig.push(&["disk.raw.gz"]).env("DIGITALOCEAN_API_URL", &url));
    let looks =
        |request: &Request| request.method == "GET" && request.path.starts_with("/v2/images/");
    while !server.requests().iter().any(looks) {
        std::thread::sleep(Duration::from_millis(10));
    }
    push.child().kill().unwrap();
    push.output();
    down.store(true, Ordering::SeqCst);
    // It may still be read.
    asks(&rig, &server, "sweep", &["--retries", "0"]);
    assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 1);
    let journal = rig.journals().remove(0);
    let text = std::fs::read_to_string(&journal).unwrap();
    let old = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line["at"] = json!(line["at"].as_u64().unwrap() - 4000);
        format!("{line}\n")
    });
    std::fs::write(&journal, old.collect::<String>()).unwrap();
    let swept = asks(&rig, &server, "sweep", &["--retries", "0"]);
    assert!(rig.state()["objects"].as_array().unwrap().is_empty(), "{swept:?}");
    assert_eq!(rig.journals().len(), 1, "the image is not forgotten");
}
