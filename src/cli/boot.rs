//! `tidegate boot`: an image started in QEMU, as a Droplet would start it.

use std::time::Duration;

use super::args::{BootArgs, ReportFormat};
use super::clock::Clock;
use super::progress::Progress;
use super::target::{Kind, ours};
use super::{ACCEPTED, UNREADABLE, Usage, check, output, signals};
use crate::boot::{self, Accelerator, Folder, Handle, Image, Order};
use crate::bytes::{Hostile, human_size};
use crate::facts::{DiskFormat, Layer};
use crate::inspect::booted::{Reached, State};
use crate::inspect::{Guest, Options, Report, look};
use crate::project::Terms;
use crate::render::json::Scope;
use crate::rules::Severity;
use crate::source::shown;

/// Bytes of the smallest disk of a Droplet that custom images can be used for (DigitalOcean, Droplet plans).
const SMALLEST_DISK: u64 = 25 << 30;
/// What the guest may write before the folder for temporary files is full.
const ROOM: u64 = 2 << 30;

/// How long a boot may take, with the processor's help and without.
const TIMEOUT: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(10 * 60));

/// What is written to `--output`.
const REPORT: Kind = Kind {
    option: "--output",
    what: "the report",
    earlier: "a report of tidegate",
    is_ours: ours::is_report,
    private: false,
};

pub(super) fn run(args: &BootArgs) -> Result<u8, Usage> {
    if let Some(missing) = boot::missing() {
        return Err(Usage(missing));
    }
    let options = options(args)?;
    let clock = Clock::new()?;
    let scope = Scope { shard: None, terms: Some(Terms::of(&options)), merged: false };
    let target = args.output.as_deref().map(|path| (path, REPORT));
    let (mut target, mut document) = check::opened(args.format, scope, target, Vec::new())?;
    let handle = Handle::default();
    let progress = Progress::new(args.quiet);
    let folder = Folder::new()
        .map_err(|e| Usage(format!("cannot make a folder for temporary files: {e}")))?;
    handle.holds(&folder);
    let (closing, ending) = (progress.clone(), handle.clone());
    let words = args.keep.then(|| stays(&folder));
    signals::watch_with(move || {
        closing.close();
        ending.end();
        words
    });
    let date = clock.now();
    let booted = booted(args, &options, &folder, &handle, &progress);
    handle.end();
    let mut report = match booted? {
        Ok(report) => report,
        Err(why) => {
            output::complain(&format!("{}: {why}", shown(&args.image)));
            return Ok(UNREADABLE);
        }
    };
    report.strict = args.strict;
    report.checked_at = Some(date);
    let code = check::exit_code(&report);
    if report.boot.is_none() && code != ACCEPTED {
        output::complain("the image was not booted");
    }
    if args.format == ReportFormat::Text {
        let text = check::text_of(&report, args.quiet, output::style(target.is_none()), true);
        output::write(&mut target, &text)?;
    }
    document.add(&report, &|| look(&report, &options))?;
    let unwritten = document.write(target)?;
    Ok(if code == ACCEPTED { unwritten } else { code })
}

/// The report of the check, and of the boot if there was one; or why nothing counts of what was seen.
fn booted(
    args: &BootArgs,
    options: &Options,
    folder: &Folder,
    handle: &Handle,
    progress: &Progress,
) -> Result<Result<Report, String>, Usage> {
    if folder.room().is_some_and(|room| room < ROOM) {
        let room = human_size(ROOM);
        return Err(Usage(format!(
            "the folder for temporary files (TMPDIR) has less than {room} left, which the system may write"
        )));
    }
    let (mut report, image) =
        boot::judged(&args.image, options, folder, progress).map_err(Usage)?;
    progress.close();
    report.strict = args.strict;
    let may_boot = check::exit_code(&report) == ACCEPTED || args.unchecked && is_bootable(&report);
    let Some(image) = image.filter(|_| may_boot) else { return Ok(Ok(report)) };
    let order = order(args, &report, &image)?;
    let tell = |reached: &Reached| {
        if !args.quiet {
            output::log(&line(reached));
        }
    };
    if order.accelerator == Accelerator::Tcg && !args.no_kvm && !args.quiet {
        output::warn(
            "KVM cannot be used here, so the processor is emulated, which is many times slower",
        );
    }
    let came_of_it = boot::boot(&order, folder, handle, &tell).map_err(|e| Usage(e.to_string()))?;
    if args.keep {
        output::warn(&stays(folder));
    }
    Ok(image.unchanged().map(|()| report.booted(&args.image, came_of_it, options)))
}

