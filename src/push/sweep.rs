//! What killed runs left: what is said of it, and how it is ended by the journals.

use std::path::Path;

use serde::Serialize;

use super::clean::{Cleaning, Ended, is_twin, spared};
use super::entry::Place;
use super::journal::{Found, Journal, JournalError};
use super::mint;
use super::owner::{Whose, sees_bucket, whose};
use super::state::{Image, Key as Minted, Object, Public, State};
use super::world::World;
use crate::bytes::{Command, Hostile};
use crate::digitalocean::wait::Patience;
use crate::digitalocean::{self, PushId};
use crate::spaces::{self, Key};

/// What became of all that was found.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Sweep {
    /// Of what was found.
    pub pushes: Vec<Swept>,
    /// Where it could not be looked for what there is; only without journals.
    pub unlisted: Vec<Unlisted>,
    /// Where it was looked.
    pub looked: Vec<String>,
    /// What is of pushes, and too young to be swept; only without journals.
    pub younger: Vec<String>,
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
    /// What came of each of the steps; nothing if none was taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<StepOutcome>,
    /// What is left, and why.
    pub left: Vec<String>,
    /// The path of its journal, if there is one that stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
}

impl Swept {
    /// Something of a push of which nothing is said yet.
    #[must_use]
    pub fn new(push: String, state: SweptState) -> Self {
        let (steps, outcomes, left) = (Vec::new(), Vec::new(), Vec::new());
        Swept { push, source: None, state, steps, outcomes, left, journal: None }
    }
}

/// What came of a step.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct StepOutcome {
    /// The step.
    pub step: String,
    /// Whether it is done.
    pub done: bool,
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
        let swept = |state| Swept::new(push.clone(), state);
        let journal = || Some(Hostile::from_os(path.as_os_str()).to_string());
        match Journal::open(&path) {
            Ok(None) => {}
            Ok(Some(Found::Over(over))) => {
                if !dry && let Err(error) = over.remove() {
                    let left = vec![error.to_string()];
                    all.push(Swept { left, journal: journal(), ..swept(SweptState::Left) });
                }
            }
            Ok(Some(Found::Locked(_))) => all.push(swept(SweptState::Alive)),
            Ok(Some(Found::Left(journal))) => {
                all.push(one(*journal, connect, patience, dry).await);
            }
            Err(error) => {
                let left = vec![error.to_string()];
                all.push(Swept { left, journal: journal(), ..swept(SweptState::Left) });
            }
        }
    }
    Ok(all)
}

async fn one(mut journal: Journal, connect: Connect<'_>, patience: &Patience, dry: bool) -> Swept {
    let planned = steps(journal.state(), &journal.push().tag());
    let mut swept = Swept {
        source: Some(Hostile::from(journal.state().began.source.as_str()).to_string()),
        steps: planned.iter().map(|(_, step)| step.clone()).collect(),
        ..Swept::new(journal.push().as_str().to_owned(), SweptState::Planned)
    };
    if dry {
        swept.steps.extend(further(&journal, connect).await);
        return swept;
    }
    let (world, Ended { did, left }) = match connected(journal.state(), connect).await {
        Ok(world) => {
            let ended = ended(&mut journal, &world, patience).await;
            (Some(world), ended)
        }
        Err(why) => {
            let discard = journal.discard();
            let out = format!("{why}; if that API or bucket is gone for good, {discard}");
            (None, Ended { did: Vec::new(), left: vec![out] })
        }
    };
    swept.left = left;
    let all = swept.left.is_empty();
    let is_done = |part| all || is_over(part, journal.state());
    swept.outcomes = planned
        .into_iter()
        .map(|(part, step)| StepOutcome { step, done: is_done(part) })
        .chain(did.into_iter().map(|step| StepOutcome { step, done: true }))
        .collect();
    swept.steps = swept.outcomes.iter().map(|outcome| outcome.step.clone()).collect();
    if !all {
        swept.left.extend(still_there(world.as_ref(), journal.state()).await);
        swept.journal = Some(journal.shown());
    } else if let Err(error) = journal.end() {
        swept.left.push(error.to_string());
    }
    swept.state = match swept.left.is_empty() {
        true => SweptState::Ended,
        false => SweptState::Left,
    };
    swept
}

/// What a journal is swept with.
async fn connected(state: &State, connect: Connect<'_>) -> Result<World, String> {
    let needs_bucket = state.object.key().is_some() || state.probe.is_some();
    let world = connect(&Started::of(state))?;
    if let Some(bucket) = world.bucket.as_ref().filter(|_| needs_bucket) {
        mint::ready(&world, bucket).await.map_err(|error| error.to_string())?;
    }
    Ok(world)
}

