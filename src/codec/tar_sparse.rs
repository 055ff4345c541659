//! Where the data of a member with holes is: the maps of GNU tar, in headers of its own and in pax records (0.0, 0.1, 1.0).
//!
//! Of such a member only the pieces between its holes are stored, one behind the other.

use super::tar_header::number;

const BLOCK: u64 = 512;

/// Pieces of a member at most: their places are held in memory, 16 bytes each.
const MOST_PIECES: usize = 1 << 19;

/// What is wrong with a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It contradicts itself, or the member.
    Damaged(&'static str),
    /// It is not read, as other programs do not agree on it, or it is too long.
    Unsupported(&'static str),
}

/// Places of the pieces of one member.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    /// Bytes of the member with its holes.
    size: u64,
    /// Offset in the member and bytes of each piece that has any, in their order.
    pieces: Vec<(u64, u64)>,
    /// Bytes of all pieces.
    stored: u64,
    /// Up to where in the member it was read, and the piece that comes next.
    at: u64,
    next: usize,
}

/// What comes next of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// So many zero bytes that are not stored.
    Hole(u64),
    /// So many bytes that are stored.
    Data(u64),
}

impl Sparse {
    /// A member of `size` bytes of which no piece is known.
    pub(super) fn new(size: u64) -> Self {
        Sparse { size, ..Sparse::default() }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next piece. One without bytes marks the end of a member that ends in a hole.
    pub(super) fn add(&mut self, offset: u64, len: u64) -> Result<(), Fault> {
        let last = self.pieces.last().copied().unwrap_or_default();
        let end = offset.checked_add(len);
        if offset < last.0 + last.1 || end.is_none_or(|end| end > self.size) {
            return Err(Fault::Damaged("has pieces out of order or past its end"));
        }
        if len == 0 {
            return Ok(());
        }
        // GNU tar fills each piece up to a block, others do not.
        if last.1 % BLOCK != 0 {
            return Err(Fault::Unsupported("has pieces that do not fill their blocks"));
        }
        if self.pieces.len() == MOST_PIECES {
            return Err(Fault::Unsupported("has more pieces than are read"));
        }
        self.pieces.push((offset, len));
        // No more than the size, as they do not overlap.
        self.stored += len;
        Ok(())
    }

    /// All pieces are known, and `stored` bytes of data follow.
    pub(super) fn close(&self, stored: u64) -> Result<(), Fault> {
        match self.stored == stored {
            true => Ok(()),
            false => Err(Fault::Damaged("has another size than its pieces together")),
        }
    }

    /// What comes next; `None` at the end of the member.
    pub(super) fn part(&mut self) -> Option<Part> {
        let (offset, len) = match self.pieces.get(self.next) {
            Some(piece) => *piece,
            None => (self.size, 0),
        };
        if offset > self.at {
            let hole = offset - self.at;
            self.at = offset;
            return Some(Part::Hole(hole));
        }
        if len == 0 {
            return None;
        }
        self.at += len;
        self.next += 1;
        Some(Part::Data(len))
    }

    /// Adds the entries of a header of GNU tar, offset and size in 12 bytes each; whether the list goes on in the next
    /// block, if `extended` says so.
    pub(super) fn add_entries(&mut self, entries: &[u8], extended: u8) -> Result<bool, Fault> {
        for entry in entries.chunks_exact(24) {
            let (offset, len) = entry.split_at(12);
            if len[0] == 0 {
                // The list ends here, and nothing can follow.
                return match extended {
                    0 => Ok(false),
                    _ => Err(Fault::Damaged("has a map that ends and goes on")),
                };
            }
            let invalid = Fault::Damaged("has a map with invalid numbers");
            self.add(number(offset).ok_or(invalid)?, number(len).ok_or(invalid)?)?;
        }
        Ok(extended != 0)
    }
}

/// Reads the map that stands before the data of a member (pax 1.0): a count, then offset and size of each piece, in
/// decimal, each with a newline; filled up to a block.
#[derive(Debug)]
pub(super) struct TextMap {
    sparse: Sparse,
    /// The number that is being read, and its digits.
    number: u64,
    digits: u32,
    /// Numbers that are still to come; not known before the first one.
    left: Option<u64>,
    offset: Option<u64>,
    /// Bytes of it.
    taken: u64,
}

impl TextMap {
    /// The map of a member of `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        let sparse = Sparse::new(size);
        TextMap { sparse, number: 0, digits: 0, left: None, offset: None, taken: 0 }
    }

