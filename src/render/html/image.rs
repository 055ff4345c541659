//! The part of the page that is about one image.

use super::super::markup::Markup;
use super::super::wrap::{Part, parts};
use super::super::{booted as boots, guest, map, text};
use super::{badge, bytes, scale};
use crate::bytes::human_size;
use crate::guest::inside::Inside;
use crate::guest::{PartitionTable, Scheme};
use crate::inspect::booted::Booted;
use crate::inspect::{Excerpt, Finding, Look, Map, Report, State};
use crate::rules::Severity;

/// Partitions that are listed; hostile tables have thousands.
const LISTED: usize = 128;

pub(super) fn write(number: usize, report: &Report, look: &Look, out: &mut Markup) {
    out.add(
        "<section class=\"image {}\" id=\"image-{}\" aria-labelledby=\"name-{}\">\n<h2 id=\"name-{}\">{} <bdi>{}</bdi></h2>\n",
        &[
            &report.verdict.as_str(),
            &number,
            &number,
            &number,
            &badge(report.verdict),
            &report.source,
        ],
    );
    if let Some(error) = &report.error {
        let message = text::sentence(&error.message);
        out.add("<p class=\"error\">{} <code>{}</code></p>\n", &[&message, &&*error.kind]);
    } else {
        let checked = report.checked_at.as_deref().map(|date| format!(" Checked {date}."));
        let checked = checked.unwrap_or_default();
        out.add("<p class=\"says\">{}{}</p>\n", &[&says(report), &checked]);
        findings(report, &look.excerpts, out);
        scale::write(report, out);
        digests(report, out);
        if let Some(table) = &report.partition_table {
            partitions(table, report, out);
        }
        if let Some(boot) = &report.boot {
            booted(boot, out);
        }
        if let Some(inside) = &report.guest {
            guest(inside, out);
        }
        allocation(&look.map, out);
        checks(report, out);
    }
    out.add("</section>\n", &[]);
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

fn findings(report: &Report, excerpts: &[Result<Excerpt, String>], out: &mut Markup) {
    if report.findings.is_empty() {
        return;
    }
    out.add("<h3>Findings</h3>\n", &[]);
    for (finding, excerpt) in report.findings.iter().zip(excerpts) {
        write_finding(finding, excerpt, out);
    }
}

/// What to do. A command is a block of its own, so that whoever copies it gets nothing else.
fn remedy(finding: &Finding) -> Markup {
    let mut marked = Markup::default();
    let mut lead = Markup::literal("<strong>Fix:</strong> ");
    for part in parts(&finding.remedy) {
        match part {
            Part::Words(words) => marked.add("<p>{}{}</p>\n", &[&lead, &words]),
            Part::Command(command) => {
                marked.add("{}<pre class=\"command\"><code>{}</code></pre>\n", &[&lead, &command]);
            }
        }
        lead = Markup::default();
    }
    if finding.repairable && finding.severity == Severity::Reject && !finding.row().beside {
        marked.add("<p>Or let <code>tidegate push</code> repack it on the way.</p>\n", &[]);
    }
    marked
}

fn write_finding(finding: &Finding, excerpt: &Result<Excerpt, String>, out: &mut Markup) {
    let severity = finding.severity.as_str();
    out.add(
        "<article class=\"finding {}\">\n<h4><span class=\"badge {}\">{}</span> {}</h4>\n\
         <p class=\"place\">In the {} · <code>{}</code></p>\n<p>{}</p>\n{}",
        &[
            &severity,
            &severity,
            &severity,
            &text::sentence(finding.row().title),
            &finding.place(),
            &finding.code.as_str(),
            &finding.message,
            &remedy(finding),
        ],
    );
    match (excerpt, finding.offset) {
        (Ok(excerpt), Some(offset)) => bytes::write(excerpt, offset, finding.layer, out),
        (Err(why), Some(_)) => {
            out.add("<p class=\"absent\">The bytes are not shown: {}.</p>\n", &[&reason(why)]);
        }
        _ => {}
    }
    out.add("</article>\n", &[]);
}

/// A reason within a sentence.
fn reason(why: &str) -> &str {
    why.trim_end_matches('.')
}

fn digests(report: &Report, out: &mut Markup) {
    let digests = [
        ("file", &report.digests.sha256),
        ("image", &report.digests.image_sha256),
        ("disk", &report.digests.disk_sha256),
    ];
    if digests.iter().all(|(_, digest)| digest.is_none()) {
        return;
    }
    out.add("<h3>SHA-256</h3>\n<dl>\n", &[]);
    for (layer, digest) in digests {
        if let Some(digest) = digest {
            out.add("<dt>{}</dt><dd><code>{}</code></dd>\n", &[&layer, digest]);
        }
    }
    out.add("</dl>\n", &[]);
}

fn partitions(table: &PartitionTable, report: &Report, out: &mut Markup) {
    let size = report.virtual_size;
    let said = match text::partitions(Some(table)).split_once(", ") {
        Some((scheme, count)) => format!("{}, {count}", scheme.to_uppercase()),
        None => text::sentence(&text::partitions(Some(table))),
    };
    out.add("<h3>Partitions</h3>\n<p>{}.</p>\n", &[&said]);
    if table.scheme == Scheme::None || table.partitions.is_empty() {
        return;
    }
    if let Some(size) = size {
        scale::strip(&table.partitions, size, out);
    }
    out.add(
        "<div class=\"wide\" role=\"group\" aria-label=\"Partition table\" tabindex=\"0\">\n<table>\n<thead><tr>\
         <th scope=\"col\">No.</th><th scope=\"col\">Name</th><th scope=\"col\">Starts at byte</th>\
         <th scope=\"col\">Size</th><th scope=\"col\">Type</th></tr></thead>\n<tbody>\n",
        &[],
    );
    for partition in table.partitions.iter().take(LISTED) {
        let name = if partition.name.is_empty() { "–" } else { partition.name.as_str() };
        let kind = partition.type_name.as_deref().map_or(String::new(), |name| format!("{name}, "));
        out.add(
            "<tr><th scope=\"row\">{}</th><td><bdi>{}</bdi></td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td>{}<code>{}</code></td></tr>\n",
            &[
                &partition.number,
                &name,
                &partition.start,
                &human_size(partition.size),
                &kind,
                &partition.kind,
            ],
        );
    }
    out.add("</tbody>\n</table>\n</div>\n", &[]);
    let more = table.partitions.len().saturating_sub(LISTED);
    if more > 0 {
        out.add("<p>And {} more.</p>\n", &[&more]);
    }
}

/// What came of a boot.
fn booted(boot: &Booted, out: &mut Markup) {
    out.add("<h3>Boot</h3>\n<p>{}</p>\n<dl>\n", &[&boots::summary(boot)]);
    for reached in &boot.stages {
        out.add(
            "<dt>{}</dt><dd><bdi>{}</bdi></dd>\n",
            &[&boots::moment(reached), &boots::stage(reached)],
        );
    }
    out.add("</dl>\n", &[]);
    if let Some(shot) = &boot.screenshot {
        out.add(
            "<figure>\n<img class=\"map\" alt=\"The screen when the boot ended\" src=\"data:image/png;base64,{}\">\n\
             <figcaption>The screen when the boot ended.</figcaption>\n</figure>\n",
            &[&shot.base64],
        );
    }
    for (what, lines) in boots::shown(boot) {
        out.add(
            "<h4>{}</h4>\n<pre class=\"command\"><code>{}</code></pre>\n",
            &[&what, &lines.join("\n")],
        );
    }
}

/// What is inside the disk.
fn guest(inside: &Inside, out: &mut Markup) {
    out.add("<h3>Inside the disk</h3>\n<dl>\n", &[]);
    for (what, said) in guest::said(inside) {
        out.add("<dt>{}</dt><dd><bdi>{}</bdi></dd>\n", &[&text::sentence(what), &said]);
    }
    out.add("</dl>\n", &[]);
    if inside.volumes.is_empty() {
        return;
    }
    out.add(
        "<div class=\"wide\" role=\"group\" aria-label=\"Volumes\" tabindex=\"0\">\n<table>\n<thead><tr>\
         <th scope=\"col\">Volume</th><th scope=\"col\">Holds</th><th scope=\"col\">Size</th>\
         <th scope=\"col\">Free</th><th scope=\"col\">Label</th><th scope=\"col\">UUID</th>\
         <th scope=\"col\">Mounted at</th></tr></thead>\n<tbody>\n",
        &[],
    );
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    for volume in inside.volumes.iter().take(LISTED) {
        let free = volume.free.map_or("–".to_owned(), human_size);
        out.add(
            "<tr><th scope=\"row\"><bdi>{}</bdi></th><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td><bdi>{}</bdi></td><td><code>{}</code></td><td><bdi>{}</bdi></td></tr>\n",
            &[
                &volume.name,
                &guest::holds(volume),
                &human_size(volume.size),
                &free,
                &or_none(&volume.label),
                &or_none(&volume.uuid),
                &or_none(&volume.mounted),
            ],
        );
    }
    out.add("</tbody>\n</table>\n</div>\n", &[]);
}

fn allocation(found: &Result<Map, String>, out: &mut Markup) {
    out.add("<h3>Allocation of the disk</h3>\n", &[]);
    let map = match found {
        Ok(map) => map,
        Err(why) => {
            return out.add("<p class=\"absent\">No map: {}.</p>\n", &[&reason(why)]);
        }
    };
    out.add("<figure>\n{}\n<figcaption>\n", &[&map::cells(map)]);
    for (class, name) in [
        ("u", "unallocated: never written"),
        ("z", "zero: the image says so"),
        ("d1", "a little data"),
        ("d4", "all data"),
        ("x", "unreadable"),
    ] {
        out.add(
            "<span class=\"key\"><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><path class=\"{}\" d=\"M1 1h10v10h-10z\"/></svg> {}</span>\n",
            &[&class, &name],
        );
    }
    out.add(
        "<span class=\"totals\">{}; a cell is {} bytes.</span>\n</figcaption>\n</figure>\n",
        &[&text::sentence(&map::totals(map)), &map.cell],
    );
}

fn checks(report: &Report, out: &mut Markup) {
    let (made, unmade): (Vec<_>, Vec<_>) =
        report.checks.iter().partition(|check| check.state == State::Done);
    if !unmade.is_empty() {
        out.add("<h3>Not checked in full</h3>\n<ul>\n", &[]);
        for check in unmade {
            let state = if check.state == State::Partial { "in part" } else { "not" };
            let name = text::sentence(&check.id.replace('-', " "));
            out.add("<li><strong>{}</strong> ({}): {}</li>\n", &[&name, &state, &&*check.why]);
        }
        out.add("</ul>\n", &[]);
    }
    if !made.is_empty() {
        let names: Vec<_> = made.iter().map(|check| check.id.replace('-', " ")).collect();
        out.add("<p class=\"made\">Checked in full: {}.</p>\n", &[&names.join(", ")]);
    }
}
