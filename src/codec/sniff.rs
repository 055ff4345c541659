use super::tar_header::has_sum;
use super::{Bzip2, Decoder, Gzip, Index, ParallelGzip, Threads, weak, zstd};
use crate::facts::{Code, Compression, Known, Mark};

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

    /// The packing of this name, of those that DigitalOcean takes.
    #[must_use]
    pub fn of(compression: Compression) -> Self {
        match compression {
            Compression::Gzip => Packing::Gzip,
            Compression::Bzip2 => Packing::Bzip2,
            _ => Packing::Plain,
        }
    }

    /// A decoder, for what DigitalOcean takes packed. It may use so many threads, count zeros instead of writing them
    /// ([`Step::zeros`](super::Step::zeros)), and note in an index where it can go on.
    #[must_use]
    pub fn decoder(self, threads: &Threads, index: Option<&Index>) -> Option<Box<dyn Decoder>> {
        match self {
            Packing::Gzip if threads.count() > 1 => {
                Some(Box::new(ParallelGzip::new(threads.count()).marking(index)))
            }
            Packing::Gzip => Some(Box::new(Gzip::default().sparse().marking(index))),
            Packing::Bzip2 => Some(Box::new(Bzip2::new(threads).sparse().marking(index))),
            Packing::Plain | Packing::Foreign(..) => None,
        }
    }

    /// What several packed streams in one file, zeros after the last, and bytes that belong to nothing are called.
    #[must_use]
    pub fn oddities(self) -> [Code; 3] {
        use Code::{
            Bzip2MultipleStreams, Bzip2TrailingGarbage, Bzip2TrailingZeros, GzipMultipleMembers,
            GzipTrailingGarbage, GzipTrailingZeros,
        };
        match self {
            Packing::Bzip2 => [Bzip2MultipleStreams, Bzip2TrailingZeros, Bzip2TrailingGarbage],
            _ => [GzipMultipleMembers, GzipTrailingZeros, GzipTrailingGarbage],
        }
    }
}

/// Size of a tar header block.
const TAR_BLOCK: usize = 512;

const LIBMAGIC: &str = "libmagic";

const fn foreign(compression: Compression, code: Code) -> Packing {
    Packing::Foreign(compression, code)
}

const OTHER: Packing = foreign(Compression::Other, Code::CompressionOther);
const ARCHIVE: Packing = foreign(Compression::Other, Code::ArchiveOther);

