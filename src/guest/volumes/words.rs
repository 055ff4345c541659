//! UUIDs and labels, as libblkid writes them.

use crate::bytes::hex;

/// A UUID in lower case; `None` if it is all zeros.
pub(super) fn uuid(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = bytes.first_chunk()?;
    let [a, b, c, d, e] = [0..4, 4..6, 6..8, 8..10, 10..16].map(|range| hex(&bytes[range]));
    (*bytes != [0; 16]).then(|| format!("{a}-{b}-{c}-{d}-{e}"))
}

/// The serial number of a FAT or exFAT volume.
pub(super) fn serial(bytes: &[u8]) -> Option<String> {
    let number = u32::from_le_bytes(*bytes.first_chunk()?);
    (number != 0).then(|| format!("{:04X}-{:04X}", number >> 16, number & 0xffff))
}

/// A label that ends at the first NUL, without blanks around it; `None` if nothing is left.
pub(super) fn label(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    Some(bytes[..end].trim_ascii().to_vec()).filter(|label| !label.is_empty())
}

/// UTF-16 up to the first NUL, as UTF-8; what is no character is replaced.
pub(in crate::guest) fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).take_while(|&u| u != 0);
    let chars = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    chars.collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_written_as_libblkid_does() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(uuid(&bytes).unwrap(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!((uuid(&[0; 16]), uuid(&[1; 15])), (None, None));
        assert_eq!(serial(&[0x0d, 0xf0, 0xad, 0x0b]).unwrap(), "0BAD-F00D");
        assert_eq!(label(b" root \0x").unwrap(), b"root");
        assert_eq!(label(b"  \0"), None);
        assert_eq!(utf16(b"r\0\xfc\0\0\0x\0", u16::from_le_bytes), "rü".as_bytes());
        assert_eq!(utf16(b"\xd8\0\0x", u16::from_be_bytes), "\u{fffd}x".as_bytes());
    }
}
