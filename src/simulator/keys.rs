use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Request;
use super::bucket::{Grant, Key};
use super::pages;
use super::reply::Reply;
use super::server::Shared;

#[derive(Debug, Deserialize)]
struct NewKey {
    name: String,
    #[serde(default)]
    grants: Vec<Grant>,
}

/// A key without its secret half.
fn shown(key: &Key) -> Value {
    json!({
        "name": key.name,
        "access_key": key.access_key,
        "grants": key.grants,
        "created_at": key.created_at,
    })
}

/// `POST /v2/spaces/keys`. The answer is the only one that has the secret half.
pub(super) fn create(shared: &Arc<Shared>, request: &Request) -> Reply {
    let asked: NewKey = match request.json() {
        Ok(asked) => asked,
        Err(reply) => return Reply { why: reply.why, ..Reply::error(400, &request.id) },
    };
    let failed = |why: String| Reply { why: Some(why), ..Reply::error(500, &request.id) };
    if asked.name.trim().is_empty() {
        let why = Some("name is empty".to_owned());
        return Reply { why, ..Reply::error(400, &request.id) };
    }
    let key = match Key::new(&asked.name, asked.grants) {
        Ok(key) => key,
        Err(why) => return failed(why),
    };
    let mut document = shown(&key);
    document["secret_key"] = key.secret_key.reveal().into();
    let mut contents = shared.bucket.contents();
    contents.keys.push(key);
    if let Err(why) = contents.save() {
        contents.keys.pop();
        return failed(why);
    }
    Reply::json(201, &json!({ "key": document }))
}

/// `GET /v2/spaces/keys`.
pub(super) fn list(shared: &Arc<Shared>, request: &Request) -> Reply {
    let query = request.query();
    let contents = shared.bucket.contents();
    let named = |key: &&Key| query.get("name").is_none_or(|name| name == key.name);
    let all: Vec<Value> = contents.keys.iter().filter(named).map(shown).collect();
    let place = format!("{}/v2/spaces/keys", shared.base);
    Reply::json(200, &pages::document("keys", &all, &place, &query))
}

/// `GET /v2/spaces/keys/{access_key}`.
pub(super) fn get(shared: &Arc<Shared>, request: &Request, id: &str) -> Reply {
    match shared.bucket.contents().keys.iter().find(|key| key.access_key == id) {
        Some(key) => Reply::json(200, &json!({ "key": shown(key) })),
        None => request.not_found(),
    }
}

/// `DELETE /v2/spaces/keys/{access_key}`.
pub(super) fn delete(shared: &Arc<Shared>, request: &Request, id: &str) -> Reply {
    let mut contents = shared.bucket.contents();
    let Some(at) = contents.keys.iter().position(|key| key.access_key == id) else {
        return request.not_found();
    };
    contents.keys.remove(at);
    match contents.save() {
        Ok(()) => Reply::empty(),
        Err(why) => Reply { why: Some(why), ..Reply::error(500, &request.id) },
    }
}
