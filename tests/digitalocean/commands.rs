//! `tidegate image` as its users meet it.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::common::*;
use crate::server::{Object, Reply, Request, Server};
use crate::support::*;
use crate::transfers::regions;

/// The program with a token, against this server, with nothing of whoever runs the tests.
pub(crate) fn image_command(server: &Server) -> Command {
    let mut command = bare(server);
    command.env("DIGITALOCEAN_TOKEN", TOKEN);
    command
}

/// As [`image_command`], without a token.
pub(crate) fn bare(server: &Server) -> Command {
    let mut command = tidegate();
    for name in [
        "DIGITALOCEAN_TOKEN",
        "DIGITALOCEAN_ACCESS_TOKEN",
        "DIGITALOCEAN_CONTEXT",
        "DIGITALOCEAN_CONFIG",
        "XDG_CONFIG_HOME",
        "HOME",
    ] {
        command.env_remove(name);
    }
    command.env("DIGITALOCEAN_API_URL", server.url("")).arg("image");
    command
}

pub(crate) fn run(server: &Server, arguments: &[&str]) -> Output {
    image_command(server).args(arguments).output().unwrap()
}

pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

pub(crate) fn posts(server: &Server) -> Vec<Value> {
    let requests = server.requests().into_iter().filter(|request| request.method == "POST");
    requests.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

/// The API and the file behind one address: `/disk.img` is a good image, `/page.img` is none.
pub(crate) fn account(api: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    let object = Object::new(disk());
    Server::new(move |request| match request.path.as_str() {
        "/disk.img" => object.answer(request),
        "/page.img" => Object::new(b"<!DOCTYPE html><html>Sign in".to_vec()).answer(request),
        "/none.img" => Reply::status(404, Vec::new()),
        _ => api(request),
    })
}

#[test]
fn create_checks_first_and_waits_to_the_end() {
    let server = account(|request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v2/images") => reply(202, &json!({"image": made(5, &request.body)})),
        ("GET", "/v2/images/5") if request.before < 40 => {
            reply(200, &json!({"image": image(5, "pending")}))
        }
        ("GET", "/v2/images/5") => reply(200, &json!({"image": image(5, "available")})),
        _ => Reply::status(404, Vec::new()),
    });
    let url = server.url("disk.img");
    let output = run(
        &server,
        &[
            "create",
            &url,
            "--region",
            "nyc3",
            "--distribution",
            "Debian",
            "--tag",
            "a,b",
            "--description",
            "mine",
            "--no-url-rules",
            "--wait",
            "--interval",
            "10ms",
            "--format",
            "json",
        ],
    );
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let result = document(&output);
    assert_eq!(result["image"]["status"], "available");
    assert_eq!(
        (&result["adopted"], &result["schema"]),
        (&json!(false), &json!("tidegate.create/1"))
    );
    let posts = posts(&server);
    assert_eq!(posts.len(), 1);
    let (asked, mark) = (&posts[0], result["mark"].as_str().unwrap());
    assert_eq!(asked["name"], "disk.img");
    assert_eq!((&asked["url"], &asked["region"]), (&json!(url), &json!("nyc3")));
    assert_eq!(asked["distribution"], "Debian");
    assert_eq!(asked["tags"], json!(["a", "b", mark]));
    assert!(asked["description"].as_str().unwrap().starts_with("mine [tidegate push "));
    let said = stderr(&output);
    assert!(said.contains("ACCEPT") && said.contains(mark) && said.contains("pending"), "{said}");
    // The image was read before anything was posted.
    let requests = server.requests();
    let at = |path: &str, method: &str| {
        requests.iter().position(|r| r.path == path && r.method == method).unwrap()
    };
    assert!(at("/disk.img", "GET") < at("/v2/images", "POST"));
}

