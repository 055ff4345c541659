//! The command line: arguments, exit codes, the terminal. It knows no bytes of any format.

mod args;
mod check;
mod checksums;
mod explain;
mod output;
mod progress;
mod signals;

use std::process::ExitCode;

use clap::Parser;

/// The image was accepted.
const ACCEPTED: u8 = 0;
/// The image was rejected.
const REJECTED: u8 = 1;
/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// The image could not be read.
const UNREADABLE: u8 = 3;
/// SIGINT or SIGTERM.
const INTERRUPTED: u8 = 130;

/// Runs the command that the arguments ask for.
pub fn main() -> ExitCode {
    let code = match args::Cli::parse().command {
        args::Command::Check(args) => check::run(&args),
        args::Command::Explain(args) => explain::run(&args),
    };
    ExitCode::from(code.unwrap_or_else(|error| {
        output::complain(&error.0);
        USAGE
    }))
}

/// A mistake in how the program was called, as a sentence for its user.
#[derive(Debug)]
struct Usage(String);
