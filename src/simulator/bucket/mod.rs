//! A Spaces bucket on this machine: the part of S3 that an upload of images needs, at `/BUCKET/KEY` of the
//! simulator's own port, and as strict as the real one about signatures, digests, parts and rights.
//!
//! It knows objects and their versions, multipart uploads, access keys and who may read what. It knows nothing of images, and
//! shares nothing with a client of S3, so that each can be held against the other: signatures too are
//! computed here a second time. Bodies go to files as they come; none is held in memory.

mod blocks;
mod contents;
mod deletes;
mod faults;
mod inflow;
mod keys;
mod listing;
mod lists;
mod multipart;
mod objects;
mod operation;
mod outflow;
mod problem;
mod request;
mod serve;
mod sign;
mod versions;
mod xml;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) use faults::{BucketPlan, Entry as FaultEntry};
pub(super) use keys::{Grant, Key};
pub(super) use outflow::Body;
pub(super) use serve::{exchange, is_addressed};

use contents::Contents;
use problem::{NO_SUCH_BUCKET, Problem};

/// The name of the bucket. There is one.
pub(super) const NAME: &str = "simulated";
/// Where it is.
pub(super) const REGION: &str = "nyc3";

/// The bucket with all that it holds, and the keys to it.
#[derive(Debug)]
pub(super) struct Bucket {
    /// The key that opens all of it; new in each run.
    pub(super) root: Key,
    contents: Mutex<Contents>,
}

impl Bucket {
    /// What the directory holds of an earlier run; without a directory nothing is kept.
    pub(super) fn open(state: Option<&Path>) -> Result<Bucket, String> {
        let root = Key::new("simulator", vec![Grant::everything()])?;
        Ok(Bucket { root, contents: Mutex::new(Contents::open(state)?) })
    }

    /// Whether it can be opened in this directory, of which nothing is changed.
    pub(super) fn look(state: &Path) -> Result<(), String> {
        Contents::read(state).map(drop)
    }

    /// Nothing in it is left half changed by a panic.
    pub(super) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The contents, as long as the bucket is there.
    fn there(&self) -> Result<MutexGuard<'_, Contents>, Problem> {
        let contents = self.contents();
        match contents.vanished {
            true => Err(Problem::of(NO_SUCH_BUCKET)),
            false => Ok(contents),
        }
    }

    /// The key with this id.
    fn key(&self, id: &str) -> Option<Key> {
        if id == self.root.access_key {
            return Some(self.root.clone());
        }
        self.contents().keys.iter().find(|key| key.access_key == id).cloned()
    }
}
