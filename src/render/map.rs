//! The allocation of a disk: a strip and a table for the terminal, JSON, and a picture as SVG.

use std::fmt::Write;

use serde_json::{Value, json};

use super::markup::{Markup, escape};
use crate::bytes::human_size;
use crate::facts::DiskFormat;
use crate::inspect::{Extent, Map, Totals, What};

/// Name and version of the JSON document.
pub const SCHEMA: &str = "tidegate.map/1";

/// Cells of a line of the picture.
const COLUMNS: usize = 64;

/// Width and height of a cell of the SVG.
const CELL: usize = 12;

const LEGEND: &str = "  . unallocated   0 zero   ! unreadable, in part\n  data or compressed:   - under a third   + under two thirds   * more   # all\n";

/// A picture, totals and a table. Of more extents than are `listed`, only the number is said.
#[must_use]
pub fn text(source: &str, format: DiskFormat, size: u64, map: &Map, listed: &[Extent]) -> String {
    let mut out =
        format!("{source}: {}, a disk of {size} bytes ({})\n\n", format.as_str(), human_size(size));
    for line in map.cells.chunks(COLUMNS) {
        let _ = writeln!(out, "  {}", line.iter().map(cell).collect::<String>());
    }
    let _ = writeln!(out, "\n{LEGEND}  one character is {} bytes\n", map.cell);
    for (name, bytes) in kinds(&map.totals) {
        if bytes > 0 {
            let _ = writeln!(out, "  {name:<11} {bytes:>20}  {:>9}", human_size(bytes));
        }
    }
    let _ = writeln!(
        out,
        "\n  {:>20} {:>20}  {:<11} {:>20}",
        "start", "length", "what", "image offset"
    );
    for extent in listed {
        let offset = extent.offset.map_or("-".to_owned(), |offset| offset.to_string());
        let what = name(extent.what);
        let _ =
            writeln!(out, "  {:>20} {:>20}  {what:<11} {offset:>20}", extent.start, extent.length);
    }
    let more = map.extents.saturating_sub(listed.len() as u64);
    if more > 0 {
        let _ = writeln!(out, "  and {more} more extents; --format json has all of them");
    }
    out
}

fn kinds(totals: &Totals) -> [(&'static str, u64); 5] {
    [
        ("data", totals.data),
        ("compressed", totals.compressed),
        ("zero", totals.zero),
        ("unallocated", totals.unallocated),
        ("unreadable", totals.unreadable),
    ]
}

fn name(what: What) -> &'static str {
    match what {
        What::Data => "data",
        What::Zero => "zero",
        What::Unallocated => "unallocated",
        What::Compressed => "compressed",
        What::Unreadable => "unreadable",
    }
}

/// Bytes that take place, and all bytes of a cell.
fn share(cell: &Totals) -> (u64, u64) {
    let used = cell.data + cell.compressed;
    (used, used + cell.zero + cell.unallocated + cell.unreadable)
}

/// Whether a cell without data is shown as zeros: at least half of it is.
fn is_zero(cell: &Totals) -> bool {
    cell.zero > 0 && cell.zero >= cell.unallocated
}

fn cell(cell: &Totals) -> char {
    let (used, all) = share(cell);
    match used.saturating_mul(3) {
        _ if cell.unreadable > 0 => '!',
        0 if is_zero(cell) => '0',
        0 => '.',
        _ if used == all => '#',
        thrice if thrice < all => '-',
        thrice if thrice < 2 * all => '+',
        _ => '*',
    }
}

/// The beginning of the JSON document, up to the extents.
#[must_use]
pub fn json_head(source: &str, format: DiskFormat, size: u64) -> String {
    format!(
        "{{\n  \"schema\": \"{SCHEMA}\",\n  \"source\": {},\n  \"disk_format\": \"{}\",\n  \"virtual_size\": {size},\n  \"extents\": [",
        Value::from(source),
        format.as_str()
    )
}

/// An extent on a line of its own.
#[must_use]
pub fn json_extent(extent: &Extent, first: bool) -> String {
    let value = json!({
        "start": extent.start,
        "length": extent.length,
        "what": name(extent.what),
        "offset": extent.offset,
    });
    format!("{}\n    {value}", if first { "" } else { "," })
}

/// The end of the JSON document.
#[must_use]
pub fn json_tail(map: &Map) -> String {
    let totals = json!({
        "extents": map.extents,
        "data": map.totals.data,
        "compressed": map.totals.compressed,
        "zero": map.totals.zero,
        "unallocated": map.totals.unallocated,
        "unreadable": map.totals.unreadable,
    });
    format!("\n  ],\n  \"totals\": {totals}\n}}\n")
}

/// Zeros are hatched, so that they are told from data without colour.
const HATCH: &str = "<defs><pattern id=\"zero\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\">\
    <rect width=\"4\" height=\"4\" fill=\"#fff\"/><path d=\"M-1 1l2-2M0 4l4-4M3 5l2-2\" stroke=\"#78909c\"/>\
    </pattern></defs>";

const UNALLOCATED: &str = "#fff";
const ZERO: &str = "url(#zero)";
const UNREADABLE: &str = "#c62828";

