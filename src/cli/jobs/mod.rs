//! Many images at once, told of one after the other.
//!
//! Threads take the images in their order. What came of an image waits until it is due: until all before it were told of.
//! What waits is bounded by bytes: when it is too much, no image is begun but the one that is due, and that one is always
//! begun, as images are begun in order. So there is no order of ends in which anybody waits for ever.

mod fleet;
mod plan;
mod shown;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

pub(super) use self::plan::Plan;
pub(super) use self::shown::{Shown, Teller};

/// Bytes of what came of images that are not due.
const MOST_HELD: usize = 1 << 20;

/// What came of an image.
pub(super) trait Outcome: Send + 'static {
    /// About how many bytes it takes.
    fn weight(&self) -> usize;

    /// Whether no other image is to be checked after it.
    fn is_last(&self) -> bool;
}

/// The images of a call, by their numbers.
struct Queue<T> {
    state: Mutex<State<T>>,
    /// Somebody may begin another image.
    room: Condvar,
    /// Something came of an image.
    came: Condvar,
}

struct State<T> {
    /// The image that is begun next.
    next: usize,
    count: usize,
    /// The image that is told of next.
    due: usize,
    /// What came of images that are not due.
    done: BTreeMap<usize, thread::Result<T>>,
    held: usize,
    /// Nothing more is begun or waited for.
    stopped: bool,
}

