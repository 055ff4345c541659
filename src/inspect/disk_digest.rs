//! SHA-256 of a virtual disk.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::scope;

use super::threads::{self, join};
use super::{Event, Listener};
use crate::bytes::{Pool, Segment};
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

/// Sends the whole disk. Between two runs of zeros goes a buffer, so that no number of runs can
/// fill the channel.
fn send(disk: &mut dyn Disk, size: u64, to: &Sender<Segment>) -> Result<Option<Missing>, Halt> {
    let mut pool = Pool::new(BUFFERS, BUFFER);
    let mut at = 0;
    let mut zeros = 0;
    while at < size {
        let run = disk.run(at)?;
        if run.place.reads_as_zeros() {
            zeros += run.len;
            at += run.len;
            continue;
        }
        flush(&mut zeros, to);
        let mut chunk = pool.take();
        let space = chunk.space();
        let want = (size - at).min(space.len() as u64) as usize;
        match disk.read_at(at, &mut space[..want])? {
            Got::Bytes(count) if count == want => {}
            // The disk of a container is as long as it says; so this is a table that leads astray.
            Got::Bytes(_) => return Ok(Some(Missing::Broken)),
            Got::Missing(missing) => return Ok(Some(missing)),
        }
        chunk.grow(want);
        at += want as u64;
        // The digest's thread ends when the channel closes, not before.
        let _ = to.send(Segment::Data(Arc::new(chunk)));
    }
    flush(&mut zeros, to);
    Ok(None)
}

/// A longer run of zeros is sent in pieces, so that progress is seen.
const LONGEST_RUN: u64 = 64 << 20;

fn flush(zeros: &mut u64, to: &Sender<Segment>) {
    while *zeros > 0 {
        let len = (*zeros).min(LONGEST_RUN);
        let _ = to.send(Segment::Zeros(len));
        *zeros -= len;
    }
}
