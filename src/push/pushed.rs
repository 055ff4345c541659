use std::time::Duration;

use serde::Serialize;

use super::event::Step;
use super::stop::Stop;
use crate::digitalocean::{Image, PushId};
use crate::inspect::Report;

/// What became of a push.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pushed {
    /// What marks its image, if there is a journal.
    pub push: Option<PushId>,
    /// The check, if it came to that.
    pub report: Option<Report>,
    /// What was pushed, if it was read.
    pub source: Option<Source>,
    /// The object, if one was staged.
    pub staged: Option<Staged>,
    /// The image as it was seen last, if one was made.
    pub image: Option<Image>,
    /// Whether it is there and can be used: a push that stops after the import leaves it.
    pub available: bool,
    /// The other regions that it was to go to.
    pub regions: Vec<RegionOutcome>,
    /// What was asked for and not waited for to its end: DigitalOcean goes on with it.
    pub under_way: Vec<String>,
    /// How long each step took.
    pub took: Vec<(Step, Duration)>,
    /// Why it ended before its end.
    pub stop: Option<Stop>,
    /// What could not be cleaned up; a sweep will.
    pub left: Vec<String>,
}

impl Pushed {
    /// One that has not begun, or has been stopped before it did.
    pub(crate) fn stopped(stop: Option<Stop>) -> Self {
        Pushed {
            push: None,
            report: None,
            source: None,
            staged: None,
            image: None,
            available: false,
            regions: Vec::new(),
            under_way: Vec::new(),
            took: Vec::new(),
            stop,
            left: Vec::new(),
        }
    }
}

/// The file that was pushed, as it is.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Source {
    /// Its path or URL, or `-`.
    pub name: String,
    /// Its bytes, if it was read to its end.
    pub size: Option<u64>,
    /// SHA-256 of its bytes, if it was read to its end.
    pub sha256: Option<String>,
    /// What was taken off, the outermost first: the report is that of the file inside.
    pub wrappings: Vec<String>,
}

/// The object that was staged.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Staged {
    /// The bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Where it was public for the time of the import.
    pub url: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Parts that it was sent in; 0 if an earlier run sent it.
    pub parts: usize,
    /// Whether it is still there.
    pub kept: bool,
    /// Whether everybody may still read it: the importer may need it, or it could not be made private.
    pub public: bool,
}

impl Staged {
    /// Whether it was to be kept, and is.
    #[must_use]
    pub fn is_as_wanted(&self) -> bool {
        self.kept && !self.public && self.key.contains(super::order::KEPT)
    }
}

/// What became of a region.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RegionOutcome {
    /// Which.
    pub region: String,
    /// `present`, `completed` or `failed`.
    pub outcome: &'static str,
    /// Why it failed.
    pub error: Option<String>,
}
