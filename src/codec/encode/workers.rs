//! The threads that deflate, and the order of what they made.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use flate2::{Compress, Compression, FlushCompress, Status};

use super::blocks::Buffer;
use super::{BLOCK, EncodeError, Encoding};

/// What a block became: whole bytes of a deflate stream without an end.
pub(super) struct Deflated {
    pub(super) bytes: Vec<u8>,
    pub(super) crc: crc32fast::Hasher,
}

struct Job {
    buffer: Buffer,
    /// An old output, to be written over.
    bytes: Vec<u8>,
    done: SyncSender<Result<(Deflated, Buffer), EncodeError>>,
}

/// Something that comes out in its turn.
enum Pending {
    Working(Receiver<Result<(Deflated, Buffer), EncodeError>>),
    Repeated(Arc<Deflated>),
}

pub(super) struct Workers {
    jobs: Sender<Job>,
    pending: VecDeque<Pending>,
    /// How many of those that are pending are being worked on.
    working: usize,
    most: usize,
    buffers: Vec<Buffer>,
    outputs: Vec<Vec<u8>>,
}

/// Repeated blocks that may wait behind one that is being worked on: they are small, but not nothing.
const MOST_PENDING: usize = 1024;

impl Workers {
    /// Starts the threads; they end when this is dropped.
    pub(super) fn new<'scope>(scope: &'scope Scope<'scope, '_>, encoding: Encoding) -> Self {
        let (jobs, todo) = channel::<Job>();
        let todo = Arc::new(Mutex::new(todo));
        let threads = encoding.threads.max(1);
        for _ in 0..threads {
            let todo = Arc::clone(&todo);
            scope.spawn(move || work(&todo, encoding));
        }
        Workers {
            jobs,
            pending: VecDeque::new(),
            working: 0,
            most: 2 * threads + 1,
            buffers: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// A buffer for a block, an old one where there is one.
    pub(super) fn buffer(&mut self) -> Buffer {
        self.buffers.pop().unwrap_or_default()
    }

    /// Whether something has to come out before more goes in.
    pub(super) fn is_full(&self) -> bool {
        self.working >= self.most || self.pending.len() >= MOST_PENDING
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Gives a block to a worker.
    pub(super) fn deflate(&mut self, buffer: Buffer) -> Result<(), EncodeError> {
        let (done, result) = sync_channel(1);
        let bytes = self.outputs.pop().unwrap_or_default();
        self.jobs.send(Job { buffer, bytes, done }).map_err(|_| EncodeError::Deflate)?;
        self.pending.push_back(Pending::Working(result));
        self.working += 1;
        Ok(())
    }

    /// Puts what is deflated already in the line.
    pub(super) fn repeat(&mut self, deflated: &Arc<Deflated>) {
        self.pending.push_back(Pending::Repeated(Arc::clone(deflated)));
    }

    /// Writes what comes next, when it is there.
    pub(super) fn next(
        &mut self,
        write: &mut dyn FnMut(&Deflated) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match self.pending.pop_front() {
            None => Ok(()),
            Some(Pending::Repeated(deflated)) => write(&deflated),
            Some(Pending::Working(result)) => {
                self.working -= 1;
                let (deflated, buffer) = result.recv().map_err(|_| EncodeError::Deflate)??;
                write(&deflated)?;
                self.buffers.push(buffer);
                self.outputs.push(deflated.bytes);
                Ok(())
            }
        }
    }
}

fn work(todo: &Mutex<Receiver<Job>>, encoding: Encoding) {
    let mut deflate = fresh(encoding);
    loop {
        // Nobody panics while holding the lock, as nothing is done under it but waiting.
        let job = match todo.lock() {
            Ok(todo) => todo.recv(),
            Err(_) => return,
        };
        let Ok(Job { buffer, bytes, done }) = job else { return };
        let result = block(&mut deflate, &buffer, bytes).map(|deflated| (deflated, buffer));
        // Whoever wanted it may have gone.
        let _ = done.send(result);
    }
}

fn fresh(encoding: Encoding) -> Compress {
    Compress::new(Compression::new(encoding.level.clamp(1, 9)), false)
}

/// Room that is added to an output at a time; a block that cannot be packed grows by less.
const ROOM: usize = 64 << 10;

/// Deflates one block up to a byte boundary.
fn block(
    deflate: &mut Compress,
    buffer: &Buffer,
    mut bytes: Vec<u8>,
) -> Result<Deflated, EncodeError> {
    let (dictionary, block) = buffer.bytes.split_at(buffer.start);
    bytes.clear();
    deflate.reset();
    if !dictionary.is_empty() {
        deflate.set_dictionary(dictionary).map_err(|_| EncodeError::Deflate)?;
    }
    let mut done = 0;
    loop {
        if bytes.capacity() - bytes.len() < ROOM {
            // The first buffer is large enough for nearly every block.
            bytes.reserve(if bytes.capacity() == 0 { BLOCK / 2 } else { BLOCK / 4 });
        }
        let before = deflate.total_in();
        let status = deflate
            .compress_vec(&block[done..], &mut bytes, FlushCompress::Sync)
            .map_err(|_| EncodeError::Deflate)?;
        done += (deflate.total_in() - before) as usize;
        match status {
            // With room left, everything was flushed.
            Status::Ok | Status::BufError
                if done == block.len() && bytes.len() < bytes.capacity() =>
            {
                break;
            }
            Status::Ok | Status::BufError => {}
            // It comes only with `FlushCompress::Finish`.
            Status::StreamEnd => return Err(EncodeError::Deflate),
        }
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(block);
    Ok(Deflated { bytes, crc })
}

/// A block of zeros, which may stand anywhere in the stream.
pub(super) fn zeros(encoding: Encoding) -> Result<Arc<Deflated>, EncodeError> {
    let buffer = Buffer { bytes: vec![0; BLOCK], start: 0 };
    block(&mut fresh(encoding), &buffer, Vec::new()).map(Arc::new)
}
