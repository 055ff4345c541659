//! VMDK images in the shapes that VMware, VirtualBox and QEMU give them, and what attackers make of them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::*;
use serde_json::Value;

const SECTOR: usize = 512;
const GRAIN: usize = 64 << 10;
/// Sectors before the first grain.
const OVERHEAD: usize = 128;

/// Sectors of a disk of [`DISK`] bytes.
const CAPACITY: u64 = DISK / 512;

fn descriptor(kind: &str, sectors: u64) -> String {
    format!(
        "# Disk DescriptorFile\nversion=1\nCID=7b2c41e5\nparentCID=ffffffff\ncreateType=\"{kind}\"\n\n# Extent description\nRW {sectors} SPARSE \"disk.vmdk\"\n\n#DDB\nddb.adapterType = \"lsilogic\"\n"
    )
}

fn header(flags: u32, directory: u64, compression: u16) -> Vec<u8> {
    let mut header = b"KDMV".to_vec();
    header.extend([if compression == 1 { 3u32 } else { 1 }, flags].map(u32::to_le_bytes).concat());
    header.extend([CAPACITY, (GRAIN / SECTOR) as u64, 1, 20].map(u64::to_le_bytes).concat());
    header.extend(512u32.to_le_bytes());
    header.extend([0, directory, OVERHEAD as u64].map(u64::to_le_bytes).concat());
    header.extend(b"\0\n \r\n");
    header.extend(compression.to_le_bytes());
    header.resize(SECTOR, 0);
    header
}

pub(super) fn marker(sectors: u64, kind: u32) -> Vec<u8> {
    let mut marker = [&sectors.to_le_bytes()[..], &[0; 4], &kind.to_le_bytes()].concat();
    marker.resize(SECTOR, 0);
    marker
}

/// An image, and the offsets of its grains in the order of the disk.
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    grains: Vec<(usize, usize)>,
    /// Image offset of the grain table.
    table: usize,
}

impl Image {
    fn described(mut self, text: &str) -> Image {
        self.bytes[SECTOR..21 * SECTOR].fill(0);
        self.bytes[SECTOR..SECTOR + text.len()].copy_from_slice(text.as_bytes());
        self
    }

    /// The descriptor.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes[SECTOR..21 * SECTOR]);
        text.trim_end_matches('\0').to_owned()
    }

    /// With another text in the place of one that the descriptor has.
    pub(super) fn with(mut self, from: &str, to: &str) -> Image {
        let text = self.text();
        assert!(text.contains(from), "{from}");
        self = self.described(&text.replace(from, to));
        self
    }

    /// A sparse image with more before its first grain.
    pub(super) fn later(mut self, bytes: &[u8]) -> Image {
        let begin = OVERHEAD * SECTOR;
        let by = (bytes.len() / SECTOR) as u32;
        let entries = self.bytes[self.table..self.table + 2048].chunks_exact_mut(4);
        for entry in entries {
            let sector = u32::from_le_bytes(entry.try_into().unwrap());
            entry.copy_from_slice(&(sector + if sector > 0 { by } else { 0 }).to_le_bytes());
        }
        self.bytes.splice(begin..begin, bytes.iter().copied());
        let overhead = (OVERHEAD as u64 + u64::from(by)).to_le_bytes();
        self.patched(64, &overhead)
    }

    pub(super) fn patched(mut self, at: usize, bytes: &[u8]) -> Image {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
}

