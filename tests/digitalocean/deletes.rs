//! A deletion is followed to what became of it.

use serde_json::json;

use crate::commands::{account, document, run};
use crate::common::*;
use crate::server::{Reply, Server};
use crate::support::*;

fn deletes(server: &Server) -> usize {
    server.requests().iter().filter(|request| request.method == "DELETE").count()
}

fn missing() -> Reply {
    Reply::status(404, fixture("error-404.json"))
}

/// Answers that say neither yes nor no.
fn lost() -> Vec<Reply> {
    let mut lost = vec![Reply { silent: true, ..Reply::status(204, Vec::new()) }];
    lost.extend([500, 502, 504].map(|status| Reply::status(status, b"<html>".to_vec())));
    lost
}

#[test]
fn what_is_gone_was_deleted_whatever_was_answered() {
    for answer in lost() {
        for gone in [missing(), reply(200, &json!({"image": image(7, "deleted")}))] {
            let answer = answer.clone();
            let server = account(move |request| match request.method.as_str() {
                "DELETE" => answer.clone(),
                _ => gone.clone(),
            });
            let output = run(&server, &["delete", "7", "--yes", "--format", "json"]);
            assert_eq!((exit_code(&output), deletes(&server)), (0, 1), "{output:?}");
            assert_eq!(document(&output)["image"], 7);
            assert!(stderr(&output).contains("was not answered"), "{output:?}");
            assert!(stderr(&output).contains("image 7 is gone"), "{output:?}");
        }
    }
}

#[test]
fn what_is_still_there_is_deleted_once_more() {
    for answer in lost() {
        for second in [missing(), Reply::status(204, Vec::new())] {
            let answer = answer.clone();
            let server = account(move |request| match (request.method.as_str(), request.before) {
                ("DELETE", 0) => answer.clone(),
                ("DELETE", _) => second.clone(),
                _ => reply(200, &json!({"image": image(7, "available")})),
            });
            let output = run(&server, &["delete", "7", "--yes"]);
            assert_eq!((exit_code(&output), deletes(&server)), (0, 2), "{output:?}");
            assert_eq!(stdout(&output), "deleted image 7\n");
        }
    }
}

#[test]
fn what_nobody_knows_is_unknown() {
    for look in
        [reply(200, &json!({"image": image(7, "available")})), Reply::status(403, Vec::new())]
    {
        let server = account(move |request| match request.method.as_str() {
            "DELETE" => Reply::status(504, Vec::new()),
            _ => look.clone(),
        });
        let output = run(&server, &["delete", "7", "--yes"]);
        assert_eq!((exit_code(&output), deletes(&server)), (4, 3), "{output:?}");
        let said = stderr(&output);
        assert!(said.contains("the outcome is unknown; `tidegate image get 7` tells"), "{said}");
        assert!(said.contains("(504)") && stdout(&output).is_empty(), "{said}");
    }
    // What was never there was not deleted by this run.
    let server = account(|_| missing());
    let output = run(&server, &["delete", "7", "--yes"]);
    assert_eq!((exit_code(&output), server.requests().len()), (4, 1), "{output:?}");
}
