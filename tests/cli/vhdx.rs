//! VHDX is opened as QEMU opens it: for each error exit on its way there is an image that takes it, which
//! `qemu-img` refuses and `tidegate check` refuses too. `docs/open-like-qemu.md` has the table.

use std::path::Path;
use std::process::Command;

use crate::common::{Scratch, codes, disk, qemu_img, report};

const KIB: usize = 1 << 10;

pub(crate) const MIB: usize = 1 << 20;

const HEADERS: [usize; 2] = [64 * KIB, 128 * KIB];

const TABLES: [usize; 2] = [192 * KIB, 256 * KIB];

pub(super) const BAT: &[u8; 16] =
    b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08";

const METADATA: &[u8; 16] = b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";

const LOCATOR: &[u8; 16] = b"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c";

pub(crate) const UNKNOWN: &[u8; 16] = &[9; 16];

/// An image that `qemu-img` made, with changes; checksums are right again when it is written.
#[derive(Clone)]
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    /// Structures whose checksum stays wrong.
    pub(super) unsealed: Vec<usize>,
    /// Bytes that the file has in all, holes included.
    pub(super) size: u64,
}

impl Image {
    pub(super) fn put(&mut self, at: usize, with: &[u8]) {
        let end = at + with.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.size = self.size.max(end as u64);
        }
        self.bytes[at..end].copy_from_slice(with);
    }

    pub(super) fn word(&self, at: usize) -> usize {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap()) as usize
    }

    pub(super) fn in_headers(&mut self, at: usize, with: &[u8]) {
        HEADERS.iter().for_each(|header| self.put(header + at, with));
    }

    pub(super) fn in_tables(&mut self, at: usize, with: &[u8]) {
        TABLES.iter().for_each(|table| self.put(table + at, with));
    }

    /// Where the entry of a region stands in both tables, and where the region is.
    pub(super) fn region(&self, guid: &[u8; 16]) -> (usize, usize) {
        let at = (16..).step_by(32).find(|at| &self.bytes[TABLES[0] + at..][..16] == guid).unwrap();
        (at, self.word(TABLES[0] + at + 16))
    }

    pub(super) fn add_region(&mut self, guid: &[u8; 16], at: usize, len: usize, flags: u32) {
        let count = self.word(TABLES[0] + 8);
        let place = 16 + 32 * count;
        self.in_tables(8, &(count as u32 + 1).to_le_bytes());
        self.in_tables(place, guid);
        self.in_tables(place + 16, &(at as u64).to_le_bytes());
        self.in_tables(place + 24, &(len as u32).to_le_bytes());
        self.in_tables(place + 28, &flags.to_le_bytes());
    }

    fn remove_region(&mut self, guid: &[u8; 16]) {
        let (at, _) = self.region(guid);
        let last = 16 + 32 * (self.word(TABLES[0] + 8) - 1);
        let entry = self.bytes[TABLES[0] + last..][..32].to_vec();
        self.in_tables(at, &entry);
        self.in_tables(8, &((last as u32 - 16) / 32).to_le_bytes());
    }

    fn metadata(&self) -> usize {
        self.region(METADATA).1
    }

    fn items(&self) -> usize {
        self.word(self.metadata() + 10) & 0xffff
    }

    pub(super) fn add_item(&mut self, guid: &[u8; 16], at: u32, len: u32, flags: u32) {
        let (metadata, count) = (self.metadata(), self.items());
        let place = metadata + 32 + 32 * count;
        self.put(metadata + 10, &(count as u16 + 1).to_le_bytes());
        self.put(place, guid);
        for (index, value) in [at, len, flags, 0].into_iter().enumerate() {
            self.put(place + 16 + 4 * index, &value.to_le_bytes());
        }
    }

    fn double_item(&mut self, index: usize) {
        let at = self.metadata() + 32 + 32 * index;
        let guid = self.bytes[at..at + 16].try_into().unwrap();
        self.add_item(&guid, self.word(at + 16) as u32, self.word(at + 20) as u32, 4);
    }

    fn remove_item(&mut self, index: usize) {
        let (metadata, count) = (self.metadata(), self.items());
        let last = self.bytes[metadata + 32 * count..][..32].to_vec();
        self.put(metadata + 32 + 32 * index, &last);
        self.put(metadata + 10, &(count as u16 - 1).to_le_bytes());
    }

    /// Where the value of the item is whose GUID begins with this number.
    fn value(&self, guid: usize) -> usize {
        let metadata = self.metadata();
        let mut entries = (0..self.items()).map(|index| metadata + 32 + 32 * index);
        metadata + self.word(entries.find(|&at| self.word(at) == guid).unwrap() + 16)
    }

    /// Where the entry of a block stands.
    pub(super) fn bat(&self, block: usize) -> usize {
        self.region(BAT).1 + 8 * block
    }

    fn entry(&mut self, block: usize, value: u64) {
        self.put(self.bat(block), &value.to_le_bytes());
    }

    fn log(&self) -> usize {
        self.word(HEADERS[0] + 72)
    }

    /// Puts an entry of this length into the log, with one descriptor.
    fn log_entry(&mut self, len: u32, kind: &[u8; 4], change: impl Fn(&mut [u8]), sealed: bool) {
        self.in_headers(48, &[7; 16]);
        let mut entry = vec![0; 8192];
        entry[..4].copy_from_slice(b"loge");
        entry[8..12].copy_from_slice(&len.to_le_bytes());
        entry[16] = 3;
        entry[24] = 1;
        entry[32..48].fill(7);
        entry[64..68].copy_from_slice(kind);
        entry[64 + 24] = 3;
        entry[4096..4100].copy_from_slice(b"data");
        change(&mut entry);
        if sealed {
            let sum = crc32c::crc32c(&entry[..(len as usize).clamp(4096, 8192)]);
            entry[4..8].copy_from_slice(&sum.to_le_bytes());
        }
        self.put(self.log(), &entry);
    }

    pub(super) fn write(&mut self, path: &Path) {
        let structures =
            HEADERS.map(|at| (at, 4 * KIB)).into_iter().chain(TABLES.map(|at| (at, 64 * KIB)));
        for (at, len) in
            structures.filter(|(at, _)| !self.unsealed.contains(at)).collect::<Vec<_>>()
        {
            self.put(at + 4, &[0; 4]);
            let sum = crc32c::crc32c(&self.bytes[at..at + len]);
            self.put(at + 4, &sum.to_le_bytes());
        }
        std::fs::write(path, &self.bytes).unwrap();
        std::fs::File::options().write(true).open(path).unwrap().set_len(self.size).unwrap();
    }
}