/// Every way of packing and every archive that is known by its first 512 bytes. Of a file that bears
/// several of these marks the first one counts.
pub const PACKINGS: &[Known<Packing>] = &[
    Known::new("gzip", LIBMAGIC, &[Mark::At(0, b"\x1f\x8b")], Packing::Gzip),
    Known::new(
        "xz",
        LIBMAGIC,
        &[Mark::At(0, b"\xfd7zXZ\0")],
        foreign(Compression::Xz, Code::CompressionXz),
    ),
    Known::new(
        "Zstandard",
        LIBMAGIC,
        &[
            Mark::At(0, b"\x28\xb5\x2f\xfd"),
            Mark::Rule("a skippable frame: 5x 2a 4d 18 at 0", skippable_zstd),
        ],
        foreign(Compression::Zstd, Code::CompressionZstd),
    ),
    Known::new(
        "lz4",
        LIBMAGIC,
        &[
            Mark::At(0, b"\x04\x22\x4d\x18"),
            Mark::At(0, b"\x03\x21\x4c\x18"),
            Mark::At(0, b"\x02\x21\x4c\x18"),
        ],
        foreign(Compression::Lz4, Code::CompressionLz4),
    ),
    Known::new(
        "compress (.Z)",
        LIBMAGIC,
        &[Mark::At(0, b"\x1f\x9d")],
        foreign(Compression::Compress, Code::CompressionCompress),
    ),
    Known::new(
        "a zip archive",
        LIBMAGIC,
        &[
            Mark::At(0, b"PK\x03\x04"),
            Mark::At(0, b"PK\x05\x06"),
            Mark::At(0, b"PK\x07\x08"),
            Mark::At(0, b"PK00PK\x03\x04"),
        ],
        foreign(Compression::Zip, Code::ArchiveZip),
    ),
    Known::new(
        "a 7z archive",
        LIBMAGIC,
        &[Mark::At(0, b"7z\xbc\xaf\x27\x1c")],
        foreign(Compression::SevenZip, Code::Archive7z),
    ),
    Known::new(
        "a rar archive",
        LIBMAGIC,
        &[Mark::At(0, b"Rar!\x1a\x07"), Mark::At(0, b"RE~^")],
        foreign(Compression::Rar, Code::ArchiveRar),
    ),
    Known::new(
        "bzip2",
        LIBMAGIC,
        &[Mark::Rule("BZh and a digit from 1 to 9 at 0", bzip2)],
        Packing::Bzip2,
    ),
    Known::new(
        "an OVA archive",
        LIBMAGIC,
        &[Mark::Rule("a tar header whose member is called *.ovf", ova)],
        foreign(Compression::Tar, Code::ArchiveOva),
    ),
    Known::new(
        "a tar archive",
        LIBMAGIC,
        &[Mark::Rule("the check sum of a tar header at 148", tar), Mark::At(257, b"ustar")],
        foreign(Compression::Tar, Code::ArchiveTar),
    ),
    Known::new(
        "lzma",
        LIBMAGIC,
        &[Mark::Rule(
            "properties, dictionary and size of a .lzma header at 0, as xz takes them",
            weak::lzma,
        )],
        foreign(Compression::Lzma, Code::CompressionLzma),
    ),
    Known::new(
        "lzip",
        LIBMAGIC,
        &[Mark::At(0, b"LZIP")],
        foreign(Compression::Lzip, Code::CompressionLzip),
    ),
    Known::new(
        "lzop",
        LIBMAGIC,
        &[Mark::At(0, b"\x89LZO\0\r\n\x1a\n")],
        foreign(Compression::Lzop, Code::CompressionLzop),
    ),
    Known::new(
        "lrzip",
        LIBMAGIC,
        &[Mark::At(0, b"LRZI")],
        foreign(Compression::Lrzip, Code::CompressionLrzip),
    ),
    Known::new("rzip", LIBMAGIC, &[Mark::At(0, b"RZIP")], OTHER),
    Known::new("framed snappy", LIBMAGIC, &[Mark::At(0, b"\xff\x06\0\0sNaPpY")], OTHER),
    Known::new("bzip3", LIBMAGIC, &[Mark::At(0, b"BZ3v1")], OTHER),
    Known::new(
        "LZFSE",
        LIBMAGIC,
        &[Mark::At(0, b"bvx-"), Mark::At(0, b"bvx1"), Mark::At(0, b"bvx2"), Mark::At(0, b"bvxn")],
        OTHER,
    ),
    Known::new("qpress", LIBMAGIC, &[Mark::At(0, b"qpress10")], OTHER),
    Known::new("kanzi", LIBMAGIC, &[Mark::At(0, b"KANZ")], OTHER),
    Known::new("ZXC", LIBMAGIC, &[Mark::At(0, b"\xf5\x2e\xb0\x9c")], OTHER),
    Known::new("xpk", LIBMAGIC, &[Mark::At(0, b"XPKF")], OTHER),
    Known::new("PowerPacker", LIBMAGIC, &[Mark::At(0, b"PP20"), Mark::At(0, b"PP11")], OTHER),
    Known::new("UCL", LIBMAGIC, &[Mark::At(0, b"\0\xe9UCL\xff\x01\x1a")], OTHER),
    Known::new(
        "a Zstandard of before version 0.8",
        LIBMAGIC,
        &[Mark::Rule("1e or 22 to 27 at 0, then b5 2f fd; fd 2f b5 1e at 0", old_zstd)],
        OTHER,
    ),
    Known::new("a Zstandard dictionary", LIBMAGIC, &[Mark::At(0, b"\x37\xa4\x30\xec")], OTHER),
    Known::new(
        "a cpio archive",
        LIBMAGIC,
        &[
            Mark::At(0, b"070701"),
            Mark::At(0, b"070702"),
            Mark::At(0, b"070707"),
            Mark::At(0, b"070727"),
            Mark::Rule("c7 71 or 71 c7 at 0, and the length of a name at 20", weak::binary_cpio),
        ],
        foreign(Compression::Cpio, Code::ArchiveCpio),
    ),
    Known::new(
        "an ar archive or a Debian package",
        LIBMAGIC,
        &[
            Mark::At(0, b"!<arch>\n"),
            Mark::At(0, b"!<thin>\n"),
            Mark::At(0, b"<ar>"),
            Mark::At(0, b"<bigaf>\n"),
            Mark::At(0, b"<aiaff>\n"),
        ],
        foreign(Compression::Ar, Code::ArchiveAr),
    ),
    Known::new(
        "an RPM package",
        LIBMAGIC,
        &[Mark::At(0, b"\xed\xab\xee\xdb")],
        foreign(Compression::Rpm, Code::ArchiveRpm),
    ),
    Known::new(
        "a cabinet file",
        LIBMAGIC,
        &[Mark::At(0, b"MSCF")],
        foreign(Compression::Cab, Code::ArchiveCab),
    ),
    Known::new(
        "a xar archive",
        LIBMAGIC,
        &[Mark::At(0, b"xar!")],
        foreign(Compression::Xar, Code::ArchiveXar),
    ),
    Known::new(
        "a Windows Imaging file",
        LIBMAGIC,
        &[Mark::At(0, b"MSWIM\0\0\0"), Mark::At(0, b"WLPWM\0\0\0")],
        foreign(Compression::Wim, Code::ArchiveWim),
    ),
    Known::new(
        "a zpaq archive",
        LIBMAGIC,
        &[Mark::At(0, b"zPQ\x01"), Mark::At(0, b"zPQ\x02"), Mark::At(0, b"7kSt")],
        ARCHIVE,
    ),
    Known::new(
        "an lha archive",
        LIBMAGIC,
        &[Mark::Rule("-lh?-, -lz?- or -pm?- at 2", lha)],
        ARCHIVE,
    ),
    Known::new("an ace archive", LIBMAGIC, &[Mark::At(7, b"**ACE**")], ARCHIVE),
    Known::new("a zoo archive", LIBMAGIC, &[Mark::At(20, b"\xdc\xa7\xc4\xfd")], ARCHIVE),
    Known::new("a FreeArc archive", LIBMAGIC, &[Mark::At(0, b"ArC\x01")], ARCHIVE),
    Known::new("an ALZ archive", LIBMAGIC, &[Mark::At(0, b"ALZ\x01")], ARCHIVE),
    Known::new("an EGG archive", LIBMAGIC, &[Mark::At(0, b"EGGA")], ARCHIVE),
    Known::new(
        "a StuffIt archive",
        LIBMAGIC,
        &[Mark::At(0, b"SIT!"), Mark::At(0, b"StuffIt ")],
        ARCHIVE,
    ),
    Known::new("an InstallShield cabinet", LIBMAGIC, &[Mark::At(0, b"ISc(")], ARCHIVE),
    Known::new("a KGB archive", LIBMAGIC, &[Mark::At(0, b"KGB_arch")], ARCHIVE),
    Known::new("an MPQ archive", LIBMAGIC, &[Mark::At(0, b"MPQ\x1a")], ARCHIVE),
    Known::new("a Chrome extension", LIBMAGIC, &[Mark::At(0, b"Cr24")], ARCHIVE),
    Known::new(
        "a NuFX archive",
        LIBMAGIC,
        &[Mark::At(0, b"N\xf5F\xe9l\xe5"), Mark::At(0, b"N\xc3\xb5F\xc3\xa9lx\xc3\xa5")],
        ARCHIVE,
    ),
    Known::new("a DPA archive", LIBMAGIC, &[Mark::At(0, b"Dirk Paehl")], ARCHIVE),
    Known::new("an EXP1 archive", LIBMAGIC, &[Mark::At(0, b"0123456789012345BZh")], ARCHIVE),
    Known::new(
        "a SAPCAR archive",
        LIBMAGIC,
        &[Mark::At(0, b"# CAR archive header"), Mark::At(0, b"CAR 2.00"), Mark::At(0, b"CAR 2.01")],
        ARCHIVE,
    ),
    Known::new("an ARS-Sfx archive", LIBMAGIC, &[Mark::At(1, b"(C) STEPANYUK")], ARCHIVE),
    Known::new("an LBR archive", LIBMAGIC, &[Mark::At(0, b"\0           \0\0")], ARCHIVE),
    Known::new(
        "a LyNX archive",
        LIBMAGIC,
        &[Mark::At(56, b"USE LYNX TO DISSOLVE THIS FILE")],
        ARCHIVE,
    ),
    Known::new("a Unison archive", LIBMAGIC, &[Mark::At(0, b"Unison archive format")], ARCHIVE),
    Known::new(
        "a packed file of Microsoft's MDIF",
        LIBMAGIC,
        &[Mark::At(0, b"MDIF\x1a\0\x08\0\0\0\xfa\x26\x40\x7d\x01\0\x01\x1e\x01\0")],
        ARCHIVE,
    ),
    Known::new("an archive of web pages", LIBMAGIC, &[Mark::At(0, b"filedesc://")], ARCHIVE),
    Known::new(
        "a gzip of before version 0.6",
        "gzip",
        &[Mark::Rule("1f 9e 08 at 0, then no reserved flag", weak::old_gzip)],
        OTHER,
    ),
    Known::new(
        "pack (.z)",
        "gzip, libmagic",
        &[Mark::Rule("1f 1e at 0, and at 6 the leaves of a tree that can be", weak::pack)],
        OTHER,
    ),
    Known::new(
        "an LZH stream",
        "gzip, libmagic",
        &[Mark::Rule("1f a0 at 0, then a block and the lengths of a full tree", weak::lzh)],
        OTHER,
    ),
    Known::new(
        "a zlib stream",
        "pigz, libmagic",
        &[Mark::Rule("a header of zlib at 0, then data that can be decompressed", weak::zlib)],
        foreign(Compression::Other, Code::CompressionZlib),
    ),
    Known::new(
        "an arj archive",
        "7-Zip, libmagic",
        &[Mark::Rule("60 ea at 0, then the lengths and the type of a main header", weak::arj)],
        ARCHIVE,
    ),
    Known::new("PPMd", "7-Zip, libmagic", &[Mark::At(0, b"\x8f\xaf\xac\x84")], OTHER),
    Known::new("grzip", "libarchive", &[Mark::At(0, b"GRZipII\0\x02\x04:)")], OTHER),
    Known::new(
        "a uuencoded file",
        "libarchive, libmagic",
        &[
            Mark::At(0, b"begin-base64 "),
            Mark::Rule("begin, a blank and three octal digits at 0", uuencoded),
        ],
        OTHER,
    ),
    Known::new(
        "a list of files (mtree)",
        "libarchive, libmagic",
        &[Mark::At(0, b"#mtree")],
        ARCHIVE,
    ),
    Known::new("a web archive (WARC)", "libarchive, libmagic", &[Mark::At(0, b"WARC/")], ARCHIVE),
    Known::new("an Android backup", LIBMAGIC, &[Mark::At(0, b"ANDROID BACKUP\n")], ARCHIVE),
];

