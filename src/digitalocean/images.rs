use std::fmt;
use std::time::Duration;

use super::actions::ImageActions;
use super::client::{Again, Call, Client};
use super::error::{Error, Kind};
use super::names::QueryType;
use super::page::Pages;
use super::types::{Image, ImageNewCustom, ImageUpdate};
use crate::net::Method;

/// `/v2/images`.
#[derive(Clone, Debug)]
pub struct Images(pub(super) Client);

/// What identifies an image: private ones have a number only, public ones a name too.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageKey {
    /// The number.
    Id(u64),
    /// The name of a public image, such as `ubuntu-24-04-x64`.
    Slug(String),
}

impl ImageKey {
    /// Reads what a user gave.
    ///
    /// # Errors
    /// If it is neither a number nor a name.
    pub fn parse(text: &str) -> Result<ImageKey, &'static str> {
        if let Ok(id) = text.parse() {
            return Ok(ImageKey::Id(id));
        }
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let named = text.bytes().all(letter) && text.bytes().any(|b| b.is_ascii_alphabetic());
        match named && text.len() <= 255 {
            true => Ok(ImageKey::Slug(text.to_owned())),
            false => Err("an image is identified by its number, a public one also by its slug"),
        }
    }
}

impl From<u64> for ImageKey {
    fn from(id: u64) -> Self {
        ImageKey::Id(id)
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageKey::Id(id) => write!(f, "{id}"),
            ImageKey::Slug(slug) => f.write_str(slug),
        }
    }
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Filter {
    /// The account's own only.
    pub private: bool,
    /// Of this kind only.
    pub kind: Option<QueryType>,
    /// With this tag only.
    pub tag: Option<String>,
}

/// How often an image is deleted again whose deletion was not answered.
const DELETED_AGAIN: u32 = 2;

/// The pause before that.
const BEFORE_AGAIN: Duration = Duration::from_secs(1);

/// How it is known that an image is deleted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Deleted {
    /// The API said so.
    Answered,
    /// It did not answer at first, and the image is not there any more.
    Found(Error),
}

impl Images {
    /// `POST /v2/images`, once: whatever is answered, nothing is posted again, not even after a 429. What
    /// to do about an ambiguous answer is [`Images::create_settled`]'s part.
    ///
    /// # Errors
    /// [`Error::is_ambiguous`] tells whether an image may have been made; [`Kind::Invalid`] may name one
    /// that was.
    pub async fn create(&self, image: &ImageNewCustom) -> Result<Image, Error> {
        let call = Call::change(Method::POST, "v2/images", "image:create", Some(image))?;
        let image: Image = self.0.ask(&Call { again: Again::Never, ..call }, "image").await?;
        match image.id {
            0 => Err(Error::new(Kind::Incomplete, "the new image has no number")),
            _ => Ok(image),
        }
    }

    /// `GET /v2/images/{id}`. An image whose import failed is still found here, though in no list.
    ///
    /// # Errors
    /// If there is none, or it cannot be had. An answer about another image than was asked for is none.
    pub async fn get(&self, image: &ImageKey) -> Result<Image, Error> {
        let found = self.look(image).await?;
        same(image, found)
    }

    /// As [`Images::get`], with whatever image the answer is about.
    pub(super) async fn look(&self, image: &ImageKey) -> Result<Image, Error> {
        self.0.ask(&Call::get(format!("v2/images/{image}"), "image:read"), "image").await
    }

    /// `GET /v2/images`. Lists lag, and leave out images whose import failed.
    #[must_use]
    pub fn list(&self, filter: &Filter) -> Pages<Image> {
        let mut query = Vec::new();
        if filter.private {
            query.push("private=true".to_owned());
        }
        if let Some(kind) = &filter.kind {
            query.push(format!("type={}", encoded(kind.as_str())));
        }
        if let Some(tag) = &filter.tag {
            query.push(format!("tag_name={}", encoded(tag)));
        }
        let path = match query.is_empty() {
            true => "v2/images".to_owned(),
            false => format!("v2/images?{}", query.join("&")),
        };
        Pages::new(self.0.clone(), path, "images", "image:read")
    }

    /// `PUT /v2/images/{id}`.
    ///
    /// # Errors
    /// If it is refused or fails.
    pub async fn update(&self, id: u64, update: &ImageUpdate) -> Result<Image, Error> {
        let path = format!("v2/images/{id}");
        let call = Call::change(Method::PUT, path, "image:update", Some(update))?;
        same(&ImageKey::Id(id), self.0.ask(&call, "image").await?)
    }

    /// `DELETE /v2/images/{id}`. One that is deleted already is no error.
    ///
    /// # Errors
    /// If there is none, or it is refused or fails.
    pub async fn delete(&self, id: u64) -> Result<(), Error> {
        let path = format!("v2/images/{id}");
        let call = Call::change(Method::DELETE, path, "image:delete", None::<&()>)?;
        match self.0.call(&call).await {
            // So said the API where Terraform's provider asked twice.
            Err(Error { kind: Kind::Invalid { .. }, message, .. })
                if message.contains("already deleted") =>
            {
                Ok(())
            }
            result => result.map(drop),
        }
    }

    /// Deletes an image, and finds out what became of it if the answer does not say: then it is looked at, and
    /// if it is still there, or nobody can tell, deleted once more. What was deleted cannot be deleted twice, so
    /// this does no harm.
    ///
    /// # Errors
    /// If there is none, it is refused, or nobody knows: [`Error::is_ambiguous`] tells.
    pub async fn delete_settled(&self, id: u64) -> Result<Deleted, Error> {
        let mut because = match self.delete(id).await {
            Err(error) if error.is_ambiguous() => error,
            result => return result.map(|()| Deleted::Answered),
        };
        let mut again = self.0.retries().min(DELETED_AGAIN);
        loop {
            match self.get(&ImageKey::Id(id)).await {
                Err(Error { kind: Kind::NotFound, .. }) => return Ok(Deleted::Found(because)),
                Ok(image) if image.is_gone() => return Ok(Deleted::Found(because)),
                _ if again == 0 => return Err(because),
                _ => again -= 1,
            }
            tokio::time::sleep(BEFORE_AGAIN).await;
            match self.delete(id).await {
                // There is none any more: the first one did it.
                Ok(()) | Err(Error { kind: Kind::NotFound, .. }) => {
                    return Ok(Deleted::Found(because));
                }
                Err(error) if error.is_ambiguous() => because = error,
                Err(error) => return Err(error),
            }
        }
    }

    /// `/v2/images/{id}/actions`.
    #[must_use]
    pub fn actions(&self, id: u64) -> ImageActions {
        ImageActions { client: self.0.clone(), image: id }
    }
}

/// The image, if it is the one that was asked for.
pub(super) fn same(asked: &ImageKey, found: Image) -> Result<Image, Error> {
    match asked {
        ImageKey::Id(id) if *id != found.id => {
            let said = format!("it is about image {}, and image {id} was asked for", found.id);
            Err(Error::new(Kind::Incomplete, said))
        }
        _ => Ok(found),
    }
}

/// Text as a part of a query (RFC 3986, 2.3).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbers_or_slugs() {
        assert_eq!(ImageKey::parse("123"), Ok(ImageKey::Id(123)));
        assert_eq!(ImageKey::parse("ubuntu-24-04-x64").unwrap().to_string(), "ubuntu-24-04-x64");
        for bad in ["", "..", "../actions/1", "a/b", "a?b", "a b", "-", "ä"] {
            assert!(ImageKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encoded("a b&c=ü"), "a%20b%26c%3D%C3%BC");
    }
}