/// What a sweep would do of which the journal does not tell: further images have the mark of the push.
async fn further(journal: &Journal, connect: Connect<'_>) -> Vec<String> {
    let known = match journal.state().image {
        Image::None | Image::Available(_) => return Vec::new(),
        Image::Asked(_) => None,
        Image::Importing(id) | Image::Failed(id) => Some(id),
    };
    let deletes = journal.state().abandoned || matches!(journal.state().image, Image::Failed(_));
    let push = journal.push();
    let found = match connect(&Started::of(journal.state())) {
        Ok(world) => world.api.images().bearing(push).await.map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            let step = format!(
                "look for further images marked {}; it cannot be done now: {why}",
                push.tag()
            );
            return vec![Hostile::message(&step).to_string()];
        }
    };
    let others = found.iter().filter(|image| !image.is_gone() && Some(image.id) != known);
    let said = others.map(|image| match (is_twin(push, image), push.made(image)) {
        (true, _) if deletes => {
            format!("delete image {}, which has the mark of this push too", image.id)
        }
        (true, _) => format!(
            "delete image {}, which has the mark of this push too, if the import fails",
            image.id
        ),
        (false, true) => {
            format!("image {} has the mark of this push, and may be in use: it stays", image.id)
        }
        (false, false) => spared(image),
    });
    said.collect()
}

/// How it stands with an object that is not removed.
async fn still_there(world: Option<&World>, state: &State) -> Option<String> {
    let (Object::Stored { key, .. } | Object::Completing { key, .. }) = &state.object else {
        return None;
    };
    let said = match (world.and_then(|world| world.bucket.as_ref()), Key::parse(key)) {
        (Some(bucket), Ok(key)) => match bucket.is_public(&key).await {
            Ok(true) => "is there, and public: anybody may read it".to_owned(),
            Ok(false) => "is there, and private".to_owned(),
            Err(error) if error.kind == spaces::Kind::NoSuchKey => "is not there".to_owned(),
            Err(error) => format!("may be there, and public, as the bucket does not say: {error}"),
        },
        _ => match &state.object {
            Object::Stored { public: Public::Yes, .. } => {
                "is there, and public, by its journal".to_owned()
            }
            _ => "may be there, by its journal".to_owned(),
        },
    };
    Some(format!("the object {} {said}", Hostile::from(key.as_str())))
}

/// Brings a push to its end, if it is one of this account. What is left, and why.
async fn ended(journal: &mut Journal, world: &World, patience: &Patience) -> Ended {
    let push = journal.push().clone();
    let not_ours = match whose(world, &push, journal.state()).await {
        Whose::Own => None,
        Whose::Others => {
            let left = vec![format!(
                "it was pushed by another account than that of the token; sweep with a token of that one; if that \
                 account is gone, {}",
                journal.discard()
            )];
            return Ended { did: Vec::new(), left };
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

/// What a step brings to its end.
#[derive(Clone, Copy)]
enum Part {
    Image,
    Object,
    Probe,
    Key,
}

/// Whether nothing is left to be done about a part of a push.
fn is_over(part: Part, state: &State) -> bool {
    match part {
        Part::Image => matches!(state.image, Image::None | Image::Available(_)),
        Part::Object => match &state.object {
            Object::None => true,
            Object::Stored { public, .. } => {
                let kept = state.began.keep_object && matches!(state.image, Image::Available(_));
                kept && *public == Public::No
            }
            _ => false,
        },
        Part::Probe => state.probe.is_none(),
        Part::Key => state.key == Minted::None,
    }
}

/// What ends a push, in words.
fn steps(state: &State, tag: &str) -> Vec<(Part, String)> {
    let (mut all, mut steps) = (Vec::new(), Vec::new());
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
        Image::Failed(id) if gone => steps.push(format!("delete image {id}")),
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
    let mut take = |part, steps: &mut Vec<String>| {
        all.extend(steps.drain(..).map(|step| (part, Hostile::message(&step).to_string())));
    };
    take(Part::Image, &mut steps);
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
    take(Part::Object, &mut steps);
    if let Some(key) = &state.probe {
        steps.push(format!("delete the object {key}"));
    }
    take(Part::Probe, &mut steps);
    if !matches!(state.key, Minted::None) {
        steps.push("delete the temporary key of the bucket".into());
    }
    take(Part::Key, &mut steps);
    all
}

/// Pushes of this machine that are not at their end, and that nobody works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Those of which something is left, as far as their journals tell.
    pub pushes: usize,
    /// Journals that cannot be used.
    pub unreadable: usize,
}

impl Unfinished {
    /// What to say about them; nothing if there are none. `sweep` is the command that ends them.
    #[must_use]
    pub fn said(&self, sweep: &Command) -> Option<String> {
        let pushes = match self.pushes + self.unreadable {
            0 => return None,
            1 => "an earlier push was killed before the end, or left something".to_owned(),
            many => format!("{many} earlier pushes were killed before the end, or left something"),
        };
        let unreadable = match self.unreadable {
            0 => "",
            _ => "; not every journal can be used",
        };
        Some(format!("{pushes}{unreadable}: {sweep} cleans up"))
    }
}

/// The pushes of this machine that are not at their end.
///
/// # Errors
/// If the journals cannot be listed.
pub fn unfinished(folder: &Path) -> Result<Unfinished, JournalError> {
    let mut unfinished = Unfinished::default();
    for path in Journal::all(folder)? {
        match Journal::open(&path) {
            Ok(Some(Found::Left(_))) => unfinished.pushes += 1,
            Ok(_) => {}
            Err(_) => unfinished.unreadable += 1,
        }
    }
    Ok(unfinished)
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
