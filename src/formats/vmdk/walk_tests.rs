//! The walk against small images that are patched, and against QEMU.

use std::path::Path;
use std::process::Command;

use super::sample::{Sample, TABLE, grain, marker, qemu_image, walked};
use crate::facts::Code;
use crate::formats::Walked;

const KINDS: [&str; 5] = [
    "subformat=monolithicSparse",
    "subformat=streamOptimized",
    "subformat=monolithicSparse,compat6=on",
    "subformat=streamOptimized,compat6=on",
    "subformat=monolithicSparse,zeroed_grain=on",
];

/// Whole or not, and the codes that differ, in memory and through a pipe.
fn told(image: &[u8]) -> Vec<Code> {
    let codes = |forward| {
        let (_, mut codes, _) = walked(image, forward);
        codes.sort();
        codes.dedup();
        codes
    };
    // A pipe's grains are unpacked as they pass, so that more is seen of their damage.
    let but_damage = |mut codes: Vec<Code>| {
        codes.retain(|code| *code != Code::VmdkGrainDamaged);
        codes
    };
    assert_eq!(but_damage(codes(true)), but_damage(codes(false)));
    codes(false)
}

#[test]
fn untouched_samples_are_whole() {
    let disk: Vec<u8> = (0..300).flat_map(grain).collect();
    let stream = Sample::stream(300).image;
    for forward in [false, true] {
        let (how, codes, ends) = walked(&stream, forward);
        assert_eq!((how, codes), (Some(Walked::Whole), vec![]));
        assert!(ends[0] == disk[..17 << 10] && ends[1] == disk[disk.len() - (64 << 10)..]);
        let (how, codes, _) = walked(&Sample::sparse().image, forward);
        assert_eq!((how, codes), (Some(Walked::Whole), vec![]));
    }
}

#[test]
fn tables_of_sparse_images_are_held_against_themselves() {
    let sample = Sample::sparse();
    let entry =
        |index: usize, sector: u32| told(&sample.patched(TABLE + 4 * index, &sector.to_le_bytes()));
    let first = sample.grains[0] as u32 / 512;
    assert_eq!(entry(1, first), [Code::VmdkGrainsOverlap]);
    assert_eq!(entry(1, first + 7), [Code::VmdkGrainsOverlap]);
    assert_eq!(entry(1, 22), [Code::VmdkTableEntryInvalid]);
    assert_eq!(entry(0, 1), [Code::VmdkTableEntryInvalid]);
    assert_eq!(entry(1, 2000), [Code::ImageTruncated]);
    assert_eq!(entry(1, u32::MAX), [Code::ImageOffsetImpossible]);
    assert_eq!(entry(2, first + 24), [], "half a grain is on the disk");
    assert_eq!(entry(2, first + 25), [Code::ImageTruncated]);
    assert_eq!(entry(3, 5), [], "behind the end of the disk");
    let directory = |at: usize, sector: u32| told(&sample.patched(at, &sector.to_le_bytes()));
    assert_eq!(directory(21 * 512, 0), [Code::VmdkTableCopiesDiffer]);
    assert!(directory(22 * 512, 22).contains(&Code::VmdkGrainsOverlap));
    assert!(directory(22 * 512, 22).contains(&Code::VmdkTableCopiesDiffer));
    assert_eq!(directory(22 * 512, 2000), [Code::ImageTruncated]);
    assert_eq!(directory(22 * 512, u32::MAX), [Code::ImageOffsetImpossible]);
    // A table among the grains.
    let mut image = sample.patched(22 * 512, &[first as u8]);
    image[first as usize * 512..][..2048].copy_from_slice(&sample.image[TABLE..TABLE + 2048]);
    assert_eq!(told(&image), [Code::VmdkGrainsOverlap]);
}

