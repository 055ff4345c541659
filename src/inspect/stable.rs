use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize};

use crate::source::Kind;

/// A name in reports that never changes its meaning. It is one of ours, also where a report was written elsewhere and is read
/// back: no text of others comes by this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Stable(&'static str);

/// The parts of a check.
const CHECKS: [&str; 13] = [
    "allocation-tables",
    "compressed-stream",
    "disk-digest",
    "expected-digest",
    "file-digest",
    "format",
    "guest",
    "headers",
    "image-end",
    "importer-fetch",
    "packed-data",
    "partition-table",
    "snapshot-data",
];

/// Why there is no verdict, where no source failed.
pub(super) const INCOMPLETE: &str = "incomplete";

/// Why there is no verdict on an image that nobody looked at, as the call had ended.
pub(super) const NOT_CHECKED: &str = "not-checked";

impl Stable {
    /// That of a part of a check.
    pub(super) fn check(id: &'static str) -> Stable {
        debug_assert!(CHECKS.contains(&id), "{id} is no part of a check");
        Stable(id)
    }
}

/// Takes the name of a part of a check, and no other.
pub(super) fn known_check<'de, D: Deserializer<'de>>(from: D) -> Result<Stable, D::Error> {
    one_of(from, CHECKS.into_iter(), "there is no such part of a check")
}

/// Takes the name of a reason why there is no verdict, and no other.
pub(super) fn known_kind<'de, D: Deserializer<'de>>(from: D) -> Result<Stable, D::Error> {
    let kinds = Kind::ALL.iter().map(|kind| kind.as_str());
    one_of(from, kinds.chain([INCOMPLETE, NOT_CHECKED]), "there is no such kind of error")
}

fn one_of<'de, D: Deserializer<'de>>(
    from: D,
    mut known: impl Iterator<Item = &'static str>,
    none: &str,
) -> Result<Stable, D::Error> {
    let name = String::deserialize(from)?;
    known.find(|known| *known == name).map(Stable).ok_or_else(|| serde::de::Error::custom(none))
}

impl From<&'static str> for Stable {
    fn from(name: &'static str) -> Stable {
        Stable(name)
    }
}

impl Deref for Stable {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl fmt::Display for Stable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl PartialEq<&str> for Stable {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}
