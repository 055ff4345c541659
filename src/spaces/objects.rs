//! Objects: writing, looking, who may read, deleting.

use std::time::SystemTime;

use bytes::Bytes;

use super::bucket::{Ask, Bucket};
use super::error::{Error, Kind, Operation};
use super::names::{ETag, Key, VersionId};
use super::xml::{self, Document};
use crate::net::{Called, Method};

/// Pages that a list may have, of 1000 entries each.
pub(super) const MOST_PAGES: usize = 200;

/// Who may read an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acl {
    /// Its owner.
    Private,
    /// Everybody.
    PublicRead,
}

impl Acl {
    pub(super) fn name(self) -> &'static str {
        match self {
            Acl::Private => "private",
            Acl::PublicRead => "public-read",
        }
    }
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// Its name.
    pub key: Key,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written, if that can be read.
    pub modified: Option<SystemTime>,
    /// What tells its content from others.
    pub etag: ETag,
}

/// What there is of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// Its length in bytes.
    pub size: u64,
    /// What tells its content from others.
    pub etag: ETag,
    /// Its version, if the server speaks of versions.
    pub version: Option<VersionId>,
}

/// What anybody sees of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The status, whatever it is; redirects are not followed.
    pub status: u16,
    /// The length that is said, in bytes.
    pub size: Option<u64>,
    /// What tells its content from others.
    pub etag: Option<ETag>,
    /// How what is fetched differs from what was stored; hostile text.
    pub content_encoding: Option<String>,
}

impl Bucket {
    /// Writes an object of at most [`LARGEST_PART`](super::limits::LARGEST_PART) bytes.
    ///
    /// # Errors
    /// If it is refused or fails.
    pub async fn put(&self, key: &Key, body: Bytes, acl: Acl) -> Result<Head, Error> {
        let size = body.len() as u64;
        let mut ask = Ask::new(Operation::Put, Method::PUT, Some(key))
            .header("content-type", "application/octet-stream");
        // Private is what objects are; a key that may not set ACLs may not even say so.
        if acl != Acl::Private {
            ask = ask.header("x-amz-acl", acl.name());
        }
        ask.digested(&body.into());
        let called = self.ask(&ask).await?;
        let etag = self.etag(Operation::Put, key, &called)?;
        Ok(Head { size, etag, version: version(&called) })
    }

    /// The ETag of an answer.
    pub(super) fn etag(
        &self,
        operation: Operation,
        key: &Key,
        called: &Called,
    ) -> Result<ETag, Error> {
        called.header("etag").map(ETag::new).ok_or_else(|| {
            self.error(operation, Some(key), |about| {
                Error::answered(about, Kind::Incomplete, called, "there is no ETag")
            })
        })
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// If nobody says. A key that may not list is told nothing of what is not there.
    pub async fn head(&self, key: &Key) -> Result<Option<Head>, Error> {
        let called = match self.ask(&Ask::new(Operation::Head, Method::HEAD, Some(key))).await {
            Ok(called) => called,
            Err(error) if error.kind == Kind::NoSuchKey => return Ok(None),
            Err(error) => return Err(error),
        };
        let etag = self.etag(Operation::Head, key, &called)?;
        match size(&called) {
            Some(size) => Ok(Some(Head { size, etag, version: version(&called) })),
            None => Err(self.error(Operation::Head, Some(key), |about| {
                Error::answered(about, Kind::Incomplete, &called, "there is no length")
            })),
        }
    }

    /// An object as somebody without a key sees it, such as DigitalOcean: whatever the status.
    ///
    /// # Errors
    /// If nobody answers, or 429 or 5xx only.
    pub async fn head_anonymous(&self, key: &Key) -> Result<Seen, Error> {
        let called = self.anonymous(key).await?;
        Ok(Seen {
            status: called.status,
            size: size(&called),
            etag: called.header("etag").map(ETag::new),
            content_encoding: called.list("content-encoding"),
        })
    }

    /// Says who may read an object.
    ///
    /// # Errors
    /// If it is refused or fails.
    pub async fn set_acl(&self, key: &Key, acl: Acl) -> Result<(), Error> {
        let ask = Ask::new(Operation::SetAcl, Method::PUT, Some(key))
            .query("acl", "")
            .header("x-amz-acl", acl.name());
        self.ask(&ask).await.map(|_| ())
    }

    /// Whether anybody but its owner may do anything with an object: a grant to all, or to all who have a
    /// key.
    ///
    /// # Errors
    /// If nobody says.
    pub async fn is_public(&self, key: &Key) -> Result<bool, Error> {
        let ask = Ask::new(Operation::GetAcl, Method::GET, Some(key)).query("acl", "");
        let called = self.ask(&ask).await?;
        let document =
            self.document(Operation::GetAcl, Some(key), &called, "AccessControlPolicy")?;
        let uris = document.all(&["AccessControlList", "Grant", "Grantee", "URI"]);
        Ok(uris.iter().any(|uri| {
            uri.ends_with("/global/AllUsers") || uri.ends_with("/global/AuthenticatedUsers")
        }))
    }

    /// Deletes an object, if it is there. That it is gone then is no more than what the server says, and its versions
    /// stay: [`Bucket::erase`] leaves nothing.
    ///
    /// # Errors
    /// If it is refused or fails.
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        match self.delete_version(key, None).await {
            Err(error) if error.kind != Kind::NoSuchKey => Err(error),
            _ => Ok(()),
        }
    }

