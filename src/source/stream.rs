use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use super::{Error, Read};
use crate::bytes::{Hostile, Pool, Segment};

/// Reads a pipe to its end.
pub struct StreamReader {
    file: File,
    subject: Hostile,
    at: u64,
}

impl StreamReader {
    pub(super) fn new(file: File, subject: Hostile) -> Self {
        StreamReader { file, subject, at: 0 }
    }
}

impl Read for StreamReader {
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, Error> {
        let mut chunk = pool.take();
        loop {
            let space = chunk.space();
            if space.is_empty() {
                break;
            }
            match self.file.read(space) {
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