/// The stream that VMware and VirtualBox write: grains, the table, the directory, the footer. `order`
/// sorts the grains, and `between` goes between grains and table.
pub(super) fn stream_of(disk: &[u8], order: impl Fn(&mut Vec<usize>), between: &[u8]) -> Image {
    let mut bytes = header(0x3_0001, u64::MAX, 1);
    bytes.resize(OVERHEAD * SECTOR, 0);
    let pieces: Vec<&[u8]> = disk.chunks(GRAIN).collect();
    let mut used: Vec<usize> =
        (0..pieces.len()).filter(|n| pieces[*n].iter().any(|b| *b != 0)).collect();
    order(&mut used);
    let mut table = vec![0u32; 512];
    let mut grains = vec![(0, 0); pieces.len()];
    for n in used {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(pieces[n]).unwrap();
        let packed = zlib.finish().unwrap();
        table[n] = (bytes.len() / SECTOR) as u32;
        grains[n] = (bytes.len() + 12, packed.len());
        bytes.extend(((n * GRAIN / SECTOR) as u64).to_le_bytes());
        bytes.extend((packed.len() as u32).to_le_bytes());
        bytes.extend(packed);
        bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    }
    bytes.extend(between);
    bytes.extend(marker(4, 1));
    let at = bytes.len();
    bytes.extend(table.iter().flat_map(|sector| sector.to_le_bytes()));
    bytes.extend(marker(1, 2));
    let directory = bytes.len();
    bytes.extend(((at / SECTOR) as u32).to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    bytes.extend(marker(1, 3));
    bytes.extend(header(0x3_0001, (directory / SECTOR) as u64, 1));
    bytes.extend(marker(0, 0));
    Image { bytes, grains, table: at }.described(&descriptor("streamOptimized", CAPACITY))
}

/// A disk of which ten grains are noise.
pub(super) fn noisy() -> Vec<u8> {
    let mut disk = disk();
    let mut state = 88172645463325252u64;
    for byte in &mut disk[1 << 20..(1 << 20) + 10 * GRAIN] {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state as u8;
    }
    disk
}

pub(super) fn stream() -> Image {
    stream_of(&noisy(), |_| {}, &[])
}

/// The monolithicSparse image that everybody writes.
pub(super) fn sparse() -> Image {
    let mut bytes = header(1, 21, 0);
    bytes.resize(OVERHEAD * SECTOR, 0);
    bytes[21 * SECTOR] = 22;
    let table = 22 * SECTOR;
    let mut grains = Vec::new();
    for (n, piece) in noisy().chunks(GRAIN).enumerate() {
        if piece.iter().any(|b| *b != 0) {
            let sector = (bytes.len() / SECTOR) as u32;
            bytes[table + 4 * n..table + 4 * n + 4].copy_from_slice(&sector.to_le_bytes());
            grains.push((bytes.len(), GRAIN));
            bytes.extend(piece);
        }
    }
    Image { bytes, grains, table }.described(&descriptor("monolithicSparse", CAPACITY))
}

/// Exit code and codes of a check of these bytes as a file.
pub(super) fn told(image: &Image) -> (i32, Vec<String>) {
    let scratch = Scratch::new();
    let (code, report) = report(&[scratch.write("disk.vmdk", &image.bytes)]);
    (code, codes(&report).into_iter().map(str::to_owned).collect())
}

/// The same as a file, packed, and through a pipe.
pub(super) fn everywhere(image: &Image) -> [(i32, Vec<String>); 4] {
    let scratch = Scratch::new();
    let owned = |(code, report): (i32, Value)| {
        (code, codes(&report).into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let through = |bytes: &[u8]| {
        let output = piped(&["--format", "json", "-"], bytes);
        owned((exit_code(&output), images(&output).remove(0)))
    };
    [
        owned(report(&[scratch.write("disk.vmdk", &image.bytes)])),
        owned(report(&[scratch.write("disk.vmdk.gz", &gzip(&image.bytes))])),
        through(&image.bytes),
        through(&bzip2(&image.bytes)),
    ]
}

fn state(report: &Value, id: &str) -> Option<String> {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == id)?;
    Some(check["state"].as_str().unwrap().to_owned())
}

#[test]
fn good_images_are_accepted_wherever_they_come_from() {
    for image in [stream(), sparse()] {
        for told in everywhere(&image) {
            assert_eq!(told, (0, vec![]));
        }
    }
}

/// QEMU leaves zeros behind the last grain if it wrote that in parts.
#[test]
fn zeros_in_the_place_of_the_last_grain_are_no_bytes_behind_the_image() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/gpt.stream.vmdk");
    let mut bytes = std::fs::read(path).unwrap();
    let scratch = Scratch::new();
    let told = |bytes: &[u8]| {
        let (code, report) = report(&[scratch.write("disk.vmdk", bytes)]);
        (code, codes(&report).into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(told(&bytes), (0, vec![]));
    let last = bytes.len() - 1;
    bytes[last] = 1;
    assert_eq!(told(&bytes), (0, vec!["vmdk-bytes-behind".to_owned()]));
    bytes[last] = 0;
    bytes.extend([0; 512]);
    assert_eq!(told(&bytes), (0, vec![]));
}

#[test]
fn grains_of_a_stream_are_unpacked_as_they_pass() {
    let scratch = Scratch::new();
    let good = stream();
    let (code, read) = report(&[scratch.write("good.vmdk.gz", &gzip(&good.bytes))]);
    assert_eq!((code, state(&read, "packed-data").as_deref()), (0, Some("done")));
    assert_eq!(read["scans"], 1, "one pass");
    // A grain in the middle, and the last one.
    for n in [20, 63] {
        let (at, len) = stream().grains[n];
        let damaged = stream().patched(at + len / 2, &[0x55; 40]);
        for (code, codes) in everywhere(&damaged) {
            assert_eq!(
                (code, codes.as_slice()),
                (1, &["vmdk-grain-damaged".to_owned()][..]),
                "{n}"
            );
        }
    }
    // A grain that unpacks to less than the disk has there.
    let short = {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&[7; GRAIN - 1]).unwrap();
        zlib.finish().unwrap()
    };
    let (at, len) = stream().grains[20];
    let mut bytes = short.clone();
    bytes.resize(len, 0);
    let image = stream().patched(at, &bytes);
    let image = image.patched(at - 4, &(short.len() as u32).to_le_bytes());
    for (code, codes) in everywhere(&image) {
        assert!(code == 1 && codes.contains(&"vmdk-markers-mismatch".to_owned()), "{codes:?}");
    }
}

#[test]
fn what_the_format_does_not_have_is_refused() {
    for make in [stream, sparse] {
        for grain in [1u64, 2, 4, 8] {
            let (code, codes) = told(&make().patched(20, &grain.to_le_bytes()));
            assert!(code == 1 && codes.contains(&"vmdk-grain-size-invalid".to_owned()), "{grain}");
        }
        for entries in [1u32, 2, 4, 8, 16, 32, 256, 1024] {
            let (code, codes) = told(&make().patched(44, &entries.to_le_bytes()));
            assert!(code == 1 && codes.contains(&"vmdk-grain-table-invalid".to_owned()));
        }
        // The format has these, but the image was not written with them.
        for grain in [16u64, 32, 64] {
            let (code, codes) = told(&make().patched(20, &grain.to_le_bytes()));
            let unused = codes.contains(&"vmdk-space-unused".to_owned());
            assert!(code == 1 || unused, "{grain}: {code} {codes:?}");
        }
    }
}

#[test]
fn space_that_no_table_names_is_told() {
    // A whole run of entries is lost.
    let image = sparse();
    let table = image.table + 4 * 16;
    let (code, codes) = told(&image.patched(table, &[0; 20]));
    assert_eq!((code, codes), (0, vec!["vmdk-space-unused".to_owned()]));
}

/// QEMU writes a new CID without leading zeros over one of eight digits, in one image of sixteen.
#[test]
fn what_qemu_leaves_behind_a_shorter_descriptor_is_nothing() {
    let text = sparse().text();
    for digits in ["7b2c41e", "7b2c41", "7"] {
        let shorter = text.replacen("CID=7b2c41e5", &format!("CID={digits}"), 1);
        let mut written = text.clone().into_bytes();
        written[..shorter.len()].copy_from_slice(shorter.as_bytes());
        written[shorter.len()] = 0;
        assert_eq!(told(&sparse().patched(SECTOR, &written)), (0, vec![]), "{digits}");
    }
    let odd = sparse().patched(SECTOR + text.len() + 1, b"odd");
    assert_eq!(told(&odd), (0, vec!["vmdk-space-unused".to_owned()]));
}

#[test]
fn many_small_grains_take_little_memory() {
    use std::os::unix::fs::FileExt;
    // 97 GB of grains of 8 KiB, all of them somewhere.
    const SECTORS: u64 = 190_000_000;
    let image = sparse().with("8192 SPARSE", "190000000 SPARSE");
    let image = image.patched(12, &SECTORS.to_le_bytes()).patched(20, &16u64.to_le_bytes());
    let image = image.patched(64, &(1u64 << 20).to_le_bytes());
    let image = image.patched(56, &128u64.to_le_bytes());
    let scratch = Scratch::new();
    let path = scratch.write("disk.vmdk", &image.bytes[..OVERHEAD * SECTOR]);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let tables = SECTORS.div_ceil(16 * 512) as u32;
    let directory: Vec<u8> = (0..tables).flat_map(|n| (1024 + n * 4).to_le_bytes()).collect();
    file.write_all_at(&directory, 128 * 512).unwrap();
    let mut sector = 1u32 << 20;
    for n in 0..tables {
        let mut table = Vec::new();
        for _ in 0..512 {
            table.extend(sector.to_le_bytes());
            sector += 16;
        }
        file.write_all_at(&table, (1024 + u64::from(n) * 4) * 512).unwrap();
    }
    file.set_len(u64::from(sector) * 512).unwrap();
    let (_, peak) = crate::limits::watched(&["--quick".as_ref(), path.as_os_str()]);
    assert!(peak < 64 << 10, "{peak} kB");
}

#[test]
fn each_way_to_name_a_parent_is_refused() {
    let uuid = "ddb.uuid.parent=\"6fbd2c41-0001-4c3c-8000-0123456789ab\"";
    let lines = [uuid, "parentFileNameHint=\"base.vmdk\"", "# parentFileNameHint"];
    for line in lines {
        let (code, codes) = told(&sparse().with("#DDB\n", &format!("#DDB\n{line}\n")));
        assert_eq!((code, codes.first().map(String::as_str)), (1, Some("vmdk-parent")), "{line}");
    }
    let zeros = "#DDB\nddb.uuid.parent=\"00000000-0000-0000-0000-000000000000\"\n";
    assert_eq!(told(&sparse().with("#DDB\n", zeros)), (0, vec![]));
}

#[test]
fn progress_markers_are_skipped_and_unknown_ones_are_not() {
    let marks = |kind, sectors: u64| {
        let mut marks = Vec::new();
        for _ in 0..4 {
            marks.extend(marker(sectors, kind));
            marks.resize(marks.len() + sectors as usize * SECTOR, 0);
        }
        stream_of(&noisy(), |_| {}, &marks)
    };
    let mismatch = vec!["vmdk-markers-mismatch".to_owned(); 4];
    for (sectors, expected) in [(0, (0, vec![])), (3, (1, mismatch))] {
        // VMware's reader goes on behind the marker, whatever that announces.
        for told in everywhere(&marks(4, sectors)) {
            assert_eq!(told, expected, "{sectors}");
        }
        let (code, codes) = told(&marks(5, sectors));
        assert!(code == 1 && codes.contains(&"vmdk-markers-mismatch".to_owned()), "{codes:?}");
    }
}

#[test]
fn grains_out_of_order_are_one_warning() {
    let image = stream_of(&noisy(), |order| order.reverse(), &[]);
    for told in everywhere(&image) {
        assert_eq!(told, (0, vec!["vmdk-grains-unordered".to_owned()]));
    }
}

/// As mkimg of FreeBSD writes all of its images.
#[test]
fn the_extent_may_have_no_name() {
    for image in [sparse(), stream()] {
        let image = image.with("\"disk.vmdk\"", "\"\"");
        for found in everywhere(&image) {
            assert_eq!(found, (0, vec![]));
        }
    }
}

#[test]
fn extent_lines_may_have_more_fields() {
    let image = sparse().with("\"disk.vmdk\"", "\"disk.vmdk\" 0 0a1b2c3d-uuid dev0");
    assert_eq!(told(&image), (0, vec![]));
    let image = sparse().with("\"disk.vmdk\"", "disk.vmdk");
    assert_eq!(told(&image), (1, vec!["vmdk-extent-line-invalid".to_owned()]));
    let image = sparse().with("\"disk.vmdk\"", "\"/etc/hostname\"");
    assert_eq!(told(&image), (1, vec!["vmdk-extents-invalid".to_owned()]));
}

#[test]
fn the_header_may_round_the_size_up_to_a_grain() {
    let sizes = |sectors: u64| {
        let line = format!("RW {sectors} SPARSE");
        told(&sparse().with(&format!("RW {CAPACITY} SPARSE"), &line))
    };
    assert_eq!(sizes(CAPACITY - 121), (0, vec!["vmdk-size-rounded".to_owned()]));
    assert_eq!(sizes(CAPACITY - 128), (1, vec!["vmdk-descriptor-mismatch".to_owned()]));
    assert_eq!(sizes(CAPACITY + 1), (1, vec!["vmdk-descriptor-mismatch".to_owned()]));
}

#[test]
fn what_follows_the_end_is_told() {
    let mut state = 1u32;
    let noise: Vec<u8> = (0..5000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 | 1
        })
        .collect();
    let zip = [b"PK\x03\x04".as_slice(), &[20; 60]].concat();
    let behind: [(&[u8], &str); 5] = [
        (&noise, "begin with"),
        (&zip, "zip"),
        (&sparse().bytes, "vmdk"),
        (&[0; 64 << 10], "zeros"),
        (&[0xf1; 3], "xf1"),
    ];
    for (bytes, named) in behind {
        for (make, code, finding) in
            [(sparse as fn() -> Image, 0, "vmdk-bytes-behind"), (stream, 1, "vmdk-trailing-bytes")]
        {
            // Zeros keep QEMU from finding the footer, and are nothing where there is none.
            if code == 0 && named == "zeros" {
                continue;
            }
            let mut image = make();
            image.bytes.extend(bytes);
            let scratch = Scratch::new();
            for path in [
                scratch.write("disk.vmdk", &image.bytes),
                scratch.write("disk.vmdk.gz", &gzip(&image.bytes)),
            ] {
                let (exit, report) = report(&[path]);
                assert_eq!((exit, codes(&report)), (code, vec![finding]), "{named}");
                let said = report["findings"][0]["message"].as_str().unwrap();
                assert!(said.contains(named), "{said}");
                assert!(said.contains(&bytes.len().to_string()), "{said}");
            }
        }
    }
}

/// Whether the oracle is there. Without it a test has nothing to say, which is not good enough for CI.
fn have_qemu() -> bool {
    let have = Command::new("qemu-img").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !have {
        assert!(std::env::var_os("CI").is_none(), "qemu-img is missing; CI has to have it");
        let _ = writeln!(std::io::stderr(), "SKIPPED: qemu-img is missing (Debian: qemu-utils)");
    }
    have
}

/// Whether `qemu-img` checks the image and reads all of it.
fn qemu_reads(path: &Path, raw: &Path) -> bool {
    let run = |arguments: &[&str], more: &[&Path]| {
        let mut command = Command::new("qemu-img");
        command.args(arguments).args(more).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    };
    run(&["check", "-f", "vmdk"], &[path])
        && run(&["convert", "-f", "vmdk", "-O", "raw"], &[path, raw])
}

/// Images that QEMU refuses, one for each error on its way to open one: docs/open-like-qemu.md has the
/// table.
fn refused_by_qemu() -> Vec<(&'static str, Image)> {
    let u32s = |at, value: u32| sparse().patched(at, &value.to_le_bytes());
    let u64s = |at, value: u64| sparse().patched(at, &value.to_le_bytes());
    let stream_len = stream().bytes.len();
    let footer = |at: usize, bytes: &[u8]| stream().patched(stream_len - 1536 + at, bytes);
    let text = |from: &str, to: &str| sparse().with(from, to);
    let cut = |mut image: Image, len: usize| {
        image.bytes.truncate(len);
        image
    };
    let grown = |mut image: Image, by: usize| {
        image.bytes.resize(image.bytes.len() + by, 0);
        image
    };
    let moved = |by: usize| {
        let filler = " ".repeat(by);
        sparse().patched(36, &40u64.to_le_bytes()).with("parentCID", &format!("{filler}parentCID"))
    };
    let (grain, len) = stream().grains[20];
    let mut all = vec![
        ("magic", sparse().patched(0, b"KDMX")),
        ("too short", cut(sparse(), 60)),
        ("capacity 0 with a descriptor", u64s(12, 0)),
        ("version 4", u32s(4, 4)),
        ("version 4 in the footer", footer(512 + 4, &[4])),
        ("513 entries in a table", u32s(44, 513)),
        ("0 entries in a table", u32s(44, 0)),
        ("0 sectors in a grain", u64s(20, 0)),
        ("grains over 1 GiB", u64s(20, 1 << 22)),
        ("more tables than 32 Mi", u64s(12, 1 << 43)),
        ("shorter than its overhead", u64s(64, 1 << 20)),
        ("directory past what a number can say", u64s(56, 1 << 54)),
        ("footer: no magic", footer(512, b"XXXX")),
        ("footer: its marker has a size", footer(8, &[1])),
        ("footer: its marker is of another kind", footer(12, &[2])),
        ("footer: no end of stream", footer(1024, &[1])),
        ("footer: end of stream with a size", footer(1024 + 8, &[1])),
        ("footer: end of stream of another kind", footer(1024 + 12, &[1])),
        ("footer: bytes behind it", grown(stream(), 512)),
        ("footer: cut", cut(stream(), stream_len - 1024)),
        ("footer: without a grain size", footer(512 + 20, &[0; 8])),
        ("parent hint without an end", text("#DDB", "#parentFileNameHint=\"x")),
        ("parent hint that is too long", {
            text("#DDB", &format!("#parentFileNameHint=\"{}\"", "x".repeat(1100)))
        }),
        ("parent that is missing", text("#DDB", "parentFileNameHint=\"none.vmdk\"")),
        ("no CID", text("CID=", "cid=")),
        ("CID empty", text("CID=7b2c41e5\n", "CID=\n")),
        ("CID is no number", text("CID=7b2c41e5", "CID=xyz")),
        ("CID with space before the equals sign", text("\nCID=", "\nCID =")),
        ("first CID in a comment", text("version=1", "# the CID says\nversion=1")),
        ("no parentCID", text("parentCID=ffffffff\n", "")),
        ("parentCID misspelt", text("parentCID", "parentCid")),
        ("parentCID is no number", text("parentCID=ffffffff", "parentCID=none")),
        ("first parentCID in a comment", text("version=1", "# no parentCID?\nversion=1")),
        ("parentCID behind a NUL", text("parentCID", "\0parentCID")),
        ("parentCID behind 20 sectors", moved(20 * 512)),
        ("table entry behind the end", sparse().patched(22 * 512 + 64, &[0, 0, 0, 1])),
        ("grain without packed bytes", stream().patched(grain - 4, &[0; 4])),
        ("grain of more than two", stream().patched(grain - 4, &0x2_0001u32.to_le_bytes())),
        ("grain damaged", stream().patched(grain + len / 2, &[0x55; 30])),
        ("grain cut", stream().patched(grain - 4, &(len as u32 / 2).to_le_bytes())),
    ];
    // With nothing behind the magic there is no header.
    all.push(("nothing but the magic", cut(sparse(), 4)));
    all
}

#[test]
fn what_qemu_refuses_to_open_is_refused() {
    let scratch = Scratch::new();
    let have_qemu = have_qemu();
    let raw = scratch.path("raw");
    for (number, (what, image)) in refused_by_qemu().into_iter().enumerate() {
        let path = scratch.write(format!("{number}.vmdk"), &image.bytes);
        if have_qemu {
            assert!(!qemu_reads(&path, &raw), "qemu-img reads it: {what}");
        }
        let (code, report) = report(&[&path]);
        assert_eq!(code, 1, "{what}: {:?}", codes(&report));
    }
    for (number, image) in [sparse(), stream()].into_iter().enumerate() {
        let path = scratch.write(format!("good-{number}.vmdk"), &image.bytes);
        assert!(!have_qemu || qemu_reads(&path, &raw));
    }
}

/// Lines, sectors and markers that are taken out, doubled or moved: nothing is reported by qemu-img alone.
#[test]
fn structures_that_are_taken_out_or_doubled_are_not_reported_by_qemu_alone() {
    if !have_qemu() {
        return;
    }
    let scratch = Scratch::new();
    let raw = scratch.path("raw");
    let mut tried = 0;
    let mut hold = |what: &str, image: &Image| {
        tried += 1;
        let path = scratch.write("disk.vmdk", &image.bytes);
        let (code, report) = report(&[&path]);
        if code == 0 {
            assert!(qemu_reads(&path, &raw), "qemu-img alone refuses: {what} {:?}", codes(&report));
        }
    };
    let text = descriptor("monolithicSparse", CAPACITY);
    let lines: Vec<&str> = text.lines().collect();
    for n in 0..lines.len() {
        let mut without = lines.clone();
        let line = without.remove(n);
        hold(&format!("without {line:?}"), &sparse().described(&(without.join("\n") + "\n")));
        for to in [0, 3, without.len()] {
            let mut moved = without.clone();
            moved.insert(to, line);
            hold(
                &format!("{line:?} as line {to}"),
                &sparse().described(&(moved.join("\n") + "\n")),
            );
        }
        let mut doubled = lines.clone();
        doubled.insert(n, line);
        hold(&format!("{line:?} twice"), &sparse().described(&(doubled.join("\n") + "\n")));
        let mut noted = lines.clone();
        let comment = format!("# {line}");
        noted[n] = &comment;
        hold(&format!("{line:?} as comment"), &sparse().described(&(noted.join("\n") + "\n")));
    }
    // Whole sectors of the metadata at the end of a stream.
    let good = stream();
    let first = good.table / SECTOR - 1;
    let count = good.bytes.len() / SECTOR;
    for sector in first..count {
        let at = sector * SECTOR;
        let mut without = stream();
        without.bytes.drain(at..at + SECTOR);
        hold(&format!("without sector {}", sector - first), &without);
        let mut doubled = stream();
        let copy = doubled.bytes[at..at + SECTOR].to_vec();
        doubled.bytes.splice(at..at, copy);
        hold(&format!("sector {} twice", sector - first), &doubled);
        let mut inserted = stream();
        inserted.bytes.splice(at..at, marker(0, (sector % 6) as u32));
        hold(&format!("a marker before sector {}", sector - first), &inserted);
    }
    assert!(tried > 90, "{tried}");
}

#[test]
fn a_mark_of_the_end_before_grains_is_said() {
    let scratch = Scratch::new();
    let mut raw = disk();
    // Both ends have a GPT.
    let between = raw.len() - GRAIN;
    raw[GRAIN..between].iter_mut().zip(0u32..).for_each(|(byte, at)| *byte = (at / 7) as u8);
    let (source, path) = (scratch.write("source.raw", &raw), scratch.path("end.vmdk"));
    let options = ["convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"];
    let Some(made) = qemu_img(&options, &[&source, &path]) else { return };
    assert!(made.status.success());
    let whole = std::fs::read(&path).unwrap();
    let word = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    // Both directories have one table.
    let tables = [48, 56].map(|at| word(word(at) * SECTOR) * SECTOR);
    let cut = word(tables[0] + 4 * 30);
    // The grains from the thirtieth on stand behind what is put in.
    let with = |between: &[u8]| {
        let mut bytes = whole.clone();
        for entry in tables.into_iter().flat_map(|table| (table..).step_by(4).take(512)) {
            let sector = word(entry);
            if sector >= cut {
                let moved = (sector + between.len() / SECTOR) as u32;
                bytes[entry..entry + 4].copy_from_slice(&moved.to_le_bytes());
            }
        }
        bytes.splice(cut * SECTOR..cut * SECTOR, between.iter().copied());
        bytes
    };
    let footer = [marker(1, 3), header(0x30001, 0, 1), vec![0; SECTOR]].concat();
    let unordered = "vmdk-grains-unordered";
    for (between, expected) in [
        (vec![], vec![]),
        (vec![0; SECTOR], vec![unordered]),
        (vec![0; 9 * SECTOR], vec![unordered]),
        (footer, vec![unordered]),
        ([vec![0; SECTOR], vec![9; 3 * SECTOR]].concat(), vec![unordered, "vmdk-space-unused"]),
        ([vec![0; SECTOR - 1], vec![9]].concat(), vec![unordered, "vmdk-space-unused"]),
    ] {
        let bytes = with(&between);
        let (code, found) = report(&[scratch.write("end.vmdk", &bytes)]);
        assert_eq!((code, codes(&found)), (0, expected.clone()), "{found}");
        let piped = &images(&piped(&["--format", "json", "-"], &bytes))[0];
        assert_eq!(codes(piped), expected);
    }
}
