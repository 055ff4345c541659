use super::{Got, Halt, ImageView, too_large};
use crate::facts::{Code, Notebook};
use crate::formats::zeros::last_used;
use crate::source::{LocalFile, LocalOffsets};

/// An uncompressed local file: any offset at any time.
pub struct FileView<'f> {
    file: &'f LocalFile,
    offsets: LocalOffsets<'f>,
    bytes_read: u64,
}

impl<'f> FileView<'f> {
    /// A view of `file`. An image that reaches the limit is written down at once.
    #[must_use]
    pub fn new(file: &'f LocalFile, notebook: &Notebook<'_>) -> Self {
        if file.size() >= notebook.limit() && !notebook.has(Code::ImageTooLarge) {
            too_large(notebook, notebook.limit());
        }
        FileView { file, offsets: file.offsets(), bytes_read: 0 }
    }

    /// Bytes that were read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }
}

impl ImageView for FileView<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        let count = self.offsets.read_at(at, buf)?;
        self.bytes_read += count as u64;
        Ok(Got::Bytes(count))
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(self.file.size()))
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn used_end(&mut self) -> Result<Option<u64>, Halt> {
        let size = self.file.size();
        last_used(self, size)
    }

    fn hole(&mut self, at: u64) -> (u64, bool) {
        // What cannot be read is said by whoever reads it.
        self.offsets.run_at(at).unwrap_or((1, false))
    }
}
