//! What is done with an image that is available: copies in other regions, and its conversion. What fails here
//! leaves the image where it is.

use std::time::Instant;

use super::entry::{Intent, Outcome};
use super::event::Step;
use super::pushed::RegionOutcome;
use super::run::Run;
use super::stop::Stop;
use crate::bytes::Hostile;
use crate::digitalocean::{Image, transfer, wait};

impl Run<'_> {
    /// Copies the image to all other regions, and converts it, if that is wanted.
    pub(super) async fn spread(&mut self) -> Result<(), Stop> {
        let Some(image) = self.pushed.image.clone() else { return Ok(()) };
        let transferred = self.transfer(&image).await;
        if !self.order.convert || matches!(transferred, Err(Stop::Interrupted)) {
            return transferred;
        }
        let converted = self.convert(&image).await;
        transferred.and(converted)
    }

    async fn transfer(&mut self, image: &Image) -> Result<(), Stop> {
        let wanted = &self.order.transfer;
        if wanted.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = wanted.iter().map(|region| region.as_str()).collect();
        let shown = Hostile::from(names.join(", ").as_str()).to_string();
        self.begin(Step::Transfer, &shown);
        for region in &names {
            self.intend(Intent::Transfer { region: (*region).to_owned() })?;
        }
        // A token for images need not have the scope regions:read.
        let api = &self.world.api;
        let work = async {
            let regions = api.regions().once().await.ok();
            let patience = Some(self.order.patience);
            transfer(api, image, wanted, regions.as_deref(), patience).await
        };
        let under_way =
            names.iter().map(|region| format!("the copy to {}", Hostile::from(*region)));
        self.pushed.under_way = under_way.collect();
        let outcomes = self.cancel.unless(work).await?;
        self.pushed.under_way.clear();
        let mut failed = Vec::new();
        for (region, outcome) in outcomes {
            let (region, error) = (region.as_str().to_owned(), outcome.error().map(str::to_owned));
            self.conclude_step(Outcome::Transfer {
                region: region.clone(),
                completed: error.is_none(),
            })?;
            if let Some(error) = &error {
                let region = Hostile::from(region.as_str());
                failed.push(format!("{region}: {error}"));
            }
            self.pushed.regions.push(RegionOutcome { region, outcome: outcome.name(), error });
        }
        match failed.is_empty() {
            true => {
                self.done(Step::Transfer, &shown);
                Ok(())
            }
            false => Err(Stop::Spread(format!(
                "transfer: image {} is available, but not everywhere: {}",
                image.id,
                failed.join("; ")
            ))),
        }
    }

    async fn convert(&mut self, image: &Image) -> Result<(), Stop> {
        self.begin(Step::Convert, &format!("image {}", image.id));
        self.intend(Intent::Convert)?;
        let api = &self.world.api;
        let (patience, began) = (self.order.patience, Instant::now());
        let work = async {
            let action = patience.bound(api).images().actions(image.id).convert().await;
            let action = action.map_err(|error| error.to_string())?;
            let left = patience.since(began);
            let waited = wait::action(api, image.id, action, None, left).await;
            waited.map_err(|error| error.to_string())
        };
        self.pushed.under_way = vec!["the snapshot".to_owned()];
        let converted = self.cancel.unless(work).await?;
        self.pushed.under_way.clear();
        self.conclude_step(Outcome::Convert { completed: converted.is_ok() })?;
        match converted {
            Ok(_) => {
                self.done(Step::Convert, &format!("image {}", image.id));
                Ok(())
            }
            Err(why) => Err(Stop::Spread(format!(
                "convert: image {} is available, but no snapshot: {why}",
                image.id
            ))),
        }
    }
}
