//! Whether a bucket does what a push needs: seen with an object of one byte, before an image is sent.

use bytes::Bytes;

use super::PREFIX;
use super::event::Step;
use super::object;
use super::stop::Stop;
use crate::bytes::Hostile;
use crate::digitalocean::PushId;
use crate::spaces::{Acl, Bucket, Error, Head, Key, Retention, Versioning};

/// The last part of the key of such an object.
pub(super) const NAME: &str = "probe";

/// The same for a bucket that nobody pushes to yet, under a key of its own.
///
/// # Errors
/// Says which right is missing. Nothing is left behind, unless it cannot be deleted.
pub async fn try_bucket(bucket: &Bucket) -> Result<(), Stop> {
    let key = format!("{PREFIX}{}/{NAME}", PushId::random().as_str());
    let key = Key::parse(&key).map_err(Stop::Order)?;
    keeps(bucket).await?;
    put(bucket, &key).await.map_err(Stop::spaces(Step::Probe))?;
    look(bucket, &key).await
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
         `tidegate sweep --remote` removes it with a key that may"
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
    let failed = || Stop::spaces(Step::Probe);
    let seen = async {
        bucket.set_acl(key, Acl::PublicRead).await.map_err(failed())?;
        object::is_public(bucket, key, 1, Step::Probe).await
    };
    let seen = seen.await;
    // Whether it is gone matters also when it could not be seen.
    let gone = bucket.erase(key).await.map(drop).map_err(failed());
    seen.and(gone)
}
