//! qcow2: what QEMU refuses to open or calls an error is refused, each for a reason of its own; images that
//! QEMU writes are taken, as files and as streams.

use std::process::Command;

use crate::common::*;
use serde_json::Value;

pub(super) const CLUSTER: usize = 1 << 16;
pub(super) const REFCOUNTS: usize = CLUSTER;
const BLOCK: usize = 2 * CLUSTER;
pub(super) const L1: usize = 3 * CLUSTER;
pub(super) const L2: usize = 4 * CLUSTER;
pub(super) const DATA: usize = 5 * CLUSTER;
pub(super) const COPIED: u64 = 1 << 63;

const BACKING_FORMAT: u32 = 0xe279_2aca;
const FEATURE_NAMES: u32 = 0x6803_f857;
const BITMAPS: u32 = 0x2385_2875;
const ENCRYPTION: u32 = 0x0537_be77;

/// An image of version 3 with a disk of 1 GiB, of which the first cluster is stored.
#[derive(Clone)]
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    /// Where the next header extension goes.
    extensions: usize,
}

impl Image {
    pub(super) fn new() -> Self {
        let mut image = Image { bytes: vec![0; 6 * CLUSTER], extensions: 104 };
        image.put(0, b"QFI\xfb\0\0\0\x03");
        image.put(20, &16u32.to_be_bytes());
        image.long(24, 1 << 30);
        image.put(36, &2u32.to_be_bytes());
        image.long(40, L1 as u64);
        image.long(48, REFCOUNTS as u64);
        image.put(56, &1u32.to_be_bytes());
        image.put(96, &4u32.to_be_bytes());
        image.put(100, &104u32.to_be_bytes());
        image.long(REFCOUNTS, BLOCK as u64);
        for cluster in 0..6 {
            image.put(BLOCK + 2 * cluster, &[0, 1]);
        }
        image.long(L1, COPIED | L2 as u64);
        image.long(L2, COPIED | DATA as u64);
        let partition = [0x80, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0];
        image.put(DATA + 446, &partition);
        image.put(DATA + 510, &[0x55, 0xaa]);
        image
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn long(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_be_bytes());
    }

    /// Adds a cluster that is counted once.
    pub(super) fn cluster(&mut self) -> usize {
        let at = self.bytes.len();
        self.bytes.resize(at + CLUSTER, 0);
        self.put(BLOCK + 2 * (at / CLUSTER), &[0, 1]);
        at
    }

    /// Adds a header extension.
    fn extension(&mut self, kind: u32, data: &[u8]) {
        let at = self.extensions;
        self.put(at, &kind.to_be_bytes());
        self.put(at + 4, &(data.len() as u32).to_be_bytes());
        self.put(at + 8, data);
        self.extensions = at + 8 + data.len().next_multiple_of(8);
    }

    /// Adds the bitmaps extension, whose directory has these entries.
    pub(super) fn bitmaps(&mut self, entries: &[Bitmap]) -> usize {
        let directory = self.cluster();
        let mut bytes = Vec::new();
        for entry in entries {
            bytes.extend(entry.bytes(self));
        }
        self.put(directory, &bytes);
        self.bitmaps_at(directory as u64, entries.len() as u32, bytes.len() as u64, 0);
        directory
    }

    fn bitmaps_at(&mut self, directory: u64, count: u32, size: u64, reserved: u32) {
        let mut data = [count.to_be_bytes(), reserved.to_be_bytes()].concat();
        data.extend(size.to_be_bytes());
        data.extend(directory.to_be_bytes());
        self.extension(BITMAPS, &data);
        self.bytes[95] |= 1;
    }

    /// Adds a snapshot with an L1 table of its own that maps nothing.
    pub(super) fn snapshot(&mut self, extra: &[u8]) -> usize {
        let (table, l1) = (self.cluster(), self.cluster());
        self.put(60, &1u32.to_be_bytes());
        self.long(64, table as u64);
        self.long(table, l1 as u64);
        self.put(table + 8, &2u32.to_be_bytes());
        self.put(table + 12, &[0, 1, 0, 1]);
        self.put(table + 36, &(extra.len() as u32).to_be_bytes());
        self.put(table + 40, extra);
        self.put(table + 40 + extra.len(), b"1s");
        table
    }
}

