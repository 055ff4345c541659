//! What is inside a disk: `inspect`, `ls` and `cat`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::os::unix::ffi::OsStrExt;

use super::args::{CatArgs, DiskArgs, Format, InspectArgs, LsArgs, RootArgs};
use super::progress::Progress;
use super::{ACCEPTED, REJECTED, UNREADABLE, Usage, check, output, signals};
use crate::bytes::{Hostile, read_size, rfc3339};
use crate::guest::fs::{Kind, Trouble};
use crate::guest::{DeadLink, Files, Listed, NoRoot, Reading};
use crate::inspect::{self, Error, Opened};
use crate::render::guest;
use crate::source::{is_unconnected, shown};

/// Shows what is inside the disk of an image.
pub(super) fn inspect(args: &InspectArgs) -> Result<u8, Usage> {
    let looked = opened(&args.disk, |opened| {
        let (inside, _) = inspect::within(opened)?;
        Ok((inside, opened.format(), opened.virtual_size()))
    })?;
    let (inside, format, size) = match looked {
        Ok(found) => found,
        Err(error) => return Ok(unreadable(&args.disk.image, &error)),
    };
    match args.format {
        Format::Text => {
            let mut text = guest::text(format.as_str(), size, &inside, output::style(true).width);
            if inside.volumes.is_empty() {
                text.push_str("  tidegate recognises nothing on the disk.\n");
            }
            output::write(&mut None, &text)?;
        }
        Format::Json => {
            let name = shown(&args.disk.image).to_string();
            let text = guest::json(&name, format.as_str(), size, &inside)
                .map_err(|e| Usage(format!("cannot write the report: {e}")))?;
            output::document_text(&text)?;
        }
    }
    Ok(ACCEPTED)
}

/// Lists a directory of the guest.
pub(super) fn ls(args: &LsArgs) -> Result<u8, Usage> {
    let path = path(&args.path)?;
    let listed = at_root(&args.root, |files| match files.list(path)? {
        Some(listed) => Ok(Ok(listed)),
        None => files.dead_link(path).map(Err),
    })?;
    match listed {
        Err(code) => Ok(code),
        Ok(Err(link)) => Ok(absent(&args.root, path, link)),
        Ok(Ok(listed)) => {
            output::write(&mut None, &lines(&listed, args.long))?;
            Ok(ACCEPTED)
        }
    }
}

/// Writes a file of the guest to standard output.
pub(super) fn cat(args: &CatArgs) -> Result<u8, Usage> {
    if is_unconnected(&io::stdout()) {
        return Err(Usage(
            "standard output is closed; send it to a file, or to /dev/null by name".into(),
        ));
    }
    let path = path(&args.path)?;
    let most = read_size(&args.max_bytes).ok_or_else(|| {
        let given = Hostile::from(args.max_bytes.as_str());
        Usage(format!("--max-bytes takes a size such as 64MiB or 1000000, not \"{given}\""))
    })?;
    let escape = io::stdout().is_terminal();
    let mut written = Ok(());
    let read = at_root(&args.root, |files| {
        match files.read(path, most, &mut |bytes| put(bytes, escape, &mut written))? {
            Reading::Absent => files.dead_link(path).map(Err),
            reading => Ok(Ok(reading)),
        }
    })?;
    match written {
        Ok(()) => {}
        // Whoever reads it has seen what it wanted to.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ACCEPTED),
        Err(error) => return Err(Usage(format!("cannot write to standard output: {error}"))),
    }
    let name = Hostile::new(path);
    match read {
        Err(code) => Ok(code),
        Ok(Err(link)) => Ok(absent(&args.root, path, link)),
        Ok(Ok(Reading::Other(kind))) => {
            let what = if kind == Kind::Directory { "a directory" } else { "no regular file" };
            output::complain(&format!("{}: {name} is {what}", shown(&args.root.disk.image)));
            Ok(REJECTED)
        }
        Ok(Ok(Reading::Cut)) => {
            let hint = "--max-bytes raises the limit";
            output::complain(&format!("{name} goes on after {most} bytes; {hint}"));
            Ok(REJECTED)
        }
        Ok(_) => Ok(ACCEPTED),
    }
}

/// A path of the guest. An empty one comes of a variable that is not set.
fn path(given: &OsString) -> Result<&[u8], Usage> {
    match given.as_bytes() {
        [] => Err(Usage(
            "PATH is empty: name one from the root of the system on, such as /etc".into(),
        )),
        path => Ok(path),
    }
}

