//! A report as text, JSON, JUnit, SARIF, annotations of GitHub or a page. Text is a function of one report; each other format is a
//! [`Document`] that takes the reports one by one and keeps of each no more than its summary needs. None knows how the
//! report came to be, and none prints.

mod booted;
mod closing;
pub mod compare;
mod examined;
pub mod explain;
pub mod github;
pub mod guest;
pub mod html;
pub mod json;
pub mod junit;
pub mod map;
mod markup;
mod pieces;
mod place;
pub mod repack;
pub mod sarif;
mod span;
mod tally;
pub mod text;
mod wrap;
pub mod written;

use std::io::{self, Write};

pub use self::closing::Closing;
pub use self::tally::Tally;
use crate::facts::{Compression, DiskFormat, Layer};
use crate::inspect::{Look, Report};

/// A document about any number of images, which takes the same memory for all of them.
pub trait Document {
    /// Takes the next image. `look` looks at it again, for documents that show more of it than is in its report.
    ///
    /// # Errors
    /// If there is no room for what was made of it.
    fn add(&mut self, report: &Report, look: &dyn Fn() -> Look) -> io::Result<()>;

    /// Writes the document, all of it, ending in a newline.
    ///
    /// # Errors
    /// If it cannot be written in full.
    fn write(self: Box<Self>, out: &mut dyn Write) -> io::Result<()>;
}

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Style {
    /// Columns to fill.
    pub width: usize,
    /// Whether to decorate with ANSI colours.
    pub color: bool,
    /// Whether to list partitions, which are only counted otherwise.
    pub verbose: bool,
}

impl Default for Style {
    fn default() -> Self {
        Style { width: 80, color: false, verbose: false }
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