#[test]
fn markers_and_tables_are_held_against_each_other() {
    let sample = Sample::stream(40);
    let mismatch = [Code::VmdkMarkersMismatch];
    let marker = |index: usize, sector: u64| {
        told(&sample.patched(sample.grains[index], &sector.to_le_bytes()))
    };
    assert_eq!(marker(30, 31 * 16), [Code::VmdkGrainsOverlap, Code::VmdkMarkersMismatch]);
    assert_eq!(marker(30, 1), mismatch);
    assert_eq!(marker(30, u64::MAX), mismatch);
    let patched = |at: usize, bytes: &[u8]| told(&sample.patched(at, bytes));
    for bytes in [[0, 0, 0, 0], [0xff; 4], [1, 0, 0, 0]] {
        assert!(patched(sample.grains[30] + 8, &bytes).contains(&mismatch[0]), "{bytes:?}");
    }
    assert_eq!(patched(sample.grains[30] + 12, &[0; 2]), [Code::VmdkGrainDamaged]);
    // Tables and their markers.
    assert_eq!(patched(sample.table + 4 * 30, &[0; 4]), mismatch);
    assert_eq!(patched(sample.table + 4 * 30, &[32]), mismatch);
    assert_eq!(patched(sample.table - 512, &[3]), mismatch);
    assert_eq!(patched(sample.table - 500, &[9]), mismatch);
    assert!(patched(sample.directory, &[33, 0, 0, 0]).contains(&mismatch[0]));
    assert_eq!(patched(sample.directory - 500, &[0]), mismatch, "an early end");
    assert_eq!(patched(sample.directory - 500, &[3]), mismatch, "an early footer");
}

#[test]
fn markers_have_as_many_sectors_as_every_reader_takes() {
    let sample = Sample::stream(40);
    let mismatch = [Code::VmdkMarkersMismatch];
    for (sectors, expected) in [(0, &[][..]), (1, &mismatch), (9, &mismatch)] {
        let mut image = sample.image.clone();
        let behind = vec![0; sectors as usize * 512];
        let at = sample.directory - 512;
        image.splice(at..at, [marker(sectors, 4), behind].concat());
        let directory = (sample.directory / 512) as u64 + sectors + 1;
        let copy = image.len() - 1024;
        image[copy + 56..copy + 64].copy_from_slice(&directory.to_le_bytes());
        assert_eq!(told(&image), expected, "{sectors}");
    }
    let footer = sample.image.len() - 1536;
    for (value, expected) in [(1, &[][..]), (0, &mismatch), (2, &mismatch)] {
        assert_eq!(told(&sample.patched(footer, &[value])), expected, "{value}");
    }
}

#[test]
fn a_footer_that_the_header_does_not_announce_says_the_same() {
    let sample = Sample::stream(40);
    let mut image = sample.patched(56, &(sample.directory as u64 / 512).to_le_bytes());
    assert_eq!(told(&image), []);
    let copy = image.len() - 1024;
    for at in [12, 20, 56] {
        image[copy + at] ^= 0x10;
        assert_eq!(told(&image), [Code::VmdkFooterMismatch], "{at}");
        image[copy + at] ^= 0x10;
    }
}

#[test]
fn grains_that_read_as_zeros_and_flags_that_nobody_knows_are_told() {
    let sparse = Sample::sparse();
    let mut image = sparse.patched(8, &[7]);
    image[TABLE + 4..TABLE + 8].copy_from_slice(&[1, 0, 0, 0]);
    assert_eq!(told(&image), [], "a grain that never had a place");
    image[TABLE..TABLE + 4].copy_from_slice(&[1, 0, 0, 0]);
    assert_eq!(told(&image), [Code::VmdkGrainsZeroed]);
    for bit in 2..16u32 {
        let [low, high] = ((1u16) << bit).to_le_bytes();
        assert_eq!(told(&sparse.patched(10, &[low, high])), [Code::VmdkFeatureUnknown], "{bit}");
    }
}

#[test]
fn what_passed_unseen_is_not_called_whole() {
    // The table has no marker that tells a pipe what it is.
    let mut sample = Sample::stream(600 / 2);
    sample.image[sample.table - 500] = 3;
    let (how, codes, _) = walked(&sample.image, true);
    assert!(matches!(how, Some(Walked::Partial(_))));
    assert!(codes.contains(&Code::VmdkMarkersMismatch));
    assert!(codes.contains(&Code::StructureNotExamined));
}

