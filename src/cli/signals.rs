use std::sync::Arc;
#[cfg(feature = "net")]
use std::sync::{Mutex, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use super::progress::Progress;
use super::{INTERRUPTED, output};

/// A file that may not grow any more is a write that fails, and not the end of the program: there may be something
/// to clean up.
pub(super) fn bear_limits() {
    // Without it the signal ends the program, as it does others.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Ends the program on SIGINT and SIGTERM, with the terminal left as it was.
///
/// A check has nothing to undo: it writes no file but the report, and its reads may block for as long
/// as a pipe's writer likes. So the process ends here, whatever the other threads are at.
pub(super) fn watch(progress: &Arc<Progress>) {
    let progress = Arc::clone(progress);
    watch_with(move || {
        progress.close();
        None
    });
}

/// As [`watch`]; `end` clears the terminal, and returns what the user has to know of what was under way.
pub(super) fn watch_with(end: impl FnOnce() -> Option<String> + Send + 'static) {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        // Without handlers the signals end the program by themselves.
        return;
    };
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            let words = end();
            output::complain("interrupted");
            if let Some(words) = words {
                output::complain(&words);
            }
            #[expect(clippy::exit, reason = "reads that block cannot be ended otherwise")]
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
}

/// What a run that is interrupted leaves its user with. Whoever is about to do what cannot be taken back puts it
/// there before.
#[derive(Clone, Debug, Default)]
#[cfg(feature = "net")]
pub(super) struct LastWords(Arc<Mutex<Option<String>>>);

#[cfg(feature = "net")]
impl LastWords {
    /// These instead of others.
    pub(super) fn put(&self, words: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }

    /// Nothing is open any more.
    pub(super) fn clear(&self) {
        self.take();
    }

    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
