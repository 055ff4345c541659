//! Whether a bucket does what a push needs: seen with an object of one byte, before an image is sent.

use bytes::Bytes;

use super::PREFIX;
use super::event::Step;
use super::object;
use super::stop::Stop;
use crate::digitalocean::PushId;
use crate::spaces::{Acl, Bucket, Key};

/// The same for a bucket that nobody pushes to yet, under a key of its own.
///
/// # Errors
/// Says which right is missing. Nothing is left behind, unless it cannot be deleted.
pub async fn try_bucket(bucket: &Bucket) -> Result<(), Stop> {
    let key = format!("{PREFIX}{}/probe", PushId::random().as_str());
    probe(bucket, &Key::parse(&key).map_err(Stop::Order)?).await
}

/// Puts an object of one byte, lets everybody read it, looks at it as the importer will, and deletes it.
pub(super) async fn probe(bucket: &Bucket, key: &Key) -> Result<(), Stop> {
    let failed = || Stop::spaces(Step::Probe);
    bucket.put(key, Bytes::from_static(b"?"), Acl::Private).await.map_err(failed())?;
    let seen = async {
        bucket.set_acl(key, Acl::PublicRead).await.map_err(failed())?;
        object::is_public(bucket, key, 1, Step::Probe).await
    };
    let seen = seen.await;
    // Whether it is deleted matters also when it could not be seen.
    let deleted = bucket.delete(key).await.map_err(failed());
    seen.and(deleted)
}
