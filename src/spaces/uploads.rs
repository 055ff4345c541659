//! Multipart uploads: the object comes into being when they are completed.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::body::Body;
use super::bucket::{Again, Ask, Bucket};
use super::error::{Error, Kind, Operation};
use super::names::{ETag, Key, PartNumber, UploadId};
use super::objects::{Acl, MOST_PAGES};
use super::xml::{self, Element};
use crate::net::Method;

/// How long a server may be silent while it puts the parts together.
const PUTTING_TOGETHER: Duration = Duration::from_secs(300);

/// How often an upload is aborted whose parts do not go away: one that was under way may come to rest
/// after the abort (S3, "AbortMultipartUpload").
const MOST_ABORTS: u32 = 8;

/// An upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Upload {
    /// The object that it will be.
    pub key: Key,
    /// The server's name for it.
    pub id: UploadId,
}

/// A part that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Part {
    /// Its number.
    pub number: PartNumber,
    /// Its length in bytes.
    pub size: u64,
    /// What tells its content from others.
    pub etag: ETag,
}

/// An upload that was neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenUpload {
    /// The upload.
    pub upload: Upload,
    /// When it was begun, if that can be read.
    pub initiated: Option<SystemTime>,
}

/// An upload that has become an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completed {
    /// What tells its content from others. Mostly that of [`ETag::of_parts`].
    pub etag: ETag,
}

impl Bucket {
    /// Begins the upload of a private object. It is not begun twice: after an ambiguous failure (see
    /// [`Error::is_ambiguous`]) there may be one nobody knows the name of, which [`Bucket::uploads`] shows.
    ///
    /// # Errors
    /// If it is refused or fails.
    pub async fn create_upload(
        &self,
        key: &Key,
        content_type: &'static str,
    ) -> Result<Upload, Error> {
        let operation = Operation::CreateUpload;
        let mut ask = Ask::new(operation, Method::POST, Some(key))
            .query("uploads", "")
            .header("x-amz-acl", Acl::Private.name())
            .header("content-type", content_type);
        ask.again = Again::Refused;
        let called = self.ask(&ask).await?;
        let root = "InitiateMultipartUploadResult";
        let document = self.document(operation, Some(key), &called, root)?;
        let id = document.text("UploadId").and_then(|id| UploadId::parse(id).ok());
        match id {
            Some(id) => Ok(Upload { key: key.clone(), id }),
            None => Err(self.incomplete(operation, Some(key), &called, "UploadId")),
        }
    }

