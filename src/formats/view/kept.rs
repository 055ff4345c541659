//! Parts of a stream that are kept because somebody asked for them before they came by.

use std::collections::BTreeMap;
use std::ops::Range;

use super::held::Held;

/// What is kept in all, and in how many pieces. Whoever asks for sectors can have all of them.
const MOST_KEPT: u64 = 1 << 20;
const MOST_PIECES: usize = (MOST_KEPT / 512) as usize;

/// Pieces of an image, none over another, by image offset.
#[derive(Default)]
pub(super) struct Kept {
    /// Those that came by.
    whole: BTreeMap<u64, Vec<u8>>,
    /// Those that are still ahead, wholly or in part.
    open: BTreeMap<u64, Piece>,
    /// Bytes of all.
    bytes: u64,
}

struct Piece {
    bytes: Vec<u8>,
    /// How much of it was read past; the rest is held, or still ahead.
    have: usize,
}

impl Kept {
    /// Asks for the `len` bytes from image offset `at` on, of which all are held or ahead. Too much is not kept.
    pub(super) fn want(&mut self, at: u64, len: u64) {
        let Some(end) = at.checked_add(len) else { return };
        if len > MOST_KEPT || self.whole.len() + self.open.len() >= MOST_PIECES {
            return;
        }
        let gaps = self.gaps(at..end);
        let more: u64 = gaps.iter().map(|gap| gap.end - gap.start).sum();
        let pieces = self.whole.len() + self.open.len() + gaps.len();
        if self.bytes + more > MOST_KEPT || pieces > MOST_PIECES {
            return;
        }
        self.bytes += more;
        for gap in gaps {
            let bytes = vec![0; (gap.end - gap.start) as usize];
            self.open.insert(gap.start, Piece { bytes, have: 0 });
        }
    }

    /// What of a range nobody has asked for.
    fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let whole = self.whole.range(..range.end).rev().map(|(at, bytes)| (*at, bytes.len()));
        let open = self.open.range(..range.end).rev().map(|(at, piece)| (*at, piece.bytes.len()));
        // Their ends ascend as their beginnings do.
        let over = |piece: &(u64, usize)| piece.0 + piece.1 as u64 > range.start;
        let mut known: Vec<_> = whole.take_while(over).chain(open.take_while(over)).collect();
        known.sort_unstable();
        let mut gaps = Vec::new();
        let mut from = range.start;
        for (at, len) in known {
            gaps.push(from..at.max(from));
            from = at + len as u64;
        }
        gaps.push(from..range.end.max(from));
        gaps.retain(|gap| !gap.is_empty());
        gaps
    }

    /// Takes what was read past, which is all before image offset `at`. What the feed has delivered beyond that is held
    /// anyway, and how much that is depends on how the feed cuts.
    pub(super) fn fill(&mut self, held: &Held, at: u64) {
        while let Some(mut entry) = self.open.first_entry() {
            let start = *entry.key();
            let piece = entry.get_mut();
            let from = start + piece.have as u64;
            let rest = &mut piece.bytes[piece.have..];
            let count = at.saturating_sub(from).min(rest.len() as u64) as usize;
            piece.have += held.copy(from, &mut rest[..count]);
            if piece.have < piece.bytes.len() {
                return;
            }
            let piece = entry.remove();
            self.whole.insert(start, piece.bytes);
        }
    }

    /// Copies what is kept from image offset `at` on; how many bytes that are.
    pub(super) fn copy(&self, at: u64, buf: &mut [u8]) -> usize {
        let mut count = 0;
        while count < buf.len() {
            let bytes = self.at(at.saturating_add(count as u64));
            if bytes.is_empty() {
                break;
            }
            let more = bytes.len().min(buf.len() - count);
            buf[count..count + more].copy_from_slice(&bytes[..more]);
            count += more;
        }
        count
    }

    /// What the piece that has this byte keeps from it on.
    fn at(&self, at: u64) -> &[u8] {
        let whole = self.whole.range(..=at).next_back().map(|(start, bytes)| (start, &bytes[..]));
        let open = self.open.range(..=at).next_back();
        let open = open.map(|(start, piece)| (start, &piece.bytes[..piece.have]));
        let mut bytes = whole.into_iter().chain(open).filter_map(|(start, bytes)| {
            bytes.get(usize::try_from(at - start).ok()?..).filter(|bytes| !bytes.is_empty())
        });
        bytes.next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(kept: &Kept) -> Vec<(u64, usize)> {
        kept.open.iter().map(|(at, piece)| (*at, piece.bytes.len())).collect()
    }

    #[test]
    fn no_byte_is_kept_twice() {
        let mut kept = Kept::default();
        for (at, len) in [(100, 10), (120, 10), (105, 20), (90, 60), (100, 10), (0, 0)] {
            kept.want(at, len);
        }
        assert_eq!(pieces(&kept), [(90, 10), (100, 10), (110, 10), (120, 10), (130, 20)]);
        assert_eq!(kept.bytes, 60);
    }

    #[test]
    fn so_many_sectors_are_kept_as_there_are_bytes_for() {
        let mut kept = Kept::default();
        for sector in 0..3000 {
            kept.want(sector * 1024, 512);
        }
        assert_eq!((kept.open.len(), kept.bytes), (MOST_PIECES, MOST_KEPT));
        let mut kept = Kept::default();
        for at in 0..5000 {
            kept.want(at * 2, 1);
        }
        assert_eq!(kept.open.len(), MOST_PIECES);
        kept.want(u64::MAX, 2);
        kept.want(1 << 40, MOST_KEPT);
        assert_eq!(kept.open.len(), MOST_PIECES);
    }
}
