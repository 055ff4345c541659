//! What is published of the API: paths, statuses, bodies, headers, pages.

use serde_json::{Value, json};

use crate::common::*;
use crate::fixtures::*;
use crate::rig::*;

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// An image that is available, and its server.
fn available(rig: &Rig) -> (u64, Files) {
    let files = Files::serve(vec![("/disk.img", 200, disk())]);
    let id = rig.create("disk", &files.url("/disk.img"));
    rig.until(id, "available");
    (id, files)
}

#[test]
fn nobody_gets_in_without_the_token() {
    let rig = Rig::new(&[]);
    for headers in ["", "Authorization: Bearer \r\n", "Authorization: Bearer dop_v1_00\r\n"] {
        for (method, path) in [("GET", "/v2/images"), ("POST", "/v2/images"), ("GET", "/v2")] {
            let answer = exchange(&rig.address, method, path, headers, Some(CREATE)).unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (401, UNAUTHORIZED));
            assert!(!answer.header("x-request-id").is_empty());
        }
    }
    let empty = json!({"images": [], "actions": [], "objects": [], "uploads": [], "versions": []});
    assert_eq!(rig.state(), empty);
}

#[test]
fn a_create_call_is_answered_as_published() {
    let rig = Rig::new(&["--pace", "3600"]);
    let answer = rig.send("POST", "/v2/images", Some(CREATE));
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let mut made = answer.json();
    let mut published: Value = serde_json::from_str(CREATED).unwrap();
    for field in ["id", "created_at"] {
        let (of, was) = (&mut made["image"][field], &mut published["image"][field]);
        assert_eq!(of.is_u64(), was.is_u64(), "{field}");
        was.clone_from(of);
    }
    assert_eq!(made, published);
    let image = rig.image(made["image"]["id"].as_u64().unwrap());
    assert_eq!(keys(&image), IMAGE_KEYS);
    assert_eq!((&image["public"], &image["slug"]), (&json!(false), &Value::Null));
}

#[test]
fn what_a_create_call_needs() {
    let rig = Rig::new(&["--pace", "3600"]);
    for body in ["", "{", "[1,", "{} {}"] {
        let answer = rig.send("POST", "/v2/images", Some(body));
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["message"], "error parsing request body");
        assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
    }
    let good = json!({"name": "x", "url": "http://127.0.0.1:1/x.img", "region": "nyc3"});
    for (field, value) in [
        ("name", json!(null)),
        ("name", json!("")),
        ("name", json!(7)),
        ("url", json!(null)),
        ("url", json!("file:///etc/passwd")),
        ("region", json!(null)),
        ("region", json!("nyc9")),
        ("region", json!("ams1")),
        ("tags", json!("a")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = rig.post("/v2/images", &body);
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.json()["id"], "unprocessable_entity");
        assert_eq!(answer.json()["message"], "request payload validation failed");
    }
    assert_eq!(rig.state()["images"], json!([]));
    let mut body = good;
    body["tags"] = Value::Null;
    body["distribution"] = json!("Windows");
    let made = rig.post("/v2/images", &body).json();
    assert_eq!(
        (&made["image"]["tags"], &made["image"]["distribution"]),
        (&json!([]), &json!("Unknown"))
    );
}

