use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStringExt;

/// Images that a list, or reports that are merged, may name.
pub const MOST_IMAGES: usize = 100_000;

/// Bytes that their names may take together.
const MOST_NAMES: usize = 16 << 20;

/// Bytes of a list, of which a shard takes but a part.
const LARGEST: u64 = 1 << 30;

/// Bytes of a line: no path is longer, and no URL that a server takes.
const LONGEST: u64 = 64 << 10;

/// Why a text is no list of images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// There is nothing in it.
    #[error("it names no image; it takes a path or a URL on each line")]
    Empty,
    /// Standard input comes once, and has no name.
    #[error("line {line} is \"-\", and standard input is no image of a list")]
    Stdin {
        /// From 1.
        line: usize,
    },
    /// A path is written as it is.
    #[error("line {line} is a file:// URL; write the path alone")]
    FileUrl {
        /// From 1.
        line: usize,
    },
    /// Nothing that names an image is so long.
    #[error("line {line} is longer than {} KiB; the list takes a path or a URL on each line", LONGEST >> 10)]
    Long {
        /// From 1.
        line: usize,
    },
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
    #[error("line {line} has a NUL byte; the list takes a path or a URL on each line")]
    Nul {
        /// From 1.
        line: usize,
    },
}

/// The images of a list that `takes` says yes to, in the order of their names, each once: paths and URLs, one a line.
/// Blanks around a line do not count, nor do empty lines and those that begin with `#`.
///
/// # Errors
/// If it is none.
pub fn list(
    text: impl BufRead,
    takes: &dyn Fn(&OsStr) -> bool,
) -> Result<Vec<OsString>, ListError> {
    let mut text = text.take(LARGEST);
    let (mut images, mut names, mut any) = (Vec::new(), 0, false);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let count = text.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)?;
        if count as u64 == LONGEST && !bytes.ends_with(b"\n") {
            return Err(ListError::Long { line });
        }
        if count == 0 {
            break;
        }
        // Editors put a byte order mark before the first line.
        let mark = "\u{feff}".as_bytes();
        let name = bytes.strip_prefix(mark).filter(|_| line == 1).unwrap_or(&bytes).trim_ascii();
        match name {
            [] | [b'#', ..] => continue,
            b"-" => return Err(ListError::Stdin { line }),
            _ if name.contains(&0) => return Err(ListError::Nul { line }),
            _ if name.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case(b"file://")) => {
                return Err(ListError::FileUrl { line });
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
        let images = list(&text[..], &|_| true).unwrap();
        let expected: [&[u8]; 4] = [b"-x.img", b"a\xff", b"b c.img", b"https://h/a.img"];
        assert_eq!(images, expected.map(|name| OsString::from_vec(name.to_owned())));
    }

    #[test]
    fn what_is_no_list() {
        let told = |text: &[u8]| list(text, &|_| false).unwrap_err();
        assert!(matches!(told(b""), ListError::Empty));
        assert!(matches!(told(b" \n# a.img\n"), ListError::Empty));
        assert!(matches!(told(b"a\n - \n"), ListError::Stdin { line: 2 }));
        assert!(matches!(told(b"\na\nFILE:///a"), ListError::FileUrl { line: 3 }));
        assert!(matches!(told(b"a\0b"), ListError::Nul { line: 1 }));
        assert!(matches!(told(&[b'a'; 1 << 17]), ListError::Long { line: 1 }));
    }

    #[test]
    fn a_list_is_bounded_by_what_is_taken_of_it() {
        let text: String = (0..=MOST_IMAGES).map(|at| format!("{at}.img\n")).collect();
        let half = |name: &OsStr| name.as_encoded_bytes()[0] < b'5';
        assert!(matches!(list(text.as_bytes(), &|_| true), Err(ListError::Many)));
        assert!(list(text.as_bytes(), &half).unwrap().len() < MOST_IMAGES);
        let text = format!("{}\n", "a".repeat(60 << 10)).repeat(300);
        assert!(matches!(list(text.as_bytes(), &|_| true), Err(ListError::Many)));
    }
}
