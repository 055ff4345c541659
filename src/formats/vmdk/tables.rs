use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::header::Header;
use super::offset_of;
use crate::facts::{Code, Notebook};
use crate::formats::Reach;

/// Bytes of an entry of grain directories and grain tables.
pub(super) const ENTRY: u64 = 4;

/// Checks where the header ends what is no data. QEMU refuses an image that is shorter.
pub(super) fn check_overhead(header: &Header, notebook: &Notebook<'_>, reach: &mut Reach) {
    if header.overhead < header.first_free_sector() {
        notebook.image(Code::VmdkHeaderInvalid, 64, format!(
            "The header says that data begins at sector {}, but header and descriptor take {} sectors.",
            header.overhead, header.first_free_sector()));
    }
    reach.include("the space before the first grain", 0, offset_of(header.overhead));
}

/// Checks where `header`, which may be the copy in the footer, places the grain directories. False if
/// the first one cannot be used. `first_free` is the first sector that a directory can take.
pub(super) fn check_directories(
    header: &Header,
    first_free: u64,
    notebook: &Notebook<'_>,
    reach: &mut Reach,
) -> bool {
    let bytes = header.tables().saturating_mul(ENTRY);
    let mut check = |what: &str, sector: u64, field: u64| {
        let placed = sector >= first_free;
        if placed {
            reach.include(what, offset_of(sector), bytes);
        } else {
            notebook.image(Code::VmdkGrainTableInvalid, header.at.saturating_add(field), format!(
                "The header places {what} at sector {sector}, but header and descriptor take the first {first_free} sectors."));
        }
        placed
    };
    if header.has_redundant_directory() {
        check("the redundant grain directory", header.redundant_directory, 48);
    }
    check("the grain directory", header.directory, 56)
}

/// Equal for tables that map the disk alike; 0 for those that map nothing.
pub(super) fn digest(entries: &[u32], header: &Header, key: &RandomState) -> u64 {
    let mut hasher = key.build_hasher();
    let mut nothing = true;
    for &entry in entries {
        let entry = if header.reads_as_zeros(entry) { 0 } else { entry };
        nothing &= entry == 0;
        hasher.write_u32(entry);
    }
    if nothing { 0 } else { hasher.finish() | 1 }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, codes};
    use crate::facts::Code;

    fn with(at: usize, value: u64) -> Vec<Code> {
        codes(&Sample::sparse().patched(at, &value.to_le_bytes()))
    }

    #[test]
    fn directories_lie_behind_the_descriptor() {
        for sector in [0, 1, 20] {
            assert_eq!(with(56, sector), [Code::VmdkGrainTableInvalid]);
            assert_eq!(with(48, sector), [Code::VmdkGrainTableInvalid]);
        }
    }

    #[test]
    fn directories_and_overhead_lie_in_the_image() {
        for at in [48, 56] {
            assert_eq!(with(at, 1 << 40), [Code::ImageTruncated]);
        }
        // With such an overhead the grains lie in it.
        assert!(with(64, 1 << 40).contains(&Code::ImageTruncated));
        assert!(with(64, u64::MAX).contains(&Code::ImageTruncated));
        assert_eq!(with(64, 20), [Code::VmdkHeaderInvalid]);
    }
}
