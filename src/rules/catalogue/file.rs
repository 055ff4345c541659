use super::{Recipe, Remedy, Remedy::Judge, Row, Severity::*, judged, physics, repairable, run};
use crate::facts::Code;

const RFC_1952: &str = "RFC 1952, 2.3.1";
const BZIP2: &str = "bzip2 file format: block and stream check sums, end-of-stream mark";
const TAKEN: &str =
    "DigitalOcean API, create a custom image: an image may be compressed with gzip or bzip2";
const NO_ARCHIVE: &str = "DigitalOcean API, create a custom image: gzip or bzip2 only; imports of tar.gz and OVA files failed (doctl issue 671, packer issue 7848)";

const XZ: &str = "the .xz file format, 1.2.1";
const RFC_8878: &str = "RFC 8878, 3.1.1";
const TAR: &str =
    "POSIX.1-2024, pax: ustar and pax interchange formats; GNU tar manual, basic tar format";

const AGAIN: Remedy = Judge(
    "Fetch the file again, and compare its SHA-256 with that at the origin. If it is damaged there too, build or pack the image again.",
);
const REPACK: Remedy = run("Repack it", Recipe::Repack, "");
const TAKE_OUT: Remedy = run("Take the image out of it", Recipe::Repack, "");
const LEAVE_OUT: Remedy = run(
    "Find out where the bytes come from. If they are no part of the disk, leave them out",
    Recipe::Repack,
    "",
);

