use super::disk::Blocks;
use super::header::{self, DISK_SIZE_AT};
use super::tables;
use crate::facts::{Layer, Notebook};
use crate::formats::{Examined, Halt, ImageView, Reach};

/// Reads the header and checks where block map and data lie.
pub(in crate::formats) fn examine(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Examined>, Halt> {
    let Some(header) = header::read(view, notebook)? else { return Ok(None) };
    notebook.claim_disk_size(header.size, Layer::Image, DISK_SIZE_AT);
    notebook.set_bound(header.most());
    let mut reach = Reach::new(notebook);
    if !tables::check(&header, notebook, &mut reach) {
        return Ok(None);
    }
    let traits = vec![
        if header.fixed { "static" } else { "dynamic" }.to_owned(),
        format!("{} KiB blocks", header.block_size as f64 / 1024.0),
    ];
    Ok(Some(Examined {
        virtual_size: header.size,
        traits,
        reach,
        layout: Box::new(Blocks::new(header)),
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::facts::{Code, DiskFormat};
    use crate::formats::testing::{self, MemoryView};
    use crate::formats::{Disk, Got, MappedDisk};

    /// Three blocks of 1 MiB, the second of them stored.
    const SIZE: u64 = (2 << 20) + 1024;

    pub(in super::super) fn sample() -> Vec<u8> {
        let mut image = vec![0; 1024 + (1 << 20)];
        for (at, value) in [
            (0x40, 0xbeda_107f_u32),
            (0x44, 0x0001_0001),
            (0x48, 0x190),
            (0x4c, 1),
            (0x154, 512),
            (0x158, 1024),
            (0x168, 512),
            (0x170, SIZE as u32),
            (0x178, 1 << 20),
            (0x180, 3),
            (0x184, 1),
            (512, 0xffff_ffff),
            (516, 0),
            (520, 0xffff_fffe),
        ] {
            image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        image[1024..].fill(0xab);
        image
    }

    /// The codes after a number of the header or the map was changed.
    fn changed(at: usize, value: u32) -> Vec<Code> {
        let mut image = sample();
        image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        testing::codes(DiskFormat::Vdi, image)
    }

    #[test]
    fn finds_what_the_disk_holds() {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryView::new(sample());
        let mut examined = examine(&mut view, &notebook).unwrap().unwrap();
        assert_eq!(examined.virtual_size, SIZE);
        assert_eq!(examined.traits, ["dynamic", "1024 KiB blocks"]);
        let mut disk = MappedDisk::new(&mut view, &mut *examined.layout, &notebook);
        let mut bytes = vec![1; SIZE as usize];
        assert_eq!(disk.read_at(0, &mut bytes).unwrap(), Got::Bytes(SIZE as usize));
        let mut expected = vec![0; SIZE as usize];
        expected[1 << 20..2 << 20].fill(0xab);
        assert!(bytes == expected);
        assert!(notebook.close().is_empty());
    }

    #[test]
    fn every_field_is_checked() {
        for (at, value, code) in [
            (0x40, 0, Code::VdiHeaderInvalid),
            (0x44, 0x0001_0000, Code::VdiVersionUnsupported),
            (0x48, 0x17f, Code::VdiHeaderInvalid),
            (0x48, 0x1b9, Code::VdiBlockMapInvalid),
            (0x48, u32::MAX, Code::VdiBlockMapInvalid),
            (0x4c, 0, Code::VdiTypeUnsupported),
            (0x4c, 3, Code::VdiTypeUnsupported),
            (0x4c, 4, Code::VdiTypeUnsupported),
            (0x154, 513, Code::VdiBlockMapInvalid),
            (0x154, 0, Code::VdiBlockMapInvalid),
            (0x154, u32::MAX, Code::VdiBlockMapInvalid),
            (0x158, 1025, Code::VdiBlockMapInvalid),
            (0x158, 512, Code::VdiBlockMapInvalid),
            (0x168, 4096, Code::VdiSectorSizeInvalid),
            (0x170, 0, Code::DiskEmpty),
            (0x170, SIZE as u32 - 1, Code::VdiSizeUnaligned),
            (0x170, (3 << 20) + 1, Code::VdiBlockCountMismatch),
            (0x178, 0, Code::VdiBlockSizeInvalid),
            (0x178, 3 << 19, Code::VdiBlockSizeInvalid),
            (0x178, 256, Code::VdiBlockSizeInvalid),
            (0x17c, 8, Code::VdiBlockSizeInvalid),
            (0x180, 2, Code::VdiBlockCountMismatch),
            (0x180, u32::MAX, Code::VdiBlockCountMismatch),
            (0x184, 4, Code::VdiBlockCountMismatch),
            (0x184, 2, Code::ImageTruncated),
            (0x1a8, 1, Code::VdiParent),
            (0x1b8, 1, Code::VdiParent),
            (516, 3, Code::VdiBlockMapEntryInvalid),
            (516, 0xffff_fffd, Code::VdiBlockMapEntryInvalid),
            (516, 2, Code::ImageTruncated),
        ] {
            let found = changed(at, value);
            assert!(found.contains(&code), "{value:#x} at {at:#x}: {found:?}");
        }
        assert_eq!(changed(0x48, 0x180), []);
        assert_eq!(changed(0x4c, 2), []);
        assert_eq!(changed(0x174, u32::MAX), [Code::DiskTooLarge, Code::VdiBlockCountMismatch]);
    }

    #[test]
    fn a_pointer_past_what_such_a_disk_needs_is_damage() {
        for at in [0x154, 0x158] {
            let mut image = sample();
            image[0x158..0x15c].copy_from_slice(&0xffff_fe00_u32.to_le_bytes());
            image[at..at + 4].copy_from_slice(&0x7fff_fe00_u32.to_le_bytes());
            assert_eq!(
                testing::codes(DiskFormat::Vdi, image),
                [Code::ImageOffsetImpossible],
                "{at:#x}"
            );
        }
    }

    #[test]
    fn a_parent_is_one_cause() {
        for ways in [&[0x1a8][..], &[0x1b8], &[0x1a8, 0x1b8], &[0x4c, 0x1b8], &[0x4c, 0x1a8, 0x1b8]]
        {
            let mut image = sample();
            for &at in ways {
                image[at] = 4;
            }
            assert_eq!(testing::codes(DiskFormat::Vdi, image), [Code::VdiParent], "{ways:x?}");
        }
    }

    #[test]
    fn a_block_size_that_only_virtualbox_reads_is_named() {
        assert_eq!(changed(0x178, 2 << 20), [Code::ImageTruncated, Code::VdiBlockSize]);
    }

    #[test]
    fn a_size_between_sectors_is_rounded_up() {
        let mut image = sample();
        image[0x170] = 1;
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let examined = examine(&mut MemoryView::new(image), &notebook).unwrap().unwrap();
        assert_eq!(examined.virtual_size, SIZE + 512);
    }

    #[test]
    fn a_cut_image_is_truncated() {
        for len in [0, 100, 514, 5000] {
            let mut image = sample();
            image.truncate(len);
            assert_eq!(testing::codes(DiskFormat::Vdi, image), [Code::ImageTruncated], "at {len}");
        }
    }

    #[test]
    fn reads_what_qemu_writes() {
        for options in ["", "static=on"] {
            testing::agrees_with_qemu(DiskFormat::Vdi, options, 40 << 20);
            testing::agrees_with_qemu(DiskFormat::Vdi, options, (9 << 20) + 512);
        }
    }
}
