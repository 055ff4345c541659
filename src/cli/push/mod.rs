//! `tidegate push`: the whole job.

pub(super) mod args;
mod document;
mod order;
mod project;
pub(super) mod sweep;
mod view;
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::args::PushArgs;
use self::view::View;
use super::{ACCEPTED, IMPORT_FAILED, INTERRUPTED, REFUSED, REJECTED, UNREADABLE, Usage, output};
use crate::push::{Canceller, Pushed, Stop, push};

pub(super) fn run(args: PushArgs) -> Result<u8, Usage> {
    let args = &project::completed(args)?;
    let view = View::new(args.api.quiet);
    let order = order::order(args, &view)?;
    let (world, _rehearsal) = world::world(args, &order, &view)?;
    if args.dry_run {
        output::write(&mut None, &document::plan(&order, &world))?;
        return Ok(ACCEPTED);
    }
    let folder = match _rehearsal.as_ref() {
        Some(rehearsal) => rehearsal.folder().to_owned(),
        None => state_folder(args.state.clone())?,
    };
    let (canceller, cancel) = Canceller::new();
    watch(canceller, &view);
    let pushed = world.api.wait(push(&order, &world, &folder, &cancel));
    view.close();
    let written = pushed.image.as_ref().filter(|_| pushed.available);
    let written = match (&args.output_image_id, written) {
        (Some(path), Some(image)) => std::fs::write(path, format!("{}\n", image.id)).map_err(|e| {
            Usage(format!("cannot write {}: {e}", crate::source::shown(path.as_os_str())))
        }),
        _ => Ok(()),
    };
    document::write(args, &pushed)?;
    written?;
    Ok(code(&pushed))
}

/// Where journals are.
pub(super) fn state_folder(given: Option<PathBuf>) -> Result<PathBuf, Usage> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = given
        .or_else(|| Some(PathBuf::from(set("XDG_STATE_HOME")?).join("tidegate")))
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/state/tidegate")));
    folder.ok_or_else(|| {
        Usage("there is no place for the journal: name one by --state, or set HOME".into())
    })
}

/// The first signal has the push stop and clean up, the second one ends the program.
fn watch(canceller: Canceller, view: &Arc<View>) {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        // Without handlers the signals end the program, and a sweep cleans up.
        return;
    };
    let view = Arc::clone(view);
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_none() {
            return;
        }
        let step = view.step().map_or(String::new(), |step| format!(" during {}", step.as_str()));
        output::complain(&format!("interrupted{step}; cleaning up (once more ends it at once)"));
        canceller.cancel();
        if signals.next().is_some() {
            view.close();
            output::complain("ended before it was cleaned up; `tidegate sweep` does the rest");
            #[expect(clippy::exit, reason = "the user does not want to wait for anything")]
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
}

fn code(pushed: &Pushed) -> u8 {
    match &pushed.stop {
        None if pushed.left.is_empty() => ACCEPTED,
        None => REFUSED,
        Some(stop) => match stop {
            Stop::Rejected => REJECTED,
            Stop::Unread => UNREADABLE,
            Stop::Interrupted => INTERRUPTED,
            Stop::Journal(_) | Stop::Order(_) => super::USAGE,
            Stop::Failed { .. } | Stop::Changed { .. } => IMPORT_FAILED,
            Stop::Spaces { .. }
            | Stop::Bucket { .. }
            | Stop::Staged(_)
            | Stop::Api { .. }
            | Stop::Unknown { .. }
            | Stop::Wait(_)
            | Stop::Spread(_) => REFUSED,
        },
    }
}