/// Opens an image and does something with its files, from the root that is asked for. The inner error is the exit code of
/// an image that cannot be read, which was said.
fn at_root<T>(
    args: &RootArgs,
    work: impl FnOnce(&mut Files<'_>) -> Result<T, Trouble>,
) -> Result<Result<T, u8>, Usage> {
    let done = opened(&args.disk, |opened| {
        inspect::files(opened, |files| match files.begin(place(args.volume)) {
            Ok(()) => work(files).map(Ok),
            Err(none) => Ok(Err(choose(none, args.volume, files))),
        })
    })?;
    match done {
        Err(error) => Ok(Err(unreadable(&args.disk.image, &error))),
        Ok(Err(usage)) => Err(usage),
        Ok(Ok(done)) => Ok(Ok(done)),
    }
}

/// Opens an image and does something with it.
fn opened<T>(
    args: &DiskArgs,
    work: impl FnOnce(&mut Opened) -> Result<T, Error>,
) -> Result<Result<T, Error>, Usage> {
    let options = check::to_look_at(&args.open.max_size, &args.open.net, [&args.image])?;
    let progress = Progress::new(args.open.quiet);
    let closed = std::sync::Arc::clone(&progress);
    signals::watch(move || closed.close());
    let done = Opened::open(&args.image, &options, &*progress).and_then(|mut opened| {
        progress.close();
        let done = work(&mut opened)?;
        opened.unchanged()?;
        Ok(done)
    });
    progress.close();
    Ok(done)
}

fn put(bytes: &[u8], escape: bool, written: &mut io::Result<()>) -> bool {
    let mut out = io::stdout().lock();
    *written = match escape {
        true => {
            let lines = bytes.split_inclusive(|&byte| byte == b'\n').map(|line| {
                let text = line.strip_suffix(b"\n");
                let end = if text.is_some() { "\n" } else { "" };
                format!("{}{end}", Hostile::new(text.unwrap_or(line)))
            });
            out.write_all(lines.collect::<String>().as_bytes())
        }
        false => out.write_all(bytes),
    }
    .and_then(|()| out.flush());
    written.is_ok()
}

/// The place in the list of a volume that is numbered from 1.
fn place(number: Option<u32>) -> Option<usize> {
    number.map(|number| (number as usize).wrapping_sub(1))
}

fn unreadable(image: &OsString, error: &Error) -> u8 {
    output::complain(&format!("{}: {}", shown(image), error.message));
    UNREADABLE
}

/// Says that there is no such file, and which link on the way to it leads nowhere.
fn absent(args: &RootArgs, path: &[u8], link: Option<DeadLink>) -> u8 {
    let image = shown(&args.disk.image);
    let why = match link {
        Some(DeadLink { path, target, .. }) => format!(
            ": {} is a link to {}, which leads nowhere",
            Hostile::new(&path),
            Hostile::new(&target)
        ),
        None => String::new(),
    };
    output::complain(&format!("{image}: there is no {}{why}", Hostile::new(path)));
    REJECTED
}

/// Says which volumes there are to choose from.
fn choose(none: NoRoot, asked: Option<u32>, files: &Files<'_>) -> Usage {
    let asked = asked.unwrap_or_default();
    let why = match none {
        NoRoot::None if files.unread().is_empty() => {
            "no volume holds an operating system".to_owned()
        }
        NoRoot::None => "no volume that can be read holds an operating system".to_owned(),
        NoRoot::Several => "several volumes hold an operating system".to_owned(),
        NoRoot::NoVolume => format!("there is no volume {asked}"),
        NoRoot::Unreadable => format!("volume {asked} has no files that tidegate reads"),
    };
    if files.volumes().is_empty() {
        return Usage(format!("{why}, and the disk has no volumes"));
    }
    let mut text = format!("{why}; choose one with --volume N:");
    for (index, volume) in files.volumes().iter().enumerate() {
        let _ = write!(text, "\n  {}  {}", index + 1, guest::of_volume(volume));
        if let Some((_, why)) = files.unread().iter().find(|(unread, _)| *unread == index) {
            let _ = write!(text, " ({why})");
        }
    }
    Usage(text)
}

fn lines(listed: &[Listed], long: bool) -> String {
    let mut out = String::new();
    for entry in listed {
        let name = Hostile::new(&entry.name);
        if !long {
            let _ = writeln!(out, "{name}");
            continue;
        }
        let inode = entry.inode;
        let date = inode.modified.and_then(|at| u64::try_from(at).ok()).map(rfc3339);
        let date = date.unwrap_or_else(|| "-".to_owned());
        let target = entry.target.as_ref().map(|to| format!(" -> {}", Hostile::new(to)));
        let _ = writeln!(
            out,
            "{} {:>5} {:>5} {:>12} {date:>20} {name}{}",
            mode(inode.kind, inode.mode),
            inode.uid,
            inode.gid,
            inode.size,
            target.unwrap_or_default()
        );
    }
    out
}

/// Kind and permissions, as `ls -l` shows them.
fn mode(kind: Kind, mode: u16) -> String {
    let mut text = String::from(match kind {
        Kind::Regular => "-",
        Kind::Directory => "d",
        Kind::Link => "l",
        // A device, a pipe or a socket: which of them is not read.
        Kind::Special => "?",
    });
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_shown_as_ls_does() {
        assert_eq!(mode(Kind::Special, 0o620), "?rw--w----");
        assert_eq!(mode(Kind::Regular, 0o644), "-rw-r--r--");
        assert_eq!(mode(Kind::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(mode(Kind::Regular, 0o4755), "-rwsr-xr-x");
        assert_eq!(mode(Kind::Regular, 0o6640), "-rwSr-S---");
    }
}
