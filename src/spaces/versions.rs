//! Versions: what a bucket keeps of objects that were deleted or replaced, and how it is seen to it that nothing of
//! an object is left.
//!
//! An answer of success to a DELETE proves nothing. In a bucket with versioning it hides the object behind a marker,
//! and whoever knows the version goes on reading it (S3, "Deleting object versions from a versioning-enabled bucket").

use std::time::{Duration, SystemTime};

use super::bucket::{Ask, Bucket};
use super::error::{Error, Kind, Operation};
use super::names::{Key, VersionId};
use super::objects::{Acl, MOST_PAGES};
use super::xml::Document;
use crate::net::{Called, Method};

/// How often something is deleted that does not go away, and the first pause in between: lists may lag.
const ROUNDS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);

/// The header that names the version that an answer is about.
const VERSION: &str = "x-amz-version-id";

/// Whether a bucket keeps what is deleted or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Versioning {
    /// It never did.
    Off,
    /// It keeps everything.
    Enabled,
    /// It keeps what it kept before.
    Suspended,
}

/// What objects of a bucket are locked with when they are written: nobody deletes them before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// `GOVERNANCE` or `COMPLIANCE`; hostile text.
    pub mode: String,
    /// For how long, such as `30 days`; hostile text.
    pub time: String,
}

/// A version of an object, or a marker that says that it is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// The object.
    pub key: Key,
    /// What identifies the version.
    pub id: VersionId,
    /// Whether it is a marker, which has no bytes.
    pub marker: bool,
    /// When it was written, if that can be read.
    pub modified: Option<SystemTime>,
}

/// Something that is there of an object.
struct There {
    /// Its version; `None` if the server speaks of none.
    id: Option<VersionId>,
    marker: bool,
}

impl Bucket {
    /// Whether the bucket keeps what is deleted or replaced.
    ///
    /// # Errors
    /// If nobody says.
    pub async fn versioning(&self) -> Result<Versioning, Error> {
        let operation = Operation::GetVersioning;
        let called =
            self.ask(&Ask::new(operation, Method::GET, None).query("versioning", "")).await?;
        // moto names it otherwise, and no client of S3 looks at it.
        let named = |name| self.document(operation, None, &called, name);
        let document =
            named("VersioningConfiguration").or_else(|_| named("GetBucketVersioningResult"))?;
        Ok(match document.text("Status") {
            Some("Enabled") => Versioning::Enabled,
            Some("Suspended") => Versioning::Suspended,
            _ => Versioning::Off,
        })
    }

