//! A create that never makes two images: it is posted once, and after an answer that says neither yes nor
//! no, the image is looked for by its marks. After a 429 it is posted again if none is seen (`posting.rs`).

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use super::client::Event;
use super::error::{Error, Kind};
use super::images::{Filter, ImageKey, Images};
use super::page::Unread;
use super::posting::{Next, Posting};
use super::types::{Image, ImageNewCustom};
use super::wait::Patience;

/// A look takes so long at least: it is a few calls, and the first one may be all that there is time for.
const LEAST_LOOK: Duration = Duration::from_secs(10);

/// How many hexadecimal digits identify a push.
const DIGITS: usize = 32;

/// What the tag of a push begins with.
const TAG: &str = "tidegate-";

/// What the note of a push begins with, and how it ends.
const NOTE: (&str, char) = ("[tidegate push ", ']');

/// What tells one create from all others: it stands in a tag and in the description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushId(String);

impl PushId {
    /// A new one: 128 bits that no other process has.
    #[must_use]
    pub fn random() -> Self {
        // The keys of the hasher come from the operating system.
        let half = || RandomState::new().hash_one((SystemTime::now(), std::process::id()));
        PushId(format!("{:016x}{:016x}", half(), half()))
    }

    /// The one that was written down as [`PushId::as_str`] gives it: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == DIGITS && text.bytes().all(is_digit)).then(|| PushId(text.to_owned()))
    }

    /// What identifies it: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag: letters, digits and dashes, as tags may have.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("{TAG}{}", self.0)
    }

    /// What stands in the description.
    #[must_use]
    pub fn note(&self) -> String {
        format!("{}{}{}", NOTE.0, self.0, NOTE.1)
    }

    /// Whether an image has one of the marks.
    #[must_use]
    pub fn marks(&self, image: &Image) -> bool {
        image.tags.contains(&self.tag()) || image.description.contains(&self.note())
    }

    /// The push whose marks an image has. Whoever takes a description over from another image may take its mark
    /// over as well; the push's own stands behind it, and tells more than a tag.
    #[must_use]
    pub fn of(image: &Image) -> Option<Self> {
        let (begins, ends) = NOTE;
        let noted = image.description.rmatch_indices(begins).find_map(|(at, _)| {
            let rest = &image.description[at + begins.len()..];
            let id = PushId::parse(rest.get(..DIGITS)?)?;
            rest[DIGITS..].starts_with(ends).then_some(id)
        });
        noted.or_else(|| {
            image.tags.iter().rev().find_map(|tag| PushId::parse(tag.strip_prefix(TAG)?))
        })
    }

    /// The request with the marks; a tag needs the scope `tag:create`.
    #[must_use]
    pub fn mark(&self, image: &ImageNewCustom, tag: bool) -> ImageNewCustom {
        let mut marked = image.clone();
        marked.description = Some(match image.description.as_deref() {
            None | Some("") => self.note(),
            Some(text) => format!("{text} {}", self.note()),
        });
        if tag {
            marked.tags.push(self.tag());
        }
        marked
    }
}

/// What to do when nobody knows whether an image was made.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Settling {
    /// What marks the image.
    pub push: PushId,
    /// Whether a tag marks it too.
    pub tag: bool,
    /// For how long it is looked for.
    pub settle: Duration,
    /// Whether it is posted once more if it is not found: there may be two images then.
    pub post_again: bool,
    /// How often it is looked for.
    pub patience: Patience,
}

impl Default for Settling {
    fn default() -> Self {
        Settling {
            push: PushId::random(),
            tag: true,
            // Users saw nothing in lists for about ten minutes (coreos/fedora-coreos-tracker#1586).
            settle: Duration::from_secs(15 * 60),
            post_again: false,
            patience: Patience::default(),
        }
    }
}

/// An image that was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Created {
    /// The image.
    pub image: Image,
    /// Why it had to be looked for; `None` if the create was answered.
    pub adopted: Option<Error>,
    /// Further images with the same marks, as far as they are seen: only after it was posted again.
    pub others: Vec<u64>,
    /// How often it was posted. After two posts there may be an image that no list shows yet.
    pub posts: u32,
}

/// Why no image is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// None was made, but for what [`Kind::Invalid`] may name.
    #[error("{0}")]
    Refused(Error),
    /// One may have been made, and was not found. Lists lag and leave failed images out, so this proves
    /// nothing. So it is too after a second post that was refused: nobody knows of the first.
    #[error("the outcome is unknown: {because}; an image marked {} {}{}", push.tag(), looked_for(unseen), posted(*posts))]
    Unknown {
        /// What was answered.
        because: Box<Error>,
        /// The marks of the image.
        push: PushId,
        /// For how long it was looked for.
        looked: Duration,
        /// Why the last look showed nothing, if it failed.
        unseen: Option<Box<Error>>,
        /// How often it was posted.
        posts: u32,
    },
}

