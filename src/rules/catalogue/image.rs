use super::{Recipe, Remedy, Remedy::Judge, Row, Severity::*, judged, physics, run};
use crate::facts::Code;

const LIMIT: &str = "DigitalOcean API, create a custom image: smaller than 100 GB after being decompressed; read as 100 * 10^9 bytes";

const COMPARE: Remedy = Judge(
    "Compare the image's size and checksum with those at the origin, and fetch it again if they differ.",
);

pub(super) const ROWS: &[Row] = &[
    physics(
        Code::ImageTooLarge,
        "the image is too large",
        "Decompressed, an image has to be smaller than 100 GB; the size of the compressed file does not count. DigitalOcean takes none that is larger.",
        run(
            "Build a smaller disk. If only the image is too large and not the disk in it, or the partitions end below the limit, a copy without what is unused is small enough",
            Recipe::ConvertSmaller,
            "--max-size sets another limit.",
        ),
        LIMIT,
    ),
    physics(
        Code::DiskTooLarge,
        "the disk is too large",
        "The virtual disk in the image is 100 GB or larger, however small the image is. DigitalOcean does not say whether its limit counts the disk or the file, so both have to stay below it.",
        run(
            "Build a smaller disk: the finding names the size that it has to stay under. Where the partitions end below that, cut off what is behind the last one, on a copy",
            Recipe::Shrink,
            "To shrink partitions takes judgement: begin with the file systems in them, in a virtual machine. --max-size sets another limit.",
        ),
        LIMIT,
    ),
    physics(
        Code::DiskEmpty,
        "the disk has no bytes",
        "The image is a container around a disk of size zero. There is nothing to start from.",
        Judge("Build the image again, and see that its virtual size is right."),
        "a disk has at least one sector",
    ),
    judged(
        Code::DiskTiny,
        Warn,
        "a disk too small for a system",
        "The disk has less than 64 KiB. No boot loader with a partition after it fits into that; this may be the wrong file, or only the beginning of one.",
        Judge("Compare its size with that at the origin."),
        "arithmetic; DigitalOcean states no smallest size",
    ),
    physics(
        Code::ImageTruncated,
        "the image is cut off",
        "The image points at data beyond its end, so a part of the disk is missing. Readers may fill it with zeros without a word. Mostly a download, a copy or a build was interrupted.",
        Judge(
            "Compare its size with that at the origin, and fetch it again. If it is cut off there too, build it again.",
        ),
        "QEMU block/qcow2.c and others read zeros beyond the end; whatever an image points at has to be in it",
    ),
    physics(
        Code::ImageOffsetImpossible,
        "an offset that leads nowhere",
        "A header or a table names a place past the end of the image and past all that a disk of this size can need. The image is not cut off there: what names the place was overwritten or damaged, and a part of the disk is lost. An entry that no image of any size can have keeps its format's own finding.",
        Judge(
            "Compare the image's checksum with that at the origin. If they are equal, build it again.",
        ),
        "arithmetic: the size of the disk and of the tables that map it",
    ),
    judged(
        Code::ImageEndUnusual,
        Warn,
        "the image ends inside its last cluster",
        "An image ends with the whole of its last cluster, grain or block, or where the disk ends in it. This one ends in between. Bytes that a transfer lost in the middle leave an image like that, and all behind them is in the wrong place.",
        COMPARE,
        "QEMU block/qcow2-cluster.c (copy_sectors of versions before 2.0), block/vhdx.c, block/vmdk.c",
    ),
    judged(
        Code::ImageZerosBehind,
        Warn,
        "zeros behind the image, in a length that no writer leaves",
        "Preallocation and block devices leave zeros behind an image that fill whole sectors and a cluster or a MiB, a deleted snapshot of a qcow2 more than a cluster. Other lengths come from bytes that stand in the image twice, as after a transfer that went on at the wrong place; then all behind them is in the wrong place.",
        COMPARE,
        "arithmetic: what ends behind the last cluster was shifted, or was never part of the image",
    ),
    judged(
        Code::ImagePadded,
        Note,
        "zeros follow the image",
        "Preallocated space, a block device that is larger than the image, padding to a MiB, and a snapshot that was deleted leave zeros behind it. Readers ignore them.",
        Judge(
            "Nothing, if you know where they come from. Otherwise compare the disk with its origin.",
        ),
        "tidegate: what belongs to nothing is named",
    ),
    judged(
        Code::ImageTailZeros,
        Note,
        "the end of the image is zeros",
        "The last part of the image is nothing but zeros, and the tables say that a part of the disk is stored there. A download into space that was reserved first leaves that when it is cut, and so does a conversion that was killed. A preallocated image looks the same, and then nothing is wrong.",
        COMPARE,
        "tidegate: qemu-img convert, VirtualBox, Hyper-V and VMware store no clusters of zeros unless they are asked to",
    ),
    judged(
        Code::StructureNotExamined,
        Warn,
        "a part could not be examined",
        "A part of the image lies before what was read already, and this source cannot be read again. What it holds is not known; nothing was found wrong so far.",
        Judge(
            "Check it with --spool, which keeps a temporary copy. Or save it to a file and check that: a file can be read in any order.",
        ),
        "tidegate: what was not seen is not called good",
    ),
    judged(
        Code::StructureUnexaminable,
        Reject,
        "the image keeps a part of itself from being examined",
        "The image is laid out so that a part of it cannot be examined, which no writer of disk images needs. Damage could hide there, so the image is not accepted.",
        Judge("Write the image anew with the program that made it. If that fails, build it again."),
        "tidegate: what was not seen is not called good",
    ),
    judged(
        Code::DiskNotExamined,
        Warn,
        "the disk was not examined",
        "You allowed an image whose disk is not in this file alone, so tidegate did not examine the disk: neither its partition table nor its data.",
        Judge("Flatten the image, so that the disk is in it, and check that."),
        "tidegate: what was not seen is not called good",
    ),
    physics(
        Code::FormatPolyglot,
        "two formats at once",
        "The image carries the marks of more than one format, so readers disagree about what disk it holds. That is an accident, such as a header left over, or an attack.",
        Judge("Find out where the second mark comes from, and build the image again."),
        "CVE-2024-32498 and its family: a format chosen by probing can be chosen by the attacker",
    ),
    judged(
        Code::IsoHybrid,
        Warn,
        "an optical disc image that is also a disk",
        "The image is an ISO 9660 file system with a partition table, as installers and live systems are made for USB sticks. It is judged as a raw disk, but DigitalOcean does not support ISO images.",
        Judge(
            "Install the system into a disk image first, or take the distribution's cloud image, and upload that.",
        ),
        "DigitalOcean custom images, limits: ISO is not supported",
    ),
    judged(
        Code::IsoShell,
        Note,
        "an empty optical disc before the first partition",
        "The disk begins with an ISO 9660 volume that ends before the first partition, so that firmware can start it from an optical drive. mkosi writes such disks. It is judged as the disk that it is.",
        Judge("Nothing has to be done."),
        "ECMA-119, 8.4.8 (volume space size); El Torito",
    ),
    judged(
        Code::ContentUnrecognised,
        Reject,
        "nothing that is known",
        "The disk has no partition table, and no format, compression or file system is known that begins like this. It may be compressed or encrypted, damaged, or no disk at all.",
        run(
            "What is it? Ask whoever made it, and look at its beginning",
            Recipe::Show("head -c 64 {} | od -A d -c"),
            "A whole disk begins with an MBR or a GPT.",
        ),
        "DigitalOcean custom images, requirements: raw (.img) with an MBR or GPT partition table",
    ),
    judged(
        Code::RawNoPartitionTable,
        Reject,
        "a raw image without partition table",
        "DigitalOcean wants a raw image to have an MBR or a GPT. This one has none: it may be a single partition, a bare file system, encrypted, or no disk at all.",
        Judge(
            "Image the whole disk with its partition table and boot loader, not one partition of it (/dev/vda, not /dev/vda1).",
        ),
        "DigitalOcean custom images, requirements: raw (.img) with an MBR or GPT partition table",
    ),
    judged(
        Code::RawSizeUnaligned,
        Warn,
        "the image does not end with a whole sector",
        "The size of a raw image is a multiple of 512 bytes; this one is not. It may be cut off, or something may have been appended. A guest, and whoever converts the image with QEMU, sees its last sector filled up with zeros; size and digest of the disk are those of the bytes as they are.",
        run(
            "Compare its size with that at the origin. If nothing is missing, write it with whole sectors",
            Recipe::Pad,
            "",
        ),
        "sectors have 512 bytes; QEMU pads the last one",
    ),
];
