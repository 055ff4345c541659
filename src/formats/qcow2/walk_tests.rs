//! The walk, held against QEMU's reading of the same images.

use std::collections::BTreeMap;
use std::process::Command;

use super::disk::Tables;
use super::room::Room;
use super::walk::walk_in;
use super::{header, tables};
use crate::facts::{Code, DiskFormat, Left, Notebook};
use crate::formats::testing::{
    MemoryView, codes, converted, finds_what_qemu_finds, walks_what_qemu_writes,
};
use crate::formats::{ImageView as _, Reach, Walked, Wanted};

/// A disk of a few clusters in clusters of 4 KiB: header, refcount table, one block, L1, L2, data.
fn image() -> Option<Vec<u8>> {
    let mut raw = vec![0; 1 << 20];
    for at in [0, 8192, 500_000, 1_000_000] {
        raw[at..at + 5000].fill(at as u8 | 1);
    }
    converted(&raw, DiskFormat::Qcow2, "cluster_size=4096")
}

#[test]
fn what_qemu_writes_is_whole() {
    for options in [
        "",
        "compat=0.10,cluster_size=512",
        "cluster_size=512,refcount_bits=1",
        "cluster_size=4096,refcount_bits=64",
        "cluster_size=2M",
        "preallocation=metadata",
        "lazy_refcounts=on",
    ] {
        walks_what_qemu_writes(DiskFormat::Qcow2, options, (5 << 20) + 512);
    }
}

#[test]
fn whatever_qemu_finds_is_found() {
    let Some(image) = image() else { return };
    let number = |at: usize| u64::from_be_bytes(*image[at..].first_chunk().unwrap()) as usize;
    let (l1, refcounts) = (number(40), number(48));
    let l2 = number(l1) & 0xff_ffff;
    let block = number(refcounts);
    finds_what_qemu_finds(DiskFormat::Qcow2, &image, 120, |image, random| {
        let at = match random % 4 {
            0 => l1,
            1 => l2 + (random as usize >> 8) % 256 * 8,
            2 => refcounts,
            _ => block + (random as usize >> 8) % 16 * 2,
        };
        let value = match random >> 4 & 3 {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << 63 | l2 as u64,
            _ => (1 << 63) | ((random >> 20) % 40 * 4096),
        };
        image[at..at + 8].copy_from_slice(&value.to_be_bytes());
    });
}

#[test]
fn each_contradiction_has_its_code() {
    let Some(image) = image() else { return };
    let number = |at: usize| u64::from_be_bytes(*image[at..].first_chunk().unwrap());
    let (l1, refcounts) = (number(40) as usize, number(48) as usize);
    let l2 = (number(l1) & 0xff_ffff) as usize;
    let block = number(refcounts) as usize;
    let first = number(l2);
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = image.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        codes(DiskFormat::Qcow2, changed)
    };
    assert_eq!(with(0, b"Q"), []);
    let cluster = ((first & 0xff_ffff) / 4096) as usize;
    let low = with(block + cluster * 2, &[0, 0]);
    assert!(low.contains(&Code::Qcow2RefcountTooLow), "{low:?}");
    assert_eq!(with(block + 2 * 2000, &[0, 1]), [Code::Qcow2ClustersLeaked]);
    let shared = with(l2 + 8, &first.to_be_bytes());
    assert!(shared.contains(&Code::Qcow2ClustersOverlap), "{shared:?}");
    let onto_table = with(l2, &(1 << 63 | l2 as u64).to_be_bytes());
    assert!(onto_table.contains(&Code::Qcow2ClustersOverlap), "{onto_table:?}");
    let flag = with(l2, &(first & !(1 << 63)).to_be_bytes());
    assert_eq!(flag, [Code::Qcow2CopiedFlagWrong]);
    let past = with(l2, &(1u64 << 63 | 1 << 40).to_be_bytes());
    assert!(past.contains(&Code::ImageOffsetImpossible), "{past:?}");
    // The dirty bit says that refcounts may be stale.
    let mut dirty = image.clone();
    dirty[79] |= 1;
    dirty[block + cluster * 2 + 1] = 0;
    assert_eq!(codes(DiskFormat::Qcow2, dirty), [Code::Qcow2Dirty, Code::Qcow2RefcountStale]);
}

/// What a walk in so much room finds: how much of each code, and in which words. `None` if a table is
/// missing so that there is no walk.
type Found = (Walked, BTreeMap<Code, (u64, Vec<String>)>);

fn found(room: Room, image: &[u8]) -> Option<Found> {
    let notebook = Notebook::new(&|_| false, 1 << 30);
    let mut view = MemoryView::from(image);
    let header = header::read(&mut view, &notebook).unwrap()?;
    notebook.set_bound(tables::bound(&header));
    let mut reach = Reach::new(&notebook);
    if !tables::check(&header, &notebook, &mut reach) {
        return None;
    }
    let mut tables = Tables::new(header);
    let wanted = Wanted(std::iter::once(0..9000).collect());
    let walked = walk_in(room, &mut tables, &mut view, &notebook, &wanted, &mut reach).unwrap();
    reach.judge(view.size().unwrap().unwrap(), &notebook);
    let mut found = BTreeMap::<Code, (u64, Vec<String>)>::new();
    for anomaly in notebook.close() {
        let (count, said) = found.entry(anomaly.code).or_default();
        let (words, more) = match anomaly.said.rsplit_once(" (") {
            Some((words, more)) if more.ends_with(" more of this kind)") => {
                (words, more.split(' ').next().unwrap().parse().unwrap())
            }
            _ => (anomaly.said.as_str(), 0),
        };
        *count += 1 + more;
        // Which of two users of a cluster is the second, and which of many tables comes first, is a
        // matter of the order in which they are read.
        if !matches!(
            anomaly.code,
            Code::Qcow2ClustersOverlap
                | Code::Qcow2TableEntryInvalid
                | Code::ImageTruncated
                | Code::ImageOffsetImpossible
        ) {
            said.push(words.to_owned());
        }
    }
    Some((walked, found))
}

