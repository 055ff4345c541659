//! What is done with an image that is there: copies, conversions, and the regions that they go to.

use serde_json::{Value, json};

use crate::commands::{account, document, posts, run};
use crate::common::*;
use crate::server::Reply;
use crate::support::*;

/// Regions of a scripted API.
pub(crate) fn regions() -> Reply {
    let region = |slug: &str, features: &[&str]| json!({"slug": slug, "name": slug, "features": features, "available": true, "sizes": []});
    reply(
        200,
        &json!({"regions": [region("nyc3", &["image_transfer"]), region("fra1", &["image_transfer"]),
            region("ams3", &["image_transfer"]), region("nyc2", &["storage"]),
            region("mars1", &[])], "links": {}, "meta": {"total": 5}}),
    )
}

#[test]
fn transfers_go_their_own_ways() {
    for wrapped in [true, false] {
        let server = account(move |request| {
            let action = |id: u64, status: &str, region: &str| {
                let action =
                    json!({"id": id, "type": "transfer", "status": status, "region_slug": region});
                reply(201, &if wrapped { json!({"action": action}) } else { action })
            };
            match (request.method.as_str(), request.path.split('?').next().unwrap()) {
                ("GET", "/v2/images/7") => reply(200, &json!({"image": image(7, "available")})),
                ("GET", "/v2/regions") => regions(),
                ("POST", _) => {
                    let asked: Value = serde_json::from_slice(&request.body).unwrap();
                    match asked["region"].as_str().unwrap() {
                        "fra1" => action(1, "in-progress", "fra1"),
                        _ => Reply::status(422, fixture("error-422.json")),
                    }
                }
                ("GET", "/v2/images/7/actions/1") => action(1, "completed", "fra1"),
                _ => Reply::status(404, Vec::new()),
            }
        });
        let list = "nyc3,ams3,fra1,nyc2,fra2,fra1";
        let arguments =
            ["transfer", "7", "--region", list, "--wait", "--interval", "10ms", "--format", "json"];
        let output = run(&server, &arguments);
        assert_eq!(exit_code(&output), 4, "{output:?}");
        let result = document(&output);
        let outcomes: Vec<(&str, &str)> = result["transfers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| (t["region"].as_str().unwrap(), t["outcome"].as_str().unwrap()))
            .collect();
        assert_eq!(
            outcomes,
            [
                ("nyc3", "present"),
                ("ams3", "failed"),
                ("fra1", "completed"),
                ("nyc2", "failed"),
                ("fra2", "failed")
            ]
        );
        let why = |at: usize| result["transfers"][at]["error"].as_str().unwrap().to_owned();
        assert!(why(1).contains("request payload validation failed"), "{}", why(1));
        assert!(why(3).contains("image_transfer"), "{}", why(3));
        assert!(why(4).contains("did you mean fra1?"), "{}", why(4));
        assert_eq!(posts(&server).len(), 2);
    }
}

#[test]
fn conversions_and_actions_are_shown() {
    let server = account(|request| match request.path.split('?').next().unwrap() {
        "/v2/images/7/actions" if request.method == "GET" => {
            let mut action: Value = serde_json::from_slice(&fixture("action.json")).unwrap();
            reply(200, &json!({"actions": [action["action"].take()], "meta": {"total": 1}}))
        }
        _ => Reply::status(201, fixture("action.json")),
    });
    let output = run(&server, &["convert", "7"]);
    assert!(stdout(&output).contains("36805527  transfer  in-progress  nyc3"), "{output:?}");
    assert_eq!(posts(&server), [json!({"type": "convert"})]);
    for more in [&["7"][..], &["7", "36805527"]] {
        let output = run(&server, &[&["actions", "--format", "json"], more].concat());
        assert_eq!(document(&output)["actions"][0]["id"], 36_805_527, "{output:?}");
    }
}

#[test]
fn an_action_is_found_among_all_where_it_is_missing_among_those_of_its_image() {
    for (owner, code) in [(7_938_269, 0), (8, 4)] {
        let server = account(move |request| match request.path.as_str() {
            "/v2/actions/36805527" => {
                let mut body: Value = serde_json::from_slice(&fixture("action.json")).unwrap();
                body["action"]["resource_id"] = owner.into();
                reply(200, &body)
            }
            _ => Reply::status(404, fixture("error-404.json")),
        });
        let output = run(&server, &["actions", "7938269", "36805527"]);
        assert_eq!(exit_code(&output), code, "{output:?}");
    }
}

#[test]
fn a_region_is_held_against_those_of_the_api() {
    let server = account(|request| match request.method.as_str() {
        "POST" => reply(202, &json!({"image": made(5, &request.body)})),
        _ => regions(),
    });
    let url = server.url("disk.img");
    // What the API has is known, whatever is published; and the other way round.
    for (region, warned) in [
        ("fra1", ""),
        ("mars1", "did you mean \"mars1\"?"),
        ("fra2", "\"fra1\"?"),
        ("sgp1", "known are"),
    ] {
        let given = if region == "mars1" { "mars2" } else { region };
        let output = run(&server, &["create", &url, "--region", given, "--unchecked"]);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let said = stderr(&output);
        assert_eq!(said.contains("warning: "), !warned.is_empty(), "{said}");
        assert!(said.contains(warned), "{said}");
    }
    let output = run(&server, &["create", &url, "--region", "mars1", "--unchecked"]);
    assert!(!stderr(&output).contains("warning"), "{output:?}");
    assert_eq!(posts(&server).len(), 5);
}

#[test]
fn a_transfer_goes_on_without_the_regions() {
    let server = account(|request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v2/images/7") => reply(200, &json!({"image": image(7, "available")})),
        ("POST", _) => Reply::status(201, fixture("action.json")),
        _ => Reply::status(403, fixture("error-403.json")),
    });
    let output = run(&server, &["transfer", "7", "--region", "fra2,fra1"]);
    assert_eq!((exit_code(&output), posts(&server).len()), (0, 2), "{output:?}");
    assert!(stderr(&output).contains("\"fra2\" is no known region; did you mean \"fra1\"?"));
    assert_eq!(stderr(&output).lines().count(), 1, "{output:?}");
}