    /// Bytes of it that came.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes bytes up to its end; how many, and whether it is there.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let invalid = Fault::Damaged("has a map with invalid numbers");
        for (count, &byte) in (1..).zip(bytes) {
            self.taken += 1;
            match byte {
                b'0'..=b'9' if self.digits < 20 => {
                    let digit = u64::from(byte - b'0');
                    let number = self.number.checked_mul(10).and_then(|n| n.checked_add(digit));
                    self.number = number.ok_or(invalid)?;
                    self.digits += 1;
                }
                b'\n' if self.digits > 0 => {
                    let number = std::mem::take(&mut self.number);
                    self.digits = 0;
                    if self.put(number)? {
                        return Ok((count, true));
                    }
                }
                _ => return Err(invalid),
            }
        }
        Ok((bytes.len(), false))
    }

    /// Takes a number; whether it was the last one.
    fn put(&mut self, number: u64) -> Result<bool, Fault> {
        let left = match self.left {
            None if number > MOST_PIECES as u64 => {
                return Err(Fault::Unsupported("has more pieces than are read"));
            }
            None => 2 * number,
            Some(left) => {
                match self.offset.take() {
                    None => self.offset = Some(number),
                    Some(offset) => self.sparse.add(offset, number)?,
                }
                left - 1
            }
        };
        self.left = Some(left);
        Ok(left == 0)
    }

    /// Bytes up to the block behind it.
    pub(super) fn padding(&self) -> u64 {
        (BLOCK - self.taken % BLOCK) % BLOCK
    }

    /// The map, of a member of which `size` bytes are stored together with it.
    pub(super) fn close(self, size: u64) -> Result<(Sparse, u64), Fault> {
        let stored = size.checked_sub(self.taken + self.padding());
        let stored = stored.ok_or(Fault::Damaged("is shorter than its map"))?;
        self.sparse.close(stored)?;
        Ok((self.sparse, stored))
    }
}

/// What pax records say of a member's holes.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseRecords {
    size: Option<u64>,
    count: Option<u64>,
    version: [Option<u64>; 2],
    pieces: Vec<(u64, u64)>,
    offset: Option<u64>,
    /// A record that nobody should guess at.
    unknown: bool,
}

/// How a member with holes is stored.
pub(super) enum Map {
    /// As these pieces.
    Known(Sparse),
    /// The map comes before the data.
    Text(TextMap),
}

