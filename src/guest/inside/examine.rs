//! The order of an examination: volumes, root, and then each judge.

use super::super::PartitionTable;
use super::super::fs::{Area, Trouble, Why};
use super::super::mount::{self, Mounted, Root};
use super::{Book, Case, Inside, Known, NotExamined, Provides};
use crate::bytes::Hostile;
use crate::facts::{Code, Notebook};
use crate::formats::{Disk, Halt};

/// What an examination may have in memory, in bytes.
pub const MEMORY: usize = 16 << 20;

type Judge = fn(&mut Case<'_, '_>) -> Result<(), Trouble>;

/// What sets a Droplet up.
const PROVISIONER: &str = "what sets a Droplet up";

/// The judges, in the order in which they need each other, each with what it looks at.
const JUDGES: &[(&str, Judge)] = &[
    ("the system", super::system::judge),
    ("what boots", super::boot::judge),
    ("the services", super::services::judge),
    (PROVISIONER, super::provisioner::judge),
    ("the SSH server", super::sshd::judge),
    ("the network", super::network::judge),
    ("the fstab", super::fstab::judge),
    ("the growth of the root", super::growth::judge),
    ("what is left over of the build", super::leftovers::judge),
];

/// What is judged of a disk that has no root, or several.
const WITHOUT_ROOT: &[(&str, Judge)] = &[("the system", super::system::judge_without_root)];

/// Examines a disk of so many bytes with this partition table; `far` if it is read across a network. What is found is
/// written into the notebook; `None` if nothing on the disk is known.
///
/// # Errors
/// If the source fails.
pub fn examine(
    (disk, size): (&mut dyn Disk, u64),
    far: bool,
    table: &PartitionTable,
    notebook: &Notebook<'_>,
) -> Result<Option<Inside>, Halt> {
    let area = if far { Area::far(disk, size) } else { Area::whole(disk, size) };
    let book = Book::new(notebook);
    let mut inside = Inside::default();
    let mounted = match mount::open_all(&area, table) {
        Ok(mounted) => mounted,
        Err(Trouble::Halt(halt)) => return Err(halt),
        Err(Trouble::Left(why)) => {
            leave("the volumes", &why, &book, &mut inside);
            inside.bytes_read = area.bytes_read();
            return Ok(Some(inside));
        }
    };
    let Mounted { tree, root, volumes, not_opened } = mounted;
    // Of bytes that nobody knows, nobody can say that something is left out.
    let is_unread = |why: &Why| !matches!(why, Why::Unsupported(_));
    let unknown = volumes.iter().all(|volume| is_unknown(&volume.holds));
    if unknown && !not_opened.iter().any(|(_, why)| is_unread(why)) {
        return Ok(None);
    }
    inside.volumes = volumes;
    for (volume, why) in &not_opened {
        let name =
            inside.volumes.get(*volume).map_or_else(String::new, |volume| volume.name.clone());
        leave(&name, why, &book, &mut inside);
    }
    match root {
        Root::One(volume) => inside.root = Some(volume),
        // What was not opened may hold one.
        Root::None if not_opened.is_empty() => {
            book.found(Code::GuestNoRoot, "No volume has the directories of a system's root.");
        }
        Root::None => {}
        Root::Several(volumes) => {
            let name =
                |volume: &usize| inside.volumes.get(*volume).map(|volume| volume.name.clone());
            let names: Vec<String> = volumes.iter().filter_map(name).collect();
            let names = names.join(", ");
            book.found(
                Code::GuestSeveralRoots,
                format!("Each of these has a system's root: {names}."),
            );
        }
    }
    let mut case = Case { tree, book, inside, known: Known::default() };
    let judges = if case.inside.root.is_some() { JUDGES } else { WITHOUT_ROOT };
    for (what, judge) in judges {
        match judge(&mut case) {
            Ok(()) => {}
            Err(Trouble::Halt(halt)) => return Err(halt),
            Err(Trouble::Left(why)) => {
                leave(what, &why, &case.book, &mut case.inside);
                // Nothing is made of what a provisioner does not do if nobody knows what it does.
                if *what == PROVISIONER {
                    case.known.provisioner = Provides::anything();
                }
            }
        }
    }
    case.inside.bytes_read = area.bytes_read();
    Ok(Some(case.inside))
}

fn is_unknown(holds: &str) -> bool {
    ["zeros", "unknown"].contains(&holds)
}

/// Writes down that something was not examined.
fn leave(what: &str, why: &Why, book: &Book<'_>, inside: &mut Inside) {
    let code = match why {
        Why::Missing(_) | Why::Unsupported(_) => Code::GuestNotExamined,
        Why::Limit(_) | Why::Damaged(_) => Code::GuestUnexaminable,
    };
    let why = Hostile::from(why.to_string().as_str()).to_string();
    book.found(code, format!("What is inside the disk was not examined in full: {what}: {why}."));
    inside.not_examined.push(NotExamined { what: what.to_owned(), why });
}
