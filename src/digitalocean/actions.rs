use serde_json::Value;

use super::client::{Call, Client, document, part};
use super::error::{Error, Kind};
use super::names::{ActionType, RegionSlug};
use super::page::Pages;
use super::types::{Action, NewAction};
use crate::net::{Called, Method};

/// `/v2/actions`.
#[derive(Clone, Debug)]
pub struct Actions(pub(super) Client);

/// `/v2/images/{id}/actions`.
#[derive(Clone, Debug)]
pub struct ImageActions {
    pub(super) client: Client,
    pub(super) image: u64,
}

impl Actions {
    /// `GET /v2/actions/{id}`.
    ///
    /// # Errors
    /// If there is none, or it cannot be had.
    pub async fn get(&self, id: u64) -> Result<Action, Error> {
        ask(&self.0, &Call::get(format!("v2/actions/{id}"), "actions:read")).await
    }
}

impl ImageActions {
    /// Makes a snapshot of the image, as of a backup. Whether DigitalOcean does this with custom images
    /// is not published.
    ///
    /// # Errors
    /// If it is refused or fails. It is not asked twice.
    pub async fn convert(&self) -> Result<Action, Error> {
        self.start(&NewAction { kind: ActionType::Convert, region: None }).await
    }

    /// Copies the image to another region; it has to be available.
    ///
    /// # Errors
    /// If it is refused or fails. It is not asked twice.
    pub async fn transfer(&self, region: RegionSlug) -> Result<Action, Error> {
        self.start(&NewAction { kind: ActionType::Transfer, region: Some(region) }).await
    }

    async fn start(&self, action: &NewAction) -> Result<Action, Error> {
        let call = Call::change(Method::POST, self.path(), "image:update", Some(action))?;
        ask(&self.client, &call).await
    }

    /// `GET /v2/images/{id}/actions/{action}`, or `GET /v2/actions/{action}` where that one is not found.
    ///
    /// # Errors
    /// If there is none of this image, or it cannot be had.
    pub async fn get(&self, action: u64) -> Result<Action, Error> {
        let call = Call::get(format!("{}/{action}", self.path()), "image:read");
        let error = match ask(&self.client, &call).await {
            Err(error) if matches!(error.kind, Kind::NotFound) => error,
            result => return result,
        };
        match self.client.actions().get(action).await {
            Ok(found) if found.resource_id.is_none_or(|id| id == self.image) => Ok(found),
            // It is one of something else, or this token may not look there.
            _ => Err(error),
        }
    }

    /// `GET /v2/images/{id}/actions`.
    #[must_use]
    pub fn list(&self) -> Pages<Action> {
        Pages::new(self.client.clone(), self.path(), "actions", "image:read")
    }

    fn path(&self) -> String {
        format!("v2/images/{}/actions", self.image)
    }
}

async fn ask(client: &Client, call: &Call) -> Result<Action, Error> {
    action(&client.call(call).await?)
}

/// An action in either of its published shapes: bare, as DigitalOcean's SDK types it, or under `action`, as
/// its API description has it.
fn action(called: &Called) -> Result<Action, Error> {
    let mut value = document(called)?;
    let inner = match value.get_mut("action") {
        Some(wrapped) if wrapped.is_object() => wrapped.take(),
        _ => std::mem::replace(&mut value, Value::Null),
    };
    part(called, inner, "action")
}
