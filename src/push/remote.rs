//! What killed runs left, without any journal: by what is in the bucket, by the marks of images, and by the
//! names of keys.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::clean::is_gone;
use super::looking::Looking;
use super::order::KEPT;
use super::sweep::{StepOutcome, Sweep, Swept, SweptState, Unlisted};
use super::world::World;
use super::{PREFIX, compared, mint, probe};
use crate::bytes::Command;
use crate::digitalocean::wait::{self, Patience, WaitError};
use crate::digitalocean::{self, Image, ImageKey, ImageStatus, Kind, PushId};
use crate::net;
use crate::spaces::{self, Bucket, Error, Key};

/// Ends all pushes of which there is something that is older than this, without any journal: in the bucket of the
/// world, if it has one, among the images of the account, and among the keys. Those that are `alive` are left
/// alone. All imports together are waited for as long as the patience allows.
pub async fn sweep_remote(
    world: &World,
    older_than: Duration,
    alive: &[PushId],
    patience: Patience,
    dry: bool,
) -> Sweep {
    let mut sweeping = Sweeping {
        world,
        older_than,
        alive,
        patience,
        dry,
        began: Instant::now(),
        seen: Vec::new(),
        younger: Vec::new(),
        pushes: Vec::new(),
    };
    let (mut unlisted, mut looked) = (Vec::new(), Vec::new());
    if let Some(bucket) = &world.bucket {
        looked.push(format!("the bucket {} at {}", bucket.name(), bucket.endpoint().address()));
        unlisted.extend(sweeping.bucket(bucket).await.into_iter().map(Unlisted::Bucket));
    }
    looked.push("images".to_owned());
    unlisted.extend(sweeping.images().await.err().map(Unlisted::Images));
    looked.push("temporary keys".to_owned());
    unlisted.extend(sweeping.keys().await.err().map(Unlisted::Keys));
    Sweep { pushes: sweeping.pushes, unlisted, looked, younger: sweeping.younger }
}

/// The push that an object is of. Others may have put something there as well.
fn push_of(key: &str) -> Option<PushId> {
    PushId::parse(key.strip_prefix(PREFIX)?.split('/').next()?)
}

/// When each object of pushes was written last, in any of its versions.
async fn written(bucket: &Bucket) -> Result<BTreeMap<String, Option<SystemTime>>, Error> {
    let mut all: BTreeMap<String, Option<SystemTime>> = BTreeMap::new();
    let versions = match bucket.versions(PREFIX).await {
        Ok(versions) => versions,
        // It has none, or does not show them; of what is there now it may show more.
        Err(error) if spaces::lists_no_versions(&error) => Vec::new(),
        Err(error) => return Err(error),
    };
    let versions = versions.into_iter().map(|version| (version.key, version.modified));
    let objects = bucket.objects(PREFIX).await?;
    let objects = objects.into_iter().map(|object| (object.key, object.modified));
    for (key, modified) in versions.chain(objects) {
        match all.entry(key.as_str().to_owned()) {
            Entry::Vacant(entry) => drop(entry.insert(modified)),
            // Whatever has no time keeps the rest from being old.
            Entry::Occupied(mut entry) => {
                let known = *entry.get();
                entry.insert(known.and_then(|known| Some(known.max(modified?))));
            }
        }
    }
    Ok(all)
}

/// Whether anybody can read an object, if it is there.
async fn is_public(bucket: &Bucket, key: &Key) -> Result<bool, Error> {
    match bucket.is_public(key).await {
        Err(error) if error.kind == spaces::Kind::NoSuchKey => Ok(false),
        public => public,
    }
}

/// Whether an object was to be kept.
fn is_kept(key: &Key) -> bool {
    key.as_str().contains(KEPT) && key.as_str().rsplit('/').next() != Some(probe::NAME)
}

/// How an image ends.
enum End {
    /// It stays.
    Stays(Box<Image>),
    /// There is none, or will be none.
    Gone,
    /// Its import goes on, and a dry run does not wait for it.
    Open,
}

