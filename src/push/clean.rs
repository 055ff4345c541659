//! Ending what a push began: the same for one that fails, one that is interrupted, and one that was killed
//! and is swept later.

use std::ffi::OsStr;
use std::time::Duration;

use super::compared;
use super::entry::{Entry, Intent, Outcome};
use super::handed;
use super::journal::{Journal, now};
use super::mint;
use super::state::{Image, Key as Minted, Object, Public};
use super::world::World;
use crate::bytes::Hostile;
use crate::digitalocean::wait::{self, Patience, WaitError};
use crate::digitalocean::{Error, Kind, is_access};
use crate::spaces::{self, Acl, Bucket, Key, Upload, UploadId};

/// For how long an image is looked for that a push which is given up may have made.
const ABANDONED_LOOK: Duration = Duration::from_secs(60);

/// What becomes of the object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
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
    let mut cleaning = Cleaning { journal, world, patience, left: Vec::new() };
    cleaning.all().await;
    if cleaning.left.is_empty() {
        cleaning.key().await;
    }
    cleaning.left
}

/// The same at the end of a process: the key ends whatever is left, as its secret ends with the process, and it
/// opens all buckets.
pub(super) async fn end(journal: &mut Journal, world: &World, patience: &Patience) -> Vec<String> {
    let mut cleaning = Cleaning { journal, world, patience, left: Vec::new() };
    cleaning.all().await;
    cleaning.key().await;
    cleaning.left
}

/// Only the key ends: the rest is still needed.
pub(super) async fn end_key(
    journal: &mut Journal,
    world: &World,
    patience: &Patience,
) -> Vec<String> {
    let mut cleaning = Cleaning { journal, world, patience, left: Vec::new() };
    cleaning.key().await;
    cleaning.left
}

struct Cleaning<'a> {
    journal: &'a mut Journal,
    world: &'a World,
    patience: &'a Patience,
    left: Vec<String>,
}

impl Cleaning<'_> {
    /// Writes down what is done. A disk that is full keeps nothing from being removed: a later sweep finds
    /// that it is gone.
    fn record(&mut self, entry: Entry) {
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
        let asked = self.journal.state().asked;
        asked.is_some_and(|asked| now().saturating_sub(asked) > most.as_secs())
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
        if let Image::Asked(at) = state.image
            && let Err(why) = self.look(at).await
        {
            return self.leave(why);
        }
        match self.journal.state().image {
            Image::None => Fate::Remove,
            // `look` has found it, or not.
            Image::Asked(_) => Fate::Needed,
            Image::Importing(id) if abandoned => self.delete_image(id).await,
            Image::Importing(id) => self.wait(id).await,
            Image::Available(id) => self.keep_image(id).await,
            Image::Failed(id) => self.delete_image(id).await,
        }
    }

    /// Looks for an image that may have been made. Nothing is posted.
    async fn look(&mut self, asked: u64) -> Result<(), String> {
        let state = self.journal.state();
        let since = Duration::from_secs(now().saturating_sub(asked));
        let settle = Duration::from_secs(state.began.settle);
        let abandoned = state.abandoned;
        // Of a push that was given up an image would be in the way: it is looked for twice as long, though not
        // by one run.
        let long = if abandoned { settle * 2 } else { settle };
        let most = long.saturating_sub(since);
        let most = if abandoned { most.min(ABANDONED_LOOK) } else { most };
        let push = self.journal.push().clone();
        self.world.undo("looking for an image that may have been made");
        let images = self.world.api.images();
        let found = images.find(&push, most, self.patience, None).await;
        let found = found.map_err(|error| {
            format!("nobody knows whether an image was made, and it cannot be looked for: {error}")
        })?;
        match found.first() {
            Some(image) => {
                self.record(Entry::Outcome(Outcome::Create { image: image.id }));
                Ok(())
            }
            None if abandoned && since + most < long => Err(format!(
                "an image marked {} may still appear; it was not found so far",
                push.tag()
            )),
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
                self.record(Entry::Outcome(Outcome::NotCreated));
                Fate::Remove
            }
            Err(error) => self.leave(format!("image {id} is still being imported: {error}")),
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
        let now = now.map_err(|why| unknown(format!("its URL cannot be looked at: {why}")))?;
        let Some(why) = checked.difference(&now) else { return Ok(true) };
        self.world.note(&format!("image {id} is not made of what was checked: {why}"));
        Ok(false)
    }

    async fn delete_image(&mut self, id: u64) -> Fate {
        self.record(Entry::Intent(Intent::DeleteImage { image: id }));
        self.world.undo(&format!("deleting image {id}"));
        match self.world.api.images().delete_settled(id).await {
            Ok(_) | Err(Error { kind: Kind::NotFound, .. }) => {
                self.record(Entry::Outcome(Outcome::DeleteImage));
                Fate::Remove
            }
            Err(error) => {
                self.left.push(format!("image {id} could not be deleted: {error}"));
                Fate::Remove
            }
        }
    }

    /// Brings the object to its end, and its upload.
    async fn object(&mut self, fate: Fate) {
        let object = self.journal.state().object.clone();
        let Some(key) = object.key().map(str::to_owned) else { return };
        let Some(bucket) = self.world.bucket.clone() else {
            self.left.push(format!(
                "the object {key} is left: no credentials for its bucket; give a key, or --mint-key"
            ));
            return;
        };
        if let Err(why) = remove(self, &bucket, &object, &key, fate).await {
            let key = Hostile::from(key.as_str());
            self.left.push(format!("the object {key} could not be removed: {why}"));
        }
    }

    /// Deletes the object of one byte.
    async fn probe(&mut self) {
        let Some(key) = self.journal.state().probe.clone() else { return };
        let Some(bucket) = self.world.bucket.clone() else {
            self.left.push(format!(
                "the object {key} is left: no credentials for its bucket; give a key, or --mint-key"
            ));
            return;
        };
        let key = match Key::parse(&key) {
            Ok(key) => key,
            Err(why) => return self.left.push(unreadable(&why)),
        };
        match bucket.delete(&key).await {
            Ok(()) => self.record(Entry::Outcome(Outcome::Probe)),
            // Nothing can have been put into it.
            Err(error) if error.kind == spaces::Kind::NoSuchBucket => {
                self.record(Entry::Outcome(Outcome::Probe))
            }
            Err(error) => self.left.push(format!("the object {key} could not be deleted: {error}")),
        }
    }

    /// Deletes the temporary key, and whatever else bears its name.
    async fn key(&mut self) {
        let known = match self.journal.state().key.clone() {
            Minted::None => return,
            Minted::Asked(_) => None,
            Minted::Made { access, .. } => Some(access),
        };
        self.record(Entry::Intent(Intent::RevokeKey));
        let push = self.journal.push().clone();
        match mint::revoke(&self.world.api, &push, known.as_deref()).await {
            Ok(said) => {
                said.iter().for_each(|said| self.world.note(said));
                self.record(Entry::Outcome(Outcome::RevokeKey));
            }
            Err(why) => {
                let readable = known.is_none_or(|access| is_access(&access));
                let why = if readable { why } else { unreadable(&why) };
                self.left.push(format!("the temporary key may be left: {why}"));
            }
        }
    }
}

