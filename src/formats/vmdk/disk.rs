use std::collections::BTreeMap;

use super::header::Header;
use super::markers::{GRAIN_DATA, Grain, Marker};
use super::tables::ENTRY;
use super::{SECTOR, offset_of};
use crate::facts::{Code, Left, Notebook};
use crate::formats::disk::{Method, Packed};
use crate::formats::{Halt, ImageView, Layout, Missing, Place, Reach, Run, Walked, Wanted};

/// The way from a byte of the disk to its grain: one grain directory entry, one grain table entry, and
/// the marker before a compressed grain; or what was learned of it before.
pub(super) struct Grains {
    pub(super) header: Header,
    /// The header with the places of the directories, which may be the footer's copy.
    pub(super) located: Option<Header>,
    /// Why there is no such header; [`Missing::Behind`] as long as the footer was not looked for.
    pub(super) unlocated: Missing,
    /// Grains that are known without the tables, by number.
    pub(super) known: BTreeMap<u64, Known>,
    /// Whether a walk unpacked all grains as they passed; `None` if it did not try.
    pub(super) unpacked: Option<Result<(), Left>>,
    /// Threads that do so.
    pub(super) threads: usize,
}

/// Where a grain is.
pub(super) enum Known {
    Unallocated,
    Zeros,
    /// As it is, from this image offset on.
    Stored(u64),
    Packed(Grain),
    Missing(Missing),
}

/// Where the tables say that a grain is.
enum Entry {
    /// Nowhere, and so are these bytes of the disk, from the one that was asked for on.
    Nowhere(Place, u64),
    /// At the image offset `grain`; `at` is the place of the entry that says so.
    At { at: u64, grain: u64 },
    /// The tables are broken; the notebook has the reason.
    Broken,
}

impl Layout for Grains {
    fn virtual_size(&self) -> u64 {
        self.header.virtual_size()
    }

    fn unit(&self) -> u64 {
        self.header.grain_bytes()
    }

    fn locate(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        guest: u64,
    ) -> Result<Run, Halt> {
        let skip = guest % self.header.grain_bytes();
        let len = self.header.grain_bytes() - skip;
        let first_sector = (guest - skip) / SECTOR;
        let index = guest / self.header.grain_bytes();
        if let Some(place) = self.known(index, skip) {
            return Ok(Run { len, place });
        }
        if self.located.is_none() && self.unlocated == Missing::Behind {
            self.resolve_quickly(view, notebook)?;
            if let Some(place) = self.known(index, skip) {
                return Ok(Run { len, place });
            }
        }
        let Some(directory) = self.located.as_ref().map(|header| offset_of(header.directory))
        else {
            return Ok(Run { len, place: Place::Missing(self.unlocated) });
        };
        let place = match self.entry(view, notebook, directory, guest)? {
            Entry::Nowhere(place, len) => return Ok(Run { len, place }),
            Entry::Broken => Place::Missing(Missing::Broken),
            Entry::At { grain, .. } if !self.header.is_compressed() => {
                Place::Stored(grain.saturating_add(skip))
            }
            Entry::At { at, grain } => {
                match self.marked(view, notebook, at, grain, first_sector)? {
                    Some(grain) => Place::Packed(packed(&grain, skip, &self.header)),
                    None => Place::Missing(Missing::Broken),
                }
            }
        };
        Ok(Run { len, place })
    }

    fn has_packed(&self) -> Option<bool> {
        Some(self.header.is_compressed())
    }

    fn unpacked(&self) -> Option<Result<(), Left>> {
        self.unpacked
    }

    fn unpack_on(&mut self, threads: usize) {
        self.threads = threads;
    }

    fn walk(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        wanted: &Wanted,
        reach: &mut Reach,
    ) -> Result<Walked, Halt> {
        self.walk_all(view, notebook, wanted, reach)
    }
}

impl Grains {
    fn known(&self, index: u64, skip: u64) -> Option<Place> {
        self.known.get(&index).map(|known| match known {
            Known::Unallocated => Place::Unallocated,
            Known::Zeros => Place::Zeros,
            Known::Stored(at) => Place::Stored(at.saturating_add(skip)),
            Known::Packed(grain) => Place::Packed(packed(grain, skip, &self.header)),
            Known::Missing(missing) => Place::Missing(*missing),
        })
    }

