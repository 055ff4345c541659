//! A decoded block on its way out: the outer run-length code is undone as far as there is place.

use super::runs::{Piece, piece};

/// A block of which a part was given out.
pub(super) struct Expanding {
    block: Vec<u8>,
    /// Where the next piece begins.
    next: usize,
    /// What is left of the current one.
    piece: Piece,
}

impl Expanding {
    pub(super) fn new(block: Vec<u8>) -> Self {
        Expanding { block, next: 0, piece: Piece::Run(0, 0) }
    }

    /// The bytes of the block.
    pub(super) fn into_block(self) -> Vec<u8> {
        self.block
    }

    /// Whether anything is left; if so, a piece of it is at hand.
    pub(super) fn more(&mut self) -> bool {
        loop {
            match &self.piece {
                Piece::Literal(range) if !range.is_empty() => return true,
                Piece::Run(_, 1..) => return true,
                _ => {}
            }
            // A block that is damaged does not come here.
            let Ok(Some((piece, next))) = piece(&self.block, self.next) else { return false };
            (self.piece, self.next) = (piece, next);
        }
    }

    /// Zeros that come next, if they are at least so many; they are taken then.
    pub(super) fn zeros(&mut self, least: u64) -> u64 {
        match &mut self.piece {
            Piece::Run(0, len) if *len >= least => std::mem::take(len),
            _ => 0,
        }
    }

    /// Writes some of the current piece; returns how much.
    pub(super) fn write(&mut self, output: &mut [u8]) -> usize {
        match &mut self.piece {
            Piece::Literal(range) => {
                let count = range.len().min(output.len());
                output[..count].copy_from_slice(&self.block[range.start..range.start + count]);
                range.start += count;
                count
            }
            Piece::Run(byte, len) => {
                let count = (*len).min(output.len() as u64);
                output[..count as usize].fill(*byte);
                *len -= count;
                count as usize
            }
        }
    }
}
