//! The command line: arguments, exit codes, the terminal. It knows no bytes of any format.

mod args;
mod check;
mod checksums;
mod compare;
mod explain;
mod map;
#[cfg_attr(not(feature = "net"), path = "no_net.rs")]
mod net;
mod output;
mod progress;
mod signals;
#[cfg(feature = "simulator")]
mod simulate;

use std::process::ExitCode;

use clap::Parser;

use crate::source;

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
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results, everything else is a complaint; clap knows which.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { ACCEPTED });
        }
    };
    let code = match cli.command {
        args::Command::Check(args) => check::run(&args),
        args::Command::Map(args) => map::run(&args),
        args::Command::Compare(args) => compare::run(&args),
        #[cfg(feature = "simulator")]
        args::Command::Simulate(args) => simulate::run(&args),
        args::Command::Explain(args) => explain::run(&args),
    };
    ExitCode::from(code.unwrap_or_else(|error| {
        output::complain(&error.0);
        USAGE
    }))
}

/// Reads the arguments. An error quotes them, so it is made from their escaped form.
fn parse() -> Result<args::Cli, clap::Error> {
    args::Cli::try_parse().map_err(|error| {
        let escaped = std::env::args_os().map(|argument| source::shown(&argument).to_string());
        match args::Cli::try_parse_from(escaped) {
            Err(error) => error,
            Ok(_) => clap::Error::new(error.kind()),
        }
    })
}

/// A mistake in how the program was called, as a sentence for its user.
#[derive(Debug)]
struct Usage(String);