/// What to do about something in a journal that identifies nothing.
fn unreadable(why: &str) -> String {
    format!(
        "its journal is damaged: {why}; `tidegate sweep --remote` goes by what is there instead, \
         and the journal can be deleted then"
    )
}

/// Ends all uploads of a key but one: the server may have opened some without our hearing of it.
async fn abort_strays(
    world: &World,
    bucket: &Bucket,
    key: &str,
    but: Option<&Upload>,
) -> Result<(), spaces::Error> {
    for open in bucket.uploads(key).await? {
        if but.is_none_or(|but| but.id != open.upload.id) {
            world.undo("ending the upload");
            bucket.abort(&open.upload).await?;
        }
    }
    Ok(())
}

/// Makes an object private, and removes it and what is left of its upload.
async fn remove(
    cleaning: &mut Cleaning<'_>,
    bucket: &Bucket,
    object: &Object,
    key: &str,
    fate: Fate,
) -> Result<(), String> {
    let parsed = Key::parse(key).map_err(|why| unreadable(&why))?;
    let upload = match object {
        Object::Open { id, .. } | Object::Completing { id, .. } => {
            let id = UploadId::parse(id).map_err(|why| unreadable(&why))?;
            Some(Upload { key: parsed.clone(), id })
        }
        Object::None | Object::Asked { .. } | Object::Stored { .. } => None,
    };
    let world = cleaning.world;
    if !matches!(object, Object::Asked { .. })
        && let Err(error) = abort_strays(world, bucket, key, upload.as_ref()).await
        && error.kind != spaces::Kind::NoSuchBucket
    {
        // Only a server that refused to open an upload, and opened one, has left any.
        world.note(&format!("nobody knows whether further uploads are open: {error}"));
    }
    if let Object::Stored { public, .. } = object {
        if *public == Public::Yes {
            cleaning.record(Entry::Intent(Intent::Hide));
            match bucket.set_acl(&parsed, Acl::Private).await {
                Ok(()) => cleaning.record(Entry::Outcome(Outcome::Hide)),
                Err(error)
                    if matches!(
                        error.kind,
                        spaces::Kind::NoSuchKey | spaces::Kind::NoSuchBucket
                    ) => {}
                // What cannot be hidden can perhaps be deleted, unless it is to stay.
                Err(error) if fate == Fate::Keep => return Err(error.to_string()),
                Err(error) => world.note(&format!("the object could not be made private: {error}")),
            }
        }
        if fate == Fate::Keep {
            return Ok(());
        }
    }
    cleaning.record(Entry::Intent(Intent::Delete));
    let gone = async {
        if let Some(upload) = &upload {
            world.undo("ending the upload");
            bucket.abort(upload).await?;
        }
        if matches!(object, Object::Asked { .. }) {
            abort_strays(world, bucket, key, None).await?;
        }
        if matches!(object, Object::Completing { .. } | Object::Stored { .. }) {
            world.undo(&format!("deleting the object {key}"));
            bucket.delete(&parsed).await?;
        }
        Ok(())
    };
    let gone: Result<(), spaces::Error> = gone.await;
    match gone {
        Ok(()) => {}
        // A bucket that is gone holds nothing.
        Err(error) if error.kind == spaces::Kind::NoSuchBucket => world.note("the bucket is gone"),
        Err(error) => return Err(error.to_string()),
    }
    cleaning.record(Entry::Outcome(Outcome::Delete));
    Ok(())
}
