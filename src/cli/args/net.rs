//! How URLs are fetched, and images opened.

use std::path::PathBuf;

use clap::Args;

use super::ReachArgs;

/// How URLs are fetched.
#[derive(Debug, Args)]
#[command(next_help_heading = "URLs")]
pub(in crate::cli) struct NetArgs {
    /// Send a header to the host of the URL, and to no other; @FILE reads headers from a file.
    #[arg(long, value_name = "HEADER")]
    pub(in crate::cli) header: Vec<String>,

    /// Trust the certificate authorities in a PEM file as well.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) cacert: Option<PathBuf>,

    /// Fetch http URLs too, which anybody on the way can change.
    #[arg(long)]
    pub(in crate::cli) insecure_http: bool,

    #[command(flatten)]
    pub(in crate::cli) reach: ReachArgs,

    /// Connections that read one URL at once, if the server can send parts.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(in crate::cli) connections: u8,

    /// Seconds that a server may be silent, or slower than --min-rate.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(in crate::cli) timeout: u32,

    /// How often in a row a request that failed is made again.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=50))]
    pub(in crate::cli) retries: u8,

    /// Say on standard error what is requested and what is answered. A report as text lists the partitions.
    #[arg(short, long)]
    pub(in crate::cli) verbose: bool,

    /// Whether no proxy is asked, whatever the environment says; nobody says so by an argument.
    #[cfg(feature = "net")]
    #[arg(skip)]
    pub(in crate::cli) direct: bool,
}

/// How images are opened for commands that judge nothing.
#[derive(Debug, Args)]
pub(in crate::cli) struct OpenArgs {
    /// Size that image and disk have to stay under, such as 100GB or 20GiB.
    #[arg(long, value_name = "SIZE", default_value = "100GB")]
    pub(in crate::cli) max_size: String,

    /// No progress.
    #[arg(short, long)]
    pub(in crate::cli) quiet: bool,

    #[command(flatten)]
    pub(in crate::cli) net: NetArgs,
}
