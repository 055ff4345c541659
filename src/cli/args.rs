#[cfg(feature = "boot")]
mod boot;
mod inside;
mod project;
mod reach;
mod repack;
#[cfg(any(feature = "boot", feature = "net"))]
mod time;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::facts::Code;
use crate::inspect::Guest;
use crate::rules::Policy;

#[cfg(feature = "boot")]
pub(super) use self::boot::BootArgs;
pub(super) use self::inside::{CatArgs, InspectArgs, LsArgs};
pub(super) use self::project::{ConfigArgs, FlagArgs, VerifyReceiptArgs};
pub(super) use self::reach::ReachArgs;
pub(super) use self::repack::RepackArgs;
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
    /// Exit codes: 0 nothing is left, or with --dry-run all was looked at, 2 wrong usage, 4 something is left, or could
    /// not be looked at, 130 interrupted.
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

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Image files or URLs; `-` is standard input. Of a folder, the images in it; -v names what is left out. Names of images of tidegate.toml; all of them if none is given.
    #[arg(value_name = "IMAGE")]
    pub(super) images: Vec<OsString>,

    /// Paths and URLs, after `--`: none is an option or the name of an image of tidegate.toml.
    #[arg(value_name = "PATH", last = true)]
    pub(super) paths: Vec<OsString>,

    /// Check the images that a file lists: a path or a URL on each line; `-` reads the list from standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["images", "paths"], help_heading = "Which images")]
    pub(super) images_from: Option<OsString>,

    /// The list has a NUL byte after each name, as `git ls-files -z` and `find -print0` write it, and no comments.
    #[arg(short = '0', long, requires = "images_from", help_heading = "Which images")]
    pub(super) null: bool,

    /// Of all these images check those of shard K of N, such as 0/8 to 7/8: each falls to one, by its name.
    #[arg(long, value_name = "K/N", allow_hyphen_values = true, help_heading = "Which images")]
    pub(super) shard: Option<crate::project::Shard>,

    /// Check what a build of Packer made, by the manifest that its post-processor `manifest` wrote: the build of
    /// PACKER_RUN_UUID and PACKER_BUILD_NAME, or the last one. Progress goes to standard output, unless a document
    /// does, and why an image is refused to standard error.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["images", "paths", "images_from"], help_heading = "Which images")]
    pub(super) packer_manifest: Option<PathBuf>,

    /// Of a folder, check the images that lie in it, and none of the folders in it.
    #[arg(long, help_heading = "Which images")]
    pub(super) no_recurse: bool,

    /// Check so many images at once, 1 to 1024; otherwise as many as there are cores, or as fit into memory (64 MiB at two
    /// threads, 256 MiB at most). The output is the same.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Which images")]
    pub(super) jobs: Option<u16>,

    /// Check no further image after the first reject. Those that were under way or not begun are reported as not checked.
    #[arg(long, help_heading = "Which images")]
    pub(super) fail_fast: bool,

    /// Ask nothing of the network: images of tidegate.toml that are URLs are left out, other URLs are refused.
    #[arg(long, help_heading = "Which images")]
    pub(super) offline: bool,

    /// Undo --offline, for hooks that have it.
    #[arg(long, overrides_with = "offline", help_heading = "Which images")]
    pub(super) online: bool,

    /// Read only headers and tables; no digest, and compressed files are not verified to their end.
    #[arg(long, conflicts_with_all = ["digest", "sha256", "checksums"], help_heading = "What is read")]
    pub(super) quick: bool,

    /// Also digest the decompressed image, or the disk (may be both).
    ///
    /// For the digest of the disk, a piped container is spooled, and a compressed one behind a URL without parts.
    #[arg(long, value_name = "LAYER", value_delimiter = ',', help_heading = "What is read")]
    pub(super) digest: Vec<Layer>,

    /// Write a compressed or piped image to an unlinked temporary file (in TMPDIR) as it comes by, so
    /// that structures that lie behind what was read can be looked at.
    #[arg(long, conflicts_with = "quick", help_heading = "What is read")]
    pub(super) spool: bool,

    /// Whether to examine what is inside the disk: whether a Droplet boots, gets a network and lets its owner in. `require`
    /// refuses what cannot be examined.
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "What is read")]
    pub(super) guest: GuestArg,

    /// The SHA-256 that the file has to have (one image only).
    #[arg(long, value_name = "HEX", help_heading = "What is expected")]
    pub(super) sha256: Option<String>,

    /// A SHA256SUMS file or URL (GNU or BSD style) that has to list each image, or its decompressed
    /// name.
    #[arg(long, value_name = "FILE", help_heading = "What is expected")]
    pub(super) checksums: Option<OsString>,

    /// Size that image and disk have to stay under, such as 20GiB [default: 100GB].
    #[arg(long, value_name = "SIZE", help_heading = "What is expected")]
    pub(super) max_size: Option<String>,

    /// Treat a finding as a reject (may be repeated).
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = "What findings weigh")]
    pub(super) reject: Vec<String>,

    /// Treat a finding as a warning.
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = "What findings weigh")]
    pub(super) warn: Vec<String>,

    /// Treat a finding as a note.
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = "What findings weigh")]
    pub(super) allow: Vec<String>,

    /// Exit with 1 on warnings too.
    #[arg(long, help_heading = "What findings weigh")]
    pub(super) strict: bool,

    /// Decompress to the end although the image is refused already, for all findings.
    #[arg(long, help_heading = "What is read")]
    pub(super) keep_going: bool,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Report")]
    pub(super) format: ReportFormat,

    /// Write the report to a file instead of standard output. One that is there is replaced only if it is an earlier
    /// report of this command, and only when the new one is whole.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(super) output: Option<PathBuf>,

    /// No progress, and one line for each image.
    #[arg(short, long, help_heading = "Report")]
    pub(super) quiet: bool,

    /// Leave a receipt of the check in this file (one image only); that there can be none is an error. If a valid one
    /// is there, sealed with TIDEGATE_RECEIPT_KEY, an unchanged image is not read again; any other one is removed first.
    #[arg(long, value_name = "FILE", help_heading = "Receipts")]
    pub(super) receipt: Option<PathBuf>,

    /// Keep receipts in the user's cache, and do not read an image again that has not changed since.
    #[arg(long, help_heading = "Receipts")]
    pub(super) cache: bool,

    /// Read the image, whatever receipts say.
    #[arg(long, help_heading = "Receipts", overrides_with = "cache")]
    pub(super) no_cache: bool,

    /// Do not ask whether DigitalOcean could fetch the URL; for private mirrors. Allows http.
    #[arg(long, help_heading = "URLs")]
    pub(super) no_url_rules: bool,

    // Last, because its heading stands over all that follow.
    #[command(flatten)]
    pub(super) net: NetArgs,
}

