//! One page for one or many images: it needs nothing but itself, runs no script, prints, and follows
//! the reader's choice of dark or light.
//!
//! Everything that is not a literal of this room goes through `markup::escape`.

mod bytes;
mod image;
mod scale;

use std::io;

use super::markup::escape;
use super::pieces::Pieces;
use super::span::Span;
use super::{Document, Tally};
use crate::bytes::human_size;
use crate::inspect::{Look, Report, Verdict};

const STYLE: &str = include_str!("style.css");

/// Zeros are hatched, so that they are told from data without colour. All maps use it.
const HATCH: &str = "<svg class=\"defs\" aria-hidden=\"true\"><defs><pattern id=\"zero\" width=\"4\" \
    height=\"4\" patternUnits=\"userSpaceOnUse\"><rect class=\"u\" width=\"4\" height=\"4\"/>\
    <path class=\"hatch\" d=\"M-1 1l2-2M0 4l4-4M3 5l2-2\"/></pattern></defs></svg>";

/// The page.
#[derive(Default)]
pub struct Html {
    tally: Tally,
    span: Span,
    /// What the page is called if it is about one image.
    first: String,
    /// A line for each image, with the way to it.
    overview: Pieces,
    images: Pieces,
}

impl Document for Html {
    fn add(&mut self, report: &Report, look: &dyn Fn() -> Look) -> io::Result<()> {
        self.tally.add(report);
        self.span.add(report);
        let number = self.tally.images();
        if number == 1 {
            self.first = format!("{}: {}", report.verdict.as_str(), escape(&report.source));
        }
        self.overview.push(&line(number, report))?;
        let mut section = String::new();
        image::write(number, report, &look(), &mut section);
        self.images.push(&section)
    }

    fn write(self: Box<Self>, out: &mut dyn io::Write) -> io::Result<()> {
        let summary = escape(&self.tally.to_string());
        let span = escape(&self.span.to_string());
        let title = if self.tally.images() == 1 { &self.first } else { &summary };
        // The policy holds even if an escape were forgotten: nothing is loaded, run or sent.
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title} – tidegate</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{HATCH}\n\
             <header>\n<h1>tidegate report</h1>\n<p>{summary}. Would DigitalOcean take it, and would it work there?{span}</p>\n</header>\n"
        )?;
        if self.tally.images() > 1 {
            out.write_all(
                b"<nav aria-label=\"Images\">\n<div class=\"wide\">\n<table class=\"overview\">\n<thead><tr><th scope=\"col\">Verdict</th>\
                 <th scope=\"col\">Image</th><th scope=\"col\">Format</th><th scope=\"col\">Disk</th>\
                 <th scope=\"col\">Findings</th></tr></thead>\n<tbody>\n",
            )?;
            self.overview.pour(out)?;
            out.write_all(b"</tbody>\n</table>\n</div>\n</nav>\n")?;
        }
        out.write_all(b"<main>\n")?;
        self.images.pour(out)?;
        writeln!(
            out,
            "</main>\n<footer>Made by tidegate {}. <code>tidegate explain CODE</code> has more on each finding.</footer>\n</body>\n</html>",
            env!("CARGO_PKG_VERSION")
        )
    }
}

/// An image in the list of all.
fn line(number: usize, report: &Report) -> String {
    let mut codes: Vec<&str> = report.findings.iter().map(|f| f.code.as_str()).collect();
    codes.dedup();
    if let Some(error) = &report.error {
        codes.push(&error.kind);
    }
    format!(
        "<tr><td>{}</td><th scope=\"row\"><a href=\"#image-{number}\"><bdi>{}</bdi></a></th>\
         <td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>\n",
        badge(report.verdict),
        escape(&report.source),
        report.disk_format.map_or("–", |format| format.as_str()),
        report.virtual_size.map_or("–".to_owned(), human_size),
        escape(&codes.join(", "))
    )
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
