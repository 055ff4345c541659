//! What of the image belongs to nothing: the rest of the first MiB, and what lies between blocks and regions.

use super::disk::Blocks;
use super::header::{FIELDS_LENGTH, HEADER_LENGTH, HEADERS_AT, IDENTIFIER_LENGTH, MIB, Span};
use super::metadata::Metadata;
use super::tables::{REGION_TABLES_AT, TABLE_LENGTH, Taken};
use crate::bytes::human_size;
use crate::facts::{Anomaly, Code, Layer, Notebook};
use crate::formats::bits::Bits;
use crate::formats::tail::between;
use crate::formats::view::{not_examined, not_walked};
use crate::formats::zeros::first_used;
use crate::formats::{Halt, ImageView, Reach, Walked};

/// Bytes that QEMU leaves between the last region and the first block of an image (`vhdx_create`, `block/vhdx.c`). A
/// fixed one has its full size before that.
const LEFT_BY_QEMU: u64 = 4 * MIB;

/// Looks into what the first MiB reserves: behind the identifier, behind the fields of each header and behind the region
/// tables (MS-VHDX 2.2). Hyper-V and QEMU leave zeros there.
pub(super) fn check_first_mib(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<(), Halt> {
    // What a damaged header has behind its fields may be the damage.
    let header = match notebook.has(Code::VhdxHeaderDamaged) {
        true => HEADER_LENGTH,
        false => FIELDS_LENGTH,
    } as u64;
    let [first, second] = HEADERS_AT;
    let [table, last_table] = REGION_TABLES_AT;
    for (from, to) in [
        (IDENTIFIER_LENGTH as u64, first),
        (first + header, second),
        (second + header, table),
        (last_table + TABLE_LENGTH as u64, MIB),
    ] {
        match between(view, from, to)? {
            Ok(None) => {}
            Ok(Some((at, begins))) => {
                notebook.image(Code::VhdxSpaceUnused, at, nothing(at, to, &begins));
                break;
            }
            Err((at, missing)) => {
                not_examined(notebook, at, "what the first MiB reserves", missing);
                break;
            }
        }
    }
    Ok(())
}

fn nothing(at: u64, to: u64, begins: &str) -> String {
    let len = to.saturating_sub(at);
    format!("{len} bytes ({}) from byte {at} on belong to nothing{begins}.", human_size(len))
}

/// The MiB of the image in which a span lies: of a block at most 256, and of all blocks as many as the disk has.
pub(super) fn units(span: Span) -> std::ops::Range<u64> {
    span.at / MIB..span.end().div_ceil(MIB)
}

/// Which MiB of the image are taken.
pub(super) struct Places {
    /// Those that blocks take.
    used: Bits,
    /// Those that are kept for blocks that are not there.
    kept: Bits,
    /// Image offset up to which something uses the image.
    used_to: u64,
    /// Where the first place of a block begins.
    first: u64,
    /// What the image need not have of the last block, because the disk ends before it.
    cut: Option<Span>,
}

impl Places {
    /// None so far, but for those of regions.
    pub(super) fn new(notebook: &Notebook<'_>, taken: &[Taken]) -> Self {
        // What lies at the limit or after it is past the end of every image that is taken.
        let bound = notebook.limit() / MIB + 1;
        Places {
            used: Bits::new(bound),
            kept: Bits::new(bound),
            used_to: taken.iter().map(|taken| taken.span.end()).max().unwrap_or(0).max(MIB),
            first: u64::MAX,
            cut: None,
        }
    }

    /// A block is stored here; the image has to have its first `len` bytes.
    pub(super) fn store(&mut self, span: Span, len: u64) {
        self.first = self.first.min(span.at);
        self.used_to = self.used_to.max(span.end());
        if len < span.len {
            self.cut = Some(Span { at: span.at.saturating_add(len), len: span.len - len });
        }
    }

    /// A block that is not there keeps this place.
    pub(super) fn keep(&mut self, span: Span) {
        self.first = self.first.min(span.at);
        units(span).for_each(|unit| _ = self.kept.add(unit));
    }

    /// Takes a MiB for a block; false if another one has it.
    pub(super) fn add(&mut self, unit: u64) -> bool {
        self.used.add(unit)
    }

    /// Whether this MiB is compared.
    pub(super) fn holds(&self, unit: u64) -> bool {
        self.used.holds(unit)
    }

    /// Where all ends that blocks and regions use, with the places that are kept right behind it.
    pub(super) fn end(&self) -> u64 {
        let mut unit = self.used_to.div_ceil(MIB);
        while self.kept.has(unit) {
            unit += 1;
        }
        self.used_to.max(unit.saturating_mul(MIB))
    }

    /// Looks for what belongs to nothing, after all entries went by: room for a block, or more than zeros where there is
    /// less room.
    pub(super) fn check(
        &mut self,
        blocks: &Blocks,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        reach: &mut Reach,
    ) -> Result<Walked, Halt> {
        let block = blocks.metadata.block_size;
        let regions_end = self.take(blocks);
        let mut at = MIB;
        while let Some(gap) = self.gap(at) {
            at = gap.end();
            let said = if gap.len >= block && !left_by_qemu(gap, regions_end, &blocks.metadata) {
                Some((gap.at, room(gap, block)))
            } else if notebook.doomed() {
                // Of an image that is refused nothing more is read.
                None
            } else if gap.len >= block {
                // QEMU leaves zeros there, and a block that was lost has more.
                match first_used(view, gap.at, gap.end())? {
                    Ok(used) => used.map(|_| (gap.at, room(gap, block))),
                    Err((at, missing)) => return Ok(not_walked(notebook, at, GAP, missing)),
                }
            } else {
                match between(view, gap.at, gap.end())? {
                    Ok(found) => found.map(|(at, begins)| (at, nothing(at, gap.end(), &begins))),
                    Err((at, missing)) => return Ok(not_walked(notebook, at, GAP, missing)),
                }
            };
            if let Some((at, said)) = said {
                // Of an image that is cut off, the entries may be cut off too.
                let (code, layer, offset) = (Code::VhdxSpaceUnused, Layer::Image, Some(at));
                reach.if_whole(Anomaly { code, layer, offset, spot: None, said });
                break;
            }
        }
        Ok(Walked::Whole)
    }

    /// Takes the places of the regions. Returns where the last region before the blocks ends.
    fn take(&mut self, blocks: &Blocks) -> u64 {
        // The first MiB has the headers.
        self.used.add(0);
        let mut regions_end = MIB;
        for Taken { span, .. } in &blocks.taken {
            if span.at < self.first {
                regions_end = regions_end.max(span.end());
            }
            let len = span.len.min(self.used_to.saturating_sub(span.at));
            units(Span { at: span.at, len }).for_each(|unit| _ = self.used.add(unit));
        }
        // Another block may lie where the last one does not reach, which was judged before.
        units(self.cut.unwrap_or_default()).for_each(|unit| _ = self.used.add(unit));
        regions_end
    }

    /// The first part from `at` to the end of what is used that no block and no region takes.
    fn gap(&self, at: u64) -> Option<Span> {
        let end = self.used_to.div_ceil(MIB);
        let compared = (at / MIB..end).take_while(|&unit| self.used.holds(unit));
        let is_free = |unit: &u64| !self.used.has(*unit) && !self.kept.has(*unit);
        let mut free = compared.skip_while(|unit| !is_free(unit)).take_while(is_free);
        let first = free.next()?;
        Some(Span { at: first * MIB, len: (1 + free.count() as u64) * MIB })
    }
}

const GAP: &str = "what lies between regions and blocks";

fn room(gap: Span, block: u64) -> String {
    format!(
        "{} bytes from byte {} on belong to nothing, and a block has {block}: the BAT may have lost some.",
        gap.len, gap.at
    )
}

/// Whether QEMU leaves a part like this between the last region and the first block.
fn left_by_qemu(gap: Span, regions_end: u64, metadata: &Metadata) -> bool {
    let is_left = match metadata.fixed {
        true => gap.len.saturating_sub(LEFT_BY_QEMU) / MIB <= metadata.size.div_ceil(MIB),
        false => gap.len == LEFT_BY_QEMU,
    };
    is_left && gap.at / MIB == regions_end.div_ceil(MIB)
}

#[cfg(test)]
mod tests {
    use super::super::bat::{FULLY_PRESENT, UNMAPPED};
    use super::super::examine::tests::{METADATA, Sample, all_codes};
    use super::*;

    #[test]
    fn what_the_first_mib_reserves_is_zeros() {
        let unused = [Code::VhdxSpaceUnused];
        for at in [520, 65_535, 69_632, 131_071, 135_168, 196_607, 327_680, 1_048_575] {
            let mut sample = Sample::new();
            assert_eq!(all_codes(sample.put(at, &[1]).image.clone()), unused, "{at}");
        }
        for at in [80, 4095] {
            let mut sample = Sample::new();
            assert_eq!(all_codes(sample.in_headers(at, &[1]).image.clone()), unused, "{at}");
        }
        // What the header says of a header is said once.
        let mut sample = Sample::new();
        let codes = all_codes(sample.put((64 << 10) + 100, &[1]).image.clone());
        assert_eq!(codes, [Code::VhdxHeaderDamaged]);
    }

    #[test]
    fn a_gap_that_is_smaller_than_a_block_has_zeros() {
        // Blocks of 2 MiB, one behind a MiB that nothing takes.
        let sample = |at: usize| {
            let mut sample = Sample::new();
            sample.put(METADATA + (64 << 10) + 2, &[0x20]);
            sample.image.resize(7 << 20, 0);
            sample.image[4 << 20..5 << 20].fill(0);
            sample.entry(0, (5 << 20) | FULLY_PRESENT).entry(1, 0);
            sample.image[at] = 1;
            sample
        };
        assert_eq!(all_codes(sample(5 << 20).image), []);
        for at in [4 << 20, (5 << 20) - 1] {
            assert_eq!(all_codes(sample(at).image), [Code::VhdxSpaceUnused], "{at}");
        }
        // It may be kept for a block.
        let mut kept = sample(4 << 20);
        kept.entry(1, (4 << 20) | UNMAPPED);
        assert_eq!(all_codes(kept.image), [Code::VhdxBlocksUnmapped]);
    }
}
