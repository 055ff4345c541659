//! Annotations of GitHub Actions (workflow commands), and the summary of a job in Markdown.
//!
//! The runner takes commands from whatever is printed: `::` at the beginning of a line, and `##[`
//! anywhere in one. Nothing from outside may make either.

use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};

use super::pieces::Pieces;
use super::span::Span;
use super::{Document, Tally, place, text};
use crate::bytes::human_size;
use crate::inspect::{Check, Finding, Look, Report, State, Verdict};
use crate::rules::Severity;

/// A line for the log with each image's verdict, and an annotation for each finding and each image that
/// could not be read. Files below its root are named relative to it.
pub struct Annotations {
    root: PathBuf,
    lines: Pieces,
}

impl Annotations {
    /// Those of no image yet.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Annotations { root, lines: Pieces::default() }
    }
}

impl Document for Annotations {
    fn add(&mut self, report: &Report, _: &dyn Fn() -> Look) -> io::Result<()> {
        self.lines.push(&annotations(report, &self.root))
    }

    fn write(self: Box<Self>, out: &mut dyn io::Write) -> io::Result<()> {
        self.lines.pour(out)
    }
}

fn annotations(report: &Report, root: &Path) -> String {
    let mut out = format!("{}: {}\n", report.verdict.as_str(), log(&text::name(&report.source)));
    let file = place::path(report, root);
    if let Some(error) = &report.error {
        let title = format!("tidegate: {}", error.kind);
        let message = format!("{}: {}", report.source, error.message);
        command("error", file.as_deref(), &title, &message, &mut out);
    }
    for finding in &report.findings {
        let name = match finding.severity {
            Severity::Reject => "error",
            Severity::Warn => "warning",
            Severity::Note => "notice",
        };
        let title = format!("tidegate: {}", finding.code.as_str());
        let message = format!("{}: {}", report.source, told(finding));
        command(name, file.as_deref(), &title, &message, &mut out);
    }
    out
}

fn told(finding: &Finding) -> String {
    format!(
        "{} ({})\n{}\nFix: {}",
        finding.row().title,
        finding.place(),
        finding.message,
        finding.remedy
    )
}

fn command(name: &str, file: Option<&str>, title: &str, message: &str, out: &mut String) {
    let file = file.map_or(String::new(), |file| format!("file={},", property(file)));
    let _ = writeln!(out, "::{name} {file}title={}::{}", property(title), data(message));
}

/// What follows a command, as the runner takes it apart.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Text in a line that is no command, after words of our own.
fn log(text: &str) -> String {
    text.replace(['\r', '\n'], " ").replace("##", "#\\u{23}")
}

/// Bytes after which a summary has no more rows, and no more details: GitHub takes 1 MiB of a step, and what is about
/// one image needs far less than the rest.
const LONGEST: usize = 384 << 10;

/// The summary of a job: a table of the images, then what was found in each.
#[derive(Default)]
pub struct Summary {
    tally: Tally,
    span: Span,
    rows: String,
    /// Images that have no row.
    unlisted: usize,
    details: String,
    /// Whether there are more details than are told.
    more: bool,
}

impl Summary {
    /// Takes the next image.
    pub fn add(&mut self, report: &Report) {
        self.tally.add(report);
        self.span.add(report);
        match self.rows.len() > LONGEST {
            true => self.unlisted += 1,
            false => write_row(report, &mut self.rows),
        }
        match self.details.len() > LONGEST {
            true => self.more |= has_details(report),
            false => details(report, &mut self.details),
        }
    }
}

/// The summary in Markdown.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "### tidegate\n\n{}\n", markdown(&self.tally.to_string()))?;
        let span = self.span.to_string();
        if !span.is_empty() {
            writeln!(f, "{}\n", markdown(span.trim_start()))?;
        }
        f.write_str("| verdict | image | format | file | disk | findings |\n")?;
        f.write_str("| --- | --- | --- | ---: | ---: | --- |\n")?;
        f.write_str(&self.rows)?;
        if self.unlisted > 0 {
            writeln!(f, "\n{} more images are in the log.", self.unlisted)?;
        }
        f.write_str(&self.details)?;
        if self.more {
            f.write_str("\nWhat else was found is in the annotations.\n")?;
        }
        f.write_str("\n")
    }
}

fn write_row(report: &Report, out: &mut String) {
    let size = |size: Option<u64>| size.map_or("?".to_owned(), human_size);
    let mut codes: Vec<&str> = report.findings.iter().map(|f| f.code.as_str()).collect();
    codes.dedup();
    let format = match (report.disk_format, report.compression) {
        (Some(format), Some(packed)) if packed.as_str() != "none" => {
            format!("{}, {}", format.as_str(), packed.as_str())
        }
        (Some(format), _) => format.as_str().to_owned(),
        (None, _) => "?".to_owned(),
    };
    let _ = writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} |",
        mark(report.verdict),
        markdown(&report.source),
        markdown(&format),
        markdown(&size(report.file_size)),
        markdown(&size(report.virtual_size)),
        markdown(&codes.join(", "))
    );
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "✅ accept",
        Verdict::Warn => "⚠️ warn",
        Verdict::Reject => "❌ reject",
        Verdict::Error => "❌ error",
    }
}

fn has_details(report: &Report) -> bool {
    report.error.is_some() || !report.findings.is_empty() || unmade(report).next().is_some()
}

fn unmade(report: &Report) -> impl Iterator<Item = &Check> {
    report.checks.iter().filter(|check| check.state != State::Done)
}

fn details(report: &Report, out: &mut String) {
    if !has_details(report) {
        return;
    }
    let _ = writeln!(out, "\n#### {}\n", markdown(&report.source));
    if let Some(error) = &report.error {
        let _ = writeln!(out, "- **error** {}", markdown(&error.message));
    }
    for finding in &report.findings {
        let _ = writeln!(
            out,
            "- **{}** {}: {} Fix: {}",
            finding.severity.as_str(),
            markdown(finding.row().title),
            markdown(&finding.message),
            markdown(&finding.remedy)
        );
    }
    for check in unmade(report) {
        let _ = writeln!(
            out,
            "- not checked in full: {} ({})",
            markdown(&check.id),
            markdown(&check.why)
        );
    }
}

/// Text in a paragraph, a list or a cell of Markdown. As a character reference, punctuation is itself
/// and nothing else, in Markdown and in HTML.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            c if c.is_ascii_punctuation() => {
                let _ = write!(out, "&#{};", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_stays_on_its_line_and_in_its_fields() {
        let mut out = String::new();
        command("error", Some("a,b:c%\n::error::x"), "t::u", "m\r\n::set-output::y", &mut out);
        assert_eq!(
            out,
            "::error file=a%2Cb%3Ac%25%0A%3A%3Aerror%3A%3Ax,title=t%3A%3Au::m%0D%0A::set-output::y\n"
        );
    }

    #[test]
    fn a_line_of_the_log_has_no_command_of_the_older_kind() {
        assert_eq!(log("a##[error]b\n##[x]"), "a#\\u{23}[error]b #\\u{23}[x]");
    }

    #[test]
    fn markdown_is_text() {
        assert_eq!(markdown("a|b*\n<i"), "a&#124;b&#42; &#60;i");
    }
}
