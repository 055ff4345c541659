#[cfg(feature = "boot")]
mod boot;
mod check;
mod inside;
mod net;
mod project;
mod reach;
mod repack;
mod report;
#[cfg(any(feature = "boot", feature = "net"))]
mod time;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "boot")]
pub(super) use self::boot::BootArgs;
pub(super) use self::check::{CheckArgs, GuestArg, Layer, ReportFormat};
pub(super) use self::inside::{CatArgs, DiskArgs, InspectArgs, LsArgs, RootArgs};
pub(super) use self::net::{NetArgs, OpenArgs};
pub(super) use self::project::{ConfigArgs, FlagArgs, VerifyReceiptArgs};
pub(super) use self::reach::ReachArgs;
pub(super) use self::repack::RepackArgs;
pub(super) use self::report::{MergeArgs, ReportArgs, ReportCommand};
#[cfg(any(feature = "boot", feature = "net"))]
pub(super) use self::time::time;

/// A gate for disk images on their way to DigitalOcean: verifies before the create call.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check images: would DigitalOcean take them, and if not, why and what to do.
    ///
    /// Each file is read once, decompressed on the fly, recognised by content and checked down to
    /// the partition table of its virtual disk.
    ///
    /// Exit codes: 0 accepted, 1 rejected, 2 wrong usage, or the document cannot be written,
    /// 3 an image could not be read, 130 interrupted. With several images 3 beats 1 beats 0.
    Check(Box<CheckArgs>),
    /// Pack an image so that DigitalOcean takes it, into a file that was not there before.
    ///
    /// tidegate takes the image out of xz, Zstandard, gzip, bzip2 and a tar archive or OVA, the disk out of a VHD, a qcow of
    /// version 1 or a VMDK stream out of order, and packs it as one gzip member. It leaves out bytes behind the packed data
    /// that belong to nothing, and says so. The result is checked before the file gets its name: nothing is left of what is
    /// rejected or interrupted, and no file is replaced.
    ///
    /// Of a VMDK in several files, name the descriptor, a local file. tidegate opens the parts that it names in its folder
    /// and nowhere else: regular files, no links.
    ///
    /// Exit codes: 0 written, or there is nothing to repack, 1 rejected, 2 wrong usage, or there is a file already, or it
    /// cannot be written, 3 the image could not be read, 130 interrupted.
    Repack(Box<RepackArgs>),
    /// Start an image on this machine as a Droplet would, and log in: does it boot, and let its owner in?
    ///
    /// QEMU starts the image after its check, with the firmware, drives, network and metadata of a Droplet. tidegate watches
    /// it come up, logs in with a new key as the owner would, and shuts it down. Nothing is written to the image. The system
    /// reaches nothing outside, and only this machine reaches it. If it does not come up, the report shows the stage, the
    /// screen and the last lines of the serial console.
    ///
    /// Exit codes: 0 it came up, 1 it did not, or the check rejects the image, 2 wrong usage, or QEMU or OpenSSH is missing,
    /// 3 the image could not be read, or changed, 130 interrupted.
    #[cfg(feature = "boot")]
    Boot(Box<BootArgs>),
    /// Show where the disk's bytes are in an image.
    ///
    /// Exit codes: 0 shown, 2 wrong usage, 3 the image could not be read, 130 interrupted.
    Map(MapArgs),
    /// Say whether two images hold the same disk, whatever their formats and compressions.
    ///
    /// Exit codes: 0 the same disk, 1 different disks, 2 wrong usage, 3 an image could not be read,
    /// 130 interrupted.
    Compare(CompareArgs),
    /// Show what is inside the disk: its system, what boots it, who can log in, and its volumes.
    ///
    /// Nothing is mounted, and nothing of the image is run. `check` says what of it keeps a Droplet from working.
    ///
    /// Exit codes: 0 shown, 2 wrong usage, 3 the image could not be read, 130 interrupted.
    Inspect(InspectArgs),
    /// List a directory of the system inside an image.
    ///
    /// The path begins at the root of the system that the disk holds, and links lead to other files of it alone. With several
    /// systems, or none, the volumes are listed, to choose one of them.
    ///
    /// Exit codes: 0 shown, 1 there is no such path, 2 wrong usage, or no root, 3 the image could not be read, 130 interrupted.
    Ls(LsArgs),
    /// Write a file of the system inside an image to standard output.
    ///
    /// The bytes are written as they are, unless standard output is a terminal: there, what could act on it is escaped.
    ///
    /// Exit codes: 0 written, 1 there is no such file, or it is longer than --max-bytes, 2 wrong usage, or no root, 3 the image
    /// could not be read, 130 interrupted.
    Cat(CatArgs),
    /// Check an image, and bring it to DigitalOcean if it passes: the whole job, with nothing left behind.
    ///
    /// A file is uploaded to a bucket of Spaces while it is checked, and becomes an object only if the check
    /// accepts it. The object is public only while DigitalOcean imports it. A URL that the importer can fetch
    /// is handed over as it is.
    ///
    /// The bucket's key is SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY; the token is that of `image`.
    ///
    /// Exit codes: 0 available, 1 the check rejects the image, 2 wrong usage, 3 the image could not be read,
    /// 4 DigitalOcean or Spaces refused or failed, 5 the import failed, 130 interrupted.
    #[cfg(feature = "net")]
    Push(Box<super::push::args::PushArgs>),
    /// Finish or undo what pushes left that were killed.
    ///
    /// An upload that was not complete is aborted, an object that nobody needs is deleted, an import is waited
    /// for, and nothing is ever created. Runs that live are left alone.
    ///
    /// Exit codes: 0 nothing is left, or with --dry-run everything could be examined, 2 wrong usage, 4 something is
    /// left, or could not be examined, 130 interrupted.
    #[cfg(feature = "net")]
    Sweep(super::push::sweep::SweepArgs),
    /// Create, find, copy and delete custom images by DigitalOcean's API.
    ///
    /// The token is DIGITALOCEAN_TOKEN, DIGITALOCEAN_ACCESS_TOKEN, that of --token-file, or that of doctl.
    /// DIGITALOCEAN_API_URL names another place of the API.
    ///
    /// Exit codes: 0 done, 1 the check rejects the image, 2 wrong usage, or nothing was done and the document cannot be
    /// written, 3 the image could not be read, 4 DigitalOcean refused or failed, or something was done and the document
    /// cannot be written, 5 the import failed, 130 interrupted.
    #[cfg(feature = "net")]
    Image(super::image::args::ImageArgs),
    /// Serve DigitalOcean's images API on this machine, for tests.
    ///
    /// An import fetches its URL and examines the image, as `check` does. Ends on Ctrl-C or SIGTERM.
    ///
    /// Exit codes: 0 ended, 2 wrong usage, or it cannot listen.
    #[cfg(feature = "simulator")]
    Simulate(super::simulate::SimulateArgs),
    /// Explain a finding, or list all of them.
    Explain(ExplainArgs),
    /// Work with reports that checks have made.
    ///
    /// Exit codes: those of the command.
    Report(ReportArgs),
    /// Say whether a receipt of a check counts, and whether an image has the bytes that it is about.
    ///
    /// The receipt has to be sealed with the key in TIDEGATE_RECEIPT_KEY.
    ///
    /// Exit codes: 0 it counts, and the image was accepted, 1 the image was rejected or has other bytes, 2 the
    /// receipt does not count, 3 the image could not be read.
    VerifyReceipt(VerifyReceiptArgs),
    /// Write a tidegate.toml, with comments, for the images of a repository.
    ///
    /// Exit codes: 0 written, 2 there is one already, or it cannot be written.
    Init,
    /// Show what counts for each image of tidegate.toml, and where it comes from.
    ///
    /// The options are those of `check` and `push` that beat the file or the environment, to see what they do.
    ///
    /// Exit codes: 0 shown, 2 the file is wrong.
    Config(Box<ConfigArgs>),
    /// Say whether token, network, clock, proxy and bucket are right.
    ///
    /// Nothing is changed anywhere, unless --probe is given. No secret is shown.
    ///
    /// Exit codes: 0 nothing is wrong, 2 wrong usage, 4 something is wrong.
    #[cfg(feature = "net")]
    Doctor(DoctorArgs),
    /// Write completions for a shell to standard output.
    ///
    /// Exit codes: 0 written, 2 there is no such shell.
    Completions(CompletionsArgs),
    /// Write manual pages: one to standard output, or all of them to a folder.
    ///
    /// Exit codes: 0 written, 2 there is no such command, or it cannot be written.
    Man(ManArgs),
}

