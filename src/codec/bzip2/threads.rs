//! What one decoder of a file leaves to the next one.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::workers::Workers;
use super::ahead::{Decoded, Job};
use super::block::Blocks;

/// Threads that decoders use one after another, where a file is decoded several times: each goes on with the threads and the memory
/// of the one before. Memory that is freed and allocated again on several threads would pile up.
#[derive(Clone)]
pub struct Threads {
    count: usize,
    left: Arc<Mutex<Option<Left>>>,
}

/// What a decoder worked with.
#[derive(Default)]
pub(super) struct Left {
    pub(super) workers: Option<Workers<Job, Decoded>>,
    pub(super) blocks: Blocks,
    pub(super) spent: Vec<Vec<u8>>,
}

impl Threads {
    /// So many, none of which is started yet.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Threads { count, left: Arc::default() }
    }

    pub(in crate::codec) fn count(&self) -> usize {
        self.count
    }

    /// Whether a decoder has used them and is done.
    #[must_use]
    pub fn are_free(&self) -> bool {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What the decoder before has left, if it is done.
    pub(super) fn take(&self) -> Option<Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn leave(&self, left: Left) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(left);
    }
}
