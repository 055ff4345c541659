//! Waiting for what DigitalOcean does: imports and actions.

use std::time::{Duration, Instant};

use super::client::{Client, Event};
use super::create::PushId;
use super::error::{Error, Kind};
use super::images::{Filter, ImageKey, same};
use super::names::{ActionStatus, RegionSlug};
use super::types::{Action, Image};
use crate::bytes::Hostile;

/// How often and how long is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
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

/// For how long an image may be missing that was never seen, and that nobody here made: its number may be
/// mistyped, or so new that it is not everywhere yet.
const NEVER_SEEN: Duration = Duration::from_secs(3);

impl Patience {
    /// The pause after this one: half as long again.
    #[must_use]
    pub fn after(&self, pause: Duration) -> Duration {
        (pause + pause / 2).min(self.longest)
    }

    /// What is left of it for something that began then.
    #[must_use]
    pub fn since(self, began: Instant) -> Patience {
        Patience { most: self.most.saturating_sub(began.elapsed()), ..self }
    }

    /// The same client, whose calls end with this patience. They have a second at least.
    #[must_use]
    pub fn bound(&self, client: &Client) -> Client {
        client.until(Instant::now() + self.most.max(LEAST_LOOK))
    }
}

/// Why waiting brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The import failed; the image says why, if DigitalOcean does.
    #[error("the import failed")]
    Failed(Box<Image>),
    /// The action failed. DigitalOcean says of no action why.
    #[error("the action failed; DigitalOcean does not say why")]
    Errored(Box<Action>),
    /// There never was such an image, as far as the API knows.
    #[error("there is no image {id}: {error}")]
    NoSuch {
        /// Its number.
        id: u64,
        /// What the API says.
        error: Box<Error>,
    },
    /// It was not done in time.
    #[error("it was not done after {} s; {}", after.as_secs_f64().round(), last_look(status, trouble))]
    TimedOut {
        /// For how long it was waited for.
        after: Duration,
        /// The last status that was seen, escaped.
        status: Option<String>,
        /// Why the last look showed nothing, if it failed.
        trouble: Option<Box<Error>>,
    },
    /// The API refused or failed.
    #[error("{0}")]
    Api(Error),
}

fn last_look(status: &Option<String>, trouble: &Option<Box<Error>>) -> String {
    let status = match status {
        Some(status) => format!("its last status was {status}"),
        None => "its status was never seen".into(),
    };
    match trouble {
        Some(error) => format!("{status}, and the last look failed: {error}"),
        None => status,
    }
}

/// A look has so much time at least, so that even the shortest wait looks once.
const LEAST_LOOK: Duration = Duration::from_secs(1);

/// What is waited with.
struct Watch<'a> {
    client: &'a Client,
    patience: Patience,
    began: Instant,
    pause: Duration,
    /// The last status that was seen; hostile text.
    status: Option<String>,
    /// What DigitalOcean says beside it; hostile text.
    remark: Option<String>,
    /// Since when there was no answer, and why.
    trouble: Option<(Instant, Error)>,
}

impl<'a> Watch<'a> {
    fn new(client: &'a Client, patience: Patience) -> Self {
        let (began, pause) = (Instant::now(), patience.first);
        Watch { client, patience, began, pause, status: None, remark: None, trouble: None }
    }

    /// A client whose calls end with the wait.
    fn client(&self) -> Client {
        self.patience.since(self.began).bound(self.client)
    }

    fn saw(&mut self, status: &str, remark: Option<&str>) {
        self.status = Some(status.to_owned());
        self.remark = remark.map(str::to_owned);
        self.trouble = None;
    }

    /// Whether an error may pass: one that says so, or `lenient` ones, for so long.
    fn bear(&mut self, error: Error, lenient: bool, most: Duration) -> Result<(), Error> {
        let since = self.trouble.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        // A limit ends at a time that is known; the wait may end before.
        let limited = matches!(error.kind, Kind::RateLimited { .. });
        match limited || (lenient || error.is_passing()) && since.elapsed() < most {
            true => {
                self.trouble = Some((since, error));
                Ok(())
            }
            false => Err(error),
        }
    }

