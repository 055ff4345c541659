use super::disk::{Clusters, ENTRY};
use super::header::Header;
use super::walk::walk;
use crate::facts::{Code, Layer, Notebook};
use crate::formats::{Examined, Halt, ImageView, Reach};

/// Reads the header, makes sure that the L1 table is in the image, and walks over all tables.
pub(in crate::formats) fn examine(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Examined>, Halt> {
    let mut bytes = [0; Header::LENGTH];
    if !view.need(0, &mut bytes, notebook, "the qcow header")? {
        return Ok(None);
    }
    let header = match Header::read(&bytes) {
        Ok(header) => header,
        Err((at, said)) => {
            notebook.image(Code::Qcow1HeaderInvalid, at, format!("The qcow header {said}."));
            return Ok(None);
        }
    };
    if !notebook.claim_disk_size(header.size, Layer::Image, 24) {
        return Ok(None);
    }
    let entries = header.size.div_ceil(header.l2_span());
    let end = header.l1_at.checked_add(entries * ENTRY);
    let size = view.size()?.unwrap_or_default();
    if header.l1_at < Header::LENGTH as u64 || end.is_none_or(|end| end > size) {
        let said = format!(
            "The L1 table at byte {} has {entries} entries, which are not in the image.",
            header.l1_at
        );
        notebook.image(Code::Qcow1TableInvalid, 40, said);
        return Ok(None);
    }
    let clusters = Clusters { header };
    if !walk(&clusters, view, notebook)? {
        return Ok(None);
    }
    Ok(Some(Examined {
        virtual_size: header.size,
        traits: vec![format!("{} byte clusters", header.cluster())],
        reach: Reach::new(notebook),
        layout: Box::new(clusters),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::DiskFormat;
    use crate::formats::testing::{self, MemoryView};
    use crate::formats::{Disk, Got, MappedDisk};
    use proptest::prelude::*;

    /// A disk of four clusters of 512 bytes and half a kilobyte more, of which the second is stored and the third packed.
    fn sample() -> Vec<u8> {
        use std::io::Write as _;
        let mut image = b"QFI\xfb\0\0\0\x01".to_vec();
        image.resize(24, 0);
        image.extend_from_slice(&(5 * 512u64 + 100).to_be_bytes());
        image.extend_from_slice(&[9, 6, 0, 0, 0, 0, 0, 0]);
        image.extend_from_slice(&48u64.to_be_bytes());
        image.extend_from_slice(&512u64.to_be_bytes());
        image.resize(512, 0);
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[0xcd; 512]).unwrap();
        let packed = encoder.finish().unwrap();
        let entry = 1 << 63 | (packed.len() as u64) << (63 - 9) | 1536;
        for entry in [0, 1024, entry, 0, 0] {
            image.extend_from_slice(&u64::to_be_bytes(entry));
        }
        image.resize(1024, 0);
        image.resize(1536, 0xab);
        image.extend_from_slice(&packed);
        image
    }

    fn read(image: Vec<u8>) -> (Option<Vec<u8>>, Vec<Code>) {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryView::new(image);
        let mut found = None;
        if let Some(mut examined) = examine(&mut view, &notebook).unwrap() {
            let mut disk = MappedDisk::new(&mut view, &mut *examined.layout, &notebook);
            let mut bytes = vec![1; examined.virtual_size.min(4 << 20) as usize];
            if let Got::Bytes(_) = disk.read_at(0, &mut bytes).unwrap() {
                found = Some(bytes);
            }
        }
        (found, notebook.close().into_iter().map(|anomaly| anomaly.code).collect())
    }

    #[test]
    fn finds_what_the_disk_holds() {
        let mut expected = vec![0; 5 * 512];
        expected[512..1024].fill(0xab);
        expected[1024..1536].fill(0xcd);
        assert_eq!(read(sample()), (Some(expected), vec![]));
    }

    #[test]
    fn every_field_is_checked() {
        let (header, table) = (Code::Qcow1HeaderInvalid, Code::Qcow1TableInvalid);
        for (at, bytes, code) in [
            (7, &[2][..], header),
            (15, &[1], header),
            (24, &[0; 8], header),
            (24, &[0xff; 8], Code::DiskTooLarge),
            (26, &[0, 0, 1], table),
            (32, &[8], header),
            (32, &[17], header),
            (33, &[5], header),
            (33, &[14], header),
            (39, &[1], header),
            (40, &[0xff; 8], table),
            (40, &[0; 8], table),
            (48, &[0x7f], Code::ImageOffsetImpossible),
            (48, &[0xff; 8], Code::ImageOffsetImpossible),
            (53, &[1], Code::ImageTruncated),
            // Between sectors, past the end, no packed bytes, damaged ones.
            (520 + 7, &[1], table),
            (520, &[0x7f], Code::ImageOffsetImpossible),
            (528, &[0x80, 0], table),
            (1536, &[0xff, 0xff], table),
        ] {
            let mut image = sample();
            image[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(read(image).1, [code], "{bytes:x?} at {at}");
        }
    }

    /// An image of whole clusters: three of the disk, its tables.
    fn plain() -> Vec<u8> {
        let mut image = sample();
        image[528..536].copy_from_slice(&1536u64.to_be_bytes());
        image[536..544].copy_from_slice(&2048u64.to_be_bytes());
        image.resize(1536, 0xab);
        image.resize(2048, 0xcd);
        image.resize(2560, 0xef);
        image
    }

    #[test]
    fn each_cluster_belongs_to_one_thing() {
        assert_eq!(read(plain()).1, []);
        let put = |at: usize, value: u64| {
            let mut image = plain();
            image[at..at + 8].copy_from_slice(&value.to_be_bytes());
            read(image).1
        };
        // Over a table, over another cluster of the disk; a table over a cluster.
        for (at, value) in [(528, 512), (536, 1536), (48, 2048)] {
            assert_eq!(put(at, value), [Code::Qcow1TableInvalid], "{value} at {at}");
        }
        // Entries that were lost: of an L1 table, in the middle, of the last cluster.
        for at in [48, 520, 528, 536] {
            assert_eq!(put(at, 0), [Code::Qcow1TableInvalid], "{at}");
        }
        let mut zeros = plain();
        zeros[528..536].fill(0);
        zeros[1536..2048].fill(0);
        assert_eq!(read(zeros).1, [], "nothing is lost");
    }

    #[test]
    fn what_was_packed_may_be_left_where_it_was() {
        // The third cluster is packed, the fourth stored.
        let image = |entries: [u64; 2]| {
            let mut image = sample();
            image.resize(2048, 0);
            image[1536..2048].fill(0x77);
            image.resize(2560, 0xef);
            let packed = sample()[1536..].to_vec();
            image.extend_from_slice(&packed);
            let packed = 1 << 63 | (packed.len() as u64) << (63 - 9) | 2560;
            for (index, entry) in [packed].into_iter().chain(entries).enumerate() {
                image[528 + 8 * index..536 + 8 * index].copy_from_slice(&entry.to_be_bytes());
            }
            read(image).1
        };
        assert_eq!(image([2048, 0]), [], "the cluster at 1536 may have been packed before");
        assert_eq!(image([1536, 2048]), []);
    }

    #[test]
    fn a_cut_image_is_refused() {
        let whole = sample();
        for len in [0, 8, 47, 48, 55, 512, 530, 1024, 1500, whole.len() - 4] {
            let (disk, codes) = read(whole[..len].to_vec());
            assert!(disk.is_none() && !codes.is_empty(), "cut at {len}");
        }
    }

    #[test]
    fn reads_what_qemu_writes() {
        for size in [40 << 20, (9 << 20) + 512] {
            let mut raw: Vec<u8> = vec![0; size];
            for at in (0..100_000).chain(size - 100_000..size) {
                raw[at] = (at / 512 + at % 251 + 1) as u8;
            }
            let Some(image) = testing::converted(&raw, DiskFormat::Qcow, "") else { return };
            let notebook = Notebook::new(&|_| false, 1 << 40);
            let mut view = MemoryView::new(image);
            let mut examined = examine(&mut view, &notebook).unwrap().unwrap();
            assert_eq!(examined.virtual_size, size as u64);
            let mut disk = MappedDisk::new(&mut view, &mut *examined.layout, &notebook);
            let mut bytes = vec![1; raw.len()];
            assert_eq!(disk.read_at(0, &mut bytes).unwrap(), Got::Bytes(raw.len()));
            assert!(bytes == raw);
            assert!(notebook.close().is_empty());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn hostile_bytes_do_no_harm(
            changes in prop::collection::vec((0usize..560, any::<u8>()), 1..6),
        ) {
            let mut image = sample();
            for (at, byte) in changes {
                image[at] = byte;
            }
            let _ = read(image);
        }
    }
}
