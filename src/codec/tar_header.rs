//! One header block of a tar archive, and the records of pax.

use super::tar_sparse::{Fault, Sparse, SparseRecords};

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file.
    File,
    /// Something without data: a link, a folder, a device.
    Link,
    /// Something whose data is of no interest.
    Other,
    /// The name of the next member (GNU).
    LongName,
    /// The link's target of the next member (GNU).
    LongLink,
    /// Records of the next member (pax).
    Pax,
    /// Records of all members (pax).
    PaxGlobal,
    /// A file with holes that are not stored (GNU).
    Sparse,
    /// What nobody should guess at.
    Unknown,
}

impl Kind {
    fn of(flag: u8, name: &[u8]) -> Self {
        match flag {
            // Archives older than ustar mark folders by their name.
            0 | b'0' if name.ends_with(b"/") => Kind::Link,
            0 | b'0' | b'7' => Kind::File,
            b'1'..=b'6' => Kind::Link,
            b'L' => Kind::LongName,
            b'K' => Kind::LongLink,
            b'x' => Kind::Pax,
            b'g' => Kind::PaxGlobal,
            b'S' => Kind::Sparse,
            // A volume's label, a folder's listing, access lists and attributes of Solaris.
            b'V' | b'D' | b'A' | b'X' => Kind::Other,
            _ => Kind::Unknown,
        }
    }

    pub(super) fn is_extension(self) -> bool {
        matches!(self, Kind::LongName | Kind::LongLink | Kind::Pax | Kind::PaxGlobal)
    }
}

/// What a header block says.
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
    pub(super) size: u64,
    holes: Holes,
}

/// What a header of GNU tar says of a member with holes.
struct Holes {
    is_gnu: bool,
    /// The places of four pieces, and whether more of them follow in the next block.
    entries: Vec<u8>,
    extended: u8,
    size: Option<u64>,
}

impl Header {
    /// Reads a block of 512 bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(block: &[u8]) -> Result<Self, &'static str> {
        let field = |at: usize, len: usize| block.get(at..at + len).unwrap_or_default();
        match has_sum(block) {
            None => return Err("A tar header has no check sum."),
            Some(false) => return Err("The check sum of a tar header does not match."),
            Some(true) => {}
        }
        let mut name = text(field(0, 100)).to_vec();
        // GNU tar, which has two spaces after the magic, keeps times where ustar has a prefix.
        let prefix = text(field(345, 155));
        if field(257, 6) == b"ustar\0" && !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
        let flag = field(156, 1).first().copied().unwrap_or_default();
        let kind = Kind::of(flag, &name);
        let size = number(field(124, 12)).ok_or("A tar header has an invalid size.")?;
        // The size of a folder or a device is not that of data.
        let size = if matches!(flag, b'2'..=b'6') || kind == Kind::Link && flag != b'1' {
            0
        } else {
            size
        };
        let holes = Holes {
            is_gnu: field(257, 8) == b"ustar  \0",
            entries: field(386, 96).to_vec(),
            extended: field(482, 1).first().copied().unwrap_or_default(),
            size: number(field(483, 12)),
        };
        Ok(Header { kind, name, size, holes })
    }

    /// The map of a member with holes, as far as this block has it, and whether it goes on in the next one.
    pub(super) fn holes(&self) -> Result<(Sparse, bool), Fault> {
        if !self.holes.is_gnu {
            return Err(Fault::Unsupported("is stored sparsely in an unknown way"));
        }
        let size = self.holes.size.ok_or(Fault::Damaged("has holes and no size"))?;
        let mut sparse = Sparse::new(size);
        let more = sparse.add_entries(&self.holes.entries, self.holes.extended)?;
        Ok((sparse, more))
    }
}

/// Where the check sum is in a header.
const SUM: std::ops::Range<usize> = 148..156;

