//! Every status is an error with a meaning.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tidegate::digitalocean::{Client, Error, ImageKey, Kind, Options, Token};
use tidegate::net;

use crate::server::{Reply, Server};
use crate::support::*;

/// What a get of an image ends with, and how often it was asked.
fn get(reply: Reply) -> (Error, usize) {
    let server = Server::new(move |_| reply.clone());
    let client = client(&server);
    let error = client.wait(client.images().get(&ImageKey::Id(1))).unwrap_err();
    (error, server.requests().len())
}

fn published(status: u16) -> Reply {
    Reply::status(status, fixture(&format!("error-{status}.json")))
        .with("x-request-id", "from-header")
}

#[test]
fn every_published_error_is_typed() {
    let is = |status: u16, asked: usize, is: fn(&Kind) -> bool| {
        let (error, requests) = get(published(status));
        assert!(is(&error.kind), "{status}: {error:?}");
        assert_eq!((error.status, requests), (Some(status), asked), "{error:?}");
        let has_own = matches!(status, 400 | 422);
        let id = if has_own { "4851a473-1621-42ea-b2f9-5071c0ea8414" } else { "from-header" };
        assert_eq!(error.request_id.as_deref(), Some(id));
        assert!(error.to_string().contains(&error.message), "{error}");
        assert!(error.to_string().contains(id), "{error}");
    };
    is(400, 1, |kind| matches!(kind, Kind::Invalid { stray: None }));
    is(401, 1, |kind| matches!(kind, Kind::Unauthorized));
    is(403, 1, |kind| {
        matches!(kind, Kind::Forbidden { missing: None, needed: Some("image:read") })
    });
    is(404, 1, |kind| matches!(kind, Kind::NotFound));
    is(409, 1, |kind| matches!(kind, Kind::Conflict));
    is(422, 1, |kind| matches!(kind, Kind::Invalid { stray: None }));
    is(429, 3, |kind| matches!(kind, Kind::RateLimited { until: None }));
    is(500, 3, |kind| matches!(kind, Kind::Server));
}

#[test]
fn a_scope_that_the_api_names_is_named() {
    let said =
        json!({"id": "forbidden", "message": "You are missing the required permission tag:create"});
    let (error, _) = get(reply(403, &said));
    assert!(
        matches!(&error.kind, Kind::Forbidden { missing: Some(scope), .. } if scope == "tag:create"),
        "{error:?}"
    );
    assert!(error.to_string().starts_with("the token lacks the scope tag:create"));
}

#[test]
fn what_is_no_json_is_understood_too() {
    let (error, _) =
        get(Reply::status(504, b"<html>\x1b[31m<h1>504 Time-out</h1></html>".to_vec()));
    assert!(matches!(error.kind, Kind::Server), "{error:?}");
    assert!(error.to_string().contains("504 Time-out") && !error.to_string().contains('\x1b'));
    let (error, _) = get(Reply::status(404, Vec::new()));
    assert!(matches!(error.kind, Kind::NotFound));
    let (error, _) = get(Reply::status(200, b"<html>".to_vec()));
    assert!(matches!(error.kind, Kind::NotJson), "{error:?}");
    let (error, _) = get(reply(200, &json!({"image": {"name": "no id"}})));
    assert!(matches!(error.kind, Kind::Incomplete), "{error:?}");
    let (error, _) = get(reply(200, &json!({"picture": {}})));
    assert!(matches!(error.kind, Kind::Incomplete), "{error:?}");
    let (error, requests) = get(Reply::status(302, Vec::new()).with("location", "/elsewhere"));
    assert!(matches!(error.kind, Kind::Unexpected) && requests == 1, "{error:?}");
    let (error, _) = get(Reply::status(200, vec![b' '; 5 << 20]));
    assert!(matches!(error.kind, Kind::Transport { kind: net::Kind::Protocol, .. }), "{error:?}");
}

