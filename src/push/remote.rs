//! What killed runs left, without any journal: by what is in the bucket, by the marks of images, and by the
//! names of keys.

use std::time::{Duration, SystemTime};

use super::order::KEPT;
use super::sweep::{Swept, SweptState};
use super::world::World;
use super::{PREFIX, compared, mint};
use crate::digitalocean::wait::{self, Patience, WaitError};
use crate::digitalocean::{self, Image, ImageKey, ImageStatus, Kind, PushId};
use crate::net;
use crate::spaces::{Acl, Bucket, Error, Key};

/// What became of what is found without journals.
#[derive(Debug)]
#[non_exhaustive]
pub struct Remote {
    /// Of what was found.
    pub pushes: Vec<Swept>,
    /// Why the images of the account could not be listed: then only those are known that have something in the
    /// bucket.
    pub unlisted: Option<digitalocean::Error>,
}

/// Ends all pushes of which there is something that is older than this, without any journal: in a bucket, among
/// the images of the account, and among the keys. Those that are `alive` are left alone.
///
/// # Errors
/// If the bucket cannot be listed.
pub async fn sweep_remote(
    world: &World,
    bucket: &Bucket,
    older_than: Duration,
    alive: &[PushId],
    patience: &Patience,
    dry: bool,
) -> Result<Remote, Error> {
    mint::ready(world, bucket).await?;
    let now = SystemTime::now();
    // A clock that is behind makes nothing old; what has no time is not known to be.
    let old = |time: Option<SystemTime>| {
        time.and_then(|time| now.duration_since(time).ok()).is_some_and(|age| age >= older_than)
    };
    let mut all: Vec<Swept> = Vec::new();
    for open in bucket.uploads(PREFIX).await?.iter().filter(|open| old(open.initiated)) {
        let push = push_of(open.upload.key.as_str());
        let Some(push) = push.filter(|push| !alive.contains(push)) else { continue };
        let step = format!("abort the upload of {}", open.upload.key);
        let done = if dry { Ok(()) } else { bucket.abort(&open.upload).await };
        let left = done.err().map(|error| error.to_string());
        all.push(remote(&push, dry, vec![step], left));
    }
    let mut seen = Vec::new();
    for object in bucket.objects(PREFIX).await?.iter().filter(|object| old(object.modified)) {
        let push = push_of(object.key.as_str());
        let Some(push) = push.filter(|push| !alive.contains(push)) else { continue };
        let mut sweeping = Sweeping { world, patience, dry, seen: &mut seen, steps: Vec::new() };
        let left = sweeping.object(&push, bucket, &object.key).await.err();
        // An object that is kept needs nothing.
        if left.is_some() || !sweeping.steps.is_empty() {
            all.push(remote(&push, dry, sweeping.steps, left));
        }
    }
    let marked = world.api.images().marked_by_pushes().await;
    let (marked, unlisted) = match marked {
        Ok(marked) => (marked, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    for (push, image) in &marked {
        let made = image.created_at.as_deref().and_then(net::time);
        // One description may have the marks of several pushes.
        let lives = alive.iter().any(|push| push.marks(image));
        if !old(made) || lives || seen.contains(&image.id) {
            continue;
        }
        let mut sweeping = Sweeping { world, patience, dry, seen: &mut seen, steps: Vec::new() };
        let left = sweeping.image(push, image).await.err();
        if left.is_some() || !sweeping.steps.is_empty() {
            all.push(remote(push, dry, sweeping.steps, left));
        }
    }
    all.extend(keys(world, alive, dry, old).await);
    Ok(Remote { pushes: all, unlisted })
}

/// Deletes keys that pushes made for themselves.
async fn keys(
    world: &World,
    alive: &[PushId],
    dry: bool,
    old: impl Fn(Option<SystemTime>) -> bool,
) -> Vec<Swept> {
    let listed = match world.api.keys().list().await {
        Ok(listed) => listed,
        Err(error) => {
            // A token that makes no keys need not have the scope to see them.
            world.note(&format!("temporary keys are not looked for: {error}"));
            return Vec::new();
        }
    };
    let mut all = Vec::new();
    for key in listed {
        let made = key.created_at.as_deref().and_then(net::time);
        let push = key.name.strip_prefix(mint::NAMES).and_then(PushId::parse);
        let swept = |push: &PushId| old(made) && !alive.contains(push);
        let Some(push) = push.filter(swept) else { continue };
        let step = format!("delete the temporary key {}", key.name);
        let done = match digitalocean::is_access(&key.access) {
            _ if dry => Ok(()),
            true => world.api.keys().delete(&key.access).await.map_err(|error| error.to_string()),
            false => Err("it has nothing that identifies it".to_owned()),
        };
        all.push(remote(&push, dry, vec![step], done.err()));
    }
    all
}

fn remote(push: &PushId, dry: bool, steps: Vec<String>, left: Option<String>) -> Swept {
    let state = match (dry, &left) {
        (true, None) => SweptState::Planned,
        (_, Some(_)) => SweptState::Left,
        (false, None) => SweptState::Ended,
    };
    let left = left.into_iter().collect();
    Swept { push: push.as_str().to_owned(), source: None, state, steps, left }
}

/// The push that an object is of. Others may have put something there as well.
fn push_of(key: &str) -> Option<PushId> {
    PushId::parse(key.strip_prefix(PREFIX)?.split('/').next()?)
}

struct Sweeping<'a> {
    world: &'a World,
    patience: &'a Patience,
    dry: bool,
    /// The numbers of images that were looked after.
    seen: &'a mut Vec<u64>,
    steps: Vec<String>,
}

impl Sweeping<'_> {
    async fn object(&mut self, push: &PushId, bucket: &Bucket, key: &Key) -> Result<(), String> {
        let found = self.world.api.images().find(push, Duration::ZERO, self.patience, None).await;
        let image = found.map_err(|error| error.to_string())?.into_iter().next();
        let mut available = image.as_ref().is_some_and(|image| image.is_available());
        self.seen.extend(image.iter().map(|image| image.id));
        if let Some(image) = image.filter(|_| !available) {
            available = self.import(push, image.id).await?.is_some();
        }
        let said = |error: Error| error.to_string();
        if available && key.as_str().contains(KEPT) {
            if bucket.is_public(key).await.map_err(said)? {
                self.steps.push(format!("make the object {key} private"));
                if !self.dry {
                    bucket.set_acl(key, Acl::Private).await.map_err(said)?;
                }
            }
            return Ok(());
        }
        self.steps.push(format!("delete the object {key}"));
        match self.dry {
            true => Ok(()),
            false => bucket.delete(key).await.map_err(said),
        }
    }

    /// Brings an image to its end of which nothing else is known. One that can be used stays: it is named if
    /// nobody compared it with what was checked.
    async fn image(&mut self, push: &PushId, listed: &Image) -> Result<(), String> {
        if listed.is_available() && !compared::says_not_yet(listed) {
            return Ok(());
        }
        // Lists lag, and other imports may have been waited for since.
        let image = match self.world.api.images().get(&ImageKey::Id(listed.id)).await {
            Ok(image) => image,
            Err(digitalocean::Error { kind: Kind::NotFound, .. }) => return Ok(()),
            Err(error) => return Err(format!("image {} cannot be looked at: {error}", listed.id)),
        };
        let available = match image.status {
            Some(ImageStatus::Available) => Some(image),
            Some(ImageStatus::Deleted) => return self.failed(image.id).await,
            // It may have been in use for long: only of one that was waited for it means that the import failed.
            Some(ImageStatus::Retired) => {
                return Err(format!(
                    "image {} is retired, and nobody knows whether its import failed; \
                     `tidegate image delete {0}` removes it",
                    image.id
                ));
            }
            _ => self.import(push, image.id).await?,
        };
        match available.filter(compared::says_not_yet) {
            Some(image) => Err(format!(
                "{}; a description without \"{}\" keeps it",
                compared::unknown(
                    image.id,
                    "its push did not come to compare it, and only a sweep with its journal can"
                ),
                compared::WORD
            )),
            None => Ok(()),
        }
    }

    /// Waits for an import; the image, if it can be used then. One that failed is deleted.
    async fn import(&mut self, push: &PushId, id: u64) -> Result<Option<Image>, String> {
        self.steps.push(format!("wait for the import of image {id}"));
        if self.dry {
            return Ok(None);
        }
        let api = &self.world.api;
        let mut last = None;
        let waited = wait::image(api, id, Some(push), *self.patience, &mut last).await;
        // It may have come back under another number.
        self.seen.extend(last.map(|image| image.id));
        match waited {
            Ok(image) => Ok(Some(image)),
            Err(WaitError::Failed(image)) => self.failed(image.id).await.map(|()| None),
            Err(error) => match api.images().get(&ImageKey::Id(id)).await {
                Err(digitalocean::Error { kind: Kind::NotFound, .. }) => Ok(None),
                _ => Err(format!("image {id} is still being imported: {error}")),
            },
        }
    }

    /// Deletes an image whose import failed.
    async fn failed(&mut self, id: u64) -> Result<(), String> {
        self.steps.push(format!("delete image {id}, whose import failed"));
        if self.dry {
            return Ok(());
        }
        match self.world.api.images().delete_settled(id).await {
            Ok(_) | Err(digitalocean::Error { kind: Kind::NotFound, .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
