use std::time::Duration;

use super::event::Step;
use super::journal::JournalError;
use super::world::Cancelled;
use crate::bytes::Hostile;
use crate::digitalocean::wait::WaitError;
use crate::digitalocean::{self, Image};
use crate::spaces;

/// Why a push ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// The check refuses the image. The report says why.
    #[error("the check refuses the image")]
    Rejected,
    /// The image could not be read. The report says why.
    #[error("the image could not be read")]
    Unread,
    /// It was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// The journal could not be written, so nothing more was done.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// Something about the order cannot be.
    #[error("{0}")]
    Order(String),
    /// The bucket refused or failed.
    #[error("{}: {error}", step.as_str())]
    Spaces {
        /// In which step.
        step: Step,
        /// What it said.
        #[source]
        error: spaces::Error,
    },
    /// The bucket does not do what it should.
    #[error("{}: {why}", step.as_str())]
    Bucket {
        /// In which step.
        step: Step,
        /// What is wrong.
        why: String,
    },
    /// An earlier push of the file is not at its end: there could be two images.
    #[error(
        "an earlier push of this file got further than its upload ({push}): a sweep has to bring it to its end"
    )]
    Earlier {
        /// That push.
        push: String,
    },
    /// What was sent is not what was checked, so it does not become an object.
    #[error("check: {0}")]
    Staged(String),
    /// DigitalOcean refused or failed.
    #[error("{}: {error}", step.as_str())]
    Api {
        /// In which step.
        step: Step,
        /// What it said.
        #[source]
        error: digitalocean::Error,
    },
    /// Nobody knows whether an image was made.
    #[error("create: the outcome is unknown: {because}; the image was looked for, for {} s{}", looked.as_secs(), last_look(unseen))]
    Unknown {
        /// What was answered.
        because: Box<digitalocean::Error>,
        /// For how long it was looked for.
        looked: Duration,
        /// Why the last look showed nothing, if it failed.
        unseen: Option<Box<digitalocean::Error>>,
    },
    /// The import failed on DigitalOcean's side.
    #[error("import: {}", why(image))]
    Failed {
        /// The image, as it was seen last.
        image: Box<Image>,
    },
    /// Waiting for the import brought nothing.
    #[error("import: {0}")]
    Wait(Box<WaitError>),
    /// The object behind the URL is not the one any more that was checked.
    #[error("{}: {why}", step.as_str())]
    Changed {
        /// In which step it was seen.
        step: Step,
        /// What is different.
        why: String,
    },
    /// Some regions did not get the image, or it did not become a snapshot.
    #[error("{0}")]
    Spread(String),
}

fn last_look(unseen: &Option<Box<digitalocean::Error>>) -> String {
    unseen.as_ref().map_or(String::new(), |error| format!(", and the last look failed: {error}"))
}

fn why(image: &Image) -> String {
    match image.failure() {
        Some(why) => format!("DigitalOcean refused the image: {}", Hostile::message(why)),
        None => "DigitalOcean refused the image, and does not say why".into(),
    }
}

impl From<Cancelled> for Stop {
    fn from(_: Cancelled) -> Self {
        Stop::Interrupted
    }
}

impl Stop {
    /// A stable name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Stop::Rejected => "rejected",
            Stop::Unread => "unread",
            Stop::Interrupted => "interrupted",
            Stop::Journal(_) => "journal",
            Stop::Order(_) => "order",
            Stop::Earlier { .. } => "earlier",
            Stop::Spaces { .. } | Stop::Bucket { .. } => "spaces",
            Stop::Staged(_) => "staged",
            Stop::Api { .. } => "api",
            Stop::Unknown { .. } => "unknown-outcome",
            Stop::Failed { .. } => "import-failed",
            Stop::Wait(_) => "import-wait",
            Stop::Changed { .. } => "changed",
            Stop::Spread(_) => "spread",
        }
    }

    pub(super) fn spaces(step: Step) -> impl FnOnce(spaces::Error) -> Stop {
        move |error| Stop::Spaces { step, error }
    }
}
