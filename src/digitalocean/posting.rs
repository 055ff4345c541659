//! When a create is posted once more: after a 429, which says that nothing was made.

use std::time::{Duration, Instant, SystemTime};

use super::client::Event;
use super::create::PushId;
use super::error::{Error, Kind};
use super::images::Images;
use super::types::Image;
use super::wait::Patience;

/// How often a create is posted at most.
const MOST_POSTS: u32 = 3;

/// A create that is to be posted, of an image with the marks of a push.
pub(crate) struct Posting<'a> {
    images: &'a Images,
    push: &'a PushId,
    patience: &'a Patience,
    began: Instant,
    posts: u32,
}

/// What to do after a create that was refused.
pub(crate) enum Next {
    /// Post it once more: none was made.
    Again,
    /// The image is there, although this was answered.
    Made(Box<Image>, Error),
    /// It is refused.
    Refused(Error),
}

impl<'a> Posting<'a> {
    /// All its waits together take no longer than the patience allows.
    pub(crate) fn new(images: &'a Images, push: &'a PushId, patience: &'a Patience) -> Self {
        Posting { images, push, patience, began: Instant::now(), posts: 0 }
    }

    /// Waits until calls are taken.
    ///
    /// # Errors
    /// If that is longer than the patience allows.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        match self.images.0.budget().opens() {
            Some(until) if !self.wait(until).await => Err(Error::limited(until)),
            _ => Ok(()),
        }
    }

    /// After an answer that there were too many calls, waits as long as it says, and looks for the image.
    pub(crate) async fn refused(&mut self, error: Error) -> Next {
        self.posts += 1;
        let Kind::RateLimited { until } = error.kind else { return Next::Refused(error) };
        let soon = SystemTime::now() + self.patience.first;
        let until = until.unwrap_or(soon).max(soon);
        if self.posts == MOST_POSTS || !self.wait(until).await {
            return Next::Refused(error);
        }
        if error.is_unsent() {
            return Next::Again;
        }
        match self.images.find(self.push, Duration::ZERO, self.patience, None).await {
            Ok(found) => match found.into_iter().next() {
                Some(image) => Next::Made(Box::new(image), error),
                None => Next::Again,
            },
            // Who could not look does not post again.
            Err(_) => Next::Refused(error),
        }
    }

    /// Whether it could be waited for so long.
    async fn wait(&self, until: SystemTime) -> bool {
        let wait = until.duration_since(SystemTime::now()).unwrap_or_default();
        if wait > self.patience.since(self.began).most {
            return false;
        }
        self.images.0.tell(&Event::CreateWaits(wait));
        tokio::time::sleep(wait).await;
        true
    }
}
