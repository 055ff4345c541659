//! Standard output and standard error: the only place that prints.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Usage;
use super::target::Target;
use crate::render::Style;
use crate::source::is_unconnected;

/// Narrower than this, wrapping does more harm than good; wider, lines are hard to read.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=100;

/// How to lay text out for standard output, or for a file.
pub(super) fn style(to_stdout: bool) -> Style {
    if !to_stdout {
        return Style::default();
    }
    let stdout = io::stdout();
    let color = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
    let width = terminal_size::terminal_size()
        .filter(|_| stdout.is_terminal())
        .map_or(80, |(width, _)| usize::from(width.0).clamp(*WIDTHS.start(), *WIDTHS.end()));
    Style { width, color, verbose: false }
}

/// Writes text for people to the file, or to standard output. A reader that has gone away is no error. Nor is standard
/// output that was closed: it cannot be told from /dev/null opened for reading and writing, which is what Python's
/// `DEVNULL`, libuv's `UV_IGNORE`, `daemon(3)` and git give a program of which they want the exit status alone.
pub(super) fn write(target: &mut Option<Target>, text: &str) -> Result<(), Usage> {
    let result = match target {
        Some(file) => file.write_all(text.as_bytes()),
        None => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        }
    };
    for_people(result)
}

/// Writes a document for other programs to the file, or to standard output. One that is not there in full is an error,
/// whoever is to blame.
pub(super) fn document(
    target: &mut Option<Target>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let to = |out: &mut dyn Write| {
        let mut out = BufWriter::new(out);
        write(&mut out)?;
        out.flush()
    };
    match target {
        Some(file) => to(file),
        None if is_unconnected(&io::stdout()) => Err(io::Error::new(
            ErrorKind::NotConnected,
            "standard output is closed; send it to a file, or to /dev/null by name",
        )),
        None => to(&mut io::stdout().lock()),
    }
}

/// A document that is at hand.
pub(super) fn document_text(text: &str) -> Result<(), Usage> {
    document(&mut None, |out| out.write_all(text.as_bytes())).map_err(unwritten)
}

/// What is for people: a reader that has gone away has seen what it wanted to.
pub(super) fn for_people(result: io::Result<()>) -> Result<(), Usage> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritten(error)),
        _ => Ok(()),
    }
}

/// A report that could not be written.
pub(super) fn unwritten(error: io::Error) -> Usage {
    Usage(match error.kind() {
        ErrorKind::BrokenPipe => {
            "the report was not written in full: the program that was to read it has ended".into()
        }
        _ => format!("cannot write the report: {error}"),
    })
}

/// Says on standard error what the user has to know.
pub(super) fn complain(message: &str) {
    // Nothing can be done if nobody reads it.
    let _ = writeln!(io::stderr(), "tidegate: {message}");
}

/// Where Packer runs the program: it shows standard error in red, so only failures belong there.
static UNDER_PACKER: AtomicBool = AtomicBool::new(false);

/// From now on what is under way is told on standard output, in plain lines.
pub(super) fn tell_packer() {
    UNDER_PACKER.store(true, Ordering::Relaxed);
}

/// A line on what is under way: on standard error, or for Packer on standard output.
pub(super) fn log(line: &str) {
    // Nothing can be done if nobody reads it.
    let _ = match UNDER_PACKER.load(Ordering::Relaxed) {
        true => writeln!(io::stdout(), "{line}"),
        false => writeln!(io::stderr(), "{line}"),
    };
}

/// Writes what is said of an image. For Packer, why it is `refused` belongs to standard error, which it shows in red.
pub(super) fn verdict(target: &mut Option<Target>, text: &str, refused: bool) -> Result<(), Usage> {
    if refused && target.is_none() && UNDER_PACKER.load(Ordering::Relaxed) {
        fail(text.trim_end());
        return Ok(());
    }
    write(target, text)
}

/// Why something failed, in full: for Packer too on standard error, with the complaint that it belongs to.
pub(super) fn fail(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// What the user should know, though nothing has failed.
pub(super) fn warn(message: &str) {
    log(&format!("tidegate: {message}"));
}

/// Whether what is under way can be drawn, in lines that change.
pub(super) fn is_drawn() -> bool {
    io::stderr().is_terminal() && !UNDER_PACKER.load(Ordering::Relaxed)
}
