use std::sync::mpsc::Receiver;

use sha2::{Digest, Sha256};

use crate::bytes::Segment;

/// Zeros are digested from one page that stays in the cache.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Adds the bytes of a segment.
pub(super) fn update(sha: &mut Sha256, segment: &Segment) {
    match segment {
        Segment::Data(chunk) => sha.update(&chunk[..]),
        Segment::Zeros(len) => {
            let mut left = *len;
            while left > 0 {
                let count = left.min(ZEROS.len() as u64);
                sha.update(&ZEROS[..count as usize]);
                left -= count;
            }
        }
    }
}

/// SHA-256 of what arrives until the channel closes; `seen` is told the bytes so far.
pub(super) fn sha256(segments: &Receiver<Segment>, mut seen: impl FnMut(u64)) -> [u8; 32] {
    let mut sha = Sha256::new();
    let mut total = 0;
    for segment in segments {
        update(&mut sha, &segment);
        total += segment.len();
        seen(total);
    }
    sha.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn zeros_count_as_bytes() {
        let (sender, receiver) = channel();
        sender.send(Segment::Zeros(100_000)).unwrap();
        drop(sender);
        let mut last = 0;
        let digest = sha256(&receiver, |bytes| last = bytes);
        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(vec![0; 100_000])));
        assert_eq!(last, 100_000);
    }
}
