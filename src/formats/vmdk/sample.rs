//! Small images for the tests of this folder.

use std::io::Write as _;

use super::examine::examine;
use crate::facts::{Code, DiskFormat, Notebook};
use crate::formats::testing::{self, Forward, MemoryView};
use crate::formats::{Disk as _, Got, ImageView, MappedDisk, StreamView, Walked, Wanted};

pub(super) const DESCRIPTOR: &str = "# Disk DescriptorFile\nversion=1\nCID=f769065\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n\n# Extent description\nRW 40 SPARSE \"a disk.vmdk\"\n\n#DDB\nddb.adapterType = \"ide\"\n";

/// Sectors of a grain; the first one begins at sector 32.
const GRAIN: usize = 16;
const OVERHEAD: usize = 32;

/// Image offset of the grain table of [`Sample::sparse`].
pub(super) const TABLE: usize = 23 * 512;

/// The bytes of the disk's grain `n`, which can hardly be packed.
pub(super) fn grain(n: usize) -> Vec<u8> {
    let mut state = n as u64 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..GRAIN * 512).map(|_| next()).collect()
}

/// An image and where its parts are.
pub(super) struct Sample {
    pub(super) image: Vec<u8>,
    /// Image offsets of the grain directory, the grain table and the grains.
    pub(super) directory: usize,
    pub(super) table: usize,
    pub(super) grains: Vec<usize>,
}

fn header(version: u32, flags: u32, capacity: usize, directory: u64, compression: u16) -> Vec<u8> {
    let redundant: u64 = if flags & 2 != 0 { 21 } else { 0 };
    let mut header = b"KDMV".to_vec();
    header.extend([version, flags].iter().flat_map(|n| n.to_le_bytes()));
    header.extend([capacity, GRAIN, 1, 20].iter().flat_map(|&n| (n as u64).to_le_bytes()));
    header.extend(512u32.to_le_bytes());
    header.extend([redundant, directory, OVERHEAD as u64].iter().flat_map(|n| n.to_le_bytes()));
    header.extend(b"\0\n \r\n");
    header.extend(compression.to_le_bytes());
    header.resize(512, 0);
    header
}

fn pad(image: &mut Vec<u8>) {
    image.resize(image.len().next_multiple_of(512), 0);
}

pub(super) fn marker(value: u64, kind: u32) -> Vec<u8> {
    let mut marker = [value.to_le_bytes().as_slice(), &[0; 4], &kind.to_le_bytes()].concat();
    marker.resize(512, 0);
    marker
}

fn table(grains: &[usize]) -> Vec<u8> {
    let mut table: Vec<u8> =
        grains.iter().flat_map(|at| (*at as u32 / 512).to_le_bytes()).collect();
    table.resize(2048, 0);
    table
}

impl Sample {
    /// monolithicSparse of 40 sectors: two and a half grains, of which the second is not allocated.
    pub(super) fn sparse() -> Sample {
        let mut image = header(1, 3, 40, 22, 0);
        image.resize(OVERHEAD * 512, 0);
        image[21 * 512] = 23;
        image[22 * 512] = 23;
        let grains = vec![image.len(), image.len() + GRAIN * 512];
        image[TABLE..TABLE + 2048].copy_from_slice(&table(&[grains[0], 0, grains[1]]));
        image.extend(grain(0));
        image.extend(grain(2));
        let sample = Sample { image, directory: 22 * 512, table: TABLE, grains };
        sample.described(DESCRIPTOR)
    }

    /// streamOptimized with a footer, of `count` whole grains. The grain table follows the first half.
    pub(super) fn stream(count: usize) -> Sample {
        assert!(count <= 512);
        let capacity = count * GRAIN;
        let mut image = header(3, 0x3_0001, capacity, u64::MAX, 1);
        image.resize(OVERHEAD * 512, 0);
        let mut grains = Vec::new();
        let mut table_at = 0;
        for n in 0..count {
            if n == count.div_ceil(2) {
                image.extend(marker(4, 1));
                table_at = image.len();
                image.resize(table_at + 2048, 0);
            }
            grains.push(image.len());
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            zlib.write_all(&grain(n)).unwrap();
            let packed = zlib.finish().unwrap();
            image.extend((n as u64 * GRAIN as u64).to_le_bytes());
            image.extend((packed.len() as u32).to_le_bytes());
            image.extend(packed);
            pad(&mut image);
        }
        image[table_at..table_at + 2048].copy_from_slice(&table(&grains));
        image.extend(marker(1, 2));
        let directory = image.len();
        image.extend((table_at as u32 / 512).to_le_bytes());
        pad(&mut image);
        image.extend(marker(1, 3));
        image.extend(header(3, 0x3_0001, capacity, directory as u64 / 512, 1));
        image.extend(marker(0, 0));
        let text = DESCRIPTOR.replace("monolithicSparse", "streamOptimized");
        let text = text.replace("RW 40", &format!("RW {capacity}"));
        Sample { image, directory, table: table_at, grains }.described(&text)
    }

