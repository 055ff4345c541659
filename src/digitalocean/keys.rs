//! Keys for Spaces, of which a push may make one for itself.
//!
//! The secret of a new key comes in an answer, and nobody knows it before: so nothing of any answer is shown here but
//! its status.

use serde::{Deserialize, Serialize};

use super::client::{Again, Call, Client};
use super::error::{Error, Kind};
use super::lenient;
use crate::net::{Method, Secret};

/// The most keys that are read of an account: it may have 200 (DigitalOcean, "Spaces Limits").
const PAGE: usize = 200;

/// `key`: a key for Spaces, without its secret.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ListedKey {
    /// Its name; hostile text.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: String,
    /// What identifies it.
    #[serde(rename = "access_key", default, deserialize_with = "lenient::text")]
    pub access: String,
    /// When it was made, in ISO 8601.
    #[serde(default, deserialize_with = "lenient::maybe_text")]
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
    #[serde(default, deserialize_with = "lenient::text")]
    access_key: String,
    #[serde(default, deserialize_with = "lenient::text")]
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

/// Whether a text can identify a key: it goes into the path of a call.
pub(crate) fn is_access(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Keys for Spaces: `/v2/spaces/keys`.
pub struct Keys(pub(super) Client);

impl Keys {
    /// Makes a key with full access to all buckets. It is posted once, whatever comes: after an error there may be a
    /// key of this name.
    ///
    /// # Errors
    /// If the API refuses or fails, or if there is no whole key in the answer.
    pub async fn create(&self, name: &str) -> Result<SpacesKey, Error> {
        let grants = vec![Grant { bucket: "", permission: "fullaccess" }];
        let body = New { name, grants };
        let scope = "spaces_key:create_credentials";
        let call = Call::change(Method::POST, "v2/spaces/keys", scope, Some(&body))?;
        let call = Call { again: Again::Never, ..call.hushed() };
        let called = self.0.call(&call).await?;
        let made: Made = call.read(&called, "key")?;
        let incomplete = |why: &str| Error::unusable(Kind::Incomplete, &called, why);
        if !is_access(&made.access_key) {
            return Err(incomplete("\"access_key\" is missing, or identifies no key"));
        }
        let secret = Secret::new(&made.secret_key);
        let secret = secret.map_err(|why| incomplete(&format!("\"secret_key\": {why}")))?;
        Ok(SpacesKey { access: made.access_key, secret })
    }

    /// All keys of the account.
    ///
    /// # Errors
    /// If the API refuses or fails.
    pub async fn list(&self) -> Result<Vec<ListedKey>, Error> {
        let path = format!("v2/spaces/keys?per_page={PAGE}");
        self.0.ask(&Call::get(path, "spaces_key:read").hushed(), "keys").await
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// If the API refuses or fails.
    pub async fn delete(&self, access: &str) -> Result<(), Error> {
        let path = format!("v2/spaces/keys/{access}");
        let call = Call::change(Method::DELETE, path, "spaces_key:delete", None::<&()>)?;
        self.0.call(&call.hushed()).await.map(|_| ())
    }
}
