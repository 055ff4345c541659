//! The bodies of the fuzz targets: one function a parser, each of which takes any bytes, ends soon and
//! panics only if something is wrong. They are here so that the ordinary tests run them as well, on
//! the compiler that everything else is built with.

mod containers;
mod edits;
mod guest_boot;
mod guest_files;
mod guest_volumes;
mod parts;
pub mod structures;
mod tables;
mod wrappings;

pub use crate::guest::inside::{DsIdentify, netplan};
use containers::both_ways;
pub use containers::{qcow, qcow2, structures, vdi, vhdx, vmdk, vpc};
pub use edits::encode;
pub use guest_boot::{initramfs, initramfs_modules};
pub use guest_files::{GuestFile, GuestFiles, ext, fat, guest_file_systems, guest_files};
pub use guest_volumes::{
    GuestVolumes, btrfs, guest_file_system, guest_volumes, lvm, lvm_disk, xfs,
};
pub use tables::{Compared, Listed, partition_tables, partition_tables_against};
pub use wrappings::{tar, unwrap, xz, zstd};

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use self::edits::Seed;
use super::{Deaf, Options, Report, Verdict, pipeline};
use crate::bytes::{Pool, Segment};
use crate::codec::{Bzip2, Damage, Decoder, Gzip, Packing, ParallelGzip, Summary, Threads, sniff};
use crate::facts::{Code, Notebook};
use crate::formats::{self, MemoryFeed, MemoryImage, RawDisk, StreamView};
use crate::guest;
use crate::source::{self, Read, Source};

/// Bytes that a packed input is unpacked to at most: packing nothing but zeros is no hang.
const MOST_UNPACKED: usize = 8 << 20;

/// Bytes of a raw disk at most; it may be large, as nobody reads all of it.
const LARGEST_DISK: u64 = 1 << 36;

/// Bytes that an image which is checked from end to end is made longer to: all of it is digested twice.
const LARGEST_CHECKED: u64 = 2 << 20;

/// The same of a file that is packed: zeros of which a decoder makes a thousand times as many are no hang.
const LARGEST_PACKED: u64 = 128 << 10;

/// A body, and the name of its target.
pub type Body = (&'static str, fn(&[u8]));

/// All bodies.
pub const ALL: &[Body] = &[
    ("gzip", gzip),
    ("inflate", inflate),
    ("bzip2", bzip2),
    ("xz", xz),
    ("zstd", zstd),
    ("initramfs", initramfs),
    ("tar", tar),
    ("unwrap", unwrap),
    ("sniff_and_detect", sniff_and_detect),
    ("qcow2", qcow2),
    ("vhdx", vhdx),
    ("vdi", vdi),
    ("vmdk", vmdk),
    ("vpc", vpc),
    ("qcow", qcow),
    ("structures", structures),
    ("partitions", partitions),
    ("partition_tables", partition_tables),
    ("ext", ext),
    ("fat", fat),
    ("xfs", xfs),
    ("btrfs", btrfs),
    ("lvm", lvm),
    ("check", check),
];

/// Declares the seeds of a target: files of the test data, unpacked when they are first wanted.
macro_rules! seeds {
    ($(#[$doc:meta])* $name:ident: $($file:literal)*) => {
        $(#[$doc])*
        fn $name() -> &'static [Seed] {
            static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
            SEEDS.get_or_init(|| vec![
                $(Seed::new(unpacked(include_bytes!(concat!(
                    env!("CARGO_MANIFEST_DIR"), "/testdata/", $file))))),*
            ])
        }
    };
}

seeds!(qcow2_seeds: "gpt.qcow2" "gpt-v2.qcow2" "gpt-compressed.qcow2" "gpt-zstd.qcow2"
    "blank.qcow2" "gpt-dirty.qcow2" "backing.qcow2" "encrypted.qcow2" "bomb.qcow2.gz");
seeds!(vhdx_seeds: "gpt.vhdx.gz");
seeds!(vdi_seeds: "gpt.vdi.gz");
seeds!(vmdk_seeds: "gpt.sparse.vmdk.gz" "gpt.stream.vmdk" "split-s001.vmdk" "descriptor.vmdk");
seeds!(vpc_seeds: "gpt.vhd.gz" "fixed.vhd.gz");
seeds!(qcow_seeds: "gpt.qcow.gz" "gpt-compressed.qcow.gz");
seeds!(ext_seeds: "guest/ext2.img.gz" "guest/ext4.img.gz" "guest/ext4-inline.img.gz"
    "guest/ext4-sums.img.gz" "guest/ext4-journal.img.gz" "guest/ext4-journal-sums.img.gz");
seeds!(fat_seeds: "guest/fat12.img.gz" "guest/fat16.img.gz" "guest/fat32.img.gz");
seeds!(disk_seeds: "gpt.raw" "mbr.raw" "mbr-past-end.raw" "blank.raw");
seeds!(other_seeds: "polyglot.qcow2" "page.html" "pointer.img" "box.ova" "fixed.vhd.gz"
    "descriptor.vmdk" "blank.raw" "gpt.raw" "gpt.qcow2");

/// Every kind of image, and files as they are packed.
fn checked_seeds() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let images = [qcow2_seeds(), vhdx_seeds(), vdi_seeds(), vmdk_seeds(), disk_seeds()];
        let mut seeds: Vec<Seed> = images
            .into_iter()
            .chain([other_seeds()])
            .flatten()
            .map(|seed| Seed::new(seed.bytes.clone()))
            .collect();
        let packed: [&[u8]; 5] = [
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/gpt-members.raw.gz")),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/gpt.raw.bz2")),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/gpt.qcow2.gz")),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/gpt.sparse.vmdk.gz")),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/gpt.raw.xz")),
        ];
        seeds.extend(packed.map(|bytes| Seed::new(bytes.to_vec())));
        seeds
    })
}

