//! The image on DigitalOcean's side: created once, and waited for.

use std::time::Instant;

use super::entry::{Intent, Outcome};
use super::event::Step;
use super::order::Route;
use super::run::Run;
use super::stop::Stop;
use crate::digitalocean::wait::{self, WaitError};
use crate::digitalocean::{Error, Image, ImageNewCustom, Kind, PushId};

impl Run<'_> {
    /// Posts the create, once. After an answer that says neither yes nor no, the image is looked for.
    pub(super) async fn create(&mut self, url: String) -> Result<(), Stop> {
        let new = &self.order.image;
        let request = ImageNewCustom {
            name: new.name.clone(),
            url,
            region: new.region.clone(),
            distribution: new.distribution.clone(),
            description: new.description.clone(),
            tags: new.tags.clone(),
        };
        let push = self.journal.push().clone();
        let request = push.mark(&request, self.order.tag);
        // Nothing is created for somebody who does not want it any more.
        self.cancel.unless(std::future::ready(())).await?;
        self.begin(Step::Create, &format!("marked {}", push.tag()));
        self.intend(Intent::Create)?;
        let images = self.world.api.images();
        let image = match images.create(&request).await {
            Ok(image) => image,
            Err(error) if error.is_ambiguous() => self.settle(&push, error).await?,
            Err(error) => return Err(self.refused(error)?),
        };
        self.conclude_step(Outcome::Create { image: image.id })?;
        self.done(Step::Create, &format!("image {}", image.id));
        self.pushed.image = Some(image);
        Ok(())
    }

    /// A create that was refused. One that made an image all the same leaves it to be deleted.
    fn refused(&mut self, error: Error) -> Result<Stop, Stop> {
        match &error.kind {
            Kind::Invalid { stray: Some(stray) } => {
                self.conclude_step(Outcome::Create { image: stray.id })?;
            }
            _ => self.conclude_step(Outcome::NotCreated)?,
        }
        Ok(Stop::Api { step: Step::Create, error })
    }

    async fn settle(&mut self, push: &PushId, because: Error) -> Result<Image, Stop> {
        let asked = Instant::now();
        let (settle, patience) = (self.order.settle, self.order.patience);
        let images = self.world.api.images();
        let found =
            self.cancel.unless(images.find(push, settle, &patience, Some(&because))).await?;
        match found.ok().and_then(|mut found| (!found.is_empty()).then(|| found.remove(0))) {
            Some(image) => {
                self.world.note(&format!("image {} was made, and is adopted", image.id));
                Ok(image)
            }
            None => Err(Stop::Unknown { because: Box::new(because), looked: asked.elapsed() }),
        }
    }

    /// Waits until DigitalOcean has imported the image.
    pub(super) async fn import(&mut self) -> Result<(), Stop> {
        let Some(id) = self.pushed.image.as_ref().map(|image| image.id) else { return Ok(()) };
        self.begin(Step::Import, &format!("image {id}"));
        let (api, push, patience) = (&self.world.api, self.journal.push(), self.order.patience);
        let mut seen = None;
        let waiting = wait::image(api, id, Some(push), patience, &mut seen);
        let waited = self.cancel.unless(waiting).await;
        self.pushed.image = seen.or(self.pushed.image.take());
        let waited = waited?;
        let (image, available) = match waited {
            Ok(image) => (image, true),
            Err(WaitError::Failed(image)) => (*image, false),
            Err(error) => return Err(Stop::Wait(Box::new(error))),
        };
        self.pushed.image = Some(image.clone());
        if available && matches!(self.order.route, Route::Url(_)) {
            // Until it is known what was imported, the image is not one to keep.
            self.still_the_same(Step::Import).await?;
        }
        self.conclude_step(Outcome::Import { image: image.id, available })?;
        if !available {
            return Err(Stop::Failed { image: Box::new(image) });
        }
        self.done(Step::Import, &format!("image {} is available", image.id));
        Ok(())
    }
}
