//! The file that gets the number of the image.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::cli::Usage;

/// What an earlier run wrote is no longer than this, in bytes: a number, and the end of its line.
const LONGEST: u64 = 32;

/// Opens the file before anything is done. What an earlier run wrote is gone then; a file that has anything else is
/// left as it is, whatever it is: the image, by its name or by a link, or somebody's work.
pub(super) fn open(path: &Path) -> Result<File, Usage> {
    let shown = crate::source::shown(path.as_os_str());
    let fail = |why: &dyn std::fmt::Display| Usage(format!("cannot write {shown}: {why}"));
    // What is no file has nothing to be lost.
    let is_stream = std::fs::metadata(path)
        .is_ok_and(|meta| meta.file_type().is_fifo() || meta.file_type().is_char_device());
    if is_stream {
        return OpenOptions::new().write(true).open(path).map_err(|e| fail(&e));
    }
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = opened.map_err(|e| fail(&e))?;
    let mut text = String::new();
    let read = (&mut file).take(LONGEST + 1).read_to_string(&mut text);
    let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
    if !is_file || read.is_err() || !is_number(&text) {
        return Err(fail(
            &"it has something else than the number of an image; name another file, or remove it",
        ));
    }
    file.set_len(0).map_err(|e| fail(&e))?;
    file.rewind().map_err(|e| fail(&e))?;
    Ok(file)
}

/// Takes the file away that [`open`] emptied: it is there only with a number in it.
pub(super) fn remove(path: &Path) {
    if std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == 0) {
        let _ = std::fs::remove_file(path);
    }
}

/// Whether a text is what this program writes, or nothing.
fn is_number(text: &str) -> bool {
    let text = text.trim_end();
    text.len() as u64 <= LONGEST && text.bytes().all(|byte| byte.is_ascii_digit())
}
