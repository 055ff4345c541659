//! Arguments of `boot`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{NetArgs, ReportFormat, time};
use crate::bytes::read_size;

#[derive(Debug, Args)]
pub(in crate::cli) struct BootArgs {
    /// Image file or URL; `-` is standard input. What is compressed is unpacked to a temporary file (in TMPDIR).
    #[arg(value_name = "IMAGE")]
    pub(in crate::cli) image: OsString,

    /// Size of the disk that the system sees [default: the larger of 25GiB and the image's disk].
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "The machine")]
    pub(in crate::cli) disk_size: Option<u64>,

    /// Memory of the machine.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size, help_heading = "The machine")]
    pub(in crate::cli) memory: u64,

    /// Processors of the machine.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "The machine")]
    pub(in crate::cli) cpus: u16,

    /// Give the machine a second network card, by which the system reaches whatever this machine does, this machine included.
    #[arg(long, help_heading = "The machine")]
    pub(in crate::cli) network: bool,

    /// Emulate the processor even if KVM can be used.
    #[arg(long, help_heading = "The machine")]
    pub(in crate::cli) no_kvm: bool,

    /// How long it may take until all but the shutdown is done, such as 90s or 20m [default: 5m, without KVM 10m].
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "The machine")]
    pub(in crate::cli) boot_timeout: Option<Duration>,

    /// The user that has to be let in with the key [default: the one that the check names, or root].
    #[arg(long, value_name = "NAME", help_heading = "What is tried")]
    pub(in crate::cli) user: Option<String>,

    /// Run a command in the system after the login; it has to end with exit code 0.
    #[arg(long, value_name = "CMD", help_heading = "What is tried")]
    pub(in crate::cli) command: Option<String>,

    /// Let the system run after the login, until Ctrl-C or until it is shut down from within, and leave its folder with the
    /// overlay and the key.
    #[arg(long, help_heading = "What is tried")]
    pub(in crate::cli) keep: bool,

    /// Boot the image even if the check rejects it for what is on its disk.
    #[arg(long, help_heading = "What is tried")]
    pub(in crate::cli) unchecked: bool,

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

    /// Exit with 1 on warnings too.
    #[arg(long, help_heading = "What findings weigh")]
    pub(in crate::cli) strict: bool,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Report")]
    pub(in crate::cli) format: ReportFormat,

    /// Write the report to a file instead of standard output. One that is there is replaced only if it is an earlier
    /// report of this command, and only when the new one is whole.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// No progress, and one line.
    #[arg(short, long, help_heading = "Report")]
    pub(in crate::cli) quiet: bool,

    // Last, because its heading stands over all that follow.
    #[command(flatten)]
    pub(in crate::cli) net: NetArgs,
}

fn size(text: &str) -> Result<u64, String> {
    read_size(text).ok_or_else(|| "it is a size such as 40GiB or 25000000000".to_owned())
}
