//! Marks that are too short to stand alone: the fields behind them have to be such as their readers take, since boot code
//! may begin with any two bytes.
//!
//! The rules are those of the most lenient well-known reader: gzip 1.12 (`gzip.c`, `unpack.c`, `unlzh.c`), ncompress, pigz, xz
//! 5.4 (`is_format_lzma` in `coder.c`), libarchive 3.6 and 7-Zip.

/// Whether gzip takes what is behind its two bytes (RFC 1952, 2.3): deflate, and no reserved flag.
fn is_gzip(head: &[u8]) -> bool {
    matches!(head, [_, _, 8, flags, ..] if flags & 0xe0 == 0)
}

/// gzip, by the mark of today or by that of before version 0.6.
pub(super) fn gzip(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b") && is_gzip(head)
}

pub(super) fn old_gzip(head: &[u8]) -> Option<usize> {
    (head.starts_with(b"\x1f\x9e") && is_gzip(head)).then_some(0)
}

/// compress: from 9 to 16 bits, and no reserved flag (`compress.h` of ncompress).
pub(super) fn compress(head: &[u8]) -> bool {
    matches!(head, [0x1f, 0x9d, bits, ..] if bits & 0x60 == 0 && (9..=16).contains(&(bits & 0x1f)))
}

/// pack: a size, and how many leaves its tree has on each level, of which there is room for so many.
pub(super) fn pack(head: &[u8]) -> Option<usize> {
    const MOST_LEVELS: u8 = 25;
    const LITERALS: u32 = 256;
    let [0x1f, 0x1e, _, _, _, _, levels, leaves @ ..] = head else { return None };
    let leaves = leaves.get(..usize::from(*levels)).filter(|_| *levels <= MOST_LEVELS)?;
    let (mut room, mut all) = (1u32, 0);
    for (level, &count) in (1..).zip(leaves) {
        // One leaf of the last level is the end.
        let last = u32::from(level == *levels);
        room = (room.checked_sub(last + u32::from(count))? + last) * 2 + 1;
        all += u32::from(count);
    }
    (*levels > 0 && all < LITERALS).then_some(0)
}

/// LZH as SCO's compress wrote it: a block that is not empty, and a first table of code lengths that make a full tree.
pub(super) fn lzh(head: &[u8]) -> Option<usize> {
    const SYMBOLS: usize = 19;
    const LONGEST: u32 = 16;
    let mut bits = Bits { bytes: head.strip_prefix(b"\x1f\xa0")?, at: 0 };
    let size = bits.take(16)?;
    let count = bits.take(5)? as usize;
    let is_full = if count == 0 {
        bits.take(5)? < SYMBOLS as u32
    } else {
        let (mut index, mut sum) = (0, 0u32);
        while index < count {
            let mut length = bits.take(3)?;
            while (7..=LONGEST).contains(&length) && bits.take(1)? == 1 {
                length += 1;
            }
            if length > LONGEST {
                return None;
            }
            if length > 0 {
                sum += 1 << (LONGEST - length);
            }
            index += 1;
            // Where the symbols of runs end.
            if index == 3 {
                index += bits.take(2)? as usize;
            }
        }
        index <= SYMBOLS && sum == 1 << LONGEST
    };
    (size > 0 && is_full).then_some(0)
}

/// Bits of bytes, the highest first.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}

/// A zlib stream (RFC 1950): deflate with any window, no dictionary, and data that can be decompressed as far as it is there.
pub(super) fn zlib(head: &[u8]) -> Option<usize> {
    let start = u16::from_be_bytes(*head.first_chunk()?);
    if start & 0x8f20 != 0x0800 || !start.is_multiple_of(31) {
        return None;
    }
    let mut inflate = flate2::Decompress::new(true);
    let mut output = vec![0; 1 << 16];
    let status = inflate.decompress(head, &mut output, flate2::FlushDecompress::None);
    (status.is_ok() && inflate.total_out() > 0).then_some(0)
}

/// The header of .lzma has no mark: literal and position bits that go together, a dictionary of 2^n or 2^n + 2^(n-1) bytes,
/// and less than 256 GiB or no size.
pub(super) fn lzma(head: &[u8]) -> Option<usize> {
    const MOST: u64 = 1 << 38;
    let (&[properties, d0, d1, d2, d3], rest) = head.split_first_chunk()?;
    let size = u64::from_le_bytes(*rest.first_chunk()?);
    let dictionary = u32::from_le_bytes([d0, d1, d2, d3]);
    let (context, position) = (properties % 9, properties % 45 / 9);
    let is_usual = dictionary.is_power_of_two()
        || dictionary.is_multiple_of(3) && (dictionary / 3).is_power_of_two()
        || dictionary == u32::MAX;
    let fits = properties < 225 && context + position <= 4 && is_usual;
    (fits && (size == u64::MAX || size < MOST)).then_some(0)
}

