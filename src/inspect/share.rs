//! What the checks of one call may have in memory together.
//!
//! Each check has its small buffers as a matter of course; whoever starts many checks counts these before. What may grow
//! large is taken out of one [`Budget`] before it grows: the tables of a container, the blocks of bzip2, the window of a
//! URL. A check takes it once and wants no more until it gives it back, so whoever holds some of it ends without the others,
//! and nobody waits for ever. Of those that wait, the one whose turn is first gets it first.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes for what may grow large in the checks of one call.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: BTreeSet<u64>,
}

impl Budget {
    /// Of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Arc<Self> {
        let state = Mutex::new(State { free: bytes, waiting: BTreeSet::new() });
        Arc::new(Budget { bytes, state, changed: Condvar::new() })
    }

    /// That of a check. Those of lower turns go before.
    #[must_use]
    pub fn share(self: &Arc<Self>, turn: u64) -> Share {
        Share { budget: Arc::clone(self), turn, has: Arc::default() }
    }

    /// Waits until so many bytes are free, or all of them, and nobody of a lower turn waits.
    fn take(&self, turn: u64, bytes: usize) -> usize {
        let bytes = bytes.min(self.bytes);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert(turn);
        while state.free < bytes || state.waiting.first() != Some(&turn) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.remove(&turn);
        state.free -= bytes;
        self.changed.notify_all();
        bytes
    }

    fn give_back(&self, bytes: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).free += bytes;
        self.changed.notify_all();
    }
}

/// One check's way to the [`Budget`] of its call. Copies are of the same check.
#[derive(Clone, Debug)]
pub struct Share {
    budget: Arc<Budget>,
    turn: u64,
    /// Whether the check holds something.
    has: Arc<AtomicBool>,
}

impl Share {
    /// Takes so many bytes, or all that there are, and waits until they are free. What is held already is enough: nothing
    /// is waited for while something is held.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Held<'_> {
        let bytes = match self.has.swap(true, Ordering::AcqRel) {
            true => 0,
            false => self.budget.take(self.turn, bytes),
        };
        Held { share: self, bytes }
    }
}

/// Bytes that are given back when this is dropped.
#[derive(Debug)]
pub struct Held<'s> {
    share: &'s Share,
    bytes: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.share.has.store(false, Ordering::Release);
            self.share.budget.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_held_is_given_back_once() {
        let budget = Budget::new(10);
        let share = budget.share(0);
        let held = share.take(7);
        // Another structure of the same check waits for nothing.
        let more = share.clone().take(7).bytes;
        assert_eq!((held.bytes, more), (7, 0));
        drop(held);
        assert_eq!(share.take(usize::MAX).bytes, 10);
        assert_eq!(budget.state.lock().unwrap().free, 10);
    }

    #[test]
    fn the_first_turn_gets_what_comes_free_first() {
        let budget = Budget::new(10);
        let all = budget.share(9);
        let held = all.take(10);
        let (sender, order) = channel();
        let wait = |turn| {
            let (share, sender) = (budget.share(turn), sender.clone());
            thread::spawn(move || {
                let held = share.take(6);
                sender.send(turn).unwrap();
                thread::sleep(Duration::from_millis(20));
                drop(held);
            })
        };
        let threads = [7, 5, 6].map(wait);
        while budget.state.lock().unwrap().waiting.len() < 3 {
            thread::yield_now();
        }
        drop(held);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(sender);
        assert_eq!(order.iter().collect::<Vec<u64>>(), [5, 6, 7]);
    }

    #[test]
    fn a_check_that_panics_gives_back_what_it_held() {
        let budget = Budget::new(10);
        let share = budget.share(0);
        let panicked = thread::spawn(move || {
            let _held = share.take(10);
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panicked.join().is_err());
        assert_eq!(budget.share(1).take(10).bytes, 10);
    }
}
