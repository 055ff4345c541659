use super::{Remedy::Judge, Row, Severity::*, judged};
use crate::facts::Code;

const BOOT: &str =
    "tidegate boot: QEMU with the firmware, drives, network and metadata of a Droplet";

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::BootedNotUp,
        Reject,
        "the image did not come up",
        "It was started on a machine that looks like a Droplet, and did not come as far as its owner needs it to.",
        Judge(
            "The screen and the last lines of the serial console say how far it came; findings about what is inside often say why. Mend the build, and boot the image again.",
        ),
        BOOT,
    ),
    judged(
        Code::BootedCommandFailed,
        Reject,
        "the command failed in the system",
        "The image came up and its owner was let in, but the command that was to be run there did not end with exit code 0.",
        Judge("The report has the last lines that the command wrote."),
        BOOT,
    ),
    judged(
        Code::BootedProvisionerErrors,
        Warn,
        "cloud-init had errors",
        "The owner was let in, but cloud-init says that some of its modules failed, without any data of the user's.",
        Judge(
            "Read /var/log/cloud-init.log of the system that was booted; a module that fails often needs a program that is not installed, or can be left out of the list of modules.",
        ),
        "cloud-init: Failure states (docs); tidegate boot",
    ),
    judged(
        Code::BootedRootNotGrown,
        Warn,
        "the root file system did not grow",
        "The disk of the machine was larger than that of the image, as that of a Droplet is, and the root file system did not take the room.",
        Judge(
            "Let cloud-init grow it (its modules growpart and resizefs, with the program growpart), or systemd, and make the root the last partition.",
        ),
        "cloud-init: cc_growpart, cc_resizefs; tidegate boot",
    ),
    judged(
        Code::BootedNoShutdown,
        Warn,
        "the power button does not shut the system down",
        "The system did nothing when its power button was pressed, which is how a Droplet is shut down by the panel and the API. It can only be switched off.",
        Judge(
            "Let something listen to the power button: systemd-logind does, and elsewhere acpid.",
        ),
        BOOT,
    ),
];