/// An entry of a bitmap directory.
#[derive(Clone)]
pub(super) struct Bitmap {
    table: Option<u64>,
    entries: u32,
    flags: u32,
    kind: u8,
    granularity: u8,
    extra: usize,
    name: Vec<u8>,
    /// What its table holds.
    entry: u64,
}

impl Bitmap {
    /// One that is right: 1 GiB in parts of 64 KiB is less than a cluster.
    pub(super) fn named(name: &str) -> Self {
        Bitmap {
            table: None,
            entries: 1,
            flags: 2,
            kind: 1,
            granularity: 16,
            extra: 0,
            name: name.into(),
            entry: 0,
        }
    }

    fn bytes(&self, image: &mut Image) -> Vec<u8> {
        let table = self.table.unwrap_or_else(|| {
            let at = image.cluster();
            image.long(at, self.entry);
            at as u64
        });
        let mut bytes = table.to_be_bytes().to_vec();
        bytes.extend(self.entries.to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend([self.kind, self.granularity]);
        bytes.extend((self.name.len() as u16).to_be_bytes());
        bytes.extend((self.extra as u32).to_be_bytes());
        bytes.resize(bytes.len() + self.extra, 0);
        bytes.extend(&self.name);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }
}

/// What QEMU makes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Qemu {
    /// It does not open it.
    Refuses,
    /// `qemu-img check` finds errors.
    Complains,
    /// It takes it, but the format forbids it.
    Silent,
}
use Qemu::{Complains, Refuses, Silent};

/// Holds what QEMU and the program say of an image against what is expected.
fn assert_refused(name: &str, image: &Image, qemu: Qemu, code: &str) {
    let scratch = Scratch::new();
    let path = scratch.write("image.qcow2", &image.bytes);
    let command = if qemu == Complains { "check" } else { "map" };
    if let Some(done) = qemu_img(&[command, "-f", "qcow2"], &[&path]) {
        assert_eq!(done.status.success(), qemu == Silent, "{name}: {}", stderr(&done));
    }
    let (exit, found) = report(&[&path]);
    assert!(codes(&found).contains(&code), "{name}: {found}");
    assert_eq!(exit, 1, "{name}: {found}");
    // A stream gets the same verdict.
    let packed = scratch.write("image.qcow2.gz", &gzip(&image.bytes));
    let (exit, found) = report(&[&packed]);
    assert!(codes(&found).contains(&code), "{name} in gzip: {found}");
    assert_eq!(exit, 1, "{name} in gzip: {found}");
}

fn changed(change: impl FnOnce(&mut Image)) -> Image {
    let mut image = Image::new();
    change(&mut image);
    image
}

#[test]
fn what_the_cases_begin_with_is_sound() {
    let mut extra = 0u64.to_be_bytes().to_vec();
    extra.extend((1u64 << 30).to_be_bytes());
    let full = changed(|image| {
        image.extension(BACKING_FORMAT, b"qcow2");
        image.extension(FEATURE_NAMES, &[0; 96]);
        image.extension(0x1234_5678, b"nobody knows");
        let mut stored = Bitmap::named("stored");
        stored.entry = image.cluster() as u64;
        image.bitmaps(&[Bitmap::named("a"), stored, Bitmap::named("b")]);
        image.snapshot(&extra);
    });
    for (image, expected) in [(Image::new(), vec![]), (full, vec!["qcow2-snapshots"])] {
        let scratch = Scratch::new();
        let path = scratch.write("image.qcow2", &image.bytes);
        if let Some(check) = qemu_img(&["check", "-f", "qcow2"], &[&path]) {
            assert!(check.status.success(), "{check:?}");
        }
        let (exit, found) = report(&[&path]);
        assert_eq!((exit, codes(&found)), (0, expected), "{found}");
    }
}

