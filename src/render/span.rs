//! From when to when the images of a document were checked.

use std::fmt;

use crate::inspect::Report;

/// The dates of the first and the last check, as RFC 3339 has them in UTC, so that their order is that of their letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(Option<(String, String)>);

impl Span {
    /// Takes the next image.
    pub(super) fn add(&mut self, report: &Report) {
        let Some(date) = &report.checked_at else { return };
        match &mut self.0 {
            None => self.0 = Some((date.clone(), date.clone())),
            Some((first, _)) if date < first => first.clone_from(date),
            Some((_, last)) if date > last => last.clone_from(date),
            Some(_) => {}
        }
    }

    /// When the first check began.
    pub(super) fn first(&self) -> Option<&str> {
        self.0.as_ref().map(|(first, _)| first.as_str())
    }
}

/// A sentence, with a blank before it; nothing if there is no date.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => Ok(()),
            Some((first, last)) if first == last => write!(f, " Checked {first}."),
            Some((first, last)) => write!(f, " Checked from {first} to {last}."),
        }
    }
}
