use super::{Recipe, Remedy, Remedy::Judge, Row, Severity::*, judged, physics, run};
use crate::facts::Code;

const SOURCE: &str = "VirtualBox VDI header; QEMU block/vdi.c";

const EXPORT: Remedy = Judge(
    "Copy the image again and compare its checksum with that of the original. If they are equal, write it anew with VirtualBox, or build it again.",
);
const LOST: Remedy = Judge(
    "What was lost cannot be restored from this file. Copy the image again, or build it again.",
);
const ANEW: Remedy = run("Write the disk into a new image", Recipe::Convert, "");

pub(super) const ROWS: &[Row] = &[
    physics(
        Code::VdiVersionUnsupported,
        "unknown VDI version",
        "Only version 1.1 of VDI is in use; QEMU refuses to open any other.",
        EXPORT,
        SOURCE,
    ),
    physics(
        Code::VdiHeaderInvalid,
        "the VDI header is damaged",
        "The signature is missing or the header is shorter than its own fields, so the rest of it cannot be trusted.",
        EXPORT,
        SOURCE,
    ),
    judged(
        Code::VdiTypeUnsupported,
        Reject,
        "the image is not a whole disk",
        "Undo and differencing images hold only changes to another image. DigitalOcean gets this file alone, so the disk would have holes; QEMU does not notice.",
        Judge(
            "Flatten it in VirtualBox with VBoxManage clonemedium, with its parents still registered.",
        ),
        "VirtualBox VDI header, image type",
    ),
    judged(
        Code::VdiParent,
        Reject,
        "the image needs a parent image",
        "The image holds only the differences to another file, as a snapshot does. DigitalOcean gets this file alone, so the disk would have holes.",
        Judge(
            "Flatten it in VirtualBox with VBoxManage clonemedium, with its parents still registered.",
        ),
        "VirtualBox VDI header, link and parent UUID; QEMU block/vdi.c refuses it",
    ),
    judged(
        Code::VdiSectorSizeInvalid,
        Reject,
        "the disk does not have sectors of 512 bytes",
        "QEMU refuses to open an image with sectors of another size, and DigitalOcean gives a machine sectors of 512 bytes.",
        EXPORT,
        SOURCE,
    ),
    judged(
        Code::VdiBlockSize,
        Reject,
        "the blocks do not have 1 MiB",
        "VirtualBox reads blocks of other sizes, but QEMU opens only images with blocks of 1 MiB.",
        Judge(
            "Write it as raw in VirtualBox with VBoxManage clonemedium --format RAW, and check that.",
        ),
        SOURCE,
    ),
    physics(
        Code::VdiBlockSizeInvalid,
        "impossible block size",
        "Blocks have a power of two of bytes and nothing extra before them. With any other size nothing can be found, or readers see different disks.",
        EXPORT,
        SOURCE,
    ),
    judged(
        Code::VdiSizeUnaligned,
        Warn,
        "the disk does not end with a whole sector",
        "The size of the disk is not a multiple of 512 bytes. QEMU rounds it up; others may round down or refuse the image.",
        ANEW,
        SOURCE,
    ),
    physics(
        Code::VdiBlockMapInvalid,
        "the block map or the data is misplaced",
        "The block map has to come after the header and the data after the block map, both at whole sectors. This header places them elsewhere, so nothing can be found.",
        EXPORT,
        SOURCE,
    ),
    physics(
        Code::VdiBlockCountMismatch,
        "the number of blocks contradicts the disk",
        "The image has fewer blocks than its disk needs, more than can be mapped, or another number of stored blocks than its header says. QEMU refuses a disk that its blocks do not cover, and qemu-img check calls a wrong count an error.",
        EXPORT,
        SOURCE,
    ),
    judged(
        Code::VdiBlockMapEntryInvalid,
        Reject,
        "an entry of the block map is impossible",
        "An entry points at a stored block that the image cannot have. Part of the disk is lost.",
        LOST,
        SOURCE,
    ),
    judged(
        Code::VdiBlocksOverlap,
        Reject,
        "two parts of the disk share a block",
        "Two entries of the block map name the same stored block, so two parts of the disk show the same bytes and at least one of them is lost. qemu-img check calls it an error.",
        LOST,
        SOURCE,
    ),
    judged(
        Code::VdiBlocksUnused,
        Warn,
        "the file holds blocks that are not part of the disk",
        "Blocks are stored that no entry of the block map names, or only one that lies past the end of the disk. The disk can be read, but a lost entry looks the same, and what was deleted may still be in the file.",
        run(
            "Compare the disk with its origin. If it is right, write it into a new image",
            Recipe::Convert,
            "",
        ),
        SOURCE,
    ),
    judged(
        Code::VdiSpaceUnused,
        Warn,
        "bytes before the data belong to nothing",
        "Between header, block map and data the file has bytes other than zeros that no part of the image names. Readers ignore what is there: another file, or what somebody wants to hide.",
        run(
            "Look what lies there, from the byte that the finding names. If nothing of it is wanted, write the disk into a new image",
            Recipe::Convert,
            "",
        ),
        "arithmetic: VirtualBox and QEMU leave zeros between the parts",
    ),
    judged(
        Code::VdiTrailingBytes,
        Warn,
        "bytes follow the end of the image",
        "The file goes on after its last block. Readers ignore what is there: a block that the map has lost, another file, or what somebody wants to hide.",
        run(
            "Look what follows, from the byte that the finding names. If nothing of it is wanted, write the disk into a new image",
            Recipe::Convert,
            "",
        ),
        SOURCE,
    ),
];