impl SparseRecords {
    /// Takes over the record of this name, behind `GNU.sparse.`. `None` if it is not valid.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let decimal = |text: &[u8]| -> Option<u64> {
            let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
        };
        match key {
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"numblocks" => self.count = Some(decimal(value)?),
            b"major" => self.version[0] = Some(decimal(value)?),
            b"minor" => self.version[1] = Some(decimal(value)?),
            b"offset" if self.offset.is_none() => self.offset = Some(decimal(value)?),
            b"numbytes" => self.pieces.push((self.offset.take()?, decimal(value)?)),
            b"map" => {
                let numbers: Option<Vec<u64>> = value.split(|&b| b == b',').map(decimal).collect();
                let numbers = numbers?;
                let (pairs, []) = numbers.as_chunks::<2>() else { return None };
                self.pieces = pairs.iter().map(|[offset, len]| (*offset, *len)).collect();
            }
            _ => self.unknown = true,
        }
        Some(())
    }

    /// Marks a record of another program, or another version.
    pub(super) fn refuse(&mut self) {
        self.unknown = true;
    }

    /// How the member is stored, of which `stored` bytes follow.
    pub(super) fn map(self, stored: u64) -> Result<Map, Fault> {
        let incomplete = Fault::Damaged("has holes of which its records do not tell enough");
        match self.version {
            _ if self.unknown => Err(Fault::Unsupported("is stored sparsely in an unknown way")),
            [None, None] | [Some(0), Some(0 | 1)] => {
                let known = self.count == Some(self.pieces.len() as u64) && self.offset.is_none();
                let mut sparse = Sparse::new(self.size.filter(|_| known).ok_or(incomplete)?);
                for (offset, len) in self.pieces {
                    sparse.add(offset, len)?;
                }
                sparse.close(stored)?;
                Ok(Map::Known(sparse))
            }
            [Some(1), Some(0)] if self.pieces.is_empty() => {
                Ok(Map::Text(TextMap::new(self.size.ok_or(incomplete)?)))
            }
            _ => Err(Fault::Unsupported("is stored sparsely in an unknown way")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(mut sparse: Sparse) -> Vec<Part> {
        std::iter::from_fn(|| sparse.part()).collect()
    }

    #[test]
    fn pieces_and_holes_take_turns() {
        use Part::{Data, Hole};
        let of = |size, pieces: &[(u64, u64)]| {
            let mut sparse = Sparse::new(size);
            pieces.iter().try_for_each(|(offset, len)| sparse.add(*offset, *len))?;
            Ok::<_, Fault>(parts(sparse))
        };
        assert_eq!(of(0, &[]), Ok(vec![]));
        assert_eq!(of(9, &[(9, 0)]), Ok(vec![Hole(9)]));
        assert_eq!(of(9, &[(0, 9)]), Ok(vec![Data(9)]));
        let two = [(512, 512), (1024, 512), (4096, 4)];
        assert_eq!(
            of(5000, &two),
            Ok(vec![Hole(512), Data(512), Data(512), Hole(2560), Data(4), Hole(900)])
        );
        assert_eq!(of(u64::MAX, &[(u64::MAX - 1, 1)]), Ok(vec![Hole(u64::MAX - 1), Data(1)]));
        for (size, pieces) in [
            (9, &[(0, 10)][..]),
            (9, &[(10, 0)]),
            (9, &[(u64::MAX, 2)]),
            (9, &[(4, 1), (0, 1)]),
            (2000, &[(0, 1024), (512, 512)]),
        ] {
            assert!(matches!(of(size, pieces), Err(Fault::Damaged(_))), "{pieces:?}");
        }
        assert!(matches!(of(2000, &[(0, 9), (512, 512)]), Err(Fault::Unsupported(_))));
    }

    #[test]
    fn a_map_as_text_is_read_however_it_is_cut() {
        let text = b"2\n0\n512\n4096\n4\nrest";
        for piece in [1, 2, 5, 99] {
            let mut map = TextMap::new(5000);
            let mut done = false;
            let mut taken = 0;
            for bytes in text.chunks(piece) {
                let (count, last) = map.take(bytes).unwrap();
                taken += count;
                if last {
                    done = true;
                    break;
                }
            }
            assert!(done);
            assert_eq!((taken, map.padding()), (15, 497));
            let (sparse, stored) = map.close(512 + 516).unwrap();
            assert_eq!((sparse.size(), stored), (5000, 516));
        }
        for text in [
            &b"\n"[..],
            b"x\n",
            b"-1\n",
            b"99999999999999999999\n",
            b"000000000000000000001\n",
            b"1\n0\n5001\n",
            b"99999999\n",
        ] {
            assert!(TextMap::new(5000).take(text).is_err());
        }
        let mut map = TextMap::new(5000);
        assert_eq!(map.take(b"0\n").unwrap(), (2, true));
        assert!(map.close(511).is_err());
    }
}
