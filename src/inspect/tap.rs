use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::bytes::Segment;

/// One more reader of the bytes of a file while it is checked: it gets the very segments that are examined
/// and digested, so what it does with them is done with what was checked.
///
/// Reading goes at its pace, and ends when its receiver is dropped.
pub struct Tap {
    sender: Mutex<Option<Sender<Segment>>>,
    refused: Arc<AtomicBool>,
}

/// The other end of a [`Tap`].
pub struct Tapped {
    /// The file's segments in their order. Closed when no more will come, be it the end of the file or not.
    pub segments: Receiver<Segment>,
    refused: Arc<AtomicBool>,
}

impl Tap {
    /// A tap, and what comes out of it.
    #[must_use]
    pub fn new() -> (Tap, Tapped) {
        let (sender, segments) = channel();
        let refused = Arc::<AtomicBool>::default();
        let tap = Tap { sender: Mutex::new(Some(sender)), refused: Arc::clone(&refused) };
        (tap, Tapped { segments, refused })
    }

    /// Where segments go. They go there once: later scans read the same file again.
    pub(super) fn open(&self) -> Option<Sender<Segment>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Says that the file will not be accepted.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Release);
    }
}

impl Tapped {
    /// Whether it is known that the file will not be accepted.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }
}
