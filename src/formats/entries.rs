//! What is wrong with the entries of a table, however many they are.

use crate::facts::{Code, Notebook};

/// Anomalies of entries after which no more are written down, only looked for: a map of millions of
/// broken entries shall not cost more time than a whole one. The notebook keeps far fewer.
const MOST_SAID: u32 = 10_000;

/// Writes anomalies of entries down, up to a number.
pub(super) struct Entries<'n> {
    notebook: &'n Notebook<'n>,
    said: u32,
}

impl<'n> Entries<'n> {
    pub(super) fn new(notebook: &'n Notebook<'n>) -> Self {
        Entries { notebook, said: 0 }
    }

    /// Writes an anomaly at image offset `at` down, unless it is one of too many of a kind that is known.
    pub(super) fn say(&mut self, code: Code, at: u64, said: impl FnOnce() -> String) {
        if self.said < MOST_SAID || !self.notebook.has(code) {
            self.said = self.said.saturating_add(1);
            self.notebook.image(code, at, said());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_a_bounded_number_is_made_and_no_kind_is_lost() {
        let notebook = Notebook::new(&|_| false, 1);
        let mut entries = Entries::new(&notebook);
        let mut made = 0;
        for at in 0..3 * u64::from(MOST_SAID) {
            entries.say(Code::VdiBlocksUnused, at, || {
                made += 1;
                String::new()
            });
        }
        assert_eq!(made, MOST_SAID);
        entries.say(Code::VdiBlocksOverlap, 0, String::new);
        assert!(notebook.has(Code::VdiBlocksOverlap));
    }
}
