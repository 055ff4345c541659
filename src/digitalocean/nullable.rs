//! What the API calls nullable, and other ways to say nothing: `null` and a missing field are the empty value.

use serde::{Deserialize, Deserializer};

/// For `#[serde(default, deserialize_with = "nullable::empty")]`.
pub(super) fn empty<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// As [`empty`], of text; blanks alone are no text.
pub(super) fn blank<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text: String = empty(from)?;
    Ok(if text.trim().is_empty() { String::new() } else { text })
}
