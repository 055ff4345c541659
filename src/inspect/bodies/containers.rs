//! Bodies that walk over containers, at any offset and as a stream that cannot go back.

use super::structures::edited;
use super::{edits, parts};
use super::{qcow_seeds, qcow2_seeds, vdi_seeds, vhdx_seeds, vmdk_seeds, vpc_seeds};
use crate::facts::{Code, DiskFormat, Notebook};
use crate::formats::{
    self, Disk as _, Examined, Got, Halt, ImageView, MappedDisk, MemoryFeed, MemoryImage,
    StreamView,
};
use crate::guest;
use crate::rules::Policy;

/// Bytes of an image in a container at most, so that reading all of it as tables takes no time.
const LARGEST_IMAGE: u64 = 64 << 20;

/// Times the size of an image that an examiner may read, and bytes that it may read of any.
const MOST_READ_OVER: u64 = 16;
const MOST_READ: u64 = 64 << 20;

/// Reads that an examiner may make: a step bound, as most loops read.
const MOST_READS: u64 = 2_000_000;

/// A view that counts what is read through it.
struct Counted<'v> {
    view: &'v mut dyn ImageView,
    reads: u64,
    bytes: u64,
    most: u64,
}

impl ImageView for Counted<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        self.reads += 1;
        self.bytes += buf.len() as u64;
        assert!(self.reads <= MOST_READS, "too many reads");
        assert!(self.bytes <= self.most, "{} bytes were read", self.bytes);
        self.view.read_at(at, buf)
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        self.view.size()
    }

    fn keep(&mut self, at: u64, len: u64) {
        self.view.keep(at, len);
    }

    fn is_seekable(&self) -> bool {
        self.view.is_seekable()
    }

    /// Both are, so that what is unpacked in passing is unpacked in either.
    fn is_passing(&self) -> bool {
        true
    }

    fn look_back(&mut self, len: u64) {
        self.view.look_back(len);
    }

    fn at_hand(&self) -> u64 {
        self.view.at_hand()
    }

    fn scans_left(&self) -> u32 {
        self.view.scans_left()
    }
}

/// What is odd about an image seen through a view, each code once.
fn codes_of<'n>(
    view: &mut dyn ImageView,
    notebook: Notebook<'n>,
    size: u64,
    examine: impl Fn(&mut dyn ImageView, &Notebook<'n>) -> Result<(), Halt>,
) -> Vec<Code> {
    let most = size * MOST_READ_OVER + MOST_READ;
    let mut view = Counted { view, reads: 0, bytes: 0, most };
    match examine(&mut view, &notebook) {
        Ok(()) | Err(Halt::Stopped) => {}
        Err(Halt::Source(error)) => panic!("memory can be read: {error}"),
    }
    let mut codes: Vec<Code> = notebook.close().iter().map(|anomaly| anomaly.code).collect();
    codes.sort();
    codes.dedup();
    codes
}

