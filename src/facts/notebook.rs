use std::cell::{Cell, RefCell};

use super::{Code, Layer, Spot};

/// How many anomalies of one kind are kept; the rest are counted.
const KEPT_OF_ONE_KIND: usize = 8;

/// With these, what the file says of the disk is not what the guest would see.
const ELSEWHERE: [Code; 7] = [
    Code::Qcow2BackingFile,
    Code::Qcow2DataFile,
    Code::Qcow2Encrypted,
    Code::VhdxParent,
    Code::VdiParent,
    // Of undo and differencing images, blocks that are not there are in another file.
    Code::VdiTypeUnsupported,
    Code::VmdkParent,
];

/// Something that an examiner found and that a rule has an opinion on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Anomaly {
    /// What it is.
    pub code: Code,
    /// In which layer it was found.
    pub layer: Layer,
    /// Byte offset in that layer, where the thing has a place.
    pub offset: Option<u64>,
    /// Where it is among the files of the guest, if it is about them.
    pub spot: Option<Spot>,
    /// One sentence with the values found. Text from outside is already escaped in it.
    pub said: String,
}

impl Anomaly {
    /// What it is sorted by: from the outer layer to the inner one, from the front to the back.
    fn place(&self) -> (Layer, Option<u64>, Option<&Spot>, Code, &str) {
        (self.layer, self.offset, self.spot.as_ref(), self.code, &self.said)
    }
}

/// Where the examiners of one image write down what they find.
///
/// It is shared by reference between the decoder and the examiner, which take turns on one thread.
/// It knows from a function given to it which anomalies settle the matter, so that reading can stop,
/// and keeps a bounded number of anomalies whatever an image holds.
pub struct Notebook<'a> {
    anomalies: RefCell<Vec<Anomaly>>,
    more: RefCell<Vec<(Code, u64)>>,
    doomed: Cell<bool>,
    settles: &'a dyn Fn(Code) -> bool,
    limit: u64,
    bound: Cell<u64>,
}

impl<'a> Notebook<'a> {
    /// `settles` says whether an anomaly of this code decides the verdict; images and disks have to
    /// be smaller than `limit` bytes.
    #[must_use]
    pub fn new(settles: &'a dyn Fn(Code) -> bool, limit: u64) -> Self {
        Notebook {
            anomalies: RefCell::default(),
            more: RefCell::default(),
            doomed: Cell::new(false),
            settles,
            limit,
            bound: Cell::new(limit),
        }
    }

    /// Writes an anomaly down.
    pub fn add(
        &self,
        code: Code,
        layer: Layer,
        offset: impl Into<Option<u64>>,
        said: impl Into<String>,
    ) {
        self.put(Anomaly { code, layer, offset: offset.into(), spot: None, said: said.into() });
    }

    /// Writes down an anomaly as it is.
    pub fn put(&self, new: Anomaly) {
        let code = new.code;
        if (self.settles)(code) {
            self.doomed.set(true);
        }
        let mut anomalies = self.anomalies.borrow_mut();
        // Who reads the disk meets what the walk over the tables has met.
        if anomalies.contains(&new) {
            return;
        }
        if anomalies.iter().filter(|a| a.code == code).count() < KEPT_OF_ONE_KIND {
            anomalies.push(new);
            return;
        }
        // Those that lie first are kept, in whichever order they are met.
        let same = anomalies.iter_mut().filter(|a| a.code == code);
        if let Some(last) = same.max_by(|a, b| a.place().cmp(&b.place()))
            && new.place() < last.place()
        {
            *last = new;
        }
        let mut more = self.more.borrow_mut();
        match more.iter_mut().find(|(kind, _)| *kind == code) {
            Some((_, count)) => *count += 1,
            None => more.push((code, 1)),
        }
    }

