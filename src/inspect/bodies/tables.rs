//! Partition tables as they could be: valid ones of all kinds, in which single fields are set to values that mean
//! something elsewhere in the table, and entries are moved. What is listed of them can be held against
//! what another program lists.

use std::collections::BTreeMap;
use std::path::Path;

use super::edits::{Input, repair_gpt};
use super::{Deaf, Options, Report, Scratch, both_ways};
use crate::facts::{Code, Notebook};
use crate::formats::{self, Halt, MemoryImage, RawDisk};
use crate::guest;
use crate::inspect::examine;
use crate::rules::{Severity, row};

const SECTOR: u64 = 512;

/// A number on the disk.
#[derive(Clone, Copy)]
struct Field {
    at: u64,
    width: usize,
}

/// The sectors of a disk that are not zeros, and where the numbers are in them.
struct Draft {
    sectors: u64,
    written: BTreeMap<u64, [u8; SECTOR as usize]>,
    fields: Vec<Field>,
    /// Sectors that are boot records.
    records: Vec<u64>,
}

impl Draft {
    fn new(sectors: u64) -> Self {
        Draft { sectors, written: BTreeMap::new(), fields: Vec::new(), records: Vec::new() }
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let sector = self.written.entry(at / SECTOR).or_insert([0; SECTOR as usize]);
            sector[(at % SECTOR) as usize] = *byte;
        }
    }

    fn bytes(&self, at: u64, count: usize) -> Vec<u8> {
        let byte = |at: u64| {
            self.written.get(&(at / SECTOR)).map_or(0, |sector| sector[(at % SECTOR) as usize])
        };
        (at..).take(count).map(byte).collect()
    }

    fn number(&self, field: Field) -> u64 {
        let bytes = self.bytes(field.at, field.width);
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn set(&mut self, field: Field, number: u64) {
        self.write(field.at, &number.to_le_bytes()[..field.width]);
    }

    /// Writes numbers one after another, as fields of a table.
    fn put(&mut self, mut at: u64, numbers: &[(usize, u64)]) {
        for &(width, number) in numbers {
            let field = Field { at, width };
            self.set(field, number);
            self.fields.push(field);
            at += width as u64;
        }
    }

    /// An entry of a boot record.
    fn entry(&mut self, record: u64, slot: u64, (flag, kind, first, sectors): (u8, u8, u64, u64)) {
        let at = record * SECTOR + 446 + 16 * slot;
        self.put(at, &[(1, flag.into())]);
        self.put(at + 4, &[(1, kind.into())]);
        self.put(at + 8, &[(4, first), (4, sectors)]);
    }

    fn record(&mut self, sector: u64) {
        self.write(sector * SECTOR + 510, b"\x55\xaa");
        self.fields.push(Field { at: sector * SECTOR + 510, width: 2 });
        for slot in 0..4 {
            self.entry(sector, slot, (0, 0, 0, 0));
        }
        self.records.push(sector);
    }

    fn finish(self) -> MemoryImage<'static> {
        let mut image = MemoryImage::new(Vec::new());
        image.resize(self.sectors * SECTOR);
        for (sector, bytes) in self.written {
            image.patch(sector * SECTOR, bytes.to_vec());
        }
        image
    }
}

/// Types that partitions have, those of other tables among them.
const KINDS: [u8; 12] = [0x83, 0x83, 0x82, 0x8e, 0x0c, 0x07, 0xef, 0xfd, 0x01, 0x27, 0xda, 0x42];

/// Primary partitions, of which one may be extended and hold a chain.
fn mbr(draft: &mut Draft, input: &mut Input<'_>) {
    draft.record(0);
    let mut at = 1 + u64::from(input.byte() % 64);
    let extended = u64::from(input.byte() % 8);
    for slot in 0..u64::from(1 + input.byte() % 4) {
        let room = draft.sectors.saturating_sub(at) / 4;
        let len = (8 + input.number(2) % 2048).min(room);
        if len < 8 {
            break;
        }
        if slot == extended {
            let kind = [0x05, 0x0f, 0x85][usize::from(input.byte() % 3)];
            let len = len.max(room);
            draft.entry(0, slot, (0, kind, at, len));
            chain(draft, input, at, len);
            at += len;
            continue;
        }
        let kind = KINDS[usize::from(input.byte()) % (KINDS.len() - 1)];
        draft.entry(0, slot, (if slot == 0 { 0x80 } else { 0 }, kind, at, len));
        at += len + u64::from(input.byte() % 3);
    }
}

