use std::collections::BTreeMap;

use super::disk::Grains;
use super::header::{self, Header};
use super::{descriptor, extents, offset_of, tables};
use crate::facts::{Code, Layer, Notebook};
use crate::formats::{Examined, Halt, ImageView, Missing, Reach};

/// Reads header and descriptor and checks where the tables lie, unless a footer says it.
pub(in crate::formats) fn examine(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Examined>, Halt> {
    let Some(header) = header::read(view, notebook)? else { return Ok(None) };
    if !descriptor::check(view, notebook, &header)? {
        return Ok(None);
    }
    Ok(placed(header, notebook))
}

/// Reads the header of a part of a disk, a sparse extent without a descriptor, and checks where the tables lie. It has to
/// hold so many sectors; the header of the last one may round them up to a grain, and counts then, as it does for QEMU.
pub(in crate::formats) fn examine_part(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    sectors: u64,
    last: bool,
) -> Result<Option<Examined>, Halt> {
    let Some(header) = header::read(view, notebook)? else { return Ok(None) };
    if !descriptor::check_absent(view, notebook, &header)? {
        return Ok(None);
    }
    if header.capacity != sectors && last && extents::is_rounded(sectors, &header) {
        notebook.image(
            Code::VmdkSizeRounded,
            12,
            format!(
                "The descriptor says that the part has {sectors} sectors, its header says {}, which is that in whole grains. The header's size counts here, as it does for QEMU.",
                header.capacity
            ),
        );
    } else if header.capacity != sectors {
        notebook.image(
            Code::VmdkDescriptorMismatch,
            12,
            format!(
                "The header says that the part has {} sectors, the descriptor says {sectors}.",
                header.capacity
            ),
        );
        return Ok(None);
    }
    Ok(placed(header, notebook))
}

/// Where the grains are by this header, unless a footer says it.
fn placed(header: Header, notebook: &Notebook<'_>) -> Option<Examined> {
    notebook.claim_disk_size(header.virtual_size(), Layer::Image, 12);
    if !header::check_geometry(&header, notebook) {
        return None;
    }
    notebook.set_bound(offset_of(header.farthest()));
    let mut reach = Reach::new(notebook);
    tables::check_overhead(&header, notebook, &mut reach);
    let traits = traits(&header);
    let virtual_size = header.virtual_size();
    let mut grains = Grains {
        header,
        located: None,
        unlocated: Missing::Behind,
        known: BTreeMap::new(),
        unpacked: None,
        threads: 1,
    };
    if !grains.header.has_footer() {
        let first_free = grains.header.first_free_sector();
        if !tables::check_directories(&grains.header, first_free, notebook, &mut reach) {
            return None;
        }
        grains.located = Some(grains.header.clone());
    }
    // A footer lies behind the grains, and a stream has to walk over them on the way to it.
    Some(Examined { virtual_size, traits, reach, layout: Box::new(grains) })
}

/// Properties worth showing.
fn traits(header: &Header) -> Vec<String> {
    let mut traits = vec![
        format!("version {}", header.version),
        format!("{} KiB grains", header.grain_bytes() as f64 / 1024.0),
    ];
    if header.is_compressed() {
        traits.push("compressed".into());
    }
    if header.has_footer() {
        traits.push("footer".into());
    }
    traits
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, codes, grain, piped, qemu_image, read};
    use super::*;

    #[test]
    fn a_pipe_gets_the_first_grains_without_the_tables() {
        let sample = Sample::stream(300);
        assert!(sample.table > (1 << 20) && sample.image.len() - sample.table > (1 << 20));
        let expected = [grain(0), grain(1), grain(2)[..1024].to_vec()].concat();
        assert_eq!(piped(&sample.image, 0, 34 * 512, false), (Some(expected), vec![]));
        let (bytes, codes) = piped(&sample.image, 100 * 8192, 512, false);
        assert_eq!((bytes, codes), (None, vec![Code::StructureNotExamined]));
    }

    #[test]
    fn the_comparison_with_the_tables_never_goes_back() {
        let mut image = Sample::stream(300).image;
        image.resize(image.len() + 63_500, 0);
        assert_eq!(piped(&image, 0, 512, false).1, [Code::VmdkTrailingBytes]);
    }

    #[test]
    fn a_quick_check_of_a_pipe_leaves_the_footer_out() {
        let sample = Sample::stream(300);
        let grains = piped(&sample.image[..2 << 20], 0, 8192, true);
        assert_eq!(grains, (Some(grain(0)), vec![]));
        assert_eq!(piped(&sample.image[..2 << 20], 1 << 20, 512, true), (None, vec![]));
    }

    #[test]
    fn the_stream_and_its_tables_have_to_agree() {
        let sample = Sample::stream(3);
        let second = sample.image[sample.table + 4..sample.table + 8].to_vec();
        let told = [Code::VmdkMarkersMismatch];
        assert_eq!(codes(&sample.patched(sample.table, &second)), told);
        assert_eq!(codes(&sample.patched(sample.table, &[0; 4])), told);
    }

    #[test]
    fn no_cut_and_no_byte_of_the_metadata_makes_it_panic() {
        for sample in [Sample::sparse(), Sample::stream(3)] {
            let len = sample.image.len();
            for cut in (0..len).step_by(499) {
                let told = read(&sample.image[..cut], 0, 20480).1;
                // Half of the last grain lies behind the end of the disk.
                assert!(cut > len - 4096 || !told.is_empty(), "cut at {cut}");
            }
            let copy = len - 1536..len - 1024 + 80;
            for at in (0..80).chain(copy).chain(sample.directory..sample.directory + 4) {
                for value in [0, 0xff] {
                    read(&sample.patched(at, &[value]), 0, 20480);
                    read(&sample.patched(at, &[value; 8]), 0, 20480);
                }
            }
        }
    }

    #[test]
    fn reads_what_qemu_writes() {
        let kinds = [
            "subformat=monolithicSparse",
            "subformat=streamOptimized",
            "subformat=monolithicSparse,compat6=on",
            "subformat=streamOptimized,compat6=on",
            "subformat=monolithicSparse,zeroed_grain=on",
        ];
        for options in kinds {
            let Some((raw, image)) = qemu_image(options) else { return };
            assert_eq!(codes(&image), [], "{options}");
            let size = raw.len();
            for at in [0, size - (64 << 10)] {
                let (bytes, codes) = read(&image, at as u64, 64 << 10);
                assert!(bytes.as_deref() == Some(&raw[at..at + (64 << 10)]), "{options} at {at}");
                assert_eq!(codes, [], "{options}");
            }
        }
    }
}
