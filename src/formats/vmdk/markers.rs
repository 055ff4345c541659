use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::header::Header;
use super::{SECTOR, offset_of};
use crate::formats::{Got, Halt, ImageView};

/// Sectors of the disk that partition tables take at its beginning: MBR, GPT header, 32 sectors of
/// entries.
const WANTED: u64 = 34;

/// Markers that are looked at. Streams ascend, so the grains that are wanted come first.
const MOST_MARKERS: u32 = 64;

/// Image bytes in which markers are looked for: those that a stream keeps.
const LOOKED_AT: u64 = 1 << 20;

/// What stands in a stream before a grain or a table. A grain's data begins at `kind`.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Marker {
    /// First sector on the disk of a grain, or the number of sectors of a table.
    pub(super) value: U64,
    /// Packed bytes of a grain, or 0.
    pub(super) size: U32,
    kind: U32,
}

/// Bytes of a marker before a grain's data.
pub(super) const GRAIN_DATA: u64 = 12;

/// What follows a marker that is no grain's (VMware Virtual Disk Format 1.1, stream markers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    EndOfStream,
    Table,
    Directory,
    Footer,
    /// Nothing of the disk: VMware's writers show with it how far they are (`GRAIN_MARKER_PROGRESS` of
    /// VMware's open-vmdk).
    Progress,
}

impl Marker {
    /// From its first 16 bytes.
    pub(super) fn parse(bytes: &[u8]) -> Option<Marker> {
        Marker::read_from_prefix(bytes).ok().map(|(marker, _)| marker)
    }

    /// Whether a grain's data begins with a zlib header for deflate (RFC 1950, 2.2).
    pub(super) fn begins_zlib(&self) -> bool {
        let [method, check, ..] = self.kind.get().to_le_bytes();
        method & 0xf == 8 && u16::from_be_bytes([method, check]).is_multiple_of(31)
    }

    /// What it announces; `None` for grains and for what is unknown.
    pub(super) fn kind(&self) -> Option<Kind> {
        match (self.size.get(), self.kind.get()) {
            (0, 0) => Some(Kind::EndOfStream),
            (0, 1) => Some(Kind::Table),
            (0, 2) => Some(Kind::Directory),
            (0, 3) => Some(Kind::Footer),
            (0, 4) => Some(Kind::Progress),
            _ => None,
        }
    }
}

/// A grain that the stream itself announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grain {
    /// Its first sector on the disk.
    pub(super) sector: u64,
    /// Image offset of its marker.
    pub(super) at: u64,
    /// Packed bytes.
    pub(super) len: u64,
}

/// The grains with the beginning of the disk, found by their markers. A stream that cannot be read
/// again has its tables behind its data, where they come too late.
pub(super) fn first_grains(view: &mut dyn ImageView, header: &Header) -> Result<Vec<Grain>, Halt> {
    let mut grains: Vec<Grain> = Vec::new();
    let mut at = offset_of(header.overhead.max(header.first_free_sector()));
    for _ in 0..MOST_MARKERS {
        let mut bytes = [0; size_of::<Marker>()];
        if at >= LOOKED_AT || view.read_at(at, &mut bytes)? != Got::Bytes(bytes.len()) {
            break;
        }
        let Some(marker) = Marker::parse(&bytes) else { break };
        let len = u64::from(marker.size.get());
        let next = if len > 0 {
            let sector = marker.value.get();
            let last = grains.last().map_or(0, |grain| grain.sector.saturating_add(1));
            let sane = sector >= last && sector.is_multiple_of(header.grain_size.max(1));
            // What is odd here is told by the walk over all markers.
            if !sane || sector >= header.capacity.min(WANTED) || len > header.largest_packed_grain()
            {
                break;
            }
            grains.push(Grain { sector, at, len });
            at.saturating_add(GRAIN_DATA)
                .saturating_add(len)
                .div_ceil(SECTOR)
                .saturating_mul(SECTOR)
        } else {
            match marker.kind() {
                Some(Kind::Table | Kind::Directory | Kind::Progress) => {
                    at.saturating_add(SECTOR).saturating_add(offset_of(marker.value.get()))
                }
                _ => break,
            }
        };
        at = next;
    }
    Ok(grains)
}

#[cfg(test)]
mod tests {
    use super::super::header;
    use super::super::sample::Sample;
    use super::*;
    use crate::facts::Notebook;
    use crate::formats::testing::MemoryView;

    fn grains(image: &[u8]) -> Vec<Grain> {
        let mut view = MemoryView::new(image.to_vec());
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let header = header::read(&mut view, &notebook).unwrap().unwrap();
        first_grains(&mut view, &header).unwrap()
    }

    #[test]
    fn finds_the_grains_with_the_first_34_sectors() {
        let found: Vec<u64> = grains(&Sample::stream(5).image).iter().map(|g| g.sector).collect();
        assert_eq!(found, [0, 16, 32]);
    }

    #[test]
    fn stops_at_what_is_odd() {
        let sample = Sample::stream(5);
        let first = sample.grains[0];
        for (at, value) in [(0, 1u64), (0, u64::MAX), (8, 0xffff_ffff)] {
            assert_eq!(grains(&sample.patched(first + at, &value.to_le_bytes())), [], "{value}");
        }
        let image = sample.patched(sample.grains[1], &0u64.to_le_bytes());
        assert_eq!(grains(&image).len(), 1, "streams ascend");
    }
}