    /// The objects whose names begin so; those with names that cannot be asked for are left out.
    ///
    /// # Errors
    /// If nobody says, or there are more than 200,000.
    pub async fn objects(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        let operation = Operation::ListObjects;
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut ask = Ask::new(operation, Method::GET, None)
                .query("list-type", "2")
                .query("max-keys", "1000")
                .query("prefix", prefix);
            if let Some(token) = token.take() {
                ask = ask.query("continuation-token", token);
            }
            let called = self.ask(&ask).await?;
            let document = self.document(operation, None, &called, "ListBucketResult")?;
            for entry in document.children("Contents") {
                let Some(key) = entry.text("Key").and_then(|key| Key::parse(key).ok()) else {
                    continue;
                };
                let size = entry.text("Size").and_then(|size| size.parse().ok());
                let size = size.ok_or_else(|| self.incomplete(operation, None, &called, "Size"))?;
                objects.push(Object {
                    key,
                    size,
                    modified: entry.text("LastModified").and_then(crate::net::time),
                    etag: ETag::new(entry.text("ETag").unwrap_or_default()),
                });
            }
            if document.text("IsTruncated") != Some("true") {
                return Ok(objects);
            }
            match document.text("NextContinuationToken") {
                Some(next) => token = Some(next.to_owned()),
                None => {
                    let what = "NextContinuationToken";
                    return Err(self.incomplete(operation, None, &called, what));
                }
            }
        }
        Err(self.endless(operation, None))
    }

    /// The document that an answer is.
    pub(super) fn document(
        &self,
        operation: Operation,
        key: Option<&Key>,
        called: &Called,
        root: &str,
    ) -> Result<Document, Error> {
        let wrong = match xml::parse(&called.body) {
            // Some servers end the name in another way; no client of S3 looks at it.
            Ok(document) if document.name.replace("Response", "Result") == root => {
                return Ok(document);
            }
            Ok(document) => format!("it is a {}, not a {root}", document.name),
            Err(why) => why,
        };
        Err(self
            .error(operation, key, |about| Error::answered(about, Kind::NotXml, called, &wrong)))
    }

    /// A document that lacks something.
    pub(super) fn incomplete(
        &self,
        operation: Operation,
        key: Option<&Key>,
        called: &Called,
        what: &str,
    ) -> Error {
        let said = format!("{what} is missing or wrong");
        self.error(operation, key, |about| Error::answered(about, Kind::Incomplete, called, &said))
    }

    /// A list that does not end.
    pub(super) fn endless(&self, operation: Operation, key: Option<&Key>) -> Error {
        let said = format!("there are more than {MOST_PAGES} pages");
        self.error(operation, key, |about| Error::new(about, Kind::Incomplete, &said))
    }
}

fn size(called: &Called) -> Option<u64> {
    called.header("content-length")?.trim().parse().ok()
}

/// The version that an answer is about.
fn version(called: &Called) -> Option<VersionId> {
    called.header("x-amz-version-id").and_then(|id| VersionId::parse(id).ok())
}
