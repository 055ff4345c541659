//! The token is in the header of a request and nowhere else.

use std::process::Output;

use serde_json::json;
use tidegate::digitalocean::{Options, Token};
use tidegate::net::{self, Address};

use crate::commands::{bare, image_command};
use crate::common::*;
use crate::server::{Reply, Server};
use crate::support::*;

fn assert_silent(output: &Output, what: &str) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes);
        for secret in [TOKEN, &TOKEN["dop_v1_".len()..]] {
            assert!(!text.contains(secret), "{what}: {text}");
        }
    }
}

const COMMANDS: [&[&str]; 9] = [
    &["create", "https://h.example/x.img", "--region", "nyc3", "--unchecked", "--settle", "10ms"],
    &["list"],
    &["get", "7"],
    &["wait", "7", "--wait-timeout", "50ms", "--interval", "10ms"],
    &["update", "7", "--name", "x"],
    &["delete", "7", "--yes"],
    &["convert", "7"],
    &["transfer", "7", "--region", "fra1"],
    &["actions", "7"],
];

#[test]
fn no_output_shows_the_token() {
    let answers = [
        reply(
            200,
            &json!({"image": image(7, "NEW"), "images": [], "regions": [], "actions": [],
            "action": {"id": 1, "status": "in-progress"}}),
        ),
        Reply::status(401, fixture("error-401.json")),
        Reply::status(504, b"<html>".to_vec()),
        Reply::status(302, Vec::new()).with("location", "http://127.0.0.1:1/"),
        Reply { silent: true, ..Reply::status(200, Vec::new()) },
    ];
    for answer in answers {
        let server = Server::new(move |_| answer.clone());
        for command in COMMANDS {
            for more in
                [&["--verbose", "--retries", "1"][..], &["--format", "json", "--retries", "0"]]
            {
                let output = image_command(&server).args(command).args(more).output().unwrap();
                assert_silent(&output, &format!("{command:?} {more:?}"));
                assert_ne!(exit_code(&output), 2, "{command:?}: {output:?}");
            }
        }
        for request in server.requests() {
            assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
            assert!(!request.path.contains(TOKEN));
            assert!(!String::from_utf8_lossy(&request.body).contains(TOKEN));
        }
    }
}

#[test]
fn a_token_that_a_server_sends_back_is_not_shown() {
    let escaped = TOKEN.replacen('d', "\\u0064", 1);
    let image = |status: &str| {
        let mut image = image(7, status);
        for field in ["name", "description", "error_message", "distribution", "slug", "created_at"]
        {
            image[field] = format!("is {TOKEN}!").into();
        }
        (image["tags"], image["regions"]) = (json!([TOKEN]), json!([TOKEN]));
        image
    };
    let mut pending = image(TOKEN);
    pending["error_message"] = "".into();
    let action = json!({"id": 1, "status": "errored", "type": TOKEN, "region_slug": TOKEN});
    let answers = [
        // Fields that are shown, and a wait that ends or not.
        json!({"image": image("deleted"), "images": [image("x")], "regions": [], "actions": [action],
            "action": action})
        .to_string(),
        json!({"image": pending, "action": {"id": 1, "status": TOKEN}}).to_string(),
        // Errors, and what types do not fit.
        json!({"id": TOKEN, "message": format!("no {TOKEN}"), "request_id": TOKEN}).to_string(),
        format!("{{\"id\": \"x\", \"message\": \"missing image:{escaped} {escaped}\"}}"),
        json!({"image": {"id": TOKEN}, "images": TOKEN, "actions": {TOKEN: 1}, "action": TOKEN})
            .to_string(),
        // No JSON at all.
        format!("<html><title>{TOKEN}</title>Bearer {TOKEN}"),
        format!("{}{TOKEN}", "x".repeat(100)),
    ];
    let mut hidden = 0;
    for (answer, status) in
        answers.iter().flat_map(|answer| [200, 302, 403, 500].map(|status| (answer, status)))
    {
        let reply = Reply::status(status, answer.clone().into_bytes())
            .with("x-request-id", TOKEN)
            .with("retry-after", TOKEN)
            .with("location", &format!("/{TOKEN}/x"));
        let server = Server::new(move |_| reply.clone());
        for command in COMMANDS {
            for more in [&["--verbose"][..], &["--format", "json"]] {
                let mut run = image_command(&server);
                let output =
                    run.args(command).args(["--retries", "0"]).args(more).output().unwrap();
                assert_silent(&output, &format!("{command:?} {more:?} {status} {answer}"));
                let shown = [output.stdout, output.stderr].concat();
                let shown = String::from_utf8_lossy(&shown).into_owned();
                hidden += usize::from(shown.contains('…') || shown.contains("\\u2026"));
            }
        }
    }
    // What was taken out is seen to be.
    assert!(hidden > 300, "{hidden}");
}

