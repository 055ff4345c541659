//! Threads that decode what may come, before it is its turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The threads, which end when this is dropped.
pub(crate) struct Workers<Job, Done> {
    jobs: Option<Sender<(Job, SyncSender<Done>)>>,
    threads: Vec<JoinHandle<()>>,
    /// Set when nobody wants anything any more.
    over: Arc<AtomicBool>,
}

impl<Job: Send + 'static, Done: Send + 'static> Workers<Job, Done> {
    /// Starts so many threads of this name, each of which does its jobs with what `make` returns.
    pub(crate) fn new<M, F>(count: usize, name: &str, make: M) -> Self
    where
        M: Fn() -> F + Copy + Send + 'static,
        F: FnMut(Job) -> Done + 'static,
    {
        let (jobs, todo) = channel::<(Job, SyncSender<Done>)>();
        let todo = Arc::new(Mutex::new(todo));
        let over = Arc::<AtomicBool>::default();
        let start = |_| {
            let (todo, over) = (Arc::clone(&todo), Arc::clone(&over));
            let work = move || work(&todo, &over, make());
            // With fewer threads than wanted, or none, what nobody has decoded is decoded in its turn.
            std::thread::Builder::new().name(name.into()).spawn(work).ok()
        };
        Workers { jobs: Some(jobs), threads: (0..count).filter_map(start).collect(), over }
    }

    /// Does this in its turn. The receiver gets nothing if that was not possible.
    pub(crate) fn start(&self, job: Job) -> Receiver<Done> {
        let (done, result) = sync_channel(1);
        if let Some(jobs) = &self.jobs {
            // Without a thread to take it, it is dropped, and the receiver knows.
            let _ = jobs.send((job, done));
        }
        result
    }
}

impl<Job, Done> Drop for Workers<Job, Done> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // One that panicked has said so, and its jobs were done by the one who gave them.
            let _ = thread.join();
        }
    }
}

fn work<Job, Done>(
    todo: &Mutex<Receiver<(Job, SyncSender<Done>)>>,
    over: &AtomicBool,
    mut work: impl FnMut(Job) -> Done,
) {
    loop {
        // Nothing panics while it is locked.
        let Ok(job) = todo.lock().map(|todo| todo.recv()) else { return };
        let Ok((job, done)) = job else { return };
        if over.load(Ordering::Relaxed) {
            return;
        }
        // Nobody may want it any more.
        let _ = done.send(work(job));
    }
}

/// What becomes of threads in tests.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// Each does so many jobs, and panics with the next one.
    Panics(usize),
    /// Others have the processor most of the time.
    Starves,
}

#[cfg(test)]
impl Fate {
    /// The fates of so many threads that no result may depend on.
    pub(crate) const ALL: [(usize, Fate); 6] = [
        (0, Fate::Starves),
        (1, Fate::Panics(0)),
        (3, Fate::Panics(0)),
        (2, Fate::Panics(2)),
        (1, Fate::Starves),
        (3, Fate::Starves),
    ];

    /// A thread's work until then.
    pub(crate) fn of<Job, Done>(
        self,
        mut work: impl FnMut(Job) -> Done,
    ) -> impl FnMut(Job) -> Done {
        let mut done = 0;
        move |job| {
            match self {
                // As a panic does, but without a word.
                Fate::Panics(after) if done == after => std::panic::resume_unwind(Box::new(())),
                Fate::Panics(_) => {}
                Fate::Starves => std::thread::sleep(std::time::Duration::from_millis(30)),
            }
            done += 1;
            work(job)
        }
    }
}
