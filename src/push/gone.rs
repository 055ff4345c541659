//! Objects and uploads on their way out. Nothing of them is said to be gone that was not looked for where it would be:
//! in all versions, and for as long as it may come about.

use super::clean::{Cleaning, Fate};
use super::entry::{Entry, Intent, Outcome};
use super::journal::{Journal, instead};
use super::looking::Looking;
use super::state::{Asked, Object, Public};
use super::world::World;
use crate::bytes::Hostile;
use crate::spaces::{self, Bucket, Error, Key, Kind, Upload, UploadId};

impl Cleaning<'_> {
    /// Brings the object to its end, and its upload.
    pub(super) async fn object(&mut self, fate: Fate) {
        let object = self.journal.state().object.clone();
        let Some(key) = object.key().map(str::to_owned) else { return };
        let Some(bucket) = self.bucket(&key) else { return };
        if let Err(why) = self.remove(&bucket, &object, &key, fate).await {
            let key = Hostile::from(key.as_str());
            self.left.push(format!("the object {key} could not be removed: {why}"));
        }
    }

    /// Deletes the object of one byte.
    pub(super) async fn probe(&mut self) {
        let Some(key) = self.journal.state().probe.clone() else { return };
        let Some(bucket) = self.bucket(&key) else { return };
        let key = match Key::parse(&key) {
            Ok(key) => key,
            Err(why) => return self.left.push(unreadable(self.journal, &why)),
        };
        match self.erase(&bucket, &key, Asked::Probe).await {
            Ok(()) => self.record(Entry::Outcome(Outcome::Probe)),
            Err(why) => self.left.push(format!(
                "the object {key} may be there, as it could not be deleted: {why}; a sweep with a key that may delete \
                 removes it; if that bucket is not yours, {}",
                self.journal.discard()
            )),
        }
    }

    /// The bucket; without one, an object is left.
    fn bucket(&mut self, key: &str) -> Option<Bucket> {
        let bucket = self.world.bucket.clone();
        if bucket.is_none() {
            let key = Hostile::from(key);
            self.left.push(format!(
                "the object {key} is left: no credentials for its bucket; give a key, or --mint-key"
            ));
        }
        bucket
    }

    /// Deletes an object in all its versions, for as long as it may come about.
    async fn erase(&mut self, bucket: &Bucket, key: &Key, asked: Asked) -> Result<(), String> {
        let mut looking = self.looking(asked);
        loop {
            let erased = bucket.erase(key).await.map(drop);
            self.unless_gone(bucket, erased)?;
            if !looking.again().await {
                return self.over(&looking, "it");
            }
        }
    }

    /// For how long it is looked for something that may have been asked for and not answered.
    fn looking(&self, asked: Asked) -> Looking {
        let state = self.journal.state();
        match state.unanswered(asked) {
            Some(at) => Looking::new(self.world, state, at, self.settle(), self.patience),
            None => Looking::once(self.patience),
        }
    }

    /// What it means that nothing is found any more.
    fn over(&self, looking: &Looking, what: &str) -> Result<(), String> {
        match looking.enough {
            true => Ok(()),
            false => Err(format!(
                "{what} may still appear, as the bucket did not answer when it was asked for; nothing is there so far"
            )),
        }
    }

    /// Takes a bucket that is no more for one that holds nothing, if that can be known.
    fn unless_gone(&self, bucket: &Bucket, done: Result<(), Error>) -> Result<(), String> {
        match done {
            Err(error) if error.kind == Kind::NoSuchBucket && self.sees_bucket => {
                self.world.note("the bucket is gone");
                Ok(())
            }
            Err(error) if error.kind == Kind::NoSuchBucket => Err(format!(
                "the bucket {} is not there for this key, which is not the one that put it there; if the bucket was \
                 deleted, the journal can be deleted too",
                bucket.name()
            )),
            done => done.map_err(|error| error.to_string()),
        }
    }

    /// Makes an object private, and removes it and what is left of its upload.
    async fn remove(
        &mut self,
        bucket: &Bucket,
        object: &Object,
        key: &str,
        fate: Fate,
    ) -> Result<(), String> {
        let parsed = Key::parse(key).map_err(|why| unreadable(self.journal, &why))?;
        let upload = match object {
            Object::Open { id, .. } | Object::Completing { id, .. } => {
                let id = UploadId::parse(id).map_err(|why| unreadable(self.journal, &why))?;
                Some(Upload { key: parsed.clone(), id })
            }
            Object::None | Object::Asked { .. } | Object::Stored { .. } => None,
        };
        let world = self.world;
        if !matches!(object, Object::Asked { .. })
            && let Err(error) = abort_strays(world, bucket, key, upload.as_ref()).await
            && error.kind != Kind::NoSuchBucket
        {
            // Only a server that refused to open an upload, and opened one, has left any.
            world.note(&format!("nobody knows whether further uploads are open: {error}"));
        }
        if let Object::Stored { public, .. } = object
            && fate == Fate::Keep
        {
            if *public == Public::Yes {
                self.record(Entry::Intent(Intent::Hide));
                match bucket.hide(&parsed).await {
                    Ok(()) => self.record(Entry::Outcome(Outcome::Hide)),
                    // There is nothing that anybody could read.
                    Err(error) if error.kind == Kind::NoSuchKey => {}
                    Err(error) => self.unless_gone(bucket, Err(error))?,
                }
            }
            return Ok(());
        }
        self.record(Entry::Intent(Intent::Delete));
        if let Some(upload) = &upload {
            world.undo("ending the upload");
            let aborted = bucket.abort(upload).await;
            self.unless_gone(bucket, aborted)?;
        }
        match object {
            Object::None | Object::Open { .. } => {}
            Object::Asked { .. } => {
                let mut looking = self.looking(Asked::Object);
                loop {
                    let aborted = abort_strays(world, bucket, key, None).await;
                    self.unless_gone(bucket, aborted)?;
                    if !looking.again().await {
                        break self.over(&looking, "its upload")?;
                    }
                }
            }
            Object::Completing { .. } | Object::Stored { .. } => {
                world.undo(&format!("deleting the object {}", Hostile::from(key)));
                self.erase(bucket, &parsed, Asked::Object).await?;
            }
        }
        self.record(Entry::Outcome(Outcome::Delete));
        Ok(())
    }
}

/// What to do about something in a journal that identifies nothing.
pub(super) fn unreadable(journal: &Journal, why: &str) -> String {
    let place = journal.state().began.place.as_ref();
    format!("its journal is damaged: {why}; {}", instead(place))
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
