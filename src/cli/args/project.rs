//! Arguments of the commands about a project's images and receipts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{Format, GuestArg, NetArgs};

#[derive(Debug, Args)]
pub(in crate::cli) struct ConfigArgs {
    /// One image only, by its name.
    #[arg(value_name = "NAME")]
    pub(in crate::cli) image: Option<String>,

    /// How to show it.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(in crate::cli) format: Format,

    #[command(flatten)]
    pub(in crate::cli) flags: FlagArgs,
}

/// What options of `check` and `push` say in the place of `tidegate.toml` and the environment.
#[derive(Debug, Args)]
#[command(next_help_heading = "As given to `check` or `push`")]
pub(in crate::cli) struct FlagArgs {
    /// The SHA-256 that the file has to have.
    #[arg(long, value_name = "HEX")]
    pub(in crate::cli) sha256: Option<String>,

    /// Size that image and disk have to stay under.
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) max_size: Option<String>,

    /// Treat a finding as a reject (may be repeated).
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(in crate::cli) reject: Vec<String>,

    /// Treat a finding as a warning.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(in crate::cli) warn: Vec<String>,

    /// Treat a finding as a note.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(in crate::cli) allow: Vec<String>,

    /// Refuse an image with warnings too.
    #[arg(long)]
    pub(in crate::cli) strict: bool,

    /// Whether to examine what is inside the disk.
    #[arg(long, value_name = "WHEN")]
    pub(in crate::cli) guest: Option<GuestArg>,
    /// Start the image in QEMU before it is pushed.
    #[arg(long)]
    pub(in crate::cli) boot: bool,

    /// Where a receipt of its check goes.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) receipt: Option<PathBuf>,

    /// Keep receipts in the user's cache.
    #[arg(long)]
    pub(in crate::cli) cache: bool,

    /// Read the image, whatever receipts say.
    #[arg(long, overrides_with = "cache")]
    pub(in crate::cli) no_cache: bool,

    /// The region that it is imported to.
    #[arg(long, value_name = "SLUG")]
    pub(in crate::cli) region: Option<String>,

    /// Other regions that it is copied to.
    #[arg(long, value_name = "SLUG,…", value_delimiter = ',')]
    pub(in crate::cli) transfer: Vec<String>,

    /// Its distribution.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) distribution: Option<String>,

    /// What is written about it.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) description: Option<String>,

    /// Whether system and kernel of the image are written into its description.
    #[arg(long)]
    pub(in crate::cli) describe: bool,

    /// Tags.
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(in crate::cli) tag: Vec<String>,

    /// The bucket that it is staged in.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) bucket: Option<String>,

    /// The region of Spaces.
    #[arg(long, value_name = "SLUG")]
    pub(in crate::cli) spaces_region: Option<String>,

    /// The server of the bucket.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) spaces_endpoint: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyReceiptArgs {
    /// The receipt.
    #[arg(value_name = "RECEIPT")]
    pub(in crate::cli) receipt: PathBuf,

    /// An image file or URL that has to have the bytes that were checked; it is read to its end.
    #[arg(value_name = "IMAGE")]
    pub(in crate::cli) image: Option<OsString>,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(in crate::cli) format: Format,

    #[command(flatten)]
    pub(in crate::cli) net: NetArgs,
}
