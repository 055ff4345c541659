//! One page for one or many images: it needs nothing but itself, runs no script, prints, and follows
//! the reader's choice of dark or light.
//!
//! Everything that is not a literal of this room goes through `markup::escape`.

mod bytes;
mod image;
mod scale;

use std::fmt::Write;

use super::markup::escape;
use super::text;
use crate::bytes::human_size;
use crate::inspect::{Look, Report, Verdict};

const STYLE: &str = include_str!("style.css");

/// Zeros are hatched, so that they are told from data without colour. All maps use it.
const HATCH: &str = "<svg class=\"defs\" aria-hidden=\"true\"><defs><pattern id=\"zero\" width=\"4\" \
    height=\"4\" patternUnits=\"userSpaceOnUse\"><rect class=\"u\" width=\"4\" height=\"4\"/>\
    <path class=\"hatch\" d=\"M-1 1l2-2M0 4l4-4M3 5l2-2\"/></pattern></defs></svg>";

/// The page. There is one look for each image.
#[must_use]
pub fn render(images: &[Report], looks: &[Look]) -> String {
    let summary = escape(text::summary(images).trim_end());
    let title = match images {
        [one] => format!("{}: {}", one.verdict.as_str(), escape(&one.source)),
        _ => summary.clone(),
    };
    // The policy holds even if an escape were forgotten: nothing is loaded, run or sent.
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} – tidegate</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{HATCH}\n\
         <header>\n<h1>tidegate report</h1>\n<p>{summary}. Would DigitalOcean take it, and would it work there?</p>\n</header>\n"
    );
    if images.len() > 1 {
        overview(images, &mut out);
    }
    out.push_str("<main>\n");
    for (number, (report, look)) in (1..).zip(images.iter().zip(looks)) {
        image::write(number, report, look, &mut out);
    }
    let _ = writeln!(
        out,
        "</main>\n<footer>Made by tidegate {}. <code>tidegate explain CODE</code> has more on each finding.</footer>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION")
    );
    out
}

/// A line for each image, with the way to it.
fn overview(images: &[Report], out: &mut String) {
    out.push_str(
        "<nav aria-label=\"Images\">\n<div class=\"wide\">\n<table class=\"overview\">\n<thead><tr><th scope=\"col\">Verdict</th>\
         <th scope=\"col\">Image</th><th scope=\"col\">Format</th><th scope=\"col\">Disk</th>\
         <th scope=\"col\">Findings</th></tr></thead>\n<tbody>\n",
    );
    for (number, report) in (1..).zip(images) {
        let mut codes: Vec<&str> = report.findings.iter().map(|f| f.code.as_str()).collect();
        codes.dedup();
        if let Some(error) = &report.error {
            codes.push(&error.kind);
        }
        let _ = writeln!(
            out,
            "<tr><td>{}</td><th scope=\"row\"><a href=\"#image-{number}\"><bdi>{}</bdi></a></th>\
             <td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
            badge(report.verdict),
            escape(&report.source),
            report.disk_format.map_or("–", |format| format.as_str()),
            report.virtual_size.map_or("–".to_owned(), human_size),
            codes.join(", ")
        );
    }
    out.push_str("</tbody>\n</table>\n</div>\n</nav>\n");
}

fn badge(verdict: Verdict) -> String {
    let mark = match verdict {
        Verdict::Accept => "✓",
        Verdict::Warn => "!",
        Verdict::Reject | Verdict::Error => "✗",
    };
    let name = verdict.as_str();
    format!("<span class=\"badge {name}\"><span aria-hidden=\"true\">{mark}</span> {name}</span>")
}
