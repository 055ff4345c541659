//! A temporary file that has what a stream delivered.

use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use crate::bytes::{Hostile, Segment, Sparse};
use crate::formats::{Halt, Store};
use crate::source::{Error, Kind, LocalFile};

/// Where an image is written as it comes by, zeros as holes. The file has no name, so nothing is left
/// behind however the program ends. What goes into it is bounded by whoever reads the stream.
pub(super) struct Spool {
    sparse: Sparse,
    subject: Hostile,
}

impl Spool {
    /// An empty one, in the directory for temporary files.
    pub(super) fn new() -> Result<Self, Error> {
        let subject = Hostile::from_os(std::env::temp_dir().as_os_str());
        match tempfile::tempfile() {
            Ok(file) => Ok(Spool { sparse: Sparse::new(file), subject }),
            Err(source) => {
                Err(Error { kind: Kind::Spool, subject, offset: None, source: Some(source) })
            }
        }
    }

    /// The file, with all that was put.
    pub(super) fn finish(self) -> Result<LocalFile, Error> {
        let Spool { sparse, subject } = self;
        let len = sparse.len();
        let file = sparse.finish().map_err(|e| failed(&subject, len, e))?;
        LocalFile::temporary(file, &subject)
    }
}

fn failed(subject: &Hostile, at: u64, source: io::Error) -> Error {
    let subject = subject.clone();
    Error { kind: Kind::Spool, subject, offset: Some(at), source: Some(source) }
}

impl Store for Spool {
    fn put(&mut self, segment: &Segment) -> Result<(), Halt> {
        let at = self.sparse.len();
        Ok(self.sparse.put(segment).map_err(|e| failed(&self.subject, at, e))?)
    }

    /// Holes are not written.
    fn written(&self) -> u64 {
        self.sparse.written()
    }

    fn is_near(&self) -> bool {
        true
    }

    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<bool, Halt> {
        if at.saturating_add(buf.len() as u64) > self.sparse.len() {
            return Ok(false);
        }
        let mut have = 0;
        while have < buf.len() {
            match self.sparse.file().read_at(&mut buf[have..], at + have as u64) {
                // What was put last may be zeros, which are not in the file yet.
                Ok(0) => {
                    buf[have..].fill(0);
                    break;
                }
                Ok(count) => have += count,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(&self.subject, at + have as u64, e).into()),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Pool;
    use std::sync::Arc;

    #[test]
    fn gives_back_what_was_put_and_writes_no_zeros() {
        let mut pool = Pool::new(1, 50_000);
        let mut spool = Spool::new().unwrap();
        let mut expected = Vec::new();
        for turn in 0..40usize {
            let len = 1 + turn * 1237 % 50_000;
            if turn % 3 == 0 {
                spool.put(&Segment::Zeros(len as u64)).unwrap();
                expected.resize(expected.len() + len, 0);
                continue;
            }
            let mut chunk = pool.take();
            let space = &mut chunk.space()[..len];
            space.fill(0);
            space[len / 3..len / 2].fill(turn as u8);
            expected.extend_from_slice(space);
            chunk.grow(len);
            spool.put(&Segment::Data(Arc::new(chunk))).unwrap();
        }
        spool.put(&Segment::Zeros(10_000)).unwrap();
        expected.resize(expected.len() + 10_000, 0);
        for (at, len) in [(0, 10), (70_000, 100_000), (expected.len() - 20_000, 20_000)] {
            let mut buf = vec![0xee; len];
            spool.read_at(at as u64, &mut buf).unwrap();
            assert!(buf == expected[at..at + len], "{at}");
        }
        assert!(!spool.read_at(expected.len() as u64 - 1, &mut [0; 2]).unwrap());
        assert!(spool.written() < expected.len() as u64 / 2, "{}", spool.written());
        let file = spool.finish().unwrap();
        let mut buf = vec![0xee; expected.len() + 1];
        assert_eq!(file.offsets().read_at(0, &mut buf).unwrap(), expected.len());
        assert!(buf[..expected.len()] == expected);
    }
}