#[test]
fn header_extensions_are_held_against_what_qemu_wants() {
    const CODE: &str = "qcow2-extension-invalid";
    let with = |kind: u32, data: &[u8]| changed(|image| image.extension(kind, data));
    let encrypted = |method: u8, data: &[u8]| {
        changed(|image| {
            image.put(35, &[method]);
            image.extension(ENCRYPTION, data);
        })
    };
    let place = |at: u64| [at.to_be_bytes(), 1u64.to_be_bytes()].concat();
    let cases = [
        ("too long", changed(|image| image.put(104, &[1, 2, 3, 4, 0, 1, 0, 0])), Refuses),
        ("end mark too long", changed(|image| image.put(108, &[0, 1, 0, 0])), Refuses),
        (
            "second too long",
            changed(|image| {
                image.extension(BACKING_FORMAT, b"raw");
                image.put(120, &[9, 9, 9, 9, 0x7f, 0, 0, 0]);
            }),
            Refuses,
        ),
        ("backing format", with(BACKING_FORMAT, &[b'x'; 16]), Refuses),
        ("encryption header without encryption", with(ENCRYPTION, &place(CLUSTER as u64)), Refuses),
        ("encryption header with AES", encrypted(1, &place(CLUSTER as u64)), Refuses),
        ("encryption header of 8 bytes", encrypted(2, &[0; 8]), Refuses),
        ("encryption header between clusters", encrypted(2, &place(512)), Refuses),
        ("feature names of 47 bytes", with(FEATURE_NAMES, &[0; 47]), Silent),
        ("feature of kind 3", with(FEATURE_NAMES, &[[3; 1].as_slice(), &[0; 47]].concat()), Silent),
        ("bit 64", with(FEATURE_NAMES, &[[0, 64].as_slice(), &[0; 46]].concat()), Silent),
        (
            "doubled",
            changed(|image| {
                image.extension(FEATURE_NAMES, &[0; 48]);
                image.extension(FEATURE_NAMES, &[0; 48]);
            }),
            Silent,
        ),
    ];
    for (name, image, qemu) in cases {
        assert_refused(name, &image, qemu, CODE);
    }
    assert_refused("LUKS", &changed(|image| image.put(35, &[2])), Refuses, "qcow2-encrypted");
}

#[test]
fn bitmaps_are_held_against_what_qemu_wants() {
    const CODE: &str = "qcow2-bitmaps-invalid";
    let at = |directory: u64, count: u32, size: u64, reserved: u32| {
        changed(|image| {
            image.cluster();
            image.bitmaps_at(directory, count, size, reserved);
        })
    };
    let behind = 6 * CLUSTER as u64;
    for (name, image) in [
        ("length without the bit", changed(|image| image.extension(BITMAPS, &[0; 23]))),
        (
            "length",
            changed(|image| {
                image.extension(BITMAPS, &[0; 32]);
                image.bytes[95] |= 1;
            }),
        ),
        ("reserved", at(behind, 1, 32, 1)),
        ("none", at(behind, 0, 32, 0)),
        ("too many", at(behind, 65536, 32, 0)),
        ("between clusters", at(behind + 512, 1, 32, 0)),
        ("in the header", at(0, 1, 32, 0)),
        ("no directory", at(behind, 1, 0, 0)),
        ("directory too large", at(behind, 1, 1024 * 65535 + 1, 0)),
        ("empty directory", at(behind, 1, 32, 0)),
        ("inside an entry", at(behind, 1, 20, 0)),
    ] {
        assert_refused(name, &image, Refuses, CODE);
    }
    assert_refused("far away", &at(1 << 40, 1, 32, 0), Refuses, "image-offset-impossible");
    assert_refused("behind", &at(behind + (1 << 20), 1, 32, 0), Refuses, "image-truncated");

    type Change = fn(&mut Bitmap);
    let entries: [(&str, Change, Qemu); 17] = [
        ("table at 0", |it| it.table = Some(0), Refuses),
        ("table between clusters", |it| it.table = Some(6 * CLUSTER as u64 + 512), Refuses),
        ("no entries", |it| it.entries = 0, Refuses),
        ("two entries for one", |it| it.entries = 2, Refuses),
        ("too many entries", |it| it.entries = 0x800_0001, Refuses),
        ("granularity 8", |it| it.granularity = 8, Refuses),
        ("granularity 32", |it| it.granularity = 32, Refuses),
        ("granularity too fine", |it| it.granularity = 9, Refuses),
        ("flags", |it| it.flags = 4, Refuses),
        ("type 0", |it| it.kind = 0, Refuses),
        ("type 2", |it| it.kind = 2, Refuses),
        ("extra data", |it| it.extra = 8, Refuses),
        ("long name", |it| it.name = vec![b'x'; 1024], Refuses),
        ("no name", |it| it.name.clear(), Silent),
        ("reserved bits of an entry", |it| it.entry = 2, Refuses),
        ("an entry of ones with a place", |it| it.entry = 0x50001, Refuses),
        ("an entry between clusters", |it| it.entry = 0x50200, Refuses),
    ];
    for (name, change, qemu) in entries {
        let mut bitmap = Bitmap::named("one");
        change(&mut bitmap);
        let image = changed(|image| {
            image.bitmaps(&[Bitmap::named("first"), bitmap]);
        });
        assert_refused(name, &image, qemu, CODE);
    }
    let twice = changed(|image| {
        image.bitmaps(&[Bitmap::named("same"), Bitmap::named("same")]);
    });
    assert_refused("two of a name", &twice, Refuses, CODE);
    for (name, count) in [("fewer in the header", 1), ("more in the header", 3)] {
        let image = changed(|image| {
            image.bitmaps(&[Bitmap::named("a"), Bitmap::named("b")]);
            image.put(112, &u32::to_be_bytes(count));
        });
        assert_refused(name, &image, Refuses, CODE);
    }
}

