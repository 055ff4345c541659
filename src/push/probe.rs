//! Whether a bucket does what a push needs: seen with an object of one byte, before an image is sent.

use bytes::Bytes;

use super::PREFIX;
use super::event::Step;
use super::object;
use super::stage::GRACE;
use super::stop::Stop;
use super::world::Cancel;
use crate::bytes::{Command, Hostile};
use crate::digitalocean::PushId;
use crate::spaces::{Acl, Bucket, Error, Head, Key, Retention, Versioning};

/// The last part of the key of such an object.
pub(super) const NAME: &str = "probe";

/// What came of trying a bucket.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tried {
    /// What it does not do, or why that is not known.
    pub result: Result<(), Stop>,
    /// The key of an object that may still be there.
    pub left: Option<Key>,
}

/// The same for a bucket that nobody pushes to yet, under a key of its own. Whatever ends it, the object is deleted.
pub async fn try_bucket(bucket: &Bucket, cancel: &Cancel) -> Tried {
    let key = format!("{PREFIX}{}/{NAME}", PushId::random().as_str());
    let key = match Key::parse(&key) {
        Ok(key) => key,
        Err(why) => return Tried { result: Err(Stop::Order(why)), left: None },
    };
    match cancel.unless(keeps(bucket)).await {
        Ok(Ok(_)) => {}
        Ok(Err(stop)) => return Tried { result: Err(stop), left: None },
        Err(cancelled) => return Tried { result: Err(cancelled.into()), left: None },
    }
    // What is under way on the server would come after it was deleted.
    let put = match cancel.finish(put(bucket, &key), GRACE).await {
        Ok(Err(error)) if !error.is_ambiguous() => {
            return Tried { result: Err(Stop::Spaces { step: Step::Probe, error }), left: None };
        }
        Ok(put) => put.map(drop).map_err(Stop::spaces(Step::Probe)),
        Err(cancelled) => Err(cancelled.into()),
    };
    let is_there = put.is_ok();
    let seen = match put {
        Ok(()) => {
            cancel.unless(see(bucket, &key)).await.unwrap_or_else(|cancelled| Err(cancelled.into()))
        }
        unknown => unknown,
    };
    let gone = erase(bucket, &key).await;
    let left = (gone.is_err() || !is_there).then_some(key);
    Tried { result: seen.and(gone), left }
}

/// What is to be known of a bucket that keeps versions, before anything is sent; nothing is known of one that does not
/// say.
///
/// # Errors
/// If it locks whatever is written: nobody could remove it.
pub(super) async fn keeps(bucket: &Bucket) -> Result<Option<String>, Stop> {
    if let Ok(Some(retention)) = bucket.retention().await {
        return Err(Stop::Bucket { step: Step::Probe, why: locks(&retention) });
    }
    Ok(match bucket.versioning().await {
        Ok(Versioning::Enabled) => Some(kept("is on")),
        Ok(Versioning::Suspended) => Some(kept("is suspended")),
        _ => None,
    })
}

/// The same of one that only shows it by what it answers when an object is put.
pub(super) fn shows(put: &Head) -> Option<String> {
    put.version.as_ref().filter(|version| !version.is_null()).map(|_| kept("is on"))
}

fn kept(how: &str) -> String {
    format!(
        "versioning of the bucket {how}, so it keeps what is deleted; the push makes each version of its objects private, \
         deletes it by its id, and looks whether it is gone; what it cannot delete it names at its end, and \
         {} removes it with a key that may",
        Command::sweep_remote()
    )
}

fn locks(retention: &Retention) -> String {
    format!(
        "the bucket locks what is written to it (object lock, {} for {}), so nothing that is staged there could be \
         removed; nothing was sent; take a bucket without default retention",
        Hostile::from(retention.mode.as_str()),
        Hostile::from(retention.time.as_str())
    )
}

/// Puts the object.
pub(super) async fn put(bucket: &Bucket, key: &Key) -> Result<Head, Error> {
    bucket.put(key, Bytes::from_static(b"?"), Acl::Private).await
}

/// Looks at it as the importer will, and deletes it.
pub(super) async fn look(bucket: &Bucket, key: &Key) -> Result<(), Stop> {
    let seen = see(bucket, key).await;
    // Whether it is gone matters also when it could not be seen.
    seen.and(erase(bucket, key).await)
}

async fn see(bucket: &Bucket, key: &Key) -> Result<(), Stop> {
    bucket.set_acl(key, Acl::PublicRead).await.map_err(Stop::spaces(Step::Probe))?;
    object::is_public(bucket, key, 1, Step::Probe).await
}

async fn erase(bucket: &Bucket, key: &Key) -> Result<(), Stop> {
    bucket.erase(key).await.map(drop).map_err(Stop::spaces(Step::Probe))
}
