use super::{Remedy::Judge, Row, Severity::*, in_guest, judged};
use crate::facts::Code;

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::SystemNoInit,
        Reject,
        "there is no init",
        "When the kernel has mounted the root, it starts the program /sbin/init, or one of three others. None of them can be started, so a Droplet ends in a kernel panic or in a shell that nobody can reach.",
        Judge(
            "Install an init in the build: with systemd, the package systemd-sysv (Debian, Ubuntu) or systemd. If there is one elsewhere, name it with init= on the kernel's command line.",
        ),
        "Linux, init/main.c, kernel_init; kernel-parameters, init=",
    ),
    judged(
        Code::SystemDefaultTarget,
        Reject,
        "the system boots into a shell for repairs, or shuts down",
        "What systemd boots into has no network and no SSH server. A Droplet answers to nobody, and a custom image's root password cannot be reset.",
        in_guest(
            "Boot into the ordinary system, and take systemd.unit=, single or rescue out of the kernel's command line",
            "systemctl set-default multi-user.target",
            "",
        ),
        "systemd.special(7), kernel-command-line(7)",
    ),
];