#[test]
fn bitmaps_without_their_bit_are_said() {
    let scratch = Scratch::new();
    let image = changed(|image| {
        image.bitmaps(&[Bitmap::named("a")]);
        image.bytes[95] = 0;
    });
    let (exit, found) = report(&[scratch.write("stale.qcow2", &image.bytes)]);
    assert_eq!(exit, 0, "{found}");
    assert!(codes(&found).contains(&"qcow2-bitmaps-stale"), "{found}");
}

#[test]
fn snapshots_are_held_against_what_qemu_wants() {
    const CODE: &str = "qcow2-snapshot-table-invalid";
    let extra = |disk: u64, len: usize| {
        let mut extra = 0u64.to_be_bytes().to_vec();
        extra.extend(disk.to_be_bytes());
        extra.resize(len, 0);
        extra
    };
    let with = |extra: &[u8], change: fn(&mut Image, usize)| {
        changed(|image| {
            let table = image.snapshot(extra);
            change(image, table);
        })
    };
    let disk = 1 << 30;
    for (name, image, qemu) in [
        ("extra data", with(&extra(disk, 1032), |_, _| ()), Refuses),
        ("no extra data", with(&[], |_, _| ()), Complains),
        ("a disk of 2^60 bytes", with(&extra(1 << 60, 16), |_, _| ()), Silent),
        (
            "L1 table between clusters",
            with(&extra(disk, 16), |image, table| {
                let l1 = u64::from_be_bytes(*image.bytes[table..].first_chunk().unwrap());
                image.long(table, l1 + 512);
            }),
            Complains,
        ),
        (
            "L1 table too large",
            with(&extra(disk, 16), |image, table| {
                image.put(table + 8, &0x40_0001u32.to_be_bytes());
            }),
            Complains,
        ),
        ("too many", with(&extra(disk, 16), |image, _| image.put(60, &[0, 1, 0, 1])), Refuses),
        (
            "between clusters",
            with(&extra(disk, 16), |image, table| {
                image.long(64, table as u64 + 8);
            }),
            Refuses,
        ),
    ] {
        assert_refused(name, &image, qemu, CODE);
    }
}