#[test]
fn an_image_is_updated_and_deleted() {
    let rig = Rig::new(&[]);
    let (id, _files) = available(&rig);
    let path = format!("/v2/images/{id}");
    let changes = json!({"name": "new name", "distribution": "Debian", "description": "words"});
    let answer = rig.send("PUT", &path, Some(&changes.to_string()));
    assert_eq!(answer.status, 200);
    let image = rig.image(id);
    assert_eq!(answer.json()["image"], image);
    assert_eq!(
        [&image["name"], &image["distribution"], &image["description"]],
        ["new name", "Debian", "words"]
    );
    rig.send("PUT", &path, Some(r#"{"description": ""}"#));
    assert_eq!(
        (&rig.image(id)["name"], &rig.image(id)["description"]),
        (&json!("new name"), &json!(""))
    );

    let deleted = rig.send("DELETE", &path, None);
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    for (method, body) in [("GET", None), ("PUT", Some("{}")), ("DELETE", None)] {
        let answer = rig.send(method, &path, body);
        assert_eq!((answer.status, answer.body.as_str()), (404, NOT_FOUND), "{method}");
    }
    assert_eq!(rig.state()["images"], json!([]));
}

#[test]
fn what_is_not_there_is_not_found() {
    let rig = Rig::new(&[]);
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v2"),
        ("GET", "/v1/images"),
        ("GET", "/v2/images//"),
        ("GET", "/v2/images/1"),
        ("GET", "/v2/images/no-slug"),
        ("GET", "/v2/images/99999999999999999999"),
        ("PATCH", "/v2/images/1"),
        ("GET", "/v2/images/1/actions"),
        ("POST", "/v2/images/1/actions"),
        ("GET", "/v2/actions/1"),
        ("POST", "/_simulator/state"),
    ] {
        let answer = rig.send(method, path, Some(r#"{"type":"convert"}"#));
        assert_eq!((answer.status, answer.body.as_str()), (404, NOT_FOUND), "{method} {path}");
    }
}

#[test]
fn lists_have_pages_and_filters() {
    let rig = Rig::new(&["--pace", "3600", "--public-images"]);
    for number in 0..25 {
        let tag = if number % 2 == 0 { "even" } else { "odd" };
        let body = json!({"name": format!("n{number}"), "url": "http://127.0.0.1:1/x.img",
                          "region": "nyc3", "tags": [tag, "all"]});
        assert_eq!(rig.post("/v2/images", &body).status, 202);
    }
    let mut names = Vec::new();
    let mut path = "/v2/images?private=true&per_page=10".to_owned();
    loop {
        let page = rig.get(&path).json();
        assert_eq!(page["meta"], json!({"total": 25}));
        assert_eq!(keys(&page), ["images", "links", "meta"]);
        names.extend(page["images"].as_array().unwrap().iter().map(|image| image["name"].clone()));
        let Some(next) = page["links"]["pages"]["next"].as_str() else { break };
        path = next.strip_prefix(&rig.url("")).unwrap().to_owned();
    }
    assert_eq!(names, (0..25).map(|n| json!(format!("n{n}"))).collect::<Vec<_>>());

    let total =
        |query: &str| rig.get(&format!("/v2/images{query}")).json()["meta"]["total"].clone();
    for (query, expected) in [
        ("", 28),
        ("?private=true", 25),
        ("?type=distribution", 3),
        ("?type=application", 0),
        ("?tag_name=even", 13),
        ("?tag_name=odd&private=true", 12),
        ("?tag_name=none", 0),
        ("?tag_name=all&type=distribution", 0),
    ] {
        assert_eq!(total(query), expected, "{query}");
    }
    let ubuntu = rig.get("/v2/images/ubuntu-24-04-x64").json()["image"].clone();
    assert_eq!((&ubuntu["public"], &ubuntu["type"]), (&json!(true), &json!("base")));
    let denied = rig.send("DELETE", &format!("/v2/images/{}", ubuntu["id"]), None);
    assert_eq!((denied.status, denied.body.as_str()), (403, FORBIDDEN));
}

#[test]
fn actions_transfer_and_convert() {
    let rig = Rig::new(&[]);
    let (id, _files) = available(&rig);
    let path = format!("/v2/images/{id}/actions");
    let answer = rig.post(&path, &json!({"type": "transfer", "region": "sfo3"}));
    assert_eq!(answer.status, 201);
    let transfer = answer.json()["action"].clone();
    let published: Value = serde_json::from_str(TRANSFER).unwrap();
    assert_eq!(keys(&transfer), keys(&published["action"]));
    assert_eq!(keys(&transfer["region"]), keys(&published["action"]["region"]));
    assert_eq!(transfer["region"]["features"], published["action"]["region"]["features"]);
    assert_eq!(
        [
            &transfer["status"],
            &transfer["type"],
            &transfer["region_slug"],
            &transfer["resource_type"]
        ],
        ["in-progress", "transfer", "sfo3", "image"]
    );
    assert_eq!((&transfer["resource_id"], &transfer["completed_at"]), (&json!(id), &Value::Null));
    let transfer = transfer["id"].as_u64().unwrap();
    rig.action_until(transfer, "completed");
    assert_eq!(rig.image(id)["regions"], json!(["nyc3", "sfo3"]));

    let convert =
        rig.post(&path, &json!({"type": "convert"})).json()["action"]["id"].as_u64().unwrap();
    rig.action_until(convert, "completed");
    assert_eq!(rig.image(id)["type"], "snapshot");
    let list = rig.get(&path).json();
    assert_eq!((&list["meta"]["total"], &list["links"]), (&json!(2), &json!({})));
    let one = rig.get(&format!("{path}/{transfer}"));
    assert_eq!(one.json()["action"], list["actions"][0]);
    assert!(one.json()["action"]["completed_at"].is_string());
    assert_eq!(rig.get(&format!("/v2/actions/{transfer}")).json(), one.json());
    assert_eq!(rig.get(&format!("/v2/images/1/actions/{transfer}")).body, NOT_FOUND);

    for body in [json!({}), json!({"type": ""}), json!({"type": "rebuild"})] {
        let answer = rig.post(&path, &body);
        assert_eq!((answer.status, answer.body.as_str()), (404, NO_SUCH_ACTION));
    }
    for body in [
        json!({"type": "transfer"}),
        json!({"type": "transfer", "region": "sfo3"}),
        json!({"type": "transfer", "region": "nowhere"}),
        json!({"type": "convert"}),
    ] {
        assert_eq!(rig.post(&path, &body).status, 422, "{body}");
    }
}

#[test]
fn actions_are_bare_if_asked_for() {
    let rig = Rig::new(&["--action-shape", "bare"]);
    let (id, _files) = available(&rig);
    let path = format!("/v2/images/{id}/actions");
    let action = rig.post(&path, &json!({"type": "convert"})).json();
    assert_eq!(action["type"], "convert");
    assert_eq!(rig.get(&format!("{path}/{}", action["id"])).json()["id"], action["id"]);
    assert_eq!(rig.get(&format!("/v2/actions/{}", action["id"])).json()["id"], action["id"]);
    assert_eq!(rig.get(&path).json()["actions"][0]["id"], action["id"]);
}

#[test]
fn an_image_that_is_not_available_has_no_actions() {
    let rig = Rig::new(&["--pace", "3600"]);
    let id = rig.create("x", "http://127.0.0.1:1/x.img");
    for body in [json!({"type": "convert"}), json!({"type": "transfer", "region": "fra1"})] {
        assert_eq!(rig.post(&format!("/v2/images/{id}/actions"), &body).status, 422);
    }
}

#[test]
fn regions_are_listed() {
    let rig = Rig::new(&[]);
    let list = rig.get("/v2/regions").json();
    let regions = list["regions"].as_array().unwrap();
    assert_eq!(list["meta"]["total"], regions.len());
    for slug in [
        "ams1", "ams2", "ams3", "blr1", "fra1", "lon1", "nyc1", "nyc2", "nyc3", "sfo1", "sfo2",
        "sfo3", "sgp1", "tor1", "syd1", "atl1",
    ] {
        let region = regions.iter().find(|region| region["slug"] == slug).unwrap();
        assert_eq!(keys(region), ["available", "features", "name", "sizes", "slug"]);
    }
    let few = rig.get("/v2/regions?per_page=3&page=2").json();
    assert_eq!(few["regions"].as_array().unwrap().len(), 3);
    assert_eq!(few["links"]["pages"].as_object().unwrap().len(), 4);
}

#[test]
fn requests_are_counted() {
    let rig = Rig::new(&["--rate-limit", "6/4"]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for left in ["5", "4", "3", "2"] {
        let answer = rig.get("/v2/images");
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, left));
        assert_eq!(answer.header("ratelimit-limit"), "6");
        let reset: u64 = answer.header("ratelimit-reset").parse().unwrap();
        assert!((now + 3599..now + 3660).contains(&reset), "{reset}");
    }
    let answer = rig.get("/v2/images");
    assert_eq!((answer.status, answer.body.as_str()), (429, TOO_MANY));
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=61).contains(&wait));

    let rig = Rig::new(&["--rate-limit", "1/4"]);
    rig.get("/v2/images");
    let answer = rig.get("/v2/images");
    assert_eq!((answer.status, answer.header("ratelimit-remaining")), (429, "0"));
    assert!(!answer.headers.contains_key("retry-after"), "only a burst has it");
}

