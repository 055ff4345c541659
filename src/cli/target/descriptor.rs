//! Paths that name what this process has open already: that itself is written, not the file behind it anew.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::identity::LINKS;
use crate::bytes::{Small, folder};

/// What the system says of a descriptor: some lines, and more for some kinds of files.
const ABOUT: Small = Small { what: "what the system says of a descriptor", most: 1 << 20 };

/// The number of the descriptor that a path names, if it does: by `-`, by its name in `/dev` or in `/proc`, or by a link
/// to one of these.
pub(super) fn named(path: &Path) -> Option<i32> {
    let own: Vec<_> = ["/proc/self/fd", "/proc/thread-self/fd"]
        .iter()
        .filter_map(|folder| fs::canonicalize(folder).ok())
        .collect();
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match path.to_str() {
            Some("-" | "/dev/stdout") => return Some(1),
            Some("/dev/stderr") => return Some(2),
            Some("/dev/stdin") => return Some(0),
            _ => {}
        }
        let above = folder(&path);
        if let Some(number) = path.file_name().and_then(number)
            && (above == Path::new("/dev/fd")
                || fs::canonicalize(above).is_ok_and(|above| own.contains(&above)))
        {
            return Some(number);
        }
        path = above.join(fs::read_link(&path).ok()?);
    }
    None
}

fn number(name: &std::ffi::OsStr) -> Option<i32> {
    let name = name.to_str()?;
    name.parse().ok().filter(|number: &i32| *number >= 0 && number.to_string() == name)
}

/// The descriptor, if whoever started the program left it open for writing.
pub(super) fn open(number: i32) -> Result<File, String> {
    let not_open = || format!("descriptor {number} is not open");
    let flags = ABOUT
        .text(Path::new(&format!("/proc/self/fdinfo/{number}")))
        .ok()
        .and_then(|text| flags(&text))
        .ok_or_else(not_open)?;
    // What the program itself opened ends with it, and is nobody else's.
    if number > 2 && flags.contains(OFlags::CLOEXEC) {
        return Err(not_open());
    }
    if flags & OFlags::RWMODE == OFlags::RDONLY {
        return Err(format!("descriptor {number} is open for reading alone"));
    }
    duplicate(number).map_err(|e| format!("descriptor {number}: {e}"))
}

/// The flags of an open file, in octal digits (proc_pid_fdinfo(5)).
fn flags(text: &str) -> Option<OFlags> {
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(flags.trim(), 8).ok().map(OFlags::from_bits_retain)
}

fn duplicate(number: i32) -> io::Result<File> {
    let of_std = |stream: &dyn AsFd| stream.as_fd().try_clone_to_owned();
    let descriptor = match number {
        0 => of_std(&io::stdin())?,
        1 => of_std(&io::stdout())?,
        2 => of_std(&io::stderr())?,
        _ => {
            let own = pidfd_open(getpid(), PidfdFlags::empty())?;
            pidfd_getfd(own, number, PidfdGetfdFlags::empty())?
        }
    };
    Ok(File::from(descriptor))
}
