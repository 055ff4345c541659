//! What came of a boot, as reports show it.

use std::fmt::Write;

use super::Style;
use super::wrap::wrap;
use crate::inspect::booted::{Booted, Reached, State};

/// Columns before the words of a stage.
const INDENT: usize = 14;

/// What came of it, in a sentence.
pub(super) fn summary(boot: &Booted) -> String {
    let how = match boot.accelerator.as_str() {
        "tcg" => " with an emulated processor",
        _ => "",
    };
    let seconds = boot.seconds;
    match boot.failed() {
        None => format!("It came up, in {seconds:.1} s{how}."),
        Some(failed) => {
            format!("It did not come up, in {seconds:.1} s{how}. {}.", stage(failed))
        }
    }
}

/// A stage in words, with what is known of it.
pub(super) fn stage(reached: &Reached) -> String {
    let mark = match reached.state {
        State::Reached => "",
        State::Skipped => "not seen: ",
        State::Failed | State::Missed => "Not reached: ",
    };
    let said = if reached.said.is_empty() { String::new() } else { format!(" ({})", reached.said) };
    format!("{mark}{}{said}", reached.stage.said())
}

/// When it was reached.
pub(super) fn moment(reached: &Reached) -> String {
    reached.seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.1} s"))
}

/// What the screen and the consoles showed, each with what it is.
pub(super) fn shown(boot: &Booted) -> Vec<(&'static str, &[String])> {
    let command = boot.command.as_ref().map_or(&[][..], |command| command.output.as_slice());
    let all = [
        ("The last lines of the command", command),
        ("The screen", boot.screen.as_slice()),
        ("The last lines of the serial console", boot.serial.as_slice()),
    ];
    all.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
}

/// All of it, for people.
pub(super) fn text(boot: &Booted, style: Style) -> String {
    let mut out = format!("\n  Boot: {}\n", wrap(&summary(boot), style.width, 8));
    for reached in &boot.stages {
        let (moment, stage) = (moment(reached), stage(reached));
        let _ = writeln!(out, "    {moment:>8}  {}", wrap(&stage, style.width, INDENT));
    }
    for (what, lines) in shown(boot) {
        let _ = writeln!(out, "\n  {what}:");
        for line in lines {
            let _ = writeln!(out, "    | {line}");
        }
    }
    if boot.screenshot.is_some() {
        out.push_str("\n  The reports in JSON and HTML have a picture of the screen.\n");
    }
    out
}
