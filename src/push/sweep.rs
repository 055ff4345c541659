//! What killed runs left: what is said of it, and how it is ended by the journals.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::clean::Cleaning;
use super::entry::Place;
use super::journal::{Found, Journal, JournalError};
use super::mint;
use super::owner::{Whose, sees_bucket, whose};
use super::state::{Image, Key as Minted, Object, State};
use super::world::World;
use crate::bytes::Hostile;
use crate::digitalocean::wait::Patience;
use crate::digitalocean::{self, PushId};
use crate::spaces;

/// What became of all that was found.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Sweep {
    /// Of what was found.
    pub pushes: Vec<Swept>,
    /// Where it could not be looked for what there is; only without journals.
    pub unlisted: Vec<Unlisted>,
}

/// What could not be looked through, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unlisted {
    /// The bucket: of what is in it something may be left.
    #[error("the bucket cannot be listed, so what is in it is not seen: {0}")]
    Bucket(#[source] spaces::Error),
    /// The images: only those are known that have an object in the bucket.
    #[error("images cannot be listed, so not all of them are seen: {0}")]
    Images(#[source] digitalocean::Error),
    /// The keys: one that a push made may be left.
    #[error("temporary keys cannot be looked for, so one may be left: {0}")]
    Keys(#[source] digitalocean::Error),
}

impl Unlisted {
    /// The stable name of what could not be looked through.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Unlisted::Bucket(_) => "bucket-unlisted",
            Unlisted::Images(_) => "images-unlisted",
            Unlisted::Keys(_) => "keys-unlisted",
        }
    }
}

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
    if !dry {
        Journal::remove_unborn(folder);
    }
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
            Ok(Some(Found::Over(over))) => {
                if !dry && let Err(error) = over.remove() {
                    let left = vec![error.to_string()];
                    all.push(Swept { left, ..swept(SweptState::Left) });
                }
            }
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
        Ok(world) => ended(&mut journal, &world, patience).await,
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

/// Brings a push to its end, if it is one of this account. What is left, and why.
async fn ended(journal: &mut Journal, world: &World, patience: &Patience) -> Vec<String> {
    let push = journal.push().clone();
    let not_ours = match whose(world, &push, journal.state()).await {
        Whose::Own => None,
        Whose::Others => {
            return vec![
                "it was pushed by another account than that of the token; sweep with a token of that one".into(),
            ];
        }
        Whose::Unknown(why) => Some(format!(
            "{why}, and nothing of it is seen in this one; sweep with the token that pushed, or with one of its \
             account that has the scope account:read"
        )),
    };
    let bucket = world.bucket.as_ref();
    let sees = bucket.is_some_and(|bucket| sees_bucket(world, bucket, &push, journal.state()));
    Cleaning::swept(journal, world, patience, not_ours, sees).end().await
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
        Image::Asked(_) => steps.push(format!(
            "look for an image marked {tag}, and wait for it; delete it if its import fails"
        )),
        Image::Importing(id) if gone => steps.push(format!("delete image {id}")),
        Image::Importing(id) => {
            steps.push(format!("wait for the import of image {id}; delete it if that fails"))
        }
        Image::Available(id) => steps.push(format!("keep image {id}")),
        Image::Failed(id) => steps.push(format!("delete image {id}, whose import failed")),
    }
    let compares = matches!(state.image, Image::Asked(_) | Image::Importing(_)) && !gone;
    if state.checked.is_some() && compares {
        steps.push(
            "delete it unless its URL still leads to what was checked; say in its description if it does".into(),
        );
    }
    if state.says_uncompared && matches!(state.image, Image::Available(_)) {
        steps.push("say in its description that it was compared with what was checked".into());
    }
    let (may_keep, keep) = match state.image {
        Image::Available(_) => (false, state.began.keep_object),
        Image::Asked(_) | Image::Importing(_) => (state.began.keep_object && !gone, false),
        Image::None | Image::Failed(_) => (false, false),
    };
    match &state.object {
        Object::None => {}
        Object::Asked { key, .. } | Object::Open { key, .. } => {
            steps.push(format!("abort the upload of {key}"));
        }
        Object::Completing { key, .. } => {
            steps.push(format!("abort the upload of {key}, or delete the object"));
        }
        Object::Stored { key, .. } if keep => steps.push(format!("make the object {key} private")),
        Object::Stored { key, .. } if may_keep => steps.push(format!(
            "make the object {key} private, or delete it if there is no image of it"
        )),
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

/// How many pushes of this machine were killed, and not brought to their end since. A journal that cannot be read may be
/// that of one.
#[must_use]
pub fn unfinished(folder: &Path) -> usize {
    let is_open = |path: &PathBuf| matches!(Journal::open(path), Ok(Some(Found::Left(_))) | Err(_));
    Journal::all(folder).unwrap_or_default().iter().filter(|path| is_open(path)).count()
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
