//! Names of files as a shell takes them, and names for new files.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Without;
use crate::bytes::{is_harmless, quoted};
use crate::facts::endings::Parts;

/// Names that are tried for a new file: with nothing added, and with 2 to this number.
const TRIED: u32 = 99;

/// The ending of the folder that a new file is written in.
const UNFINISHED: &str = ".part";

/// The name of a file that a command can have: text that is shown as it is, and quoted for a shell where needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(PathBuf);

impl Name {
    /// The name of this path, unless it is not text, or has characters that a report escapes or that end a command in it.
    pub(super) fn new(path: &Path) -> Result<Name, Without> {
        let text = path.to_str().ok_or(Without::Name)?;
        match text.is_empty() || text.contains('`') || !is_harmless(text) {
            true => Err(Without::Name),
            false => Ok(Name(path.to_owned())),
        }
    }

    /// The file's name without its folder, lower case aside.
    fn file(&self) -> &str {
        self.0.file_name().and_then(|name| name.to_str()).unwrap_or("image")
    }

    /// A name with another end in the same folder, which `free` says is to be had, or in the working directory where the
    /// folder takes none. Beside a device there is no place for files: theirs go to the working directory.
    pub(super) fn beside(
        &self,
        stem: &str,
        ending: &str,
        free: &dyn Fn(&Path) -> bool,
    ) -> Result<Name, Without> {
        let here = Path::new("");
        let folder = self.0.parent().filter(|folder| !folder.starts_with("/dev"));
        let folders = folder.filter(|folder| *folder != here).into_iter().chain([here]);
        folders
            .flat_map(|folder| {
                (1..=TRIED).map(move |n| match n {
                    1 => folder.join(format!("{stem}{ending}")),
                    n => folder.join(format!("{stem}-{n}{ending}")),
                })
            })
            .find(|path| free(path))
            .map(Name)
            .ok_or(Without::Taken)
    }

    /// A file in the folder of this name.
    pub(super) fn inside(&self, file: &str) -> Name {
        Name(self.0.join(file))
    }

    /// The folder that a file of this name is written in.
    pub(super) fn beside_unfinished(&self) -> Name {
        Name(Name::unfinished(&self.0))
    }

    /// The path of that folder.
    pub(super) fn unfinished(path: &Path) -> PathBuf {
        let mut folder = path.as_os_str().to_owned();
        folder.push(UNFINISHED);
        folder.into()
    }

    /// Whether a program that takes patterns would take it for one.
    pub(super) fn is_pattern(&self) -> bool {
        self.0.to_str().is_none_or(|text| text.contains(['*', '?', '[', ']', '\\']))
    }

    /// The name without what says how it is packed, and the format's ending, if it has one: `disk` and `.qcow2` of
    /// `disk.qcow2.xz`.
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        let name = self.file();
        let Parts { stem, ending, format } = Parts::of(name.as_bytes());
        // Endings are ASCII, so what is before them is text.
        let (stem, rest) = name.split_at(stem.len());
        (stem, format.map(|_| &rest[..ending.len()]))
    }

    /// The path itself.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_str().unwrap_or_default();
        let first = text.split('/').next().unwrap_or_default();
        // Neither an option nor, to qemu-img, the name of a protocol.
        match first.starts_with('-') || first.contains(':') {
            true => f.write_str(&quoted(&format!("./{text}"))),
            false => f.write_str(&quoted(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> Name {
        Name::new(Path::new(path)).unwrap()
    }

    #[test]
    fn a_shell_takes_a_name_as_it_is() {
        for (path, shown) in [
            ("a/disk.img", "a/disk.img"),
            ("my disk", "'my disk'"),
            ("it's", "'it'\\''s'"),
            ("-rf", "./-rf"),
            ("a:b.qcow2", "./a:b.qcow2"),
            ("x/a:b", "x/a:b"),
            ("~a", "'~a'"),
            ("$(a)&b", "'$(a)&b'"),
            ("a\\b", "'a\\b'"),
            ("- a", "'./- a'"),
            ("ö", "'ö'"),
        ] {
            assert_eq!(name(path).to_string(), shown);
        }
        for path in ["", "a`b", "a\nb", "a\u{202e}b", "a ::error::b", "a##[b"] {
            assert_eq!(Name::new(Path::new(path)), Err(Without::Name), "{path:?}");
        }
    }

    #[test]
    fn a_name_is_taken_apart() {
        for (path, stem, ending) in [
            ("a/disk.qcow2.xz", "disk", Some(".qcow2")),
            ("disk.IMG.GZ", "disk", Some(".IMG")),
            ("server.tar.gz", "server", None),
            ("old.vhd", "old", None),
            ("release-1.2", "release-1.2", None),
            (".gz", ".gz", None),
            ("ä.gz", "ä", None),
        ] {
            assert_eq!(name(path).parts(), (stem, ending), "{path}");
        }
    }

    #[test]
    fn a_new_file_gets_a_name_that_is_free() {
        let taken = ["a/x.raw", "a/x-2.raw"];
        let free = |path: &Path| !taken.contains(&path.to_str().unwrap());
        assert_eq!(name("a/x").beside("x", ".raw", &free).unwrap(), name("a/x-3.raw"));
        let read_only = |path: &Path| !path.starts_with("a") && path != Path::new("x.raw");
        assert_eq!(name("a/x").beside("x", ".raw", &read_only).unwrap(), name("x-2.raw"));
        assert_eq!(name("/dev/sdb").beside("sdb", ".raw", &free).unwrap(), name("sdb.raw"));
        assert_eq!(name("x").beside("x", ".raw", &|_| false), Err(Without::Taken));
    }
}