/// A way into an error exit, and what the image is refused for.
type Case = (&'static str, fn(&mut Image), &'static str);

const PARAMETERS: usize = 0xcaa1_6737;

const SIZE: usize = 0x2fa5_4224;

const LOGICAL: usize = 0x8141_bf1d;

const CASES: &[Case] = &[
    (
        "both headers without their checksum",
        |i| {
            i.in_headers(100, &[1]);
            i.unsealed = HEADERS.to_vec();
        },
        "vhdx-no-valid-header",
    ),
    ("both headers without their signature", |i| i.in_headers(0, b"hea_"), "vhdx-no-valid-header"),
    ("both headers of version 2", |i| i.in_headers(66, &[2]), "vhdx-version-unsupported"),
    (
        "two headers of one sequence number",
        |i| {
            i.in_headers(8, &9u64.to_le_bytes());
            i.put(HEADERS[1] + 20, &[1]);
        },
        "vhdx-headers-conflict",
    ),
    ("the log between two MiB", |i| i.in_headers(73, &[1]), "vhdx-log-invalid"),
    ("the log in the first MiB", |i| i.in_headers(72, &[0; 8]), "vhdx-log-invalid"),
    ("a log of version 1", |i| i.in_headers(64, &[1]), "vhdx-version-unsupported"),
    (
        "a log in use of half a MiB",
        |i| {
            i.in_headers(48, &[7; 16]);
            i.in_headers(68, &(512u32 << 10).to_le_bytes());
        },
        "vhdx-log-invalid",
    ),
    ("a log to replay", |i| i.log_entry(8192, b"desc", |_| {}, true), "vhdx-log-dirty"),
    ("a log to replay that zeros", |i| i.log_entry(4096, b"zero", |_| {}, true), "vhdx-log-dirty"),
    ("an entry without length", |i| i.log_entry(0, b"zero", |e| e[24] = 0, true), "vhdx-log-dirty"),
    ("a descriptor of no kind", |i| i.log_entry(8192, b"none", |_| {}, false), "vhdx-log-invalid"),
    (
        "a descriptor of another entry",
        |i| i.log_entry(8192, b"desc", |e| e[88] = 4, false),
        "vhdx-log-invalid",
    ),
    (
        "a descriptor of no sector",
        |i| i.log_entry(8192, b"desc", |e| e[80] = 1, false),
        "vhdx-log-invalid",
    ),
    (
        "zeros of no sector",
        |i| i.log_entry(8192, b"zero", |e| e[72] = 1, false),
        "vhdx-log-invalid",
    ),
    (
        "the first region table without its checksum",
        |i| {
            i.put(TABLES[0] + 60_000, &[1]);
            i.unsealed = vec![TABLES[0]];
        },
        "vhdx-first-region-table-damaged",
    ),
    (
        "the first region table without its signature",
        |i| i.put(TABLES[0], b"reg_"),
        "vhdx-first-region-table-damaged",
    ),
    ("2048 regions", |i| i.in_tables(8, &2048u32.to_le_bytes()), "vhdx-no-region-table"),
    (
        "a region over another",
        |i| i.add_region(UNKNOWN, i.metadata(), MIB, 0),
        "vhdx-region-invalid",
    ),
    ("a region over the log", |i| i.add_region(UNKNOWN, i.log(), MIB, 0), "vhdx-region-invalid"),
    (
        "a log without bytes within a region",
        |i| {
            let end = i.bytes.len();
            i.add_region(UNKNOWN, end, 2 * MIB, 0);
            i.put(end + 2 * MIB - 1, &[0]);
            i.in_headers(68, &[0; 4]);
            i.in_headers(72, &((end + MIB) as u64).to_le_bytes());
        },
        "vhdx-region-invalid",
    ),
    (
        "two BATs",
        |i| {
            let end = i.bytes.len();
            i.add_region(BAT, end, MIB, 1);
            i.put(end + MIB - 1, &[0]);
        },
        "vhdx-region-invalid",
    ),
    (
        "two metadata regions",
        |i| {
            let end = i.bytes.len();
            i.add_region(METADATA, end, MIB, 1);
            i.put(end + MIB - 1, &[0]);
        },
        "vhdx-region-invalid",
    ),
    (
        "an unknown region that is required",
        |i| {
            let end = i.bytes.len();
            i.add_region(UNKNOWN, end, MIB, 1);
            i.put(end + MIB - 1, &[0]);
        },
        "vhdx-region-unknown",
    ),
    ("no BAT", |i| i.remove_region(BAT), "vhdx-region-invalid"),
    ("no metadata region", |i| i.remove_region(METADATA), "vhdx-region-invalid"),
    ("no regions", |i| i.in_tables(8, &[0; 4]), "vhdx-region-invalid"),
    ("no metadata table", |i| i.put(i.metadata(), b"meta____"), "vhdx-metadata-invalid"),
    ("2048 items", |i| i.put(i.metadata() + 10, &2048u16.to_le_bytes()), "vhdx-metadata-invalid"),
    ("item 1 twice", |i| i.double_item(0), "vhdx-metadata-invalid"),
    ("item 2 twice", |i| i.double_item(1), "vhdx-metadata-invalid"),
    ("item 3 twice", |i| i.double_item(2), "vhdx-metadata-invalid"),
    ("item 4 twice", |i| i.double_item(3), "vhdx-metadata-invalid"),
    ("item 5 twice", |i| i.double_item(4), "vhdx-metadata-invalid"),
    ("item 1 missing", |i| i.remove_item(0), "vhdx-metadata-missing"),
    ("item 2 missing", |i| i.remove_item(1), "vhdx-metadata-missing"),
    ("item 3 missing", |i| i.remove_item(2), "vhdx-metadata-missing"),
    ("item 4 missing", |i| i.remove_item(3), "vhdx-metadata-missing"),
    ("item 5 missing", |i| i.remove_item(4), "vhdx-metadata-missing"),
    ("an unknown item that is required", |i| i.add_item(UNKNOWN, 0, 0, 4), "vhdx-metadata-unknown"),
    ("a parent locator without a parent", |i| i.add_item(LOCATOR, 128 << 10, 20, 4), "vhdx-parent"),
    ("an empty parent locator", |i| i.add_item(LOCATOR, 0, 0, 0), "vhdx-parent"),
    (
        "two parent locators",
        |i| {
            i.add_item(LOCATOR, 0, 0, 0);
            i.add_item(LOCATOR, 0, 0, 0);
        },
        "vhdx-metadata-invalid",
    ),
    ("a parent without a locator", |i| i.put(i.value(PARAMETERS) + 4, &[2]), "vhdx-parent"),
    (
        "a parent with its locator",
        |i| {
            i.put(i.value(PARAMETERS) + 4, &[2]);
            i.add_item(LOCATOR, 128 << 10, 20, 4);
        },
        "vhdx-parent",
    ),
    (
        "blocks of half a MiB",
        |i| i.put(i.value(PARAMETERS), &(512u32 << 10).to_le_bytes()),
        "vhdx-block-size-invalid",
    ),
    (
        "blocks of 512 MiB",
        |i| i.put(i.value(PARAMETERS), &(512u32 << 20).to_le_bytes()),
        "vhdx-block-size-invalid",
    ),
    (
        "blocks of 3 MiB",
        |i| i.put(i.value(PARAMETERS), &(3u32 << 20).to_le_bytes()),
        "vhdx-block-size-invalid",
    ),
    (
        "sectors of 4096 bytes",
        |i| i.put(i.value(LOGICAL), &4096u32.to_le_bytes()),
        "vhdx-sector-size",
    ),
    ("a disk without bytes", |i| i.put(i.value(SIZE), &[0; 8]), "disk-empty"),
    (
        "a BAT that is too small",
        |i| i.put(i.value(SIZE), &(160u64 << 37).to_le_bytes()),
        "vhdx-bat-invalid",
    ),
    (
        "a BAT of 2 GiB",
        |i| {
            let end = i.bytes.len();
            let (entry, bat) = i.region(BAT);
            let table = i.bytes[bat..bat + 4096].to_vec();
            i.in_tables(entry + 16, &(end as u64).to_le_bytes());
            i.in_tables(entry + 24, &(2u32 << 30).to_le_bytes());
            i.put(end, &table);
            i.size = (end + (2 << 30)) as u64;
        },
        "vhdx-bat-invalid",
    ),
    ("a block past all numbers", |i| i.entry(0, !0xf_ffff | 6), "image-offset-impossible"),
    (
        "a block past the end",
        |i| i.entry(3, (i.bytes.len() as u64 + 0xf_ffff) & !0xf_ffff | 6),
        "image-truncated",
    ),
    (
        "a block that is cut",
        |i| {
            // QEMU counts whole sectors.
            i.bytes.truncate(i.bytes.len() - 512);
            i.size -= 512;
        },
        "image-truncated",
    ),
    (
        "a last block that is cut, after a bitmap's entry",
        |i| {
            i.put(i.value(SIZE), &((4097u64 << 20) + 512).to_le_bytes());
            i.entry(4098, i.bytes.len() as u64 | 6);
            i.size += 512;
        },
        "image-truncated",
    ),
    ("a block over the BAT", |i| i.entry(3, i.region(BAT).1 as u64 | 6), "vhdx-bat-entry-invalid"),
    (
        "a block over the metadata",
        |i| i.entry(3, i.metadata() as u64 | 6),
        "vhdx-bat-entry-invalid",
    ),
    ("a block over the log", |i| i.entry(3, i.log() as u64 | 6), "vhdx-bat-entry-invalid"),
    (
        "an unknown region over a block",
        |i| i.add_region(UNKNOWN, i.word(i.bat(0)) & !0xf_ffff, MIB, 0),
        "vhdx-bat-entry-invalid",
    ),
    (
        "a log without bytes within a block",
        |i| {
            // Blocks of 2 MiB, the first of which begins a MiB before the log.
            let end = i.bytes.len();
            i.put(i.value(PARAMETERS), &(2u32 << 20).to_le_bytes());
            (0..4).for_each(|block| i.entry(block, 0));
            i.entry(0, end as u64 | 6);
            i.put(end + 2 * MIB - 1, &[0]);
            i.in_headers(68, &[0; 4]);
            i.in_headers(72, &((end + MIB) as u64).to_le_bytes());
        },
        "vhdx-bat-entry-invalid",
    ),
    ("a state that does not exist", |i| i.entry(0, 4), "vhdx-bat-entry-invalid"),
    ("a block that is partly in a parent", |i| i.put(i.bat(0), &[7]), "vhdx-bat-entry-invalid"),
];