/// What is said of a folder that was kept.
fn stays(folder: &Folder) -> String {
    let place = Hostile::from_os(folder.path().as_os_str());
    format!("{place} stays, with the overlay and the key: remove it when you are done")
}

fn options(args: &BootArgs) -> Result<Options, Usage> {
    let look = check::to_look_at(&args.max_size, &args.net, [&args.image])?;
    Ok(Options {
        policy: check::policy(&args.allow, &args.warn, &args.reject)?,
        // The importer is not to fetch it.
        url_rules: false,
        guest: Guest::Auto,
        keep_going: args.unchecked,
        ..look
    })
}

/// Whether an image that was rejected can be booted at all: QEMU reads it as it was judged, and opens nothing that it names.
/// A container is one that was found in order; what is rejected then is its disk.
fn is_bootable(report: &Report) -> bool {
    let rejected = |layer| {
        report
            .findings
            .iter()
            .any(|found| found.severity == Severity::Reject && found.layer == layer)
    };
    match report.disk_format {
        Some(DiskFormat::Raw) => true,
        Some(DiskFormat::Qcow2 | DiskFormat::Vhdx | DiskFormat::Vdi | DiskFormat::Vmdk) => {
            !rejected(Layer::Image) && !rejected(Layer::File)
        }
        _ => false,
    }
}

fn order(args: &BootArgs, report: &Report, image: &Image) -> Result<Order, Usage> {
    let (Some(format), Some(disk)) = (report.disk_format, report.virtual_size) else {
        return Err(Usage("the size of the disk is not known".into()));
    };
    let disk_size = args.disk_size.unwrap_or(SMALLEST_DISK.max(disk)).next_multiple_of(512);
    if disk_size < disk {
        return Err(Usage(format!(
            "--disk-size {} is less than the disk of the image has ({})",
            human_size(disk_size),
            human_size(disk)
        )));
    }
    let accelerator = if args.no_kvm { Accelerator::Tcg } else { Accelerator::here() };
    let timeout = if accelerator == Accelerator::Kvm { TIMEOUT.0 } else { TIMEOUT.1 };
    let named = report.guest.as_ref().and_then(|inside| inside.login.clone());
    let users = match &args.user {
        Some(user) => vec![user.clone()],
        None => named.into_iter().chain(["root".to_owned()]).collect(),
    };
    Ok(Order {
        image: image.path.clone(),
        format,
        accelerator,
        disk_size,
        memory: args.memory,
        cpus: args.cpus,
        timeout: args.boot_timeout.unwrap_or(timeout),
        users,
        command: args.command.clone(),
        keep: args.keep.then_some(|command| output::warn(&format!("log in with: {command}"))),
    })
}

/// A stage, when it is reached.
fn line(reached: &Reached) -> String {
    let seconds =
        reached.seconds.map_or_else(|| "      –".into(), |seconds| format!("{seconds:6.1} s"));
    let mark = match reached.state {
        State::Reached => "",
        State::Skipped => "not seen: ",
        State::Failed | State::Missed => "NOT ",
    };
    let said = if reached.said.is_empty() {
        String::new()
    } else {
        format!(" ({})", Hostile::message(&reached.said))
    };
    format!("{seconds}  {mark}{}{said}", reached.stage.said())
}
