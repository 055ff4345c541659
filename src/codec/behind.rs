/// Bytes that are kept of what is behind: enough to tell what it is.
const KEPT: usize = 512;

/// Bytes behind packed data that belong to nothing. Whatever they are, the data before them is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Byte offset of the first of them in the file.
    pub offset: u64,
    /// How many there are.
    pub len: u64,
    /// The first of them, 512 at most.
    pub first: Vec<u8>,
}

impl Behind {
    pub(super) fn at(offset: u64) -> Self {
        Behind { offset, ..Behind::default() }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        let room = KEPT - self.first.len();
        self.first.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.len += bytes.len() as u64;
    }
}
