//! Requests to the bucket that must not be made twice blindly, and whose answer got lost: what became of them
//! is looked up, and they are made again if nothing did.

use std::time::Duration;

use crate::spaces::{Bucket, Error, Key, Kind, Part, Upload};

/// How often such a request is made at most, and the pauses in between.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

/// Opens an upload of a key that only this push has: any upload of it is its own.
///
/// # Errors
/// If it is refused, or fails again and again. There may be one open then.
pub(super) async fn create_upload(
    bucket: &Bucket,
    key: &Key,
    content_type: &'static str,
) -> Result<Upload, Error> {
    let mut attempt = 1;
    loop {
        let error = match bucket.create_upload(key, content_type).await {
            Ok(upload) => return Ok(upload),
            Err(error) => error,
        };
        if !error.is_ambiguous() {
            return Err(error);
        }
        let open = bucket.uploads(key.as_str()).await?;
        let mut own = open.into_iter().map(|open| open.upload).filter(|upload| upload.key == *key);
        if let Some(upload) = own.next() {
            return Ok(upload);
        }
        if attempt == ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(PAUSE * attempt).await;
        attempt += 1;
    }
}

/// Makes an object of an upload.
///
/// # Errors
/// If it is refused, or fails again and again. There may be an object then.
pub(super) async fn complete(
    bucket: &Bucket,
    upload: &Upload,
    parts: &[Part],
    size: u64,
) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        let error = match bucket.complete(upload, parts).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        // What one did that was not answered, the next one does not find any more.
        let gone = attempt > 1 && error.kind == Kind::NoSuchUpload;
        if !error.is_ambiguous() && !gone {
            return Err(error);
        }
        let head = bucket.head(&upload.key).await;
        if matches!(head, Ok(Some(head)) if head.size == size) {
            return Ok(());
        }
        if gone || attempt == ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(PAUSE * attempt).await;
        attempt += 1;
    }
}