#[test]
fn what_is_replaced_after_the_check_is_not_taken_for_what_was_checked() {
    let other = || Object { etag: Some("\"v2\"".into()), ..Object::new(disk()) };
    // How often the file was asked for before it was replaced: by the check alone, or until the import began.
    for (replaced_by, posted) in [("check", 0), ("import", 1)] {
        let asked = std::sync::Mutex::new((0, false));
        let first = Object::new(disk());
        let server = Server::new(move |request| {
            let mut asked = asked.lock().unwrap();
            match (request.method.as_str(), request.path.as_str()) {
                (_, "/disk.img") => {
                    let changed = if replaced_by == "check" { asked.0 > 0 } else { asked.1 };
                    asked.0 += usize::from(request.method == "GET");
                    if changed { other().answer(request) } else { first.answer(request) }
                }
                ("POST", "/v2/images") => {
                    asked.1 = true;
                    reply(202, &json!({"image": made(5, &request.body)}))
                }
                ("GET", "/v2/images/5") => reply(200, &json!({"image": image(5, "available")})),
                _ => Reply::status(404, Vec::new()),
            }
        });
        let url = server.url("disk.img");
        let arguments = ["--wait", "--interval", "10ms", "--format", "json", "--no-url-rules"];
        let create = ["create", url.as_str(), "--region", "nyc3"];
        let output = run(&server, &[&create[..], &arguments].concat());
        assert_eq!(exit_code(&output), 5, "{replaced_by}: {output:?}");
        let result = document(&output);
        assert_eq!(result["error"]["kind"], "changed", "{result}");
        assert_eq!((posts(&server).len(), result["image"].is_null()), (posted, posted == 0));
        let said = stderr(&output);
        assert!(said.contains("ETag"), "{said}");
        assert_eq!(said.contains("tidegate image delete 5"), posted == 1, "{said}");
    }
}

#[test]
fn what_the_check_rejects_is_never_posted() {
    let server = account(|_| Reply::status(500, Vec::new()));
    for (path, code, said) in
        [("page.img", 1, "content-html"), ("none.img", 3, "404"), ("disk.img", 1, "url-")]
    {
        let mut arguments = vec!["create", "--region", "nyc3", "--insecure-http"];
        let url = server.url(path);
        arguments.push(&url);
        if path != "disk.img" {
            arguments.push("--no-url-rules");
        }
        let output = run(&server, &arguments);
        assert_eq!(exit_code(&output), code, "{output:?}");
        assert!(stderr(&output).contains(said), "{output:?}");
        assert!(stderr(&output).contains("nothing was created"), "{output:?}");
        // It is said once.
        let word = if code == 1 { "REJECT" } else { "ERROR" };
        assert_eq!(stderr(&output).matches(word).count(), 1, "{output:?}");
    }
    assert!(posts(&server).is_empty());
    let asked = server.requests().into_iter().map(|request| request.path);
    assert!(
        asked.filter(|path| path.starts_with("/v2")).all(|path| path.starts_with("/v2/regions"))
    );
}

#[test]
fn unchecked_reads_nothing() {
    let server = account(|request| match request.method.as_str() {
        "POST" => reply(202, &json!({"image": made(5, &request.body)})),
        _ => Reply::status(403, fixture("error-403.json")),
    });
    let url = server.url("page.img");
    let common = ["create", &url, "--region", "nyc9", "--unchecked", "--no-mark-tag"];
    for more in [&[][..], &["--no-url-rules"]] {
        let output = run(&server, &[&common[..], more].concat());
        assert_eq!(exit_code(&output), 0, "{output:?}");
        assert!(stderr(&output).contains("did you mean \"nyc1\"?"), "{output:?}");
        assert!(stdout(&output).starts_with("5  page.img\n"), "{output:?}");
    }
    let asked: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    let once = ["/v2/regions?per_page=200", "/v2/images"];
    assert_eq!(asked, [once, once].concat());
    assert!(posts(&server)[0].get("tags").is_none());
}

