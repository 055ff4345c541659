//! Waiting for what DigitalOcean does: imports and actions.

use std::time::{Duration, Instant};

use super::client::{Client, Event};
use super::create::PushId;
use super::error::{Error, Kind};
use super::images::{Filter, ImageKey};
use super::names::{ActionStatus, RegionSlug};
use super::types::{Action, Image};
use crate::net;

/// How often and how long is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// For how long in all.
    pub most: Duration,
    /// For how long something may be missing, or the API fail, in between.
    pub missing: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            first: Duration::from_secs(3),
            longest: Duration::from_secs(30),
            // Imports take 10 to 15 minutes, and more than 20 at times (Terraform's provider, #985).
            most: Duration::from_secs(60 * 60),
            missing: Duration::from_secs(15 * 60),
        }
    }
}

/// For how long an image that was never seen may be missing: what was just made need not be everywhere yet.
const NEVER_SEEN: Duration = Duration::from_secs(30);

impl Patience {
    /// The pause after this one: half as long again.
    #[must_use]
    pub fn after(&self, pause: Duration) -> Duration {
        (pause + pause / 2).min(self.longest)
    }
}

/// Why waiting brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The import failed; the image says why, if DigitalOcean does.
    #[error("the import failed")]
    Failed(Box<Image>),
    /// The action failed. DigitalOcean says of no action why.
    #[error("the action failed; DigitalOcean does not say why")]
    Errored(Box<Action>),
    /// It was not done in time.
    #[error("it was not done after {} s; its last status was {status}", after.as_secs())]
    TimedOut {
        /// For how long it was waited for.
        after: Duration,
        /// The last status, escaped.
        status: String,
    },
    /// The API refused or failed.
    #[error("{0}")]
    Api(Error),
}

/// A look takes so long at least, so that even the shortest wait looks once.
const LEAST_LOOK: Duration = Duration::from_secs(30);

/// Calls that take no longer than this: each may be made again several times, and wait for the rate limit.
pub(super) async fn within<T>(
    most: Duration,
    calls: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(most, calls).await.unwrap_or_else(|_| {
        let kind = Kind::Transport { kind: net::Kind::TimedOut, unsent: false };
        Err(Error::new(kind, "the API did not answer in time"))
    })
}

/// What is waited with.
struct Watch<'a> {
    client: &'a Client,
    patience: Patience,
    began: Instant,
    pause: Duration,
    /// Since when there was no answer.
    missing: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(client: &'a Client, patience: Patience) -> Self {
        let (began, pause) = (Instant::now(), patience.first);
        Watch { client, patience, began, pause, missing: None }
    }

    /// Whether an error may pass: one that says so, or `lenient` ones, for so long.
    fn bear(&mut self, error: Error, lenient: bool, most: Duration) -> Result<(), WaitError> {
        let since = *self.missing.get_or_insert_with(Instant::now);
        match (lenient || error.is_passing()) && since.elapsed() < most {
            true => Ok(()),
            false => Err(WaitError::Api(error)),
        }
    }

    /// Looks, for no longer than there is time.
    async fn ask<T>(&self, look: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let left = self.patience.most.saturating_sub(self.began.elapsed());
        within(left.max(LEAST_LOOK), look).await
    }

    /// Waits for the next look.
    async fn pause(&mut self, what: &str, status: &str) -> Result<(), WaitError> {
        let elapsed = self.began.elapsed();
        let left = self.patience.most.saturating_sub(elapsed);
        if left.is_zero() {
            let status = crate::bytes::Hostile::from(status).to_string();
            return Err(WaitError::TimedOut { after: elapsed, status });
        }
        let next = self.pause.min(left);
        self.client.tell(&Event::Waiting { what, status, elapsed, next });
        tokio::time::sleep(next).await;
        self.pause = self.patience.after(self.pause);
        Ok(())
    }
}

