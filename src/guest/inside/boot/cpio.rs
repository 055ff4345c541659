//! cpio archives of the kind that Linux unpacks (Documentation/driver-api/early-userspace/buffer-format.rst): names only.
//!
//! Several archives may follow each other, with zeros between them. What an entry holds is passed over.

/// Bytes of the header of an entry: a mark and 13 numbers of eight hexadecimal digits.
const HEADER: usize = 110;

/// Bytes of a name at most; Linux leaves out entries with longer ones (PATH_MAX).
const LONGEST_NAME: u64 = 4096;

/// Reads archives that come in pieces of any length.
#[derive(Debug, Default)]
pub(super) struct Cpio {
    /// Bytes so far.
    at: u64,
    state: State,
    /// Bytes of a header or a name that has not come in full.
    have: Vec<u8>,
    /// Entries so far.
    entries: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A header, or zeros before one.
    #[default]
    Header,
    /// A name of this length, padding behind it, and what the entry holds.
    Name { len: u64, data: u64 },
    /// Bytes that are passed over.
    Skip { left: u64 },
}

/// How far a piece was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All of it.
    All,
    /// At this byte something begins that is no archive, between two of them or before the first.
    Until(usize),
    /// At this byte, within an archive, something is wrong.
    Damaged(usize),
}

impl Cpio {
    /// Takes a piece, and shows the names in it.
    pub(super) fn take(&mut self, piece: &[u8], each: &mut dyn FnMut(&[u8])) -> Taken {
        let mut at = 0;
        while at < piece.len() {
            let rest = &piece[at..];
            let count = match self.state {
                State::Header if self.have.is_empty() && rest[0] == 0 => {
                    rest.iter().position(|&byte| byte != 0).unwrap_or(rest.len())
                }
                State::Header if self.have.is_empty() && rest[0] != b'0' => {
                    return Taken::Until(at);
                }
                State::Header => {
                    let count = (HEADER - self.have.len()).min(rest.len());
                    self.have.extend_from_slice(&rest[..count]);
                    if self.have.len() == HEADER {
                        let Some((len, data)) = header(&self.have) else {
                            return Taken::Damaged(at);
                        };
                        self.have.clear();
                        self.state = match len {
                            // Linux leaves it out.
                            0 => State::Skip { left: 0 },
                            len => State::Name { len, data },
                        };
                        if len == 0 || len > LONGEST_NAME {
                            let left = padded(self.at + count as u64 + len) + data;
                            let left = padded(left) - (self.at + count as u64);
                            self.state = State::Skip { left };
                        }
                    }
                    count
                }
                State::Name { len, data } => {
                    let count = (len as usize - self.have.len()).min(rest.len());
                    self.have.extend_from_slice(&rest[..count]);
                    if self.have.len() as u64 == len {
                        let name = self.have.strip_suffix(b"\0").unwrap_or(&self.have);
                        if name != b"TRAILER!!!" {
                            self.entries += 1;
                            each(name);
                        }
                        self.have.clear();
                        let end = self.at + count as u64;
                        self.state = State::Skip { left: padded(padded(end) + data) - end };
                    }
                    count
                }
                State::Skip { left } => {
                    let count = left.min(rest.len() as u64);
                    self.state = State::Skip { left: left - count };
                    count as usize
                }
            };
            if let State::Skip { left: 0 } = self.state {
                self.state = State::Header;
            }
            at += count;
            self.at += count as u64;
        }
        Taken::All
    }

    /// Whether it is between two entries.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Header && self.have.is_empty()
    }

    /// How many entries there were.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }
}

/// Lengths of the name and of what the entry holds.
fn header(bytes: &[u8]) -> Option<(u64, u64)> {
    let magic = bytes.get(..6)?;
    if magic != b"070701" && magic != b"070702" {
        return None;
    }
    // All numbers have to be numbers.
    let mut numbers = [0u64; 13];
    for (number, digits) in numbers.iter_mut().zip(bytes[6..].chunks(8)) {
        for &digit in digits {
            *number = *number << 4 | u64::from(char::from(digit).to_digit(16)?);
        }
    }
    Some((numbers[11], numbers[6]))
}

/// The next multiple of four.
fn padded(at: u64) -> u64 {
    at.next_multiple_of(4)
}

#[cfg(test)]
pub(super) mod testing {
    /// An archive of files with these names and contents.
    pub(in super::super) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, data) in files.iter().chain([&("TRAILER!!!", &b""[..])]) {
            let mut fields = [0; 13];
            (fields[1], fields[6], fields[11]) = (0o100_644, data.len(), name.len() + 1);
            bytes.extend(b"070701");
            fields.iter().for_each(|field| bytes.extend(format!("{field:08x}").bytes()));
            bytes.extend(name.bytes().chain([0]));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(*data);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::archive;
    use super::*;

    /// The names in an archive that comes in pieces, and how it ended.
    fn names(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<Taken>, bool) {
        let (mut cpio, mut names) = (Cpio::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            let taken = cpio.take(piece, &mut |name| names.push(name.to_vec()));
            if taken != Taken::All {
                return (names, Some(taken), cpio.is_between());
            }
        }
        (names, None, cpio.is_between())
    }

    #[test]
    fn names_of_several_archives() {
        let mut bytes = archive(&[("a/b.ko", b"12345"), ("init", b"")]);
        bytes.extend(archive(&[("c", b"123")]));
        for piece in [1, 3, 7, 512, 4096] {
            let (names, end, between) = names(&bytes, piece);
            assert_eq!(names, [&b"a/b.ko"[..], b"init", b"c"]);
            assert_eq!((end, between), (None, true));
        }
        let (_, end, between) = names(&bytes[..150], 512);
        assert_eq!((end, between), (None, false));
    }

    #[test]
    fn what_is_no_archive_is_told_from_what_is_damaged() {
        let mut bytes = archive(&[("a", b"1")]);
        let len = bytes.len();
        bytes.extend(b"\x1f\x8b");
        assert_eq!(names(&bytes, 1 << 20).1, Some(Taken::Until(len)));
        let mut damaged = archive(&[("a", b"1")]);
        damaged[20] = b'x';
        assert_eq!(names(&damaged, 1 << 20).1, Some(Taken::Damaged(0)));
        assert_eq!(names(b"070707", 1).1, None);
    }

    #[test]
    fn names_that_are_too_long_and_contents_that_are_too_large_do_no_harm() {
        let mut bytes = b"070701".to_vec();
        bytes.extend([b'f'; 104]);
        bytes.extend([b'x'; 9000]);
        assert_eq!(names(&bytes, 512), (Vec::new(), None, false));
    }

    proptest! {
        #[test]
        fn any_bytes_end_the_same_in_any_pieces(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..600),
            changes in proptest::collection::vec((0usize..2000, any::<u8>()), 0..4),
            piece in 1usize..700,
            sound in any::<bool>(),
        ) {
            if sound {
                bytes = archive(&[("a/b.ko", &bytes), ("c", b"x")]);
            }
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let (whole, end, between) = names(&bytes, usize::MAX);
            let (other, other_end, other_between) = names(&bytes, piece);
            prop_assert_eq!(whole, other);
            prop_assert_eq!(end.is_some(), other_end.is_some());
            prop_assert_eq!(between, other_between);
        }
    }
}
