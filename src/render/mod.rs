//! A report as text or JSON. Each renderer is a function from the report to a string; none knows how
//! the report came to be, and none prints.

pub mod compare;
pub mod explain;
pub mod json;
pub mod map;
pub mod text;
mod wrap;

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
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
