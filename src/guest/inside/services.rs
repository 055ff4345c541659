//! Which services a guest starts.

use super::super::fs::Trouble;
use super::super::tree::Tree;

/// What starts the services of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Init {
    /// systemd.
    Systemd,
    /// OpenRC.
    OpenRc,
    /// Scripts in /etc/rc?.d.
    SysV,
    /// runit.
    Runit,
    /// rc.conf of a BSD.
    Bsd,
}

/// Whether a service starts at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum On {
    /// Something starts it.
    Yes,
    /// It is there, and nothing starts it.
    No,
    /// It is there, and is kept from starting by a mask.
    Masked,
    /// It is not there.
    Absent,
}

/// Directories that systemd reads units from, the first one first.
pub(in crate::guest) const UNIT_PATHS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
