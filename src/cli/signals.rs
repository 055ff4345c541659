use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::progress::Progress;
use super::{INTERRUPTED, output};

/// Ends the program on SIGINT and SIGTERM, with the terminal left as it was.
///
/// A check has nothing to undo: it writes no file but the report, and its reads may block for as long
/// as a pipe's writer likes. So the process ends here, whatever the other threads are at.
pub(super) fn watch(progress: &Arc<Progress>) {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        // Without handlers the signals end the program by themselves.
        return;
    };
    let progress = Arc::clone(progress);
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            progress.close();
            output::complain("interrupted");
            #[expect(clippy::exit, reason = "reads that block cannot be ended otherwise")]
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
}
