//! Tags: those that images have. There is nothing else here that could have any.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::api::Request;
use super::model::Status;
use super::pages;
use super::reply::Reply;
use super::server::Shared;
use super::store::Store;

/// `GET /v2/tags`.
pub(super) fn list(shared: &Arc<Shared>, request: &Request) -> Reply {
    let all: Vec<Value> = all(shared, &shared.store()).into_values().collect();
    let place = format!("{}/v2/tags", shared.base);
    Reply::json(200, &pages::document("tags", &all, &place, &request.query()))
}

/// `GET /v2/tags/{name}`.
pub(super) fn get(shared: &Arc<Shared>, request: &Request, name: &str) -> Reply {
    match all(shared, &shared.store()).remove(name) {
        Some(tag) => Reply::json(200, &json!({ "tag": tag })),
        None => request.not_found(),
    }
}

/// All tags by name, as the API shows them.
fn all(shared: &Shared, store: &Store) -> BTreeMap<String, Value> {
    let mut tagged: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let images = store.images.iter().map(|record| &record.image);
    for image in images.filter(|image| image.status != Status::Deleted) {
        for tag in &image.tags {
            tagged.entry(tag).or_default().push(image.id);
        }
    }
    let shown = |(name, images): (&str, Vec<u64>)| {
        let last = images.last().map(|id| format!("{}/v2/images/{id}", shared.base));
        let counted = json!({ "count": images.len(), "last_tagged_uri": last });
        let none = json!({ "count": 0 });
        let tag = json!({
            "name": name,
            "resources": {
                "count": images.len(), "last_tagged_uri": last,
                "droplets": none, "images": counted, "volumes": none,
                "volume_snapshots": none, "databases": none,
            },
        });
        (name.to_owned(), tag)
    };
    tagged.into_iter().map(shown).collect()
}
