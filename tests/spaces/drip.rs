//! A bucket that sends a byte now and then: every answer has an end, but that of putting parts together.

use std::time::{Duration, Instant};

use tidegate::spaces::{Bucket, Kind, Operation};

use crate::common::*;
use crate::server::{Reply, Server};
use crate::support::*;

const LIST: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

fn dripping() -> Server {
    Server::new(|request| {
        let body = match request.method.as_str() {
            "POST" => {
                "<CompleteMultipartUploadResult><ETag>\"x-1\"</ETag></CompleteMultipartUploadResult>"
            }
            _ => LIST,
        };
        let blanks = format!("<?xml version=\"1.0\"?>{}{body}", " ".repeat(40));
        Reply { drip: Some((1, Duration::from_millis(60))), ..xml(200, &blanks) }
    })
}

fn bucket(server: &Server, retries: u32) -> Bucket {
    let mut options = options(&server.url(""), keys());
    options.net.retries = retries;
    options.net.idle_timeout = Duration::from_secs(1);
    Bucket::new(options).unwrap()
}

#[test]
fn an_answer_that_drips_is_given_up() {
    let server = dripping();
    let began = Instant::now();
    let error = {
        let bucket = bucket(&server, 1);
        bucket.wait(bucket.parts(&upload())).unwrap_err()
    };
    assert!(matches!(error.kind, Kind::Transport { kind: tidegate::net::Kind::TimedOut, .. }));
    assert_eq!(error.operation, Operation::ListParts);
    assert!(error.message.contains("not whole after 2 s"), "{error}");
    assert_eq!(server.requests().len(), 2);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    // Who has no time asks once.
    let began = Instant::now();
    let hurried = bucket(&server, 5).hurried();
    hurried.wait(hurried.parts(&upload())).unwrap_err();
    assert_eq!(server.requests().len(), 3);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn putting_parts_together_may_take_its_time() {
    let server = dripping();
    let bucket = bucket(&server, 0);
    let completed = bucket.wait(bucket.complete(&upload(), &[])).unwrap();
    assert_eq!(completed.etag.as_str(), "x-1");
}

#[test]
fn a_push_into_a_bucket_that_drips_ends_at_the_first_signal() {
    let server = Server::new(|_| Reply {
        drip: Some((1, Duration::from_millis(300))),
        ..xml(200, &" ".repeat(10_000))
    });
    let api = Server::new(|_| {
        Reply::status(200, br#"{"regions": [{"slug": "nyc3", "name": "n", "available": true, "features": [], "sizes": []}]}"#.to_vec())
            .with("content-type", "application/json")
    });
    let scratch = Scratch::new();
    let image = scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut child = tidegate()
        .args(["push", "--region", "nyc3", "--timeout", "2", "--bucket", "images", "--state"])
        .arg(scratch.path("state"))
        .arg(image)
        .envs([
            ("DIGITALOCEAN_TOKEN", "a-token-of-this-test"),
            ("DIGITALOCEAN_API_URL", &api.url("")),
            ("SPACES_ENDPOINT_URL", &server.url("")),
            ("SPACES_ACCESS_KEY_ID", ACCESS),
            ("SPACES_SECRET_ACCESS_KEY", SECRET),
            ("SPACES_REGION", "us-east-1"),
        ])
        .spawn()
        .unwrap();
    wait_until("the bucket was asked", || !server.requests().is_empty());
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    let id = child.id().to_string();
    std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
