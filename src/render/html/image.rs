//! The part of the page that is about one image.

use std::fmt::Write;

use super::super::markup::escape;
use super::super::wrap::{Part, parts};
use super::super::{map, text};
use super::{badge, bytes, scale};
use crate::bytes::human_size;
use crate::guest::{PartitionTable, Scheme};
use crate::inspect::{Excerpt, Finding, Look, Map, Report, State};
use crate::rules::Severity;

/// Partitions that are listed; hostile tables have thousands.
const LISTED: usize = 128;

pub(super) fn write(number: usize, report: &Report, look: &Look, out: &mut String) {
    let _ = writeln!(
        out,
        "<section class=\"image {}\" id=\"image-{number}\" aria-labelledby=\"name-{number}\">\n\
         <h2 id=\"name-{number}\">{} <bdi>{}</bdi></h2>",
        report.verdict.as_str(),
        badge(report.verdict),
        escape(&report.source)
    );
    if let Some(error) = &report.error {
        let message = escape(&text::sentence(&error.message));
        let _ =
            writeln!(out, "<p class=\"error\">{message} <code>{}</code></p>", escape(&error.kind));
    } else {
        let checked =
            report.checked_at.as_deref().map(|date| format!(" Checked {}.", escape(date)));
        let checked = checked.unwrap_or_default();
        let _ = writeln!(out, "<p class=\"says\">{}{checked}</p>", says(report));
        findings(report, &look.excerpts, out);
        scale::write(report, out);
        digests(report, out);
        if let Some(table) = &report.partition_table {
            partitions(table, report, out);
        }
        allocation(&look.map, out);
        checks(report, out);
    }
    out.push_str("</section>\n");
}

/// The verdict in a sentence, which says no more than was checked.
fn says(report: &Report) -> &'static str {
    use crate::inspect::Verdict;
    let whole = report.checks.iter().all(|check| check.state == State::Done);
    match report.verdict {
        Verdict::Accept if whole => "Nothing that was checked speaks against it.",
        Verdict::Accept => "Nothing speaks against it, as far as it was checked.",
        Verdict::Warn => "DigitalOcean would take it; read the warnings before it goes there.",
        Verdict::Reject => "It would be refused, or would not work.",
        Verdict::Error => "There is no verdict.",
    }
}

fn findings(report: &Report, excerpts: &[Result<Excerpt, String>], out: &mut String) {
    if report.findings.is_empty() {
        return;
    }
    out.push_str("<h3>Findings</h3>\n");
    for (finding, excerpt) in report.findings.iter().zip(excerpts) {
        write_finding(finding, excerpt, out);
    }
}

fn remedy(text: &str) -> String {
    let marked = |part| match part {
        Part::Words(words) => escape(words),
        Part::Command(command) => format!("<code>{}</code>", escape(command)),
    };
    parts(text).map(marked).collect()
}

fn write_finding(finding: &Finding, excerpt: &Result<Excerpt, String>, out: &mut String) {
    let place = finding.offset.map_or(String::new(), |offset| format!(", byte {offset}"));
    let severity = finding.severity.as_str();
    let _ = write!(
        out,
        "<article class=\"finding {severity}\">\n<h4><span class=\"badge {severity}\">{severity}</span> {}</h4>\n\
         <p class=\"place\">In the {}{place} · <code>{}</code></p>\n<p>{}</p>\n\
         <p><strong>Fix:</strong> {}{}</p>\n",
        escape(&text::sentence(finding.row().title)),
        finding.layer.as_str(),
        finding.code.as_str(),
        escape(&finding.message),
        remedy(&finding.remedy),
        if finding.repairable && finding.severity == Severity::Reject && !finding.row().beside {
            " Or let <code>tidegate push</code> repack it on the way."
        } else {
            ""
        }
    );
    match (excerpt, finding.offset) {
        (Ok(excerpt), Some(offset)) => bytes::write(excerpt, offset, finding.layer, out),
        (Err(why), Some(_)) => {
            let _ =
                writeln!(out, "<p class=\"absent\">The bytes are not shown: {}.</p>", reason(why));
        }
        _ => {}
    }
    out.push_str("</article>\n");
}

