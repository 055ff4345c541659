//! What is wrong with the entries of a table, however many they are.

use crate::facts::{Code, Notebook};

/// Anomalies of one kind after which no more are written down, only looked for: a map of millions of
/// broken entries shall not cost more time than a whole one. The notebook keeps far fewer.
const MOST_SAID: u32 = 10_000;

/// Writes anomalies of entries down, up to a number of each kind: the order of entries has no say in it.
pub(super) struct Entries<'n> {
    notebook: &'n Notebook<'n>,
    said: Vec<(Code, u32)>,
}

impl<'n> Entries<'n> {
    pub(super) fn new(notebook: &'n Notebook<'n>) -> Self {
        Entries { notebook, said: Vec::new() }
    }

    /// Writes an anomaly at image offset `at` down, unless it is one of too many of its kind.
    pub(super) fn say(&mut self, code: Code, at: u64, said: impl FnOnce() -> String) {
        let index = self.said.iter().position(|(kind, _)| *kind == code).unwrap_or_else(|| {
            self.said.push((code, 0));
            self.said.len() - 1
        });
        let (_, count) = &mut self.said[index];
        if *count < MOST_SAID {
            *count += 1;
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
