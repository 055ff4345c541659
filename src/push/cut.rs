//! What the tap gives, cut into parts on a thread of its own. It waits after the first bytes: they decide what
//! the object is called, and whether there is to be one.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use super::parts::Cutter;
use super::repack::{Packed, pack};
use crate::bytes::Segment;
use crate::inspect::{Options, Recognised, Tapped, recognise};

/// Bytes that a file is recognised by.
const HEAD: usize = 64 << 10;

/// A file that is being cut.
pub(super) struct Cutting {
    /// What its first bytes say. Nothing comes if it cannot be read.
    pub(super) head: oneshot::Receiver<Recognised>,
    /// What was cut, if nobody ended it before.
    pub(super) done: oneshot::Receiver<Option<Cut>>,
}

/// A file that was cut to its end.
pub(super) struct Cut {
    /// Bytes that came out of the tap.
    pub(super) taken: u64,
    /// Bytes of all parts.
    pub(super) sent: u64,
    /// What was packed on the way.
    pub(super) packed: Option<Packed>,
}

/// How to go on after the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Go {
    /// With the bytes as they are.
    Plain,
    /// With the bytes packed as gzip.
    Packed,
}

/// Bytes of a file, where they are known before it is read.
pub(super) fn size(source: &OsStr) -> Option<u64> {
    let meta = std::fs::metadata(source).ok()?;
    (meta.is_file() && meta.len() > 0).then_some(meta.len())
}

/// Cuts what comes, once it is told how to go on after the first bytes.
pub(super) fn start(tapped: Tapped, cutter: Cutter, options: Options, go: Receiver<Go>) -> Cutting {
    let (say_head, head) = oneshot::channel();
    let (say_done, done) = oneshot::channel();
    std::thread::spawn(move || {
        let (first, whole) = beginning(&tapped);
        // Whoever does not want the answer does not want the rest either.
        let _ = say_head.send(recognise(&bytes(&first), whole, &options));
        let cut = go.recv().ok().and_then(|go| match go {
            Go::Plain => plain(first, &tapped, cutter),
            Go::Packed => packed(first, &tapped, cutter),
        });
        let _ = say_done.send(cut);
    });
    Cutting { head, done }
}

/// The first segments, and whether there are no others.
fn beginning(tapped: &Tapped) -> (Vec<Segment>, bool) {
    let (mut first, mut count) = (Vec::new(), 0);
    while count < HEAD as u64 {
        let Ok(segment) = tapped.segments.recv() else { return (first, true) };
        count += segment.len();
        first.push(segment);
    }
    (first, false)
}

/// The first bytes of segments.
fn bytes(segments: &[Segment]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD);
    for segment in segments {
        let room = HEAD - bytes.len();
        match segment {
            Segment::Data(chunk) => bytes.extend_from_slice(&chunk[..room.min(chunk.len())]),
            Segment::Zeros(len) => bytes.resize(bytes.len() + (*len).min(room as u64) as usize, 0),
        }
    }
    bytes
}

/// All segments, until the file is refused or ends.
fn segments(first: Vec<Segment>, tapped: &Tapped) -> impl Iterator<Item = Segment> {
    first.into_iter().chain(&tapped.segments).take_while(|_| !tapped.is_refused())
}

fn plain(first: Vec<Segment>, tapped: &Tapped, mut cutter: Cutter) -> Option<Cut> {
    let mut taken = 0;
    for segment in segments(first, tapped) {
        taken += segment.len();
        if cutter.segment(&segment) == ControlFlow::Break(()) {
            return None;
        }
    }
    let sent = cutter.end().filter(|_| !tapped.is_refused())?;
    Some(Cut { taken, sent, packed: None })
}

fn packed(first: Vec<Segment>, tapped: &Tapped, mut cutter: Cutter) -> Option<Cut> {
    let (taken, packed) = pack(segments(first, tapped), &mut |bytes| cutter.bytes(bytes))?;
    let sent = cutter.end().filter(|_| !tapped.is_refused())?;
    Some(Cut { taken, sent, packed: Some(packed) })
}
