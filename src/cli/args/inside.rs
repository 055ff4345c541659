use std::ffi::OsString;

use clap::Args;

use super::{Format, OpenArgs};

#[derive(Debug, Args)]
pub(in crate::cli) struct InspectArgs {
    /// How to show it.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(in crate::cli) format: Format,

    #[command(flatten)]
    pub(in crate::cli) disk: DiskArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LsArgs {
    /// A path from the root of the system on.
    #[arg(value_name = "PATH", default_value = "/", index = 2)]
    pub(in crate::cli) path: OsString,

    /// Show kind, permissions, owner, size and date as well.
    #[arg(short, long)]
    pub(in crate::cli) long: bool,

    #[command(flatten)]
    pub(in crate::cli) root: RootArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CatArgs {
    /// A path from the root of the system on.
    #[arg(value_name = "PATH", index = 2)]
    pub(in crate::cli) path: OsString,

    /// Bytes that are written at most; of a longer file the rest is left out, and the exit code is 1.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(in crate::cli) max_bytes: String,

    #[command(flatten)]
    pub(in crate::cli) root: RootArgs,
}

/// Where paths of the guest begin.
#[derive(Debug, Args)]
pub(in crate::cli) struct RootArgs {
    /// Begin at the root of this volume instead, by its number in the list of `inspect`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) volume: Option<u32>,

    #[command(flatten)]
    pub(in crate::cli) disk: DiskArgs,
}

/// An image whose disk is opened.
#[derive(Debug, Args)]
pub(in crate::cli) struct DiskArgs {
    /// Image file or URL; `-` is standard input, which is spooled to a temporary file.
    #[arg(value_name = "IMAGE", index = 1)]
    pub(in crate::cli) image: OsString,

    // Last, because its heading stands over all that follow.
    #[command(flatten)]
    pub(in crate::cli) open: OpenArgs,
}
