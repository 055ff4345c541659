//! What stands before the first grain and is neither header, descriptor nor table.

use super::header::{DESCRIPTOR_SECTOR, Header};
use super::offset_of;
use super::readers::MOST_READ;
use crate::bytes::human_size;
use crate::facts::{Anomaly, Code, Layer, Notebook};
use crate::formats::tail::between;
use crate::formats::view::not_examined;
use crate::formats::{Halt, ImageView, Missing, Reach};

/// The first sector behind the header and all that any reader takes for the descriptor.
pub(super) fn begin(header: &Header, notebook: &Notebook<'_>) -> u64 {
    let overlong = notebook.has(Code::VmdkDescriptorOverlong);
    header.first_free_sector().max(if overlong { DESCRIPTOR_SECTOR + MOST_READ } else { 0 })
}

/// The sector at which the first directory begins, if it is before the grains; else that of the first grain.
pub(super) fn first_table(header: &Header) -> u64 {
    let redundant = header.has_redundant_directory().then_some(header.redundant_directory);
    header.overhead.min(header.directory).min(redundant.unwrap_or(u64::MAX))
}

/// Looks from sector `begin` to `end` for bytes that belong to nothing; `tables` are ranges of sectors in ascending order.
/// Writers fill up to the first grain with zeros. Returns why not all of it can be read.
pub(super) fn check(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    reach: &mut Reach,
    (begin, end): (u64, u64),
    tables: &[(u64, u64)],
) -> Result<Option<Missing>, Halt> {
    let mut at = begin;
    for &(from, to) in tables.iter().chain(&[(end, end)]) {
        let gap = offset_of(at)..offset_of(from.min(end));
        at = at.max(to);
        if gap.is_empty() {
            continue;
        }
        match between(view, gap.start, gap.end)? {
            Ok(None) => {}
            Ok(Some((found, begins))) => {
                let len = gap.end.saturating_sub(found);
                // Of an image that is cut off, it is not known what is there.
                reach.if_whole(Anomaly {
                    code: Code::VmdkSpaceUnused,
                    layer: Layer::Image,
                    offset: Some(found),
                    said: format!(
                        "Before the first grain, {len} bytes ({}) from byte {found} on belong to nothing{begins}.",
                        human_size(len)),
                });
                break;
            }
            Err((at, missing)) => {
                not_examined(notebook, at, "the space before the first grain", missing);
                return Ok(Some(missing));
            }
        }
    }
    Ok(None)
}