#[cfg(feature = "net")]
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Put an object of one byte into the bucket, make it public, look at it and delete it.
    #[arg(long)]
    pub(super) probe: bool,

    /// The bucket; otherwise SPACES_BUCKET.
    #[arg(long, value_name = "NAME")]
    pub(super) bucket: Option<String>,

    /// The region of Spaces that it is in; otherwise SPACES_REGION.
    #[arg(long, value_name = "SLUG")]
    pub(super) spaces_region: Option<String>,

    /// Where the journals are, that of the probe too; otherwise in XDG_STATE_HOME/tidegate, or ~/.local/state/tidegate.
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,

    #[command(flatten)]
    pub(super) api: super::image::args::ApiArgs,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command whose page is written, such as `report merge` or `report-merge`; otherwise that of tidegate.
    #[arg(value_name = "COMMAND")]
    pub(super) command: Vec<String>,

    /// Write the pages of all commands to this folder, over nothing but such pages.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One document.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct MapArgs {
    /// Image file or URL; `-` is standard input. What is piped or fetched is spooled to a temporary file. A compressed image
    /// is decompressed again instead, if it is a file or its server sends parts.
    #[arg(value_name = "IMAGE")]
    pub(super) image: OsString,

    /// How to show it.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: MapFormat,

    #[command(flatten)]
    pub(super) open: OpenArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MapFormat {
    /// A picture and a table.
    Text,
    /// One document, `tidegate.map/1`, with all extents.
    Json,
    /// The picture alone.
    Svg,
}

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// An image file or URL; `-` is standard input. What is piped or fetched is spooled to a temporary file. A compressed image
    /// is decompressed again instead, if it is a file or its server sends parts.
    #[arg(value_name = "A")]
    pub(super) a: OsString,

    /// Another image.
    #[arg(value_name = "B")]
    pub(super) b: OsString,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: Format,

    #[command(flatten)]
    pub(super) open: OpenArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Findings, as `tidegate check` names them; all of them in a list if none is given.
    #[arg(value_name = "CODE")]
    pub(super) codes: Vec<String>,
}
