//! Threads that decode blocks before it is their turn.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::block::{Block, Blocks, Fail};

/// What may be a block.
struct Job {
    bytes: Vec<u8>,
    /// Bit of `bytes` at which its magic begins.
    bit: usize,
    /// Memory for the block.
    spent: Vec<u8>,
    done: SyncSender<Result<Block, Fail>>,
}

/// The threads, which end when this is dropped.
pub(super) struct Workers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts so many.
    pub(super) fn new(count: usize) -> Self {
        let (jobs, todo) = channel::<Job>();
        let todo = Arc::new(Mutex::new(todo));
        let start = |_| {
            let todo = Arc::clone(&todo);
            // With fewer threads than wanted, or none, the parser decodes what nobody has decoded.
            std::thread::Builder::new().name("bzip2".into()).spawn(move || work(&todo)).ok()
        };
        Workers { jobs: Some(jobs), threads: (0..count).filter_map(start).collect() }
    }

    /// Decodes the block at this bit of `bytes` in its turn, in the memory of `spent`. The receiver gets nothing if that was
    /// not possible.
    pub(super) fn decode(
        &self,
        bytes: Vec<u8>,
        bit: usize,
        spent: Vec<u8>,
    ) -> Receiver<Result<Block, Fail>> {
        let (done, result) = sync_channel(1);
        if let Some(jobs) = &self.jobs {
            // Without a thread to take it, it is dropped, and the receiver knows.
            let _ = jobs.send(Job { bytes, bit, spent, done });
        }
        result
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // One that panicked has said so, and its blocks were decoded by the parser.
            let _ = thread.join();
        }
    }
}

fn work(todo: &Mutex<Receiver<Job>>) {
    let mut blocks = Blocks::default();
    loop {
        // Nothing panics while it is locked.
        let Ok(job) = todo.lock().map(|todo| todo.recv()) else { return };
        let Ok(Job { bytes, bit, spent, done }) = job else { return };
        // Nobody may want it any more.
        let _ = done.send(blocks.decode(&bytes, bit, spent));
    }
}