/// Recognises the packing of a file by its first bytes (512 are enough for all).
#[must_use]
pub fn sniff(head: &[u8]) -> Packing {
    match PACKINGS.iter().find(|known| known.find(head).is_some()).map(|known| known.is) {
        // Of some its header says already that it cannot be repacked on the way either.
        Some(Packing::Foreign(Compression::Zstd, usual)) => {
            Packing::Foreign(Compression::Zstd, zstd::refusal(head).unwrap_or(usual))
        }
        Some(packing) => packing,
        None => Packing::Plain,
    }
}

/// Whether a program for this packing would decompress a disk that begins like this. A file that begins with the two bytes of gzip
/// or compress was meant to be one; boot code may begin with any two bytes.
#[must_use]
pub fn would_unpack(packing: Packing, first: &[u8]) -> bool {
    match packing {
        Packing::Gzip => weak::gzip(first),
        Packing::Foreign(Compression::Compress, _) => weak::compress(first),
        _ => true,
    }
}

/// What the packing of a file that begins like this is called, with its article.
#[must_use]
pub fn packing_name(head: &[u8]) -> Option<&'static str> {
    PACKINGS.iter().find(|known| known.find(head).is_some()).map(|known| known.what)
}

fn first(found: bool) -> Option<usize> {
    found.then_some(0)
}

