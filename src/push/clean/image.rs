//! Deleting what a push made as an image: the one of its journal, and whatever else bears its mark.

use std::time::Duration;

use super::super::entry::{Entry, Intent, Outcome};
use super::super::journal::instead;
use super::super::looking::Looking;
use super::{Cleaning, Fate, may_appear};
use crate::bytes::Command;
use crate::digitalocean::{Error, Image, ImageKey, Images, Kind, PushId};

impl<'a> Cleaning<'a> {
    /// Deletes an image, and whatever else the push made: somebody on the way may have asked twice.
    pub(super) async fn delete_image(&mut self, id: u64) -> Fate {
        let (mut done, mut next) = (Vec::new(), Some(id));
        let left = self.left.len();
        while let Some(id) = next.take() {
            self.record(Entry::Intent(Intent::DeleteImage { image: id }));
            let deleted = self.delete_one(id).await;
            if deleted.is_ok() && !done.is_empty() {
                self.did.push(format!("delete image {id}, which has the mark of this push too"));
            }
            self.left.extend(deleted.err());
            done.push(id);
            match self.twins(&done).await {
                Ok(twins) if done.len() < MOST_IMAGES => next = twins.first().copied(),
                Ok(twins) if twins.is_empty() => {}
                Ok(twins) => {
                    self.left.push(more(&twins));
                    // The next sweep begins with it.
                    let image = twins[0];
                    self.record(Entry::Intent(Intent::DeleteImage { image }));
                }
                Err(why) => self.left.push(why),
            }
            if next.is_none()
                && let Err(why) = self.spare(&done).await
            {
                self.left.push(why);
            }
        }
        if self.left.len() == left {
            self.record(Entry::Outcome(Outcome::DeleteImage));
        }
        Fate::Remove
    }

    /// What else the push made, by its mark alone, and cannot be in use.
    async fn twins(&self, but: &[u64]) -> Result<Vec<u64>, String> {
        let found = self.others(but).await?;
        let twins = found.iter().filter(|image| is_twin(self.journal.push(), image));
        Ok(twins.map(|image| image.id).collect())
    }

    /// Names what has the mark of the push, and is not deleted: somebody may use it.
    async fn spare(&mut self, but: &[u64]) -> Result<(), String> {
        let push = self.journal.push().clone();
        for image in self.others(but).await?.iter().filter(|image| !is_twin(&push, image)) {
            match push.made(image) {
                false => self.world.note(&spared(image)),
                true => self.left.push(format!(
                    "image {} has the mark of this push too ({}), and may be in use; {} \
                     removes it; if it is to stay, {}",
                    image.id,
                    push.tag(),
                    Command::image("delete").number(image.id),
                    self.journal.discard()
                )),
            }
        }
        Ok(())
    }

    /// The images with the mark of the push that are there, but these.
    async fn others(&self, but: &[u64]) -> Result<Vec<Image>, String> {
        let found =
            self.world.api.images().bearing(self.journal.push()).await.map_err(|error| {
                format!(
                    "further images marked {} may be left, as images cannot be listed: {error}",
                    self.journal.push().tag()
                )
            })?;
        Ok(found.into_iter().filter(|image| !image.is_gone() && !but.contains(&image.id)).collect())
    }

    /// Whether an image that is not found by its number is in the list, with the marks of the push.
    pub(super) async fn is_listed(&self, id: u64) -> Result<bool, String> {
        let found = self.world.api.images().bearing(self.journal.push()).await;
        let found = found.map_err(|error| {
            format!("image {id} is not found by its number, and may be left, as images cannot be listed: {error}")
        })?;
        Ok(found.iter().any(|image| image.id == id && !image.is_gone()))
    }