/// A reason within a sentence.
fn reason(why: &str) -> String {
    escape(why.trim_end_matches('.'))
}

fn digests(report: &Report, out: &mut String) {
    let digests = [
        ("file", &report.digests.sha256),
        ("image", &report.digests.image_sha256),
        ("disk", &report.digests.disk_sha256),
    ];
    if digests.iter().all(|(_, digest)| digest.is_none()) {
        return;
    }
    out.push_str("<h3>SHA-256</h3>\n<dl>\n");
    for (layer, digest) in digests {
        if let Some(digest) = digest {
            let _ = writeln!(out, "<dt>{layer}</dt><dd><code>{}</code></dd>", escape(digest));
        }
    }
    out.push_str("</dl>\n");
}

fn partitions(table: &PartitionTable, report: &Report, out: &mut String) {
    let size = report.virtual_size;
    let said = match text::partitions(Some(table)).split_once(", ") {
        Some((scheme, count)) => format!("{}, {count}", scheme.to_uppercase()),
        None => text::sentence(&text::partitions(Some(table))),
    };
    let _ = writeln!(out, "<h3>Partitions</h3>\n<p>{said}.</p>");
    if table.scheme == Scheme::None || table.partitions.is_empty() {
        return;
    }
    if let Some(size) = size {
        scale::strip(&table.partitions, size, out);
    }
    out.push_str(
        "<div class=\"wide\" role=\"group\" aria-label=\"Partition table\" tabindex=\"0\">\n<table>\n<thead><tr>\
         <th scope=\"col\">No.</th><th scope=\"col\">Name</th><th scope=\"col\">Start</th>\
         <th scope=\"col\">Size</th><th scope=\"col\">Type</th></tr></thead>\n<tbody>\n",
    );
    for partition in table.partitions.iter().take(LISTED) {
        let name = if partition.name.is_empty() { "–" } else { &partition.name };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td><bdi>{}</bdi></td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td><code>{}</code></td></tr>",
            partition.number,
            escape(name),
            partition.start,
            human_size(partition.size),
            escape(&partition.kind)
        );
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    let more = table.partitions.len().saturating_sub(LISTED);
    if more > 0 {
        let _ = writeln!(out, "<p>And {more} more.</p>");
    }
}

fn allocation(found: &Result<Map, String>, out: &mut String) {
    out.push_str("<h3>Allocation of the disk</h3>\n");
    let map = match found {
        Ok(map) => map,
        Err(why) => {
            let _ = writeln!(out, "<p class=\"absent\">No map: {}.</p>", reason(why));
            return;
        }
    };
    let _ = writeln!(out, "<figure>\n{}\n<figcaption>", map::cells(map));
    for (class, name) in [
        ("u", "unallocated: never written"),
        ("z", "zero: the image says so"),
        ("d1", "a little data"),
        ("d4", "all data"),
        ("x", "unreadable"),
    ] {
        let _ = writeln!(
            out,
            "<span class=\"key\"><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><path class=\"{class}\" d=\"M1 1h10v10h-10z\"/></svg> {name}</span>"
        );
    }
    let _ = writeln!(
        out,
        "<span class=\"totals\">{}; a cell is {} bytes.</span>\n</figcaption>\n</figure>",
        text::sentence(&map::totals(map)),
        map.cell
    );
}

fn checks(report: &Report, out: &mut String) {
    let (made, unmade): (Vec<_>, Vec<_>) =
        report.checks.iter().partition(|check| check.state == State::Done);
    if !unmade.is_empty() {
        out.push_str("<h3>Not checked in full</h3>\n<ul>\n");
        for check in unmade {
            let state = if check.state == State::Partial { "in part" } else { "not" };
            let name = escape(&text::sentence(&check.id.replace('-', " ")));
            let _ =
                writeln!(out, "<li><strong>{name}</strong> ({state}): {}</li>", escape(&check.why));
        }
        out.push_str("</ul>\n");
    }
    if !made.is_empty() {
        let names: Vec<_> = made.iter().map(|check| check.id.replace('-', " ")).collect();
        let _ =
            writeln!(out, "<p class=\"made\">Checked in full: {}.</p>", escape(&names.join(", ")));
    }
}