struct Sweeping<'a> {
    world: &'a World,
    older_than: Duration,
    alive: &'a [PushId],
    patience: Patience,
    dry: bool,
    began: Instant,
    /// The numbers of images of which something was said.
    seen: Vec<u64>,
    /// What was left as it is too young.
    younger: Vec<String>,
    pushes: Vec<Swept>,
}

impl Sweeping<'_> {
    /// The push, if it does not live here.
    fn dead(&self, push: Option<PushId>) -> Option<PushId> {
        push.filter(|push| !self.alive.contains(push))
    }

    /// Whether something that was made then is to be swept; otherwise it is counted. Both times are by the server's
    /// clock and in whole seconds; what has no time is not known to be old.
    fn is_due(&mut self, what: &str, made: Option<SystemTime>, now: SystemTime) -> bool {
        let due = self.is_old(made, now);
        if !due {
            let why = if made.is_none() { ", which has no time" } else { "" };
            self.younger.push(format!("{what}{why}"));
        }
        due
    }

    fn is_old(&self, made: Option<SystemTime>, now: SystemTime) -> bool {
        let seconds =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|at| at.as_secs());
        let age = made.and_then(|made| seconds(now)?.checked_sub(seconds(made)?));
        age.is_some_and(|age| age >= self.older_than.as_secs())
    }

    /// Says what became of something. What needs nothing is not worth a word. The steps were taken one after the
    /// other, so it is the last one that failed.
    fn say(&mut self, push: &PushId, steps: Vec<String>, done: Result<(), String>) {
        let left: Vec<String> = done.err().into_iter().collect();
        let state = match (left.is_empty(), self.dry) {
            (true, _) if steps.is_empty() => return,
            (true, true) => SweptState::Planned,
            (true, false) => SweptState::Ended,
            (false, _) => SweptState::Left,
        };
        let last = steps.len();
        let outcome = |(at, step): (usize, &String)| StepOutcome {
            step: step.clone(),
            done: state == SweptState::Ended || at + 1 < last,
        };
        let outcomes = match self.dry {
            true => Vec::new(),
            false => steps.iter().enumerate().map(outcome).collect(),
        };
        let swept = Swept::new(push.as_str().to_owned(), state);
        self.pushes.push(Swept { steps, outcomes, left, ..swept });
    }

    /// Why not all of the bucket could be looked through.
    async fn bucket(&mut self, bucket: &Bucket) -> Vec<Error> {
        if let Err(error) = mint::ready(self.world, bucket).await {
            return vec![error];
        }
        let uploads = self.uploads(bucket).await;
        let objects = self.objects(bucket).await;
        [uploads, objects].into_iter().filter_map(Result::err).collect()
    }

    async fn uploads(&mut self, bucket: &Bucket) -> Result<(), Error> {
        let all = bucket.uploads(PREFIX).await?;
        let now = bucket.time()?;
        for open in all {
            let push = push_of(open.upload.key.as_str());
            let Some(push) = self.dead(push) else { continue };
            let what = format!("the upload of {}", open.upload.key);
            if !self.is_due(&what, open.initiated, now) {
                continue;
            }
            let step = format!("abort the upload of {}", open.upload.key);
            let done = if self.dry { Ok(()) } else { bucket.abort(&open.upload).await };
            self.say(&push, vec![step], done.map_err(|error| error.to_string()));
        }
        Ok(())
    }

    /// Goes by what was written last of each object: also one that is deleted may have versions.
    async fn objects(&mut self, bucket: &Bucket) -> Result<(), Error> {
        let all = written(bucket).await?;
        let now = bucket.time()?;
        for (key, modified) in all {
            let Some(push) = self.dead(push_of(&key)) else { continue };
            let Ok(key) = Key::parse(&key) else { continue };
            // One that was to be kept, and is private, is as it is to be.
            let young = !self.is_old(modified, now);
            if young && is_kept(&key) && matches!(is_public(bucket, &key).await, Ok(false)) {
                continue;
            }
            if !self.is_due(&format!("the object {key}"), modified, now) {
                continue;
            }
            let mut steps = Vec::new();
            let done = self.object(&push, bucket, &key, &mut steps).await;
            self.say(&push, steps, done);
        }
        Ok(())
    }

    async fn images(&mut self) -> Result<(), digitalocean::Error> {
        let (all, unread) = self.world.api.images().marked_by_pushes().await?;
        let now = self.world.api.time()?;
        for (push, image) in all {
            let made = image.created_at.as_deref().and_then(net::time);
            // One description may have the marks of several pushes.
            let lives = self.alive.iter().any(|push| push.marks(&image));
            let settled = image.is_available() && !compared::says_not_yet(&image);
            if settled || lives || self.seen.contains(&image.id) {
                continue;
            }
            if !self.is_due(&format!("image {}", image.id), made, now) {
                continue;
            }
            let mut steps = Vec::new();
            let done = self.image(&push, &image, &mut steps).await;
            self.say(&push, steps, done);
        }
        unread.map_or(Ok(()), Err)
    }

    /// Deletes keys that pushes made for themselves.
    async fn keys(&mut self) -> Result<(), digitalocean::Error> {
        let api = &self.world.api;
        let all = api.keys().list().await?;
        let now = self.world.api.time()?;
        for key in all {
            let made = key.created_at.as_deref().and_then(net::time);
            let push = key.name.strip_prefix(mint::NAMES).and_then(PushId::parse);
            let Some(push) = self.dead(push) else { continue };
            if !self.is_due(&format!("the temporary key {}", key.name), made, now) {
                continue;
            }
            let step = format!("delete the temporary key {}", key.name);
            let once = Looking::once(&self.patience);
            let done = match self.dry {
                true => Ok(None),
                false => mint::revoke(api, &push, Some(&key.access), once).await,
            };
            self.say(&push, vec![step], done.map(drop));
        }
        Ok(())
    }

    /// Removes an object, once nothing reads it any more.
    async fn object(
        &mut self,
        push: &PushId,
        bucket: &Bucket,
        key: &Key,
        steps: &mut Vec<String>,
    ) -> Result<(), String> {
        let said = |error: Error| error.to_string();
        let kept = is_kept(key);
        let found = self.world.api.images().find(push, Duration::ZERO, &self.patience, None).await;
        let stays = match found.map(|found| found.into_iter().next()) {
            Ok(Some(image)) => match self.ended(push, image, bucket, key, steps).await? {
                End::Stays(_) => true,
                End::Gone => false,
                End::Open if kept => {
                    steps.push(format!(
                        "make the object {key} private, or delete it if there is no image of it"
                    ));
                    return Ok(());
                }
                End::Open => false,
            },
            // What was to be kept may be all that somebody has of an image that is gone.
            Ok(None) => kept,
            Err(error) => {
                let public = is_public(bucket, key).await.map_err(said)?;
                // No import reads what is private.
                if kept || public {
                    let public = if public { ", which is public," } else { "" };
                    return Err(format!(
                        "the object {key}{public} stays, as its image cannot be looked for: {error}"
                    ));
                }
                false
            }
        };
        if stays && kept {
            if is_public(bucket, key).await.map_err(said)? {
                steps.push(format!("make the object {key} private"));
                if !self.dry {
                    bucket.hide(key).await.map_err(said)?;
                }
            }
            return Ok(());
        }
        steps.push(format!("delete the object {key}"));
        match self.dry {
            true => Ok(()),
            false => bucket.erase(key).await.map(drop).map_err(said),
        }
    }

    /// Brings the image of an object to its end. If that fails, the object stays for it, which is said.
    async fn ended(
        &mut self,
        push: &PushId,
        image: Image,
        bucket: &Bucket,
        key: &Key,
        steps: &mut Vec<String>,
    ) -> Result<End, String> {
        let why = match self.end(push, image, steps).await {
            Ok(end) => return Ok(end),
            Err(why) => why,
        };
        let public = match is_public(bucket, key).await {
            Ok(true) => "which is public".to_owned(),
            Ok(false) => "which is private".to_owned(),
            Err(error) => format!("which may be public ({error})"),
        };
        Err(format!("{why}; the object {key}, {public}, stays until the image is at its end"))
    }

    /// Brings an image to its end of which nothing else is known, and names it if nobody compared it with what was
    /// checked.
    async fn image(
        &mut self,
        push: &PushId,
        listed: &Image,
        steps: &mut Vec<String>,
    ) -> Result<(), String> {
        if listed.is_available() && !compared::says_not_yet(listed) {
            return Ok(());
        }
        // Lists lag, and other imports may have been waited for since.
        let image = match self.world.api.images().get(&ImageKey::Id(listed.id)).await {
            Ok(image) => image,
            Err(digitalocean::Error { kind: Kind::NotFound, .. }) => return Ok(()),
            Err(error) => {
                return Err(format!("the API does not show image {}: {error}", listed.id));
            }
        };
        match self.end(push, image, steps).await? {
            End::Stays(image) if image.status == Some(ImageStatus::Retired) => Err(format!(
                "image {} is retired, and nobody knows whether its import failed; \
                 {} removes it",
                image.id,
                Command::image("delete").number(image.id)
            )),
            End::Stays(image) if compared::says_not_yet(&image) => Err(format!(
                "{}; a description without \"{}\" keeps it",
                compared::unknown(
                    image.id,
                    "its push was killed before it was compared, or could not write into its \
                     description that it was"
                ),
                compared::WORD
            )),
            _ => Ok(()),
        }
    }

    /// Brings an image to its end.
    async fn end(
        &mut self,
        push: &PushId,
        image: Image,
        steps: &mut Vec<String>,
    ) -> Result<End, String> {
        match image.status {
            // A retired one may have been in use for long: only of one that was waited for it means that the
            // import failed.
            Some(ImageStatus::Available | ImageStatus::Retired) => Ok(End::Stays(Box::new(image))),
            Some(ImageStatus::Deleted) => self.failed(image.id, steps).await,
            _ => self.import(push, image.id, steps).await,
        }
    }

    /// Waits for an import. An image whose import failed is deleted.
    async fn import(
        &mut self,
        push: &PushId,
        id: u64,
        steps: &mut Vec<String>,
    ) -> Result<End, String> {
        self.seen.push(id);
        steps.push(format!("wait for the import of image {id}"));
        if self.dry {
            return Ok(End::Open);
        }
        let api = &self.world.api;
        let patience = self.patience.since(self.began);
        let mut last = None;
        let waited = wait::image(api, id, Some(push), patience, &mut last).await;
        // It may have come back under another number.
        self.seen.extend(last.map(|image| image.id));
        match waited {
            Ok(image) => Ok(End::Stays(Box::new(image))),
            Err(WaitError::Failed(image)) => self.failed(image.id, steps).await,
            Err(error) => match api.images().get(&ImageKey::Id(id)).await {
                Err(digitalocean::Error { kind: Kind::NotFound, .. }) => Ok(End::Gone),
                _ => Err(format!(
                    "image {id} is still being imported: {error}; sweep later, or {} ends it",
                    Command::image("delete").number(id)
                )),
            },
        }
    }

    /// Deletes an image whose import failed.
    async fn failed(&mut self, id: u64, steps: &mut Vec<String>) -> Result<End, String> {
        self.seen.push(id);
        steps.push(format!("delete image {id}, whose import failed"));
        if self.dry {
            return Ok(End::Gone);
        }
        match self.world.api.images().delete_settled(id).await {
            Ok(_) | Err(digitalocean::Error { kind: Kind::NotFound, .. }) => {
                is_gone(&self.world.api.images(), id).await.map(|()| End::Gone)
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
