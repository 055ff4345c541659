use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::Write as _;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::bytes::hex;
use crate::codec::testing::{archive, header, member, mixed, oracle};
use crate::facts::Code;
use crate::inspect::{Deaf, Options, Report, Verdict, inspect_unwrapped};
use crate::rules::SIZE_LIMIT;

/// A file that arrives in runs.
struct Runs(VecDeque<Vec<u8>>);

impl Read for Runs {
    fn next(&mut self, _: &mut Pool) -> Result<Option<Segment>, source::Error> {
        let Some(run) = self.0.pop_front() else { return Ok(None) };
        if run.iter().all(|&byte| byte == 0) {
            return Ok(Some(Segment::Zeros(run.len() as u64)));
        }
        let mut chunk = Pool::new(1, run.len()).take();
        chunk.space().copy_from_slice(&run);
        chunk.grow(run.len());
        Ok(Some(Segment::Data(Arc::new(chunk))))
    }
}

fn runs(file: &[u8], piece: usize) -> Runs {
    Runs(file.chunks(piece).map(<[u8]>::to_vec).collect())
}

fn open(file: &[u8], piece: usize) -> Unwrapping<'static> {
    unwrapped(runs(file, piece), SIZE_LIMIT, Depth::Refused).unwrap()
}

/// What comes out, in which wrappings it was, and what is wrong.
fn read(file: &[u8], piece: usize) -> (Vec<u8>, Vec<String>, Option<Anomaly>) {
    let mut unwrapping = open(file, piece);
    let aftermath = unwrapping.aftermath();
    let mut pool = Pool::new(1, 100_000);
    let mut inner = Vec::new();
    while let Some(segment) = unwrapping.next(&mut pool).unwrap() {
        match segment {
            Segment::Data(chunk) => inner.extend_from_slice(&chunk),
            Segment::Zeros(len) => inner.resize(inner.len() + len as usize, 0),
        }
    }
    let wrapped = aftermath.wrapped();
    assert_eq!(unwrapping.is_whole(), aftermath.fault().is_none());
    if unwrapping.wrappings().is_empty() || aftermath.fault().is_some() {
        assert_eq!(wrapped, None);
    } else {
        let wrapped = wrapped.unwrap();
        assert_eq!(wrapped.size, file.len() as u64);
        assert_eq!(wrapped.sha256, <[u8; 32]>::from(Sha256::digest(file)));
    }
    let wrappings = unwrapping.wrappings().iter().map(ToString::to_string).collect();
    (inner, wrappings, aftermath.fault())
}

/// Reads it in pieces of several sizes, which make no difference.
fn unwrap(file: &[u8]) -> (Vec<u8>, Vec<String>, Option<Anomaly>) {
    let whole = read(file, file.len().max(1));
    for piece in [61, 4096] {
        assert_eq!(read(file, piece), whole, "pieces of {piece}");
    }
    whole
}

fn fault(file: &[u8]) -> Anomaly {
    unwrap(file).2.unwrap()
}

fn test_data(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name))
        .unwrap()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut writer = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::fast());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

