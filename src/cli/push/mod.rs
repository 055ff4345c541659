//! `tidegate push`: the whole job.

pub(super) mod args;
mod document;
mod id_file;
mod order;
mod plan;
mod project;
pub(super) mod sweep;
mod view;
mod world;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::args::PushArgs;
use self::view::View;
use super::clock::Clock;
use super::target::Other;
use super::{
    ACCEPTED, IMPORT_FAILED, INTERRUPTED, REFUSED, REJECTED, UNREADABLE, Usage, output, signals,
};
use crate::bytes::{Command, Hostile};
#[cfg(feature = "boot")]
use crate::inspect::{Digested, Expected};
use crate::push::within;
use crate::push::{
    Canceller, Event, Order, Pushed, Repack, Route, Stop, World, could_begin, push, unfinished,
};
use crate::rules::Severity;
use crate::source::is_url;

pub(super) fn run(args: PushArgs) -> Result<u8, Usage> {
    let mut args = project::completed(args)?;
    args.state = absolute(args.state)?;
    let clock = Clock::new()?;
    let view = View::new(args.api.quiet);
    let mut order = order::order(&args, &view)?;
    world::given(&args.api, &args.stage, args.state.as_deref(), Some(order.image.region.as_str()))
        .tell();
    let (world, _rehearsal) = world::world(&args, &order, &view)?;
    let id_file = args.output_image_id.as_deref();
    let read_too = read_too(&order.source);
    if args.dry_run {
        let folder = state_folder(args.state.clone())?;
        could_begin(&folder).map_err(|e| Usage(e.to_string()))?;
        id_file.map(|path| id_file::could_open(path, &read_too)).transpose()?;
        return plan::write(args.api.format, &order, &world);
    }
    // A rehearsal leaves nothing that anybody could clean up.
    let folder = match &_rehearsal {
        Some(_) => None,
        None => Some(state_folder(args.state.clone())?),
    };
    let id_file = id_file.map(|path| id_file::open(path, &read_too)).transpose()?;
    // The number of an image that is there is worth more than one of the simulator.
    let id_file = id_file.filter(|file| {
        let keeps = _rehearsal.is_some() && file.has_number();
        if keeps {
            output::warn(
                "--output-image-id keeps the number that it has: a rehearsal makes no image",
            );
        }
        !keeps
    });
    if let Some(rejected) = boot(&args, &mut order, &clock)? {
        let code = code(&rejected);
        document::write(&args, &rejected)?;
        return Ok(code);
    }
    let (canceller, cancel) = Canceller::new();
    watch(canceller, &view, Command::sweep());
    let mut date = clock.now();
    let mut pushed = world.api.wait(push(&order, &world, folder.as_deref(), &cancel));
    let (mut order, mut world) = (order, world);
    while let Some(next) = repacking(&mut args, (&order, &world), &pushed, &view) {
        (order, world) = next;
        date = clock.now();
        let mut left = std::mem::take(&mut pushed.left);
        pushed = world.api.wait(push(&order, &world, folder.as_deref(), &cancel));
        // What the first attempt could not remove is left by this run as well.
        left.append(&mut pushed.left);
        pushed.left = left;
    }
    let args = &args;
    view.close();
    if let Some(report) = &mut pushed.report {
        report.checked_at = Some(date);
    }
    let available = pushed.image.as_ref().filter(|_| pushed.available);
    let written = match (id_file, available) {
        (Some(file), Some(image)) => file.write(image.id),
        _ => Ok(()),
    };
    let code = code(&pushed);
    if let Some(folder) = folder.as_deref().filter(|_| pushed.left.is_empty()) {
        let earlier = unfinished(folder).map_err(|error| error.to_string());
        let said = earlier.map_or_else(Some, |earlier| earlier.said(&Command::sweep()));
        said.iter().for_each(|said| output::warn(said));
    }
    if let Some(said) =
        within::login(pushed.report.as_ref()).filter(|_| pushed.available && !args.api.quiet)
    {
        output::log(&said);
    }
    let Err(Usage(why)) = document::write(args, &pushed).and(written) else { return Ok(code) };
    // Whoever reads 2 as "nothing was done" must not do it again.
    output::complain(&why);
    if let Some(image) = pushed.image.as_ref().filter(|_| pushed.available) {
        output::complain(&format!("image {} is available all the same", image.id));
    }
    Ok(if code == ACCEPTED { REFUSED } else { code })
}

