use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::api::Request;
use super::faults::Trouble;
use super::model::{Action, ActionKind, Course, Image, Progress, Status};
use super::reply::Reply;
use super::server::{Shape, Shared};
use super::store::Store;
use super::{clock, images, pages, regions};

/// What DigitalOcean says to a type of action that it does not know, with the status 404.
const NO_SUCH_TYPE: &str = "The specified action type is not available.";

#[derive(Debug, Deserialize)]
struct NewAction {
    #[serde(rename = "type")]
    kind: Option<String>,
    region: Option<String>,
}

/// `POST /v2/images/{id}/actions`.
pub(super) fn start(
    shared: &Arc<Shared>,
    request: &Request,
    named: &str,
    troubles: &[Trouble],
) -> Reply {
    let mut store = shared.store();
    let Some(record) = images::find(&store, named) else { return request.not_found() };
    let image = &record.image;
    let asked: NewAction = match request.json() {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    let (kind, place) = match asked.kind.as_deref() {
        Some("convert") => (ActionKind::Convert, convertible(image)),
        Some("transfer") => {
            (ActionKind::Transfer, transferable(&store, image, asked.region.as_deref()))
        }
        _ => return Reply::said(404, Some(NO_SUCH_TYPE), &request.id),
    };
    let region_slug = match place {
        Ok(slug) => slug,
        Err(why) => return Reply::invalid(why, &request.id),
    };
    let course = match troubles {
        _ if troubles.contains(&Trouble::ActionErrors) => Course::Errs,
        _ if troubles.contains(&Trouble::ActionHangs) => Course::Hangs,
        _ => Course::Completes,
    };
    let action = Action {
        resource_id: image.id,
        id: store.action_id(),
        status: Progress::UnderWay,
        kind,
        started_at: clock::stamp(),
        completed_at: None,
        region_slug,
        course,
    };
    let (id, reply) = (action.id, shown(shared, 201, &action));
    store.actions.push(action);
    if let Err(failed) = shared.saved(&store, request) {
        store.actions.pop();
        return failed;
    }
    drop(store);
    follow(shared, id);
    reply
}

/// Where an image is converted, if it can be.
fn convertible(image: &Image) -> Result<Option<String>, &'static str> {
    match image {
        Image { status: Status::Available, kind, .. } if kind == "snapshot" => {
            Err("the image is a snapshot already")
        }
        Image { status: Status::Available, public: false, .. } => {
            Ok(image.regions.first().cloned())
        }
        Image { public: true, .. } => Err("the image is public"),
        _ => Err("the image is not available"),
    }
}

/// Where an image is transferred to, if it can be.
fn transferable(
    store: &Store,
    image: &Image,
    asked: Option<&str>,
) -> Result<Option<String>, &'static str> {
    let slug = asked.ok_or("a transfer needs a region")?;
    let under_way = |action: &Action| {
        action.resource_id == image.id
            && action.status == Progress::UnderWay
            && action.region_slug.as_deref() == Some(slug)
    };
    match regions::find(slug) {
        None => Err("there is no such region"),
        Some(region) if !region.available => Err("the region is not available"),
        Some(_) if image.public => Err("the image is public"),
        Some(_) if image.status != Status::Available => Err("the image is not available"),
        Some(_) if image.regions.iter().any(|own| own == slug) => {
            Err("the image is in this region already")
        }
        Some(_) if store.actions.iter().any(under_way) => {
            Err("the image is on its way to this region already")
        }
        Some(_) => Ok(Some(slug.to_owned())),
    }
}

/// Ends an action when its time has come.
pub(super) fn follow(shared: &Arc<Shared>, id: u64) {
    let shared = Arc::clone(shared);
    let client = Arc::clone(&shared.client);
    client.spawn(async move {
        tokio::time::sleep(shared.pace).await;
        let mut store = shared.store();
        let Store { images, actions, .. } = &mut *store;
        let Some(action) = actions.iter_mut().find(|action| action.id == id) else { return };
        let image = images.iter_mut().map(|record| &mut record.image);
        let image = image.into_iter().find(|image| image.id == action.resource_id);
        action.status = match (action.course, image) {
            (Course::Hangs, _) => return,
            (Course::Completes, Some(image)) => {
                match (action.kind, &action.region_slug) {
                    (ActionKind::Convert, _) => image.kind = "snapshot".into(),
                    (ActionKind::Transfer, Some(slug)) => image.regions.push(slug.clone()),
                    (ActionKind::Transfer, None) => {}
                }
                Progress::Completed
            }
            // Without its image, nothing can come of it.
            _ => Progress::Errored,
        };
        action.completed_at = Some(clock::stamp());
        shared.save(&store);
    });
}

/// `GET /v2/images/{id}/actions`.
pub(super) fn list(shared: &Arc<Shared>, request: &Request, named: &str) -> Reply {
    let store = shared.store();
    let Some(record) = images::find(&store, named) else { return request.not_found() };
    let id = record.image.id;
    let own = store.actions.iter().filter(|action| action.resource_id == id);
    let own: Vec<_> = own.map(Action::shown).collect();
    let place = format!("{}/v2/images/{id}/actions", shared.base);
    Reply::json(200, &pages::document("actions", &own, &place, &request.query()))
}

/// `GET /v2/actions`, the newest first.
pub(super) fn all(shared: &Arc<Shared>, request: &Request) -> Reply {
    let store = shared.store();
    let all: Vec<_> = store.actions.iter().rev().map(Action::shown).collect();
    let place = format!("{}/v2/actions", shared.base);
    Reply::json(200, &pages::document("actions", &all, &place, &request.query()))
}

/// `GET /v2/images/{id}/actions/{id}` and `GET /v2/actions/{id}`.
pub(super) fn get(
    shared: &Arc<Shared>,
    request: &Request,
    image: Option<&str>,
    action: &str,
) -> Reply {
    let store = shared.store();
    let id = action.parse().ok();
    let found = store.actions.iter().find(|action| Some(action.id) == id);
    let found = found
        .filter(|action| image.is_none_or(|image| image.parse().ok() == Some(action.resource_id)));
    match found {
        Some(action) => shown(shared, 200, action),
        None => request.not_found(),
    }
}

fn shown(shared: &Shared, status: u16, action: &Action) -> Reply {
    match shared.shape {
        Shape::Wrapped => Reply::json(status, &json!({ "action": action.shown() })),
        Shape::Bare => Reply::json(status, &action.shown()),
    }
}