/// cpio of before there was text in its headers, in either byte order: a name of a length that can be.
pub(super) fn binary_cpio(head: &[u8]) -> Option<usize> {
    const LONGEST: u16 = 1024;
    let length = *head.get(20..)?.first_chunk()?;
    let length = match head {
        [0xc7, 0x71, ..] => u16::from_le_bytes(length),
        [0x71, 0xc7, ..] => u16::from_be_bytes(length),
        _ => return None,
    };
    (1..=LONGEST).contains(&length).then_some(0)
}

/// arj: the lengths of its main header, and its type.
pub(super) fn arj(head: &[u8]) -> Option<usize> {
    let &[0x60, 0xea, l0, l1, first, _, _, _, _, _, 2, ..] = head else { return None };
    let length = u16::from_le_bytes([l0, l1]);
    (first >= 30 && (30..=2600).contains(&length) && u16::from(first) <= length).then_some(0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::oracle;
    use super::*;

    #[test]
    fn streams_that_gzip_decompresses_are_known() {
        let packed = b"\x1f\x1e\0\0\0\x04\x01\0a\x08";
        let old = b"\x1f\x9e\x08\0\0\0\0\0\0\x03\x4b\x04\0\x43\xbe\xb7\xe8\x01\0\0\0";
        // One block of three characters, of tables with one symbol each.
        let lzh: &[u8] = b"\x1f\xa0\0\x03\0\0\x06\x10\0\0\0\0\0";
        assert_eq!((pack(packed), old_gzip(old), self::lzh(lzh)), (Some(0), Some(0), Some(0)));
        let unpacked = |input: &[u8]| oracle("gzip", &["-dc"], input);
        assert!(unpacked(packed).is_none_or(|bytes| bytes == b"aaaa"));
        assert!(unpacked(old).is_none_or(|bytes| bytes == b"a"));
        assert!(unpacked(lzh).is_none_or(|bytes| bytes == b"aaa"));
    }

    #[test]
    fn boot_code_is_no_stream() {
        type Rule = fn(&[u8]) -> Option<usize>;
        let rules: [Rule; 8] =
            [old_gzip, pack, lzh, zlib, lzma, binary_cpio, arj, |head| gzip(head).then_some(0)];
        for head in [
            &b"\x1f\x9e\xfa\x31\xc0\x8e\xd8"[..],
            b"\x1f\x9e\x08\x40",
            b"\x1f\x1e\xfa\x31\xc0\x8e\xd8\xbc\0\x7c",
            b"\x1f\x1e\0\0\0\x04\x01\x02a",
            b"\x1f\x1e\0\0\0\x04\0",
            b"\x1f\xa0\0\0\x40\0",
            b"\x1f\xa0\x12\x34\xfa\x31\xc0\x8e\xd8",
            b"\x78\x9c\xff\xff\x31\xc0",
            b"\x78\x9d",
            b"\x5d\0\0\x80\0\0\0\0\0\0\x01\0\0",
            b"\x5d\0\0\x80\0\0\0\0\0\x40\0\0\0",
            b"\x28\0\0\x80\0\0\0\0\0\0\0\0\0",
            b"\x5d\x01\0\x80\0\0\0\0\0\0\0\0\0",
            b"]]]]]]]]]]]]]]]",
            b"\xc7\x71\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x60\xea\x1d\0\x1e\0\0\0\0\0\x02",
            b"\x33\xc0\x8e\xd0\xbc\x00\x7c\x8e\xc0\x8e\xd8\xbe\x00\x7c",
            b"\xeb\x63\x90\x10\x8e\xd0\xbc\x00\xb0\xb8\0\0\x8e\xd8\x8e\xc0",
            b"",
        ] {
            let mut sector = head.to_vec();
            sector.resize(512, 0);
            let found = |head: &[u8]| rules.iter().any(|rule| rule(head).is_some());
            assert!(!found(head) && (head.len() < 4 || !found(&sector)), "{head:02x?}");
        }
        assert_eq!(lzma(&[0; 512]), None);
    }

    #[test]
    fn every_kind_of_lzma_header_that_xz_takes_is_known() {
        let header = |properties: u8, dictionary: u32, size: u64| {
            [&[properties][..], &dictionary.to_le_bytes(), &size.to_le_bytes(), &[0; 5]].concat()
        };
        for (properties, dictionary, size) in [
            (0x5d, 1 << 23, u64::MAX),
            (0x5e, 1 << 23, 65),
            (0x5d, 48 << 20, 65),
            (0, 1, 0),
            (0xe0 - 8, u32::MAX, (1 << 38) - 1),
        ] {
            assert_eq!(lzma(&header(properties, dictionary, size)), Some(0), "{properties:#x}");
        }
        // Four bits of each kind, and one number behind the last of the properties.
        assert_eq!(lzma(&header(4 * 9 + 4, 1 << 23, 0)), None);
        assert_eq!(lzma(&header(225, 1 << 23, 0)), None);
    }
}
