//! The command line: arguments, exit codes, the terminal. It knows no bytes of any format.

mod args;
#[cfg(feature = "boot")]
mod boot;
mod check;
mod checksums;
mod clock;
mod compare;
mod config;
#[cfg(feature = "net")]
mod doctor;
mod document;
mod explain;
mod folder;
#[cfg(feature = "net")]
mod image;
mod images;
mod inside;
mod jobs;
mod map;
mod merged;
#[cfg_attr(not(feature = "net"), path = "no_net.rs")]
mod net;
mod output;
mod packer;
mod progress;
mod project;
#[cfg(feature = "net")]
mod push;
mod receipts;
mod repack;
mod report;
mod shell;
mod signals;
#[cfg(feature = "simulator")]
mod simulate;
mod target;
mod teach;
mod threads;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::sync::Arc;

use clap::FromArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::source;

/// The image was accepted.
const ACCEPTED: u8 = 0;
/// The image was rejected.
const REJECTED: u8 = 1;
/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// The image could not be read.
const UNREADABLE: u8 = 3;
/// DigitalOcean refused or failed.
#[cfg(feature = "net")]
const REFUSED: u8 = 4;
/// The import failed on DigitalOcean's side.
#[cfg(feature = "net")]
const IMPORT_FAILED: u8 = 5;
/// A signal that ends programs (SIGINT, SIGTERM, SIGHUP, SIGQUIT), or a question that was not answered with yes.
const INTERRUPTED: u8 = 130;

/// Runs the command that the arguments ask for.
pub fn main() -> ExitCode {
    #[cfg(feature = "boot")]
    if let Some(error) = crate::boot::become_another(std::env::args_os().skip(1)) {
        output::complain(&error.to_string());
        return ExitCode::from(USAGE);
    }
    if has_token() {
        output::complain(
            "a token on the command line is refused: every process of the machine can read it there, and \
             shells and CI logs keep it; use DIGITALOCEAN_TOKEN or --token-file",
        );
        return ExitCode::from(USAGE);
    }
    if let Some(file) = file_for_option() {
        output::complain(&format!(
            "{file} is an option, and a file here too; write -- before the names of images, or rename the file"
        ));
        return ExitCode::from(USAGE);
    }
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results, everything else is a complaint; clap knows which.
            let printed = error.print();
            if error.use_stderr() {
                return ExitCode::from(USAGE);
            }
            return ExitCode::from(match output::for_people(printed) {
                Ok(()) => ACCEPTED,
                Err(unwritten) => {
                    output::complain(&unwritten.0);
                    USAGE
                }
            });
        }
    };
    signals::bear_limits();
    #[cfg(feature = "net")]
    {
        signals::keep_memory();
        net::know_secrets();
    }
    let code = match cli.command {
        args::Command::Check(args) => check::run(&Arc::from(args)),
        args::Command::Repack(args) => repack::run(&args),
        #[cfg(feature = "boot")]
        args::Command::Boot(args) => boot::run(&args),
        args::Command::Map(args) => map::run(&args),
        args::Command::Compare(args) => compare::run(&args),
        args::Command::Inspect(args) => inside::inspect(&args),
        args::Command::Ls(args) => inside::ls(&args),
        args::Command::Cat(args) => inside::cat(&args),
        #[cfg(feature = "net")]
        args::Command::Push(args) => push::run(*args),
        #[cfg(feature = "net")]
        args::Command::Sweep(args) => push::sweep::run(args),
        #[cfg(feature = "net")]
        args::Command::Image(args) => image::run(&args),
        #[cfg(feature = "simulator")]
        args::Command::Simulate(args) => simulate::run(&args),
        args::Command::Explain(args) => explain::run(&args),
        args::Command::VerifyReceipt(args) => receipts::verify(&args),
        args::Command::Report(args) => report::run(&args),
        args::Command::Init => config::init(),
        args::Command::Config(args) => config::config(&args),
        #[cfg(feature = "net")]
        args::Command::Doctor(args) => doctor::run(&args),
        args::Command::Completions(args) => shell::completions(&args),
        args::Command::Man(args) => shell::man(&args),
    };
    ExitCode::from(code.unwrap_or_else(|error| {
        output::complain(&error.0);
        USAGE
    }))
}

/// Reads the arguments. An error quotes them, so it is made from their escaped form.
fn parse() -> Result<args::Cli, clap::Error> {
    let read = |arguments: Vec<OsString>| {
        let matches = teach::command().try_get_matches_from(arguments)?;
        args::Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut teach::command()))
    };
    read(std::env::args_os().collect()).map_err(|error| {
        let escaped = std::env::args_os().map(|argument| shown(&argument).into());
        match read(escaped.collect()) {
            Err(error) => error,
            Ok(_) => escaped_error(error),
        }
    })
}

/// The same error with the value that was refused in its escaped form, in which it would be taken.
fn escaped_error(mut error: clap::Error) -> clap::Error {
    let refused = error.get(ContextKind::InvalidValue).cloned();
    match refused {
        Some(ContextValue::String(value)) => {
            let value = shown(OsStr::new(&value));
            error.insert(ContextKind::InvalidValue, ContextValue::String(value));
            error
        }
        _ if error.kind() == ErrorKind::InvalidUtf8 => {
            let odd = std::env::args_os().skip(1).filter(|argument| argument.to_str().is_none());
            let odd: Vec<String> = odd.map(|argument| shown(&argument)).collect();
            let why = format!("an argument has to be text, and is no UTF-8: {}\n", odd.join(", "));
            clap::Error::raw(error.kind(), why)
        }
        _ => clap::Error::new(error.kind()),
    }
}

/// How tokens of DigitalOcean begin: of a person, an application, a refresh.
const TOKENS: [&str; 3] = ["dop_v1_", "doo_v1_", "dor_v1_"];

/// Whether the arguments have an option for a token, which no command has, or a token itself.
fn has_token() -> bool {
    const NAMES: [&str; 4] = ["--token", "--access-token", "--api-token", "--digitalocean-token"];
    let is_token = |text: &str| TOKENS.iter().any(|begin| text.starts_with(begin));
    std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| {
        let text = argument.to_string_lossy();
        NAMES.contains(&text.split('=').next().unwrap_or_default()) || text.split('=').any(is_token)
    })
}

/// The argument that would be taken for an option although it is a file here, for commands that take files: whoever wrote
/// `*` means the file, and whoever puts files into a folder may call one so.
fn file_for_option() -> Option<String> {
    const COMMANDS: [&str; 10] =
        ["boot", "cat", "check", "compare", "inspect", "ls", "map", "push", "repack", "report"];
    let mut arguments = std::env::args_os().skip(1);
    if !arguments.next().is_some_and(|command| COMMANDS.iter().any(|it| command == *it)) {
        return None;
    }
    let is_file = |argument: &OsString| {
        argument.as_encoded_bytes().starts_with(b"-")
            && argument != "-"
            && std::path::Path::new(argument).symlink_metadata().is_ok()
    };
    arguments.take_while(|argument| argument != "--").find(is_file).map(|file| shown(&file))
}

/// An argument for people. What looks like a token of DigitalOcean is not shown, wherever it was put.
fn shown(argument: &OsStr) -> String {
    let text = source::shown(argument).to_string();
    match TOKENS.iter().filter_map(|begin| text.find(begin)).min() {
        Some(at) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A mistake in how the program was called, as a sentence for its user.
#[derive(Debug)]
struct Usage(String);
