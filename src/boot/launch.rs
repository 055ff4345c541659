//! QEMU, started so that it does not outlive this program.
//!
//! A process can ask to be killed when the thread that made it ends (prctl(2), `PR_SET_PDEATHSIG`), but only for itself. So
//! this program starts itself once more, asks for that, makes sure that its parent still lives, and becomes QEMU.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The first argument of this program when it is to become another one: the number of its parent and the program follow.
const BECOME: &str = "__become";

/// A command that runs a program that is killed when the calling thread ends, so it has to be one that lasts.
pub(super) fn tied(program: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(BECOME).arg(std::process::id().to_string()).arg(program);
    command
}

/// If these are the arguments of a command of [`tied`], becomes the program; returns only if it cannot, and why.
pub(crate) fn become_another(mut arguments: impl Iterator<Item = OsString>) -> Option<io::Error> {
    if arguments.next()? != OsStr::new(BECOME) {
        return None;
    }
    let parent = arguments.next().and_then(|parent| parent.to_str()?.parse::<i32>().ok())?;
    let program = arguments.next()?;
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return Some(error.into());
    }
    // Whoever died before that sends no signal any more.
    if Pid::as_raw(getppid()) != parent {
        return Some(io::Error::other("the program that started it has ended"));
    }
    Some(Command::new(program).args(arguments).exec())
}
