//! `tidegate completions` and `tidegate man`.

use std::io::Write;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, Command};
use clap_mangen::Man;

use super::args::{CompletionsArgs, ManArgs};
use super::target::{self, Kind, Place, ours};
use super::{ACCEPTED, Usage, output, teach};
use crate::bytes::Hostile;
use crate::facts::Code;
use crate::rules::row;

pub(super) fn completions(args: &CompletionsArgs) -> Result<u8, Usage> {
    let mut script = Vec::new();
    let mut command = with_codes(teach::command());
    clap_complete::generate(args.shell, &mut command, "tidegate", &mut script);
    output::write(&mut None, &String::from_utf8_lossy(&script))?;
    Ok(ACCEPTED)
}

/// The command, whose findings' codes a shell knows. To the program itself they are any text: it says what is wrong with one.
fn with_codes(command: Command) -> Command {
    let codes = || Code::ALL.iter().map(|&code| (code.as_str(), row(code).title));
    let values = || codes().map(|(code, title)| PossibleValue::new(code).help(title));
    let offer = |arg: Arg| match arg.get_value_names() {
        Some([name]) if name == "CODE" => arg.value_parser(PossibleValuesParser::new(values())),
        _ => arg,
    };
    command.mut_args(offer).mut_subcommands(with_codes)
}

pub(super) fn man(args: &ManArgs) -> Result<u8, Usage> {
    let mut root = teach::command().disable_help_subcommand(true);
    root.build();
    if let Some(dir) = &args.dir {
        let shown = Hostile::from_os(dir.as_os_str());
        let fail = |e: std::io::Error| Usage(format!("cannot write the manual to {shown}: {e}"));
        if target::names_descriptor(dir).is_some() {
            return Err(Usage(format!(
                "--dir takes a folder, and {shown} is none; without it, one page goes to standard output"
            )));
        }
        let mut pages = Vec::new();
        all(&root, &[], &mut pages).map_err(fail)?;
        // Nothing is written before it is known that all can be.
        let looked = |(name, text): (String, Vec<u8>)| {
            let path = dir.join(name);
            let place = Place::look(&path, PAGE).map_err(|why| {
                Usage(format!("cannot write {}: {why}", Hostile::from_os(path.as_os_str())))
            })?;
            Ok((place, text))
        };
        let pages = pages.into_iter().map(looked).collect::<Result<Vec<_>, Usage>>()?;
        std::fs::create_dir_all(dir).map_err(fail)?;
        let count = pages.len();
        for (place, text) in pages {
            let draft = place.draft().map_err(|why| fail(std::io::Error::other(why)))?;
            draft.file().write_all(&text).map_err(fail)?;
            place.settle(draft)?;
        }
        output::complain(&format!("wrote {count} pages to {shown}"));
        return Ok(ACCEPTED);
    }
    // By its words, or as its page is called.
    let name = args.command.join("-");
    let name = name.strip_prefix("tidegate-").unwrap_or(&name);
    let (command, path) = match name {
        "" | "tidegate" => (&root, Vec::new()),
        name => found(&root, name).ok_or_else(|| {
            let name = Hostile::from(args.command.join(" ").as_str());
            Usage(format!("there is no command {name}; `tidegate --help` lists all of them"))
        })?,
    };
    let text = page(command, &path).map_err(|e| Usage(format!("there is no page: {e}")))?;
    output::write(&mut None, &String::from_utf8_lossy(&text))?;
    Ok(ACCEPTED)
}

/// The command of this name, whose words are joined by hyphens, and the way to it.
fn found<'c>(command: &'c Command, name: &str) -> Option<(&'c Command, Vec<&'c str>)> {
    command.get_subcommands().find_map(|inner| match name.strip_prefix(inner.get_name())? {
        "" => Some((inner, vec![inner.get_name()])),
        rest => {
            let (command, below) = found(inner, rest.strip_prefix('-')?)?;
            Some((command, [&[inner.get_name()], &below[..]].concat()))
        }
    })
}

/// What is written to the folder of `man --dir`.
const PAGE: Kind = Kind {
    option: "--dir",
    what: "a page",
    earlier: "a page of tidegate man",
    is_ours: ours::is_page,
    private: false,
};

/// The page of a command and those of all below it, with the names of their files.
fn all(
    command: &Command,
    path: &[&str],
    pages: &mut Vec<(String, Vec<u8>)>,
) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push((format!("{name}.1"), page(command, path)?));
    for inner in command.get_subcommands() {
        all(inner, &[path, &[inner.get_name()]].concat(), pages)?;
    }
    Ok(())
}

fn page(command: &Command, path: &[&str]) -> std::io::Result<Vec<u8>> {
    // Its text has sections of its own here.
    let command = command.clone().after_help(None).after_long_help(None);
    let has_commands = command.has_subcommands();
    let synopsis = synopsis(&command);
    let man = Man::new(command).manual("tidegate").source(env!("CARGO_PKG_VERSION"));
    let mut page = format!("{}{}\n", ours::PAGE, env!("CARGO_PKG_VERSION")).into_bytes();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    writeln!(page, ".SH SYNOPSIS\n{synopsis}")?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some((examples, codes)) = teach::of(path) {
        if !codes.is_empty() {
            writeln!(page, ".SH \"EXIT STATUS\"\n{}", escaped(codes))?;
        }
        writeln!(page, ".SH EXAMPLES\n.nf")?;
        for line in examples {
            writeln!(page, "{}", escaped(line))?;
        }
        writeln!(page, ".fi")?;
    }
    Ok(ascii(&String::from_utf8_lossy(&page)).into_bytes())
}

/// How a command is called, with the values that its options take.
fn synopsis(command: &Command) -> String {
    let named = |arg: &Arg| -> Vec<String> {
        arg.get_value_names().unwrap_or_default().iter().map(|name| name.to_string()).collect()
    };
    let bracketed = |arg: &Arg, text: String| match arg.is_required_set() {
        true => text,
        false => format!("[{text}]"),
    };
    let mut line = format!("\\fB{}\\fR", escaped(command.get_bin_name().unwrap_or("tidegate")));
    let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set());
    for arg in shown().filter(|arg| !arg.is_positional()) {
        let short = arg.get_short().map(|short| format!("-{short}"));
        let long = arg.get_long().map(|long| format!("--{long}"));
        let bold = |name: String| format!("\\fB{}\\fR", escaped(&name));
        let names: Vec<String> = short.into_iter().chain(long).map(bold).collect();
        let mut text = names.join("|");
        if arg.get_action().takes_values() {
            text += &format!(" \\fI{}\\fR", escaped(&named(arg).join(" ")));
        }
        line += &format!(" {}", bracketed(arg, text));
    }
    for arg in shown().filter(|arg| arg.is_positional()) {
        let many = matches!(arg.get_action(), clap::ArgAction::Append);
        let more = if many { "..." } else { "" };
        let text = format!("\\fI{}\\fR", escaped(&named(arg).join(" ")));
        line += &format!(" {}{more}", bracketed(arg, text));
    }
    if command.has_subcommands() {
        line += " \\fICOMMAND\\fR";
    }
    line
}

/// The page without characters that roff takes only if it is told their encoding.
fn ascii(page: &str) -> String {
    let escape = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => format!("\\[u{:04X}]", u32::from(c)),
    };
    page.replace('…', "...").chars().map(escape).collect()
}

/// Text of this program as roff takes it: hyphens that can be copied.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
