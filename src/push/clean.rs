//! Ending what a push began: the same for one that fails, one that is interrupted, and one that was killed
//! and is swept later.

mod image;

use std::ffi::OsStr;
use std::time::Duration;

use self::image::unfound;
pub(super) use self::image::{is_gone, is_twin, spared};
use super::entry::{Entry, Intent, Outcome};
use super::gone::unreadable;
use super::journal::Journal;
use super::looking::{Looking, since};
use super::state::{Asked, Image as Made, Key as Minted};
use super::world::World;
use super::{compared, handed, mint};
use crate::bytes::{Command, Hostile};
use crate::digitalocean::wait::{self, Patience, WaitError};
use crate::digitalocean::{Error, Kind, PushId, is_access};

/// What becomes of the object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody needs it.
    Remove,
    /// It stays, private.
    Keep,
    /// The importer may still read it.
    Needed,
}

/// Brings what a push has made so far to its end; its key stays while something is left that needs it. What is
/// left, and why: nothing, if all went well.
pub(super) async fn clean(
    journal: &mut Journal,
    world: &World,
    patience: &Patience,
) -> Vec<String> {
    let mut cleaning = Cleaning::own(journal, world, patience);
    cleaning.all().await;
    if cleaning.left.is_empty() {
        cleaning.key().await;
    }
    cleaning.left
}

/// The same at the end of a process: the key ends whatever is left, as its secret ends with the process, and it
/// opens all buckets.
pub(super) async fn end(journal: &mut Journal, world: &World, patience: &Patience) -> Vec<String> {
    Cleaning::own(journal, world, patience).end().await.left
}

/// The object stays, private, for a later run; the rest ends. What is left beside it, and why.
pub(super) async fn keep(journal: &mut Journal, world: &World, patience: &Patience) -> Vec<String> {
    let mut cleaning = Cleaning::own(journal, world, patience);
    cleaning.object(Fate::Keep).await;
    cleaning.probe().await;
    cleaning.key().await;
    cleaning.left
}

/// Only the key ends: the rest is still needed.
pub(super) async fn end_key(
    journal: &mut Journal,
    world: &World,
    patience: &Patience,
) -> Vec<String> {
    let mut cleaning = Cleaning::own(journal, world, patience);
    cleaning.key().await;
    cleaning.left
}

/// What brings a push to its end.
pub(super) struct Cleaning<'a> {
    pub(super) journal: &'a mut Journal,
    pub(super) world: &'a World,
    pub(super) patience: &'a Patience,
    /// Whether this run made what the journal tells of: then an image without any mark is what a refused create made.
    made_here: bool,
    /// Why nothing is known of the push's account, if that is so: then nothing that is not found there is gone.
    pub(super) not_ours: Option<String>,
    /// Whether a bucket that is not found is gone.
    pub(super) sees_bucket: bool,
    /// What was done that no journal tells of.
    did: Vec<String>,
    pub(super) left: Vec<String>,
}

/// What a sweep made of a push.
pub(super) struct Ended {
    /// What was done that its journal does not tell of.
    pub(super) did: Vec<String>,
    /// What is left, and why.
    pub(super) left: Vec<String>,
}

impl<'a> Cleaning<'a> {
    /// For the run that pushed, which has the account and the bucket.
    fn own(journal: &'a mut Journal, world: &'a World, patience: &'a Patience) -> Self {
        let (did, left) = (Vec::new(), Vec::new());
        let (made_here, not_ours, sees_bucket) = (true, None, true);
        Cleaning { journal, world, patience, made_here, not_ours, sees_bucket, did, left }
    }

    /// For a sweep, which has what it has.
    pub(super) fn swept(
        journal: &'a mut Journal,
        world: &'a World,
        patience: &'a Patience,
        not_ours: Option<String>,
        sees_bucket: bool,
    ) -> Self {
        let own = Cleaning::own(journal, world, patience);
        Cleaning { made_here: false, not_ours, sees_bucket, ..own }
    }

    /// Brings everything to its end, the key too.
    pub(super) async fn end(mut self) -> Ended {
        self.all().await;
        self.key().await;
        Ended { did: self.did, left: self.left }
    }

