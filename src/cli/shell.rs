//! `tidegate completions` and `tidegate man`.

use std::io::Write;
use std::path::Path;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, Command};
use clap_mangen::Man;

use super::args::{CompletionsArgs, ManArgs};
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
        std::fs::create_dir_all(dir).map_err(fail)?;
        let count = write(&root, &[], dir).map_err(fail)?;
        output::complain(&format!("wrote {count} pages to {shown}"));
        return Ok(ACCEPTED);
    }
    let mut command = &root;
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            let name = Hostile::from(name.as_str());
            Usage(format!("there is no command {name}; `tidegate --help` lists all of them"))
        })?;
    }
    let path: Vec<&str> = args.command.iter().map(String::as_str).collect();
    let text = page(command, &path).map_err(|e| Usage(format!("there is no page: {e}")))?;
    output::write(&mut None, &String::from_utf8_lossy(&text))?;
    Ok(ACCEPTED)
}

/// Writes the page of a command and those of all below it; how many there are.
fn write(command: &Command, path: &[&str], dir: &Path) -> std::io::Result<usize> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    std::fs::write(dir.join(format!("{name}.1")), page(command, path)?)?;
    let mut count = 1;
    for inner in command.get_subcommands() {
        count += write(inner, &[path, &[inner.get_name()]].concat(), dir)?;
    }
    Ok(count)
}

fn page(command: &Command, path: &[&str]) -> std::io::Result<Vec<u8>> {
    // Its text has sections of its own here.
    let command = command.clone().after_help(None).after_long_help(None);
    let has_commands = command.has_subcommands();
    let man = Man::new(command).manual("tidegate").source(env!("CARGO_PKG_VERSION"));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
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