#[test]
fn headers_are_held_against_what_qemu_wants() {
    type Change = fn(&mut Image);
    let cases: [(&str, Change, Qemu, &str); 24] = [
        ("version", |it| it.put(7, &[4]), Refuses, "qcow2-version-unsupported"),
        ("small clusters", |it| it.put(23, &[8]), Refuses, "qcow2-cluster-size-invalid"),
        ("large clusters", |it| it.put(23, &[22]), Refuses, "qcow2-cluster-size-invalid"),
        ("short header", |it| it.put(103, &[96]), Refuses, "qcow2-header-invalid"),
        ("long header", |it| it.put(101, &[1, 0, 8]), Refuses, "qcow2-header-invalid"),
        ("backing name outside", |it| it.put(12, &[0, 1, 0, 1]), Refuses, "qcow2-header-invalid"),
        (
            "backing name too long",
            |it| {
                it.put(14, &[2, 0]);
                it.put(18, &[4, 0]);
            },
            Refuses,
            "qcow2-header-invalid",
        ),
        (
            "compression 1",
            |it| {
                it.put(103, &[112]);
                it.put(104, &[1]);
            },
            Refuses,
            "qcow2-compression-type-invalid",
        ),
        (
            "compression 2",
            |it| {
                it.put(79, &[8]);
                it.put(103, &[112]);
                it.put(104, &[2]);
            },
            Refuses,
            "qcow2-compression-type-invalid",
        ),
        ("compression bit", |it| it.put(79, &[8]), Refuses, "qcow2-compression-type-invalid"),
        ("feature", |it| it.put(79, &[32]), Refuses, "qcow2-feature-unknown"),
        ("feature 63", |it| it.put(72, &[0x80]), Refuses, "qcow2-feature-unknown"),
        ("refcounts of 128 bits", |it| it.put(99, &[7]), Refuses, "qcow2-refcount-table-invalid"),
        ("no refcount table", |it| it.put(59, &[0]), Refuses, "qcow2-refcount-table-invalid"),
        (
            "refcount table too large",
            |it| it.put(58, &[1]),
            Refuses,
            "qcow2-refcount-table-invalid",
        ),
        ("refcount table between", |it| it.put(54, &[2]), Refuses, "qcow2-refcount-table-invalid"),
        ("place of no snapshots", |it| it.put(70, &[2]), Refuses, "qcow2-snapshot-table-invalid"),
        ("L1 too large", |it| it.put(36, &[1]), Refuses, "qcow2-l1-table-invalid"),
        ("L1 between clusters", |it| it.put(46, &[2]), Refuses, "qcow2-l1-table-invalid"),
        ("L1 too small", |it| it.put(39, &[1]), Refuses, "qcow2-l1-table-invalid"),
        ("raw data file", |it| it.put(95, &[2]), Refuses, "qcow2-header-invalid"),
        ("data file", |it| it.put(79, &[4]), Refuses, "qcow2-data-file"),
        ("AES", |it| it.put(35, &[1]), Refuses, "qcow2-encrypted"),
        ("method 3", |it| it.put(35, &[3]), Refuses, "qcow2-encrypted"),
    ];
    for (name, change, qemu, code) in cases {
        assert_refused(name, &changed(change), qemu, code);
    }
}

#[test]
fn tables_are_held_against_what_qemu_checks() {
    type Change = fn(&mut Image);
    const ENTRY: &str = "qcow2-table-entry-invalid";
    const TABLE: &str = "qcow2-refcount-table-invalid";
    let cases: [(&str, Change, &str); 13] = [
        ("L1 reserved", |it| it.long(L1, COPIED | L2 as u64 | 1), ENTRY),
        ("L1 between clusters", |it| it.long(L1, COPIED | L2 as u64 | 512), ENTRY),
        ("L1 flag without place", |it| it.long(L1 + 8, COPIED), ENTRY),
        ("L2 reserved", |it| it.long(L2, COPIED | DATA as u64 | 2), ENTRY),
        ("L2 between clusters", |it| it.long(L2, COPIED | DATA as u64 | 512), ENTRY),
        ("twice", |it| it.long(L2 + 8, COPIED | DATA as u64), "qcow2-clusters-overlap"),
        ("into a table", |it| it.long(L2 + 8, COPIED | L1 as u64), "qcow2-clusters-overlap"),
        ("not counted", |it| it.put(BLOCK + 10, &[0, 0]), "qcow2-refcount-too-low"),
        ("refcount entry reserved", |it| it.long(REFCOUNTS, BLOCK as u64 | 1), TABLE),
        ("refcount block between", |it| it.long(REFCOUNTS, BLOCK as u64 | 512), TABLE),
        ("refcount block behind", |it| it.long(REFCOUNTS + 8, 1 << 21), "image-truncated"),
        (
            "refcount block far away",
            |it| it.long(REFCOUNTS + 8, 1 << 50),
            "image-offset-impossible",
        ),
        (
            "refcount block of two",
            |it| {
                let mut extra = [0; 16];
                extra[12] = 0x40;
                it.snapshot(&extra);
                it.long(L2 + 8, BLOCK as u64);
                it.put(BLOCK + 4, &[0, 2]);
            },
            "qcow2-clusters-overlap",
        ),
    ];
    for (name, change, code) in cases {
        assert_refused(name, &changed(change), Complains, code);
    }
}

