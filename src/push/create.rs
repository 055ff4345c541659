//! The image on DigitalOcean's side: created once, and waited for.

use std::time::{Duration, Instant};

use super::compared;
use super::entry::{Intent, Outcome};
use super::event::{Event, Step};
use super::handed::Checked;
use super::order::Route;
use super::run::Run;
use super::stop::Stop;
use super::within;
use crate::digitalocean::posting::{Next, Posting};
use crate::digitalocean::wait::{self, WaitError};
use crate::digitalocean::{Error, Image, ImageNewCustom, Kind, PushId};

/// For how long an image is looked for after a refusal: there should be none, but a server has said no and
/// made one all the same.
const DOUBT: Duration = Duration::from_secs(2);

/// Whether nothing was made because nothing was asked: the API took no token, or no call.
fn makes_nothing(error: &Error) -> bool {
    matches!(error.kind, Kind::Unauthorized | Kind::RateLimited { .. })
}

impl Run<'_> {
    /// Posts the create, once. After an answer that says neither yes nor no, the image is looked for.
    pub(super) async fn create(&mut self, url: String) -> Result<(), Stop> {
        let new = &self.order.image;
        let checked = self.handed_over();
        let described = match new.describe {
            true => within::described(new.description.as_deref(), self.pushed.report.as_ref()),
            false => within::Described { text: new.description.clone(), warning: None },
        };
        described.warning.iter().for_each(|said| self.world.tell(&Event::Caution(said)));
        // Whoever takes a description over from another image may take the word over too.
        let description = described.text.as_deref().map(compared::without);
        let description = match checked {
            Some(_) => Some(compared::not_yet(description.as_deref())),
            None => description,
        };
        let named = within::distribution(new.distribution.as_ref(), self.pushed.report.as_ref());
        named.note.iter().for_each(|note| self.world.note(note));
        named.warning.iter().for_each(|said| self.world.tell(&Event::Caution(said)));
        let request = ImageNewCustom {
            name: new.name.clone(),
            url,
            region: new.region.clone(),
            distribution: named.distribution,
            description,
            tags: new.tags.clone(),
        };
        let push = self.journal.push().clone();
        let request = push.mark(&request, self.order.tag);
        // Nothing is created for somebody who does not want it any more.
        self.cancel.unless(std::future::ready(())).await?;
        self.begin(Step::Create, &format!("marked {}", push.tag()));
        let image = self.post(&request, &push, checked).await?;
        self.conclude_step(Outcome::Create { image: image.id })?;
        self.done(Step::Create, &format!("image {}", image.id));
        self.pushed.image = Some(image);
        Ok(())
    }

    /// Posts the create when calls are taken, and again with the same marks after an answer that says that there were
    /// too many of them, if no image is seen then.
    async fn post(
        &mut self,
        request: &ImageNewCustom,
        push: &PushId,
        checked: Option<Checked>,
    ) -> Result<Image, Stop> {
        let (images, patience) = (self.world.api.images(), self.order.patience);
        let mut posting = Posting::new(&images, push, &patience);
        loop {
            let ready = self.cancel.unless(posting.ready()).await?;
            ready.map_err(|error| Stop::Api { step: Step::Create, error })?;
            self.intend(Intent::Create { checked: checked.clone() })?;
            let error = match images.create_marked(request, push).await {
                Ok(image) => return Ok(image),
                Err(error) if error.is_ambiguous() => return self.settle(push, error).await,
                Err(error) => error,
            };
            match self.cancel.unless(posting.refused(error)).await? {
                Next::Again => self.conclude_step(Outcome::NotCreated)?,
                Next::Made(image, _) => {
                    self.world.note(&format!("image {} was made all the same", image.id));
                    return Ok(*image);
                }
                Next::Refused(error) => return Err(self.refused(push, error).await?),
            }
        }
    }

    /// What the image has to be made of, if the URL of others is handed over.
    fn handed_over(&self) -> Option<Checked> {
        let Route::Url(url) = &self.order.route else { return None };
        let found = self.pushed.report.as_ref()?.identity.as_ref()?;
        Some(Checked::new(url, found))
    }

    /// A create that was refused. One that made an image all the same leaves it to be deleted.
    async fn refused(&mut self, push: &PushId, error: Error) -> Result<Stop, Stop> {
        let made = match &error.kind {
            Kind::Invalid { stray: Some(stray) } if push.marks(stray) => Ok(Some(stray.id)),
            // It was never sent.
            _ if error.is_unsent() => Ok(None),
            _ => self.stray(push).await?,
        };
        match made {
            Ok(Some(image)) => self.conclude_step(Outcome::Create { image })?,
            Ok(None) if error.is_unsent() || makes_nothing(&error) => {
                self.conclude_step(Outcome::NotCreated)?
            }
            // Lists lag, and leave images out: a sweep looks again.
            Ok(None) => self.conclude_step(Outcome::Refused)?,
            // Whose token the API does not take has made nothing with it.
            Err(_) if matches!(error.kind, Kind::Unauthorized) => {
                self.conclude_step(Outcome::NotCreated)?
            }
            // The API takes no calls, as it said to the create: nobody can look, and that one made nothing.
            Err(Error { kind: Kind::RateLimited { .. }, .. })
                if matches!(error.kind, Kind::RateLimited { .. }) =>
            {
                self.conclude_step(Outcome::NotCreated)?
            }
            // Nobody could look, so it is not said that there is none: clean-up looks again, and then a sweep.
            Err(_) => {}
        }
        Ok(Stop::Api { step: Step::Create, error })
    }

    /// The image of a create that was refused, if it can be seen.
    async fn stray(&mut self, push: &PushId) -> Result<Result<Option<u64>, Error>, Stop> {
        let images = self.world.api.images();
        let most = DOUBT.min(self.order.settle);
        let looking = images.find(push, most, &self.order.patience, None);
        let found = self.cancel.unless(looking).await?;
        let made = found.map(|found| found.first().map(|image| image.id));
        if let Ok(Some(id)) = made {
            self.world.note(&format!("image {id} was made all the same, and is deleted"));
        }
        Ok(made)
    }

    async fn settle(&mut self, push: &PushId, because: Error) -> Result<Image, Stop> {
        let asked = Instant::now();
        let (settle, patience) = (self.order.settle, self.order.patience);
        let images = self.world.api.images();
        let found =
            self.cancel.unless(images.find(push, settle, &patience, Some(&because))).await?;
        let unseen = match found {
            Ok(found) => match found.into_iter().next() {
                Some(image) => {
                    self.world.note(&format!("image {} was made, and is adopted", image.id));
                    return Ok(image);
                }
                None => None,
            },
            Err(error) => Some(Box::new(error)),
        };
        Err(Stop::Unknown { because: Box::new(because), looked: asked.elapsed(), unseen })
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
