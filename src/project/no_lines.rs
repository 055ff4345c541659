//! Files whose names a list of lines cannot have. Whoever puts files into a folder chooses their names: `#a.img` is a comment
//! in such a list, `a.img ` another file, and a name with a line end two of them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::bytes::Hostile;

/// Folders that are remembered.
const MOST: usize = 1024;

/// What was seen of the folders that a list names.
#[derive(Default)]
pub(super) struct NoLines {
    /// The names with a line end in each folder.
    folders: HashMap<Vec<u8>, Vec<Vec<u8>>>,
}

impl NoLines {
    /// The file that a line stands for, or begins the name of, where that is not the `name` that is taken from it.
    pub(super) fn find(&mut self, line: &[u8], name: Option<&[u8]>) -> Option<Hostile> {
        let skipped = [line, line.trim_ascii()].into_iter().filter(|text| Some(*text) != name);
        let there = |text: &&[u8]| Path::new(OsStr::from_bytes(text)).symlink_metadata().is_ok();
        skipped.into_iter().find(there).map(Hostile::new).or_else(|| self.longer(line))
    }

    /// The file whose name goes on after a line.
    fn longer(&mut self, line: &[u8]) -> Option<Hostile> {
        let (folder, first) =
            line.split_at(line.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1));
        if self.folders.len() > MOST {
            self.folders.clear();
        }
        if !self.folders.contains_key(folder) {
            self.folders.insert(folder.to_owned(), broken(folder)?);
        }
        let goes_on =
            |name: &&Vec<u8>| name.strip_prefix(first).is_some_and(|rest| rest.starts_with(b"\n"));
        let name = self.folders[folder].iter().find(goes_on)?;
        Some(Hostile::new(&[folder, name].concat()))
    }
}

/// The names in a folder that have a line end; none of what is no folder.
fn broken(folder: &[u8]) -> Option<Vec<Vec<u8>>> {
    let path = if folder.is_empty() { b"." } else { folder };
    let entries = Path::new(OsStr::from_bytes(path)).read_dir().ok()?;
    let names = entries.flatten().map(|entry| entry.file_name().into_vec());
    Some(names.filter(|name| name.contains(&b'\n')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_line_are_found() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.img", "#b.img", "c.img ", "d\ne", "\nf", "g"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let at = |name: &str| [dir.path().as_os_str().as_bytes(), b"/", name.as_bytes()].concat();
        let mut no_lines = NoLines::default();
        let mut found = |line: &[u8], name: Option<&[u8]>| no_lines.find(line, name).is_some();
        assert!(!found(&at("a.img"), Some(&at("a.img"))));
        assert!(!found(&at("a.img\r"), Some(&at("a.img"))));
        assert!(!found(b"", None));
        assert!(!found(b"# all", None));
        assert!(!found(b"https://h/x", Some(b"https://h/x")));
        assert!(found(&at("#b.img"), None));
        assert!(found(&at("c.img "), Some(&at("c.img"))));
        assert!(found(&at("d"), Some(&at("d"))));
        assert!(found(&at(""), Some(&at(""))));
        assert!(!found(&at("e"), Some(&at("e"))));
    }
}
