use super::bat::Kept;
use super::disk::Blocks;
use super::header::{self, MIB};
use super::{gaps, log, metadata, tables};
use crate::facts::{Layer, Notebook};
use crate::formats::{Examined, Halt, ImageView, Reach};

/// What lies somewhere after the headers, in any order.
#[derive(Clone, Copy)]
enum Part {
    Log,
    Bat,
    Metadata,
}

/// Reads headers, region table and metadata and checks where everything lies.
pub(in crate::formats) fn examine(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Examined>, Halt> {
    let Some(header) = header::read(view, notebook)? else { return Ok(None) };
    let Some(regions) = tables::regions(view, notebook, (header.log, header.log_at))? else {
        return Ok(None);
    };
    gaps::check_first_mib(view, notebook)?;
    let (mut kept, mut metadata) = (Kept::default(), None);
    // In the order in which they come, so that a stream never has to go back.
    let mut parts = [
        (header.log.at, Part::Log),
        (regions.bat.at, Part::Bat),
        (regions.metadata.at, Part::Metadata),
    ];
    parts.sort_by_key(|(at, _)| *at);
    for (_, part) in parts {
        match part {
            Part::Log => log::examine(view, notebook, header.log, header.log_guid)?,
            Part::Bat => kept = Kept::read(view, regions.bat)?,
            Part::Metadata => {
                metadata = metadata::read(view, notebook, regions.metadata)?;
                if let Some(metadata) = &metadata {
                    notebook.set_bound(metadata.most(&regions.taken));
                }
            }
        }
    }
    let Some(metadata) = metadata else { return Ok(None) };
    notebook.claim_disk_size(metadata.size, Layer::Image, metadata.size_at);
    let Some(blocks) = Blocks::new(metadata, regions, kept, notebook) else {
        return Ok(None);
    };
    let mut reach = Reach::new(notebook);
    for taken in blocks.taken.iter().filter(|taken| taken.span.len > 0) {
        reach.include(&taken.name, taken.span.at, taken.span.len);
    }

    let mut traits = vec![
        if metadata.fixed { "fixed" } else { "dynamic" }.to_owned(),
        format!("{} MiB blocks", metadata.block_size / MIB),
    ];
    if !header.creator.is_empty() {
        traits.push(format!("created by {}", header.creator));
    }
    Ok(Some(Examined { virtual_size: metadata.size, traits, reach, layout: Box::new(blocks) }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::facts::{Code, DiskFormat};
    use crate::formats::testing::{self, MemoryView};
    use crate::formats::{Disk, Got, MappedDisk};

    pub(in super::super) const REGIONS: usize = 192 << 10;
    pub(in super::super) const BAT: usize = 3 << 20;
    pub(in super::super) const METADATA: usize = 2 << 20;
    /// Where the one stored block lies.
    const BLOCK: usize = 4 << 20;
    /// Blocks of 1 MiB, all zeros but the second; the last is not whole.
    const SIZE: u64 = (2 << 20) + 1024;

    /// An image with a log at 1 MiB, the metadata at 2 MiB and the BAT at 3 MiB.
    pub(in super::super) struct Sample {
        pub(in super::super) image: Vec<u8>,
    }

    impl Sample {
        pub(in super::super) fn new() -> Self {
            let mut sample = Sample { image: vec![0; BLOCK + (1 << 20)] };
            sample.put(0, b"vhdxfilet\0e\0s\0t\0");
            for (at, sequence) in [(64 << 10, 7), (128 << 10, 8)] {
                sample.put(at, b"head").put(at + 8, &[sequence]).put(at + 66, &[1]);
                sample.put(at + 68, &[0, 0, 0x10, 0]).put(at + 72, &[0, 0, 0x10, 0]);
                sample.seal(at, 4096);
            }
            for at in [REGIONS, REGIONS + (64 << 10)] {
                sample.put(at, b"regi").put(at + 8, &[2]);
                sample.region(at + 16, "6677c22d23f600429d64115e9bfd4a08", BAT);
                sample.region(at + 48, "06a27c8b90479a4bb8fe575f050f886e", METADATA);
                sample.seal(at, 64 << 10);
            }
            sample.put(METADATA, b"metadata").put(METADATA + 10, &[5]);
            for (index, (guid, value)) in [
                ("3767a1ca36fa434db3b633f0aa44e76b", vec![0, 0, 0x10, 0, 0, 0, 0, 0]),
                ("2442a52f1bcd7648b2115dbed83bf4b8", SIZE.to_le_bytes().to_vec()),
                ("1dbf41816fa90947ba47f233a8faab5f", vec![0, 2, 0, 0]),
                ("c748a3cd5d4471449cc9e9885251c556", vec![0, 0x10, 0, 0]),
                ("ab12cabee6b2234593efc309e000c746", vec![7; 16]),
            ]
            .into_iter()
            .enumerate()
            {
                let (at, item) = (METADATA + 32 + 32 * index, (64 << 10) + 16 * index);
                sample.put(at, &unhex(guid)).put(at + 16, &(item as u32).to_le_bytes());
                sample.put(at + 20, &[value.len() as u8]).put(at + 24, &[6]);
                sample.put(METADATA + item, &value);
            }
            sample.entry(1, BLOCK as u64 | 6);
            sample.image[BLOCK..].fill(0xab);
            sample
        }

        pub(in super::super) fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
            self.image[at..at + bytes.len()].copy_from_slice(bytes);
            self
        }

        /// Writes the checksum of the structure at `at`.
        pub(in super::super) fn seal(&mut self, at: usize, len: usize) -> &mut Self {
            self.put(at + 4, &[0; 4]);
            let crc = crc32c::crc32c(&self.image[at..at + len]);
            self.put(at + 4, &crc.to_le_bytes())
        }

        /// Seals both copies of the region table after the same change.
        pub(in super::super) fn in_region_tables(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
            for copy in [REGIONS, REGIONS + (64 << 10)] {
                self.put(copy + at, bytes).seal(copy, 64 << 10);
            }
            self
        }

        /// Changes both headers.
        pub(in super::super) fn in_headers(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
            for header in [64 << 10, 128 << 10] {
                self.put(header + at, bytes).seal(header, 4096);
            }
            self
        }

        /// Names a region that nobody knows, of the MiB with this number.
        pub(in super::super) fn third_region(&mut self, mib: u64, required: u8) -> &mut Self {
            let mut entry = [9; 32];
            entry[16..24].copy_from_slice(&(mib << 20).to_le_bytes());
            entry[24..].copy_from_slice(&[0, 0, 0x10, 0, required, 0, 0, 0]);
            self.in_region_tables(8, &[3]).in_region_tables(80, &entry)
        }

        fn region(&mut self, at: usize, guid: &str, place: usize) {
            self.put(at, &unhex(guid)).put(at + 16, &(place as u64).to_le_bytes());
            self.put(at + 24, &(1u32 << 20).to_le_bytes()).put(at + 28, &[1]);
        }

        pub(in super::super) fn entry(&mut self, index: usize, entry: u64) -> &mut Self {
            self.put(BAT + 8 * index, &entry.to_le_bytes())
        }
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect()
    }

    /// What an image gives, after all of its disk was read.
    pub(in super::super) fn all_codes(image: Vec<u8>) -> Vec<Code> {
        testing::codes(DiskFormat::Vhdx, image)
    }

    /// The same without what lies behind its end, as an image that loses a block has that too.
    pub(in super::super) fn codes(image: Vec<u8>) -> Vec<Code> {
        let codes = all_codes(image).into_iter();
        codes
            .filter(|code| !matches!(code, Code::VhdxTrailingBytes | Code::VhdxSpaceUnused))
            .collect()
    }

    #[test]
    fn finds_what_the_disk_holds() {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryView::new(Sample::new().image);
        let mut examined = examine(&mut view, &notebook).unwrap().unwrap();
        assert_eq!(examined.virtual_size, SIZE);
        assert_eq!(examined.traits, ["dynamic", "1 MiB blocks", "created by test"]);
        let mut disk = MappedDisk::new(&mut view, &mut *examined.layout, &notebook);
        let mut bytes = vec![1; SIZE as usize];
        assert_eq!(disk.read_at(0, &mut bytes).unwrap(), Got::Bytes(SIZE as usize));
        let mut expected = vec![0; SIZE as usize];
        expected[1 << 20..2 << 20].fill(0xab);
        assert!(bytes == expected);
        assert!(notebook.close().is_empty());
    }

    #[test]
    fn a_cut_image_is_truncated() {
        for len in [100, 70 << 10, 200 << 10, 1 << 20, METADATA + 9, METADATA + 70_000, BAT + 4] {
            let mut sample = Sample::new();
            sample.image.truncate(len);
            assert_eq!(codes(sample.image), [Code::ImageTruncated], "at {len}");
        }
    }

    #[test]
    fn a_disk_of_the_limit_or_more_is_too_large() {
        let mut sample = Sample::new();
        sample.put(METADATA + (64 << 10) + 16, &(1u64 << 40).to_le_bytes());
        assert_eq!(codes(sample.image), [Code::DiskTooLarge, Code::VhdxBatInvalid]);
    }

    #[test]
    fn reads_what_qemu_writes() {
        for options in ["", "subformat=fixed", "block_size=1M", "block_size=32M", "log_size=4M"] {
            testing::agrees_with_qemu(DiskFormat::Vhdx, options, 40 << 20);
            testing::agrees_with_qemu(DiskFormat::Vhdx, options, (9 << 20) + 512);
        }
    }
}