impl<T: Outcome> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next image to begin, `None` if there is none.
    fn begin(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.stopped || state.next == state.count {
                return None;
            }
            if state.held < MOST_HELD || state.next == state.due {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until an image is due, or nobody waits for it any more.
    fn wait(&self, image: usize) {
        let mut state = self.lock();
        while state.due < image && !state.stopped {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, image: usize, came: thread::Result<T>) {
        let mut state = self.lock();
        if let Ok(outcome) = &came {
            state.held += outcome.weight();
            state.stopped |= outcome.is_last();
        }
        state.done.insert(image, came);
        self.came.notify_all();
        self.room.notify_all();
    }

    /// What came of the image that is due; `None` if nothing did before all was stopped.
    fn due(&self, image: usize) -> Option<T> {
        let mut state = self.lock();
        state.due = image;
        self.room.notify_all();
        loop {
            match state.done.remove(&image) {
                Some(Ok(outcome)) => {
                    state.held -= outcome.weight();
                    return Some(outcome);
                }
                Some(Err(panic)) => {
                    drop(state);
                    panicked(panic)
                }
                None if state.stopped => return None,
                None => state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// The turn of an image, for work that must not begin before all images before it were told of.
pub(super) struct Turn<'q> {
    is_due: &'q dyn Fn(),
}

impl Turn<'_> {
    /// Waits until the image is due.
    pub(super) fn wait(&self) {
        (self.is_due)();
    }
}

/// A check that panics ends the call, as it does alone.
fn panicked(panic: Box<dyn Any + Send>) -> ! {
    resume_unwind(panic)
}

/// Does the `work` on so many images, at most `jobs` at once, and tells of each in order what came of it, or `None` if it
/// was in flight or not begun when one came that was the last. Returns with the first error of `tell`. Threads that are at
/// work then are left behind: they may read what never comes.
pub(super) fn in_order<T: Outcome, E>(
    jobs: usize,
    count: usize,
    work: impl Fn(usize, &Turn<'_>) -> T + Send + Sync + 'static,
    mut tell: impl FnMut(usize, Option<T>) -> Result<(), E>,
) -> Result<(), E> {
    let state = State { next: 0, count, due: 0, done: BTreeMap::new(), held: 0, stopped: false };
    let (room, came) = (Condvar::new(), Condvar::new());
    let queue = Arc::new(Queue { state: Mutex::new(state), room, came });
    let work = Arc::new(work);
    let worker = || {
        let (queue, work) = (Arc::clone(&queue), Arc::clone(&work));
        move || {
            while let Some(image) = queue.begin() {
                let turn = Turn { is_due: &|| queue.wait(image) };
                queue.put(image, catch_unwind(AssertUnwindSafe(|| work(image, &turn))));
            }
        }
    };
    let started = (0..if jobs > 1 { jobs } else { 0 })
        .map_while(|_| thread::Builder::new().spawn(worker()).ok())
        .count();
    for image in 0..count {
        let outcome = match started {
            // Alone, or where there are no threads to be had.
            0 => queue.begin().map(|image| work(image, &Turn { is_due: &|| {} })).inspect(
                |outcome| {
                    queue.lock().stopped |= outcome.is_last();
                },
            ),
            _ => queue.due(image),
        };
        if let Err(error) = tell(image, outcome) {
            queue.lock().stopped = true;
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    struct Came {
        image: usize,
        weight: usize,
        last: bool,
    }

    impl Outcome for Came {
        fn weight(&self) -> usize {
            self.weight
        }

        fn is_last(&self) -> bool {
            self.last
        }
    }

    fn run(
        jobs: usize,
        count: usize,
        work: impl Fn(usize) -> Came + Send + Sync + 'static,
    ) -> Vec<bool> {
        let mut told = Vec::new();
        let done = in_order(
            jobs,
            count,
            move |image, _| work(image),
            |image, outcome| {
                assert_eq!(image, told.len());
                assert!(outcome.as_ref().is_none_or(|came| came.image == image));
                told.push(outcome.is_some());
                Ok::<(), Infallible>(())
            },
        );
        assert!(done.is_ok());
        told
    }

    #[test]
    fn images_are_told_of_in_order_whichever_ends_first() {
        for jobs in [1, 2, 8, 64] {
            let told = run(jobs, 100, |image| {
                thread::sleep(Duration::from_micros((image % 7) as u64 * 300));
                Came { image, weight: 1, last: false }
            });
            assert_eq!(told, [true; 100]);
        }
        assert!(run(4, 0, |image| Came { image, weight: 1, last: false }).is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        static AHEAD: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let told = run(3, 50, |image| {
            if image == 0 {
                // All others could end before the first one.
                thread::sleep(Duration::from_millis(100));
            }
            let ahead = AHEAD.fetch_add(1, Ordering::Relaxed);
            if image == 0 {
                MOST.store(ahead, Ordering::Relaxed);
            }
            Came { image, weight: MOST_HELD / 4, last: false }
        });
        assert_eq!(told, [true; 50]);
        assert!(MOST.load(Ordering::Relaxed) <= 6, "{MOST:?}");
    }

    #[test]
    fn work_can_wait_until_all_before_it_were_told_of() {
        static TOLD: AtomicUsize = AtomicUsize::new(0);
        for jobs in [1, 2, 8] {
            TOLD.store(0, Ordering::SeqCst);
            let work = |image: usize, turn: &Turn<'_>| {
                if image.is_multiple_of(3) {
                    turn.wait();
                    assert_eq!(TOLD.load(Ordering::SeqCst), image);
                }
                Came { image, weight: 1, last: false }
            };
            let ended = in_order(jobs, 60, work, |_, _| {
                TOLD.fetch_add(1, Ordering::SeqCst);
                Ok::<(), Infallible>(())
            });
            assert!(ended.is_ok());
        }
    }

    #[test]
    fn nothing_is_begun_after_the_last_one() {
        let told = run(1, 5, |image| Came { image, weight: 1, last: image == 2 });
        assert_eq!(told, [true, true, true, false, false]);
        let told = run(2, 40, |image| {
            // The first one is in flight for as long as it likes.
            if image == 0 {
                thread::sleep(Duration::from_secs(5));
            }
            Came { image, weight: 1, last: image == 7 }
        });
        assert_eq!((told[0], told[7], told[39]), (false, true, false));
    }

    #[test]
    fn a_panic_ends_the_call_and_nothing_waits() {
        for jobs in [1, 4] {
            let ended = catch_unwind(|| {
                run(jobs, 20, |image| match image {
                    3 => resume_unwind(Box::new("panic")),
                    _ => Came { image, weight: 1, last: false },
                })
            });
            assert!(ended.is_err(), "{jobs}");
        }
    }

    #[test]
    fn an_error_of_who_tells_ends_it() {
        let work = |image, _: &Turn<'_>| Came { image, weight: 1, last: false };
        let ended = in_order(4, 20, work, |image, _| if image == 5 { Err(image) } else { Ok(()) });
        assert_eq!(ended, Err(5));
    }
}
