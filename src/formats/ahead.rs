//! What a reader of a whole disk needs next, unpacked before its turn.
//!
//! It goes before the reader and reads packed clusters for the threads. Nothing is found here: a run of which anything
//! would have to be written down is left to the reader, who meets it in its turn, and so is everything before it.

use std::collections::VecDeque;

use super::disk::{Packed, Place, Run};
use super::packed::fetch;
use super::unpackers::{Piece, Unpackers};
use super::{Got, ImageView, Layout};
use crate::facts::Notebook;

/// Runs that it is before the reader at most.
const MOST_RUNS: usize = 4096;

/// A run of the disk that was located.
struct Located {
    /// Disk offset of its first byte.
    at: u64,
    run: Run,
    /// Whether the threads have it.
    put: bool,
}

/// Runs of the disk that come next, in order, and the threads that unpack them.
pub(super) struct Ahead {
    unpackers: Unpackers,
    runs: VecDeque<Located>,
    /// Disk offset behind the last of them.
    at: u64,
    /// Where in the image the packed data is that is unpacked last. Neighbours may share it.
    last: Option<(u64, u64)>,
}

impl Ahead {
    /// With so many threads.
    pub(super) fn new(threads: usize) -> Self {
        Ahead { unpackers: Unpackers::new(threads), runs: VecDeque::new(), at: 0, last: None }
    }

    /// The run that the disk's byte `guest` is in, from there on, if it was located.
    pub(super) fn run(&mut self, guest: u64) -> Option<Run> {
        while self.runs.front().is_some_and(|first| first.at + first.run.len <= guest) {
            let passed = self.runs.pop_front();
            if passed.is_some_and(|passed| passed.put)
                && let Some(piece) = self.unpackers.take()
            {
                // Nobody wanted it.
                self.unpackers.give_back(piece.bytes);
            }
        }
        let first = self.runs.front()?;
        guest.checked_sub(first.at).map(|skip| first.run.behind(skip))
    }

    /// What the packed run at the disk's byte `guest` unpacks to, if a thread has it.
    pub(super) fn take(&mut self, guest: u64) -> Option<Piece> {
        self.run(guest)?;
        let first = self.runs.front_mut()?;
        std::mem::take(&mut first.put).then(|| self.unpackers.take())?
    }

    /// Takes the memory of what was unpacked for others.
    pub(super) fn give_back(&mut self, bytes: Vec<u8>) {
        self.unpackers.give_back(bytes);
    }

    /// Goes on, at the disk's byte `after` at least. The reader is at `packed`.
    pub(super) fn look(
        &mut self,
        view: &mut dyn ImageView,
        layout: &mut dyn Layout,
        notebook: &Notebook<'_>,
        (packed, after): (&Packed, u64),
    ) {
        let most = self.unpackers.most(packed);
        // By the half, so that threads get whole batches.
        if self.unpackers.count() > most / 2 {
            return;
        }
        if self.runs.is_empty() {
            (self.at, self.last) = (self.at.max(after), Some(packed.place()));
        }
        // What cannot be read is met, and said, by the reader.
        let Ok(Some(size)) = view.size() else { return };
        while self.unpackers.count() < most
            && self.runs.len() < MOST_RUNS
            && self.at < layout.virtual_size()
        {
            let Some(run) = quietly(view, layout, notebook, self.at) else { break };
            let mut put = false;
            match &run.place {
                Place::Packed(packed) if packed.end() <= size => {
                    if self.last != Some(packed.place()) {
                        let Some(input) = self.fetch(view, packed) else { break };
                        self.unpackers.put(packed.clone(), input);
                        self.last = Some(packed.place());
                        put = true;
                    }
                }
                Place::Unallocated | Place::Zeros | Place::Stored(_) => {}
                Place::Packed(_) | Place::Missing(_) => break,
            }
            let at = self.at;
            self.at = at.saturating_add(run.len);
            self.runs.push_back(Located { at, run, put });
        }
        self.unpackers.give();
    }

    /// Loses its threads but for some, which panic.
    #[cfg(test)]
    pub(super) fn lose_threads(&mut self, left: usize) {
        self.unpackers.doom(left, crate::codec::Fate::Panics(0));
    }

    /// Reads packed data; `None` if not all of it is there.
    fn fetch(&mut self, view: &mut dyn ImageView, packed: &Packed) -> Option<Vec<u8>> {
        let mut input = self.unpackers.input();
        match fetch(view, packed, &mut input) {
            Ok(Got::Bytes(count)) if count == packed.longest() => Some(input),
            Ok(_) | Err(_) => None,
        }
    }
}

/// Locates a run if nothing is to be said of it.
fn quietly(
    view: &mut dyn ImageView,
    layout: &mut dyn Layout,
    notebook: &Notebook<'_>,
    at: u64,
) -> Option<Run> {
    let scratch = Notebook::new(&|_| false, notebook.limit());
    scratch.set_bound(notebook.bound());
    let run = layout.locate(view, &scratch, at).ok()?;
    let left = layout.virtual_size().saturating_sub(at);
    scratch.is_empty().then(|| Run { len: run.len.min(left).max(1), ..run })
}

#[cfg(test)]
mod tests {
    use super::super::disk::{Disk as _, Method};
    use super::super::unpackers::tests::deflated;
    use super::super::{Halt, MappedDisk, MemoryImage, Missing, Reach, Walked, Wanted};
    use super::*;
    use crate::facts::{Anomaly, Code};

