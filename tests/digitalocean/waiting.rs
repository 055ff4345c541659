//! Imports and actions are waited for, whatever happens in between.

use serde_json::{Value, json};
use tidegate::digitalocean::wait::{self, WaitError};
use tidegate::digitalocean::{Action, ActionStatus, Image, Kind, PushId, RegionSlug};

use crate::server::{Reply, Request, Server};
use crate::support::*;

/// Waits for image 1 of a server.
fn wait(
    push: Option<&PushId>,
    plan: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Result<Image, WaitError>, Vec<String>) {
    let server = Server::new(plan);
    let (client, said) = told(&server);
    let result = client.wait(wait::image(&client, 1, push, patience(), &mut None));
    let said = said.lock().unwrap().clone();
    (result, said)
}

fn answer(image: Value) -> Reply {
    reply(200, &json!({"image": image}))
}

fn missing() -> Reply {
    Reply::status(404, fixture("error-404.json"))
}

#[test]
fn an_import_is_followed_to_its_end() {
    let (result, said) = wait(None, |request| {
        let status = ["NEW", "new", "pending", "somewhat", "AVAILABLE"][request.before.min(4)];
        answer(image(1, status))
    });
    assert!(result.unwrap().is_available());
    assert_eq!(said.len(), 4);
    assert!(said[2].contains("status: \"pending\""), "{said:?}");
}

#[test]
fn a_failed_import_has_its_reason() {
    for status in ["deleted", "retired", "Deleted"] {
        let reason = "We had a problem decompressing your file.";
        let (result, _) = wait(None, move |request| {
            let mut image = image(1, if request.before == 0 { "pending" } else { status });
            if request.before > 0 {
                image["error_message"] = reason.into();
            }
            answer(image)
        });
        let Err(WaitError::Failed(image)) = result else { panic!("{status}: {result:?}") };
        assert_eq!(image.failure(), Some(reason));
    }
    // No reason, no invention.
    let (result, _) = wait(None, |_| answer(image(1, "deleted")));
    let Err(WaitError::Failed(image)) = result else { panic!("{result:?}") };
    assert_eq!(image.failure(), None);
}

#[test]
fn a_message_before_the_end_is_shown_and_ends_nothing() {
    for status in ["pending", "NEW", "somewhat"] {
        let (result, said) = wait(None, move |request| {
            let mut image = image(1, if request.before < 2 { status } else { "available" });
            if request.before == 1 {
                image["error_message"] = "The importer is busy.".into();
            }
            answer(image)
        });
        assert!(result.unwrap().is_available(), "{status}");
        assert!(said[0].contains("remark: None"), "{said:?}");
        assert!(said[1].contains("remark: Some(\"The importer is busy.\")"), "{said:?}");
    }
    let (result, _) = wait(None, |_| {
        let mut image = image(1, "pending");
        image["error_message"] = "\u{1b}busy".into();
        answer(image)
    });
    let said = result.unwrap_err().to_string();
    assert!(said.ends_with("its last status was pending (\\u{1b}busy)"), "{said}");
}

#[test]
fn a_gap_and_failures_in_between_are_survived() {
    let (result, _) = wait(None, |request| match request.before {
        0 => answer(image(1, "pending")),
        1 => missing(),
        // The look for its other number.
        2 => list(&[image(9, "available")].map(|mut image| {
            image["created_at"] = "2020-01-01T00:00:00Z".into();
            image
        })),
        3 => Reply::status(502, b"<html>".to_vec()),
        _ => answer(image(1, "available")),
    });
    assert_eq!(result.unwrap().id, 1);
}

#[test]
fn a_changed_id_is_followed() {
    let push = PushId::random();
    for marked in [true, false] {
        let mark = push.clone();
        let (result, _) = wait(marked.then_some(&push), move |request| {
            let mut other = image(2, "available");
            if marked {
                other["description"] = format!("x {}", mark.note()).into();
            }
            match request.path.as_str() {
                "/v2/images/1" if request.before == 0 && !marked => answer(image(1, "pending")),
                "/v2/images/1" => missing(),
                "/v2/images/2" => answer(other),
                path if path.contains("tag_name") => list(&[]),
                _ => list(&[image(3, "available"), other].map(|mut image| {
                    if image["id"] == 3 {
                        image["name"] = "another".into();
                    }
                    image
                })),
            }
        });
        assert_eq!(result.unwrap().id, 2, "marked: {marked}");
    }
}

#[test]
fn two_that_could_be_meant_are_none() {
    let (result, _) = wait(None, |request| match request.path.as_str() {
        "/v2/images/1" if request.before == 0 => answer(image(1, "pending")),
        "/v2/images/1" => missing(),
        _ => list(&[image(2, "available"), image(3, "available")]),
    });
    let Err(WaitError::Api(error)) = result else { panic!("{result:?}") };
    assert!(matches!(error.kind, Kind::NotFound));
}

#[test]
fn what_never_ends_is_given_up() {
    let (result, _) = wait(None, |_| answer(image(1, "pen\u{1b}ding")));
    let Err(error @ WaitError::TimedOut { .. }) = result else { panic!("{result:?}") };
    assert!(error.to_string().ends_with("pen\\u{1b}ding"), "{error}");
    let (result, _) = wait(None, |_| Reply::status(401, fixture("error-401.json")));
    let Err(WaitError::Api(error)) = result else { panic!("{result:?}") };
    assert!(matches!(error.kind, Kind::Unauthorized));
}

/// Waits for an action that begins like this.
fn act(
    begin: Value,
    plan: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Result<Action, WaitError> {
    let server = Server::new(plan);
    let client = client(&server);
    let begin: Action = serde_json::from_value(begin).unwrap();
    client.wait(wait::action(&client, 7, begin, Some(&RegionSlug::Fra1), patience()))
}

#[test]
fn actions_are_followed_in_both_shapes() {
    for wrapped in [true, false] {
        let done = act(json!({"id": 5, "status": "in-progress"}), move |request| {
            // Where it is missing, it is looked for among all actions.
            let all = request.before == 2;
            let path = if all { "/v2/actions/5" } else { "/v2/images/7/actions/5" };
            assert_eq!(request.path, path);
            let status = ["in-progress", "", "", "completed"][request.before.min(3)];
            let action = json!({"id": 5, "type": "transfer", "status": status});
            match request.before {
                1 | 2 => missing(),
                _ if wrapped => reply(200, &json!({"action": action})),
                _ => reply(200, &action),
            }
        });
        assert_eq!(done.unwrap().status, ActionStatus::Completed);
    }
    let failed = act(json!({"id": 5, "status": "in-progress"}), |_| {
        reply(200, &json!({"action": {"id": 5, "status": "errored"}}))
    });
    assert!(matches!(failed, Err(WaitError::Errored(_))), "{failed:?}");
}

#[test]
fn an_action_without_a_number_is_seen_by_its_effect() {
    let done = act(json!({"status": "in-progress"}), |request| {
        let mut image = image(7, "available");
        if request.before > 1 {
            image["regions"] = json!(["nyc3", "fra1"]);
        }
        answer(image)
    });
    assert_eq!(done.unwrap().status, ActionStatus::Completed);
}
