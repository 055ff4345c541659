//! SHA-256 of a virtual disk.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::scope;

use super::threads::{self, join};
use super::{Event, Listener};
use crate::bytes::{Chunk, Pool, Segment};
use crate::codec::LEAST_ZEROS;
use crate::formats::{Disk, Got, Halt, Missing};

/// The disk is read in pieces of this size; only a few are in flight.
const BUFFER: usize = 1 << 20;
const BUFFERS: usize = 4;

/// Digests the disk on a thread of its own while this one reads and unpacks; or says which part of
/// it could not be read.
pub(super) fn sha256(
    disk: &mut dyn Disk,
    listener: &dyn Listener,
) -> Result<Result<[u8; 32], Missing>, Halt> {
    let size = disk.size()?.unwrap_or_default();
    scope(|scope| {
        let seen = |bytes| listener.event(Event::Disk { bytes, size });
        let (sender, digest) = threads::digest(scope, seen);
        let missing = send(disk, size, &sender);
        drop(sender);
        let digest = join(digest);
        Ok(missing?.map_or(Ok(digest), Err))
    })
}

/// Sends the whole disk; why a part of it is missing, if one is.
fn send(disk: &mut dyn Disk, size: u64, to: &Sender<Segment>) -> Result<Option<Missing>, Halt> {
    let mut sending = Sending { pool: Pool::new(BUFFERS, BUFFER), chunk: None, zeros: 0, to };
    let mut at = 0;
    while at < size {
        let run = disk.run(at)?;
        let zeros = disk.zeros(&run);
        if zeros > 0 {
            sending.zeros += zeros;
            at += zeros;
            continue;
        }
        let space = sending.space();
        let want = run.len.min(space.len() as u64) as usize;
        match disk.read_at(at, &mut space[..want])? {
            Got::Bytes(count) if count == want => {}
            // The disk of a container is as long as it says; so this is a table that leads astray.
            Got::Bytes(_) => return Ok(Some(Missing::Broken)),
            Got::Missing(missing) => return Ok(Some(missing)),
        }
        sending.grow(want);
        at += want as u64;
    }
    sending.flush();
    Ok(None)
}

/// A longer run of zeros is sent in pieces, so that progress is seen.
const LONGEST_RUN: u64 = 64 << 20;

/// What is on its way to the digest. Between two runs of zeros goes a buffer, so that no number of runs can fill the channel.
struct Sending<'a> {
    pool: Pool,
    /// The buffer that is being filled; it has room.
    chunk: Option<Chunk>,
    /// Zeros behind what is in it.
    zeros: u64,
    to: &'a Sender<Segment>,
}

impl Sending<'_> {
    /// Room for what comes next. Long runs of zeros go before it as a number.
    fn space(&mut self) -> &mut [u8] {
        let room = self.chunk.as_mut().map_or(0, |chunk| chunk.space().len() as u64);
        if self.zeros >= LEAST_ZEROS.min(room) {
            self.flush();
        }
        let chunk = self.chunk.get_or_insert_with(|| self.pool.take());
        let zeros = std::mem::take(&mut self.zeros) as usize;
        chunk.space()[..zeros].fill(0);
        chunk.grow(zeros);
        chunk.space()
    }

    /// So many bytes of the room are filled.
    fn grow(&mut self, count: usize) {
        let Some(chunk) = &mut self.chunk else { return };
        chunk.grow(count);
        if chunk.space().is_empty() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // The digest's thread ends when the channel closes, not before.
        if let Some(chunk) = self.chunk.take() {
            let _ = self.to.send(Segment::Data(Arc::new(chunk)));
        }
        while self.zeros > 0 {
            let len = self.zeros.min(LONGEST_RUN);
            let _ = self.to.send(Segment::Zeros(len));
            self.zeros -= len;
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::super::Deaf;
    use super::*;
    use crate::formats::{Place, Run};

    /// A disk of data and zeros in turn, each of so many bytes, and the bytes of it that were read.
    struct Turns {
        lengths: Vec<u64>,
        read: u64,
    }

    impl Turns {
        fn byte(at: u64) -> u8 {
            (at % 251) as u8 + 1
        }
    }

    impl Disk for Turns {
        fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
            let run = self.run(at)?;
            assert!(!run.place.reads_as_zeros() && run.len >= buf.len() as u64, "zeros are read");
            buf.iter_mut().zip(at..).for_each(|(byte, at)| *byte = Turns::byte(at));
            self.read += buf.len() as u64;
            Ok(Got::Bytes(buf.len()))
        }

        fn run(&mut self, at: u64) -> Result<Run, Halt> {
            let mut end = 0;
            let turn = self.lengths.iter().position(|len| {
                end += len;
                end > at
            });
            let zeros = turn.unwrap() % 2 == 1;
            Ok(Run { len: end - at, place: if zeros { Place::Zeros } else { Place::Stored(at) } })
        }

        fn size(&mut self) -> Result<Option<u64>, Halt> {
            Ok(Some(self.lengths.iter().sum()))
        }
    }

    #[test]
    fn zeros_are_digested_and_never_read() {
        const MIB: u64 = 1 << 20;
        let many = [512, 512, 4096, 65_536, 512, 65_535, 1000, 131_072].repeat(200);
        for lengths in [
            vec![],
            vec![0, 5],
            vec![5],
            vec![512, 3 * MIB, 512],
            vec![MIB, 512, MIB - 512, 512, 512],
            vec![3 * MIB + 1, MIB, 9 * MIB],
            vec![0, 512, MIB - 512, 600, MIB],
            many,
        ] {
            let (mut at, mut sha, mut data) = (0, Sha256::new(), 0);
            for (turn, &len) in lengths.iter().enumerate() {
                let byte = |at| if turn % 2 == 1 { 0 } else { Turns::byte(at) };
                sha.update((at..at + len).map(byte).collect::<Vec<u8>>());
                data += if turn % 2 == 1 { 0 } else { len };
                at += len;
            }
            let mut disk = Turns { lengths, read: 0 };
            let found = sha256(&mut disk, &Deaf).unwrap().unwrap();
            assert_eq!(found[..], sha.finalize()[..], "{:?}", disk.lengths);
            assert_eq!(disk.read, data, "{:?}", disk.lengths);
        }
    }

    /// However many runs there are, no more travels than the buffers have.
    #[test]
    fn between_zeros_goes_a_buffer() {
        let mut disk = Turns { lengths: [512, 65_536].repeat(3), read: 0 };
        let (sender, receiver) = std::sync::mpsc::channel();
        let size = disk.size().unwrap().unwrap();
        assert_eq!(send(&mut disk, size, &sender).unwrap(), None);
        drop(sender);
        let sent: Vec<u64> = receiver.iter().map(|segment| segment.len()).collect();
        assert_eq!(sent, [512, 65_536].repeat(3));
    }
}