pub(super) fn base(scratch: &Scratch) -> Option<Image> {
    let (raw, path) = (scratch.write("raw", &disk()), scratch.path("base.vhdx"));
    let options = ["convert", "-f", "raw", "-O", "vhdx", "-o", "block_size=1M,log_size=1M"];
    let made = qemu_img(&options, &[&raw, &path])?;
    assert!(made.status.success());
    let bytes = std::fs::read(path).unwrap();
    Some(Image { size: bytes.len() as u64, bytes, unsealed: Vec::new() })
}

#[test]
fn each_error_exit_of_qemu_is_a_reason_to_refuse() {
    let scratch = Scratch::new();
    let Some(base) = base(&scratch) else { return };
    let path = scratch.path("case.vhdx");
    base.clone().write(&path);
    assert_eq!(report(&[path.as_os_str()]).1["findings"], serde_json::json!([]));
    let mut wrong = Vec::new();
    for (name, change, expected) in CASES {
        let mut image = base.clone();
        change(&mut image);
        image.write(&path);
        let opened = |arguments: &[&str]| {
            let out = scratch.path("out");
            let outs: &[_] = if arguments[0] == "convert" { &[&path, &out] } else { &[&path] };
            let done = Command::new("qemu-img").args(arguments).args(outs).output().unwrap();
            done.status.success()
        };
        let accepted =
            opened(&["info", "-f", "vhdx"]) && opened(&["convert", "-f", "vhdx", "-O", "raw"]);
        let (code, found) = report(&[path.as_os_str()]);
        if accepted || code != 1 || !codes(&found).contains(expected) {
            wrong.push(format!(
                "{name}: qemu-img takes it: {accepted}; {expected}: {:?}",
                codes(&found)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
