use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Why a text is no list of images.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
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
    /// No file has such a name.
    #[error("line {line} has a NUL byte; the list takes a path or a URL on each line")]
    Nul {
        /// From 1.
        line: usize,
    },
}

/// The images of a list, in the order of their names, each once: paths and URLs, one a line. Blanks around a line do
/// not count, nor do empty lines and those that begin with `#`.
///
/// # Errors
/// If it is none.
pub fn list(text: &[u8]) -> Result<Vec<OsString>, ListError> {
    let mut images = Vec::new();
    // Editors put a byte order mark before the first line.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    for (line, text) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let text = text.trim_ascii();
        match text {
            [] | [b'#', ..] => {}
            b"-" => return Err(ListError::Stdin { line }),
            _ if text.contains(&0) => return Err(ListError::Nul { line }),
            _ if text.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case(b"file://")) => {
                return Err(ListError::FileUrl { line });
            }
            _ => images.push(OsString::from_vec(text.to_owned())),
        }
    }
    images.sort_unstable();
    images.dedup();
    if images.is_empty() {
        return Err(ListError::Empty);
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_an_image_on_each_line() {
        let text =
            b"\xef\xbb\xbf# all\n\nb c.img\r\n  https://h/a.img  \nb c.img\n-x.img\n#no\na\xff";
        let images = list(text).unwrap();
        let expected: [&[u8]; 4] = [b"-x.img", b"a\xff", b"b c.img", b"https://h/a.img"];
        assert_eq!(images, expected.map(|name| OsString::from_vec(name.to_owned())));
    }

    #[test]
    fn what_is_no_list() {
        assert_eq!(list(b""), Err(ListError::Empty));
        assert_eq!(list(b" \n# a.img\n"), Err(ListError::Empty));
        assert_eq!(list(b"a\n - \n"), Err(ListError::Stdin { line: 2 }));
        assert_eq!(list(b"\na\nFILE:///a"), Err(ListError::FileUrl { line: 3 }));
        assert_eq!(list(b"a\0b"), Err(ListError::Nul { line: 1 }));
    }
}
