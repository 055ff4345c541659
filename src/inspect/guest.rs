//! When what is inside the disk is examined, and what becomes of it if it is not.

use super::report::{Mode, Report};
use super::{Guest, Options};
use crate::facts::{Anomaly, Code, Layer, Left, Notebook};
use crate::formats::{Disk, Halt, ImageView};
use crate::guest::inside;
use crate::source::Kind;

/// The check that this is.
const ID: &str = "guest";

/// How a disk can be read now.
#[derive(Clone, Copy)]
pub(super) struct Access {
    /// In any order.
    random: bool,
    /// Across a network: few long readings are better than many short ones.
    far: bool,
}

impl Access {
    /// How what this view shows can be read, now that it is examined.
    pub(super) fn of(view: &mut dyn ImageView) -> Self {
        view.ration();
        Access { random: view.is_random(), far: view.is_far() }
    }
}

/// Looks inside the disk, if that was asked for and what was found so far allows it. It is the last part of an
/// examination.
pub(super) fn look(
    disk: &mut dyn Disk,
    access: Access,
    notebook: &Notebook<'_>,
    options: &Options,
    report: &mut Report,
) -> Result<(), Halt> {
    if options.guest == Guest::Never {
        return Ok(());
    }
    let left = match (&report.partition_table, report.virtual_size) {
        _ if report.mode == Mode::Quick => Left::QuickGuest,
        _ if notebook.is_elsewhere() => Left::Elsewhere,
        _ if notebook.doomed() => Left::Refused,
        (Some(table), Some(size)) if access.random => {
            // What is found here settles nothing about reading on.
            let found = Notebook::new(&|_| false, notebook.limit());
            let inside = match inside::examine((disk, size), access.far, table, &found) {
                // All of the object was read: what it is made of is known, whatever becomes of the network now.
                Err(Halt::Source(error)) if access.far && error.kind != Kind::Changed => {
                    report.later.push(unexamined("the server does not answer any more"));
                    report.skipped(ID, Left::GuestUnread);
                    return Ok(());
                }
                inside => inside?,
            };
            let known = inside.is_some();
            let whole = inside.as_ref().is_none_or(|inside| inside.not_examined.is_empty());
            report.guest = inside;
            report.later = found.close();
            match (known, whole) {
                (true, true) => {
                    report.done(ID);
                    return Ok(());
                }
                (true, false) => {
                    report.partial(ID, Left::GuestInPart);
                    return Ok(());
                }
                (false, _) => Left::GuestUnknown,
            }
        }
        (Some(_), Some(_)) => {
            report.later.push(unexamined("the source cannot be read in any order"));
            Left::GuestUnread
        }
        _ => {
            report.later.push(unexamined("not all of its partition table was read"));
            Left::GuestUnread
        }
    };
    if left == Left::GuestUnknown && options.guest == Guest::Require {
        report.later.push(unexamined("no volume holds anything that is known"));
    }
    report.skipped(ID, left);
    Ok(())
}

/// Notes what was decoded again to look inside.
pub(super) fn decoded_again(view: &dyn ImageView, report: &mut Report) {
    if let Some(inside) = &mut report.guest {
        inside.decoded_again = view.decoded_again();
    }
}

fn unexamined(why: &str) -> Anomaly {
    Anomaly {
        code: Code::GuestNotExamined,
        layer: Layer::Disk,
        offset: None,
        spot: None,
        said: format!("What is inside the disk was not examined: {why}."),
    }
}
