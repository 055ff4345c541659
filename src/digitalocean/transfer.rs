//! Copies of an image in several regions at once; one that fails does not stop the others.

use std::time::Instant;

use tokio::task::JoinSet;

use super::client::Client;
use super::names::{RegionSlug, nearest};
use super::types::{Action, Image, Region};
use super::wait::{self, Patience};
use crate::bytes::{Command, Hostile};

/// What became of a transfer to one region.
#[derive(Debug)]
#[non_exhaustive]
pub enum Transferred {
    /// The image was there.
    Present,
    /// It is on its way.
    Started(Action),
    /// It has arrived.
    Completed(Action),
    /// It is not coming.
    Failed(String),
}

impl Transferred {
    /// A stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Transferred::Present => "present",
            Transferred::Started(_) => "started",
            Transferred::Completed(_) => "completed",
            Transferred::Failed(_) => "failed",
        }
    }

    /// The action that does it, if there is one with a number.
    #[must_use]
    pub fn action(&self) -> Option<u64> {
        match self {
            Transferred::Started(action) | Transferred::Completed(action) => action.id,
            Transferred::Present | Transferred::Failed(_) => None,
        }
    }

    /// Why it failed, in words fit to be shown.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Transferred::Failed(why) => Some(why),
            _ => None,
        }
    }
}

/// Copies an image to regions where it is not yet: what became of each one, in their order. `regions` are those of
/// the API, where it could be asked. With `patience`, each copy is waited for, from the call that begins it on.
pub async fn transfer(
    client: &Client,
    image: &Image,
    wanted: &[RegionSlug],
    regions: Option<&[Region]>,
    patience: Option<Patience>,
) -> Vec<(RegionSlug, Transferred)> {
    let mut tasks = JoinSet::new();
    let mut outcomes = Vec::new();
    for (at, region) in wanted.iter().enumerate() {
        let refused = regions.and_then(|regions| unfit(region, regions));
        if image.regions.contains(region) {
            outcomes.push((at, Transferred::Present));
        } else if let Some(why) = refused {
            outcomes.push((at, Transferred::Failed(why)));
        } else {
            let (client, region, id) = (client.clone(), region.clone(), image.id);
            tasks.spawn(async move { (at, one(&client, id, region, patience).await) });
        }
    }
    while let Some(done) = tasks.join_next().await {
        // A task that panicked has said so already.
        outcomes.extend(done);
    }
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(at, outcome)| (wanted[at].clone(), outcome)).collect()
}

/// Why the image cannot go to a region, by what the API says of its regions.
fn unfit(region: &RegionSlug, regions: &[Region]) -> Option<String> {
    let Some(known) = regions.iter().find(|known| known.slug == *region) else {
        let meant = nearest(region.as_str(), regions.iter().map(|known| known.slug.as_str()));
        let hint = meant.map(|name| format!("; did you mean {}?", Hostile::from(name)));
        return Some(format!("there is no such region{}", hint.unwrap_or_default()));
    };
    (!known.takes_transfers()).then(|| "the region does not offer image_transfer".to_owned())
}

/// What is to be said where nobody knows whether an action of an image began.
#[must_use]
pub fn unknown_start(image: u64) -> String {
    let actions = Command::image("actions").number(image);
    format!("nobody knows whether it began: {actions} may tell")
}

async fn one(
    client: &Client,
    image: u64,
    region: RegionSlug,
    patience: Option<Patience>,
) -> Transferred {
    let began = Instant::now();
    let starter = patience.map_or_else(|| client.clone(), |patience| patience.bound(client));
    let action = match starter.images().actions(image).transfer(region.clone()).await {
        Ok(action) => action,
        Err(error) if error.is_ambiguous() => {
            return Transferred::Failed(format!("{error}; {}", unknown_start(image)));
        }
        Err(error) => return Transferred::Failed(error.to_string()),
    };
    let Some(patience) = patience else { return Transferred::Started(action) };
    let patience = patience.since(began);
    match wait::action(client, image, action, Some(&region), patience).await {
        Ok(action) => Transferred::Completed(action),
        Err(error) => Transferred::Failed(error.to_string()),
    }
}
