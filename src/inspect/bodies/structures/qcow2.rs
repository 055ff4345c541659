use super::model::{List, Model, Number, number, slice};

const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// Types of header extensions: bitmaps, and the end of them.
const BITMAPS: u32 = 0x2385_2875;

fn extension(kind: u32, len: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [&kind.to_be_bytes()[..], &len.to_be_bytes(), data].concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// Header extensions, snapshot table, bitmap directory, L1, L2 and refcount tables, and all their pointers.
pub(super) fn model(bytes: &[u8]) -> Model {
    let read = |at, width| number(bytes, Number::big(at, width));
    let version = read(4, 4);
    let cluster = 1u64 << read(20, 4).clamp(9, 21);
    let (l1, l1_count) = (read(40, 8), read(36, 4));
    let (refcounts, snapshots) = (read(48, 8), read(60, 4));
    let backing = read(8, 8);

    let start = if version == 2 { 72 } else { read(100, 4) };
    let mut extensions = Vec::new();
    let mut bitmaps = None;
    let mut at = start;
    while at + 8 <= cluster && extensions.len() < 16 {
        let (kind, len) = (read(at, 4) as u32, read(at + 4, 4));
        if kind == BITMAPS {
            bitmaps = Some(at + 8);
        }
        let record = slice(bytes, at, (8 + len).next_multiple_of(8));
        at += record.len() as u64;
        extensions.push(record);
        if kind == 0 {
            break;
        }
    }
    let room = if backing > start { backing - start } else { cluster.saturating_sub(start) };
    let directory = |count: u32, len: u64, at: u64| {
        [&count.to_be_bytes()[..], &[0; 4], &len.to_be_bytes(), &at.to_be_bytes()].concat()
    };
    let extension_list = List {
        name: "header extensions",
        at: start,
        room,
        length: extensions.concat().len(),
        records: extensions,
        templates: vec![
            extension(0xe279_2aca, 3, b"raw"),
            extension(0x6803_f857, 48, &[1; 48]),
            extension(0x6803_f857, 47, &[1; 48]),
            extension(BITMAPS, 24, &directory(1, 32, l1)),
            extension(BITMAPS, 24, &directory(0, 0, 0)),
            extension(BITMAPS, 23, &directory(1, 32, l1)),
            extension(0x0537_be77, 16, &[0; 16]),
            extension(0x4441_5441, 5, b"other"),
            extension(0x1234_5678, 8, &[5; 8]),
            extension(0x1234_5678, u32::MAX, &[5; 8]),
            extension(0x1234_5678, cluster as u32, &[5; 8]),
            extension(0, 0, &[]),
            extension(0, 9, &[]),
        ],
        harmless: vec![extension(0x1234_5678, 8, &[5; 8]), extension(0x1234_5678, 0, &[])],
        last: 1,
        ..List::default()
    };

    let mut table = Vec::new();
    let mut at = read(64, 8);
    for _ in 0..snapshots.min(8) {
        let names = read(at + 12, 2) + read(at + 14, 2) + read(at + 36, 4);
        let record = slice(bytes, at, (40 + names).next_multiple_of(8));
        at += record.len() as u64;
        table.push(record);
    }
    let snapshot = |l1: u64, count: u64, extra: u32| {
        let mut bytes = vec![0; 40];
        bytes[..8].copy_from_slice(&l1.to_be_bytes());
        bytes[8..12].copy_from_slice(&(count as u32).to_be_bytes());
        bytes[12..16].copy_from_slice(&[0, 1, 0, 1]);
        bytes[36..40].copy_from_slice(&extra.to_be_bytes());
        bytes.extend(vec![0; extra.min(2048) as usize]);
        bytes.extend(*b"9x");
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let snapshot_list = List {
        name: "snapshot table",
        at: read(64, 8),
        room: cluster,
        length: table.concat().len(),
        records: table,
        templates: vec![
            snapshot(l1, l1_count, 16),
            snapshot(l1, l1_count, 0),
            snapshot(l1, l1_count, 24),
            snapshot(l1, l1_count, 1032),
            snapshot(0, 0, 16),
            snapshot(l1 + 8, l1_count, 16),
            snapshot(l1, 1 << 23, 16),
            snapshot(1 << 40, l1_count, 16),
        ],
        counts: vec![Number::big(60, 4)],
        place: Some(Number::big(64, 8)),
        ..List::default()
    };

    let entry = |value: u64| value.to_be_bytes().to_vec();
    let any =
        || [0, 1, cluster, cluster | 1 << 63, l1 | 1 << 63, 1 << 62, 1 << 40].map(entry).to_vec();
    let l2 = read(l1, 8) & OFFSET;
    let block = read(refcounts, 8) & OFFSET;
    let first_cluster = |count: u64| count.min(cluster);
    let l1_list = List {
        room: cluster,
        counts: vec![Number::big(36, 4)],
        templates: any(),
        ..List::table("L1 table", bytes, l1, 8, l1_count)
    };
    let tables = [
        ("L2 table", l2, 8, any()),
        ("refcount table", refcounts, 8, any()),
        ("refcount block", block, 2, vec![vec![0, 0], vec![0, 1], vec![0xff, 0xff]]),
    ];
    let mut lists = vec![extension_list, snapshot_list, l1_list];
    for (name, at, width, templates) in tables.into_iter().filter(|(_, at, ..)| *at != 0) {
        let list = List::table(name, bytes, at, width, 40);
        lists.push(List { room: first_cluster(64 * width), templates, ..list });
    }

    let mut model = Model { lists, pointers: Vec::new(), unit: cluster, sealed: false };
    let all = (u64::MAX, 1);
    model.point("the L1 table's offset", Number::big(40, 8), all, cluster);
    model.point("the refcount table's offset", Number::big(48, 8), all, cluster);
    model.point("the snapshot table's offset", Number::big(64, 8), all, cluster);
    model.point("the backing file name's offset", Number::big(8, 8), all, 8);
    if let Some(at) = bitmaps {
        let directory = read(at + 16, 8);
        let record = (24 + read(directory + 18, 2) + read(directory + 20, 4)).next_multiple_of(8);
        let list = List::table("bitmap directory", bytes, directory, record, read(at, 4).min(4));
        let mut wrong = slice(bytes, directory, record);
        wrong.extend([0; 8]);
        let counts = vec![Number::big(at, 4)];
        let bytes_of = Some(Number::big(at + 8, 8));
        model.lists.push(List {
            room: cluster,
            templates: vec![wrong],
            counts,
            bytes: bytes_of,
            ..list
        });
        model.point("the bitmap directory's offset", Number::big(at + 16, 8), all, cluster);
        model.point("a bitmap table's offset", Number::big(directory, 8), all, cluster);
    }
    for (name, table) in
        [("an L1 entry", l1), ("an L2 entry", l2), ("a refcount table entry", refcounts)]
    {
        let entries = (0..40).map(|index| table + 8 * index);
        for at in entries.filter(|&at| table != 0 && read(at, 8) & OFFSET != 0).take(16) {
            model.point(name, Number::big(at, 8), (OFFSET, 1), cluster);
        }
    }
    model
}
