//! Fail closed: for each reason why a part of a check can be left out there is an image, or a call, that has
//! it, and none of them is a plain accept.

use std::ffi::OsString;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate::facts::{Cause, Left};

use crate::common::*;
use crate::layout::{Layout, deflated, many_packed};
use crate::{qcow2, vhdx, vmdk};

/// A check that leaves something out. What else would refuse the image is allowed, so that the reason decides.
struct Call {
    options: Vec<&'static str>,
    image: Image,
    /// What refuses the image besides, where no option allows that.
    refused: Option<&'static str>,
}

enum Image {
    File(PathBuf),
    Pipe(Vec<u8>),
}

impl Call {
    fn file(options: &[&'static str], path: impl Into<PathBuf>) -> Option<Call> {
        Some(Call { options: options.to_vec(), image: Image::File(path.into()), refused: None })
    }

    fn pipe(options: &[&'static str], bytes: Vec<u8>) -> Option<Call> {
        Some(Call { options: options.to_vec(), image: Image::Pipe(bytes), refused: None })
    }

    /// The call, of an image that is refused anyway.
    #[allow(clippy::unnecessary_wraps)] // as a recipe gives it
    fn refused(
        path: impl Into<PathBuf>,
        options: &[&'static str],
        code: &'static str,
    ) -> Option<Call> {
        Call::file(options, path).map(|call| Call { refused: Some(code), ..call })
    }

    /// Exit code and report, with one more option.
    fn run(&self, more: Option<&str>) -> (i32, Value) {
        let mut arguments = vec![OsString::from("--format"), "json".into()];
        arguments.extend(self.options.iter().copied().chain(more).map(OsString::from));
        let output = match &self.image {
            Image::File(path) => check(&[&arguments[..], &[path.into()]].concat()),
            Image::Pipe(bytes) => {
                piped_to(tidegate().arg("check").args(&arguments).arg("-"), bytes)
            }
        };
        (exit_code(&output), images(&output).remove(0))
    }
}

/// How a reason is reached.
enum Reached {
    /// By this call; none if a program that makes the image is not installed.
    By(fn(&Scratch) -> Option<Call>),
    /// By a test elsewhere, of this file and name, for this reason.
    Tested(&'static str, &'static str, &'static str),
}
use Reached::{By, Tested};

const TABLE: &[(Left, Reached)] = &[
    (Left::QuickEnd, By(|_| Call::file(&["--quick"], testdata("gpt.qcow2.gz")))),
    (Left::QuickFar, By(quick_far)),
    (Left::QuickPacked, By(|_| Call::file(&["--quick"], testdata("gpt-compressed.qcow2")))),
    (Left::QuickFile, By(|_| Call::file(&["--quick"], testdata("gpt.raw")))),
    (Left::QuickGuest, By(|_| Call::file(&["--quick"], testdata("gpt.raw")))),
    (Left::GuestUnknown, By(|_| Call::file(&[], testdata("gpt.raw")))),
    (Left::GuestUnread, By(|_| Call::pipe(&[], disk()))),
    (Left::GuestInPart, By(guest_in_part)),
    (Left::Behind, By(behind)),
    (Left::PackedBehind, By(packed_behind)),
    (Left::PackedTooMany, By(packed_too_many)),
    (Left::OnePass, By(one_pass)),
    (
        Left::Scattered,
        By(|scratch| Call::file(&[], scratch.write("a.raw.gz", &gzip(&backward_chain(56))))),
    ),
    (Left::TablesTooSmall, By(tables_too_small)),
    (Left::TooManyBlocks, By(too_many_blocks)),
    (Left::MarkersBroken, By(markers_broken)),
    (Left::FooterBroken, By(footer_broken)),
    (Left::TableCut, By(table_cut)),
    (Left::RefcountsUnusable, By(refcounts_unusable)),
    (Left::SideTableUnread, By(side_table_unread)),
    (
        Left::TooManyClusters,
        By(|scratch| Call::file(&[], scratch.write("a.qcow2", &too_many_clusters()))),
    ),
    (
        Left::TooManyTables,
        Tested(
            "src/formats/qcow2/walk_tests.rs",
            "more_bands_or_groups_than_there_is_room_for_are_said",
            "an L1 table of the most that QEMU opens and a snapshot's beside it, read 64 times, take minutes",
        ),
    ),
    (Left::TooManyRefcounts, By(too_many_refcounts)),
    (Left::HeadersBroken, By(headers_broken)),
    (Left::DiskTooLarge, By(disk_too_large)),
    (Left::DiskUnreadable, By(disk_unreadable)),
    (Left::FileTooLarge, By(file_too_large)),
    (Left::NotToTheEnd, By(not_to_the_end)),
    (
        Left::Refused,
        By(|_| {
            Call::refused(testdata("truncated.qcow2"), &["--digest", "disk"], "image-truncated")
        }),
    ),
    (Left::Stopped, By(|_| Call::refused(testdata("truncated.raw.gz"), &[], "gzip-truncated"))),
    (
        Left::Elsewhere,
        By(|_| Call::file(&["--allow", "qcow2-backing-file"], testdata("backing.qcow2"))),
    ),
    (Left::Snapshots, By(snapshots)),
    (
        Left::Proxy,
        Tested(
            "tests/web/rules.rs",
            "a_host_is_judged_by_who_answers",
            "it takes a server and a proxy",
        ),
    ),
];

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[test]
fn no_reason_is_missing() {
    for &left in Left::ALL {
        let rows = TABLE.iter().filter(|(of, _)| of.why() == left.why()).count();
        assert_eq!(rows, 1, "{left:?}");
    }
}

#[test]
fn what_is_left_out_decides_with_what_is_found() {
    let mut wrong = Vec::new();
    for (left, reached) in TABLE {
        let said = match reached {
            By(recipe) => {
                let scratch = Scratch::new();
                recipe(&scratch).map_or(Ok(()), |call| decides(*left, &call))
            }
            Tested(file, test, because) => is_tested(*left, file, test, because),
        };
        wrong.extend(said.err().map(|said| format!("{left:?}: {said}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the reason is in the report, and makes of the verdict what its cause demands.
fn decides(left: Left, call: &Call) -> Result<(), String> {
    let (exit, found) = call.run(None);
    let of = |severity: &str| -> Vec<&str> {
        let findings = found["findings"].as_array().unwrap().iter();
        let of = findings.filter(|finding| finding["severity"] == severity);
        of.map(|finding| finding["code"].as_str().unwrap()).collect()
    };
    let (rejects, warns) = (of("reject"), of("warn"));
    let cause = serde_json::to_value(left.cause()).unwrap();
    let says = |found: &Value| {
        let mut checks = found["checks"].as_array().unwrap().iter();
        checks.any(|check| check["why"] == left.why() && check["cause"] == cause)
    };
    let right = match left.cause() {
        _ if !says(&found) => false,
        Cause::Quick | Cause::Aside => {
            (exit, &found["verdict"]) == (0, &"accept".into()) && warns.is_empty()
        }
        Cause::Elsewhere => {
            exit == 0 && found["verdict"] == "warn" && warns.contains(&"disk-not-examined")
        }
        Cause::Source => {
            let (strict, _) = call.run(Some("--strict"));
            let (mended, whole) = call.run(Some("--spool"));
            let warned = exit == 0
                && found["verdict"] == "warn"
                && warns.iter().all(|&code| code == "structure-not-examined");
            // What the report tells to do helps.
            let helped = mended == 0 && whole["verdict"] == "accept" && !says(&whole);
            if !warned || strict != 1 || !helped {
                return Err(format!("{exit}, {strict}, {mended}: {found}\n{whole}"));
            }
            true
        }
        Cause::Image => exit == 1 && rejects == [call.refused.unwrap_or("structure-unexaminable")],
        _ => false,
    };
    right.then_some(()).ok_or_else(|| format!("{exit}: {found}"))
}

/// Whether there is such a test and it names the reason.
fn is_tested(left: Left, file: &str, test: &str, because: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let named = text.contains(&format!("Left::{left:?}")) || text.contains(left.why());
    let there = text.contains(&format!("fn {test}()"));
    (named && there && !because.is_empty()).then_some(()).ok_or_else(|| format!("{file}: {test}"))
}

/// A snapshot that maps nothing.
#[allow(clippy::unnecessary_wraps)] // as a recipe gives it
fn snapshots(scratch: &Scratch) -> Option<Call> {
    let mut image = qcow2::Image::new();
    image.snapshot(&[0u64.to_be_bytes(), (1u64 << 30).to_be_bytes()].concat());
    let path = scratch.write("snapshots.qcow2", &image.bytes);
    Call::file(&["--allow", "qcow2-snapshots"], path)
}

/// The backup GPT lies farther than a quick check decompresses.
fn quick_far(scratch: &Scratch) -> Option<Call> {
    let raw = std::fs::read(scratch.sparse("disk", 80 << 20)).unwrap();
    Call::file(&["--quick"], scratch.write("disk.raw.gz", &gzip(&raw)))
}

/// The L1 table lies at the end, as when a disk was made larger, and the L2 table long before it.
fn behind(_: &Scratch) -> Option<Call> {
    let mut image = Layout::new(16, 64);
    let first = image.first();
    let before = image.take(20);
    let l2 = image.take(1);
    let after = image.take(20);
    let l1 = image.l1(1);
    image.map(l1, l2);
    image.map(l2, first);
    for number in 0..20 {
        image.map(l2 + 8 + 8 * number, before + (number << 16));
        image.map(l2 + 168 + 8 * number, after + (number << 16));
    }
    Call::pipe(&[], image.finish())
}

/// The compressed cluster lies before the table that names it.
fn packed_behind(_: &Scratch) -> Option<Call> {
    let mut image = Layout::new(16, 128);
    let l1 = image.l1(1);
    let first = image.first();
    let before = image.take(20);
    let packed = image.take(1);
    let after = image.take(60);
    let l2 = image.take(1);
    image.map(l1, l2);
    image.map(l2, first);
    for number in 0..20 {
        image.map(l2 + 8 + 8 * number, before + (number << 16));
    }
    for number in 0..60 {
        image.map(l2 + 168 + 8 * number, after + (number << 16));
    }
    let bytes = deflated(&[7; 1 << 16]);
    image.put(packed, &bytes);
    image.counts[packed >> 16] = 0;
    image.compressed(l2 + 1000, packed, bytes.len());
    Call::pipe(&[], image.finish())
}

/// All tables lie before more compressed clusters than can wait for their turn.
fn packed_too_many(_: &Scratch) -> Option<Call> {
    Call::pipe(&[], many_packed(false))
}

/// More L2 tables than a stream has room for.
fn one_pass(_: &Scratch) -> Option<Call> {
    const TABLES: usize = 200_001;
    let mut image = Layout::new(9, 64 * TABLES as u64);
    let l1 = image.l1(TABLES);
    let l2 = image.take(TABLES);
    (0..TABLES).for_each(|table| image.map(l1 + 8 * table, l2 + 512 * table));
    let first = image.first();
    image.map(l2, first);
    Call::pipe(&[], image.finish())
}

/// Two million grains are held.
fn tables_too_small(scratch: &Scratch) -> Option<Call> {
    let capacity = (2u64 << 20) * 16 + 16;
    let image = vmdk::stream().with("RW 8192 ", &format!("RW {capacity} "));
    let footer = image.bytes.len() - 1024;
    let image = image.patched(12, &capacity.to_le_bytes()).patched(20, &[16]);
    let image = image.patched(footer + 12, &capacity.to_le_bytes()).patched(footer + 20, &[16]);
    // The directory would reach past the end, too.
    let options = ["--allow", "vmdk-grain-damaged"];
    Call::refused(scratch.write("image.vmdk", &image.bytes), &options, "image-truncated")
}

/// A block past 64 TiB, where a limit allows that.
fn too_many_blocks(scratch: &Scratch) -> Option<Call> {
    let mut image = vhdx::base(scratch)?;
    let (_, bat) = image.region(vhdx::BAT);
    image.put(bat, &(65u64 << 40 | 6).to_le_bytes());
    let options = ["--max-size", "100TiB"];
    let path = scratch.path("image.vhdx");
    image.write(&path);
    Call::refused(path, &options, "image-offset-impossible")
}

/// A marker of a kind that there is none of.
fn markers_broken(scratch: &Scratch) -> Option<Call> {
    let image = vmdk::stream_of(&vmdk::noisy(), |_| {}, &vmdk::marker(1, 9));
    let options = ["--allow", "vmdk-markers-mismatch"];
    Call::file(&options, scratch.write("image.vmdk", &image.bytes))
}

fn footer_broken(scratch: &Scratch) -> Option<Call> {
    let image = vmdk::stream();
    let footer = image.bytes.len() - 1024;
    let image = image.patched(footer, b"XXXX");
    Call::refused(scratch.write("image.vmdk", &image.bytes), &[], "vmdk-footer-invalid")
}

fn table_cut(scratch: &Scratch) -> Option<Call> {
    let mut image = qcow2::Image::new();
    image.bytes.truncate(qcow2::L2 + 100);
    Call::refused(scratch.write("image.qcow2", &image.bytes), &[], "image-truncated")
}

fn refcounts_unusable(scratch: &Scratch) -> Option<Call> {
    let mut image = qcow2::Image::new();
    image.put(96, &7u32.to_be_bytes());
    let options = ["--allow", "qcow2-refcount-table-invalid"];
    Call::file(&options, scratch.write("image.qcow2", &image.bytes))
}

/// Snapshots with more L1 entries together than are followed.
fn side_table_unread(scratch: &Scratch) -> Option<Call> {
    const L1: usize = 32 << 20;
    let mut image = qcow2::Image::new();
    let table = image.cluster();
    let first = image.bytes.len();
    image.put(60, &3u32.to_be_bytes());
    image.long(64, table as u64);
    for number in 0..3 {
        let at = table + 64 * number;
        image.long(at, (first + L1 * number) as u64);
        image.put(at + 8, &((L1 / 8) as u32).to_be_bytes());
        image.put(at + 12, &[0, 1, 0, 1]);
        image.put(at + 36, &16u32.to_be_bytes());
        image.long(at + 48, 1 << 30);
        image.put(at + 56, &[b'1' + number as u8, b's']);
    }
    let path = scratch.write("image.qcow2", &image.bytes);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len((first + 3 * L1) as u64).unwrap();
    Call::file(&["--allow", "qcow2-snapshots"], path)
}

/// More refcounts that are large than are held, all of one band.
fn too_many_clusters() -> Vec<u8> {
    let mut image = qcow2::Image::new();
    for block in 1..10 {
        let at = image.cluster();
        image.long(qcow2::REFCOUNTS + 8 * block, at as u64);
        image.put(at, &[0, 7].repeat(qcow2::CLUSTER / 2));
    }
    image.bytes
}

#[test]
fn what_no_file_can_have_counted_is_no_matter_of_the_source() {
    let call = Call::pipe(&[], too_many_clusters()).unwrap();
    assert_eq!(decides(Left::TooManyClusters, &call), Ok(()));
}

/// A directory of bitmaps that lies before the snapshot table, as in an image that had bitmaps first.
#[test]
fn a_directory_that_has_passed_is_a_matter_of_the_source() {
    let mut image = qcow2::Image::new();
    let mut mapped = 0;
    let mut fill = |image: &mut qcow2::Image| {
        for _ in 0..20 {
            let at = image.cluster();
            mapped += 1;
            image.long(qcow2::L2 + 8 * mapped, qcow2::COPIED | at as u64);
        }
    };
    fill(&mut image);
    image.bitmaps(&[crate::qcow2_bitmaps::Bitmap::named("one")]);
    fill(&mut image);
    let mut extra = [0; 16];
    extra[8..].copy_from_slice(&(1u64 << 30).to_be_bytes());
    image.snapshot(&extra);
    let call = Call::pipe(&[], image.bytes).unwrap();
    let (exit, found) = call.run(None);
    assert_eq!((exit, &found["verdict"]), (0, &"warn".into()), "{found}");
    assert!(codes(&found).contains(&"structure-not-examined"), "{found}");
    let (exit, found) = call.run(Some("--spool"));
    assert_eq!((exit, codes(&found)), (0, vec!["qcow2-snapshots"]), "{found}");
}

/// Blocks of 64 refcounts each, which all lie in the file; it is sparse.
fn too_many_refcounts(scratch: &Scratch) -> Option<Call> {
    const BLOCKS: usize = 200_001;
    let mut image = Layout::new(9, 64 * 128);
    image.put(96, &6u32.to_be_bytes());
    let l1 = image.l1(128);
    let l2 = image.take(1);
    image.map(l1, l2);
    let first = image.first();
    image.map(l2, first);
    let table = (BLOCKS * 8).div_ceil(512);
    let at = image.take(table);
    image.long(48, at as u64);
    image.put(56, &(table as u32).to_be_bytes());
    let blocks = image.bytes.len();
    (0..BLOCKS).for_each(|block| image.long(at + 8 * block, (blocks + 512 * block) as u64));
    let path = scratch.path("image.qcow2");
    let file = std::fs::File::create(&path).unwrap();
    file.write_all_at(&image.bytes, 0).unwrap();
    file.set_len((blocks + 512 * BLOCKS) as u64).unwrap();
    Call::file(&[], path)
}

fn headers_broken(scratch: &Scratch) -> Option<Call> {
    let mut image = qcow2::Image::new();
    image.put(4, &4u32.to_be_bytes());
    Call::refused(scratch.write("image.qcow2", &image.bytes), &[], "qcow2-version-unsupported")
}

fn disk_too_large(scratch: &Scratch) -> Option<Call> {
    let mut image = qcow2::Image::new();
    image.long(24, 200 << 30);
    image.put(36, &400u32.to_be_bytes());
    let path = scratch.write("image.qcow2", &image.bytes);
    Call::refused(path, &["--digest", "disk"], "disk-too-large")
}

/// A compressed cluster is damaged.
fn disk_unreadable(scratch: &Scratch) -> Option<Call> {
    let mut image = qcow2::Image::new();
    let at = image.cluster();
    image.put(at, &[0xff; 512]);
    image.long(qcow2::L2 + 128, 1 << 62 | at as u64);
    let options = ["--allow", "qcow2-cluster-damaged"];
    Call::file(&options, scratch.write("image.qcow2", &image.bytes))
}

/// A partition is encrypted.
fn guest_in_part(scratch: &Scratch) -> Option<Call> {
    let mut disk = disk();
    disk[1 << 20..][..8].copy_from_slice(b"LUKS\xba\xbe\0\x01");
    Call::file(&[], scratch.write("image.raw", &disk))
}

fn file_too_large(scratch: &Scratch) -> Option<Call> {
    let options = ["--max-size", "100MB"];
    let path = scratch.write("image.raw", &qcow2::Image::new().bytes[qcow2::DATA..]);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(200 << 20).unwrap();
    Call::refused(path, &options, "image-too-large")
}

/// Nothing of a disk is missing, but it is not known whether it is right.
fn not_to_the_end(scratch: &Scratch) -> Option<Call> {
    let mut packed = gzip(&disk());
    packed.truncate(packed.len() - 4);
    let path = scratch.write("image.raw.gz", &packed);
    Call::refused(path, &["--digest", "disk"], "gzip-truncated")
}

#[test]
fn what_lies_behind_is_decoded_again_as_often_as_a_layout_takes() {
    let scratch = Scratch::new();
    let disk = backward_chain(20);
    // What is inside each partition is looked for, too, unless it is left out.
    let of = |options: &[&str], path: &Path| {
        let arguments = options.iter().map(OsString::from).chain([path.into()]);
        report(&[OsString::from("--guest=never")].into_iter().chain(arguments).collect::<Vec<_>>())
            .1
    };
    let whole = of(&[], &scratch.write("disk.raw", &disk));
    let packed = of(&[], &scratch.write("disk.raw.gz", &gzip(&disk)));
    assert_eq!(whole["partition_table"]["partitions"].as_array().unwrap().len(), 21);
    assert_eq!(packed["partition_table"], whole["partition_table"]);
    assert_eq!((codes(&packed), &packed["verdict"]), (codes(&whole), &whole["verdict"]));
    assert_eq!(packed["scans"], 1, "{packed}");
    // What takes more is kept from being examined by the image, and can be read in any order.
    let disk = scratch.write("more.raw.gz", &gzip(&backward_chain(56)));
    assert_eq!(codes(&of(&[], &disk))[0], "structure-unexaminable");
    let spooled = of(&["--spool"], &disk);
    assert_eq!((codes(&spooled), &spooled["verdict"]), (codes(&whole), &whole["verdict"]));
}
