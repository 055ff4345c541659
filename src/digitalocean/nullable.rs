//! What the API calls nullable: `null` and a missing field are the empty value.

use serde::{Deserialize, Deserializer};

/// For `#[serde(default, deserialize_with = "nullable::empty")]`.
pub(super) fn empty<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
