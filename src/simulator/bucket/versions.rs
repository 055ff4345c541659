//! Versions of objects: what a bucket with versioning keeps of what was deleted or replaced.

use serde::{Deserialize, Serialize};

use super::contents::{Contents, Object, new_id, now};
use super::problem::{NO_SUCH_KEY, NOT_IMPLEMENTED, Problem};
use super::request::Call;
use super::serve::{Outcome, document, empty};
use super::xml::Xml;
use super::{Bucket, NAME, lists};
use crate::simulator::clock;

/// The version of what is written without versioning.
const NULL: &str = "null";

/// Something behind the object that is seen, or a marker that hides it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Older {
    pub(super) version: String,
    /// Seconds since 1970.
    modified: u64,
    /// `None` is a marker that says that it is deleted.
    pub(super) object: Option<Object>,
}

/// What a deletion did.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    /// The version that is no more, or the marker that was made.
    version: Option<String>,
    marker: bool,
}

pub(super) fn null() -> String {
    NULL.to_owned()
}

impl Contents {
    /// Puts an object in the place of the one that was there, or over it; its version, if there are any.
    pub(super) fn put(&mut self, key: &str, mut object: Object) -> Result<Option<String>, Problem> {
        object.version = self.new_version()?;
        let version = self.versioned.then(|| object.version.clone());
        let before = self.objects.insert(key.to_owned(), object);
        match before {
            Some(before) if self.versioned => self.keep(key, before),
            Some(before) => {
                self.saved()?;
                self.remove_file(&before.file);
            }
            None => {}
        }
        self.saved().map(|()| version)
    }

    fn new_version(&self) -> Result<String, Problem> {
        if self.versioned { new_id() } else { Ok(null()) }
    }

    fn keep(&mut self, key: &str, object: Object) {
        let older = Older {
            version: object.version.clone(),
            modified: object.modified,
            object: Some(object),
        };
        self.older.entry(key.to_owned()).or_default().push(older);
    }

    /// The object of a call, in the version that it names.
    pub(super) fn find(&self, call: &Call) -> Result<Option<&Object>, Problem> {
        let key = call.object()?;
        let current = self.objects.get(key);
        let Some(version) = call.get("versionId") else { return Ok(current) };
        let older = self.older.get(key).into_iter().flatten().filter_map(|one| one.object.as_ref());
        Ok(current.into_iter().chain(older).find(|object| object.version == version))
    }

    /// The same, to change it.
    pub(super) fn find_mut(&mut self, call: &Call) -> Result<&mut Object, Problem> {
        let key = call.object()?;
        let wanted = call.get("versionId");
        let older = self.older.get_mut(key).into_iter().flatten();
        let older = older.filter_map(|one| one.object.as_mut()).filter(|_| wanted.is_some());
        let mut all = self.objects.get_mut(key).into_iter().chain(older);
        let found = all.find(|object| wanted.is_none_or(|wanted| object.version == wanted));
        found.ok_or_else(|| Problem::of(NO_SUCH_KEY))
    }

    /// Deletes a version for ever; without one, an object as far as that goes.
    pub(super) fn delete(&mut self, key: &str, version: Option<&str>) -> Result<Deleted, Problem> {
        let Some(version) = version else {
            let current = self.objects.remove(key);
            if !self.versioned {
                self.saved()?;
                current.iter().for_each(|object| self.remove_file(&object.file));
                return Ok(Deleted::default());
            }
            if let Some(object) = current {
                self.keep(key, object);
            }
            let (version, modified) = (new_id()?, now());
            let marker = Older { version: version.clone(), modified, object: None };
            self.older.entry(key.to_owned()).or_default().push(marker);
            self.saved()?;
            return Ok(Deleted { version: Some(version), marker: true });
        };
        let mut deleted = Deleted::default();
        let mut gone = None;
        if self.objects.get(key).is_some_and(|object| object.version == version) {
            gone = self.objects.remove(key);
            deleted.version = Some(version.to_owned());
        } else if let Some(older) = self.older.get_mut(key)
            && let Some(at) = older.iter().position(|one| one.version == version)
        {
            let one = older.remove(at);
            deleted = Deleted { version: Some(one.version), marker: one.object.is_none() };
            gone = one.object;
        }
        self.uncover(key);
        self.saved()?;
        gone.iter().for_each(|object| self.remove_file(&object.file));
        Ok(deleted)
    }