/// The valid images that inputs of a container's target begin with, in the order of their numbers.
#[must_use]
pub fn seeds(target: &str) -> Vec<&'static [u8]> {
    let seeds = match target {
        "qcow2" => qcow2_seeds(),
        "vhdx" => vhdx_seeds(),
        "vdi" => vdi_seeds(),
        "vmdk" => vmdk_seeds(),
        "vpc" => vpc_seeds(),
        "qcow" => qcow_seeds(),
        "partitions" => disk_seeds(),
        "ext" => ext_seeds(),
        "fat" => fat_seeds(),
        "sniff_and_detect" => other_seeds(),
        "check" => checked_seeds(),
        "xfs" | "btrfs" | "lvm" => return guest_volumes::seeds(target),
        _ => &[],
    };
    seeds.iter().map(|seed| seed.bytes.as_slice()).collect()
}

fn unpacked(file: &[u8]) -> Vec<u8> {
    let Some(mut decoder) = sniff(file).decoder(&Threads::new(1), None) else {
        return file.to_vec();
    };
    let (mut image, mut rest, mut buf) = (Vec::new(), file, vec![0; 1 << 20]);
    loop {
        let step = decoder.decode(rest, &mut buf).expect("the test data is whole");
        image.extend_from_slice(&buf[..step.made]);
        image.resize(image.len() + step.zeros as usize, 0);
        rest = &rest[step.taken..];
        if step.made < buf.len() && step.zeros == 0 {
            decoder.finish().expect("the test data is whole");
            return image;
        }
    }
}

/// Decodes a file in pieces of `input` bytes into buffers of `output` bytes. `None` if it is too long.
#[allow(clippy::type_complexity)] // what came out and how it ended
fn decoded(
    decoder: &mut dyn Decoder,
    file: &[u8],
    input: usize,
    output: usize,
) -> Option<(Vec<u8>, Result<Summary, Damage>)> {
    let mut image = Vec::new();
    let mut buf = vec![0; output];
    for mut piece in file.chunks(input).chain([&[][..]]) {
        loop {
            let step = match decoder.decode(piece, &mut buf) {
                Ok(step) => step,
                Err(damage) => {
                    assert!(damage.offset <= file.len() as u64, "{damage:?}");
                    return Some((image, Err(damage)));
                }
            };
            assert!(step.taken <= piece.len() && step.made <= output);
            image.extend_from_slice(&buf[..step.made]);
            if image.len() as u64 + step.zeros > MOST_UNPACKED as u64 {
                return None;
            }
            image.resize(image.len() + step.zeros as usize, 0);
            piece = &piece[step.taken..];
            if step.made < output && step.zeros == 0 {
                assert!(piece.is_empty(), "input was left with room for output");
                break;
            }
        }
    }
    Some((image, decoder.finish()))
}

