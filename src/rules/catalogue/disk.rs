use super::{Row, Severity::*, judged};
use crate::facts::Code;

const MBR: &str = "UEFI 2.10, 5.2.1 (legacy MBR)";
const PROTECTIVE: &str = "UEFI 2.10, 5.2.3 (protective MBR)";
const HEADER: &str = "UEFI 2.10, 5.3.2 (GPT header)";
const ENTRIES: &str = "UEFI 2.10, 5.3.3 (GPT partition entry array)";

const MEND_GPT: &str = "Make a raw disk of it, `qemu-img convert -O raw FILE disk.raw`, and write both copies anew: `sgdisk -e disk.raw`.";
const LOOK_GPT: &str = "Look at the table of the raw disk, `qemu-img convert -O raw FILE disk.raw` and `sgdisk -v disk.raw`, and build the image again.";
const LOOK_MBR: &str = "Look at the table of the raw disk, `qemu-img convert -O raw FILE disk.raw` and `sfdisk -d disk.raw`, and build the image again.";

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::DiskNoPartitionTable,
        Warn,
        "a disk without partition table",
        "The container is sound, but the disk in it has neither an MBR nor a GPT. It may be a bare file system; such a disk cannot boot by itself.",
        "Image the whole disk with its partition table and boot loader. If the disk is meant to be so, nothing has to be done.",
        "DigitalOcean asks for an MBR or GPT on raw images only; a Droplet boots from its disk",
    ),
    judged(
        Code::DiskMemberSignature,
        Reject,
        "a disk that is also a part of something larger",
        "Beside its partition table the disk bears the mark of a volume: of LVM, RAID, encryption or a cache. A system may take all of the disk for that, and never look at its partitions. Mostly the mark is left over from an earlier use.",
        "If the mark is left over, remove it from the raw disk, `qemu-img convert -O raw FILE disk.raw`: list all marks with `wipefs disk.raw`, then remove that one by its offset, `wipefs -o OFFSET disk.raw`. Check the partition table afterwards.",
        "libblkid, superblocks of raid and crypto; mdadm(8), incremental assembly",
    ),
    judged(
        Code::PartitionTableEmpty,
        Warn,
        "the partition table has no partition",
        "The partition table is valid, but nothing is entered in it. A Droplet would most likely find nothing to boot from.",
        "See whether the build wrote its partitions, and to this disk: `qemu-img convert -O raw FILE disk.raw`, then `sfdisk -l disk.raw`.",
        "UEFI 2.10, 5.2.1 and 5.3.3",
    ),
    judged(
        Code::MbrInvalid,
        Reject,
        "the MBR is no partition table",
        "The first sector ends like an MBR, but what it holds cannot be a partition table. It may have been overwritten, or be the boot sector of something else.",
        LOOK_MBR,
        MBR,
    ),
    judged(
        Code::MbrPartitionPastEnd,
        Reject,
        "a partition reaches past the end of the disk",
        "The MBR has a partition that does not fit on the disk. The disk was cut off or shrunk too far, and the end of the partition is lost.",
        "Compare the size with that at the origin, and fetch the image again. If the disk was shrunk, shrink its file system and partition first.",
        MBR,
    ),
    judged(
        Code::MbrPartitionsOverlap,
        Warn,
        "two MBR partitions overlap",
        "Two partitions claim the same sectors. Writing to one of them damages the other.",
        LOOK_MBR,
        MBR,
    ),
    judged(
        Code::MbrExtendedInvalid,
        Reject,
        "the chain of logical partitions is broken",
        "The extended partition leads from one logical partition to the next, and this chain is damaged, leaves the disk or runs in a circle. The partitions behind it are lost.",
        LOOK_MBR,
        "UEFI 2.10, 5.2.2 (OS types 05h and 0Fh); the chain of boot records as DOS defined it",
    ),
    judged(
        Code::MbrHybrid,
        Warn,
        "an MBR and a GPT with partitions each",
        "Besides the entry that protects the GPT, the MBR lists partitions of its own. Systems choose differently which of the two they believe, and the two may disagree.",
        "If it is not meant to be so, write a plain protective MBR to the raw disk: `gdisk disk.raw`, then x, n, w.",
        PROTECTIVE,
    ),
    judged(
        Code::GptMissing,
        Reject,
        "the GPT is missing",
        "The MBR says that the disk has a GPT, but there is none. Systems find no partition and cannot boot.",
        "Build the image again. If the GPT was saved (sgdisk -b), bring it back to the raw disk: `sgdisk --load-backup=gpt.bin disk.raw`.",
        PROTECTIVE,
    ),
    judged(
        Code::GptPrimaryDamaged,
        Warn,
        "the primary GPT is damaged",
        "A GPT is kept twice; the copy at the end of the disk is good, the one at the beginning is not. Some boot loaders and firmware read only the first.",
        MEND_GPT,
        HEADER,
    ),
    judged(
        Code::GptBackupDamaged,
        Warn,
        "the backup GPT is damaged",
        "A GPT is kept twice; the copy at the beginning of the disk is good, the one at the end is not. The disk works, but it may have been cut off at its end.",
        "Compare the size with that at the origin. If nothing is missing, make a raw disk of it, `qemu-img convert -O raw FILE disk.raw`, and write both copies anew: `sgdisk -e disk.raw`.",
        HEADER,
    ),
    judged(
        Code::GptBackupMisplaced,
        Note,
        "the backup GPT is not at the end of the disk",
        "The disk was made larger after it was partitioned, so the backup GPT is no longer in the last sector. Systems accept that, and cloud-init's growpart usually mends it at the first boot.",
        "Nothing has to be done. To mend it now, on the raw disk: `sgdisk -e disk.raw`.",
        "UEFI 2.10, 5.3.1 (GPT overview): the backup is in the last block",
    ),
    judged(
        Code::GptDamaged,
        Reject,
        "both copies of the GPT are damaged",
        "Neither copy of the partition table can be trusted. Systems find no partition and cannot boot.",
        "Build or fetch the image again. If the GPT was saved (sgdisk -b), bring it back to the raw disk: `sgdisk --load-backup=gpt.bin disk.raw`.",
        HEADER,
    ),
    judged(
        Code::GptSectorSize,
        Reject,
        "partitioned for sectors of 4096 bytes",
        "The GPT lies where it belongs on a disk with sectors of 4096 bytes. Where sectors have 512 bytes, no system finds it.",
        "Build the image for sectors of 512 bytes, or take the variant that is not called 4k or 4096.",
        "UEFI 2.10, 5.3.1 (GPT overview): the header is in LBA 1, so its place depends on the sector size",
    ),
    judged(
        Code::GptPastEnd,
        Reject,
        "the GPT reaches past the end of the disk",
        "The GPT describes a larger disk than this one. The disk was cut off or shrunk too far, and what lay at its end is lost.",
        "Compare the size with that at the origin, and fetch the image again. If the disk was shrunk on purpose and no partition was cut, on the raw disk: `sgdisk -e disk.raw`.",
        HEADER,
    ),
    judged(
        Code::GptEntryInvalid,
        Reject,
        "a GPT partition is impossible",
        "A partition ends before it begins, or lies outside the part of the disk that the GPT gives to partitions. It cannot be used.",
        LOOK_GPT,
        ENTRIES,
    ),
    judged(
        Code::GptPartitionsOverlap,
        Reject,
        "two GPT partitions overlap",
        "Two partitions claim the same sectors. Writing to one of them damages the other.",
        LOOK_GPT,
        ENTRIES,
    ),
    judged(
        Code::GptDuplicateGuid,
        Warn,
        "two partitions have the same GUID",
        "Every partition should have a GUID of its own. A system that looks for its root partition by PARTUUID may take the wrong one.",
        "Give one of them a new GUID on the raw disk, here the second: `sgdisk -u 2:R disk.raw`. Then adapt what refers to it.",
        "UEFI 2.10, 5.3.3 (UniquePartitionGUID)",
    ),
    judged(
        Code::GptCopiesDiffer,
        Warn,
        "the two copies of the GPT differ",
        "Both copies of the GPT are sound, but they describe different partitions; a tool changed only one of them. Systems use the first one as long as it is good.",
        "See on the raw disk that the first copy is right, `sgdisk -p disk.raw`, and write it over the other: `gdisk disk.raw`, then r, d, w.",
        HEADER,
    ),
    judged(
        Code::GptWithoutProtectiveMbr,
        Warn,
        "a GPT without protective MBR",
        "The disk has a GPT, but its first sector does not announce it. Many systems then ignore the GPT and see an empty disk.",
        "Make a raw disk of it, `qemu-img convert -O raw FILE disk.raw`, and let sgdisk write the MBR: `sgdisk -e disk.raw`.",
        PROTECTIVE,
    ),
];
