//! Text for people: the verdict first, then what was measured, then what was found and what to do.

use std::fmt::Write;

use anstyle::{AnsiColor, Style as Paint};

use super::wrap::{with_commands, wrap};
use super::{Style, guest};
use crate::bytes::human_size;
use crate::facts::{Compression, DiskFormat};
use crate::guest::inside::VolumeInside;
use crate::guest::{Partition, PartitionTable, Scheme};
use crate::inspect::{Finding, Mode, Receipt, Report, State, Verdict};
use crate::rules::Severity;

/// Columns before the text of a finding.
const INDENT: usize = 10;

/// Columns before what is said of a partition.
const PARTITION_INDENT: usize = 20;

/// Cells of the bar that shows a size against the limit.
const BAR: usize = 10;

/// One image, in full.
#[must_use]
pub fn render(report: &Report, style: Style) -> String {
    let mut out = format!("{}  {}\n", verdict(report.verdict, style), name(&report.source));
    if report.is_not_checked() {
        return line(report, style);
    }
    if let Some(error) = &report.error {
        let _ = writeln!(out, "\n  {}", wrap(&sentence(&error.message), style.width, 2));
        return out;
    }
    out.push('\n');
    layers(report, style, &mut out);
    receipt(report, style, &mut out);
    for finding in &report.findings {
        out.push('\n');
        write_finding(finding, style, &mut out);
    }
    if let Some(boot) = &report.boot {
        out.push_str(&super::booted::text(boot, style));
    }
    unmade(report, style, &mut out);
    out
}

/// What refuses an image, in a few words: its first finding, or why there is no verdict.
#[must_use]
pub fn reason(report: &Report) -> &str {
    match (&report.error, report.findings.first()) {
        (Some(error), _) => &error.kind,
        (None, Some(finding)) => finding.code.as_str(),
        (None, None) => report.verdict.as_str(),
    }
}

/// One line for an image: what a quiet run prints.
#[must_use]
pub fn line(report: &Report, style: Style) -> String {
    let mut out = format!("{}  {}", verdict(report.verdict, style), name(&report.source));
    if let Some(error) = &report.error {
        let _ = write!(out, ": {}", name(&error.message));
    }
    let mut codes: Vec<&str> = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.severity != Severity::Note) {
        if !codes.contains(&finding.code.as_str()) {
            codes.push(finding.code.as_str());
        }
    }
    if !codes.is_empty() {
        let _ = write!(out, ": {}", codes.join(", "));
    }
    out.push('\n');
    out
}

/// A name in a line of its own. Blanks that stand together or at an end are escaped, and so are all others than the space:
/// with enough of them, a terminal shows the rest of the name where the next line would be.
pub(super) fn name(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut after_blank = true;
    while let Some(c) = chars.next() {
        let apart = after_blank || chars.peek().is_none();
        match c.is_whitespace() && (c != ' ' || apart) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
        after_blank = c.is_whitespace();
    }
    out
}

fn paint(text: &str, color: AnsiColor, style: Style) -> String {
    if !style.color {
        return text.to_owned();
    }
    let paint = Paint::new().fg_color(Some(color.into())).bold();
    format!("{paint}{text}{paint:#}")
}

pub(super) fn verdict(verdict: Verdict, style: Style) -> String {
    match verdict {
        Verdict::Accept => paint("ACCEPT", AnsiColor::Green, style),
        Verdict::Warn => paint("WARN  ", AnsiColor::Yellow, style),
        Verdict::Reject => paint("REJECT", AnsiColor::Red, style),
        Verdict::Error => paint("ERROR ", AnsiColor::Red, style),
    }
}

/// The three layers, with sizes against the limit, and the digests.
fn layers(report: &Report, style: Style, out: &mut String) {
    let packed = match report.compression {
        Some(Compression::None) => "not compressed",
        None => "not read",
        Some(compression) => compression.as_str(),
    };
    let file = report.file_size.map_or("? B".to_owned(), human_size);
    let _ = writeln!(out, "  file   {file:>9}  {packed}");
    if let Some(requests) = report.requests.filter(|_| !report.complete) {
        let read = human_size(report.bytes_read);
        let times = if requests == 1 { "request" } else { "requests" };
        let _ = writeln!(out, "  read   {read:>9}  in {requests} {times}");
    }
    if let Some(format) = report.disk_format {
        let what = std::iter::once(format.as_str()).chain(report.traits.iter().map(String::as_str));
        let what = what.collect::<Vec<_>>().join(", ");
        size_line("image", &what, report.image_size, report.limit, out);
        let raw_unread = format == DiskFormat::Raw && report.virtual_size.is_none();
        if report.virtual_size.is_some() || raw_unread {
            let what = partitions(report.partition_table.as_ref());
            size_line("disk", &what, report.virtual_size, report.limit, out);
            if style.verbose {
                list_partitions(report, style, out);
            }
        }
        let inside = report.guest.as_ref().map(guest::summary).unwrap_or_default();
        if !inside.is_empty() {
            let _ = writeln!(out, "  guest             {inside}");
        }
    }
    for (name, digest) in [
        ("sha256 of the file", &report.digests.sha256),
        ("sha256 of the image", &report.digests.image_sha256),
        ("sha256 of the disk", &report.digests.disk_sha256),
    ] {
        if let Some(digest) = digest {
            let _ = writeln!(out, "  {name}\n         {digest}");
        }
    }
}