/// When what is inside the disk is examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum GuestArg {
    /// Wherever the disk can be read in any order.
    Auto,
    /// Never.
    Never,
    /// Always: what cannot be examined is a reject.
    Require,
}

impl GuestArg {
    /// The option that it is, with what it makes of findings.
    pub(super) fn option(self, policy: &mut Policy) -> Guest {
        match self {
            GuestArg::Auto => Guest::Auto,
            GuestArg::Never => Guest::Never,
            GuestArg::Require => {
                policy.require(&[Code::GuestNotExamined, Code::GuestUnexaminable]);
                Guest::Require
            }
        }
    }
}

/// How URLs are fetched.
#[derive(Debug, Args)]
#[command(next_help_heading = "URLs")]
pub(super) struct NetArgs {
    /// Send a header to the host of the URL, and to no other; @FILE reads headers from a file.
    #[arg(long, value_name = "HEADER")]
    pub(super) header: Vec<String>,

    /// Trust the certificate authorities in a PEM file as well.
    #[arg(long, value_name = "FILE")]
    pub(super) cacert: Option<PathBuf>,

    /// Fetch http URLs too, which anybody on the way can change.
    #[arg(long)]
    pub(super) insecure_http: bool,

    #[command(flatten)]
    pub(super) reach: ReachArgs,

    /// Connections that read one URL at once, if the server can send parts.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(super) connections: u8,

    /// Seconds that a server may be silent, or slower than --min-rate.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(super) timeout: u32,

    /// How often in a row a request that failed is made again.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=50))]
    pub(super) retries: u8,

    /// Say on standard error what is requested and what is answered.
    #[arg(short, long)]
    pub(super) verbose: bool,

    /// Whether no proxy is asked, whatever the environment says; nobody says so by an argument.
    #[cfg(feature = "net")]
    #[arg(skip)]
    pub(super) direct: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Layer {
    /// The decompressed bytes.
    Image,
    /// The virtual disk: the same for every container that holds the same disk.
    Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One document.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For people.
    Text,
    /// One document, `tidegate.report/1`.
    Json,
    /// JUnit XML: a suite for each image, a case for each rule.
    Junit,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of GitHub Actions; the summary of the job goes to GITHUB_STEP_SUMMARY.
    Github,
    /// One page that needs nothing else; local images that are not compressed are looked at again for it.
    Html,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(subcommand)]
    pub(super) command: ReportCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ReportCommand {
    /// Make one report of those of several checks, such as of the shards of a fleet.
    ///
    /// The images stand in the order of their names. All shards have to be there, and no image twice.
    ///
    /// Exit codes: those of a check of all these images, or 2 if the reports are no whole.
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// Reports in JSON, of the same version of tidegate.
    #[arg(value_name = "REPORT", required = true)]
    pub(super) reports: Vec<PathBuf>,

    /// Make sure that every image of this list has a report; `-` reads the list from standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) images_from: Option<OsString>,

    /// The list has a NUL byte after each name, and no comments.
    #[arg(short = '0', long, requires = "images_from")]
    pub(super) null: bool,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub(super) format: ReportFormat,

    /// Write the report to a file instead of standard output. One that is there is replaced only if it is an earlier
    /// report of this command, and only when the new one is whole.
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Exit with 1 on warnings too.
    #[arg(long)]
    pub(super) strict: bool,

    /// One line for each image, in a report as text.
    #[arg(short, long)]
    pub(super) quiet: bool,
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

    /// Size that image and disk have to stay under, such as 100GB or 20GiB.
    #[arg(long, value_name = "SIZE", default_value = "100GB")]
    pub(super) max_size: String,

    /// No progress.
    #[arg(short, long)]
    pub(super) quiet: bool,

    #[command(flatten)]
    pub(super) net: NetArgs,
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

    /// Size that images and disks have to stay under, such as 100GB or 20GiB.
    #[arg(long, value_name = "SIZE", default_value = "100GB")]
    pub(super) max_size: String,

    /// No progress.
    #[arg(short, long)]
    pub(super) quiet: bool,

    #[command(flatten)]
    pub(super) net: NetArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Findings, as `tidegate check` names them; all of them in a list if none is given.
    #[arg(value_name = "CODE")]
    pub(super) codes: Vec<String>,
}
