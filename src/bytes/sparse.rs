use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Segment;

/// A block of the file system: as many zeros in one piece become a hole.
const PIECE: u64 = 4096;
static ZEROS: [u8; PIECE as usize] = [0; PIECE as usize];

/// A file that is written from its beginning on, zeros as holes.
pub struct Sparse {
    file: File,
    len: u64,
    written: u64,
}

impl Sparse {
    /// Writes to a file that is empty.
    #[must_use]
    pub fn new(file: File) -> Self {
        Sparse { file, len: 0, written: 0 }
    }

    /// Writes what comes next.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put(&mut self, segment: &Segment) -> io::Result<()> {
        match segment {
            Segment::Data(chunk) => self.bytes(chunk),
            Segment::Zeros(count) => {
                self.len += count;
                Ok(())
            }
        }
    }

    /// Writes the bytes that come next.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        // What is neither written nor left out yet begins here.
        let mut begin = 0;
        let mut at = 0;
        while at < bytes.len() {
            let to_next = PIECE - (self.len + at as u64) % PIECE;
            let end = (at + to_next as usize).min(bytes.len());
            if bytes[at..end] == ZEROS[..end - at] {
                if begin < at {
                    self.write(begin, &bytes[begin..at])?;
                }
                begin = end;
            }
            at = end;
        }
        if begin < at {
            self.write(begin, &bytes[begin..])?;
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn write(&mut self, after: usize, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.len + after as u64)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Bytes that came.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that were written: holes are not.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The file as it is now. It may end before the last zeros.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file with all that came.
    ///
    /// # Errors
    /// If it cannot be as long.
    pub fn finish(self) -> io::Result<File> {
        self.file.set_len(self.len)?;
        Ok(self.file)
    }
}
