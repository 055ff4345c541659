use super::{Remedy::Judge, Row, Severity::*, judged};
use crate::facts::Code;

/// What systemd does when a mount of fstab fails.
const STOPS: &str =
    "systemd.mount(5), systemd-fstab-generator(8): local-fs.target fails into emergency.target";

const NAME_IT: &str = "Name it by its UUID (blkid shows it), add nofail to the options if the system does without it, or delete the line.";

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::FstabSourceMissing,
        Reject,
        "fstab mounts what is not on the disk",
        "systemd waits 90 seconds for it, and then boots into a shell on the console instead of the network and sshd. Nobody reaches the Droplet.",
        Judge(NAME_IT),
        STOPS,
    ),
    judged(
        Code::FstabDeviceName,
        Reject,
        "fstab mounts a device by a name that a Droplet does not have",
        "The disk of a Droplet is /dev/vda, whatever it was called where the image was built. systemd waits for the other name, and then boots into a shell on the console instead of the network and sshd.",
        Judge(NAME_IT),
        STOPS,
    ),
    judged(
        Code::FstabTypeWrong,
        Reject,
        "fstab mounts a volume as another file system than it holds",
        "The mount fails, and systemd boots into a shell on the console instead of the network and sshd.",
        Judge("Correct the type in the third field, or write auto."),
        STOPS,
    ),
    judged(
        Code::FstabSubvolumeMissing,
        Reject,
        "fstab mounts a subvolume that is not there",
        "The mount fails, and systemd boots into a shell on the console instead of the network and sshd.",
        Judge(
            "Correct the option subvol= or subvolid= (btrfs subvolume list shows what there is), or delete the line.",
        ),
        STOPS,
    ),
    judged(
        Code::CrypttabKeyAsked,
        Reject,
        "the boot waits for a passphrase",
        "What crypttab opens without a key that is on the disk is opened by somebody who types a passphrase at the console. Until then neither network nor sshd starts.",
        Judge(
            "Add nofail to its options if the system does without it, give it a key file, or build the image without encryption.",
        ),
        "crypttab(5), systemd-cryptsetup-generator(8)",
    ),
    judged(
        Code::FstabMountFails,
        Warn,
        "a mount of fstab fails on a Droplet",
        "What is mounted there is missing, or is called otherwise on a Droplet. Whether the boot goes on without it depends on what starts the services.",
        Judge(NAME_IT),
        "fstab(5)",
    ),
    judged(
        Code::FstabRootDiffers,
        Warn,
        "fstab has the root under another name or type",
        "The root is mounted before fstab is read, by what the kernel's command line names. Mounting it once more with the options of its line may fail, and then it stays read-only.",
        Judge("Name the root by its UUID (blkid shows it), with the type that it has."),
        "fstab(5), systemd-remount-fs.service(8)",
    ),
    judged(
        Code::FstabConfigDrive,
        Warn,
        "fstab mounts the config drive",
        "A Droplet has a second disk, /dev/vdb, from which a provisioner reads its data. It is no place for files of the guest.",
        Judge(NAME_IT),
        "canonical/cloud-init#4787: the config drive of a Droplet",
    ),
    judged(
        Code::FstabRemote,
        Warn,
        "the boot waits for a mount over a network",
        "Every Droplet made from the image has to reach that server, or its boot is delayed by minutes.",
        Judge("Add nofail to the options, or delete the line."),
        "systemd.mount(5): _netdev, remote-fs.target",
    ),
    judged(
        Code::FstabSwapMissing,
        Warn,
        "fstab swaps to what is not there",
        "The boot waits 90 seconds for it and goes on without swap.",
        Judge("Delete the line, or name the swap by its UUID (blkid shows it)."),
        "systemd.swap(5)",
    ),
    judged(
        Code::RootNotGrown,
        Note,
        "the root does not grow to the disk of a Droplet",
        "The disk of a Droplet is larger than that of the image. What lies behind the root's partition is not used until somebody makes it larger.",
        Judge(
            "Make the root the last partition, without LVM, and install growpart (cloud-guest-utils, cloud-utils-growpart) beside cloud-init.",
        ),
        "cloud-init, modules growpart and resizefs",
    ),
    judged(
        Code::RootFull,
        Warn,
        "the root has hardly any room",
        "A first boot writes keys, logs and what the provisioner keeps before the root grows. Without room for it, services fail.",
        Judge("Make the root's file system larger, or delete what is not needed."),
        "AWS VM Import/Export, prerequisites: free space on the root volume",
    ),
];