    /// Whether what the file says of the disk is not what the guest would see: it is encrypted, or some of it is
    /// in another file.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        ELSEWHERE.iter().any(|&code| self.has(code))
    }

    /// As [`image`](Self::image), instead of what was written down of this code before, which saw less of it.
    pub fn image_instead(&self, code: Code, offset: u64, said: impl Into<String>) {
        let said = said.into();
        if let Some(known) = self.anomalies.borrow_mut().iter_mut().find(|a| a.code == code) {
            (known.layer, known.offset, known.said) = (Layer::Image, Some(offset), said);
            return;
        }
        self.image(code, offset, said);
    }

    /// An anomaly of the image, at a byte offset of the image.
    pub fn image(&self, code: Code, offset: u64, said: impl Into<String>) {
        self.add(code, Layer::Image, offset, said);
    }

    /// An anomaly of the disk, at a byte offset of the disk.
    pub fn disk(&self, code: Code, offset: u64, said: impl Into<String>) {
        self.add(code, Layer::Disk, offset, said);
    }

    /// An anomaly of what is inside the disk, at a place among the files of the guest.
    pub fn inside(&self, code: Code, spot: Option<Spot>, said: impl Into<String>) {
        self.put(Anomaly { code, layer: Layer::Disk, offset: None, spot, said: said.into() });
    }

    /// Something at offset `at` of `layer` claims that the disk has `size` bytes. A claim at or over the
    /// limit is written down, and true is returned if it is under.
    pub fn claim_disk_size(&self, size: u64, layer: Layer, at: u64) -> bool {
        if size < self.limit {
            return true;
        }
        if !self.has(Code::DiskTooLarge) {
            let limit = self.limit;
            self.add(
                Code::DiskTooLarge,
                layer,
                at,
                format!(
                    "The disk has {size} bytes ({}); it has to be smaller than {limit} bytes.",
                    crate::bytes::human_size(size)
                ),
            );
        }
        false
    }

    /// Bytes that an image and a disk have to stay under.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Says that an image of this format and disk cannot need more than `most` bytes.
    pub fn set_bound(&self, most: u64) {
        self.bound.set(self.limit.min(most));
    }

    /// Bytes that the image can need: what is placed farther, and is not there, was not cut off, but is
    /// named by something damaged. The limit, before the size of the disk is known.
    #[must_use]
    pub fn bound(&self) -> u64 {
        self.bound.get()
    }

    /// Whether an anomaly of this code was written down.
    #[must_use]
    pub fn has(&self, code: Code) -> bool {
        self.anomalies.borrow().iter().any(|a| a.code == code)
    }

    /// Whether nothing was written down.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anomalies.borrow().is_empty()
    }

    /// Whether something was found that decides the verdict.
    #[must_use]
    pub fn doomed(&self) -> bool {
        self.doomed.get()
    }

    /// Everything found, from the outer layer to the inner one and from the front to the back: a file and a stream are read in
    /// another order, and found to be the same. Of a kind that was found very often the last one kept says how many
    /// more there were.
    #[must_use]
    pub fn close(self) -> Vec<Anomaly> {
        let mut anomalies = self.anomalies.into_inner();
        anomalies.sort_by(|a, b| a.place().cmp(&b.place()));
        for (code, count) in self.more.into_inner() {
            if let Some(last) = anomalies.iter_mut().rfind(|a| a.code == code) {
                last.said.push_str(&format!(" ({count} more of this kind)"));
            }
        }
        anomalies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_bounded_number_and_counts_the_rest() {
        let notebook = Notebook::new(&|_| false, 100);
        for at in 0..20 {
            notebook.image(Code::Qcow2TableEntryInvalid, at, "x");
        }
        notebook.image(Code::Qcow2TableEntryInvalid, 0, "x");
        let anomalies = notebook.close();
        assert_eq!(anomalies.len(), KEPT_OF_ONE_KIND);
        assert_eq!(anomalies[KEPT_OF_ONE_KIND - 1].said, "x (12 more of this kind)");
    }

    #[test]
    fn the_order_in_which_anomalies_are_met_does_not_matter() {
        let noted = |places: &mut dyn Iterator<Item = u64>| {
            let notebook = Notebook::new(&|_| false, 100);
            for at in places {
                notebook.image(Code::Qcow2TableEntryInvalid, at, "x");
                notebook.image(Code::Qcow2ClusterDamaged, 3 * at, "y");
            }
            notebook.close()
        };
        let forwards = noted(&mut (0..20));
        assert_eq!(forwards, noted(&mut (0..20).rev()));
        let first: Vec<_> = forwards.iter().map(|a| a.offset.unwrap()).take(4).collect();
        assert_eq!(first, [0, 0, 1, 2]);
    }

    #[test]
    fn a_disk_has_to_stay_under_the_limit() {
        let notebook = Notebook::new(&|code| code == Code::DiskTooLarge, 100);
        assert!(notebook.claim_disk_size(99, Layer::Image, 0));
        assert!(!notebook.doomed());
        assert!(!notebook.claim_disk_size(100, Layer::Image, 24));
        assert!(notebook.doomed());
        assert_eq!(notebook.close()[0].offset, Some(24));
    }
}
