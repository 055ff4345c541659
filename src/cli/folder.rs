//! The images in a folder.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Usage;
use crate::inspect::{elsewhere, is_named_image};
use crate::project::{MOST_IMAGES, MOST_NAMES};
use crate::source::{by_shown, is_url, shown};

/// Entries that are looked at, of all folders in a folder. More are a mistake: the root of a system has some millions.
const MOST: usize = 2_000_000;

/// What the folders of a call may still have: as much as a list of images.
#[derive(Debug)]
pub(super) struct Room {
    images: usize,
    /// Bytes of paths.
    names: usize,
}

impl Default for Room {
    fn default() -> Self {
        Room { images: MOST_IMAGES, names: MOST_NAMES }
    }
}

impl Room {
    /// Takes room for a path.
    fn keep(&mut self, path: &Path, is_image: bool) -> Result<(), Usage> {
        let (images, names) = (self.images.checked_sub(is_image.into()), path.as_os_str().len());
        match (images, self.names.checked_sub(names)) {
            (Some(images), Some(names)) => *self = Room { images, names },
            _ => return Err(too_many(path)),
        }
        Ok(())
    }

    /// The path is not kept any more.
    fn give_back(&mut self, path: &Path) {
        self.names += path.as_os_str().len();
    }
}

fn too_many(path: &Path) -> Usage {
    Usage(format!(
        "with {} there are more than {MOST_IMAGES} images, or their names take more than {} MiB; name smaller folders, each in \
         a run of its own",
        shown(path.as_os_str()),
        MOST_NAMES >> 20
    ))
}

/// What lies in a folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// Paths of files that may be images, and of what cannot be looked at, in the order of names.
    pub(super) images: Vec<OsString>,
    /// How many entries are left out.
    pub(super) left_out: usize,
}

/// Whether an argument is a folder.
pub(super) fn is_folder(argument: &OsStr) -> bool {
    argument != "-" && !is_url(argument) && Path::new(argument).is_dir()
}

/// The images in a folder, and in the folders in it if `recurse` says so. Links are not followed. `tell` hears of each
/// entry that is left out, and why.
///
/// A file is left out if its content is positively something else, and its name not that of an image.
pub(super) fn images(
    folder: &OsStr,
    recurse: bool,
    room: &mut Room,
    tell: &dyn Fn(&Path, &str),
) -> Result<Folder, Usage> {
    let mut found = Folder::default();
    let mut open = vec![PathBuf::from(folder)];
    room.keep(folder.as_ref(), false)?;
    let mut seen = 0;
    while let Some(folder) = open.pop() {
        let entries = match list(&folder) {
            Ok(entries) => entries.ok_or_else(|| too_many(&folder))?,
            // The check says why it cannot be read.
            Err(_) => {
                room.keep(&folder, true)?;
                found.images.push(folder.into_os_string());
                continue;
            }
        };
        room.give_back(&folder);
        seen += entries.len();
        if seen > MOST {
            let folder = shown(folder.as_os_str());
            return Err(Usage(format!(
                "{folder} and what was seen before have over {MOST} entries; name a smaller folder"
            )));
        }
        for (name, kind) in entries {
            let path = folder.join(name);
            match look(&path, kind, recurse) {
                Look::Image => {
                    room.keep(&path, true)?;
                    found.images.push(path.into_os_string());
                }
                Look::Folder => {
                    room.keep(&path, false)?;
                    open.push(path);
                }
                Look::Other(what) => {
                    found.left_out += 1;
                    tell(&path, what);
                }
            }
        }
    }
    found.images.sort_unstable_by(|a, b| by_shown(a, b));
    Ok(found)
}

enum Look {
    Image,
    Folder,
    Other(&'static str),
}

fn look(path: &Path, kind: std::io::Result<std::fs::FileType>, recurse: bool) -> Look {
    let name = path.file_name().unwrap_or_default();
    match kind {
        Ok(kind) if kind.is_symlink() => Look::Other("a symbolic link, which is not followed"),
        Ok(kind) if kind.is_dir() && name == ".git" => Look::Other("the folder of git"),
        Ok(kind) if kind.is_dir() && !recurse => Look::Other("a folder"),
        Ok(kind) if kind.is_dir() => Look::Folder,
        Ok(kind) if !kind.is_file() => Look::Other("no file"),
        _ if is_named_image(name.as_bytes()) => Look::Image,
        _ => elsewhere(path).map_or(Look::Image, Look::Other),
    }
}

type Entry = (OsString, std::io::Result<std::fs::FileType>);

/// The entries of a folder, in the order of their names; nothing if there are too many to keep.
fn list(folder: &Path) -> std::io::Result<Option<Vec<Entry>>> {
    let (mut entries, mut room) = (Vec::new(), MOST_NAMES);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let takes = name.len() + size_of::<Entry>();
        let Some(left) = room.checked_sub(takes) else { return Ok(None) };
        room = left;
        entries.push((name, entry.file_type()));
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Some(entries))
}
