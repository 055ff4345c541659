//! Whether a bucket does what a push needs: seen with an object of one byte, before an image is sent.

use bytes::Bytes;

use super::event::Step;
use super::object;
use super::stop::Stop;
use crate::spaces::{Acl, Bucket, Key};

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