/// State of the part of a check that decompresses clusters.
fn packed_data(report: &Value) -> &str {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "packed-data");
    check.map_or("none", |check| check["state"].as_str().unwrap())
}

/// Text that packs to about half.
pub(super) fn disk_of_text() -> Vec<u8> {
    let mut disk = disk();
    let mut random = 1u64;
    for byte in &mut disk[1 << 20..3 << 20] {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = b'a' + (random >> 60) as u8;
    }
    disk
}

#[test]
fn compressed_clusters_of_a_stream_are_decompressed_as_they_pass() {
    let scratch = Scratch::new();
    let raw = scratch.write("raw", &disk_of_text());
    let path = scratch.path("image.qcow2");
    for options in
        ["cluster_size=4k", "cluster_size=64k", "cluster_size=2M", "compression_type=zstd"]
    {
        let convert = ["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options];
        let Some(done) = qemu_img(&convert, &[&raw, &path]) else {
            return;
        };
        assert!(done.status.success(), "{done:?}");
        let sound = std::fs::read(&path).unwrap();
        // Near the end there is nothing but data.
        let mut damaged = sound.clone();
        let at = damaged.len() - 100_000;
        damaged[at..at + 50_000].fill(0xff);
        for (bytes, expected) in [(&sound, false), (&damaged, true)] {
            let packed = scratch.write("image.qcow2.gz", &gzip(bytes));
            let plain = scratch.write("image.qcow2", bytes);
            let pipe = piped(&["--format", "json", "-"], bytes);
            let pipe = (exit_code(&pipe), images(&pipe).remove(0));
            for (exit, found) in [report(&[&plain]), report(&[&packed]), pipe] {
                let says = codes(&found).contains(&"qcow2-cluster-damaged");
                assert_eq!((exit == 1, says), (expected, expected), "{options}: {found}");
                let clean = codes(&found).iter().all(|&code| code == "qcow2-zstd");
                assert!(expected || clean, "{options}: {found}");
                if !expected {
                    assert_eq!(packed_data(&found), "done", "{options}: {found}");
                    assert_eq!(found["scans"], 1, "{options}: {found}");
                }
            }
        }
    }
}

/// Clusters that lie before the table that names them.
#[test]
fn compressed_clusters_that_have_passed_are_decoded_again() {
    let scratch = Scratch::new();
    let mut image = Image::new();
    let first = |image: &mut Image| {
        let at = image.cluster();
        image.long(L2 + 8 * (at / CLUSTER), COPIED | at as u64);
    };
    // What a stream keeps of its beginning.
    (0..20).for_each(|_| first(&mut image));
    // One stored block of a whole cluster, and its last byte.
    let place = image.cluster();
    image.cluster();
    image.put(place, &[0, 0xff, 0xff, 0, 0]);
    let rest = place + 5 + 0xffff;
    image.put(rest, &[1, 1, 0, 0xfe, 0xff, 7]);
    // Far enough behind that no stream has it at hand.
    (0..40).for_each(|_| first(&mut image));
    let table = image.cluster();
    let sectors = ((rest + 5) / 512 - place / 512) as u64;
    image.long(table, 1 << 62 | sectors << 54 | place as u64);
    image.long(L1 + 8, COPIED | table as u64);
    let verdict = |image: &Image, codes_of: &mut Vec<String>| {
        let packed = scratch.write("image.qcow2.gz", &gzip(&image.bytes));
        let (exit, found) = report(&[&packed]);
        codes_of.extend(codes(&found).into_iter().map(str::to_owned));
        (exit, packed_data(&found).to_owned(), found["scans"].as_u64().unwrap())
    };
    let mut found = Vec::new();
    assert_eq!(verdict(&image, &mut found), (0, "done".into(), 1), "{found:?}");
    assert!(found.is_empty(), "{found:?}");
    let pipe = piped(&["--format", "json", "-"], &image.bytes);
    assert_eq!(codes(&images(&pipe)[0]), ["structure-not-examined"], "{pipe:?}");
    image.put(place + 3, &[9]);
    assert_eq!(verdict(&image, &mut found).0, 1);
    assert_eq!(found, ["qcow2-cluster-damaged"]);
}

#[test]
fn the_sectors_of_a_compressed_cluster_are_an_upper_bound() {
    let scratch = Scratch::new();
    let mut image = Image::new();
    let place = image.cluster();
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut deflate, &[65; CLUSTER]).unwrap();
    let packed = deflate.finish().unwrap();
    image.put(place, &packed);
    image.long(L2 + 128, 1 << 62 | 3 << 54 | place as u64);
    image.bytes.truncate(place + packed.len());
    let path = scratch.write("short.qcow2", &image.bytes);
    if let Some(check) = qemu_img(&["check", "-f", "qcow2"], &[&path]) {
        assert!(check.status.success(), "{check:?}");
    }
    for path in [path, scratch.write("short.qcow2.gz", &gzip(&image.bytes))] {
        let (exit, found) = report(&[&path]);
        assert_eq!((exit, codes(&found)), (0, vec![]), "{found}");
    }
    // What is missing of it is missed.
    image.bytes.truncate(place + packed.len() / 2);
    let (exit, found) = report(&[scratch.write("cut.qcow2", &image.bytes)]);
    assert_eq!((exit, codes(&found)), (1, vec!["image-truncated"]), "{found}");
}

