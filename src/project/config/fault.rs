use std::fmt;
use std::ops::Range;

use crate::bytes::Hostile;

/// Something wrong in the file: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, escaped.
    pub file: Hostile,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line, and how many characters of it are meant.
    text: String,
    marked: usize,
    /// What is wrong; may have several lines.
    pub said: String,
}

impl std::error::Error for Fault {}

/// What is wrong at a place of the text.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: Range<usize>,
    pub(super) said: String,
    /// The line is not shown from this offset on: there may be a secret.
    hidden: Option<usize>,
}

impl Wrong {
    pub(super) fn new(at: Range<usize>, said: impl Into<String>) -> Wrong {
        Wrong { at, said: said.into(), hidden: None }
    }

    /// The same, if what follows in the line from an offset on may be a secret.
    pub(super) fn hiding(self, from: usize) -> Wrong {
        Wrong { hidden: Some(from), ..self }
    }
}

/// The line of a byte offset, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// Where the lines of a text end, to find the lines of many things in it.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Lines(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line that has this byte, from 1.
    pub(super) fn of_byte(&self, at: usize) -> usize {
        self.0.partition_point(|&end| end < at) + 1
    }
}

impl Fault {
    pub(super) fn new(file: &Hostile, text: &str, wrong: Wrong) -> Fault {
        // An offset in the middle of a character is that of the character.
        let floor = |at: usize| text.floor_char_boundary(at.min(text.len()));
        let (start, end) = (floor(wrong.at.start), floor(wrong.at.end.max(wrong.at.start)));
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = text[begin..].split(['\n', '\r']).next().unwrap_or_default();
        let end = end.clamp(start, begin + rest.len().max(start - begin));
        let shown = match wrong.hidden.map(|from| floor(from).max(start)) {
            Some(from) if from < begin + rest.len() => format!("{}…", &text[begin..from]),
            _ => rest.to_owned(),
        };
        Fault {
            file: file.clone(),
            line: line_of(text, start),
            column: text[begin..start].chars().count() + 1,
            text: shown,
            marked: text[start..end].chars().count().max(1),
            said: wrong.said,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A tab has no width of its own, and escapes would move what stands below them.
        let plain = self.text.replace('\t', " ");
        let shown = Hostile::from(plain.as_str()).to_string();
        let number = self.line.to_string();
        let gap = " ".repeat(number.len());
        writeln!(f, "{}:{}:{}:", self.file, self.line, self.column)?;
        writeln!(f, "{gap} |")?;
        writeln!(f, "{number} | {shown}")?;
        if shown == plain {
            let (indent, marks) = (" ".repeat(self.column - 1), "^".repeat(self.marked));
            writeln!(f, "{gap} | {indent}{marks}")?;
        }
        write!(f, "{}", self.said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, at: Range<usize>) -> String {
        Fault::new(&"f".into(), text, Wrong::new(at, "no")).to_string()
    }

    #[test]
    fn points_at_the_place() {
        assert_eq!(shown("a\nöb c\n", 5..6), "f:2:3:\n  |\n2 | öb c\n  |   ^\nno");
        assert_eq!(shown("ab", 0..9), "f:1:1:\n  |\n1 | ab\n  | ^^\nno");
        assert_eq!(shown("", 0..0), "f:1:1:\n  |\n1 | \n  | ^\nno");
        assert_eq!(shown("a\nb\n", 4..4), "f:3:1:\n  |\n3 | \n  | ^\nno");
        assert_eq!(shown("x\u{202e}y", 0..1), "f:1:1:\n  |\n1 | x\\u{202e}y\nno");
        // Over the end of a line, and in the middle of a character.
        assert_eq!(shown("ab\ncd", 1..5), "f:1:2:\n  |\n1 | ab\n  |  ^\nno");
        assert_eq!(shown("ö", 1..2), "f:1:1:\n  |\n1 | ö\n  | ^\nno");
    }
}
