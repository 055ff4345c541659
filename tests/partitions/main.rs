//! The partitions that a check lists against those that other programs list, over random tables.
//!
//! A list may differ if the check warns: the warning says who sees what. What differs without a warning is
//! silent, and nothing may be but what `docs/partition-tables.md` gives a reason for.

#![allow(clippy::print_stderr)] // what is skipped is said
#![allow(clippy::unwrap_used)] // a test ends at what it did not expect

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod readers;
mod rows;

use std::path::Path;

use proptest::prelude::*;
use readers::{Blkid, sfdisk};
use tidegate::inspect::bodies::{Listed, partition_tables, partition_tables_against};

/// Tables that are held against libblkid's lists.
const TABLES: u64 = 20_000;

/// Tables that are held against sfdisk's: it has to be started for each.
const TABLES_OF_SFDISK: u64 = 1500;

/// What may be found in tables that were not changed: some are hybrid, some have more partitions than are shown.
const OF_VALID_TABLES: [&str; 4] =
    ["mbr-hybrid", "mbr-extended-unusual", "partition-table-empty", "partitions-too-many"];

/// SplitMix64: the same tables in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn input(&mut self) -> Vec<u8> {
        (0..24).flat_map(|_| self.next().to_le_bytes()).collect()
    }
}

/// Holds the lists against each other, and says how many differ.
fn compare(tables: u64, seed: u64, mut other: impl FnMut(&Path) -> Vec<Listed>) {
    let mut random = Random(seed);
    let (mut differ, mut silent) = (0, Vec::new());
    for _ in 0..tables {
        let input = random.input();
        let compared = partition_tables_against(&input, |path| Some(other(path))).unwrap();
        if compared.valid {
            let unexpected = |(code, _): &&(&str, _)| !OF_VALID_TABLES.contains(code);
            let found: Vec<_> = compared.findings.iter().filter(unexpected).collect();
            assert!(found.is_empty(), "a valid table has {found:?}");
        }
        differ += u64::from(compared.ours != compared.theirs);
        if compared.is_silent() {
            silent.push(compared);
        }
    }
    eprintln!("{tables} tables: {differ} are listed otherwise, {} in silence", silent.len());
    for compared in silent.iter().take(5) {
        eprintln!("{compared:?}");
    }
    assert_eq!(silent.len(), 0, "lists differ in silence");
    assert!(differ > tables / 100, "the tables are too tame: {differ} lists differ");
}

#[test]
fn the_list_is_that_of_libblkid_or_there_is_a_warning() {
    let Some(mut blkid) = Blkid::start() else { return };
    compare(TABLES, 1, |path| blkid.list(path));
}

#[test]
fn the_seeds_of_the_fuzzer_list_what_libblkid_does_or_there_is_a_warning() {
    let Some(mut blkid) = Blkid::start() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/partition_tables");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let compared = partition_tables_against(&input, |disk| Some(blkid.list(disk))).unwrap();
        assert!(!compared.is_silent(), "{}: {compared:?}", path.display());
        let empty = compared.ours.is_empty();
        assert!(!compared.valid || !empty, "{} has no partitions", path.display());
    }
}

#[test]
fn the_list_is_that_of_sfdisk_or_there_is_a_warning() {
    if sfdisk(Path::new("/dev/null")).is_none() {
        return;
    }
    compare(TABLES_OF_SFDISK, 2, |path| sfdisk(path).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No panic, few reads, no more than 255 partitions, and from a stream the same as from a file.
    #[test]
    fn any_table_is_read_in_bounds(input in prop::collection::vec(any::<u8>(), 0..300)) {
        partition_tables(&input);
    }
}
