//! Several regions at once; one that fails does not stop the others.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::args::TransferArgs;
use super::connect::Teller;
use super::{Stop, connect, show, told, warn_region};
use crate::bytes::Hostile;
use crate::cli::{ACCEPTED, REFUSED, Usage};
use crate::digitalocean::{Client, ImageKey, RegionSlug, Transferred, transfer};

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
    let outcomes = client.wait(spread(args, &client, &wanted));
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
    let done: Vec<String> = outcomes
        .iter()
        .map(|(region, outcome)| {
            let action = outcome.action().map(|id| format!(" (action {id})")).unwrap_or_default();
            format!("{} {}{action}", Hostile::from(region.as_str()), outcome.name())
        })
        .collect();
    let done = format!("of image {}: {}", args.image, done.join(", "));
    told(show::write(args.api.format, &text, &document), &done)?;
    let failed = outcomes.iter().any(|(_, outcome)| outcome.error().is_some());
    Ok(if failed { REFUSED } else { ACCEPTED })
}

/// What became of each region, in the order that they were given.
async fn spread(
    args: &TransferArgs,
    client: &Client,
    wanted: &[RegionSlug],
) -> Result<Vec<(RegionSlug, Transferred)>, Stop> {
    let began = Instant::now();
    let patience = args.wait.then(|| args.patience.patience());
    let asker = patience.map_or_else(|| client.clone(), |patience| patience.bound(client));
    let image = asker.images().get(&ImageKey::Id(args.image)).await;
    let image = image.map_err(super::of(args.image))?;
    // A token for images need not have the scope regions:read.
    let regions = asker.regions().once().await.ok();
    if regions.is_none() {
        wanted.iter().for_each(|region| warn_region(region, None));
    }
    let patience = patience.map(|patience| patience.since(began));
    Ok(transfer(client, &image, wanted, regions.as_deref(), patience).await)
}
