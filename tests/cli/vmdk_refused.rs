//! VMDK images that QEMU refuses, each by an error on its way to open one: docs/open-like-qemu.md has the table.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::*;
use crate::vmdk::{CAPACITY, GRAIN, Image, SECTOR, descriptor, header, marker, sparse, stream};

/// Whether the oracle is there. Without it a test has nothing to say, which is not good enough for CI.
fn have_qemu() -> bool {
    qemu_img::<&Path>(&["--version"], &[]).is_some()
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