#[test]
fn much_that_is_used_by_nothing_is_a_warning_and_a_little_a_note() {
    let scratch = Scratch::new();
    let mut image = Image::new();
    image.cluster();
    let (exit, found) = report(&[scratch.write("few.qcow2", &image.bytes)]);
    assert_eq!((exit, codes(&found)), (0, vec!["qcow2-clusters-leaked"]), "{found}");
    assert_eq!(found["verdict"], "accept");
    for number in 0..40 {
        let at = image.cluster();
        image.long(L2 + 8 + 8 * number, COPIED | at as u64);
    }
    for lost in [L1..L1 + 8, L2..L2 + CLUSTER] {
        let mut lossy = image.clone();
        lossy.bytes[lost].fill(0);
        let (_, found) = report(&[scratch.write("lossy.qcow2", &lossy.bytes)]);
        assert_eq!(found["verdict"], "warn", "{found}");
        let all = found["findings"].as_array().unwrap();
        let lost = all.iter().find(|it| it["code"] == "qcow2-clusters-lost").unwrap();
        let said = lost["message"].as_str().unwrap();
        assert!(said.contains("bytes 0 to 1073741824 of the disk"), "{said}");
        assert!(!lost["remedy"].as_str().unwrap_or_default().contains("check -r"), "{lost}");
    }
}

#[test]
fn an_offset_that_leads_nowhere_is_no_truncation() {
    let scratch = Scratch::new();
    for (at, bytes) in
        [(L2 + 8, "overwrit"), (L2 + 8, "\0\0\0\x01\0\0\0\0"), (L1 + 8, "\0\x10\0\0\0\0\0\0")]
    {
        let image = changed(|image| image.put(at, bytes.as_bytes()));
        let output = check(&[scratch.write("wild.qcow2", &image.bytes)]);
        assert_eq!(exit_code(&output), 1);
        assert!(!stdout(&output).contains("missing"), "{}", stdout(&output));
    }
}