/// What a receipt had to do with it.
fn receipt(report: &Report, style: Style, out: &mut String) {
    let text = match &report.receipt {
        Some(Receipt::Unchanged { checked_at, .. }) => {
            format!("unchanged since {checked_at}: its receipt counts, and it was not read again")
        }
        Some(Receipt::None { why }) => format!("no receipt was made: {why}"),
        Some(Receipt::Kept) | None => return,
    };
    let _ = writeln!(out, "  {}", wrap(&text, style.width, 2));
}

fn size_line(layer: &str, what: &str, size: Option<u64>, limit: u64, out: &mut String) {
    let _ = match size {
        Some(size) => {
            writeln!(out, "  {layer:<6} {:>9}  {}  {what}", human_size(size), bar(size, limit))
        }
        None => writeln!(out, "  {layer:<6} {:>9}  {what}", "size ?"),
    };
}

/// A size against the limit: filled cells and per cent.
fn bar(size: u64, limit: u64) -> String {
    let share = size as f64 / limit.max(1) as f64;
    let filled = ((share * BAR as f64).ceil() as usize).min(BAR);
    let cells = "#".repeat(filled) + &".".repeat(BAR - filled);
    let (mark, percent) = match share * 100.0 {
        percent if size >= limit => (", over", percent.max(100.0)),
        // 100 % is only said of what has reached the limit.
        percent => ("", percent.min(99.9)),
    };
    let limit = human_size(limit).replace(".0 ", " ");
    format!("[{cells}] {percent:>5.1} % of {limit}{mark}")
}

pub(super) fn partitions(table: Option<&PartitionTable>) -> String {
    let Some(table) = table else { return "partition table not read".to_owned() };
    let count = table.partitions.len();
    let noun = if count == 1 { "partition" } else { "partitions" };
    match table.scheme {
        Scheme::None => "no partition table".to_owned(),
        scheme if table.left_out > 0 => format!(
            "{}, {count} {noun}, {} more that Linux does not show",
            scheme.as_str(),
            table.left_out
        ),
        scheme => format!("{}, {count} {noun}", scheme.as_str()),
    }
}

/// The partitions, one on a line: number, size, type, and what they hold.
fn list_partitions(report: &Report, style: Style, out: &mut String) {
    for partition in report.partition_table.iter().flat_map(|table| &table.partitions) {
        let size = human_size(partition.size);
        let kind = partition.type_name.as_ref().unwrap_or(&partition.kind);
        let mut parts = vec![kind.clone()];
        if let Some(volume) = volume_of(report, partition) {
            parts.push(guest::holds(volume).to_owned());
            parts.extend(volume.label.as_ref().map(|label| format!("label {}", name(label))));
        }
        let said = wrap(&parts.join(", "), style.width, PARTITION_INDENT);
        let _ = writeln!(out, "    {:>4} {size:>9}  {said}", partition.number);
    }
}

/// What a partition holds, if that was examined.
pub(super) fn volume_of<'r>(report: &'r Report, partition: &Partition) -> Option<&'r VolumeInside> {
    let volumes = report.guest.iter().flat_map(|inside| &inside.volumes);
    volumes.into_iter().find(|volume| volume.partition == Some(partition.number))
}

fn write_finding(finding: &Finding, style: Style, out: &mut String) {
    let color = match finding.severity {
        Severity::Reject => AnsiColor::Red,
        Severity::Warn => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
    };
    let word = paint(&format!("{:<6}", finding.severity.as_str()), color, style);
    let wrapped = |line: &str| wrap(line, style.width, INDENT);
    let mut lines = vec![
        wrapped(&sentence(&format!("{} ({})", finding.row().title, finding.place()))),
        wrapped(&finding.message),
        with_commands(&format!("Fix: {}", finding.remedy), style.width, INDENT),
    ];
    if finding.repairable && finding.severity == Severity::Reject && !finding.row().beside {
        lines.push("Or let tidegate push repack it on the way.".to_owned());
    }
    let _ = write!(out, "  {word}  ");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            let _ = write!(out, "{:INDENT$}", "");
        }
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "{:INDENT$}More: tidegate explain {}", "", finding.code.as_str());
}

/// What a check did not look at: a green line says no more than it means.
fn unmade(report: &Report, style: Style, out: &mut String) {
    let unmade: Vec<_> = report.checks.iter().filter(|check| check.state != State::Done).collect();
    if unmade.is_empty() {
        return;
    }
    let how = if report.mode == Mode::Quick { " by this quick check" } else { "" };
    let _ = writeln!(out, "\n  Not checked in full{how}:");
    for check in unmade {
        let state = if check.state == State::Partial { "in part" } else { "not" };
        let text = format!("{} ({state}: {})", check.id.replace('-', " "), check.why);
        let _ = writeln!(out, "    {}", wrap(&text, style.width, 4));
    }
}

/// The text with a capital first letter.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_a_name_make_no_line() {
        assert_eq!(name("a b.img"), "a b.img");
        assert_eq!(name("a   b"), "a \\u{20}\\u{20}b");
        assert_eq!(name(" a "), "\\u{20}a\\u{20}");
        assert_eq!(name("a\u{a0}b\u{3000}"), "a\\u{a0}b\\u{3000}");
    }

    #[test]
    fn the_bar_is_full_only_at_the_limit() {
        assert_eq!(bar(0, 100), "[..........]   0.0 % of 100 B");
        assert_eq!(bar(50, 100), "[#####.....]  50.0 % of 100 B");
        assert!(bar(99_999, 100_000).contains("99.9 %"));
        assert_eq!(bar(100, 100), "[##########] 100.0 % of 100 B, over");
        assert!(bar(u64::MAX, 100).ends_with("over"));
    }
}
