use super::{Row, Severity::*, judged, physics, repairable};
use crate::facts::Code;

const RFC_1952: &str = "RFC 1952, 2.3.1";
const BZIP2: &str = "bzip2 file format: block and stream check sums, end-of-stream mark";
const TAKEN: &str =
    "DigitalOcean API, create a custom image: an image may be compressed with gzip or bzip2";
const NO_ARCHIVE: &str = "DigitalOcean API, create a custom image: gzip or bzip2 only; imports of tar.gz and OVA files failed (doctl issue 671, packer issue 7848)";

const GZIP_AGAIN: &str = "Fetch the file again and test it: `gzip -t FILE`. If it is damaged at its origin too, pack the image again.";
const BZIP2_AGAIN: &str = "Fetch the file again and test it: `bzip2 -t FILE`. If it is damaged at its origin too, pack the image again.";
const XZ: &str = "the .xz file format, 1.2.1";
const RFC_8878: &str = "RFC 8878, 3.1.1";
const TAR: &str =
    "POSIX.1-2024, pax: ustar and pax interchange formats; GNU tar manual, basic tar format";

const XZ_AGAIN: &str = "Fetch the file again and test it: `xz -t FILE`. If it is damaged at its origin too, pack the image again.";
const ZSTD_AGAIN: &str = "Fetch the file again and test it: `zstd -t FILE`. If it is damaged at its origin too, pack the image again.";
const TAR_AGAIN: &str = "Fetch the file again and look at it: `tar -tvf FILE`. If it is damaged at its origin too, pack the image again.";
const GZIP_REPACK: &str = "Repack it: `gzip -dc FILE | gzip > new.gz`.";
const BZIP2_REPACK: &str = "Repack it with gzip: `bzip2 -dc FILE | gzip > disk.img.gz`.";