/// Whether the check sum of a header block is right; `None` if there is none. Old tar programs summed signed bytes, and GNU tar
/// and libarchive take either sum.
pub(super) fn has_sum(block: &[u8]) -> Option<bool> {
    let stored = check_sum(block.get(SUM)?)?;
    let (mut unsigned, mut signed) = (0, 0);
    for (at, &byte) in block.iter().enumerate() {
        // The check sum itself counts as spaces.
        let byte = if SUM.contains(&at) { b' ' } else { byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte as i8);
    }
    Some([unsigned, signed].contains(&stored))
}

/// Octal digits up to the first other byte. What is before and behind them is blank or NUL; GNU tar takes a NUL before them, and
/// libarchive digits that follow a blank.
fn check_sum(field: &[u8]) -> Option<i64> {
    let is_blank = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'7');
    let begin = field.iter().position(|byte| !is_blank(byte))?;
    let digits = field[begin..].iter().take_while(|byte| is_digit(byte));
    let valid = field.iter().all(|byte| is_blank(byte) || is_digit(byte));
    valid.then(|| digits.fold(0, |sum, digit| sum << 3 | i64::from(digit - b'0')))
}

fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number in octal, or in base 256 where its first bit says so (GNU); `None` if it is negative or no
/// number.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    match field {
        [0x80, rest @ ..] => rest
            .iter()
            .try_fold(0u64, |number, &byte| Some(number.checked_mul(256)? | u64::from(byte))),
        [first, ..] if *first >= 0x80 => None,
        _ => octal(field),
    }
}

/// Digits with spaces before them, and a space or NUL after them.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'7' => Some(number.checked_mul(8)? | u64::from(byte - b'0')),
        _ => None,
    })
}

/// What records of pax say of a member, as far as it matters where its data is.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    /// The name of a member with holes, which bears another one for programs that know no holes.
    pub(super) sparse_name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) sparse: Option<SparseRecords>,
}

impl Records {
    /// Whether they say anything of holes.
    pub(super) fn is_sparse(&self) -> bool {
        self.sparse.is_some() || self.sparse_name.is_some()
    }

    /// Takes over records: `LENGTH KEYWORD=VALUE` with a newline. `None` if they are not valid.
    pub(super) fn read(&mut self, mut text: &[u8]) -> Option<()> {
        // Some writers fill the block with NULs.
        while let Some(&first) = text.first()
            && first != 0
        {
            let space = text.iter().take(8).position(|&byte| byte == b' ')?;
            let len: usize = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
            let record = text.get(space + 1..len)?;
            text = text.get(len..)?;
            let (newline, record) = record.split_last()?;
            let equals = record.iter().position(|&byte| byte == b'=')?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            if *newline != b'\n' {
                return None;
            }
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
                b"SCHILY.realsize" => self.sparse.get_or_insert_default().refuse(),
                _ => {
                    if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                        self.sparse.get_or_insert_default().take(key, value)?;
                    }
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_kinds() {
        assert_eq!(number(b"00000000017\0"), Some(15));
        assert_eq!(number(b"  17        "), Some(15));
        assert_eq!(number(b"777777777777"), Some((1 << 36) - 1));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]), Some((2 << 32) + 1));
        assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(number(&[0xff; 12]), None);
        assert_eq!(number(b"12x00000000\0"), None);
        assert_eq!(number(b"-1         \0"), None);
    }

    #[test]
    fn records_are_read_or_refused() {
        let read = |text: &[u8]| {
            let mut records = Records::default();
            records.read(text).map(|()| records)
        };
        let records = read(b"17 path=disk.raw\n20 size=12345678901\n").unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"disk.raw"[..]));
        assert_eq!(records.size, Some(12_345_678_901));
        assert!(read(b"22 GNU.sparse.major=1\n\0\0").unwrap().sparse.is_some());
        assert!(read(b"22 GNU.sparse.major=x\n\0\0").is_none());
        for text in [
            &b"9 path=x"[..],
            b"99 path=x\n",
            b"x path=x\n",
            b"3 =\n",
            b"0 path=x\n",
            b"10 size=-1\n",
        ] {
            assert!(read(text).is_none(), "{:?}", Hostile(text));
        }
    }

    #[derive(Debug)]
    #[allow(dead_code)] // shown when a test fails
    struct Hostile<'a>(&'a [u8]);
}
