//! What holds for every image: nothing panics, a cut or flipped bit is never taken for a good image,
//! and the report does not depend on how the bytes arrive.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::*;
use crate::bytes::Pool;
use crate::codec::Threads;
use crate::facts::Compression;
use crate::inspect::report::Verdict;
use crate::inspect::{Deaf, Mode};

/// Small images of every format and codec that are accepted, perhaps with a warning.
const GOOD: [&str; 16] = [
    "gpt.raw",
    "mbr.raw",
    "gpt.qcow2",
    "gpt-v2.qcow2",
    "gpt-compressed.qcow2",
    "gpt-zstd.qcow2",
    "gpt.stream.vmdk",
    "blank.qcow2",
    "gpt.raw.gz",
    "gpt-members.raw.gz",
    "gpt.raw.bz2",
    "gpt.qcow2.gz",
    "gpt.sparse.vmdk.gz",
    "gpt.vdi.gz",
    "gpt.vdi.bz2",
    "gpt.vhdx.gz",
];

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(testdata().join(name)).unwrap()
}

fn is_packed(name: &str) -> bool {
    name.ends_with(".gz") || name.ends_with(".bz2")
}

/// All files of the test data, by name.
fn all() -> Vec<PathBuf> {
    let images = std::fs::read_to_string(testdata().join("expected.tsv")).unwrap();
    images.lines().skip(1).map(|row| testdata().join(row.split('\t').next().unwrap())).collect()
}

/// A source that arrives in pieces of these lengths, again and again.
struct Pieces<'b> {
    rest: &'b [u8],
    lengths: std::iter::Cycle<std::iter::Copied<std::slice::Iter<'b, usize>>>,
    /// A view may keep many short pieces, where a file's reader fills its buffers.
    pool: Pool,
}

impl<'b> Pieces<'b> {
    fn of(bytes: &'b [u8], lengths: &'b [usize]) -> Self {
        let longest = lengths.iter().max().copied().unwrap().min(bytes.len().max(1));
        let lengths = lengths.iter().copied().cycle();
        Pieces { rest: bytes, lengths, pool: Pool::new(usize::MAX, longest) }
    }
}

impl Read for Pieces<'_> {
    fn next(&mut self, _: &mut Pool) -> Result<Option<Segment>, source::Error> {
        let length = self.lengths.next().unwrap_or(1).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(length);
        self.rest = rest;
        if piece.is_empty() {
            return Ok(None);
        }
        let mut chunk = self.pool.take();
        chunk.space()[..length].copy_from_slice(piece);
        chunk.grow(length);
        Ok(Some(Segment::Data(Arc::new(chunk))))
    }
}

/// The report on a stream that arrives in pieces of these lengths.
fn streamed(bytes: &[u8], lengths: &[usize], options: &Options) -> Report {
    let settles = |code| !options.keep_going && options.policy.refuses(code);
    let notebook = Notebook::new(&settles, options.limit);
    let name = OsStr::new("-");
    let mut report = Report::new(name, options);
    let pipeline = Pipeline { options, listener: &Deaf, tap: None, notebook: &notebook };
    pipeline.streamed(Pieces::of(bytes, lengths), Origin::Gone, &mut report).unwrap();
    pipeline.raw_disk_digest(&mut report);
    report.judged(notebook.close(), name, options)
}

/// The report on a stream that arrives at once.
fn whole(bytes: &[u8], options: &Options) -> Report {
    streamed(bytes, &[usize::MAX], options)
}

/// The report on a local file, under the name that a stream has.
fn local(path: &Path, options: &Options) -> Report {
    let source = Source::open(path.as_os_str()).unwrap();
    let name = OsStr::new("-");
    let mut report = Report::new(name, options);
    report.file_size = source.size();
    let anomalies = run(&source, options, &Deaf, None, &mut report).unwrap();
    report.judged(anomalies, name, options)
}

fn full() -> Options {
    Options { keep_going: true, image_digest: true, ..Options::default() }
}

fn spooled() -> Options {
    Options { disk_digest: true, spool: true, ..full() }
}

fn quick() -> Options {
    Options { quick: true, ..Options::default() }
}

/// All of a report that does not count work. A quick check ends when it has seen enough, and the
/// reader beside it may have come to the end of the file by then or not.
fn json(report: &Report) -> Value {
    let mut value = serde_json::to_value(report).unwrap();
    let map = value.as_object_mut().unwrap();
    map.remove("bytes_read");
    // A block that comes in two pieces may be written in part.
    map.remove("spooled_bytes");
    if report.mode == Mode::Quick {
        map.remove("file_size");
    }
    value
}

/// The findings, without what depends on the run.
fn findings(report: &Report) -> Vec<String> {
    let shown = |f: &crate::inspect::Finding| format!("{:?} {:?} {}", f.code, f.offset, f.message);
    report.findings.iter().map(shown).collect()
}

