use super::{Got, Halt, ImageView, too_large};
use crate::facts::{Code, Notebook};
use crate::source::LocalFile;

/// An uncompressed local file: any offset at any time.
pub struct FileView<'f> {
    file: &'f LocalFile,
}

impl<'f> FileView<'f> {
    /// A view of `file`. An image that reaches the limit is written down at once.
    #[must_use]
    pub fn new(file: &'f LocalFile, notebook: &Notebook<'_>) -> Self {
        if file.size() >= notebook.limit() && !notebook.has(Code::ImageTooLarge) {
            too_large(notebook, notebook.limit());
        }
        FileView { file }
    }
}

impl ImageView for FileView<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        Ok(Got::Bytes(self.file.read_at(at, buf)?))
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(self.file.size()))
    }
}
