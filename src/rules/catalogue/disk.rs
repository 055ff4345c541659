use super::{Recipe, Remedy, Remedy::Judge, Row, Severity::*, judged, run};
use crate::facts::Code;

const MBR: &str = "UEFI 2.10, 5.2.1 (legacy MBR)";
const PROTECTIVE: &str = "UEFI 2.10, 5.2.3 (protective MBR)";
const HEADER: &str = "UEFI 2.10, 5.3.2 (GPT header)";
const ENTRIES: &str = "UEFI 2.10, 5.3.3 (GPT partition entry array)";

const LOOK: Remedy =
    Judge("Look at the table with fdisk, on a raw copy of the disk, and build the image again.");
const LOOK_GPT: Remedy = Judge(
    "Look at the table with sgdisk -v, on a raw copy of the disk, and build the image again.",
);
const BUILD: Remedy = Judge(
    "Build or fetch the image again. If the GPT was saved with sgdisk -b, sgdisk -l brings it back to a raw copy of the disk.",
);
const PROTECT: Remedy = run(
    "If the GPT is the table that counts, write a protective MBR before it, on a raw copy of the disk",
    Recipe::Protect,
    "",
);

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::DiskNoPartitionTable,
        Warn,
        "a disk without partition table",
        "The container is sound, but the disk in it has neither an MBR nor a GPT. DigitalOcean asks for one in raw images only, which it has to recognise by it. Some official images have a bootable file system on the whole disk; any other such disk does not boot.",
        Judge(
            "If you do not know that the disk boots like this, image the whole disk with its partition table and boot loader, not one partition of it (/dev/vda, not /dev/vda1).",
        ),
        "DigitalOcean custom images, requirements: raw (.img) with an MBR or GPT partition table; Alpine Linux's cloud images have none",
    ),
    judged(
        Code::DiskMemberSignature,
        Warn,
        "a disk that is also a part of something larger",
        "Beside its partition table the disk bears the mark of a volume: of LVM, RAID, encryption or a cache. A system may take all of the disk for that, and never look at its partitions. Mostly the mark is left over from an earlier use.",
        Judge(
            "If the mark is left over, remove it from a raw copy of the disk: wipefs lists all marks, and wipefs -o removes one by its offset. Then check the copy.",
        ),
        "libblkid, superblocks of raid and crypto; mdadm(8), incremental assembly",
    ),
    judged(
        Code::DiskFileSystem,
        Warn,
        "a file system on the whole disk, beneath its partitions",
        "Beside its partition table the disk bears the mark of a file system that begins with the disk and reaches into a partition, or the marks of several. Linux mounts such a file system from the first byte of the disk; libblkid, and with it udev, names it beside the partitions, and names nothing at all if there are several. Mostly a partition table was written to an image of a file system, or a file system was there before.",
        Judge(
            "If the disk is meant to have partitions, remove the mark from a raw copy of it: wipefs lists all marks, and wipefs -o removes one by its offset. If it is a file system, make a partition for it and copy it there. Then check the copy.",
        ),
        "util-linux, libblkid/src/superblocks, superblocks_safeprobe; wipefs(8)",
    ),
    judged(
        Code::DiskFileSystemLeftOver,
        Note,
        "the mark of a file system before the partitions",
        "Beside its partition table the disk bears the mark of a file system that begins with the disk and reaches into no partition. libblkid names it beside the partitions. Mostly it is left over from an earlier use.",
        Judge(
            "Nothing has to be done. On a raw copy of the disk, wipefs lists all marks, and wipefs -o removes one by its offset.",
        ),
        "util-linux, libblkid/src/superblocks; wipefs(8)",
    ),
    judged(
        Code::PartitionTableEmpty,
        Warn,
        "the partition table has no partition",
        "The partition table is valid, but nothing is entered in it. A Droplet would most likely find nothing to boot from.",
        Judge("See whether the build wrote its partitions, and to this disk."),
        "UEFI 2.10, 5.2.1 and 5.3.3",
    ),
    judged(
        Code::MbrInvalid,
        Reject,
        "the MBR is no partition table",
        "The first sector ends like an MBR, but what it holds cannot be a partition table. It may have been overwritten, or be the boot sector of something else.",
        LOOK,
        MBR,
    ),
    judged(
        Code::MbrPartitionPastEnd,
        Reject,
        "a partition reaches past the end of the disk",
        "The MBR has a partition that does not fit on the disk. The disk was cut off or shrunk too far, and the end of the partition is lost.",
        Judge(
            "Compare the size with that at the origin, and fetch the image again. If the disk was shrunk, shrink its file system and partition first.",
        ),
        MBR,
    ),
    judged(
        Code::MbrPartitionsOverlap,
        Warn,
        "two MBR partitions overlap",
        "Two partitions claim the same sectors. Writing to one of them damages the other.",
        LOOK,
        MBR,
    ),
    judged(
        Code::MbrExtendedInvalid,
        Reject,
        "the chain of logical partitions is broken",
        "The extended partition leads from one logical partition to the next, and this chain is damaged, leaves the disk or runs in a circle. The partitions behind it are lost.",
        LOOK,
        "UEFI 2.10, 5.2.2 (OS types 05h and 0Fh); the chain of boot records as DOS defined it",
    ),
    judged(
        Code::MbrEntryAmbiguous,
        Warn,
        "an MBR entry that is used to one reader and unused to another",
        "An entry of the MBR, or of an extended boot record, has a size but the type of unused entries, or a type but no size. Linux and libblkid go by the size, parted and UEFI by the type, so that they show different partitions.",
        Judge(
            "See what is in these sectors. On a raw copy of the disk, sfdisk --part-type gives the entry a type, and sfdisk --delete removes it.",
        ),
        "Linux 6.1, msdos_partition and parse_extended in block/partitions/msdos.c; util-linux, libfdisk/src/dos.c",
    ),
    judged(
        Code::MbrPartitionOverTable,
        Warn,
        "a partition covers the table that lists it",
        "A partition has the MBR or an extended boot record in it. Whoever writes a file system to it, or a boot loader to the disk, destroys the other.",
        LOOK,
        MBR,
    ),
    judged(
        Code::MbrActiveTwice,
        Warn,
        "several active partitions",
        "More than one entry of the MBR is marked as the one to boot from. Boot code that goes by the mark refuses such a disk (\"Multiple active partitions\", \"Invalid partition table\"); GRUB does not look at it.",
        Judge(
            "Leave the mark on the one to boot from: sfdisk --activate does so, on a raw copy of the disk.",
        ),
        "SYSLINUX mbr.bin, \"Multiple active partitions\"",
    ),
    judged(
        Code::MbrExtendedAmbiguous,
        Warn,
        "logical partitions that readers list differently",
        "A disk should have one extended partition, each boot record in it one logical partition and one link to the next record. Where there is more, or a link that is too long, Linux, libblkid, sfdisk, parted and UEFI each see other partitions, under other numbers.",
        LOOK,
        "Linux 6.1, parse_extended in block/partitions/msdos.c; util-linux, libblkid/src/partitions/dos.c and read_extended in libfdisk/src/dos.c",
    ),
    judged(
        Code::MbrExtendedUnusual,
        Note,
        "an unusual chain of logical partitions",
        "The chain of logical partitions goes back on the disk, as it does after one was added between others, or a boot record has its entries in another order than usual. Linux, sfdisk and parted read it; UEFI's firmware may not, and new versions of libblkid stop where a chain goes back.",
        Judge(
            "Nothing has to be done. On a raw copy of the disk, sfdisk --reorder puts the chain in order.",
        ),
        "Linux 6.1, parse_extended in block/partitions/msdos.c",
    ),
    judged(
        Code::MbrInVolume,
        Warn,
        "an MBR in the boot sector of a volume",
        "The first sector is both: an MBR with partitions, or one that announces a GPT, and the boot sector of a FAT, exFAT or NTFS volume that begins with the disk. Linux shows the partitions; libblkid, and with it what mounts by label or UUID, the volume.",
        Judge(
            "If the disk is meant to have partitions, build the image again on an empty disk. If it is a volume, make a partition for it and copy it there.",
        ),
        "util-linux, libblkid/src/partitions/dos.c and src/superblocks/vfat.c",
    ),
    judged(
        Code::MbrPartitionDivided,
        Note,
        "a partition that is divided once more",
        "A partition of the MBR holds a table of its own, as the BSDs, Solaris, UnixWare and Minix make it. Linux shows the partitions in it too; the report lists only the outer one.",
        Judge("Nothing has to be done. fdisk -l shows what is in it."),
        "Linux 6.1, subtypes in block/partitions/msdos.c",
    ),
    judged(
        Code::MbrHybrid,
        Warn,
        "an MBR and a GPT with partitions each",
        "Besides the entry that protects the GPT, the MBR lists partitions of its own. Systems choose differently which of the two they believe, and the two may disagree.",
        PROTECT,
        PROTECTIVE,
    ),
    judged(
        Code::PartitionTableSecond,
        Warn,
        "a second kind of partition table",
        "Beside the MBR or the GPT, the disk has the mark of another kind of partition table. Readers look for them in different orders, so Linux, libblkid and parted may show different partitions.",
        Judge("See with wipefs what was there before. Build the image again on an empty disk."),
        "Linux 6.1, check_part in block/partitions/core.c; util-linux, idinfos in libblkid/src/partitions/partitions.c; parted, ped_disk_probe and libparted/labels",
    ),
    judged(
        Code::PartitionsTooMany,
        Warn,
        "more partitions than are shown",
        "Linux numbers the partitions of a disk from 1 to 255; fdisk and sfdisk know 60 of an MBR. What comes after them is on the disk, but a Droplet does not see it.",
        Judge("Give the disk fewer partitions, or put the others into a volume group of LVM."),
        "Linux 6.1, DISK_MAX_PARTS; util-linux, MAXIMUM_PARTS in libfdisk/src/dos.c",
    ),
    judged(
        Code::GptMissing,
        Reject,
        "the GPT is missing",
        "The MBR says that the disk has a GPT, but there is none. Systems find no partition and cannot boot.",
        BUILD,
        PROTECTIVE,
    ),
    judged(
        Code::GptPrimaryDamaged,
        Warn,
        "the primary GPT is damaged",
        "A GPT is kept twice; the copy at the end of the disk is good, the one at the beginning is not. Linux reads only the first, unless gpt is on its command line: a Droplet finds no partition.",
        run("Write both copies of the GPT anew, on a raw copy of the disk", Recipe::FromBackup, ""),
        HEADER,
    ),
    judged(
        Code::GptBackupDamaged,
        Warn,
        "the backup GPT is damaged",
        "A GPT is kept twice; the copy at the beginning of the disk is good, the one at the end is not. The disk works, but it may have been cut off at its end.",
        run(
            "Compare the size with that at the origin. If nothing is missing, write both copies of the GPT anew, on a raw copy of the disk",
            Recipe::MoveBackup,
            "",
        ),
        HEADER,
    ),
    judged(
        Code::GptBackupMisplaced,
        Note,
        "the backup GPT is not at the end of the disk",
        "The disk was made larger after it was partitioned, so the backup GPT is no longer in the last sector. Systems accept that, and cloud-init's growpart usually mends it at the first boot.",
        run(
            "Nothing has to be done. To put it there now, on a raw copy of the disk",
            Recipe::MoveBackup,
            "",
        ),
        "UEFI 2.10, 5.3.1 (GPT overview): the backup is in the last block",
    ),
    judged(
        Code::GptDamaged,
        Reject,
        "both copies of the GPT are damaged",
        "Neither copy of the partition table can be trusted. Systems find no partition and cannot boot.",
        BUILD,
        HEADER,
    ),
    judged(
        Code::GptSectorSize,
        Reject,
        "partitioned for sectors of 4096 bytes",
        "The GPT lies where it belongs on a disk with sectors of 4096 bytes. Where sectors have 512 bytes, no system finds it.",
        Judge(
            "Build the image for sectors of 512 bytes, or take the variant that is not called 4k or 4096.",
        ),
        "UEFI 2.10, 5.3.1 (GPT overview): the header is in LBA 1, so its place depends on the sector size",
    ),
    judged(
        Code::GptPastEnd,
        Reject,
        "the GPT reaches past the end of the disk",
        "The GPT describes a larger disk than this one. The disk was cut off or shrunk too far, and what lay at its end is lost.",
        run(
            "Compare the size with that at the origin, and fetch the image again. If no partition reaches past the end and only the backup GPT was lost, make room for a new one, on a raw copy of the disk",
            Recipe::MakeRoom,
            "",
        ),
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
        Judge(
            "Give one of them a new GUID with sgdisk -u, on a raw copy of the disk. Then adapt what refers to it.",
        ),
        "UEFI 2.10, 5.3.3 (UniquePartitionGUID)",
    ),
    judged(
        Code::GptCopiesDiffer,
        Warn,
        "the two copies of the GPT differ",
        "Both copies of the GPT are sound, but they describe different partitions; a tool changed only one of them. Systems use the first one as long as it is good.",
        Judge(
            "See which of the copies is right, and write it over the other: on a raw copy of the disk, with the recovery menu of gdisk.",
        ),
        HEADER,
    ),
    judged(
        Code::GptEntrySize,
        Warn,
        "a GPT that Linux does not read",
        "The entries of the GPT are larger than the usual 128 bytes. UEFI allows that, but Linux and libblkid refuse such a table: a Droplet finds no partition and cannot boot.",
        Judge(
            "Build the image with a tool that writes entries of 128 bytes, as sfdisk, parted and sgdisk do.",
        ),
        "Linux 6.1, is_gpt_valid in block/partitions/efi.c",
    ),
    judged(
        Code::GptRevision,
        Warn,
        "a GPT of an unknown revision",
        "The GPT names a revision that no version of UEFI has. Linux does not look at it; sgdisk and others take the table for damaged.",
        LOOK_GPT,
        HEADER,
    ),
    judged(
        Code::GptOverItself,
        Warn,
        "a GPT that gives its own sectors away",
        "Headers and entries of a GPT need sectors that nothing else uses. Here a partition covers them, or may be made over them, or two parts of the table are in the same place. Writing to one destroys the other, and some readers refuse such a table.",
        LOOK_GPT,
        "UEFI 2.10, 5.3.1 (GPT overview); util-linux, get_gpt_header in libblkid/src/partitions/gpt.c",
    ),
    judged(
        Code::GptProtectiveMbrTwice,
        Warn,
        "two entries that protect a GPT",
        "The MBR before a GPT has more than one entry of type EE. Linux takes the one that begins at sector 1; some systems take the first, or take the disk for damaged.",
        PROTECT,
        PROTECTIVE,
    ),
    judged(
        Code::GptProtectiveMbrOdd,
        Note,
        "an unusual protective MBR",
        "The entry of type EE says that there is a GPT, which is enough for Linux. Its length, its boot flag, its first CHS or its place in the MBR are not those that UEFI asks for. Some firmware passes over a GPT then, but a Droplet boots without it. OpenStack (Glance, Nova, Cinder) refuses an image whose entry has another first CHS than 00 02 00, or is not the first.",
        PROTECT,
        PROTECTIVE,
    ),
    judged(
        Code::GptWithoutProtectiveMbr,
        Warn,
        "a GPT without protective MBR",
        "The disk has a GPT, but its first sector does not announce it by an entry of type EE that begins at sector 1. Linux and UEFI then ignore the GPT, and a Droplet finds no partition.",
        PROTECT,
        PROTECTIVE,
    ),
];