    const CLUSTER: u64 = 1024;

    /// Clusters in order, each with what is found when it is located.
    #[derive(Clone, Default)]
    struct Clusters(Vec<(Place, Option<Code>)>);

    impl Layout for Clusters {
        fn virtual_size(&self) -> u64 {
            self.0.len() as u64 * CLUSTER - 512
        }

        fn locate(
            &mut self,
            _: &mut dyn ImageView,
            notebook: &Notebook<'_>,
            guest: u64,
        ) -> Result<Run, Halt> {
            let (place, code) = &self.0[(guest / CLUSTER) as usize];
            code.iter().for_each(|&code| notebook.image(code, guest, "found"));
            Ok(Run { len: CLUSTER, place: place.clone() }.behind(guest % CLUSTER))
        }

        fn walk(
            &mut self,
            _: &mut dyn ImageView,
            _: &Notebook<'_>,
            _: &Wanted,
            _: &mut Reach,
        ) -> Result<Walked, Halt> {
            Ok(Walked::Whole)
        }
    }

    /// An image of clusters of all kinds, and where they are.
    fn image() -> (Vec<u8>, Clusters) {
        let (mut image, mut clusters) = (Vec::new(), Clusters::default());
        for number in 0..500u64 {
            let content: Vec<u8> = (0..CLUSTER).map(|at| (at * number / 7 % 251) as u8).collect();
            let mut bytes = deflated(&content);
            if number % 97 == 50 {
                bytes[0] |= 6;
            }
            let (at, len) = (image.len() as u64, bytes.len() as u64);
            let packed = Packed {
                at,
                len,
                skip: 0,
                whole: CLUSTER,
                method: Method::Deflate,
                damaged: Code::Qcow2ClusterDamaged,
                unended: None,
            };
            let place = match number % 41 {
                7 => Place::Zeros,
                8 => Place::Unallocated,
                9 => Place::Stored(at.saturating_sub(CLUSTER)),
                10 if number > 400 => Place::Missing(Missing::Broken),
                // The same cluster again.
                11 | 12 => clusters.0[clusters.0.len() - 1].0.clone(),
                13 if number > 200 => Place::Packed(Packed { at: 1 << 40, ..packed }),
                _ => Place::Packed(packed),
            };
            let code = (number % 31 == 3).then_some(Code::Qcow2TableEntryInvalid);
            clusters.0.push((place, code));
            image.extend(bytes);
        }
        // More zeros than are located ahead, and something behind them.
        clusters.0.extend(vec![(Place::Zeros, None); 2 * MOST_RUNS]);
        let again = clusters.0[..200].to_vec();
        clusters.0.extend(again);
        (image, clusters)
    }

    /// What is read of the disk in pieces of so many bytes, and what is found.
    fn read(threads: usize, piece: u64, lose: Option<usize>) -> (Vec<u64>, Vec<Anomaly>) {
        let (image, mut clusters) = image();
        let (mut view, size) = (MemoryImage::new(image), clusters.virtual_size());
        let notebook = Notebook::new(&|_| false, 1 << 50);
        let mut disk = MappedDisk::new(&mut view, &mut clusters, &notebook).with_threads(threads);
        lose.into_iter().for_each(|left| disk.lose_threads(left));
        let (mut at, mut sums, mut buf) = (0, Vec::new(), vec![0; piece as usize]);
        while at < size {
            let run = disk.run(at).unwrap();
            let got = disk.read_at(at, &mut buf).unwrap();
            let count = buf.len().min((size - at) as usize);
            let sum = u64::from(crc32fast::hash(&buf[..count]));
            sums.push(if got == Got::Bytes(count) { sum } else { u64::MAX });
            sums.push(run.len);
            at += piece;
        }
        drop(disk);
        (sums, notebook.close())
    }

    #[test]
    fn a_disk_is_read_and_found_the_same_with_any_threads() {
        for piece in [512, CLUSTER, 3 * CLUSTER - 512, 100 * CLUSTER] {
            let alone = read(1, piece, None);
            assert!(alone.1.len() > 5, "{:?}", alone.1);
            for threads in [2, 8] {
                assert!(read(threads, piece, None) == alone, "{threads} {piece}");
                assert!(read(threads, piece, Some(0)) == alone, "{threads} {piece}: no threads");
                assert!(read(threads, piece, Some(1)) == alone, "{threads} {piece}: a panic");
            }
        }
    }

    #[test]
    fn nothing_is_found_behind_what_settles_the_verdict() {
        for settling in
            [Code::Qcow2ClusterDamaged, Code::Qcow2TableEntryInvalid, Code::ImageTruncated]
        {
            let found = |threads| {
                let (image, mut clusters) = image();
                let mut view = MemoryImage::new(image);
                let settles = |code| code == settling;
                let notebook = Notebook::new(&settles, 1 << 50);
                let mut seen = Vec::new();
                let disk = MappedDisk::new(&mut view, &mut clusters, &notebook);
                let missing = disk.with_threads(threads).unpack_all(|at| seen.push(at)).unwrap();
                (missing, seen, notebook.close())
            };
            let alone = found(1);
            assert!(!alone.2.is_empty());
            assert!([2, 8].iter().all(|&threads| found(threads) == alone), "{settling:?}");
        }
    }
}
