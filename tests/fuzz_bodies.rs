//! The bodies of the fuzz targets on the compiler that everything else is built with: over the seeds
//! and former finds in `fuzz/seeds/`, and over valid images of which single fields are set to values at
//! which arithmetic breaks.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidegate::inspect::bodies;

/// No input may take longer: what takes a minute hangs, however busy the machine is.
const LONGEST: Duration = Duration::from_secs(60);

fn run(name: &str, body: fn(&[u8]), input: &[u8]) {
    let start = Instant::now();
    body(input);
    let took = start.elapsed();
    assert!(took < LONGEST, "{name} took {took:?} for {input:?}");
}

#[test]
fn seeds_and_former_finds_do_no_harm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let mut bytes = 0;
    for &(target, body) in bodies::ALL {
        let mut inputs = 0;
        for entry in std::fs::read_dir(folder.join(target)).unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            bytes += input.len();
            inputs += 1;
            run(&path.display().to_string(), body, &input);
        }
        assert!(inputs >= 3, "{target} has {inputs} seeds");
    }
    assert!(bytes < 100_000, "{bytes} bytes of seeds are too many to keep");
}

#[test]
fn the_least_inputs_do_no_harm() {
    for &(target, body) in bodies::ALL {
        for input in [&[][..], &[0], &[255; 3], &[0, 1], &[0, 1, 0, 0, 0, 0], &[1, 1, 39, 255, 255]]
        {
            run(target, body, input);
        }
    }
}

/// A number in an image.
#[derive(Clone, Copy, Debug)]
struct Field {
    at: u64,
    width: usize,
    little: bool,
}

fn little(at: u64, width: usize) -> Field {
    Field { at, width, little: true }
}

fn big(at: u64, width: usize) -> Field {
    Field { at, width, little: false }
}

/// The number that a field of `image` holds; zero if it lies past the end.
fn number(image: &[u8], field: Field) -> u64 {
    let start = usize::try_from(field.at).unwrap_or(usize::MAX);
    let Some(bytes) = image.get(start..).and_then(|rest| rest.get(..field.width)) else { return 0 };
    let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    match field.little {
        true => bytes.iter().rev().fold(0, add),
        false => bytes.iter().fold(0, add),
    }
}

/// The entries at the beginning of a table.
fn entries(make: fn(u64, usize) -> Field, at: u64, width: usize, count: u64) -> Vec<Field> {
    (0..count).map(|index| make(at + index * width as u64, width)).collect()
}

