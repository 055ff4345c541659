//! Every file that a command writes is opened here.
//!
//! A path may be new, a regular file that the same kind of output wrote earlier, a FIFO, a character device, or what the
//! process has open already (`-`, `/dev/stdout`, `/dev/fd/N`); nothing else. A document is written into a
//! [`Draft`] beside its path, and takes it when it is whole: whatever happens, there is the old one or the new one. What
//! was there at the start is looked at again then, as somebody may have put something else there.

#![cfg_attr(
    not(feature = "simulator"),
    allow(dead_code, reason = "the gate alone has fewer kinds of outputs")
)]

mod descriptor;
mod identity;
pub(super) mod ours;

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Access, OFlags};

use self::identity::Inode;
pub(super) use self::identity::{Identity, Other, is_none_of};
use super::Usage;
use crate::bytes::{Draft, Hostile, folder};

/// A kind of output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// How the user names the file: an option, or a variable of the environment.
    pub(super) option: &'static str,
    /// What is written, with its article.
    pub(super) what: &'static str,
    /// What may be there, with its article.
    pub(super) earlier: &'static str,
    /// Whether that is what a file begins with: its first [`ours::HEAD`] bytes.
    pub(super) is_ours: fn(&[u8]) -> bool,
    /// Whether it is for its owner alone, whatever the umask says and whatever was there.
    pub(super) private: bool,
}

/// The rights of a file that is for its owner alone.
const PRIVATE: u32 = 0o600;

/// Where a document goes, if not to standard output.
#[derive(Debug)]
pub(super) enum Target {
    /// What takes each byte as it comes.
    Stream(File),
    /// A file that gets its path at the end.
    File(Part),
}

/// A file that is being written, and the path that it gets.
#[derive(Debug)]
pub(super) struct Part {
    place: Place,
    draft: Draft,
}