#[test]
fn one_cause_is_one_finding() {
    let scratch = Scratch::new();
    let Some(_) = qemu_img::<&str>(&["--version"], &[]) else { return };
    let path = scratch.path("luks.qcow2");
    let luks = [
        "create",
        "-q",
        "-f",
        "qcow2",
        "--object",
        "secret,id=s0,data=abc",
        "-o",
        "encrypt.format=luks,encrypt.key-secret=s0,encrypt.iter-time=10",
    ];
    let done = Command::new("qemu-img").args(luks).arg(&path).arg("64M").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(codes(&report(&[&path]).1), ["qcow2-encrypted"]);
    let (path, data) = (scratch.path("data.qcow2"), scratch.path("data.raw"));
    let option = format!("data_file={}", data.display());
    let other = ["convert", "-f", "raw", "-O", "qcow2", "-o", &option];
    let raw = scratch.write("raw", &disk_of_text());
    let done = Command::new("qemu-img").args(other).args([&raw, &path]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(codes(&report(&[&path]).1), ["qcow2-data-file"]);
}

#[test]
fn what_follows_the_image_is_named() {
    let scratch = Scratch::new();
    let sound = Image::new().bytes;
    let trailing = "qcow2-trailing-bytes";
    for (tail, code, expected) in [
        (vec![0; CLUSTER - 100], "image-zeros-behind", "no length that writers leave"),
        (vec![0; 3 * CLUSTER + 100], "image-padded", "as a snapshot that was deleted"),
        (vec![0; 3 * CLUSTER], "image-padded", "as preallocation"),
        ([&[0; 1000][..], b"PK\x03\x04 and so on"].concat(), trailing, "as a zip file does"),
        (sound.clone(), trailing, "as a qcow2 file does"),
        (vec![0x9e; CLUSTER], trailing, "x9e\\x9e"),
    ] {
        let bytes = [&sound[..], &tail].concat();
        let plain = scratch.write("tail.qcow2", &bytes);
        for path in [plain, scratch.write("tail.qcow2.gz", &gzip(&bytes))] {
            let (exit, found) = report(&[&path]);
            assert_eq!((exit, codes(&found)), (0, vec![code]), "{found}");
            assert!(
                found["findings"][0]["message"].as_str().unwrap().contains(expected),
                "{found}"
            );
        }
    }
}

#[test]
fn map_and_check_count_the_same_bytes() {
    let scratch = Scratch::new();
    let mut image = Image::new();
    // Its L2 tables are cut off.
    image.bytes.truncate(L2 + 100);
    let path = scratch.write("cut.qcow2", &image.bytes);
    let map = tidegate().arg("map").arg(&path).output().unwrap();
    let (_, found) = report(&[&path]);
    let all = found["findings"].as_array().unwrap();
    let cut = all.iter().find(|it| it["code"] == "image-truncated").unwrap();
    let number = |text: &str| {
        let (before, _) = text.split_once(" bytes (").unwrap();
        before.rsplit(' ').next().unwrap().to_owned()
    };
    let said = stderr(&map).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(number(&said), number(cut["message"].as_str().unwrap()), "{said}");
}

/// What is said of an image, each code once.
fn said_once(name: &str, image: &Image) -> Vec<String> {
    let scratch = Scratch::new();
    let (_, report) = report(&[scratch.write(name, &image.bytes)]);
    let mut codes: Vec<String> = codes(&report).into_iter().map(str::to_owned).collect();
    codes.dedup();
    codes
}

#[test]
fn what_follows_from_damage_is_not_said_beside_it() {
    let text = b"The quick brown fox jumps over the lazy dog. ".repeat(2000);
    let mut extra = Image::new();
    let table = extra.snapshot(&[0; 1032]);
    extra.bytes.truncate(table + CLUSTER);
    assert_eq!(said_once("extra", &extra), ["qcow2-snapshot-table-invalid", "qcow2-snapshots"]);

    let mut longer = Image::new();
    let directory = longer.bitmaps(&[Bitmap::named("one")]);
    let size = longer.extensions - 16;
    let bytes = u64::from_be_bytes(longer.bytes[size..size + 8].try_into().unwrap());
    longer.long(size, bytes + 8);
    longer.bytes.truncate(directory + bytes as usize);
    assert!(said_once("longer", &longer).contains(&"qcow2-bitmaps-invalid".to_owned()));
    assert!(!said_once("longer", &longer).contains(&"qcow2-clusters-lost".to_owned()));

    let mut counts = Image::new();
    counts.put(REFCOUNTS, &text[..CLUSTER]);
    assert_eq!(said_once("counts", &counts), ["qcow2-refcount-table-invalid"]);

    let mut entries = Image::new();
    for _ in 0..40 {
        entries.cluster();
    }
    entries.put(L1, &text[..16]);
    assert_eq!(said_once("entries", &entries), ["qcow2-table-entry-invalid"]);
}
