use super::model::{List, Model, Number, number, slice};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const HEADERS: [u64; 2] = [64 * KIB, 128 * KIB];
const TABLES: [u64; 2] = [192 * KIB, 256 * KIB];
const LOG_GUID: [u8; 16] = [7; 16];

/// Region GUIDs of BAT and metadata, and the parent locator's, as they are stored.
const BAT: [u8; 16] = *b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08";
const METADATA: [u8; 16] = *b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
const LOCATOR: [u8; 16] = *b"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c";

fn region(guid: [u8; 16], at: u64, len: u64, flags: u32) -> Vec<u8> {
    let (len, flags) = ((len as u32).to_le_bytes(), flags.to_le_bytes());
    [&guid[..], &at.to_le_bytes(), &len, &flags].concat()
}

fn item(guid: [u8; 16], at: u64, len: u32, flags: u32) -> Vec<u8> {
    let at = (at as u32).to_le_bytes();
    [&guid[..], &at, &len.to_le_bytes(), &flags.to_le_bytes(), &[0; 4]].concat()
}

/// An entry of a log, with one descriptor of this kind for this sequence number.
fn entry(len: u32, kind: &[u8; 4], sequence: u64, sealed: bool) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let mut put = |at: usize, with: &[u8]| bytes[at..at + with.len()].copy_from_slice(with);
    put(0, b"loge");
    put(8, &len.to_le_bytes());
    put(16, &3u64.to_le_bytes());
    put(24, &[1]);
    put(32, &LOG_GUID);
    put(64, kind);
    put(64 + 24, &sequence.to_le_bytes());
    put(4096, b"data");
    if sealed {
        let sum = crc32c::crc32c(&bytes[..(len as usize).clamp(4096, 8192)]);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// Region table, metadata table, log, BAT, the headers and tables as such, and whatever has a place.
pub(super) fn model(bytes: &[u8]) -> Model {
    let read = |at, width| number(bytes, Number::little(at, width));
    let (size, count) = (bytes.len() as u64, read(TABLES[0] + 8, 4).min(16));
    let (mut bat, mut metadata) = (0, 0);
    for at in (0..count).map(|index| TABLES[0] + 16 + 32 * index) {
        match slice(bytes, at, 16) {
            guid if guid == BAT => bat = read(at + 16, 8),
            guid if guid == METADATA => metadata = read(at + 16, 8),
            _ => {}
        }
    }
    let end = size.next_multiple_of(MIB);
    let mut templates: Vec<Vec<u8>> = (0..=end / MIB)
        .flat_map(|index| [(index, 0), (index, 1)])
        .map(|(index, flags)| region([9; 16], index * MIB, MIB, flags))
        .collect();
    templates.extend([
        region(BAT, bat, MIB, 1),
        region(METADATA, metadata, MIB, 1),
        region([9; 16], 0, 0, 0),
        region([9; 16], u64::MAX - MIB + 1, MIB, 0),
        region([9; 16], end, u64::from(u32::MAX) + 1 - MIB, 0),
    ]);
    let table = |copy: u64| List {
        room: 64 * KIB - 16,
        counts: vec![Number::little(copy + 8, 4)],
        templates: templates.clone(),
        ..List::table("region table", bytes, copy + 16, 32, count)
    };
    let both = List {
        copy: Some(TABLES[1] + 16),
        counts: TABLES.map(|table| Number::little(table + 8, 4)).to_vec(),
        harmless: vec![region([9; 16], end, MIB, 0)],
        harmless_room: Some((end, MIB)),
        ..table(TABLES[0])
    };
    let items = read(metadata + 10, 2).min(16);
    let item_list = List {
        room: 64 * KIB - 32,
        counts: vec![Number::little(metadata + 10, 2)],
        templates: vec![
            item(LOCATOR, 128 * KIB, 20, 4),
            item(LOCATOR, 0, 0, 0),
            item([9; 16], 128 * KIB, 20, 4),
            item([9; 16], 128 * KIB, 20, 0),
            item([9; 16], 0, 0, 1),
            item([9; 16], 100, 20, 0),
            item([9; 16], u64::from(u32::MAX), u32::MAX, 0),
        ],
        harmless: vec![item([9; 16], 0, 0, 0), item([9; 16], 128 * KIB, 20, 3)],
        ..List::table("metadata table", bytes, metadata + 32, 32, items)
    };
    let log = read(HEADERS[0] + 72, 8);
    let log_list = List {
        name: "log",
        at: log,
        room: MIB,
        templates: vec![
            entry(8192, b"desc", 3, true),
            entry(8192, b"zero", 3, true),
            entry(8192, b"desc", 3, false),
            entry(8192, b"desc", 4, false),
            entry(4096, b"zero", 3, true),
            entry(0, b"zero", 3, true),
            entry(12288, b"none", 3, false),
            vec![0; 4096],
        ],
        also: HEADERS.map(|header| (header + 48, LOG_GUID.to_vec())).to_vec(),
        ..List::default()
    };
    let blocks = List {
        room: MIB,
        templates: (0..=7).map(|state| ((end - MIB) | state).to_le_bytes().to_vec()).collect(),
        ..List::table("BAT", bytes, bat, 8, 24)
    };
    let copies = List {
        templates: vec![vec![0; 64 * KIB as usize]],
        ..List::table("headers", bytes, HEADERS[0], 64 * KIB, 4)
    };
    let lists = vec![both, table(TABLES[0]), table(TABLES[1]), item_list, log_list, blocks, copies];
    let mut model = Model { lists, pointers: Vec::new(), unit: MIB, sealed: true };
    let all = (u64::MAX, 1);
    for table in TABLES {
        for index in 0..count {
            let at = Number::little(table + 16 + 32 * index + 16, 8);
            model.point("a region's offset", at, all, MIB);
        }
    }
    for header in HEADERS {
        model.point("the log's offset", Number::little(header + 72, 8), all, MIB);
    }
    for at in (0..24).map(|index| bat + 8 * index).filter(|&at| read(at, 8) != 0) {
        model.point("a BAT entry", Number::little(at, 8), (!(MIB - 1), 1), MIB);
    }
    model
}
