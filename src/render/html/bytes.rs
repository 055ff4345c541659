//! Bytes in hexadecimal, the one at fault marked.

use std::fmt::Write;

use super::super::markup::escape;
use crate::facts::Layer;
use crate::inspect::Excerpt;

const LINE: usize = 16;

pub(super) fn write(excerpt: &Excerpt, offset: u64, layer: Layer, out: &mut String) {
    let _ = write!(
        out,
        "<pre class=\"hex\" role=\"group\" tabindex=\"0\" aria-label=\"Bytes of the {} around {offset}\">",
        layer.as_str()
    );
    let marked = offset.checked_sub(excerpt.start).map(|at| at as usize);
    for (line, bytes) in excerpt.bytes.chunks(LINE).enumerate() {
        let first = line * LINE;
        let _ = write!(out, "<span class=\"offset\">{:>10x}</span> ", excerpt.start + first as u64);
        for index in 0..LINE {
            let gap = if index == LINE / 2 { "  " } else { " " };
            out.push_str(gap);
            match bytes.get(index) {
                Some(byte) if marked == Some(first + index) => {
                    let _ = write!(out, "<mark>{byte:02x}</mark>");
                }
                Some(byte) => {
                    let _ = write!(out, "{byte:02x}");
                }
                None => out.push_str("  "),
            }
        }
        let shown: String = bytes
            .iter()
            .map(|&byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' })
            .collect();
        let _ = writeln!(out, "  {}", escape(&shown));
    }
    if marked.is_some_and(|at| at >= excerpt.bytes.len()) {
        let end = excerpt.start + excerpt.bytes.len() as u64;
        let _ = writeln!(out, "{end:>10x}  the {} ends here", layer.as_str());
    }
    out.push_str("</pre>\n");
}
