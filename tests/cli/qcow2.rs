//! qcow2: what QEMU refuses to open or calls an error is refused, each for a reason of its own; images that
//! QEMU writes are taken, as files and as streams.

use crate::common::*;
use crate::qcow2_bitmaps::Bitmap;

pub(super) const CLUSTER: usize = 1 << 16;

pub(super) const REFCOUNTS: usize = CLUSTER;

const BLOCK: usize = 2 * CLUSTER;

pub(super) const L1: usize = 3 * CLUSTER;

pub(super) const L2: usize = 4 * CLUSTER;

pub(super) const DATA: usize = 5 * CLUSTER;

pub(super) const COPIED: u64 = 1 << 63;

const BACKING_FORMAT: u32 = 0xe279_2aca;

const FEATURE_NAMES: u32 = 0x6803_f857;

pub(crate) const BITMAPS: u32 = 0x2385_2875;

const ENCRYPTION: u32 = 0x0537_be77;

/// An image of version 3 with a disk of 1 GiB, of which the first cluster is stored.
#[derive(Clone)]
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    /// Where the next header extension goes.
    pub(super) extensions: usize,
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
    pub(super) fn extension(&mut self, kind: u32, data: &[u8]) {
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

    pub(super) fn bitmaps_at(&mut self, directory: u64, count: u32, size: u64, reserved: u32) {
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

/// What QEMU makes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qemu {
    /// It does not open it.
    Refuses,
    /// `qemu-img check` finds errors.
    Complains,
    /// It takes it, but the format forbids it.
    Silent,
}

use Qemu::{Complains, Refuses, Silent};

/// Holds what QEMU and the program say of an image against what is expected.
pub(crate) fn assert_refused(name: &str, image: &Image, qemu: Qemu, code: &str) {
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

pub(crate) fn changed(change: impl FnOnce(&mut Image)) -> Image {
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