/// A packed file comes out the same however it is cut; `fresh` makes a decoder. What is whole is
/// returned.
fn packed(file: &[u8], fresh: impl Fn() -> Box<dyn Decoder>) -> Option<(Vec<u8>, Summary)> {
    let (image, end) = decoded(&mut *fresh(), file, usize::MAX, 64 << 10)?;
    // Shorter files are worth the cut after every byte.
    let (input, output) = if file.len() < 600 { (1, 37) } else { (61, 4096) };
    if image.len() < 1 << 20 {
        let (again, end_again) = decoded(&mut *fresh(), file, input, output)?;
        assert_eq!(end, end_again, "pieces of {input} into {output}");
        if end.is_ok() {
            assert!(image == again, "pieces of {input} into {output}");
        }
    }
    end.ok().map(|summary| (image, summary))
}

/// Numbers of threads, and how the file comes and its image is taken: two of them, which depend on the input. Not all of them
/// each time, because threads take longer to start than most inputs to decode.
fn many(input: &[u8]) -> [(usize, usize, usize); 2] {
    let hash = crc32fast::hash(input) as usize;
    // Single bytes of what is long take long and show nothing new.
    let least = 1 + input.len() / 1000;
    let cut = |bits: usize| least + (1 << (hash >> bits & 15));
    let room = |bits: usize| 64 * least + (1 << (hash >> bits & 15));
    let few = [1, 2][hash >> 20 & 1];
    let more = [8, 64][hash >> 21 & 1];
    [(few, cut(0), room(4)), (more, cut(8), room(12))]
}

/// A packed file without what is behind the packed data.
fn whole<'i>(input: &'i [u8], summary: &Summary) -> &'i [u8] {
    let end = summary.behind.as_ref().map_or(input.len(), |behind| {
        assert_eq!(behind.offset + behind.len, input.len() as u64);
        behind.offset as usize
    });
    &input[..end - summary.trailing_zeros as usize]
}

/// gzip: the same image and the same damage however the file is cut and on several threads, and the same bytes as another
/// decoder makes of what is whole.
///
/// # Panics
/// If something is wrong; so do the others.
pub fn gzip(input: &[u8]) {
    use std::io::Read as _;
    let Some((alone, end)) = decoded(&mut Gzip::default(), input, 4096, 64 << 10) else { return };
    for (threads, arriving, room) in many(input) {
        for piece in [64, 1000] {
            let mut parallel = ParallelGzip::in_pieces(threads, piece);
            let Some((several, found)) = decoded(&mut parallel, input, arriving, room) else {
                return;
            };
            assert_eq!(found, end, "on {threads} threads");
            assert!(several == alone || end.is_err(), "another image on {threads} threads");
        }
    }
    let Some((image, summary)) = packed(input, || Box::new(Gzip::default())) else { return };
    let mut expected = Vec::new();
    flate2::bufread::MultiGzDecoder::new(whole(input, &summary))
        .read_to_end(&mut expected)
        .expect("what is whole can be read by others");
    assert!(image == expected, "another image than flate2 makes");
}

