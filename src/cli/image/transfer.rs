//! Several regions at once; one that fails does not stop the others.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::args::TransferArgs;
use super::connect::Teller;
use super::{Stop, connect, show, warn_region};
use crate::bytes::Hostile;
use crate::cli::{ACCEPTED, REFUSED, Usage};
use crate::digitalocean::wait;
use crate::digitalocean::{Action, Client, ImageKey, Region, RegionSlug, nearest};

/// What became of one region.
enum Outcome {
    /// The image was there.
    Present,
    /// It is on its way.
    Started(Action),
    /// It has arrived.
    Completed(Action),
    /// It is not coming.
    Failed(String),
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Outcome::Present => "present",
            Outcome::Started(_) => "started",
            Outcome::Completed(_) => "completed",
            Outcome::Failed(_) => "failed",
        }
    }

    fn action(&self) -> Option<u64> {
        match self {
            Outcome::Started(action) | Outcome::Completed(action) => action.id,
            Outcome::Present | Outcome::Failed(_) => None,
        }
    }

    fn error(&self) -> Option<&str> {
        match self {
            Outcome::Failed(why) => Some(why),
            _ => None,
        }
    }
}

pub(super) fn run(args: &TransferArgs, teller: &Arc<Teller>) -> Result<u8, Stop> {
    let mut wanted: Vec<RegionSlug> = Vec::new();
    for name in args.region.iter().map(|name| name.trim()) {
        let region = RegionSlug::from(name);
        if name.is_empty() {
            return Err(Usage("--region names no region".into()).into());
        }
        if !wanted.contains(&region) {
            wanted.push(region);
        }
    }
    let client = connect::client(&args.api, teller)?;
    teller.words.put(super::actions_tell(args.image));
    let outcomes = client.wait(transfer(args, &client, &wanted));
    teller.close();
    let outcomes = outcomes?;
    let rows = outcomes.iter().map(|(region, outcome)| {
        let more = match outcome.error() {
            Some(why) => why.to_owned(),
            None => outcome.action().map_or_else(String::new, |id| format!("action {id}")),
        };
        [Hostile::from(region.as_str()).to_string(), outcome.name().to_owned(), more]
    });
    let text = show::table(["REGION", "OUTCOME", ""], rows);
    let transfers: Vec<Value> = outcomes
        .iter()
        .map(|(region, outcome)| {
            json!({"region": region.as_str(), "outcome": outcome.name(),
                "action": outcome.action(), "error": outcome.error()})
        })
        .collect();
    let document =
        json!({"schema": "tidegate.transfers/1", "image": args.image, "transfers": transfers});
    show::write(args.api.format, &text, &document)?;
    let failed = outcomes.iter().any(|(_, outcome)| outcome.error().is_some());
    Ok(if failed { REFUSED } else { ACCEPTED })
}

/// What became of each region, in the order that they were given.
async fn transfer(
    args: &TransferArgs,
    client: &Client,
    wanted: &[RegionSlug],
) -> Result<Vec<(RegionSlug, Outcome)>, Stop> {
    let image = client.images().get(&ImageKey::Id(args.image)).await?;
    // A token for images need not have the scope regions:read.
    let regions = client.regions().once().await.ok();
    if regions.is_none() {
        wanted.iter().for_each(|region| warn_region(region, None));
    }
    let mut tasks = JoinSet::new();
    let mut outcomes = Vec::new();
    for (at, region) in wanted.iter().enumerate() {
        let refused = regions.as_deref().and_then(|regions| unfit(region, regions));
        if image.regions.contains(region) {
            outcomes.push((at, Outcome::Present));
        } else if let Some(why) = refused {
            outcomes.push((at, Outcome::Failed(why)));
        } else {
            let (client, region, id) = (client.clone(), region.clone(), args.image);
            let patience = args.wait.then(|| args.patience.patience());
            tasks.spawn(async move { (at, one(&client, id, region, patience).await) });
        }
    }
    while let Some(done) = tasks.join_next().await {
        // A task that panicked has said so already.
        outcomes.extend(done);
    }
    outcomes.sort_by_key(|(at, _)| *at);
    Ok(outcomes.into_iter().map(|(at, outcome)| (wanted[at].clone(), outcome)).collect())
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

async fn one(
    client: &Client,
    image: u64,
    region: RegionSlug,
    patience: Option<wait::Patience>,
) -> Outcome {
    let action = match client.images().actions(image).transfer(region.clone()).await {
        Ok(action) => action,
        Err(error) if error.is_ambiguous() => {
            return Outcome::Failed(format!(
                "nobody knows whether it began: {error}; `tidegate image actions {image}` may tell"
            ));
        }
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let Some(patience) = patience else { return Outcome::Started(action) };
    match wait::action(client, image, action, Some(&region), patience).await {
        Ok(action) => Outcome::Completed(action),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
