//! Arguments of `report`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::check::ReportFormat;

#[derive(Debug, Args)]
pub(in crate::cli) struct ReportArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: ReportCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ReportCommand {
    /// Make one report of those of several checks, such as of the shards of a fleet.
    ///
    /// The images stand in the order of their names. All shards have to be there, and no image twice.
    ///
    /// Exit codes: those of a check of all these images, or 2 if the reports are no whole.
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct MergeArgs {
    /// Reports in JSON, of the same version of tidegate.
    #[arg(value_name = "REPORT", required = true)]
    pub(in crate::cli) reports: Vec<PathBuf>,

    /// Make sure that every image of this list has a report; `-` reads the list from standard input.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) images_from: Option<OsString>,

    /// The list has a NUL byte after each name, and no comments.
    #[arg(short = '0', long, requires = "images_from")]
    pub(in crate::cli) null: bool,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub(in crate::cli) format: ReportFormat,

    /// Write the report to a file instead of standard output. One that is there is replaced only if it is an earlier
    /// report of this command, and only when the new one is whole.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Exit with 1 on warnings too.
    #[arg(long)]
    pub(in crate::cli) strict: bool,

    /// One line for each image, in a report as text.
    #[arg(short, long)]
    pub(in crate::cli) quiet: bool,
}
