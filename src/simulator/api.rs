use super::faults::Trouble;
use super::pages::Query;
use super::reply::Reply;
use super::server::Shared;
use super::{actions, images, keys, regions, tags};
use std::sync::Arc;

/// A request, read to its end.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// As it was sent, without the query.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Vec<u8>,
    /// The id that its answer has.
    pub(super) id: String,
}

impl Request {
    /// The parts of the path. A slash at its end changes nothing: there are clients that put one there.
    pub(super) fn parts(&self) -> Vec<&str> {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        path.strip_suffix('/').unwrap_or(path).split('/').collect()
    }

    pub(super) fn query(&self) -> Query {
        Query::parse(&self.query)
    }

    /// The body as JSON, or the answer to a body that is none, or that is another one.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Reply> {
        let value: serde_json::Value =
            serde_json::from_slice(&self.body).map_err(|_| Reply::error(400, &self.id))?;
        serde_json::from_value(value).map_err(|e| Reply::invalid(&e.to_string(), &self.id))
    }

    pub(super) fn not_found(&self) -> Reply {
        Reply::error(404, &self.id)
    }
}

/// Does what a request asks for. Of the troubles it takes those that change the effect.
pub(super) fn answer(shared: &Arc<Shared>, request: &Request, troubles: &[Trouble]) -> Reply {
    let parts = request.parts();
    let ["v2", rest @ ..] = parts.as_slice() else { return request.not_found() };
    match (request.method.as_str(), rest) {
        ("GET", ["account"]) => Reply::json(200, &account()),
        ("GET", ["regions"]) => {
            let all: Vec<_> = regions::all().collect();
            let place = format!("{}/v2/regions", shared.base);
            let document = super::pages::document("regions", &all, &place, &request.query());
            Reply::json(200, &document)
        }
        ("GET", ["tags"]) => tags::list(shared, request),
        ("GET", ["tags", tag]) => tags::get(shared, request, tag),
        ("POST", ["images"]) => images::create(shared, request, troubles),
        ("GET", ["images"]) => images::list(shared, request, troubles),
        ("GET", ["images", image]) => images::get(shared, request, image),
        ("PUT", ["images", image]) => images::update(shared, request, image),
        ("DELETE", ["images", image]) => images::delete(shared, request, image),
        ("POST", ["images", image, "actions"]) => actions::start(shared, request, image, troubles),
        ("GET", ["images", image, "actions"]) => actions::list(shared, request, image),
        ("GET", ["images", image, "actions", action]) => {
            actions::get(shared, request, Some(image), action)
        }
        ("GET", ["actions"]) => actions::all(shared, request),
        ("GET", ["actions", action]) => actions::get(shared, request, None, action),
        ("POST", ["spaces", "keys"]) => keys::create(shared, request),
        ("GET", ["spaces", "keys"]) => keys::list(shared, request),
        ("GET", ["spaces", "keys", key]) => keys::get(shared, request, key),
        ("DELETE", ["spaces", "keys", key]) => keys::delete(shared, request, key),
        _ => request.not_found(),
    }
}

/// The account, the same in each run as what is kept is.
fn account() -> serde_json::Value {
    serde_json::json!({ "account": {
        "droplet_limit": 25,
        "floating_ip_limit": 5,
        "email": "simulator@example.com",
        "name": "simulator",
        "uuid": "00000000-0000-4000-8000-000000000001",
        "email_verified": true,
        "status": "active",
        "status_message": "",
        "team": { "uuid": "00000000-0000-4000-8000-000000000002", "name": "simulator" },
    } })
}
