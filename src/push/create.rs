//! The image on DigitalOcean's side: created once, and waited for.

use std::time::{Duration, Instant, SystemTime};

use super::entry::{Intent, Outcome};
use super::event::Step;
use super::handed::Checked;
use super::order::Route;
use super::run::Run;
use super::stop::Stop;
use crate::digitalocean::wait::{self, WaitError};
use crate::digitalocean::{Error, Image, ImageNewCustom, Kind, PushId};
use crate::net::LONGEST_ASKED;

/// How often a create is posted at most that is refused because there were too many calls.
const POSTS: u32 = 5;

/// The first pause where the server does not say when to come back; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(2);

impl Run<'_> {
    /// Posts the create until it is answered by something else than a refusal because there were too many calls,
    /// which had no effect. After an answer that says neither yes nor no, the image is looked for.
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
        let checked = self.handed_over();
        let mut posts = 1;
        let image = loop {
            self.intend(Intent::Create { checked: checked.clone() })?;
            let error = match self.world.api.images().create(&request).await {
                Ok(image) => break image,
                Err(error) => error,
            };
            if error.is_ambiguous() {
                break self.settle(&push, error).await?;
            }
            let Some(wait) = pause(&error, posts) else { return Err(self.refused(error)?) };
            self.conclude_step(Outcome::NotCreated)?;
            let seconds = wait.as_secs_f64().ceil();
            self.world
                .note(&format!("there were too many calls; it is posted again in {seconds} s"));
            self.cancel.unless(tokio::time::sleep(wait)).await?;
            if checked.is_some() {
                self.still_the_same(Step::Create).await?;
            }
            posts += 1;
        };
        self.conclude_step(Outcome::Create { image: image.id })?;
        self.done(Step::Create, &format!("image {}", image.id));
        self.pushed.image = Some(image);
        Ok(())
    }

    /// What the image has to be made of, if the URL of others is handed over.
    fn handed_over(&self) -> Option<Checked> {
        let Route::Url(url) = &self.order.route else { return None };
        let found = self.pushed.report.as_ref()?.identity.as_ref()?;
        Some(Checked::new(url, found))
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

/// How long to wait before what makes something is posted again. `None` if it was refused for another reason than too many
/// calls, if there were enough posts, or if the server asks for too much.
pub(super) fn pause(error: &Error, posts: u32) -> Option<Duration> {
    let Kind::RateLimited { until } = &error.kind else { return None };
    let wait = match until {
        Some(until) => until.duration_since(SystemTime::now()).unwrap_or_default(),
        None => PAUSE * (1 << posts.saturating_sub(1).min(POSTS)),
    };
    (posts < POSTS && wait <= LONGEST_ASKED).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind) -> Error {
        Error { kind, status: None, id: None, message: String::new(), request_id: None }
    }

    #[test]
    fn only_what_had_no_effect_is_posted_again_and_not_for_ever() {
        let asked = |seconds| {
            let until = SystemTime::now() + Duration::from_secs(seconds);
            error(Kind::RateLimited { until: Some(until) })
        };
        assert!(pause(&asked(7), 1).is_some_and(|wait| wait.as_secs_f64().ceil() as u64 == 7));
        assert_eq!(pause(&asked(LONGEST_ASKED.as_secs() + 5), 1), None);
        assert_eq!(pause(&asked(7), POSTS), None);
        let silent = error(Kind::RateLimited { until: None });
        assert_eq!((pause(&silent, 1), pause(&silent, 2)), (Some(PAUSE), Some(PAUSE * 2)));
        for kind in [Kind::Server, Kind::Conflict, Kind::Invalid { stray: None }] {
            assert_eq!(pause(&error(kind), 1), None);
        }
    }
}
