use super::{Row, Severity::*, judged, physics};
use crate::facts::Code;

const REBUILD: &str = "Write the image anew: `VBoxManage clonemedium disk FILE new.vdi`. If that fails too, build it again.";
const SOURCE: &str = "VirtualBox VDI header; QEMU block/vdi.c";

pub(super) const ROWS: &[Row] = &[
    physics(
        Code::VdiVersionUnsupported,
        "unknown VDI version",
        "Only version 1.1 of VDI is in use; QEMU refuses to open any other.",
        REBUILD,
        SOURCE,
    ),
    physics(
        Code::VdiHeaderInvalid,
        "the VDI header is damaged",
        "The signature is missing or the header is shorter than its own fields, so the rest of it cannot be trusted.",
        REBUILD,
        SOURCE,
    ),
    judged(
        Code::VdiTypeUnsupported,
        Reject,
        "the image is not a whole disk",
        "Undo and differencing images hold only changes to another image. DigitalOcean gets this file alone, so the disk would have holes; QEMU does not notice.",
        "Flatten it: `VBoxManage clonemedium disk FILE flat.vdi`, with its parents still registered.",
        "VirtualBox VDI header, image type",
    ),
    judged(
        Code::VdiParent,
        Reject,
        "the image needs a parent image",
        "The image holds only the differences to another file, as a snapshot does. DigitalOcean gets this file alone, so the disk would have holes.",
        "Flatten it: `VBoxManage clonemedium disk FILE flat.vdi`, with its parents still registered.",
        "VirtualBox VDI header, link and parent UUID; QEMU block/vdi.c refuses it",
    ),
    judged(
        Code::VdiSectorSizeInvalid,
        Reject,
        "the disk does not have sectors of 512 bytes",
        "QEMU refuses to open an image with sectors of another size, and DigitalOcean gives a machine sectors of 512 bytes.",
        REBUILD,
        SOURCE,
    ),
    judged(
        Code::VdiBlockSize,
        Warn,
        "unusual block size",
        "VirtualBox reads blocks of other sizes, but QEMU opens only images with blocks of 1 MiB, and DigitalOcean does not say what it uses.",
        "Write it with the usual blocks: `VBoxManage clonemedium disk FILE disk.raw --format RAW`, then `qemu-img convert -f raw -O vdi disk.raw new.vdi`.",
        SOURCE,
    ),
    physics(
        Code::VdiBlockSizeInvalid,
        "impossible block size",
        "Blocks have a power of two of bytes and nothing extra before them. With any other size nothing can be found, or readers see different disks.",
        REBUILD,
        SOURCE,
    ),
    judged(
        Code::VdiSizeUnaligned,
        Warn,
        "the disk does not end with a whole sector",
        "The size of the disk is not a multiple of 512 bytes. QEMU rounds it up; others may round down or refuse the image.",
        "Write the image anew: `qemu-img convert -O vdi FILE new.vdi`.",
        SOURCE,
    ),
    physics(
        Code::VdiBlockMapInvalid,
        "the block map or the data is misplaced",
        "The block map has to come after the header and the data after the block map, both at whole sectors. This header places them elsewhere, so nothing can be found.",
        REBUILD,
        SOURCE,
    ),
    physics(
        Code::VdiBlockCountMismatch,
        "the number of blocks contradicts the disk",
        "The image has fewer blocks than its disk needs, more than can be mapped, or another number of stored blocks than its header says. QEMU refuses a disk that its blocks do not cover, and qemu-img check calls a wrong count an error.",
        REBUILD,
        SOURCE,
    ),
    judged(
        Code::VdiBlockMapEntryInvalid,
        Reject,
        "an entry of the block map is impossible",
        "An entry points at a stored block that the image cannot have. Part of the disk is lost.",
        "Look at it with `qemu-img check FILE`, and build the image again.",
        SOURCE,
    ),
    judged(
        Code::VdiBlocksOverlap,
        Reject,
        "two parts of the disk share a block",
        "Two entries of the block map name the same stored block, so two parts of the disk show the same bytes and at least one of them is lost. qemu-img check calls it an error.",
        "Build the image again; what was overwritten cannot be restored.",
        SOURCE,
    ),
    judged(
        Code::VdiBlocksUnused,
        Warn,
        "the file holds blocks that are not part of the disk",
        "Blocks are stored that no entry of the block map names. The disk can be read, but a lost entry looks the same, and what was deleted may still be in the file.",
        REBUILD,
        SOURCE,
    ),
];