    /// What objects are locked with if nothing else is said when they are written; `None` if they are not locked.
    ///
    /// # Errors
    /// If nobody says.
    pub async fn retention(&self) -> Result<Option<Retention>, Error> {
        let operation = Operation::GetObjectLock;
        let asked =
            self.ask(&Ask::new(operation, Method::GET, None).query("object-lock", "")).await;
        let called = match asked {
            Ok(called) => called,
            Err(error) if error.code.as_deref() == Some(NO_LOCK) => return Ok(None),
            // What a server does not have, it does not do.
            Err(error) if error.kind == Kind::Unsupported => return Ok(None),
            // So say servers that know no locks, and that the bucket is there.
            Err(error) if error.kind == Kind::NoSuchBucket && error.code.is_none() => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let document = self.document(operation, None, &called, "ObjectLockConfiguration")?;
        Ok(retention(&document))
    }

    /// All versions and markers of the objects whose names begin so; those with names that cannot be asked for are
    /// left out. A bucket without versions has one `null` of each object.
    ///
    /// # Errors
    /// If nobody says, or there are more than 200,000.
    pub async fn versions(&self, prefix: &str) -> Result<Vec<Version>, Error> {
        let operation = Operation::ListVersions;
        let mut versions = Vec::new();
        let mut after: Option<(String, String)> = None;
        for _ in 0..MOST_PAGES {
            let mut ask = Ask::new(operation, Method::GET, None)
                .query("versions", "")
                .query("max-keys", "1000")
                .query("prefix", prefix);
            if let Some((key, id)) = &after {
                ask = ask.query("key-marker", key).query("version-id-marker", id);
            }
            let called = self.ask(&ask).await?;
            let document = self.document(operation, None, &called, "ListVersionsResult")?;
            for (name, marker) in [("Version", false), ("DeleteMarker", true)] {
                for entry in document.children(name) {
                    let key = entry.text("Key").and_then(|key| Key::parse(key).ok());
                    let Some(key) = key.filter(|key| key.as_str().starts_with(prefix)) else {
                        continue;
                    };
                    let id = entry.text("VersionId").and_then(|id| VersionId::parse(id).ok());
                    let id =
                        id.ok_or_else(|| self.incomplete(operation, None, &called, "VersionId"))?;
                    let modified = entry.text("LastModified").and_then(crate::net::time);
                    versions.push(Version { key, id, marker, modified });
                }
            }
            if document.text("IsTruncated") != Some("true") {
                return Ok(versions);
            }
            let next = (
                document.text("NextKeyMarker").unwrap_or_default().to_owned(),
                document.text("NextVersionIdMarker").unwrap_or_default().to_owned(),
            );
            if next.0.is_empty() || after.as_ref() == Some(&next) {
                return Err(self.incomplete(operation, None, &called, "NextKeyMarker"));
            }
            after = Some(next);
        }
        Err(self.endless(operation, None))
    }

    /// Has nobody but its owner read an object, in any version, and looks whether that is so.
    ///
    /// # Errors
    /// If it is refused or fails, if it is not there, or if anybody can read it all the same.
    pub async fn hide(&self, key: &Key) -> Result<(), Error> {
        let there = self.what_is_there(key).await?;
        if there.iter().all(|one| one.marker) {
            return Err(self.error(Operation::SetAcl, Some(key), |about| {
                Error::new(about, Kind::NoSuchKey, "it is not there")
            }));
        }
        for one in there.iter().filter(|one| !one.marker) {
            self.set_acl_of(key, one.id.as_ref(), Acl::Private).await?;
        }
        let mut round = 1;
        loop {
            let seen = self.head_anonymous(key).await?;
            if !(200..300).contains(&seen.status) {
                return Ok(());
            }
            if round == ROUNDS {
                let said =
                    "anybody can read it all the same; does a policy of the bucket allow it?";
                return Err(self.error(Operation::SetAcl, Some(key), |about| {
                    Error::new(about, Kind::StillPublic, said)
                }));
            }
            tokio::time::sleep(PAUSE * round).await;
            round += 1;
        }
    }

    /// Deletes an object in all its versions, each of which becomes private before, and looks whether anything of it
    /// is left. Whether there was anything.
    ///
    /// # Errors
    /// If something of it is left, or nobody says.
    pub async fn erase(&self, key: &Key) -> Result<bool, Error> {
        let mut any = false;
        for round in 0..ROUNDS {
            let there = self.what_is_there(key).await?;
            if there.is_empty() {
                return Ok(any);
            }
            any = true;
            // What was never versioned need not be known by a version.
            let plain = round == 0 && there.len() == 1 && !there[0].marker;
            let mut failed = None;
            for one in &there {
                let id = one.id.as_ref().filter(|id| !(plain && id.is_null()));
                failed = failed.or(self.erase_one(key, id, one.marker).await.err());
            }
            if let Some(error) = failed {
                return Err(error);
            }
            if round > 0 {
                tokio::time::sleep(PAUSE * round).await;
            }
        }
        let said = "the server says that it is deleted, and it is still there";
        Err(self
            .error(Operation::Delete, Some(key), |about| Error::new(about, Kind::StillThere, said)))
    }

    async fn erase_one(
        &self,
        key: &Key,
        id: Option<&VersionId>,
        marker: bool,
    ) -> Result<(), Error> {
        let hidden = match marker {
            true => Ok(()),
            false => self.set_acl_of(key, id, Acl::Private).await,
        };
        let Err(error) = self.delete_of(key, id).await else { return Ok(()) };
        let error = self.locked(key, id, error).await;
        // It is gone, or private at least, or it is worth knowing that it is not.
        Err(match hidden {
            Err(why) if why.kind != Kind::NoSuchKey => {
                Error { message: format!("{}; nor is it private: {why}", error.message), ..error }
            }
            _ => error,
        })
    }

    /// Deletes a version. In a bucket with versions, without one a marker is put over the others, and goes too.
    async fn delete_of(&self, key: &Key, id: Option<&VersionId>) -> Result<(), Error> {
        let called = match self.delete_version(key, id).await {
            Ok(called) => called,
            Err(error) if error.kind == Kind::NoSuchKey => return Ok(()),
            Err(error) => return Err(error),
        };
        let made = called.header(VERSION).and_then(|id| VersionId::parse(id).ok());
        match made {
            Some(marker)
                if id.is_none() && called.header("x-amz-delete-marker") == Some("true") =>
            {
                self.delete_version(key, Some(&marker)).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn delete_version(
        &self,
        key: &Key,
        id: Option<&VersionId>,
    ) -> Result<Called, Error> {
        self.ask(&of(Ask::new(Operation::Delete, Method::DELETE, Some(key)), id)).await
    }

    async fn set_acl_of(&self, key: &Key, id: Option<&VersionId>, acl: Acl) -> Result<(), Error> {
        let ask = Ask::new(Operation::SetAcl, Method::PUT, Some(key)).query("acl", "");
        self.ask(&of(ask, id).header("x-amz-acl", acl.name())).await.map(drop)
    }

    /// What there is of an object: by the list of its versions, and by a look at it, as lists lag and not every server
    /// has that list.
    async fn what_is_there(&self, key: &Key) -> Result<Vec<There>, Error> {
        let listed = match self.versions(key.as_str()).await {
            Ok(all) => all.into_iter().filter(|version| version.key == *key).collect(),
            Err(error) if lists_no_versions(&error) => Vec::new(),
            Err(error) => return Err(error),
        };
        if !listed.is_empty() {
            let there = |version: Version| There { id: Some(version.id), marker: version.marker };
            return Ok(listed.into_iter().map(there).collect());
        }
        let head = self.head(key).await?;
        Ok(head.map(|head| There { id: head.version, marker: false }).into_iter().collect())
    }

    /// The refusal of a deletion; that of something that is locked says until when.
    async fn locked(&self, key: &Key, id: Option<&VersionId>, error: Error) -> Error {
        if error.kind != Kind::Forbidden {
            return error;
        }
        let ask = of(Ask::new(Operation::Head, Method::HEAD, Some(key)), id);
        let Ok(called) = self.ask(&ask).await else { return error };
        let until = called.header("x-amz-object-lock-retain-until-date").map(str::to_owned);
        let held = called.header("x-amz-object-lock-legal-hold") == Some("ON");
        match until.is_some() || held {
            true => Error { kind: Kind::Locked { until }, ..error },
            false => error,
        }
    }
}

/// S3's name for a bucket without locks.
const NO_LOCK: &str = "ObjectLockConfigurationNotFoundError";

/// The same request for one version.
fn of<'a>(ask: Ask<'a>, id: Option<&VersionId>) -> Ask<'a> {
    match id {
        Some(id) => ask.query("versionId", id.as_str()),
        None => ask,
    }
}

/// Whether an error of [`Bucket::versions`] says that the server has no such list, or does not show it to this key.
#[must_use]
pub fn lists_no_versions(error: &Error) -> bool {
    matches!(error.kind, Kind::Forbidden | Kind::Unsupported | Kind::Invalid)
        // A server that does not know the question gives the list that it knows.
        || matches!(error.kind, Kind::NotXml)
}

fn retention(document: &Document) -> Option<Retention> {
    let of = |name| {
        document.all(&["Rule", "DefaultRetention", name]).first().map(|text| (*text).to_owned())
    };
    let days = of("Days").map(|days| format!("{days} days"));
    let time = days.or_else(|| of("Years").map(|years| format!("{years} years")))?;
    Some(Retention { mode: of("Mode").unwrap_or_default(), time })
}
