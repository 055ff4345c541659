//! Whether a bucket does what a push needs: seen with an object of one byte, before an image is sent.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::PREFIX;
use super::entry::{Began, Entry, Intent, Outcome, Place};
use super::event::Step;
use super::journal::{Journal, JournalError};
use super::object;
use super::owner::Owner;
use super::stage::GRACE;
use super::stop::Stop;
use super::world::Cancel;
use crate::bytes::{Command, Hostile};
use crate::digitalocean::{Client, PushId};
use crate::spaces::{Acl, Bucket, Error, Head, Key, Kind, Retention, Versioning};

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
    /// What to do about its journal, if the bucket is somebody else's.
    pub discard: String,
}

/// For how long an object is looked for that may come late.
const SETTLE: Duration = Duration::from_secs(15 * 60);

/// A bucket that nobody pushes to yet, and where it is written down that an object is put there.
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Trial<'a> {
    /// The bucket.
    pub bucket: &'a Bucket,
    /// Where journals are.
    pub folder: &'a Path,
    /// The API, if there is a token for it.
    pub api: Option<&'a Client>,
    /// Where it is.
    pub api_place: String,
}

/// The same for a bucket that nobody pushes to yet, under a key of its own. Whatever ends it, the object is deleted; one
/// that may still be there has a journal as that of a push has, so that a sweep finds it.
///
/// # Errors
/// If there can be no journal: nothing was put then.
pub async fn try_bucket(trial: &Trial<'_>, cancel: &Cancel) -> Result<Tried, JournalError> {
    let (bucket, push) = (trial.bucket, PushId::random());
    let none = |result| Ok(Tried { result, left: None, discard: String::new() });
    let key = match Key::parse(&format!("{PREFIX}{}/{NAME}", push.as_str())) {
        Ok(key) => key,
        Err(why) => return none(Err(Stop::Order(why))),
    };
    match cancel.unless(keeps(bucket)).await {
        Ok(Ok(_)) => {}
        Ok(Err(stop)) => return none(Err(stop)),
        Err(cancelled) => return none(Err(cancelled.into())),
    }
    let mut journal = Journal::begin(trial.folder, &push, began(trial, &push))?;
    journal.write(Entry::Intent(Intent::Probe { key: key.as_str().to_owned() }))?;
    let (result, gone) = tried(bucket, &key, &mut journal, cancel).await;
    let discard = journal.discard();
    if gone {
        // It does no harm if it stays: a sweep finds nothing.
        let _ = journal.note(Entry::Outcome(Outcome::Probe));
        let _ = journal.end();
    }
    Ok(Tried { result, left: (!gone).then_some(key), discard })
}

fn began(trial: &Trial<'_>, push: &PushId) -> Began {
    let (endpoint, name) = (trial.bucket.endpoint(), trial.bucket.name());
    Began {
        push: push.as_str().to_owned(),
        source: "the probe of a bucket".to_owned(),
        fingerprint: String::new(),
        api: trial.api_place.clone(),
        place: Some(Place {
            endpoint: endpoint.address().to_string(),
            bucket: name.as_str().to_owned(),
            region: endpoint.region().as_str().to_owned(),
        }),
        keep_object: false,
        settle: SETTLE.as_secs(),
        owner: trial.api.map(|api| Owner::with_key(api, trial.bucket, push)),
    }
}

/// What the bucket did, and whether nothing is left in it.
async fn tried(
    bucket: &Bucket,
    key: &Key,
    journal: &mut Journal,
    cancel: &Cancel,
) -> (Result<(), Stop>, bool) {
    // What is under way on the server would come after it was deleted.
    let put = cancel.finish(put(bucket, key), GRACE).await;
    let answered = match &put {
        Ok(put) => put.as_ref().err().is_none_or(|error| !error.is_ambiguous()),
        Err(_) => false,
    };
    if answered {
        let _ = journal.note(Entry::Outcome(Outcome::Answered));
    }
    let seen = match put {
        Ok(Err(error)) if error.is_unsent() || is_unheard(&error) => {
            return (Err(Stop::Spaces { step: Step::Probe, error }), true);
        }
        Ok(Ok(_)) => {
            cancel.unless(see(bucket, key)).await.unwrap_or_else(|cancelled| Err(cancelled.into()))
        }
        Ok(Err(error)) => Err(Stop::Spaces { step: Step::Probe, error }),
        Err(cancelled) => Err(cancelled.into()),
    };
    let erased = erase(bucket, key).await;
    let gone = erased.is_ok() && answered;
    (seen.and(erased), gone)
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

/// Whether whoever answered did nothing, as it knows neither the key nor the bucket.
pub(super) fn is_unheard(error: &Error) -> bool {
    matches!(
        error.kind,
        Kind::NoSuchBucket
            | Kind::UnknownKey
            | Kind::BadSignature
            | Kind::ClockSkew { .. }
            | Kind::Region { .. }
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
