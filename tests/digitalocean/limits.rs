//! The rate limit, for one caller and for many.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tidegate::digitalocean::ImageKey;

use crate::commands::{account, run};
use crate::common::*;
use crate::server::{Reply, Server};
use crate::support::*;

/// Seconds since 1970, so long from now.
fn epoch(after: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    (now + after).to_string()
}

#[test]
fn retry_after_counts_more_than_the_end_of_the_hour() {
    let server = account(|request| match request.before {
        0 => Reply::status(429, fixture("error-429.json"))
            .with("retry-after", "1")
            .with("ratelimit-remaining", "0")
            .with("ratelimit-reset", &epoch(3000)),
        _ => reply(200, &json!({"image": image(7, "available")})),
    });
    let output = run(&server, &["get", "7"]);
    assert_eq!((exit_code(&output), server.requests().len()), (0, 2), "{output:?}");
}

#[test]
fn what_is_left_is_seen_with_verbose() {
    let server = account(|_| {
        reply(200, &json!({"image": image(7, "available")}))
            .with("ratelimit-limit", "5000")
            .with("ratelimit-remaining", "4987")
    });
    let output = run(&server, &["get", "7", "--verbose"]);
    assert!(stderr(&output).contains("rate limit: 4987 of 5000 calls left"), "{output:?}");
    assert!(!stderr(&run(&server, &["get", "7"])).contains("4987"));
}

#[test]
fn callers_at_once_share_one_budget() {
    let asked = Arc::<Mutex<Vec<Instant>>>::default();
    let log = Arc::clone(&asked);
    let server = Server::new(move |_| {
        let mut log = log.lock().unwrap();
        log.push(Instant::now());
        let left = 3_usize.saturating_sub(log.len());
        let left = if log.len() > 3 { 100 } else { left };
        reply(200, &json!({"image": image(1, "available")}))
            .with("ratelimit-remaining", &left.to_string())
            .with("ratelimit-reset", &epoch(3))
    });
    let client = client(&server);
    let get = |client: tidegate::digitalocean::Client| {
        client.wait(client.images().get(&ImageKey::Id(1))).unwrap();
    };
    // Then two are left, for eight callers.
    get(client.clone());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| get(client.clone()));
        }
    });
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 9);
    let soon = asked.iter().filter(|at| at.duration_since(asked[0]) < Duration::from_millis(1500));
    assert_eq!(soon.count(), 3, "{asked:?}");
    assert_eq!(client.budget().limit, None);
    assert!(client.budget().remaining.is_some_and(|left| left <= 100));
}