/// Waits until an image is available.
///
/// It may be missing in between, and come back under another number (coreos/fedora-coreos-tracker#1586): then
/// it is known by its marks, or else by name, tags and the time that it was made.
///
/// # Errors
/// [`WaitError::Failed`] if it ended as deleted or retired.
pub async fn image(
    client: &Client,
    id: u64,
    push: Option<&PushId>,
    patience: Patience,
) -> Result<Image, WaitError> {
    let mut watch = Watch::new(client, patience);
    let mut id = id;
    let mut seen: Option<Image> = None;
    let mut status = "not there yet".to_owned();
    loop {
        let what = format!("image {id}");
        match watch.ask(client.images().get(&ImageKey::Id(id))).await {
            Ok(image) => {
                watch.missing = None;
                id = image.id;
                status = image.status.as_ref().map_or("(none)", |s| s.as_str()).to_owned();
                if image.is_gone() || (image.failure().is_some() && !image.is_available()) {
                    return Err(WaitError::Failed(Box::new(image)));
                }
                if image.is_available() {
                    return Ok(image);
                }
                seen = Some(image);
            }
            Err(error) if matches!(error.kind, Kind::NotFound) => {
                let most = match seen.is_some() || push.is_some() {
                    true => patience.missing,
                    false => patience.missing.min(NEVER_SEEN),
                };
                watch.bear(error, true, most)?;
                if let Some(other) = moved(client, id, push, seen.as_ref()).await {
                    id = other;
                    continue;
                }
                status = "not to be found".to_owned();
            }
            Err(error) => watch.bear(error, false, patience.missing)?,
        }
        watch.pause(&what, &status).await?;
    }
}

/// The number under which an image that is missing is found now. If more than one could be meant, none is.
async fn moved(
    client: &Client,
    id: u64,
    push: Option<&PushId>,
    seen: Option<&Image>,
) -> Option<u64> {
    let found = match push {
        Some(push) => client.images().marked(push).await.ok()?,
        None => {
            let seen = seen.filter(|seen| seen.created_at.is_some())?;
            let filter = Filter { private: true, ..Filter::default() };
            let mut all = client.images().list(&filter).all().await.ok()?;
            all.retain(|image| {
                image.name == seen.name
                    && image.created_at == seen.created_at
                    && image.tags == seen.tags
            });
            all.sort_by_key(|image| image.id);
            all.dedup_by_key(|image| image.id);
            all
        }
    };
    match found.as_slice() {
        [one] if one.id != id => Some(one.id),
        _ => None,
    }
}

/// Waits until an action of an image is completed. A transfer is also done when the image is in the region:
/// an action without a number cannot be asked for.
///
/// # Errors
/// [`WaitError::Errored`] if it ended so.
pub async fn action(
    client: &Client,
    image: u64,
    action: Action,
    region: Option<&RegionSlug>,
    patience: Patience,
) -> Result<Action, WaitError> {
    let mut watch = Watch::new(client, patience);
    let mut action = action;
    let what = match region {
        Some(region) => {
            format!("image {image} to {}", crate::bytes::Hostile::from(region.as_str()))
        }
        None => format!("image {image}"),
    };
    loop {
        match action.status {
            ActionStatus::Completed => return Ok(action),
            ActionStatus::Errored => return Err(WaitError::Errored(Box::new(action))),
            _ => {}
        }
        let status = action.status.as_str().to_owned();
        watch.pause(&what, &status).await?;
        match (action.id, region) {
            (Some(id), _) => match watch.ask(client.images().actions(image).get(id)).await {
                Ok(now) => {
                    watch.missing = None;
                    action = Action { id: now.id.or(Some(id)), ..now };
                }
                Err(error) => {
                    let lost = matches!(error.kind, Kind::NotFound);
                    watch.bear(error, lost, patience.missing)?;
                }
            },
            (None, Some(region)) => {
                match watch.ask(client.images().get(&ImageKey::Id(image))).await {
                    Ok(now) if now.regions.contains(region) => {
                        action.status = ActionStatus::Completed
                    }
                    Ok(_) => watch.missing = None,
                    Err(error) => watch.bear(error, false, patience.missing)?,
                }
            }
            (None, None) => {
                let said = "the API gave the action no number, so it cannot be followed";
                return Err(WaitError::Api(Error::new(Kind::Incomplete, said)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_three_to_thirty_seconds() {
        let patience = Patience::default();
        let mut pause = patience.first;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(pause.as_secs());
            pause = patience.after(pause);
        }
        assert_eq!(pauses, [3, 4, 6, 10, 15, 22, 30, 30]);
        assert_eq!(patience.most, Duration::from_secs(3600));
    }
}
