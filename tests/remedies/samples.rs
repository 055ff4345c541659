//! What images with a finding that takes judgement are made of.

use std::io::Read as _;
use std::path::Path;

use crate::disk::Disk;

/// Bytes that are changed, by their place.
pub(crate) type Change<'a> = (usize, &'a [u8]);

/// Where a VHDX image has its headers and region tables, and their sizes.
const SEALED: [(usize, usize); 4] =
    [(64 << 10, 4096), (128 << 10, 4096), (192 << 10, 64 << 10), (256 << 10, 64 << 10)];

/// A file of `testdata`, decompressed if its name says gzip.
pub(crate) fn plain(name: &str) -> Vec<u8> {
    let bytes = packed(name);
    let mut plain = Vec::new();
    match name.ends_with(".gz") {
        true => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap(),
        false => return bytes,
    };
    plain
}

/// A file of `testdata` as it is.
pub(crate) fn packed(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)).unwrap()
}

/// The same with changes, which may go on behind its end.
pub(crate) fn with(mut bytes: Vec<u8>, changes: &[Change<'_>]) -> Vec<u8> {
    for (at, new) in changes {
        bytes.resize(bytes.len().max(at + new.len()), 0);
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

pub(crate) fn qcow2(at: usize, new: &[u8]) -> Vec<u8> {
    with(plain("gpt.qcow2"), &[(at, new)])
}

pub(crate) fn vdi(at: usize, new: &[u8]) -> Vec<u8> {
    with(plain("gpt.vdi.gz"), &[(at, new)])
}

pub(crate) fn vmdk(at: usize, new: &[u8]) -> Vec<u8> {
    with(plain("gpt.sparse.vmdk.gz"), &[(at, new)])
}

/// A VMDK image with another text in its descriptor.
pub(crate) fn described(from: &str, to: &str) -> Vec<u8> {
    let image = plain("gpt.sparse.vmdk.gz");
    let text = std::str::from_utf8(&image[512..20 * 512]).unwrap().trim_end_matches('\0');
    assert!(text.contains(from), "{text}");
    let mut new = text.replacen(from, to, 1).into_bytes();
    new.resize(new.len().max(text.len()), 0);
    with(image, &[(512, &new)])
}

/// A VMDK image as VMware streams it, with changes in the 1,536 bytes of its footer and its end.
pub(crate) fn footed(at: usize, new: &[u8]) -> Vec<u8> {
    let stream = crate::vmdk::stream(&crate::common::disk(), false);
    let footer = stream.len() - 1536 + at;
    with(stream, &[(footer, new)])
}

/// A VHDX image with right check sums.
pub(crate) fn vhdx(changes: &[Change<'_>]) -> Vec<u8> {
    let mut image = with(plain("gpt.vhdx.gz"), changes);
    for (at, len) in SEALED {
        image[at + 4..at + 8].fill(0);
        let sum = crc32c::crc32c(&image[at..at + len]);
        image[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
    }
    image
}

/// The same with a change in both headers, or in both region tables.
pub(crate) fn vhdx_headers(at: usize, new: &[u8]) -> Vec<u8> {
    vhdx(&[(SEALED[0].0 + at, new), (SEALED[1].0 + at, new)])
}

pub(crate) fn vhdx_tables(changes: &[Change<'_>]) -> Vec<u8> {
    let of = |copy: usize| changes.iter().map(move |(at, new)| (SEALED[copy].0 + at, *new));
    vhdx(&of(2).chain(of(3)).collect::<Vec<_>>())
}

/// A VHDX image with an entry in its log that has to be replayed.
pub(crate) fn vhdx_logged() -> Vec<u8> {
    let image = plain("gpt.vhdx.gz");
    let log = u64::from_le_bytes(*image[SEALED[0].0 + 72..].first_chunk().unwrap()) as usize;
    let mut entry = vec![0; 8192];
    for (at, new) in [
        (0, &b"loge"[..]),
        (8, &8192u32.to_le_bytes()),
        (16, &[3]),
        (24, &[1]),
        (32, &[7; 16]),
        (64, b"desc"),
        (64 + 24, &[3]),
        (4096, b"data"),
    ] {
        entry[at..at + new.len()].copy_from_slice(new);
    }
    // The data belongs to the entry by its number.
    entry[4100..4104].fill(0);
    entry[8188] = 3;
    let sum = crc32c::crc32c(&entry);
    entry[4..8].copy_from_slice(&sum.to_le_bytes());
    vhdx(&[(SEALED[0].0 + 48, &[7; 16]), (SEALED[1].0 + 48, &[7; 16]), (log, &entry)])
}

/// A file with a mark and nothing else.
pub(crate) fn marked(at: usize, mark: &[u8]) -> Vec<u8> {
    with(vec![0; 1 << 16], &[(at, mark)])
}

/// A disk with a partition table, and changes.
pub(crate) fn mbr(entries: &[(u8, u32, u32)], changes: &[Change<'_>]) -> Vec<u8> {
    with(Disk::mbr(entries).0, changes)
}

/// A disk with an extended partition, and another entry in one of its records.
pub(crate) fn logical(record: u64, slot: u64, entry: (u8, u32, u32)) -> Vec<u8> {
    let mut disk = Disk::logical();
    disk.entry(record, slot, entry);
    disk.0
}

/// A disk with a GPT whose check sums are right after the change.
pub(crate) fn gpt(change: impl Fn(&mut Disk)) -> Vec<u8> {
    let mut disk = Disk::gpt();
    change(&mut disk);
    disk.repair();
    disk.0
}

/// The same, with a number in both of its headers.
pub(crate) fn gpt_headers(at: usize, new: &[u8]) -> Vec<u8> {
    gpt(|disk| disk.copies(|header| header[at..at + new.len()].copy_from_slice(new)))
}

/// A tar archive of members by name, kind and content.
pub(crate) fn tar(members: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, kind, content) in members {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = *kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend(header);
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// An xz file whose block header has other fields, under a right check sum.
pub(crate) fn xz(at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = with(packed("gpt.raw.xz"), &[(12 + at, new)]);
    let len = (usize::from(bytes[12]) + 1) * 4;
    let sum = crc32fast::hash(&bytes[12..12 + len - 4]);
    bytes[12 + len - 4..12 + len].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The first half.
pub(crate) fn half(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}