    /// For how long it is looked for what may have been made.
    pub(super) fn settle(&self) -> Duration {
        Duration::from_secs(self.journal.state().began.settle)
    }

    /// Writes down what is done. A disk that is full keeps nothing from being removed: a later sweep finds
    /// that it is gone.
    pub(super) fn record(&mut self, entry: Entry) {
        if let Some(error) = self.journal.note(entry) {
            self.world.note(&error.to_string());
        }
    }

    fn leave(&mut self, what: String) -> Fate {
        self.left.push(what);
        let state = self.journal.state();
        match (state.abandoned, state.began.keep_object) {
            (true, _) => Fate::Remove,
            (false, _) if !self.is_overdue() => Fate::Needed,
            (false, true) => Fate::Keep,
            (false, false) => Fate::Remove,
        }
    }

    /// Whether the image was asked for so long ago that no importer reads its object any more, whatever the API
    /// says, or does not say.
    fn is_overdue(&self) -> bool {
        let most = Patience::default().most.max(self.patience.most);
        let state = self.journal.state();
        state.asked.is_some_and(|asked| since(self.world, state, asked) > most)
    }

    /// Brings everything but the key to its end.
    async fn all(&mut self) {
        let fate = self.image().await;
        if fate != Fate::Needed {
            self.object(fate).await;
        }
        self.probe().await;
    }

    /// Brings the image to its end; what becomes of the object then.
    async fn image(&mut self) -> Fate {
        let state = self.journal.state();
        let abandoned = state.abandoned;
        let settled = match state.image {
            Made::None => true,
            Made::Available(_) => !state.says_uncompared,
            _ => false,
        };
        if let Some(why) = self.not_ours.clone().filter(|_| !settled) {
            return self.leave(format!("nobody knows how it stands with its image: {why}"));
        }
        if let (Made::Asked(_), true) = (state.image, state.refused && self.made_here) {
            // Whoever pushed has looked already.
            return self.leave(format!(
                "the create was refused, and no image is seen; {}",
                may_appear(self.journal.push())
            ));
        }
        if let Made::Asked(at) = state.image
            && let Err(why) = self.look(at).await
        {
            return self.leave(why);
        }
        match self.journal.state().image {
            Made::None => Fate::Remove,
            // `look` has found it, or not.
            Made::Asked(_) => Fate::Needed,
            Made::Importing(id) if abandoned => self.delete_image(id).await,
            Made::Importing(id) => self.wait(id).await,
            Made::Available(id) => self.keep_image(id).await,
            Made::Failed(id) => self.delete_image(id).await,
        }
    }

    /// Looks for an image that may have been made. Nothing is posted.
    async fn look(&mut self, asked: u64) -> Result<(), String> {
        let push = self.journal.push().clone();
        self.world.undo("looking for an image that may have been made");
        let images = self.world.api.images();
        // The first look tells the time, too.
        let mut found = images.find(&push, Duration::ZERO, self.patience, None).await;
        let state = self.journal.state();
        // Of a push that was given up an image would be in the way: it is looked for twice as long.
        let twice = state.abandoned && !state.refused;
        let long = if twice { self.settle() * 2 } else { self.settle() };
        let looking = Looking::new(self.world, state, asked, long, self.patience);
        if !looking.left().is_zero() && found.as_ref().map_or(true, Vec::is_empty) {
            found = images.find(&push, looking.left(), self.patience, None).await;
        }
        let found = found.map_err(|error| {
            format!("nobody knows whether an image was made, and it cannot be looked for: {error}")
        })?;
        match found.first() {
            Some(image) => {
                self.record(Entry::Outcome(Outcome::Create { image: image.id }));
                Ok(())
            }
            None if !looking.enough => Err(may_appear(&push)),
            None => {
                self.record(Entry::Outcome(Outcome::NotCreated));
                Ok(())
            }
        }
    }