fn posted(posts: u32) -> &'static str {
    if posts > 1 { "; it was posted twice, so there may be two" } else { "" }
}

fn looked_for(unseen: &Option<Box<Error>>) -> String {
    match unseen {
        None => "was looked for and not found".into(),
        Some(error) => format!("could not be looked for: {error}"),
    }
}

/// An image that bears a mark, and cannot be read.
fn unreadable(unread: &Unread) -> Error {
    let said =
        format!("an image that bears the mark cannot be read: {}: {}", unread.what, unread.why);
    Error::new(Kind::Incomplete, said)
}

impl Images {
    /// Creates an image, and finds out what became of it if the answer does not say.
    ///
    /// # Errors
    /// If it is refused, or nobody knows.
    pub async fn create_settled(
        &self,
        image: &ImageNewCustom,
        how: &Settling,
    ) -> Result<Created, CreateError> {
        let marked = how.push.mark(image, how.tag);
        let most = if how.post_again { 2 } else { 1 };
        let (mut posts, mut looked) = (0, Duration::ZERO);
        let mut posting = Posting::new(self, &how.push, &how.patience);
        loop {
            // Before the second post nobody knows of the first.
            if let Err(error) = posting.ready().await
                && posts == 0
            {
                return Err(CreateError::Refused(error));
            }
            posts += 1;
            let because = match self.create_marked(&marked, &how.push).await {
                Ok(image) => {
                    let others = match posts {
                        1 => Vec::new(),
                        _ => self.others(&how.push, image.id).await,
                    };
                    return Ok(Created { image, adopted: None, others, posts });
                }
                Err(error) if error.is_ambiguous() => error,
                Err(error) => match posting.refused(error).await {
                    Next::Again => {
                        posts -= 1;
                        continue;
                    }
                    Next::Made(image, error) => {
                        let others = self.others(&how.push, image.id).await;
                        return Ok(Created { image: *image, adopted: Some(error), others, posts });
                    }
                    Next::Refused(error) if posts == 1 => return Err(CreateError::Refused(error)),
                    Next::Refused(error) => {
                        let (because, push, unseen) = (Box::new(error), how.push.clone(), None);
                        return Err(CreateError::Unknown { because, push, looked, unseen, posts });
                    }
                },
            };
            let asked = Instant::now();
            let found = self.find(&how.push, how.settle, &how.patience, Some(&because)).await;
            looked = asked.elapsed();
            let unseen = match found {
                Ok(mut found) if !found.is_empty() => {
                    let image = found.remove(0);
                    let others = found.into_iter().map(|image| image.id).collect();
                    return Ok(Created { image, adopted: Some(because), others, posts });
                }
                Ok(_) if posts < most => {
                    self.0.tell(&Event::PostingAgain { looked });
                    continue;
                }
                // Who could not look does not know that there is none: nothing is posted again.
                looked => looked.err().map(Box::new),
            };
            let (because, push) = (Box::new(because), how.push.clone());
            return Err(CreateError::Unknown { because, push, looked, unseen, posts });
        }
    }

    /// `POST /v2/images`, once, of a request that [`PushId::mark`] has marked. The image in the answer counts only if
    /// it has the marks, there or where it is looked at: one that has none is somebody else's.
    ///
    /// # Errors
    /// As for [`Images::create`].
    pub async fn create_marked(
        &self,
        marked: &ImageNewCustom,
        push: &PushId,
    ) -> Result<Image, Error> {
        let made = self.create(marked).await?;
        if push.marks(&made) {
            return Ok(made);
        }
        match self.get(&ImageKey::Id(made.id)).await {
            Ok(found) if push.marks(&found) => Ok(found),
            _ => {
                let said = format!("image {} does not have the marks of this push", made.id);
                Err(Error::new(Kind::Incomplete, said))
            }
        }
    }

    /// What the first of two posts made after all, as far as it can be seen now.
    async fn others(&self, push: &PushId, id: u64) -> Vec<u64> {
        let found = Images(self.0.until(Instant::now() + LEAST_LOOK))
            .marked(push)
            .await
            .unwrap_or_default();
        found.into_iter().map(|image| image.id).filter(|&other| other != id).collect()
    }