    fn directory_entry(&self, directory: u64, guest: u64) -> u64 {
        directory.saturating_add(guest / self.header.table_covers() * ENTRY)
    }

    fn table_entry(&self, table: u64, guest: u64) -> u64 {
        let index = guest % self.header.table_covers() / self.header.grain_bytes();
        offset_of(table).saturating_add(index * ENTRY)
    }

    /// The sector of the grain table for a byte of the disk, 0 if there is none.
    fn table(
        &self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        directory: u64,
        guest: u64,
    ) -> Result<Option<u64>, Halt> {
        let at = self.directory_entry(directory, guest);
        let Some(sector) = number(view, notebook, at, "a grain directory entry")? else {
            return Ok(None);
        };
        let usable = sector == 0 || self.is_free(u64::from(sector));
        if !usable {
            notebook.image(Code::VmdkTableEntryInvalid, at, format!(
                "The grain directory places a grain table at sector {sector}, in the header or descriptor."));
        }
        Ok(usable.then_some(u64::from(sector)))
    }

    fn entry(
        &self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        directory: u64,
        guest: u64,
    ) -> Result<Entry, Halt> {
        let covers = self.header.table_covers();
        let grain_bytes = self.header.grain_bytes();
        let Some(table) = self.table(view, notebook, directory, guest)? else {
            return Ok(Entry::Broken);
        };
        if table == 0 {
            return Ok(Entry::Nowhere(Place::Unallocated, covers - guest % covers));
        }
        let at = self.table_entry(table, guest);
        let Some(sector) = number(view, notebook, at, "a grain table entry")? else {
            return Ok(Entry::Broken);
        };
        if self.header.reads_as_zeros(sector) {
            let place = if sector == 0 { Place::Unallocated } else { Place::Zeros };
            return Ok(Entry::Nowhere(place, grain_bytes - guest % grain_bytes));
        }
        if !self.is_free(u64::from(sector)) {
            notebook.image(Code::VmdkTableEntryInvalid, at, format!(
                "The grain table places a grain at sector {sector}, in the header or descriptor."));
            return Ok(Entry::Broken);
        }
        Ok(Entry::At { at, grain: offset_of(u64::from(sector)) })
    }

    fn is_free(&self, sector: u64) -> bool {
        sector >= self.header.first_free_sector()
    }

    /// A compressed grain by the marker before it, which has to be for this sector of the disk.
    fn marked(
        &self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        entry_at: u64,
        at: u64,
        sector: u64,
    ) -> Result<Option<Grain>, Halt> {
        // The last grain may be too short for a whole marker structure, which its data overlaps.
        let mut bytes = [0; size_of::<Marker>()];
        let known = bytes.split_at_mut(GRAIN_DATA as usize).0;
        if !view.need(at, known, notebook, "a grain marker")? {
            return Ok(None);
        }
        let Some(marker) = Marker::parse(&bytes) else { return Ok(None) };
        let (marked, len) = (marker.value.get(), u64::from(marker.size.get()));
        let most = self.header.largest_packed_grain();
        if marked != sector {
            notebook.image(Code::VmdkTableEntryInvalid, entry_at, format!(
                "The entry for sector {sector} leads to byte {at}, where a grain for sector {marked} is."));
            return Ok(None);
        }
        if len == 0 || len > most {
            notebook.image(Code::VmdkTableEntryInvalid, at.saturating_add(8), format!(
                "The marker of the grain for sector {sector} says {len} packed bytes; 1 to {most} are possible."));
            return Ok(None);
        }
        Ok(Some(Grain { sector, at, len }))
    }
}

/// Where a grain's packed bytes are; what is wanted of it lies behind its first `skip` bytes.
pub(super) fn packed(grain: &Grain, skip: u64, header: &Header) -> Packed {
    Packed {
        at: grain.at.saturating_add(GRAIN_DATA),
        len: grain.len,
        skip,
        whole: header.grain_bytes(),
        method: Method::Zlib,
        damaged: Code::VmdkGrainDamaged,
        unended: None,
    }
}

