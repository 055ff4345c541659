//! One page for one or many images: it needs nothing but itself, runs no script, prints, and follows
//! the reader's choice of dark or light.
//!
//! All of it is `markup::Markup`, into which text comes escaped and in no other way.

mod bytes;
mod image;
mod scale;

use std::io;

use super::markup::Markup;
use super::pieces::Pieces;
use super::span::Span;
use super::{Document, Tally};
use crate::bytes::human_size;
use crate::inspect::{Look, Report, Verdict};

const STYLE: &str = include_str!("style.css");

/// What each page begins with; the version of the program follows, so that a page is known for one of its own.
pub const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"generator\" content=\"tidegate ";

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
    first: Markup,
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
            self.first = Markup::of("{}: {}", &[&report.verdict.as_str(), &report.source]);
        }
        self.overview.push(line(number, report).as_str())?;
        let mut section = Markup::default();
        image::write(number, report, &look(), &mut section);
        self.images.push(section.as_str())
    }

    fn write(self: Box<Self>, out: &mut dyn io::Write) -> io::Result<()> {
        let summary = Markup::of("{}", &[&self.tally.to_string()]);
        let title = if self.tally.images() == 1 { &self.first } else { &summary };
        // The policy holds even if an escape were forgotten: nothing is loaded, run or sent.
        let head = Markup::of(
            "{}{}\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{} – tidegate</title>\n<style>\n{}</style>\n</head>\n<body>\n{}\n\
             <header>\n<h1>tidegate report</h1>\n<p>{}. Would DigitalOcean take it, and would it work there?{}</p>\n</header>\n",
            &[
                &Markup::literal(HEAD),
                &env!("CARGO_PKG_VERSION"),
                title,
                &Markup::literal(STYLE),
                &Markup::literal(HATCH),
                &summary,
                &self.span.to_string(),
            ],
        );
        out.write_all(head.as_str().as_bytes())?;
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
fn line(number: usize, report: &Report) -> Markup {
    let mut codes: Vec<&str> = report.findings.iter().map(|f| f.code.as_str()).collect();
    codes.dedup();
    if let Some(error) = &report.error {
        codes.push(&error.kind);
    }
    Markup::of(
        "<tr><td>{}</td><th scope=\"row\"><a href=\"#image-{}\"><bdi>{}</bdi></a></th>\
         <td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>\n",
        &[
            &badge(report.verdict),
            &number,
            &report.source,
            &report.disk_format.map_or("–", |format| format.as_str()),
            &report.virtual_size.map_or("–".to_owned(), human_size),
            &codes.join(", "),
        ],
    )
}

fn badge(verdict: Verdict) -> Markup {
    let mark = match verdict {
        Verdict::Accept => "✓",
        Verdict::Warn => "!",
        Verdict::Reject | Verdict::Error => "✗",
    };
    let name = verdict.as_str();
    Markup::of(
        "<span class=\"badge {}\"><span aria-hidden=\"true\">{}</span> {}</span>",
        &[&name, &mark, &name],
    )
}
