use std::fmt::Write;

use super::Style;
use super::text::{name, reason, verdict};
use crate::inspect::{Report, Verdict};

/// So many images are named again.
const NAMED: usize = 100;

/// Those of several images that were refused, to be named again at the end.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    named: Vec<Named>,
    count: usize,
}

#[derive(Clone, Debug)]
struct Named {
    verdict: Verdict,
    source: String,
    reason: String,
}

impl Closing {
    /// Takes an image that was refused, or could not be read.
    pub fn add(&mut self, report: &Report) {
        self.count += 1;
        if self.named.len() < NAMED {
            let (source, reason) = (name(&report.source), reason(report).to_owned());
            self.named.push(Named { verdict: report.verdict, source, reason });
        }
    }

    /// Each in a line of its own; nothing if there are none.
    #[must_use]
    pub fn lines(&self, style: Style) -> String {
        let mut out = String::new();
        for Named { verdict: of, source, reason } in &self.named {
            let _ = writeln!(out, "  {}  {source}: {reason}", verdict(*of, style));
        }
        match self.more() {
            0 => {}
            more => {
                let _ = writeln!(out, "  and {more} more");
            }
        }
        out
    }

    /// All of them in one line, of so many `images`; nothing if there are none.
    #[must_use]
    pub fn line(&self, images: usize) -> String {
        if self.count == 0 {
            return String::new();
        }
        let mut named: Vec<String> =
            self.named.iter().map(|it| format!("{} ({})", it.source, it.reason)).collect();
        if self.more() > 0 {
            named.push(format!("and {} more", self.more()));
        }
        format!("refused {} of {images}: {}\n", self.count, named.join(", "))
    }

    fn more(&self) -> usize {
        self.count - self.named.len()
    }
}
