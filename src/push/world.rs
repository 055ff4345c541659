use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::event::{Event, Listener};
use crate::digitalocean;
use crate::inspect;
use crate::spaces::{Bucket, BucketName, Endpoint, Keys};

/// What a push works with.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct World {
    /// DigitalOcean's API.
    pub api: digitalocean::Client,
    /// Where it is, without secrets.
    pub api_place: String,
    /// Where images are staged, if there is such a place and a key to it.
    pub bucket: Option<Bucket>,
    /// Whether that key was just made, so that it need not be known everywhere.
    pub fresh_key: bool,
    /// How a key to it is made, if one is to be made for the time of the push.
    pub mint: Option<Mint>,
    /// How a sweep looks at a URL that was handed over.
    pub look: inspect::Options,
    /// Is told of events.
    pub listener: Listener,
    /// Is told how far the check is, and what of an object that is read again is tried again.
    pub watch: Arc<dyn inspect::Listener + Send + Sync>,
}

/// A bucket to which a key is yet to be made.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Mint {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its name.
    pub bucket: BucketName,
    /// Opens it with a key.
    pub open: Arc<dyn Fn(Keys) -> Result<Bucket, String> + Send + Sync>,
}

impl World {
    pub(super) fn tell(&self, event: &Event<'_>) {
        (self.listener)(event);
    }

    pub(super) fn note(&self, text: &str) {
        self.tell(&Event::Note(text));
    }

    pub(super) fn undo(&self, text: &str) {
        self.tell(&Event::Undo(text));
    }
}

/// Ends a push from outside.
pub struct Canceller(watch::Sender<bool>);

/// Whether a push is to end.
#[derive(Clone)]
pub struct Cancel(watch::Receiver<bool>);

impl Canceller {
    /// A pair of both.
    #[must_use]
    pub fn new() -> (Canceller, Cancel) {
        let (sender, receiver) = watch::channel(false);
        (Canceller(sender), Cancel(receiver))
    }

    /// Has the push stop where it is, and undo what it did.
    pub fn cancel(&self) {
        // A push that is over needs no end.
        let _ = self.0.send(true);
    }
}

/// Work was not waited for any more.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to say of it")]
pub struct Cancelled;

impl Cancel {
    /// What comes of some work that must not be left to itself, as the server may do it after it was undone: unless
    /// the push is to end, and it then takes longer than this.
    ///
    /// # Errors
    /// If it does: the work is dropped, and may still have its effect.
    pub async fn finish<T>(
        &self,
        work: impl Future<Output = T>,
        grace: Duration,
    ) -> Result<T, Cancelled> {
        tokio::pin!(work);
        if let Ok(done) = self.unless(&mut work).await {
            return Ok(done);
        }
        tokio::time::timeout(grace, work).await.map_err(|_| Cancelled)
    }

    /// What comes of some work, unless the push is to end before.
    ///
    /// # Errors
    /// If it is: the work is dropped.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, Cancelled> {
        let mut receiver = self.0.clone();
        let ended = async {
            // Without its sender nobody will end it.
            if receiver.wait_for(|ended| *ended).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = ended => Err(Cancelled),
            done = work => Ok(done),
        }
    }
}
