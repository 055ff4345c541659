use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::api::Request;
use super::faults::Trouble;
use super::import::{self, DECOMPRESSING};
use super::model::{Fate, Image, Record, Status};
use super::reply::Reply;
use super::server::Shared;
use super::store::Store;
use super::{clock, pages, regions};
use crate::net::Address;

/// What DigitalOcean says to who deletes an image whose import failed.
const DELETED_ALREADY: &str = "Image Can not delete an already deleted image.";
/// What DigitalOcean said in 2021 before the second document.
const UNREACHABLE: &str = "Your source URL is unreachable";

#[derive(Debug, Deserialize)]
struct NewCustom {
    name: String,
    url: String,
    region: String,
    distribution: Option<String>,
    description: Option<String>,
    tags: Option<Vec<String>>,
}

/// `POST /v2/images`.
pub(super) fn create(shared: &Arc<Shared>, request: &Request, troubles: &[Trouble]) -> Reply {
    let asked: NewCustom = match request.json() {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    if let Err(why) = possible(&asked) {
        return Reply::invalid(&why, &request.id);
    }
    let mut store = shared.store();
    let id = store.image_id();
    let image = Image {
        id,
        name: asked.name,
        kind: "custom".into(),
        distribution: regions::distribution(asked.distribution.as_deref()),
        slug: None,
        public: false,
        regions: Vec::new(),
        created_at: clock::stamp(),
        min_disk_size: None,
        size_gigabytes: None,
        description: asked.description.unwrap_or_default(),
        tags: asked.tags.unwrap_or_default(),
        status: Status::New,
        error_message: String::new(),
    };
    let reply = answer(&image, troubles);
    let born = clock::now().as_millis() as u64;
    let fate = fate(troubles);
    store.images.push(Record { image, url: asked.url, region: asked.region, born, fate });
    if let Err(reply) = shared.saved(&store, request) {
        store.images.pop();
        return reply;
    }
    drop(store);
    import::start(shared, id);
    reply
}

fn possible(asked: &NewCustom) -> Result<(), String> {
    if asked.name.trim().is_empty() {
        return Err("name is empty".into());
    }
    Address::parse(&asked.url).map_err(|why| format!("url: {why}"))?;
    match regions::find(&asked.region) {
        None => Err("there is no such region".into()),
        Some(region) if !region.available => Err("the region is not available".into()),
        Some(_) => Ok(()),
    }
}

fn fate(troubles: &[Trouble]) -> Fate {
    troubles
        .iter()
        .find_map(|trouble| match trouble {
            Trouble::ImportHangs => Some(Fate::Hangs),
            Trouble::ImportFails { message } => {
                Some(Fate::Fails(message.clone().unwrap_or_else(|| DECOMPRESSING.into())))
            }
            Trouble::ImportChangesId => Some(Fate::ChangesId),
            _ => None,
        })
        .unwrap_or_default()
}

/// The answer to a create call, in the form that the plan wants.
fn answer(image: &Image, troubles: &[Trouble]) -> Reply {
    let two = troubles.iter().find_map(|trouble| match trouble {
        Trouble::TwoDocuments { message } => Some(message.as_deref().unwrap_or(UNREACHABLE)),
        _ => None,
    });
    if let Some(message) = two {
        // As it was seen, the error has no request id here.
        let error = Reply::said(400, Some(message), "");
        let image = Reply::json(400, &Wrapped { image: image.as_new(true, true) });
        return Reply { body: format!("{}\n{}", error.body, image.body), ..error };
    }
    let with_id = !troubles.contains(&Trouble::WithoutId);
    Reply::json(202, &Wrapped { image: image.as_new(with_id, false) })
}

#[derive(serde::Serialize)]
struct Wrapped<T> {
    image: T,
}

/// `GET /v2/images`. Failed imports are not in it.
pub(super) fn list(shared: &Arc<Shared>, request: &Request, troubles: &[Trouble]) -> Reply {
    let query = request.query();
    let lag = troubles.iter().find_map(|trouble| match trouble {
        Trouble::ListLags { lag } => Some((lag * 1000.0) as u64),
        _ => None,
    });
    let newest = (clock::now().as_millis() as u64).saturating_sub(lag.unwrap_or_default());
    let store = shared.store();
    let listed: Vec<&Image> = store
        .images
        .iter()
        .filter(|record| record.born <= newest)
        .map(|record| &record.image)
        .filter(|image| image.status != Status::Deleted)
        .filter(|image| query.get("private") != Some("true") || !image.public)
        .filter(|image| match query.get("type") {
            Some("distribution") => image.kind == "base",
            // There are no 1-Click applications here.
            Some("application") => false,
            _ => true,
        })
        .filter(|image| match query.get("tag_name") {
            Some(tag) => image.tags.iter().any(|own| own == tag),
            None => true,
        })
        .collect();
    let place = format!("{}/v2/images", shared.base);
    Reply::json(200, &pages::document("images", &listed, &place, &query))
}

/// The image of a part of a path: a number, or the slug of a public image.
pub(super) fn find<'a>(store: &'a Store, named: &str) -> Option<&'a Record> {
    match named.parse() {
        Ok(id) => store.image(id),
        Err(_) => store.images.iter().find(|record| record.image.slug.as_deref() == Some(named)),
    }
}

/// `GET /v2/images/{id}`.
pub(super) fn get(shared: &Arc<Shared>, request: &Request, named: &str) -> Reply {
    match find(&shared.store(), named) {
        Some(record) => Reply::json(200, &json!({ "image": record.image })),
        None => request.not_found(),
    }
}

#[derive(Debug, Deserialize)]
struct Changes {
    name: Option<String>,
    distribution: Option<String>,
    description: Option<String>,
}

/// `PUT /v2/images/{id}`.
pub(super) fn update(shared: &Arc<Shared>, request: &Request, named: &str) -> Reply {
    let mut store = shared.store();
    let Some(record) = named.parse().ok().and_then(|id| store.image_mut(id)) else {
        return request.not_found();
    };
    if record.image.public {
        return Reply::error(403, &request.id);
    }
    let changes: Changes = match request.json() {
        Ok(changes) => changes,
        Err(reply) => return reply,
    };
    if changes.name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        return Reply::invalid("name is empty", &request.id);
    }
    let image = &mut record.image;
    if let Some(name) = changes.name {
        image.name = name;
    }
    if let Some(distribution) = changes.distribution {
        image.distribution = regions::distribution(Some(&distribution));
    }
    if let Some(description) = changes.description {
        image.description = description;
    }
    let reply = Reply::json(200, &json!({ "image": image }));
    shared.saved(&store, request).map_or_else(|failed| failed, |()| reply)
}

/// `DELETE /v2/images/{id}`.
pub(super) fn delete(shared: &Arc<Shared>, request: &Request, named: &str) -> Reply {
    let mut store = shared.store();
    let Some(record) = named.parse().ok().and_then(|id| store.image(id)) else {
        return request.not_found();
    };
    if record.image.public {
        return Reply::error(403, &request.id);
    }
    if record.image.status == Status::Deleted {
        return Reply::said(422, Some(DELETED_ALREADY), &request.id);
    }
    let id = record.image.id;
    store.images.retain(|record| record.image.id != id);
    shared.saved(&store, request).map_or_else(|failed| failed, |()| Reply::empty())
}
