//! Bitmaps of qcow2, as QEMU wants them.

use crate::common::*;
use crate::qcow2::Qemu::{self, Refuses, Silent};
use crate::qcow2::{BITMAPS, CLUSTER, Image, assert_refused, changed};

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
    pub(super) entry: u64,
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

    pub(super) fn bytes(&self, image: &mut Image) -> Vec<u8> {
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