    /// Waits until an import has come to its end.
    async fn wait(&mut self, id: u64) -> Fate {
        let push = self.journal.push().clone();
        self.world.undo(&format!("waiting for the import of image {id}"));
        let api = &self.world.api;
        match wait::image(api, id, Some(&push), *self.patience, &mut None).await {
            Ok(image) if !push.marks(&image) => self.leave(self.foreign(image.id)),
            Ok(image) => {
                let available = match self.is_checked(image.id).await {
                    Ok(available) => available,
                    Err(why) => return self.leave(why),
                };
                let outcome = Outcome::Import { image: image.id, available };
                self.record(Entry::Outcome(outcome));
                if !available {
                    return self.delete_image(image.id).await;
                }
                self.world.undo(&format!("image {} is available and stays", image.id));
                self.keep_image(image.id).await
            }
            Err(WaitError::Failed(image)) => {
                let outcome = Outcome::Import { image: image.id, available: false };
                self.record(Entry::Outcome(outcome));
                self.delete_image(image.id).await
            }
            Err(WaitError::Api(Error { kind: Kind::NotFound, .. })) => {
                match self.is_listed(id).await {
                    Ok(false) => {
                        self.world.note(&unfound(id));
                        self.record(Entry::Outcome(Outcome::NotCreated));
                        Fate::Remove
                    }
                    Ok(true) => self.leave(format!(
                        "image {id} is listed, and by its number it is not found; {} \
                         removes it",
                        Command::image("delete").number(id)
                    )),
                    Err(why) => self.leave(why),
                }
            }
            Err(error) => self.leave(format!(
                "image {id} is still being imported: {error}; sweep later, or {} ends it",
                Command::image("delete").number(id)
            )),
        }
    }

    /// Leaves an image that can be used, and was compared where it has to be, as it is to be.
    async fn keep_image(&mut self, id: u64) -> Fate {
        compared::tell(self.journal, self.world, self.patience, id).await;
        match self.journal.state().began.keep_object {
            true => Fate::Keep,
            false => Fate::Remove,
        }
    }

    /// Whether an image is made of what was checked. What was staged is; behind a URL of others there may be
    /// something else by now.
    ///
    /// # Errors
    /// Says why nobody knows, and what to do.
    async fn is_checked(&mut self, id: u64) -> Result<bool, String> {
        let Some(checked) = &self.journal.state().checked else { return Ok(true) };
        let unknown = |why: String| compared::unknown(id, &why);
        let Some(url) = &checked.url else {
            return Err(unknown("its URL is not in the journal, as it has a query".into()));
        };
        self.world.undo(&format!("comparing what {} leads to", Hostile::from(url.as_str())));
        let World { look, watch, .. } = self.world;
        let now = handed::look(OsStr::new(url), look, watch).await;
        let now = now.map_err(|why| unknown(format!("its URL cannot be read: {why}")))?;
        let Some(why) = checked.difference(&now) else { return Ok(true) };
        self.world.note(&format!("image {id} is not made of what was checked: {why}"));
        Ok(false)
    }

    /// Deletes the temporary key, and whatever else bears its name.
    async fn key(&mut self) {
        let known = match self.journal.state().key.clone() {
            Minted::None => return,
            Minted::Asked(_) => None,
            Minted::Made { access, .. } => Some(access),
        };
        if let Some(why) = self.not_ours.clone() {
            return self.left.push(format!("the temporary key may be left: {why}"));
        }
        self.record(Entry::Intent(Intent::RevokeKey));
        let (push, state) = (self.journal.push().clone(), self.journal.state());
        let looking = match state.unanswered(Asked::Key) {
            Some(at) => Looking::new(self.world, state, at, self.settle(), self.patience),
            None => Looking::once(self.patience),
        };
        match mint::revoke(&self.world.api, &push, known.as_deref(), looking).await {
            Ok(said) => {
                said.iter().for_each(|said| self.world.note(said));
                self.record(Entry::Outcome(Outcome::RevokeKey));
            }
            Err(why) => {
                let readable = known.is_none_or(|access| is_access(&access));
                let why = if readable { why } else { unreadable(self.journal, &why) };
                self.left.push(format!("the temporary key may be left: {why}"));
            }
        }
    }
}

/// Why a push is not at its end of whose image nothing was seen.
fn may_appear(push: &PushId) -> String {
    format!(
        "an image marked {} may still appear; it was not found so far; look for {} in \
         {}, or sweep later",
        push.tag(),
        push.as_str(),
        Command::image("list --private --format json")
    )
}
