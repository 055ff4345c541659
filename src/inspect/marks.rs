//! What else a compressed file could be. A reader that does not decompress, or that looks at another mark first, takes
//! the same bytes for a disk or an archive.

use crate::codec::{PACKINGS, Packing, ZIP_TAIL, zip_end};
use crate::facts::{Code, Layer, Notebook};
use crate::formats::{FORMATS, LOOKED_AT, Trailer, trailer};
use crate::guest::{self, FILE_SYSTEMS, SIGNATURES};

/// Bytes of a file in which [`head`] finds every mark.
pub(super) const HEAD: usize = if LOOKED_AT > guest::FIRST { LOOKED_AT } else { guest::FIRST };

/// Bytes at the end of a file in which [`last`] finds every mark.
pub(super) const LAST: usize = ZIP_TAIL;

/// Bytes of the trailer of a VHD image.
const TRAILER: u64 = 512;

/// Writes down what else a file is that is packed like this and begins like this. An unpacked one is judged as an
/// image, and what is refused as it is needs no second reason.
pub(super) fn head(packing: Packing, head: &[u8], notebook: &Notebook<'_>) {
    if !matches!(packing, Packing::Gzip | Packing::Bzip2) {
        return;
    }
    let formats = FORMATS.iter().map(|known| (known.what, known.find(head)));
    let packings = PACKINGS.iter().filter(|known| known.is != packing);
    let packings = packings.map(|known| (known.what, known.find(head)));
    let disks = SIGNATURES.iter().map(|known| (known.what, known.find(head)));
    let file_systems = FILE_SYSTEMS.iter().map(|known| (known.what, known.find(head)));
    let table = guest::table_mark(head);
    let table = ("a disk with a partition table", table);
    let found = formats.chain(packings).chain([table]).chain(disks).chain(file_systems);
    if let Some((what, at)) = found.filter_map(|(what, at)| Some((what, at?))).next() {
        polyglot(packing, what, at as u64, notebook);
    }
}

/// Writes down what else a file of `size` bytes is that is packed like this and ends like this. An Apple disk image may
/// begin with a bzip2 block, and is refused under its own name.
pub(super) fn last(packing: Packing, last: &[u8], size: u64, notebook: &Notebook<'_>) {
    if !matches!(packing, Packing::Gzip | Packing::Bzip2) {
        return;
    }
    if trailer(last) == Some(Trailer::Vpc) {
        let at = size.saturating_sub(TRAILER);
        polyglot(packing, Trailer::Vpc.at(at).what, at, notebook);
    }
    if let Some(before) = zip_end(last, size) {
        let at = size.saturating_sub(before as u64);
        notebook.add(
            Code::ArchiveZipAtEnd,
            Layer::File,
            at,
            format!(
                "The file is compressed with {}, and ends as a zip archive does, whose directory ends at byte {at}.",
                packing.compression().as_str()
            ),
        );
    }
}

fn polyglot(packing: Packing, what: &str, at: u64, notebook: &Notebook<'_>) {
    if !notebook.has(Code::FormatPolyglot) {
        let packed = packing.compression().as_str();
        notebook.add(
            Code::FormatPolyglot,
            Layer::File,
            at,
            format!("The file is compressed with {packed}, and is {what} (at byte {at}) at once."),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(packing: Packing, bytes: &[u8]) -> Vec<Option<u64>> {
        let notebook = Notebook::new(&|_| false, 1);
        head(packing, bytes, &notebook);
        last(packing, bytes, bytes.len() as u64, &notebook);
        notebook.close().iter().map(|anomaly| anomaly.offset).collect()
    }

    #[test]
    fn a_compressed_file_is_nothing_else() {
        let mut file = vec![0x5a; HEAD];
        file[..4].copy_from_slice(b"\x1f\x8b\x08\x04");
        assert_eq!(found(Packing::Gzip, &file), []);
        for (at, mark) in [
            (0x40, b"\x7f\x10\xda\xbe".as_slice()),
            (257, b"ustar"),
            (512, b"EFI PART"),
            (0x8001, b"CD001"),
            (0x10040, b"_BHRfS_M"),
            (HEAD - 512, b"conectix"),
        ] {
            let mut file = file.clone();
            file[at..at + mark.len()].copy_from_slice(mark);
            assert_eq!(found(Packing::Gzip, &file), [Some(at as u64)], "{at}");
            assert_eq!(found(Packing::Plain, &file), [], "{at}");
        }
    }
}
