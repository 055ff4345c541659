//! Files that are packed or called wrongly, and what is no disk.

use crate::Promise::{self, Mended, Shown};
use crate::common::{bzip2, disk, gzip};
use crate::folder::{Folder, Made, dotted};

type Entry = (&'static str, fn(&Folder, &str) -> Option<Made>, Promise);

pub(crate) const ENTRIES: &[Entry] = &[
    ("gzip-trailing-zeros", |f, s| raw(f, s, ".gz", [gzip(&disk()), vec![0; 700]]), Mended),
    ("gzip-trailing-garbage", |f, s| raw(f, s, ".gz", [gzip(&disk()), vec![b'x'; 70]]), Mended),
    ("gzip-multiple-members", |f, s| raw(f, s, ".gz", halves(gzip)), Mended),
    ("bzip2-trailing-zeros", |f, s| raw(f, s, ".bz2", [bzip2(&disk()), vec![0; 700]]), Mended),
    ("bzip2-trailing-garbage", |f, s| raw(f, s, ".bz2", [bzip2(&disk()), vec![b'x'; 70]]), Mended),
    ("bzip2-multiple-streams", |f, s| raw(f, s, ".bz2", halves(bzip2)), Mended),
    ("zstd-window-too-large", |f, s| packed(f, s, ".zst", "zstd", &["--long=27", "-c"]), Mended),
    ("compression-xz", |f, s| packed(f, s, ".xz", "xz", &["-c"]), Mended),
    ("compression-zstd", |f, s| packed(f, s, ".zst", "zstd", &["-c"]), Mended),
    ("compression-lz4", |f, s| packed(f, s, ".lz4", "lz4", &["-c"]), Mended),
    ("compression-lzma", |f, s| packed(f, s, ".lzma", "xz", &["--format=lzma", "-c"]), Mended),
    ("compression-compress", |f, s| raw(f, s, ".Z", [compress(&disk()), vec![]]), Mended),
    ("compression-lzip", |f, s| packed(f, s, ".lz", "lzip", &["-c"]), Mended),
    ("compression-lzop", |f, s| packed(f, s, ".lzo", "lzop", &["-c"]), Mended),
    ("compression-zlib", |f, s| packed(f, s, ".zz", "pigz", &["-z", "-c"]), Mended),
    ("compression-nested", |f, s| raw(f, s, ".gz.gz", [gzip(&gzip(&disk())), vec![]]), Mended),
    ("archive-zip", zip, Mended),
    ("archive-7z", seven_zip, Shown),
    ("archive-tar", tar, Mended),
    ("archive-ova", ova, Mended),
    ("name-mismatch", |f, s| raw(f, s, ".gz", [disk(), vec![]]), Mended),
    ("content-unrecognised", |f, s| plain(f, s, ".img", &noise()), Shown),
    ("raw-size-unaligned", |f, s| raw(f, s, "", [disk(), vec![0; 100]]), Mended),
    ("content-xml", |f, s| plain(f, s, ".img", b"<?xml version=\"1.0\"?>\n<Error/>\n"), Shown),
    ("content-json", |f, s| plain(f, s, ".img", b"{\"id\": \"not_found\"}\n"), Shown),
    ("content-text", |f, s| plain(f, s, ".img", b"this is not the disk\nthat you want\n"), Shown),
];

fn plain(folder: &Folder, stem: &str, ending: &str, bytes: &[u8]) -> Option<Made> {
    let name = format!("{stem}{ending}");
    folder.write(&name, bytes);
    Made::plain(name)
}

/// A raw image in these parts, packed so that its name has this ending.
fn raw(folder: &Folder, stem: &str, ending: &str, parts: [Vec<u8>; 2]) -> Option<Made> {
    plain(folder, stem, &format!(".raw{ending}"), &parts.concat())
}

fn halves(pack: fn(&[u8]) -> Vec<u8>) -> [Vec<u8>; 2] {
    let disk = disk();
    let (first, second) = disk.split_at(disk.len() / 2);
    [pack(first), pack(second)]
}

/// A raw image, packed by a program that reads and writes pipes.
fn packed(
    folder: &Folder,
    stem: &str,
    ending: &str,
    program: &str,
    options: &[&str],
) -> Option<Made> {
    let bytes = folder.feed(program, options, &disk())?;
    raw(folder, stem, ending, [bytes, vec![]])
}

/// As compress packs what has no repetition that pays: codes of nine bits, cleared before they grow.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x9d, 0x90];
    // 247 bytes and a code that clears the table are whole groups of eight codes.
    for block in bytes.chunks(247) {
        let mut codes: Vec<u16> = block.iter().map(|byte| u16::from(*byte)).collect();
        codes.push(256);
        for group in codes.chunks(8) {
            let bits = group.iter().rev().fold(0u128, |bits, code| bits << 9 | u128::from(*code));
            out.extend(&bits.to_le_bytes()[..9]);
        }
    }
    out
}

fn zip(folder: &Folder, stem: &str) -> Option<Made> {
    let name = format!("{stem}.zip");
    folder.write("disk.raw", &disk());
    folder.run("zip", &["-q", &dotted(&name), "disk.raw"])?;
    Made::plain(name)
}

fn seven_zip(folder: &Folder, stem: &str) -> Option<Made> {
    let name = format!("{stem}.7z");
    folder.write("disk.raw", &disk());
    folder.run("7z", &["a", "-bso0", &dotted(&name), "disk.raw"])?;
    Made::plain(name)
}

fn tar(folder: &Folder, stem: &str) -> Option<Made> {
    let name = format!("{stem}.tar");
    folder.write("member.raw", &disk());
    folder.run("tar", &["-cf", &dotted(&name), "member.raw"])?;
    Made::plain(name)
}

fn ova(folder: &Folder, stem: &str) -> Option<Made> {
    let name = format!("{stem}.ova");
    folder.write("box.ovf", b"<?xml version=\"1.0\"?>\n<Envelope/>\n");
    folder.image("box-disk1.vmdk", &disk(), "vmdk", &["-o", "subformat=streamOptimized"])?;
    folder.run("tar", &["--format=ustar", "-cf", &dotted(&name), "box.ovf", "box-disk1.vmdk"])?;
    Made::plain(name)
}

fn noise() -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    (0..1 << 17)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8 | 0x80
        })
        .collect()
}
