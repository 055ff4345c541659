use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bytes::hex;
use crate::simulator::clock;
use crate::simulator::token::random;

/// What a key may do, each more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::simulator) enum Permission {
    /// See objects and uploads.
    Read,
    /// Change them.
    ReadWrite,
    /// Say who else may see them.
    FullAccess,
}

/// What a key may do with a bucket; without a name, with every one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::simulator) struct Grant {
    pub(in crate::simulator) bucket: String,
    pub(in crate::simulator) permission: Permission,
}

impl Grant {
    pub(super) fn everything() -> Grant {
        Grant { bucket: String::new(), permission: Permission::FullAccess }
    }
}

/// An access key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::simulator) struct Key {
    pub(in crate::simulator) name: String,
    pub(in crate::simulator) access_key: String,
    pub(in crate::simulator) secret_key: Secret,
    pub(in crate::simulator) grants: Vec<Grant>,
    pub(in crate::simulator) created_at: String,
}

/// The secret half of a key. It appears nowhere by accident: `{:?}` hides it.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::simulator) struct Secret(String);

impl Secret {
    /// Its text, for whoever may know it.
    pub(in crate::simulator) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Key {
    /// A random one, in the form of the keys of Spaces: an id of 20 characters, a secret of 43.
    pub(in crate::simulator) fn new(name: &str, grants: Vec<Grant>) -> Result<Key, String> {
        let mut secret_key = hex(&random::<22>()?);
        secret_key.truncate(43);
        Ok(Key {
            name: name.to_owned(),
            access_key: format!("DO{}", hex(&random::<9>()?).to_uppercase()),
            secret_key: Secret(secret_key),
            grants,
            created_at: clock::stamp(),
        })
    }

    /// The most that it may do with this bucket.
    pub(super) fn permission(&self, bucket: &str) -> Option<Permission> {
        let covers = |grant: &&Grant| grant.bucket.is_empty() || grant.bucket == bucket;
        self.grants.iter().filter(covers).map(|grant| grant.permission).max()
    }

    /// Whether it is for every bucket.
    pub(super) fn is_global(&self) -> bool {
        self.grants.iter().any(|grant| grant.bucket.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_what_it_was_granted() {
        let grant = |bucket: &str, permission| Grant { bucket: bucket.into(), permission };
        let key =
            Key::new("x", vec![grant("a", Permission::Read), grant("a", Permission::ReadWrite)]);
        let key = key.unwrap();
        assert_eq!(key.permission("a"), Some(Permission::ReadWrite));
        assert_eq!((key.permission("b"), key.is_global()), (None, false));
        let key = Key::new("x", vec![Grant::everything()]).unwrap();
        assert_eq!(key.permission("b"), Some(Permission::FullAccess));
    }

    #[test]
    fn the_secret_hides() {
        let key = Key::new("x", Vec::new()).unwrap();
        assert_eq!((key.access_key.len(), key.secret_key.reveal().len()), (20, 43));
        assert!(!format!("{key:?}").contains(key.secret_key.reveal()));
    }
}
