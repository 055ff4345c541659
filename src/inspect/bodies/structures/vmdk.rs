use super::model::{List, Model, Number, number, slice};

const SECTOR: u64 = 512;

/// Lines of a descriptor.
const LINES: [&str; 26] = [
    "# a comment\n",
    "\n",
    "version=1\n",
    "version=4\n",
    "CID=fffffffe\n",
    "CID=\n",
    "CID=zzzzzzzz\n",
    "parentCID=ffffffff\n",
    "parentCID=12345678\n",
    "# parentCID=12345678\n",
    "parentFileNameHint=\"base.vmdk\"\n",
    "# parentFileNameHint=\"base.vmdk\"\n",
    "createType=\"monolithicSparse\"\n",
    "createType=\"streamOptimized\"\n",
    "createType=\"monolithicFlat\"\n",
    "createType=\"twoGbMaxExtentSparse\"\n",
    "createType=\"\"\n",
    "RW 16384 SPARSE \"x.vmdk\"\n",
    "RW 16384 FLAT \"/etc/hostname\" 0\n",
    "RW 16384 ZERO\n",
    "RDONLY 16384 SPARSE \"x.vmdk\"\n",
    "NOACCESS 16384 SPARSE \"x.vmdk\"\n",
    "RW 16384 SPARSE \"/dev/null\" 0 a b\n",
    "ddb.adapterType = \"ide\"\n",
    "ddb.uuid.parent=\"01234567-89ab-cdef-0123-456789abcdef\"\n",
    "changeTrackPath=\"x-ctk.vmdk\"\n",
];

fn marker(sectors: u64, size: u32, kind: u32) -> Vec<u8> {
    let mut bytes = [&sectors.to_le_bytes()[..], &size.to_le_bytes(), &kind.to_le_bytes()].concat();
    bytes.resize(SECTOR as usize, 0);
    bytes
}

/// Descriptor lines, grain directory and tables, the footer's sectors, and what leads to all of them.
pub(super) fn model(bytes: &[u8]) -> Model {
    let read = |at, width| number(bytes, Number::little(at, width));
    let size = bytes.len() as u64;
    let streamed = read(56, 8) == u64::MAX;
    let header = if streamed { size.saturating_sub(2 * SECTOR) } else { 0 };
    let place = |at| read(header + at, 8).saturating_mul(SECTOR);
    let (capacity, grain) = (read(12, 8), read(20, 8).max(1));
    let per_table = read(44, 4).max(1);
    let tables = capacity.div_ceil(grain.saturating_mul(per_table)).min(64);

    let (descriptor, room) =
        (read(28, 8).saturating_mul(SECTOR), read(36, 8).saturating_mul(SECTOR));
    let text = slice(bytes, descriptor, room);
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let records: Vec<Vec<u8>> =
        text.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    let lines = List {
        name: "descriptor",
        at: descriptor,
        room,
        length: text.len(),
        records,
        templates: LINES.map(|line| line.as_bytes().to_vec()).to_vec(),
        harmless: vec![b"# a comment\n".to_vec(), b"ddb.comment = \"x\"\n".to_vec()],
        ..List::default()
    };
    let mut model = Model { lists: Vec::new(), pointers: Vec::new(), unit: SECTOR, sealed: false };
    if room > 0 {
        model.lists.push(lines);
    }
    let entry = |value: u32| value.to_le_bytes().to_vec();
    let any = || [0, 1, 2, u32::MAX, (size / SECTOR) as u32].map(entry).to_vec();
    let all = (u64::MAX, SECTOR);
    for (name, at) in [("grain directory", place(56)), ("second grain directory", place(48))] {
        if at == 0 || at >= size {
            continue;
        }
        let list = List::table(name, bytes, at, 4, tables);
        model.lists.push(List { room: 4 * tables.next_multiple_of(128), templates: any(), ..list });
        for at in (0..tables).map(|index| at + 4 * index).filter(|&at| read(at, 4) != 0) {
            model.point("a grain directory entry", Number::little(at, 4), all, 4 * per_table);
        }
        let first = read(at, 4) * SECTOR;
        if first == 0 {
            continue;
        }
        let list = List::table("grain table", bytes, first, 4, per_table);
        model.lists.push(List { room: 4 * per_table, templates: any(), ..list });
        let grains = (0..per_table).map(|index| first + 4 * index).filter(|&at| read(at, 4) > 1);
        for at in grains.take(16) {
            model.point("a grain table entry", Number::little(at, 4), all, grain * SECTOR);
        }
    }
    for (name, at, len) in [
        ("the descriptor's offset", 28, room),
        ("the second grain directory's offset", 48, 4 * tables),
        ("the grain directory's offset", 56, 4 * tables),
        ("the overhead", 64, SECTOR),
    ] {
        for header in [0, header] {
            model.point(name, Number::little(header + at, 8), all, len);
        }
    }
    if streamed {
        let end = List {
            templates: vec![
                marker(1, 0, 3),
                marker(0, 0, 0),
                marker(0, 0, 4),
                marker(1, 0, 1),
                marker(0, 0, 9),
                vec![0; SECTOR as usize],
            ],
            to_the_end: true,
            ..List::table("footer", bytes, size.saturating_sub(3 * SECTOR), SECTOR, 3)
        };
        model.lists.push(end);
    }
    model
}