/// Holds what is found at any offset against what is found in a stream that cannot go back.
pub(super) fn both_ways(
    image: &MemoryImage<'_>,
    examine: impl Fn(&mut dyn ImageView, &Notebook<'_>) -> Result<(), Halt>,
) {
    let notebook = || Notebook::new(&|_| false, 1 << 40);
    let size = image.len();
    let from_file = codes_of(&mut image.clone(), notebook(), size, &examine);
    let of_stream = notebook();
    let feed = Box::new(MemoryFeed::new(image.clone()));
    let mut stream = StreamView::new(feed, None, &of_stream, false);
    let from_stream = codes_of(&mut stream, notebook(), size, &examine);
    // What a stream has passed may stay unexamined, which is said.
    if from_stream.contains(&Code::StructureNotExamined) {
        return;
    }
    let policy = Policy::default();
    let refused = |codes: &[Code]| codes.iter().any(|&code| policy.refuses(code));
    assert_eq!(refused(&from_file), refused(&from_stream), "{from_file:?}\n{from_stream:?}");
    if !refused(&from_file) {
        assert_eq!(from_file, from_stream);
    }
}

/// Examines a container, walks over its tables and reads both ends of its disk.
fn container(format: DiskFormat, image: &MemoryImage<'_>) {
    both_ways(image, |view, notebook| walked(format, view, notebook));
}

fn walked(
    format: DiskFormat,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<(), Halt> {
    let examined = formats::examine(format, view, notebook)?;
    walked_over(examined, view, notebook)
}

/// Walks over the tables of what was examined, and reads both ends of its disk.
pub(super) fn walked_over(
    examined: Option<Examined>,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<(), Halt> {
    let Some(mut examined) = examined else { return Ok(()) };
    let size = examined.virtual_size;
    assert_eq!(size, examined.layout.virtual_size());
    let wanted = guest::wanted(size);
    examined.layout.walk(view, notebook, &wanted, &mut examined.reach)?;
    let mut disk = MappedDisk::new(view, &mut *examined.layout, notebook);
    for range in wanted.0 {
        let mut bytes = vec![0; range.end.saturating_sub(range.start).min(64 << 10) as usize];
        let got = disk.read_at(range.start, &mut bytes)?;
        if let Got::Missing(formats::Missing::Behind) = got {
            // The check says this of the partition table.
            notebook.disk(Code::StructureNotExamined, 0, "behind");
        }
    }
    examined.reach.judge_tail(view, notebook)?;
    if let Some(size) = view.size()? {
        examined.reach.judge(size, notebook);
    }
    Ok(())
}

/// qcow2, as edits over images of all kinds.
pub fn qcow2(input: &[u8]) {
    let image = edits::decode(qcow2_seeds(), input, LARGEST_IMAGE, edits::as_it_is);
    container(DiskFormat::Qcow2, &image);
}

/// VHDX, as edits over an image; the check sums are made right after them.
pub fn vhdx(input: &[u8]) {
    let image = edits::decode(vhdx_seeds(), input, LARGEST_IMAGE, edits::repair_vhdx);
    container(DiskFormat::Vhdx, &image);
}

/// VDI, as edits over an image.
pub fn vdi(input: &[u8]) {
    let image = edits::decode(vdi_seeds(), input, LARGEST_IMAGE, edits::as_it_is);
    container(DiskFormat::Vdi, &image);
}

/// VMDK, as edits over images of all kinds; and each as a descriptor and as a part of a disk in several files.
pub fn vmdk(input: &[u8]) {
    let image = edits::decode(vmdk_seeds(), input, LARGEST_IMAGE, edits::as_it_is);
    container(DiskFormat::Vmdk, &image);
    parts::descriptor(&image);
    parts::extent(&image);
}

/// VHD, as edits over a fixed and a dynamic image; the check sums are made right after them.
pub fn vpc(input: &[u8]) {
    let image = edits::decode(vpc_seeds(), input, LARGEST_IMAGE, edits::repair_vpc);
    let known = [Code::VpcHeaderInvalid, Code::VpcTableInvalid];
    taken_out(DiskFormat::Vpc, image, &known);
}

/// qcow of version 1, as edits over an image with clusters as they are and one with packed ones.
pub fn qcow(input: &[u8]) {
    let image = edits::decode(qcow_seeds(), input, LARGEST_IMAGE, edits::as_it_is);
    let known = [Code::Qcow1HeaderInvalid, Code::Qcow1TableInvalid];
    taken_out(DiskFormat::Qcow, image, &known);
}

/// Reads the disk of a container that is only ever repacked: from its first byte to its last, of a file. Nothing is found
/// but what is `known`, and what every container may have.
fn taken_out(format: DiskFormat, mut image: MemoryImage<'_>, known: &[Code]) {
    let notebook = Notebook::new(&|_| false, 1 << 40);
    let size = image.len();
    let codes = codes_of(&mut image, notebook, size, |view, notebook| {
        let Some(mut examined) = formats::examine(format, view, notebook)? else { return Ok(()) };
        let mut disk = MappedDisk::new(view, &mut *examined.layout, notebook);
        let (mut at, mut bytes) = (0, vec![0; 64 << 10]);
        // Of a disk of very many runs it is the beginning.
        for _ in 0..4096 {
            if at >= examined.virtual_size {
                break;
            }
            let run = disk.run(at)?;
            assert!(run.len > 0 && run.len <= examined.virtual_size - at);
            if run.place.reads_as_zeros() {
                at += run.len;
                continue;
            }
            let part = &mut bytes[..run.len.min(64 << 10) as usize];
            if disk.read_at(at, part)? != Got::Bytes(part.len()) {
                break;
            }
            at += part.len() as u64;
        }
        Ok(())
    });
    let any = [Code::DiskTooLarge, Code::ImageTruncated, Code::ImageOffsetImpossible];
    assert!(codes.iter().all(|code| known.contains(code) || any.contains(code)), "{codes:?}");
}

/// Every kind of container, of which structures were inserted, removed, moved, doubled or cut. What readers
/// skip is no reason to refuse.
pub fn structures(input: &[u8]) {
    let [which, input @ ..] = input else { return };
    let seeds = [
        (DiskFormat::Qcow2, qcow2_seeds()),
        (DiskFormat::Vhdx, vhdx_seeds()),
        (DiskFormat::Vdi, vdi_seeds()),
        (DiskFormat::Vmdk, vmdk_seeds()),
    ];
    let (format, seeds) = seeds[usize::from(which % 4)];
    let seed = &seeds[usize::from(which / 4) % seeds.len()].bytes;
    let Some(edited) = edited(seed, input) else { return };
    container(format, &edited.image);
    if edited.harmless {
        let refused = |image: &MemoryImage<'_>| {
            let notebook = Notebook::new(&|_| false, 1 << 40);
            let codes = codes_of(&mut image.clone(), notebook, image.len(), |view, notebook| {
                walked(format, view, notebook)
            });
            codes.iter().any(|&code| Policy::default().refuses(code))
        };
        assert!(refused(&MemoryImage::from(seed)) || !refused(&edited.image), "{:?}", edited.said);
    }
}
