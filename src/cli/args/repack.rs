//! Arguments of `repack`.

use std::ffi::OsString;

use clap::Args;

use super::{Format, NetArgs};

#[derive(Debug, Args)]
pub(in crate::cli) struct RepackArgs {
    /// Image file or URL; `-` is standard input, and takes OUT.
    #[arg(value_name = "IMAGE")]
    pub(in crate::cli) image: OsString,

    /// The file to write; nothing may be there. With it, the image is packed even if DigitalOcean takes it as it is.
    /// Otherwise the file is called after IMAGE, with the endings of what it is, and lies beside it; that of a URL lies
    /// in the working directory.
    #[arg(value_name = "OUT")]
    pub(in crate::cli) out: Option<OsString>,

    /// How hard to compress: 1 is fast, 9 is small.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(in crate::cli) level: u8,

    /// Threads that compress [default: as many as can run at once]. The file is the same for any number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(in crate::cli) threads: Option<u16>,

    /// The SHA-256 that IMAGE has to have.
    #[arg(long, value_name = "HEX", help_heading = "What is expected")]
    pub(in crate::cli) sha256: Option<String>,

    /// Size that image and disk have to stay under, such as 100GB or 20GiB.
    #[arg(long, value_name = "SIZE", default_value = "100GB", help_heading = "What is expected")]
    pub(in crate::cli) max_size: String,

    /// Treat a finding as a reject (may be repeated).
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = "What findings weigh")]
    pub(in crate::cli) reject: Vec<String>,

    /// Treat a finding as a warning.
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = "What findings weigh")]
    pub(in crate::cli) warn: Vec<String>,

    /// Treat a finding as a note.
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = "What findings weigh")]
    pub(in crate::cli) allow: Vec<String>,

    /// Write nothing if there are warnings either, and exit with 1.
    #[arg(long, help_heading = "What findings weigh")]
    pub(in crate::cli) strict: bool,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Report")]
    pub(in crate::cli) format: Format,

    /// No progress, and one line.
    #[arg(short, long, help_heading = "Report")]
    pub(in crate::cli) quiet: bool,

    // Last, because its heading stands over all that follow.
    #[command(flatten)]
    pub(in crate::cli) net: NetArgs,
}
