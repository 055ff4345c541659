//! What stands before the first grain and is neither header, descriptor nor table.

use super::header::{DESCRIPTOR_SECTOR, Header};
use super::maps::MOST_HELD;
use super::readers::MOST_READ;
use super::tables::ENTRY;
use super::{SECTOR, offset_of};
use crate::bytes::human_size;
use crate::facts::{Anomaly, Code, Layer, Notebook};
use crate::formats::tail::between;
use crate::formats::view::not_examined;
use crate::formats::{Got, Halt, ImageView, Missing, Reach};

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
    header: &Header,
    reach: &mut Reach,
    (begin, end): (u64, u64),
    tables: &[(u64, u64)],
) -> Result<Option<Missing>, Halt> {
    let mut at = begin;
    // Writers leave one at most, and a look into each of very many gaps would take too long.
    let mut sought = false;
    for &(from, to) in tables.iter().chain(&[(end, end)]) {
        let mut gap = offset_of(at)..offset_of(from.min(end));
        at = at.max(to);
        if gap.is_empty() {
            continue;
        }
        let mut seen = between(view, gap.start, gap.end)?;
        if let Ok(Some((found, _))) = &seen
            && !sought
            && found - gap.start < ENTRY
        {
            sought = true;
            let directory = unnamed_directory(view, header, gap.start / SECTOR)?;
            if directory > 0 {
                gap.start = gap.start.saturating_add(offset_of(directory));
                seen = match gap.is_empty() {
                    true => Ok(None),
                    false => between(view, gap.start, gap.end)?,
                };
            }
        }
        match seen {
            Ok(None) => {}
            Ok(Some((found, begins))) => {
                let len = gap.end.saturating_sub(found);
                // Of an image that is cut off, it is not known what is there.
                reach.if_whole(Anomaly {
                    code: Code::VmdkSpaceUnused,
                    layer: Layer::Image,
                    offset: Some(found),
                    spot: None,
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

/// Sectors at `at` of a second directory that the header does not name. VMware leaves one in a stream, with room for its
/// tables side by side behind it.
fn unnamed_directory(view: &mut dyn ImageView, header: &Header, at: u64) -> Result<u64, Halt> {
    let len = header.tables().min(MOST_HELD).saturating_mul(ENTRY);
    let (sectors, table) =
        (len.div_ceil(SECTOR), u64::from(header.entries_per_table).saturating_mul(ENTRY) / SECTOR);
    let mut bytes = vec![0; len as usize];
    if view.read_at(offset_of(at), &mut bytes)? != Got::Bytes(bytes.len()) {
        return Ok(0);
    }
    let (entries, _) = bytes.as_chunks::<{ ENTRY as usize }>();
    let mut expected = (0..).map(|n| at.saturating_add(sectors).saturating_add(n * table));
    let is = entries.iter().all(|entry| expected.next() == Some(u32::from_le_bytes(*entry).into()));
    Ok(if is { sectors } else { 0 })
}
