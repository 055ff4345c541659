//! Packing as gzip, and unpacking again what was packed in the same pass: what goes on is the image that came, whatever
//! an encoder does.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};

use sha2::{Digest, Sha256};

use crate::bytes::{Segment, hex};
use crate::codec::{Decoder, Encoding, Gzip, encode};

/// Pieces that wait to be unpacked, at most.
const WAITING: usize = 4;

/// Bytes that are unpacked at once.
const UNPACKED: usize = 256 << 10;

/// What was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed {
    /// SHA-256 of the gzip file.
    pub sha256: String,
    /// SHA-256 of what comes out of it.
    pub inner_sha256: String,
}

/// Packs everything as one gzip member. Bytes that were taken, and the digests of what came out; nothing if
/// nobody wants the output, or it cannot be unpacked.
pub fn pack(
    segments: impl IntoIterator<Item = Segment>,
    encoding: Encoding,
    output: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Option<(u64, Packed)> {
    let (to_verifier, pieces) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let verifier = scope.spawn(move || verify(&pieces));
        let encoded = encode(segments, encoding, &mut |bytes| {
            if to_verifier.send(bytes.to_vec()).is_err() {
                // It found damage, and says nothing more.
                return ControlFlow::Break(());
            }
            output(bytes)
        });
        drop(to_verifier);
        let packed = verifier.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Some((encoded.ok()?.taken, packed?))
    })
}

/// Digests what is packed, and what comes out of it; nothing if it is damaged.
fn verify(pieces: &Receiver<Vec<u8>>) -> Option<Packed> {
    let (mut outer, mut inner) = (Sha256::new(), Sha256::new());
    let mut gzip = Gzip::default();
    let mut buffer = vec![0; UNPACKED];
    for piece in pieces {
        outer.update(&piece);
        let mut rest = piece.as_slice();
        loop {
            let step = gzip.decode(rest, &mut buffer).ok()?;
            inner.update(&buffer[..step.made]);
            rest = &rest[step.taken..];
            if rest.is_empty() && step.made < buffer.len() {
                break;
            }
        }
    }
    // Nothing is left over, so the stream is complete or it is not.
    gzip.finish().ok()?;
    Some(Packed { sha256: hex(&outer.finalize()), inner_sha256: hex(&inner.finalize()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_what_was_taken() {
        let mut file = Vec::new();
        let segments = [Segment::Zeros(3 << 20), Segment::Zeros(1)];
        let (taken, packed) = pack(segments, Encoding::default(), &mut |bytes| {
            file.extend_from_slice(bytes);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(taken, (3 << 20) + 1);
        assert_eq!(packed.sha256, hex(&Sha256::digest(&file)));
        assert_eq!(packed.inner_sha256, hex(&Sha256::digest(vec![0; (3 << 20) + 1])));
    }

    #[test]
    fn nothing_comes_of_what_nobody_wants() {
        let nobody = &mut |_: &[u8]| ControlFlow::Break(());
        assert_eq!(pack([Segment::Zeros(9 << 20)], Encoding::default(), nobody), None);
    }
}