/// The picture as a self-contained SVG.
#[must_use]
pub fn svg(source: &str, format: DiskFormat, size: u64, map: &Map) -> String {
    let rows = map.cells.len().div_ceil(COLUMNS);
    let (width, height) = (COLUMNS * CELL + 16, rows * CELL + 92);
    let title = format!("{}: {}, {}", escape(source), format.as_str(), human_size(size));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>{title}</title>\n{HATCH}\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"20\">{title}</text>\n"
    );
    for (index, cell) in map.cells.iter().enumerate() {
        let (x, y) = (8 + index % COLUMNS * CELL, 32 + index / COLUMNS * CELL);
        let (used, all) = share(cell);
        let fill = match used {
            _ if cell.unreadable > 0 => UNREADABLE.to_owned(),
            0 if is_zero(cell) => ZERO.to_owned(),
            0 => UNALLOCATED.to_owned(),
            _ => shade(used as f64 / all.max(1) as f64),
        };
        square(&mut out, x, y, &fill);
    }

    let mut x = 8;
    for (fill, text) in [
        (UNALLOCATED, "unallocated: never written"),
        (ZERO, "zero: the image says so"),
        (&shade(0.0), "a little data"),
        (&shade(1.0), "all data"),
        (UNREADABLE, "unreadable"),
    ] {
        square(&mut out, x, height - 48, fill);
        let _ = writeln!(out, "<text x=\"{}\" y=\"{}\">{text}</text>", x + 16, height - 38);
        x += 32 + 7 * text.len();
    }
    let totals: Vec<String> = kinds(&map.totals)
        .into_iter()
        .map(|(name, bytes)| format!("{name} {}", human_size(bytes)))
        .collect();
    let _ = writeln!(
        out,
        "<text x=\"8\" y=\"{}\">{}; a cell is {} bytes</text>\n</svg>",
        height - 12,
        totals.join(", "),
        map.cell
    );
    out
}

/// The cells alone, for a page whose style says how the classes look: `u` unallocated, `z` zero, `d1` to
/// `d4` data, from a little to all, `x` unreadable.
#[must_use]
pub(super) fn cells(map: &Map) -> Markup {
    const CLASSES: [&str; 7] = ["u", "z", "d1", "d2", "d3", "d4", "x"];
    let side = CELL - 2;
    let mut paths = CLASSES.map(|_| String::new());
    for (index, cell) in map.cells.iter().enumerate() {
        let (used, all) = share(cell);
        let class = match used.saturating_mul(3) {
            _ if cell.unreadable > 0 => 6,
            0 if is_zero(cell) => 1,
            0 => 0,
            _ if used == all => 5,
            thrice if thrice < all => 2,
            thrice if thrice < 2 * all => 3,
            _ => 4,
        };
        let (x, y) = (1 + index % COLUMNS * CELL, 1 + index / COLUMNS * CELL);
        let _ = write!(paths[class], "M{x} {y}h{side}v{side}h-{side}z");
    }
    let (width, height) = (COLUMNS * CELL, map.cells.len().div_ceil(COLUMNS) * CELL);
    let mut out = Markup::of(
        "<svg class=\"map\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Allocation of the disk: {}\">",
        &[&width, &height, &totals(map)],
    );
    for (class, path) in CLASSES.iter().zip(paths).filter(|(_, path)| !path.is_empty()) {
        out.add("<path class=\"{}\" d=\"{}\"/>", &[class, &path]);
    }
    out.add("</svg>", &[]);
    out
}

/// Bytes by kind, those that there are.
pub(super) fn totals(map: &Map) -> String {
    let there = kinds(&map.totals).into_iter().filter(|(_, bytes)| *bytes > 0);
    let said: Vec<_> = there.map(|(name, bytes)| format!("{name} {}", human_size(bytes))).collect();
    if said.is_empty() { "nothing".to_owned() } else { said.join(", ") }
}

/// Light blue for little data, dark blue for a full cell.
fn shade(share: f64) -> String {
    let tone = |from: f64, to: f64| (from + (to - from) * share) as u8;
    format!("#{:02x}{:02x}{:02x}", tone(187.0, 13.0), tone(222.0, 71.0), tone(251.0, 161.0))
}

fn square(out: &mut String, x: usize, y: usize, fill: &str) {
    let side = CELL - 2;
    let _ = writeln!(
        out,
        "<rect x=\"{x}.5\" y=\"{y}.5\" width=\"{side}\" height=\"{side}\" fill=\"{fill}\" stroke=\"#cfd8dc\"/>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_show_how_full_they_are() {
        let show = |data, zero, unallocated| {
            cell(&Totals { data, zero, unallocated, ..Totals::default() })
        };
        let shown = [show(1, 9, 0), show(5, 2, 3), show(8, 0, 2), show(9, 0, 0)];
        assert_eq!(shown, ['-', '+', '*', '#']);
        assert_eq!(
            [show(0, 0, 9), show(0, 9, 0), show(0, 1, 8), show(0, 5, 5)],
            ['.', '0', '.', '0']
        );
        assert_eq!(cell(&Totals { unreadable: 1, data: 9, ..Totals::default() }), '!');
    }
}
