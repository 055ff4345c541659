use super::{Remedy::Judge, Row, Severity::*, judged};
use crate::facts::Code;

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::GuestNotExamined,
        Note,
        "what is inside the disk was not examined",
        "tidegate did not examine, or not in full, whether a Droplet made from this image boots, gets a network and lets its owner in. It does not read the file system, or the source cannot be read in any order.",
        Judge(
            "If the image comes from a pipe, --spool keeps it in a temporary file for this. With --guest require, tidegate refuses what it cannot examine.",
        ),
        "tidegate: what was not read is never judged",
    ),
    judged(
        Code::GuestUnexaminable,
        Warn,
        "what is inside the disk cannot be examined",
        "A file system on the disk is damaged, or it makes an examination longer than any system needs. tidegate did not examine what lies there, so it does not know whether a Droplet made from this image boots, gets a network and lets its owner in.",
        Judge(
            "Check the file system with its own tool (fsck -n) on a raw copy of the disk, and build the image again.",
        ),
        "tidegate: what was not read is never judged",
    ),
    judged(
        Code::GuestNoRoot,
        Note,
        "no root of an operating system is on the disk",
        "All volumes of the disk were read, and none has the directories of a system's root. Systems that run from an initramfs alone have none either, so tidegate does not know whether a Droplet boots. Of any other disk, it has nothing to boot.",
        Judge(
            "If the disk is to have a system of its own, see whether the build installed it, and to this disk.",
        ),
        "hier(7); systemd file-hierarchy(7); LinuxKit and k3OS run from an initramfs",
    ),
    judged(
        Code::GuestSeveralRoots,
        Warn,
        "several operating systems are on the disk",
        "More than one volume has the directories of a system's root. Which of them a Droplet boots depends on the boot loader alone, and was not examined.",
        Judge(
            "If one of them is left over, remove it and its partition from the disk, and build the image again.",
        ),
        "AWS VM Import/Export, prerequisites: multiple root partitions are refused",
    ),
];
