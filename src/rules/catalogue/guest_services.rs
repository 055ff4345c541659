use super::{Row, Severity::*, in_guest, judged};
use crate::facts::Code;

pub(super) const ROWS: &[Row] = &[judged(
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
)];
