//! Threads that unpack clusters and grains, and the order of what they made.
//!
//! Whatever is put in comes out in the order in which it was put in. What a thread has lost, because it panicked or was
//! never started, is unpacked by whoever takes it out. So nothing depends on the threads but the time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::disk::Packed;
use super::packed::{Flaw, LARGEST, LONGEST, Unpacker};
use crate::codec::Workers;

/// Threads at most, however many there are. The file is digested beside them, at about 1.5 GB of packed bytes a second: eight
/// threads keep up with that.
const MOST_THREADS: usize = 8;

/// Bytes that are under way for each thread at most, packed and unpacked: a cluster of the largest size.
const OF_THREAD: usize = LONGEST + LARGEST;

/// Packed data takes at most twice what it unpacks to. So this is what a cluster takes, as a multiple of its size.
const OF_CLUSTER: usize = 3;

/// Clusters that are under way for each thread at most, however small they are.
const MOST_OF_THREAD: usize = 256;

/// Bytes, unpacked, that are given to a thread at once: a cluster alone may take less time than to hand it over.
const BATCH: usize = 128 << 10;

/// What waits to be unpacked.
struct Input {
    packed: Packed,
    bytes: Vec<u8>,
}

/// A cluster or grain that was unpacked.
pub(super) struct Piece {
    /// What it unpacked to.
    pub(super) bytes: Vec<u8>,
    /// What is wrong with it.
    pub(super) outcome: Result<(), Flaw>,
}

/// Neighbours that a thread unpacks one after another, and old outputs to write over.
type Job = (Arc<Vec<Input>>, Vec<Vec<u8>>);

/// A batch that a thread has, and what comes of it.
struct Given {
    batch: Arc<Vec<Input>>,
    result: Receiver<Vec<Piece>>,
}

/// Clusters and grains on their way through the threads.
pub(super) struct Unpackers {
    threads: usize,
    /// Started when there is something to do.
    workers: Option<Workers<Job, Vec<Piece>>>,
    /// What is not yet given to a thread.
    gathered: Vec<Input>,
    given: VecDeque<Given>,
    /// The first batch, unpacked.
    done: VecDeque<Piece>,
    /// Clusters that were put in and did not come out.
    count: usize,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
    /// Unpacks what no thread has.
    own: Unpacker,
}

fn workers(count: usize) -> Workers<Job, Vec<Piece>> {
    Workers::new(count, "unpack", || {
        let mut unpacker = Unpacker::default();
        move |(batch, outputs): Job| unpack(&mut unpacker, &batch, outputs)
    })
}

fn unpack(unpacker: &mut Unpacker, batch: &[Input], outputs: Vec<Vec<u8>>) -> Vec<Piece> {
    let outputs = outputs.into_iter().chain(std::iter::repeat_with(Vec::new));
    let each = batch.iter().zip(outputs).map(|(input, bytes)| {
        unpacker.bytes = bytes;
        let outcome = unpacker.unpack(&input.packed, &input.bytes);
        Piece { bytes: std::mem::take(&mut unpacker.bytes), outcome }
    });
    each.collect()
}

impl Unpackers {
    /// With so many threads.
    pub(super) fn new(threads: usize) -> Self {
        Unpackers {
            threads: threads.clamp(1, MOST_THREADS),
            workers: None,
            gathered: Vec::new(),
            given: VecDeque::new(),
            done: VecDeque::new(),
            count: 0,
            inputs: Vec::new(),
            outputs: Vec::new(),
            own: Unpacker::default(),
        }
    }

    /// How many such clusters may be under way at once.
    pub(super) fn most(&self, packed: &Packed) -> usize {
        let fit = OF_THREAD / (OF_CLUSTER * packed.largest().max(1));
        self.threads * fit.clamp(1, MOST_OF_THREAD)
    }

    /// Clusters that were put in and did not come out.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Memory for packed data.
    pub(super) fn input(&mut self) -> Vec<u8> {
        self.inputs.pop().unwrap_or_default()
    }

    /// Puts packed data in. The caller sees to it that no more are under way than may be.
    pub(super) fn put(&mut self, packed: Packed, bytes: Vec<u8>) {
        let batch = (BATCH / packed.largest().max(1)).clamp(1, MOST_OF_THREAD / 4);
        self.gathered.push(Input { packed, bytes });
        self.count += 1;
        if self.gathered.len() >= batch {
            self.give();
        }
    }

    /// Gives a thread what was put in.
    pub(super) fn give(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let batch = Arc::new(std::mem::take(&mut self.gathered));
        let spent = self.outputs.len().saturating_sub(batch.len());
        let outputs = self.outputs.split_off(spent);
        // One thread does it in its turn.
        let threads = if self.threads > 1 { self.threads } else { 0 };
        let workers = self.workers.get_or_insert_with(|| workers(threads));
        let result = workers.start((Arc::clone(&batch), outputs));
        self.given.push_back(Given { batch, result });
    }