/// An image that `qemu-img` makes in several steps: `IMAGE`, `RAW` and `OTHER` stand for files.
fn made(steps: &[&str]) -> Option<Vec<u8>> {
    // Says why, or fails, where there is no qemu-img.
    converted(&[0; 512], DiskFormat::Qcow2, "")?;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut raw = vec![0; 1 << 20];
    for at in [0, 8192, 500_000, 1_000_000] {
        raw[at..at + 20_000].iter_mut().zip(0..).for_each(|(byte, n)| *byte = (n / 5 % 251) as u8);
    }
    std::fs::write(path("RAW"), &raw).unwrap();
    raw[510_000..700_000].fill(7);
    std::fs::write(path("OTHER"), &raw).unwrap();
    for step in steps {
        let arguments = step.split(' ').map(|word| match word {
            "IMAGE" | "RAW" | "OTHER" => path(word),
            _ => word.to_owned(),
        });
        let done = Command::new("qemu-img").args(arguments).output().unwrap();
        assert!(done.status.success(), "{step}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Some(std::fs::read(path("IMAGE")).unwrap())
}

#[test]
fn bands_find_what_one_pass_finds() {
    const ONE: Room = Room { clusters: u64::MAX, bands: 1, tables: 100_000, groups: 1 };
    const SMALL: [Room; 3] = [
        Room { clusters: 150, bands: u64::MAX, tables: usize::MAX, groups: 1 },
        Room { clusters: u64::MAX, bands: 1, tables: 9, groups: usize::MAX },
        Room { clusters: 411, bands: u64::MAX, tables: 5, groups: usize::MAX },
    ];
    let bases: [&[&str]; 5] = [
        &["convert -f raw -O qcow2 -o cluster_size=512 RAW IMAGE"],
        &["convert -f raw -O qcow2 -o cluster_size=1024,extended_l2=off,refcount_bits=1 RAW IMAGE"],
        &["convert -f raw -O qcow2 -c -o cluster_size=2048 RAW IMAGE"],
        &[
            "convert -f raw -O qcow2 -o cluster_size=512 RAW IMAGE",
            "snapshot -c one IMAGE",
            "convert -n -f raw -O qcow2 OTHER IMAGE",
            "snapshot -c two IMAGE",
        ],
        &["convert -f raw -O qcow2 -o cluster_size=512 RAW IMAGE", "bitmap --add -g 512 IMAGE one"],
    ];
    for (turn, steps) in bases.iter().enumerate() {
        let Some(image) = made(steps) else { return };
        let clean = found(ONE, &image).unwrap();
        assert_eq!(clean.0, Walked::Whole);
        assert!(clean.1.keys().all(|code| *code == Code::Qcow2Snapshots), "{:?}", clean.1);
        let shift = image[23];
        let number = |at: usize| u64::from_be_bytes(*image[at..].first_chunk().unwrap()) as usize;
        let (l1, refcounts) = (number(40), number(48));
        let mut various = std::collections::BTreeSet::new();
        for seed in 0..30u64 {
            let mut random = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            random ^= random >> 27;
            let any = |of: usize, step: usize| (random >> 8) as usize % of * step;
            let l2 = number(l1 + any(30, 8)) & 0xff_ffff;
            let at = match random % 6 {
                0 => l1 + any(30, 8),
                1 | 2 => l2 + any(60, 8),
                3 => refcounts + any(4, 8),
                _ => number(refcounts) + any(240, 2),
            };
            let mut changed = image.clone();
            let cluster = ((random >> 20) % (image.len() as u64 >> shift)) << shift;
            let value = match random >> 4 & 3 {
                0 => 0,
                1 => u64::MAX,
                2 => cluster,
                _ => 1 << 63 | cluster,
            };
            let width = if random % 6 > 3 { 2 } else { 8 };
            changed[at..at + width].copy_from_slice(&value.to_be_bytes()[8 - width..]);
            let Some(mut expected) = found(ONE, &changed) else { continue };
            various.extend(expected.1.keys().copied());
            for room in SMALL {
                let mut banded = found(room, &changed).unwrap();
                if turn == 2 {
                    // Whether a compressed cluster in one of the tables is seen there or in what is
                    // said of the refcounts depends on which comes first.
                    for found in [&mut expected, &mut banded] {
                        found.1.remove(&Code::Qcow2ClustersOverlap);
                    }
                }
                assert_eq!(banded, expected, "{steps:?} {seed}, bands of {}", room.clusters);
            }
        }
        assert!(various.len() > 3, "{various:?}");
    }
}

#[test]
fn more_bands_or_groups_than_there_is_room_for_are_said() {
    let Some(image) = made(&["convert -f raw -O qcow2 -o cluster_size=512 RAW IMAGE"]) else {
        return;
    };
    for (clusters, tables, left) in
        [(9, 1000, Left::TooManyClusters), (1 << 30, 1, Left::TooManyTables)]
    {
        let room = Room { clusters, bands: 2, tables, groups: 2 };
        let (walked, found) = found(room, &image).unwrap();
        assert_eq!(walked, Walked::Partial(left));
        assert!(found.is_empty(), "{found:?}");
    }
}
