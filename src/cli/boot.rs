//! `tidegate boot`: an image started in QEMU, as a Droplet would start it.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// How an image is booted.
struct Wish<'a> {
    image: &'a OsStr,
    disk_size: Option<u64>,
    memory: u64,
    cpus: u16,
    network: bool,
    no_kvm: bool,
    timeout: Option<Duration>,
    user: Option<&'a str>,
    command: Option<&'a str>,
    keep: bool,
    unchecked: bool,
    strict: bool,
    quiet: bool,
}

/// Bytes of memory of the smallest Droplets that most images are made for.
#[cfg(feature = "net")]
const MEMORY: u64 = 1 << 30;

pub(super) fn run(args: &BootArgs) -> Result<u8, Usage> {
    let options = options(args)?;
    let clock = Clock::new()?;
    let scope = Scope { shard: None, terms: Some(Terms::of(&options)), merged: false };
    let target = args.output.as_deref().map(|path| (path, REPORT));
    let (mut target, mut document) = check::opened(args.format, scope, target, Vec::new())?;
    let wish = Wish {
        image: &args.image,
        disk_size: args.disk_size,
        memory: args.memory,
        cpus: args.cpus,
        network: args.network,
        no_kvm: args.no_kvm,
        timeout: args.boot_timeout,
        user: args.user.as_deref(),
        command: args.command.as_deref(),
        keep: args.keep,
        unchecked: args.unchecked,
        strict: args.strict,
        quiet: args.quiet,
    };
    let date = clock.now();
    let mut report = match watched(&wish, &options)? {
        Ok(report) => report,
        Err(why) => {
            output::complain(&format!("{}: {why}", shown(&args.image)));
            return Ok(UNREADABLE);
        }
    };
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

/// The report of an image that a push is about to bring to DigitalOcean: of the boot too, if the check lets it come to that.
#[cfg(feature = "net")]
pub(super) fn before_push(
    image: &OsStr,
    options: &Options,
    strict: bool,
    quiet: bool,
) -> Result<Report, Usage> {
    if image == "-" {
        return Err(Usage(
            "--boot reads the image before the push does, and standard input comes once".into(),
        ));
    }
    let wish = Wish {
        image,
        disk_size: None,
        memory: MEMORY,
        cpus: 1,
        network: false,
        no_kvm: false,
        timeout: None,
        user: None,
        command: None,
        keep: false,
        unchecked: false,
        strict,
        quiet,
    };
    watched(&wish, options)?.map_err(Usage)
}

/// Checks and boots an image; a signal ends it, and nothing is left.
fn watched(wish: &Wish<'_>, options: &Options) -> Result<Result<Report, String>, Usage> {
    if let Some(missing) = boot::missing() {
        return Err(Usage(missing));
    }
    let handle = Handle::default();
    let progress = Progress::new(wish.quiet);
    let folder = Folder::new()
        .map_err(|e| Usage(format!("cannot make a folder for temporary files: {e}")))?;
    handle.holds(&folder);
    let (closing, ending) = (progress.clone(), handle.clone());
    let words = wish.keep.then(|| stays(&folder));
    let interrupted = Arc::new(AtomicBool::new(false));
    let noting = Arc::clone(&interrupted);
    let _watch = signals::watch_while(move || {
        noting.store(true, Ordering::SeqCst);
        closing.close();
        ending.end();
        words
    });
    let booted = booted(wish, options, &folder, &handle, &progress);
    // What was ended by a signal has failed because of that, and who heard the signal ends the program.
    while interrupted.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_secs(1));
    }
    handle.end();
    booted
}

/// The report of the check, and of the boot if there was one; or why nothing counts of what was seen.
fn booted(
    wish: &Wish<'_>,
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
    let (mut report, image) = boot::judged(wish.image, options, folder, progress).map_err(Usage)?;
    progress.close();
    report.strict = wish.strict;
    let may_boot = check::exit_code(&report) == ACCEPTED || wish.unchecked && is_bootable(&report);
    let Some(image) = image.filter(|_| may_boot) else { return Ok(Ok(report)) };
    let order = order(wish, &report, &image)?;
    let tell = |reached: &Reached| {
        if !wish.quiet {
            output::log(&line(reached));
        }
    };
    if order.accelerator == Accelerator::Tcg && !wish.no_kvm && !wish.quiet {
        output::warn(
            "KVM cannot be used here, so the processor is emulated, which is many times slower",
        );
    }
    let came_of_it = boot::boot(&order, folder, handle, &tell).map_err(|e| Usage(e.to_string()))?;
    if wish.keep {
        output::warn(&stays(folder));
    }
    Ok(image.unchanged().map(|()| report.booted(wish.image, came_of_it, options)))
}

/// The message about a folder that stays.
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

fn order(wish: &Wish<'_>, report: &Report, image: &Image) -> Result<Order, Usage> {
    let (Some(format), Some(disk)) = (report.disk_format, report.virtual_size) else {
        return Err(Usage("the size of the disk is not known".into()));
    };
    let disk_size = wish.disk_size.unwrap_or(SMALLEST_DISK.max(disk)).next_multiple_of(512);
    if disk_size < disk {
        return Err(Usage(format!(
            "--disk-size {} is less than the disk of the image has ({})",
            human_size(disk_size),
            human_size(disk)
        )));
    }
    let accelerator = if wish.no_kvm { Accelerator::Tcg } else { Accelerator::here() };
    let timeout = if accelerator == Accelerator::Kvm { TIMEOUT.0 } else { TIMEOUT.1 };
    let named = report.guest.as_ref().and_then(|inside| inside.login.clone());
    let users = match wish.user {
        Some(user) => vec![user.to_owned()],
        None => named.into_iter().chain(["root".to_owned()]).collect(),
    };
    Ok(Order {
        image: image.path.clone(),
        format,
        accelerator,
        disk_size,
        memory: wish.memory,
        cpus: wish.cpus,
        timeout: wish.timeout.unwrap_or(timeout),
        users,
        network: wish.network,
        command: wish.command.map(str::to_owned),
        keep: wish.keep.then_some(|command| output::warn(&format!("log in with: {command}"))),
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
