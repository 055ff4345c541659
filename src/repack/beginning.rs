//! What a tap gives, with its first bytes looked at before the rest.

use crate::bytes::Segment;
use crate::inspect::Tapped;

/// Bytes that a file is recognised by.
const HEAD: usize = 64 << 10;

/// The first segments, and whether there are no others.
pub(crate) fn beginning(tapped: &Tapped) -> (Vec<Segment>, bool) {
    let (mut first, mut count) = (Vec::new(), 0);
    while count < HEAD as u64 {
        let Ok(segment) = tapped.segments.recv() else { return (first, true) };
        count += segment.len();
        first.push(segment);
    }
    (first, false)
}

/// The first bytes of segments.
pub(crate) fn first_bytes(segments: &[Segment]) -> Vec<u8> {
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
pub(crate) fn until_refused(first: Vec<Segment>, tapped: &Tapped) -> impl Iterator<Item = Segment> {
    first.into_iter().chain(&tapped.segments).take_while(|_| !tapped.is_refused())
}
