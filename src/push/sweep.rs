//! What killed runs left: ended by their journals, or without any by what is in the bucket.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::PREFIX;
use super::clean::end;
use super::entry::Place;
use super::journal::{Found, Journal, JournalError};
use super::mint;
use super::order::KEPT;
use super::state::{Image, Key as Minted, Object, State};
use super::world::World;
use crate::bytes::Hostile;
use crate::digitalocean::wait::{self, Patience, WaitError};
use crate::digitalocean::{self, ImageKey, Kind, PushId};
use crate::net;
use crate::spaces::{Acl, Bucket, Error};

/// What became of what a run left.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Swept {
    /// The push, or the path of what should be its journal.
    pub push: String,
    /// What was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How it stands with it.
    pub state: SweptState,
    /// What is to be done, or was.
    pub steps: Vec<String>,
    /// What is left, and why.
    pub left: Vec<String>,
}

/// How it stands with what a run left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SweptState {
    /// Its run lives; it is left alone.
    Alive,
    /// It would be ended.
    Planned,
    /// It is ended.
    Ended,
    /// Not all of it could be ended.
    Left,
}

/// What a sweep connects to for a journal, by what it says of the API and of the bucket.
pub type Connect<'a> = &'a dyn Fn(&Started) -> Result<World, String>;

/// Where a push worked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Started {
    /// Where the API was.
    pub api: String,
    /// The server of the bucket, the region that requests are signed for, and the bucket.
    pub bucket: Option<(String, String, String)>,
    /// The URL that was handed over, if it may have to be looked at.
    pub url: Option<String>,
}

impl Started {
    fn of(state: &State) -> Self {
        let began = &state.began;
        let place =
            |place: &Place| (place.endpoint.clone(), place.region.clone(), place.bucket.clone());
        let url = state.checked.as_ref().and_then(|checked| checked.url.clone());
        Started { api: began.api.clone(), bucket: began.place.as_ref().map(place), url }
    }
}

/// Ends all pushes of which there are journals and whose runs do not live. If `dry`, it only says what it would do.
///
/// # Errors
/// If the journals cannot be listed.
pub async fn sweep(
    folder: &Path,
    connect: Connect<'_>,
    patience: &Patience,
    dry: bool,
) -> Result<Vec<Swept>, JournalError> {
    let mut all = Vec::new();
    for path in Journal::all(folder)? {
        let name = path.file_stem().unwrap_or_default();
        let push = Hostile::from_os(name).to_string();
        let swept = |state| Swept {
            push: push.clone(),
            source: None,
            state,
            steps: Vec::new(),
            left: Vec::new(),
        };
        match Journal::open(&path) {
            Ok(None) => {}
            Ok(Some(Found::Locked(_))) => all.push(swept(SweptState::Alive)),
            Ok(Some(Found::Left(journal))) => {
                all.push(one(*journal, connect, patience, dry).await);
            }
            Err(error) => {
                let left = vec![error.to_string()];
                all.push(Swept { left, ..swept(SweptState::Left) });
            }
        }
    }
    Ok(all)
}

async fn one(mut journal: Journal, connect: Connect<'_>, patience: &Patience, dry: bool) -> Swept {
    let state = journal.state();
    let mut swept = Swept {
        push: state.began.push.clone(),
        source: Some(Hostile::from(state.began.source.as_str()).to_string()),
        state: SweptState::Planned,
        steps: steps(state, &journal.push().tag()),
        left: Vec::new(),
    };
    if dry {
        return swept;
    }
    let needs_bucket = state.object.key().is_some() || state.probe.is_some();
    let connected = match connect(&Started::of(state)) {
        Ok(world) => match world.bucket.as_ref().filter(|_| needs_bucket) {
            Some(bucket) => mint::ready(&world, bucket).await.map_err(|error| error.to_string()),
            None => Ok(()),
        }
        .map(|()| world),
        Err(why) => Err(why),
    };
    swept.left = match connected {
        Ok(world) => end(&mut journal, &world, patience).await,
        Err(why) => vec![why],
    };
    if swept.left.is_empty()
        && let Err(error) = journal.end()
    {
        swept.left.push(error.to_string());
    }
    swept.state = match swept.left.is_empty() {
        true => SweptState::Ended,
        false => SweptState::Left,
    };
    swept
}

