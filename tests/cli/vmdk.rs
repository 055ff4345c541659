//! VMDK images in the shapes that VMware, VirtualBox and QEMU give them, and what attackers make of them.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::common::*;

pub(crate) const SECTOR: usize = 512;

pub(crate) const GRAIN: usize = 64 << 10;

/// Sectors before the first grain.
const OVERHEAD: usize = 128;

/// Sectors of a disk of [`DISK`] bytes.
pub(crate) const CAPACITY: u64 = DISK / 512;

pub(crate) fn descriptor(kind: &str, sectors: u64) -> String {
    format!(
        "# Disk DescriptorFile\nversion=1\nCID=7b2c41e5\nparentCID=ffffffff\ncreateType=\"{kind}\"\n\n# Extent description\nRW {sectors} SPARSE \"disk.vmdk\"\n\n#DDB\nddb.adapterType = \"lsilogic\"\n"
    )
}

pub(crate) fn header(flags: u32, directory: u64, compression: u16) -> Vec<u8> {
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
    pub(super) grains: Vec<(usize, usize)>,
    /// Image offset of the grain table.
    pub(super) table: usize,
}

impl Image {
    pub(super) fn described(mut self, text: &str) -> Image {
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
