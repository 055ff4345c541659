//! How far an image has to reach, and what it is if it does not.

use super::{Halt, ImageView};
use crate::bytes::human_size;
use crate::facts::{Anomaly, Code, Notebook};
use crate::formats::tail;

/// The farthest bytes that an image's headers and tables point at, judged when the image's size is known.
///
/// What ends past the image is cut off, unless it ends past all that an image of its disk can need
/// ([`Notebook::bound`]) too: then whatever names it is damaged.
#[derive(Clone, Debug)]
pub struct Reach {
    bound: u64,
    within: Farthest,
    beyond: Farthest,
    /// Where all that the image uses ends, and what it is called if more follows.
    end: Option<(u64, Code)>,
    /// What can be said only if nothing is cut off.
    if_whole: Vec<Anomaly>,
}

#[derive(Clone, Debug, Default)]
struct Farthest {
    end: u64,
    what: String,
}

impl Farthest {
    fn include(&mut self, what: &str, end: u64) {
        if end > self.end {
            self.end = end;
            // Keeps its buffer: a walk gets here for nearly every cluster.
            self.what.clear();
            self.what.push_str(what);
        }
    }
}

impl Reach {
    /// Of an image that points at nothing so far. Its bound is set.
    #[must_use]
    pub fn new(notebook: &Notebook<'_>) -> Self {
        let (within, beyond) = (Farthest::default(), Farthest::default());
        Reach { bound: notebook.bound(), within, beyond, end: None, if_whole: Vec::new() }
    }

    /// Says that `what` takes the `len` bytes from image offset `at`.
    pub fn include(&mut self, what: &str, at: u64, len: u64) {
        let end = at.saturating_add(len);
        let farthest = if end > self.bound { &mut self.beyond } else { &mut self.within };
        farthest.include(what, end);
    }

    /// Says that nothing of the image lies at `end` or after it; what does is written down with `code`.
    pub fn ends_at(&mut self, end: u64, code: Code) {
        self.end = Some((end, code));
    }

    /// Says what is wrong with the image unless a part of it is cut off.
    pub fn if_whole(&mut self, anomaly: Anomaly) {
        self.if_whole.push(anomaly);
    }

    /// Writes down what follows the end of the image. A stream gets there before it is read to its end.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub fn judge_tail(
        &self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
    ) -> Result<(), Halt> {
        self.end.map_or(Ok(()), |(end, code)| tail::judge(view, end, code, notebook))
    }

    /// Writes down what is missing of an image of `size` bytes.
    pub fn judge(&self, size: u64, notebook: &Notebook<'_>) {
        if self.within.end > size {
            // Whoever needed a part of the image saw no more than that part.
            let said = missing(&self.within.what, self.within.end, size);
            notebook.image_instead(Code::ImageTruncated, size, said);
        }
        if self.beyond.end > size {
            beyond(notebook, &self.beyond.what, self.beyond.end, size);
        }
        if !notebook.has(Code::ImageTruncated) && !notebook.has(Code::ImageOffsetImpossible) {
            self.if_whole.iter().for_each(|anomaly| notebook.put(anomaly.clone()));
        }
    }
}

/// Writes down that the image would have to have `end` bytes for `what`, but has only `size`.
pub(in crate::formats) fn truncated(notebook: &Notebook<'_>, what: &str, end: u64, size: u64) {
    if end > notebook.bound() {
        beyond(notebook, what, end, size);
    } else if !notebook.has(Code::ImageTruncated) {
        notebook.image(Code::ImageTruncated, size, missing(what, end, size));
    }
}

fn missing(what: &str, end: u64, size: u64) -> String {
    let missing = end.saturating_sub(size);
    let human = human_size(missing);
    format!(
        "The image ends at byte {size}, but {what} reaches to byte {end}: at least {missing} bytes ({human}) are missing."
    )
}

/// Writes down that `what` ends at byte `end`, where nothing of a disk of this size can be.
fn beyond(notebook: &Notebook<'_>, what: &str, end: u64, size: u64) {
    if !notebook.has(Code::ImageOffsetImpossible) {
        notebook.image(Code::ImageOffsetImpossible, size, format!(
            "The image ends at byte {size}, and {what} would end at byte {end}, farther than a disk of its size can need: what names that place is damaged."));
    }
}
