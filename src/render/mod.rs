//! A report as text, JSON, JUnit, SARIF, annotations of GitHub or a page. Each renderer is a function from the report to a string; none knows how
//! the report came to be, and none prints.

pub mod compare;
mod examined;
pub mod explain;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod map;
mod markup;
mod place;
pub mod sarif;
pub mod text;
mod wrap;

use crate::facts::{Compression, DiskFormat, Layer};
use crate::inspect::Report;

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Style {
    /// Columns to fill.
    pub width: usize,
    /// Whether to decorate with ANSI colours.
    pub color: bool,
}

impl Default for Style {
    fn default() -> Self {
        Style { width: 80, color: false }
    }
}

/// Whether an offset in this layer of an image is one in its file.
fn is_in_file(layer: Layer, report: &Report) -> bool {
    let plain = report.compression == Some(Compression::None);
    match layer {
        Layer::File => true,
        Layer::Image => plain,
        Layer::Disk => plain && report.disk_format == Some(DiskFormat::Raw),
    }
}