/// The fields of a valid image of the target's format.
fn fields(target: &str, image: &[u8]) -> Vec<Field> {
    let at = |field| number(image, field);
    match target {
        "qcow2" => {
            let (l1, refcounts) = (at(big(40, 8)), at(big(48, 8)));
            let mut fields = vec![
                big(4, 4),
                big(8, 8),
                big(16, 4),
                big(20, 4),
                big(24, 8),
                big(32, 4),
                big(36, 4),
                big(40, 8),
                big(48, 8),
                big(56, 4),
                big(60, 4),
                big(64, 8),
                big(72, 8),
                big(80, 8),
                big(88, 8),
                big(96, 4),
                big(100, 4),
                big(104, 4),
                big(108, 4),
            ];
            let l2 = at(big(l1, 8)) & 0x00ff_ffff_ffff_fe00;
            let block = at(big(refcounts, 8)) & !511;
            for table in [l1, l2, refcounts] {
                fields.extend(entries(big, table, 8, 6));
            }
            fields.extend(entries(big, block, 2, 6));
            fields
        }
        "vhdx" => {
            let mut fields = Vec::new();
            for header in [64 << 10, 128 << 10] {
                fields.push(little(header + 8, 8));
                fields.extend(entries(little, header + 64, 2, 2));
                fields.extend([little(header + 68, 4), little(header + 72, 8)]);
            }
            for table in [192 << 10, 256 << 10] {
                fields.push(little(table + 8, 4));
                for entry in 0..2 {
                    let entry = table + 16 + 32 * entry;
                    fields.extend([
                        little(entry + 16, 8),
                        little(entry + 24, 4),
                        little(entry + 28, 4),
                    ]);
                    let start = at(little(entry + 16, 8));
                    fields.extend(entries(little, start, 8, 6));
                    for item in 0..5 {
                        fields.extend(entries(little, start + 32 + 32 * item + 16, 4, 3));
                    }
                    // Where the items of the metadata are.
                    fields.extend(entries(little, start + (64 << 10), 8, 6));
                }
            }
            fields
        }
        "vdi" => {
            let mut fields = entries(little, 0x44, 4, 5);
            fields.extend(entries(little, 0x154, 4, 6));
            fields.push(little(0x170, 8));
            fields.extend(entries(little, 0x178, 4, 4));
            fields.extend(entries(little, at(little(0x154, 4)), 4, 4));
            fields
        }
        "qcow" => {
            let mut fields = vec![big(4, 4), big(8, 8), big(24, 8), big(32, 1), big(33, 1)];
            fields.extend([big(36, 4), big(40, 8)]);
            let l1 = at(big(40, 8));
            fields.extend(entries(big, l1, 8, 2));
            fields.extend(entries(big, at(big(l1, 8)), 8, 8));
            fields
        }
        "vpc" => {
            let mut fields = Vec::new();
            for footer in [0, image.len() as u64 - 512] {
                fields.extend([big(footer + 8, 4), big(footer + 12, 4), big(footer + 16, 8)]);
                fields.extend([big(footer + 28, 4), big(footer + 48, 8), big(footer + 56, 4)]);
                fields.push(big(footer + 60, 4));
            }
            fields.extend([big(512 + 16, 8), big(512 + 24, 4), big(512 + 28, 4), big(512 + 32, 4)]);
            let table = at(big(512 + 16, 8));
            fields.extend(entries(big, table, 4, 2));
            fields.extend(entries(big, at(big(table, 4)) * 512, 4, 2));
            fields
        }
        "vmdk" => {
            let mut fields = vec![little(4, 4), little(8, 4)];
            fields.extend(entries(little, 12, 8, 4));
            fields.push(little(44, 4));
            fields.extend(entries(little, 48, 8, 3));
            fields.push(little(77, 2));
            for directory in [at(little(48, 8)), at(little(56, 8))] {
                // A streamOptimized image has no directory where its header would say.
                let directory = directory.min(1 << 20) * 512;
                fields.extend(entries(little, directory, 4, 3));
                fields.extend(entries(little, at(little(directory, 4)) * 512, 4, 4));
            }
            // Markers and the footer of a stream.
            let end = image.len() as u64;
            for back in [512, 1024, 1536] {
                let start = end.saturating_sub(back);
                fields.extend([little(start, 8), little(start + 8, 4), little(start + 12, 4)]);
                fields.extend(entries(little, start + 48, 8, 3));
            }
            fields
        }
        "ext" => ext_fields(image),
        "fat" => {
            let mut fields = vec![little(0xb, 2), little(0xd, 1), little(0xe, 2), little(0x10, 1)];
            fields.extend([little(0x11, 2), little(0x13, 2), little(0x16, 2), little(0x20, 4)]);
            fields.extend([little(0x24, 4), little(0x28, 2), little(0x2c, 4), little(0x30, 2)]);
            let (sector, reserved) = (at(little(0xb, 2)), at(little(0xe, 2)));
            let table = match at(little(0x16, 2)) {
                0 => at(little(0x24, 4)),
                short => short,
            };
            fields.extend(entries(little, sector * reserved, 2, 24));
            let root = sector * (reserved + table * at(little(0x10, 1)));
            for entry in 0..6 {
                let entry = root + 32 * entry;
                fields.extend([little(entry, 1), little(entry + 11, 1), little(entry + 13, 1)]);
                fields.extend([
                    little(entry + 20, 2),
                    little(entry + 26, 2),
                    little(entry + 28, 4),
                ]);
            }
            fields
        }
        _ => {
            let mut fields = Vec::new();
            for entry in 0..4 {
                let entry = 446 + 16 * entry;
                fields.extend([little(entry + 4, 1), little(entry + 8, 4), little(entry + 12, 4)]);
            }
            fields.extend(entries(little, 512 + 8, 4, 2));
            fields.extend(entries(little, 512 + 24, 8, 4));
            fields.push(little(512 + 72, 8));
            fields.extend(entries(little, 512 + 80, 4, 2));
            fields.extend(entries(little, 1024 + 32, 8, 3));
            fields
        }
    }
}

