//! Waits of the program: their time, and what they say at the end.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::commands::{account, document, run};
use crate::common::*;
use crate::server::Reply;
use crate::support::*;

const CREATE: [&str; 5] = ["--region", "nyc3", "--unchecked", "--wait", "--format=json"];

fn hanging() -> Reply {
    Reply { stall: Some((0, Duration::from_secs(20))), ..Reply::status(200, vec![b' ']) }
}

#[test]
fn a_wait_keeps_its_time_when_a_request_hangs() {
    let brief = ["--wait-timeout", "2s", "--interval", "100ms"];
    let server = account(|request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", _) => reply(202, &json!({"image": made(5, &request.body)})),
        // Seen once, and never again.
        ("GET", "/v2/images/6") if request.before == 0 => {
            reply(200, &json!({"image": image(6, "pending")}))
        }
        ("GET", path) if path.starts_with("/v2/images/") => hanging(),
        _ => Reply::status(403, Vec::new()),
    });
    let url = server.url("disk.img");
    for (command, last) in [
        ([&["wait", "6"][..], &brief].concat(), "its last status was pending"),
        ([&["wait", "5"][..], &brief].concat(), "its status was never seen"),
        ([&["create", &url][..], &CREATE, &brief].concat(), "its status was never seen"),
    ] {
        let began = Instant::now();
        let output = run(&server, &command);
        assert!(began.elapsed() < Duration::from_secs(5), "{command:?}: {:?}", began.elapsed());
        assert_eq!(exit_code(&output), 4, "{output:?}");
        let said = stderr(&output);
        assert!(said.contains("it was not done after") && said.contains(last), "{said}");
        assert!(said.contains("the API did not answer in time"), "{said}");
    }
}

#[test]
fn a_wait_says_that_there_were_too_many_calls() {
    let server = account(|request| match request.before {
        0 => reply(200, &json!({"image": image(5, "pending")})),
        _ => Reply::status(429, fixture("error-429.json")),
    });
    let brief = ["wait", "5", "--wait-timeout", "600ms", "--interval", "100ms", "--retries", "0"];
    let output = run(&server, &brief);
    assert_eq!(exit_code(&output), 4);
    let said = stderr(&output);
    let progress = "image 5: pending, and the API does not show it now (there were too many calls";
    assert!(said.contains(progress), "{said}");
    let end = said.lines().last().unwrap();
    assert!(end.contains("last status was pending") && end.contains("(429"), "{end}");
    assert!(!said.contains("not there yet"), "{said}");
}

#[test]
fn a_number_that_no_image_has_is_told_soon() {
    let server = account(|_| Reply::status(404, fixture("error-404.json")));
    let began = Instant::now();
    let output = run(&server, &["wait", "99"]);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(exit_code(&output), 4);
    assert!(stderr(&output).contains("tidegate: there is no image 99: "), "{output:?}");
    assert!(server.requests().len() > 1, "what was just made may be late");
}

#[test]
fn an_image_that_was_just_made_may_be_late() {
    let server = account(|request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", _) => reply(202, &json!({"image": made(5, &request.body)})),
        // Later than a number is waited for that somebody typed.
        ("GET", "/v2/images/5") if request.before > 14 => {
            reply(200, &json!({"image": image(5, "available")}))
        }
        ("GET", "/v2/images/5") => Reply::status(404, fixture("error-404.json")),
        _ => list(&[]),
    });
    let url = server.url("disk.img");
    let output = run(&server, &[&["create", &url][..], &CREATE, &["--interval", "900ms"]].concat());
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(document(&output)["image"]["status"], "available");
}

#[test]
fn a_wait_that_fails_shows_the_last_state() {
    let server = account(|request| match request.method.as_str() {
        "POST" => reply(202, &json!({"image": made(5, &request.body)})),
        _ if request.path.starts_with("/v2/regions") => Reply::status(403, Vec::new()),
        _ => reply(200, &json!({"image": image(5, "pending")})),
    });
    let url = server.url("disk.img");
    let brief = ["--wait-timeout", "500ms", "--interval", "100ms"];
    let output = run(&server, &[&["create", &url][..], &CREATE, &brief].concat());
    assert_eq!(exit_code(&output), 4);
    assert_eq!(document(&output)["image"]["status"], "pending");
    assert!(stderr(&output).contains("its last status was pending"), "{output:?}");
}

/// Headers at once, and then one blank after the other: never silent, never whole.
fn dripping(status: u16) -> Reply {
    let drip = Some((1, Duration::from_millis(100)));
    Reply { drip, ..Reply::status(status, vec![b' '; 100]) }
}

#[test]
fn an_answer_that_drips_has_its_time() {
    let server = account(|request| match request.path.as_str() {
        path if path.starts_with("/v2/regions") => Reply::status(403, Vec::new()),
        path if path.contains('?') => list(&[]),
        "/v2/images/7" => reply(200, &json!({"image": image(7, "available")})),
        _ => dripping(200),
    });
    let url = server.url("disk.img");
    let create = ["create", &url, "--region", "nyc3", "--unchecked", "--settle", "10ms"];
    for (command, said) in [
        (&["get", "8"][..], "the answer was not whole after 2 s"),
        (&["convert", "7"], "nobody knows whether it began"),
        (&["transfer", "7", "--region", "fra1"], ""),
        // A create that is cut is looked for.
        (&create, "an image marked tidegate-"),
    ] {
        let began = Instant::now();
        let limited = [command, &["--timeout", "1", "--retries", "0"]].concat();
        let output = run(&server, &limited);
        assert!(began.elapsed() < Duration::from_secs(8), "{command:?}: {:?}", began.elapsed());
        assert_eq!(exit_code(&output), 4, "{command:?}: {output:?}");
        assert!(stderr(&output).contains(said), "{command:?}: {output:?}");
    }
}

#[test]
fn the_first_call_of_a_wait_has_its_time_too() {
    let server = account(|request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v2/images/7") => reply(200, &json!({"image": image(7, "available")})),
        ("GET", _) => Reply::status(403, Vec::new()),
        _ => dripping(201),
    });
    for command in [&["convert", "7"][..], &["transfer", "7", "--region", "fra1"]] {
        let began = Instant::now();
        let output = run(&server, &[command, &["--wait", "--wait-timeout", "1s"]].concat());
        assert!(began.elapsed() < Duration::from_secs(6), "{command:?}: {:?}", began.elapsed());
        assert_eq!(exit_code(&output), 4, "{command:?}: {output:?}");
        let shown = format!("{}{}", stdout(&output), stderr(&output));
        assert!(shown.contains("nobody knows whether it began"), "{shown}");
        assert!(shown.contains("the API did not answer in time"), "{shown}");
    }
}