#[test]
fn a_gap_is_no_end_where_the_tables_come_first() {
    let Some((_, image)) = qemu_image(KINDS[1]) else { return };
    // Moves the last grain behind a gap, as QEMU writes it after it opened the image again.
    let table = 27 * 512;
    let at = table + 4 * 79;
    let sector = u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
    let (from, to) = (sector as usize * 512, sector as usize * 512 + 4096);
    let mut moved = image.clone();
    moved.truncate(from);
    moved.resize(to, 0);
    moved.extend(&image[from..]);
    for table in [22 * 512, table] {
        moved[table + 4 * 79..][..4].copy_from_slice(&(sector + 8).to_le_bytes());
    }
    // Readers of streams end at the zeros.
    assert_eq!(told(&moved), [Code::VmdkGrainsUnordered]);
    // And if no table names it, nobody finds it.
    moved[at..at + 4].fill(0);
    assert_eq!(told(&moved), [Code::VmdkTableCopiesDiffer]);
}

#[test]
fn what_qemu_writes_is_whole_and_its_ends_can_be_read() {
    for kind in KINDS {
        let Some((raw, image)) = qemu_image(kind) else { return };
        for forward in [false, true] {
            let (how, codes, ends) = walked(&image, forward);
            assert_eq!((how, codes), (Some(Walked::Whole), vec![]), "{kind}");
            assert!(ends[0] == raw[..17 << 10], "{kind}");
            assert!(ends[1] == raw[raw.len() - (64 << 10)..], "{kind}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    for kind in KINDS {
        for size in ["512", "64K", "3000000", "9G", "90G"] {
            let made = qemu(&["create", "-f", "vmdk", "-o", kind], &path, &[size]);
            assert!(made, "{kind} {size}");
            for forward in [false, true] {
                let (how, codes, _) = walked(&std::fs::read(&path).unwrap(), forward);
                assert_eq!((how, codes), (Some(Walked::Whole), vec![]), "{kind} {size}");
            }
        }
    }
}

fn qemu(before: &[&str], path: &Path, after: &[&str]) -> bool {
    let done = Command::new("qemu-img").args(before).arg(path).args(after).output();
    done.unwrap().status.success()
}

/// Random enough, and the same each time.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % end
    }
}

/// Image offsets and lengths of the fields of an image.
fn fields(image: &[u8]) -> Vec<(usize, usize)> {
    let number = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
    let wide = [12, 20, 28, 36, 48, 56, 64].map(|at| (at, 8));
    let mut fields = [[(0, 4), (4, 4), (8, 4), (44, 4), (72, 1), (73, 4), (77, 2)], wide].concat();
    for directory in [number(48) * 512, number(56) * 512] {
        fields.push((directory, 4));
        let table = number(directory) * 512;
        for at in (table..table + 320).step_by(4).filter(|&at| number(at) > 1) {
            // As many as there are of all others, so that they are met as often.
            fields.extend([(at, 4); 2]);
            if number(77) & 0xffff == 1 {
                fields.extend([(number(at) * 512, 8), (number(at) * 512 + 8, 4)]);
            }
        }
    }
    fields
}

#[test]
fn whatever_qemu_finds_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, raw) = (folder.path().join("image"), folder.path().join("raw"));
    let mut seeded = Seeded(3);
    let (mut found, mut refused) = (0, 0);
    for turn in 0..150 {
        let kind = KINDS[turn % 2];
        let Some((_, mut image)) = qemu_image(kind) else { return };
        let fields = fields(&image);
        let (at, len) = fields[seeded.below(fields.len() as u64) as usize];
        let field = &mut image[at..at + len];
        match seeded.below(5) {
            0 => field.fill(0),
            1 => field.fill(0xff),
            2 => field[0] = field[0].wrapping_add(1),
            3 => field[0] = field[0].wrapping_sub(1),
            _ => field.iter_mut().for_each(|byte| *byte = seeded.below(256) as u8),
        }
        std::fs::write(&path, &image).unwrap();
        let refuses = !qemu(&["check", "-f", "vmdk"], &path, &[])
            || !qemu(&["convert", "-f", "vmdk", "-O", "raw"], &path, &[raw.to_str().unwrap()]);
        let told = !walked(&image, false).1.is_empty();
        assert!(told || !refuses, "turn {turn}: {kind}, {len} bytes at {at}");
        found += usize::from(told);
        refused += usize::from(refuses);
    }
    assert!(refused > 40 && found >= refused, "{found} found, {refused} refused");
}