/// Logical partitions, in the order of the disk or in another one.
fn chain(draft: &mut Draft, input: &mut Input<'_>, first: u64, sectors: u64) {
    let most = if input.byte().is_multiple_of(16) { 255 } else { 6 };
    let count = u64::from(input.byte() % most).clamp(1, sectors / 4);
    let each = sectors / count;
    let turned = input.byte().is_multiple_of(4) && count > 2;
    // The first record is at the beginning in any case.
    let place = |index: u64| match (turned, index) {
        (false, _) | (_, 0) => first + index * each,
        _ => first + (count - index) * each,
    };
    for index in 0..count {
        let record = place(index);
        draft.record(record);
        draft.entry(record, 0, (0, 0x83, 1, each - 1));
        if index + 1 < count {
            draft.entry(record, 1, (0, 0x05, place(index + 1) - first, each));
        }
    }
}

/// Both copies of a GPT, with a protective MBR or a hybrid one.
fn gpt(draft: &mut Draft, input: &mut Input<'_>, hybrid: bool) {
    let last = draft.sectors - 1;
    let entries = match input.byte() % 16 {
        0 => 512,
        1 => 4 * u64::from(1 + input.byte() % 8),
        _ => 128,
    };
    let array = (entries * 128).div_ceil(SECTOR);
    let (first_usable, last_usable) = (2 + array, last - array - 1);
    draft.record(0);
    draft.entry(0, 0, (0, 0xee, 1, last));
    draft.write(446 + 1, &[0, 2, 0]);
    let disk_guid = [7; 16];
    for (mine, other, at) in [(1, last, 2), (last, 1, last - array)] {
        let header = mine * SECTOR;
        draft.write(header, b"EFI PART");
        draft.put(header + 8, &[(4, 0x1_0000), (4, 92)]);
        draft.put(header + 24, &[(8, mine), (8, other), (8, first_usable), (8, last_usable)]);
        draft.write(header + 56, &disk_guid);
        draft.put(header + 72, &[(8, at), (4, entries), (4, 128)]);
    }
    let mut from = first_usable;
    for index in 0..u64::from(input.byte() % 8) {
        let len = 1 + input.number(2) % 1024;
        if from + len > last_usable || index >= entries / 2 {
            break;
        }
        let number = match input.byte() % 32 {
            0 => entries - 1 - index,
            _ => index,
        };
        for at in [2, last - array] {
            let entry = at * SECTOR + number * 128;
            draft.write(entry, &[0xaf; 16]);
            draft.write(entry + 16, &u128::from(number + 1).to_le_bytes());
            draft.put(entry + 32, &[(8, from), (8, from + len - 1)]);
            draft.fields.push(Field { at: entry, width: 1 });
        }
        if hybrid && index < 3 {
            draft.entry(0, 1 + index, (0, 0x83, from, len));
        }
        from += len;
    }
}

/// What stands in the first sectors of other tables and of volumes.
fn mark(draft: &mut Draft, which: u8) {
    match which % 5 {
        0 => draft.write(0, b"\xeb\x3c\x90MSDOS5.0\0\x02\x04\x01\0\x02\0\x02\0\x10\xf8\x08\0"),
        1 => draft.write(0, &[0x0b, 0xe5, 0xa9, 0x41]),
        2 => draft.write(508, &[0xda, 0xbe]),
        3 => draft.write(0, &[0xc9, 0xc2, 0xd4, 0xc1]),
        _ => draft.write(3, b"NTFS    "),
    }
}

/// A value that would mean something in this table.
fn value(draft: &Draft, input: &mut Input<'_>, field: Field) -> u64 {
    let old = draft.number(field);
    let values = [
        0,
        1,
        2,
        old.wrapping_add(1),
        old.wrapping_sub(1),
        field.at / SECTOR,
        draft.sectors,
        draft.sectors - 1,
        draft.sectors + 1,
        u64::from(u32::MAX),
        u64::MAX,
        1 << 31,
        34,
        63,
        0x05,
        0x0f,
        0xee,
        0x83,
        0x80,
        128,
        256,
        512,
    ];
    match usize::from(input.byte()) {
        choice if choice < 120 => values[choice % values.len()],
        choice if choice < 200 => {
            let other = usize::from(input.byte()) << 4 ^ choice;
            draft.number(draft.fields[other % draft.fields.len()])
        }
        _ => input.number(3) % draft.sectors,
    }
}

