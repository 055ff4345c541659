//! Whose a push is: an answer of 404 says that something is gone only to the account that made it.
//!
//! The journal has digests only. The salt is the push, so nobody sees that two journals are of one account.

use serde::{Deserialize, Serialize};

use super::mint;
use super::state::{Image, Key, State};
use super::world::World;
use crate::digitalocean::{Client, ImageKey, PushId};
use crate::spaces::Bucket;

/// With what a push was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    /// A digest of the token.
    token: String,
    /// A digest of the id of the key to the bucket; `None` if it was made for the push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl Owner {
    /// Who pushes now.
    pub(super) fn of(world: &World, push: &PushId) -> Owner {
        let key = world.bucket.as_ref().filter(|_| !world.fresh_key);
        Owner {
            key: key.map(|bucket| bucket.key_digest(push.as_str())),
            ..Owner::of_token(&world.api, push)
        }
    }

    /// Who has only this token.
    pub(super) fn of_token(api: &Client, push: &PushId) -> Owner {
        Owner { token: api.token_digest(push.as_str()), key: None }
    }
}

/// Whose a push is, as far as somebody knows who has a token and perhaps a key to the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of the token's account.
    Own,
    /// That of another one.
    Others,
    /// Nobody knows, and why.
    Unknown(String),
}

/// Whose a push is.
pub(super) async fn whose(world: &World, push: &PushId, state: &State) -> Whose {
    let salt = push.as_str();
    let Some(owner) = &state.began.owner else {
        return proven(
            world,
            push,
            state,
            "its journal does not say by which account it was pushed",
        )
        .await;
    };
    if owner.token == world.api.token_digest(salt) {
        return Whose::Own;
    }
    let Some(account) = &state.account else {
        let why = "it was pushed with another token, which could not read its account";
        return proven(world, push, state, why).await;
    };
    match world.api.account().digest(salt).await {
        Ok(now) if now == *account => Whose::Own,
        Ok(_) => Whose::Others,
        Err(error) => {
            let why = format!(
                "it was pushed with another token, and the account of this one cannot be read: {error}"
            );
            proven(world, push, state, &why).await
        }
    }
}

/// Whose a push is of which nothing is known but what it made: who sees that has the account.
async fn proven(world: &World, push: &PushId, state: &State, why: &str) -> Whose {
    let key = state.key != Key::None && mint::is_there(&world.api, push).await;
    let images = world.api.images();
    let image = match state.image {
        Image::None => false,
        Image::Asked(_) => {
            let (marked, _) = images.marked_by_pushes().await.unwrap_or_default();
            marked.iter().any(|(_, image)| push.marks(image))
        }
        Image::Importing(id) | Image::Available(id) | Image::Failed(id) => {
            images.get(&ImageKey::Id(id)).await.is_ok_and(|image| push.marks(&image))
        }
    };
    match key || image {
        true => Whose::Own,
        false => Whose::Unknown(why.to_owned()),
    }
}

/// Whether a bucket that is not there for this key is gone: a gateway with several tenants shows each its own.
pub(super) fn sees_bucket(world: &World, bucket: &Bucket, push: &PushId, state: &State) -> bool {
    match &state.began.owner {
        None => false,
        Some(Owner { key: Some(key), .. }) => *key == bucket.key_digest(push.as_str()),
        // As that one, this one was made by the account.
        Some(Owner { key: None, .. }) => world.fresh_key,
    }
}