#[test]
fn a_slash_at_the_end_of_a_path_changes_nothing() {
    let rig = Rig::new(&[]);
    let (id, _files) = available(&rig);
    let action = rig.post(&format!("/v2/images/{id}/actions/"), &json!({"type": "convert"}));
    assert_eq!(action.status, 201);
    let action = action.json()["action"]["id"].clone();
    rig.action_until(action.as_u64().unwrap(), "completed");
    for path in [
        "/v2/images".to_owned(),
        format!("/v2/images/{id}"),
        format!("/v2/images/{id}/actions"),
        format!("/v2/images/{id}/actions/{action}"),
        format!("/v2/actions/{action}"),
        "/v2/actions".to_owned(),
        "/v2/regions".to_owned(),
        "/v2/tags".to_owned(),
        "/v2/spaces/keys".to_owned(),
    ] {
        let (with, without) = (rig.get(&format!("{path}/")), rig.get(&path));
        assert_eq!((with.status, without.status), (200, 200), "{path}");
        assert_eq!(with.json(), without.json(), "{path}");
        assert_eq!(rig.get(&format!("{path}/?per_page=1")).status, 200, "{path}");
        assert_eq!(rig.get(&format!("{path}//")).status, 404, "{path}");
    }
    assert_eq!(rig.send("DELETE", &format!("/v2/images/{id}/"), None).status, 204);
    assert_eq!(rig.get(&format!("/v2/images/{id}/")).status, 404);
}

