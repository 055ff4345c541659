//! The file that gets the number of the image.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::cli::Usage;

/// What an earlier run wrote is no longer than this, in bytes: a number, and the end of its line.
const LONGEST: u64 = 32;

/// What the umask takes its part of, as of any file that is written.
const MODE: u32 = 0o666;

/// Where the number goes at the end. A file is not touched before.
pub(super) enum IdFile {
    /// What is no file has nothing to be lost.
    Stream { open: File, shown: String },
    /// It is there in full or not at all.
    File { path: PathBuf, shown: String },
}

/// Looks before anything is done whether the number can be written. A file that has anything but a number is left as it
/// is, whatever it is: the image, by its name or by a link, or somebody's work.
pub(super) fn open(path: &Path) -> Result<IdFile, Usage> {
    let shown = crate::source::shown(path.as_os_str()).to_string();
    let is_stream = fs::metadata(path)
        .is_ok_and(|meta| meta.file_type().is_fifo() || meta.file_type().is_char_device());
    if is_stream {
        let open = OpenOptions::new().write(true).open(path);
        return match open {
            Ok(open) => Ok(IdFile::Stream { open, shown }),
            Err(error) => Err(unwritten(&shown, &error)),
        };
    }
    // The file that a link leads to is replaced, and not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let begun = replaceable(&path).and_then(|_| begin(&path).map_err(|e| e.to_string()));
    match begun {
        Ok(_) => Ok(IdFile::File { path, shown }),
        Err(why) => Err(unwritten(&shown, &why)),
    }
}

/// Makes sure that [`open`] would open it. A stream is left to whoever reads it.
pub(super) fn could_open(path: &Path) -> Result<(), Usage> {
    let is_stream = fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo());
    if is_stream { Ok(()) } else { open(path).map(drop) }
}

impl IdFile {
    /// Writes the number. What was there until now is there until it is written.
    pub(super) fn write(self, id: u64) -> Result<(), Usage> {
        let (written, shown) = match self {
            IdFile::Stream { mut open, shown } => {
                (writeln!(open, "{id}").map_err(|e| e.to_string()), shown)
            }
            IdFile::File { path, shown } => (replace(&path, id), shown),
        };
        written.map_err(|why| unwritten(&shown, &why))
    }
}

fn unwritten(shown: &str, why: &dyn Display) -> Usage {
    Usage(format!("cannot write {shown}: {why}"))
}

/// The rights of the file that is there, if there is one and it may be replaced.
fn replaceable(path: &Path) -> Result<Option<Permissions>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = String::new();
    let read = (&file).take(LONGEST + 1).read_to_string(&mut text);
    let meta = file.metadata().map_err(|e| e.to_string())?;
    match meta.is_file() && read.is_ok() && is_number(&text) {
        true => Ok(Some(meta.permissions())),
        false => Err(
            "it has something else than the number of an image; name another file, or remove it"
                .into(),
        ),
    }
}

/// A temporary file in the folder of this path.
fn begin(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // The error would name the temporary file.
    fs::metadata(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tidegate-").suffix(".part").permissions(Permissions::from_mode(MODE));
    builder.tempfile_in(folder)
}

fn replace(path: &Path, id: u64) -> Result<(), String> {
    // Somebody may have put something else there since.
    let rights = replaceable(path)?;
    let write = || {
        let mut file = begin(path)?;
        if let Some(rights) = rights {
            file.as_file().set_permissions(rights)?;
        }
        writeln!(file, "{id}")?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|failed| failed.error).map(drop)
    };
    write().map_err(|e| e.to_string())
}

/// Whether a text is what this program writes, or nothing.
fn is_number(text: &str) -> bool {
    let text = text.trim_end();
    text.len() as u64 <= LONGEST && text.bytes().all(|byte| byte.is_ascii_digit())
}
