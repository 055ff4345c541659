//! The way back from a sorted block.
//!
//! Each byte names the row of the next one, and every row is somewhere else in memory: followed one by one, the
//! processor waits for each of them. So the way is begun at many rows at once, and the pieces are put together.

/// Pieces that are followed at the same time.
const LANES: usize = 8;

/// Pieces that a block is followed in: enough that no lane is left alone with a long one.
const PIECES: usize = 256;

/// A block with fewer bytes fits into fast memory, and is followed in one piece.
const SMALL: usize = 32 << 10;

/// Rows that each lane follows before it looks round.
const STRIDE: usize = 512;

/// A row's lowest bits are its byte, these the next row…
const NEXT: u32 = (1 << 20) - 1;

/// …and this one says that a piece begins at it.
const BEGINS: u32 = 1 << 31;

/// The bytes of a block in sorted order, as they are decoded.
#[derive(Default)]
pub(super) struct Sorted {
    /// The last byte of each row.
    last: Vec<u8>,
    /// How often each byte was met.
    counts: Counts,
    rows: Vec<u32>,
    lanes: [Vec<u8>; LANES],
}

struct Counts([u32; 256]);

impl Default for Counts {
    fn default() -> Self {
        Counts([0; 256])
    }
}

/// A piece of the way: the row it began at, the row that follows, and where its bytes are.
struct Piece {
    begin: u32,
    follow: u32,
    lane: usize,
    from: usize,
    to: usize,
}

impl Sorted {
    pub(super) fn clear(&mut self) {
        self.last.clear();
        self.counts = Counts::default();
    }

    pub(super) fn len(&self) -> usize {
        self.last.len()
    }

    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        self.last.push(byte);
        self.counts.0[usize::from(byte)] += 1;
    }

    pub(super) fn push_run(&mut self, byte: u8, count: usize) {
        self.last.resize(self.last.len() + count, byte);
        self.counts.0[usize::from(byte)] += count as u32;
    }

    /// Puts the block that was sorted into `bytes`, which are empty; `origin` is its first row, of which there are fewer
    /// than 2^20.
    pub(super) fn restore(&mut self, origin: usize, bytes: &mut Vec<u8>) {
        bytes.reserve_exact(self.last.len());
        self.link();
        if self.last.len() < SMALL {
            self.follow(origin, bytes);
        } else {
            self.follow_in_pieces(origin, bytes);
        }
    }

    /// Lets each row know its byte and the next row.
    fn link(&mut self) {
        let mut next = [0; 256];
        let mut before = 0;
        for (next, count) in next.iter_mut().zip(self.counts.0) {
            *next = before;
            before += count;
        }
        self.rows.clear();
        self.rows.resize(self.last.len(), 0);
        for (row, &byte) in self.last.iter().enumerate() {
            let place = &mut next[usize::from(byte)];
            self.rows[*place as usize] = (row as u32) << 8 | u32::from(byte);
            *place += 1;
        }
    }

    fn follow(&self, origin: usize, bytes: &mut Vec<u8>) {
        let mut row = origin;
        for _ in 0..self.rows.len() {
            let entry = self.rows[row];
            bytes.push(entry as u8);
            row = (entry >> 8) as usize;
        }
    }

    fn follow_in_pieces(&mut self, origin: usize, bytes: &mut Vec<u8>) {
        let len = self.rows.len();
        let mut begins: Vec<u32> = (0..PIECES).map(|i| (i * (len / PIECES)) as u32).collect();
        begins.push(origin as u32);
        begins.sort_unstable();
        begins.dedup();
        for &row in &begins {
            self.rows[row as usize] |= BEGINS;
        }
        let pieces = self.pieces(&begins);
        let mut row = origin as u32;
        // A damaged block may be several rings, of which one is gone round again and again, as libbz2 does.
        while bytes.len() < len {
            let Ok(index) = pieces.binary_search_by_key(&row, |piece| piece.begin) else { break };
            let piece = &pieces[index];
            let found = &self.lanes[piece.lane][piece.from..piece.to];
            bytes.extend_from_slice(&found[..found.len().min(len - bytes.len())]);
            row = piece.follow;
        }
        self.let_go(len);
    }

    /// Keeps the memory of lanes that a block of this length usually needs. One made for it has nearly all of its bytes in one
    /// lane, the next one in another.
    fn let_go(&mut self, len: usize) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.len() > 2 * len / LANES) {
            *lane = Vec::new();
        }
    }

    /// Follows a piece from each of these rows on to the next of them, several at the same time.
    fn pieces(&mut self, begins: &[u32]) -> Vec<Piece> {
        let rows = &self.rows[..];
        let mut waiting = begins.iter().copied();
        let mut pieces = Vec::with_capacity(begins.len());
        self.lanes.iter_mut().for_each(Vec::clear);
        // What each lane comes by, where that is, and the row at which its piece began and its place in the lane.
        let mut entries = [0u32; LANES];
        let mut at = [0u32; LANES];
        let mut open: [Option<(u32, usize)>; LANES] =
            std::array::from_fn(|_| waiting.next().map(|row| (row, 0)));
        for (entry, open) in entries.iter_mut().zip(open) {
            *entry = open.map_or(0, |(row, _)| rows[row as usize]);
        }
        let mut out = [[0u8; LANES]; STRIDE];
        while open.iter().any(Option::is_some) {
            // Bytes of this stride that belong to a piece.
            let mut done = open.map(|open| if open.is_some() { STRIDE } else { 0 });
            for (step, out) in out.iter_mut().enumerate() {
                let mut ends = 0;
                for lane in 0..LANES {
                    out[lane] = entries[lane] as u8;
                    at[lane] = entries[lane] >> 8 & NEXT;
                    entries[lane] = rows[at[lane] as usize];
                    ends |= entries[lane];
                }
                if ends & BEGINS == 0 {
                    continue;
                }
                for lane in 0..LANES {
                    // A lane without a piece goes on, and what it meets is thrown away.
                    let Some((begin, from)) = open[lane].filter(|_| entries[lane] & BEGINS != 0)
                    else {
                        continue;
                    };
                    let to = self.lanes[lane].len() + step + 1;
                    pieces.push(Piece { begin, follow: at[lane], lane, from, to });
                    open[lane] = waiting.next().map(|row| (row, to));
                    match open[lane] {
                        Some((row, _)) => entries[lane] = rows[row as usize],
                        None => done[lane] = step + 1,
                    }
                }
            }
            for lane in 0..LANES {
                self.lanes[lane].extend(out[..done[lane]].iter().map(|out| out[lane]));
            }
        }
        pieces.sort_unstable_by_key(|piece| piece.begin);
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a block, rows up to some place follow themselves, and all others go round by a stride: the piece that begins at
    /// that place has nearly all of the block.
    #[test]
    fn no_lane_keeps_the_memory_of_a_block() {
        const STRIDE: usize = 3515;
        let len = PIECES * STRIDE + 1;
        let mut sorted = Sorted::default();
        let mut bytes = Vec::new();
        for place in 1..=LANES {
            let still = place * STRIDE;
            sorted.clear();
            sorted.push_run(0, still);
            sorted.push_run(2, len - still - STRIDE);
            sorted.push_run(1, STRIDE);
            bytes.clear();
            sorted.restore(still, &mut bytes);
            assert_eq!((bytes.len(), bytes.iter().filter(|byte| **byte == 0).count()), (len, 0));
        }
        let kept: usize = sorted.lanes.iter().map(Vec::capacity).sum();
        assert!(kept < len, "{kept} bytes");
    }
}
