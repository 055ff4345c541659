//! What the tap gives, cut into parts on a thread of its own. It waits after the first bytes: they decide what
//! the object is called, and whether there is to be one.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use super::parts::Cutter;
use crate::bytes::Segment;
use crate::inspect::{Options, Recognised, Tapped, recognise};

/// Bytes that a file is recognised by.
const HEAD: usize = 64 << 10;

pub(super) use crate::inspect::Recognised as Head;

/// A file that is being cut.
pub(super) struct Cutting {
    /// What its first bytes say. Nothing comes if it cannot be read.
    pub(super) head: oneshot::Receiver<Recognised>,
    /// Bytes that were cut, if nobody ended it before.
    pub(super) size: oneshot::Receiver<Option<u64>>,
}

/// Bytes of a file, where they are known before it is read.
pub(super) fn size(source: &OsStr) -> Option<u64> {
    let meta = std::fs::metadata(source).ok()?;
    (meta.is_file() && meta.len() > 0).then_some(meta.len())
}

/// Cuts what comes, once it is told to go on after the first bytes.
pub(super) fn start(tapped: Tapped, cutter: Cutter, options: Options, go: Receiver<()>) -> Cutting {
    let (say_head, head) = oneshot::channel();
    let (say_size, size) = oneshot::channel();
    std::thread::spawn(move || {
        let (first, whole) = beginning(&tapped);
        let _ = say_head.send(recognise(&bytes(&first), whole, &options));
        // Whoever does not want the rest drops the other end.
        let cut = go.recv().ok().and_then(|()| cut(first, &tapped, cutter));
        let _ = say_size.send(cut);
    });
    Cutting { head, size }
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
            Segment::Zeros(len) => bytes.resize(bytes.len() + room.min(*len as usize), 0),
        }
    }
    bytes
}

fn cut(first: Vec<Segment>, tapped: &Tapped, mut cutter: Cutter) -> Option<u64> {
    for segment in first.into_iter().chain(&tapped.segments) {
        let refused = tapped.is_refused();
        if refused || cutter.segment(&segment) == ControlFlow::Break(()) {
            return None;
        }
    }
    cutter.end()
}