#[test]
fn the_network_fails_by_name() {
    let (error, requests) = get(Reply { silent: true, ..Reply::status(200, Vec::new()) });
    assert!(matches!(error.kind, Kind::Transport { unsent: false, .. }), "{error:?}");
    assert_eq!(requests, 3);
    let server = Server::new(|_| Reply::status(200, Vec::new()));
    let nobody = client(&server);
    drop(server);
    let error = nobody.wait(nobody.images().get(&ImageKey::Id(1))).unwrap_err();
    assert!(matches!(error.kind, Kind::Transport { unsent: true, .. }), "{error:?}");
    assert!(!error.is_ambiguous());
}

#[test]
fn a_handshake_that_fails_has_sent_nothing() {
    // Nothing that speaks TLS is there.
    let server = Server::new(|_| Reply::status(200, Vec::new()));
    let base = format!("https://127.0.0.1:{}", server.port());
    let options = Options {
        base: net::Address::parse(&base).unwrap(),
        net: net::Options { retries: 0, ..net::Options::default() },
        listener: None,
    };
    let client = Client::new(&Token::new(TOKEN).unwrap(), options).unwrap();
    let error = client.wait(client.images().create(&request())).unwrap_err();
    assert!(matches!(error.kind, Kind::Transport { unsent: true, .. }), "{error:?}");
    assert!(!error.is_ambiguous());
}

#[test]
fn a_failure_that_passes_is_waited_out() {
    let server = Server::new(|request| match request.before {
        0 => published(500),
        1 => Reply { cut: Some(3), ..reply(200, &json!({"image": image(1, "available")})) },
        _ => reply(200, &json!({"image": image(1, "available")})),
    });
    let (client, said) = told(&server);
    assert!(client.wait(client.images().get(&ImageKey::Id(1))).unwrap().is_available());
    assert_eq!(server.requests().len(), 3);
    assert_eq!(said.lock().unwrap().len(), 2);
    let sent = &server.requests()[0].headers;
    assert_eq!(sent["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(sent["accept"], "application/json");
}

#[test]
fn the_rate_limit_is_waited_for_and_seen() {
    let server = Server::new(|request| match request.before {
        0 => published(429).with("retry-after", "1").with("ratelimit-remaining", "0"),
        _ => reply(200, &json!({"image": image(1, "available")}))
            .with("ratelimit-limit", "5000")
            .with("ratelimit-remaining", "4987"),
    });
    let client = client(&server);
    assert_eq!(client.budget().remaining, None);
    let began = Instant::now();
    client.wait(client.images().get(&ImageKey::Id(1))).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(server.requests().len(), 2);
    assert_eq!(client.budget().limit, Some(5000));
    assert_eq!(client.budget().remaining, Some(4987));
}

#[test]
fn an_hour_that_is_used_up_is_an_error_with_a_time() {
    let reset = SystemTime::now() + Duration::from_secs(1800);
    let epoch = reset.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string();
    let server = Server::new(move |_| {
        published(429).with("ratelimit-remaining", "0").with("ratelimit-reset", &epoch)
    });
    let client = client(&server);
    for _ in 0..2 {
        let error = client.clone().wait(client.images().get(&ImageKey::Id(1))).unwrap_err();
        let Kind::RateLimited { until: Some(until) } = error.kind else { panic!("{error:?}") };
        let left = until.duration_since(SystemTime::now()).unwrap().as_secs();
        assert!((1700..=1800).contains(&left), "{left}");
    }
    // The second one was not even sent: who shares the client shares what it knows.
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_short_reset_is_waited_for_without_asking() {
    let server = Server::new(|request| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let left = if request.before == 0 { "0" } else { "10" };
        reply(200, &json!({"image": image(1, "available")}))
            .with("ratelimit-remaining", left)
            .with("ratelimit-reset", &(now + 2).to_string())
    });
    let (client, said) = told(&server);
    for _ in 0..2 {
        client.wait(client.images().get(&ImageKey::Id(1))).unwrap();
    }
    assert_eq!(server.requests().len(), 2);
    assert!(said.lock().unwrap()[0].starts_with("Limited"), "{said:?}");
}
