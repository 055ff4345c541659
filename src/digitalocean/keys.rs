//! Keys for Spaces, of which a push may make one for itself.

use serde::{Deserialize, Serialize};

use super::client::{Call, Client};
use super::error::Error;
use super::nullable;
use crate::net::{Method, Secret};

/// The most keys that are read of an account: it may have 200 (DigitalOcean, "Spaces Limits").
const PAGE: usize = 200;

/// `key`: a key for Spaces, without its secret.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ListedKey {
    /// Its name; hostile text.
    #[serde(default, deserialize_with = "nullable::empty")]
    pub name: String,
    /// What identifies it.
    #[serde(rename = "access_key", default, deserialize_with = "nullable::empty")]
    pub access: String,
    /// When it was made, in ISO 8601.
    #[serde(default)]
    pub created_at: Option<String>,
}

#[derive(Serialize)]
struct New<'a> {
    name: &'a str,
    grants: Vec<Grant<'a>>,
}

/// What a key may do in a bucket. Rights to change ACLs come with full access only, which is of all buckets.
#[derive(Serialize)]
struct Grant<'a> {
    bucket: &'a str,
    permission: &'a str,
}

#[derive(Deserialize)]
struct Made {
    access_key: String,
    secret_key: String,
}

/// A key that was made. Its secret is told this once.
#[derive(Debug)]
#[non_exhaustive]
pub struct SpacesKey {
    /// What identifies it.
    pub access: String,
    /// The key itself.
    pub secret: Secret,
}

/// Keys for Spaces: `/v2/spaces/keys`.
pub struct Keys(pub(super) Client);

impl Keys {
    /// Makes a key with full access to all buckets.
    ///
    /// # Errors
    /// If the API refuses or fails.
    pub async fn create(&self, name: &str) -> Result<SpacesKey, Error> {
        let grants = vec![Grant { bucket: "", permission: "fullaccess" }];
        let body = New { name, grants };
        let call = Call::change(
            Method::POST,
            "v2/spaces/keys",
            "spaces_key:create_credentials",
            Some(&body),
        )?;
        let made: Made = self.0.ask(&call, "key").await?;
        let secret = Secret::new(&made.secret_key).map_err(|why| {
            Error::new(super::Kind::Incomplete, format!("the secret of the new key: {why}"))
        })?;
        Ok(SpacesKey { access: made.access_key, secret })
    }

    /// All keys of the account.
    ///
    /// # Errors
    /// If the API refuses or fails.
    pub async fn list(&self) -> Result<Vec<ListedKey>, Error> {
        let path = format!("v2/spaces/keys?per_page={PAGE}");
        self.0.ask(&Call::get(path, "spaces_key:read"), "keys").await
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// If the API refuses or fails.
    pub async fn delete(&self, access: &str) -> Result<(), Error> {
        let path = format!("v2/spaces/keys/{access}");
        let call = Call::change(Method::DELETE, path, "spaces_key:delete", None::<&()>)?;
        self.0.call(&call).await.map(|_| ())
    }
}
