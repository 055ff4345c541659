use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStringExt;

use super::no_lines::NoLines;
use crate::bytes::Hostile;

/// Images that a list, or reports that are merged, may name.
pub const MOST_IMAGES: usize = 100_000;

/// Bytes that their names may take together.
pub const MOST_NAMES: usize = 16 << 20;

/// Bytes of a list, of which a shard takes but a part.
const LARGEST: u64 = 1 << 30;

/// Bytes of a line: no path is longer, and no URL that a server takes.
const LONGEST: u64 = 64 << 10;

/// What stands between the names of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers say which")]
pub enum Between {
    /// A line end, as people write: blanks around a name do not count, nor do empty lines and those that begin with `#`.
    #[default]
    Lines,
    /// A NUL byte, as programs write: every other byte is part of a name.
    Nul,
}

/// One of the names of a list, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct At(Between, usize);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Between::Lines => write!(f, "line {}", self.1),
            Between::Nul => write!(f, "name {}", self.1),
        }
    }
}

/// Why a text is no list of images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// There is nothing in it.
    #[error(
        "it names no image; it takes a path or a URL on each line, or with --null before each NUL byte"
    )]
    Empty,
    /// Standard input comes once, and has no name.
    #[error("{0} is \"-\", and standard input is no image of a list; write ./- for a file")]
    Stdin(At),
    /// A path is written as it is.
    #[error("{0} is a file:// URL; write the path alone")]
    FileUrl(At),
    /// Nothing that names an image is so long.
    #[error("{0} is longer than {most} KiB, and no path or URL is", most = LONGEST >> 10)]
    Long(At),
    /// There are too many for one run.
    #[error(
        "it names more than {MOST_IMAGES} images, or their names take more than {} MiB; give each part of it to a run of \
         its own, with --shard", MOST_NAMES >> 20
    )]
    Many,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// No file has such a name.
    #[error("{0} has a NUL byte; with --null, a NUL byte ends each name")]
    Nul(At),
    /// It names nothing.
    #[error("{0} is empty")]
    Blank(At),
    /// As a line it would not be checked, or another file would.
    #[error(
        "{0} is part of the name of a file ({1}), which a list of lines cannot have: it has a line end, begins with # or \
         has a blank around it; write the list with NUL bytes (`git ls-files -z`, `find -print0`) and add --null"
    )]
    NoLine(At, Hostile),
}

/// The images of a list that `takes` says yes to, in the order of their names, each once: paths and URLs.
///
/// # Errors
/// If it is none, or if it is one of lines and is not for these files.
pub fn list(
    text: impl BufRead,
    between: Between,
    takes: &dyn Fn(&OsStr) -> bool,
) -> Result<Vec<OsString>, ListError> {
    let mut text = text.take(LARGEST);
    let (mut images, mut names, mut any) = (Vec::new(), 0, false);
    let mut bytes = Vec::new();
    let mut no_lines = NoLines::default();
    let end = match between {
        Between::Lines => b'\n',
        Between::Nul => 0,
    };
    for number in 1.. {
        let at = At(between, number);
        bytes.clear();
        let count = text.by_ref().take(LONGEST).read_until(end, &mut bytes)?;
        if count as u64 == LONGEST && bytes.last() != Some(&end) {
            return Err(ListError::Long(at));
        }
        if count == 0 {
            break;
        }
        let whole = bytes.strip_suffix(&[end]).unwrap_or(&bytes);
        let name = match between {
            Between::Lines => {
                // Editors put a byte order mark before the first line.
                let mark = "\u{feff}".as_bytes();
                let line = whole.strip_prefix(mark).filter(|_| number == 1).unwrap_or(whole);
                let name = line.trim_ascii();
                let counts = !name.is_empty() && !name.starts_with(b"#");
                if let Some(file) = no_lines.find(whole, counts.then_some(name)) {
                    return Err(ListError::NoLine(at, file));
                }
                if !counts {
                    continue;
                }
                name
            }
            Between::Nul => whole,
        };
        match name {
            [] => return Err(ListError::Blank(at)),
            b"-" => return Err(ListError::Stdin(at)),
            _ if name.contains(&0) => return Err(ListError::Nul(at)),
            _ if name.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case(b"file://")) => {
                return Err(ListError::FileUrl(at));
            }
            _ => any = true,
        }
        let name = OsString::from_vec(name.to_owned());
        if takes(&name) {
            names += name.len();
            images.push(name);
        }
        if images.len() > MOST_IMAGES || names > MOST_NAMES {
            return Err(ListError::Many);
        }
    }
    if text.limit() == 0 {
        return Err(ListError::Many);
    }
    if !any {
        return Err(ListError::Empty);
    }
    images.sort_unstable();
    images.dedup();
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_an_image_on_each_line() {
        let text =
            b"\xef\xbb\xbf# all\n\nb c.img\r\n  https://h/a.img  \nb c.img\n-x.img\n#no\na\xff";
        let images = list(&text[..], Between::Lines, &|_| true).unwrap();
        let expected: [&[u8]; 4] = [b"-x.img", b"a\xff", b"b c.img", b"https://h/a.img"];
        assert_eq!(images, expected.map(|name| OsString::from_vec(name.to_owned())));
    }

    #[test]
    fn what_a_program_lists_is_all_part_of_names() {
        let text = b"# all\0 b\n\r\0\xef\xbb\xbfc\0 b\n\r\0a\xff";
        let images = list(&text[..], Between::Nul, &|_| true).unwrap();
        let expected: [&[u8]; 4] = [b" b\n\r", b"# all", b"a\xff", b"\xef\xbb\xbfc"];
        assert_eq!(images, expected.map(|name| OsString::from_vec(name.to_owned())));
        let told = |text: &[u8]| list(text, Between::Nul, &|_| false).unwrap_err().to_string();
        assert!(told(b"").contains("names no image"));
        assert_eq!(told(b"a\0\0"), "name 2 is empty");
        assert!(told(b"a\0-\0").starts_with("name 2 is \"-\""));
    }

    #[test]
    fn what_is_no_list() {
        let told = |text: &[u8]| list(text, Between::Lines, &|_| false).unwrap_err();
        let line = |number| At(Between::Lines, number);
        assert!(matches!(told(b""), ListError::Empty));
        assert!(matches!(told(b" \n# a.img\n"), ListError::Empty));
        assert!(matches!(told(b"a\n - \n"), ListError::Stdin(at) if at == line(2)));
        assert!(matches!(told(b"\na\nFILE:///a"), ListError::FileUrl(at) if at == line(3)));
        assert!(matches!(told(b"a\0b"), ListError::Nul(at) if at == line(1)));
        assert!(matches!(told(&[b'a'; 1 << 17]), ListError::Long(at) if at == line(1)));
    }

    #[test]
    fn a_list_is_bounded_by_what_is_taken_of_it() {
        let text: String = (0..=MOST_IMAGES).map(|at| format!("{at}.img\n")).collect();
        let half = |name: &OsStr| name.as_encoded_bytes()[0] < b'5';
        assert!(matches!(list(text.as_bytes(), Between::Lines, &|_| true), Err(ListError::Many)));
        assert!(list(text.as_bytes(), Between::Lines, &half).unwrap().len() < MOST_IMAGES);
        let text = format!("{}\n", "a".repeat(60 << 10)).repeat(300);
        assert!(matches!(list(text.as_bytes(), Between::Lines, &|_| true), Err(ListError::Many)));
    }
}