fn bzip2(data: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

fn xz(data: &[u8]) -> Option<Vec<u8>> {
    oracle("xz", &["-qc", "-1"], data)
}

fn zstd(data: &[u8]) -> Option<Vec<u8>> {
    oracle("zstd", &["-qc"], data)
}

fn check(file: &[u8], options: &Options) -> Report {
    inspect_unwrapped(OsStr::new("a/box.tar.xz"), open(file, 5000), options, &Deaf, None)
}

#[test]
fn what_can_be_imported_is_left_alone() {
    for name in [
        "gpt.raw",
        "gpt.raw.gz",
        "gpt.raw.bz2",
        "gpt.qcow2",
        "gpt.qcow2.gz",
        "gpt.vdi.bz2",
        "gpt-members.raw.gz",
        "gpt.stream.vmdk",
        "page.html",
        "empty.img",
        "truncated.raw.gz",
    ] {
        let file = test_data(name);
        let (inner, wrappings, fault) = unwrap(&file);
        assert!(inner == file, "{name}");
        assert!(wrappings.is_empty() && fault.is_none(), "{name}: {wrappings:?} {fault:?}");
        let raw = ["gpt.raw", "page.html", "empty.img"].contains(&name);
        assert_eq!(open(&file, 999).needs_gzip(), raw, "{name}");
    }
}

#[test]
fn holes_stay_holes_in_a_file_that_is_left_alone() {
    let mut file = test_data("gpt.raw");
    file.resize(6 << 20, 0);
    let mut unwrapping = open(&file, 1 << 20);
    let mut pool = Pool::new(1, 1 << 20);
    let mut zeros = 0;
    while let Some(segment) = unwrapping.next(&mut pool).unwrap() {
        if let Segment::Zeros(len) = segment {
            zeros += len;
        }
    }
    assert_eq!(zeros, 5 << 20);
}

#[test]
fn one_wrapping_after_another_is_taken_off() {
    let raw = test_data("gpt.raw");
    let qcow2 = test_data("gpt.qcow2");
    let tar = archive(&[
        member("box.ovf", b'0', b"<?xml version='1.0'?><Envelope/>"),
        member("box.mf", b'0', b"SHA256(box.ovf)= 00\n"),
        header("logs/", b'5', 0),
        member("disk.raw", b'0', &raw),
        member("notes.gz", b'0', &gzip(b"just text\n")),
    ]);
    let vmdk = test_data("gpt.stream.vmdk");
    let ova = archive(&[
        member("box.ovf", b'0', b"<?xml version='1.0'?><Envelope/>"),
        member("box-disk1.vmdk", b'0', &vmdk),
        member("box.cert", b'0', b"-----BEGIN CERTIFICATE-----\n"),
    ]);
    let mut cases = vec![
        (tar.clone(), vec!["tar (disk.raw)"], raw.clone(), true),
        (gzip(&tar), vec!["gzip", "tar (disk.raw)"], raw.clone(), true),
        (bzip2(&tar), vec!["bzip2", "tar (disk.raw)"], raw.clone(), true),
        (gzip(&gzip(&raw)), vec!["gzip"], gzip(&raw), false),
        (gzip(&bzip2(&raw)), vec!["gzip"], bzip2(&raw), false),
        ([bzip2(&raw[..70_000]), bzip2(&raw[70_000..])].concat(), vec!["bzip2"], raw.clone(), true),
        (ova, vec!["tar (box-disk1.vmdk)"], vmdk, false),
        (test_data("gpt.tar.gz"), vec!["gzip", "tar (gpt.raw)"], raw.clone(), true),
        (test_data("gpt.raw.xz"), vec!["xz"], raw.clone(), true),
        (test_data("gpt.raw.zst"), vec!["zstd"], raw.clone(), true),
        (archive(&[member("d.gz", b'0', &gzip(&qcow2))]), vec!["tar (d.gz)"], gzip(&qcow2), false),
    ];
    if let (Some(packed), Some(again)) = (xz(&qcow2), xz(&tar)) {
        cases.push((gzip(&packed), vec!["gzip", "xz"], qcow2.clone(), false));
        cases.push((again, vec!["xz", "tar (disk.raw)"], raw.clone(), true));
        let deep = gzip(&archive(&[member("d.xz", b'0', &packed)]));
        cases.push((deep, vec!["gzip", "tar (d.xz)", "xz"], qcow2.clone(), false));
    }
    if let Some(packed) = zstd(&tar) {
        cases.push((packed, vec!["zstd", "tar (disk.raw)"], raw.clone(), true));
    }
    if let Some(packed) = oracle("pbzip2", &["-c"], &mixed(3 << 20)) {
        cases.push((packed, vec!["bzip2"], mixed(3 << 20), true));
    }
    for (file, wrappings, inner, raw) in cases {
        let (found, named, fault) = unwrap(&file);
        assert_eq!(fault, None);
        assert_eq!(named, wrappings);
        assert!(found == inner, "{wrappings:?}");
        assert_eq!(open(&file, 777).needs_gzip(), raw, "{wrappings:?}");
    }
}

#[test]
fn an_archive_has_one_image() {
    let raw = test_data("gpt.raw");
    let several = archive(&[
        member("one\u{1b}.raw", b'0', &raw),
        member("b.txt", b'0', b"text\n"),
        member("two.img", b'0', &test_data("gpt.qcow2")),
    ]);
    for file in [several.clone(), gzip(&several)] {
        let found = fault(&file);
        assert_eq!(found.code, Code::TarSeveralImages);
        assert!(found.said.contains("\"one\\u{1b}.raw\" and \"two.img\""), "{}", found.said);
        // What came before the second image went out already; it may not be committed.
        let (inner, ..) = unwrap(&file);
        assert!(inner == raw);
    }
    let names = ["a", "b", "c", "d", "e", "f", "g.mf"];
    let none: Vec<Vec<u8>> = names.iter().map(|name| member(name, b'0', b"text\n")).collect();
    let found = fault(&archive(&none));
    assert_eq!(found.code, Code::TarNoImage);
    assert!(found.said.contains("\"d\", \"e\" and 2 more"), "{}", found.said);
    assert_eq!(fault(&gzip(&archive(&[header("d/", b'5', 0)]))).code, Code::TarNoImage);
    let nested = archive(&[member("in.tar", b'0', &several)]);
    assert_eq!(fault(&nested).code, Code::TarNoImage);
}

/// A check lists folders, and has 64 MiB.
#[test]
fn a_glance_takes_no_more_memory_than_a_check_has() {
    let notes = archive(&[member("notes", b'0', b"text\n")]);
    let glance = |file: &[u8]| {
        let found = unwrapped(runs(file, 5000), SIZE_LIMIT, Depth::Glance).unwrap();
        (found.wrappings().len(), found.aftermath().fault().map(|fault| fault.code))
    };
    let packed = |arguments: &[&str]| oracle(arguments[0], &arguments[1..], &notes);
    let Some(file) = packed(&["xz", "-qc", "--lzma2=dict=32MiB"]) else { return };
    assert_eq!(glance(&file), (1, Some(Code::TarNoImage)));
    assert_eq!(glance(&gzip(&file)), (2, Some(Code::TarNoImage)));
    // The inner one of two that take much memory stays packed.
    let Some(twice) = xz(&file) else { return };
    assert_eq!(glance(&twice), (1, None));
    assert_eq!(glance(&bzip2(&file)), (1, None));
    let Some(large) = packed(&["xz", "-qc", "--lzma2=dict=64MiB"]) else { return };
    assert_eq!(glance(&large), (1, Some(Code::XzWindowTooLarge)));
    let Some(large) = packed(&["zstd", "-qc", "--long=26"]) else { return };
    assert_eq!(glance(&large), (1, Some(Code::ZstdWindowTooLarge)));
    assert_eq!(fault(&large).code, Code::TarNoImage);
}

#[test]
fn unknown_content_is_an_image_by_its_size_or_name() {
    let unknown: Vec<u8> = (0..2 << 20).map(|at| (at % 251) as u8 | 0x80).collect();
    let name_of = |members: &[Vec<u8>]| open(&archive(members), 1 << 16).wrappings()[0].to_string();
    let small = member("machine.nvram", b'0', &unknown[..270_000]);
    assert_eq!(name_of(&[small.clone(), member("disk", b'0', &unknown)]), "tar (disk)");
    assert_eq!(name_of(&[small, member("x.RAW", b'0', &unknown[..9])]), "tar (x.RAW)");
    let note = [&b"\0\x05\x16\x07"[..], &unknown[..200]].concat();
    let members = [member("._disk.raw", b'0', &note), member("disk.raw", b'0', &unknown)];
    assert_eq!(name_of(&members), "tar (disk.raw)");
}

#[test]
fn damage_is_told_with_its_place() {
    let file = test_data("gpt.raw.xz");
    let found = fault(&file[..file.len() - 20]);
    assert_eq!((found.code, found.offset), (Code::XzTruncated, Some(file.len() as u64 - 20)));
    let mut wrong = file.clone();
    wrong[file.len() / 2] ^= 4;
    assert_eq!(fault(&wrong).code, Code::XzDamaged);
    let cut = gzip(&file[..file.len() / 2]);
    let found = fault(&cut);
    assert_eq!((found.code, found.offset), (Code::XzTruncated, None));
    assert!(found.said.starts_with("Inside gzip: "), "{}", found.said);
    let tar = archive(&[member("disk.raw", b'0', &test_data("gpt.raw"))]);
    assert_eq!(fault(&tar[..tar.len() - 1024]).code, Code::TarTruncated);
}

#[test]
fn what_is_behind_a_wrapping_is_left_out_and_said() {
    let tar = archive(&[member("disk.raw", b'0', &test_data("gpt.raw"))]);
    let packed = gzip(&tar);
    let file = [&packed[..], b"{ \"version\": 1 }"].concat();
    assert_eq!(unwrap(&file).0, test_data("gpt.raw"));
    let mut unwrapping = open(&file, 100);
    let aftermath = unwrapping.aftermath();
    while unwrapping.next(&mut Pool::new(1, 1 << 16)).unwrap().is_some() {}
    let left_out = aftermath.wrapped().unwrap().left_out;
    let said = format!(
        "The gzip data is whole. From byte {} on, 16 bytes belong to nothing; they begin as a json file does, with \"{{ \\\"version\\\": 1 }}\".",
        packed.len()
    );
    assert_eq!(left_out, [said]);
}

#[test]
fn everything_is_taken_off_for_who_wants_the_image_itself() {
    let raw = test_data("gpt.raw");
    let deep = |file: &[u8]| {
        let mut unwrapping = unwrapped(runs(file, 4096), SIZE_LIMIT, Depth::Everything).unwrap();
        let mut inner = Vec::new();
        while let Some(segment) = unwrapping.next(&mut Pool::new(1, 1 << 16)).unwrap() {
            if let Segment::Data(chunk) = &segment {
                inner.extend_from_slice(chunk);
            }
        }
        assert!(unwrapping.is_whole());
        let wrappings: Vec<_> = unwrapping.wrappings().iter().map(ToString::to_string).collect();
        (inner, wrappings)
    };
    for (file, wrappings) in [
        (test_data("gpt.raw.gz"), &["gzip"][..]),
        (test_data("gpt.raw.bz2"), &["bzip2"]),
        (test_data("gpt-members.raw.gz"), &["gzip"]),
        (gzip(&gzip(&gzip(&raw))), &["gzip", "gzip", "gzip"]),
        (archive(&[member("d.gz", b'0', &gzip(&raw))]), &["tar (d.gz)", "gzip"]),
    ] {
        let (inner, found) = deep(&file);
        assert_eq!(found, wrappings);
        assert!(inner == raw, "{wrappings:?}");
    }
}

#[test]
fn more_wrappings_than_that_stay() {
    let mut file = gzip(&test_data("gpt.raw"));
    for _ in 0..6 {
        file = gzip(&file);
    }
    let (inner, wrappings, _) = unwrap(&file);
    assert_eq!(wrappings, ["gzip"]);
    let report = check(&file, &Options::default());
    assert_eq!(report.findings[0].code, Code::CompressionNested);
    assert_eq!(sniff(&inner), Packing::Gzip);
}

#[test]
fn a_bomb_is_stopped_at_the_limit_in_every_wrapping() {
    let Some(packed) = zstd(&vec![0; 64 << 20]) else { return };
    let tar = archive(&[member("disk.raw", b'0', &vec![0; 16 << 20])]);
    let limit = 4 << 20;
    for file in [packed, gzip(&tar)] {
        let mut unwrapping = unwrapped(runs(&file, 1 << 16), limit, Depth::Refused).unwrap();
        let aftermath = unwrapping.aftermath();
        let mut pool = Pool::new(1, 1 << 20);
        let mut size = 0;
        while let Some(segment) = unwrapping.next(&mut pool).unwrap() {
            size += segment.len();
        }
        assert_eq!(aftermath.fault().unwrap().code, Code::FileTooLarge);
        assert!(size <= longest_file(limit), "{size}");
    }
}

#[test]
fn the_inner_file_is_checked_like_any_other() {
    let options = Options { image_digest: true, disk_digest: true, ..Options::default() };
    let raw = test_data("gpt.raw");
    let digest = hex(&Sha256::digest(&raw));
    for name in ["gpt.raw.xz", "gpt.raw.zst", "gpt.tar.gz"] {
        let report = check(&test_data(name), &options);
        assert_eq!(report.verdict, Verdict::Accept, "{name}: {report:?}");
        assert_eq!(report.digests.image_sha256.as_ref(), Some(&digest), "{name}");
        assert_eq!(report.digests.disk_sha256.as_ref(), Some(&digest), "{name}");
        assert_eq!(report.image_size, Some(raw.len() as u64));
    }
    let tar = archive(&[member("disk.qcow2", b'0', &test_data("gpt.qcow2"))]);
    let report = check(&gzip(&tar), &options);
    assert_eq!(report.source, "a/box.tar.xz → disk.qcow2");
    assert_eq!((report.verdict, report.digests.disk_sha256), (Verdict::Accept, Some(digest)));
    let report = check(&gzip(&gzip(&raw)), &Options::default());
    assert_eq!(report.source, "a/box.tar.xz → what is inside");
    assert_eq!((report.verdict, report.compression), (Verdict::Accept, Some(Compression::Gzip)));
    let report = check(&gzip(&archive(&[member("disk.raw", b'0', &[7; 512])])), &options);
    assert_eq!(report.findings[0].code, Code::ContentUnrecognised);
}

#[test]
fn a_fault_is_a_finding_and_never_accepted() {
    let options = Options::default();
    let file = test_data("gpt.raw.xz");
    for end in [8, 30, file.len() / 2, file.len() - 1] {
        let report = check(&file[..end], &options);
        assert_eq!(report.verdict, Verdict::Reject, "cut at {end}: {report:?}");
        assert_eq!(report.findings[0].code, Code::XzTruncated, "cut at {end}");
        assert!(report.image_size.is_none() && report.digests.sha256.is_none());
    }
    let raw = test_data("gpt.raw");
    let several = archive(&[member("a", b'0', &raw), member("b", b'0', &raw)]);
    let report = check(&several, &options);
    assert_eq!(report.findings[0].code, Code::TarSeveralImages);
    assert_eq!(report.verdict, Verdict::Reject);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_member_comes_back(
        size in 0usize..200_000,
        before in 0usize..70_000,
        piece in 1usize..100_000,
        packed in any::<bool>(),
    ) {
        let mut image = mixed(size);
        image.splice(0..0, test_data("gpt.raw")[..2048].iter().copied());
        let text = "text\n".repeat(1 + before / 5);
        let tar = archive(&[member("a.txt", b'0', text.as_bytes()), member("disk", b'0', &image),
            member("b.txt", b'0', b"more text\n")]);
        let file = if packed { gzip(&tar) } else { tar };
        let (inner, wrappings, fault) = read(&file, piece.max(1 + file.len() / 500));
        prop_assert_eq!(fault, None);
        prop_assert_eq!(wrappings.len(), 1 + usize::from(packed));
        prop_assert!(inner == image);
    }

    #[test]
    fn hostile_edits_do_no_harm(
        which in 0usize..5,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let name = ["gpt.raw.xz", "gpt.raw.zst", "gpt.tar.gz", "box.ova", "gpt.raw.bz2"][which];
        let mut file = test_data(name);
        for (at, byte) in edits {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let one = read(&file, 333);
        let other = read(&file, file.len().max(1));
        prop_assert_eq!((&one.1, &one.2), (&other.1, &other.2));
        // What was made before damage was found may be lost.
        prop_assert!(one.2.is_some() || one.0 == other.0);
    }
}