    /// Shows what is on top, if that is an object.
    fn uncover(&mut self, key: &str) {
        let Some(older) = self.older.get_mut(key) else { return };
        if !self.objects.contains_key(key)
            && older.last().is_some_and(|one| one.object.is_some())
            && let Some(object) = older.pop().and_then(|one| one.object)
        {
            self.objects.insert(key.to_owned(), object);
        }
        self.older.retain(|_, older| !older.is_empty());
    }
}

/// `DeleteObject`: it is not there afterwards, whether it was or not.
pub(super) fn delete(bucket: &Bucket, call: &Call) -> Outcome {
    let deleted = bucket.there()?.delete(call.object()?, call.get("versionId"))?;
    let mut response = empty(204);
    let version = deleted.version.as_deref().and_then(|version| version.parse().ok());
    if let Some(version) = version {
        response.headers_mut().insert("x-amz-version-id", version);
    }
    if deleted.marker {
        let yes = hyper::header::HeaderValue::from_static("true");
        response.headers_mut().insert("x-amz-delete-marker", yes);
    }
    Ok(response)
}

/// `GetBucketVersioning`.
pub(super) fn status(bucket: &Bucket) -> Outcome {
    let mut xml = Xml::answer("VersioningConfiguration");
    if bucket.there()?.versioned {
        xml.text("Status", "Enabled");
    }
    Ok(document(200, xml.close("VersioningConfiguration").finish()))
}

/// `PutBucketVersioning`: it can be turned on.
pub(super) fn enable(bucket: &Bucket, body: &[u8]) -> Outcome {
    if !String::from_utf8_lossy(body).contains("<Status>Enabled</Status>") {
        return Err(Problem::because(
            NOT_IMPLEMENTED,
            "versioning can be enabled, and nothing else",
        ));
    }
    let mut contents = bucket.there()?;
    contents.versioned = true;
    contents.saved()?;
    Ok(empty(200))
}

/// `ListObjectVersions`, those of a key from the newest on. A page ends with a key.
pub(super) fn list(bucket: &Bucket, call: &Call) -> Outcome {
    let asked = lists::Asked::of(call, "max-keys")?;
    let after = call.get("key-marker").unwrap_or_default();
    let contents = bucket.there()?;
    let mut keys: Vec<&String> = contents.objects.keys().chain(contents.older.keys()).collect();
    keys.sort();
    keys.dedup();
    let wanted = |key: &&String| key.starts_with(asked.prefix) && key.as_str() > after;
    let (listed, truncated) = lists::page(keys.into_iter().filter(wanted), asked.most);
    let mut xml = Xml::answer("ListVersionsResult");
    xml.text("Name", NAME).text("Prefix", &asked.key(asked.prefix));
    xml.text("KeyMarker", &asked.key(after)).text("VersionIdMarker", "");
    asked.begin(&mut xml, "MaxKeys", truncated);
    if let Some(last) = listed.last().filter(|_| truncated) {
        xml.text("NextKeyMarker", &asked.key(last)).text("NextVersionIdMarker", NULL);
    }
    for key in listed {
        let current = contents.objects.get(key);
        let older = contents.older.get(key).into_iter().flatten().rev();
        let older = older.map(|one| (&one.version, one.modified, one.object.as_ref()));
        let all = current.map(|object| (&object.version, object.modified, Some(object)));
        for (at, (version, modified, object)) in all.into_iter().chain(older).enumerate() {
            let name = if object.is_some() { "Version" } else { "DeleteMarker" };
            xml.open(name).text("Key", &asked.key(key)).text("VersionId", version);
            xml.text("IsLatest", &(at == 0).to_string());
            xml.text("LastModified", &clock::written(modified));
            if let Some(object) = object {
                xml.text("ETag", &format!("\"{}\"", object.etag));
                xml.text("Size", &object.size.to_string()).text("StorageClass", "STANDARD");
            }
            xml.close(name);
        }
    }
    Ok(document(200, xml.close("ListVersionsResult").finish()))
}