#[test]
fn a_system_that_nobody_found_is_in_no_description() {
    let server = account(|request| match request.method.as_str() {
        "POST" => reply(202, &json!({"image": made(5, &request.body)})),
        _ => regions(),
    });
    let url = server.url("disk.img");
    let common = ["create", &url, "--region", "nyc3", "--describe", "--no-url-rules"];
    let output = run(&server, &[&common[..], &["--description", "mine"]].concat());
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let said = "tidegate: the description does not name the system: the disk was not examined";
    assert!(stderr(&output).contains(said), "{output:?}");
    let posted = posts(&server).remove(0);
    let description = posted["description"].as_str().unwrap();
    assert!(description.starts_with("mine [tidegate"), "{description}");
    // Without a check there is nothing to describe.
    assert_eq!(exit_code(&run(&server, &[&common[..], &["--unchecked"]].concat())), 2);
}

#[test]
fn an_unknown_outcome_is_said_and_posted_once() {
    let server = account(|request| match request.method.as_str() {
        "POST" => Reply::status(504, b"<html>".to_vec()),
        _ => list(&[]),
    });
    let url = server.url("disk.img");
    let common = ["create", &url, "--region", "nyc3", "--unchecked", "--settle", "50ms"];
    let output = run(&server, &common);
    assert_eq!((exit_code(&output), stdout(&output)), (4, ""), "{output:?}");
    let said = stderr(&output);
    assert!(
        said.contains("the outcome is unknown") && said.contains("list --tag tidegate-"),
        "{said}"
    );
    assert_eq!(posts(&server).len(), 1);
    assert!(!said.contains("posting again") && !said.contains("twice"), "{said}");
    let output = run(&server, &[&common[..], &["--retry-create"]].concat());
    assert_eq!(posts(&server).len(), 3);
    let said = stderr(&output);
    assert!(said.contains("the new image: not found after"), "{said}");
    assert!(said.contains("; posting again\n") && said.contains("there may be two\n"), "{said}");
}