/// Offsets to cut at: all of the last ones and of the first ones, and others between, about `most`.
fn cuts(len: usize, most: usize) -> Vec<usize> {
    let stride = (len / most).max(1);
    let ends = most.min(600);
    (0..len).filter(|at| at % stride == 0 || *at < ends || len - at <= ends).collect()
}

/// How many checks of an image of this size are cheap enough.
fn affordable(image_size: u64) -> usize {
    (150_000_000 / image_size.max(1)).clamp(30, 1000) as usize
}

#[test]
fn a_cut_packed_image_is_never_accepted() {
    for name in GOOD.into_iter().filter(|name| is_packed(name)) {
        let bytes = read(name);
        let good = whole(&bytes, &Options::default());
        assert!(matches!(good.verdict, Verdict::Accept | Verdict::Warn), "{name}: {good:?}");
        for cut in cuts(bytes.len(), affordable(good.image_size.unwrap())) {
            let report = whole(&bytes[..cut], &Options::default());
            assert_eq!(report.verdict, Verdict::Reject, "{name} cut at {cut}: {report:?}");
        }
    }
}

/// An uncompressed image may lose nothing but the zeros that its last part is padded with.
#[test]
fn a_cut_image_is_accepted_only_if_no_more_than_padding_is_gone() {
    for name in GOOD.into_iter().filter(|name| !is_packed(name)) {
        let bytes = read(name);
        let good = whole(&bytes, &Options::default());
        assert!(matches!(good.verdict, Verdict::Accept | Verdict::Warn), "{name}: {good:?}");
        for cut in cuts(bytes.len(), 700) {
            let report = whole(&bytes[..cut], &Options::default());
            if report.verdict != Verdict::Reject {
                assert!(bytes[cut..].iter().all(|&b| b == 0), "{name} cut at {cut}: {report:?}");
                let table =
                    |report: &Report| serde_json::to_value(&report.partition_table).unwrap();
                assert_eq!(table(&report), table(&good), "{name} cut at {cut}");
                // The disk of a raw image with a GPT ends where its backup says.
                assert!(name != "gpt.raw", "cut at {cut}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_packed_data_is_never_another_image() {
    for name in GOOD.into_iter().filter(|name| is_packed(name)) {
        let mut bytes = read(name);
        let good = whole(&bytes, &full());
        let bits = 8 * bytes.len().min(1024);
        for bit in (0..bits).step_by((bits / affordable(good.image_size.unwrap())).max(1)) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let report = whole(&bytes, &Options::default());
            // A header's name and time stamp may be anything, as long as the image is the same.
            if report.verdict != Verdict::Reject {
                let again = whole(&bytes, &full());
                assert_eq!(
                    again.digests.image_sha256, good.digests.image_sha256,
                    "{name} bit {bit}: {report:?}"
                );
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_flipped_bit_in_a_header_is_no_panic() {
    for name in ["gpt.raw", "gpt.qcow2", "gpt.stream.vmdk"] {
        let mut bytes = read(name);
        for bit in 0..8 * 1024 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let report = whole(&bytes, &quick());
            // xz takes a zero, a one and eleven zeros for a header of its own.
            let packed = report.compression.is_some_and(|packed| packed != Compression::None);
            assert!(report.disk_format.is_some() || packed, "{name} bit {bit}: {report:?}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Unpacked, so that flips reach the structures of the formats that are only here packed.
fn image(name: &str) -> Vec<u8> {
    let bytes = read(name);
    let Some(mut decoder) = sniff(&bytes).decoder(&Threads::new(1), None) else { return bytes };
    let (image, end) = crate::codec::testing::decode(&mut *decoder, &bytes, bytes.len(), 1 << 20);
    end.unwrap();
    image
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// Places at which structures lie, so that random flips do not all hit data.
fn structured(len: usize) -> impl Strategy<Value = usize> {
    let any = 0..len;
    let near = move |at: usize| (at.min(len - 1))..(at + 4096).min(len).max(at.min(len - 1) + 1);
    let known = [0, 64 << 10, 128 << 10, 192 << 10, 256 << 10, 1 << 20, 2 << 20, 3 << 20];
    prop_oneof![any, proptest::sample::select(known.to_vec()).prop_flat_map(near)]
}

#[test]
fn damaged_structures_are_judged_alike_from_a_file_and_from_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    for name in [
        "gpt.raw",
        "mbr.raw",
        "gpt.qcow2",
        "gpt-compressed.qcow2",
        "gpt-zstd.qcow2",
        "gpt.stream.vmdk",
        "gpt.sparse.vmdk.gz",
        "gpt.vdi.gz",
        "gpt.vhdx.gz",
    ] {
        let image = image(name);
        let cases = if image.len() > 4 << 20 { 30 } else { 150 };
        let flips = proptest::collection::vec((structured(image.len()), any::<u8>()), 1..4);
        let result = runner(cases).run(&flips, |flips| {
            let mut image = image.clone();
            for (at, byte) in flips {
                image[at] = byte;
            }
            std::fs::write(&path, &image).unwrap();
            for options in [Options::default(), quick(), spooled()] {
                let file = local(&path, &options);
                let stream = whole(&image, &options);
                // What a stream has passed may stay unexamined, which is said.
                let unexamined =
                    stream.findings.iter().any(|f| f.code == Code::StructureNotExamined)
                        || stream.checks.iter().any(|c| c.id == "packed-data" && !c.why.is_empty())
                        || stream.mode == Mode::Quick;
                if !unexamined {
                    prop_assert_eq!(file.verdict, stream.verdict, "{:?}\n{:?}", &file, &stream);
                    if file.verdict != Verdict::Reject {
                        prop_assert_eq!(findings(&file), findings(&stream));
                    }
                }
            }
            Ok(())
        });
        if let Err(error) = result {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn files_and_streams_are_judged_alike() {
    for path in all() {
        let bytes = std::fs::read(&path).unwrap();
        for options in [Options::default(), full(), spooled()] {
            let (file, stream) = (local(&path, &options), whole(&bytes, &options));
            if stream.findings.iter().any(|f| f.code == Code::StructureNotExamined) {
                assert_eq!(stream.verdict, Verdict::Warn, "{path:?}: {file:?}\n{stream:?}");
                continue;
            }
            assert_eq!(file.verdict, stream.verdict, "{path:?}: {file:?}\n{stream:?}");
            assert_eq!(file.disk_format, stream.disk_format, "{path:?}");
            assert_eq!(file.digests.sha256, stream.digests.sha256, "{path:?}");
            if file.verdict != Verdict::Reject {
                assert_eq!(findings(&file), findings(&stream), "{path:?}");
                assert_eq!(file.digests.image_sha256, stream.digests.image_sha256, "{path:?}");
                assert_eq!(file.virtual_size, stream.virtual_size, "{path:?}");
                let made = file.digests.disk_sha256.is_some();
                assert_eq!(made, options.disk_digest, "{path:?}: {file:?}");
                assert_eq!(file.digests.disk_sha256, stream.digests.disk_sha256, "{path:?}");
            }
        }
    }
}

/// Holds the report on pieces against that on the whole, for every image of the test data.
fn assert_pieces_do_not_matter(lengths: &[usize]) {
    for path in all() {
        let bytes = std::fs::read(&path).unwrap();
        // Single bytes of large images take long and show nothing new.
        if lengths.iter().sum::<usize>() < 16 * lengths.len() && bytes.len() > 40_000 {
            continue;
        }
        for options in [full(), Options::default(), spooled(), quick()] {
            let pieces = streamed(&bytes, lengths, &options);
            assert_eq!(json(&pieces), json(&whole(&bytes, &options)), "{path:?} in {lengths:?}");
        }
    }
}

#[test]
fn the_report_does_not_depend_on_the_pieces() {
    for lengths in [&[512][..], &[4096], &[1000], &[65536, 1, 511], &[512, 1, 1, 1, 1, 1, 1, 1]] {
        assert_pieces_do_not_matter(lengths);
    }
}

#[test]
fn the_report_does_not_depend_on_single_bytes() {
    assert_pieces_do_not_matter(&[1]);
}

/// The first piece is a sector, as readers deliver it at least.
#[test]
fn the_report_does_not_depend_on_arbitrary_pieces() {
    let lengths = proptest::collection::vec(prop_oneof![1..20usize, 1..5000usize], 1..40);
    let file = proptest::sample::select(all());
    let options = proptest::sample::select(vec![0, 1, 2]);
    let result = runner(200).run(&(file, lengths, options), |(path, mut lengths, options)| {
        lengths.insert(0, 512);
        let bytes = std::fs::read(&path).unwrap();
        let options = [full(), Options::default(), quick()][options].clone();
        let pieces = streamed(&bytes, &lengths, &options);
        prop_assert_eq!(json(&pieces), json(&whole(&bytes, &options)), "{:?}", &path);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// The limit may lie anywhere in an image, also in the middle of a piece.
#[test]
fn the_verdict_at_a_limit_does_not_depend_on_the_pieces() {
    for name in ["gpt.raw", "gpt.raw.gz", "mbr.raw", "gpt.vdi.gz", "gpt.stream.vmdk"] {
        let bytes = read(name);
        let size = whole(&bytes, &full()).image_size.unwrap();
        for limit in [1, 511, 512, 1000, size / 2, size - 512, size - 1, size, size + 1] {
            let options = Options { limit, ..full() };
            let at_once = whole(&bytes, &options);
            let pieces = streamed(&bytes, &[512, 700], &options);
            assert_eq!(at_once.verdict, pieces.verdict, "{name} under {limit}");
            let refused = at_once.verdict == Verdict::Reject;
            assert!(refused || limit > size, "{name} under {limit}: {at_once:?}");
        }
    }
}