    /// Waits for the next look.
    async fn pause(&mut self, what: &str) -> Result<(), WaitError> {
        let elapsed = self.began.elapsed();
        let left = self.patience.most.saturating_sub(elapsed);
        let trouble = self.trouble.as_ref().map(|(_, error)| error);
        if left.is_zero() {
            let shown = |status: &str| match &self.remark {
                None => Hostile::from(status).to_string(),
                Some(said) => format!("{} ({})", Hostile::from(status), Hostile::message(said)),
            };
            return Err(WaitError::TimedOut {
                after: elapsed,
                status: self.status.as_deref().map(shown),
                trouble: trouble.cloned().map(Box::new),
            });
        }
        let next = self.pause.min(left);
        let status = self.status.as_deref().unwrap_or("not seen yet");
        let remark = self.remark.as_deref();
        self.client.tell(&Event::Waiting { what, status, remark, trouble, elapsed, next });
        tokio::time::sleep(next).await;
        self.pause = self.patience.after(self.pause);
        Ok(())
    }
}

/// Waits until an image is available. `push` are the marks of one that was made here; `seen` is how it was
/// last seen, whatever comes out.
///
/// It may be missing in between, and come back under another number (coreos/fedora-coreos-tracker#1586): then
/// it is known by its marks, or else by name, tags and the time that it was made. A message beside a status that
/// is no end is shown, and ends nothing.
///
/// # Errors
/// [`WaitError::Failed`] if it ended as deleted or retired.
pub async fn image(
    client: &Client,
    id: u64,
    push: Option<&PushId>,
    patience: Patience,
    seen: &mut Option<Image>,
) -> Result<Image, WaitError> {
    let mut watch = Watch::new(client, patience);
    let mut id = id;
    // One that was made here was seen when it was made.
    let mut known = push.is_some();
    loop {
        let what = format!("image {id}");
        let asked = ImageKey::Id(id);
        let looked = match watch.client().images().look(&asked).await {
            // One that has got another number is known by its marks.
            Ok(image) if push.is_some_and(|push| push.marks(&image)) => Ok(image),
            looked => looked.and_then(|image| same(&asked, image)),
        };
        match looked {
            Ok(image) => {
                id = image.id;
                known = true;
                let status = image.status.as_ref().map_or("(none)", |status| status.as_str());
                watch.saw(status, image.failure());
                *seen = Some(image.clone());
                if image.is_gone() {
                    return Err(WaitError::Failed(Box::new(image)));
                }
                if image.is_available() {
                    return Ok(image);
                }
            }
            Err(error) if matches!(error.kind, Kind::NotFound) => {
                match known {
                    true => watch.bear(error, true, patience.missing).map_err(WaitError::Api)?,
                    false => watch
                        .bear(error, true, patience.missing.min(NEVER_SEEN))
                        .map_err(|error| WaitError::NoSuch { id, error: Box::new(error) })?,
                }
                if !known {
                    watch.pause = watch.pause.min(NEVER_SEEN);
                }
                if let Some(other) = moved(&watch.client(), id, push, seen.as_ref()).await {
                    id = other;
                    continue;
                }
            }
            Err(error) => watch.bear(error, false, patience.missing).map_err(WaitError::Api)?,
        }
        watch.pause(&what).await?;
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
            format!("image {image} to {}", Hostile::from(region.as_str()))
        }
        None => format!("image {image}"),
    };
    loop {
        match action.status {
            ActionStatus::Completed => return Ok(action),
            ActionStatus::Errored => return Err(WaitError::Errored(Box::new(action))),
            _ => {}
        }
        if watch.trouble.is_none() {
            watch.saw(action.status.as_str(), None);
        }
        watch.pause(&what).await?;
        let images = watch.client().images();
        match (action.id, region) {
            (Some(id), _) => match images.actions(image).get(id).await {
                Ok(now) => {
                    watch.trouble = None;
                    action = Action { id: now.id.or(Some(id)), ..now };
                }
                Err(error) => {
                    let lost = matches!(error.kind, Kind::NotFound);
                    watch.bear(error, lost, patience.missing).map_err(WaitError::Api)?;
                }
            },
            (None, Some(region)) => match images.get(&ImageKey::Id(image)).await {
                Ok(now) if now.regions.contains(region) => action.status = ActionStatus::Completed,
                Ok(_) => watch.trouble = None,
                Err(error) => {
                    watch.bear(error, false, patience.missing).map_err(WaitError::Api)?;
                }
            },
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