impl Target {
    /// Opens where a document goes, before any work, so that a bad path is known at once. None is standard output.
    pub(super) fn open(
        path: &Path,
        kind: Kind,
        others: &[Other<'_>],
    ) -> Result<Option<Target>, Usage> {
        let wrong = |why: String| kind.wrong(path, &why);
        if let Some(number) = descriptor::named(path) {
            let file = descriptor::open(number).map_err(wrong)?;
            let meta = file.metadata().map_err(|e| wrong(e.to_string()))?;
            if meta.file_type().is_block_device() {
                return Err(wrong(no_file(&meta)));
            }
            let identity = Identity::There(Inode::of(&meta));
            is_none_of(Some(&identity), (path, kind.option), "write into", others)?;
            return Ok((number != 1).then_some(Target::Stream(file)));
        }
        is_none_of(Identity::of(path).as_ref(), (path, kind.option), "replace", others)?;
        if let Some(stream) = stream(path).map_err(wrong)? {
            return Ok(Some(Target::Stream(stream)));
        }
        let place = Place::look(path, kind).map_err(wrong)?;
        let draft = place.draft().map_err(wrong)?;
        Ok(Some(Target::File(Part { place, draft })))
    }

    /// The document is whole: it gets its path.
    pub(super) fn commit(self) -> Result<(), Usage> {
        match self {
            Target::Stream(_) => Ok(()),
            Target::File(Part { place, draft }) => place.settle(draft).map(drop),
        }
    }
}

impl Part {
    /// The path alone, which is written later.
    pub(super) fn into_place(self) -> Place {
        self.place
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Stream(file) => file.write(bytes),
            Target::File(part) => part.draft.file().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kind {
    pub(super) fn wrong(&self, path: &Path, why: &str) -> Usage {
        Usage(format!(
            "cannot write {} to {} {}: {why}",
            self.what,
            self.option,
            Hostile::from_os(path.as_os_str())
        ))
    }
}

/// Whether a path names what the process has open already, so that no file is named.
pub(super) fn names_descriptor(path: &Path) -> Option<i32> {
    descriptor::named(path)
}

/// A path that is to have a file, and what is there.
#[derive(Debug)]
pub(super) struct Place {
    /// As the user named it.
    given: PathBuf,
    /// The file that a link leads to is replaced, and not the link.
    path: PathBuf,
    there: Option<There>,
    kind: Kind,
}

#[derive(Debug)]
struct There {
    /// As long as it is open, no other file gets its inode.
    file: File,
    mode: u32,
}

impl Place {
    /// Looks at a path. Nothing is written yet.
    pub(super) fn look(path: &Path, kind: Kind) -> Result<Place, String> {
        let given = path.to_owned();
        let is_link = match fs::symlink_metadata(path) {
            Ok(meta) => meta.is_symlink(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if path.file_name().is_none() {
                    return Err("this path has no file name".into());
                }
                return Ok(Place { path: given.clone(), given, there: None, kind });
            }
            Err(error) => return Err(error.to_string()),
        };
        let there = there(path, kind, "replaced")?;
        let path = match is_link {
            true => fs::canonicalize(path).map_err(|e| e.to_string())?,
            false => given.clone(),
        };
        let place = Place { path, given, there: Some(there), kind };
        match place.now()? {
            now if now == place.inode() => Ok(place),
            _ => Err(MEANWHILE.into()),
        }
    }

    /// The path that the file gets.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether something is there that an earlier run wrote.
    pub(super) fn has_content(&self) -> bool {
        let length = |there: &There| there.file.metadata().map_or(0, |meta| meta.len());
        self.there.as_ref().is_some_and(|there| length(there) > 0)
    }

    /// Why the file cannot be written.
    pub(super) fn wrong(&self, why: &str) -> Usage {
        self.kind.wrong(&self.given, why)
    }

    /// A file for it, in the same folder.
    pub(super) fn draft(&self) -> Result<Draft, String> {
        let folder = folder(&self.path);
        let draft = Draft::begin(folder).map_err(|e| match e.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => "there is no such folder".to_owned(),
            _ => format!("no temporary file can be made in its folder: {e}"),
        })?;
        if self.kind.private {
            let private = draft.file().set_permissions(Permissions::from_mode(PRIVATE));
            private.map_err(|e| e.to_string())?;
        }
        if let Some(name) = draft.name() {
            parts().push(name.to_owned());
        }
        Ok(draft)
    }

    /// Puts the file there, if what is there now is what was there, or nothing. It stays open, so that it is known again.
    pub(super) fn settle(self, draft: Draft) -> Result<File, Usage> {
        let name = draft.name().map(Path::to_owned);
        let settled = self.put(draft);
        parts().retain(|part| Some(part) != name.as_ref());
        settled.map_err(|why| self.wrong(&why))
    }

    fn put(&self, draft: Draft) -> Result<File, String> {
        let said = |e: io::Error| match e.kind() {
            ErrorKind::AlreadyExists => MEANWHILE.to_owned(),
            _ => e.to_string(),
        };
        draft.file().sync_all().map_err(said)?;
        let file = draft.file().try_clone().map_err(said)?;
        match self.now()? {
            None => draft.settle(&self.path).map_err(said)?,
            now if now == self.inode() => {
                let mode = there(&self.path, self.kind, "replaced").map_err(|_| MEANWHILE)?.mode;
                if !self.kind.private {
                    draft.file().set_permissions(Permissions::from_mode(mode)).map_err(said)?;
                }
                draft.replace(&self.path).map_err(said)?;
            }
            Some(_) => return Err(MEANWHILE.into()),
        }
        // The file is whole; that its name lasts is up to a folder that may not be read, or cannot be synced.
        let _ = File::open(folder(&self.path)).and_then(|folder| folder.sync_all());
        Ok(file)
    }

    fn inode(&self) -> Option<Inode> {
        self.there.as_ref().and_then(|there| Inode::of_file(&there.file).ok())
    }

    /// What is there now, itself and not what it leads to.
    fn now(&self) -> Result<Option<Inode>, String> {
        match fs::symlink_metadata(&self.path) {
            Ok(meta) => Ok(Some(Inode::of(&meta))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Why what is whole gets no path.
const MEANWHILE: &str = "somebody else put something there in the meantime, and it is not replaced";

/// What is there, if it may be `done` what it is about to be.
fn there(path: &Path, kind: Kind, done: &str) -> Result<There, String> {
    let meta = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "it is a link that leads nowhere; name the file itself".to_owned(),
        _ => error.to_string(),
    })?;
    if !meta.is_file() {
        return Err(no_file(&meta));
    }
    let (file, head, meta) =
        head(path).map_err(|e| format!("what is there cannot be read: {e}"))?;
    if !meta.is_file() {
        return Err(no_file(&meta));
    }
    match head.is_empty() || (kind.is_ours)(&head) {
        true => match kept(path, &meta, done) {
            None => Ok(There { file, mode: meta.mode() & 0o777 }),
            Some(why) => Err(why),
        },
        false => Err(format!(
            "what is there is not {}, so it is not {done}; name another file",
            kind.earlier
        )),
    }
}

/// Why a file stays as it is although a new one could take its path, for which the rights of the folder are enough: its
/// user took the right to write from it, or never had it.
pub(super) fn kept(path: &Path, meta: &Metadata, done: &str) -> Option<String> {
    let kept = meta.mode() & 0o222 == 0 || rustix::fs::access(path, Access::WRITE_OK).is_err();
    kept.then(|| {
        format!(
            "what is there may not be written to (its mode is {:03o}), so it is not {done}; name another file, or make \
             it writable",
            meta.mode() & 0o777
        )
    })
}

/// What a regular file begins with.
fn head(path: &Path) -> io::Result<(File, Vec<u8>, Metadata)> {
    // To open anything but a file may wait for somebody.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let meta = file.metadata()?;
    let head = if meta.is_file() { ours::head(&file)? } else { Vec::new() };
    Ok((file, head, meta))
}

/// What is no file and has nothing to be lost, opened.
fn stream(path: &Path) -> Result<Option<File>, String> {
    if !fs::metadata(path).is_ok_and(|meta| is_stream(&meta)) {
        return Ok(None);
    }
    let flags = OFlags::NOCTTY.bits() as i32;
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path);
    let file = file.map_err(|e| e.to_string())?;
    match file.metadata() {
        Ok(meta) if is_stream(&meta) => Ok(Some(file)),
        _ => Err(MEANWHILE.into()),
    }
}

fn is_stream(meta: &Metadata) -> bool {
    meta.file_type().is_fifo() || meta.file_type().is_char_device()
}

fn no_file(meta: &Metadata) -> String {
    let kind = meta.file_type();
    let what = match () {
        () if kind.is_block_device() => "a block device",
        () if kind.is_dir() => "a folder",
        () if kind.is_socket() => "a socket",
        () => "no regular file",
    };
    format!("it is {what}; name a file")
}

/// A file to which lines are appended.
#[derive(Debug)]
pub(super) struct Appendix {
    path: PathBuf,
    kind: Kind,
    /// Whether there is nothing yet.
    new: bool,
}

impl Appendix {
    /// Looks whether it can be appended to. Nothing is written yet.
    pub(super) fn look(path: &Path, kind: Kind, others: &[Other<'_>]) -> Result<Appendix, Usage> {
        let wrong = |why: String| kind.wrong(path, &why);
        let identity = match descriptor::named(path) {
            Some(number) => descriptor::open(number)
                .and_then(|file| Inode::of_file(&file).map_err(|e| e.to_string()))
                .map(|inode| Some(Identity::There(inode)))
                .map_err(wrong)?,
            None => Identity::of(path),
        };
        is_none_of(identity.as_ref(), (path, kind.option), "append to", others)?;
        let new = fs::symlink_metadata(path).is_err_and(|e| e.kind() == ErrorKind::NotFound);
        let appendix = Appendix { path: path.to_owned(), kind, new };
        match fs::metadata(path) {
            _ if descriptor::named(path).is_some() => Ok(appendix),
            Ok(meta) if is_stream(&meta) => Ok(appendix),
            Ok(_) => there(path, kind, "appended to").map(|_| appendix).map_err(wrong),
            Err(error) if error.kind() == ErrorKind::NotFound => match fs::read_link(path) {
                Ok(_) => Err(wrong("it is a link that leads nowhere; name the file itself".into())),
                Err(_) => Ok(appendix),
            },
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// Opens it.
    pub(super) fn open(&self) -> Result<File, Usage> {
        let opened = || {
            if let Some(number) = descriptor::named(&self.path) {
                return descriptor::open(number);
            }
            let flags = OFlags::NOCTTY.bits() as i32;
            let mode = if self.kind.private { PRIVATE } else { 0o666 };
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(mode).custom_flags(flags);
            let file = options.open(&self.path).map_err(|e| e.to_string())?;
            let meta = file.metadata().map_err(|e| e.to_string())?;
            match meta.is_file() || is_stream(&meta) {
                true => Ok(file),
                false => Err(no_file(&meta)),
            }
        };
        opened().map_err(|why| self.kind.wrong(&self.path, &why))
    }

    /// Nothing comes of the work: a file that was opened, and is empty, is there no more if it was new.
    pub(super) fn undo(&self) {
        if self.new && fs::symlink_metadata(&self.path).is_ok_and(|m| m.is_file() && m.len() == 0) {
            // Nothing can be done if it stays.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Appends a text.
    pub(super) fn append(&self, text: &str) -> Result<(), Usage> {
        let mut file = self.open()?;
        file.write_all(text.as_bytes()).map_err(|e| self.kind.wrong(&self.path, &e.to_string()))
    }
}

/// Removes a file that was written, if it is still that one.
pub(super) fn remove(path: &Path, file: &File) -> io::Result<()> {
    let inode = Inode::of_file(file)?;
    match fs::symlink_metadata(path) {
        Ok(meta) if Inode::of(&meta) == inode => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Files with a name that have no path yet.
static PARTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn parts() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    PARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what is not whole, for whoever ends the program.
pub(super) fn clear() {
    for part in parts().drain(..) {
        // Nothing can be done if it stays.
        let _ = fs::remove_file(part);
    }
}