    /// Deletes an image, which has to bear the marks of the push, and looks whether it is gone. One that was just made
    /// need not be seen everywhere, so it is not taken for gone at once.
    async fn delete_one(&self, id: u64) -> Result<(), String> {
        let (images, state) = (self.world.api.images(), self.journal.state());
        let made = state.asked.unwrap_or(state.at);
        let mut looking = Looking::new(self.world, state, made, self.settle(), self.patience);
        let mut unseen = false;
        loop {
            match images.get(&ImageKey::Id(id)).await {
                Ok(image) if !self.is_own(&image) => return Err(self.foreign(id)),
                Ok(_) => break,
                Err(Error { kind: Kind::NotFound, .. }) if looking.again().await => {}
                // The run that made it had its number from the API, with the marks.
                Err(Error { kind: Kind::NotFound, .. }) if self.made_here => {
                    unseen = true;
                    break;
                }
                Err(Error { kind: Kind::NotFound, .. }) if looking.enough => {
                    if self.is_listed(id).await? {
                        break;
                    }
                    self.world.note(&unfound(id));
                    return Ok(());
                }
                Err(Error { kind: Kind::NotFound, .. }) => {
                    return Err(format!(
                        "image {id} is not found, and may still appear; sweep later"
                    ));
                }
                // Nothing is deleted blindly.
                Err(error) => return Err(format!("image {id} may be left: {error}")),
            }
        }
        self.world.undo(&format!("deleting image {id}"));
        match images.delete_settled(id).await {
            Err(Error { kind: Kind::NotFound, .. }) if unseen => {
                match (self.is_listed(id).await?, looking.enough) {
                    (true, _) => Err("it is listed, and the API says that it is not there".into()),
                    (false, false) => Err(may_appear(self.journal.push())),
                    (false, true) => {
                        self.world.note(&unfound(id));
                        Ok(())
                    }
                }
            }
            Ok(_) | Err(Error { kind: Kind::NotFound, .. }) => is_gone(&images, id).await,
            Err(error) => Err(error.to_string()),
        }
        .map_err(|why| format!("image {id} could not be deleted: {why}"))
    }

    /// Why an image is left alone that the journal names, and what to do: its user may have described it anew.
    pub(super) fn foreign(&self, id: u64) -> String {
        let (push, place) = (self.journal.push(), self.journal.state().began.place.as_ref());
        format!(
            "image {id} does not bear the marks of this push ({}), so it is left as it is, whoever it is of; {}",
            push.tag(),
            instead(place)
        )
    }

    /// Whether an image is the push's.
    fn is_own(&self, image: &Image) -> bool {
        let blank = || PushId::of(image).is_none() && image.description.is_empty();
        let stray = || self.made_here && !image.is_available() && blank();
        self.journal.push().marks(image) || stray()
    }
}

/// Images of one push that are deleted at most; whoever made more of them has them named.
const MOST_IMAGES: usize = 4;

/// How often an image is looked at that was deleted, and the first pause in between.
const LOOKS: u32 = 6;

const PAUSE: Duration = Duration::from_millis(500);

/// Whether an image that is not the one of the journal is the push's all the same, and nobody can use it.
pub(in super::super) fn is_twin(push: &PushId, image: &Image) -> bool {
    push.marks_alone(image) && !image.is_available()
}

/// What is said of an image of another push that took the mark of this one over.
pub(in super::super) fn spared(image: &Image) -> String {
    let other =
        PushId::of(image).map_or_else(String::new, |other| format!(" of push {}", other.as_str()));
    format!("image {}{other} has the mark of this push too, and stays", image.id)
}

fn more(images: &[u64]) -> String {
    let numbers: Vec<String> = images.iter().map(u64::to_string).collect();
    format!(
        "{} more images have the mark of this push, and are left to the next sweep: {}",
        images.len(),
        numbers.join(", ")
    )
}

/// What is said of an image that nobody had to delete.
pub(super) fn unfound(id: u64) -> String {
    format!(
        "image {id} is found neither by its number nor in the list, and nothing of it was deleted"
    )
}

/// Looks whether an image is gone that was deleted.
pub(in super::super) async fn is_gone(images: &Images, id: u64) -> Result<(), String> {
    for look in 1..=LOOKS {
        match images.get(&ImageKey::Id(id)).await {
            Ok(image) if !image.is_gone() => {}
            Ok(_) | Err(Error { kind: Kind::NotFound, .. }) => return Ok(()),
            Err(error) => return Err(format!("the API does not say whether it is gone: {error}")),
        }
        tokio::time::sleep(PAUSE * look).await;
    }
    Err("the API says that it is deleted, and it is still there".to_owned())
}
