//! What readers of VHDX pass over, show differently or do not see: QEMU opens each of these images.

use crate::common::{Scratch, codes, disk, qemu_img, report};
use crate::vhdx::{BAT, Image, MIB, UNKNOWN, base};

#[test]
fn what_readers_skip_is_no_reason() {
    let scratch = Scratch::new();
    let Some(base) = base(&scratch) else { return };
    let path = scratch.path("case.vhdx");
    type Change = fn(&mut Image);
    let harmless: &[(&str, Change)] = &[
        ("an unknown region", |i| {
            let end = i.bytes.len();
            i.add_region(UNKNOWN, end, MIB, 0);
            i.put(end + MIB - 1, &[0]);
        }),
        ("unknown items", |i| {
            i.add_item(UNKNOWN, 0, 0, 0);
            i.add_item(&[8; 16], 128 << 10, 20, 3);
        }),
        ("a log without bytes", |i| i.in_headers(68, &[0; 4])),
        ("a table with what is left of a region that is gone", |i| {
            i.add_region(UNKNOWN, 0, MIB, 1);
            i.in_tables(8, &2u32.to_le_bytes());
        }),
    ];
    for (name, change) in harmless {
        let mut image = base.clone();
        change(&mut image);
        image.write(&path);
        let (code, found) = report(&[path.as_os_str()]);
        // A log that is gone leaves its place behind.
        let mut said = codes(&found);
        said.retain(|code| *code != "vhdx-space-unused" || !name.contains("log"));
        assert_eq!((code, said), (0, vec![]), "{name}: {found}");
    }
}

#[test]
fn bytes_behind_the_end_are_shown() {
    let scratch = Scratch::new();
    let Some(mut base) = base(&scratch) else { return };
    let end = base.bytes.len();
    base.put(end, b"PK\x03\x04 and more");
    let path = scratch.path("case.vhdx");
    base.write(&path);
    let (code, found) = report(&[path.as_os_str()]);
    assert_eq!((code, codes(&found)), (0, vec!["vhdx-trailing-bytes"]));
    assert_eq!(found["verdict"], "warn");
    let message = found["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("13 bytes") && message.contains("as a zip file does"), "{message}");
    // A pipe shows the same.
    let piped = crate::common::piped(&["--format", "json", "-"], &base.bytes);
    let of_pipe = &crate::common::images(&piped)[0];
    assert_eq!(of_pipe["findings"][0]["message"], message);
}

#[test]
fn blocks_that_the_table_has_lost_are_noticed() {
    let scratch = Scratch::new();
    let (source, path) = (scratch.path("source.raw"), scratch.path("lost.vhdx"));
    // The last block reaches past the end of the disk, or does not.
    for (block, size) in
        [(1, 40 << 20), (1, (40 << 20) + 512), (8, 40 << 20), (8, (41 << 20) + 512)]
    {
        let mut raw = disk();
        raw[MIB..].fill(7);
        raw.resize(size, 7);
        std::fs::write(&source, &raw).unwrap();
        let options = format!("block_size={block}M");
        let options = ["convert", "-f", "raw", "-O", "vhdx", "-o", &options];
        let Some(made) = qemu_img(&options, &[&source, &path]) else { return };
        assert!(made.status.success());
        let bytes = std::fs::read(&path).unwrap();
        let whole = Image { size: bytes.len() as u64, bytes, unsealed: Vec::new() };
        let bat = whole.region(BAT).1;
        let blocks = size.div_ceil(block << 20);
        let found = |mut image: Image| {
            image.write(&path);
            codes(&report(&[path.as_os_str()]).1).join(" ").contains("vhdx-space-unused")
        };
        // Without the space that QEMU leaves before the first block, as others write it.
        let mut compact = whole.clone();
        let first = compact.bytes[bat + 2] as usize >> 4 | (compact.bytes[bat + 3] as usize) << 4;
        compact.bytes.drain((first - 4) * MIB..first * MIB);
        compact.size -= 4 * MIB as u64;
        for entry in (0..blocks).map(|number| bat + 8 * number) {
            let moved = compact.word(entry) - 4 * MIB;
            compact.put(entry, &(moved as u32).to_le_bytes());
        }
        if block == 1 {
            // As much as QEMU leaves, in the same place: there are zeros in what it leaves. The first block of the disk
            // goes behind the others that are first in the image.
            let mut image = compact.clone();
            let [first, fifth] = [0, 4].map(|number| image.word(bat + 8 * number) & !0xf_ffff);
            for at in 0..MIB {
                image.bytes.swap(first + at, fifth + at);
            }
            for at in 0..8 {
                image.bytes.swap(bat as usize + at, bat as usize + 32 + at);
            }
            image.unsealed.clear();
            assert!(!found(image.clone()), "{size}");
            (1..5).for_each(|number| image.put(bat + 8 * number, &[0; 8]));
            let piped = crate::common::piped(&["--format", "json", "-"], &image.bytes);
            let of_pipe = codes(&crate::common::images(&piped)[0]).join(" ");
            assert!(of_pipe.contains("vhdx-space-unused"), "{size}: {of_pipe}");
            assert!(found(image), "{size}");
        }
        for image in [whole, compact] {
            assert!(!found(image.clone()), "{block} {size}");
            // QEMU takes the block for zeros, and says nothing.
            for lost in [&[1][..], &[blocks - 2], &[1, 2]] {
                let mut image = image.clone();
                lost.iter().for_each(|number| image.put(bat + 8 * number, &[0; 8]));
                assert!(found(image), "{block} {size} {lost:?}");
            }
        }
    }
}

#[test]
fn what_readers_may_show_differently_is_said() {
    let scratch = Scratch::new();
    let Some(base) = base(&scratch) else { return };
    let path = scratch.path("case.vhdx");
    let entry = base.bat(1);
    let place = base.bytes[entry..entry + 8].to_vec();
    for (state, keeps, expected) in [
        (1, true, "vhdx-block-undefined"),
        (5, true, "vhdx-block-undefined"),
        (5, false, "vhdx-block-undefined"),
        (0, true, "vhdx-space-unused"),
        (1, false, "vhdx-space-unused"),
        // The format has no place for a block of zeros.
        (2, true, "vhdx-block-undefined"),
        // A guest may have discarded it.
        (3, true, "vhdx-blocks-unmapped"),
        (2, false, "vhdx-space-unused"),
        (3, false, "vhdx-space-unused"),
    ] {
        let mut image = base.clone();
        image.put(entry, &if keeps { place.clone() } else { vec![0; 8] });
        let low = image.bytes[entry] & !7 | state;
        image.put(entry, &[low]);
        image.write(&path);
        let (code, found) = report(&[path.as_os_str()]);
        let said = codes(&found);
        assert!(said.contains(&expected), "{state}: {found}");
        let verdict = if (state, keeps) == (3, true) { "accept" } else { "warn" };
        assert_eq!((code, &found["verdict"]), (0, &verdict.into()), "{state} {keeps}: {found}");
    }
}
