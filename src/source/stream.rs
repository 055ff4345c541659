use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use super::{Error, Read};
use crate::bytes::{Hostile, Pool, Segment};

/// An open pipe, terminal or character device.
pub struct Stream {
    file: File,
    subject: Hostile,
}

impl Stream {
    pub(super) fn new(file: File, subject: Hostile) -> Self {
        Stream { file, subject }
    }

    /// A reader of what has not been read yet.
    #[must_use]
    pub fn reader(&self) -> StreamReader<'_> {
        StreamReader { stream: self, at: 0 }
    }
}

/// Reads a [`Stream`] to its end.
pub struct StreamReader<'s> {
    stream: &'s Stream,
    at: u64,
}

impl Read for StreamReader<'_> {
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, Error> {
        let mut chunk = pool.take();
        loop {
            let space = chunk.space();
            if space.is_empty() {
                break;
            }
            match (&self.stream.file).read(space) {
                Ok(0) => break,
                Ok(count) => {
                    chunk.grow(count);
                    self.at += count as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.stream.subject, Some(self.at), e)),
            }
        }
        Ok((!chunk.is_empty()).then(|| Segment::Data(Arc::new(chunk))))
    }
}
