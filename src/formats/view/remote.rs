use super::{Got, Halt, ImageView};
use crate::source::remote::Ranges;

/// An uncompressed object behind a URL, of which parts can be had at any offset.
pub struct RemoteView<'r> {
    ranges: Ranges<'r>,
}

impl<'r> RemoteView<'r> {
    /// A view of the object.
    #[must_use]
    pub fn new(ranges: Ranges<'r>) -> Self {
        RemoteView { ranges }
    }

    /// The parts that it reads.
    pub fn ranges(&mut self) -> &mut Ranges<'r> {
        &mut self.ranges
    }
}

impl ImageView for RemoteView<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        Ok(Got::Bytes(self.ranges.read_at(at, buf)?))
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(self.ranges.size()))
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn ahead(&mut self, parts: &mut dyn Iterator<Item = (u64, u64)>) -> Result<(), Halt> {
        Ok(self.ranges.ahead(parts)?)
    }
}