    /// Looks for images with the marks of a push, once and then until there is one or the time is over. Lists
    /// lag and leave failed images out, so finding none proves nothing. `because` is why it is asked, for
    /// who listens.
    ///
    /// # Errors
    /// If the last look failed.
    pub async fn find(
        &self,
        push: &PushId,
        most: Duration,
        patience: &Patience,
        because: Option<&Error>,
    ) -> Result<Vec<Image>, Error> {
        let began = Instant::now();
        let mut pause = patience.first;
        loop {
            let elapsed = began.elapsed();
            if let Some(because) = because {
                self.0.tell(&Event::Settling { because, elapsed, most });
            }
            let left = most.saturating_sub(elapsed).max(LEAST_LOOK);
            let looked = Images(self.0.until(Instant::now() + left)).marked(push).await;
            let left = most.saturating_sub(began.elapsed());
            match &looked {
                Ok(found) if !found.is_empty() => return looked,
                // A token that may not read will not find anything later either.
                Err(Error { kind: Kind::Unauthorized | Kind::Forbidden { .. }, .. }) => {
                    return looked;
                }
                _ if left.is_zero() => return looked,
                _ => {}
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = patience.after(pause);
        }
    }

    /// The account's own images that have the marks of any push, with that push, oldest first; and why there may be
    /// more, if one with such marks cannot be read. Lists lag, and leave out images whose import failed.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn marked_by_pushes(&self) -> Result<(Vec<(PushId, Image)>, Option<Error>), Error> {
        let own = Filter { private: true, ..Filter::default() };
        let mut pages = self.list(&own);
        let mut found = Vec::new();
        while let Some(image) = pages.next().await? {
            let own = image.public != Some(true);
            if let Some(push) = PushId::of(&image).filter(|_| own) {
                found.push((push, image));
            }
        }
        found.sort_by_key(|(_, image)| image.id);
        // A list that moves while it is read shows an image on two pages.
        found.dedup_by_key(|(_, image)| image.id);
        let marked = |it: &&Unread| it.mentions(TAG) || it.mentions(NOTE.0);
        Ok((found, pages.unread().iter().find(marked).map(unreadable)))
    }

    /// The account's images with the marks, oldest first.
    pub(super) async fn marked(&self, push: &PushId) -> Result<Vec<Image>, Error> {
        let tagged = Filter { tag: Some(push.tag()), ..Filter::default() };
        let all = Filter { private: true, ..Filter::default() };
        // By tag is quick; the other list may know it sooner, and knows those without the tag.
        for filter in [tagged, all] {
            let mut list = self.list(&filter);
            let mut found = list.rest().await?;
            found.retain(|image| push.marks(image));
            // It may be the one that is looked for.
            if found.is_empty()
                && let Some(unread) = list.unread().iter().find(|it| it.mentions(push.as_str()))
            {
                return Err(unreadable(unread));
            }
            if !found.is_empty() {
                found.sort_by_key(|image| image.id);
                // A list that moves while it is read shows an image on two pages.
                found.dedup_by_key(|image| image.id);
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digitalocean::RegionSlug;

    #[test]
    fn marks_are_unique_and_found() {
        let (a, b) = (PushId::random(), PushId::random());
        assert_ne!(a, b);
        assert_eq!(a.tag().len(), "tidegate-".len() + 32);
        let request = ImageNewCustom {
            name: "n".into(),
            url: "https://h/x".into(),
            region: RegionSlug::Nyc3,
            distribution: None,
            description: Some("mine".into()),
            tags: vec!["t".into()],
        };
        let marked = a.mark(&request, true);
        assert_eq!(marked.tags, ["t".to_owned(), a.tag()]);
        let mut image: Image = serde_json::from_str("{\"id\":1}").unwrap();
        image.description = marked.description.unwrap();
        assert!(image.description.starts_with("mine [") && a.marks(&image) && !b.marks(&image));
        assert_eq!(a.mark(&request, false).tags, ["t"]);
        assert_eq!(PushId::of(&image), Some(a));
    }

    #[test]
    fn the_push_of_an_image_is_read_from_its_marks() {
        let (a, b) = (PushId::random(), PushId::random());
        let of = |description: &str, tags: &[&str]| {
            let mut image: Image = serde_json::from_str("{\"id\":1}").unwrap();
            image.description = description.into();
            image.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            PushId::of(&image)
        };
        let both = format!("{} text {} more", a.note(), b.note());
        assert_eq!(of(&both, &[]), Some(b.clone()));
        assert_eq!(of(&both, &[&a.tag()]), Some(b.clone()));
        assert_eq!(of(&format!("[tidegate push {}", a.note()), &[]), Some(a.clone()));
        assert_eq!(of(&format!("{}[tidegate push ü]", a.note()), &[]), Some(a.clone()));
        assert_eq!(of("ü", &["x", &a.tag(), "tidegate-"]), Some(a.clone()));
        let long = "[tidegate push ".repeat(10_000);
        let upper = a.note().to_uppercase();
        let cut = &a.note()[..a.note().len() - 1];
        let wide = format!("[tidegate push {}ü]", &a.as_str()[..30]);
        let spaced = format!("[tidegate push  {}]", a.as_str());
        for none in
            ["", "tidegate", "[tidegate push ]", &long, &upper, cut, &wide, &spaced, &a.tag()]
        {
            assert_eq!(of(none, &[]), None, "{none}");
        }
        let joined = format!("x{}", a.tag());
        let longer = format!("{}0", a.tag());
        for none in ["tidegate-", "tidegate-ü", &joined, &longer, &a.note(), a.as_str()] {
            assert_eq!(of("", &[none]), None, "{none}");
        }
    }
}