/// Changes one thing.
fn change(draft: &mut Draft, input: &mut Input<'_>) {
    let kind = input.byte() % 32;
    match kind {
        // An entry moves to another place, or changes places with another one.
        0..=7 => {
            let mut place = || {
                let record = draft.records[usize::from(input.byte()) % draft.records.len()];
                record * SECTOR + 446 + 16 * u64::from(input.byte() % 4)
            };
            let (from, to) = (place(), place());
            let (old, new) = (draft.bytes(to, 16), draft.bytes(from, 16));
            draft.write(to, &new);
            if kind.is_multiple_of(2) {
                draft.write(from, &old);
            }
        }
        8 => mark(draft, input.byte()),
        9 => {
            let sectors = draft.sectors + u64::from(input.byte() % 128);
            draft.sectors = sectors - (u64::from(input.byte() % 128)).min(sectors - 64);
        }
        _ => {
            let field = draft.fields[input.number(2) as usize % draft.fields.len()];
            let value = value(draft, input, field);
            draft.set(field, value);
        }
    }
}

/// The disk that an input describes. Its second byte says how many changes are made to a table that is valid.
fn disk(input: &[u8]) -> MemoryImage<'static> {
    let mut input = Input::new(input);
    let (kind, changes) = (input.byte(), input.byte() % 5);
    let mut draft = Draft::new(1600 + input.number(2) % 8000);
    match kind % 8 {
        0..=3 => mbr(&mut draft, &mut input),
        4..=6 => gpt(&mut draft, &mut input, false),
        _ => gpt(&mut draft, &mut input, true),
    }
    for _ in 0..changes {
        change(&mut draft, &mut input);
    }
    let unrepaired = changes > 0 && input.byte().is_multiple_of(16);
    let mut disk = draft.finish();
    if !unrepaired {
        repair_gpt(&mut disk);
    }
    disk
}

/// Partition tables, as changes to valid ones.
pub fn partition_tables(input: &[u8]) {
    both_ways(&disk(input), |view, notebook| {
        let mut disk = RawDisk::new(view);
        let table = guest::examine(&mut disk, Code::RawNoPartitionTable, notebook)?;
        assert!(table.partitions.len() <= 255, "more partitions than Linux numbers");
        if table.unread.iter().any(|unread| unread.why == formats::Missing::Behind) {
            notebook.disk(Code::StructureNotExamined, 0, "behind");
        }
        view.size().map(drop)
    });
}

/// Number, first byte and size of a partition.
pub type Listed = (u32, u64, u64);

/// What two programs list of one disk.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Compared {
    /// What the check lists.
    pub ours: Vec<Listed>,
    /// What the other program lists.
    pub theirs: Vec<Listed>,
    /// What the check finds, and how much it weighs.
    pub findings: Vec<(&'static str, Severity)>,
    /// Whether the table is one that was not changed.
    pub valid: bool,
}

impl Compared {
    /// Whether the lists differ although the check warns of nothing, and nobody gave a reason for that.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let told = self.findings.iter().any(|(_, severity)| *severity >= Severity::Warn);
        self.ours != self.theirs && !told && self.reason().is_none()
    }

    /// Why the lists may differ with no more than a note. `docs/partition-tables.md` has these reasons too.
    fn reason(&self) -> Option<&'static str> {
        let noted = |code: Code| self.findings.iter().any(|(found, _)| *found == code.as_str());
        if noted(Code::MbrPartitionDivided) {
            return Some("partitions within a partition are not listed");
        }
        noted(Code::MbrExtendedUnusual).then_some(
            "new versions of libblkid stop where a chain goes back; Linux, sfdisk and parted go on",
        )
    }
}

/// Holds what a check lists of a partition table against what another program lists, which is given
/// the disk as a file. `None` if that one cannot be asked.
pub fn partition_tables_against(
    input: &[u8],
    other: impl FnOnce(&Path) -> Option<Vec<Listed>>,
) -> Option<Compared> {
    let disk = disk(input);
    let scratch = Scratch::new(&disk).expect("the folder for scratch files can be written");
    let theirs = other(&scratch.0)?;
    let notebook = Notebook::new(&|_| false, 1 << 40);
    let mut report = Report::new("-".as_ref(), &Options::default());
    match examine::image(
        &mut disk.clone(),
        None,
        &notebook,
        (&Options::default(), &Deaf),
        &mut report,
    ) {
        Ok(()) | Err(Halt::Stopped) => {}
        Err(Halt::Source(error)) => panic!("memory can be read: {error}"),
    }
    let table = report.partition_table.map_or(Vec::new(), |table| table.partitions);
    let severity = |code: Code| (code.as_str(), row(code).severity);
    Some(Compared {
        ours: table.iter().map(|p| (p.number, p.start, p.size)).collect(),
        theirs,
        findings: notebook.close().iter().map(|anomaly| severity(anomaly.code)).collect(),
        valid: input.get(1).is_none_or(|changes| changes % 5 == 0),
    })
}
