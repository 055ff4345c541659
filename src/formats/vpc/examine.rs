use super::disk::{Blocks, Fixed, SECTOR};
use super::header::{Footer, Header};
use crate::facts::{Code, Layer, Notebook};
use crate::formats::view::not_examined;
use crate::formats::zeros::first_used;
use crate::formats::{Examined, Got, Halt, ImageView, Reach};

/// Bytes of an entry of the block allocation table.
const ENTRY: u64 = 4;

/// Bytes of a cylinder at most: 16 heads, 255 sectors.
const LARGEST_CYLINDER: u64 = 16 * 255 * 512;

/// Bytes of the table that are read at once.
const PIECE: usize = 64 << 10;

/// Reads footer, header and table of an image, and checks them all.
pub(in crate::formats) fn examine(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Examined>, Halt> {
    let mut cookie = [0; 8];
    let start = view.read_at(0, &mut cookie)?;
    if start != Got::Bytes(cookie.len()) || &cookie != b"conectix" {
        return fixed(view, notebook);
    }
    let Some((footer, header)) = headers(view, notebook)? else { return Ok(None) };
    let size = footer.size();
    if !notebook.claim_disk_size(size, Layer::Image, 48) {
        return Ok(None);
    }
    let blocks = size.div_ceil(header.block_size);
    if header.entries < blocks {
        let said = format!(
            "The block allocation table has {} entries, and a disk of {size} bytes has {blocks} blocks.",
            header.entries
        );
        notebook.image(Code::VpcTableInvalid, footer.header_at() + 28, said);
        return Ok(None);
    }
    let Some(table) = table(view, notebook, &header, blocks)? else { return Ok(None) };
    let layout = Blocks::new(size, header.block_size, table);
    let Some(image) = view.size()? else { return Ok(None) };
    let mut taken = [
        0..Footer::LENGTH as u64,
        footer.header_at()..footer.header_at() + Header::LENGTH as u64,
        header.table_at..header.table_at + blocks * ENTRY,
        image - Footer::LENGTH as u64..image,
    ];
    if let Some(said) = layout.contradiction(&taken) {
        notebook.image(Code::VpcTableInvalid, header.table_at, said);
        return Ok(None);
    }
    // Some programs make tables for larger disks than they have, and all fill up the last sector.
    let table_len = (header.entries * ENTRY).next_multiple_of(SECTOR);
    taken[2].end = header.table_at.saturating_add(table_len);
    for gap in layout.gaps(&taken) {
        match first_used(view, gap.start, gap.end)? {
            Ok(None) => {}
            Ok(Some(at)) => {
                notebook.image(Code::VpcTableInvalid, at, format!(
                    "{} bytes from byte {} on belong to nothing, and there is room for a block: the table may have lost some.",
                    gap.end - gap.start, gap.start));
                return Ok(None);
            }
            Err((at, missing)) => {
                not_examined(notebook, at, "what lies between blocks", missing);
                return Ok(None);
            }
        }
    }
    Ok(Some(Examined {
        virtual_size: size,
        traits: vec!["dynamic".to_owned(), format!("{} KiB blocks", header.block_size >> 10)],
        reach: Reach::new(notebook),
        layout: Box::new(layout),
    }))
}

/// A fixed image, which has nothing but a footer behind the disk.
fn fixed(view: &mut dyn ImageView, notebook: &Notebook<'_>) -> Result<Option<Examined>, Halt> {
    let image = view.size()?.unwrap_or_default();
    let end = image.saturating_sub(Footer::LENGTH as u64);
    let mut bytes = [0; Footer::LENGTH];
    if !view.need(end, &mut bytes, notebook, "the VHD footer")? {
        return Ok(None);
    }
    let size = Footer::read(&bytes)
        .and_then(|footer| footer.fixed_size().ok_or("is of another type than fixed"));
    let said = match size {
        // Programs that give the disk the size of its geometry write a part of a cylinder more.
        Ok(size) if size <= end && end - size < LARGEST_CYLINDER => {
            return Ok(Some(Examined {
                virtual_size: size,
                traits: vec!["fixed".to_owned()],
                reach: Reach::new(notebook),
                layout: Box::new(Fixed { size }),
            }));
        }
        Ok(size) => format!("says that the disk has {size} bytes, and {end} are before it"),
        Err(said) => said.to_owned(),
    };
    notebook.image(Code::VpcHeaderInvalid, end, format!("The VHD footer {said}."));
    Ok(None)
}

/// The headers, if they say the same.
fn headers(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<(Footer, Header)>, Halt> {
    let (mut first, mut last) = ([0; Footer::LENGTH], [0; Footer::LENGTH]);
    if !view.need(0, &mut first, notebook, "the VHD footer's copy")? {
        return Ok(None);
    }
    let invalid = |at, what: &str, said: &str| {
        notebook.image(Code::VpcHeaderInvalid, at, format!("The VHD {what} {said}."));
    };
    let footer = match Footer::read(&first) {
        Ok(footer) => footer,
        Err(said) => {
            invalid(0, "footer's copy", said);
            return Ok(None);
        }
    };
    if let Some(said) = footer.not_dynamic() {
        invalid(60, "image", said);
        return Ok(None);
    }
    let size = view.size()?.unwrap_or_default();
    let end = size.saturating_sub(Footer::LENGTH as u64);
    if !view.need(end, &mut last, notebook, "the VHD footer")? {
        return Ok(None);
    }
    if last != first {
        let said = "is not the same as its copy at the beginning: the image is cut off, or bytes follow it";
        invalid(end, "footer", said);
        return Ok(None);
    }
    let mut bytes = [0; Header::LENGTH];
    let at = footer.header_at();
    if at < Footer::LENGTH as u64 || at > end {
        invalid(16, "header", "is where it cannot be");
        return Ok(None);
    }
    if !view.need(at, &mut bytes, notebook, "the VHD header")? {
        return Ok(None);
    }
    match Header::read(&bytes) {
        Ok(header) => Ok(Some((footer, header))),
        Err(said) => {
            invalid(at, "header", said);
            Ok(None)
        }
    }
}

/// The entries of so many blocks. The image has all of them, or none are returned.
fn table(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
    blocks: u64,
) -> Result<Option<Vec<u32>>, Halt> {
    let end = header.table_at.checked_add(blocks * ENTRY);
    let size = view.size()?.unwrap_or_default();
    if end.is_none_or(|end| end > size) {
        let said =
            format!("The block allocation table at byte {} is not in the image.", header.table_at);
        notebook.image(Code::VpcTableInvalid, header.table_at, said);
        return Ok(None);
    }
    let mut entries = Vec::new();
    let mut piece = vec![0; PIECE];
    let mut left = blocks * ENTRY;
    let mut at = header.table_at;
    while left > 0 {
        let len = left.min(PIECE as u64);
        let bytes = &mut piece[..len as usize];
        if !view.need(at, bytes, notebook, "the block allocation table")? {
            return Ok(None);
        }
        let read = bytes.as_chunks::<4>().0.iter().map(|&entry| u32::from_be_bytes(entry));
        entries.extend(read);
        at += len;
        left -= len;
    }
    Ok(Some(entries))
}

#[cfg(test)]
mod tests {
    use super::super::header::tests::{footer, renew};
    use super::*;
    use crate::facts::DiskFormat;
    use crate::formats::testing::{self, MemoryView};
    use crate::formats::{Disk, MappedDisk};
    use proptest::prelude::*;

    const BLOCK: usize = 512 << 10;

    /// Three blocks and a half, the second of them stored, of which the first eight sectors are in use.
    fn sample() -> Vec<u8> {
        let size = (3 * BLOCK + 4096) as u64;
        let footer = footer(3, size);
        let mut header = [0; 1024];
        header[..8].copy_from_slice(b"cxsparse");
        header[8..16].fill(0xff);
        header[16..24].copy_from_slice(&1536u64.to_be_bytes());
        header[24..28].copy_from_slice(&0x1_0000u32.to_be_bytes());
        header[28..32].copy_from_slice(&4u32.to_be_bytes());
        header[32..36].copy_from_slice(&(BLOCK as u32).to_be_bytes());
        renew(&mut header);
        let mut image = [&footer[..], &header].concat();
        for entry in [u32::MAX, 4, u32::MAX, u32::MAX] {
            image.extend_from_slice(&entry.to_be_bytes());
        }
        image.resize(2048, 0xff);
        image.push(0xff);
        image.resize(2560, 0);
        image.resize(2560 + 4096, 0xab);
        image.resize(2560 + BLOCK, 0);
        image.extend_from_slice(&footer);
        image
    }

    fn codes(image: Vec<u8>) -> Vec<Code> {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryView::new(image);
        if let Some(mut examined) = examine(&mut view, &notebook).unwrap() {
            let size = examined.virtual_size as usize;
            let mut disk = MappedDisk::new(&mut view, &mut *examined.layout, &notebook);
            let mut bytes = vec![1; size.min(4 << 20)];
            let _ = disk.read_at(0, &mut bytes).unwrap();
        }
        notebook.close().into_iter().map(|anomaly| anomaly.code).collect()
    }

    #[test]
    fn finds_what_the_disk_holds() {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryView::new(sample());
        let mut examined = examine(&mut view, &notebook).unwrap().unwrap();
        let size = examined.virtual_size as usize;
        assert_eq!(examined.traits, ["dynamic", "512 KiB blocks"]);
        let mut disk = MappedDisk::new(&mut view, &mut *examined.layout, &notebook);
        let mut bytes = vec![1; size];
        assert_eq!(disk.read_at(0, &mut bytes).unwrap(), Got::Bytes(size));
        let mut expected = vec![0; size];
        expected[BLOCK..BLOCK + 4096].fill(0xab);
        assert!(bytes == expected);
        // In pieces too, wherever they begin.
        for at in [BLOCK - 3, BLOCK + 700, BLOCK + 4095, BLOCK + 4097, size - 5] {
            let mut piece = vec![1; 5.min(size - at)];
            disk.read_at(at as u64, &mut piece).unwrap();
            assert_eq!(piece, expected[at..at + piece.len()]);
        }
        assert!(notebook.close().is_empty());
    }

    #[test]
    fn every_field_is_checked() {
        assert_eq!(codes(sample()), []);
        for (at, bytes, code) in [
            // In the header, whose check sum is renewed.
            (512, &[0][..], Code::VpcHeaderInvalid),
            (512 + 16, &[0xff; 8], Code::VpcTableInvalid),
            (512 + 24, &[1], Code::VpcHeaderInvalid),
            (512 + 28, &[0, 0, 0, 3], Code::VpcTableInvalid),
            (512 + 32, &[0, 0, 2, 0], Code::VpcHeaderInvalid),
            (512 + 32, &[0, 8, 0, 1], Code::VpcHeaderInvalid),
            (512 + 32, &[0x40, 0, 0, 0], Code::VpcHeaderInvalid),
            (512 + 40, &[1], Code::VpcHeaderInvalid),
            // In the table: over the header, in the footer, past the end, the same block twice.
            (1536, &[0, 0, 0, 1], Code::VpcTableInvalid),
            (1540, &[0, 0, 0, 5], Code::VpcTableInvalid),
            (1540, &[0, 1, 0, 0], Code::VpcTableInvalid),
            (1544, &[0, 0, 0, 4], Code::VpcTableInvalid),
            // A sector that is said to be unused, and has bytes.
            (2048, &[0x7f], Code::VpcTableInvalid),
        ] {
            let mut image = sample();
            image[at..at + bytes.len()].copy_from_slice(bytes);
            renew(&mut image[512..1536]);
            assert_eq!(codes(image), [code], "{bytes:x?} at {at}");
        }
        let mut unrenewed = sample();
        unrenewed[512 + 900] = 1;
        assert_eq!(codes(unrenewed), [Code::VpcHeaderInvalid]);
        let both = |change: &dyn Fn(&mut [u8])| {
            let mut image = sample();
            let end = image.len() - 512;
            for at in [0, end] {
                change(&mut image[at..at + 512]);
                renew(&mut image[at..at + 512]);
            }
            codes(image)
        };
        assert_eq!(both(&|footer| footer[63] = 4), [Code::VpcHeaderInvalid]);
        assert_eq!(both(&|footer| footer[63] = 5), [Code::VpcHeaderInvalid]);
        assert_eq!(both(&|footer| footer[22] = 0), [Code::VpcHeaderInvalid]);
        assert_eq!(both(&|footer| footer[48] = 1), [Code::DiskTooLarge]);
        assert_eq!(both(&|footer| footer[51] = 1), [Code::VpcTableInvalid]);
    }

    #[test]
    fn room_for_a_block_that_no_entry_names_has_zeros() {
        let lost = |content: u8, size: usize| {
            let mut image = sample();
            image[1540..1544].fill(0xff);
            let end = image.len() - 512;
            image[2048..end].fill(content);
            image.splice(2048 + size..end, []);
            codes(image)
        };
        let whole = 512 + BLOCK;
        assert_eq!(lost(1, whole), [Code::VpcTableInvalid]);
        assert_eq!(lost(1, whole - 512), [], "there is no room for one");
        assert_eq!(lost(0, whole), [], "none was written there");
    }

    #[test]
    fn a_fixed_image_is_the_disk_and_a_footer() {
        let fixed = |size: u64, before: usize| {
            let image = [&vec![7; before][..], &footer(2, size)].concat();
            let notebook = Notebook::new(&|_| false, 1 << 40);
            let found = examine(&mut MemoryView::new(image), &notebook).unwrap();
            (found.map(|found| found.virtual_size), notebook.close().len())
        };
        assert_eq!(fixed(1 << 20, 1 << 20), (Some(1 << 20), 0));
        assert_eq!(fixed(1 << 20, (1 << 20) + 512), (Some(1 << 20), 0));
        assert_eq!(fixed(1 << 20, (1 << 20) - 512), (None, 1));
        assert_eq!(fixed(1 << 20, 4 << 20), (None, 1));
    }

    #[test]
    fn a_cut_image_is_refused() {
        let whole = sample();
        for len in [0, 8, 511, 512, 600, 1540, 2048, 4096, whole.len() - 512, whole.len() - 1] {
            assert!(!codes(whole[..len].to_vec()).is_empty(), "cut at {len}");
        }
    }

    #[test]
    fn reads_what_qemu_writes() {
        for (options, size) in [
            ("subformat=dynamic,force_size=on", 40 << 20),
            ("subformat=dynamic,force_size=on", (9 << 20) + 512),
            ("subformat=dynamic", 40 << 20),
        ] {
            let mut raw: Vec<u8> = vec![0; size];
            for at in (0..100_000).chain(size - 100_000..size) {
                raw[at] = (at / 512 + at % 251 + 1) as u8;
            }
            let Some(image) = testing::converted(&raw, DiskFormat::Vpc, options) else { return };
            let notebook = Notebook::new(&|_| false, 1 << 40);
            let mut view = MemoryView::new(image);
            let mut examined = examine(&mut view, &notebook).unwrap().unwrap();
            // Without `force_size` it is rounded up to a geometry.
            assert!(examined.virtual_size >= size as u64);
            raw.resize(examined.virtual_size as usize, 0);
            let mut disk = MappedDisk::new(&mut view, &mut *examined.layout, &notebook);
            let mut bytes = vec![1; raw.len()];
            assert_eq!(disk.read_at(0, &mut bytes).unwrap(), Got::Bytes(raw.len()));
            assert!(bytes == raw, "{options}");
            assert!(notebook.close().is_empty());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn hostile_bytes_do_no_harm(
            changes in prop::collection::vec((0usize..2100, any::<u8>()), 1..6),
            sums in any::<bool>(),
        ) {
            let mut image = sample();
            for (at, byte) in changes {
                image[at] = byte;
            }
            if sums {
                renew(&mut image[..512]);
                renew(&mut image[512..1536]);
                let end = image.len() - 512;
                image.copy_within(..512, end);
            }
            let _ = codes(image);
        }
    }
}