/// The digit is the block size; `BZh` and another character is text.
fn bzip2(head: &[u8]) -> Option<usize> {
    first(matches!(head, [b'B', b'Z', b'h', b'1'..=b'9', ..]))
}

fn skippable_zstd(head: &[u8]) -> Option<usize> {
    first(is_skippable_zstd(head))
}

fn old_zstd(head: &[u8]) -> Option<usize> {
    first(matches!(head, [0x22..=0x27, 0xb5, 0x2f, 0xfd, ..]))
}

/// A tar header by its check sum, which also finds archives older than the `ustar` magic.
fn tar(head: &[u8]) -> Option<usize> {
    first(head.get(..TAR_BLOCK).and_then(has_sum) == Some(true))
}

fn ova(head: &[u8]) -> Option<usize> {
    tar(head).filter(|_| holds_ovf(head))
}

fn uuencoded(head: &[u8]) -> Option<usize> {
    let mode = head.strip_prefix(b"begin ")?;
    first(matches!(mode, [b'0'..=b'7', b'0'..=b'7', b'0'..=b'7', b' ', ..]))
}

fn lha(head: &[u8]) -> Option<usize> {
    let kind = head.get(2..7)?;
    matches!(kind, [b'-', b'l', b'h' | b'z', _, b'-'] | [b'-', b'p', b'm', _, b'-']).then_some(2)
}

/// A zstd file may begin with a skippable frame (RFC 8878, 3.1.2): pzstd writes them.
fn is_skippable_zstd(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// An OVA is a tar archive whose first member is the `.ovf` descriptor.
fn holds_ovf(head: &[u8]) -> bool {
    let name = head[..100].split(|&b| b == 0).next().unwrap_or_default();
    name.to_ascii_lowercase().ends_with(b".ovf")
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
