//! Cutting a stream of bytes into parts of an upload, with a fixed number of buffers.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::BytesMut;
use tokio::sync::mpsc;

use crate::bytes::Segment;
use crate::spaces::limits::PartSizes;
use crate::spaces::{Body, Digester, Filling};

/// Zeros are written in such runs.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A part that is full, or the last one.
pub(super) struct Cut {
    /// From 1.
    pub(super) number: u32,
    pub(super) body: Body,
}

/// Takes the buffers of parts back.
#[derive(Clone)]
pub(super) struct Home(SyncSender<BytesMut>);

impl Home {
    /// Takes back what a part was in.
    pub(super) fn take(&self, body: Body) {
        // Somebody may still hold it; then another buffer takes its place.
        let buffer = body.into_bytes().try_into_mut().unwrap_or_default();
        // There is room for as many as there are.
        let _ = self.0.try_send(buffer);
    }
}

/// Fills parts, one after another. It waits while all buffers are on their way.
pub(super) struct Cutter {
    sizes: PartSizes,
    free: Receiver<BytesMut>,
    to: mpsc::Sender<Cut>,
    now: Option<Filling>,
    digester: Digester,
    number: u32,
    taken: u64,
}

impl Cutter {
    /// One that has `buffers` parts of these sizes in hand, the one that it fills among them.
    pub(super) fn new(sizes: PartSizes, buffers: usize) -> (Self, mpsc::Receiver<Cut>, Home) {
        let (home, free) = sync_channel(buffers);
        for _ in 0..buffers {
            // A buffer takes its memory when it is first filled.
            let _ = home.try_send(BytesMut::new());
        }
        // Those that are full wait here, no more than there are buffers.
        let (to, cuts) = mpsc::channel(buffers);
        // A part keeps its buffer until it has its MD5, so it may not wait for more than there are.
        let digester = Digester::new(buffers);
        let cutter = Cutter { sizes, free, to, now: None, digester, number: 0, taken: 0 };
        (cutter, cuts, Home(home))
    }

    /// Takes a segment. Breaks if nobody wants parts any more.
    pub(super) fn segment(&mut self, segment: &Segment) -> ControlFlow<()> {
        match segment {
            Segment::Data(chunk) => self.bytes(chunk),
            Segment::Zeros(len) => {
                let mut left = *len;
                while left > 0 {
                    let count = left.min(ZEROS.len() as u64);
                    self.bytes(&ZEROS[..count as usize])?;
                    left -= count;
                }
                ControlFlow::Continue(())
            }
        }
    }

    /// Takes bytes. Breaks if nobody wants parts any more.
    pub(super) fn bytes(&mut self, mut bytes: &[u8]) -> ControlFlow<()> {
        while !bytes.is_empty() {
            // No part has more than 5 GB.
            let part_size = self.sizes.of(self.number.saturating_add(1)) as usize;
            let now = match &mut self.now {
                Some(now) => now,
                empty => {
                    let Ok(buffer) = self.free.recv() else { return ControlFlow::Break(()) };
                    empty.insert(Filling::new(buffer, part_size))
                }
            };
            let (taken, rest) = bytes.split_at(bytes.len().min(part_size - now.size()));
            now.take(taken);
            self.taken += taken.len() as u64;
            bytes = rest;
            if now.size() == part_size {
                self.send()?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Sends the last part, and returns how many bytes there were. `None` if nobody wants parts any more.
    pub(super) fn end(mut self) -> Option<u64> {
        match self.send() {
            ControlFlow::Continue(()) => Some(self.taken),
            ControlFlow::Break(()) => None,
        }
    }

    fn send(&mut self) -> ControlFlow<()> {
        let Some(now) = self.now.take() else { return ControlFlow::Continue(()) };
        self.number += 1;
        let cut = Cut { number: self.number, body: self.digester.body(now) };
        match self.to.blocking_send(cut) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Takes all parts at once and sends their buffers home.
    fn collect(part_size: usize, buffers: usize, pieces: &[&[u8]], zeros: u64) -> Vec<Vec<u8>> {
        let (mut cutter, mut cuts, home) =
            Cutter::new(PartSizes::new(part_size as u64, 0), buffers);
        let (done, parts) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while let Some(cut) = cuts.blocking_recv() {
                    done.send((cut.number, cut.body.clone().into_bytes().to_vec())).unwrap();
                    home.take(cut.body);
                }
            });
            for piece in pieces {
                assert!(cutter.bytes(piece).is_continue());
            }
            assert!(cutter.segment(&Segment::Zeros(zeros)).is_continue());
            let all: usize = pieces.iter().map(|piece| piece.len()).sum();
            assert_eq!(cutter.end(), Some(all as u64 + zeros));
        });
        let parts: Vec<(u32, Vec<u8>)> = parts.into_iter().collect();
        assert!(parts.iter().zip(1..).all(|((number, _), expected)| *number == expected));
        parts.into_iter().map(|(_, body)| body).collect()
    }

    #[test]
    fn parts_are_full_but_for_the_last_one() {
        let parts = collect(4, 2, &[b"abcdefg", b"h", b"ij"], 3);
        assert_eq!(parts, [b"abcd".to_vec(), b"efgh".to_vec(), b"ij\0\0".to_vec(), b"\0".to_vec()]);
        assert_eq!(collect(4, 1, &[b"abcd"], 0), [b"abcd".to_vec()]);
        assert!(collect(4, 1, &[], 0).is_empty());
    }

    #[test]
    fn long_runs_of_zeros_are_cut_too() {
        let parts = collect(100_000, 3, &[], 250_001);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [100_000, 100_000, 50_001]);
    }

    #[test]
    fn it_ends_when_nobody_wants_parts() {
        let (mut cutter, cuts, _home) = Cutter::new(PartSizes::new(2, 0), 1);
        drop(cuts);
        assert!(cutter.bytes(b"abc").is_break());
    }
}