#[test]
fn tags_and_actions_are_listed() {
    let rig = Rig::new(&[]);
    let (id, files) = available(&rig);
    let body =
        json!({"name": "x", "url": files.url("/disk.img"), "region": "nyc3", "tags": ["b", "a"]});
    let tagged = rig.post("/v2/images", &body).json()["image"]["id"].as_u64().unwrap();
    rig.until(tagged, "available");
    let tags = rig.get("/v2/tags").json();
    let names: Vec<&str> =
        tags["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert_eq!((names, &tags["meta"]["total"]), (vec!["a", "b"], &json!(2)));
    let tag = rig.get("/v2/tags/a").json();
    assert_eq!(tag["tag"]["resources"]["images"]["count"], 1);
    let last = tag["tag"]["resources"]["last_tagged_uri"].as_str().unwrap();
    assert!(last.ends_with(&format!("/v2/images/{tagged}")), "{last}");
    assert_eq!(rig.get("/v2/tags/c").status, 404);

    let mut started = Vec::new();
    for image in [id, tagged] {
        let convert = json!({"type": "convert"});
        let action = rig.post(&format!("/v2/images/{image}/actions"), &convert).json();
        started.push(action["action"]["id"].clone());
    }
    let listed = rig.get("/v2/actions?per_page=1").json();
    assert_eq!(listed["meta"]["total"], 2);
    assert_eq!(listed["actions"][0]["id"], started[1]);
    assert_eq!(rig.get("/v2/actions?per_page=1&page=2").json()["actions"][0]["id"], started[0]);
}
