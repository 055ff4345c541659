use std::fmt;

use crate::inspect::{Report, Verdict};

/// How many images came to which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    accepted: usize,
    warned: usize,
    rejected: usize,
    unread: usize,
    unchecked: usize,
}

impl Tally {
    /// Counts an image.
    pub fn add(&mut self, report: &Report) {
        match report.verdict {
            Verdict::Accept => self.accepted += 1,
            Verdict::Warn => self.warned += 1,
            Verdict::Reject => self.rejected += 1,
            Verdict::Error if report.is_not_checked() => self.unchecked += 1,
            Verdict::Error => self.unread += 1,
        }
    }

    /// All of them.
    #[must_use]
    pub fn images(&self) -> usize {
        self.accepted + self.warned + self.rejected + self.unread + self.unchecked
    }
}

/// How many images of several were accepted, as a line without its end.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.images();
        let noun = if all == 1 { "image" } else { "images" };
        write!(f, "{all} {noun}: {} accepted", self.accepted)?;
        for (count, word) in [
            (self.warned, "accepted with warnings"),
            (self.rejected, "rejected"),
            (self.unread, "not read"),
            (self.unchecked, "not checked"),
        ] {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        Ok(())
    }
}
