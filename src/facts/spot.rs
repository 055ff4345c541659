use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bytes::Hostile;

/// A place among the files of a guest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spot {
    /// The path from the guest's root on, escaped.
    pub path: String,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl Spot {
    /// A path.
    #[must_use]
    pub fn path(path: &[u8]) -> Self {
        Spot { path: Hostile::new(path).to_string(), line: None }
    }

    /// A line of a text.
    #[must_use]
    pub fn line(path: &[u8], line: u32) -> Self {
        Spot { line: Some(line), ..Spot::path(path) }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.path),
            None => f.write_str(&self.path),
        }
    }
}