    /// Uploads a part, again and again if that may help. Its MD5 is held against the ETag if that has the
    /// form of one.
    ///
    /// # Errors
    /// If it is refused or fails.
    pub async fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        body: &Body,
    ) -> Result<ETag, Error> {
        let mut ask = Ask::new(Operation::PutPart, Method::PUT, Some(&upload.key))
            .query("partNumber", number.to_string())
            .query("uploadId", upload.id.as_str());
        ask.part = Some(number);
        ask.digested(body);
        let called = self.ask(&ask).await?;
        self.etag(Operation::PutPart, &upload.key, &called)
    }

    /// Puts the parts together: from now on there is an object. Their numbers have to ascend.
    ///
    /// # Errors
    /// [`Kind::Unknown`] if it may have been done: [`Bucket::head`] tells. Otherwise it was not done.
    pub async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<Completed, Error> {
        let operation = Operation::Complete;
        let key = Some(&upload.key);
        let mut ask = Ask::new(operation, Method::POST, key)
            .query("uploadId", upload.id.as_str())
            .header("content-type", "application/xml");
        ask.body = Bytes::from(xml::complete(parts)).into();
        ask.again = Again::Refused;
        ask.idle = Some(PUTTING_TOGETHER);
        let unknown = |error: Error| match error.is_ambiguous() {
            true => Error { kind: Kind::Unknown, ..error },
            false => error,
        };
        let called = self.ask(&ask).await.map_err(unknown)?;
        let root = "CompleteMultipartUploadResult";
        let document = self.document(operation, key, &called, root).map_err(unknown)?;
        match document.text("ETag") {
            Some(etag) => Ok(Completed { etag: ETag::new(etag) }),
            None => Err(unknown(self.incomplete(operation, key, &called, "ETag"))),
        }
    }

    /// Gives an upload up, and sees to it that none of its parts is left. One that is not there is fine.
    ///
    /// # Errors
    /// If it is refused or fails, or parts stay.
    pub async fn abort(&self, upload: &Upload) -> Result<(), Error> {
        let operation = Operation::Abort;
        let key = Some(&upload.key);
        for round in 0..MOST_ABORTS {
            let ask =
                Ask::new(operation, Method::DELETE, key).query("uploadId", upload.id.as_str());
            match self.ask(&ask).await {
                Err(error) if !gone(&error) => return Err(error),
                _ => {}
            }
            match self.parts(upload).await {
                Err(error) if gone(&error) => return Ok(()),
                Err(error) if matches!(error.kind, Kind::Forbidden | Kind::Unsupported) => {
                    match self.uploads(upload.key.as_str()).await {
                        Ok(open) if open.iter().any(|open| open.upload == *upload) => {}
                        // Who may look nowhere has done what can be done.
                        _ => return Ok(()),
                    }
                }
                Err(error) => return Err(error),
                Ok(parts) if parts.is_empty() => return Ok(()),
                Ok(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(100 << round)).await;
        }
        let said = "some of its parts are still there";
        Err(self.error(operation, key, |about| Error::new(about, Kind::Incomplete, said)))
    }

    /// All parts of an upload, in ascending order.
    ///
    /// # Errors
    /// If nobody says; [`Kind::NoSuchUpload`] if there is none.
    pub async fn parts(&self, upload: &Upload) -> Result<Vec<Part>, Error> {
        let operation = Operation::ListParts;
        let key = Some(&upload.key);
        let mut parts: Vec<Part> = Vec::new();
        let mut after = 0;
        for _ in 0..MOST_PAGES {
            let mut ask = Ask::new(operation, Method::GET, key)
                .query("uploadId", upload.id.as_str())
                .query("max-parts", "1000");
            if after > 0 {
                ask = ask.query("part-number-marker", after.to_string());
            }
            let called = self.ask(&ask).await?;
            let document = self.document(operation, key, &called, "ListPartsResult")?;
            let missing = |what| self.incomplete(operation, key, &called, what);
            for entry in document.children("Part") {
                let part = part(entry).ok_or_else(|| missing("Part"))?;
                if parts.last().is_some_and(|last| last.number >= part.number) {
                    return Err(missing("the order of the parts"));
                }
                parts.push(part);
            }
            if document.text("IsTruncated") != Some("true") {
                return Ok(parts);
            }
            match parts.last().map(|last| last.number.get()) {
                Some(last) if last > after => after = last,
                _ => return Err(missing("NextPartNumberMarker")),
            }
        }
        Err(self.endless(operation, key))
    }

    /// The open uploads of objects whose names begin so; those of names that cannot be asked for are left
    /// out.
    ///
    /// # Errors
    /// If nobody says, or there are more than 200,000.
    pub async fn uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>, Error> {
        let operation = Operation::ListUploads;
        let mut uploads = Vec::new();
        let mut seen = BTreeSet::new();
        let mut after: Option<(String, String)> = None;
        for _ in 0..MOST_PAGES {
            let mut ask = Ask::new(operation, Method::GET, None)
                .query("uploads", "")
                .query("max-uploads", "1000")
                .query("prefix", prefix);
            if let Some((key, id)) = after.take() {
                ask = ask.query("key-marker", key).query("upload-id-marker", id);
            }
            let called = self.ask(&ask).await?;
            let document = self.document(operation, None, &called, "ListMultipartUploadsResult")?;
            for entry in document.children("Upload") {
                let key = entry.text("Key").and_then(|key| Key::parse(key).ok());
                let id = entry.text("UploadId").and_then(|id| UploadId::parse(id).ok());
                // Not every server keeps to the prefix.
                let Some(key) = key.filter(|key| key.as_str().starts_with(prefix)) else {
                    continue;
                };
                let Some(id) = id else {
                    return Err(self.incomplete(operation, None, &called, "UploadId"));
                };
                let initiated = entry.text("Initiated").and_then(crate::net::time);
                uploads.push(OpenUpload { upload: Upload { key, id }, initiated });
            }
            if document.text("IsTruncated") != Some("true") {
                return Ok(uploads);
            }
            let next = (
                document.text("NextKeyMarker").unwrap_or_default().to_owned(),
                document.text("NextUploadIdMarker").unwrap_or_default().to_owned(),
            );
            if !seen.insert(next.clone()) {
                return Err(self.incomplete(operation, None, &called, "NextKeyMarker"));
            }
            after = Some(next);
        }
        Err(self.endless(operation, None))
    }
}

/// Whether an error says that an upload is not there.
fn gone(error: &Error) -> bool {
    matches!(error.kind, Kind::NoSuchUpload | Kind::NoSuchKey)
}

fn part(entry: &Element) -> Option<Part> {
    let number = PartNumber::new(entry.text("PartNumber")?.parse().ok()?)?;
    let size = entry.text("Size")?.parse().ok()?;
    Some(Part { number, size, etag: ETag::new(entry.text("ETag")?) })
}