pub(super) const ROWS: &[Row] = &[
    physics(
        Code::GzipHeaderInvalid,
        "a gzip header is invalid",
        "The file begins like gzip, but a header in it has values that no gzip tool writes. DigitalOcean would fail to decompress it.",
        GZIP_AGAIN,
        RFC_1952,
    ),
    physics(
        Code::GzipTruncated,
        "the gzip file is cut off",
        "The file ends before its compressed data does, so the end of the image is missing. Mostly a download, a copy or a build was interrupted, or the disk was full.",
        GZIP_AGAIN,
        RFC_1952,
    ),
    physics(
        Code::GzipDamaged,
        "the gzip data is damaged",
        "The compressed data makes no sense from some byte on; the rest of the image cannot be had. DigitalOcean would fail to decompress it.",
        GZIP_AGAIN,
        "RFC 1951, 3.2",
    ),
    physics(
        Code::GzipCrcMismatch,
        "the gzip check sum does not match",
        "The data unpacks, but it is not what was packed: bytes changed on the way. The disk would be corrupt in some place.",
        GZIP_AGAIN,
        "RFC 1952, 2.3.1, CRC32",
    ),
    physics(
        Code::GzipSizeMismatch,
        "the gzip length does not match",
        "The length noted at the end of the gzip data is not that of the unpacked data. Something was lost or added on the way.",
        GZIP_AGAIN,
        "RFC 1952, 2.3.1, ISIZE",
    ),
    judged(
        Code::GzipTrailingZeros,
        Warn,
        "zero bytes after the gzip data",
        "The compressed data is whole; padding follows it, as tapes and block devices leave it. The gzip tool skips it; other readers may take it for damage.",
        GZIP_REPACK,
        "RFC 1952, 2.2: a file is a series of members and nothing else",
    ),
    physics(
        Code::GzipTrailingGarbage,
        "foreign bytes after the gzip data",
        "After the compressed data come bytes that belong to no gzip member. They may be the remains of a larger file, or something appended by mistake; readers may stop or fail there.",
        "Find out where the bytes come from. Test it, `gzip -t FILE`, and if it complains of nothing else, repack it: `gzip -dc FILE | gzip > new.gz`.",
        "RFC 1952, 2.2: a file is a series of members and nothing else",
    ),
    judged(
        Code::GzipMultipleMembers,
        Note,
        "the gzip file has several members",
        "That is valid, and every gzip tool joins them; bgzip writes such files, and so does joining them with cat. A reader that stops after the first one would get a disk that is too short.",
        "Nothing has to be done. To have one member: `gzip -dc FILE | gzip > new.gz`.",
        "RFC 1952, 2.2",
    ),
    physics(
        Code::Bzip2Truncated,
        "the bzip2 file is cut off",
        "The file ends before its compressed data does, so the end of the image is missing. Mostly a download, a copy or a build was interrupted, or the disk was full.",
        BZIP2_AGAIN,
        BZIP2,
    ),
    physics(
        Code::Bzip2Damaged,
        "the bzip2 data is damaged",
        "A block cannot be unpacked, or its check sum does not match. DigitalOcean would fail to decompress it.",
        BZIP2_AGAIN,
        BZIP2,
    ),
    judged(
        Code::Bzip2TrailingZeros,
        Warn,
        "zero bytes after the bzip2 data",
        "The compressed data is whole; padding follows it. The bzip2 tool skips it with a warning; other readers may take it for damage.",
        BZIP2_REPACK,
        "bzip2(1): trailing garbage after EOF ignored",
    ),
    physics(
        Code::Bzip2TrailingGarbage,
        "foreign bytes after the bzip2 data",
        "After the compressed data come bytes that belong to no bzip2 stream. They may be the remains of a larger file, or something appended by mistake; readers may stop or fail there.",
        "Find out where the bytes come from. Test it, `bzip2 -t FILE`, and if it complains of nothing else, repack it: `bzip2 -dc FILE | gzip > disk.img.gz`.",
        "bzip2(1): trailing garbage after EOF ignored",
    ),
    repairable(judged(
        Code::Bzip2MultipleStreams,
        Warn,
        "the bzip2 file has several streams",
        "lbzip2 and pbzip2 write such files, and bzip2 reads them. Imports of files that lbzip2 had written were reported to fail at DigitalOcean; the cause was never proven.",
        BZIP2_REPACK,
        "Flatcar issue 37, flatcar-docs issues 121 and 204; that the streams are the cause is inferred",
    )),
    physics(
        Code::XzTruncated,
        "the xz file is cut off",
        "The file ends before its compressed data does, so the end of the image is missing and it cannot be repacked. Mostly a download, a copy or a build was interrupted.",
        XZ_AGAIN,
        XZ,
    ),
    physics(
        Code::XzDamaged,
        "the xz data is damaged",
        "A header, a block, a check sum or the index does not hold, or foreign bytes follow. The image that was packed cannot be had from this file.",
        XZ_AGAIN,
        XZ,
    ),
    physics(
        Code::XzWindowTooLarge,
        "an xz dictionary too large to repack",
        "The file was packed with a dictionary of more than 64 MiB, as much of which whoever unpacks it has to hold in memory. It is not repacked on the way.",
        "Repack it before: `xz -dc FILE | gzip > disk.img.gz`.",
        "tidegate: memory stays bounded whatever a header says; xz -9 uses 64 MiB",
    ),
    physics(
        Code::XzUnsupported,
        "an xz file with rare features",
        "The file uses a filter for machine code or differences, or a kind of check that is not known. Only LZMA2, which xz uses unless it is told to, is repacked on the way.",
        "Repack it before: `xz -dc FILE | gzip > disk.img.gz`.",
        XZ,
    ),
    physics(
        Code::ZstdTruncated,
        "the zstd file is cut off",
        "The file ends before its compressed data does, so the end of the image is missing and it cannot be repacked. Mostly a download, a copy or a build was interrupted.",
        ZSTD_AGAIN,
        RFC_8878,
    ),
    physics(
        Code::ZstdDamaged,
        "the zstd data is damaged",
        "A header, a block, a size or a check sum does not hold, or foreign bytes follow. The image that was packed cannot be had from this file.",
        ZSTD_AGAIN,
        RFC_8878,
    ),
    physics(
        Code::ZstdWindowTooLarge,
        "a zstd window too large to repack",
        "The file was packed with a window of more than 64 MiB (zstd --ultra or --long), as much of which whoever unpacks it has to hold in memory. It is not repacked on the way.",
        "Repack it before: `zstd --long=31 -dc FILE | gzip > disk.img.gz`.",
        "tidegate: memory stays bounded whatever a header says; zstd -19 uses 8 MiB",
    ),
    physics(
        Code::ZstdUnsupported,
        "a zstd file that needs a dictionary",
        "The file was packed with a dictionary that is not in it. Without the dictionary nobody can unpack it.",
        "Repack it before, with the dictionary: `zstd -D DICTIONARY -dc FILE | gzip > disk.img.gz`.",
        RFC_8878,
    ),
    physics(
        Code::TarTruncated,
        "the tar archive is cut off",
        "The archive ends inside a member or without its end mark, so something is missing. Mostly a download, a copy or a build was interrupted.",
        TAR_AGAIN,
        TAR,
    ),
    physics(
        Code::TarDamaged,
        "the tar archive is damaged",
        "A header in the archive has a wrong check sum or values that make no sense, so what follows cannot be found.",
        TAR_AGAIN,
        TAR,
    ),
    physics(
        Code::TarUnsupported,
        "a tar archive with rare features",
        "A member of the archive is stored sparsely, is a part of a larger one, or has a header that is too long. Such archives are not repacked on the way.",
        "Take the image out of it and upload that: `tar -xf FILE`.",
        TAR,
    ),
    physics(
        Code::TarNoImage,
        "an archive without an image",
        "None of the archive's members looks like a disk image. Nothing in it could be imported.",
        "Look at what is in it: `tar -tvf FILE`.",
        "tidegate: what each member is, by its content",
    ),
    physics(
        Code::TarSeveralImages,
        "an archive with several images",
        "More than one of the archive's members looks like a disk image, and an import takes one.",
        "Take out the one that is meant, as in `tar -xOf FILE disk.raw | gzip > disk.img.gz`, and upload that.",
        "DigitalOcean API, create a custom image: one URL, one file",
    ),
    repairable(physics(
        Code::CompressionXz,
        "compressed with xz",
        "DigitalOcean unpacks gzip and bzip2 only; images compressed with xz were refused.",
        "Repack it: `xz -dc FILE | gzip > disk.img.gz`.",
        "DigitalOcean API, create a custom image: gzip or bzip2; fedora-coreos-tracker issue 395",
    )),
    repairable(physics(
        Code::CompressionZstd,
        "compressed with zstd",
        "DigitalOcean unpacks gzip and bzip2 only, not Zstandard.",
        "Repack it: `zstd -dc FILE | gzip > disk.img.gz`.",
        TAKEN,
    )),
    physics(
        Code::CompressionLz4,
        "compressed with lz4",
        "DigitalOcean unpacks gzip and bzip2 only, not lz4.",
        "Repack it: `lz4 -dc FILE | gzip > disk.img.gz`.",
        TAKEN,
    ),
    physics(
        Code::CompressionLzma,
        "compressed with lzma",
        "DigitalOcean unpacks gzip and bzip2 only, not the old .lzma format.",
        "Repack it: `xz --format=lzma -dc FILE | gzip > disk.img.gz`.",
        TAKEN,
    ),
    physics(
        Code::CompressionCompress,
        "compressed with compress (.Z)",
        "DigitalOcean unpacks gzip and bzip2 only, not the old Unix compress format.",
        "Repack it: `gzip -dc FILE | gzip > disk.img.gz`.",
        TAKEN,
    ),
    repairable(physics(
        Code::CompressionNested,
        "packed twice",
        "Inside the compressed file is another compressed file or an archive, not an image. Unpacked once it is still no disk, and DigitalOcean does not offer to unpack twice.",
        "Take the outer layer off and check what is in it: `tidegate check FILE`.",
        "DigitalOcean API, create a custom image: an image may be compressed, nothing is said of more than one layer",
    )),
    physics(
        Code::ArchiveZip,
        "a zip archive",
        "DigitalOcean takes one compressed stream, not an archive, even if the archive holds one file only.",
        "Repack it: `unzip -p FILE | gzip > disk.img.gz`. If it holds more than the image, name the image after FILE.",
        NO_ARCHIVE,
    ),
    physics(
        Code::Archive7z,
        "a 7z archive",
        "DigitalOcean takes one compressed stream, not an archive, even if the archive holds one file only.",
        "Repack it: `7z x -so FILE | gzip > disk.img.gz`. If it holds more than the image, name the image after FILE.",
        NO_ARCHIVE,
    ),
    physics(
        Code::ArchiveRar,
        "a rar archive",
        "DigitalOcean takes one compressed stream, not an archive, even if the archive holds one file only.",
        "Repack it: `unrar p -inul FILE | gzip > disk.img.gz`. If it holds more than the image, name the image after FILE.",
        NO_ARCHIVE,
    ),
    repairable(physics(
        Code::ArchiveTar,
        "a tar archive",
        "DigitalOcean takes one compressed stream, not an archive. A tar.gz was refused too, although it is compressed with gzip.",
        "Look for the image with `tar -tf FILE`, then repack it: `tar -xOf FILE disk.raw | gzip > disk.img.gz`.",
        NO_ARCHIVE,
    )),
    repairable(physics(
        Code::ArchiveOva,
        "an OVA archive",
        "An OVA is a tar archive with a machine's description and its disks. DigitalOcean takes the disk alone.",
        "Unpack it, `tar -xf FILE`, and upload the .vmdk file from it.",
        "hashicorp/packer issue 7848: an OVA was refused as an unsupported compression format",
    )),
    physics(
        Code::DigestMismatch,
        "the file is not the expected one",
        "The SHA-256 of the file differs from the expected value. The file was changed or damaged, or the value belongs to another version.",
        "Compare with `sha256sum FILE` at the origin, and fetch the file again. If the file is right, correct the expected value.",
        "the expected value that was given",
    ),
    physics(
        Code::ImageDigestMismatch,
        "the image is not the expected one",
        "The SHA-256 of the unpacked image differs from the expected value. The image was changed or damaged, or the value belongs to another version.",
        "Compare with the decompressed image at the origin, `sha256sum FILE`, and fetch it again. If the image is right, correct the expected value.",
        "the expected value that was given",
    ),
    judged(
        Code::NameMismatch,
        Warn,
        "the name says something else than the content",
        "The file's extension names another format or compression than the file has. DigitalOcean has said that it checks the file name before an import.",
        "Rename it after its content, as in disk.qcow2 or disk.img.gz.",
        "DigitalOcean blog on custom images, quoted in nanovms/ops issue 468: the file name is checked",
    ),
    physics(
        Code::FileTooLarge,
        "the file is longer than its image may be",
        "The packed file goes on past the size that the image has to stay under. Packing hardly ever makes anything larger, so most of it belongs to no image; it was not read to its end.",
        "Look at what writes into the pipe. --max-size sets another limit.",
        "arithmetic; DigitalOcean API, create a custom image, for the limit",
    ),
];