/// The ways in which a server may write a text.
fn written(text: &str) -> Vec<String> {
    let each = |write: &dyn Fn(u8) -> String| text.bytes().map(write).collect::<String>();
    let base64 = |before: &str, alphabet: &[u8; 64]| {
        let text = format!("{before}{text}}}");
        let mut out = String::new();
        for three in text.as_bytes().chunks(3) {
            let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - three.len()));
            for at in 0..=three.len() {
                out.push(char::from(alphabet[(bits >> (18 - 6 * at) & 63) as usize]));
            }
        }
        out
    };
    let mut standard = [0; 64];
    let letters = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*b"+/");
    standard.iter_mut().zip(letters).for_each(|(to, letter)| *to = letter);
    vec![
        each(&|byte| format!("&#{byte};")),
        each(&|byte| format!("&#x{byte:x};")),
        each(&|byte| format!("%{byte:02X}")),
        each(&|byte| format!("\\\\u{byte:04x}")),
        each(&|byte| format!("\\\\u0026#{byte};").replace("\\\\", "\\")),
        each(&|byte| format!("{byte:02x}")),
        base64("", &standard),
        base64("x", &standard),
        base64("do", &standard),
    ]
}

#[test]
fn a_token_is_not_shown_in_another_spelling() {
    for spelled in written(TOKEN) {
        let body = format!("{{\"id\": \"x\", \"message\": \"to be shown {spelled} shown\"}}");
        let server = Server::new(move |_| Reply::status(422, body.clone().into_bytes()));
        for more in [&["--verbose"][..], &["--format", "json"]] {
            let output = image_command(&server).args(["get", "7"]).args(more).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains("to be shown") && said.contains('…'), "{spelled}: {said}");
            let whole: String = spelled.chars().filter(|c| *c != '\\').collect();
            let said: String = said.chars().filter(|c| *c != '\\').collect();
            assert!(!said.contains(&whole[whole.len() / 2..]), "{spelled}: {said}");
        }
    }
}

