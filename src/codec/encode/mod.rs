//! A gzip encoder for several cores, whose output is one member.
//!
//! The input is cut into blocks of one size wherever its segments end. Worker threads deflate them, each
//! with the last 32 KiB before it as dictionary, up to a byte boundary; so the pieces put one after
//! another are one deflate stream, and the same input gives the same output whatever the number of
//! threads. Blocks of nothing but zeros are deflated once and written again as often as they come.

mod blocks;
mod workers;

use std::ops::ControlFlow;
use std::thread::scope;

use self::blocks::{Block, Blocks};
use self::workers::{Deflated, Workers};
use crate::bytes::Segment;

/// Bytes of the input that are deflated as one piece. A boundary costs some bytes, and blocks in flight
/// cost memory.
const BLOCK: usize = 1 << 20;

/// How far deflate looks back (RFC 1951, 2).
const WINDOW: usize = 32 << 10;

/// The header of a member without name and time (RFC 1952, 2.3.1): the operating system is 255, unknown.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// An empty last block with fixed codes (RFC 1951, 3.2.6), which ends the deflate stream.
const LAST: [u8; 2] = [3, 0];

/// How to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Level of zlib, from 1 (fast) to 9 (small).
    pub level: u32,
    /// Threads that deflate, one at least.
    pub threads: usize,
}

impl Default for Encoding {
    /// Level 6, and as many threads as can run at once.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Encoding { level: 6, threads }
    }
}

/// What went through an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Bytes of the input. Whoever feeds a channel compares them with what it has sent: a channel that
    /// closes early looks like the end of the input.
    pub taken: u64,
    /// Bytes of the gzip file.
    pub made: u64,
    /// CRC-32 of the input.
    pub crc: u32,
}

/// Why nothing more was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Nobody takes the output any more.
    #[error("the output of the encoder is no longer wanted")]
    Cancelled,
    /// The encoder itself failed, which valid memory does not make it do.
    #[error("deflating a block failed")]
    Deflate,
}

/// Encodes everything that comes as one gzip member and hands it on, in order and in pieces, until
/// `output` says that no more is wanted.
///
/// At most two blocks a thread and two more are in flight; their buffers are used again. The output is
/// handed on by the calling thread, which waits for the input in between.
///
/// # Errors
/// If the output is no longer wanted, or the encoder failed.
pub fn encode(
    segments: impl IntoIterator<Item = Segment>,
    encoding: Encoding,
    output: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<Encoded, EncodeError> {
    let mut made = 0;
    let mut crc = crc32fast::Hasher::new();
    let mut put = |bytes: &[u8]| {
        made += bytes.len() as u64;
        match output(bytes) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(EncodeError::Cancelled),
        }
    };
    put(&HEADER)?;
    let mut blocks = Blocks::new(segments.into_iter());
    scope(|scope| {
        let mut workers = Workers::new(scope, encoding);
        let mut zeros = None;
        let mut write = |deflated: &Deflated| {
            crc.combine(&deflated.crc);
            put(&deflated.bytes)
        };
        loop {
            while workers.is_full() {
                workers.next(&mut write)?;
            }
            match blocks.next(|| workers.buffer()) {
                None => break,
                Some(Block::Data(buffer)) => workers.deflate(buffer)?,
                Some(Block::Zeros) => {
                    let zeros = match &zeros {
                        Some(zeros) => zeros,
                        None => zeros.insert(workers::zeros(encoding)?),
                    };
                    workers.repeat(zeros);
                }
            }
        }
        while !workers.is_idle() {
            workers.next(&mut write)?;
        }
        Ok(())
    })?;
    let taken = blocks.taken();
    let crc = crc.finalize();
    put(&LAST)?;
    put(&crc.to_le_bytes())?;
    // RFC 1952: ISIZE is the size modulo 2^32.
    put(&(taken as u32).to_le_bytes())?;
    Ok(Encoded { taken, made, crc })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