/// A four-byte table entry.
fn number(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    at: u64,
    what: &str,
) -> Result<Option<u32>, Halt> {
    let mut bytes = [0; ENTRY as usize];
    Ok(view.need(at, &mut bytes, notebook, what)?.then(|| u32::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, TABLE, grain, read};
    use super::*;

    #[test]
    fn a_grain_unpacks_to_a_grain_at_most() {
        use std::io::Write as _;
        for (bytes, expected) in [(8192, false), (8193, true)] {
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            zlib.write_all(&vec![0; bytes]).unwrap();
            let packed = zlib.finish().unwrap();
            let mut sample = Sample::stream(3);
            let at = sample.grains[0];
            sample.image[at + 8..at + 12].copy_from_slice(&(packed.len() as u32).to_le_bytes());
            sample.image[at + 12..at + 12 + packed.len()].copy_from_slice(&packed);
            let found = read(&sample.image, 0, 512).1;
            assert_eq!(found.contains(&Code::VmdkGrainDamaged), expected, "{found:?}");
        }
    }

    #[test]
    fn finds_stored_grains_and_zeros() {
        let sample = Sample::sparse();
        let expected = [grain(0), vec![0; 8192], grain(2)[..4096].to_vec()].concat();
        assert_eq!(read(&sample.image, 0, 20480), (Some(expected.clone()), vec![]));
        assert_eq!(read(&sample.image, 100, 9000).0.unwrap(), expected[100..9100]);
    }

    #[test]
    fn finds_compressed_grains() {
        let sample = Sample::stream(40);
        for n in [0, 1, 2, 3, 39] {
            assert_eq!(read(&sample.image, n as u64 * 8192, 8192), (Some(grain(n)), vec![]));
        }
    }

    #[test]
    fn zeroed_grains_need_their_flag() {
        let sample = Sample::sparse();
        let image = sample.patched(TABLE, &[1]);
        assert_eq!(read(&image, 0, 512), (None, vec![Code::VmdkTableEntryInvalid]));
        let mut image = image;
        image[8] |= 4;
        assert_eq!(read(&image, 0, 512), (Some(vec![0; 512]), vec![Code::VmdkGrainsZeroed]));
    }

    #[test]
    fn entries_that_lead_nowhere_are_told() {
        let sample = Sample::sparse();
        let entry =
            |at: usize, sector: u32| read(&sample.patched(at, &sector.to_le_bytes()), 0, 0).1;
        for at in [TABLE, sample.directory] {
            assert_eq!(entry(at, 1000), [Code::ImageTruncated]);
            // Farther than any image of such a disk.
            assert_eq!(entry(at, 1 << 20), [Code::ImageOffsetImpossible]);
            assert_eq!(entry(at, u32::MAX), [Code::ImageOffsetImpossible]);
            assert_eq!(entry(at, u32::from_le_bytes(*b"text")), [Code::ImageOffsetImpossible]);
        }
        let image = sample.patched(sample.directory, &[3]);
        assert_eq!(read(&image, 0, 512).1, [Code::VmdkTableEntryInvalid]);
    }

    #[test]
    fn markers_have_to_agree_with_the_tables() {
        let sample = Sample::stream(40);
        let fourth = sample.grains[3];
        let told = |image: &[u8]| read(image, 3 * 8192, 512);
        for (at, bytes) in [(0, [1, 0, 0, 0]), (8, [0; 4]), (8, [0xff; 4])] {
            let (bytes, codes) = told(&sample.patched(fourth + at, &bytes));
            assert_eq!(bytes, None);
            // The walk finds it, and so does who reads this grain, which is not among those wanted.
            assert!(codes.contains(&Code::VmdkMarkersMismatch), "{codes:?}");
            assert!(codes.contains(&Code::VmdkTableEntryInvalid), "{codes:?}");
        }
        let damaged = sample.patched(fourth + 12, &[0xff; 8]);
        assert_eq!(told(&damaged), (None, vec![Code::VmdkGrainDamaged; 2]));
    }
}