/// What ends a push, in words.
fn steps(state: &State, tag: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let gone = state.abandoned;
    match state.image {
        Image::None => {}
        Image::Asked(_) if gone => {
            steps.push(format!("delete an image marked {tag}, if there is one"))
        }
        Image::Asked(_) => steps.push(format!("look for an image marked {tag}, and wait for it")),
        Image::Importing(id) if gone => steps.push(format!("delete image {id}")),
        Image::Importing(id) => steps.push(format!("wait for the import of image {id}")),
        Image::Available(id) => steps.push(format!("keep image {id}")),
        Image::Failed(id) => steps.push(format!("delete image {id}, whose import failed")),
    }
    if state.checked.is_some()
        && matches!(state.image, Image::Asked(_) | Image::Importing(_))
        && !gone
    {
        steps.push("delete it unless its URL still leads to what was checked".into());
    }
    let keep = state.began.keep_object && matches!(state.image, Image::Available(_));
    match &state.object {
        Object::None => {}
        Object::Asked { key, .. } | Object::Open { key, .. } => {
            steps.push(format!("abort the upload of {key}"));
        }
        Object::Completing { key, .. } => {
            steps.push(format!("abort the upload of {key}, or delete the object"));
        }
        Object::Stored { key, .. } if keep => steps.push(format!("make the object {key} private")),
        Object::Stored { key, .. } => steps.push(format!("delete the object {key}")),
    }
    if let Some(key) = &state.probe {
        steps.push(format!("delete the object {key}"));
    }
    if !matches!(state.key, Minted::None) {
        steps.push("delete the temporary key of the bucket".into());
    }
    steps.iter().map(|step| Hostile::message(step).to_string()).collect()
}

/// The pushes that live on this machine.
///
/// # Errors
/// If the journals cannot be listed.
pub fn alive(folder: &Path) -> Result<Vec<PushId>, JournalError> {
    let mut alive = Vec::new();
    for path in Journal::all(folder)? {
        let push = path.file_stem().and_then(|name| PushId::parse(name.to_str()?));
        if let (Some(push), Ok(Some(Found::Locked(_)))) = (push, Journal::open(&path)) {
            alive.push(push);
        }
    }
    Ok(alive)
}

/// Ends all pushes of which there is something in a bucket that is older than this, without any journal. Those that are `alive` are left alone.
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
) -> Result<Vec<Swept>, Error> {
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
    for object in bucket.objects(PREFIX).await?.iter().filter(|object| old(object.modified)) {
        let push = push_of(object.key.as_str());
        let Some(push) = push.filter(|push| !alive.contains(push)) else { continue };
        let mut sweeping = Sweeping { world, bucket, patience, dry, steps: Vec::new() };
        let left = sweeping.object(&push, &object.key).await.err();
        // An object that is kept needs nothing.
        if left.is_some() || !sweeping.steps.is_empty() {
            all.push(remote(&push, dry, sweeping.steps, left));
        }
    }
    all.extend(keys(world, alive, dry, old).await);
    Ok(all)
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
    bucket: &'a Bucket,
    patience: &'a Patience,
    dry: bool,
    steps: Vec<String>,
}

impl Sweeping<'_> {
    async fn object(&mut self, push: &PushId, key: &crate::spaces::Key) -> Result<(), String> {
        let found = self.world.api.images().find(push, Duration::ZERO, self.patience, None).await;
        let image = found.map_err(|error| error.to_string())?.into_iter().next();
        let mut available = image.as_ref().is_some_and(|image| image.is_available());
        if let Some(image) = image.filter(|_| !available) {
            available = self.import(push, image.id).await?;
        }
        let said = |error: Error| error.to_string();
        if available && key.as_str().contains(KEPT) {
            if self.bucket.is_public(key).await.map_err(said)? {
                self.steps.push(format!("make the object {key} private"));
                if !self.dry {
                    self.bucket.set_acl(key, Acl::Private).await.map_err(said)?;
                }
            }
            return Ok(());
        }
        self.steps.push(format!("delete the object {key}"));
        match self.dry {
            true => Ok(()),
            false => self.bucket.delete(key).await.map_err(said),
        }
    }

    /// Waits for an import; whether the image is available then. One that failed is deleted.
    async fn import(&mut self, push: &PushId, id: u64) -> Result<bool, String> {
        self.steps.push(format!("wait for the import of image {id}"));
        if self.dry {
            return Ok(false);
        }
        let api = &self.world.api;
        match wait::image(api, id, Some(push), *self.patience, &mut None).await {
            Ok(_) => Ok(true),
            Err(WaitError::Failed(image)) => {
                self.steps.push(format!("delete image {}, whose import failed", image.id));
                match api.images().delete_settled(image.id).await {
                    Ok(_) | Err(digitalocean::Error { kind: Kind::NotFound, .. }) => Ok(false),
                    Err(error) => Err(error.to_string()),
                }
            }
            Err(error) => match api.images().get(&ImageKey::Id(id)).await {
                Err(digitalocean::Error { kind: Kind::NotFound, .. }) => Ok(false),
                _ => Err(format!("image {id} is still being imported: {error}")),
            },
        }
    }
}