/// Boots the image, if that was asked for. What came of the push if it does not come up; otherwise the push has to find the
/// bytes that did.
fn boot(args: &PushArgs, order: &mut Order, clock: &Clock) -> Result<Option<Pushed>, Usage> {
    if !args.check.boot {
        return Ok(None);
    }
    #[cfg(feature = "boot")]
    {
        let date = clock.now();
        let mut report =
            super::boot::before_push(&order.source, &order.check, order.strict, args.api.quiet)?;
        report.checked_at = Some(date);
        let accepted = super::check::exit_code(&report) == ACCEPTED;
        let sha256 = report.digests.sha256.as_deref().and_then(super::checksums::sha256);
        if let (true, Some(sha256)) = (accepted && report.boot.is_some(), sha256) {
            let origin = "the image that was booted".to_owned();
            order.check.expected.push(Expected { of: Digested::File, sha256, origin });
            return Ok(None);
        }
        let stop = if report.error.is_some() { Stop::Unread } else { Stop::Rejected };
        Ok(Some(Pushed { report: Some(report), ..Pushed::stopped(Some(stop)) }))
    }
    #[cfg(not(feature = "boot"))]
    {
        let _ = (order, clock);
        Err(Usage("this tidegate was built without `boot`".into()))
    }
}

/// What is read, which the number must not be written over.
fn read_too(source: &OsStr) -> Vec<Other<'_>> {
    vec![(Cow::from(source), "the image")]
}

/// The push that mends what refused this one, if that was nothing but how the file is packed. A URL that was to be handed
/// over goes through the bucket; little of it was read then. What is behind packed data is met at its end only, so it is
/// left out when the file is read again.
fn repacking(
    args: &mut PushArgs,
    (order, world): (&Order, &World),
    pushed: &Pushed,
    view: &Arc<View>,
) -> Option<(Order, World)> {
    let report = pushed.report.as_ref().filter(|_| matches!(pushed.stop, Some(Stop::Rejected)))?;
    let refuses = |severity| match order.strict {
        true => severity != Severity::Note,
        false => severity == Severity::Reject,
    };
    let mendable = report.findings.iter().filter(|f| refuses(f.severity)).all(|f| f.repairable);
    if !mendable || args.stage.repack == args::Repack::Never {
        return None;
    }
    let mut next = order.clone();
    match &mut next.route {
        Route::Url(_) => {}
        Route::Staged { repack, .. } if *repack == Repack::Anew => return None,
        Route::Staged { repack, .. } => {
            if !is_there_again(&order.source) {
                return None;
            }
            *repack = Repack::Anew;
            next.resume = false;
            let why = "the image is packed anew: the importer does not take it as it is packed";
            view.event(&Event::Note(why));
            return Some((next, world.clone()));
        }
    }
    args.stage.stage = true;
    let staged =
        order::order(args, view).and_then(|order| Ok((world::world(args, &order, view)?.0, order)));
    match staged {
        Ok((world, order)) => {
            let why = "the importer does not take it as it is packed";
            view.event(&Event::Note(&format!("the image goes through the bucket: {why}")));
            Some((order, world))
        }
        Err(Usage(why)) => {
            output::complain(&format!("it could be repacked on its way through a bucket: {why}"));
            None
        }
    }
}

/// Whether a source can be read once more.
fn is_there_again(source: &OsStr) -> bool {
    source != "-" && (is_url(source) || Path::new(source).is_file())
}

/// Where journals are.
pub(super) fn state_folder(given: Option<PathBuf>) -> Result<PathBuf, Usage> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    // A relative one is to be ignored (XDG Base Directory Specification).
    let xdg = || set("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = given
        .or_else(|| Some(xdg()?.join("tidegate")))
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/state/tidegate")));
    absolute(folder)?.ok_or_else(|| {
        Usage("there is no place for the journal: name one by --state, or set HOME".into())
    })
}

/// The same folder from wherever it is named later.
pub(super) fn absolute(path: Option<PathBuf>) -> Result<Option<PathBuf>, Usage> {
    let Some(path) = path else { return Ok(None) };
    let shown = Hostile::from_os(path.as_os_str());
    match std::path::absolute(&path) {
        Ok(path) => Ok(Some(path)),
        Err(e) => Err(Usage(format!("the folder of the journals, {shown}: {e}"))),
    }
}

/// The first signal has the push stop and clean up, the second one ends the program; `sweep` does the rest then.
fn watch(canceller: Canceller, view: &Arc<View>, sweep: Command) {
    let (telling, closing) = (Arc::clone(view), Arc::clone(view));
    let first = move || {
        let step =
            telling.step().map_or(String::new(), |step| format!(" during {}", step.as_str()));
        output::complain(&format!("interrupted{step}; cleaning up (once more ends it at once)"));
        canceller.cancel();
    };
    signals::watch_twice(first, move || {
        closing.close();
        output::complain(&format!("ended before it was cleaned up; {sweep} does the rest"));
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
            // Whoever reads 2 as "nothing was done" must not do it again.
            Stop::Earlier { .. } => super::USAGE,
            Stop::Journal(_) | Stop::Order(_) if pushed.push.is_none() => super::USAGE,
            Stop::Journal(_) | Stop::Order(_) => REFUSED,
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
