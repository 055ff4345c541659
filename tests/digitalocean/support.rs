//! A client of a server of these tests, and answers of one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate::digitalocean::wait::Patience;
use tidegate::digitalocean::{Client, Event, ImageNewCustom, Options, RegionSlug, Token};
use tidegate::net::{self, Address};

use crate::server::{Reply, Server};

/// What no output may show.
pub(crate) const TOKEN: &str = "dop_v1_0123456789abcdef";

/// A published body of `testdata/api`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/testdata/api/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

pub(crate) fn client(server: &Server) -> Client {
    told(server).0
}

/// A client, and what it tells of.
pub(crate) fn told(server: &Server) -> (Client, Arc<Mutex<Vec<String>>>) {
    let said = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&said);
    let options = Options {
        base: Address::parse(&server.url("")).unwrap(),
        net: net::Options {
            retries: 2,
            idle_timeout: Duration::from_secs(2),
            ..net::Options::default()
        },
        listener: Some(Arc::new(move |event: &Event<'_>| {
            log.lock().unwrap().push(format!("{event:?}"));
        })),
    };
    (Client::new(&Token::new(TOKEN).unwrap(), options).unwrap(), said)
}

/// Looks often, and not for long.
pub(crate) fn patience() -> Patience {
    Patience {
        first: Duration::from_millis(20),
        longest: Duration::from_millis(50),
        most: Duration::from_secs(2),
        missing: Duration::from_secs(1),
    }
}

pub(crate) fn request() -> ImageNewCustom {
    ImageNewCustom {
        name: "disk".into(),
        url: "https://example.com/disk.img".into(),
        region: RegionSlug::Nyc3,
        distribution: None,
        description: None,
        tags: Vec::new(),
    }
}

pub(crate) fn reply(status: u16, body: &Value) -> Reply {
    Reply::status(status, serde_json::to_vec(body).unwrap())
        .with("content-type", "application/json")
}

/// An image of a scripted server.
pub(crate) fn image(id: u64, status: &str) -> Value {
    json!({"id": id, "name": "disk", "type": "custom", "distribution": "Unknown OS",
        "regions": ["nyc3"], "created_at": "2026-01-02T03:04:05Z", "description": "", "tags": [],
        "status": status, "error_message": " ", "size_gigabytes": 0.5, "min_disk_size": 1})
}

/// An image with the marks of the create that a body asks for.
pub(crate) fn made(id: u64, body: &[u8]) -> Value {
    let asked: Value = serde_json::from_slice(body).unwrap();
    let mut image = image(id, "NEW");
    for key in ["name", "description", "tags"] {
        image[key] = asked.get(key).cloned().unwrap_or(json!([]));
    }
    image
}

pub(crate) fn list(images: &[Value]) -> Reply {
    reply(200, &json!({"images": images, "links": {}, "meta": {"total": images.len()}}))
}