#[test]
fn a_second_post_is_told_with_what_it_made() {
    for lists in [true, false] {
        let kept = std::sync::Mutex::new(Vec::new());
        let server = account(move |request| {
            let mut kept = kept.lock().unwrap();
            if request.method == "GET" {
                return list(if lists && kept.len() == 2 { &kept } else { &[] });
            }
            let id = 100 + kept.len() as u64;
            kept.push(made(id, &request.body));
            match kept.len() {
                1 => Reply::status(504, Vec::new()),
                _ => reply(202, &json!({"image": kept[1]})),
            }
        });
        let url = server.url("disk.img");
        let common = ["create", &url, "--region", "nyc3", "--unchecked", "--settle", "50ms"];
        let output = run(&server, &[&common[..], &["--retry-create"]].concat());
        assert_eq!((exit_code(&output), posts(&server).len()), (0, 2), "{output:?}");
        let said = stderr(&output);
        let told = match lists {
            true => "there are two images with the same mark: 101 and 100",
            false => "it was posted twice, so there may be another image with the same mark",
        };
        assert!(said.contains("; posting again\n") && said.contains(told), "{said}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_was_done_is_told_where_the_result_cannot_be_written() {
    let server = account(|request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v2/images") => reply(202, &json!({"image": made(5, &request.body)})),
        ("POST", _) => Reply::status(201, fixture("action.json")),
        ("DELETE", _) => Reply::status(204, Vec::new()),
        (_, path) if path.starts_with("/v2/regions") => regions(),
        _ => reply(200, &json!({"image": image(7, "available")})),
    });
    let url = server.url("disk.img");
    let create = ["create", &url, "--region", "nyc3", "--unchecked"];
    for (command, done) in [
        (&create[..], "image 5 was created"),
        (&["transfer", "7", "--region", "fra1"], "of image 7: fra1 started (action 36805527)"),
        (&["convert", "7"], "the conversion of image 7 was begun as action 36805527"),
        (&["delete", "7", "--yes"], "image 7 was deleted"),
        (&["update", "7", "--name", "x"], "image 7 was changed"),
    ] {
        for format in ["text", "json"] {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let mut program = image_command(&server);
            let output =
                program.args(command).args(["--format", format]).stdout(full).output().unwrap();
            assert_eq!(exit_code(&output), 4, "{command:?}: {output:?}");
            let said = stderr(&output);
            assert!(said.contains("cannot write the report") && said.contains(done), "{said}");
        }
    }
}

#[test]
fn an_import_that_failed_before_the_answer_is_exit_5() {
    let server = account(|request| match request.method.as_str() {
        "POST" => {
            let mut image = made(5, &request.body);
            (image["status"], image["error_message"]) = ("deleted".into(), "no image there".into());
            reply(202, &json!({"image": image}))
        }
        _ => regions(),
    });
    let url = server.url("disk.img");
    let output = run(&server, &["create", &url, "--region", "nyc3", "--unchecked"]);
    assert_eq!(exit_code(&output), 5, "{output:?}");
    assert!(stdout(&output).starts_with("5  disk.img\n"), "{output:?}");
    assert!(stderr(&output).contains("image 5 failed (deleted): no image there"), "{output:?}");
}

#[test]
fn a_create_takes_one_region_and_tags_with_names() {
    let server = account(|_| regions());
    let url = server.url("disk.img");
    for (more, said) in [
        (&["--region", "nyc3,ams3"][..], "a transfer copies it"),
        (&["--region", ""], "--region"),
        (&["--region", " "], "in one region"),
        (&["--region", "nyc3", "--tag", ""], "--tag"),
        (&["--region", "nyc3", "--tag", "a,,b"], "a tag has a name"),
    ] {
        let output = run(&server, &[&["create", &url, "--unchecked"], more].concat());
        assert_eq!(exit_code(&output), 2, "{more:?}: {output:?}");
        assert!(stderr(&output).contains(said), "{more:?}: {output:?}");
    }
    assert_eq!(exit_code(&run(&server, &["list", "--tag", " "])), 2);
    assert!(server.requests().is_empty());
}

#[test]
fn an_adopted_image_and_a_stray_one_are_told() {
    let kept = std::sync::Mutex::new(Vec::new());
    let server = account(move |request| {
        let mut kept = kept.lock().unwrap();
        match request.method.as_str() {
            "POST" => {
                kept.push(made(8, &request.body));
                Reply { silent: true, ..Reply::status(202, Vec::new()) }
            }
            _ => list(&kept),
        }
    });
    let url = server.url("disk.img");
    let output =
        run(&server, &["create", &url, "--region", "nyc3", "--unchecked", "--format", "json"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(document(&output)["adopted"], true);
    assert!(stderr(&output).contains("image 8 was made and is adopted"), "{output:?}");
    assert_eq!(posts(&server).len(), 1);

    let published = fixture("two-documents.txt");
    let mut documents = serde_json::Deserializer::from_slice(&published).into_iter::<Value>();
    let [refusal, made] = [documents.next().unwrap().unwrap(), documents.next().unwrap().unwrap()];
    let published = String::from_utf8(published.clone()).unwrap();
    for body in [published, format!("{made}\n{refusal}")] {
        let server = account(move |_| Reply::status(400, body.clone().into_bytes()));
        let url = server.url("disk.img");
        let output = run(&server, &["create", &url, "--region", "nyc3", "--unchecked"]);
        assert_eq!(exit_code(&output), 4);
        let said = stderr(&output);
        assert!(said.contains("tidegate image delete 95739054"), "{said}");
        assert!(said.contains("Your source URL is unreachable"), "{said}");
    }
}

#[test]
fn a_failed_import_is_exit_5_with_its_reason() {
    let server = account(|_| {
        let mut image = image(5, "deleted");
        // As long as DigitalOcean's own: nothing of it is cut.
        let reason =
            format!("We don't support the\u{1b}[31m {}compression format", "x ".repeat(120));
        image["error_message"] = reason.into();
        reply(200, &json!({"image": image}))
    });
    let output = run(&server, &["wait", "5"]);
    assert_eq!(exit_code(&output), 5);
    let said = stderr(&output);
    assert!(said.contains("image 5 failed (deleted): We don't support the\\u{1b}"), "{said}");
    assert!(said.ends_with("compression format\n"), "{said}");
}

#[test]
fn every_refusal_is_exit_4() {
    for status in [401, 403, 404, 409, 422, 429, 500] {
        let server =
            account(move |_| Reply::status(status, fixture(&format!("error-{status}.json"))));
        let id = ["7"];
        for command in ["get", "convert", "actions", "list", "delete", "update"] {
            let mut arguments = vec![command, "--retries", "0"];
            arguments.extend(if command == "list" { &[] } else { &id[..] });
            arguments.extend(match command {
                "delete" => &["--yes"][..],
                "update" => &["--name", "x"],
                _ => &[],
            });
            let output = run(&server, &arguments);
            assert_eq!((exit_code(&output), stdout(&output)), (4, ""), "{command}: {output:?}");
            assert!(stderr(&output).contains(&format!("({status}")), "{command}: {output:?}");
            let named = stderr(&output).contains("DigitalOcean: image 7: ");
            assert_eq!(named, command != "list", "{command}: {output:?}");
        }
    }
}

#[test]
fn what_cannot_be_read_of_a_list_is_left_out_and_told() {
    let server = account(|_| {
        let mut other = image(2, "available");
        other["id"] = json!({"a": 1});
        other["name"] = json!("the \u{1b}other");
        list(&[image(1, "available"), other, json!("x"), image(3, "available")])
    });
    for more in [&[][..], &["--quiet"]] {
        let output = run(&server, &[&["list", "--format", "json"], more].concat());
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let listed = document(&output)["images"].clone();
        let ids: Vec<_> = listed.as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
        assert_eq!(ids, [1, 3]);
        let said = stderr(&output);
        assert!(
            said.contains("number 2 on page 1 of the images, \"the \\u{1b}other\" cannot be read"),
            "{said}"
        );
        assert!(said.contains("number 3 on page 1 of the images cannot be read"), "{said}");
    }
}

#[test]
fn who_refuses_a_connection_is_named() {
    let server = account(|_| Reply::status(404, Vec::new()));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = image_command(&server);
    command.env("DIGITALOCEAN_API_URL", format!("http://{free}"));
    let output = command.args(["list", "--retries", "0"]).output().unwrap();
    assert!(stderr(&output).contains(&format!("{free}: Connection refused")), "{output:?}");
}

#[test]
fn images_are_listed_shown_changed_and_deleted() {
    let server = account(|request| match request.method.as_str() {
        "DELETE" => Reply::status(204, Vec::new()),
        "GET" if request.path.starts_with("/v2/images?") => {
            list(&[image(1, "available"), image(22, "NEW")])
        }
        _ => reply(200, &json!({"image": image(22, "available")})),
    });
    let output = run(&server, &["list", "--private", "--tag", "a b", "--type", "distribution"]);
    let text = stdout(&output);
    assert!(
        text.starts_with("ID  NAME  TYPE    DISTRIBUTION  STATUS     REGIONS  SIZE\n1 "),
        "{text}"
    );
    let path = &server.requests()[0].path;
    assert!(path.contains("private=true&type=distribution&tag_name=a%20b"), "{path}");
    let output = run(&server, &["list", "--format", "json"]);
    assert_eq!(document(&output)["images"][1]["id"], 22);
    let output = run(&server, &["get", "22", "--format", "json"]);
    assert_eq!(document(&output)["image"]["distribution"], "Unknown OS");
    assert_eq!(document(&output)["image"]["error_message"], "");
    let output = run(&server, &["update", "22", "--name", "n", "--distribution", "debian"]);
    assert_eq!(exit_code(&output), 0);
    assert!(stderr(&output).contains("did you mean \"Debian\"?"), "{output:?}");
    assert_eq!(exit_code(&run(&server, &["update", "22"])), 2);
    assert_eq!(exit_code(&run(&server, &["delete", "22"])), 2);
    assert!(server.requests().iter().all(|request| request.method != "DELETE"));
    assert_eq!(stdout(&run(&server, &["delete", "22", "--yes"])), "deleted image 22\n");
    assert_eq!(exit_code(&run(&server, &["get", "../account"])), 2);
}

#[test]
fn what_stands_before_the_api_is_told_in_words() {
    for (answer, said) in [
        (
            Reply::status(302, Vec::new())
                .with("location", "https://me:pw@login.example/in?sig=pw"),
            "the API is not there: it redirects to https://login.example/in?…, which is not followed: the token \
             goes to http://127.0.0.1",
        ),
        (
            Reply::status(302, Vec::new()).with("location", "/v3/images"),
            "/v3/images of the same server, which is not followed: the API does not redirect",
        ),
        (Reply::status(301, Vec::new()), "it redirects elsewhere, which is not followed"),
        (
            Reply::status(502, b"<html>".to_vec()),
            "the API failed: the answer is a web page instead of JSON (502)",
        ),
        (
            Reply::status(200, b"<!DOCTYPE html><title>Sign in</title><script>var pw;".to_vec()),
            "the answer makes no sense: the answer is a web page instead of JSON: Sign in (200)",
        ),
    ] {
        let server = account(move |_| answer.clone());
        let output = run(&server, &["get", "7", "--retries", "0"]);
        assert_eq!(exit_code(&output), 4);
        let shown = stderr(&output);
        assert!(shown.contains(said) && !shown.contains("pw"), "{shown}");
    }
}

#[test]
fn a_token_without_the_scope_for_tags_is_helped() {
    let server = account(|_| Reply::status(403, fixture("error-403.json")));
    let url = server.url("disk.img");
    let common = ["create", &url, "--region", "nyc3", "--unchecked"];
    let output = run(&server, &common);
    assert_eq!(exit_code(&output), 4);
    let said = stderr(&output);
    assert!(said.contains("--no-mark-tag") && said.contains("image:create"), "{said}");
    let output = run(&server, &[&common[..], &["--no-mark-tag"]].concat());
    assert!(!stderr(&output).contains("--no-mark-tag"), "{output:?}");
    // What is not the API's knows nothing of scopes, whatever it has of their names.
    let page = b"<!DOCTYPE html><title>Attention Required! | Cloudflare</title>tag:create".to_vec();
    let server = account(move |_| Reply::status(403, page.clone()));
    let url = server.url("disk.img");
    let output = run(&server, &["create", &url, "--region", "nyc3", "--unchecked"]);
    assert_eq!(exit_code(&output), 4);
    let said = stderr(&output);
    assert!(!said.contains("scope") && !said.contains("--no-mark-tag"), "{said}");
    assert!(said.contains("not in the words of the API") && said.contains("Cloudflare"), "{said}");
}

#[test]
fn an_interrupted_wait_is_exit_130() {
    let server = account(|_| reply(200, &json!({"image": image(5, "pending")})));
    let mut child = image_command(&server).args(["wait", "5"]).spawn().unwrap();
    while server.requests().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn the_api_is_https_or_on_this_machine() {
    let server = account(|_| list(&[]));
    for (place, said) in [
        ("http://api.example", "plain http"),
        ("ftp://api.example", "only http and https"),
        ("https://me:pw@api.example/", "more than a host and a path"),
        ("https://api.example/?x=pw", "more than a host and a path"),
    ] {
        let output =
            image_command(&server).env("DIGITALOCEAN_API_URL", place).arg("list").output().unwrap();
        assert_eq!(exit_code(&output), 2, "{place}: {output:?}");
        assert!(stderr(&output).contains(said), "{place}: {output:?}");
        assert!(!stderr(&output).contains("pw"), "{place}: {output:?}");
    }
    assert_eq!(exit_code(&run(&server, &["list"])), 0);
}
