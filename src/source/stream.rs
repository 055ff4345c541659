use std::fs::File;
use std::io;
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
    pub fn reader(&self) -> Reading<&File> {
        Reading { reader: &self.file, subject: self.subject.clone(), at: 0 }
    }
}

/// Reads anything that has bytes to its end.
pub struct Reading<R> {
    reader: R,
    subject: Hostile,
    at: u64,
}

impl<R: io::Read + Send> Reading<R> {
    /// A reader of what `reader` has; `name` is what errors call it.
    pub fn new(name: &str, reader: R) -> Self {
        Reading { reader, subject: Hostile::from(name), at: 0 }
    }
}

impl<R: io::Read + Send> Read for Reading<R> {
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, Error> {
        let mut chunk = pool.take();
        loop {
            let space = chunk.space();
            if space.is_empty() {
                break;
            }
            match self.reader.read(space) {
                Ok(0) => break,
                Ok(count) => {
                    chunk.grow(count);
                    self.at += count as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.subject, Some(self.at), e)),
            }
        }
        Ok((!chunk.is_empty()).then(|| Segment::Data(Arc::new(chunk))))
    }
}
