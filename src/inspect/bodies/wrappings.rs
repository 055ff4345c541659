//! Bodies for what is taken off a file before it is checked.

use super::{Delivery, LARGEST_CHECKED, MOST_UNPACKED, packed};
use crate::bytes::{Pool, Segment};
use crate::codec::{Damage, Tar, TarItem, Xz, Zstd};
use crate::formats::{MemoryFeed, MemoryImage};
use crate::inspect::{Deaf, Depth, Options, Verdict, inspect_unwrapped, unwrapped};
use crate::source::Read as _;

/// xz: the same image and the same damage however the file is cut, and the same bytes as another reader
/// makes of what is whole.
///
/// # Panics
/// If something is wrong; so do the others.
pub fn xz(input: &[u8]) {
    use std::io::Read as _;
    let Some((image, _)) = packed(input, || Box::new(Xz::default())) else { return };
    let mut expected = Vec::new();
    lzma_rust2::XzReader::new(input, true)
        .read_to_end(&mut expected)
        .expect("what is whole can be read by others");
    assert!(image == expected, "another image than lzma-rust2 makes");
}

/// Zstandard: the same image and the same damage however the file is cut.
pub fn zstd(input: &[u8]) {
    let _ = packed(input, || Box::new(Zstd::default()));
}

/// A file in an archive.
#[derive(Debug, PartialEq)]
struct File {
    name: String,
    size: u64,
    /// Bytes of it that came, holes included.
    len: u64,
    data: Vec<u8>,
    /// Where in the data holes are, and how many bytes they have.
    holes: Vec<(usize, u64)>,
}

/// The files in an archive that arrives in pieces.
fn files(archive: &[u8], piece: usize) -> Result<Vec<File>, Damage> {
    let mut tar = Tar::default();
    let mut files: Vec<File> = Vec::new();
    for mut input in archive.chunks(piece) {
        loop {
            match tar.next(&mut input)? {
                TarItem::Nothing => break,
                TarItem::File(file) => files.push(File {
                    name: file.name.to_string(),
                    size: file.size,
                    len: 0,
                    data: Vec::new(),
                    holes: Vec::new(),
                }),
                TarItem::Data(bytes) => {
                    let file = files.last_mut().expect("data follows its file");
                    file.data.extend_from_slice(bytes);
                    file.len += bytes.len() as u64;
                }
                TarItem::Hole(len) => {
                    let file = files.last_mut().expect("a hole follows its file");
                    assert!(len > 0, "holes are never empty");
                    file.holes.push((file.data.len(), len));
                    file.len += len;
                }
                TarItem::FileEnd => {
                    let file = files.last().expect("the end follows its file");
                    assert_eq!(file.len, file.size);
                }
            }
        }
        assert!(input.is_empty(), "input was left");
    }
    tar.finish().map(|()| files)
}

/// tar: the same files and the same damage however the archive is cut. The check sums of blocks that
/// have one are made right first, as nothing behind them would be reached otherwise.
pub fn tar(input: &[u8]) {
    let mut archive = input.to_vec();
    for block in archive.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
    }
    for archive in [input, &archive] {
        let whole = files(archive, archive.len().max(1));
        if let Err(damage) = &whole {
            assert!(damage.offset <= archive.len() as u64, "{damage:?}");
        }
        assert_eq!(whole, files(archive, 61));
    }
}

/// What comes out of all wrappings, and what is wrong with them.
fn inner(input: &[u8], buffer: usize, depth: Depth) -> (Vec<u8>, String, bool) {
    let feed = MemoryFeed::new(MemoryImage::from(input));
    let mut unwrapping =
        unwrapped(Delivery(feed), LARGEST_CHECKED, depth).expect("memory can be read");
    let aftermath = unwrapping.aftermath();
    let mut pool = Pool::new(1, buffer);
    let mut inner = Vec::new();
    while let Some(segment) = unwrapping.next(&mut pool).expect("memory can be read") {
        assert!(!segment.is_empty(), "runs are never empty");
        match segment {
            Segment::Data(chunk) => inner.extend_from_slice(&chunk),
            Segment::Zeros(len) => inner.resize(inner.len() + len as usize, 0),
        }
        assert!(inner.len() <= MOST_UNPACKED, "more than the limit came out");
    }
    assert_eq!(unwrapping.is_whole(), aftermath.fault().is_none());
    (inner, format!("{:?}", aftermath.fault()), unwrapping.is_same())
}

/// Everything around an image: the same comes out into large and small buffers, what is left alone comes
/// out as it is, and what is damaged is not accepted.
pub fn unwrap(input: &[u8]) {
    for depth in [Depth::Refused, Depth::Everything, Depth::Glance] {
        unwrap_to(input, depth);
    }
}

fn unwrap_to(input: &[u8], depth: Depth) {
    let (image, fault, alone) = inner(input, 64 << 10, depth);
    let (again, fault_again, alone_again) = inner(input, 997, depth);
    assert_eq!((&fault, alone), (&fault_again, alone_again), "another size of buffers");
    // What was made before damage was found may be lost.
    assert!(fault != "None" || image == again, "another size of buffers");
    assert!(!alone || image == input, "a file that is left alone came out otherwise");
    let feed = MemoryFeed::new(MemoryImage::from(input));
    let unwrapping = unwrapped(Delivery(feed), LARGEST_CHECKED, depth).expect("memory can be read");
    let aftermath = unwrapping.aftermath();
    let options = Options { limit: LARGEST_CHECKED, ..Options::default() };
    let report = inspect_unwrapped("x".as_ref(), unwrapping, &options, &Deaf, None);
    assert!(report.error.is_none(), "{report:?}");
    assert!(aftermath.fault().is_none() || report.verdict == Verdict::Reject, "{report:?}");
}
