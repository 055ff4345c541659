use std::fs::File;
use std::io;
use std::sync::Arc;

use super::{Error, FileIdentity, Kind, Read};
use crate::bytes::{Hostile, Pool, Segment};

/// An open pipe, terminal or character device, or a regular file that is read from its middle or has no true size.
pub struct Stream {
    file: File,
    subject: Hostile,
    /// Of a regular file: what it was when it was opened.
    identity: Option<FileIdentity>,
}

impl Stream {
    pub(super) fn new(file: File, subject: Hostile) -> Self {
        let identity = identity(&file);
        Stream { file, subject, identity }
    }

    /// Makes sure that a regular file is still what it was when it was opened. Pipes and devices bring each byte once.
    ///
    /// # Errors
    /// [`Kind::Changed`] if it is not.
    pub fn verify_unchanged(&self) -> Result<(), Error> {
        match identity(&self.file) == self.identity {
            true => Ok(()),
            false => Err(Error::of(Kind::Changed, &self.subject)),
        }
    }

    /// A reader of what has not been read yet.
    #[must_use]
    pub fn reader(&self) -> Reading<&File> {
        Reading { reader: &self.file, subject: self.subject.clone(), at: 0 }
    }
}

fn identity(file: &File) -> Option<FileIdentity> {
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    FileIdentity::of(file).ok()
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
