use super::{Bzip2, Decoder, Gzip, zstd};
use crate::facts::{Code, Compression};

/// How a file is packed, by its first bytes and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not packed in a way that is known.
    Plain,
    /// gzip, which DigitalOcean takes.
    Gzip,
    /// bzip2, which DigitalOcean takes.
    Bzip2,
    /// A way of packing that DigitalOcean refuses, and the anomaly that says so.
    Foreign(Compression, Code),
}

impl Packing {
    /// Its name in reports.
    #[must_use]
    pub fn compression(self) -> Compression {
        match self {
            Packing::Plain => Compression::None,
            Packing::Gzip => Compression::Gzip,
            Packing::Bzip2 => Compression::Bzip2,
            Packing::Foreign(compression, _) => compression,
        }
    }

    /// A decoder, for what DigitalOcean takes packed.
    #[must_use]
    pub fn decoder(self) -> Option<Box<dyn Decoder>> {
        match self {
            Packing::Gzip => Some(Box::new(Gzip::default())),
            Packing::Bzip2 => Some(Box::new(Bzip2::default())),
            Packing::Plain | Packing::Foreign(..) => None,
        }
    }

    /// What several packed streams in one file, and zeros after the last, are called.
    #[must_use]
    pub fn oddities(self) -> (Code, Code) {
        match self {
            Packing::Bzip2 => (Code::Bzip2MultipleStreams, Code::Bzip2TrailingZeros),
            _ => (Code::GzipMultipleMembers, Code::GzipTrailingZeros),
        }
    }
}

/// Size of a tar header block.
const TAR_BLOCK: usize = 512;

/// Recognises the packing of a file by its first bytes (512 are enough for all).
#[must_use]
pub fn sniff(head: &[u8]) -> Packing {
    use Compression as C;
    let magics: [(&[u8], Packing); 12] = [
        (b"\x1f\x8b", Packing::Gzip),
        (b"\xfd7zXZ\0", Packing::Foreign(C::Xz, Code::CompressionXz)),
        (b"\x28\xb5\x2f\xfd", Packing::Foreign(C::Zstd, Code::CompressionZstd)),
        (b"\x04\x22\x4d\x18", Packing::Foreign(C::Lz4, Code::CompressionLz4)),
        (b"\x02\x21\x4c\x18", Packing::Foreign(C::Lz4, Code::CompressionLz4)),
        (b"\x1f\x9d", Packing::Foreign(C::Compress, Code::CompressionCompress)),
        (b"PK\x03\x04", Packing::Foreign(C::Zip, Code::ArchiveZip)),
        (b"PK\x05\x06", Packing::Foreign(C::Zip, Code::ArchiveZip)),
        (b"PK\x07\x08", Packing::Foreign(C::Zip, Code::ArchiveZip)),
        (b"7z\xbc\xaf\x27\x1c", Packing::Foreign(C::SevenZip, Code::Archive7z)),
        (b"Rar!\x1a\x07", Packing::Foreign(C::Rar, Code::ArchiveRar)),
        (b"BZh", Packing::Bzip2),
    ];
    match magics.into_iter().find(|(magic, _)| head.starts_with(magic)) {
        // The digit is the block size; `BZh` and another character is text.
        Some((_, Packing::Bzip2)) if !matches!(head.get(3), Some(b'1'..=b'9')) => Packing::Plain,
        // Of some its header says already that it cannot be repacked on the way either.
        Some((_, Packing::Foreign(C::Zstd, usual))) => {
            Packing::Foreign(C::Zstd, zstd::refusal(head).unwrap_or(usual))
        }
        Some((_, packing)) => packing,
        None if is_skippable_zstd(head) => Packing::Foreign(C::Zstd, Code::CompressionZstd),
        None if is_tar(head) && holds_ovf(head) => Packing::Foreign(C::Tar, Code::ArchiveOva),
        None if is_tar(head) => Packing::Foreign(C::Tar, Code::ArchiveTar),
        None if is_lzma(head) => Packing::Foreign(C::Lzma, Code::CompressionLzma),
        None => Packing::Plain,
    }
}

/// A zstd file may begin with a skippable frame (RFC 8878, 3.1.2): pzstd writes them.
fn is_skippable_zstd(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// A tar header by its check sum, which also finds archives older than the `ustar` magic.
fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.get(..TAR_BLOCK) else { return false };
    let (before, rest) = block.split_at(148);
    let (stored, after) = rest.split_at(8);
    let Some(stored) = octal(stored) else { return false };
    // The check sum field itself counts as eight blanks.
    let sum: u32 = before.iter().chain(after).map(|&b| u32::from(b)).sum::<u32>() + 8 * 32;
    block[0] != 0 && stored == sum
}

fn octal(field: &[u8]) -> Option<u32> {
    let text: Vec<u8> = field.iter().copied().filter(|b| !matches!(b, 0 | b' ')).collect();
    u32::from_str_radix(std::str::from_utf8(&text).ok()?, 8).ok()
}

/// An OVA is a tar archive whose first member is the `.ovf` descriptor.
fn holds_ovf(head: &[u8]) -> bool {
    let name = head[..100].split(|&b| b == 0).next().unwrap_or_default();
    name.to_ascii_lowercase().ends_with(b".ovf")
}

/// The .lzma header has no magic: properties, dictionary size and unpacked size have to be sane.
fn is_lzma(head: &[u8]) -> bool {
    let &[0x5d, d0, d1, d2, d3, s0, s1, s2, s3, s4, s5, s6, s7, ..] = head else { return false };
    let dictionary = u32::from_le_bytes([d0, d1, d2, d3]);
    let size = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    (dictionary.is_power_of_two() && dictionary >= 4096 || dictionary == u32::MAX)
        && (size == u64::MAX || size < 1 << 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(name: &[u8], magic: bool) -> Vec<u8> {
        let mut block = vec![0u8; TAR_BLOCK];
        block[..name.len()].copy_from_slice(name);
        if magic {
            block[257..262].copy_from_slice(b"ustar");
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    #[test]
    fn knows_packing_by_content() {
        use Compression as C;
        let cases: [(&[u8], C); 9] = [
            (b"\x1f\x8b\x08", C::Gzip),
            (b"BZh9", C::Bzip2),
            (b"BZhello", C::None),
            (b"\xfd7zXZ\0", C::Xz),
            (b"\x28\xb5\x2f\xfd", C::Zstd),
            (b"\x52\x2a\x4d\x18\x04", C::Zstd),
            (b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0", C::Lzma),
            (b"]]]]]]]]]]]]]]]", C::None),
            (b"", C::None),
        ];
        for (head, expected) in cases {
            assert_eq!(sniff(head).compression(), expected, "{head:?}");
        }
    }

    #[test]
    fn knows_tar_with_and_without_magic_and_ova() {
        assert_eq!(
            sniff(&tar(b"disk.raw", true)),
            Packing::Foreign(Compression::Tar, Code::ArchiveTar)
        );
        assert_eq!(
            sniff(&tar(b"disk.raw", false)),
            Packing::Foreign(Compression::Tar, Code::ArchiveTar)
        );
        assert_eq!(
            sniff(&tar(b"box.OVF", true)),
            Packing::Foreign(Compression::Tar, Code::ArchiveOva)
        );
        assert_eq!(sniff(&[0; 512]), Packing::Plain);
    }
}