/// Deflate: the same bytes and the same end as zlib-rs makes of it, whole, damaged or cut, on one thread and on several.
pub fn inflate(input: &[u8]) {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut inflate = flate2::Decompress::new(false);
    let mut expected = Vec::new();
    let mut space = vec![0; 64 << 10];
    let end = loop {
        let (taken, made) = (inflate.total_in(), inflate.total_out());
        let rest = &input[taken as usize..];
        let status = inflate.decompress(rest, &mut space, flate2::FlushDecompress::None);
        expected.extend_from_slice(&space[..(inflate.total_out() - made) as usize]);
        let moved = (inflate.total_in(), inflate.total_out()) != (taken, made);
        match status {
            Ok(flate2::Status::StreamEnd) => break Ok(inflate.total_in() as usize),
            Ok(_) if moved && expected.len() <= MOST_UNPACKED => {}
            Ok(_) if moved => return,
            Ok(_) => break Err(Code::GzipTruncated),
            Err(_) => break Err(Code::GzipDamaged),
        }
    };
    // What is whole gets the right sum.
    let mut file = [&HEADER, &input[..*end.as_ref().unwrap_or(&input.len())]].concat();
    if end.is_ok() {
        file.extend_from_slice(&crc32fast::hash(&expected).to_le_bytes());
        file.extend_from_slice(&(expected.len() as u32).to_le_bytes());
    }
    let [few, more] = many(input).map(|(threads, arriving, room)| {
        let decoder = Box::new(ParallelGzip::in_pieces(threads, 64)) as Box<dyn Decoder>;
        (decoder, arriving, room)
    });
    let fixed = |decoder: Box<dyn Decoder>| (decoder, 4096, 64 << 10);
    let alone = fixed(Box::<Gzip>::default());
    let long = fixed(Box::new(ParallelGzip::in_pieces(2, 1000)));
    let mut first = None;
    for (mut decoder, arriving, room) in [alone, few, more, long] {
        let Some((image, result)) = decoded(&mut *decoder, &file, arriving, room) else { return };
        match (&result, &end) {
            (Ok(_), Ok(_)) => assert!(image == expected, "other bytes than those of zlib-rs"),
            (Err(damage), Err(code)) => assert_eq!(damage.code, *code, "{damage:?}"),
            _ => panic!("{result:?}, but {end:?}"),
        }
        let first = first.get_or_insert_with(|| result.clone());
        assert_eq!(result, *first, "on several threads");
    }
}

/// bzip2, as [`gzip`]; the same on several threads, and what is refused is refused by libbz2 as well.
pub fn bzip2(input: &[u8]) {
    use std::io::Read as _;
    let Some((alone, end)) = decoded(&mut Bzip2::default(), input, 4096, 64 << 10) else { return };
    for (threads, arriving, room) in many(input) {
        let mut decoder = Bzip2::new(&Threads::new(threads));
        let Some((several, found)) = decoded(&mut decoder, input, arriving, room) else { return };
        assert_eq!(found, end, "on {threads} threads");
        assert!(several == alone || end.is_err(), "another image on {threads} threads");
    }
    let whole_image = packed(input, || Box::new(Bzip2::default()));
    let mut expected = Vec::new();
    let Some((image, summary)) = whole_image else {
        assert!(end.is_err(), "in other pieces it is something");
        let mut others = bzip2::bufread::MultiBzDecoder::new(input);
        let read = others.read_to_end(&mut expected);
        assert!(read.is_err() || input.is_empty(), "libbz2 makes something of it: {end:?}");
        return;
    };
    bzip2::bufread::MultiBzDecoder::new(whole(input, &summary))
        .read_to_end(&mut expected)
        .expect("what is whole can be read by others");
    assert_eq!(end, Ok(summary), "in other pieces");
    assert!(image == expected, "another image than bzip2 makes");
}

/// What a file is recognised by, of edits over images of many kinds and of the input itself.
pub fn sniff_and_detect(input: &[u8]) {
    let edited = edits::decode(other_seeds(), input, LARGEST_DISK, edits::as_it_is);
    for mut image in [edited, MemoryImage::from(input)] {
        let mut first = [0; 512];
        let count = image.read(0, &mut first);
        let _ = sniff(&first[..count]);
        let _ = guest::has_valid_mbr(&first[..count]);
        let mut last = [0; 512];
        let count = image.read(image.len().saturating_sub(512), &mut last);
        let _ = formats::trailer(&last[..count]);
        let notebook = Notebook::new(&|_| false, u64::MAX);
        let feed = Box::new(MemoryFeed::new(image.clone()));
        let mut stream = StreamView::new(feed, None, &notebook, false);
        let from_file = formats::detect(&mut image).expect("memory can be read");
        let from_stream = formats::detect(&mut stream).expect("memory can be read");
        assert_eq!(format!("{from_file:?}"), format!("{from_stream:?}"));
    }
}

