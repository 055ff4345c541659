//! Bytes in hexadecimal, the one at fault marked.

use super::super::markup::Markup;
use crate::facts::Layer;
use crate::inspect::Excerpt;

const LINE: usize = 16;

pub(super) fn write(excerpt: &Excerpt, offset: u64, layer: Layer, out: &mut Markup) {
    out.add(
        "<pre class=\"hex\" role=\"group\" tabindex=\"0\" aria-label=\"Bytes of the {} around {}\">",
        &[&layer.as_str(), &offset],
    );
    let marked = offset.checked_sub(excerpt.start).map(|at| at as usize);
    for (line, bytes) in excerpt.bytes.chunks(LINE).enumerate() {
        let first = line * LINE;
        let place = format!("{:>10x}", excerpt.start + first as u64);
        out.add("<span class=\"offset\">{}</span> ", &[&place]);
        for index in 0..LINE {
            out.add("{}", &[&if index == LINE / 2 { "  " } else { " " }]);
            match bytes.get(index) {
                Some(byte) if marked == Some(first + index) => {
                    out.add("<mark>{}</mark>", &[&format!("{byte:02x}")]);
                }
                Some(byte) => out.add("{}", &[&format!("{byte:02x}")]),
                None => out.add("  ", &[]),
            }
        }
        let shown: String = bytes
            .iter()
            .map(|&byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' })
            .collect();
        out.add("  {}\n", &[&shown]);
    }
    if marked.is_some_and(|at| at >= excerpt.bytes.len()) {
        let end = format!("{:>10x}", excerpt.start + excerpt.bytes.len() as u64);
        out.add("{}  the {} ends here\n", &[&end, &layer.as_str()]);
    }
    out.add("</pre>\n", &[]);
}
