//! What the tap gives, cut into parts on a thread of its own. It waits after the first bytes: they decide what
//! the object is called, and whether there is to be one.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use super::parts::Cutter;
use crate::bytes::Segment;
use crate::codec::Encoding;
use crate::inspect::{Options, Recognised, Tapped, recognise};
use crate::repack::{Packed, beginning, first_bytes, pack, until_refused};

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
        let _ = say_head.send(recognise(&first_bytes(&first), whole, &options));
        let cut = go.recv().ok().and_then(|go| match go {
            Go::Plain => plain(first, &tapped, cutter),
            Go::Packed => packed(first, &tapped, cutter),
        });
        let _ = say_done.send(cut);
    });
    Cutting { head, done }
}

fn plain(first: Vec<Segment>, tapped: &Tapped, mut cutter: Cutter) -> Option<Cut> {
    let mut taken = 0;
    for segment in until_refused(first, tapped) {
        taken += segment.len();
        if cutter.segment(&segment) == ControlFlow::Break(()) {
            return None;
        }
    }
    let sent = cutter.end().filter(|_| !tapped.is_refused())?;
    Some(Cut { taken, sent, packed: None })
}

fn packed(first: Vec<Segment>, tapped: &Tapped, mut cutter: Cutter) -> Option<Cut> {
    let (taken, packed) =
        pack(until_refused(first, tapped), Encoding::default(), &mut |bytes| cutter.bytes(bytes))?;
    let sent = cutter.end().filter(|_| !tapped.is_refused())?;
    Some(Cut { taken, sent, packed: Some(packed) })
}