    /// The first of those that were put in and did not come out.
    pub(super) fn take(&mut self) -> Option<Piece> {
        if self.done.is_empty() {
            if self.given.is_empty() {
                self.give();
            }
            let Given { batch, result } = self.given.pop_front()?;
            let outputs = match result.recv() {
                Ok(outputs) => outputs,
                Err(_) => unpack(&mut self.own, &batch, Vec::new()),
            };
            self.done.extend(outputs);
            // A thread lets go of it before it answers.
            let inputs = Arc::into_inner(batch).unwrap_or_default();
            self.inputs.extend(inputs.into_iter().map(|input| input.bytes));
        }
        let piece = self.done.pop_front()?;
        self.count -= 1;
        Some(piece)
    }

    /// Takes the memory of what was unpacked for others.
    pub(super) fn give_back(&mut self, bytes: Vec<u8>) {
        self.outputs.push(bytes);
    }

    /// Has threads of this fate.
    #[cfg(test)]
    pub(super) fn doom(&mut self, threads: usize, fate: crate::codec::Fate) {
        self.workers = Some(Workers::new(threads, "unpack", move || {
            let mut unpacker = Unpacker::default();
            fate.of(move |(batch, outputs): Job| unpack(&mut unpacker, &batch, outputs))
        }));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::super::disk::Method;
    use super::*;
    use crate::codec::Fate;
    use crate::facts::Code;

    pub(in crate::formats) fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Clusters of this many bytes, some of which are damaged, cut or too long.
    fn clusters(whole: usize, count: usize) -> Vec<(Packed, Vec<u8>)> {
        let one = |number: usize| {
            let len = whole + [0, 0, 0, 0, 100][number % 5];
            let content: Vec<u8> = (0..len).map(|at| (at * number / 7 % 251) as u8).collect();
            let mut bytes = deflated(&content);
            match number % 7 {
                3 => bytes[0] |= 6,
                5 => bytes.truncate(bytes.len() / 2),
                _ => {}
            }
            let packed = Packed {
                at: number as u64,
                len: bytes.len() as u64,
                skip: 0,
                whole: whole as u64,
                method: Method::Deflate,
                damaged: Code::Qcow2ClusterDamaged,
                unended: None,
            };
            (packed, bytes)
        };
        (0..count).map(one).collect()
    }

    /// What comes out, where as much is put in as may be.
    fn through(mut unpackers: Unpackers, clusters: &[(Packed, Vec<u8>)]) -> Vec<String> {
        let most = unpackers.most(&clusters[0].0);
        let (mut next, mut out) = (clusters.iter(), Vec::new());
        loop {
            while unpackers.count() < most
                && let Some((packed, bytes)) = next.next()
            {
                let mut input = unpackers.input();
                input.clear();
                input.extend(bytes);
                unpackers.put(packed.clone(), input);
            }
            let Some(piece) = unpackers.take() else { break };
            out.push(shown(&piece.outcome, &piece.bytes));
            unpackers.give_back(piece.bytes);
        }
        assert_eq!(unpackers.count(), 0);
        out
    }

    fn shown(outcome: &Result<(), Flaw>, bytes: &[u8]) -> String {
        // What is damaged unpacks to anything.
        format!("{outcome:?} {:?}", outcome.as_ref().ok().map(|()| bytes))
    }

    #[test]
    fn what_was_put_in_comes_out_in_order_whatever_the_threads_do() {
        for (whole, count) in [(512, 3000), (4096, 500), (64 << 10, 60), (2 << 20, 9)] {
            let clusters = clusters(whole, count);
            let mut unpacker = Unpacker::default();
            let alone = clusters.iter().map(|(packed, bytes)| {
                let outcome = unpacker.unpack(packed, bytes);
                shown(&outcome, &unpacker.bytes)
            });
            let alone: Vec<String> = alone.collect();
            for threads in [1, 2, 8, 64] {
                assert!(through(Unpackers::new(threads), &clusters) == alone, "{whole} {threads}");
            }
            for (threads, fate) in Fate::ALL {
                let mut unpackers = Unpackers::new(4);
                unpackers.doom(threads, fate);
                assert!(through(unpackers, &clusters) == alone, "{whole} {threads} {fate:?}");
            }
        }
    }

    #[test]
    fn what_is_under_way_is_bounded_by_bytes() {
        for whole in [512, 4 << 10, 64 << 10, 1 << 20, LARGEST] {
            let (packed, _) = &clusters(whole, 1)[0];
            for threads in [2, 8, 64] {
                let unpackers = Unpackers::new(threads);
                let bytes = unpackers.most(packed) * OF_CLUSTER * whole;
                assert!(unpackers.most(packed) >= threads.min(MOST_THREADS), "{whole} {threads}");
                assert!(bytes <= threads.min(MOST_THREADS) * OF_THREAD, "{whole} {threads}");
            }
        }
    }
}
