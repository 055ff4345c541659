//! What became of an image that was packed anew, as text or JSON.

use serde::Serialize;

use super::Style;
use super::json::VERSION;
use super::wrap::wrap;
use crate::bytes::{Hostile, human_size, percent_encoded};
use crate::inspect::Report;
use crate::repack::Repacked;
use std::os::unix::ffi::OsStrExt;

/// Name and version of the JSON document.
pub const SCHEMA: &str = "tidegate.repack/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tidegate: &'static str,
    image: &'a str,
    done: bool,
    error: Option<Error<'a>>,
    source: Option<Source<'a>>,
    output: Option<Output<'a>>,
    report: Option<&'a Report>,
}

#[derive(Serialize)]
struct Error<'a> {
    kind: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct Source<'a> {
    size: u64,
    sha256: &'a str,
    wrappings: &'a [String],
    left_out: &'a [String],
    noticed: &'a [String],
}

#[derive(Serialize)]
struct Output<'a> {
    name: String,
    path: String,
    size: u64,
    sha256: &'a str,
    image_sha256: &'a str,
}

/// One document, ending in a newline. `image` is what was to be packed anew, escaped; `error` is the sentence on why there
/// is no output.
///
/// # Errors
/// None that the model can cause; the writer is a string.
pub fn json(
    image: &str,
    repacked: &Repacked,
    error: Option<&str>,
) -> Result<String, serde_json::Error> {
    let stop = repacked.stop.as_ref();
    let document = Document {
        schema: SCHEMA,
        tidegate: VERSION,
        image,
        done: stop.is_none(),
        error: stop
            .map(|stop| Error { kind: stop.kind(), message: error.unwrap_or_else(|| stop.kind()) }),
        source: repacked.source.as_ref().map(|source| Source {
            size: source.size,
            sha256: &source.sha256,
            wrappings: &source.wrappings,
            left_out: &source.left_out,
            noticed: &source.noticed,
        }),
        output: repacked.output.as_ref().map(|output| Output {
            name: Hostile::from_os(output.path.as_os_str()).to_string(),
            path: percent_encoded(output.path.as_os_str().as_bytes()),
            size: output.size,
            sha256: &output.sha256,
            image_sha256: &output.image_sha256,
        }),
        report: repacked.report.as_ref(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// What was done, for people; nothing where it failed.
#[must_use]
pub fn text(image: &str, repacked: &Repacked, style: Style) -> String {
    if repacked.stop.is_some() {
        return String::new();
    }
    let Some(output) = &repacked.output else {
        let said = format!("Nothing to repack: DigitalOcean takes {image} as it is.");
        return format!("\n{}\n", wrap(&said, style.width, 0));
    };
    let name = Hostile::from_os(output.path.as_os_str());
    let size = human_size(output.size);
    let mut said = Vec::new();
    if let Some(source) = &repacked.source {
        let was = human_size(source.size);
        let out_of = match source.wrappings.as_slice() {
            [] => String::new(),
            wrappings => format!("taken out of {}, ", wrappings.join(", then ")),
        };
        said.push(format!("Wrote {name} ({size}): {image} ({was}), {out_of}packed as gzip."));
        said.extend(source.left_out.iter().map(|what| format!("Left out: {what}")));
        said.extend(source.noticed.iter().map(|what| format!("Noticed: {what}")));
    }
    let lines: Vec<String> = said.iter().map(|line| wrap(line, style.width, 0)).collect();
    format!("\n{}\n", lines.join("\n"))
}
