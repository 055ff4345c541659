//! How far an image has to reach, and what it is if it does not.

use super::{Halt, ImageView, Last, Stored};
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
    end: Option<End>,
    /// The last cluster of which the image need not have all.
    last: Option<Last>,
    /// Where the disk's clusters are stored.
    pub(in crate::formats) stored: Stored,
    /// What can be said only if nothing is cut off.
    if_whole: Vec<Anomaly>,
}

/// Where an image ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::formats) struct End {
    /// The byte behind its last.
    pub(in crate::formats) at: u64,
    /// What it is called if anything but zeros follows.
    pub(in crate::formats) code: Code,
    /// Bytes of a cluster, grain or block: writers may leave a place for one.
    pub(in crate::formats) unit: u64,
    /// Zeros in whole sectors of which writers leave so many behind it.
    pub(in crate::formats) spare: u64,
    /// Writers leave any number of zeros behind it, if there are more than these.
    pub(in crate::formats) freed: u64,
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
        let (bound, stored) = (notebook.bound(), Stored::default());
        Reach { bound, within, beyond, end: None, last: None, stored, if_whole: Vec::new() }
    }

    /// Says that `what` takes the `len` bytes from image offset `at`.
    pub fn include(&mut self, what: &str, at: u64, len: u64) {
        let end = at.saturating_add(len);
        let farthest = if end > self.bound { &mut self.beyond } else { &mut self.within };
        farthest.include(what, end);
    }

    /// The same of a cluster, grain or block of which the image need not have all.
    pub(in crate::formats) fn include_last(&mut self, what: &str, last: Last) {
        self.include(what, last.at, last.least);
        let is_later = |known: Last| (known.at, known.least) < (last.at, last.least);
        if self.last.is_none_or(is_later) {
            self.last = Some(last);
        }
    }

    /// Says that nothing of the image lies at the end or after it; what does is written down with its code.
    pub(in crate::formats) fn ends_at(&mut self, end: End) {
        self.end = Some(end);
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
        if let Some(end) = self.end {
            tail::judge(view, end, notebook)?;
        }
        self.judge_zeros(view, notebook)
    }

    /// Writes down from where on an image has nothing but zeros, if that is a good part of it and the disk is stored there.
    fn judge_zeros(&self, view: &mut dyn ImageView, notebook: &Notebook<'_>) -> Result<(), Halt> {
        if notebook.doomed() {
            return Ok(());
        }
        let Some(size) = view.size()? else { return Ok(()) };
        let Some(used) = view.used_end()? else { return Ok(()) };
        let zeros = size.saturating_sub(used);
        let (clusters, bytes) = self.stored.between(used, size);
        if zeros > FEW_ZEROS.max(size / FEW_ZEROS_PART) && clusters > 0 {
            notebook.image(Code::ImageTailZeros, used, format!(
                "From byte {used} on the image has nothing but zeros, {zeros} bytes ({}) up to its end. At least {clusters} stored clusters with {} of the disk lie there.",
                human_size(zeros), human_size(bytes)));
        }
        Ok(())
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
        self.judge_last(size, notebook);
        if !notebook.has(Code::ImageTruncated) && !notebook.has(Code::ImageOffsetImpossible) {
            self.if_whole.iter().for_each(|anomaly| notebook.put(anomaly.clone()));
        }
    }
}

impl Reach {
    /// Writes down that an image of `size` bytes ends where no writer ends one: bytes before its end may be missing, and then all
    /// that follows them is in another place.
    fn judge_last(&self, size: u64, notebook: &Notebook<'_>) {
        let Some(last) = self.last.filter(|last| last.is_odd(size)) else { return };
        if notebook.has(Code::ImageTruncated) || notebook.has(Code::ImageOffsetImpossible) {
            return;
        }
        let code = match size.is_multiple_of(SECTOR) {
            true => Code::ImageEndUnusual,
            false => Code::ImageTruncated,
        };
        notebook.image(code, size, format!(
            "The image ends at byte {size}, inside the last of its clusters. Writers end it at byte {}, or where the disk ends, at byte {}: bytes before its end may be missing.",
            last.at.saturating_add(last.whole), last.at.saturating_add(last.least)));
    }
}

/// Zeros at the end of an image that are nothing to speak of: so many, and such a part of it.
const FEW_ZEROS: u64 = 4 << 20;
const FEW_ZEROS_PART: u64 = 16;

/// What the length of an image is a multiple of.
const SECTOR: u64 = 512;

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