#[test]
fn what_doctl_would_not_have_written_is_not_sent() {
    let server = Server::new(|_| list(&[]));
    for (config, said) in [
        (format!("access-token: [{TOKEN}]\n"), "line 1: only plain"),
        (format!("access-token: \"{TOKEN}\n"), "line 1: a quote is not closed"),
        (
            format!("access-token: a\naccess-token: {TOKEN}\n"),
            "line 2: access-token stands in line 1",
        ),
        (format!("auth-contexts: {{work: {TOKEN}}}\ncontext: work\n"), "line 1: only plain"),
    ] {
        let scratch = Scratch::new();
        let path = scratch.write("config.yaml", config.as_bytes());
        let output = bare(&server).arg("list").env("DIGITALOCEAN_CONFIG", path).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{config}: {output:?}");
        assert!(stderr(&output).contains(said), "{config}: {output:?}");
        assert_silent(&output, &config);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_token_on_the_command_line_is_refused_with_the_reason() {
    let server = Server::new(|_| list(&[]));
    for arguments in [
        vec!["list".to_owned(), "--token".into(), TOKEN.into()],
        vec!["list".to_owned(), format!("--token={TOKEN}")],
        vec!["--token".to_owned(), TOKEN.into(), "list".into()],
        vec!["list".to_owned(), "--access-token".into(), TOKEN.into(), "--bogus".into()],
    ] {
        let output = image_command(&server).args(&arguments).output().unwrap();
        assert_silent(&output, &format!("{arguments:?}"));
        assert_eq!(exit_code(&output), 2);
        assert!(stderr(&output).contains("every process of the machine"), "{output:?}");
    }
    // Wherever else it was put by mistake.
    for arguments in [
        vec!["list", TOKEN],
        vec!["get", TOKEN, "--bogus"],
        vec!["get", TOKEN, "--verbose"],
        vec!["get", "--format", "json", "--", TOKEN, "--bogus"],
        vec![TOKEN],
        vec!["list", "--format", TOKEN],
        vec!["wait", TOKEN],
    ] {
        let output = image_command(&server).args(&arguments).output().unwrap();
        assert_silent(&output, &format!("{arguments:?}"));
        assert_eq!(exit_code(&output), 2, "{output:?}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn the_token_comes_from_where_it_is() {
    let server = Server::new(|_| list(&[]));
    let scratch = Scratch::new();
    let file = scratch.write("token", format!("{TOKEN}\n").as_bytes());
    std::fs::create_dir_all(scratch.path("doctl")).unwrap();
    let config = format!("access-token: wrong\nauth-contexts:\n  work: {TOKEN}\ncontext: work\n");
    scratch.write("doctl/config.yaml", config.as_bytes());
    let mut commands = [bare(&server), bare(&server), bare(&server), bare(&server), bare(&server)];
    commands[0].args(["list", "--token-file"]).arg(&file).env("DIGITALOCEAN_TOKEN", "wrong");
    commands[1]
        .arg("list")
        .env("DIGITALOCEAN_TOKEN", TOKEN)
        .env("DIGITALOCEAN_ACCESS_TOKEN", "wrong");
    commands[2].arg("list").env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN);
    commands[3].arg("list").env("XDG_CONFIG_HOME", scratch.path(""));
    commands[4]
        .args(["list", "--context", "WORK"])
        .env("XDG_CONFIG_HOME", scratch.path(""))
        .env("DIGITALOCEAN_TOKEN", "wrong");
    for mut command in commands {
        let output = command.output().unwrap();
        assert_eq!(exit_code(&output), 0, "{command:?}: {output:?}");
        assert_silent(&output, "list");
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    for request in requests {
        assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
    }
    let bad = scratch.write("bad", format!("{TOKEN}\nmore\n").as_bytes());
    let mut none = bare(&server);
    none.arg("list");
    let mut broken = bare(&server);
    broken.args(["list", "--token-file"]).arg(&bad);
    let line = scratch.write("line", format!("DIGITALOCEAN_TOKEN={TOKEN}\n").as_bytes());
    let mut assigned = bare(&server);
    assigned.args(["list", "--token-file"]).arg(&line);
    let mut context = bare(&server);
    context.args(["list", "--context", "home"]).env("XDG_CONFIG_HOME", scratch.path(""));
    for (mut command, said) in [
        (none, "set DIGITALOCEAN_TOKEN"),
        (broken, "it is no token"),
        (assigned, "a line NAME=VALUE is no token"),
        (context, "contexts are default, work"),
    ] {
        let output = command.output().unwrap();
        assert_silent(&output, said);
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert!(stderr(&output).contains(said), "{output:?}");
    }
}

#[test]
fn nothing_shows_itself_with_it() {
    let server = Server::new(|_| list(&[]));
    let token = Token::new(TOKEN).unwrap();
    let options = |base: &str| Options {
        base: Address::parse(base).unwrap(),
        net: net::Options::default(),
        listener: None,
    };
    let client = tidegate::digitalocean::Client::new(&token, options(&server.url(""))).unwrap();
    assert!(!format!("{token:?} {client:?} {:?}", client.images()).contains(TOKEN));
    let said =
        tidegate::digitalocean::Client::new(&token, options("http://h.example")).unwrap_err();
    assert!(!said.contains(TOKEN) && said.contains("plain http"));
}

#[test]
fn a_redirect_never_takes_the_token_along() {
    let other = Server::new(|_| list(&[]));
    let place = other.url("v2/images");
    let server = Server::new(move |_| Reply::status(307, Vec::new()).with("location", &place));
    for command in COMMANDS {
        let output = image_command(&server).args(command).output().unwrap();
        assert_eq!(exit_code(&output), 4, "{command:?}: {output:?}");
    }
    assert!(other.requests().is_empty());
}

#[test]
fn no_proxy_stands_between_here_and_here() {
    let proxy = Server::new(|_| list(&[]));
    let server = Server::new(|_| list(&[]));
    let mut command = image_command(&server);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"] {
        command.env(name, proxy.url(""));
    }
    for name in ["no_proxy", "NO_PROXY"] {
        command.env_remove(name);
    }
    assert_eq!(exit_code(&command.arg("list").output().unwrap()), 0);
    assert_eq!((proxy.requests().len(), server.requests().len()), (0, 1));
}
