//! What an interrupted command leaves its user with.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::commands::{account, bare, image_command};
use crate::common::*;
use crate::server::{Reply, Request, Server};
use crate::support::*;

/// Runs a command, and interrupts it once the server has seen a request like this.
fn interrupted(
    server: &Server,
    arguments: &[&str],
    signal: &str,
    seen: impl Fn(&Request) -> bool,
) -> Output {
    let mut command = image_command(server);
    let child = command.args(arguments).stdin(Stdio::null()).spawn().unwrap();
    wait_until("the request has come", || server.requests().iter().any(&seen));
    let kill = ["-s", signal, &child.id().to_string()].map(str::to_owned);
    assert!(Command::new("kill").args(kill).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((exit_code(&output), stdout(&output)), (130, ""), "{output:?}");
    output
}

fn hanging() -> Reply {
    Reply { stall: Some((0, Duration::from_secs(20))), ..Reply::status(202, vec![b' ']) }
}

const QUIET: [&[&str]; 3] = [&[], &["--quiet"], &["--quiet", "--format", "json"]];

#[test]
fn an_interrupted_create_says_how_to_look_for_its_image() {
    for (settling, signal) in [(false, "INT"), (false, "TERM"), (true, "INT")] {
        for more in QUIET {
            let server = account(move |request| match request.method.as_str() {
                "POST" if settling => Reply::status(504, Vec::new()),
                "POST" => hanging(),
                _ => list(&[]),
            });
            let url = server.url("disk.img");
            let arguments =
                [&["create", &url, "--region", "nyc3", "--unchecked"][..], more].concat();
            let output = interrupted(&server, &arguments, signal, |request| match settling {
                true => request.path.contains("tag_name"),
                false => request.method == "POST",
            });
            let said = stderr(&output);
            let post = server.requests().into_iter().find(|request| request.method == "POST");
            let body: serde_json::Value = serde_json::from_slice(&post.unwrap().body).unwrap();
            let look = format!("tidegate image list --tag {}", body["tags"][0].as_str().unwrap());
            assert!(said.contains("outcome is unknown") && said.contains(&look), "{said}");
        }
    }
    let server = account(|request| match request.method.as_str() {
        "POST" => hanging(),
        _ => list(&[]),
    });
    let url = server.url("disk.img");
    let arguments = ["create", &url, "--region", "nyc3", "--unchecked", "--no-mark-tag", "-q"];
    let output = interrupted(&server, &arguments, "INT", |request| request.method == "POST");
    let said = stderr(&output);
    assert!(said.contains("tidegate image list --private") && said.contains("[tidegate push "));
}

#[test]
fn an_interrupted_wait_names_the_image_that_was_made() {
    for more in QUIET {
        let server = account(|request| match request.method.as_str() {
            "POST" => reply(202, &json!({"image": made(5, &request.body)})),
            _ => reply(200, &json!({"image": image(5, "pending")})),
        });
        let url = server.url("disk.img");
        let common = ["create", &url, "--region", "nyc3", "--unchecked", "--wait"];
        let output = interrupted(&server, &[&common[..], more].concat(), "INT", |request| {
            request.path == "/v2/images/5"
        });
        let said = stderr(&output);
        assert!(said.contains("image 5 was created") && said.contains("image wait 5"), "{said}");
        assert!(!said.contains("unknown") && !said.contains("what was checked"), "{said}");
    }
}

#[test]
fn whoever_waits_on_knows_that_nothing_is_compared_then() {
    let server = account(|request| match request.method.as_str() {
        "POST" => reply(202, &json!({"image": made(5, &request.body)})),
        _ => reply(200, &json!({"image": image(5, "pending")})),
    });
    let scratch = Scratch::new();
    let token = scratch.write("it's my token", TOKEN.as_bytes());
    let url = server.url("disk.img");
    let common = ["create", &url, "--region", "nyc3", "--no-url-rules", "--wait", "-q"];
    let file = ["--token-file", token.to_str().unwrap()];
    let output = interrupted(&server, &[&common[..], &file].concat(), "INT", |request| {
        request.path == "/v2/images/5"
    });
    let said = stderr(&output);
    assert!(
        said.contains("does not look whether the URL still leads to what was checked"),
        "{said}"
    );
    let told = commands(said);
    assert!(told.len() == 1 && told[0].ends_with(" 5"), "{said}");
    // The import hangs, so it is not at its end when it is pasted; the token is found.
    let script = format!("{} --wait-timeout 20ms --interval 10ms", told[0]);
    let output = pasted(&mut bare(&server), &script);
    assert!(exit_code(&output) == 4 && stderr(&output).contains("image 5"), "{output:?}");
    // Nor is it when the time is over.
    let brief = ["--wait-timeout", "50ms", "--interval", "10ms"];
    let output = image_command(&server).args(common).args(brief).output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    assert!(stderr(&output).contains("it was not compared with what was checked"), "{output:?}");
}

#[test]
fn what_else_cannot_be_taken_back_says_where_to_look() {
    let server = account(|request| match request.method.as_str() {
        "GET" => reply(200, &json!({"image": image(7, "available")})),
        _ => hanging(),
    });
    for (arguments, method, look) in [
        (&["delete", "7", "--yes", "-q"][..], "DELETE", "tidegate image get 7"),
        (&["convert", "7", "-q"], "POST", "tidegate image actions 7"),
    ] {
        let output = interrupted(&server, arguments, "TERM", |request| request.method == method);
        assert!(stderr(&output).contains(look), "{output:?}");
    }
    // What changes nothing has nothing to say.
    let server = account(|_| hanging());
    let output = interrupted(&server, &["get", "7"], "INT", |_| true);
    assert_eq!(stderr(&output), "tidegate: interrupted\n");
}