/// The fields of a file system of ext2 or ext4 with blocks of 1 KiB: superblock, group descriptor, inodes, maps of their
/// blocks, entries of directories, journal.
fn ext_fields(image: &[u8]) -> Vec<Field> {
    let at = |field| number(image, field);
    let superblock = 1024;
    let mut fields = entries(little, superblock, 4, 11);
    fields.extend(entries(little, superblock + 0x38, 2, 3));
    fields.extend([little(superblock + 0x4c, 4), little(superblock + 0x58, 2)]);
    fields.extend(entries(little, superblock + 0x5c, 4, 3));
    fields.extend([little(superblock + 0xe0, 4), little(superblock + 0xfe, 2)]);
    fields.extend([little(superblock + 0x104, 4), little(superblock + 0x150, 4)]);
    fields.extend(entries(little, 2048, 4, 4));
    fields.extend([little(2048 + 0x12, 2), little(2048 + 0x28, 4)]);
    let (table, size) = (at(little(2048 + 8, 4)) * 1024, at(little(superblock + 0x58, 2)));
    let inodes = at(little(superblock, 4)).min(96);
    for inode in (1..inodes).map(|index| table + index * size) {
        if at(little(inode, 2)) == 0 {
            continue;
        }
        fields.extend([little(inode, 2), little(inode + 4, 4), little(inode + 0x1c, 4)]);
        fields.extend([little(inode + 0x20, 4), little(inode + 0x68, 4), little(inode + 0x6c, 4)]);
        fields.push(little(inode + 0x80, 2));
        // Header and entries of extents, or pointers.
        let map = inode + 0x28;
        fields.extend(entries(little, map, 2, 6));
        fields.extend(entries(little, map, 4, 15));
        let attributes = inode + 128 + at(little(inode + 0x80, 2)).min(96);
        fields.extend(entries(little, attributes, 2, 12));
        let has_extents = at(little(map, 2)) == 0xf30a;
        let block = at(little(if has_extents { map + 16 + 4 } else { map }, 4)) * 1024;
        let is_inner = has_extents && at(little(map + 6, 2)) > 0;
        let is_directory = at(little(inode, 2)) >> 12 == 4;
        if is_inner {
            fields.extend(entries(little, at(little(map + 16, 4)) * 1024, 2, 24));
        } else if is_directory {
            fields.extend(entries(little, block, 2, 20));
        }
    }
    // The journal is inode 8, and in one extent.
    let journal = at(little(table + 7 * size + 0x28 + 20, 4)) * 1024;
    if journal > 0 {
        fields.extend(entries(big, journal, 4, 22));
        for block in 1..12 {
            fields.extend(entries(big, journal + block * 1024, 4, 16));
        }
    }
    fields
}

/// What a field is set to, from what it is, where it is and how large the image is.
fn value(kind: usize, field: Field, old: u64, size: u64) -> u64 {
    let values = [
        0,
        1,
        u64::MAX,
        old.wrapping_add(1),
        old.wrapping_sub(1),
        // Itself, as a byte offset and in sectors, with the bits that qcow2 sets on entries.
        field.at,
        field.at / 512,
        field.at & !511,
        1 << 63 | (field.at & !0xffff),
        size,
        size / 512,
        1 << 31,
        (1 << 31) - 1,
        1 << 63,
        u64::MAX - 511,
        old << 1,
        old ^ 1 << 62,
    ];
    values[kind % values.len()]
}

#[test]
fn fields_at_their_bounds_do_no_harm() {
    for &(target, body) in bodies::ALL {
        let seeds = bodies::seeds(target);
        if seeds.is_empty() || ["sniff_and_detect", "check"].contains(&target) {
            continue;
        }
        let any = any::<(usize, Vec<(usize, usize)>)>();
        let cases = if target == "vhdx" { 250 } else { 400 };
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&any, |(seed, changes)| {
            let seed = seed % seeds.len();
            let image = seeds[seed];
            let fields = fields(target, image);
            let changed: Vec<(u64, Vec<u8>)> = changes
                .iter()
                .take(4)
                .map(|(which, kind)| {
                    let field = fields[which % fields.len()];
                    let value = value(*kind, field, number(image, field), image.len() as u64);
                    let bytes = match field.little {
                        true => value.to_le_bytes()[..field.width].to_vec(),
                        false => value.to_be_bytes()[8 - field.width..].to_vec(),
                    };
                    (field.at, bytes)
                })
                .collect();
            run(target, body, &bodies::encode(seed as u8, &changed));
            Ok(())
        });
        if let Err(error) = result {
            panic!("{target}: {error}");
        }
    }
}

#[test]
fn structures_inserted_and_removed_do_no_harm() {
    let mut random = 1u64;
    let mut byte = || {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (random >> 56) as u8
    };
    for number in 0..400u32 {
        let input: Vec<u8> = (0..64).map(|_| byte()).collect();
        run(&format!("structures {number}"), bodies::structures, &input);
    }
}
