//! Arguments of `check`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::NetArgs;
use crate::inspect::Guest;

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// Image files or URLs; `-` is standard input. Of a folder, the images in it; -v names what is left out. Names of images of tidegate.toml; all of them if none is given.
    #[arg(value_name = "IMAGE")]
    pub(in crate::cli) images: Vec<OsString>,

    /// Paths and URLs, after `--`: none is an option or the name of an image of tidegate.toml.
    #[arg(value_name = "PATH", last = true)]
    pub(in crate::cli) paths: Vec<OsString>,

    /// Check the images that a file lists: a path or a URL on each line; `-` reads the list from standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["images", "paths"], help_heading = "Which images")]
    pub(in crate::cli) images_from: Option<OsString>,

    /// The list has a NUL byte after each name, as `git ls-files -z` and `find -print0` write it, and no comments.
    #[arg(short = '0', long, requires = "images_from", help_heading = "Which images")]
    pub(in crate::cli) null: bool,

    /// Of all these images check those of shard K of N, such as 0/8 to 7/8: each falls to one, by its name.
    #[arg(long, value_name = "K/N", allow_hyphen_values = true, help_heading = "Which images")]
    pub(in crate::cli) shard: Option<crate::project::Shard>,

    /// Check what a build of Packer made, by the manifest that its post-processor `manifest` wrote: the build of
    /// PACKER_RUN_UUID and PACKER_BUILD_NAME, or the last one. Progress goes to standard output, unless a document
    /// does, and why an image is refused to standard error.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["images", "paths", "images_from"], help_heading = "Which images")]
    pub(in crate::cli) packer_manifest: Option<PathBuf>,

    /// Of a folder, check the images that lie in it, and none of the folders in it.
    #[arg(long, help_heading = "Which images")]
    pub(in crate::cli) no_recurse: bool,

    /// Check so many images at once, 1 to 1024; otherwise as many as there are cores, or as fit into memory (64 MiB at two
    /// threads, 256 MiB at most). The output is the same.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Which images")]
    pub(in crate::cli) jobs: Option<u16>,

    /// Check no further image after the first reject. Those that were under way or not begun are reported as not checked.
    #[arg(long, help_heading = "Which images")]
    pub(in crate::cli) fail_fast: bool,

    /// Ask nothing of the network: images of tidegate.toml that are URLs are left out, other URLs are refused.
    #[arg(long, help_heading = "Which images")]
    pub(in crate::cli) offline: bool,

    /// Undo --offline, for hooks that have it.
    #[arg(long, overrides_with = "offline", help_heading = "Which images")]
    pub(in crate::cli) online: bool,

    /// Read only headers and tables; no digest, and compressed files are not verified to their end.
    #[arg(long, conflicts_with_all = ["digest", "sha256", "checksums"], help_heading = "What is read")]
    pub(in crate::cli) quick: bool,

    /// Also digest the decompressed image, or the disk (may be both).
    ///
    /// For the digest of the disk, a piped container is spooled, and a compressed one behind a URL without parts.
    #[arg(long, value_name = "LAYER", value_delimiter = ',', help_heading = "What is read")]
    pub(in crate::cli) digest: Vec<Layer>,

    /// Write a compressed or piped image to an unlinked temporary file (in TMPDIR) as it comes by, so
    /// that tidegate can go back to structures that lie behind what it has read.
    #[arg(long, conflicts_with = "quick", help_heading = "What is read")]
    pub(in crate::cli) spool: bool,

    /// Whether to examine what is inside the disk: whether a Droplet boots, gets a network and lets its owner in. `require`
    /// refuses what cannot be examined [default: auto].
    #[arg(long, value_name = "WHEN", help_heading = "What is read")]
    pub(in crate::cli) guest: Option<GuestArg>,

    /// The SHA-256 that the file has to have (one image only).
    #[arg(long, value_name = "HEX", help_heading = "What is expected")]
    pub(in crate::cli) sha256: Option<String>,

    /// A SHA256SUMS file or URL (GNU or BSD style) that has to list each image, or its decompressed
    /// name.
    #[arg(long, value_name = "FILE", help_heading = "What is expected")]
    pub(in crate::cli) checksums: Option<OsString>,

    /// Size that image and disk have to stay under, such as 20GiB [default: 100GB].
    #[arg(long, value_name = "SIZE", help_heading = "What is expected")]
    pub(in crate::cli) max_size: Option<String>,

    /// Treat a finding as a reject (may be repeated).
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = "What findings weigh")]
    pub(in crate::cli) reject: Vec<String>,

    /// Treat a finding as a warning.
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = "What findings weigh")]
    pub(in crate::cli) warn: Vec<String>,

    /// Treat a finding as a note.
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = "What findings weigh")]
    pub(in crate::cli) allow: Vec<String>,

    /// Exit with 1 on warnings too.
    #[arg(long, help_heading = "What findings weigh")]
    pub(in crate::cli) strict: bool,

    /// Decompress to the end although the image is refused already, for all findings.
    #[arg(long, help_heading = "What is read")]
    pub(in crate::cli) keep_going: bool,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Report")]
    pub(in crate::cli) format: ReportFormat,

    /// Write the report to a file instead of standard output. One that is there is replaced only if it is an earlier
    /// report of this command, and only when the new one is whole.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// No progress, and one line for each image.
    #[arg(short, long, help_heading = "Report")]
    pub(in crate::cli) quiet: bool,

    /// Leave a receipt of the check in this file (one image only); that there can be none is an error. If a valid one
    /// is there, sealed with TIDEGATE_RECEIPT_KEY, an unchanged image is not read again; any other one is removed first.
    #[arg(long, value_name = "FILE", help_heading = "Receipts")]
    pub(in crate::cli) receipt: Option<PathBuf>,

    /// Keep receipts in the user's cache, and do not read an image again that has not changed since.
    #[arg(long, help_heading = "Receipts")]
    pub(in crate::cli) cache: bool,

    /// Read the image, whatever receipts say.
    #[arg(long, help_heading = "Receipts", overrides_with = "cache")]
    pub(in crate::cli) no_cache: bool,

    /// Do not ask whether DigitalOcean could fetch the URL; for private mirrors. Allows http.
    #[arg(long, help_heading = "URLs")]
    pub(in crate::cli) no_url_rules: bool,

    // Last, because its heading stands over all that follow.
    #[command(flatten)]
    pub(in crate::cli) net: NetArgs,
}

/// When what is inside the disk is examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum GuestArg {
    /// Wherever the disk can be read in any order.
    Auto,
    /// Never.
    Never,
    /// Always: what cannot be examined is a reject.
    Require,
}

impl GuestArg {
    /// The option that it is.
    pub(in crate::cli) fn option(given: Option<Self>) -> Guest {
        match given {
            Some(GuestArg::Auto) | None => Guest::Auto,
            Some(GuestArg::Never) => Guest::Never,
            Some(GuestArg::Require) => Guest::Require,
        }
    }
}

impl From<Guest> for GuestArg {
    fn from(guest: Guest) -> Self {
        match guest {
            Guest::Auto => GuestArg::Auto,
            Guest::Never => GuestArg::Never,
            Guest::Require => GuestArg::Require,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Layer {
    /// The decompressed bytes.
    Image,
    /// The virtual disk: the same for every container that holds the same disk.
    Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ReportFormat {
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
    /// One page that needs nothing else; tidegate reads local images that are not compressed again for it.
    Html,
}
