use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "net")]
use std::sync::{Mutex, PoisonError};
#[cfg(feature = "net")]
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::{Handle, Signals};

use super::{INTERRUPTED, output};
use crate::bytes::Small;

/// A file that may not grow any more is a write that fails, and not the end of the program: there may be something
/// to clean up.
pub(super) fn bear_limits() {
    // Without it the signal ends the program, as it does others.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// What the system says of a process is a page or two.
const STATUS: Small = Small { what: "the status of the process", most: 1 << 20 };

/// Those of these signals that the program listens to. What whoever started it had it ignore stays ignored, as
/// `nohup` and the shell of a background job have it; where that cannot be seen, it listens to all.
pub(super) fn heard(signals: &[i32]) -> Vec<i32> {
    let status = STATUS.text(Path::new("/proc/self/status")).unwrap_or_default();
    let ignored = ignored(&status);
    signals.iter().copied().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect()
}

/// The signals that a process ignores, the first one in the lowest bit (Linux, proc_pid_status(5)).
fn ignored(status: &str) -> u64 {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // More than 64 signals has MIPS alone, and none of those is one of ours.
    let low = set.map(|set| set.trim()).map(|set| &set[set.len().saturating_sub(16)..]);
    low.and_then(|low| u64::from_str_radix(low, 16).ok()).unwrap_or(0)
}

/// Signals by which users, terminals and systems end a program.
pub(super) const ENDS: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

/// Signals that come so close together are one wish.
#[cfg(feature = "net")]
const ONE_WISH: Duration = Duration::from_millis(250);

/// Ends the program when it is signalled to, with the terminal left as it was by `close`.
///
/// A check has nothing to undo: it writes no file but the report, and its reads may block for as long
/// as a pipe's writer likes. So the process ends here, whatever the other threads are at.
pub(super) fn watch(close: impl FnOnce() + Send + 'static) {
    watch_with(move || {
        close();
        None
    });
}

/// As [`watch`]; `end` clears the terminal, and returns what the user has to know of what was under way.
pub(super) fn watch_with(end: impl FnOnce() -> Option<String> + Send + 'static) {
    // It is listened to for ever.
    std::mem::forget(watch_while(end));
}

/// Listens until it is dropped.
pub(super) struct Watch(Option<Handle>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.iter().for_each(Handle::close);
    }
}

/// As [`watch_with`], until what it returns is dropped: somebody else listens then.
pub(super) fn watch_while(end: impl FnOnce() -> Option<String> + Send + 'static) -> Watch {
    let Ok(mut signals) = Signals::new(heard(&ENDS)) else {
        // Without handlers the signals end the program by themselves.
        return Watch(None);
    };
    let handle = signals.handle();
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            let words = end();
            super::target::clear();
            output::complain("interrupted");
            if let Some(words) = words {
                output::complain(&words);
            }
            #[expect(clippy::exit, reason = "reads that block cannot be ended otherwise")]
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    Watch(Some(handle))
}

/// For what has something to undo: the first signal has it stop and clean up, another one ends the program at once.
#[cfg(feature = "net")]
pub(super) fn watch_twice(
    first: impl FnOnce() + Send + 'static,
    second: impl FnOnce() + Send + 'static,
) {
    let Ok(mut signals) = Signals::new(heard(&ENDS)) else {
        // Without handlers the signals end the program, and a sweep cleans up.
        return;
    };
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_none() {
            return;
        }
        first();
        // Some senders signal a program and its group, which is one wish and not two.
        let since = Instant::now();
        if signals.any(|_| since.elapsed() > ONE_WISH) {
            second();
            #[expect(clippy::exit, reason = "the user does not want to wait for anything")]
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
}

/// No core file has the memory of this program, as there are secrets in it. The limit is one byte: at that, Linux
/// gives no memory to a program either that `core_pattern` names, which it does at zero (`fs/coredump.c`).
#[cfg(feature = "net")]
pub(super) fn keep_memory() {
    let limit = rustix::process::Rlimit { current: Some(1), maximum: Some(1) };
    // A system that does not know the limit writes what it writes.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, limit);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_bits() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t0000000000000002\n";
        assert_eq!(ignored(status), 0x1003);
        for none in ["", "SigIgn:\t\n", "SigIgn:\tx\n"] {
            assert_eq!(ignored(none), 0, "{none:?}");
        }
        assert_eq!(ignored("SigIgn:\t00000000000000000000000000000002\n"), 2);
    }
}
