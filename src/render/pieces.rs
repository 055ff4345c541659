//! Parts of documents that are written while images come and read when all have: what a document says first is known
//! last, and no number of images may fill the memory.

use std::io::{self, BufWriter, Seek, Write};

use serde::Serialize;
use tempfile::SpooledTempFile;

/// Bytes of a part that are kept in memory; a longer one goes into an unlinked temporary file.
const IN_MEMORY: usize = 1 << 20;

/// A part of a document.
pub(super) struct Pieces(BufWriter<SpooledTempFile>);

impl Default for Pieces {
    fn default() -> Self {
        Pieces(BufWriter::new(SpooledTempFile::new(IN_MEMORY)))
    }
}

impl Pieces {
    pub(super) fn push(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes()).map_err(spooling)
    }

    /// Writes the part to where the document goes.
    pub(super) fn pour(self, out: &mut dyn Write) -> io::Result<()> {
        let mut file = self.0.into_inner().map_err(|e| spooling(e.into_error()))?;
        file.rewind().map_err(spooling)?;
        io::copy(&mut file, out).map(drop)
    }
}

/// Says that it is the temporary file which failed, not the place of the document.
fn spooling(error: io::Error) -> io::Error {
    let folder = crate::bytes::Hostile::from_os(std::env::temp_dir().as_os_str());
    let why = format!("its parts go into a temporary file in {folder} (TMPDIR): {error}");
    io::Error::new(error.kind(), why)
}

/// The elements of an array in a JSON document that is laid out in lines.
pub(super) struct Elements {
    pieces: Pieces,
    /// Blanks before the line that has the array's name.
    indent: usize,
    any: bool,
}

impl Elements {
    pub(super) fn new(indent: usize) -> Self {
        Elements { pieces: Pieces::default(), indent, any: false }
    }

    pub(super) fn push(&mut self, element: &impl Serialize) -> io::Result<()> {
        let indent = self.indent + 2;
        let comma = if self.any { "," } else { "" };
        self.any = true;
        self.pieces.push(&format!("{comma}\n{:indent$}{}", "", pretty(element, indent)?))
    }

    /// Writes the whole array.
    pub(super) fn pour(self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"[")?;
        self.pieces.pour(out)?;
        match self.any {
            true => write!(out, "\n{:1$}]", "", self.indent),
            false => out.write_all(b"]"),
        }
    }
}

/// A value in JSON, whose lines after the first have so many more blanks before them.
pub(super) fn pretty(value: &impl Serialize, indent: usize) -> io::Result<String> {
    // JSON has no line end inside a string.
    Ok(serde_json::to_string_pretty(value)?.replace('\n', &format!("\n{:indent$}", "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_laid_out_as_in_one_piece() {
        for values in [&[][..], &[1], &[1, 2, 3]] {
            let mut elements = Elements::new(2);
            values.iter().for_each(|&value| elements.push(&vec![value]).unwrap());
            let mut text = b"{\n  \"a\": ".to_vec();
            elements.pour(&mut text).unwrap();
            text.extend_from_slice(b"\n}");
            let values: Vec<_> = values.iter().map(|&value| vec![value]).collect();
            let whole = serde_json::to_string_pretty(&serde_json::json!({ "a": values })).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), whole);
        }
    }

    #[test]
    fn what_does_not_fit_into_memory_is_written_all_the_same() {
        let mut pieces = Pieces::default();
        let piece = "0123456789abcdef".repeat(1 << 10);
        (0..100).for_each(|_| pieces.push(&piece).unwrap());
        let mut out = Vec::new();
        pieces.pour(&mut out).unwrap();
        assert_eq!(out, piece.repeat(100).as_bytes());
    }
}