pub(super) const ROWS: &[Row] = &[
    physics(
        Code::GzipHeaderInvalid,
        "a gzip header is invalid",
        "The file begins like gzip, but a header in it has values that no gzip tool writes. DigitalOcean would fail to decompress it.",
        AGAIN,
        RFC_1952,
    ),
    physics(
        Code::GzipTruncated,
        "the gzip file is cut off",
        "The file ends before its compressed data does, so the end of the image is missing. Mostly a download, a copy or a build was interrupted, or the disk was full.",
        AGAIN,
        RFC_1952,
    ),
    physics(
        Code::GzipDamaged,
        "the gzip data is damaged",
        "The compressed data makes no sense from some byte on; the rest of the image cannot be had. DigitalOcean would fail to decompress it.",
        AGAIN,
        "RFC 1951, 3.2",
    ),
    physics(
        Code::GzipCrcMismatch,
        "the gzip check sum does not match",
        "The data unpacks, but it is not what was packed: bytes changed on the way. The disk would be corrupt in some place.",
        AGAIN,
        "RFC 1952, 2.3.1, CRC32",
    ),
    physics(
        Code::GzipSizeMismatch,
        "the gzip length does not match",
        "The length noted at the end of the gzip data is not that of the unpacked data. Something was lost or added on the way.",
        AGAIN,
        "RFC 1952, 2.3.1, ISIZE",
    ),
    repairable(judged(
        Code::GzipTrailingZeros,
        Warn,
        "zero bytes after the gzip data",
        "The compressed data is whole; padding follows it, as tapes and block devices leave it. The gzip tool skips it; other readers may take it for damage.",
        REPACK,
        "RFC 1952, 2.2: a file is a series of members and nothing else",
    )),
    repairable(physics(
        Code::GzipTrailingGarbage,
        "foreign bytes after the gzip data",
        "After the compressed data come bytes that belong to no gzip member. They may be a note of the program that made the file, the remains of a larger one, or something appended by mistake; readers may stop or fail there.",
        LEAVE_OUT,
        "RFC 1952, 2.2: a file is a series of members and nothing else",
    )),
    judged(
        Code::GzipMultipleMembers,
        Note,
        "the gzip file has several members",
        "That is valid, and every gzip tool joins them; bgzip writes such files, and so does joining them with cat. A reader that stops after the first one would get a disk that is too short.",
        run("Nothing has to be done. To have one member", Recipe::Repack, ""),
        "RFC 1952, 2.2",
    ),
    physics(
        Code::Bzip2Truncated,
        "the bzip2 file is cut off",
        "The file ends before its compressed data does, so the end of the image is missing. Mostly a download, a copy or a build was interrupted, or the disk was full.",
        AGAIN,
        BZIP2,
    ),
    physics(
        Code::Bzip2Damaged,
        "the bzip2 data is damaged",
        "A block cannot be unpacked, or its check sum does not match. DigitalOcean would fail to decompress it.",
        AGAIN,
        BZIP2,
    ),
    repairable(judged(
        Code::Bzip2TrailingZeros,
        Warn,
        "zero bytes after the bzip2 data",
        "The compressed data is whole; padding follows it. The bzip2 tool skips it with a warning; other readers may take it for damage.",
        REPACK,
        "bzip2(1): trailing garbage after EOF ignored",
    )),
    repairable(physics(
        Code::Bzip2TrailingGarbage,
        "foreign bytes after the bzip2 data",
        "After the compressed data come bytes that belong to no bzip2 stream. They may be a note of the program that made the file, the remains of a larger one, or something appended by mistake; readers may stop or fail there.",
        LEAVE_OUT,
        "bzip2(1): trailing garbage after EOF ignored",
    )),
    repairable(judged(
        Code::Bzip2MultipleStreams,
        Warn,
        "the bzip2 file has several streams",
        "lbzip2 and pbzip2 write such files, and bzip2 reads them. Imports of files that lbzip2 had written were reported to fail at DigitalOcean; the cause was never proven.",
        REPACK,
        "Flatcar issue 37, flatcar-docs issues 121 and 204; that the streams are the cause is inferred",
    )),
    physics(
        Code::XzTruncated,
        "the xz file is cut off",
        "The file ends before its compressed data does, so the end of the image is missing and it cannot be repacked. Mostly a download, a copy or a build was interrupted.",
        AGAIN,
        XZ,
    ),
    physics(
        Code::XzDamaged,
        "the xz data is damaged",
        "A header, a block, a check sum or the index does not hold, or foreign bytes follow. The image that was packed cannot be had from this file.",
        AGAIN,
        XZ,
    ),
    physics(
        Code::XzWindowTooLarge,
        "an xz dictionary too large to repack",
        "The file was packed with a dictionary of more than 64 MiB, as much of which whoever unpacks it has to hold in memory. It is not repacked on the way.",
        Judge(
            "Decompress it with xz -d, which takes as much memory as the file asks for, and check what comes out.",
        ),
        "tidegate: memory stays bounded whatever a header says; xz -9 uses 64 MiB",
    ),
    physics(
        Code::XzUnsupported,
        "an xz file with rare features",
        "The file uses a filter for machine code or differences, or a kind of check that is not known. Only LZMA2, which xz uses unless it is told to, is repacked on the way.",
        Judge("Decompress it with xz -d, and check what comes out."),
        XZ,
    ),
    physics(
        Code::ZstdTruncated,
        "the zstd file is cut off",
        "The file ends before its compressed data does, so the end of the image is missing and it cannot be repacked. Mostly a download, a copy or a build was interrupted.",
        AGAIN,
        RFC_8878,
    ),
    physics(
        Code::ZstdDamaged,
        "the zstd data is damaged",
        "A header, a block, a size or a check sum does not hold, or foreign bytes follow. The image that was packed cannot be had from this file.",
        AGAIN,
        RFC_8878,
    ),
    physics(
        Code::ZstdWindowTooLarge,
        "a zstd window too large to repack",
        "The file was packed with a window of more than 64 MiB (zstd --ultra or --long), as much of which whoever unpacks it has to hold in memory. It is not repacked on the way.",
        run("Repack it with the program that packed it", Recipe::Through("zstd --long=31 -dc"), ""),
        "tidegate: memory stays bounded whatever a header says; zstd -19 uses 8 MiB",
    ),
    physics(
        Code::ZstdUnsupported,
        "a zstd file that needs a dictionary",
        "The file was packed with a dictionary that is not in it. Without the dictionary nobody can unpack it.",
        Judge(
            "Decompress it with zstd -D and the dictionary that it was packed with, and check what comes out.",
        ),
        RFC_8878,
    ),
    physics(
        Code::TarTruncated,
        "the tar archive is cut off",
        "The archive ends inside a member or without its end mark, so something is missing. Mostly a download, a copy or a build was interrupted.",
        AGAIN,
        TAR,
    ),
    physics(
        Code::TarDamaged,
        "the tar archive is damaged",
        "A header in the archive has a wrong check sum or values that make no sense, so what follows cannot be found.",
        AGAIN,
        TAR,
    ),
    physics(
        Code::TarUnsupported,
        "a tar archive with rare features",
        "A member of the archive is a part of a larger one, has holes in an unknown way or very many of them, or has a header that is too long. Such archives are not repacked on the way.",
        Judge(
            "Take the image out of the archive with tar, in a folder of its own, and check that.",
        ),
        TAR,
    ),
    physics(
        Code::TarNoImage,
        "an archive without an image",
        "None of the archive's members looks like a disk image. Nothing in it could be imported.",
        Judge(
            "Look at what is in it with tar -t. If one of the members is the image, take it out and check that.",
        ),
        "tidegate: what each member is, by its content",
    ),
    physics(
        Code::TarSeveralImages,
        "an archive with several images",
        "More than one of the archive's members looks like a disk image, and an import takes one.",
        Judge("Only you know which one is meant. Take that one out of the archive, and check it."),
        "DigitalOcean API, create a custom image: one URL, one file",
    ),
    repairable(physics(
        Code::CompressionXz,
        "compressed with xz",
        "DigitalOcean unpacks gzip and bzip2 only; images compressed with xz were refused.",
        REPACK,
        "DigitalOcean API, create a custom image: gzip or bzip2; fedora-coreos-tracker issue 395",
    )),
    repairable(physics(
        Code::CompressionZstd,
        "compressed with zstd",
        "DigitalOcean unpacks gzip and bzip2 only, not Zstandard.",
        REPACK,
        TAKEN,
    )),
    physics(
        Code::CompressionLz4,
        "compressed with lz4",
        "DigitalOcean unpacks gzip and bzip2 only, not lz4.",
        run("Repack it", Recipe::Through("lz4 -dc"), ""),
        TAKEN,
    ),
    physics(
        Code::CompressionLzma,
        "compressed with lzma",
        "DigitalOcean unpacks gzip and bzip2 only, not the old .lzma format.",
        run("Repack it", Recipe::Through("xz --format=lzma -dc"), ""),
        TAKEN,
    ),
    physics(
        Code::CompressionCompress,
        "compressed with compress (.Z)",
        "DigitalOcean unpacks gzip and bzip2 only, not the old Unix compress format.",
        run("Repack it", Recipe::Through("gzip -dc"), ""),
        TAKEN,
    ),
    physics(
        Code::CompressionLzip,
        "compressed with lzip",
        "DigitalOcean unpacks gzip and bzip2 only, not lzip.",
        run("Repack it", Recipe::Through("lzip -dc"), ""),
        TAKEN,
    ),
    physics(
        Code::CompressionLzop,
        "compressed with lzop",
        "DigitalOcean unpacks gzip and bzip2 only, not lzop.",
        run("Repack it", Recipe::Through("lzop -dc"), ""),
        TAKEN,
    ),
    physics(
        Code::CompressionLrzip,
        "compressed with lrzip",
        "DigitalOcean unpacks gzip and bzip2 only, not lrzip.",
        Judge("Decompress it with lrzip -d, and check what comes out."),
        TAKEN,
    ),
    physics(
        Code::CompressionZlib,
        "a zlib stream without gzip's header",
        "The data is deflated, but in the format of the zlib library. DigitalOcean unpacks gzip and bzip2 only.",
        run("Repack it", Recipe::Through("pigz -dc"), ""),
        TAKEN,
    ),
    physics(
        Code::CompressionOther,
        "compressed with an unusual program",
        "The finding names the compression. DigitalOcean unpacks gzip and bzip2 only.",
        Judge("Decompress it with the program that wrote it, and check what comes out."),
        TAKEN,
    ),
    repairable(physics(
        Code::CompressionNested,
        "packed twice",
        "Inside the compressed file is another compressed file or an archive, not an image. Unpacked once it is still no disk, and DigitalOcean does not offer to unpack twice.",
        REPACK,
        "DigitalOcean API, create a custom image: an image may be compressed, nothing is said of more than one layer",
    )),
    judged(
        Code::ArchiveZipAtEnd,
        Warn,
        "it ends as a zip archive does",
        "Programs for zip archives look for the directory from behind and take all of the file, or of the disk, for an archive. A file system that reaches to the end of the disk may have left it there.",
        Judge("Find out whether the archive is one of your files. If not, build the image again."),
        "APPNOTE 6.3.10, 4.3.16: the end of central directory record is found from the end",
    ),
    physics(
        Code::ArchiveZip,
        "a zip archive",
        "DigitalOcean takes one compressed stream, not an archive, even if the archive holds one file only.",
        run(
            "If the image is all that is in it, take it out and pack it with gzip",
            Recipe::Unzip,
            "The command makes nothing if there is more in the archive: then take the image out, and check that.",
        ),
        NO_ARCHIVE,
    ),
    physics(
        Code::Archive7z,
        "a 7z archive",
        "DigitalOcean takes one compressed stream, not an archive, even if the archive holds one file only.",
        run(
            "See what is in it",
            Recipe::Show("7z l {}"),
            "Take the image out with 7z, in a folder of its own, and check that.",
        ),
        NO_ARCHIVE,
    ),
    physics(
        Code::ArchiveRar,
        "a rar archive",
        "DigitalOcean takes one compressed stream, not an archive, even if the archive holds one file only.",
        Judge("Take the image out with unrar, in a folder of its own, and check that."),
        NO_ARCHIVE,
    ),
    repairable(physics(
        Code::ArchiveTar,
        "a tar archive",
        "DigitalOcean takes one compressed stream, not an archive. A tar.gz was refused too, although it is compressed with gzip.",
        TAKE_OUT,
        NO_ARCHIVE,
    )),
    repairable(physics(
        Code::ArchiveOva,
        "an OVA archive",
        "An OVA is a tar archive with a machine's description and its disks. DigitalOcean takes the disk alone.",
        TAKE_OUT,
        "hashicorp/packer issue 7848: an OVA was refused as an unsupported compression format",
    )),
    physics(
        Code::ArchiveCpio,
        "a cpio archive",
        "DigitalOcean takes one compressed stream, not an archive. An initramfs is such an archive as well, and no disk.",
        Judge("Take the image out with cpio, in a folder of its own, and check that."),
        NO_ARCHIVE,
    ),
    physics(
        Code::ArchiveAr,
        "an ar archive or a Debian package",
        "DigitalOcean takes one compressed stream, not an archive.",
        Judge(
            "Take it apart in a folder of its own, a package with dpkg-deb -x, another archive with ar x, and check the image in it.",
        ),
        NO_ARCHIVE,
    ),
    physics(
        Code::ArchiveRpm,
        "an RPM package",
        "DigitalOcean takes one compressed stream, not a package.",
        Judge(
            "Take it apart with rpm2cpio and cpio, in a folder of its own. Check the image in it, if there is one.",
        ),
        NO_ARCHIVE,
    ),
    physics(
        Code::ArchiveCab,
        "a cabinet file",
        "DigitalOcean takes one compressed stream, not an archive.",
        Judge("Take the image out with cabextract, in a folder of its own, and check that."),
        NO_ARCHIVE,
    ),
    physics(
        Code::ArchiveXar,
        "a xar archive",
        "DigitalOcean takes one compressed stream, not an archive. Packages of macOS are such archives.",
        Judge("Take the image out with bsdtar, in a folder of its own, and check that."),
        NO_ARCHIVE,
    ),
    physics(
        Code::ArchiveWim,
        "a Windows Imaging file",
        "The file holds files of Windows, not the sectors of a disk. DigitalOcean does not run Windows either.",
        Judge("There is no disk in it. Take the disk image of a Unix-like system instead."),
        NO_ARCHIVE,
    ),
    physics(
        Code::ArchiveOther,
        "an archive",
        "The finding names the archive. DigitalOcean takes one compressed stream, not an archive.",
        Judge("Take the image out with the program that wrote the archive, and check that."),
        NO_ARCHIVE,
    ),
    physics(
        Code::DigestMismatch,
        "the file is not the expected one",
        "The SHA-256 of the file differs from the expected value. The file was changed or damaged, or the value belongs to another version.",
        Judge(
            "Compare the SHA-256 with that at the origin, and fetch the file again. If the file is right, correct the expected value.",
        ),
        "the expected value that was given",
    ),
    physics(
        Code::ImageDigestMismatch,
        "the image is not the expected one",
        "The SHA-256 of the unpacked image differs from the expected value. The image was changed or damaged, or the value belongs to another version.",
        Judge(
            "Compare the SHA-256 with that of the decompressed image at the origin, and fetch the file again. If the image is right, correct the expected value.",
        ),
        "the expected value that was given",
    ),
    judged(
        Code::NameMismatch,
        Warn,
        "the name says something else than the content",
        "The file's extension names another format or compression than the file has. DigitalOcean has said that it checks the file name before an import.",
        run(
            "Give it a second name that fits its content",
            Recipe::Rename,
            "Both are names of one file: take the first away when nothing uses it.",
        ),
        "DigitalOcean blog on custom images, quoted in nanovms/ops issue 468: the file name is checked",
    ),
    physics(
        Code::FileTooLarge,
        "the file is longer than its image may be",
        "The packed file goes on past the size that the image has to stay under. Packing hardly ever makes anything larger, so most of it belongs to no image; it was not read to its end.",
        Judge("Look at what writes into the pipe. --max-size sets another limit."),
        "arithmetic; DigitalOcean API, create a custom image, for the limit",
    ),
];