/// MBR and GPT, as edits over raw disks; the check sums are made right after them.
pub fn partitions(input: &[u8]) {
    let disk = edits::decode(disk_seeds(), input, LARGEST_DISK, edits::repair_gpt);
    both_ways(&disk, |view, notebook| {
        let table = guest::examine(&mut RawDisk::new(view), Code::RawNoPartitionTable, notebook)?;
        if table.unread.iter().any(|unread| unread.why == formats::Missing::Behind) {
            notebook.disk(Code::StructureNotExamined, 0, "behind");
        }
        view.size().map(drop)
    });
}

/// An image in memory as a reader delivers it, filling its buffers.
struct Delivery<'i>(MemoryFeed<'i>);

impl Read for Delivery<'_> {
    fn next(&mut self, _: &mut Pool) -> Result<Option<Segment>, source::Error> {
        Ok(self.0.run())
    }
}

/// A file that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new(image: &MemoryImage<'_>) -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-body-{}-{number}", std::process::id());
        let scratch = Scratch(std::env::temp_dir().join(name));
        let mut file = std::fs::File::create(&scratch.0)?;
        file.set_len(image.len())?;
        let (mut feed, mut at) = (MemoryFeed::new(image.clone()), 0);
        while let Some(segment) = feed.run() {
            if let Segment::Data(chunk) = &segment {
                file.write_all_at(chunk, at)?;
            }
            at += segment.len();
        }
        file.flush()?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that stays behind in a folder for such files does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn check_file(path: &Path, options: &Options) -> Report {
    let mut report = Report::new(OsStr::new("-"), options);
    let source = Source::open(path.as_os_str()).expect("the scratch file is there");
    report.file_size = source.size();
    let anomalies = pipeline::run(&source, options, &Deaf, None, &mut report)
        .expect("the scratch file can be read");
    report.judged(anomalies, OsStr::new("-"), options)
}

fn check_stream(image: &MemoryImage<'_>, options: &Options) -> Report {
    let mut report = Report::new(OsStr::new("-"), options);
    let delivery = Delivery(MemoryFeed::new(image.clone()));
    let anomalies = pipeline::run_stream(delivery, options, &Deaf, None, &mut report)
        .expect("memory can be read");
    report.judged(anomalies, OsStr::new("-"), options)
}

/// The whole check, of edits over files of all kinds: as a file and as a stream, quick and in full, to
/// the first reason to refuse and to the end.
pub fn check(input: &[u8]) {
    // The mode is a bit that edits do not look at.
    let mode = input.get(1).map_or(0, |flags| flags >> 4);
    let options = Options {
        quick: mode & 3 == 1,
        keep_going: mode & 3 == 2,
        image_digest: mode & 4 != 0,
        ..Options::default()
    };
    let repair = |image: &mut MemoryImage<'_>| {
        let mut magic = [0; 8];
        image.read(0, &mut magic);
        match &magic {
            b"vhdxfile" => edits::repair_vhdx(image),
            _ => edits::repair_gpt(image),
        }
    };
    let mut image = edits::decode(checked_seeds(), input, LARGEST_CHECKED, repair);
    let mut first = [0; 512];
    let count = image.read(0, &mut first);
    if !matches!(sniff(&first[..count]), Packing::Plain) {
        image.resize(image.len().min(LARGEST_PACKED));
    }
    // An empty regular file is taken for a stream.
    let file = match image.is_empty() {
        true => check_stream(&image, &options),
        false => {
            let scratch =
                Scratch::new(&image).expect("the folder for scratch files can be written");
            check_file(&scratch.0, &options)
        }
    };
    let stream = check_stream(&image, &options);
    for report in [&file, &stream] {
        assert!(report.error.is_none(), "{report:?}");
    }
    let unexamined = stream.findings.iter().any(|f| f.code == Code::StructureNotExamined);
    if unexamined || options.quick {
        return;
    }
    assert_eq!(file.verdict, stream.verdict, "{file:?}\n{stream:?}");
    if file.verdict != Verdict::Reject {
        let found = |report: &Report| -> Vec<String> {
            let shown = |f: &super::Finding| format!("{:?} {:?} {}", f.code, f.offset, f.message);
            report.findings.iter().map(shown).collect()
        };
        assert_eq!(found(&file), found(&stream));
        assert_eq!(file.digests.sha256, stream.digests.sha256);
        assert_eq!(file.virtual_size, stream.virtual_size);
    }
}