    /// With another descriptor.
    pub(super) fn described(mut self, text: &str) -> Sample {
        self.image[512..21 * 512].fill(0);
        self.image[512..512 + text.len()].copy_from_slice(text.as_bytes());
        self
    }

    /// The image with some bytes changed.
    pub(super) fn patched(&self, at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut image = self.image.clone();
        let len = bytes.len().min(image.len() - at);
        image[at..at + len].copy_from_slice(&bytes[..len]);
        image
    }
}

/// The codes that an image gets, what its headers point at included.
pub(super) fn codes(image: &[u8]) -> Vec<Code> {
    read(image, 0, 0).1
}

/// Bytes of the disk and the codes that the image gets on the way.
pub(super) fn read(image: &[u8], at: u64, len: usize) -> (Option<Vec<u8>>, Vec<Code>) {
    let notebook = Notebook::new(&|_| false, 1 << 40);
    let bytes = read_view(&mut MemoryView::new(image.to_vec()), &notebook, at, len, false);
    (bytes, but_space(notebook))
}

/// The same through a pipe that cannot be read again.
pub(super) fn piped(
    image: &[u8],
    at: u64,
    len: usize,
    quick: bool,
) -> (Option<Vec<u8>>, Vec<Code>) {
    let notebook = Notebook::new(&|_| false, 1 << 40);
    let bytes = {
        let mut view = StreamView::new(Box::new(Forward::new(image)), None, &notebook, quick);
        read_view(&mut view, &notebook, at, len, quick)
    };
    (bytes, but_space(notebook))
}

/// The parts of a disk that partition tables take.
fn wanted(size: u64) -> Wanted {
    let first = 0..size.min(FIRST as u64);
    Wanted(vec![first.clone(), size.saturating_sub(LAST as u64).max(first.end)..size])
}

const FIRST: usize = 17 << 10;
const LAST: usize = 64 << 10;

/// What was found, but for the space that a table leaves which a test breaks.
fn but_space(notebook: Notebook<'_>) -> Vec<Code> {
    let codes = notebook.close().into_iter().map(|anomaly| anomaly.code);
    codes.filter(|code| *code != Code::VmdkSpaceUnused).collect()
}

/// How far a walk gets, in memory or through a pipe, what it finds, and both ends of the disk after it.
pub(super) fn walked(image: &[u8], forward: bool) -> (Option<Walked>, Vec<Code>, [Vec<u8>; 2]) {
    let notebook = Notebook::new(&|_| false, 100_000_000_000);
    let mut ends = [Vec::new(), Vec::new()];
    let mut walked = None;
    {
        let mut stream = StreamView::new(Box::new(Forward::new(image)), None, &notebook, false);
        let mut memory = MemoryView::new(image.to_vec());
        let view: &mut dyn ImageView = if forward { &mut stream } else { &mut memory };
        if let Some(mut examined) = examine(view, &notebook).unwrap() {
            let size = examined.virtual_size;
            walked = Some(
                examined.layout.walk(view, &notebook, &wanted(size), &mut examined.reach).unwrap(),
            );
            let image_size = view.size().unwrap().unwrap();
            examined.reach.judge(image_size, &notebook);
            let mut disk = MappedDisk::new(view, examined.layout.as_mut(), &notebook);
            let places = [(0, FIRST), (size.saturating_sub(LAST as u64), LAST)];
            for (end, (at, len)) in ends.iter_mut().zip(places) {
                end.resize(len.min(size as usize), 0);
                if disk.read_at(at, end).unwrap() != Got::Bytes(end.len()) {
                    end.clear();
                }
            }
        }
    }
    (walked, but_space(notebook), ends)
}

fn read_view(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    at: u64,
    len: usize,
    quick: bool,
) -> Option<Vec<u8>> {
    let mut examined = examine(view, notebook).unwrap()?;
    // A quick check of a stream does not walk.
    if !quick {
        let wanted = wanted(examined.virtual_size);
        examined.layout.walk(view, notebook, &wanted, &mut examined.reach).unwrap();
    }
    if let Some(size) = view.size().unwrap() {
        examined.reach.judge(size, notebook);
    }
    let mut disk = MappedDisk::new(view, examined.layout.as_mut(), notebook);
    let mut bytes = vec![0; len];
    match disk.read_at(at, &mut bytes).unwrap() {
        Got::Bytes(count) => {
            bytes.truncate(count);
            Some(bytes)
        }
        Got::Missing(_) => None,
    }
}

/// A raw disk and what qemu-img makes of it; `None` where there is no qemu-img.
pub(super) fn qemu_image(options: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut disk = vec![0; 5 << 20];
    for n in [0, 1, 3, 7, 200, 637, 639] {
        disk[n * 8192..][..8192].copy_from_slice(&grain(n));
    }
    let image = testing::converted(&disk, DiskFormat::Vmdk, options)?;
    Some((disk, image))
}
